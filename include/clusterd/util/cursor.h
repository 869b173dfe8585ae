/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds-checked reading with a sticky error: after the first failure every further read gives 0 or an empty
 * span, so a decoder is a straight list of reads with one verdict at its end. Each read names its field; the
 * name of the field that failed stays in `field` for the log line. Nothing is ever read outside the input.
 */
#ifndef CLUSTERD_UTIL_CURSOR_H
#define CLUSTERD_UTIL_CURSOR_H

#include "clusterd/util/bytes.h"

struct rd {
    const uint8_t *start, *p, *end;
    enum err err;
    const char *field; /* static text: the field whose read failed; NULL while fine */
};

static inline struct rd rd_of(struct span s)
{
    const uint8_t *p = s.n ? s.p : (const uint8_t *)""; /* offsets on NULL are undefined, even 0 */

    return (struct rd){p, p, p + s.n, ERR_OK, NULL};
}
static inline size_t rd_left(const struct rd *in)
{
    return in->err ? 0 : (size_t)(in->end - in->p);
}
static inline size_t rd_pos(const struct rd *in)
{
    return (size_t)(in->p - in->start);
}

/* Record a failure unless there is one already. Returns the error that stands. */
enum err rd_fail(struct rd *in, enum err e, const char *field);

/* Borrowed from the input. These are inline: a message is some dozens of them. */
static inline struct span rd_bytes(struct rd *in, size_t n, const char *field)
{
    if (in->err || (size_t)(in->end - in->p) < n) {
        rd_fail(in, ERR_SHORT, field);
        return (struct span){NULL, 0};
    }
    struct span s = {in->p, n};
    in->p += n;
    return s;
}
static inline uint8_t rd_u8(struct rd *in, const char *field)
{
    struct span s = rd_bytes(in, 1, field);

    return s.n ? s.p[0] : 0;
}
static inline uint16_t rd_u16(struct rd *in, const char *field)
{
    struct span s = rd_bytes(in, 2, field);

    return s.n ? be_u16(s.p) : 0;
}
static inline uint32_t rd_u32(struct rd *in, const char *field)
{
    struct span s = rd_bytes(in, 4, field);

    return s.n ? be_u32(s.p) : 0;
}
static inline uint64_t rd_u64(struct rd *in, const char *field)
{
    struct span s = rd_bytes(in, 8, field);

    return s.n ? be_u64(s.p) : 0;
}
static inline int32_t rd_i32(struct rd *in, const char *field)
{
    return (int32_t)rd_u32(in, field);
}
static inline int64_t rd_i64(struct rd *in, const char *field)
{
    return (int64_t)rd_u64(in, field);
}
/* An i32 length and that many bytes. Negative lengths are ERR_BAD, above `max` ERR_TOO_BIG. */
struct span rd_bytes32(struct rd *in, size_t max, const char *field);
/* An i32 count of elements of which each takes at least `min_size` bytes (>= 1) of what is left. */
uint32_t rd_count32(struct rd *in, size_t min_size, size_t max, const char *field);
/* The next bytes must be exactly these. */
void rd_expect(struct rd *in, struct span want, const char *field);
struct span rd_rest(struct rd *in);
/* The verdict; bytes left over are ERR_BAD. Use rd_verdict where a tail is allowed. */
fallible rd_end(struct rd *in, const char *field);
static inline fallible rd_verdict(const struct rd *in)
{
    return in->err;
}

#endif
