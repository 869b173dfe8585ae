/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as the unread input of a peer's connection. The verdict must not depend on how much
 * has arrived yet, except that more may complete it.
 */
#include "clusterd/wire/ack.h"
#include "clusterd/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BODY 4096u

/* What the first n bytes say against what all say. */
static void check_prefix(struct span all, size_t n, enum err whole, const struct frame_view *v)
{
    struct frame_view part;
    enum err e = frame_scan(span_of(all.p, n), MAX_BODY, &part);

    if (e == ERR_SHORT)
        ASSERT(part.need == 0 || part.need > n);
    else
        ASSERT(e == whole);
    ASSERT(e != ERR_OK || (part.total == v->total && n >= v->total));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span left = span_of(data, size);
    struct frame_view v;
    enum err e;

    do {
        e = frame_scan(left, MAX_BODY, &v);
        for (size_t n = 0; n <= left.n && n < 64; n++)
            check_prefix(left, n, e, &v);
        ASSERT((e == ERR_BAD || e == ERR_TOO_BIG) == (v.field != NULL));
        if (e != ERR_OK)
            break;
        ASSERT(v.total <= left.n && v.body.n + FRAME_OVERHEAD == v.total && v.body.n <= MAX_BODY);
        struct buf again = {0};
        size_t at = frame_begin(&again);
        wr_span(&again, v.body);
        frame_finish(&again, at);
        ASSERT(span_eq(buf_span(&again), span_of(left.p, v.total)));
        ASSERT(ack_classify(v.body) == ACK_UNKNOWN || v.total == ACK_FRAME_LEN);
        buf_fini(&again);
        left = span_of(left.p + v.total, left.n - v.total);
    } while (left.n);
    return 0;
}
