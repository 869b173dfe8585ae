/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values made from and asked for single things; see value.h. The text of values is in value_text.c.
 */
#include "clusterd/wire/value.h"

#include "kinds.h"
#include "known.h"

#include "clusterd/wire/mutf.h"

/* --- making --- */

static struct blob *join(struct span head, uint64_t v, unsigned n_int, struct span tail)
{
    struct blob *b = blob_alloc(head.n + n_int + tail.n);

    memcpy(b->p, head.p, head.n);
    for (unsigned i = 0; i < n_int; i++)
        b->p[head.n + i] = (uint8_t)(v >> (8 * (n_int - 1 - i)));
    if (tail.n)
        memcpy(b->p + head.n + n_int, tail.p, tail.n);
    return b;
}

static struct blob *from_mutf(struct span mutf)
{
    return mutf.n <= UINT16_MAX ? join(SPAN_LIT(KNOWN_HEADER "\x74"), mutf.n, 2, mutf)
                                : join(SPAN_LIT(KNOWN_HEADER "\x7c"), mutf.n, 8, mutf);
}

struct blob *value_from_bytes(struct span bytes)
{
    struct buf mutf = {0};

    ASSERT(bytes.n <= INT32_MAX);
    if (mutf_is_plain(bytes))
        return from_mutf(bytes);
    bool is_text = mutf_encode(bytes, &mutf) == ERR_OK;
    struct blob *b = is_text ? from_mutf(buf_span(&mutf)) : join(KNOWN_BYTES, bytes.n, 4, bytes);
    buf_fini(&mutf);
    return b;
}

struct blob *value_from_integer(int32_t v)
{
    return join(KNOWN_INTEGER, (uint32_t)v, 4, (struct span){NULL, 0});
}

struct blob *value_from_long(int64_t v)
{
    return join(KNOWN_LONG, (uint64_t)v, 8, (struct span){NULL, 0});
}

struct blob *value_from_boolean(bool v)
{
    return join(KNOWN_BOOLEAN, v, 1, (struct span){NULL, 0});
}

/* --- asking --- */

static bool is_number(struct span value, struct span head, size_t n)
{
    return value.n == head.n + n && span_starts_with(value, head);
}

bool value_is_common(struct span value)
{
    struct span content;
    bool is_text;

    if (known_content(value, &is_text, &content))
        return !is_text || mutf_valid(content);
    return is_number(value, KNOWN_INTEGER, 4) || is_number(value, KNOWN_LONG, 8) ||
           is_number(value, KNOWN_BOOLEAN, 1);
}

/* Walk the one object of a value; walk_fini() in any case. */
static fallible open_value(struct walk *w, struct span value, struct java_item *root)
{
    walk_init(w, value, NULL);
    if (walk_object(w, root, NULL) && (w->pos != value.n || root->kind == JAVA_EXCEPTION))
        walk_fail(w, ERR_BAD, "value");
    return w->err;
}

enum value_kind value_kind(struct span value)
{
    struct walk w;
    struct java_item root;
    enum value_kind kind = VALUE_BROKEN;

    if (open_value(&w, value, &root) == ERR_OK)
        kind = kinds_of(&w, &root);
    walk_fini(&w);
    return kind;
}

static fallible class_of(const struct walk *w, const struct java_item *root, struct buf *out)
{
    struct span name = {NULL, 0};

    switch (root->kind) {
    case JAVA_NULL:
        name = SPAN_LIT("null");
        break;
    case JAVA_STRING:
        name = SPAN_LIT("java.lang.String");
        break;
    case JAVA_CLASS:
        name = SPAN_LIT("java.lang.Class");
        break;
    case JAVA_DESC:
        name = SPAN_LIT("java.io.ObjectStreamClass");
        break;
    case JAVA_OBJECT:
    case JAVA_ARRAY:
    case JAVA_ENUM:
    case JAVA_EXCEPTION:
        name = walk_class_name(w, w->entries[root->entry].cls);
        if (w->classes[w->entries[root->entry].cls].is_proxy)
            name = SPAN_LIT("java.lang.reflect.Proxy");
        break;
    }
    return mutf_decode(name, out);
}

enum err value_class(struct span value, struct buf *out)
{
    struct walk w;
    struct java_item root;
    enum err e = open_value(&w, value, &root);

    if (e == ERR_OK)
        e = class_of(&w, &root, out);
    walk_fini(&w);
    return e;
}

enum err value_string_field(struct span value, const char *name, struct buf *out)
{
    struct walk w;
    struct java_item root;
    struct parts parts;
    struct part part;
    enum err e = open_value(&w, value, &root);

    if (e == ERR_OK) {
        e = ERR_NOT_FOUND;
        if (root.kind == JAVA_OBJECT) {
            parts_init(&parts, &w, root.entry);
            while (e == ERR_NOT_FOUND && parts_next(&parts, &part))
                if (parts_is_field(&w, &part, name, 'L') && part.item.kind == JAVA_STRING)
                    e = mutf_decode(entry_text(&w, part.item.entry), out);
        }
    }
    walk_fini(&w);
    return e;
}

static fallible boxed(struct span value, const char *cls, uint8_t type, uint64_t *v)
{
    struct walk w;
    struct java_item root;
    enum err e = open_value(&w, value, &root);

    if (e == ERR_OK && !parts_boxed(&w, &root, cls, type, v))
        e = ERR_BAD;
    walk_fini(&w);
    return e ? ERR_BAD : ERR_OK;
}

enum err value_integer(struct span value, int32_t *v)
{
    uint64_t bits;

    TRY(boxed(value, "java.lang.Integer", 'I', &bits));
    *v = (int32_t)(uint32_t)bits;
    return ERR_OK;
}

enum err value_long(struct span value, int64_t *v)
{
    uint64_t bits;

    TRY(boxed(value, "java.lang.Long", 'J', &bits));
    *v = (int64_t)bits;
    return ERR_OK;
}

enum err value_boolean(struct span value, bool *v)
{
    uint64_t bits;

    TRY(boxed(value, "java.lang.Boolean", 'Z', &bits));
    *v = bits != 0;
    return ERR_OK;
}

enum err value_string(struct span value, struct buf *utf8)
{
    struct walk w;
    struct java_item root;
    enum err e = open_value(&w, value, &root);

    if (e == ERR_OK)
        e = root.kind == JAVA_STRING ? mutf_decode(entry_text(&w, root.entry), utf8) : ERR_BAD;
    walk_fini(&w);
    return e ? ERR_BAD : ERR_OK;
}
