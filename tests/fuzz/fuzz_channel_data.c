/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as the body of a frame. What is accepted encodes to the same bytes again.
 */
#include "clusterd/wire/channel_data.h"
#include "clusterd/wire/notice.h"
#include "clusterd/wire/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_options(uint32_t options)
{
    struct buf text = {0};
    uint32_t back = 0;
    const char *why = NULL;

    options_send_text(options, &text);
    ASSERT(options > INT32_MAX ||
           (options_parse_send(buf_cstr(&text), &back, &why) == ERR_OK && back == options));
    buf_fini(&text);
}

/* Behind another frame it means the same. */
static void check_next(struct span body, enum err want, const struct channel_data *cd)
{
    static const uint8_t host[] = {127, 0, 0, 1};
    struct channel_data other = {.source = {.port = 4000, .secure_port = -1, .udp_port = -1, .host_len = 4}},
                        next;
    struct buf frame = {0};
    struct rd in = rd_of(body);

    memcpy(other.source.host, host, sizeof host);
    ASSERT(channel_data_encode(&frame, &other) == ERR_OK);
    struct rd first = rd_of(span_of(frame.p + FRAME_HEAD_LEN, frame.n - FRAME_OVERHEAD));
    ASSERT(channel_data_decode(&first, &next) == ERR_OK);
    for (unsigned i = 0; i < 2; i++, in = rd_of(body)) {
        enum err got = channel_data_decode_next(&in, &next);
        ASSERT(got == want);
        if (got != ERR_OK)
            break;
        ASSERT(member_same(&next.source, &cd->source) && span_eq(next.source.payload, cd->source.payload));
        ASSERT(span_eq(next.message, cd->message) && next.options == cd->options);
    }
    buf_fini(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in = rd_of(span_of(data, size));
    struct channel_data cd;
    struct buf again = {0};
    enum err e = channel_data_decode(&in, &cd);

    check_next(span_of(data, size), e, &cd);
    if (e != ERR_OK) {
        ASSERT(in.field != NULL);
        return 0;
    }
    ASSERT(channel_data_encode(&again, &cd) == ERR_OK);
    ASSERT(again.n + cd.trailing == size + FRAME_OVERHEAD);
    ASSERT(memcmp(again.p + FRAME_HEAD_LEN, data, size - cd.trailing) == 0);
    ASSERT(notice_classify(cd.message) == NOTICE_NONE || cd.message.n >= 16);
    check_options(cd.options);
    buf_fini(&again);
    return 0;
}
