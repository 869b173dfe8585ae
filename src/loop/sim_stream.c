/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on simulated connections: what a process sees of its end. Readiness is as with epoll: an end that
 * still has something to tell is looked at again in the next turn.
 */
#include "sim_impl.h"

#include <event2/buffer.h>

#define SHORT_READ_1_IN 8

static struct sim_stream *of(struct stream *s)
{
    return (struct sim_stream *)s;
}

static struct sim_loop *loop_of(struct sim_stream *ss)
{
    return (struct sim_loop *)ss->s.loop;
}

static bool has_news(const struct sim_stream *ss)
{
    const struct sim_end *e = ss->end;

    if (!e)
        return false;
    if (ss->s.state == STREAM_CONNECTING)
        return e->conn->phase == SIM_STANDS;
    if (ss->s.blocked && (e->may_write || e->broken))
        return true;
    if (stream_wants_read(&ss->s))
        return sim_conn_unread(e) > 0 || e->rx_fin || e->broken;
    return ss->s.state == STREAM_OPEN && e->broken;
}

void sim_stream_notify(struct sim_stream *ss)
{
    if (has_news(ss))
        sim_loop_mark_ready(loop_of(ss), &ss->ready);
}

static void look(struct sim_ready *r)
{
    struct sim_stream *ss = CONTAINER_OF(r, struct sim_stream, ready);
    struct stream *s = &ss->s;

    if (!has_news(ss))
        return;
    if (s->state == STREAM_CONNECTING) {
        if (ss->end->broken)
            stream_io_failed(s, ss->end->broken);
        else
            stream_io_opened(s);
    } else {
        if (s->blocked && (ss->end->may_write || ss->end->broken)) {
            ss->end->may_write = false;
            stream_io_writable(s);
        }
        if (stream_wants_read(s))
            stream_io_readable(s);
        else if (s->state == STREAM_OPEN && ss->end->broken)
            stream_io_failed(s, ss->end->broken);
    }
    sim_stream_notify(ss);
}

enum err sim_stream_connect(struct stream *s, const struct addr *from)
{
    struct sim_stream *ss = of(s);
    struct sim_host *sh = loop_of(ss)->host;
    struct sim_machine *to = sh->machine;
    struct addr local = sh->machine->ip;

    ss->ready.fire = look;
    link_init(&ss->ready.link);
    if (sh->dead || s->peer.family == ADDR_IP6 || s->peer.family == ADDR_NONE)
        return ERR_IO;
    if (s->peer.family == ADDR_UNIX) {
        local = (struct addr){.family = ADDR_UNIX};
    } else {
        if (addr_is_loopback(&s->peer))
            local = s->peer;
        else
            to = sim_machine_get(sh->sim, &s->peer);
        if (from && from->family == ADDR_IP4 && !addr_is_any(from))
            local = *from;
        local.port = from && from->port ? from->port : sim_machine_new_port(sh->machine);
    }
    s->local = local;
    ss->end = &sim_conn_new(ss, to, &local)->client;
    return ERR_OK;
}

void sim_stream_adopt(struct stream *s, struct incoming *in)
{
    struct sim_stream *ss = of(s);
    struct sim_incoming *si = (struct sim_incoming *)in;

    ss->ready.fire = look;
    link_init(&ss->ready.link);
    ss->end = si->end;
    if (ss->end) {
        ss->end->incoming = NULL;
        ss->end->stream = ss;
    }
    link_remove(&si->link);
    mem_free(si);
}

enum io sim_stream_read(struct stream *s, uint8_t *to, size_t cap, size_t *n, enum err *why)
{
    struct sim_end *e = of(s)->end;
    size_t have = e ? sim_conn_unread(e) : 0;

    if (!e)
        return IO_BLOCKED;
    if (have > 0) {
        size_t take = have < cap ? have : cap;
        if (sim_net_below(e->conn->sim, SHORT_READ_1_IN) == 0)
            take = 1 + (size_t)sim_net_below(e->conn->sim, take);
        memcpy(to, e->rx.p + e->rx_off, take);
        e->rx_off += take;
        if (e->rx_off == e->rx.n) {
            buf_clear(&e->rx);
            e->rx_off = 0;
        }
        sim_conn_was_read(e);
        *n = take;
        return IO_DONE;
    }
    if (e->broken) {
        *why = e->broken;
        return IO_FAILED;
    }
    return e->rx_fin ? IO_EOF : IO_BLOCKED;
}

enum io sim_stream_send(struct stream *s, enum err *why)
{
    struct sim_end *e = of(s)->end;
    size_t want = evbuffer_get_length(s->out), room;

    if (!e)
        return IO_BLOCKED;
    if (e->broken) {
        *why = e->broken;
        return IO_FAILED;
    }
    room = sim_conn_room(e);
    sim_conn_send(e, s->out, want < room ? want : room);
    e->blocked = want > room;
    return e->blocked ? IO_BLOCKED : IO_DONE;
}

void sim_stream_interest(struct stream *s)
{
    sim_stream_notify(of(s));
}

void sim_stream_shut(struct stream *s, bool reset)
{
    struct sim_stream *ss = of(s);

    link_remove(&ss->ready.link);
    if (ss->end)
        sim_conn_close(ss->end, reset ? SIM_CLOSE_RESET : SIM_CLOSE_FIN);
    ss->end = NULL;
}
