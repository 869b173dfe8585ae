/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output side of a walk that copies; see copy.h.
 */
#include "copy.h"

void copy_put(struct walk *w, const uint8_t *p, size_t n)
{
    if (w->err)
        return;
    if (n > w->out_max - w->out->n)
        walk_fail(w, ERR_TOO_BIG, "java value");
    else
        wr_bytes(w->out, p, n);
}

void copy_reference(struct walk *w, uint32_t mapped)
{
    uint32_t h = WALK_BASE_HANDLE + mapped - 1;
    uint8_t b[5] = {TC_REFERENCE, (uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h};

    copy_put(w, b, sizeof b);
}

void copy_flush(struct walk *w, uint32_t to)
{
    if (!w->out)
        return;
    copy_put(w, w->s.p + w->from, w->pos - w->from);
    w->pos = w->from = to;
}
