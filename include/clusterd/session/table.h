/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session table: all sessions of all contexts of one node, in shards with one mutex each. Any thread.
 * Changes come in through table_apply(); the front door reads and writes through edit.h; everything else
 * reads through snapshots.
 */
#ifndef CLUSTERD_SESSION_TABLE_H
#define CLUSTERD_SESSION_TABLE_H

#include "clusterd/conf/option.h"
#include "clusterd/loop/loop.h"
#include "clusterd/session/change.h"
#include "clusterd/session/context.h"
#include "clusterd/util/metric.h"

struct table;

struct table_conf {
    uint64_t max_bytes;    /* session memory; 0 = no limit */
    unsigned max_contexts; /* 1,000 */
    bool auto_contexts;
    uint64_t tombstone_ms;   /* 600,000 */
    uint64_t park_ms;        /* 5,000 */
    unsigned max_tombstones; /* of ended sessions and old ids, each: 1,000,000 */
};

#define TABLE_ID_MAX      512         /* bytes of a session id or front-door key */
#define TABLE_CONTEXT_MAX 255         /* bytes of a context name */
#define TABLE_NAME_MAX    65535       /* bytes of an attribute name */
#define TABLE_VALUE_MAX   (64u << 20) /* bytes of one attribute value */

/* The one attribute of a Redis string: of so many sessions that it is stored as a bit. */
#define TABLE_STRING_NAME "clusterd.string"

struct table *table_new(const struct table_conf *conf, struct metrics *metrics);
void table_free(struct table *t);

/* Contexts. find_or_add gives NULL (counted) when auto is off or the limit is reached. */
struct context *table_context_add(struct table *t, struct span name); /* configured: no limit; before start */
struct context *table_context_find(struct table *t, struct span name);
struct context *table_context_find_or_add(struct table *t, struct span name);
size_t table_contexts(struct table *t, struct context **out, size_t max); /* in order of their making */
size_t table_contexts_all(struct table *t, struct context ***out_taken);
/* The manager settings of contexts that are made at first sight; before start. */
void table_set_defaults(struct table *t, const struct manager_conf *defaults);
/* Before start: keys of a front-door database that begin with the prefix (n = 0: none do) are its sessions.
 */
void table_context_route(struct table *t, struct context *c, unsigned database, struct span prefix);
/* The context and session id of a front-door key in a database, 0..15. Longest prefix wins. */
struct context *table_route_key(struct table *t, unsigned database, struct span key, struct span *id);
/* The same, but NULL where the context would have to be made. */
struct context *table_route_known(struct table *t, unsigned database, struct span key, struct span *id);

/* Times of one call, all of the calling loop. */
struct table_now {
    uint64_t mono_ms;
    int64_t wall_ms; /* loop_steady_ms(): wall time that does not jump */
};
struct table_now table_now(const struct loop *l);

/* Tells that these sessions will be looked at next. Each of them lies in memory that no cache has, behind
 * three or four pointers; asked for together they come while the processor would wait for the first one.
 * Changes nothing. For one name there is nothing to gain. */
#define TABLE_WARM_MAX 16
struct table_name {
    const struct context *context;
    struct span id;
};
void table_warm(struct table *t, const struct table_name *names, size_t n); /* at most TABLE_WARM_MAX */

enum table_result {
    TABLE_APPLIED, /* something changed */
    TABLE_STALE,   /* nothing new in it */
    TABLE_PARKED,  /* a tombstone stands: kept for park_ms in case the session is created anew */
    TABLE_FULL,    /* refused for want of memory: the node is incomplete */
    TABLE_REFUSED, /* an id of more than TABLE_ID_MAX bytes */
};
enum table_result table_apply(struct table *t, struct change *c, struct table_now now);

/* The state of one session as a change that carries all of it (own versions in the entries). The caller
 * unrefs. follow: also find it under an old id. NULL: no such session (or it is over). */
struct change *table_snapshot(struct table *t, struct context *c, struct span id, bool follow,
                              struct table_now now);

/* Whatever stands under an id: a session, a tombstone, an alias (a change with a new_id). NULL: nothing. */
struct change *table_held(struct table *t, struct context *c, struct span id, struct table_now now);

/*
 * Walks in the order of the stable hash: start with *at = 0; the walk is over when *at is 0 again afterwards.
 * Each session that exists during the whole walk is seen at least once, whatever happens meanwhile. About
 * `want` sessions a call. With graves, tombstones and aliases come as well (as changes with ENDED life or a
 * new_id).
 */
typedef void (*table_walk_fn)(void *arg,
                              struct change *snapshot); /* takes the reference; outside of all locks */
void table_walk(struct table *t, struct context *only, bool graves, uint64_t *at, size_t want,
                struct table_now now, table_walk_fn fn, void *arg);
/* The same with ids only (SCAN, DBSIZE by hand): fn gets spans valid during the call; under no lock. */
typedef void (*table_ids_fn)(void *arg, struct context *c, struct span id);
void table_walk_ids(struct table *t, struct context *only, uint64_t *at, size_t want, struct table_now now,
                    table_ids_fn fn, void *arg);

/* Removes what is over, in slices: call often; looks at about `want` sessions. Returns the ids that ended by
 * time. */
void table_sweep(struct table *t, size_t want, struct table_now now);

/*
 * Comparison between clusterd nodes. A shard's sessions are in 1 << bits buckets, in the order of their
 * stable hashes; a bucket is looked at under the shard's lock, and nothing longer.
 */
#define TABLE_SHARDS          64
#define TABLE_BUCKET_BITS_MAX 8
struct table_bucket {
    unsigned shard, bits, number; /* below TABLE_SHARDS, up to TABLE_BUCKET_BITS_MAX, below 1 << bits */
};
/* How finely a table of this size is compared: some dozens of sessions in a bucket. */
unsigned table_bucket_bits(const struct table *t);
/* A hash over the sessions that are there to be used and have not changed for `quiet_ms`. */
uint64_t table_digest(struct table *t, struct table_bucket b, struct table_now now, uint64_t quiet_ms);
/* Of each session, tombstone and alias of a bucket, and of what nobody sees but is still held: over by time,
 * or never opened. */
struct table_summary {
    uint64_t key, state; /* stable hash of context and id; hash of the state */
    bool unseen;
};
size_t table_summaries(struct table *t, struct table_bucket b, struct table_now now,
                       struct table_summary **out_taken);
/* Snapshots of whatever of a shard is held under one of these keys, which are in order. */
void table_pick(struct table *t, unsigned shard, const struct table_summary *keys, size_t n,
                struct table_now now, table_walk_fn fn, void *arg);

uint64_t table_bytes(const struct table *t);
uint64_t table_sessions(const struct table *t);
uint64_t table_tombstones(const struct table *t); /* and aliases */
uint64_t table_items(const struct table *t);      /* all that is held, whatever it is */
bool table_is_full(const struct table *t);
uint64_t table_refused(const struct table *t); /* changes refused for want of memory so far */
const struct table_conf *table_conf(const struct table *t);

#endif
