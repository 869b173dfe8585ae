/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated TCP connections as the two kernels see them: segments in order with random sizes and delays, a
 * window, retransmission while the link is down, FIN and reset. The owning processes see them through
 * sim_stream.c. A connection is freed when both processes have let go and nothing is on its way.
 */
#include "sim_impl.h"

#include <event2/buffer.h>

#define WINDOW            (256 * 1024) /* sent and not yet read by the receiving process */
#define SEGMENT_MAX       (32 * 1024)
#define SEGMENT_TINY_MAX  64
#define SEGMENT_TINY_1_IN 8
#define RETRY_FIRST_US    200000
#define RETRY_MAX_US      2000000
#define SYN_RETRY_US      1000000
#define SYN_RETRY_MAX_US  64000000

enum kind { DATA, FIN, RESET };

struct sim_segment {
    struct link link;
    enum kind kind;
    uint64_t arrival_us;
    size_t n;
    uint8_t data[];
};

static void arrive_fire(struct sim_event *e);
static void window_fire(struct sim_event *e);
static void connect_fire(struct sim_event *e);

struct sim_end *sim_conn_peer(struct sim_end *e)
{
    return e == &e->conn->client ? &e->conn->server : &e->conn->client;
}

static bool reaches(struct sim_end *e)
{
    return sim_machine_reaches(e->machine, sim_conn_peer(e)->machine);
}

static uint64_t soon(struct sim_end *e)
{
    return e->conn->sim->now_us + sim_machine_delay_us(e->machine, sim_conn_peer(e)->machine);
}

static void notify(struct sim_end *e)
{
    if (e->stream)
        sim_stream_notify(e->stream);
}

static void end_init(struct sim_end *e, struct sim_conn *c, struct sim_machine *m)
{
    e->conn = c;
    e->machine = m;
    e->arrive.fire = arrive_fire;
    e->window.fire = window_fire;
    link_init(&e->flight);
}

static void drop_flight(struct sim_end *e)
{
    struct link *at;

    while ((at = link_pop_front(&e->flight)))
        mem_free(CONTAINER_OF(at, struct sim_segment, link));
    e->in_flight = 0;
    e->stalled = false;
    sim_cancel(e->conn->sim, &e->arrive);
}

static void free_if_over(struct sim_conn *c)
{
    if (c->client.host || c->server.host || !link_is_alone(&c->client.flight) ||
        !link_is_alone(&c->server.flight) || c->connect.slot)
        return;
    sim_conn_free(c);
}

void sim_conn_free(struct sim_conn *c)
{
    struct sim_end *ends[2] = {&c->client, &c->server};

    for (size_t i = 0; i < 2; i++) {
        drop_flight(ends[i]);
        sim_cancel(c->sim, &ends[i]->window);
        buf_fini(&ends[i]->rx);
    }
    sim_cancel(c->sim, &c->connect);
    link_remove(&c->all);
    mem_free(c);
}

/* --- segments --- */

static void launch(struct sim_end *e, enum kind kind, struct evbuffer *from, size_t n)
{
    struct sim_segment *seg = mem_alloc(sizeof *seg + n);
    uint64_t at = soon(e);

    link_init(&seg->link);
    seg->kind = kind;
    seg->n = n;
    if (n)
        ASSERT(evbuffer_remove(from, seg->data, n) == (int)n);
    /* TCP delivers in order: a segment that was quicker than the one before it waits. */
    seg->arrival_us = at > e->last_arrival_us ? at : e->last_arrival_us;
    e->last_arrival_us = seg->arrival_us;
    e->in_flight += n;
    if (link_is_alone(&e->flight))
        sim_schedule(e->conn->sim, &e->arrive, seg->arrival_us);
    link_push_back(&e->flight, &seg->link);
}

/* The connection is over for this end: reading and writing fail from now on, after the bytes that came. */
static void break_end(struct sim_end *e, enum err why)
{
    if (e->broken == ERR_OK)
        e->broken = why;
    drop_flight(e);
    sim_cancel(e->conn->sim, &e->window);
    notify(e);
}

/* Nobody answers: wait and send again, or give up. */
static void stall(struct sim_end *e)
{
    struct sim *s = e->conn->sim;

    if (!e->stalled) {
        e->stalled = true;
        e->stalled_since_us = s->now_us;
        e->retry_us = RETRY_FIRST_US;
    }
    if (s->now_us - e->stalled_since_us >= (uint64_t)s->net.stream_timeout_ms * 1000) {
        break_end(e, ERR_TIMEOUT);
        free_if_over(e->conn);
        return;
    }
    uint64_t left = e->stalled_since_us + (uint64_t)s->net.stream_timeout_ms * 1000 - s->now_us;
    sim_schedule(s, &e->arrive, s->now_us + (e->retry_us < left ? e->retry_us : left));
    e->retry_us = e->retry_us * 2 < RETRY_MAX_US ? e->retry_us * 2 : RETRY_MAX_US;
}

/* A segment for a socket that is gone: its machine answers with a reset. */
static void refuse_segment(struct sim_end *to)
{
    bool pending = false;

    LINK_EACH(at, &to->flight)
    {
        pending |= CONTAINER_OF(at, struct sim_segment, link)->kind == RESET;
    }
    if (!pending)
        launch(to, RESET, NULL, 0);
}

static void deliver(struct sim_end *from, struct sim_segment *seg)
{
    struct sim_end *to = sim_conn_peer(from);

    if (!to->host) {
        if (seg->kind == DATA)
            refuse_segment(to);
        return;
    }
    switch (seg->kind) {
    case DATA:
        wr_bytes(&to->rx, seg->data, seg->n);
        break;
    case FIN:
        to->rx_fin = true;
        break;
    case RESET:
        break_end(to, ERR_CLOSED);
        return;
    }
    notify(to);
}

static void arrive_fire(struct sim_event *ev)
{
    struct sim_end *e = CONTAINER_OF(ev, struct sim_end, arrive);
    struct sim *s = e->conn->sim;
    struct sim_segment *seg = CONTAINER_OF(e->flight.next, struct sim_segment, link);

    if (!reaches(e) && seg->kind != RESET) {
        stall(e);
        return;
    }
    e->stalled = false;
    link_remove(&seg->link);
    e->in_flight -= seg->n;
    if (reaches(e))
        deliver(e, seg); /* a reset is not sent twice: without a link it is lost */
    mem_free(seg);
    if (!link_is_alone(&e->flight)) {
        uint64_t next = CONTAINER_OF(e->flight.next, struct sim_segment, link)->arrival_us;
        sim_schedule(s, &e->arrive, next > s->now_us ? next : s->now_us + 1);
    }
    free_if_over(e->conn);
}

size_t sim_conn_room(struct sim_end *e)
{
    size_t used = e->in_flight + sim_conn_unread(sim_conn_peer(e));

    return used < WINDOW ? WINDOW - used : 0;
}

void sim_conn_send(struct sim_end *e, struct evbuffer *from, size_t n)
{
    struct sim *s = e->conn->sim;

    while (n > 0) {
        size_t max = sim_net_below(s, SEGMENT_TINY_1_IN) ? SEGMENT_MAX : SEGMENT_TINY_MAX;
        size_t part = 1 + (size_t)sim_net_below(s, max);
        launch(e, DATA, from, part < n ? part : n);
        n -= part < n ? part : n;
    }
}

/* The sender learns after a while that there is room again. */
static void window_fire(struct sim_event *ev)
{
    struct sim_end *e = CONTAINER_OF(ev, struct sim_end, window);

    if (!reaches(e)) {
        sim_schedule(e->conn->sim, &e->window, e->conn->sim->now_us + RETRY_FIRST_US);
        return;
    }
    e->may_write = true;
    notify(e);
}

void sim_conn_was_read(struct sim_end *e)
{
    struct sim_end *sender = sim_conn_peer(e);

    if (sender->host && sender->blocked && !sender->window.slot && sim_conn_room(sender) >= WINDOW / 4)
        sim_schedule(e->conn->sim, &sender->window, soon(sender));
}

/* --- opening --- */

struct sim_conn *sim_conn_new(struct sim_stream *ss, struct sim_machine *to, const struct addr *from)
{
    struct sim_host *sh = ((struct sim_loop *)ss->s.loop)->host;
    struct sim_conn *c = MEM_NEW(struct sim_conn);

    c->sim = sh->sim;
    end_init(&c->client, c, sh->machine);
    end_init(&c->server, c, to);
    c->client.host = sh;
    c->client.stream = ss;
    c->client.addr = *from;
    c->server.addr = ss->s.peer;
    c->connect.fire = connect_fire;
    c->syn_retry_us = SYN_RETRY_US;
    link_push_back(&c->sim->conns, &c->all);
    sim_schedule(c->sim, &c->connect, soon(&c->client));
    return c;
}

static void syn_arrives(struct sim_conn *c)
{
    struct sim_listener *ls = sim_listener_find(c->server.machine, &c->server.addr);

    c->answer = ls ? ERR_OK : ERR_REFUSED;
    c->phase = SIM_ANSWER;
    if (ls) {
        c->server.host = ls->host;
        sim_listener_arrival(ls, &c->server, &c->client.addr);
    }
    sim_schedule(c->sim, &c->connect, soon(&c->server));
}

static void answer_arrives(struct sim_conn *c)
{
    c->phase = SIM_STANDS;
    if (!c->client.host) {
        /* The client gave up meanwhile: its machine refuses the answer. */
        if (c->server.host)
            launch(&c->client, RESET, NULL, 0);
    } else if (c->answer) {
        break_end(&c->client, c->answer);
    } else {
        notify(&c->client);
    }
    free_if_over(c);
}

static void connect_fire(struct sim_event *ev)
{
    struct sim_conn *c = CONTAINER_OF(ev, struct sim_conn, connect);

    if (c->phase == SIM_SYN && !c->client.host) {
        free_if_over(c);
    } else if (!reaches(&c->client)) {
        if (c->client.host || c->server.host)
            sim_schedule(c->sim, &c->connect, c->sim->now_us + c->syn_retry_us);
        c->syn_retry_us = c->syn_retry_us * 2 < SYN_RETRY_MAX_US ? c->syn_retry_us * 2 : SYN_RETRY_MAX_US;
    } else if (c->phase == SIM_SYN) {
        syn_arrives(c);
    } else {
        answer_arrives(c);
    }
}

/* --- closing --- */

void sim_conn_close(struct sim_end *e, enum sim_close how)
{
    struct sim_conn *c = e->conn;

    if (e->stream)
        e->stream->end = NULL;
    if (e->incoming)
        e->incoming->end = NULL;
    e->stream = NULL;
    e->incoming = NULL;
    e->host = NULL;
    buf_fini(&e->rx);
    e->rx_off = 0;
    sim_cancel(c->sim, &e->window);
    if (how == SIM_CLOSE_SILENT || (how == SIM_CLOSE_RESET && sim_net_below(c->sim, 2)))
        drop_flight(e);
    if (how != SIM_CLOSE_SILENT && !e->broken && (c->phase == SIM_STANDS || e == &c->server))
        launch(e, how == SIM_CLOSE_FIN ? FIN : RESET, NULL, 0);
    free_if_over(c);
}

void sim_conn_break(struct sim_conn *c)
{
    if (c->phase != SIM_STANDS)
        return;
    break_end(&c->client, ERR_CLOSED);
    break_end(&c->server, ERR_CLOSED);
}
