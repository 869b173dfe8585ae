/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sticky-error reader; see cursor.h.
 */
#include "clusterd/util/cursor.h"

enum err rd_fail(struct rd *in, enum err e, const char *field)
{
    if (in->err == ERR_OK) {
        in->err = e;
        in->field = field;
    }
    return in->err;
}

struct span rd_bytes(struct rd *in, size_t n, const char *field)
{
    if (in->err)
        return (struct span){NULL, 0};
    if ((size_t)(in->end - in->p) < n) {
        rd_fail(in, ERR_SHORT, field);
        return (struct span){NULL, 0};
    }
    struct span s = {in->p, n};
    in->p += n;
    return s;
}

static uint64_t rd_int(struct rd *in, unsigned n, const char *field)
{
    struct span s = rd_bytes(in, n, field);
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

uint8_t rd_u8(struct rd *in, const char *field)
{
    return (uint8_t)rd_int(in, 1, field);
}

uint16_t rd_u16(struct rd *in, const char *field)
{
    return (uint16_t)rd_int(in, 2, field);
}

uint32_t rd_u32(struct rd *in, const char *field)
{
    return (uint32_t)rd_int(in, 4, field);
}

uint64_t rd_u64(struct rd *in, const char *field)
{
    return rd_int(in, 8, field);
}

struct span rd_bytes32(struct rd *in, size_t max, const char *field)
{
    int32_t n = rd_i32(in, field);

    if (n < 0)
        rd_fail(in, ERR_BAD, field);
    else if ((size_t)n > max)
        rd_fail(in, ERR_TOO_BIG, field);
    return rd_bytes(in, n < 0 ? 0 : (size_t)n, field);
}

uint32_t rd_count32(struct rd *in, size_t min_size, size_t max, const char *field)
{
    int32_t n = rd_i32(in, field);

    ASSERT(min_size > 0);
    if (n < 0)
        rd_fail(in, ERR_BAD, field);
    else if ((size_t)n > max)
        rd_fail(in, ERR_TOO_BIG, field);
    else if ((size_t)n > rd_left(in) / min_size)
        rd_fail(in, ERR_SHORT, field);
    return in->err ? 0 : (uint32_t)n;
}

void rd_expect(struct rd *in, struct span want, const char *field)
{
    struct span got = rd_bytes(in, want.n, field);

    if (!in->err && !span_eq(got, want))
        rd_fail(in, ERR_BAD, field);
}

struct span rd_rest(struct rd *in)
{
    return rd_bytes(in, rd_left(in), "rest");
}

enum err rd_end(struct rd *in, const char *field)
{
    if (!in->err && in->p != in->end)
        rd_fail(in, ERR_BAD, field);
    return in->err;
}
