/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACK time-out of a lane, and when its member counts as lagging and as caught up again. On the lane's
 * worker.
 *
 * The time-out asks for progress, not for a particular ACK: an ACK, or bytes that leave a queue that was
 * stuck. It is looked at every quarter of its length while something is unfinished, so the usual message
 * starts no timer.
 */
#include "lane.h"

#include "clusterd/util/log.h"
#include "transmitter_impl.h"

static uint64_t now_ms(const struct lane *l)
{
    return loop_mono_ms(l->loop);
}

static void fall_behind(struct lane *l)
{
    l->is_behind = true;
    l->behind_mark = l->n_in;
    l->behind_ms = now_ms(l);
}

static void time_out(struct lane *l)
{
    struct peer *p = l->peer;

    metric_inc(p->t->metrics, ack_timeouts);
    log_limited(now_ms(l), LOG_WARN, "sender: %s has acknowledged nothing for %llu ms: it is lagging",
                p->m->name, (unsigned long long)p->t->timeout_ms);
    if (!atomic_load(&p->m->lagging))
        peer_tell_trouble(p, ERR_TIMEOUT);
    l->is_lagging = true;
    fall_behind(l);
    lane_shed(l);
    peer_set_lagging(l, true);
}

/* Caught up: what was there at the mark is done, and it took no long time. Under steady traffic the queue is
 * never quite empty. */
void lane_watch_behind(struct lane *l)
{
    if (!l->is_behind && atomic_load_explicit(&l->lost, memory_order_relaxed))
        fall_behind(l);
    if (!l->is_behind || l->n_done < l->behind_mark)
        return;
    if (lane_has_work(l) && now_ms(l) - l->behind_ms > l->peer->t->timeout_ms / 4) {
        fall_behind(l);
        return;
    }
    l->is_behind = false;
    if (l->is_lagging)
        peer_set_lagging(l, false);
    l->is_lagging = false;
    peer_caught_up(l->peer, atomic_exchange(&l->lost, false));
}

void lane_watch_start(struct lane *l)
{
    timer_start(&l->ack_timer, l->peer->t->timeout_ms / 4 + 1);
}

void lane_watch_progress(struct lane *l)
{
    l->progress_ms = now_ms(l);
}

/* Do bytes leave that were stuck at the last look? A large frame may take longer than the time-out. What the
 * kernel took at once says nothing about the peer. */
static void look_at_output(struct lane *l)
{
    size_t queued = l->state == LANE_READY ? stream_queued(l->stream) : 0;
    uint64_t left = l->wrote - queued;

    if (l->seen_queued && left != l->seen_left)
        lane_watch_progress(l);
    l->seen_queued = queued > 0;
    l->seen_left = left;
}

void lane_watch_on_timer(struct timer *t, void *arg)
{
    struct lane *l = arg;

    (void)t;
    if (!lane_has_work(l))
        return;
    look_at_output(l);
    if (!l->is_lagging && now_ms(l) - l->progress_ms >= l->peer->t->timeout_ms)
        time_out(l);
    lane_watch_start(l);
}
