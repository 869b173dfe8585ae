/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a datagram of the membership port, and as a configured byte string. What is
 * accepted encodes to the same bytes again, and every text of it fits.
 */
#include "clusterd/util/mem.h"
#include "clusterd/wire/member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_texts(const struct member_rec *m)
{
    char host[MEMBER_HOST_TEXT_MAX], name[MEMBER_NAME_MAX], list[MEMBER_LIST_NAME_MAX];
    struct buf text = {0};

    ASSERT(strlen(member_host_text(m, host)) < sizeof host - 1 || m->host_len == 16);
    ASSERT(strlen(member_name(m, name)) < sizeof name - 1);
    ASSERT(strlen(member_list_name(m, list)) < sizeof list - 1);
    member_log_text(m, &text);
    member_list_text(m, &text);
    ASSERT(strchr(buf_cstr(&text), '\n') == NULL && text.n < 1024);
    buf_fini(&text);
}

static void check_config_text(const uint8_t *data, size_t size)
{
    struct buf bytes = {0}, text = {0}, again = {0};
    char *input = mem_strndup((const char *)data, size);
    const char *why = NULL;

    if (member_parse_bytes(input, &bytes, &why) == ERR_OK) {
        member_bytes_text(buf_span(&bytes), &text);
        ASSERT(member_parse_bytes(buf_cstr(&text), &again, &why) == ERR_OK);
        ASSERT(span_eq(buf_span(&bytes), buf_span(&again)));
    } else {
        ASSERT(why && bytes.n == 0);
    }
    mem_free(input);
    buf_fini(&bytes);
    buf_fini(&text);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in = rd_of(span_of(data, size));
    struct member_rec m;
    struct buf again = {0};

    if (member_decode(&in, &m) == ERR_OK) {
        ASSERT(member_encode(&again, &m) == ERR_OK);
        ASSERT(again.n + m.unknown.n == rd_pos(&in) && again.n == member_size(&m));
        ASSERT(m.unknown.n || span_eq(buf_span(&again), span_of(data, again.n)));
        ASSERT(member_same(&m, &m));
        check_texts(&m);
    } else {
        ASSERT(in.field != NULL);
    }
    buf_fini(&again);
    check_config_text(data, size);
    return 0;
}
