/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and networks: what is understood, what is refused, and how it is printed.
 */
#include "clusterd/loop/addr.h"
#include "support/suite.h"

START_TEST(parses_and_prints)
{
    static const struct {
        const char *text, *printed, *host;
        enum addr_family family;
        uint16_t port;
    } rows[] = {
        {"1.2.3.4", "1.2.3.4:4000", "1.2.3.4", ADDR_IP4, 4000},
        {"1.2.3.4:80", "1.2.3.4:80", "1.2.3.4", ADDR_IP4, 80},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", ADDR_IP4, 0},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", ADDR_IP4, 65535},
        {"::1", "[::1]:4000", "::1", ADDR_IP6, 4000},
        {"[::1]:80", "[::1]:80", "::1", ADDR_IP6, 80},
        {"[::1]", "[::1]:4000", "::1", ADDR_IP6, 4000},
        {"::", "[::]:4000", "::", ADDR_IP6, 4000},
        {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:4000", "2001:db8::1", ADDR_IP6, 4000},
        {"::ffff:1.2.3.4", "[::ffff:1.2.3.4]:4000", "::ffff:1.2.3.4", ADDR_IP6, 4000},
        {"fe80::1%1", "[fe80::1%1]:4000", "fe80::1%1", ADDR_IP6, 4000},
        {"[fe80::1%lo]:5", "[fe80::1%1]:5", "fe80::1%1", ADDR_IP6, 5},
        {"unix:/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", ADDR_UNIX, 0},
        {"/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", ADDR_UNIX, 0},
    };
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct addr a, b;
        ck_assert_msg(addr_parse(rows[i].text, 4000, &a) == ERR_OK, "%s", rows[i].text);
        ck_assert_int_eq(a.family, rows[i].family);
        ck_assert_uint_eq(a.port, rows[i].port);
        ck_assert_str_eq(addr_text(&a, text), rows[i].printed);
        ck_assert_int_eq(addr_parse(text, 1, &b), ERR_OK);
        ck_assert(addr_eq(&a, &b));
        ck_assert_str_eq(addr_host_text(&a, text), rows[i].host);
    }
}
END_TEST

START_TEST(refuses)
{
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:8x",
        "1.2.3.4 ",
        " 1.2.3.4",
        "localhost",
        "[::1",
        "[::1]x",
        "[::1]80",
        "[]",
        "[1.2.3.4]:80",
        ":::",
        "1:2",
        "unix:",
        "fe80::1%nosuchinterface",
        "1.2.3.4:99999999999999999999",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
        "111111"
        "11111111111111111111111111111111111111111111111111111111111111111111",
    };
    struct addr a, before;
    char path[200] = "unix:";

    memset(&a, 0x5a, sizeof a);
    before = a;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(addr_parse(bad[i], 4000, &a) == ERR_BAD, "\"%s\"", bad[i]);
    memset(path + 5, 'x', 108);
    ck_assert_int_eq(addr_parse(path, 0, &a), ERR_TOO_BIG);
    ck_assert_mem_eq(&a, &before, sizeof a);
    path[5 + 107] = 0;
    ck_assert_int_eq(addr_parse(path, 0, &a), ERR_OK);
}
END_TEST

START_TEST(host_bytes)
{
    struct addr a;
    uint8_t bytes[17] = {127, 0, 0, 1};

    ck_assert_int_eq(addr_from_host(span_of(bytes, 4), 9, &a), ERR_OK);
    ck_assert(a.family == ADDR_IP4 && a.port == 9);
    ck_assert(span_eq(addr_host(&a), span_of(bytes, 4)));
    ck_assert_int_eq(addr_from_host(span_of(bytes, 16), 9, &a), ERR_OK);
    ck_assert_int_eq(a.family, ADDR_IP6);
    ck_assert_uint_eq(addr_host(&a).n, 16);
    for (size_t n = 0; n <= 17; n++)
        if (n != 4 && n != 16)
            ck_assert_int_eq(addr_from_host(span_of(bytes, n), 9, &a), ERR_BAD);
    ck_assert_int_eq(addr_parse("unix:/x", 0, &a), ERR_OK);
    ck_assert_uint_eq(addr_host(&a).n, 0);
}
END_TEST

static struct addr parsed(const char *text)
{
    struct addr a;

    ck_assert_int_eq(addr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(classes)
{
    static const struct {
        const char *text;
        bool loopback, any, multicast;
    } rows[] = {
        {"127.0.0.1", true, false, false},  {"127.0.1.1", true, false, false},
        {"128.0.0.1", false, false, false}, {"::1", true, false, false},
        {"::2", false, false, false},       {"::ffff:127.0.0.1", true, false, false},
        {"0.0.0.0", false, true, false},    {"::", false, true, false},
        {"224.0.0.0", false, false, true},  {"239.255.255.255", false, false, true},
        {"240.0.0.0", false, false, false}, {"223.255.255.255", false, false, false},
        {"ff02::1", false, false, true},    {"fe80::1", false, false, false},
        {"unix:/x", true, false, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct addr a = parsed(rows[i].text);
        ck_assert_msg(addr_is_loopback(&a) == rows[i].loopback, "%s", rows[i].text);
        ck_assert_msg(addr_is_any(&a) == rows[i].any, "%s", rows[i].text);
        ck_assert_msg(addr_is_multicast(&a) == rows[i].multicast, "%s", rows[i].text);
    }
}
END_TEST

START_TEST(networks)
{
    static const struct {
        const char *net, *addr;
        bool in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"192.168.5.128/25", "192.168.5.129", true},
        {"192.168.5.128/25", "192.168.5.127", false},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"1.2.3.4/31", "1.2.3.5", true},
        {"::/0", "fe80::1", true},
        {"::/0", "1.2.3.4", false},
        {"::1/128", "::1", true},
        {"::1", "::2", false},
        {"fe80::/10", "febf::1", true},
        {"fe80::/10", "fec0::1", false},
    };
    static const char *const bad[] = {"",          "/8",          "10.0.0.0/",   "10.0.0.0/33",
                                      "::1/129",   "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0:80/8",
                                      "[::1]/128", "unix:/x/8",   "x/8",         "10.0.0.0/8/8"};
    struct cidr c;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct addr a = parsed(rows[i].addr);
        ck_assert_msg(cidr_parse(rows[i].net, &c) == ERR_OK, "%s", rows[i].net);
        ck_assert_msg(cidr_contains(&c, &a) == rows[i].in, "%s in %s", rows[i].addr, rows[i].net);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(cidr_parse(bad[i], &c) == ERR_BAD, "\"%s\"", bad[i]);
}
END_TEST

CLUSTERD_SUITE(addr, &parses_and_prints, &refuses, &host_bytes, &classes, &networks)
