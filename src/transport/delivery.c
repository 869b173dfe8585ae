/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts down the results of one message to many members; see delivery.h. Any thread. Who takes the last
 * pending count posts the task; nobody touches the delivery after that, because its owner may free it.
 */
#include "clusterd/transport/delivery.h"
#include "clusterd/util/list.h"

static void run(struct task *t, bool cancelled)
{
    struct delivery *d = CONTAINER_OF(t, struct delivery, task);

    d->fn(d, cancelled);
}

void delivery_init(struct delivery *d, struct loop *loop, delivery_fn fn)
{
    d->task = (struct task){.run = run};
    d->loop = loop;
    d->fn = fn;
    d->is_patient = false;
    atomic_init(&d->pending, 1);
    atomic_init(&d->acked, 0);
    atomic_init(&d->lagging, 0);
    atomic_init(&d->failed, 0);
}

void delivery_expect(struct delivery *d, int n)
{
    atomic_fetch_add_explicit(&d->pending, n, memory_order_relaxed);
}

static void count_down(struct delivery *d, int n)
{
    int before = atomic_fetch_sub_explicit(&d->pending, n, memory_order_acq_rel);

    ASSERT(before >= n);
    if (before > n)
        return;
    if (d->loop)
        loop_post(d->loop, &d->task);
    else
        d->fn(d, false);
}

void delivery_result(struct delivery *d, enum delivery_result r)
{
    if (!d)
        return;
    switch (r) {
    case DELIVERY_ACKED:
        atomic_fetch_add_explicit(&d->acked, 1, memory_order_relaxed);
        break;
    case DELIVERY_LAGGING:
        atomic_fetch_add_explicit(&d->lagging, 1, memory_order_relaxed);
        break;
    case DELIVERY_FAILED:
        atomic_fetch_add_explicit(&d->failed, 1, memory_order_relaxed);
        break;
    }
    count_down(d, 1);
}

void delivery_pass_on(struct delivery *d, const struct delivery *from)
{
    int acked = atomic_load_explicit(&from->acked, memory_order_relaxed);
    int lagging = atomic_load_explicit(&from->lagging, memory_order_relaxed);
    int failed = atomic_load_explicit(&from->failed, memory_order_relaxed);

    atomic_fetch_add_explicit(&d->acked, acked, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->lagging, lagging, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->failed, failed, memory_order_relaxed);
    count_down(d, acked + lagging + failed);
}

void delivery_seal(struct delivery *d)
{
    count_down(d, 1);
}
