/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modified UTF-8: what Java writes for NUL, for supplementary characters and for lone surrogates, what it
 * reads, and that both directions agree with each other.
 */
#include "clusterd/wire/mutf.h"

#include "support/suite.h"

static bool encodes_to(struct span utf8, struct span want)
{
    struct buf out = {0};
    bool ok = mutf_encode(utf8, &out) == ERR_OK && span_eq(buf_span(&out), want) && mutf_size(utf8) == want.n;

    buf_fini(&out);
    return ok;
}

static bool decodes_to(struct span mutf, struct span want)
{
    struct buf out = {0};
    bool ok = mutf_valid(mutf) && mutf_decode(mutf, &out) == ERR_OK && span_eq(buf_span(&out), want);

    buf_fini(&out);
    return ok;
}

#define SAME(utf8, mutf)                                       \
    do {                                                       \
        ck_assert(encodes_to(SPAN_LIT(utf8), SPAN_LIT(mutf))); \
        ck_assert(decodes_to(SPAN_LIT(mutf), SPAN_LIT(utf8))); \
    } while (0)

START_TEST(both_ways)
{
    SAME("", "");
    SAME("plain", "plain");
    SAME("exactly8", "exactly8");
    SAME("\x7f\x01", "\x7f\x01");
    SAME("a\x00z", "a\xc0\x80z");
    SAME("12345678\x00", "12345678\xc0\x80");
    SAME("\xc3\xa9", "\xc3\xa9");                         /* U+00E9 */
    SAME("\xe2\x82\xac", "\xe2\x82\xac");                 /* U+20AC */
    SAME("\xef\xbf\xbf", "\xef\xbf\xbf");                 /* U+FFFF */
    SAME("\xf0\x90\x80\x80", "\xed\xa0\x80\xed\xb0\x80"); /* U+10000 */
    SAME("\xf0\x9f\x98\x80", "\xed\xa0\xbd\xed\xb8\x80"); /* U+1F600 */
    SAME("\xf4\x8f\xbf\xbf", "\xed\xaf\xbf\xed\xbf\xbf"); /* U+10FFFF */
    SAME("x\xf0\x9f\x98\x80y", "x\xed\xa0\xbd\xed\xb8\x80y");
}
END_TEST

START_TEST(lone_surrogates_become_replacements)
{
    ck_assert(decodes_to(SPAN_LIT("\xed\xa0\x80"), SPAN_LIT("\xef\xbf\xbd")));
    ck_assert(decodes_to(SPAN_LIT("\xed\xb0\x80"), SPAN_LIT("\xef\xbf\xbd")));
    ck_assert(decodes_to(SPAN_LIT("\xed\xa0\x80z"), SPAN_LIT("\xef\xbf\xbdz")));
    ck_assert(decodes_to(SPAN_LIT("\xed\xb0\x80\xed\xa0\x80"), SPAN_LIT("\xef\xbf\xbd\xef\xbf\xbd")));
    /* A lone high one in front of a pair leaves the pair whole. */
    ck_assert(decodes_to(SPAN_LIT("\xed\xa0\xbd\xed\xa0\xbd\xed\xb8\x80"),
                         SPAN_LIT("\xef\xbf\xbd\xf0\x9f\x98\x80")));
}
END_TEST

START_TEST(java_reads_long_forms_and_a_raw_nul)
{
    ck_assert(decodes_to(SPAN_LIT("\x00"), SPAN_LIT("\x00")));
    ck_assert(decodes_to(SPAN_LIT("\xc1\x81"), SPAN_LIT("A")));
    ck_assert(decodes_to(SPAN_LIT("\xe0\x81\x81"), SPAN_LIT("A")));
}
END_TEST

START_TEST(malformed)
{
    static const struct {
        struct span bytes;
        bool utf8, mutf;
    } cases[] = {
        {SPAN_LIT("\x80"), false, false},
        {SPAN_LIT("\xc3"), false, false},
        {SPAN_LIT("\xc3z"), false, false},
        {SPAN_LIT("\xe2\x82"), false, false},
        {SPAN_LIT("\xe2\x82z"), false, false},
        {SPAN_LIT("\xf0\x9f\x98\x80"), true, false},
        {SPAN_LIT("\xf0\x9f\x98"), false, false},
        {SPAN_LIT("\xf0\x8f\xbf\xbf"), false, false}, /* long form */
        {SPAN_LIT("\xf4\x90\x80\x80"), false, false}, /* above U+10FFFF */
        {SPAN_LIT("\xf5\x80\x80\x80"), false, false},
        {SPAN_LIT("\xff"), false, false},
        {SPAN_LIT("\xc0\x80"), false, true},
        {SPAN_LIT("\xc1\x81"), false, true},
        {SPAN_LIT("\xe0\x80\x80"), false, true},
        {SPAN_LIT("\xed\xa0\x80"), false, true},
        {SPAN_LIT("12345678\xff"), false, false},
        {SPAN_LIT("1234567\xff"), false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        ck_assert_msg(mutf_utf8_valid(cases[i].bytes) == cases[i].utf8, "case %zu", i);
        ck_assert_msg(mutf_valid(cases[i].bytes) == cases[i].mutf, "case %zu", i);
        wr_text(&out, "kept");
        ck_assert_int_eq(mutf_encode(cases[i].bytes, &out), cases[i].utf8 ? ERR_OK : ERR_BAD);
        ck_assert(cases[i].utf8 || out.n == 4);
        out.n = 4;
        ck_assert_int_eq(mutf_decode(cases[i].bytes, &out), cases[i].mutf ? ERR_OK : ERR_BAD);
        ck_assert(cases[i].mutf || out.n == 4);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(plain_means_the_same_bytes)
{
    ck_assert(mutf_is_plain(SPAN_LIT("")));
    ck_assert(mutf_is_plain(SPAN_LIT("abc \xc3\xa9 \xe2\x82\xac")));
    ck_assert(!mutf_is_plain(SPAN_LIT("a\x00")));
    ck_assert(!mutf_is_plain(SPAN_LIT("123456789\x00")));
    ck_assert(!mutf_is_plain(SPAN_LIT("\xc0\x80")));
    ck_assert(!mutf_is_plain(SPAN_LIT("\xf0\x9f\x98\x80")));
    ck_assert(!mutf_is_plain(SPAN_LIT("\xed\xa0\x80")));
    ck_assert(!mutf_is_plain(SPAN_LIT("\xc1\x81")));
    ck_assert(!mutf_is_plain(SPAN_LIT("\xff")));
}
END_TEST

START_TEST(every_code_point_comes_back)
{
    struct buf utf8 = {0}, mutf = {0}, back = {0};

    for (uint32_t v = 0; v <= 0x10FFFF; v += v < 0x11000 ? 1 : 97) {
        if (v >= 0xD800 && v < 0xE000)
            continue;
        uint8_t b[4] = {(uint8_t)(0xF0 | v >> 18), (uint8_t)(0x80 | (v >> 12 & 63)),
                        (uint8_t)(0x80 | (v >> 6 & 63)), (uint8_t)(0x80 | (v & 63))};
        size_t skip = v < 0x80 ? 3 : v < 0x800 ? 2 : v < 0x10000 ? 1 : 0;
        if (skip == 3)
            b[3] = (uint8_t)v;
        else if (skip)
            b[skip] = (uint8_t)((skip == 2 ? 0xC0 : 0xE0) | (b[skip] & 0x3F));
        wr_bytes(&utf8, b + skip, 4 - skip);
    }
    ck_assert(mutf_utf8_valid(buf_span(&utf8)));
    ck_assert_int_eq(mutf_encode(buf_span(&utf8), &mutf), ERR_OK);
    ck_assert_uint_eq(mutf.n, mutf_size(buf_span(&utf8)));
    ck_assert_int_eq(mutf_decode(buf_span(&mutf), &back), ERR_OK);
    ck_assert(span_eq(buf_span(&back), buf_span(&utf8)));
    buf_fini(&utf8);
    buf_fini(&mutf);
    buf_fini(&back);
}
END_TEST

CLUSTERD_SUITE(mutf, &both_ways, &lone_surrogates_become_replacements, &java_reads_long_forms_and_a_raw_nul,
               &malformed, &plain_means_the_same_bytes, &every_code_point_comes_back)
