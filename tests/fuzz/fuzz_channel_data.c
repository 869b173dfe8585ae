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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in = rd_of(span_of(data, size));
    struct channel_data cd;
    struct buf again = {0};

    if (channel_data_decode(&in, &cd) != ERR_OK) {
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
