/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One test body, two kinds of loop: a world is either a real host (server and client share its main loop) or
 * two simulated hosts. A struct peer is one end of a stream that remembers all that happened to it and checks
 * that callbacks never nest.
 */
#ifndef TESTS_UNIT_LOOP_WORLD_H
#define TESTS_UNIT_LOOP_WORLD_H

#include "clusterd/loop/host.h"
#include "clusterd/loop/sim.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/list.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { REAL, SIM };

/* Two tests from one body: name_real and name_sim. */
#define BOTH(name)          \
    START_TEST(name##_real) \
    {                       \
        name(REAL);         \
    }                       \
    END_TEST                \
    START_TEST(name##_sim)  \
    {                       \
        name(SIM);          \
    }                       \
    END_TEST

struct world {
    enum kind kind;
    struct sim *sim;
    struct host *a, *b; /* server and client; the same one when real */
    struct loop *la, *lb;
    bool (*pred)(void *arg);
    void *arg;
    struct timer poll, limit;
    bool timed_out;
};

static inline void world_init_seed(struct world *w, enum kind kind, unsigned workers, uint64_t seed)
{
    *w = (struct world){.kind = kind};
    if (kind == REAL) {
        w->a = w->b = host_new_real(workers);
    } else {
        w->sim = sim_new(seed);
        w->a = sim_host_new(w->sim, "10.0.0.1", workers);
        w->b = sim_host_new(w->sim, "10.0.0.2", workers);
    }
    w->la = host_main(w->a);
    w->lb = host_main(w->b);
}

static inline void world_init(struct world *w, enum kind kind)
{
    world_init_seed(w, kind, 1, 1);
}

static inline void world_fini(struct world *w)
{
    host_free(w->a);
    if (w->sim) {
        host_free(w->b);
        sim_free(w->sim);
    }
}

static inline void world_poll(struct timer *t, void *arg)
{
    struct world *w = arg;

    if (w->pred && w->pred(w->arg))
        host_stop(w->a);
    else
        timer_start(t, 1);
}

static inline void world_limit(struct timer *t, void *arg)
{
    struct world *w = arg;

    (void)t;
    w->timed_out = true;
    host_stop(w->a);
}

/* Runs until pred is true; false when max_ms went by first. pred NULL: runs max_ms. */
static inline bool world_run(struct world *w, bool (*pred)(void *), void *arg, uint64_t max_ms)
{
    if (w->kind == SIM) {
        if (pred)
            return sim_run_until(w->sim, pred, arg, max_ms);
        sim_run_ms(w->sim, max_ms);
        return true;
    }
    w->pred = pred;
    w->arg = arg;
    w->timed_out = false;
    timer_init(&w->poll, w->la, world_poll, w);
    timer_init(&w->limit, w->la, world_limit, w);
    timer_start(&w->poll, 0);
    timer_start(&w->limit, max_ms);
    host_run(w->a);
    timer_fini(&w->poll);
    timer_fini(&w->limit);
    return !w->timed_out || !pred;
}

/* Where the server shall listen, with a free port. */
static inline struct addr world_addr(struct world *w)
{
    struct addr a;

    ck_assert_int_eq(addr_parse(w->kind == REAL ? "127.0.0.1" : "10.0.0.1", 0, &a), ERR_OK);
    return a;
}

struct peer {
    struct stream *s; /* NULL after on_close */
    struct buf in;    /* what came and was consumed */
    size_t offered;   /* the largest span offered */
    unsigned opens, inputs, eofs, drains, closes;
    enum err why;
    uint64_t closed_at_ms;
    size_t consume_max; /* at most so much of an offer is consumed; SIZE_MAX = all */
    bool discard;       /* count only */
    size_t n_in;
    bool echo;
    bool inside;
    void (*on_input)(struct peer *p, struct span in);
    void (*on_open)(struct peer *p);
    void (*on_drain)(struct peer *p);
    void (*on_eof)(struct peer *p);
    void *arg;
};

static inline void peer_enter(struct peer *p)
{
    ck_assert(!p->inside);
    ck_assert_uint_eq(p->closes, 0);
    p->inside = true;
}

static inline void peer_opened(struct stream *s, void *arg)
{
    struct peer *p = arg;

    peer_enter(p);
    ck_assert_ptr_eq(s, p->s);
    p->opens++;
    if (p->on_open)
        p->on_open(p);
    p->inside = false;
}

static inline size_t peer_input(struct stream *s, void *arg, struct span in)
{
    struct peer *p = arg;
    size_t n = in.n < p->consume_max ? in.n : p->consume_max;

    peer_enter(p);
    ck_assert_ptr_eq(s, p->s);
    ck_assert_uint_gt(in.n, 0);
    p->inputs++;
    if (in.n > p->offered)
        p->offered = in.n;
    p->n_in += n;
    if (!p->discard)
        wr_bytes(&p->in, in.p, n);
    if (p->echo)
        stream_write(s, span_of(in.p, n));
    if (p->on_input)
        p->on_input(p, in);
    p->inside = false;
    return n;
}

static inline void peer_drained(struct stream *s, void *arg)
{
    struct peer *p = arg;

    (void)s;
    peer_enter(p);
    p->drains++;
    if (p->on_drain)
        p->on_drain(p);
    p->inside = false;
}

static inline void peer_ended(struct stream *s, void *arg)
{
    struct peer *p = arg;

    (void)s;
    peer_enter(p);
    p->eofs++;
    if (p->on_eof)
        p->on_eof(p);
    p->inside = false;
}

static inline void peer_closed(struct stream *s, void *arg, enum err why)
{
    struct peer *p = arg;

    ck_assert(!p->inside);
    ck_assert_ptr_eq(s, p->s);
    p->closes++;
    ck_assert_uint_eq(p->closes, 1);
    p->why = why;
    p->closed_at_ms = loop_mono_ms(stream_loop(s));
    /* All of these must be harmless now. */
    stream_write(s, SPAN_LIT("late"));
    stream_flush(s);
    stream_pause(s);
    stream_resume(s);
    stream_close(s, 10);
    stream_abort(s);
    p->s = NULL;
}

static const struct stream_ops peer_ops = {
    .on_open = peer_opened, .on_input = peer_input, .on_drain = peer_drained, .on_close = peer_closed};
static const struct stream_ops peer_eof_ops = {.on_open = peer_opened,
                                               .on_input = peer_input,
                                               .on_drain = peer_drained,
                                               .on_eof = peer_ended,
                                               .on_close = peer_closed};

/* A server that adopts each connection into the next of its peers. */
struct server {
    struct listener *ls;
    struct loop *loop;
    struct peer *peers;
    size_t n, max;
    const struct stream_ops *ops;
    void (*on_accept)(struct peer *p);
};

static inline void server_accept(void *arg, struct incoming *in)
{
    struct server *sv = arg;

    if (sv->n == sv->max) {
        incoming_refuse(in);
        return;
    }
    struct peer *p = &sv->peers[sv->n++];
    p->s = stream_adopt(sv->loop, in, sv->ops ? sv->ops : &peer_ops, p);
    if (sv->on_accept)
        sv->on_accept(p);
}

static inline void peer_init(struct peer *p)
{
    *p = (struct peer){.consume_max = SIZE_MAX};
}

static inline void server_init(struct server *sv, struct world *w, struct peer *peers, size_t n)
{
    struct addr at = world_addr(w);

    *sv = (struct server){.loop = w->la, .peers = peers, .max = n};
    for (size_t i = 0; i < n; i++)
        peer_init(&peers[i]);
    ck_assert_int_eq(listener_open(w->la, &at, 0, server_accept, sv, &sv->ls), ERR_OK);
}

static inline void client_connect(struct world *w, struct server *sv, struct peer *p)
{
    p->s = stream_connect(w->lb, listener_addr(sv->ls), NULL, 5000, &peer_ops, p);
}

/* A server, a client, both connected. */
struct pair {
    struct world w;
    struct server sv;
    struct peer server, client;
};

static inline bool pair_is_open(void *arg)
{
    struct pair *p = arg;

    return p->client.opens && p->server.s;
}

static inline void pair_init_ops(struct pair *p, enum kind kind, const struct stream_ops *server_ops)
{
    *p = (struct pair){0};
    world_init(&p->w, kind);
    server_init(&p->sv, &p->w, &p->server, 1);
    p->sv.ops = server_ops;
    peer_init(&p->client);
    client_connect(&p->w, &p->sv, &p->client);
    ck_assert(world_run(&p->w, pair_is_open, p, 5000));
}

static inline void pair_init(struct pair *p, enum kind kind)
{
    pair_init_ops(p, kind, NULL);
}

static inline bool pair_is_closed(void *arg)
{
    struct pair *p = arg;

    return p->client.closes && p->server.closes;
}

static inline void pair_fini(struct pair *p)
{
    listener_close(p->sv.ls);
    world_fini(&p->w);
    ck_assert_ptr_null(p->client.s);
    ck_assert_ptr_null(p->server.s);
    buf_fini(&p->client.in);
    buf_fini(&p->server.in);
}

/* Byte i of a test stream. */
static inline uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

static inline void pattern_check(struct span s, size_t from)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != pattern(from + i))
            ck_abort_msg("byte %zu differs", from + i);
}

static inline void pattern_fill(uint8_t *p, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++)
        p[i] = pattern(from + i);
}

#endif
