/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change: everything that can happen to one session, in one form. What a Tomcat's message says, what a
 * front-door command does, what a state transfer or a comparison brings, all become changes, and
 * table_apply() is the only place where a change meets a session. Applying is commutative, associative and
 * idempotent: replicas that have applied the same changes, in whatever order and however often, are equal.
 *
 * Counted, immutable once it is shared.
 */
#ifndef CLUSTERD_SESSION_CHANGE_H
#define CLUSTERD_SESSION_CHANGE_H

#include "clusterd/session/version.h"
#include "clusterd/util/cursor.h"

/* The kinds 0..6 are Tomcat's (DeltaRequest.TYPE_*). All but ATTRIBUTE, LISTENER and NOTE have an empty name.
 */
enum entry_kind {
    ENTRY_ATTRIBUTE = 0,
    ENTRY_PRINCIPAL = 1,
    ENTRY_IS_NEW = 2,       /* never stored: a flag of the session */
    ENTRY_MAX_INACTIVE = 3, /* number: seconds, <= 0 never */
    ENTRY_AUTH_TYPE = 4,
    ENTRY_LISTENER = 5, /* name: 16 hex digits of the value's stable hash */
    ENTRY_NOTE = 6,
    ENTRY_DEADLINE = 7, /* number: ms from now when in a change; a Redis TTL */
};

struct change_entry {
    enum entry_kind kind;
    bool present; /* false: removed */
    struct span name;
    struct blob *value; /* a self-contained Java stream; NULL for numbers and when removed */
    int64_t number;
    struct version version;
};

enum change_life {
    CHANGE_LIFE_NONE, /* says nothing about it (a DELTA) */
    CHANGE_LIFE_OPEN, /* the session exists as of `life` (CREATED, any front-door write, a transferred
                         session) */
    CHANGE_LIFE_ENDED /* it has ended as of `life` (EXPIRED, DEL) */
};

/* An id is used by one session only, but CREATED and the first DELTA may carry times that are corrected a
 * little differently: what is this much older than a CREATED belongs to an earlier session of the same id. */
#define CHANGE_CREATED_SLACK_MS 1000

/* A change of this form is one allocation. Sessions are made in what changes of an earlier turn have left:
 * the larger a change, the less is lost at its end. */
#define CHANGE_ENTRY_ROOM 4
#define CHANGE_TEXT_ROOM  256

struct change {
    atomic_uint refs;
    struct context *context; /* borrowed: contexts are never freed before the table */
    struct span id;
    struct span new_id;     /* n > 0: the session is renamed to it, as of `version` */
    struct version version; /* of the change itself */
    enum change_life life_kind;
    struct version life;
    struct version floor;    /* entries below it are gone; none = says nothing */
    uint32_t left_out;       /* values of a Tomcat message that could not be taken out of it */
    bool created;            /* front door: the session did not exist before (Tomcats get CREATED) */
    bool touches;            /* counts as an access */
    bool life_front;         /* with OPEN: opened by the front door: without a TTL it never ends by time */
    bool by_clusterd;        /* the last writer is a clusterd node: expiry is exact */
    bool not_new;            /* isNew becomes false */
    int64_t created_wall_ms; /* 0 = not said */
    int64_t idle_ms;         /* since the last access, as of now; with touches */
    uint64_t flow;           /* which lane: the hash of the session's first id */
    size_t n, cap;
    struct change_entry *entries;
    uint8_t *text; /* owns id, new_id and the names */
    size_t text_n, text_cap;
    /* Most changes set a value or two: those are one allocation. What is more stands outside. */
    struct change_entry entry_room[CHANGE_ENTRY_ROOM];
    uint8_t text_room[CHANGE_TEXT_ROOM];
};

/* Building: one owner, then change_seal(). id and names are copied; values: one reference is taken over. */
struct change *change_new(struct context *context, struct span id, struct version v);
void change_rename(struct change *c, struct span new_id);
void change_set(struct change *c, enum entry_kind kind, struct span name, struct blob *value_taken,
                struct version v);
void change_set_number(struct change *c, enum entry_kind kind, int64_t number, struct version v);
void change_remove(struct change *c, enum entry_kind kind, struct span name, struct version v);
/* Before sealing: the names of the entries of a kind, at most c->n; they move when something is added. */
size_t change_names(const struct change *c, enum entry_kind kind, struct span *out);
void change_seal(struct change *c);          /* once; spans become valid */
size_t change_bytes(const struct change *c); /* memory that it holds, with its values */
struct change *change_ref(struct change *c);
void change_unref(struct change *c);

/*
 * clusterd's own wire form of changes (docs/PROTOCOL.md). The context travels by name. decode needs a
 * function that finds or makes the context; when it gives NULL the change is skipped with ERR_FULL.
 */
void change_encode(const struct change *c, struct buf *out);
typedef struct context *(*change_context_fn)(void *arg, struct span name);
fallible change_decode(struct rd *in, change_context_fn context, void *arg, struct change **out);

#endif
