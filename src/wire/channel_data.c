/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChannelData; see channel_data.h for the bytes. Tomcat: io.ChannelData.getDataFromPackage() and
 * getDataPackage().
 */
#include "clusterd/wire/channel_data.h"

static enum err read_source(struct rd *in, struct span raw, struct channel_data *cd)
{
    struct rd source = rd_of(raw);
    enum err e = member_decode(&source, &cd->source);

    if (e != ERR_OK) /* All of the field is there: a record that does not end in it lies about its length. */
        return rd_fail(in, e == ERR_SHORT ? ERR_BAD : e, source.field);
    cd->source_raw = raw;
    return ERR_OK;
}

enum err channel_data_decode_next(struct rd *in, struct channel_data *cd)
{
    cd->options = rd_u32(in, "options");
    cd->timestamp_ms = rd_i64(in, "timestamp");
    cd->unique_id = rd_bytes32(in, CHANNEL_DATA_ID_MAX, "unique id");
    struct span raw = rd_bytes32(in, MEMBER_RECORD_MAX, "source address");
    TRY(rd_verdict(in));
    if (raw.n == 0 || !span_eq(raw, cd->source_raw))
        TRY(read_source(in, raw, cd));
    cd->message = rd_bytes32(in, FRAME_BODY_MAX, "message");
    cd->trailing = rd_rest(in).n;
    return rd_verdict(in);
}

enum err channel_data_decode(struct rd *in, struct channel_data *out)
{
    struct channel_data cd = {0};

    TRY(channel_data_decode_next(in, &cd));
    *out = cd;
    return ERR_OK;
}

size_t channel_data_size(const struct channel_data *cd)
{
    size_t source = cd->source_raw.n ? cd->source_raw.n : member_size(&cd->source);
    size_t fixed = CHANNEL_DATA_OVERHEAD + cd->unique_id.n + source;

    ASSERT(cd->unique_id.n <= CHANNEL_DATA_ID_MAX);
    if (source > MEMBER_RECORD_MAX || cd->message.n > FRAME_BODY_MAX - fixed)
        return 0;
    return FRAME_OVERHEAD + fixed + cd->message.n;
}

static enum err write_source(struct buf *b, const struct channel_data *cd)
{
    if (cd->source_raw.n) {
        wr_span32(b, cd->source_raw);
        return ERR_OK;
    }
    wr_u32(b, (uint32_t)member_size(&cd->source));
    return member_encode(b, &cd->source);
}

enum err channel_data_encode(struct buf *b, const struct channel_data *cd)
{
    size_t size = channel_data_size(cd);

    if (size == 0)
        return ERR_TOO_BIG;
    buf_reserve(b, size);
    frame_head(b, size - FRAME_OVERHEAD);
    wr_u32(b, cd->options);
    wr_u64(b, (uint64_t)cd->timestamp_ms);
    wr_span32(b, cd->unique_id);
    TRY(write_source(b, cd));
    wr_span32(b, cd->message);
    wr_span(b, FRAME_END);
    return ERR_OK;
}
