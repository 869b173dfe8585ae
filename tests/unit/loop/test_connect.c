/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, listening, many connections, and streams on worker loops, on both kinds of loop.
 */
#include "world.h"

static bool client_closed(void *arg)
{
    return ((struct pair *)arg)->client.closes;
}

static bool peer_is_closed(void *arg)
{
    return ((struct peer *)arg)->closes;
}

static void connect_refused(enum kind kind)
{
    struct world w;
    struct peer p;
    struct server sv;
    struct peer none;

    world_init(&w, kind);
    peer_init(&p);
    server_init(&sv, &w, &none, 1);
    struct addr at = *listener_addr(sv.ls);
    listener_close(sv.ls);
    p.s = stream_connect(w.lb, &at, NULL, 5000, &peer_ops, &p);
    stream_write(p.s, SPAN_LIT("never sent"));
    ck_assert_uint_eq(p.closes, 0);
    ck_assert(world_run(&w, peer_is_closed, &p, 2000));
    ck_assert_int_eq(p.why, ERR_REFUSED);
    ck_assert_uint_eq(p.opens, 0);
    world_fini(&w);
}
BOTH(connect_refused)

static void close_while_connecting(enum kind kind)
{
    struct pair p = {0};
    struct peer other;

    world_init(&p.w, kind);
    server_init(&p.sv, &p.w, &p.server, 1);
    peer_init(&p.client);
    peer_init(&other);
    client_connect(&p.w, &p.sv, &p.client);
    client_connect(&p.w, &p.sv, &other);
    stream_close(p.client.s, 1000);
    stream_abort(other.s);
    ck_assert(world_run(&p.w, client_closed, &p, 1000));
    ck_assert(world_run(&p.w, peer_is_closed, &other, 1000));
    ck_assert_int_eq(p.client.why, ERR_OK);
    ck_assert_int_eq(other.why, ERR_CANCELLED);
    ck_assert_uint_eq(p.client.opens, 0);
    world_run(&p.w, NULL, NULL, 50);
    pair_fini(&p);
}
BOTH(close_while_connecting)

static void port_in_use(enum kind kind)
{
    struct world w;
    struct server sv;
    struct peer peer;
    struct listener *second = NULL;

    world_init(&w, kind);
    server_init(&sv, &w, &peer, 1);
    ck_assert_uint_ne(listener_addr(sv.ls)->port, 0);
    struct addr at = *listener_addr(sv.ls);
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &second), ERR_EXISTS);
    ck_assert_ptr_null(second);
    listener_close(sv.ls);
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &sv.ls), ERR_OK);
    listener_close(sv.ls);
    at.ip[0] = 198;
    at.ip[1] = 51;
    at.ip[2] = 100;
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &second), ERR_NOT_FOUND);
    world_fini(&w);
}
BOTH(port_in_use)

#define MANY 300

struct many {
    struct world w;
    struct server sv;
    struct peer servers[MANY], clients[MANY];
};

static bool many_done(void *arg)
{
    struct many *m = arg;

    for (unsigned i = 0; i < MANY; i++)
        if (m->clients[i].n_in != 1000)
            return false;
    return true;
}

static void many_accepted(struct peer *p)
{
    p->echo = true;
}

static void many_connections(enum kind kind)
{
    struct many *m = MEM_NEW(struct many);
    uint8_t bytes[1000];

    world_init(&m->w, kind);
    server_init(&m->sv, &m->w, m->servers, MANY);
    m->sv.on_accept = many_accepted;
    for (unsigned i = 0; i < MANY; i++) {
        peer_init(&m->clients[i]);
        client_connect(&m->w, &m->sv, &m->clients[i]);
        memset(bytes, (int)i, sizeof bytes);
        stream_write(m->clients[i].s, span_of(bytes, sizeof bytes));
    }
    ck_assert(world_run(&m->w, many_done, m, 20000));
    for (unsigned i = 0; i < MANY; i++) {
        for (unsigned j = 0; j < 1000; j++)
            ck_assert_uint_eq(m->clients[i].in.p[j], i & 0xff);
        if (i % 2)
            stream_close(m->clients[i].s, 100);
    }
    world_run(&m->w, NULL, NULL, 100);
    listener_close(m->sv.ls);
    world_fini(&m->w);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(m->clients[i].why, i % 2 ? ERR_OK : ERR_CANCELLED);
        ck_assert_uint_eq(m->servers[i].closes, 1);
        buf_fini(&m->clients[i].in);
        buf_fini(&m->servers[i].in);
    }
    mem_free(m);
}
BOTH(many_connections)

/* A listener may be closed from its own callback, with more connections waiting. */
static void accept_once(void *arg, struct incoming *in)
{
    struct server *sv = arg;

    incoming_refuse(in);
    sv->n++;
    listener_close(sv->ls);
}

static void listener_closed_inside(enum kind kind)
{
    struct world w;
    struct server sv = {0};
    struct peer p[3];
    struct addr at;

    world_init(&w, kind);
    at = world_addr(&w);
    ck_assert_int_eq(listener_open(w.la, &at, 0, accept_once, &sv, &sv.ls), ERR_OK);
    at = *listener_addr(sv.ls);
    for (unsigned i = 0; i < 3; i++) {
        peer_init(&p[i]);
        p[i].s = stream_connect(w.lb, &at, NULL, 5000, &peer_ops, &p[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(world_run(&w, peer_is_closed, &p[i], 2000));
        ck_assert(p[i].why == ERR_CLOSED || p[i].why == ERR_REFUSED);
    }
    ck_assert_uint_eq(sv.n, 1);
    world_fini(&w);
}
BOTH(listener_closed_inside)

/* --- other loops of the host --- */

struct handover {
    struct task task;
    struct worker_server *server;
    struct incoming *in;
};

struct worker_server {
    struct world w;
    struct listener *ls;
    unsigned next;
    atomic_uint adopted, wrong_thread;
};

static size_t worker_echo(struct stream *s, void *arg, struct span in)
{
    struct worker_server *ws = arg;

    if (!loop_is_current(stream_loop(s)))
        atomic_fetch_add(&ws->wrong_thread, 1);
    stream_write(s, in);
    return in.n;
}

static void worker_closed(struct stream *s, void *arg, enum err why)
{
    struct worker_server *ws = arg;

    (void)s;
    (void)why;
    atomic_fetch_sub(&ws->adopted, 1);
}
static const struct stream_ops worker_ops = {.on_input = worker_echo, .on_close = worker_closed};

static void adopt_there(struct task *t, bool cancelled)
{
    struct handover *ho = CONTAINER_OF(t, struct handover, task);
    struct worker_server *ws = ho->server;

    if (cancelled) {
        incoming_refuse(ho->in);
    } else {
        struct loop *l = host_worker(ws->w.a, 0);
        for (unsigned i = 0; i < host_n_workers(ws->w.a); i++)
            if (loop_is_current(host_worker(ws->w.a, i)))
                l = host_worker(ws->w.a, i);
        atomic_fetch_add(&ws->adopted, 1);
        stream_adopt(l, ho->in, &worker_ops, ws);
    }
    mem_free(ho);
}

static void hand_over(void *arg, struct incoming *in)
{
    struct worker_server *ws = arg;
    struct handover *ho = MEM_NEW(struct handover);

    ho->task.run = adopt_there;
    ho->server = ws;
    ho->in = in;
    loop_post(host_worker(ws->w.a, ws->next++ % host_n_workers(ws->w.a)), &ho->task);
}

#define WORKER_CLIENTS 40

struct worker_clients {
    struct peer p[WORKER_CLIENTS];
};

static bool clients_done(void *arg)
{
    struct worker_clients *c = arg;

    for (unsigned i = 0; i < WORKER_CLIENTS; i++)
        if (c->p[i].n_in < 20000)
            return false;
    return true;
}

static void streams_on_workers(enum kind kind)
{
    struct worker_server ws = {0};
    struct worker_clients c;
    struct addr at;
    uint8_t bytes[20000] = {0};

    world_init_seed(&ws.w, kind, 3, 7);
    at = world_addr(&ws.w);
    ck_assert_int_eq(listener_open(ws.w.la, &at, 0, hand_over, &ws, &ws.ls), ERR_OK);
    for (unsigned i = 0; i < WORKER_CLIENTS; i++) {
        peer_init(&c.p[i]);
        c.p[i].discard = true;
        c.p[i].s = stream_connect(ws.w.lb, listener_addr(ws.ls), NULL, 5000, &peer_ops, &c.p[i]);
        stream_write(c.p[i].s, span_of(bytes, sizeof bytes));
    }
    ck_assert(world_run(&ws.w, clients_done, &c, 20000));
    ck_assert_uint_eq(atomic_load(&ws.adopted), WORKER_CLIENTS);
    for (unsigned i = 0; i < WORKER_CLIENTS; i += 2)
        stream_abort(c.p[i].s);
    listener_close(ws.ls);
    world_fini(&ws.w);
    ck_assert_uint_eq(atomic_load(&ws.adopted), 0);
    ck_assert_uint_eq(atomic_load(&ws.wrong_thread), 0);
}
BOTH(streams_on_workers)

CLUSTERD_SUITE(connect, &connect_refused_real, &connect_refused_sim, &close_while_connecting_real,
               &close_while_connecting_sim, &port_in_use_real, &port_in_use_sim, &many_connections_real,
               &many_connections_sim, &listener_closed_inside_real, &listener_closed_inside_sim,
               &streams_on_workers_real, &streams_on_workers_sim)
