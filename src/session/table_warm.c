/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Having sessions brought into the processor's caches before they are looked at; see table_warm() in table.h.
 * In a table of 100,000 sessions nothing that a change needs is in a cache: the place in the shard's table,
 * the session, its value. One change at a time waits for each of them in turn, which was a third of a
 * replica's time. Here the same step is made for all sessions before the next one.
 *
 * Any thread. Between the steps the shards are unlocked, so what a step has found may be gone in the next
 * one: each looks again, in memory that has come meanwhile.
 */
#include "table_private.h"

struct wanted {
    struct shard *shard;
    uint64_t key;
    uint32_t tag;
};

static void warm_part(const struct wanted *w)
{
    store_warm(&w->shard->sessions, w->key);
}

static void warm_place(const struct wanted *w)
{
    store_warm_place(&w->shard->sessions, w->key, w->tag);
}

static void warm_session(const struct wanted *w)
{
    const struct session *s = store_guess(&w->shard->sessions, w->key, w->tag);

    if (!s)
        return;
    __builtin_prefetch(s);
    __builtin_prefetch(s->id);
}

static void warm_value(const struct wanted *w)
{
    const struct session *s = store_guess(&w->shard->sessions, w->key, w->tag);

    if (s)
        session_warm(s);
}

typedef void (*step_fn)(const struct wanted *w);
static const step_fn steps[] = {warm_part, warm_place, warm_session, warm_value};

static struct wanted want(struct table *t, const struct table_name *name)
{
    uint8_t tagged[SESSION_TAG_LEN + TABLE_ID_MAX];
    uint64_t key = session_stable_key(name->context, name->id);

    return (struct wanted){&t->shards[table_shard_of(key)], key,
                           htab_tag(session_table_key(name->context, name->id, tagged))};
}

void table_warm(struct table *t, const struct table_name *names, size_t n)
{
    struct wanted wanted[TABLE_WARM_MAX];
    size_t n_wanted = 0;

    ASSERT(n <= TABLE_WARM_MAX);
    for (size_t i = 0; i < n && n > 1; i++)
        if (names[i].id.n <= TABLE_ID_MAX)
            wanted[n_wanted++] = want(t, &names[i]);
    for (size_t step = 0; step < sizeof steps / sizeof *steps; step++)
        for (size_t i = 0; i < n_wanted; i++) {
            lock_take(&wanted[i].shard->lock);
            steps[step](&wanted[i]);
            lock_drop(&wanted[i].shard->lock);
        }
}
