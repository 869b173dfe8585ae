/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledgements, and the constant messages of interceptors.
 */
#include "clusterd/wire/ack.h"
#include "clusterd/wire/frame.h"

#include "support/suite.h"
#include "vectors.h"

START_TEST(known_bytes)
{
    struct buf b = {0};

    vectors_get(CORE, "ack-command", &b);
    ck_assert(span_eq(buf_span(&b), ACK_FRAME));
    buf_clear(&b);
    vectors_get(CORE, "fail-ack-command", &b);
    ck_assert(span_eq(buf_span(&b), ACK_FAIL_FRAME));
    ck_assert_uint_eq(ACK_FRAME.n, ACK_FRAME_LEN);
    ck_assert_uint_eq(ACK_FAIL_FRAME.n, ACK_FRAME_LEN);
    buf_fini(&b);
}
END_TEST

START_TEST(classified)
{
    struct frame_view v;

    ck_assert_int_eq(frame_scan(ACK_FRAME, ACK_BODY_MAX, &v), ERR_OK);
    ck_assert_int_eq(ack_classify(v.body), ACK_OK);
    ck_assert_int_eq(frame_scan(ACK_FAIL_FRAME, ACK_BODY_MAX, &v), ERR_OK);
    ck_assert_int_eq(ack_classify(v.body), ACK_FAIL);
    ck_assert_int_eq(ack_classify(SPAN_LIT("")), ACK_UNKNOWN);
    ck_assert_int_eq(ack_classify(SPAN_LIT("\x06\x02")), ACK_UNKNOWN);
    ck_assert_int_eq(ack_classify(SPAN_LIT("\x06\x02\x03\x00")), ACK_UNKNOWN);
    ck_assert_int_eq(ack_classify(SPAN_LIT("abc")), ACK_UNKNOWN);
}
END_TEST

START_TEST(every_byte_damaged)
{
    uint8_t body[3] = {6, 2, 3};

    for (unsigned i = 0; i < 24; i++) {
        body[i / 8] ^= (uint8_t)(1u << i % 8);
        ck_assert_int_eq(ack_classify(span_of(body, 3)), ACK_UNKNOWN);
        body[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    ck_assert_int_eq(ack_classify(span_of(body, 3)), ACK_OK);
}
END_TEST

CLUSTERD_SUITE(ack, &known_bytes, &classified, &every_byte_damaged)
