/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fate of a message that went to many members, as one completion. A delivery lies in the object that
 * waits (a front-door connection, a state transfer); each (message, member) adds one expected result, and
 * when the last has come and the delivery is sealed, `fn` runs once on `loop`. Results may come from any
 * thread.
 */
#ifndef CLUSTERD_TRANSPORT_DELIVERY_H
#define CLUSTERD_TRANSPORT_DELIVERY_H

#include "clusterd/loop/loop.h"

struct delivery;
typedef void (*delivery_fn)(struct delivery *d, bool cancelled); /* cancelled: the loop has ended */

enum delivery_result {
    DELIVERY_ACKED,   /* acknowledged as asked (or written, when no ACK was asked for) */
    DELIVERY_LAGGING, /* the member is behind: the message is queued, nobody waits */
    DELIVERY_FAILED,  /* given up: member gone, queue full, FAIL_ACK twice */
};

struct delivery {
    struct task task; /* private */
    struct loop *loop;
    delivery_fn fn;
    bool is_patient; /* to be set after delivery_init(): it waits for a lagging member too */
    atomic_int pending;
    atomic_int acked, lagging, failed;
};

/* pending = 1: the seal. Without a loop fn runs at once, in whatever thread gives the last result, under the
 * locks that it has: it may only pass the results on. */
void delivery_init(struct delivery *d, struct loop *loop, delivery_fn fn);
void delivery_expect(struct delivery *d, int n);
void delivery_result(struct delivery *d, enum delivery_result r); /* NULL d is fine */
/* All results of `from`, which has all of its own: so many were expected here. */
void delivery_pass_on(struct delivery *d, const struct delivery *from);
void delivery_seal(struct delivery *d); /* no more is expected; fn follows, always later, on d->loop */

#endif
