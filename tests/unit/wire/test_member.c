/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Member records: bytes, hostile records, identity and order, and all the texts.
 */
#include "clusterd/wire/member.h"

#include "support/suite.h"
#include "vectors.h"

static struct member_rec sample(void)
{
    struct member_rec m = {.alive_ms = 12345,
                           .port = 4000,
                           .secure_port = 4443,
                           .udp_port = 4100,
                           .host_len = 4,
                           .host = {10, 1, 2, 250},
                           .command = SPAN_LIT(""),
                           .domain = SPAN_LIT("domain-a"),
                           .payload = SPAN_LIT("PAYLOAD!")};

    for (unsigned i = 0; i < IDENT_LEN; i++)
        m.id.b[i] = (uint8_t)(0x20 + i);
    return m;
}

static enum err decode(struct span s, struct member_rec *out)
{
    struct rd in = rd_of(s);

    return member_decode(&in, out);
}

START_TEST(known_bytes)
{
    struct buf want = {0}, got = {0};
    struct member_rec m = sample(), back;

    vectors_get(CORE, "member-ipv4-full", &want);
    ck_assert_int_eq(member_encode(&got, &m), ERR_OK);
    ck_assert(span_eq(buf_span(&got), buf_span(&want)));
    ck_assert_uint_eq(member_size(&m), want.n);

    ck_assert_int_eq(decode(buf_span(&want), &back), ERR_OK);
    ck_assert_int_eq(back.alive_ms, 12345);
    ck_assert_int_eq(back.port, 4000);
    ck_assert_int_eq(back.secure_port, 4443);
    ck_assert_int_eq(back.udp_port, 4100);
    ck_assert(member_same(&back, &m));
    ck_assert(span_eq(back.domain, m.domain));
    ck_assert(span_eq(back.payload, m.payload));
    ck_assert_uint_eq(back.command.n, 0);
    ck_assert_uint_eq(back.unknown.n, 0);
    ck_assert(!member_is_shutdown(&back));

    buf_clear(&want);
    vectors_get(CORE, "member-ipv4-shutdown", &want);
    ck_assert_int_eq(decode(buf_span(&want), &back), ERR_OK);
    ck_assert(member_is_shutdown(&back));
    buf_fini(&want);
    buf_fini(&got);
}
END_TEST

START_TEST(every_length)
{
    struct buf b = {0};
    struct member_rec m;

    vectors_get(CORE, "member-ipv4-full", &b);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, b.p, n);
        struct rd in = rd_of(span_of(copy, n));
        ck_assert_int_eq(member_decode(&in, &m), ERR_SHORT);
        ck_assert_ptr_nonnull(in.field);
        free(copy);
    }
    wr_text(&b, "tail"); /* what follows a record is the caller's */
    struct rd in = rd_of(buf_span(&b));
    ck_assert_int_eq(member_decode(&in, &m), ERR_OK);
    ck_assert_uint_eq(rd_left(&in), 4);
    buf_fini(&b);
}
END_TEST

/* Whatever one byte becomes: an error, or a record that encodes to the same bytes. */
START_TEST(every_byte_damaged)
{
    struct buf b = {0}, again = {0};
    struct member_rec m;
    unsigned accepted = 0, refused = 0;

    vectors_get(CORE, "member-ipv4-full", &b);
    for (size_t i = 0; i < b.n; i++) {
        uint8_t original = b.p[i];
        for (unsigned v = 0; v < 256; v++) {
            b.p[i] = (uint8_t)v;
            if (decode(buf_span(&b), &m) != ERR_OK) {
                refused++;
                continue;
            }
            accepted++;
            buf_clear(&again);
            ck_assert_int_eq(member_encode(&again, &m), ERR_OK);
            if (m.unknown.n == 0)
                ck_assert_msg(span_eq(buf_span(&again), buf_span(&b)), "byte %zu = %u", i, v);
        }
        b.p[i] = original;
    }
    ck_assert_uint_gt(accepted, 256 * 40); /* alive, ids, domain, payload, host */
    ck_assert_uint_gt(refused, 255 * 20);  /* markers and lengths */
    buf_fini(&b);
    buf_fini(&again);
}
END_TEST

/* A record of the sample with some bytes replaced; the verdict and the field that is blamed. */
static void lies(size_t at, const char *bytes, size_t n, enum err want, const char *field)
{
    struct buf b = {0};
    struct member_rec m = sample(), out;

    ck_assert_int_eq(member_encode(&b, &m), ERR_OK);
    memcpy(b.p + at, bytes, n);
    struct rd in = rd_of(buf_span(&b));
    ck_assert_int_eq(member_decode(&in, &out), want);
    ck_assert_str_eq(in.field, field);
    buf_fini(&b);
}

START_TEST(lying_lengths)
{
    lies(0, "x", 1, ERR_BAD, "member begin marker");
    lies(10, "\xff\xff\xff\xff", 4, ERR_BAD, "member record length");
    lies(10, "\x00\x01\x00\x00", 4, ERR_TOO_BIG, "member record length");
    lies(10, "\x7f\xff\xff\xff", 4, ERR_TOO_BIG, "member record length");
    lies(10, "\x00\x00\x00\x44", 4, ERR_BAD, "member end marker");
    lies(10, "\x00\x00\x00\x46", 4, ERR_SHORT, "member end marker");
    lies(22, "\x00\x01\x00\x00", 4, ERR_BAD, "member port");
    lies(22, "\xff\xff\xff\xfe", 4, ERR_BAD, "member port");
    lies(26, "\x7f\xff\xff\xff", 4, ERR_BAD, "member secure port");
    lies(30, "\x80\x00\x00\x00", 4, ERR_BAD, "member UDP port");
    lies(34, "\x00", 1, ERR_BAD, "member host length");
    lies(34, "\xff", 1, ERR_BAD, "member host length");
    lies(34, "\x05", 1, ERR_BAD, "member host length");
    lies(39, "\xff\xff\xff\xff", 4, ERR_BAD, "member command");
    lies(39, "\x00\x00\xff\xff", 4, ERR_BAD, "member command");
    lies(39, "\x7f\xff\xff\xff", 4, ERR_TOO_BIG, "member command");
    lies(43, "\x00\x00\x00\x40", 4, ERR_BAD, "member domain");
    lies(71, "\x00\x00\x00\x09", 4, ERR_BAD, "member payload");
}
END_TEST

START_TEST(unknown_bytes_are_reported)
{
    struct buf b = {0};
    struct member_rec m = sample(), back;

    ck_assert_int_eq(member_encode(&b, &m), ERR_OK);
    b.n -= MEMBER_END.n;
    wr_text(&b, "later version");
    wr_span(&b, MEMBER_END);
    wr_patch_u32(&b, 10, (uint32_t)(b.n - 24));
    ck_assert_int_eq(decode(buf_span(&b), &back), ERR_OK);
    ck_assert(span_eq(back.unknown, SPAN_LIT("later version")));
    ck_assert(span_eq(back.payload, m.payload));
    buf_fini(&b);
}
END_TEST

START_TEST(largest_record)
{
    struct buf b = {0}, payload = {0};
    struct member_rec m = sample(), back;

    buf_reserve(&payload, MEMBER_RECORD_MAX);
    memset(payload.p, 'p', MEMBER_RECORD_MAX);
    m.payload = span_of(payload.p, 0);
    m.payload.n = MEMBER_RECORD_MAX - member_size(&m);
    ck_assert_int_eq(member_encode(&b, &m), ERR_OK);
    ck_assert_uint_eq(b.n, MEMBER_RECORD_MAX);
    ck_assert_int_eq(decode(buf_span(&b), &back), ERR_OK);
    ck_assert_uint_eq(back.payload.n, m.payload.n);

    buf_clear(&b);
    m.payload.n++;
    ck_assert_int_eq(member_encode(&b, &m), ERR_TOO_BIG);
    ck_assert_uint_eq(b.n, 0);
    buf_fini(&b);
    buf_fini(&payload);
}
END_TEST

START_TEST(identity_and_order)
{
    struct member_rec a = sample(), b = sample(), six = sample();

    b.alive_ms = 1;
    b.secure_port = b.udp_port = -1;
    b.domain = b.payload = b.command = SPAN_LIT("other");
    ck_assert(member_same(&a, &b));
    b.id.b[15]++;
    ck_assert(!member_same(&a, &b));
    ck_assert_int_lt(member_cmp(&a, &b), 0);
    a.port = 4001;
    ck_assert_int_gt(member_cmp(&a, &b), 0);
    b.host[0] = 200;
    ck_assert_int_lt(member_cmp(&a, &b), 0);
    six.host_len = 16;
    six.host[0] = 0;
    ck_assert_int_gt(member_cmp(&six, &b), 0);
    ck_assert_int_lt(member_cmp(&b, &six), 0);
}
END_TEST

START_TEST(names)
{
    struct member_rec m = sample();
    char host[MEMBER_HOST_TEXT_MAX], name[MEMBER_NAME_MAX], list[MEMBER_LIST_NAME_MAX];

    ck_assert_str_eq(member_host_text(&m, host), "10.1.2.250");
    ck_assert_str_eq(member_name(&m, name), "10.1.2.250:4000");
    ck_assert_str_eq(member_list_name(&m, list), "tcp://{10, 1, 2, 250}:4000");
    memset(m.host, 255, sizeof m.host);
    m.host_len = 16;
    m.port = 65535;
    ck_assert_str_eq(member_name(&m, name), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    ck_assert_str_eq(
        member_list_name(&m, list),
        "tcp://{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}:65535");
}
END_TEST

START_TEST(ipv6_texts)
{
    static const struct {
        uint8_t host[16];
        const char *text;
    } rows[] = {
        {{0}, "::"},
        {{[15] = 1}, "::1"},
        {{0x20, 1, 0x0d, 0xb8, [15] = 1}, "2001:db8::1"},
        {{0xfe, 0x80}, "fe80::"},
        {{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, "2001:db8:0:1:1:1:1:1"},
        {{0x20, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, "2001:0:0:1::1"},
        {{0x20, 1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1}, "2001::1:2:0:0:1"},
        {{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0}, "1:2:3:4:5:6::"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct member_rec m = {.host_len = 16};
        char text[MEMBER_HOST_TEXT_MAX];
        memcpy(m.host, rows[i].host, 16);
        ck_assert_str_eq(member_host_text(&m, text), rows[i].text);
    }
}
END_TEST

START_TEST(log_texts)
{
    struct buf b = {0};
    struct member_rec m = sample();

    m.command = MEMBER_SHUTDOWN;
    m.domain = SPAN_LIT("0123456789");
    m.payload = SPAN_LIT("\xff\x80");
    m.id.b[0] = 0xf0;
    member_log_text(&m, &b);
    ck_assert_str_eq(
        buf_cstr(&b),
        "org.apache.catalina.tribes.membership.MemberImpl[tcp://10.1.2.250:4000,10.1.2.250,4000, "
        "alive=12345, securePort=4443, UDP Port=4100, "
        "id={-16 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 }, payload={-1 -128 }, "
        "command={66 65 66 89 45 65 76 69 88 ...(9)}, "
        "domain={48 49 50 51 52 53 54 55 56 ...(10)}]");
    buf_clear(&b);
    m.command = m.domain = m.payload = SPAN_LIT("");
    member_list_text(&m, &b);
    ck_assert_str_eq(
        buf_cstr(&b),
        "org.apache.catalina.tribes.membership.MemberImpl[tcp://{10, 1, 2, 250}:4000,{10, 1, 2, 250},"
        "4000, alive=12345, securePort=4443, UDP Port=4100, "
        "id={-16 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 }, payload={}, command={}, domain={}]");
    buf_fini(&b);
}
END_TEST

static void bytes_are(const char *text, struct span want)
{
    struct buf b = {0}, back = {0}, again = {0};
    const char *why = "";

    ck_assert_msg(member_parse_bytes(text, &b, &why) == ERR_OK, "%s: %s", text, why);
    ck_assert_msg(span_eq(buf_span(&b), want), "%s", text);
    member_bytes_text(want, &back);
    ck_assert_int_eq(member_parse_bytes(buf_cstr(&back), &again, &why), ERR_OK);
    ck_assert(span_eq(buf_span(&again), want));
    buf_fini(&b);
    buf_fini(&back);
    buf_fini(&again);
}

static void bytes_refused(const char *text)
{
    struct buf b = {0};
    const char *why = NULL;

    wr_text(&b, "kept");
    ck_assert_msg(member_parse_bytes(text, &b, &why) == ERR_BAD, "%s was accepted", text);
    ck_assert(span_eq(buf_span(&b), SPAN_LIT("kept")));
    ck_assert_ptr_nonnull(why);
    buf_fini(&b);
}

START_TEST(configured_bytes)
{
    bytes_are("", SPAN_LIT(""));
    bytes_are("my-domain", SPAN_LIT("my-domain"));
    bytes_are("{1,-2,3}", SPAN_LIT("\x01\xfe\x03"));
    bytes_are("{ 1 , -2 ,3 }", SPAN_LIT("\x01\xfe\x03"));
    bytes_are("{}", SPAN_LIT(""));
    bytes_are("{0,127,-128}", SPAN_LIT("\x00\x7f\x80"));
    bytes_are("caf\xc3\xa9", SPAN_LIT("caf\xe9"));
    bytes_are("a{1}", SPAN_LIT("a{1}"));
    bytes_are("{123}", SPAN_LIT("{"));
    bytes_refused("{1,2");
    bytes_refused("{1,2}x");
    bytes_refused("{128}");
    bytes_refused("{-129}");
    bytes_refused("{1 2}");
    bytes_refused("{1,,2}");
    bytes_refused("{a}");
    bytes_refused("{99999999999999999999}");
    bytes_refused("{-}");
    bytes_refused("\xe2\x82\xac");
    bytes_refused("\xc3");
}
END_TEST

CLUSTERD_SUITE(member, &known_bytes, &every_length, &every_byte_damaged, &lying_lengths,
               &unknown_bytes_are_reported, &largest_record, &identity_and_order, &names, &ipv6_texts,
               &log_texts, &configured_bytes)
