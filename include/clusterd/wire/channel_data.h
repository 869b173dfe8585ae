/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a frame that carries a message (Tomcat: io.ChannelData). u, a, m are lengths:
 *
 *   i32 options | i64 timestamp (epoch ms) | i32 u, unique id | i32 a, source member record | i32 m, message
 *
 * The source record is authoritative: replies go to its host and port. Pure functions, any thread.
 */
#ifndef CLUSTERD_WIRE_CHANNEL_DATA_H
#define CLUSTERD_WIRE_CHANNEL_DATA_H

#include "clusterd/wire/frame.h"
#include "clusterd/wire/member.h"

#define CHANNEL_DATA_ID_MAX   ((size_t)64)
#define CHANNEL_DATA_OVERHEAD ((size_t)24) /* the body without id, source and message */

struct channel_data {
    uint32_t options; /* wire/options.h, and bits of users */
    int64_t timestamp_ms;
    struct span unique_id; /* 16 bytes from Tomcat; others of up to CHANNEL_DATA_ID_MAX are accepted */
    struct member_rec source;
    struct span source_raw; /* the same as it came; encode: used instead of `source` when not empty */
    struct span message;
    size_t trailing; /* decode: bytes behind the message, ignored as Tomcat does */
};

/*
 * Decode the body of one frame; consumes all of `in`. All spans borrow from the input. A message may be as
 * long as the body allows. in->field names what was wrong.
 */
fallible channel_data_decode(struct rd *in, struct channel_data *out);
/*
 * The same for the next frame of a batch. *cd: zero, or what the frame before gave, whose bytes are still
 * there: when both have the same source record, byte by byte, it is not decoded again, and `source` goes on
 * borrowing from the earlier frame. After an error *cd says nothing.
 */
fallible channel_data_decode_next(struct rd *in, struct channel_data *cd);

/* Bytes of the whole frame; 0 when source or body do not fit their fields. cd->source_raw is used instead of
 * `source` when it is not empty. */
size_t channel_data_size(const struct channel_data *cd);
/* Append the whole frame. ERR_TOO_BIG, and nothing written, when it has no size. */
fallible channel_data_encode(struct buf *b, const struct channel_data *cd);

#endif
