/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames; see frame.h for the bytes. Tomcat: io.XByteBuffer.countPackages() and createDataPackage().
 */
#include "clusterd/wire/frame.h"

static enum err bad(struct frame_view *out, enum err e, const char *field)
{
    out->field = field;
    return e;
}

/* Does what is there of a marker agree with it? The input may end inside the marker. Both cases are written
 * out: a compare of a known length is two instructions. */
static inline bool agrees(struct span in, size_t at, struct span marker)
{
    if (at >= in.n)
        return true;
    if (in.n - at >= marker.n)
        return memcmp(in.p + at, marker.p, marker.n) == 0;
    return memcmp(in.p + at, marker.p, in.n - at) == 0;
}

enum err frame_scan(struct span in, size_t max_body, struct frame_view *out)
{
    *out = (struct frame_view){0};
    if (!agrees(in, 0, FRAME_START))
        return bad(out, ERR_BAD, "frame start marker");
    if (in.n < FRAME_HEAD_LEN)
        return ERR_SHORT;

    uint32_t n = be_u32(in.p + FRAME_START.n);
    if (n > FRAME_BODY_MAX)
        return bad(out, ERR_BAD, "frame length");
    size_t total = n + FRAME_OVERHEAD;
    out->need = total;
    if (n > max_body)
        return bad(out, ERR_TOO_BIG, "frame length");
    if (!agrees(in, FRAME_HEAD_LEN + n, FRAME_END)) {
        out->need = 0;
        return bad(out, ERR_BAD, "frame end marker");
    }
    if (in.n < total)
        return ERR_SHORT;
    *out = (struct frame_view){.body = span_of(in.p + FRAME_HEAD_LEN, n), .total = total};
    return ERR_OK;
}

size_t frame_begin(struct buf *b)
{
    wr_span(b, FRAME_START);
    return wr_reserve_u32(b);
}

void frame_finish(struct buf *b, size_t at)
{
    size_t n = b->n - at - 4;

    ASSERT(n <= FRAME_BODY_MAX);
    wr_patch_u32(b, at, (uint32_t)n);
    wr_span(b, FRAME_END);
}

void frame_head(struct buf *b, size_t body_len)
{
    ASSERT(body_len <= FRAME_BODY_MAX);
    wr_span(b, FRAME_START);
    wr_u32(b, (uint32_t)body_len);
}
