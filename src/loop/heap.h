/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary min-heap of moments: what falls due first, and in the order of putting where moments are equal.
 * Each item's owner keeps its place in a `size_t` (0 = not in the heap), so that any item can be taken out.
 * Used for the timers of each loop and for the events of the simulator. One thread.
 */
#ifndef LOOP_HEAP_H
#define LOOP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
    uint64_t at, seq;
    void *owner;
    size_t *slot;
};

/* Zero-initialised is empty and valid. */
struct heap {
    struct heap_item *items;
    size_t n, cap;
    uint64_t seq;
};

void heap_fini(struct heap *h);
void heap_put(struct heap *h, uint64_t at, void *owner, size_t *slot);
void heap_remove(struct heap *h, size_t *slot); /* nothing when *slot is 0 */
/* The first item's owner, which stays in the heap; NULL when empty. */
void *heap_first(const struct heap *h, uint64_t *at);
/* The number that the next item put will carry: items put later than now are not below it. */
static inline uint64_t heap_next_seq(const struct heap *h)
{
    return h->seq;
}
static inline uint64_t heap_first_seq(const struct heap *h)
{
    return h->items[0].seq;
}

#endif
