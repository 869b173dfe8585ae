/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel: its life, its view, and the top of its stack (Tomcat: GroupChannel). Started and stopped on
 * the main loop in Tomcat's order; messages are sent from any thread and handed up on the thread that they
 * came on.
 */
#include "parts.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/notice.h"
#include "clusterd/wire/options.h"

#include <stdio.h>

#define HEARTBEAT_MS  5000 /* GroupChannel.heartbeatSleeptime */
#define LEAVE_MS      50 /* connections close this long after BABY-ALEX: nobody shall think that we have died */
#define STOP_POLL_MS  10
#define ADDRESSES_MAX 64

/* The view. */

static void replace_view(struct channel *c, struct member *const *members, size_t n)
{
    struct view *fresh = view_new(c->view->serial + 1, members, n);

    lock_take(&c->view_lock);
    struct view *old = c->view;
    c->view = fresh;
    atomic_store(&c->view_serial, fresh->serial);
    lock_drop(&c->view_lock);
    view_unref(old);
}

struct view *channel_view(struct channel *c)
{
    lock_take(&c->view_lock);
    struct view *v = view_ref(c->view);
    lock_drop(&c->view_lock);
    return v;
}

static bool in_view(const struct channel *c, const struct member *m)
{
    for (size_t i = 0; i < c->view->n; i++)
        if (c->view->members[i] == m)
            return true;
    return false;
}

void channel_top_added(struct channel *c, struct member *m)
{
    size_t n = c->view->n;

    if (c->stopping || in_view(c, m))
        return;
    struct member **members = mem_array(n + 1, sizeof(struct member *));
    memcpy(members, c->view->members, n * sizeof(struct member *));
    members[n] = m;
    replace_view(c, members, n + 1);
    mem_free(members);
    if (c->start_options & START_SND_TX)
        transmitter_add(c->transmitter, m);
    metric_inc(c->metrics, members_added);
    c->ev->on_added(c->arg, m);
}

void channel_top_disappeared(struct channel *c, struct member *m, bool shutdown)
{
    size_t n = 0;

    if (c->stopping || !in_view(c, m))
        return;
    struct member **members = mem_array(c->view->n, sizeof(struct member *));
    for (size_t i = 0; i < c->view->n; i++)
        if (c->view->members[i] != m)
            members[n++] = c->view->members[i];
    view_member_ref(m); /* the old view's reference may be the last one */
    replace_view(c, members, n);
    mem_free(members);
    if (c->start_options & START_SND_TX)
        transmitter_remove(c->transmitter, m);
    metric_inc(c->metrics, members_disappeared);
    c->ev->on_disappeared(c->arg, m, shutdown);
    view_member_unref(m);
}

void channel_resort(struct channel *c)
{
    struct view *v = channel_view(c);

    if (!c->stopping)
        replace_view(c, v->members, v->n);
    view_unref(v);
}

/* The top of the stack. */

/* What interceptors of others say to their like is never for an application, whether or not we run them. */
enum err channel_top_recv(struct channel *c, const struct received *m)
{
    if (notice_classify(m->payload) != NOTICE_NONE) {
        metric_inc(c->metrics, messages_swallowed);
        return ERR_OK;
    }
    return c->ev->on_message(c->arg, m);
}

struct own *channel_own(struct channel *c, const struct loop *loop)
{
    size_t i = 0;

    while (i < c->n_own && c->own[i].loop != loop)
        i++;
    ASSERT(i < c->n_own);
    return &c->own[i];
}

/* Ids must differ, nothing else is asked of them (Tomcat draws them from java.util.Random): a loop counts on
 * behind random bytes of its own. */
void channel_stamp(struct channel *c, struct loop *loop, struct message *m)
{
    struct own *own = channel_own(c, loop);
    uint8_t count[8];

    be_put_u64(count, ++own->n_stamped);
    m->timestamp = loop_wall_ms(loop);
    m->id = own->id;
    memcpy(m->id.b + IDENT_LEN - 7, count + 1, 7);
}

void channel_send(struct channel *c, struct message *m, const struct targets *targets)
{
    if (targets->n == 0)
        return;
    if (m->delivery)
        delivery_expect(m->delivery, (int)targets->n);
    if (atomic_load(&c->open)) {
        stage_send_top(c, m, targets);
        return;
    }
    metric_add(c->metrics, messages_failed, targets->n);
    for (size_t i = 0; i < targets->n; i++)
        delivery_result(m->delivery, DELIVERY_FAILED);
}

void channel_send_stranger(struct channel *c, struct message *m, const struct member_rec *to)
{
    if (!atomic_load(&c->open))
        return;
    struct member *member = view_member_new(to);
    m->to_stranger = true;
    m->delivery = NULL;
    stage_send_top(c, m, &(struct targets){1, &member});
    view_member_unref(member);
}

struct blob *channel_encode(struct channel *c, const struct message *m)
{
    struct channel_data cd = {.options = m->options,
                              .timestamp_ms = m->timestamp,
                              .unique_id = span_of(m->id.b, sizeof m->id.b),
                              .source_raw = buf_span(&c->local_raw),
                              .message = m->payload};
    size_t size = channel_data_size(&cd);

    if (size == 0)
        return NULL;
    struct blob *frame = blob_alloc(size);
    struct buf whole = {.p = frame->p, .cap = size};
    enum err e = channel_data_encode(&whole, &cd);
    ASSERT(e == ERR_OK && whole.n == size && whole.p == frame->p);
    return frame;
}

/* Start. */

static void started(void *arg)
{
    struct channel *c = arg;

    if (!c->stopping && c->on_started)
        c->on_started(c->started_arg);
}

static void announced(void *arg)
{
    struct channel *c = arg;
    struct diag d = {0};

    if (!(c->start_options & START_MBR_TX)) {
        started(c);
    } else if (mcast_start_tx(c->mcast, &c->local, started, c, &d) != ERR_OK) {
        log_error("Membership: this node cannot announce itself: %s", buf_cstr(&d.text));
        started(c);
    }
    diag_fini(&d);
}

static enum err start_membership(struct channel *c, struct diag *d)
{
    if (c->start_options & START_MBR_RX)
        return mcast_start_rx(c->mcast, &c->local, announced, c, d);
    if (c->start_options & START_MBR_TX)
        return mcast_start_tx(c->mcast, &c->local, started, c, d);
    timer_start(&c->later_timer, 0);
    return ERR_OK;
}

/* Nothing listens; what is announced is where it would. */
static enum err address_without_receiver(struct channel *c, struct addr *out, struct diag *d)
{
    struct host_address found[ADDRESSES_MAX];
    const struct receiver_conf *conf = c->receiver_conf;
    size_t n = host_addresses(c->host, found, ADDRESSES_MAX);

    if (conf->address && addr_parse(conf->address, (uint16_t)conf->port, out) == ERR_OK &&
        !addr_is_any(out)) {
        out->port = (uint16_t)conf->port;
        return ERR_OK;
    }
    for (int loopback = 0; loopback < 2; loopback++) {
        for (size_t i = 0; i < n; i++) {
            if (!found[i].up || found[i].loopback != (bool)loopback)
                continue;
            *out = found[i].addr;
            out->port = (uint16_t)conf->port;
            return ERR_OK;
        }
    }
    return diag_error(d, NULL, 0, "no network interface is up");
}

static enum err start_receiver(struct channel *c, struct addr *at, struct diag *d)
{
    if (!(c->start_options & START_SND_RX))
        return address_without_receiver(c, at, d);
    TRY(receiver_start(c->host, c->receiver_conf, &coordinator_receiver_events, c, c->metrics, d,
                       &c->receiver));
    *at = *receiver_addr(c->receiver);
    transmitter_set_source(c->transmitter, at);
    return ERR_OK;
}

static enum err make_local(struct channel *c, const struct addr *at, struct diag *d)
{
    struct span host = addr_host(at);

    c->local.port = at->port;
    c->local.secure_port = c->local.udp_port = -1;
    c->local.host_len = (uint8_t)host.n;
    memcpy(c->local.host, host.p, host.n);
    c->local.domain = mcast_domain(c->mcast);
    c->local.payload = buf_span(&c->payload);
    member_name(&c->local, c->local_name);
    /* As with Tomcat, `alive` is not fresh in the source field of messages: it is made once. */
    if (member_encode(&c->local_raw, &c->local) != ERR_OK)
        return diag_error(d, NULL, 0, "member payload of %zu bytes is too long", c->payload.n);
    return ERR_OK;
}

enum err channel_start(struct channel *c, void (*on_started)(void *arg), void *arg, struct diag *d)
{
    struct addr at;

    c->on_started = on_started;
    c->started_arg = arg;
    c->started_ms = loop_mono_ms(c->main);
    c->transmitter = transmitter_new(c->host, c->sender_conf, &coordinator_transmitter_events, c, c->metrics);
    TRY(start_receiver(c, &at, d));
    TRY(make_local(c, &at, d));
    TRY(stage_start_all(c, d));
    atomic_store(&c->open, true);
    timer_start(&c->heartbeat_timer, HEARTBEAT_MS);
    return start_membership(c, d);
}

/* Stop. */

static void stop_done(void *arg)
{
    struct channel *c = arg;

    timer_start(&c->later_timer, 0);
}

static void stop_receiver(void *arg)
{
    struct channel *c = arg;

    if (c->receiver)
        receiver_stop(c->receiver, stop_done, c);
    else
        stop_done(c);
}

static void stop_sender(struct channel *c)
{
    if (c->transmitter)
        transmitter_stop(c->transmitter, c->linger_ms, stop_receiver, c);
    else
        stop_receiver(c);
}

static void on_heartbeat(struct timer *t, void *arg)
{
    struct channel *c = arg;

    if (c->stopping) {
        stop_sender(c);
        return;
    }
    timer_start(t, HEARTBEAT_MS);
    stage_heartbeat_all(c);
    transmitter_heartbeat(c->transmitter);
    c->ev->on_heartbeat(c->arg);
}

void channel_stop(struct channel *c, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg)
{
    ASSERT(!c->stopping);
    c->stopping = true;
    c->on_stopped = on_stopped;
    c->stopped_arg = arg;
    c->linger_ms = linger_ms;
    timer_stop(&c->later_timer);
    mcast_stop(c->mcast);
    timer_start(&c->heartbeat_timer, LEAVE_MS);
}

/* Errands of ours may still lie in the main loop's queue; they must find the channel. */
static void on_later(struct timer *t, void *arg)
{
    struct channel *c = arg;

    if (!c->stopping) {
        started(c);
    } else if (atomic_load(&c->n_posted) > 0) {
        timer_start(t, STOP_POLL_MS);
    } else {
        atomic_store(&c->open, false);
        stage_stop_all(c);
        if (c->on_stopped)
            c->on_stopped(c->stopped_arg);
    }
}

/* Life. */

static void make_own(struct channel *c)
{
    unsigned n = host_n_workers(c->host);

    c->n_own = n + 1;
    c->own = mem_array(c->n_own, sizeof *c->own);
    for (unsigned i = 0; i <= n; i++) {
        struct own *own = &c->own[i];
        own->loop = i < n ? host_worker(c->host, i) : c->main;
        own->view = view_ref(c->view);
        loop_random(c->main, own->id.b, sizeof own->id.b);
        ident_make_v4(&own->id);
    }
}

enum err channel_new(struct host *h, const struct channel_conf *conf, const struct channel_events *ev,
                     void *arg, struct metrics *metrics, struct diag *d, struct channel **out)
{
    struct channel *c = MEM_NEW(struct channel);

    c->host = h;
    c->main = host_main(h);
    c->ev = ev;
    c->arg = arg;
    c->metrics = metrics;
    c->start_options = conf->start_options;
    c->receiver_conf = conf->receiver;
    c->sender_conf = conf->sender;
    lock_init(&c->view_lock);
    c->view = view_new(0, NULL, 0);
    make_own(c);
    wr_span(&c->payload, conf->payload);
    loop_random(c->main, c->local.id.b, sizeof c->local.id.b);
    ident_make_v4(&c->local.id);
    timer_init(&c->heartbeat_timer, c->main, on_heartbeat, c);
    timer_init(&c->later_timer, c->main, on_later, c);
    stage_build(c, conf->interceptors, conf->n_interceptors);
    enum err e = mcast_new(h, conf->membership, &coordinator_mcast_events, c, metrics, d, &c->mcast);
    if (e != ERR_OK) {
        channel_free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    mcast_free(c->mcast);
    if (c->transmitter)
        transmitter_free(c->transmitter);
    if (c->receiver)
        receiver_free(c->receiver);
    stage_stop_all(c);
    stage_free_all(c);
    timer_fini(&c->heartbeat_timer);
    timer_fini(&c->later_timer);
    for (size_t i = 0; i < c->n_own; i++)
        view_unref(c->own[i].view);
    mem_free(c->own);
    view_unref(c->view);
    lock_fini(&c->view_lock);
    buf_fini(&c->local_raw);
    buf_fini(&c->payload);
    mem_free(c);
}

const struct member_rec *channel_local(const struct channel *c)
{
    return &c->local;
}

const char *channel_local_name(const struct channel *c)
{
    return c->local_name;
}

struct metrics *channel_metrics(const struct channel *c)
{
    return c->metrics;
}

struct host *channel_host(const struct channel *c)
{
    return c->host;
}

void channel_beat(struct channel *c)
{
    mcast_beat(c->mcast);
}

struct transmitter *channel_transmitter(struct channel *c)
{
    return c->transmitter;
}

struct mcast *channel_mcast(struct channel *c)
{
    return c->mcast;
}
