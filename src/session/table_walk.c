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
#define SHARD_RANGE   (1ULL << 58)

typedef void (*visit_fn)(void *arg, const struct session *s);

/* Visits the sessions of one stretch of the hash space under the shard's lock; returns the place behind it.
 */
static uint64_t visit_stretch(struct table *t, uint64_t from, size_t want, visit_fn fn, void *arg)
{
    struct shard *sh = &t->shards[table_shard_of(from)];
    uint64_t shard_end = (from / SHARD_RANGE + 1) * SHARD_RANGE; /* 0 behind the last */

    lock_take(&sh->lock);
    size_t n = sh->sessions.n;
    uint64_t step = n > want ? SHARD_RANGE / n * want : SHARD_RANGE;
    uint64_t end = shard_end - from > step ? from + step : shard_end;
    size_t at = 0;
    if (n)
        for (const struct session *s; (s = htab_next(&sh->sessions, &at));)
            if (s->key >= from && s->key - from < end - from)
                fn(arg, s);
    lock_drop(&sh->lock);
    return end;
}

struct collect {
    struct context *only;
    bool graves;
    struct table_now now;
    size_t n, cap;
    struct change **snapshots; /* or ids: */
    struct buf ids;
    struct context **contexts;
};

static bool is_wanted(const struct collect *k, const struct session *s)
{
    if (k->only && s->context != k->only)
        return false;
    return s->kind == SESSION_LIVE ? session_is_visible(s, k->now) : k->graves;
}

static void collect_snapshot(void *arg, const struct session *s)
{
    struct collect *k = arg;

    if (!is_wanted(k, s))
        return;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 16;
        k->snapshots = mem_realloc(k->snapshots, k->cap * sizeof *k->snapshots);
    }
    k->snapshots[k->n++] = session_snapshot(s, k->now);
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

static void collect_id(void *arg, const struct session *s)
{
    struct collect *k = arg;

    if (!is_wanted(k, s))
        return;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 16;
        k->contexts = mem_realloc(k->contexts, k->cap * sizeof *k->contexts);
    }
    k->contexts[k->n++] = s->context;
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
    struct collect k = {.graves = true, .now = now};
    size_t at = 0;

    if (n == 0)
        return;
    lock_take(&sh->lock);
    for (const struct session *s; (s = htab_next(&sh->sessions, &at));) {
        struct table_summary key = {s->key, 0};
        if (key.key >= keys[0].key && key.key <= keys[n - 1].key &&
            bsearch(&key, keys, n, sizeof key, by_key))
            collect_snapshot(&k, s);
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
    uint64_t over = session_over_at(s);
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
        for (; want > 0 && (s = htab_next(&sh->sessions, &t->sweep_at)); want--)
            sweep_session(t, s, now);
        lock_drop(&sh->lock);
        if (!s && want > 0) {
            t->sweep_shard = (t->sweep_shard + 1) % TABLE_SHARDS;
            t->sweep_at = 0;
            shards++;
        }
    }
}

void table_digest(struct table *t, unsigned shard, struct table_now now, uint64_t quiet_ms, uint64_t *hash,
                  uint64_t *count)
{
    struct shard *sh = &t->shards[shard];
    size_t at = 0;

    *hash = *count = 0;
    lock_take(&sh->lock);
    for (const struct session *s; (s = htab_next(&sh->sessions, &at));) {
        if (s->kind != SESSION_LIVE || !session_is_visible(s, now) ||
            now.mono_ms - s->changed_mono_ms < quiet_ms)
            continue;
        *hash += hash_mix(s->key, session_state_hash(s));
        ++*count;
    }
    lock_drop(&sh->lock);
}

size_t table_summaries(struct table *t, unsigned shard, struct table_now now,
                       struct table_summary **out_taken)
{
    struct shard *sh = &t->shards[shard];
    size_t at = 0, n = 0;

    lock_take(&sh->lock);
    struct table_summary *all = mem_array(sh->sessions.n, sizeof *all);
    for (const struct session *s; (s = htab_next(&sh->sessions, &at));)
        if (s->kind != SESSION_LIVE || session_is_visible(s, now))
            all[n++] = (struct table_summary){s->key, session_state_hash(s)};
    lock_drop(&sh->lock);
    *out_taken = all;
    return n;
}
