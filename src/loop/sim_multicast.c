/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast groups of the simulated network: each member of a group gets its own copy of a datagram, which
 * may be lost, doubled, late or overtaken. A paused process has a socket buffer of bounded size.
 */
#include "sim_impl.h"

#include <stdio.h>

#define DATAGRAM_MAX 65507
#define QUEUE_MAX    256 /* datagrams in a socket's buffer */

struct sim_datagram {
    struct sim_event event;
    struct link link;
    struct sim_multicast *to;
    const struct sim_machine *from_machine;
    struct addr from;
    struct blob *bytes;
};

static struct sim_multicast *of(struct multicast *m)
{
    return (struct sim_multicast *)m;
}

static void free_datagram(struct sim_datagram *d)
{
    link_remove(&d->link);
    blob_unref(d->bytes);
    mem_free(d);
}

static void receive_all(struct sim_ready *r)
{
    struct sim_multicast *sm = CONTAINER_OF(r, struct sim_multicast, ready);

    multicast_io_begin(&sm->m);
    while (!sm->m.closed && !link_is_alone(&sm->queue)) {
        struct sim_datagram *d = CONTAINER_OF(sm->queue.next, struct sim_datagram, link);
        struct blob *bytes = blob_ref(d->bytes);
        struct addr from = d->from;

        sm->n_queue--;
        free_datagram(d);
        sm->m.on_packet(sm->m.arg, blob_span(bytes), &from);
        blob_unref(bytes);
    }
    multicast_io_end(&sm->m);
}

static void datagram_fire(struct sim_event *e)
{
    struct sim_datagram *d = CONTAINER_OF(e, struct sim_datagram, event);
    struct sim_multicast *to = d->to;

    if (!sim_machine_reaches(d->from_machine, to->host->machine) || to->n_queue >= QUEUE_MAX) {
        free_datagram(d);
        return;
    }
    link_remove(&d->link);
    link_push_back(&to->queue, &d->link);
    to->n_queue++;
    sim_loop_mark_ready((struct sim_loop *)to->m.loop, &to->ready);
}

enum err sim_multicast_open(struct multicast *m, struct diag *d)
{
    struct sim_multicast *sm = of(m);
    struct sim_host *sh = ((struct sim_loop *)m->loop)->host;
    const struct addr *bind = &m->options.bind;
    char text[ADDR_TEXT_MAX];

    if (sh->dead)
        return diag_error(d, NULL, 0, "multicast: this host is dead");
    if (bind->family == ADDR_IP4 && !addr_is_any(bind) && !addr_is_loopback(bind) &&
        !span_eq(addr_host(bind), addr_host(&sh->machine->ip)))
        return diag_error(d, NULL, 0, "multicast: no interface of this machine has the bind address %s",
                          addr_host_text(bind, text));
    sm->host = sh;
    sm->ready.fire = receive_all;
    link_init(&sm->ready.link);
    link_init(&sm->inbound);
    link_init(&sm->queue);
    link_push_back(&sh->sim->groups, &sm->in_world);
    return ERR_OK;
}

static void launch(struct sim_multicast *from, struct sim_multicast *to, struct blob *bytes)
{
    struct sim *s = from->host->sim;
    struct sim_datagram *d = MEM_NEW(struct sim_datagram);

    d->event.fire = datagram_fire;
    d->to = to;
    d->from_machine = from->host->machine;
    d->from = from->host->machine->ip;
    if (addr_is_loopback(&from->m.options.bind))
        d->from = from->m.options.bind;
    d->from.port = from->m.options.group.port;
    d->bytes = blob_ref(bytes);
    link_push_back(&to->inbound, &d->link);
    sim_schedule(s, &d->event, s->now_us + sim_machine_delay_us(d->from_machine, to->host->machine));
}

static bool hears(const struct sim_multicast *from, const struct sim_multicast *to)
{
    bool same = from->host->machine == to->host->machine;

    if (!addr_eq(&from->m.options.group, &to->m.options.group))
        return false;
    if (same)
        return !from->m.options.loopback_disabled;
    return !addr_is_loopback(&from->m.options.bind) && !addr_is_loopback(&to->m.options.bind) &&
           sim_machine_reaches(from->host->machine, to->host->machine);
}

enum err sim_multicast_send(struct multicast *m, struct span packet)
{
    struct sim_multicast *sm = of(m);
    struct blob *bytes;

    if (packet.n > DATAGRAM_MAX) {
        snprintf(m->error, sizeof m->error, "Message too long");
        return ERR_TOO_BIG;
    }
    if (!sm->host)
        return ERR_OK;
    struct sim *s = sm->host->sim;
    bytes = blob_new(packet);
    LINK_EACH(at, &s->groups)
    {
        struct sim_multicast *to = CONTAINER_OF(at, struct sim_multicast, in_world);
        if (!hears(sm, to))
            continue;
        bool local = to->host->machine == sm->host->machine;
        if (!local && sim_net_below(s, 100) < s->net.datagram_loss_percent)
            continue;
        launch(sm, to, bytes);
        if (!local && sim_net_below(s, 100) < s->net.datagram_dup_percent)
            launch(sm, to, bytes);
    }
    blob_unref(bytes);
    return ERR_OK;
}

static void drop_datagrams(struct sim *s, struct link *list)
{
    while (!link_is_alone(list)) {
        struct sim_datagram *d = CONTAINER_OF(list->next, struct sim_datagram, link);
        sim_cancel(s, &d->event);
        free_datagram(d);
    }
}

void sim_multicast_detach(struct sim_multicast *sm)
{
    if (!sm->host)
        return;
    link_remove(&sm->in_world);
    link_remove(&sm->ready.link);
    drop_datagrams(sm->host->sim, &sm->inbound);
    drop_datagrams(sm->host->sim, &sm->queue);
    sm->n_queue = 0;
    sm->host = NULL;
}

void sim_multicast_close(struct multicast *m)
{
    sim_multicast_detach(of(m));
}
