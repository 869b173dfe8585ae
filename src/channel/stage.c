/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of interceptors between the channel's top and its bottom (Tomcat: ChannelInterceptorBase's next
 * and previous). Built once; messages run through it on any thread, members and heartbeats on the main loop.
 */
#include "interceptor/all.h"
#include "parts.h"

#include "clusterd/util/mem.h"

static void build_one(struct channel *c, struct stage *st, const struct interceptor_spec *spec)
{
    st->channel = c;
    st->ops = spec->ops;
    st->conf = spec->conf;
    if (!st->conf && st->ops->conf_size) {
        st->conf = mem_zalloc(st->ops->conf_size);
        st->own_conf = true;
        option_defaults(st->ops->options, st->conf);
    }
    st->state = st->ops->state_size ? mem_zalloc(st->ops->state_size) : NULL;
}

void stage_build(struct channel *c, const struct interceptor_spec *specs, size_t n)
{
    static const struct interceptor_spec defaults[] = {{.ops = &interceptor_message_dispatch},
                                                       {.ops = &interceptor_tcp_failure_detector}};

    if (n == 0) {
        specs = defaults;
        n = sizeof defaults / sizeof *defaults;
    }
    c->stages = mem_array(n, sizeof *c->stages);
    c->n_stages = n;
    for (size_t i = 0; i < n; i++) {
        build_one(c, &c->stages[i], &specs[i]);
        c->stages[i].up = i > 0 ? &c->stages[i - 1] : NULL;
        c->stages[i].down = i + 1 < n ? &c->stages[i + 1] : NULL;
    }
}

enum err stage_start_all(struct channel *c, struct diag *d)
{
    for (size_t i = c->n_stages; i-- > 0;) {
        struct stage *st = &c->stages[i];
        if (st->ops->start)
            TRY(st->ops->start(st, d));
        st->started = true;
    }
    return ERR_OK;
}

void stage_stop_all(struct channel *c)
{
    for (size_t i = 0; i < c->n_stages; i++) {
        struct stage *st = &c->stages[i];
        if (st->started && st->ops->stop)
            st->ops->stop(st);
        st->started = false;
    }
}

void stage_free_all(struct channel *c)
{
    for (size_t i = 0; i < c->n_stages; i++) {
        struct stage *st = &c->stages[i];
        if (st->own_conf) {
            option_free(st->ops->options, st->conf);
            mem_free(st->conf);
        }
        mem_free(st->state);
    }
    mem_free(c->stages);
    c->stages = NULL;
    c->n_stages = 0;
}

void stage_heartbeat_all(struct channel *c)
{
    for (size_t i = 0; i < c->n_stages; i++)
        if (c->stages[i].ops->on_heartbeat)
            c->stages[i].ops->on_heartbeat(&c->stages[i]);
}

void *stage_state(struct stage *st)
{
    return st->state;
}

void *stage_conf(struct stage *st)
{
    return st->conf;
}

struct channel *stage_channel(struct stage *st)
{
    return st->channel;
}

/* Each of these walks past the stages that do not care, to the next that does or to the end. */

static void send_at(struct channel *c, struct stage *st, struct message *m, const struct targets *targets)
{
    while (st && !st->ops->send)
        st = st->down;
    if (st)
        st->ops->send(st, m, targets);
    else
        coordinator_send(c, m, targets);
}

static enum err recv_at(struct channel *c, struct stage *st, const struct received *m)
{
    while (st && !st->ops->recv)
        st = st->up;
    return st ? st->ops->recv(st, m) : channel_top_recv(c, m);
}

static void added_at(struct channel *c, struct stage *st, struct member *m)
{
    while (st && !st->ops->on_added)
        st = st->up;
    if (st)
        st->ops->on_added(st, m);
    else
        channel_top_added(c, m);
}

static void disappeared_at(struct channel *c, struct stage *st, struct member *m, bool shutdown)
{
    while (st && !st->ops->on_disappeared)
        st = st->up;
    if (st)
        st->ops->on_disappeared(st, m, shutdown);
    else
        channel_top_disappeared(c, m, shutdown);
}

/* Trouble that no stage looks into has no consequence: the membership service will tell. */
static void trouble_at(struct stage *st, struct member *m, enum err why)
{
    while (st && !st->ops->on_trouble)
        st = st->up;
    if (st)
        st->ops->on_trouble(st, m, why);
}

void stage_send_on(struct stage *st, struct message *m, const struct targets *targets)
{
    send_at(st->channel, st->down, m, targets);
}

enum err stage_recv_on(struct stage *st, const struct received *m)
{
    return recv_at(st->channel, st->up, m);
}

void stage_added_on(struct stage *st, struct member *m)
{
    added_at(st->channel, st->up, m);
}

void stage_disappeared_on(struct stage *st, struct member *m, bool shutdown)
{
    disappeared_at(st->channel, st->up, m, shutdown);
}

void stage_trouble_on(struct stage *st, struct member *m, enum err why)
{
    trouble_at(st->up, m, why);
}

static struct stage *bottom(struct channel *c)
{
    return c->n_stages ? &c->stages[c->n_stages - 1] : NULL;
}

void stage_send_top(struct channel *c, struct message *m, const struct targets *targets)
{
    send_at(c, c->n_stages ? &c->stages[0] : NULL, m, targets);
}

enum err stage_recv_bottom(struct channel *c, const struct received *m)
{
    return recv_at(c, bottom(c), m);
}

void stage_added_bottom(struct channel *c, struct member *m)
{
    added_at(c, bottom(c), m);
}

void stage_disappeared_bottom(struct channel *c, struct member *m, bool shutdown)
{
    disappeared_at(c, bottom(c), m, shutdown);
}

void stage_trouble_bottom(struct channel *c, struct member *m, enum err why)
{
    trouble_at(bottom(c), m, why);
}
