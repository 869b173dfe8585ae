/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers: each loop keeps its active ones in a heap. A timer never fires early; timers that are due
 * in the same turn fire in the order of their moments, then of their starting. One loop, own thread.
 */
#include "loop_impl.h"

void timer_init(struct timer *t, struct loop *l, timer_fn fn, void *arg)
{
    *t = (struct timer){.loop = l, .fn = fn, .arg = arg};
}

void timer_start(struct timer *t, uint64_t delay_ms)
{
    struct loop *l = t->loop;
    uint64_t now_us = l->ops->mono_us(l);

    ASSERT(loop_is_current(l));
    timer_stop(t);
    /* A delay beyond the clock's range is "never", not an overflow into the past. */
    uint64_t delay_us = delay_ms > (UINT64_MAX - now_us) / 1000 ? UINT64_MAX - now_us : delay_ms * 1000;
    heap_put(&l->timers, now_us + delay_us, t, &t->slot);
    t->active = true;
    loop_attend(l);
}

void timer_stop(struct timer *t)
{
    if (!t->active)
        return;
    ASSERT(loop_is_current(t->loop));
    heap_remove(&t->loop->timers, &t->slot);
    t->active = false;
}

void timer_fini(struct timer *t)
{
    timer_stop(t);
}

/* Timers that callbacks start with delay 0 fire in the next turn, so that I/O gets its share. */
void timer_run_due(struct loop *l)
{
    uint64_t now_us = l->ops->mono_us(l), end = heap_next_seq(&l->timers), at;
    struct timer *t;

    while ((t = heap_first(&l->timers, &at)) && at <= now_us && heap_first_seq(&l->timers) < end) {
        timer_stop(t);
        t->fn(t, t->arg);
    }
}

bool timer_next_us(const struct loop *l, uint64_t *at_us)
{
    return heap_first(&l->timers, at_us) != NULL;
}
