/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame around everything that Tribes sends (Tomcat: XByteBuffer packages):
 *
 *   FLT2002 (7) | i32 body length | body | TLF2003 (7)
 *
 * Pure functions, any thread. frame_scan() looks at the unread bytes of a connection or datagram and never
 * copies. Where Tomcat gets stuck or reads stale memory (garbage between frames, a wrong end marker), this
 * says ERR_BAD as soon as a byte differs, and the caller closes the connection.
 */
#ifndef CLUSTERD_WIRE_FRAME_H
#define CLUSTERD_WIRE_FRAME_H

#include "clusterd/util/bytes.h"

#define FRAME_START    SPAN_LIT("FLT2002")
#define FRAME_END      SPAN_LIT("TLF2003")
#define FRAME_HEAD_LEN ((size_t)11) /* start marker and length */
#define FRAME_TAIL_LEN ((size_t)7)
#define FRAME_OVERHEAD ((size_t)18)
#define FRAME_BODY_MAX ((size_t)INT32_MAX) /* what the length field can say */

struct frame_view {
    struct span body; /* ERR_OK: borrowed from the input */
    size_t total;     /* ERR_OK: bytes of the whole frame, to be consumed */
    size_t need; /* ERR_SHORT and ERR_TOO_BIG: bytes of the whole frame when its length is known, else 0 */
    const char *field; /* ERR_BAD and ERR_TOO_BIG: what was wrong, static text; else NULL */
};

/*
 * Is there a whole frame at the start of `in`? Always fills *out.
 *   ERR_OK       body and total are set
 *   ERR_SHORT    so far it is the beginning of a frame (an empty input too): read on
 *   ERR_BAD      it is no frame, or a broken one
 *   ERR_TOO_BIG  its body is longer than max_body; said as soon as the length is there
 */
fallible frame_scan(struct span in, size_t max_body, struct frame_view *out);

/* Append a frame's head with the length left open; the body follows by the caller; then frame_finish(b, at).
 */
size_t frame_begin(struct buf *b);
void frame_finish(struct buf *b, size_t at);
/* Append a frame's head for a body of known length that is sent by reference; FRAME_END must follow the body.
 */
void frame_head(struct buf *b, size_t body_len);

#endif
