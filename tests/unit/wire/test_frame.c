/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: scanning at every length, with every byte damaged, joined and split; building.
 */
#include "clusterd/wire/frame.h"

#include "support/suite.h"
#include "vectors.h"

#define MAX 1000u

START_TEST(known_bytes)
{
    struct buf b = {0};
    struct frame_view v;

    vectors_get(CORE, "xbytebuffer-package-hello", &b);
    ck_assert_int_eq(frame_scan(buf_span(&b), MAX, &v), ERR_OK);
    ck_assert(span_eq(v.body, SPAN_LIT("hello")));
    ck_assert_ptr_eq(v.body.p, b.p + FRAME_HEAD_LEN);
    ck_assert_uint_eq(v.total, b.n);
    ck_assert_uint_eq(b.n, 5 + FRAME_OVERHEAD);

    buf_clear(&b);
    vectors_get(CORE, "xbytebuffer-empty-package", &b);
    ck_assert_int_eq(frame_scan(buf_span(&b), MAX, &v), ERR_OK);
    ck_assert_uint_eq(v.body.n, 0);
    ck_assert_uint_eq(v.total, 18);
    buf_fini(&b);
}
END_TEST

START_TEST(built_frames)
{
    struct buf b = {0}, want = {0};

    vectors_get(CORE, "xbytebuffer-package-hello", &want);
    wr_text(&b, "before");
    size_t at = frame_begin(&b);
    wr_text(&b, "hello");
    frame_finish(&b, at);
    buf_consume(&b, 6);
    ck_assert(span_eq(buf_span(&b), buf_span(&want)));

    buf_clear(&b);
    frame_head(&b, 5);
    wr_text(&b, "hello");
    wr_span(&b, FRAME_END);
    ck_assert(span_eq(buf_span(&b), buf_span(&want)));
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

START_TEST(every_length)
{
    struct buf b = {0};
    struct frame_view v;

    vectors_get(CORE, "frame-channeldata-bytemessage-hello", &b);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *copy = malloc(n ? n : 1); /* so that a read behind the end is seen by the sanitizer */
        memcpy(copy, b.p, n);
        ck_assert_int_eq(frame_scan(span_of(copy, n), MAX, &v), ERR_SHORT);
        ck_assert_uint_eq(v.need, n < FRAME_HEAD_LEN ? 0 : b.n);
        ck_assert_ptr_null(v.field);
        free(copy);
    }
    wr_text(&b, "next");
    ck_assert_int_eq(frame_scan(buf_span(&b), MAX, &v), ERR_OK);
    ck_assert_uint_eq(v.total, b.n - 4);
    buf_fini(&b);
}
END_TEST

START_TEST(every_byte_damaged)
{
    struct buf b = {0};
    struct frame_view v;

    vectors_get(CORE, "xbytebuffer-package-hello", &b);
    for (size_t i = 0; i < b.n; i++) {
        bool body = i >= FRAME_HEAD_LEN && i < b.n - FRAME_TAIL_LEN;
        for (unsigned bit = 0; bit < 8; bit++) {
            b.p[i] ^= (uint8_t)(1u << bit);
            enum err e = frame_scan(buf_span(&b), MAX, &v);
            if (body) {
                ck_assert_int_eq(e, ERR_OK);
            } else if (i >= FRAME_START.n && i < FRAME_HEAD_LEN) { /* the length: 5 ^ (1 << n) */
                ck_assert(e == ERR_BAD || e == ERR_TOO_BIG || e == ERR_SHORT);
                ck_assert(e == ERR_SHORT || strstr(v.field, "frame "));
            } else {
                ck_assert_int_eq(e, ERR_BAD);
                ck_assert_str_eq(v.field, i < 7 ? "frame start marker" : "frame end marker");
            }
            b.p[i] ^= (uint8_t)(1u << bit);
        }
    }
    buf_fini(&b);
}
END_TEST

START_TEST(garbage_is_seen_at_its_first_byte)
{
    struct frame_view v;

    ck_assert_int_eq(frame_scan(SPAN_LIT("x"), MAX, &v), ERR_BAD);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLTx"), MAX, &v), ERR_BAD);
    ck_assert_int_eq(frame_scan(SPAN_LIT("TRIBES-B"), MAX, &v), ERR_BAD);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\0\0\0\1aTx"), MAX, &v), ERR_BAD);
    ck_assert_str_eq(v.field, "frame end marker");
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\0\0\0\1aTLF200"), MAX, &v), ERR_SHORT);
}
END_TEST

START_TEST(lengths)
{
    struct frame_view v;

    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\x80\0\0\0"), MAX, &v), ERR_BAD);
    ck_assert_str_eq(v.field, "frame length");
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\xff\xff\xff\xff"), SIZE_MAX, &v), ERR_BAD);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\x7f\xff\xff\xff"), MAX, &v), ERR_TOO_BIG);
    ck_assert_uint_eq(v.need, (size_t)INT32_MAX + FRAME_OVERHEAD);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\x7f\xff\xff\xff"), FRAME_BODY_MAX, &v), ERR_SHORT);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\0\0\3\xe9"), MAX, &v), ERR_TOO_BIG);
    ck_assert_int_eq(frame_scan(SPAN_LIT("FLT2002\0\0\3\xe8"), MAX, &v), ERR_SHORT);
    ck_assert_uint_eq(v.need, 1018);
}
END_TEST

START_TEST(frames_joined)
{
    struct buf b = {0};
    struct frame_view v;
    unsigned found = 0;

    for (unsigned i = 0; i < 10; i++) {
        size_t at = frame_begin(&b);
        for (unsigned j = 0; j < i; j++)
            wr_span(&b, j % 2 ? FRAME_START : FRAME_END); /* markers inside are harmless */
        frame_finish(&b, at);
    }
    struct span left = buf_span(&b);
    while (left.n) {
        ck_assert_int_eq(frame_scan(left, MAX, &v), ERR_OK);
        ck_assert_uint_eq(v.body.n, 7 * found);
        left = span_of(left.p + v.total, left.n - v.total);
        found++;
    }
    ck_assert_uint_eq(found, 10);
    ck_assert_int_eq(frame_scan(left, MAX, &v), ERR_SHORT);
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(frame, &known_bytes, &built_frames, &every_length, &every_byte_damaged,
               &garbage_is_seen_at_its_first_byte, &lengths, &frames_joined)
