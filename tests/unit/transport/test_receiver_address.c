/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address the receiver takes: the classic traps (127.0.1.1 in /etc/hosts, interfaces that are down,
 * names that mean nothing), what the configuration may say, and who is let in.
 */
#include "../../../src/transport/receiver_address.h"
#include "rig.h"

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert_int_eq(addr_parse(text, 0, &a), ERR_OK);
    return a;
}

static struct host_address interface(const char *name, const char *address, bool up, bool multicast)
{
    struct host_address h = {.addr = ip(address), .prefix_bits = 24, .up = up, .multicast = multicast};

    snprintf(h.interface, sizeof h.interface, "%s", name);
    h.loopback = addr_is_loopback(&h.addr);
    return h;
}

static void picks(const struct host_address *ifs, size_t n, const char *resolved, const char *want,
                  bool want_reachable, const char *want_why)
{
    struct addr names[1], out;
    struct receiver_address_facts f = {.ifs = ifs, .n_ifs = n, .name = "box", .resolved = names};
    struct buf why = {0};
    char text[ADDR_TEXT_MAX];

    if (resolved) {
        names[0] = ip(resolved);
        f.n_resolved = 1;
    }
    ck_assert_int_eq(receiver_address_pick(&f, &out, &why), want_reachable);
    ck_assert_str_eq(addr_host_text(&out, text), want);
    ck_assert_msg(strstr(buf_cstr(&why), want_why) != NULL, "%s", buf_cstr(&why));
    buf_fini(&why);
}

START_TEST(auto_picks_what_others_can_reach)
{
    struct host_address ifs[] = {
        interface("lo", "127.0.0.1", true, false), interface("tun0", "10.8.0.2", true, false),
        interface("eth1", "192.168.7.9", false, true), interface("eth0", "192.168.1.5", true, true),
        interface("eth2", "192.168.2.5", true, true)};
    size_t n = sizeof ifs / sizeof *ifs;

    picks(ifs, n, "192.168.2.5", "192.168.2.5", true, "the host name \"box\" resolves to it");
    picks(ifs, n, "127.0.1.1", "192.168.1.5", true, "127.0.1.1, which others cannot reach; interface eth0");
    picks(ifs, n, "192.168.7.9", "192.168.1.5", true, "192.168.7.9, which no interface has that is up");
    picks(ifs, n, "203.0.113.1", "192.168.1.5", true, "203.0.113.1, which no interface");
    picks(ifs, n, NULL, "192.168.1.5", true, "does not resolve");
    picks(ifs, 3, "127.0.1.1", "10.8.0.2", true, "tun0"); /* rather without multicast than loopback */
    picks(ifs, 1, "127.0.1.1", "127.0.0.1", false, "there is no other interface");
    picks(NULL, 0, NULL, "127.0.0.1", false, "there is no other interface");
}
END_TEST

START_TEST(auto_with_ipv6)
{
    struct host_address ifs[] = {
        interface("lo", "::1", true, false), interface("eth0", "fe80::1", true, true),
        interface("eth0", "2001:db8::5", true, true), interface("eth1", "192.168.1.5", true, true)};

    picks(ifs, 3, "::1", "2001:db8::5", true, "eth0"); /* link-local addresses cannot be announced */
    picks(ifs, 4, "::1", "192.168.1.5", true, "eth1");
    picks(ifs, 4, "2001:db8::5", "2001:db8::5", true, "resolves to it");
    picks(ifs, 2, "fe80::1", "127.0.0.1", false, "no other interface");
}
END_TEST

static struct sim *sim;
static struct host *host;

static enum err choose(const char *address, const char *allow, struct diag *d, struct receiver_address *out)
{
    char *list[1] = {(char *)(uintptr_t)allow};
    struct option_strings allow_from = {list, allow ? 1 : 0};

    return receiver_address_choose(host, address, &allow_from, d, out);
}

static void world(void)
{
    sim = sim_new(1);
    host = sim_host_new(sim, "10.0.0.1", 1);
}

static void world_end(void)
{
    sim_host_end(sim, host);
    sim_free(sim);
}

static bool allows(const struct receiver_address *a, const char *peer)
{
    struct addr p = ip(peer);

    return receiver_address_allows(a, &p);
}

START_TEST(default_lets_the_subnet_in)
{
    struct receiver_address a;
    struct diag d = {0};

    world();
    ck_assert_int_eq(choose("auto", NULL, &d, &a), ERR_OK);
    ck_assert(allows(&a, "10.0.0.77"));
    ck_assert(!allows(&a, "10.0.1.77"));
    ck_assert(!allows(&a, "127.0.0.1"));
    receiver_address_fini(&a);
    world_end();
}
END_TEST

START_TEST(allow_from_replaces_the_default)
{
    struct receiver_address a;
    struct diag d = {0};

    world();
    ck_assert_int_eq(choose("10.0.0.1", "192.168.0.0/16", &d, &a), ERR_OK);
    ck_assert(allows(&a, "192.168.3.4"));
    ck_assert(!allows(&a, "10.0.0.77"));
    receiver_address_fini(&a);
    world_end();
}
END_TEST

START_TEST(loopback_always_lets_loopback_in)
{
    struct receiver_address a;
    struct diag d = {0};

    world();
    ck_assert_int_eq(choose("127.0.0.1", "10.9.0.0/16", &d, &a), ERR_OK);
    ck_assert(allows(&a, "127.0.0.1"));
    ck_assert(allows(&a, "127.3.2.1"));
    ck_assert(allows(&a, "10.9.1.1"));
    ck_assert(!allows(&a, "10.0.0.1"));
    receiver_address_fini(&a);
    world_end();
}
END_TEST

START_TEST(any_address_announces_a_real_one)
{
    struct receiver_address a;
    struct diag d = {0};
    char text[ADDR_TEXT_MAX];

    world();
    ck_assert_int_eq(choose("0.0.0.0", NULL, &d, &a), ERR_OK);
    ck_assert(addr_is_any(&a.bind));
    ck_assert_str_eq(addr_host_text(&a.announce, text), "10.0.0.1");
    ck_assert(allows(&a, "10.0.0.2"));
    ck_assert(allows(&a, "127.0.0.1"));
    receiver_address_fini(&a);
    world_end();
}
END_TEST

START_TEST(bad_configuration_is_explained)
{
    static const struct {
        const char *address, *allow, *want;
    } rows[] = {{"10.7.7.7", NULL, "no interface of this machine has the address 10.7.7.7"},
                {"nohost", NULL, "\"nohost\" is no address and does not resolve"},
                {"228.0.0.4", NULL, "no address to listen at"},
                {"unix:/tmp/x", NULL, "no address to listen at"},
                {"auto", "10.0.0.0/99", "allowFrom: \"10.0.0.0/99\" is no network"},
                {"auto", "bogus", "allowFrom: \"bogus\" is no network"}};

    world();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct receiver_address a;
        struct diag d = {0};
        ck_assert_int_eq(choose(rows[i].address, rows[i].allow, &d, &a), ERR_CONFIG);
        ck_assert_uint_eq(d.errors, 1);
        ck_assert_msg(strstr(buf_cstr(&d.text), rows[i].want) != NULL, "%s", buf_cstr(&d.text));
        diag_fini(&d);
    }
    world_end();
}
END_TEST

CLUSTERD_SUITE(receiver_address, &auto_picks_what_others_can_reach, &auto_with_ipv6,
               &default_lets_the_subnet_in, &allow_from_replaces_the_default,
               &loopback_always_lets_loopback_in, &any_address_announces_a_real_one,
               &bad_configuration_is_explained)
