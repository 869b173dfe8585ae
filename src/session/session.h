/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One held session, and the rules by which changes meet it (design: replicas that converge). Private to this
 * layer; every function is called under the lock of the session's shard. Mirrors what DeltaSession holds.
 *
 * A session is a set of versioned registers: its life (open or ended), a floor below which nothing counts,
 * and its entries. Each register keeps the value with the latest version, so the order of arrival does not
 * matter. What has ended stays as a grave, and an id that was changed stays as an alias, for a time: late
 * messages must find them.
 *
 * There are millions of them, so a session is one block: the struct, its id, its entries one behind the
 * other (session_entries.c). What most sessions lack stands outside, in `rare`. A function that takes a
 * `struct session **` may move the block; the table must be told then (table_merge_locked() does).
 */
#ifndef CLUSTERD_SESSION_SESSION_PRIVATE_H
#define CLUSTERD_SESSION_SESSION_PRIVATE_H

#include "clusterd/session/table.h"

#include <stddef.h>

enum session_kind { SESSION_LIVE, SESSION_GRAVE, SESSION_ALIAS };

/* What most floors and times of creation are is told by a bit or two. */
enum session_floor { FLOOR_NONE, FLOOR_LIFE, FLOOR_CREATED /* of a Tomcat's CREATED */, FLOOR_OWN };
enum session_created { CREATED_NONE, CREATED_BACK, CREATED_OWN };

struct session_rare {
    struct version floor; /* FLOOR_OWN */
    struct version alias_version;
    struct blob *alias;      /* SESSION_ALIAS: the new id */
    int64_t created_wall_ms; /* CREATED_OWN */
    uint64_t flow;           /* has_flow */
    bool has_flow;
    /* Of many entries: */
    uint64_t *index;                   /* place + 1, by a hash of kind and name; NULL for few */
    size_t index_cap, n, n_attributes; /* that are present */
    uint64_t value_bytes;
    struct version latest; /* no entry is later */
};

#define SESSION_TAG_LEN sizeof(uint16_t)

struct session {
    struct version life;
    struct session_rare *rare;
    uint64_t access_mono_ms : 48; /* last access known */
    uint64_t id_len : 10;
    uint64_t created_back_ms : 6;  /* CREATED_BACK: this long before life.time_ms */
    uint64_t changed_mono_ms : 48; /* last change here, of whatever age */
    uint64_t kind : 2;             /* enum session_kind */
    uint64_t life_kind : 2;        /* enum change_life */
    uint64_t floor_kind : 2, created_kind : 2;
    uint64_t life_front : 1, by_clusterd : 1, is_new : 1;
    uint64_t counted : 1; /* in context->sessions */
    uint64_t timed : 1;   /* a deadline or an interval may be among the entries */
    uint64_t used : 40;   /* bytes of entries */
    uint8_t
        tag[SESSION_TAG_LEN]; /* index of the context; with the id behind it, the key of the shard's table */
    uint8_t id[];             /* and the entries */
};
_Static_assert(offsetof(struct session, id) <= 47, "with an id of 16 bytes and a value it fits 72 bytes");

/* An entry, taken out of a session; its spans and pointers are good until the session changes. */
struct entry {
    enum entry_kind kind;
    bool present;
    bool own; /* has a place for its version */
    struct span name;
    struct version version;
    struct blob *value;    /* NULL: removed, or a number */
    int64_t number;        /* MAX_INACTIVE: seconds. DEADLINE: mono ms */
    uint64_t gone_mono_ms; /* removed: since when */
    size_t at, size;       /* of its bytes */
};

static inline uint16_t session_context(const struct session *s)
{
    uint16_t index;

    memcpy(&index, s->tag, sizeof index);
    return index;
}

/* The table key of (context, id) in a buffer of SESSION_TAG_LEN + TABLE_ID_MAX bytes. */
struct span session_table_key(const struct context *c, struct span id, uint8_t *out);
struct span session_item_key(const void *item); /* htab_key_fn */
/* Stable hash of context and id: shard, walks, comparison. */
uint64_t session_stable_key(const struct context *c, struct span id);

/* With room for the entries of a change that comes next (may be NULL). */
struct session *session_new(const struct context *c, struct span id, uint64_t mono_ms,
                            const struct change *first);
void session_free(struct session *s);
struct span session_id(const struct session *s);
size_t session_bytes(const struct session *s); /* memory it holds, about */

/* --- session_entries.c --- */

/* One after the other, also removed ones: *at from 0; false ends. */
bool session_next(const struct session *s, size_t *at, struct entry *e);
/* Has what stands behind the session brought into the caches; see table_warm(). */
void session_warm(const struct session *s);
bool session_find(const struct session *s, enum entry_kind kind, struct span name,
                  struct entry *e); /* also removed ones */
/* Is there a present one? Takes it out. */
bool session_present(const struct session *s, enum entry_kind kind, struct span name, struct entry *e);
size_t session_attributes(const struct session *s);
size_t session_entries_max(const struct session *s); /* it has no more entries than this */
bool session_has_entries(const struct session *s);
/* No register of the session is later. */
struct version session_latest(const struct session *s);

/* A session while its entries change: how much its block can hold. */
struct session_room {
    struct session *s;
    size_t block;
    struct blob *spare; /* a value that was let go */
};
struct session_room session_open(struct session *s, const struct change *first); /* first: just made for it */
struct session *session_close(struct session_room *r); /* gives back what is too much */
/* Puts in what the change says instead of `old` (NULL: there is none). */
void session_put(struct session_room *r, const struct entry *old, const struct change_entry *ce,
                 struct table_now now);
void session_set_number(struct session *s, const struct entry *e, int64_t number);
void session_drop_below(struct session_room *r, struct version floor);
void session_drop_entries(struct session *s);
/* Drops what was kept only for late messages and is older than keep_ms. */
void session_forget_removed(struct session *s, uint64_t mono_ms, uint64_t keep_ms);
/* Gives each entry a version of its own, before the session's life changes. */
void session_own_versions(struct session_room *r);

/* --- session.c --- */

struct session_rare *session_rare(struct session *s); /* made when needed */
struct version session_floor(const struct session *s);
struct version session_alias_version(const struct session *s);
struct span session_alias(const struct session *s);
int64_t session_created(const struct session *s);             /* wall ms; 0: not known */
uint64_t session_flow(const struct session *s, uint64_t key); /* the lane of its messages: of its first id */
void session_set_flow(struct session *s, uint64_t key, uint64_t flow);

/* Does anything say that this session exists? (Ended ones and empty shells of late messages do not.) */
bool session_is_alive(const struct session *s);
/* Alive, and not over by time. */
bool session_is_visible(const struct session *s, const struct context *c, struct table_now now);
/* Mono ms at which it is over by time; UINT64_MAX = never. */
uint64_t session_over_at(const struct session *s, const struct context *c);

/* The one rule book. True when anything changed. Not for renames. key: of its id; first: made for this change
 * just now. */
bool session_merge(struct session **s, uint64_t key, const struct change *c, bool first,
                   struct table_now now);
/* Turn into an alias: entries are dropped. */
void session_make_alias(struct session **s, struct span new_id, struct version v);
/* Does a life belong to a new session under an old id, and not to the one that was renamed then? */
bool session_is_opened_anew(struct version renamed, struct version life, bool life_front);
/* An alias becomes an ordinary, empty session again (a later rename or opening claims the id). */
void session_unalias(struct session *s);

/* All of it as a change; with entries that were removed too. */
struct change *session_snapshot(const struct session *s, struct context *c, struct table_now now);
uint64_t session_state_hash(const struct session *s);

#endif
