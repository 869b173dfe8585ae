/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChannelData: bytes, hostile bodies, the two ways to send it.
 */
#include "clusterd/wire/channel_data.h"

#include "support/suite.h"
#include "vectors.h"

static struct channel_data sample(void)
{
    struct channel_data cd = {
        .options = 3,
        .timestamp_ms = 1700000000000,
        .unique_id = SPAN_LIT("\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"),
        .source = {.alive_ms = 12437,
                   .port = 4000,
                   .secure_port = -1,
                   .udp_port = -1,
                   .host_len = 4,
                   .host = {127, 0, 0, 1}},
        .message = SPAN_LIT("hello")};

    for (unsigned i = 0; i < IDENT_LEN; i++)
        cd.source.id.b[i] = (uint8_t)(0x10 + i);
    return cd;
}

static enum err decode(struct span body, struct channel_data *out, const char **field)
{
    struct rd in = rd_of(body);
    enum err e = channel_data_decode(&in, out);

    *field = in.field;
    return e;
}

START_TEST(known_bytes)
{
    struct buf want = {0}, got = {0};
    struct channel_data cd = sample(), back;
    const char *field;

    vectors_get(CORE, "frame-channeldata-bytemessage-hello", &want);
    ck_assert_int_eq(channel_data_encode(&got, &cd), ERR_OK);
    ck_assert(span_eq(buf_span(&got), buf_span(&want)));

    struct span body = span_of(want.p + FRAME_HEAD_LEN, want.n - FRAME_OVERHEAD);
    ck_assert_int_eq(decode(body, &back, &field), ERR_OK);
    ck_assert_uint_eq(back.options, 3);
    ck_assert_int_eq(back.timestamp_ms, 1700000000000);
    ck_assert(span_eq(back.unique_id, cd.unique_id));
    ck_assert(span_eq(back.message, SPAN_LIT("hello")));
    ck_assert(member_same(&back.source, &cd.source));
    ck_assert_uint_eq(back.source_raw.n, 77);
    ck_assert_uint_eq(back.trailing, 0);
    buf_fini(&want);
    buf_fini(&got);
}
END_TEST

START_TEST(record_as_it_came)
{
    struct buf whole = {0}, again = {0};
    struct channel_data cd = sample();
    struct buf source = {0};

    ck_assert_int_eq(channel_data_encode(&whole, &cd), ERR_OK);
    ck_assert_int_eq(member_encode(&source, &cd.source), ERR_OK);
    cd.source_raw = buf_span(&source);
    cd.source.port = 1; /* not looked at when the raw record is there */
    ck_assert_uint_eq(channel_data_size(&cd), whole.n);
    ck_assert_int_eq(channel_data_encode(&again, &cd), ERR_OK);
    ck_assert(span_eq(buf_span(&again), buf_span(&whole)));
    buf_fini(&whole);
    buf_fini(&again);
    buf_fini(&source);
}
END_TEST

START_TEST(every_length)
{
    struct buf b = {0};
    struct channel_data out;
    const char *field;

    vectors_get(CORE, "channeldata-bytemessage-hello", &b);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, b.p, n);
        ck_assert_int_eq(decode(span_of(copy, n), &out, &field), ERR_SHORT);
        ck_assert_ptr_nonnull(field);
        free(copy);
    }
    wr_text(&b, "trailing");
    ck_assert_int_eq(decode(buf_span(&b), &out, &field), ERR_OK);
    ck_assert_uint_eq(out.trailing, 8);
    buf_fini(&b);
}
END_TEST

START_TEST(every_byte_damaged)
{
    struct buf b = {0}, again = {0};
    struct channel_data out;
    const char *field;
    unsigned accepted = 0, refused = 0;

    vectors_get(CORE, "channeldata-bytemessage-hello", &b);
    for (size_t i = 0; i < b.n; i++) {
        uint8_t original = b.p[i];
        for (unsigned v = 0; v < 256; v++) {
            b.p[i] = (uint8_t)v;
            if (decode(buf_span(&b), &out, &field) != ERR_OK) {
                ck_assert_ptr_nonnull(field);
                refused++;
                continue;
            }
            accepted++;
            buf_clear(&again);
            ck_assert_int_eq(channel_data_encode(&again, &out), ERR_OK);
            struct span body = span_of(again.p + FRAME_HEAD_LEN, again.n - FRAME_OVERHEAD);
            ck_assert_msg(span_eq(body, span_of(b.p, b.n - out.trailing)), "byte %zu = %u", i, v);
        }
        b.p[i] = original;
    }
    ck_assert_uint_gt(accepted, 256 * 50);
    ck_assert_uint_gt(refused, 255 * 25);
    buf_fini(&b);
    buf_fini(&again);
}
END_TEST

static void lies(size_t at, const char *bytes, size_t n, enum err want, const char *want_field)
{
    struct buf b = {0};
    struct channel_data out;
    const char *field;

    vectors_get(CORE, "channeldata-bytemessage-hello", &b);
    memcpy(b.p + at, bytes, n);
    ck_assert_int_eq(decode(buf_span(&b), &out, &field), want);
    ck_assert_str_eq(field, want_field);
    buf_fini(&b);
}

START_TEST(lying_lengths)
{
    lies(12, "\xff\xff\xff\xff", 4, ERR_BAD, "unique id");
    lies(12, "\x00\x00\x00\x41", 4, ERR_TOO_BIG, "unique id");
    lies(32, "\x00\x00\x00\x00", 4, ERR_BAD, "member begin marker");
    lies(32, "\x00\x00\x00\x4c", 4, ERR_BAD, "member end marker"); /* one byte less than the record */
    lies(32, "\xff\xff\xff\xff", 4, ERR_BAD, "source address");
    lies(32, "\x00\x01\x00\x00", 4, ERR_TOO_BIG, "source address");
    lies(32, "\x00\x00\xff\xff", 4, ERR_SHORT, "source address");
    lies(36, "x", 1, ERR_BAD, "member begin marker");
    lies(113, "\x00\x00\x00\x06", 4, ERR_SHORT, "message");
    lies(113, "\x80\x00\x00\x00", 4, ERR_BAD, "message");
    lies(113, "\x7f\xff\xff\xff", 4, ERR_SHORT, "message");
}
END_TEST

START_TEST(ids_of_other_length)
{
    struct buf b = {0};
    struct channel_data cd = sample(), back;
    const char *field;
    static const uint8_t id[CHANNEL_DATA_ID_MAX] = {1, 2, 3};

    for (size_t n = 0; n <= CHANNEL_DATA_ID_MAX; n++) {
        buf_clear(&b);
        cd.unique_id = span_of(id, n);
        ck_assert_int_eq(channel_data_encode(&b, &cd), ERR_OK);
        struct span body = span_of(b.p + FRAME_HEAD_LEN, b.n - FRAME_OVERHEAD);
        ck_assert_int_eq(decode(body, &back, &field), ERR_OK);
        ck_assert(span_eq(back.unique_id, cd.unique_id));
    }
    buf_fini(&b);
}
END_TEST

START_TEST(too_long_to_send)
{
    struct buf b = {0};
    struct channel_data cd = sample();

    cd.message.n = FRAME_BODY_MAX - 117;
    ck_assert_uint_eq(channel_data_size(&cd), FRAME_BODY_MAX + FRAME_OVERHEAD);
    cd.message.n++;
    ck_assert_uint_eq(channel_data_size(&cd), 0);
    ck_assert_int_eq(channel_data_encode(&b, &cd), ERR_TOO_BIG);
    cd.message.n = SIZE_MAX;
    ck_assert_int_eq(channel_data_encode(&b, &cd), ERR_TOO_BIG);
    cd.message.n = 5;
    cd.source.payload = span_of("", MEMBER_RECORD_MAX);
    ck_assert_int_eq(channel_data_encode(&b, &cd), ERR_TOO_BIG);
    ck_assert_uint_eq(b.n, 0);
    buf_fini(&b);
}
END_TEST

/* A batch: frames of one source, of others in between, of one that differs in what is no identity. */
START_TEST(frames_of_a_batch)
{
    static const uint16_t ports[] = {4000, 4000, 4001, 4000, 4000, 4002, 4002};
    static const char *const payloads[] = {"", "", "", "", "one", "one", "two"};
    size_t ends[7];
    struct buf batch = {0};
    struct channel_data cd = sample(), got = {0};

    for (unsigned i = 0; i < 7; i++) {
        cd.source.port = ports[i];
        cd.source.payload = span_str(payloads[i]);
        cd.timestamp_ms = i;
        ck_assert_int_eq(channel_data_encode(&batch, &cd), ERR_OK);
        ends[i] = batch.n;
    }
    for (unsigned i = 0; i < 7; i++) {
        size_t at = i ? ends[i - 1] : 0;
        struct rd in = rd_of(span_of(batch.p + at + FRAME_HEAD_LEN, ends[i] - at - FRAME_OVERHEAD));
        ck_assert_int_eq(channel_data_decode_next(&in, &got), ERR_OK);
        ck_assert_uint_eq(rd_left(&in), 0);
        ck_assert_int_eq(got.timestamp_ms, i);
        ck_assert_int_eq(got.source.port, ports[i]);
        ck_assert(span_eq(got.source.payload, span_str(payloads[i])));
        ck_assert(span_eq(got.message, SPAN_LIT("hello")));
    }
    buf_fini(&batch);
}
END_TEST

/* What follows a good frame is looked at as closely as the first one. */
START_TEST(damaged_behind_a_good_one)
{
    struct buf good = {0}, b = {0};
    const char *field;

    vectors_get(CORE, "channeldata-bytemessage-hello", &good);
    wr_span(&b, buf_span(&good));
    for (size_t i = 0; i < b.n; i++) {
        struct channel_data alone, next;
        struct rd first = rd_of(buf_span(&good)), in = rd_of(buf_span(&b));
        b.p[i] ^= 0x81;
        enum err want = decode(buf_span(&b), &alone, &field);
        ck_assert_int_eq(channel_data_decode(&first, &next), ERR_OK);
        ck_assert_int_eq(channel_data_decode_next(&in, &next), want);
        ck_assert_ptr_eq(in.field, field);
        if (want == ERR_OK) {
            ck_assert_int_eq(member_cmp(&alone.source, &next.source), 0);
            ck_assert_int_eq(alone.source.alive_ms, next.source.alive_ms);
            ck_assert_uint_eq(alone.trailing, next.trailing);
        }
        b.p[i] ^= 0x81;
    }
    buf_fini(&good);
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(channel_data, &known_bytes, &record_as_it_came, &frames_of_a_batch, &damaged_behind_a_good_one,
               &every_length, &every_byte_damaged, &lying_lengths, &ids_of_other_length, &too_long_to_send)
