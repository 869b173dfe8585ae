/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group sockets of both kinds: the common object; the kind joins and sends (real_multicast.c,
 * sim_multicast.c). One loop, own thread.
 */
#include "loop_impl.h"

/* What is wrong whatever the machine looks like. */
static fallible check(const struct multicast_options *o, struct diag *d)
{
    char text[ADDR_TEXT_MAX];

    if (!addr_is_multicast(&o->group))
        return diag_error(d, NULL, 0,
                          "multicast: %s is not a group address (use 224.0.0.0 to 239.255.255.255, such as "
                          "228.0.0.4)",
                          addr_host_text(&o->group, text));
    if (o->ttl > 255)
        return diag_error(d, NULL, 0, "multicast: a TTL of %d is not possible (0 to 255)", o->ttl);
    if (o->bind.family != ADDR_NONE && o->bind.family != o->group.family)
        return diag_error(d, NULL, 0,
                          "multicast: the group and the bind address %s are of different families",
                          addr_host_text(&o->bind, text));
    return ERR_OK;
}

fallible multicast_open(struct loop *l, const struct multicast_options *o, multicast_fn on_packet,
                        multicast_error_fn on_error, void *arg, struct diag *d, struct multicast **out)
{
    struct multicast *m;

    ASSERT(loop_is_current(l));
    TRY(check(o, d));
    m = mem_zalloc(l->ops->multicast_size);
    m->loop = l;
    m->options = *o;
    m->on_packet = on_packet;
    m->on_error = on_error;
    m->arg = arg;
    enum err e = l->ops->mc_open(m, d);
    if (e) {
        mem_free(m);
        return e;
    }
    link_push_back(&l->multicasts, &m->all);
    *out = m;
    return ERR_OK;
}

fallible multicast_send(struct multicast *m, struct span packet)
{
    ASSERT(loop_is_current(m->loop));
    return m->loop->ops->mc_send(m, packet);
}

const char *multicast_error_text(const struct multicast *m)
{
    return m->error;
}

void multicast_close(struct multicast *m)
{
    ASSERT(loop_is_current(m->loop));
    link_remove(&m->all);
    m->loop->ops->mc_close(m);
    m->closed = true;
    if (!m->busy)
        mem_free(m);
}

void multicast_io_begin(struct multicast *m)
{
    m->busy = true;
}

void multicast_io_end(struct multicast *m)
{
    m->busy = false;
    if (m->closed)
        mem_free(m);
}
