/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap of moments; see heap.h.
 */
#include "heap.h"
#include "clusterd/util/err.h"
#include "clusterd/util/mem.h"

static bool earlier(const struct heap_item *a, const struct heap_item *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void set(struct heap *h, size_t i, struct heap_item item)
{
    h->items[i] = item;
    *item.slot = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_item item)
{
    while (i > 0 && earlier(&item, &h->items[(i - 1) / 2])) {
        set(h, i, h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    set(h, i, item);
}

static void sift_down(struct heap *h, size_t i, struct heap_item item)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && earlier(&h->items[child + 1], &h->items[child]))
            child++;
        if (!earlier(&h->items[child], &item))
            break;
        set(h, i, h->items[child]);
        i = child;
    }
    set(h, i, item);
}

void heap_fini(struct heap *h)
{
    mem_free(h->items);
    *h = (struct heap){0};
}

void heap_put(struct heap *h, uint64_t at, void *owner, size_t *slot)
{
    ASSERT(*slot == 0);
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->items = mem_realloc(h->items, h->cap * sizeof *h->items);
    }
    h->n++;
    sift_up(h, h->n - 1, (struct heap_item){at, h->seq++, owner, slot});
}

void heap_remove(struct heap *h, size_t *slot)
{
    size_t i = *slot - 1;

    if (*slot == 0)
        return;
    ASSERT(i < h->n);
    *slot = 0;
    struct heap_item last = h->items[--h->n];
    if (i == h->n)
        return;
    if (i > 0 && earlier(&last, &h->items[(i - 1) / 2]))
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

void *heap_first(const struct heap *h, uint64_t *at)
{
    if (h->n == 0)
        return NULL;
    *at = h->items[0].at;
    return h->items[0].owner;
}
