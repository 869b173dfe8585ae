/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane's life: its mailbox, its connection with backoff and keep-alive limits, the ACK time-out, and when
 * its member counts as lagging and as caught up again. See lane.h for the states. All on the lane's worker,
 * but the mailbox, which any thread fills under the lane's lock.
 *
 * The time-out asks for progress, not for a particular ACK: an ACK, or bytes that leave a queue that was
 * stuck. It is looked at every quarter of its length while something is unfinished, so the usual message
 * starts no timer.
 */
#include "lane.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/frame.h"
#include "clusterd/wire/options.h"
#include "transmitter_impl.h"

#define BACKOFF_MIN_MS  100u
#define BACKOFF_MAX_MS  2000u
#define PROVEN_LIFE_MS  1000u /* a connection that lived so long was no failed attempt */
#define OUTPUT_MAX      ((size_t)4 << 20)
#define OUTPUT_LOW      (OUTPUT_MAX / 2)
#define ACK_INPUT_LIMIT ((size_t)256 * 1024)
#define CLOSE_LINGER_MS 1000u

#define TO(state) (1u << (state))

static const unsigned allowed_next[] = {
    [LANE_IDLE] = TO(LANE_CONNECTING) | TO(LANE_ENDED),
    [LANE_CONNECTING] = TO(LANE_READY) | TO(LANE_WAITING) | TO(LANE_IDLE) | TO(LANE_CLOSING) | TO(LANE_ENDED),
    [LANE_READY] = TO(LANE_WAITING) | TO(LANE_IDLE) | TO(LANE_CLOSING) | TO(LANE_ENDED),
    [LANE_WAITING] = TO(LANE_CONNECTING) | TO(LANE_ENDED),
    [LANE_CLOSING] = TO(LANE_CONNECTING) | TO(LANE_WAITING) | TO(LANE_IDLE) | TO(LANE_ENDED),
    [LANE_ENDED] = TO(LANE_IDLE),
};

static void go(struct lane *l);
static void settle(struct lane *l);

static void enter(struct lane *l, enum lane_state next)
{
    ASSERT(allowed_next[l->state] & TO(next));
    l->state = next;
}

static uint64_t now_ms(const struct lane *l)
{
    return loop_mono_ms(l->loop);
}

/* The first lane always stands, so that the member's death is noticed; the others come when they are needed.
 */
static bool wants_connection(const struct lane *l)
{
    return l->index == 0 || lane_has_work(l);
}

/* --- results --- */

void lane_done(struct lane *l, struct out *o, enum delivery_result r)
{
    peer_leave_lane(l, o->flow, o->frame->n);
    delivery_result(o->delivery, r);
    o->delivery = NULL;
    if (r == DELIVERY_FAILED)
        metric_inc(l->peer->t->metrics, messages_failed);
    l->n_done++;
    l->done_messages++;
    l->done_bytes += o->frame->n;
    blob_unref(o->frame);
    o->frame = NULL;
}

void lane_give_up(struct lane *l, struct out *o, const char *why)
{
    log_limited(now_ms(l), LOG_WARN, "sender: a message to %s was given up after %u tries (%s)",
                l->peer->m->name, o->tries, why);
    lane_done(l, o, DELIVERY_FAILED);
}

/* Once a turn, not once a message: many lanes write to these. */
static void tell_counts(struct lane *l)
{
    struct peer *p = l->peer;
    struct metrics *m = p->t->metrics;

    if (l->n_bytes) {
        metric_add(m, messages_sent, l->n_first);
        metric_add(m, messages_resent, l->n_again);
        metric_add(m, bytes_sent, l->n_bytes);
        l->n_first = l->n_again = l->n_bytes = 0;
    }
    if (l->done_messages == 0)
        return;
    atomic_fetch_sub_explicit(&p->m->queued_messages, l->done_messages, memory_order_relaxed);
    atomic_fetch_sub_explicit(&p->m->queued_bytes, l->done_bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&p->t->queued_bytes, l->done_bytes, memory_order_relaxed);
    l->done_messages = l->done_bytes = 0;
}

static void shed_one(struct out *o)
{
    if (o->delivery && o->delivery->is_patient)
        return;
    delivery_result(o->delivery, DELIVERY_LAGGING);
    o->delivery = NULL;
}

/* Nobody waits any more; the messages stay where they are. */
void lane_shed(struct lane *l)
{
    for (unsigned i = 0; i < l->batch.n; i++)
        shed_one(&l->batch.v[i]);
    for (size_t at = l->queue.head; at != l->queue.tail; at++)
        shed_one(sendqueue_at(&l->queue, at));
}

static void fail_all(struct lane *l)
{
    for (unsigned i = 0; i < l->batch.n; i++)
        if (l->batch.v[i].frame)
            lane_done(l, &l->batch.v[i], DELIVERY_FAILED);
    for (size_t at = l->queue.head; at != l->queue.tail; at++)
        if (sendqueue_at(&l->queue, at)->frame)
            lane_done(l, sendqueue_at(&l->queue, at), DELIVERY_FAILED);
    l->batch = (struct lane_batch){0};
    sendqueue_fini(&l->queue);
    l->sent = l->in_flight = l->in_flight_bytes = 0;
    tell_counts(l);
}

/* --- connection --- */

static const struct stream_ops stream_ops;

static void connect_now(struct lane *l)
{
    struct transmitter *t = l->peer->t;
    const struct addr *from = l->no_source ? NULL : transmitter_source_for(t, &l->peer->m->addr);

    enter(l, LANE_CONNECTING);
    l->opened_ms = l->n_requests = l->wrote = l->seen_left = 0;
    l->is_proven = l->is_retiring = l->seen_queued = false;
    l->stream = stream_connect(l->loop, &l->peer->m->addr, from, (unsigned)t->timeout_ms, &stream_ops, l);
}

static void on_retry(struct timer *t, void *arg)
{
    struct lane *l = arg;

    (void)t;
    connect_now(l);
}

/* Own close. on_close goes on by `why`: ERR_OK renews the connection, another error counts as its break. */
static void close_stream(struct lane *l, enum err why, bool abort)
{
    enter(l, LANE_CLOSING);
    l->why = why;
    if (abort)
        stream_abort(l->stream);
    else
        stream_close(l->stream, CLOSE_LINGER_MS);
}

bool lane_is_due(struct lane *l)
{
    const struct transmitter *t = l->peer->t;

    if (t->keep_alive_count >= 0 && l->n_requests > (uint64_t)t->keep_alive_count)
        return true;
    return t->keep_alive_time_ms >= 0 && now_ms(l) - l->opened_ms > (uint64_t)t->keep_alive_time_ms;
}

bool lane_renew_when_due(struct lane *l)
{
    if (!lane_is_due(l))
        return false;
    close_stream(l, ERR_OK, false);
    return true;
}

bool lane_may_write(const struct lane *l)
{
    return stream_queued(l->stream) < OUTPUT_MAX;
}

void lane_write(struct lane *l, struct out *o)
{
    if (o->tries++ == 0)
        l->n_first++;
    else
        l->n_again++;
    l->n_requests++;
    l->n_bytes += o->frame->n;
    l->wrote += o->frame->n;
    stream_write_blob(l->stream, o->frame);
}

static void on_open(struct stream *s, void *arg)
{
    struct lane *l = arg;

    stream_set_low_mark(s, OUTPUT_LOW);
    stream_set_input_limit(s, ACK_INPUT_LIMIT);
    enter(l, LANE_READY);
    l->opened_ms = now_ms(l);
    go(l);
}

static void on_drain(struct stream *s, void *arg)
{
    (void)s;
    go(arg);
}

static void bad_answer(struct lane *l, const char *what)
{
    metric_inc(l->peer->t->metrics, frames_bad);
    log_limited(now_ms(l), LOG_WARN,
                "sender: %s answered with what is no acknowledgement (%s): connection closed",
                l->peer->m->name, what);
    close_stream(l, ERR_BAD, true);
}

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    struct lane *l = arg;
    struct frame_view f;
    size_t used = 0;

    (void)s;
    lane_watch_progress(l);
    while (used < in.n && l->state == LANE_READY) {
        enum err e = frame_scan(span_of(in.p + used, in.n - used), ACK_BODY_MAX, &f);
        if (e == ERR_SHORT)
            break;
        if (e != ERR_OK) {
            bad_answer(l, f.field);
            break;
        }
        used += f.total;
        enum ack_kind kind = ack_classify(f.body);
        if (kind == ACK_UNKNOWN) /* as Tomcat's sender: dropped, and waiting goes on */
            continue;
        l->is_proven = true;
        if (!l->ops->on_ack(l, kind))
            bad_answer(l, "nothing was sent that it could mean");
    }
    go(l);
    return used;
}

static void on_eof(struct stream *s, void *arg)
{
    (void)s;
    close_stream(arg, ERR_CLOSED, true);
}

/* At once after a connection that was good, then at growing distances. */
static void wait_and_retry(struct lane *l, bool was_good)
{
    unsigned delay_ms = was_good ? 0 : l->backoff_ms;

    enter(l, LANE_WAITING);
    l->backoff_ms = was_good ? BACKOFF_MIN_MS : delay_ms * 2;
    if (l->backoff_ms > BACKOFF_MAX_MS)
        l->backoff_ms = BACKOFF_MAX_MS;
    timer_start(&l->retry, delay_ms);
}

static void broken(struct lane *l, enum err why)
{
    bool was_open = l->opened_ms != 0;

    if (!was_open && why == ERR_IO)
        l->no_source = !l->no_source;
    bool was_good = l->is_proven || (was_open && now_ms(l) - l->opened_ms >= PROVEN_LIFE_MS);
    peer_tell_trouble(l->peer, why);
    if (wants_connection(l))
        wait_and_retry(l, was_good);
    else
        enter(l, LANE_IDLE);
}

static void lane_end(struct lane *l);

static void on_close(struct stream *s, void *arg, enum err why)
{
    struct lane *l = arg;

    (void)s;
    if (l->state == LANE_CLOSING)
        why = l->why;
    l->stream = NULL;
    l->ops->on_lost(l);
    if (l->is_ending || why == ERR_CANCELLED) {
        lane_end(l);
    } else if (why != ERR_OK) {
        broken(l, why);
        settle(l);
    } else if (wants_connection(l)) {
        connect_now(l);
    } else {
        enter(l, LANE_IDLE);
    }
}

static const struct stream_ops stream_ops = {
    .on_open = on_open, .on_input = on_input, .on_drain = on_drain, .on_eof = on_eof, .on_close = on_close};

/* --- the end --- */

/* The main loop frees a lane only when no task of it is on its way any more. */
static void report_end(struct lane *l)
{
    l->report_when_woken = false;
    loop_post(host_main(l->peer->t->host), &l->ended);
}

static void accept_mail(struct lane *l);

static void lane_end(struct lane *l)
{
    enter(l, LANE_ENDED);
    lock_take(&l->lock);
    l->is_open = l->is_alive = false;
    bool is_posted = l->is_posted;
    lock_drop(&l->lock);
    accept_mail(l);
    fail_all(l);
    timer_stop(&l->retry);
    timer_stop(&l->ack_timer);
    if (is_posted)
        l->report_when_woken = true;
    else
        report_end(l);
}

static void finish(struct lane *l, bool abort)
{
    l->is_ending = true;
    if (l->state == LANE_CLOSING)
        return;
    if (l->stream)
        close_stream(l, ERR_OK, abort);
    else
        lane_end(l);
}

static void run_ended(struct task *t, bool cancelled)
{
    (void)cancelled;
    peer_lane_ended(CONTAINER_OF(t, struct lane, ended)->peer);
}

/* --- mailbox --- */

static unsigned take_orders(struct lane *l)
{
    lock_take(&l->lock);
    unsigned orders = l->orders;
    l->orders = 0;
    l->is_posted = false;
    lock_drop(&l->lock);
    return orders;
}

/* Moves what has come in to the queue. While the member lags nobody waits for it, also not the caller who
 * found it in order a moment ago. */
static void accept_mail(struct lane *l)
{
    bool lagging = atomic_load_explicit(&l->peer->m->lagging, memory_order_relaxed);

    lock_take(&l->lock);
    struct sendqueue inbox = l->inbox;
    l->inbox = l->mail;
    lock_drop(&l->lock);
    l->mail = inbox;
    if (!sendqueue_is_empty(&l->mail) && !lane_has_work(l))
        lane_watch_progress(l);
    for (; l->mail.head != l->mail.tail; l->mail.head++) {
        struct out *o = sendqueue_at(&l->mail, l->mail.head);
        if (lagging)
            shed_one(o);
        sendqueue_push(&l->queue, o);
        l->n_in++;
    }
    sendqueue_trim(&l->mail, l->mail.head);
}

/* After anything happened: tell what is done, watch what is not. */
static void settle(struct lane *l)
{
    tell_counts(l);
    lane_watch_behind(l);
    if (lane_has_work(l) && !l->ack_timer.active)
        lane_watch_start(l);
    if (l->is_draining && !lane_has_work(l))
        finish(l, false);
}

static void go(struct lane *l)
{
    if (l->is_ending)
        return;
    if (l->state == LANE_IDLE && wants_connection(l))
        connect_now(l);
    if (l->state == LANE_READY)
        l->ops->pump(l);
    settle(l);
}

static void begin(struct lane *l)
{
    enter(l, LANE_IDLE);
    l->is_draining = l->is_ending = l->is_behind = l->is_lagging = l->no_source = false;
    l->backoff_ms = BACKOFF_MIN_MS;
    atomic_store(&l->lost, false);
}

static void run_wake(struct task *t, bool cancelled)
{
    struct lane *l = CONTAINER_OF(t, struct lane, wake);
    unsigned orders = take_orders(l);

    if (l->report_when_woken) {
        report_end(l);
        return;
    }
    if (orders & LANE_OPEN)
        begin(l);
    accept_mail(l);
    if (orders & LANE_SHED)
        lane_shed(l);
    if (orders & LANE_DRAIN)
        l->is_draining = true;
    if (cancelled || (orders & LANE_END))
        finish(l, true);
    else
        go(l);
}

static void wake(struct lane *l)
{
    if (loop_is_current(l->loop))
        loop_defer(l->loop, &l->wake);
    else
        loop_post(l->loop, &l->wake);
}

void lane_order(struct lane *l, unsigned order)
{
    lock_take(&l->lock);
    bool post = l->is_alive && !l->is_posted;
    if (l->is_alive) {
        l->orders |= order;
        l->is_posted = true;
    }
    lock_drop(&l->lock);
    if (post)
        wake(l);
}

bool lane_push(struct lane *l, const struct out *o)
{
    lock_take(&l->lock);
    bool is_open = l->is_open, post = is_open && !l->is_posted;
    if (is_open) {
        sendqueue_push(&l->inbox, o);
        l->is_posted = true;
    }
    lock_drop(&l->lock);
    if (post)
        wake(l);
    return is_open;
}

void lane_open(struct lane *l)
{
    lock_take(&l->lock);
    l->is_open = l->is_alive = true;
    lock_drop(&l->lock);
    lane_order(l, LANE_OPEN);
}

void lane_close(struct lane *l, unsigned order)
{
    lock_take(&l->lock);
    l->is_open = false;
    lock_drop(&l->lock);
    lane_order(l, order);
}

void lane_init(struct lane *l, struct peer *p, unsigned index, struct loop *worker,
               const struct lane_ops *ops)
{
    l->peer = p;
    l->index = index;
    l->loop = worker;
    l->ops = ops;
    l->state = LANE_ENDED;
    l->wake.run = run_wake;
    l->ended.run = run_ended;
    lock_init(&l->lock);
    timer_init(&l->retry, worker, on_retry, l);
    timer_init(&l->ack_timer, worker, lane_watch_on_timer, l);
}

void lane_fini(struct lane *l)
{
    for (unsigned i = 0; i < l->batch.n; i++)
        blob_unref(l->batch.v[i].frame);
    l->batch.n = 0;
    sendqueue_fini(&l->queue);
    sendqueue_fini(&l->mail);
    sendqueue_fini(&l->inbox);
    lock_fini(&l->lock);
}
