/* SPDX-License-Identifier: Apache-2.0 */
/*
 * McastService on simulated hosts: what it sends and when, what it makes of what it hears, hostile datagrams,
 * and what it says in the log. A bare group socket on a further host listens and injects.
 */
#include "../../../src/membership/tracker.h"
#include "clusterd/loop/multicast.h"
#include "clusterd/loop/sim.h"
#include "clusterd/membership/mcast.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/frame.h"
#include "support/logs.h"
#include "support/suite.h"

struct node {
    struct host *host;
    struct mcast *mcast;
    struct metrics metrics;
    struct mcast_conf conf;
    struct member_rec local;
    struct member *last; /* added, one reference */
    unsigned added, disappeared, shutdowns, reordered, frames, ready;
    uint64_t ready_us, disappeared_us;
    int64_t alive_ms; /* 0: the service's own */
    bool heard_since_disappearance;
};

struct sniffer {
    struct host *host;
    struct multicast *socket;
    struct sim *sim;
    unsigned n;
    struct {
        uint64_t at_us;
        int64_t alive_ms;
        size_t length;
        bool shutdown;
    } seen[4096];
};

static struct sim *sim;

static void on_added(void *arg, struct member *m)
{
    struct node *n = arg;

    n->added++;
    view_member_unref(n->last);
    n->last = view_member_ref(m);
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    struct node *n = arg;

    (void)m;
    n->disappeared++;
    n->shutdowns += shutdown;
    n->disappeared_us = sim_now_us(sim);
}

static void on_reordered(void *arg)
{
    ((struct node *)arg)->reordered++;
}

static void on_frames(void *arg, struct span packet, const struct addr *from)
{
    (void)packet;
    ck_assert_int_ne(from->family, ADDR_NONE);
    ((struct node *)arg)->frames++;
}

static int64_t alive_ms(void *arg)
{
    return ((struct node *)arg)->alive_ms;
}

static const struct mcast_events events = {.on_added = on_added,
                                           .on_disappeared = on_disappeared,
                                           .on_reordered = on_reordered,
                                           .on_frames = on_frames};
static const struct mcast_events events_alive = {.on_added = on_added,
                                                 .on_disappeared = on_disappeared,
                                                 .on_reordered = on_reordered,
                                                 .on_frames = on_frames,
                                                 .alive_ms = alive_ms};

static void on_ready(void *arg)
{
    struct node *n = arg;

    n->ready++;
    n->ready_us = sim_now_us(sim);
}

static void node_init(struct node *n, unsigned i)
{
    char ip[32];

    memset(n, 0, sizeof *n);
    snprintf(ip, sizeof ip, "10.0.0.%u", i);
    n->host = sim_host_new(sim, ip, 1);
    option_defaults(mcast_options, &n->conf);
    n->local = (struct member_rec){.port = 4000,
                                   .secure_port = -1,
                                   .udp_port = -1,
                                   .host_len = 4,
                                   .host = {10, 0, 0, (uint8_t)i},
                                   .payload = SPAN_LIT("clusterd/1")};
    memset(n->local.id.b, (int)i, IDENT_LEN);
}

static void node_open(struct node *n, const struct mcast_events *ev)
{
    struct diag d = {0};

    ck_assert_int_eq(mcast_new(n->host, &n->conf, ev, n, &n->metrics, &d, &n->mcast), ERR_OK);
    ck_assert_uint_eq(d.errors, 0);
    diag_fini(&d);
}

static void node_rx(struct node *n)
{
    struct diag d = {0};

    ck_assert_int_eq(mcast_start_rx(n->mcast, &n->local, on_ready, n, &d), ERR_OK);
    diag_fini(&d);
}

static void node_tx(struct node *n)
{
    struct diag d = {0};

    ck_assert_int_eq(mcast_start_tx(n->mcast, &n->local, NULL, NULL, &d), ERR_OK);
    diag_fini(&d);
}

static void node_start(struct node *n, unsigned i)
{
    node_init(n, i);
    node_open(n, &events);
    node_rx(n);
    node_tx(n);
}

static void node_end(struct node *n)
{
    mcast_free(n->mcast);
    view_member_unref(n->last);
    option_free(mcast_options, &n->conf);
    sim_host_end(sim, n->host);
}

static void on_sniffed(void *arg, struct span packet, const struct addr *from)
{
    struct sniffer *s = arg;
    struct rd in = rd_of(packet);
    struct member_rec rec;

    ck_assert_uint_eq(from->port, 45564);
    ck_assert_int_eq(member_decode(&in, &rec), ERR_OK);
    ck_assert_uint_eq(rd_left(&in), 0);
    ck_assert_uint_lt(s->n, 4096);
    s->seen[s->n].at_us = sim_now_us(sim);
    s->seen[s->n].alive_ms = rec.alive_ms;
    s->seen[s->n].length = packet.n;
    s->seen[s->n++].shutdown = member_is_shutdown(&rec);
}

static void on_ignored(void *arg, struct span packet, const struct addr *from)
{
    (void)arg;
    (void)packet;
    (void)from;
}

static void on_socket_error(void *arg, const char *what)
{
    (void)arg;
    ck_abort_msg("%s", what);
}

static void sniffer_init(struct sniffer *s, bool look)
{
    struct multicast_options o = {.ttl = -1};
    struct diag d = {0};

    memset(s, 0, sizeof *s);
    s->host = sim_host_new(sim, "10.0.0.99", 1);
    ck_assert_int_eq(addr_parse("228.0.0.4:45564", 0, &o.group), ERR_OK);
    ck_assert_int_eq(multicast_open(host_main(s->host), &o, look ? on_sniffed : on_ignored, on_socket_error,
                                    s, &d, &s->socket),
                     ERR_OK);
    diag_fini(&d);
}

static void inject(struct sniffer *s, struct span packet)
{
    ck_assert_int_eq(multicast_send(s->socket, packet), ERR_OK);
    sim_run_ms(sim, 1);
}

static void inject_record(struct sniffer *s, const struct member_rec *rec)
{
    struct buf b = {0};

    ck_assert_int_eq(member_encode(&b, rec), ERR_OK);
    inject(s, buf_span(&b));
    buf_fini(&b);
}

static void sniffer_end(struct sniffer *s)
{
    multicast_close(s->socket);
    sim_host_end(sim, s->host);
}

static struct member_rec stranger(unsigned i)
{
    struct member_rec rec = {.alive_ms = 5,
                             .port = 4001,
                             .secure_port = -1,
                             .udp_port = -1,
                             .host_len = 4,
                             .host = {10, 0, 1, (uint8_t)i}};

    memset(rec.id.b, 0x40 + (int)i, IDENT_LEN);
    return rec;
}

START_TEST(test_what_is_sent_and_when)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;

    sim = sim_new(1);
    sniffer_init(s, true);
    node_init(&a, 1);
    node_open(&a, &events);
    uint64_t start_us = sim_now_us(sim);
    node_rx(&a);
    sim_run_ms(sim, 1200);
    ck_assert_uint_eq(s->n, 0); /* listening only */
    ck_assert_uint_eq(a.ready, 1);
    ck_assert_uint_eq(a.ready_us - start_us, 1000000);
    node_tx(&a);
    sim_run_ms(sim, 5050);
    mcast_stop(a.mcast);
    sim_run_ms(sim, 5000);
    ck_assert_uint_eq(s->n, 2 + 10 + 1); /* at once, at once again, each 500 ms, BABY-ALEX */
    for (unsigned i = 0; i + 1 < s->n; i++) {
        uint64_t due_us = start_us + 1200000 + (i > 1 ? (i - 1) * 500000 : 0);
        ck_assert_uint_ge(s->seen[i].at_us, due_us);
        ck_assert_uint_le(s->seen[i].at_us, due_us + 20000);
        ck_assert_int_ge(s->seen[i].alive_ms, (int64_t)(due_us - start_us) / 1000 - 2);
        ck_assert_int_le(s->seen[i].alive_ms, (int64_t)(due_us - start_us) / 1000 + 20);
        ck_assert_uint_eq(s->seen[i].length, 77 + 10);
        ck_assert(!s->seen[i].shutdown);
    }
    ck_assert(s->seen[12].shutdown);
    ck_assert_uint_eq(metric_get(&a.metrics, heartbeats_sent), 12);
    ck_assert_uint_eq(a.added + a.disappeared, 0); /* our own records are nobody's */
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
}
END_TEST

START_TEST(test_two_hear_each_other)
{
    struct node a, b;

    sim = sim_new(2);
    node_start(&a, 1);
    node_start(&b, 2);
    sim_run_ms(sim, 2000);
    ck_assert_uint_eq(a.added, 1);
    ck_assert_uint_eq(b.added, 1);
    ck_assert_str_eq(a.last->name, "10.0.0.2:4000");
    ck_assert_uint_eq(a.last->clusterd_version, 1);
    ck_assert_int_ge(atomic_load(&a.last->alive_ms), 1400);
    ck_assert_int_le(atomic_load(&a.last->alive_ms), 2000);
    ck_assert_uint_ge(metric_get(&a.metrics, heartbeats_received), 4);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_the_silent_disappear_after_the_drop_time)
{
    struct node a, b;

    sim = sim_new(3);
    node_start(&a, 1);
    node_start(&b, 2);
    sim_run_ms(sim, 2000);
    struct member *m = view_member_ref(a.last);
    sim_set_link(sim, a.host, b.host, false);
    uint64_t cut_us = sim_now_us(sim);
    sim_run_ms(sim, 6000);
    ck_assert_uint_eq(a.disappeared, 1);
    ck_assert_uint_eq(a.shutdowns, 0);
    ck_assert_uint_gt(a.disappeared_us - cut_us, 2400000);
    ck_assert_uint_lt(a.disappeared_us - cut_us, 3600000);
    sim_set_link(sim, a.host, b.host, true);
    sim_run_ms(sim, 1000);
    ck_assert_uint_eq(a.added, 2);
    ck_assert_ptr_eq(a.last, m);
    view_member_unref(m);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_baby_alex_removes_at_once)
{
    struct node a, b;

    sim = sim_new(4);
    node_start(&a, 1);
    node_start(&b, 2);
    sim_run_ms(sim, 2000);
    mcast_stop(b.mcast);
    sim_run_ms(sim, 10);
    ck_assert_uint_eq(a.disappeared, 1);
    ck_assert_uint_eq(a.shutdowns, 1);
    ck_assert_uint_eq(b.disappeared, 0); /* its own looped-back record means nothing */
    sim_run_ms(sim, 10000);
    ck_assert_uint_eq(a.added, 1);
    ck_assert_uint_eq(a.disappeared, 1);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

/* The network may deliver a heartbeat after the BABY-ALEX that was sent after it; alive tells. But who says
 * BABY-ALEX and lives on, as a Tomcat does while it recovers, comes back. */
START_TEST(test_heartbeats_overtaken_by_baby_alex)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;
    struct member_rec rec = stranger(1);

    sim = sim_new(17);
    sniffer_init(s, false);
    node_start(&a, 1);
    inject_record(s, &rec);
    ck_assert_uint_eq(a.added, 1);
    rec.alive_ms += 500;
    rec.command = MEMBER_SHUTDOWN;
    inject_record(s, &rec);
    ck_assert_uint_eq(a.shutdowns, 1);
    rec.command = span_of(NULL, 0);
    inject_record(s, &rec);
    ck_assert_uint_eq(a.added, 1);
    rec.alive_ms++;
    inject_record(s, &rec);
    ck_assert_uint_eq(a.added, 2);
    sim_run_ms(sim, 4000);
    ck_assert_uint_eq(a.disappeared, 2);
    ck_assert_uint_eq(a.shutdowns, 1);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
}
END_TEST

/* Those above may know a member that the tracker does not. */
START_TEST(test_baby_alex_of_the_unknown_is_told)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;
    struct member_rec rec = stranger(1);

    sim = sim_new(5);
    sniffer_init(s, false);
    node_start(&a, 1);
    rec.command = MEMBER_SHUTDOWN;
    inject_record(s, &rec);
    ck_assert_uint_eq(a.added, 0);
    ck_assert_uint_eq(a.shutdowns, 1);
    rec = a.local; /* somebody else says that we are leaving */
    rec.command = MEMBER_SHUTDOWN;
    inject_record(s, &rec);
    ck_assert_uint_eq(a.shutdowns, 1);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
}
END_TEST

START_TEST(test_a_stopped_node_does_not_hold_its_silence_against_others)
{
    struct node a, b;

    sim = sim_new(6);
    node_start(&a, 1);
    node_start(&b, 2);
    sim_run_ms(sim, 2000);
    sim_host_pause(sim, a.host, true);
    sim_run_ms(sim, 60000);
    sim_host_pause(sim, a.host, false);
    sim_run_ms(sim, 2000);
    ck_assert_uint_eq(a.disappeared, 0);
    ck_assert_uint_eq(b.disappeared, 1);
    ck_assert_uint_eq(b.added, 2);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_alive_of_ours_and_jumps_of_others)
{
    struct node a, b;

    sim = sim_new(7);
    node_start(&a, 1);
    node_init(&b, 2);
    node_open(&b, &events_alive);
    b.alive_ms = 7;
    node_rx(&b);
    node_tx(&b);
    sim_run_ms(sim, 300);
    ck_assert_int_eq(atomic_load(&a.last->alive_ms), 7);
    b.alive_ms = 1000000;
    mcast_beat(b.mcast);
    sim_run_ms(sim, 100);
    ck_assert_int_eq(atomic_load(&a.last->alive_ms), 1000000);
    ck_assert_uint_eq(a.reordered, 1);
    ck_assert_uint_eq(a.added, 1);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_announcing_a_payload_is_heard_at_once)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;

    sim = sim_new(8);
    sniffer_init(s, true);
    node_start(&a, 1);
    sim_run_ms(sim, 100);
    ck_assert_uint_eq(s->n, 2);
    mcast_announce(a.mcast, SPAN_LIT("clusterd/12"));
    sim_run_ms(sim, 10);
    ck_assert_uint_eq(s->n, 3);
    ck_assert_uint_eq(s->seen[2].length, 77 + 11);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
}
END_TEST

START_TEST(test_levels_can_start_alone)
{
    struct node a, b;

    sim = sim_new(9);
    node_init(&a, 1);
    node_open(&a, &events);
    node_rx(&a); /* hears, and is not heard */
    node_init(&b, 2);
    node_open(&b, &events);
    node_tx(&b); /* is heard, and does not hear */
    sim_run_ms(sim, 3000);
    ck_assert_uint_eq(a.added, 1);
    ck_assert_uint_eq(b.added, 0);
    ck_assert_uint_eq(metric_get(&a.metrics, heartbeats_sent), 0);
    mcast_stop(a.mcast);
    sim_run_ms(sim, 100);
    ck_assert_uint_eq(b.disappeared, 0);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_group_messages_and_their_bound)
{
    struct node a, b;
    struct buf frame = {0};

    sim = sim_new(10);
    node_start(&a, 1);
    node_start(&b, 2);
    frame_head(&frame, MCAST_PACKET_MAX - FRAME_OVERHEAD);
    buf_reserve(&frame, MCAST_PACKET_MAX);
    memset(frame.p + frame.n, 'x', MCAST_PACKET_MAX - FRAME_OVERHEAD);
    frame.n += MCAST_PACKET_MAX - FRAME_OVERHEAD;
    wr_span(&frame, FRAME_END);
    ck_assert_uint_eq(frame.n, MCAST_PACKET_MAX);
    ck_assert_int_eq(mcast_broadcast(a.mcast, buf_span(&frame)), ERR_OK);
    sim_run_ms(sim, 10);
    ck_assert_uint_eq(b.frames, 1);
    wr_u8(&frame, 0);
    ck_assert_int_eq(mcast_broadcast(a.mcast, buf_span(&frame)), ERR_TOO_BIG);
    buf_fini(&frame);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
}
END_TEST

START_TEST(test_hostile_datagrams)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;
    struct buf good = {0}, bad = {0};
    struct member_rec rec = stranger(1);
    uint8_t junk[300];

    sim = sim_new(11);
    logs_begin(LOG_INFO);
    sniffer_init(s, false);
    node_start(&a, 1);
    rec.payload = SPAN_LIT("some payload");
    rec.domain = SPAN_LIT("dom");
    ck_assert_int_eq(member_encode(&good, &rec), ERR_OK);
    for (size_t n = 0; n < good.n; n++) /* truncated anywhere */
        inject(s, span_of(good.p, n));
    ck_assert_uint_eq(a.added, 0);
    ck_assert_uint_eq(metric_get(&a.metrics, datagrams_bad), good.n);
    for (unsigned i = 0; i < 500; i++) { /* noise */
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (uint8_t)sim_random_below(sim, 256);
        inject(s, span_of(junk, sim_random_below(sim, sizeof junk)));
    }
    ck_assert_uint_eq(a.added, 0);
    for (size_t at = 14; at < 63; at++) { /* lengths and ports that lie: whatever comes out, nothing breaks */
        buf_clear(&bad);
        wr_span(&bad, buf_span(&good));
        bad.p[at] = 0xff;
        inject(s, buf_span(&bad));
    }
    unsigned lines = logs_count("is no heartbeat");
    ck_assert_uint_ge(lines, 1);
    ck_assert_uint_le(lines, 2); /* about a second of virtual time */
    ck_assert_uint_ge(logs_count("10.0.0.99:45564"), 1);
    buf_fini(&good);
    buf_fini(&bad);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
    logs_end();
}
END_TEST

START_TEST(test_members_that_cannot_be_reached_are_none)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;
    static const struct {
        int32_t port;
        uint8_t host[4];
    } cases[] = {{0, {10, 0, 0, 7}}, {-1, {10, 0, 0, 7}}, {4000, {0, 0, 0, 0}}, {4000, {228, 0, 0, 4}}};

    sim = sim_new(12);
    sniffer_init(s, false);
    node_start(&a, 1);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct member_rec rec = stranger(i);
        rec.port = cases[i].port;
        memcpy(rec.host, cases[i].host, 4);
        inject_record(s, &rec);
    }
    ck_assert_uint_eq(a.added, 0);
    ck_assert_uint_eq(metric_get(&a.metrics, datagrams_bad), 4);
    struct member_rec rec = stranger(20);
    inject_record(s, &rec);
    ck_assert_uint_eq(a.added, 1);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
}
END_TEST

START_TEST(test_members_beyond_the_bound_are_told_once)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;

    sim = sim_new(12);
    logs_begin(LOG_INFO);
    sniffer_init(s, false);
    node_start(&a, 1);
    for (unsigned i = 0; i < TRACKER_MEMBERS_MAX + 100; i++) {
        struct member_rec rec = stranger(i % 200);
        rec.port = 1000 + (int32_t)i;
        inject_record(s, &rec);
    }
    ck_assert_uint_eq(a.added, TRACKER_MEMBERS_MAX);
    ck_assert_uint_eq(metric_get(&a.metrics, datagrams_bad), 100);
    ck_assert_uint_eq(logs_count("further ones are ignored, the last one was announced by 10.0.0.99:"), 1);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
    logs_end();
}
END_TEST

START_TEST(test_another_node_with_our_address)
{
    struct sniffer *s = MEM_NEW(struct sniffer);
    struct node a;

    sim = sim_new(13);
    logs_begin(LOG_INFO);
    sniffer_init(s, false);
    node_start(&a, 1);
    struct member_rec rec = a.local;
    rec.id.b[0] ^= 1;
    inject_record(s, &rec); /* may be our own earlier life: nothing is said */
    ck_assert_uint_eq(logs_count("announces our own address"), 0);
    sim_run_ms(sim, 5000);
    inject_record(s, &rec);
    inject_record(s, &rec);
    ck_assert_uint_eq(logs_count("announces our own address 10.0.0.1:4000"), 1);
    ck_assert_uint_eq(a.added, 0);
    node_end(&a);
    sniffer_end(s);
    mem_free(s);
    sim_free(sim);
    logs_end();
}
END_TEST

START_TEST(test_another_domain_is_kept_and_told)
{
    struct node a, b;

    sim = sim_new(14);
    logs_begin(LOG_INFO);
    node_init(&a, 1);
    a.conf.domain = mem_strdup("east");
    node_open(&a, &events);
    node_init(&b, 2);
    b.conf.domain = mem_strdup("{1,-2,3}");
    node_open(&b, &events);
    node_rx(&a);
    node_tx(&a);
    node_rx(&b);
    node_tx(&b);
    sim_run_ms(sim, 30000);
    ck_assert_uint_eq(a.added, 1);
    ck_assert_uint_eq(a.disappeared, 0);
    ck_assert_uint_eq(a.last->domain->n, 3);
    ck_assert_uint_eq(
        logs_count("W 10.0.0.1 Membership: member 10.0.0.2:4000 on group 228.0.0.4:45564 is of domain "
                   "{1,-2,3}, this node of domain east"),
        1);
    ck_assert_uint_eq(logs_count("DomainFilterInterceptor"), 2); /* one line on each node */
    ck_assert_uint_ge(metric_get(&a.metrics, datagrams_foreign_domain), 50);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
    logs_end();
}
END_TEST

/* Without loopback a lonely node hears nothing, and that is said once; with it, silence is a fault. */
START_TEST(test_silence_is_told)
{
    struct node a, b;

    sim = sim_new(15);
    logs_begin(LOG_INFO);
    node_start(&a, 1);
    sim_run_ms(sim, 100000);
    ck_assert_uint_eq(logs_count("no heartbeat heard"), 0);
    ck_assert_uint_eq(logs_count("announces our own address"), 0); /* nor are we taken for somebody else */
    node_init(&b, 2);
    b.conf.local_loopback_disabled = true;
    node_open(&b, &events);
    sim_set_link(sim, a.host, b.host, false);
    node_rx(&b);
    node_tx(&b);
    sim_run_ms(sim, 4000);
    ck_assert_uint_eq(logs_count("no heartbeat heard"), 0);
    sim_run_ms(sim, 2000);
    ck_assert_uint_eq(logs_count("no heartbeat heard on group 228.0.0.4:45564"), 1);
    ck_assert_uint_eq(logs_count("rp_filter"), 1);
    sim_run_ms(sim, 300000);
    ck_assert_uint_eq(logs_count("no heartbeat heard"), 1);
    sim_set_link(sim, a.host, b.host, true);
    sim_run_ms(sim, 10000);
    sim_set_link(sim, a.host, b.host, false);
    sim_run_ms(sim, 70000);
    ck_assert_uint_eq(logs_count("no heartbeat heard"), 2);
    node_end(&a);
    node_end(&b);
    sim_free(sim);
    logs_end();
}
END_TEST

START_TEST(test_mistakes_of_the_configuration)
{
    struct node a;
    struct mcast *m;
    struct diag d = {0};

    sim = sim_new(16);
    node_init(&a, 1);
    mem_free(a.conf.address);
    a.conf.address = mem_strdup("10.0.0.1");
    ck_assert_int_eq(mcast_new(a.host, &a.conf, &events, &a, &a.metrics, &d, &m), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "no multicast address"));
    mem_free(a.conf.address);
    a.conf.address = mem_strdup("228.0.0.4");
    a.conf.bind = mem_strdup("10.9.9.9");
    ck_assert_int_eq(mcast_new(a.host, &a.conf, &events, &a, &a.metrics, &d, &a.mcast), ERR_OK);
    ck_assert_int_eq(mcast_start_rx(a.mcast, &a.local, NULL, NULL, &d), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "10.9.9.9"));
    diag_fini(&d);
    node_end(&a);
    sim_free(sim);
}
END_TEST

START_TEST(test_options_have_tomcats_names_and_defaults)
{
    struct conf_node *map;
    struct mcast_conf conf = {0};
    struct diag d = {0};
    static const char yaml[] = "className: org.apache.catalina.cluster.mcast.McastService\n"
                               "mcastAddr: 228.0.0.5\nmcastPort: 45565\nmcastFrequency: 400\n"
                               "mcastDropTime: 2500\nmcastBindAddress: 127.0.0.1\nmcastTTL: 3\ndomain: d\n";

    option_defaults(mcast_options, &conf);
    ck_assert_str_eq(conf.address, "228.0.0.4");
    ck_assert_int_eq(conf.port, 45564);
    ck_assert_int_eq(conf.frequency_ms, 500);
    ck_assert_int_eq(conf.drop_time_ms, 3000);
    ck_assert_int_eq(conf.ttl, -1);
    ck_assert_int_eq(conf.recovery_counter, 10);
    ck_assert_int_eq(conf.recovery_sleep_time_ms, 5000);
    ck_assert(conf.recovery_enabled && !conf.local_loopback_disabled && !conf.bind && !conf.domain);
    option_free(mcast_options, &conf);
    ck_assert_int_eq(tree_load_text(span_str(yaml), "t", &d, &map), ERR_OK);
    memset(&conf, 0, sizeof conf);
    ck_assert_int_eq(option_load(map, mcast_options, NULL, &conf, &d), ERR_OK);
    ck_assert_str_eq(conf.address, "228.0.0.5");
    ck_assert_int_eq(conf.port, 45565);
    ck_assert_int_eq(conf.drop_time_ms, 2500);
    ck_assert_str_eq(conf.bind, "127.0.0.1");
    ck_assert_int_eq(conf.ttl, 3);
    option_free(mcast_options, &conf);
    tree_free(map);
    memset(&conf, 0, sizeof conf);
    ck_assert_int_eq(tree_load_text(SPAN_LIT("address: 10.0.0.1\nttl: 300\n"), "t", &d, &map), ERR_OK);
    ck_assert_int_eq(option_load(map, mcast_options, NULL, &conf, &d), ERR_CONFIG);
    ck_assert_uint_eq(d.errors, 2);
    option_free(mcast_options, &conf);
    tree_free(map);
    diag_fini(&d);
}
END_TEST

CLUSTERD_SUITE(mcast, &test_what_is_sent_and_when, &test_two_hear_each_other,
               &test_the_silent_disappear_after_the_drop_time, &test_baby_alex_removes_at_once,
               &test_heartbeats_overtaken_by_baby_alex, &test_baby_alex_of_the_unknown_is_told,
               &test_a_stopped_node_does_not_hold_its_silence_against_others,
               &test_alive_of_ours_and_jumps_of_others, &test_announcing_a_payload_is_heard_at_once,
               &test_levels_can_start_alone, &test_group_messages_and_their_bound, &test_hostile_datagrams,
               &test_members_that_cannot_be_reached_are_none, &test_members_beyond_the_bound_are_told_once,
               &test_another_node_with_our_address, &test_another_domain_is_kept_and_told,
               &test_silence_is_told, &test_mistakes_of_the_configuration,
               &test_options_have_tomcats_names_and_defaults)
