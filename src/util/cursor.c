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
