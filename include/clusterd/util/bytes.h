/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: `span` borrows them, `buf` owns and grows them, `blob` owns them immutable and counted, so that one
 * encoded message or attribute value can be held by many members, threads and sessions without a copy.
 * All integers are written big-endian, as Java does.
 */
#ifndef CLUSTERD_UTIL_BYTES_H
#define CLUSTERD_UTIL_BYTES_H

#include "clusterd/util/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *p;
    size_t n;
};

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){p, n};
}

static inline struct span span_str(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

#define SPAN_LIT(lit) ((struct span){(const uint8_t *)("" lit), sizeof(lit) - 1})

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Big-endian numbers in bytes. */
static inline uint16_t be_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t be_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t be_u64(const uint8_t *p)
{
    return (uint64_t)be_u32(p) << 32 | be_u32(p + 4);
}
static inline void be_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void be_put_u32(uint8_t *p, uint32_t v)
{
    be_put_u16(p, (uint16_t)(v >> 16));
    be_put_u16(p + 2, (uint16_t)v);
}
static inline void be_put_u64(uint8_t *p, uint64_t v)
{
    be_put_u32(p, (uint32_t)(v >> 32));
    be_put_u32(p + 4, (uint32_t)v);
}

/* Unsigned byte order, the shorter first when one is a prefix of the other. */
int span_cmp(struct span a, struct span b);
/* ASCII case-insensitive equality with a NUL-terminated text. */
bool span_is_nocase(struct span a, const char *text);
bool span_starts_with(struct span a, struct span prefix);
/* For passwords: takes as long whatever the bytes are; only the lengths may be told from the time. */
bool span_eq_secret(struct span a, struct span b);

/* A growing byte string. Zero-initialised is empty and valid; buf_fini() frees. */
struct buf {
    uint8_t *p;
    size_t n, cap;
};

void buf_fini(struct buf *b);
void buf_reserve(struct buf *b, size_t more); /* room for `more` further bytes at b->p + b->n */
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
}
void buf_consume(struct buf *b, size_t n); /* drop the first n bytes */
const char *
buf_cstr(struct buf *b); /* adds a NUL behind the content, not counted; valid until the next change */

/* These are inline: a message is some dozens of them. */
static inline uint8_t *wr_room(struct buf *b, size_t n)
{
    if (b->cap - b->n < n)
        buf_reserve(b, n);
    b->n += n;
    return b->p + (b->n - n);
}
static inline void wr_u8(struct buf *b, uint8_t v)
{
    *wr_room(b, 1) = v;
}
static inline void wr_u16(struct buf *b, uint16_t v)
{
    be_put_u16(wr_room(b, 2), v);
}
static inline void wr_u32(struct buf *b, uint32_t v)
{
    be_put_u32(wr_room(b, 4), v);
}
static inline void wr_u64(struct buf *b, uint64_t v)
{
    be_put_u64(wr_room(b, 8), v);
}
static inline void wr_bytes(struct buf *b, const void *p, size_t n)
{
    if (n)
        memcpy(wr_room(b, n), p, n);
}
static inline void wr_span(struct buf *b, struct span s)
{
    wr_bytes(b, s.p, s.n);
}
void wr_span32(struct buf *b, struct span s); /* u32 length, then the bytes */
void wr_text(struct buf *b, const char *s);   /* without its NUL */
void wr_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Lengths that are known only later: remember the place, write the value when it is known. */
size_t wr_reserve_u32(struct buf *b);
void wr_patch_u32(struct buf *b, size_t at, uint32_t v);
void wr_patch_u16(struct buf *b, size_t at, uint16_t v);

/* Immutable, counted bytes. ref/unref may be called from any thread. */
struct blob {
    atomic_uint refs;
    uint32_t n;
    uint8_t p[];
};

struct blob *blob_new(struct span s);  /* a copy, one reference; at most 4 GiB - 1 */
struct blob *blob_alloc(size_t n);     /* uninitialised bytes, to be filled before it is shared */
struct blob *blob_ref(struct blob *b); /* NULL gives NULL */
void blob_unref(struct blob *b);       /* NULL is fine */
/* Puts other bytes into a blob that only the caller holds and knows, if they fit and leave little of its
 * memory unused; false: they do not, or somebody else holds it. */
bool blob_refill(struct blob *b, struct span s);
static inline struct span blob_span(const struct blob *b)
{
    return b ? (struct span){b->p, b->n} : (struct span){NULL, 0};
}

#endif
