/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners on simulated machines. The kernel completes connections into a backlog even while the process is
 * paused; the process takes them in its next turn.
 */
#include "sim_impl.h"

#define BACKLOG_MAX 4096

static struct sim_listener *of(struct listener *ls)
{
    return (struct sim_listener *)ls;
}

static bool answers(const struct sim_listener *sl, const struct addr *to)
{
    const struct addr *at = &sl->ls.addr;

    if (at->family == ADDR_UNIX || to->family == ADDR_UNIX)
        return addr_eq(at, to);
    return at->port == to->port &&
           (addr_is_any(at) || addr_is_any(to) || span_eq(addr_host(at), addr_host(to)));
}

struct sim_listener *sim_listener_find(struct sim_machine *m, const struct addr *to)
{
    LINK_EACH(at, &m->listeners)
    {
        struct sim_listener *sl = CONTAINER_OF(at, struct sim_listener, on_machine);
        if (answers(sl, to))
            return sl->n_backlog < BACKLOG_MAX ? sl : NULL;
    }
    return NULL;
}

static void accept_all(struct sim_ready *r)
{
    struct sim_listener *sl = CONTAINER_OF(r, struct sim_listener, ready);
    struct link *at;

    listener_io_begin(&sl->ls);
    while (!sl->ls.closed && (at = link_pop_front(&sl->backlog))) {
        struct sim_incoming *si = CONTAINER_OF(at, struct sim_incoming, link);
        sl->n_backlog--;
        link_push_back(&sl->host->incomings, &si->link);
        sl->ls.fn(sl->ls.arg, &si->in);
    }
    listener_io_end(&sl->ls);
}

enum err sim_listener_listen(struct listener *ls, const struct addr *at, unsigned mode)
{
    struct sim_listener *sl = of(ls);
    struct sim_loop *l = (struct sim_loop *)ls->loop;
    struct sim_machine *m = l->host->machine;

    (void)mode;
    if (l->host->dead || at->family == ADDR_IP6)
        return ERR_IO;
    if (at->family == ADDR_IP4 && !addr_is_any(at) && !addr_is_loopback(at) &&
        !span_eq(addr_host(at), addr_host(&m->ip)))
        return ERR_NOT_FOUND;
    if (at->family == ADDR_IP4 && at->port == 0) {
        do
            ls->addr.port = sim_machine_new_port(m);
        while (sim_listener_find(m, &ls->addr));
    } else if (sim_listener_find(m, at)) {
        return ERR_EXISTS;
    }
    sl->host = l->host;
    sl->ready.fire = accept_all;
    link_init(&sl->ready.link);
    link_init(&sl->backlog);
    link_push_back(&m->listeners, &sl->on_machine);
    return ERR_OK;
}

void sim_listener_arrival(struct sim_listener *sl, struct sim_end *end, const struct addr *peer)
{
    struct sim_incoming *si = MEM_NEW(struct sim_incoming);

    si->in.ops = sl->ls.loop->ops;
    si->in.peer = *peer;
    si->in.local = end->addr;
    si->end = end;
    end->incoming = si;
    link_push_back(&sl->backlog, &si->link);
    sl->n_backlog++;
    sim_loop_mark_ready((struct sim_loop *)sl->ls.loop, &sl->ready);
}

void sim_listener_detach(struct sim_listener *sl)
{
    link_remove(&sl->on_machine);
    link_remove(&sl->ready.link);
}

void sim_listener_unlisten(struct listener *ls)
{
    struct sim_listener *sl = of(ls);

    sim_listener_detach(sl);
    while (!link_is_alone(&sl->backlog))
        sim_listener_refuse(&CONTAINER_OF(sl->backlog.next, struct sim_incoming, link)->in);
}

void sim_listener_refuse(struct incoming *in)
{
    struct sim_incoming *si = (struct sim_incoming *)in;

    link_remove(&si->link);
    if (si->end)
        sim_conn_close(si->end, SIM_CLOSE_FIN);
    mem_free(si);
}
