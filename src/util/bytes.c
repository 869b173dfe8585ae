/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans, growing buffers and counted blobs. No I/O, any thread; see bytes.h for who owns what.
 */
#include "clusterd/util/bytes.h"
#include "clusterd/util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool span_is_nocase(struct span a, const char *text)
{
    return strlen(text) == a.n && strncasecmp((const char *)a.p, text, a.n) == 0;
}

bool span_starts_with(struct span a, struct span prefix)
{
    return a.n >= prefix.n && span_eq(span_of(a.p, prefix.n), prefix);
}

bool span_eq_secret(struct span a, struct span b)
{
    volatile uint8_t differ = a.n != b.n;

    for (size_t i = 0; i < a.n; i++)
        differ = (uint8_t)(differ | (a.p[i] ^ (i < b.n ? b.p[i] : 0xff)));
    return !differ;
}

void buf_fini(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t more)
{
    ASSERT(more <= SIZE_MAX / 2 - b->n);
    if (b->cap - b->n >= more)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < b->n + more)
        cap *= 2;
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
}

void buf_consume(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    if (n && n < b->n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
    buf_reserve(b, 1);
    b->p[b->n] = 0;
    return (const char *)b->p;
}

void wr_span32(struct buf *b, struct span s)
{
    ASSERT(s.n <= INT32_MAX);
    wr_u32(b, (uint32_t)s.n);
    wr_span(b, s);
}

void wr_text(struct buf *b, const char *s)
{
    wr_bytes(b, s, strlen(s));
}

void wr_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    buf_reserve(b, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

size_t wr_reserve_u32(struct buf *b)
{
    size_t at = b->n;

    wr_u32(b, 0);
    return at;
}

void wr_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    ASSERT(at + 4 <= b->n);
    be_put_u32(b->p + at, v);
}

void wr_patch_u16(struct buf *b, size_t at, uint16_t v)
{
    ASSERT(at + 2 <= b->n);
    be_put_u16(b->p + at, v);
}

struct blob *blob_alloc(size_t n)
{
    ASSERT(n <= UINT32_MAX);
    struct blob *b = mem_alloc(sizeof *b + n);

    atomic_init(&b->refs, 1);
    b->n = (uint32_t)n;
    return b;
}

struct blob *blob_new(struct span s)
{
    struct blob *b = blob_alloc(s.n);

    if (s.n)
        memcpy(b->p, s.p, s.n);
    return b;
}

bool blob_refill(struct blob *b, struct span s)
{
    size_t need = sizeof *b + s.n, room = mem_room(b);

    if (need > room || need < room - room / 8 || atomic_load_explicit(&b->refs, memory_order_acquire) != 1)
        return false;
    b->n = (uint32_t)s.n;
    if (s.n)
        memcpy(b->p, s.p, s.n);
    return true;
}

struct blob *blob_ref(struct blob *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

/* Nobody else can take a reference to what only the caller holds, so the last one goes without a locked
 * instruction. */
void blob_unref(struct blob *b)
{
    if (b && (atomic_load_explicit(&b->refs, memory_order_acquire) == 1 ||
              atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1))
        mem_free(b);
}
