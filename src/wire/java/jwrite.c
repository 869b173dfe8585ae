/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream writer; see jwrite.h. Values of the classes that make up nearly all traffic are recognized by
 * their constant bytes and written with their class descriptor once a stream, as Java does; only others are
 * walked.
 */
#include "clusterd/wire/jwrite.h"

#include "known.h"
#include "walk.h"

#include "clusterd/wire/mutf.h"

#define BLOCK_MAX 1024 /* ObjectOutputStream's buffer: no record is longer */

void jwrite_init(struct jwrite *w, struct buf *out)
{
    *w = (struct jwrite){.out = out};
    wr_span(out, JAVA_HEADER);
}

void jwrite_end(struct jwrite *w)
{
    size_t at = w->block_at, n = w->out->n - at;
    uint8_t *p;

    if (at == 0)
        return;
    w->block_at = 0;
    if (n <= UINT8_MAX) {
        w->out->p[at - 1] = (uint8_t)n;
        return;
    }
    /* The short head of two bytes was written; the long one has five. */
    buf_reserve(w->out, 3);
    p = w->out->p + at;
    memmove(p + 3, p, n);
    w->out->n += 3;
    p[-2] = TC_BLOCKDATALONG;
    wr_patch_u32(w->out, at - 1, (uint32_t)n);
}

void jwrite_bytes(struct jwrite *w, struct span s)
{
    while (s.n > 0) {
        if (w->block_at && w->out->n - w->block_at == BLOCK_MAX)
            jwrite_end(w);
        if (w->block_at == 0) {
            wr_u8(w->out, TC_BLOCKDATA);
            wr_u8(w->out, 0);
            w->block_at = w->out->n;
        }
        size_t room = BLOCK_MAX - (w->out->n - w->block_at), part = s.n < room ? s.n : room;
        wr_bytes(w->out, s.p, part);
        s = span_of(s.p + part, s.n - part);
    }
}

/* n bytes of the open record, when it has room for them. */
static uint8_t *claim(struct jwrite *w, unsigned n)
{
    uint8_t *p;

    if (w->block_at == 0 || w->out->n - w->block_at + n > BLOCK_MAX)
        return NULL;
    buf_reserve(w->out, n);
    p = w->out->p + w->out->n;
    w->out->n += n;
    return p;
}

static void put_int(struct jwrite *w, uint64_t v, unsigned n)
{
    uint8_t b[8], *claimed = claim(w, n), *p = claimed ? claimed : b;

    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    if (!claimed)
        jwrite_bytes(w, span_of(b, n));
}

void jwrite_u8(struct jwrite *w, uint8_t v)
{
    put_int(w, v, 1);
}

void jwrite_i32(struct jwrite *w, int32_t v)
{
    put_int(w, (uint32_t)v, 4);
}

void jwrite_i64(struct jwrite *w, int64_t v)
{
    put_int(w, (uint64_t)v, 8);
}

enum err jwrite_utf(struct jwrite *w, struct span utf8)
{
    struct buf text = {0};

    if (mutf_is_plain(utf8) && utf8.n <= UINT16_MAX) {
        put_int(w, utf8.n, 2);
        jwrite_bytes(w, utf8);
        return ERR_OK;
    }
    if (mutf_size(utf8) > UINT16_MAX)
        return ERR_TOO_BIG;
    enum err e = mutf_encode(utf8, &text);
    if (e == ERR_OK) {
        put_int(w, text.n, 2);
        jwrite_bytes(w, buf_span(&text));
    }
    buf_fini(&text);
    return e;
}

/* --- objects --- */

static uint32_t next_handle(struct jwrite *w)
{
    return w->next_handle++;
}

static void put_reference(struct jwrite *w, uint32_t handle)
{
    wr_u8(w->out, TC_REFERENCE);
    wr_u32(w->out, WALK_BASE_HANDLE + handle);
}

/* A class descriptor: in full the first time, a reference from then on. True the first time. */
static bool put_desc(struct jwrite *w, uint32_t *seen, struct span desc)
{
    if (*seen) {
        put_reference(w, *seen - 1);
        return false;
    }
    wr_span(w->out, desc);
    *seen = next_handle(w) + 1;
    return true;
}

/* An object of a class below Number. */
static void begin_number(struct jwrite *w, uint32_t *seen, struct span desc)
{
    jwrite_end(w);
    wr_u8(w->out, TC_OBJECT);
    if (put_desc(w, seen, desc))
        put_desc(w, &w->number_desc, SPAN_LIT(KNOWN_NUMBER_DESC));
    next_handle(w);
}

void jwrite_null(struct jwrite *w)
{
    jwrite_end(w);
    wr_u8(w->out, TC_NULL);
}

enum err jwrite_string(struct jwrite *w, struct span utf8)
{
    size_t n = mutf_size(utf8);

    if (!mutf_utf8_valid(utf8))
        return ERR_BAD;
    jwrite_end(w);
    if (n <= UINT16_MAX) {
        wr_u8(w->out, TC_STRING);
        wr_u16(w->out, (uint16_t)n);
    } else {
        wr_u8(w->out, TC_LONGSTRING);
        wr_u64(w->out, n);
    }
    next_handle(w);
    return mutf_encode(utf8, w->out);
}

void jwrite_integer(struct jwrite *w, int32_t v)
{
    begin_number(w, &w->integer_desc, SPAN_LIT(KNOWN_INTEGER_DESC));
    wr_u32(w->out, (uint32_t)v);
}

void jwrite_long(struct jwrite *w, int64_t v)
{
    begin_number(w, &w->long_desc, SPAN_LIT(KNOWN_LONG_DESC));
    wr_u64(w->out, (uint64_t)v);
}

void jwrite_boolean(struct jwrite *w, bool v)
{
    jwrite_end(w);
    wr_u8(w->out, TC_OBJECT);
    put_desc(w, &w->boolean_desc, SPAN_LIT(KNOWN_BOOLEAN_DESC));
    next_handle(w);
    wr_u8(w->out, v);
}

void jwrite_byte_array(struct jwrite *w, struct span bytes)
{
    jwrite_end(w);
    wr_u8(w->out, TC_ARRAY);
    put_desc(w, &w->bytes_desc, SPAN_LIT(KNOWN_BYTES_DESC));
    next_handle(w);
    wr_span32(w->out, bytes);
}

/* --- values --- */

static uint64_t int_of(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* A String that takes the value to its last byte. */
static bool is_string(struct span value)
{
    const size_t at = JAVA_HEADER_LEN + 1;

    if (value.n >= at + 2 && value.p[at - 1] == TC_STRING)
        return int_of(value.p + at, 2) == value.n - at - 2;
    return value.n >= at + 8 && value.p[at - 1] == TC_LONGSTRING &&
           int_of(value.p + at, 8) == value.n - at - 8;
}

/* What follows the constant bytes of a known class; empty (n = 0) when the value is not of that class. */
static struct span data_of(struct span value, struct span known)
{
    return span_starts_with(value, known) ? span_of(value.p + known.n, value.n - known.n)
                                          : (struct span){NULL, 0};
}

static fallible put_walked(struct jwrite *w, struct span value)
{
    struct walk walk;
    struct java_item item;
    enum err e = ERR_BAD;

    walk_init(&walk, value, NULL);
    if (walk_object(&walk, &item, NULL) && walk.pos == value.n && item.kind != JAVA_NULL &&
        item.kind != JAVA_EXCEPTION) {
        jwrite_end(w);
        e = walk_copy(&walk, item.entry, value.n, &w->next_handle, w->out);
    }
    walk_fini(&walk);
    return e ? ERR_BAD : ERR_OK;
}

enum err jwrite_value(struct jwrite *w, struct span value)
{
    struct span data;

    if (!span_starts_with(value, JAVA_HEADER))
        return ERR_BAD;
    if (is_string(value)) {
        jwrite_end(w);
        wr_bytes(w->out, value.p + JAVA_HEADER_LEN, value.n - JAVA_HEADER_LEN);
        next_handle(w);
        return ERR_OK;
    }
    if ((data = data_of(value, KNOWN_BOOLEAN)).n == 1 && data.p[0] <= 1)
        jwrite_boolean(w, data.p[0]);
    else if ((data = data_of(value, KNOWN_INTEGER)).n == 4)
        jwrite_integer(w, (int32_t)(uint32_t)int_of(data.p, 4));
    else if ((data = data_of(value, KNOWN_LONG)).n == 8)
        jwrite_long(w, (int64_t)int_of(data.p, 8));
    else if ((data = data_of(value, KNOWN_BYTES)).n >= 4 && int_of(data.p, 4) == data.n - 4)
        jwrite_byte_array(w, span_of(data.p + 4, data.n - 4));
    else
        return put_walked(w, value);
    return ERR_OK;
}
