/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of send and start options, as Tomcat reads and prints them.
 */
#include "clusterd/wire/options.h"

#include "support/suite.h"

static void send_is(const char *text, uint32_t want)
{
    uint32_t got = 0xdead;
    const char *why = NULL;

    ck_assert_msg(options_parse_send(text, &got, &why) == ERR_OK, "\"%s\": %s", text, why);
    ck_assert_msg(got == want, "\"%s\" gave %u", text, got);
}

static void send_refused(const char *text)
{
    uint32_t got = 0xdead;
    const char *why = NULL;

    ck_assert_msg(options_parse_send(text, &got, &why) == ERR_BAD, "\"%s\" was accepted", text);
    ck_assert_uint_eq(got, 0xdead);
    ck_assert_ptr_nonnull(why);
}

START_TEST(numbers)
{
    send_is("", 0);
    send_is("0", 0);
    send_is("8", 8);
    send_is("+6", 6);
    send_is("008", 8);
    send_is("256", 256);
    send_is("2147483647", 0x7fffffff);
    send_refused("2147483648");
    send_refused("99999999999999999999999999");
    send_refused("-1");
    send_refused("0x8");
    send_refused("8 ");
    send_refused(" 8");
    send_refused("+");
    send_refused("8,2");
}
END_TEST

START_TEST(names)
{
    send_is("async", 8);
    send_is("asynchronous", 8);
    send_is("sync,use_ack", 6);
    send_is("sync , \tuse_ack", 6);
    send_is("synchronized_ack,use_ack,async", 14);
    send_is("byte", 1);
    send_is("byte_message,secure,udp,multicast", 0x71);
    send_is("async,async", 8);
    send_refused("ASYNC");
    send_refused("Async");
    send_refused(" async");
    send_refused("async ");
    send_refused("async,");
    send_refused(",async");
    send_refused("async,,sync");
    send_refused("async sync");
    send_refused("asynch");
    send_refused(",");
    send_refused(" ");
}
END_TEST

static void printed(uint32_t options, const char *want)
{
    struct buf b = {0};
    uint32_t back;
    const char *why;

    options_send_text(options, &b);
    ck_assert_str_eq(buf_cstr(&b), want);
    ck_assert_int_eq(options_parse_send(buf_cstr(&b), &back, &why), ERR_OK);
    ck_assert_uint_eq(back, options);
    buf_fini(&b);
}

START_TEST(texts)
{
    printed(14, "async, sync, use_ack");
    printed(8, "async");
    printed(0x7f, "multicast, udp, secure, async, sync, use_ack, byte");
    printed(0, "0");
    printed(0x102, "258");
    for (uint32_t v = 0; v < 0x200; v++) {
        struct buf b = {0};
        uint32_t back;
        const char *why;
        options_send_text(v, &b);
        ck_assert_int_eq(options_parse_send(buf_cstr(&b), &back, &why), ERR_OK);
        ck_assert_uint_eq(back, v);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(start_options)
{
    uint32_t got = 0;
    const char *why;
    struct buf b = {0};

    ck_assert_int_eq(options_parse_start("15", &got, &why), ERR_OK);
    ck_assert_uint_eq(got, START_ALL);
    ck_assert_int_eq(options_parse_start("default", &got, &why), ERR_OK);
    ck_assert_uint_eq(got, START_ALL);
    ck_assert_int_eq(options_parse_start("snd_rx, snd_tx", &got, &why), ERR_OK);
    ck_assert_uint_eq(got, 3);
    ck_assert_int_eq(options_parse_start("async", &got, &why), ERR_BAD);
    ck_assert_ptr_nonnull(strstr(why, "snd_rx"));
    options_start_text(START_ALL, &b);
    ck_assert_str_eq(buf_cstr(&b), "mbr_tx, mbr_rx, snd_tx, snd_rx");
    buf_clear(&b);
    options_start_text(3, &b);
    ck_assert_str_eq(buf_cstr(&b), "snd_tx, snd_rx");
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(options, &numbers, &names, &texts, &start_options)
