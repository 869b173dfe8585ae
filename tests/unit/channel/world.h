/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes with a whole channel each, on simulated hosts: what the tests of the channel, of RPC and of the
 * cluster stand on. A node counts what it is told. A killed node's memory is kept reachable until the test
 * program ends, as its process would have kept it.
 */
#ifndef TESTS_CHANNEL_WORLD_H
#define TESTS_CHANNEL_WORLD_H

#include "clusterd/channel/interceptor.h"
#include "clusterd/loop/multicast.h"
#include "clusterd/loop/sim.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/ack.h"
#include "clusterd/wire/options.h"
#include "support/logs.h"
#include "support/suite.h"

#define WORLD_NODES   8
#define WORLD_KEPT    64
#define WORLD_PAYLOAD SPAN_LIT("clusterd/1")

struct world_node {
    struct host *host;
    struct channel *channel;
    struct metrics metrics;
    struct mcast_conf mcast;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    struct channel_conf conf;
    bool started, stopped, dead;
    unsigned added, disappeared, shutdowns, messages, bytes, unknown, heartbeats, caught_up;
    uint64_t added_us, disappeared_us, started_us;
    struct buf last; /* message */
    uint32_t last_options;
    struct ident last_id;
    enum err verdict;                                                 /* what on_message says */
    enum err (*hook)(struct world_node *n, const struct received *m); /* instead of counting; may be NULL */
};

static struct sim *world_sim;
static struct world_node *world_nodes[WORLD_NODES];
static struct world_node *world_kept[WORLD_KEPT];
static unsigned world_n_kept;

static inline enum err world_on_message(void *arg, const struct received *m)
{
    struct world_node *n = arg;

    if (n->hook)
        return n->hook(n, m);
    n->messages++;
    n->bytes += (unsigned)m->payload.n;
    n->unknown += !m->source;
    buf_clear(&n->last);
    wr_span(&n->last, m->payload);
    n->last_options = m->options;
    n->last_id = m->id;
    return n->verdict;
}

static inline void world_on_added(void *arg, struct member *m)
{
    struct world_node *n = arg;
    struct view *v = channel_view(n->channel);

    ck_assert_ptr_eq(view_find_id(v, &m->id), m);
    view_unref(v);
    n->added++;
    n->added_us = sim_now_us(world_sim);
}

static inline void world_on_disappeared(void *arg, struct member *m, bool shutdown)
{
    struct world_node *n = arg;
    struct view *v = channel_view(n->channel);

    ck_assert_ptr_null(view_find_id(v, &m->id));
    view_unref(v);
    n->disappeared++;
    n->shutdowns += shutdown;
    n->disappeared_us = sim_now_us(world_sim);
}

static inline void world_on_caught_up(void *arg, struct member *m, bool lost)
{
    (void)m;
    (void)lost;
    ((struct world_node *)arg)->caught_up++;
}

static inline void world_on_heartbeat(void *arg)
{
    ((struct world_node *)arg)->heartbeats++;
}

static const struct channel_events world_events = {.on_message = world_on_message,
                                                   .on_added = world_on_added,
                                                   .on_disappeared = world_on_disappeared,
                                                   .on_caught_up = world_on_caught_up,
                                                   .on_heartbeat = world_on_heartbeat};

static inline void world_on_started(void *arg)
{
    struct world_node *n = arg;

    n->started = true;
    n->started_us = sim_now_us(world_sim);
}

static inline void world_on_stopped(void *arg)
{
    ((struct world_node *)arg)->stopped = true;
}

/* Node i (1..7) on 10.0.0.i; not started. */
static inline struct world_node *world_make(unsigned i)
{
    struct world_node *n = MEM_NEW(struct world_node);
    char ip[32];

    snprintf(ip, sizeof ip, "10.0.0.%u", i);
    n->host = sim_host_new(world_sim, ip, 2);
    option_defaults(mcast_options, &n->mcast);
    option_defaults(receiver_options, &n->receiver);
    option_defaults(transmitter_options, &n->sender);
    n->conf = (struct channel_conf){.start_options = START_ALL,
                                    .membership = &n->mcast,
                                    .receiver = &n->receiver,
                                    .sender = &n->sender,
                                    .payload = WORLD_PAYLOAD};
    world_nodes[i] = n;
    return n;
}

static inline void world_open(struct world_node *n)
{
    struct diag d = {0};

    ck_assert_msg(channel_new(n->host, &n->conf, &world_events, n, &n->metrics, &d, &n->channel) == ERR_OK,
                  "%s", buf_cstr(&d.text));
    ck_assert_msg(channel_start(n->channel, world_on_started, n, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    diag_fini(&d);
}

static inline struct world_node *world_start(unsigned i)
{
    struct world_node *n = world_make(i);

    world_open(n);
    return n;
}

static inline bool world_is_stopped(void *arg)
{
    return ((struct world_node *)arg)->stopped;
}

static inline void world_free_conf(struct world_node *n)
{
    option_free(mcast_options, &n->mcast);
    option_free(receiver_options, &n->receiver);
    option_free(transmitter_options, &n->sender);
}

/* The end of a node whose channel_stop() was called. */
static inline void world_finish(unsigned i)
{
    struct world_node *n = world_nodes[i];

    ck_assert(sim_run_until(world_sim, world_is_stopped, n, 60000));
    channel_free(n->channel);
    world_free_conf(n);
    buf_fini(&n->last);
    sim_host_end(world_sim, n->host);
    mem_free(n);
    world_nodes[i] = NULL;
}

/* In Tomcat's order, and to the end. */
static inline void world_stop(unsigned i)
{
    channel_stop(world_nodes[i]->channel, 1000, world_on_stopped, world_nodes[i]);
    world_finish(i);
}

static inline void world_bury(unsigned i)
{
    ck_assert_uint_lt(world_n_kept, WORLD_KEPT);
    world_kept[world_n_kept++] = world_nodes[i];
    world_nodes[i]->dead = true;
    world_nodes[i] = NULL;
}

static inline void world_kill(unsigned i)
{
    struct world_node *n = world_nodes[i];

    sim_host_kill(world_sim, n->host);
    sim_host_free_dead(world_sim, n->host);
    world_bury(i);
}

static inline void world_power_off(unsigned i)
{
    struct world_node *n = world_nodes[i];

    sim_host_power_off(world_sim, n->host);
    sim_host_free_dead(world_sim, n->host);
    world_bury(i);
}

static inline void world_begin(uint64_t seed)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) /* of a test that failed */
        world_nodes[i] = NULL;
    world_sim = sim_new(seed);
    logs_begin(LOG_DEBUG);
}

static inline void world_end(void)
{
    for (unsigned i = 0; i < WORLD_NODES; i++)
        if (world_nodes[i])
            world_stop(i);
    sim_free(world_sim);
    logs_end();
}

/* Nodes 1..n, started together and knowing each other. */
static inline void world_up(unsigned n)
{
    for (unsigned i = 1; i <= n; i++)
        world_start(i);
    sim_run_ms(world_sim, 2500);
    for (unsigned i = 1; i <= n; i++) {
        ck_assert(world_nodes[i]->started);
        ck_assert_uint_eq(world_nodes[i]->added, n - 1);
        ck_assert_uint_eq(world_nodes[i]->disappeared, 0);
    }
}

static inline struct view *world_view(unsigned i)
{
    return channel_view(world_nodes[i]->channel);
}

/* The member by which node i knows node k; borrowed, NULL when it does not. */
static inline struct member *world_member(unsigned i, unsigned k)
{
    struct view *v = world_view(i);
    struct member *m = view_find(v, channel_local(world_nodes[k]->channel));

    view_unref(v);
    return m;
}

struct world_delivery {
    struct delivery d;
    bool done;
    uint64_t done_us;
};

static inline void world_on_delivered(struct delivery *d, bool cancelled)
{
    struct world_delivery *w = (struct world_delivery *)d;

    w->done = !cancelled;
    w->done_us = sim_now_us(world_sim);
}

/* From node i to all members that it sees. `w` may be NULL. */
static inline void world_send(unsigned i, struct span payload, uint32_t options, struct world_delivery *w)
{
    struct world_node *n = world_nodes[i];
    struct loop *main = host_main(n->host);
    struct view *v = world_view(i);
    struct message m = {.options = options, .payload = payload};

    if (w) {
        memset(w, 0, sizeof *w);
        delivery_init(&w->d, main, world_on_delivered);
        m.delivery = &w->d;
    }
    channel_stamp(n->channel, main, &m);
    channel_send(n->channel, &m, &(struct targets){v->n, v->members});
    if (w)
        delivery_seal(&w->d);
    view_unref(v);
}

/* A bare program on a host of its own: speaks to the group and by TCP, and counts what it is sent. */
struct world_peer {
    struct host *host;
    struct multicast *group;
    struct listener *listener;
    struct stream *out;
    struct member_rec rec;
    struct timer beat;
    bool beating, mute; /* mute: accepts no connection (its port is closed) */
    unsigned accepted, closed;
    struct buf got, answers;
    int64_t alive_ms;
};

static inline void world_peer_ignore(void *arg, struct span packet, const struct addr *from)
{
    (void)arg;
    (void)packet;
    (void)from;
}

static inline void world_peer_error(void *arg, const char *what)
{
    (void)arg;
    (void)what;
}

static inline size_t world_peer_input(struct stream *s, void *arg, struct span in)
{
    (void)s;
    wr_span(&((struct world_peer *)arg)->got, in);
    return in.n;
}

static inline size_t world_peer_answer(struct stream *s, void *arg, struct span in)
{
    (void)s;
    wr_span(&((struct world_peer *)arg)->answers, in);
    return in.n;
}

static inline void world_peer_closed(struct stream *s, void *arg, enum err why)
{
    struct world_peer *p = arg;

    (void)why;
    p->closed++;
    if (p->out == s)
        p->out = NULL;
}

static const struct stream_ops world_peer_in = {.on_input = world_peer_input, .on_close = world_peer_closed};
static const struct stream_ops world_peer_out = {.on_input = world_peer_answer,
                                                 .on_close = world_peer_closed};

static inline void world_peer_accept(void *arg, struct incoming *in)
{
    struct world_peer *p = arg;

    p->accepted++;
    stream_adopt(host_main(p->host), in, &world_peer_in, p);
}

static inline void world_peer_beat(struct timer *t, void *arg)
{
    struct world_peer *p = arg;
    struct member_rec rec = p->rec;
    struct buf b = {0};

    if (t)
        timer_start(t, 500);
    rec.alive_ms = p->alive_ms += 500;
    ck_assert_int_eq(member_encode(&b, &rec), ERR_OK);
    ck_assert_int_eq(multicast_send(p->group, buf_span(&b)), ERR_OK);
    buf_fini(&b);
}

static inline void world_peer_listen(struct world_peer *p)
{
    struct addr at;

    ck_assert_int_eq(addr_from_host(span_of(p->rec.host, 4), (uint16_t)p->rec.port, &at), ERR_OK);
    ck_assert_int_eq(listener_open(host_main(p->host), &at, 0, world_peer_accept, p, &p->listener), ERR_OK);
}

/* 10.0.0.(100 + i) port 5000; beats and listens when told to. */
static inline struct world_peer *world_peer_new(unsigned i)
{
    struct world_peer *p = MEM_NEW(struct world_peer);
    struct multicast_options o = {.ttl = -1};
    struct diag d = {0};
    char ip[32];

    snprintf(ip, sizeof ip, "10.0.0.%u", 100 + i);
    p->host = sim_host_new(world_sim, ip, 1);
    p->rec = (struct member_rec){.port = 5000,
                                 .secure_port = -1,
                                 .udp_port = -1,
                                 .host_len = 4,
                                 .host = {10, 0, 0, (uint8_t)(100 + i)}};
    memset(p->rec.id.b, 0x70 + (int)i, IDENT_LEN);
    ck_assert_int_eq(addr_parse("228.0.0.4:45564", 0, &o.group), ERR_OK);
    ck_assert_int_eq(
        multicast_open(host_main(p->host), &o, world_peer_ignore, world_peer_error, p, &d, &p->group),
        ERR_OK);
    diag_fini(&d);
    timer_init(&p->beat, host_main(p->host), world_peer_beat, p);
    return p;
}

/* A frame to node i, on a connection of the peer's own. */
static inline void world_peer_send(struct world_peer *p, unsigned i, struct span frame)
{
    struct addr to;

    if (!p->out) {
        const struct member_rec *local = channel_local(world_nodes[i]->channel);
        ck_assert_int_eq(addr_from_host(span_of(local->host, local->host_len), (uint16_t)local->port, &to),
                         ERR_OK);
        p->out = stream_connect(host_main(p->host), &to, NULL, 1000, &world_peer_out, p);
    }
    stream_write(p->out, frame);
}

static inline void world_peer_free(struct world_peer *p)
{
    timer_fini(&p->beat);
    multicast_close(p->group);
    if (p->listener)
        listener_close(p->listener);
    sim_host_end(world_sim, p->host);
    buf_fini(&p->got);
    buf_fini(&p->answers);
    mem_free(p);
}

/* A whole frame of this message with the peer as its source. */
static inline void world_peer_frame(const struct world_peer *p, uint32_t options, struct span message,
                                    struct buf *out)
{
    struct ident id = {{0xa0}};
    struct channel_data cd = {.options = options,
                              .timestamp_ms = 1700000000000,
                              .unique_id = span_of(id.b, IDENT_LEN),
                              .source = p->rec,
                              .message = message};

    ck_assert_int_eq(channel_data_encode(out, &cd), ERR_OK);
}

#endif
