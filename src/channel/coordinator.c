/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottom of the stack (Tomcat: ChannelCoordinator): messages become frames for the sender or for the
 * group, frames of the receiver and of the group become messages, members go up. Sending on any thread; what
 * only the main loop may do is handed to it as an errand.
 */
#include "parts.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/notice.h"
#include "clusterd/wire/options.h"

#define STRANGER_CONNECT_MS 3000

/* Something for the main loop to do. */
struct errand {
    struct task task;
    struct channel *channel;
    struct blob *frame;
    struct addr to;
    struct ident source;
    struct delivery *delivery;
    size_t n_results; /* that the delivery expects */
};

static void post(struct channel *c, struct errand *e, task_fn run)
{
    e->channel = c;
    e->task.run = run;
    atomic_fetch_add(&c->n_posted, 1);
    loop_post(c->main, &e->task);
}

static void errand_free(struct errand *e)
{
    atomic_fetch_sub(&e->channel->n_posted, 1);
    blob_unref(e->frame);
    mem_free(e);
}

static void give_results(struct delivery *d, size_t n, enum delivery_result r)
{
    for (size_t i = 0; i < n; i++)
        delivery_result(d, r);
}

static void give_up(struct channel *c, const struct message *m, size_t n)
{
    metric_add(c->metrics, messages_failed, n);
    give_results(m->delivery, n, DELIVERY_FAILED);
}

/* Sending. */

static void run_broadcast(struct task *t, bool cancelled)
{
    struct errand *e = CONTAINER_OF(t, struct errand, task);
    struct channel *c = e->channel;
    bool sent = !cancelled && !c->stopping && mcast_broadcast(c->mcast, blob_span(e->frame)) == ERR_OK;

    metric_add(c->metrics, messages_sent, sent ? e->n_results : 0);
    metric_add(c->metrics, messages_failed, sent ? 0 : e->n_results);
    give_results(e->delivery, e->n_results, sent ? DELIVERY_ACKED : DELIVERY_FAILED);
    errand_free(e);
}

static void stranger_done(void *arg, enum err result)
{
    struct errand *e = arg;
    struct channel *c = e->channel;
    char text[ADDR_TEXT_MAX];

    if (result == ERR_OK)
        metric_inc(c->metrics, messages_sent);
    else
        metric_inc(c->metrics, messages_failed);
    if (result != ERR_OK && result != ERR_CANCELLED)
        log_debug("a message to %s, which is not in the view, was not sent: %s", addr_text(&e->to, text),
                  err_text(result));
    atomic_fetch_sub(&c->n_strangers, 1);
    errand_free(e);
}

static void run_stranger(struct task *t, bool cancelled)
{
    struct errand *e = CONTAINER_OF(t, struct errand, task);

    if (cancelled || e->channel->stopping)
        stranger_done(e, ERR_CANCELLED);
    else
        transmitter_probe(e->channel->transmitter, &e->to, STRANGER_CONNECT_MS, e->frame, 0, stranger_done,
                          e);
}

static void send_stranger(struct channel *c, const struct message *m, const struct member *to,
                          struct blob *frame)
{
    uint64_t now_ms = loop_mono_ms_now(c->main);
    unsigned left_out;

    if (atomic_fetch_add(&c->n_strangers, 1) >= CHANNEL_STRANGERS_MAX) {
        atomic_fetch_sub(&c->n_strangers, 1);
        give_up(c, m, 1);
        if (log_limit_pass(&c->strangers_limit, now_ms, LOG_LIMIT_MS, &left_out))
            log_warn(
                "too many messages to nodes that are not in the view; one to %s was dropped, and %u others "
                "since the last such line",
                to->name, left_out);
        return;
    }
    struct errand *e = MEM_NEW(struct errand);
    e->frame = blob_ref(frame);
    e->to = to->addr;
    post(c, e, run_stranger);
}

static void send_group(struct channel *c, const struct message *m, size_t n, struct blob *frame)
{
    struct errand *e = MEM_NEW(struct errand);

    e->frame = blob_ref(frame);
    e->delivery = m->delivery;
    e->n_results = n;
    post(c, e, run_broadcast);
}

static void send_members(struct channel *c, const struct message *m, const struct targets *targets,
                         struct blob *frame)
{
    struct transmitter_item item = {
        .frame = frame, .options = m->options, .flow = m->flow, .delivery = m->delivery};

    for (size_t i = 0; i < targets->n; i++)
        transmitter_send(c->transmitter, targets->members[i], &item);
}

void coordinator_send(struct channel *c, struct message *m, const struct targets *targets)
{
    bool group = m->options & SEND_MULTICAST;

    if (!(c->start_options & START_SND_TX)) {
        give_up(c, m, targets->n);
        return;
    }
    struct blob *frame = channel_encode(c, m);
    if (!frame || (group && frame->n > MCAST_PACKET_MAX)) {
        log_limited(loop_mono_ms_now(c->main), LOG_WARN, "a message of %zu bytes is too long to be sent%s",
                    m->payload.n, group ? " to the group" : "");
        give_up(c, m, targets->n);
    } else if (m->to_stranger) {
        send_stranger(c, m, targets->members[0], frame);
    } else if (group) {
        send_group(c, m, targets->n, frame);
    } else {
        send_members(c, m, targets, frame);
    }
    blob_unref(frame);
}

/* Receiving. */

static struct view *view_here(struct channel *c, const struct loop *loop)
{
    struct own *own = channel_own(c, loop);

    if (own->view->serial != atomic_load_explicit(&c->view_serial, memory_order_acquire)) {
        view_unref(own->view);
        own->view = channel_view(c);
    }
    return own->view;
}

static enum err on_message(void *arg, struct loop *loop, const struct channel_data *cd)
{
    struct channel *c = arg;
    struct received m = {.loop = loop,
                         .options = cd->options,
                         .timestamp = cd->timestamp_ms,
                         .source_rec = &cd->source,
                         .payload = cd->message};

    if (!atomic_load(&c->open))
        return ERR_CLOSED;
    if (member_same(&cd->source, &c->local)) /* our own group datagram, or somebody who lies */
        return ERR_OK;
    if (cd->unique_id.n)
        memcpy(m.id.b, cd->unique_id.p, cd->unique_id.n < IDENT_LEN ? cd->unique_id.n : IDENT_LEN);
    m.source = view_find(view_here(c, loop), &cd->source);
    if (!m.source)
        metric_inc(c->metrics, messages_unknown_source);
    return stage_recv_bottom(c, &m);
}

static bool is_member_host(void *arg, const struct addr *peer)
{
    struct view *v = channel_view(arg);
    bool is = view_has_host(v, peer);

    view_unref(v);
    return is;
}

/* Tomcats close idle connections too; whether this one meant more is for the stack to find out. */
static void run_peer_closed(struct task *t, bool cancelled)
{
    struct errand *e = CONTAINER_OF(t, struct errand, task);
    struct channel *c = e->channel;
    struct member *m = cancelled || c->stopping ? NULL : view_find_id(c->view, &e->source);

    if (m) {
        view_member_ref(m);
        stage_trouble_bottom(c, m, ERR_CLOSED);
        view_member_unref(m);
    }
    errand_free(e);
}

static void on_peer_closed(void *arg, const struct ident *source)
{
    struct errand *e = MEM_NEW(struct errand);

    e->source = *source;
    post(arg, e, run_peer_closed);
}

static bool is_probe(void *arg, const struct channel_data *cd)
{
    (void)arg;
    return notice_classify(cd->message) == NOTICE_PROBE;
}

const struct receiver_events coordinator_receiver_events = {.on_message = on_message,
                                                            .is_member_host = is_member_host,
                                                            .on_peer_closed = on_peer_closed,
                                                            .is_probe = is_probe};

/* The sender's news. */

static void on_trouble(void *arg, struct member *m, enum err why)
{
    struct channel *c = arg;

    if (!c->stopping)
        stage_trouble_bottom(c, m, why);
}

static void on_caught_up(void *arg, struct member *m, bool lost)
{
    struct channel *c = arg;

    if (!c->stopping)
        c->ev->on_caught_up(c->arg, m, lost);
}

const struct transmitter_events coordinator_transmitter_events = {.on_trouble = on_trouble,
                                                                  .on_caught_up = on_caught_up};

/* Membership. */

static void on_added(void *arg, struct member *m)
{
    stage_added_bottom(arg, m);
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    stage_disappeared_bottom(arg, m, shutdown);
}

static void on_reordered(void *arg)
{
    channel_resort(arg);
}

/* A datagram with whole frames, one after the other; never acknowledged. */
static void on_frames(void *arg, struct span packet, const struct addr *from)
{
    struct channel *c = arg;
    const char *wrong = NULL;
    char text[ADDR_TEXT_MAX];
    unsigned left_out;

    while (packet.n > 0 && !wrong) {
        struct frame_view frame;
        struct channel_data cd;
        enum err e = frame_scan(packet, MCAST_PACKET_MAX, &frame);
        if (e != ERR_OK) {
            wrong = frame.field ? frame.field : "incomplete frame";
            break;
        }
        struct rd in = rd_of(frame.body);
        if (channel_data_decode(&in, &cd) == ERR_OK) {
            metric_inc(c->metrics, messages_received);
            (void)on_message(c, c->main, &cd); /* nobody waits for a verdict */
        } else {
            wrong = in.field;
        }
        packet = span_of(packet.p + frame.total, packet.n - frame.total);
    }
    if (!wrong)
        return;
    metric_inc(c->metrics, datagrams_bad);
    if (log_limit_pass(&c->frames_limit, loop_mono_ms(c->main), LOG_LIMIT_MS, &left_out))
        log_warn(
            "a group datagram of %s with a malformed message (%s) was ignored, and %u others since the last "
            "such line",
            addr_text(from, text), wrong, left_out);
}

static int64_t alive_ms(void *arg)
{
    struct channel *c = arg;

    return c->ev->alive_ms ? c->ev->alive_ms(c->arg) : (int64_t)(loop_mono_ms(c->main) - c->started_ms);
}

const struct mcast_events coordinator_mcast_events = {.on_added = on_added,
                                                      .on_disappeared = on_disappeared,
                                                      .on_reordered = on_reordered,
                                                      .on_frames = on_frames,
                                                      .alive_ms = alive_ms};
