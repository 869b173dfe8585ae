/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of sendqueue.h. It doubles when it is full; a ring that has become large is freed when it has run
 * empty, so a member that was stopped for a minute costs its memory only for so long.
 */
#include "sendqueue.h"

#include "clusterd/util/mem.h"

#define CAP_MIN  ((size_t)64)
#define CAP_KEEP ((size_t)4096)

void sendqueue_fini(struct sendqueue *q)
{
    for (; q->head != q->tail; q->head++)
        blob_unref(sendqueue_at(q, q->head)->frame);
    mem_free(q->v);
    *q = (struct sendqueue){0};
}

static void grow(struct sendqueue *q)
{
    size_t cap = q->cap ? q->cap * 2 : CAP_MIN;
    struct out *v = mem_array(cap, sizeof *v);

    for (size_t at = q->head; at != q->tail; at++)
        v[at & (cap - 1)] = *sendqueue_at(q, at);
    mem_free(q->v);
    q->v = v;
    q->cap = cap;
}

void sendqueue_push(struct sendqueue *q, const struct out *o)
{
    if (q->tail - q->head == q->cap)
        grow(q);
    *sendqueue_at(q, q->tail) = *o;
    q->tail++;
}

void sendqueue_trim(struct sendqueue *q, size_t end)
{
    while (q->head != end && !sendqueue_at(q, q->head)->frame)
        q->head++;
    if (sendqueue_is_empty(q) && q->cap > CAP_KEEP) {
        mem_free(q->v);
        q->v = NULL;
        q->cap = 0;
    }
}
