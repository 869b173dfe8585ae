/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: equal seeds give equal runs; kill, power loss, pause, partition, resets, clocks and a
 * bad network do what sim.h says.
 */
#include "clusterd/loop/multicast.h"
#include "clusterd/util/hash.h"
#include "world.h"

/* --- determinism --- */

/* A busy little world: two hosts, groups, streams, workers, random numbers, with a hash of what was seen. */
struct busy {
    struct sim *s;
    struct host *h[3];
    struct multicast *m[3];
    struct timer t[3];
    struct listener *ls;
    struct stream *out;
    uint64_t seen;
    unsigned packets, bytes;
};

static void note(struct busy *b, uint64_t what)
{
    b->seen = hash_mix(b->seen, hash_mix(what, sim_now_us(b->s)));
}

static void busy_packet(void *arg, struct span packet, const struct addr *from)
{
    struct busy *b = arg;

    b->packets++;
    note(b, hash_stable(packet) ^ from->ip[3]);
}

static void busy_error(void *arg, const char *what)
{
    (void)arg;
    ck_abort_msg("%s", what);
}

static void busy_tick(struct timer *t, void *arg)
{
    struct busy *b = arg;
    uint8_t bytes[40];

    loop_random(t->loop, bytes, sizeof bytes);
    for (unsigned i = 0; i < 3; i++)
        if (&b->t[i] == t)
            ck_assert_int_eq(multicast_send(b->m[i], span_of(bytes, sizeof bytes)), ERR_OK);
    if (b->out)
        for (unsigned i = 0; i < 20; i++)
            stream_write(b->out, span_of(bytes, sizeof bytes));
    timer_start(t, 1 + loop_random_below(t->loop, 5));
}

static size_t busy_input(struct stream *s, void *arg, struct span in)
{
    struct busy *b = arg;

    (void)s;
    note(b, in.n);
    b->bytes += (unsigned)in.n;
    return in.n;
}

static void busy_closed(struct stream *s, void *arg, enum err why)
{
    struct busy *b = arg;

    note(b, why);
    if (b->out == s)
        b->out = NULL;
}
static const struct stream_ops busy_ops = {.on_input = busy_input, .on_close = busy_closed};

struct busy_adopt {
    struct task task;
    struct busy *b;
    struct incoming *in;
};

static void busy_adopt_there(struct task *t, bool cancelled)
{
    struct busy_adopt *a = CONTAINER_OF(t, struct busy_adopt, task);

    if (cancelled)
        incoming_refuse(a->in);
    else
        stream_adopt(host_worker(a->b->h[0], 1), a->in, &busy_ops, a->b);
    mem_free(a);
}

static void busy_incoming(void *arg, struct incoming *in)
{
    struct busy *b = arg;
    struct busy_adopt *a = MEM_NEW(struct busy_adopt);

    *a = (struct busy_adopt){.task.run = busy_adopt_there, .b = b, .in = in};
    loop_post(host_worker(b->h[0], 1), &a->task);
}

static void busy_run(uint64_t seed, uint64_t *trace, uint64_t *seen)
{
    struct busy b = {.s = sim_new(seed)};
    struct sim_net net = {
        .datagram_loss_percent = 10, .datagram_dup_percent = 10, .delay_min_us = 100, .delay_max_us = 3000};
    struct multicast_options o = {.ttl = -1};
    struct diag d = {0};
    struct addr at;

    sim_set_net(b.s, &net);
    ck_assert_int_eq(addr_parse("228.0.0.4:45564", 0, &o.group), ERR_OK);
    for (unsigned i = 0; i < 3; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "10.0.0.%u", i + 1);
        b.h[i] = sim_host_new(b.s, ip, 2);
        ck_assert_int_eq(multicast_open(host_main(b.h[i]), &o, busy_packet, busy_error, &b, &d, &b.m[i]),
                         ERR_OK);
        timer_init(&b.t[i], host_main(b.h[i]), busy_tick, &b);
        timer_start(&b.t[i], 1);
    }
    ck_assert_int_eq(addr_parse("10.0.0.1:4000", 0, &at), ERR_OK);
    ck_assert_int_eq(listener_open(host_main(b.h[0]), &at, 0, busy_incoming, &b, &b.ls), ERR_OK);
    b.out = stream_connect(host_main(b.h[1]), &at, NULL, 1000, &busy_ops, &b);
    timer_stop(&b.t[0]);
    timer_stop(&b.t[2]);
    sim_run_ms(b.s, 300);
    sim_set_link(b.s, b.h[0], b.h[1], false);
    sim_run_ms(b.s, 300);
    sim_set_link(b.s, b.h[0], b.h[1], true);
    sim_run_ms(b.s, 400);
    ck_assert_uint_gt(b.packets, 200);
    ck_assert_uint_gt(b.bytes, 10000);
    *trace = sim_trace(b.s);
    *seen = b.seen;
    for (unsigned i = 0; i < 3; i++) {
        timer_fini(&b.t[i]);
        multicast_close(b.m[i]);
    }
    listener_close(b.ls);
    for (unsigned i = 0; i < 3; i++)
        sim_host_end(b.s, b.h[i]);
    sim_free(b.s);
}

START_TEST(equal_seeds_equal_runs)
{
    uint64_t trace[4], seen[4];

    busy_run(1, &trace[0], &seen[0]);
    /* Other addresses of all objects must change nothing. */
    void *shift = mem_alloc(12345);
    busy_run(2, &trace[1], &seen[1]);
    busy_run(1, &trace[2], &seen[2]);
    mem_free(shift);
    busy_run(1, &trace[3], &seen[3]);
    ck_assert_uint_eq(trace[0], trace[2]);
    ck_assert_uint_eq(seen[0], seen[2]);
    ck_assert_uint_eq(trace[0], trace[3]);
    ck_assert_uint_eq(seen[0], seen[3]);
    ck_assert_uint_ne(trace[0], trace[1]);
    ck_assert_uint_ne(seen[0], seen[1]);
}
END_TEST

/* Different seeds explore different orders of two loops' posts to a third. */
struct racer {
    struct task task, go;
    struct host *h;
    char **at;
    char mark;
};

static void race_arrives(struct task *t, bool cancelled)
{
    struct racer *r = CONTAINER_OF(t, struct racer, task);

    (void)cancelled;
    *(*r->at)++ = r->mark;
}

static void race_go(struct task *t, bool cancelled)
{
    struct racer *r = CONTAINER_OF(t, struct racer, go);

    (void)cancelled;
    loop_post(host_main(r->h), &r->task);
}

START_TEST(seeds_explore_orders)
{
    unsigned ab = 0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct sim *s = sim_new(seed);
        struct host *h = sim_host_new(s, "10.0.0.1", 2);
        char log[3] = {0}, *at = log;
        struct racer r[2];
        for (unsigned i = 0; i < 2; i++) {
            r[i] = (struct racer){
                .task.run = race_arrives, .go.run = race_go, .h = h, .at = &at, .mark = (char)('a' + i)};
            loop_post(host_worker(h, i), &r[i].go);
        }
        sim_run_ms(s, 10);
        ck_assert_uint_eq(strlen(log), 2);
        ab += log[0] == 'a';
        sim_host_end(s, h);
        sim_free(s);
    }
    ck_assert_uint_gt(ab, 10);
    ck_assert_uint_lt(ab, 40);
}
END_TEST

/* --- the end of hosts --- */

static bool client_closed(void *arg)
{
    return ((struct pair *)arg)->client.closes;
}

static bool client_has_hello(void *arg)
{
    return ((struct pair *)arg)->client.in.n == 5;
}

/* The world's host a is dead; what it leaves is freed without its being called. */
static void bury(struct pair *p)
{
    sim_host_free_dead(p->w.sim, p->w.a);
    ck_assert_uint_eq(p->server.closes, 0);
    p->server.s = NULL;
    host_free(p->w.b);
    sim_free(p->w.sim);
    buf_fini(&p->client.in);
    buf_fini(&p->server.in);
}

START_TEST(kill_resets_peers)
{
    struct pair p;
    uint64_t before;

    pair_init(&p, SIM);
    stream_write(p.server.s, SPAN_LIT("hello"));
    world_run(&p.w, client_has_hello, &p, 100);
    before = sim_now_us(p.w.sim);
    sim_host_kill(p.w.sim, p.w.a);
    ck_assert(sim_host_is_dead(p.w.a));
    ck_assert(!sim_host_is_dead(p.w.b));
    ck_assert(world_run(&p.w, client_closed, &p, 1000));
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    ck_assert_uint_lt(sim_now_us(p.w.sim) - before, 5000);
    bury(&p);
}
END_TEST

/* A killed node is freed as always, without any effect outside; its streams get their last word. */
START_TEST(dead_hosts_can_be_taken_down)
{
    struct pair p;
    struct task t;
    struct counted {
        struct timer timer;
        unsigned n;
    } c = {.n = 0};

    (void)t;
    pair_init(&p, SIM);
    timer_init(&c.timer, p.w.la, NULL, NULL);
    timer_start(&c.timer, 1);
    sim_host_kill(p.w.sim, p.w.a);
    ck_assert(world_run(&p.w, client_closed, &p, 1000));
    size_t before = sim_events(p.w.sim);
    stream_write(p.server.s, SPAN_LIT("from the grave"));
    stream_flush(p.server.s);
    stream_close(p.server.s, 1000);
    struct peer late;
    peer_init(&late);
    late.s = stream_connect(p.w.la, stream_peer(p.server.s), NULL, 1000, &peer_ops, &late);
    struct listener *ls;
    struct addr at = world_addr(&p.w);
    ck_assert_int_ne(listener_open(p.w.la, &at, 0, server_accept, NULL, &ls), ERR_OK);
    timer_fini(&c.timer);
    listener_close(p.sv.ls);
    sim_run_ms(p.w.sim, 100);
    ck_assert_uint_eq(sim_events(p.w.sim), before);
    ck_assert_uint_eq(p.server.closes, 0);
    sim_host_end(p.w.sim, p.w.a);
    ck_assert_uint_eq(p.server.closes, 1);
    ck_assert_uint_eq(late.closes, 1);
    host_free(p.w.b);
    sim_free(p.w.sim);
}
END_TEST

START_TEST(power_loss_is_learnt_by_sending)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_host_power_off(p.w.sim, p.w.a);
    sim_run_ms(p.w.sim, 60000);
    ck_assert_uint_eq(p.client.closes, 0);
    uint64_t before = sim_now_us(p.w.sim);
    stream_write(p.client.s, SPAN_LIT("anybody?"));
    ck_assert(world_run(&p.w, client_closed, &p, 60000));
    ck_assert_int_eq(p.client.why, ERR_TIMEOUT);
    ck_assert_uint_ge(sim_now_us(p.w.sim) - before, 15000000);
    ck_assert_uint_lt(sim_now_us(p.w.sim) - before, 16000000);
    bury(&p);
}
END_TEST

/* The machine comes back with a new process: it knows nothing of the old connection. */
START_TEST(reboot_resets_old_connections)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_host_power_off(p.w.sim, p.w.a);
    stream_write(p.client.s, SPAN_LIT("anybody?"));
    sim_run_ms(p.w.sim, 3000);
    ck_assert_uint_eq(p.client.closes, 0);
    struct host *again = sim_host_new(p.w.sim, "10.0.0.1", 1);
    ck_assert(world_run(&p.w, client_closed, &p, 5000));
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    sim_host_end(p.w.sim, again);
    bury(&p);
}
END_TEST

START_TEST(power_loss_while_connecting)
{
    struct world w;
    struct peer p;
    struct addr at;

    world_init(&w, SIM);
    peer_init(&p);
    ck_assert_int_eq(addr_parse("10.0.0.77:4000", 0, &at), ERR_OK);
    p.s = stream_connect(w.lb, &at, NULL, 700, &peer_ops, &p);
    sim_run_ms(w.sim, 690);
    ck_assert_uint_eq(p.closes, 0);
    sim_run_ms(w.sim, 20);
    ck_assert_uint_eq(p.closes, 1);
    ck_assert_int_eq(p.why, ERR_TIMEOUT);
    world_fini(&w);
}
END_TEST

/* --- pause --- */

static void count_fire(struct timer *t, void *arg)
{
    (void)t;
    (*(unsigned *)arg)++;
}

START_TEST(pause_stops_the_process_only)
{
    struct pair p;
    struct timer t;
    unsigned fired = 0;
    uint64_t mono;

    pair_init(&p, SIM);
    timer_init(&t, p.w.la, count_fire, &fired);
    timer_start(&t, 10);
    mono = loop_mono_ms(p.w.la);
    sim_host_pause(p.w.sim, p.w.a, true);
    stream_write(p.client.s, SPAN_LIT("hello"));
    struct peer second;
    peer_init(&second);
    client_connect(&p.w, &p.sv, &second);
    sim_run_ms(p.w.sim, 30000);
    /* The kernel took the bytes and the connection; nobody was timed out. */
    ck_assert_uint_eq(stream_queued(p.client.s), 0);
    ck_assert_uint_eq(p.client.closes, 0);
    ck_assert_uint_eq(second.opens, 1);
    ck_assert_uint_eq(fired, 0);
    ck_assert_uint_eq(p.server.n_in, 0);
    sim_host_pause(p.w.sim, p.w.a, false);
    sim_run_ms(p.w.sim, 10);
    ck_assert_uint_eq(fired, 1);
    ck_assert_uint_eq(p.server.n_in, 5);
    ck_assert_uint_eq(second.closes, 1); /* the server takes one only */
    ck_assert_uint_ge(loop_mono_ms(p.w.la), mono + 30000);
    timer_fini(&t);
    pair_fini(&p);
}
END_TEST

/* --- links --- */

START_TEST(partition_stalls_and_heals)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_set_link(p.w.sim, p.w.a, p.w.b, false);
    stream_write(p.client.s, SPAN_LIT("hello "));
    sim_run_ms(p.w.sim, 5000);
    stream_write(p.client.s, SPAN_LIT("world"));
    sim_run_ms(p.w.sim, 5000);
    ck_assert_uint_eq(p.server.n_in, 0);
    ck_assert_uint_eq(p.client.closes + p.server.closes, 0);
    sim_set_link(p.w.sim, p.w.a, p.w.b, true);
    sim_run_ms(p.w.sim, 3000);
    ck_assert(span_eq(buf_span(&p.server.in), SPAN_LIT("hello world")));
    ck_assert_uint_eq(p.client.closes, 0);
    pair_fini(&p);
}
END_TEST

/* Long enough, the sender gives up; the silent side stays and learns it by its own sending. */
START_TEST(partition_breaks_the_sender)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_set_link(p.w.sim, p.w.a, p.w.b, false);
    stream_write(p.client.s, SPAN_LIT("hello"));
    sim_run_ms(p.w.sim, 14000);
    ck_assert_uint_eq(p.client.closes, 0);
    sim_run_ms(p.w.sim, 2000);
    ck_assert_uint_eq(p.client.closes, 1);
    ck_assert_int_eq(p.client.why, ERR_TIMEOUT);
    sim_set_link(p.w.sim, p.w.a, p.w.b, true);
    sim_run_ms(p.w.sim, 60000);
    ck_assert_uint_eq(p.server.closes, 0);
    stream_write(p.server.s, SPAN_LIT("hello?"));
    sim_run_ms(p.w.sim, 1000);
    ck_assert_uint_eq(p.server.closes, 1);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
END_TEST

START_TEST(connect_through_a_partition)
{
    struct pair p = {0};

    world_init(&p.w, SIM);
    server_init(&p.sv, &p.w, &p.server, 1);
    peer_init(&p.client);
    sim_set_link(p.w.sim, p.w.b, p.w.a, false);
    client_connect(&p.w, &p.sv, &p.client);
    sim_run_ms(p.w.sim, 500);
    ck_assert_uint_eq(p.client.opens, 0);
    sim_set_link(p.w.sim, p.w.a, p.w.b, true);
    ck_assert(world_run(&p.w, pair_is_open, &p, 2000));
    pair_fini(&p);
}
END_TEST

START_TEST(resets_by_hand)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_reset_streams(p.w.sim, p.w.a, p.w.b);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 100));
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
END_TEST

/* A reset that was sent into a partition is lost; the other side learns it by sending. */
START_TEST(reset_is_lost_in_a_partition)
{
    struct pair p;

    pair_init(&p, SIM);
    sim_set_link(p.w.sim, p.w.a, p.w.b, false);
    stream_abort(p.client.s);
    sim_run_ms(p.w.sim, 100);
    sim_set_link(p.w.sim, p.w.a, p.w.b, true);
    sim_run_ms(p.w.sim, 60000);
    ck_assert_uint_eq(p.client.closes, 1);
    ck_assert_uint_eq(p.server.closes, 0);
    stream_write(p.server.s, SPAN_LIT("x"));
    sim_run_ms(p.w.sim, 100);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
END_TEST

/* --- datagrams --- */

struct heard {
    struct multicast *m;
    unsigned n, out_of_order, last;
    unsigned times[1001];
};

static void hear(void *arg, struct span packet, const struct addr *from)
{
    struct heard *h = arg;
    unsigned i;

    ck_assert_uint_eq(packet.n, sizeof i);
    ck_assert_uint_eq(from->ip[3], 2);
    memcpy(&i, packet.p, sizeof i);
    h->n++;
    h->times[i]++;
    h->out_of_order += i < h->last;
    h->last = i;
}

static void datagrams(struct heard *h, const struct sim_net *net, bool link_up, bool paused)
{
    struct world w;
    struct multicast_options o = {.ttl = -1};
    struct multicast *m;
    struct diag d = {0};

    *h = (struct heard){0};
    world_init_seed(&w, SIM, 1, 5);
    sim_set_net(w.sim, net);
    ck_assert_int_eq(addr_parse("228.0.0.4:45564", 0, &o.group), ERR_OK);
    ck_assert_int_eq(multicast_open(w.la, &o, hear, busy_error, h, &d, &h->m), ERR_OK);
    o.loopback_disabled = true;
    ck_assert_int_eq(multicast_open(w.lb, &o, hear, busy_error, h, &d, &m), ERR_OK);
    sim_set_link(w.sim, w.a, w.b, link_up);
    sim_host_pause(w.sim, w.a, paused);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(multicast_send(m, span_of(&i, sizeof i)), ERR_OK);
        sim_run_ms(w.sim, 1);
    }
    sim_host_pause(w.sim, w.a, false);
    sim_run_ms(w.sim, 100);
    multicast_close(h->m);
    multicast_close(m);
    world_fini(&w);
}

START_TEST(datagram_weather)
{
    struct heard h;
    struct sim_net net = {.delay_min_us = 100, .delay_max_us = 200};

    datagrams(&h, &net, true, false);
    ck_assert_uint_eq(h.n, 1000);
    ck_assert_uint_eq(h.out_of_order, 0);
    datagrams(&h, &net, false, false);
    ck_assert_uint_eq(h.n, 0);
    datagrams(&h, &net, true, true);
    ck_assert_uint_gt(h.n, 10); /* the socket's buffer */
    ck_assert_uint_lt(h.n, 1000);
    net.datagram_loss_percent = 20;
    datagrams(&h, &net, true, false);
    ck_assert_uint_gt(h.n, 700);
    ck_assert_uint_lt(h.n, 900);
    net.datagram_loss_percent = 0;
    net.datagram_dup_percent = 20;
    net.delay_max_us = 20000;
    datagrams(&h, &net, true, false);
    ck_assert_uint_gt(h.n, 1100);
    ck_assert_uint_lt(h.n, 1300);
    ck_assert_uint_gt(h.out_of_order, 100);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert(h.times[i] == 1 || h.times[i] == 2);
}
END_TEST

/* --- clocks --- */

START_TEST(wall_clock_jumps)
{
    struct world w;

    world_init(&w, SIM);
    int64_t a = loop_wall_ms(w.la), b = loop_wall_ms(w.lb);
    uint64_t mono = loop_mono_ms(w.la);
    ck_assert_int_eq(a, b);
    sim_host_set_wall_offset(w.a, -3600000);
    ck_assert_int_eq(loop_wall_ms(w.la), a - 3600000);
    ck_assert_int_eq(loop_wall_ms(w.lb), b);
    ck_assert_uint_eq(loop_mono_ms(w.la), mono);
    sim_run_ms(w.sim, 1000);
    ck_assert_int_eq(loop_wall_ms(w.la), a - 3600000 + 1000);
    ck_assert_uint_eq(loop_mono_ms(w.la), mono + 1000);
    /* Machines were switched on at different moments: monotonic clocks of hosts must not be compared. */
    ck_assert_uint_ne(loop_mono_ms(w.la), loop_mono_ms(w.lb));
    world_fini(&w);
}
END_TEST

START_TEST(running)
{
    struct sim *s = sim_new(1);
    struct host *h = sim_host_new(s, "10.0.0.1", 1);
    struct timer t;
    unsigned n = 0;

    ck_assert(!sim_step(s));
    ck_assert_uint_eq(sim_now_us(s), 0);
    timer_init(&t, host_main(h), count_fire, &n);
    timer_start(&t, 50);
    sim_run_ms(s, 49);
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(sim_now_us(s), 49000);
    ck_assert(sim_step(s));
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(sim_now_us(s), 50000);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_lt(sim_random_below(s, 7), 7);
    timer_fini(&t);
    sim_host_end(s, h);
    sim_free(s);
}
END_TEST

/* Everything at once, over many seeds: whatever happens, bytes keep their order and ends come once. */
static void chaos(uint64_t seed)
{
    struct pair p = {0};
    size_t sent = 0, checked = 0;
    bool cut_short = false;
    uint8_t bytes[8000];

    world_init_seed(&p.w, SIM, 2, seed);
    server_init(&p.sv, &p.w, &p.server, 1);
    peer_init(&p.client);
    client_connect(&p.w, &p.sv, &p.client);
    for (unsigned step = 0; step < 200; step++) {
        struct sim *s = p.w.sim;
        if (p.client.s && stream_queued(p.client.s) < 300000) {
            size_t n = 1 + sim_random_below(s, sizeof bytes);
            pattern_fill(bytes, n, sent);
            stream_write(p.client.s, span_of(bytes, n));
            sent += n;
        }
        switch (sim_random_below(s, 12)) {
        case 0:
            sim_set_link(s, p.w.a, p.w.b, false);
            break;
        case 1:
        case 2:
            sim_set_link(s, p.w.a, p.w.b, true);
            break;
        case 3:
            sim_host_pause(s, p.w.a, sim_random_below(s, 2));
            break;
        case 4:
            sim_host_pause(s, p.w.b, sim_random_below(s, 2));
            break;
        case 5:
            if (p.server.s)
                stream_pause(p.server.s);
            break;
        case 6:
        case 7:
            if (p.server.s)
                stream_resume(p.server.s);
            break;
        case 8:
            if (p.server.s && sim_random_below(s, 30) == 0)
                stream_abort(p.server.s);
            break;
        case 9:
            if (p.client.s && sim_random_below(s, 30) == 0) {
                stream_close(p.client.s, 100);
                cut_short = true;
            }
            break;
        case 10:
            if (sim_random_below(s, 40) == 0)
                sim_reset_streams(s, p.w.a, p.w.b);
            break;
        default:
            break;
        }
        sim_run_ms(s, 1 + sim_random_below(s, 50));
        pattern_check(span_of(p.server.in.p + checked, p.server.in.n - checked), checked);
        checked = p.server.in.n;
        ck_assert_uint_le(checked, sent);
    }
    sim_host_pause(p.w.sim, p.w.a, false);
    sim_host_pause(p.w.sim, p.w.b, false);
    sim_set_link(p.w.sim, p.w.a, p.w.b, true);
    sim_run_ms(p.w.sim, 3000); /* a break that a paused process has not seen yet is seen now */
    if (p.client.s && p.server.s && !cut_short) {
        stream_resume(p.server.s);
        stream_close(p.client.s, 5000);
        sim_run_ms(p.w.sim, 10000);
        ck_assert_int_eq(p.client.why, ERR_OK);
        ck_assert_int_eq(p.server.why, ERR_CLOSED);
        ck_assert_uint_eq(p.server.in.n, sent);
    }
    pair_fini(&p);
}

START_TEST(many_seeds)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        chaos(seed);
}
END_TEST

CLUSTERD_SUITE(sim, &equal_seeds_equal_runs, &seeds_explore_orders, &kill_resets_peers,
               &dead_hosts_can_be_taken_down, &power_loss_is_learnt_by_sending,
               &reboot_resets_old_connections, &power_loss_while_connecting, &pause_stops_the_process_only,
               &partition_stalls_and_heals, &partition_breaks_the_sender, &connect_through_a_partition,
               &resets_by_hand, &reset_is_lost_in_a_partition, &datagram_weather, &wall_clock_jumps, &running,
               &many_seeds)
