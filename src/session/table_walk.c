/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going through a table in slices: walks in the order of the stable hash (a cursor is a place in hash space,
 * so tables may grow meanwhile), sweeping out what is over, and the hashes by which clusterd nodes compare.
 * Any thread.
 */
#include "table_private.h"

#include "clusterd/util/mem.h"

#include <stdlib.h>

/* What is over by time is kept this long, unseen: a later extension may be on its way. */
#define OVER_GRACE_MS 5000
#define BUCKET_MIN    64 /* sessions, about as many as a part of a store has */

typedef void (*visit_fn)(void *arg, const struct table *t, const struct session *s);

static uint64_t key_of(const struct table *t, const struct session *s)
{
    return session_stable_key(table_context_of(t, s), session_id(s));
}

static int by_number(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

    return (a > b) - (a < b);
}

/* The end of a stretch of a part from `from` on that has `want` sessions; of all of it, if it has no more. */
static uint64_t stretch_end(const struct table *t, const struct htab *part, uint64_t from, uint64_t part_end,
                            size_t want)
{
    uint64_t *keys = mem_array(part->n, sizeof *keys), end = part_end;
    size_t n = 0, at = 0;

    for (const struct session *s; (s = htab_next(part, &at));)
        if ((keys[n] = key_of(t, s)) >= from)
            n++;
    if (n > want) {
        qsort(keys, n, sizeof *keys, by_number);
        for (at = want; at < n && keys[at] == keys[at - 1];)
            at++;
        end = at < n ? keys[at] : part_end;
    }
    mem_free(keys);
    return end;
}

/* Visits about `want` sessions from a place in hash space on, at most to the end of its shard, under the
 * shard's lock; returns the place behind them. */
static uint64_t visit_stretch(struct table *t, uint64_t from, size_t want, visit_fn fn, void *arg)
{
    unsigned shard = table_shard_of(from);
    struct shard *sh = &t->shards[shard];
    size_t seen = 0;

    lock_take(&sh->lock);
    do {
        uint64_t part_end, end;
        const struct htab *part = store_part(&sh->sessions, from, &part_end);
        size_t at = 0;
        end = part->n > want ? stretch_end(t, part, from, part_end, want) : part_end;
        for (const struct session *s; (s = htab_next(part, &at));) {
            uint64_t key = key_of(t, s);
            if (key < from || key - from >= end - from)
                continue;
            fn(arg, t, s);
            seen++;
        }
        from = end;
    } while (seen < want && from && table_shard_of(from) == shard);
    lock_drop(&sh->lock);
    return from;
}

struct collect {
    struct context *only;
    bool graves, unseen;
    struct table_now now;
    size_t n, cap;
    struct change **snapshots; /* or ids: */
    struct buf ids;
    struct context **contexts;
};

static bool is_wanted(const struct collect *k, const struct context *c, const struct session *s)
{
    if (k->only && c != k->only)
        return false;
    return s->kind == SESSION_LIVE ? k->unseen || session_is_visible(s, c, k->now) : k->graves;
}

static void collect_snapshot(void *arg, const struct table *t, const struct session *s)
{
    struct collect *k = arg;
    struct context *c = table_context_of(t, s);

    if (!is_wanted(k, c, s))
        return;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 16;
        k->snapshots = mem_realloc(k->snapshots, k->cap * sizeof *k->snapshots);
    }
    k->snapshots[k->n++] = session_snapshot(s, c, k->now);
}

void table_walk(struct table *t, struct context *only, bool graves, uint64_t *at, size_t want,
                struct table_now now, table_walk_fn fn, void *arg)
{
    struct collect k = {.only = only, .graves = graves, .now = now};

    do
        *at = visit_stretch(t, *at, want, collect_snapshot, &k);
    while (*at && k.n < want);
    for (size_t i = 0; i < k.n; i++)
        fn(arg, k.snapshots[i]);
    mem_free(k.snapshots);
}

static void collect_id(void *arg, const struct table *t, const struct session *s)
{
    struct collect *k = arg;
    struct context *c = table_context_of(t, s);

    if (!is_wanted(k, c, s))
        return;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 16;
        k->contexts = mem_realloc(k->contexts, k->cap * sizeof *k->contexts);
    }
    k->contexts[k->n++] = c;
    wr_span32(&k->ids, session_id(s));
}

void table_walk_ids(struct table *t, struct context *only, uint64_t *at, size_t want, struct table_now now,
                    table_ids_fn fn, void *arg)
{
    struct collect k = {.only = only, .now = now};

    do
        *at = visit_stretch(t, *at, want, collect_id, &k);
    while (*at && k.n < want);
    struct rd in = rd_of(buf_span(&k.ids));
    for (size_t i = 0; i < k.n; i++)
        fn(arg, k.contexts[i], rd_bytes32(&in, TABLE_ID_MAX, "id"));
    buf_fini(&k.ids);
    mem_free(k.contexts);
}

static int by_key(const void *pa, const void *pb)
{
    const struct table_summary *a = pa, *b = pb;

    return (a->key > b->key) - (a->key < b->key);
}

void table_pick(struct table *t, unsigned shard, const struct table_summary *keys, size_t n,
                struct table_now now, table_walk_fn fn, void *arg)
{
    struct shard *sh = &t->shards[shard];
    struct collect k = {.graves = true, .unseen = true, .now = now};

    /* A sender without manners may ask for keys of other shards. */
    for (; n && table_shard_of(keys[0].key) < shard; n--)
        keys++;
    while (n && table_shard_of(keys[n - 1].key) > shard)
        n--;
    lock_take(&sh->lock);
    for (size_t i = 0; i < n;) {
        uint64_t end;
        const struct htab *part = store_part(&sh->sessions, keys[i].key, &end);
        size_t here = 1, at = 0;
        while (i + here < n && keys[i + here].key - keys[i].key < end - keys[i].key)
            here++;
        for (const struct session *s; (s = htab_next(part, &at));) {
            struct table_summary key = {.key = key_of(t, s)};
            if (bsearch(&key, keys + i, here, sizeof key, by_key))
                collect_snapshot(&k, t, s);
        }
        i += here;
    }
    lock_drop(&sh->lock);
    for (size_t i = 0; i < k.n; i++)
        fn(arg, k.snapshots[i]);
    mem_free(k.snapshots);
}

/* Graves and aliases are kept shorter when there are too many. */
static uint64_t grave_ms(const struct table *t)
{
    uint64_t n = atomic_load(&t->graves), max = t->conf.max_tombstones;

    return max && n > max ? t->conf.tombstone_ms / (n / max + 1) : t->conf.tombstone_ms;
}

static bool is_done_with(struct table *t, const struct session *s, struct table_now now)
{
    uint64_t age = now.mono_ms - s->changed_mono_ms;

    if (s->kind != SESSION_LIVE || !session_is_alive(s))
        return age > grave_ms(t);
    uint64_t over = session_over_at(s, table_context_of(t, s));
    return over != UINT64_MAX && over + OVER_GRACE_MS <= now.mono_ms;
}

static void sweep_session(struct table *t, struct session *s, struct table_now now)
{
    if (is_done_with(t, s, now)) {
        if (s->counted)
            metric_inc(t->metrics, sessions_expired);
        table_remove_locked(t, s);
        return;
    }
    struct table_mark mark = table_before(s);
    session_forget_removed(s, now.mono_ms, t->conf.tombstone_ms);
    table_after(t, s, mark);
}

void table_sweep(struct table *t, size_t want, struct table_now now)
{
    size_t shards = 0;

    table_forget_parked(t, now.mono_ms);
    while (want > 0 && shards <= TABLE_SHARDS) {
        struct shard *sh = &t->shards[t->sweep_shard];
        struct session *s = NULL;
        lock_take(&sh->lock);
        for (; want > 0 && (s = store_next(&sh->sessions, &t->sweep_walk)); want--)
            sweep_session(t, s, now);
        lock_drop(&sh->lock);
        if (!s && want > 0) {
            t->sweep_shard = (t->sweep_shard + 1) % TABLE_SHARDS;
            t->sweep_walk = store_walk(t->sweep_shard);
            shards++;
        }
    }
}

unsigned table_bucket_bits(const struct table *t)
{
    uint64_t in_shard = table_items(t) / TABLE_SHARDS;
    unsigned bits = 0;

    while (bits < TABLE_BUCKET_BITS_MAX && in_shard >> (bits + 1) >= BUCKET_MIN)
        bits++;
    return bits;
}

typedef void (*bucket_fn)(void *arg, const struct table *t, const struct session *s, uint64_t key);

static void visit_bucket(struct table *t, struct table_bucket b, bucket_fn fn, void *arg)
{
    unsigned range_bits = 64 - STORE_SHARD_BITS - b.bits;
    uint64_t first = ((uint64_t)b.shard << b.bits | b.number) << range_bits,
             last = first + ((1ULL << range_bits) - 1), at = first, end;
    struct shard *sh = &t->shards[b.shard];

    lock_take(&sh->lock);
    do {
        const struct htab *part = store_part(&sh->sessions, at, &end);
        size_t slot = 0;
        for (const struct session *s; (s = htab_next(part, &slot));) {
            uint64_t key = key_of(t, s);
            if (key >= first && key <= last)
                fn(arg, t, s, key);
        }
        at = end;
    } while (end - 1 < last);
    lock_drop(&sh->lock);
}

struct digest {
    struct table_now now;
    uint64_t quiet_ms, hash;
};

static void add_to_digest(void *arg, const struct table *t, const struct session *s, uint64_t key)
{
    struct digest *d = arg;

    if (s->kind == SESSION_LIVE && session_is_visible(s, table_context_of(t, s), d->now) &&
        d->now.mono_ms - s->changed_mono_ms >= d->quiet_ms)
        d->hash += hash_mix(key, session_state_hash(s));
}

uint64_t table_digest(struct table *t, struct table_bucket b, struct table_now now, uint64_t quiet_ms)
{
    struct digest d = {.now = now, .quiet_ms = quiet_ms};

    visit_bucket(t, b, add_to_digest, &d);
    return d.hash;
}

struct summaries {
    struct table_now now;
    struct table_summary *all;
    size_t n, cap;
};

static void add_summary(void *arg, const struct table *t, const struct session *s, uint64_t key)
{
    struct summaries *all = arg;
    bool unseen = s->kind == SESSION_LIVE && !session_is_visible(s, table_context_of(t, s), all->now);

    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 128;
        all->all = mem_realloc(all->all, all->cap * sizeof *all->all);
    }
    all->all[all->n++] = (struct table_summary){key, session_state_hash(s), unseen};
}

size_t table_summaries(struct table *t, struct table_bucket b, struct table_now now,
                       struct table_summary **out_taken)
{
    struct summaries all = {.now = now};

    visit_bucket(t, b, add_summary, &all);
    *out_taken = all.all;
    return all.n;
}
