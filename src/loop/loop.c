/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of a loop: the public functions, which pass on to the kind, and the order in which one turn
 * does its work. See loop_impl.h. Own thread but where loop.h says otherwise.
 */
#include "loop_impl.h"

#include <stdio.h>

/* One settling pass may cause another (a deferred task writes, an on_close defers); after this many the loop
 * looks at its descriptors before it goes on. */
#define SETTLE_PASSES 16

void loop_init(struct loop *l, const struct loop_ops *ops, struct host *h, unsigned index)
{
    l->ops = ops;
    l->host = h;
    l->index = index;
    if (index == 0)
        snprintf(l->name, sizeof l->name, "main");
    else
        snprintf(l->name, sizeof l->name, "worker %u", index - 1);
    l->deferred_tail = &l->deferred;
    link_init(&l->streams);
    link_init(&l->listeners);
    link_init(&l->multicasts);
    link_init(&l->dirty);
    link_init(&l->later);
    link_init(&l->ready);
    l->scratch = mem_alloc(SCRATCH_KEEP + SCRATCH_READ);
}

void loop_fini(struct loop *l)
{
    while (!link_is_alone(&l->listeners))
        listener_close(CONTAINER_OF(l->listeners.next, struct listener, all));
    while (!link_is_alone(&l->multicasts))
        multicast_close(CONTAINER_OF(l->multicasts.next, struct multicast, all));
    heap_fini(&l->timers);
    mem_free(l->scratch);
    gather_fini(&l->gather);
}

void loop_post(struct loop *l, struct task *t)
{
    l->ops->post(l, t);
}

void loop_attend(struct loop *l)
{
    if (!l->in_turn)
        l->ops->attend(l);
}

void loop_defer(struct loop *l, struct task *t)
{
    ASSERT(loop_is_current(l));
    t->next = NULL;
    *l->deferred_tail = t;
    l->deferred_tail = &t->next;
    loop_attend(l);
}

bool loop_is_current(const struct loop *l)
{
    return l->ops->is_current(l);
}

const char *loop_name(const struct loop *l)
{
    return l->name;
}

uint64_t loop_mono_ms(const struct loop *l)
{
    return l->ops->mono_us(l) / 1000;
}

int64_t loop_wall_ms(const struct loop *l)
{
    return l->ops->wall_ms(l);
}

int64_t loop_steady_ms(const struct loop *l)
{
    int64_t mono_ms = (int64_t)loop_mono_ms(l);
    long long base_ms = atomic_load_explicit(&l->host->steady_base_ms, memory_order_relaxed);

    if (base_ms == 0) {
        long long now_base_ms = l->ops->wall_ms(l) - mono_ms;
        if (atomic_compare_exchange_strong(&l->host->steady_base_ms, &base_ms, now_base_ms))
            base_ms = now_base_ms;
    }
    return mono_ms + base_ms;
}

uint64_t loop_mono_us_exact(struct loop *l)
{
    return l->ops->mono_us_now(l);
}

uint64_t loop_mono_ms_now(const struct loop *l)
{
    return l->ops->mono_us_now(l) / 1000;
}

int64_t loop_wall_ms_now(const struct loop *l)
{
    return l->ops->wall_ms_now(l);
}

void loop_random(struct loop *l, void *out, size_t n)
{
    l->ops->random(l, out, n);
}

/* Without bias: draws that fall into the incomplete last part of the range are drawn again. */
uint32_t loop_random_below(struct loop *l, uint32_t bound)
{
    uint32_t v, end;

    ASSERT(bound > 0);
    end = UINT32_MAX - UINT32_MAX % bound;
    do
        loop_random(l, &v, sizeof v);
    while (v >= end);
    return v % bound;
}

void loop_tasks_run(struct task *list, bool cancelled)
{
    while (list) {
        struct task *t = list;
        list = t->next;
        t->run(t, cancelled);
    }
}

static struct task *take_deferred(struct loop *l)
{
    struct task *list = l->deferred;

    l->deferred = NULL;
    l->deferred_tail = &l->deferred;
    return list;
}

bool loop_is_settled(const struct loop *l)
{
    return !l->deferred && link_is_alone(&l->dirty) && link_is_alone(&l->ready);
}

/* Moves all of `from` to the empty list `to`, so that what is added meanwhile waits for the next pass. */
static void take_list(struct link *to, struct link *from)
{
    link_init(to);
    if (link_is_alone(from))
        return;
    *to = *from;
    to->prev->next = to->next->prev = to;
    link_init(from);
}

static void settle_pass(struct loop *l)
{
    struct link list, *at;

    loop_tasks_run(take_deferred(l), false);
    take_list(&list, &l->dirty);
    while ((at = link_pop_front(&list)))
        stream_settle_output(CONTAINER_OF(at, struct stream, dirty));
    take_list(&list, &l->ready);
    while ((at = link_pop_front(&list)))
        stream_settle_callbacks(CONTAINER_OF(at, struct stream, ready));
}

static void settle(struct loop *l)
{
    struct link *at;

    for (unsigned pass = 0; pass < SETTLE_PASSES && !loop_is_settled(l); pass++)
        settle_pass(l);
    while ((at = link_pop_front(&l->later)))
        link_push_back(&l->dirty, at);
}

void loop_turn(struct loop *l, struct task *posted)
{
    l->in_turn = true;
    gather_offer(l);
    timer_run_due(l);
    loop_tasks_run(posted, false);
    settle(l);
    l->in_turn = false;
}

bool loop_wind_up(struct loop *l)
{
    struct link list, *at;
    bool any = !loop_is_settled(l) || !link_is_alone(&l->streams);

    l->ending = l->in_turn = true;
    loop_tasks_run(take_deferred(l), true);
    LINK_EACH(s, &l->streams)
    {
        stream_wind_up(CONTAINER_OF(s, struct stream, all));
    }
    take_list(&list, &l->ready);
    while ((at = link_pop_front(&list)))
        stream_settle_callbacks(CONTAINER_OF(at, struct stream, ready));
    l->in_turn = false;
    return any;
}

void loop_forget(struct loop *l)
{
    while (!link_is_alone(&l->streams))
        stream_forget(CONTAINER_OF(l->streams.next, struct stream, all));
}
