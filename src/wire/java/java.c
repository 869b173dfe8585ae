/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of a stream's top level: block data and objects in order; see java.h. It owns a walk (the handle
 * table) and an arena (texts that do not lie in the input as they are).
 */
#include "clusterd/wire/java.h"

#include "arena.h"
#include "parts.h"
#include "walk.h"

#include "clusterd/util/mem.h"

const struct java_limits java_limits_default = {
    .max_depth = 4096,
    .max_supers = 128,
    .max_handles = 1u << 24,
    .max_bytes = UINT32_MAX,
    .max_value = 64u << 20,
    .max_growth = 64,
    .max_share = 128u << 20,
};

struct java {
    struct walk w;
    struct arena texts;
    struct buf copy;     /* a value being cut; kept for the next one */
    uint32_t block_left; /* bytes of the current block record that are not read yet */
    uint64_t cut_total, text_total;
    uint64_t share_start; /* cut_total at the last java_share() */
};

struct java *java_new(struct span stream, const struct java_limits *limits)
{
    struct java *j = MEM_NEW(struct java);

    walk_init(&j->w, stream, limits);
    return j;
}

void java_free(struct java *j)
{
    if (!j)
        return;
    walk_fini(&j->w);
    arena_fini(&j->texts);
    buf_fini(&j->copy);
    mem_free(j);
}

enum err java_err(const struct java *j)
{
    return j->w.err;
}

const char *java_field(const struct java *j)
{
    return j->w.field;
}

enum err java_fail(struct java *j, enum err e, const char *field)
{
    return walk_fail(&j->w, e, field);
}

size_t java_pos(const struct java *j)
{
    return j->w.pos;
}

/* At the start of a block record: take its head. */
static void open_block(struct java *j)
{
    struct walk *w = &j->w;
    uint32_t head = w->s.p[w->pos] == TC_BLOCKDATA ? 2 : 5;

    if (w->s.n - w->pos < head) {
        walk_fail(w, ERR_SHORT, "java block data");
        return;
    }
    uint32_t n = head == 2 ? w->s.p[w->pos + 1] : walk_u32(w, w->pos + 1);
    if (n > INT32_MAX) {
        walk_fail(w, ERR_BAD, "java block data");
        return;
    }
    if (w->s.n - w->pos - head < n) {
        walk_fail(w, ERR_SHORT, "java block data");
        return;
    }
    w->pos += head;
    j->block_left = n;
}

enum java_next java_peek(struct java *j)
{
    struct walk *w = &j->w;

    while (!w->err) {
        if (j->block_left > 0)
            return JAVA_AT_DATA;
        if (w->pos == w->s.n)
            return JAVA_AT_END;
        uint8_t tc = w->s.p[w->pos];
        if (tc == TC_RESET) {
            walk_clear(w);
            w->pos++;
        } else if (tc == TC_BLOCKDATA || tc == TC_BLOCKDATALONG) {
            open_block(j);
        } else {
            return JAVA_AT_ITEM;
        }
    }
    return JAVA_AT_END;
}

/* --- block data --- */

static bool want_data(struct java *j, const char *field)
{
    enum java_next next = java_peek(j);

    if (next == JAVA_AT_END)
        java_fail(j, ERR_SHORT, field);
    else if (next == JAVA_AT_ITEM)
        java_fail(j, ERR_BAD, field);
    return next == JAVA_AT_DATA;
}

static void take(struct java *j, uint8_t *p, size_t n, const char *field)
{
    while (n > 0 && want_data(j, field)) {
        uint32_t part = n < j->block_left ? (uint32_t)n : j->block_left;
        memcpy(p, j->w.s.p + j->w.pos, part);
        p += part;
        n -= part;
        j->w.pos += part;
        j->block_left -= part;
    }
}

static uint64_t take_int(struct java *j, unsigned n, const char *field)
{
    uint8_t b[8] = {0};
    uint64_t v = 0;

    take(j, b, n, field);
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | b[i];
    return j->w.err ? 0 : v;
}

uint8_t java_u8(struct java *j, const char *field)
{
    return (uint8_t)take_int(j, 1, field);
}

int32_t java_i32(struct java *j, const char *field)
{
    return (int32_t)(uint32_t)take_int(j, 4, field);
}

int64_t java_i64(struct java *j, const char *field)
{
    return (int64_t)take_int(j, 8, field);
}

struct span java_bytes(struct java *j, size_t n, const char *field)
{
    struct span s = {NULL, 0};

    if (n == 0 || !want_data(j, field))
        return s;
    if (n <= j->block_left) {
        s = span_of(j->w.s.p + j->w.pos, n);
        j->w.pos += (uint32_t)n;
        j->block_left -= (uint32_t)n;
        return s;
    }
    if (n > j->w.s.n - j->w.pos) {
        java_fail(j, ERR_SHORT, field);
        return s;
    }
    uint8_t *joined = arena_alloc(&j->texts, n);
    take(j, joined, n, field);
    return j->w.err ? s : span_of(joined, n);
}

static struct span text_of(struct java *j, struct span mutf, const char *field)
{
    struct span utf8 = {NULL, 0};
    enum err e = arena_text(&j->texts, mutf, &utf8);

    /* One text that has to be converted may be referred to again and again, each time for five bytes. */
    if (utf8.p != mutf.p)
        j->text_total += utf8.n;
    if (e == ERR_OK && j->text_total > (uint64_t)j->w.s.n + j->w.limits->max_value)
        e = ERR_TOO_BIG;
    if (e) {
        java_fail(j, e, field);
        return (struct span){NULL, 0};
    }
    return utf8;
}

struct span java_utf(struct java *j, const char *field)
{
    size_t n = (size_t)take_int(j, 2, field);

    return text_of(j, java_bytes(j, n, field), field);
}

/* --- objects --- */

bool java_item(struct java *j, struct java_item *item, const char *field)
{
    enum java_next next = java_peek(j);

    if (next == JAVA_AT_END)
        java_fail(j, ERR_SHORT, field);
    else if (next == JAVA_AT_DATA)
        java_fail(j, ERR_BAD, field);
    return next == JAVA_AT_ITEM && walk_object(&j->w, item, field);
}

static uint64_t next_boxed(struct java *j, const char *cls, uint8_t type, const char *field)
{
    struct java_item item;
    uint64_t v = 0;

    if (java_item(j, &item, field) && !parts_boxed(&j->w, &item, cls, type, &v))
        java_fail(j, ERR_BAD, field);
    return v;
}

int32_t java_integer(struct java *j, const char *field)
{
    return (int32_t)(uint32_t)next_boxed(j, "java.lang.Integer", 'I', field);
}

int64_t java_long(struct java *j, const char *field)
{
    return (int64_t)next_boxed(j, "java.lang.Long", 'J', field);
}

bool java_boolean(struct java *j, const char *field)
{
    return next_boxed(j, "java.lang.Boolean", 'Z', field) != 0;
}

bool java_is_integer(const struct java *j, const struct java_item *item, int32_t *v)
{
    uint64_t u;

    if (!parts_boxed(&j->w, item, "java.lang.Integer", 'I', &u))
        return false;
    *v = (int32_t)(uint32_t)u;
    return true;
}

bool java_string(struct java *j, struct span *text, const char *field)
{
    struct java_item item;

    *text = (struct span){NULL, 0};
    if (!java_item(j, &item, field))
        return false;
    if (item.kind == JAVA_STRING)
        *text = text_of(j, entry_text(&j->w, item.entry), field);
    else if (item.kind != JAVA_NULL)
        java_fail(j, ERR_BAD, field);
    return item.kind == JAVA_STRING && !j->w.err;
}

enum err java_cut(struct java *j, const struct java_item *item, struct blob **out)
{
    const struct java_limits *limits = j->w.limits;
    uint64_t allowance = (uint64_t)j->w.s.n * limits->max_growth + limits->max_value - j->cut_total;
    uint64_t twice = 2 * (uint64_t)j->w.s.n;
    uint64_t share =
        (twice > limits->max_share ? twice : limits->max_share) - (j->cut_total - j->share_start);
    uint32_t next_handle = 0;

    if (item->kind == JAVA_NULL || item->kind == JAVA_EXCEPTION)
        return ERR_NOT_FOUND;
    buf_clear(&j->copy);
    wr_span(&j->copy, JAVA_HEADER);
    if (allowance > share)
        allowance = share;
    size_t max = allowance < limits->max_value ? (size_t)allowance : limits->max_value;
    TRY(walk_copy(&j->w, item->entry, max, &next_handle, &j->copy));
    j->cut_total += j->copy.n - JAVA_HEADER_LEN;
    *out = blob_new(buf_span(&j->copy));
    return ERR_OK;
}

void java_share(struct java *j)
{
    j->share_start = j->cut_total;
}

enum err java_end(struct java *j, const char *field)
{
    if (java_peek(j) != JAVA_AT_END)
        java_fail(j, ERR_BAD, field);
    return j->w.err;
}

/* --- the root class --- */

enum err java_root_class(struct span stream, struct span *name)
{
    static const uint8_t start[] = {0xAC, 0xED, 0x00, 0x05, TC_OBJECT, TC_CLASSDESC};

    if (!span_starts_with(stream, JAVA_HEADER))
        return ERR_BAD;
    if (!span_starts_with(stream, span_of(start, sizeof start)))
        return ERR_UNSUPPORTED;
    if (stream.n < sizeof start + 2)
        return ERR_BAD;
    size_t n = (size_t)stream.p[sizeof start] << 8 | stream.p[sizeof start + 1];
    if (stream.n - sizeof start - 2 < n)
        return ERR_BAD;
    *name = span_of(stream.p + sizeof start + 2, n);
    return ERR_OK;
}
