/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many sessions the next step of a long answer takes (answer.c, giving.c): twice as many as the last,
 * while they are within both bounds. Sessions come in the order of a hash, so the next are about as large as
 * the last. Any thread; nothing is kept here.
 */
#ifndef CLUSTERD_SESSION_SLICE_H
#define CLUSTERD_SESSION_SLICE_H

#include <stddef.h>

/* The last step was allowed to take `want` sessions, took n, and they made `bytes`. Returns 1 to n_max. */
static inline size_t slice_next(size_t want, size_t n, size_t bytes, size_t n_max, size_t bytes_max)
{
    size_t fit = n && bytes ? n * bytes_max / bytes : n_max;

    want = 2 * want < fit ? 2 * want : fit;
    return want < 1 ? 1 : want > n_max ? n_max : want;
}

#endif
