/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What edit.c shares with table.c: the shards. Lock order: at most two shard locks, in index order; below
 * them the locks of the parking lot, of the context list and of the outbox.
 */
#ifndef CLUSTERD_SESSION_TABLE_PRIVATE_H
#define CLUSTERD_SESSION_TABLE_PRIVATE_H

#include "clusterd/loop/lock.h"
#include "clusterd/session/table.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/list.h"
#include "session.h"
#include "store.h"

struct shard {
    struct lock lock;
    struct store sessions;
};

/* The contexts of one front-door database. Those with a prefix come from the configuration, the longest
 * prefix first, and are constant while the node runs; the one of keys without a prefix is made when needed.
 */
struct route {
    struct context **prefixed;
    size_t n;
    _Atomic(struct context *) rest;
};

#define TABLE_DATABASES 16 /* of the front door */
#define TABLE_RECENT    64

struct table {
    struct table_conf conf;
    struct metrics *metrics;
    struct shard shards[TABLE_SHARDS];
    atomic_ullong bytes, items;     /* items: whatever is held */
    atomic_ullong sessions, graves; /* graves: tombstones and aliases */
    atomic_ullong refused;

    struct lock contexts_lock;
    struct htab contexts;
    struct context **context_list; /* by index; grows under the lock, entries never change */
    size_t n_contexts;
    struct route routes[TABLE_DATABASES];
    _Atomic(struct context *) recent[TABLE_RECENT]; /* found by name before, each in the place of its name */
    struct manager_conf defaults;                   /* of contexts that are made at first sight */

    struct lock park_lock;
    struct link parked;
    size_t n_parked, parked_bytes;

    unsigned sweep_shard;
    struct store_walk sweep_walk;
};

static inline unsigned table_shard_of(uint64_t key)
{
    return (
        unsigned)(key >>
                  (64 -
                   STORE_SHARD_BITS)); /* the top bits: walks go shard by shard in the order of the hash */
}
_Static_assert(TABLE_SHARDS == 1 << STORE_SHARD_BITS, "the shard is the top bits of the key");

static inline struct context *table_context_of(const struct table *t, const struct session *s)
{
    return t->context_list[session_context(s)];
}

/* Under the shard's lock. key: the stable one of the context and the id. */
struct session *table_find_locked(struct table *t, const struct context *c, uint64_t key, struct span id);
/* first: the change that it is made for, or NULL. */
struct session *table_add_locked(struct table *t, const struct context *c, uint64_t key, struct span id,
                                 uint64_t mono_ms, const struct change *first);
void table_remove_locked(struct table *t, struct session *s);
/* A change meets its session, which is made when it is NULL, and may lie elsewhere afterwards. */
struct session *table_merge_locked(struct table *t, struct session *s, uint64_t key, struct span id,
                                   const struct change *c, struct table_now now, bool *changed);
void table_lock_two(struct table *t, unsigned a, unsigned b); /* shards, in any order */
void table_unlock_two(struct table *t, unsigned a, unsigned b);
/* A rename, under the locks of both shards. When `to` was renamed later itself, *next is where the state
 * belongs, and nothing was done. */
enum table_result table_rename_locked(struct table *t, struct change *c, struct span from, struct span to,
                                      struct table_now now, struct buf *next);
/* Around every mutation of a session: `before` gives what `after` compares with. */
struct table_mark {
    size_t bytes;
    bool grave;
};
struct table_mark table_before(const struct session *s);
void table_after(struct table *t, struct session *s, struct table_mark before);
void table_contexts_init(struct table *t);
void table_contexts_fini(struct table *t);
/* Drops what has been parked long enough. */
void table_forget_parked(struct table *t, uint64_t mono_ms);
#define TABLE_CONTEXTS_HARD_MAX 65536 /* maxContexts may be no larger */
/* Would this change be refused for want of memory? */
bool table_refuses(struct table *t, bool exists);

#endif
