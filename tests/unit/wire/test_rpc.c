/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC envelopes beyond the golden ones: heads cut over records, objects that cannot be walked, what is
 * refused.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/rpc.h"

#include "support/suite.h"
#include "vectors.h"

#define UUID SPAN_LIT("0123456789abcdef")

static struct buf request(struct span head_records, struct span object)
{
    struct buf b = {0}, core = {0};

    vectors_get(CORE, "rpcmessage-request", &core);
    wr_bytes(&b, core.p, 64); /* header, object, class descriptor */
    buf_fini(&core);
    wr_span(&b, head_records);
    wr_span(&b, object);
    return b;
}

#define HEAD               \
    "\x00\x00\x00\x00\x10" \
    "0123456789abcdef\x00\x00\x00\x02id"

static enum err decode(const struct buf *b, struct rpc_msg *m)
{
    const char *field = NULL;
    enum err e = rpc_msg_decode(buf_span(b), m, &field);

    ck_assert_int_eq(e != ERR_OK, field != NULL);
    return e;
}

static void check_request(struct buf *b, bool has_object)
{
    struct rpc_msg m;

    ck_assert_int_eq(decode(b, &m), ERR_OK);
    ck_assert(!m.is_no_channel && !m.reply);
    ck_assert(span_eq(m.uuid, UUID));
    ck_assert(span_eq(m.rpc_id, SPAN_LIT("id")));
    ck_assert_int_eq(m.has_object, has_object);
    ck_assert(b->p[m.object_at] == (has_object ? 0x74 : 0x70));
    rpc_msg_fini(&m);
}

START_TEST(golden_request)
{
    struct buf b = {0};
    struct rpc_msg m;

    vectors_get(CORE, "rpcmessage-request", &b);
    ck_assert_int_eq(decode(&b, &m), ERR_OK);
    ck_assert(!m.reply && m.has_object && !m.is_no_channel);
    ck_assert(span_eq(m.rpc_id, SPAN_LIT("rpc-id")));
    ck_assert_uint_eq(m.uuid.p[15], 0x2F);
    ck_assert(
        span_starts_with(span_of(b.p + m.object_at, b.n - m.object_at), SPAN_LIT("\x74\x00\x02Hi\x78")));
    rpc_msg_fini(&m);
    for (size_t n = 0; n <= m.object_at; n++) {
        struct buf cut = {.p = b.p, .n = n};
        ck_assert_int_ne(decode(&cut, &m), ERR_OK);
    }
    buf_fini(&b);
}
END_TEST

START_TEST(heads_in_other_records)
{
    struct buf b = request(SPAN_LIT("\x77\x1b" HEAD), SPAN_LIT("\x74\x00\x02Hi\x78"));

    check_request(&b, true);
    buf_fini(&b);
    b = request(SPAN_LIT("\x77\x1b" HEAD), SPAN_LIT("\x70\x78"));
    check_request(&b, false);
    buf_fini(&b);
    b = request(SPAN_LIT("\x7a\x00\x00\x00\x1b" HEAD), SPAN_LIT("\x74\x00\x02Hi\x78"));
    check_request(&b, true);
    buf_fini(&b);
    b = request(SPAN_LIT("\x77\x01\x00\x77\x00\x77\x1a\x00\x00\x00\x10"
                         "0123456789abcdef\x00\x00\x00\x02id"),
                SPAN_LIT("\x70\x78"));
    check_request(&b, false);
    buf_fini(&b);
}
END_TEST

/* A class that no parser understands without its code: the call is answered all the same. */
START_TEST(an_object_that_cannot_be_walked)
{
    struct buf b = request(
        SPAN_LIT("\x77\x1b" HEAD),
        SPAN_LIT("\x73\x72\x00\x01X\x00\x00\x00\x00\x00\x00\x00\x01\x04\x00\x00\x78\x70nobody knows"));
    struct rpc_msg m;

    ck_assert_int_eq(decode(&b, &m), ERR_OK);
    ck_assert(m.has_object && span_eq(m.uuid, UUID));
    rpc_msg_fini(&m);
    buf_fini(&b);
}
END_TEST

START_TEST(refused)
{
    static const struct span heads[] = {
        SPAN_LIT("\x77\x05\x00\xff\xff\xff\xff"),                     /* negative length */
        SPAN_LIT("\x77\x05\x00\x7f\xff\xff\xff"),                     /* claims 2 GiB */
        SPAN_LIT("\x77\x05\x00\x00\x00\x20\x00"),                     /* above the limit */
        SPAN_LIT("\x77\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /* a tail */
        SPAN_LIT("\x70"),                                             /* an object first */
        SPAN_LIT(""),
    };
    struct rpc_msg m = {.object_at = 7};

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct buf b = request(heads[i], SPAN_LIT("\x70\x78"));
        ck_assert_msg(decode(&b, &m) != ERR_OK, "case %zu", i);
        buf_fini(&b);
    }
    struct buf b = request(SPAN_LIT("\x77\x1b" HEAD), SPAN_LIT("\x78"));
    ck_assert_int_eq(decode(&b, &m), ERR_BAD); /* not even null */
    buf_fini(&b);
    b = request(SPAN_LIT("\x7a\x00\x00\x00\x1b" HEAD), SPAN_LIT("\x70\x70\x78"));
    ck_assert_int_eq(decode(&b, &m), ERR_BAD); /* two objects */
    buf_fini(&b);
    b = (struct buf){0};
    wr_span(&b, SPAN_LIT("\xac\xed\x00\x05\x74\x00\x01x"));
    ck_assert_int_eq(decode(&b, &m), ERR_UNSUPPORTED);
    buf_fini(&b);
    ck_assert_uint_eq(m.object_at, 7); /* untouched */
}
END_TEST

START_TEST(no_channel_replies)
{
    static const size_t sizes[] = {0, 2, 230, 231, 232, RPC_ID_MAX};
    uint8_t id[RPC_ID_MAX] = {1, 2, 3};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf b = {0};
        struct rpc_msg m;
        rpc_no_channel_encode(UUID, span_of(id, sizes[i]), &b);
        ck_assert_int_eq(decode(&b, &m), ERR_OK);
        ck_assert(m.is_no_channel && m.reply && !m.has_object);
        ck_assert(span_eq(m.uuid, UUID) && span_eq(m.rpc_id, span_of(id, sizes[i])));
        rpc_msg_fini(&m);
        for (size_t n = 0; n < b.n; n++) {
            struct buf cut = {.p = b.p, .n = n};
            ck_assert_int_ne(decode(&cut, &m), ERR_OK);
        }
        wr_u8(&b, 0x70);
        ck_assert_int_ne(decode(&b, &m), ERR_OK);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(request_with_a_null_message)
{
    struct buf b = {0}, want = request(SPAN_LIT("\x77\x1b" HEAD), SPAN_LIT("\x70\x78"));

    rpc_request_encode(UUID, SPAN_LIT("id"), &b);
    ck_assert(span_eq(buf_span(&b), buf_span(&want)));
    check_request(&b, false);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

CLUSTERD_SUITE(rpc, &golden_request, &heads_in_other_records, &an_object_that_cannot_be_walked, &refused,
               &no_channel_replies, &request_with_a_null_message)
