/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChannelData; see channel_data.h for the bytes. Tomcat: io.ChannelData.getDataFromPackage() and
 * getDataPackage().
 */
#include "clusterd/wire/channel_data.h"

enum err channel_data_decode(struct rd *in, struct channel_data *out)
{
    struct channel_data d = {0};

    d.options = rd_u32(in, "options");
    d.timestamp_ms = rd_i64(in, "timestamp");
    d.unique_id = rd_bytes32(in, CHANNEL_DATA_ID_MAX, "unique id");
    d.source_raw = rd_bytes32(in, MEMBER_RECORD_MAX, "source address");
    TRY(rd_verdict(in));

    struct rd source = rd_of(d.source_raw);
    enum err e = member_decode(&source, &d.source);
    if (e != ERR_OK) /* All of the field is there: a record that does not end in it lies about its length. */
        return rd_fail(in, e == ERR_SHORT ? ERR_BAD : e, source.field);
    d.message = rd_bytes32(in, FRAME_BODY_MAX, "message");
    d.trailing = rd_rest(in).n;
    TRY(rd_verdict(in));
    *out = d;
    return ERR_OK;
}

enum err channel_data_encode_head(struct buf *b, const struct channel_data *cd, size_t message_len)
{
    size_t source_len = cd->source_raw.n ? cd->source_raw.n : member_size(&cd->source);

    ASSERT(cd->unique_id.n <= CHANNEL_DATA_ID_MAX);
    size_t fixed = CHANNEL_DATA_OVERHEAD + cd->unique_id.n + source_len;
    if (source_len > MEMBER_RECORD_MAX || message_len > FRAME_BODY_MAX - fixed)
        return ERR_TOO_BIG;

    frame_head(b, fixed + message_len);
    wr_u32(b, cd->options);
    wr_u64(b, (uint64_t)cd->timestamp_ms);
    wr_span32(b, cd->unique_id);
    wr_u32(b, (uint32_t)source_len);
    if (cd->source_raw.n)
        wr_span(b, cd->source_raw);
    else
        TRY(member_encode(b, &cd->source));
    wr_u32(b, (uint32_t)message_len);
    return ERR_OK;
}

enum err channel_data_encode(struct buf *b, const struct channel_data *cd)
{
    TRY(channel_data_encode_head(b, cd, cd->message.n));
    wr_span(b, cd->message);
    wr_span(b, FRAME_END);
    return ERR_OK;
}
