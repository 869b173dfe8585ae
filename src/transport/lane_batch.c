/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy of a lane towards a Tomcat, which may handle two unacknowledged frames of a connection in either
 * order, and may answer them in either order: up to 16 frames of distinct flows go out in one write, then all
 * their ACKs are awaited before anything else goes out. A second message of a flow waits for the next batch.
 *
 * Which frame an ACK means is not known, so they are counted. After a FAIL_ACK, or a broken connection, the
 * messages of the batch are repeated one by one. Large frames go alone.
 */
#include "lane.h"

#include "clusterd/wire/options.h"
#include "transmitter_impl.h"

#define ALONE_BYTES 65536u
#define SEARCH_MAX  256u /* places of the queue that are looked at for messages of other flows */

/* Flows that stand in the batch, or before it without asking for an ACK. */
struct flows {
    uint64_t v[LANE_BATCH_MAX];
    unsigned n;
};

static bool has_flow(const struct flows *f, uint64_t flow)
{
    for (unsigned i = 0; i < f->n; i++)
        if (f->v[i] == flow)
            return true;
    return false;
}

static unsigned batch_max(const struct lane *l)
{
    return l->peer->t->max_tries > 1 ? LANE_BATCH_MAX
                                     : 1; /* without a repetition each ACK must say whose it is */
}

/* Takes messages out of the queue into the batch. Those that want no ACK are done when they are written. */
static void collect(struct lane *l)
{
    struct lane_batch *b = &l->batch;
    struct flows flows = {.n = 0};
    size_t end = l->queue.tail, max = batch_max(l);

    if (end - l->queue.head > SEARCH_MAX)
        end = l->queue.head + SEARCH_MAX;
    for (size_t at = l->queue.head; at != end && flows.n < max; at++) {
        struct out *o = sendqueue_at(&l->queue, at);
        if (!o->frame || has_flow(&flows, o->flow))
            continue;
        bool alone = o->frame->n > ALONE_BYTES;
        if (alone && flows.n > 0)
            break;
        flows.v[flows.n++] = o->flow;
        if (o->options & SEND_USE_ACK) {
            b->v[b->n++] = *o;
            o->frame = NULL;
            o->delivery = NULL;
        } else {
            lane_write(l, o);
            lane_done(l, o, DELIVERY_ACKED);
        }
        if (alone)
            break;
    }
    sendqueue_trim(&l->queue, l->queue.tail);
}

static void send_batch(struct lane *l)
{
    struct lane_batch *b = &l->batch;

    b->n_acks = b->n_fails = 0;
    b->n_sent = b->is_repeat ? 1 : b->n;
    for (unsigned i = 0; i < b->n_sent; i++)
        lane_write(l, &b->v[b->is_repeat ? b->at : i]);
}

static void pump(struct lane *l)
{
    struct lane_batch *b = &l->batch;

    if (b->n_sent > 0 || (l->n_requests > 0 && lane_renew_when_due(l)))
        return;
    while (b->n == 0 && !sendqueue_is_empty(&l->queue) && lane_may_write(l))
        collect(l);
    if (b->n > 0)
        send_batch(l);
}

static void forget(struct lane_batch *b)
{
    *b = (struct lane_batch){0};
}

/* Go on with the next message that is not done, or end the repetition. */
static void next_repeat(struct lane_batch *b)
{
    while (b->at < b->n && !b->v[b->at].frame)
        b->at++;
    b->is_repeat = true;
    if (b->at == b->n)
        forget(b);
}

static void retry_or_give_up(struct lane *l, struct out *o, const char *why, bool is_loss)
{
    if (o->tries < l->peer->t->max_tries)
        return;
    lane_give_up(l, o, why);
    if (is_loss)
        atomic_store(&l->lost, true);
}

/* All ACKs of what was out have come. */
static void round_over(struct lane *l)
{
    struct lane_batch *b = &l->batch;

    b->n_sent = 0;
    if (b->is_repeat || b->n == 1) {
        struct out *o = &b->v[b->at];
        if (b->n_fails)
            retry_or_give_up(l, o, "FAIL_ACK", false);
        else
            lane_done(l, o, DELIVERY_ACKED);
        next_repeat(b);
    } else if (b->n_fails) {
        next_repeat(b);
    } else {
        for (unsigned i = 0; i < b->n; i++)
            lane_done(l, &b->v[i], DELIVERY_ACKED);
        forget(b);
    }
}

static bool on_ack(struct lane *l, enum ack_kind kind)
{
    struct lane_batch *b = &l->batch;

    if (b->n_sent == 0)
        return false;
    b->n_acks++;
    b->n_fails += kind == ACK_FAIL;
    if (b->n_acks == b->n_sent) {
        round_over(l);
        if (!l->is_ending)
            pump(l);
    }
    return true;
}

static void on_lost(struct lane *l)
{
    struct lane_batch *b = &l->batch;

    if (b->n_sent == 0)
        return;
    b->n_sent = 0;
    for (unsigned i = 0; i < b->n; i++)
        if (b->v[i].frame && (!b->is_repeat || i == b->at))
            retry_or_give_up(l, &b->v[i], "the connection broke", true);
    next_repeat(b);
}

const struct lane_ops lane_batch_ops = {.pump = pump, .on_ack = on_ack, .on_lost = on_lost};
