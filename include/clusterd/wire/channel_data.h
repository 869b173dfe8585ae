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
 * Append the beginning of a whole frame: everything up to the message's bytes, of which there will be
 * message_len (cd->message is not looked at). The caller sends the message behind it, by reference if it
 * likes, and then FRAME_END. ERR_TOO_BIG, and nothing written, when source or body do not fit their fields.
 */
fallible channel_data_encode_head(struct buf *b, const struct channel_data *cd, size_t message_len);
/* A whole frame, message included. */
fallible channel_data_encode(struct buf *b, const struct channel_data *cd);

#endif
