/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of messages on their way to one member: a growing ring, so that a message costs no allocation of
 * its own. Places are counted from the beginning of time (head <= place < tail). A message whose frame is
 * NULL is done; it stays as a gap until it is at the head. Private to transport; no locks here.
 */
#ifndef TRANSPORT_SENDQUEUE_H
#define TRANSPORT_SENDQUEUE_H

#include "clusterd/transport/delivery.h"

struct out {
    struct blob *frame; /* own reference; NULL = done */
    uint64_t flow;
    struct delivery *delivery; /* NULL: nobody waits (any more) */
    uint32_t options;
    uint32_t tries; /* how often it was written to a connection */
};

struct sendqueue {
    struct out *v;
    size_t cap; /* a power of two, or 0 */
    size_t head, tail;
};

void sendqueue_fini(struct sendqueue *q); /* frees the ring and the frames in it */
void sendqueue_push(struct sendqueue *q, const struct out *o);
static inline struct out *sendqueue_at(const struct sendqueue *q, size_t place)
{
    return &q->v[place & (q->cap - 1)];
}
static inline bool sendqueue_is_empty(const struct sendqueue *q)
{
    return q->head == q->tail;
}
/* Leave gaps at the head behind, up to `end`. Memory of a queue that was long is given back when it is empty.
 */
void sendqueue_trim(struct sendqueue *q, size_t end);

#endif
