/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One held session, and the rules by which changes meet it (design: replicas that converge). Private to this
 * layer; every function is called under the lock of the session's shard. Mirrors what DeltaSession holds.
 *
 * A session is a set of versioned registers: its life (open or ended), a floor below which nothing counts,
 * and its entries. Each register keeps the value with the latest version, so the order of arrival does not
 * matter. What has ended stays as a grave, and an id that was changed stays as an alias, for a time: late
 * messages must find them.
 */
#ifndef CLUSTERD_SESSION_SESSION_PRIVATE_H
#define CLUSTERD_SESSION_SESSION_PRIVATE_H

#include "clusterd/session/table.h"

enum session_kind { SESSION_LIVE, SESSION_GRAVE, SESSION_ALIAS };

struct entry {
    struct version version;
    struct blob *value; /* NULL: removed, or a number */
    int64_t number;     /* MAX_INACTIVE: seconds. DEADLINE: mono ms */
    struct blob *name;
    uint64_t changed_mono_ms;
    uint8_t kind;
    bool present;
};

struct session {
    struct context *context;
    uint64_t key;  /* stable hash of context and id: shard, walks, comparison */
    uint64_t flow; /* of its first id: the lane of its messages */
    struct version life, floor;
    struct version alias_version;
    struct blob *alias; /* SESSION_ALIAS: the new id */
    int64_t created_wall_ms;
    uint64_t access_mono_ms;  /* last access known */
    uint64_t changed_mono_ms; /* last change here, of whatever age */
    struct entry *entries;
    uint32_t *index; /* of many entries: place + 1, by a hash of kind and name; NULL for few */
    uint32_t n, cap, index_cap;
    uint8_t kind;      /* enum session_kind */
    uint8_t life_kind; /* enum change_life */
    bool life_front, by_clusterd, is_new;
    bool counted; /* in context->sessions */
    uint16_t id_len;
    uint8_t tagged_id[]; /* context index in 4 bytes, then the id: the key of the shard's table */
};

#define SESSION_TAG_LEN 4

/* The table key of (context, id) in a buffer of SESSION_TAG_LEN + TABLE_ID_MAX bytes. */
struct span session_table_key(const struct context *c, struct span id, uint8_t *out);
struct span session_item_key(const void *item); /* htab_key_fn */
uint64_t session_stable_key(const struct context *c, struct span id);

struct session *session_new(struct context *c, struct span id, uint64_t mono_ms);
void session_free(struct session *s);
struct span session_id(const struct session *s);
size_t session_bytes(const struct session *s); /* memory it holds, about */

struct entry *session_find(const struct session *s, enum entry_kind kind,
                           struct span name); /* also removed ones */
/* A present entry, or NULL. */
struct entry *session_present(const struct session *s, enum entry_kind kind, struct span name);

/* Does anything say that this session exists? (Ended ones and empty shells of late messages do not.) */
bool session_is_alive(const struct session *s);
/* Alive, and not over by time. */
bool session_is_visible(const struct session *s, struct table_now now);
/* Mono ms at which it is over by time; UINT64_MAX = never. */
uint64_t session_over_at(const struct session *s);

/* The one rule book. True when anything changed. Not for renames. */
bool session_merge(struct session *s, const struct change *c, struct table_now now);
/* Turn into a grave or an alias: entries are dropped. */
void session_bury(struct session *s);
void session_make_alias(struct session *s, struct span new_id, struct version v);
/* Does a life belong to a new session under an old id, and not to the one that was renamed then? */
bool session_is_opened_anew(struct version renamed, struct version life, bool life_front);
/* An alias becomes an ordinary, empty session again (a later rename or opening claims the id). */
void session_unalias(struct session *s);

/* All of it as a change; with entries that were removed too. */
struct change *session_snapshot(const struct session *s, struct table_now now);
uint64_t session_state_hash(const struct session *s);
/* Drops what was kept only for late messages and is older than keep_ms. */
void session_forget_removed(struct session *s, uint64_t mono_ms, uint64_t keep_ms);

#endif
