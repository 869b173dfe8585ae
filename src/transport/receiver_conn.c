/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One accepted connection (Tomcat: NioReplicationTask with its ObjectReader): bytes to frames to messages,
 * and their ACKs, in order, on the worker that owns it. With USE_ACK alone the ACK is queued before the
 * message is handed up; with SYNCHRONIZED_ACK after it, or FAIL_ACK. The ACKs of one turn leave in one write.
 *
 * A frame is waited for without copying or looking at its bytes again: stream_want() says how many are
 * needed. Hosts outside the view may send small frames only. Malformed bytes end the connection (a Tomcat
 * would get stuck or read stale memory).
 */
#include "receiver_impl.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/ack.h"
#include "clusterd/wire/options.h"

#define INPUT_SLACK     ((size_t)128 * 1024) /* what a read may bring beyond the frame that is waited for */
#define ACK_QUEUE_MAX   ((size_t)256 * 1024) /* unread ACKs above which no more is read from the peer */
#define ACK_QUEUE_LOW   ((size_t)64 * 1024)
#define CLOSE_LINGER_MS 3000u /* soLingerTime */
#define STOP_LINGER_MS  200u

struct conn {
    struct link link;
    struct receiver_worker *w;
    struct stream *stream;
    struct incoming *incoming; /* until a worker has adopted it */
    struct task task;
    bool is_stranger; /* counted as one */
    bool has_source;
    struct ident source;
    unsigned frames, messages, acks, fail_acks; /* of this turn, not yet told to the metrics */
    size_t partial, need; /* bytes of an incomplete frame that are there, and its length when known */
    size_t held;          /* of a stranger: counted in stranger_bytes */
};

static const char *peer_text(const struct conn *c, char out[ADDR_TEXT_MAX])
{
    return addr_text(stream_peer(c->stream), out);
}

/* What an incomplete frame may come to need is counted for all strangers together; 0 gives it back. */
static uint64_t hold(struct conn *c, size_t bytes)
{
    struct receiver *r = c->w->r;

    atomic_fetch_sub(&r->stranger_bytes, c->held);
    c->held = bytes;
    return atomic_fetch_add(&r->stranger_bytes, bytes) + bytes;
}

static void not_a_stranger(struct conn *c)
{
    if (!c->is_stranger)
        return;
    hold(c, 0);
    atomic_fetch_sub(&c->w->r->n_strangers, 1);
    c->is_stranger = false;
}

static void conn_free(struct conn *c)
{
    not_a_stranger(c);
    link_remove(&c->link);
    mem_free(c);
}

/* The peer broke the format: what it says from here on means nothing. ACKs of good frames before still go. */
static void malformed(struct conn *c, const char *field, enum err e)
{
    char peer[ADDR_TEXT_MAX];

    metric_inc(c->w->r->metrics, frames_bad);
    log_limited(loop_mono_ms(c->w->loop), LOG_WARN,
                "receiver: %s sent a malformed message (%s: %s): connection closed", peer_text(c, peer),
                field ? field : "frame", err_text(e));
    stream_close(c->stream, CLOSE_LINGER_MS);
}

static void report_closed(struct conn *c)
{
    if (c->has_source)
        c->w->r->ev.on_peer_closed(c->w->r->arg, &c->source);
    c->has_source = false;
}

/* --- messages --- */

static void remember_source(struct conn *c, const struct channel_data *cd)
{
    struct receiver *r = c->w->r;

    if (c->has_source && ident_eq(&c->source, &cd->source.id))
        return;
    if (!c->has_source && r->ev.is_probe && r->ev.is_probe(r->arg, cd))
        return;
    c->source = cd->source.id;
    c->has_source = true;
}

/* One whole frame. *cd: the message before of the same input. False: the frame was malformed, and the
 * connection is being closed. */
static bool handle_frame(struct conn *c, struct span body, struct channel_data *cd)
{
    struct receiver *r = c->w->r;
    struct rd in = rd_of(body);

    c->frames++;
    enum err e = channel_data_decode_next(&in, cd);
    if (e != ERR_OK) {
        malformed(c, in.field, e);
        return false;
    }
    c->messages++;
    remember_source(c, cd);
    bool wants_ack = cd->options & SEND_USE_ACK, synchronized = cd->options & SEND_SYNCHRONIZED_ACK;
    if (wants_ack && !synchronized)
        stream_write(c->stream, ACK_FRAME);
    e = r->ev.on_message(r->arg, c->w->loop, cd);
    if (wants_ack && synchronized)
        stream_write(c->stream, e == ERR_OK ? ACK_FRAME : ACK_FAIL_FRAME);
    if (wants_ack && synchronized && e != ERR_OK)
        c->fail_acks++;
    else if (wants_ack)
        c->acks++;
    return true;
}

/* --- frames --- */

static bool is_member(struct conn *c)
{
    struct receiver *r = c->w->r;

    if (!r->ev.is_member_host(r->arg, stream_peer(c->stream)))
        return false;
    not_a_stranger(c);
    return true;
}

/* The view is asked only where it matters: for what a stranger may not send. `total`: bytes of the frame that
 * has not come whole yet; 0 = there is none, or its length is unknown. */
static bool may_wait_for(struct conn *c, size_t total)
{
    struct receiver *r = c->w->r;

    if (total > r->max_stranger_frame && !is_member(c))
        return false;
    return !c->is_stranger || total == c->held || hold(c, total) <= RECEIVER_STRANGER_BYTES_MAX ||
           is_member(c);
}

static void wait_for(struct conn *c, size_t have, size_t need)
{
    struct receiver *r = c->w->r;
    size_t usual = r->max_stranger_frame + INPUT_SLACK;

    c->partial = have;
    c->need = need;
    stream_set_input_limit(c->stream, need + INPUT_SLACK > usual ? need + INPUT_SLACK : usual);
    if (need)
        stream_want(c->stream, need);
}

static void tell_counts(struct conn *c, size_t bytes)
{
    struct metrics *m = c->w->r->metrics;

    metric_add(m, bytes_received, bytes);
    metric_add(m, frames_received, c->frames);
    metric_add(m, messages_received, c->messages);
    metric_add(m, acks_sent, c->acks);
    metric_add(m, fail_acks_sent, c->fail_acks);
    c->frames = c->messages = c->acks = c->fail_acks = 0;
}

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    struct conn *c = arg;
    struct receiver *r = c->w->r;
    struct frame_view f = {0};
    struct channel_data cd = {0};
    enum err e = ERR_SHORT;
    size_t used = 0;

    while (used < in.n) {
        e = frame_scan(span_of(in.p + used, in.n - used), r->max_frame - FRAME_OVERHEAD, &f);
        if (e == ERR_OK && f.total > r->max_stranger_frame && !is_member(c))
            e = ERR_TOO_BIG;
        if (e != ERR_OK || !handle_frame(c, f.body, &cd))
            break;
        used += f.total;
    }
    tell_counts(c, used);
    size_t need = e == ERR_SHORT ? f.need : 0;
    if ((e == ERR_OK || e == ERR_SHORT) && !may_wait_for(c, need))
        e = ERR_TOO_BIG;
    if (e == ERR_OK || e == ERR_SHORT) {
        wait_for(c, in.n - used, need);
    } else {
        malformed(c, f.field ? f.field : "frame length", e);
        c->partial = 0;
    }
    if (stream_queued(s) > ACK_QUEUE_MAX)
        stream_pause(s);
    return used;
}

/* The peer reads its ACKs again. */
static void on_drain(struct stream *s, void *arg)
{
    (void)arg;
    stream_resume(s);
}

/* --- the end --- */

static void on_eof(struct stream *s, void *arg)
{
    struct conn *c = arg;
    char peer[ADDR_TEXT_MAX];

    if (c->partial > 0) {
        metric_inc(c->w->r->metrics, frames_bad);
        log_limited(loop_mono_ms(c->w->loop), LOG_WARN,
                    "receiver: %s ended the connection within a frame (%zu of %zu bytes)", peer_text(c, peer),
                    c->partial, c->need);
    }
    report_closed(c);
    stream_close(s, CLOSE_LINGER_MS);
}

static void on_close(struct stream *s, void *arg, enum err why)
{
    struct conn *c = arg;
    struct receiver_worker *w = c->w;

    (void)s;
    if (why != ERR_OK && why != ERR_CANCELLED)
        report_closed(c);
    conn_free(c);
    if (w->stopping && link_is_alone(&w->conns))
        receiver_none_left(w);
}

static const struct stream_ops ops = {
    .on_input = on_input, .on_drain = on_drain, .on_eof = on_eof, .on_close = on_close};

void receiver_conn_close_all(struct receiver_worker *w)
{
    LINK_EACH(l, &w->conns)
    stream_close(CONTAINER_OF(l, struct conn, link)->stream, STOP_LINGER_MS);
}

void receiver_conn_abandon_all(struct receiver_worker *w)
{
    while (!link_is_alone(&w->conns))
        conn_free(CONTAINER_OF(w->conns.next, struct conn, link));
}

void receiver_conn_sweep(struct receiver_worker *w)
{
    struct receiver *r = w->r;
    uint64_t now = loop_mono_ms(w->loop);

    LINK_EACH(l, &w->conns)
    {
        struct conn *c = CONTAINER_OF(l, struct conn, link);
        if (now - stream_last_read_ms(c->stream) < RECEIVER_STRANGER_IDLE_MS)
            continue;
        if (r->ev.is_member_host(r->arg, stream_peer(c->stream)))
            not_a_stranger(c);
        else
            stream_close(c->stream, 0);
    }
}

/* --- the beginning --- */

static void adopt(struct task *t, bool cancelled)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);
    struct receiver_worker *w = c->w;

    if (cancelled) {
        incoming_refuse(c->incoming);
        conn_free(c);
        return;
    }
    c->stream = stream_adopt(w->loop, c->incoming, &ops, c);
    c->incoming = NULL;
    stream_set_low_mark(c->stream, ACK_QUEUE_LOW);
    stream_set_input_limit(c->stream, w->r->max_stranger_frame + INPUT_SLACK);
    link_push_back(&w->conns, &c->link);
    if (!w->sweep.active)
        timer_start(&w->sweep, RECEIVER_SWEEP_MS);
}

void receiver_conn_new(struct receiver_worker *w, struct incoming *in, bool is_stranger)
{
    struct conn *c = MEM_NEW(struct conn);

    c->w = w;
    c->incoming = in;
    c->is_stranger = is_stranger;
    c->task.run = adopt;
    link_init(&c->link);
    loop_post(w->loop, &c->task);
}
