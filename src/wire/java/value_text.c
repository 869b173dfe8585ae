/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other languages see of a value; see value_text() in value.h. Collections become JSON-like text with a
 * stack of fixed height; each open collection is a `level`, which gives its children one by one. Sharing
 * inside a value can blow its text up, so that is limited by the caller; a collection inside itself is
 * refused.
 */
#include "kinds.h"
#include "known.h"
#include "scalar.h"

#include "clusterd/wire/mutf.h"

#define MAX_LEVELS   32
#define MAX_WRAPPERS 8

struct level {
    uint32_t entry;
    bool is_map, is_array, ends_with_null;
    bool is_value_next; /* of a map: a key has been written */
    uint8_t skip;
    const char *written_by;  /* class whose objects are the children */
    struct parts parts;      /* not of an array */
    uint32_t pos, ctr, left; /* of an array */
    uint32_t n;              /* children (of a map: pairs) begun */
};

struct printer {
    const struct walk *w;
    struct buf *out;
    size_t end; /* length that `out` may reach */
    enum err err;
    unsigned depth;
    struct level levels[MAX_LEVELS];
};

static void fail(struct printer *p, enum err e)
{
    if (p->err == ERR_OK)
        p->err = e;
}

/* --- scalars --- */

static void put_base64(struct buf *out, struct span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = s.n - i < 3 ? s.n - i : 3;
        uint32_t v =
            (uint32_t)s.p[i] << 16 | (n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (n > 2 ? s.p[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            wr_u8(out, k <= n ? (uint8_t)digits[v >> (18 - 6 * k) & 63] : '=');
    }
}

static void put_quoted(struct buf *out, struct span utf8)
{
    wr_u8(out, '"');
    for (size_t i = 0; i < utf8.n; i++) {
        uint8_t c = utf8.p[i];
        if (c == '"' || c == '\\')
            wr_u8(out, '\\');
        if (c < 0x20)
            wr_printf(out, "\\u%04x", c);
        else
            wr_u8(out, c);
    }
    wr_u8(out, '"');
}

static struct span byte_array(const struct walk *w, const struct java_item *item)
{
    uint32_t at = entry_data_at(w, item->entry);

    return span_of(w->s.p + at + 4, walk_u32(w, at));
}

/* Milliseconds since 1970 of a Date or one of its kin. */
static fallible date_ms(const struct walk *w, const struct java_item *item, int64_t *ms)
{
    struct parts parts;
    struct part part;
    uint64_t v = 0, nanos = 0;
    bool has_time = false;

    parts_init(&parts, w, item->entry);
    while (parts_next(&parts, &part)) {
        bool is_time =
            part.kind == PART_BLOCK && part.bytes.n == 8 && parts_is_class(w, part.cls, "java.util.Date");
        bool is_nanos =
            parts_is_field(w, &part, "nanos", 'I'); /* of a Timestamp, whose Date has whole seconds */
        uint64_t *to = is_time ? &v : &nanos;
        if (!is_time && !is_nanos)
            continue;
        for (size_t i = 0; i < part.bytes.n; i++)
            *to = *to << 8 | part.bytes.p[i];
        has_time = has_time || is_time;
    }
    if (!has_time)
        return ERR_UNSUPPORTED;
    *ms = (int64_t)(v + (nanos & UINT32_MAX) / 1000000);
    return ERR_OK;
}

/* The primitive in a boxed number; its bytes in the stream. */
static fallible boxed_bytes(const struct walk *w, const struct java_item *item, uint8_t type,
                            struct span *bytes)
{
    struct parts parts;
    struct part part;

    parts_init(&parts, w, item->entry);
    while (parts_next(&parts, &part)) {
        if (parts_is_field(w, &part, "value", type)) {
            *bytes = part.bytes;
            return ERR_OK;
        }
    }
    return ERR_UNSUPPORTED; /* another class by that name */
}

static uint8_t boxed_type(const struct walk *w, const struct java_item *item)
{
    return kinds_find(walk_class_name(w, w->entries[item->entry].cls))->type;
}

static fallible put_scalar(const struct walk *w, const struct java_item *item, enum value_kind kind,
                           struct buf *out)
{
    struct span bytes;
    int64_t ms;

    switch (kind) {
    case VALUE_NULL:
        wr_text(out, "null");
        return ERR_OK;
    case VALUE_STRING:
        return mutf_decode(entry_text(w, item->entry), out);
    case VALUE_BYTES:
        wr_span(out, byte_array(w, item));
        return ERR_OK;
    case VALUE_BOOLEAN:
    case VALUE_NUMBER:
    case VALUE_CHARACTER:
        TRY(boxed_bytes(w, item, boxed_type(w, item), &bytes));
        scalar_text(boxed_type(w, item), bytes, out);
        return ERR_OK;
    case VALUE_DATE:
        TRY(date_ms(w, item, &ms));
        scalar_time(ms, out);
        return ERR_OK;
    case VALUE_ENUM: {
        uint32_t pos = entry_data_at(w, item->entry), ctr = item->entry + 1;
        struct java_item name = entry_item(w, &pos, &ctr);
        return mutf_decode(entry_text(w, name.entry), out);
    }
    case VALUE_COLLECTION:
    case VALUE_OTHER:
    case VALUE_BROKEN:
        break;
    }
    return ERR_UNSUPPORTED;
}

static bool is_quoted(const struct walk *w, const struct java_item *item, enum value_kind kind)
{
    struct span bytes;

    if (kind == VALUE_NULL || kind == VALUE_BOOLEAN)
        return false;
    return kind != VALUE_NUMBER || (boxed_bytes(w, item, boxed_type(w, item), &bytes) == ERR_OK &&
                                    scalar_is_special(boxed_type(w, item), bytes));
}

static void put_inner_scalar(struct printer *p, const struct java_item *item, enum value_kind kind,
                             bool is_key)
{
    struct buf text = {0};
    enum err e = put_scalar(p->w, item, kind, &text);

    if (e)
        fail(p, e);
    else if (kind == VALUE_BYTES) {
        wr_u8(p->out, '"');
        put_base64(p->out, buf_span(&text));
        wr_u8(p->out, '"');
    } else if (is_key || is_quoted(p->w, item, kind)) {
        put_quoted(p->out, buf_span(&text));
    } else {
        wr_span(p->out, buf_span(&text));
    }
    buf_fini(&text);
}

/* --- collections --- */

static void put_primitives(struct printer *p, const struct java_item *item, uint8_t type)
{
    uint32_t at = entry_data_at(p->w, item->entry), n = walk_u32(p->w, at);
    unsigned width = walk_width(type);

    wr_u8(p->out, '[');
    for (uint32_t i = 0; i < n && p->out->n <= p->end; i++) {
        struct span bytes = span_of(p->w->s.p + at + 4 + (size_t)i * width, width);
        struct buf text = {0};
        if (i)
            wr_u8(p->out, ',');
        scalar_text(type, bytes, &text);
        if (type == 'C' || scalar_is_special(type, bytes))
            put_quoted(p->out, buf_span(&text));
        else
            wr_span(p->out, buf_span(&text));
        buf_fini(&text);
    }
    wr_u8(p->out, ']');
}

static bool is_open(const struct printer *p, uint32_t entry)
{
    for (unsigned i = 0; i < p->depth; i++)
        if (p->levels[i].entry == entry)
            return true;
    return false;
}

static void open_level(struct printer *p, struct level level)
{
    if (is_open(p, level.entry)) {
        fail(p, ERR_UNSUPPORTED);
    } else if (p->depth == MAX_LEVELS) {
        fail(p, ERR_TOO_BIG);
    } else {
        p->levels[p->depth++] = level;
        wr_u8(p->out, level.is_map ? '{' : '[');
    }
}

static void open_array(struct printer *p, const struct java_item *item)
{
    struct span name = walk_class_name(p->w, p->w->entries[item->entry].cls);
    uint32_t at = entry_data_at(p->w, item->entry);

    if (walk_width(name.p[1]))
        put_primitives(p, item, name.p[1]);
    else
        open_level(p, (struct level){.entry = item->entry,
                                     .is_array = true,
                                     .pos = at + 4,
                                     .ctr = item->entry + 1,
                                     .left = walk_u32(p->w, at)});
}

/* The tag of a CollSer: 1 list, 2 set, 3 map, 4 list with nulls. */
static bool is_constant_map(const struct printer *p, const struct java_item *item)
{
    struct parts parts;
    struct part part;

    parts_init(&parts, p->w, item->entry);
    while (parts_next(&parts, &part))
        if (parts_is_field(p->w, &part, "tag", 'I'))
            return part.bytes.p[3] == 3;
    return false;
}

static void open_object(struct printer *p, const struct java_item *item, const struct kinds_row *row)
{
    struct level level = {.entry = item->entry,
                          .is_map = row->shape == SHAPE_MAP,
                          .ends_with_null = row->ends_with_null,
                          .skip = row->skip,
                          .written_by = row->level};

    if (row->shape == SHAPE_CONSTANT_COLLECTION)
        level.is_map = is_constant_map(p, item);
    parts_init(&level.parts, p->w, item->entry);
    open_level(p, level);
}

/* A wrapper's collection in place of the wrapper. */
static const struct kinds_row *unwrap(struct printer *p, struct java_item *item)
{
    for (unsigned i = 0; i < MAX_WRAPPERS && item->kind == JAVA_OBJECT; i++) {
        const struct kinds_row *row = kinds_find(walk_class_name(p->w, p->w->entries[item->entry].cls));
        struct parts parts;
        struct part part;
        bool has_inner = false;

        if (!row || row->shape != SHAPE_WRAPPER)
            return row;
        parts_init(&parts, p->w, item->entry);
        while (!has_inner && parts_next(&parts, &part))
            has_inner = parts_is_field(p->w, &part, row->level, row->type);
        if (!has_inner)
            break;
        *item = part.item;
    }
    return NULL;
}

static void put_item(struct printer *p, struct java_item item, bool is_key)
{
    const struct kinds_row *row = unwrap(p, &item);
    enum value_kind kind = kinds_of(p->w, &item);

    if (kind != VALUE_COLLECTION)
        put_inner_scalar(p, &item, kind, is_key);
    else if (is_key)
        fail(p, ERR_UNSUPPORTED);
    else if (item.kind == JAVA_ARRAY)
        open_array(p, &item);
    else if (row)
        open_object(p, &item, row);
    else
        fail(p, ERR_UNSUPPORTED);
}

static bool next_child(const struct walk *w, struct level *l, struct java_item *item)
{
    struct part part;

    if (l->is_array) {
        if (l->left == 0)
            return false;
        l->left--;
        *item = entry_item(w, &l->pos, &l->ctr);
        return true;
    }
    while (parts_next(&l->parts, &part)) {
        if (part.kind != PART_CONTENT || !parts_is_class(w, part.cls, l->written_by))
            continue;
        if (l->skip > 0) {
            l->skip--;
            continue;
        }
        *item = part.item;
        return !(l->ends_with_null && !l->is_value_next && item->kind == JAVA_NULL);
    }
    return false;
}

static void step(struct printer *p)
{
    struct level *l = &p->levels[p->depth - 1];
    struct java_item item;

    if (!next_child(p->w, l, &item)) {
        if (l->is_value_next)
            fail(p, ERR_UNSUPPORTED); /* a key without its value: not the class that we know */
        wr_u8(p->out, l->is_map ? '}' : ']');
        p->depth--;
        return;
    }
    bool is_key = l->is_map && !l->is_value_next;
    l->is_value_next = is_key;
    if ((!l->is_map || is_key) && l->n++ > 0)
        wr_u8(p->out, ',');
    else if (l->is_map && !is_key)
        wr_u8(p->out, ':');
    put_item(p, item, is_key);
}

static fallible put_collection(const struct walk *w, const struct java_item *root, size_t max_bytes,
                               struct buf *out)
{
    struct printer p;

    p.w = w;
    p.out = out;
    p.end = max_bytes > SIZE_MAX - out->n ? SIZE_MAX : out->n + max_bytes;
    p.err = ERR_OK;
    p.depth = 0;
    put_item(&p, *root, false);
    while (p.depth > 0 && p.err == ERR_OK && out->n <= p.end)
        step(&p);
    if (p.err == ERR_OK && out->n > p.end)
        p.err = ERR_TOO_BIG;
    return p.err;
}

enum err value_text(struct span value, size_t max_bytes, struct buf *out)
{
    struct walk w;
    struct java_item root;
    size_t before = out->n;
    enum err e = ERR_BAD;

    walk_init(&w, value, NULL);
    if (walk_object(&w, &root, NULL) && w.pos == value.n) {
        enum value_kind kind = kinds_of(&w, &root);
        if (kind == VALUE_BROKEN)
            e = ERR_BAD;
        else if (kind == VALUE_COLLECTION)
            e = put_collection(&w, &root, max_bytes, out);
        else
            e = put_scalar(&w, &root, kind, out);
    }
    walk_fini(&w);
    if (e)
        out->n = before;
    return e;
}

bool value_text_plain(struct span value, struct span *text)
{
    struct span content;
    bool is_text;

    if (!known_content(value, &is_text, &content) || (is_text && !mutf_is_plain(content)))
        return false;
    *text = content;
    return true;
}

enum err value_text_size(struct span value, size_t *n)
{
    struct span content;
    struct buf utf8 = {0};
    bool is_text;

    if (!known_content(value, &is_text, &content))
        return ERR_UNSUPPORTED;
    if (!is_text || mutf_is_plain(content)) {
        *n = content.n;
        return ERR_OK;
    }
    enum err e = mutf_decode(content, &utf8);
    if (e == ERR_OK)
        *n = utf8.n;
    buf_fini(&utf8);
    return e;
}
