/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of a shard in parts that split; see store.h. No locks of its own.
 */
#include "store.h"

#include "clusterd/util/mem.h"

#define PART_MAX    128 /* items; more only if the keys do not tell them apart */
#define DIR_PER     32  /* items for each place of the list of parts, at least */
#define KEY_BITS    (64 - STORE_SHARD_BITS)
#define SHARD_RANGE (1ULL << KEY_BITS)

struct part {
    struct htab items;
    unsigned depth; /* bits of the key, behind those of the shard, that are the same for all of it */
};

static struct part *part_new(const struct store *s, unsigned depth)
{
    struct part *p = MEM_NEW(struct part);

    htab_init(&p->items, s->key);
    p->depth = depth;
    return p;
}

void store_init(struct store *s, htab_key_fn key, store_stable_fn stable, void *arg)
{
    *s = (struct store){.key = key, .stable = stable, .arg = arg};
    s->dir = mem_array(1, sizeof *s->dir);
    s->dir[0] = part_new(s, 0);
}

void store_fini(struct store *s)
{
    size_t n = (size_t)1 << s->depth;

    for (size_t i = 0; i < n;) {
        struct part *p = s->dir[i];
        i += (size_t)1 << (s->depth - p->depth);
        htab_fini(&p->items);
        mem_free(p);
    }
    mem_free(s->dir);
    *s = (struct store){0};
}

static size_t dir_place(const struct store *s, uint64_t stable)
{
    return s->depth ? (size_t)((stable & (SHARD_RANGE - 1)) >> (KEY_BITS - s->depth)) : 0;
}

void *store_find(const struct store *s, uint64_t stable, struct span key)
{
    return htab_find(&s->dir[dir_place(s, stable)]->items, key);
}

void store_warm(const struct store *s, uint64_t stable)
{
    __builtin_prefetch(s->dir[dir_place(s, stable)]);
}

void store_warm_place(const struct store *s, uint64_t stable, uint32_t tag)
{
    htab_warm(&s->dir[dir_place(s, stable)]->items, tag);
}

void *store_guess(const struct store *s, uint64_t stable, uint32_t tag)
{
    return htab_guess(&s->dir[dir_place(s, stable)]->items, tag);
}

static bool double_dir(struct store *s)
{
    size_t n = (size_t)1 << s->depth;

    if (2 * n > s->n / DIR_PER || s->depth + 1 >= KEY_BITS)
        return false;
    struct part **dir = mem_array(2 * n, sizeof *dir);
    for (size_t i = 0; i < 2 * n; i++)
        dir[i] = s->dir[i / 2];
    mem_free(s->dir);
    s->dir = dir;
    s->depth++;
    return true;
}

struct split {
    const struct store *store;
    uint64_t bit;
};

static bool is_upper(void *arg, const void *item)
{
    const struct split *x = arg;

    return x->store->stable(x->store->arg, item) & x->bit;
}

static void split_part(struct store *s, struct part *p, size_t place)
{
    struct split x = {s, 1ULL << (KEY_BITS - 1 - p->depth)};
    size_t width = (size_t)1 << (s->depth - p->depth), first = place & ~(width - 1);
    struct part *upper = part_new(s, ++p->depth);

    htab_split(&p->items, &upper->items, is_upper, &x);
    for (size_t i = width / 2; i < width; i++)
        s->dir[first + i] = upper;
}

void store_put(struct store *s, uint64_t stable, void *item)
{
    struct part *p = s->dir[dir_place(s, stable)];

    htab_put(&p->items, item);
    s->n++;
    while (p->items.n > PART_MAX && (p->depth < s->depth || double_dir(s))) {
        split_part(s, p, dir_place(s, stable));
        p = s->dir[dir_place(s, stable)];
    }
}

void store_remove(struct store *s, uint64_t stable, struct span key)
{
    if (htab_remove(&s->dir[dir_place(s, stable)]->items, key))
        s->n--;
}

void store_moved(struct store *s, uint64_t stable, uintptr_t from, void *to)
{
    htab_moved(&s->dir[dir_place(s, stable)]->items, from, to);
}

struct htab *store_part(const struct store *s, uint64_t at, uint64_t *end)
{
    struct part *p = s->dir[dir_place(s, at)];
    uint64_t range = SHARD_RANGE >> p->depth;

    *end = (at & ~(range - 1)) + range; /* 0 behind the last one of all shards */
    return &p->items;
}

struct store_walk store_walk(unsigned shard)
{
    return (struct store_walk){.at = (uint64_t)shard << KEY_BITS};
}

void *store_next(const struct store *s, struct store_walk *w)
{
    while (!w->over) {
        uint64_t end;
        struct htab *part = store_part(s, w->at, &end);
        void *item = htab_next(part, &w->slot);
        if (item)
            return item;
        htab_trim(part);
        w->over = end >> KEY_BITS != w->at >> KEY_BITS;
        w->at = end;
        w->slot = 0;
    }
    return NULL;
}
