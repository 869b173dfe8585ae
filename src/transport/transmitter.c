/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transmitter as a whole (Tomcat: ReplicationTransmitter): which members have lanes, the way of a message
 * to its lane, and the end. transmitter_send() runs on any thread: bound, lane lock, queue, wake the lane's
 * worker once; it allocates nothing but a growing ring and reads no clock.
 */
#include "transmitter_impl.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

static const char *const class_names[] = {"ReplicationTransmitter", "PooledParallelSender", NULL};
static const char *const mode_names[] = {"pooled", "fastasyncqueue", "synchronous", "asynchronous", NULL};

const struct option_spec transmitter_options[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     OPTION_AT(struct transmitter_conf, class_name),
     .def = "ReplicationTransmitter",
     .names = class_names,
     .doc = "the sender; both names mean the same"},
    {.name = "replicationMode",
     .type = OPTION_ENUM,
     OPTION_AT(struct transmitter_conf, replication_mode),
     .def = "pooled",
     .names = mode_names,
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat 5's way of sending; channelSendOptions says today whether a sender waits"},
    {.name = "poolSize",
     .type = OPTION_INT,
     OPTION_AT(struct transmitter_conf, pool_size),
     .def = "4",
     .min = 1,
     .max = 64,
     .doc = "connections to each Tomcat member at most; a clusterd member needs one"},
    {.name = "timeout",
     .type = OPTION_MS,
     OPTION_AT(struct transmitter_conf, timeout_ms),
     .def = "3000",
     .min = 10,
     .max = 3600000,
     .doc = "a member that acknowledges nothing for so long is lagging: nobody waits for it until it has "
            "caught up"},
    {.name = "maxRetryAttempts",
     .type = OPTION_INT,
     OPTION_AT(struct transmitter_conf, max_retry_attempts),
     .def = "1",
     .max = 1000000,
     .doc = "how often a message is sent again after a broken connection or a FAIL_ACK"},
    {.name = "keepAliveCount",
     .type = OPTION_INT,
     OPTION_AT(struct transmitter_conf, keep_alive_count),
     .def = "-1",
     .min = -1,
     .max = INT32_MAX,
     .doc = "messages after which a connection is renewed; -1 is never"},
    {.name = "keepAliveTime",
     .type = OPTION_MS,
     OPTION_AT(struct transmitter_conf, keep_alive_time_ms),
     .def = "-1",
     .min = -1,
     .max = INT64_MAX,
     .doc = "age at which a connection is renewed; -1 is never"},
    {.name = "maxQueueBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct transmitter_conf, max_queue_bytes),
     .def = "64m",
     .min = 65536,
     .max = INT64_MAX,
     .doc = "what waits for one member at most; more is dropped, counted and made good by comparing later"},
    {0}};

static void run_stopped(struct task *t, bool cancelled)
{
    struct transmitter *tr = CONTAINER_OF(t, struct transmitter, stopped);

    if (tr->on_stopped && !cancelled)
        tr->on_stopped(tr->stop_arg);
}

static void on_linger(struct timer *timer, void *arg)
{
    struct transmitter *t = arg;

    (void)timer;
    LINK_EACH(l, &t->peers)
    peer_close(CONTAINER_OF(l, struct peer, link), LANE_END);
}

struct transmitter *transmitter_new(struct host *h, const struct transmitter_conf *conf,
                                    const struct transmitter_events *ev, void *arg, struct metrics *metrics)
{
    struct transmitter *t = MEM_NEW(struct transmitter);

    t->host = h;
    t->ev = *ev;
    t->arg = arg;
    t->metrics = metrics;
    t->pool_size = (unsigned)conf->pool_size;
    t->max_tries = 1 + (unsigned)conf->max_retry_attempts;
    t->timeout_ms = (uint64_t)conf->timeout_ms;
    t->max_queue_bytes = conf->max_queue_bytes;
    t->keep_alive_count = conf->keep_alive_count;
    t->keep_alive_time_ms = conf->keep_alive_time_ms;
    t->stopped.run = run_stopped;
    link_init(&t->peers);
    link_init(&t->probes);
    timer_init(&t->linger, host_main(h), on_linger, t);
    if (conf->replication_mode != 0)
        log_info("sender: replicationMode %s is accepted and means nothing here: channelSendOptions decides",
                 mode_names[conf->replication_mode]);
    return t;
}

void transmitter_set_source(struct transmitter *t, const struct addr *local)
{
    t->source = *local;
    t->source.port = 0;
}

const struct addr *transmitter_source_for(const struct transmitter *t, const struct addr *to)
{
    bool fits = t->source.family == to->family && !addr_is_any(&t->source) &&
                addr_is_loopback(&t->source) == addr_is_loopback(to);

    return fits ? &t->source : NULL;
}

/* --- members --- */

void transmitter_add(struct transmitter *t, struct member *m)
{
    struct peer *p = atomic_load_explicit(&m->lanes, memory_order_relaxed);

    if (t->is_stopping)
        return;
    if (!p)
        p = peer_new(t, m);
    ASSERT(p->t == t);
    if (p->live_lanes == 0)
        peer_open(p);
    else if (p->is_closing)
        p->open_again = true;
}

void transmitter_remove(struct transmitter *t, struct member *m)
{
    struct peer *p = atomic_load_explicit(&m->lanes, memory_order_relaxed);

    (void)t;
    if (!p || p->live_lanes == 0)
        return;
    p->open_again = false;
    if (!p->is_closing)
        peer_close(p, LANE_END);
}

/* --- messages --- */

/* Counts the message as queued. False: the member's queue is full. A message longer than the whole bound is
 * let in when nothing else is queued. */
static bool reserve(struct transmitter *t, struct member *m, size_t n)
{
    uint64_t before = atomic_fetch_add_explicit(&m->queued_bytes, n, memory_order_relaxed);

    if (before > 0 && before + n > t->max_queue_bytes) {
        atomic_fetch_sub_explicit(&m->queued_bytes, n, memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&m->queued_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->queued_bytes, n, memory_order_relaxed);
    return true;
}

static void unreserve(struct transmitter *t, struct member *m, size_t n)
{
    atomic_fetch_sub_explicit(&m->queued_bytes, n, memory_order_relaxed);
    atomic_fetch_sub_explicit(&m->queued_messages, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&t->queued_bytes, n, memory_order_relaxed);
}

static void dropped(struct transmitter *t, struct lane *l, const struct transmitter_item *item)
{
    atomic_store_explicit(&l->lost, true, memory_order_relaxed);
    metric_inc(t->metrics, messages_dropped_full);
    delivery_result(item->delivery, DELIVERY_FAILED);
}

void transmitter_send(struct transmitter *t, struct member *m, const struct transmitter_item *item)
{
    struct peer *p = atomic_load_explicit(&m->lanes, memory_order_acquire);
    size_t n = item->frame->n;

    if (!p) {
        metric_inc(t->metrics, messages_failed);
        delivery_result(item->delivery, DELIVERY_FAILED);
        return;
    }
    struct lane *lane = peer_take_lane(p, item);
    if (!reserve(t, m, n)) {
        dropped(t, lane, item);
        peer_leave_lane(lane, item->flow, n);
        return;
    }
    bool lagging = atomic_load_explicit(&m->lagging, memory_order_relaxed) &&
                   !(item->delivery && item->delivery->is_patient);
    struct out o = {.frame = blob_ref(item->frame),
                    .flow = item->flow,
                    .delivery = lagging ? NULL : item->delivery,
                    .options = item->options};
    if (!lane_push(lane, &o)) {
        blob_unref(item->frame);
        peer_leave_lane(lane, item->flow, n);
        unreserve(t, m, n);
        metric_inc(t->metrics, messages_failed);
        delivery_result(item->delivery, DELIVERY_FAILED);
    } else if (lagging) {
        delivery_result(item->delivery, DELIVERY_LAGGING);
    }
}

uint64_t transmitter_queued_bytes(const struct transmitter *t)
{
    return atomic_load_explicit(&t->queued_bytes, memory_order_relaxed);
}

void transmitter_probe(struct transmitter *t, const struct addr *to, unsigned connect_timeout_ms,
                       struct blob *frame, unsigned read_timeout_ms, transmitter_probe_fn fn, void *arg)
{
    probe_start(t, to, connect_timeout_ms, frame, read_timeout_ms, fn, arg);
}

void transmitter_heartbeat(struct transmitter *t)
{
    if (t->keep_alive_count < 0 && t->keep_alive_time_ms < 0)
        return;
    LINK_EACH(at, &t->peers)
    {
        struct peer *p = CONTAINER_OF(at, struct peer, link);
        for (unsigned i = 0; i < p->n_lanes; i++)
            lane_order(&p->lanes[i], LANE_CHECK);
    }
}

/* --- the end --- */

void transmitter_check_stopped(struct transmitter *t)
{
    if (!t->is_stopping || t->is_stopped || !link_is_alone(&t->peers) || !link_is_alone(&t->probes))
        return;
    t->is_stopped = true;
    timer_fini(&t->linger);
    loop_post(host_main(t->host), &t->stopped);
}

void transmitter_stop(struct transmitter *t, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg)
{
    t->is_stopping = true;
    t->on_stopped = on_stopped;
    t->stop_arg = arg;
    LINK_EACH(l, &t->peers)
    {
        struct peer *p = CONTAINER_OF(l, struct peer, link);
        p->open_again = false;
        if (!p->is_closing)
            peer_close(p, linger_ms ? LANE_DRAIN : LANE_END);
    }
    probe_cancel_all(t);
    timer_start(&t->linger, linger_ms);
    transmitter_check_stopped(t);
}

void transmitter_free(struct transmitter *t)
{
    if (!t)
        return;
    while (!link_is_alone(&t->peers))
        peer_abandon(CONTAINER_OF(t->peers.next, struct peer, link));
    probe_abandon_all(t);
    mem_free(t);
}
