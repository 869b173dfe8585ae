/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy of a lane towards a clusterd member, which handles the frames of a connection in order: frames are
 * written as they come, up to a window, and the ACKs answer them by position. After a break all that was not
 * acknowledged goes again, in order; the receiver tolerates what it gets twice.
 *
 * A FAIL_ACK fails its message at once: a repetition would overtake the later messages of its flow that have
 * been handled meanwhile.
 */
#include "lane.h"

#include "clusterd/wire/options.h"
#include "transmitter_impl.h"

#define WINDOW_FRAMES ((size_t)4096)
#define WINDOW_BYTES  ((size_t)4 << 20)

static bool window_is_full(const struct lane *l)
{
    return l->in_flight >= WINDOW_FRAMES || l->in_flight_bytes >= WINDOW_BYTES || !lane_may_write(l);
}

static void pump(struct lane *l)
{
    if (!l->is_retiring && l->n_requests > 0 && lane_is_due(l))
        l->is_retiring = true;
    if (l->is_retiring) {
        if (l->in_flight == 0)
            lane_renew_when_due(l);
        return;
    }
    while (l->sent != l->queue.tail && !window_is_full(l)) {
        struct out *o = sendqueue_at(&l->queue, l->sent++);
        if (!o->frame)
            continue; /* done when it was first written: no ACK was asked for */
        lane_write(l, o);
        if (o->options & SEND_USE_ACK) {
            l->in_flight++;
            l->in_flight_bytes += o->frame->n;
        } else {
            lane_done(l, o, DELIVERY_ACKED);
        }
    }
    sendqueue_trim(&l->queue, l->sent);
}

static bool on_ack(struct lane *l, enum ack_kind kind)
{
    sendqueue_trim(&l->queue, l->sent);
    if (l->in_flight == 0)
        return false;
    struct out *o = sendqueue_at(&l->queue, l->queue.head);
    l->in_flight--;
    l->in_flight_bytes -= o->frame->n;
    if (kind == ACK_OK)
        lane_done(l, o, DELIVERY_ACKED);
    else
        lane_give_up(l, o, "FAIL_ACK");
    return true;
}

static void on_lost(struct lane *l)
{
    for (size_t at = l->queue.head; at != l->sent; at++) {
        struct out *o = sendqueue_at(&l->queue, at);
        if (o->frame && o->tries >= l->peer->t->max_tries) {
            lane_give_up(l, o, "the connection broke");
            atomic_store(&l->lost, true);
        }
    }
    sendqueue_trim(&l->queue, l->sent);
    l->sent = l->queue.head;
    l->in_flight = l->in_flight_bytes = 0;
}

const struct lane_ops lane_pipeline_ops = {.pump = pump, .on_ack = on_ack, .on_lost = on_lost};
