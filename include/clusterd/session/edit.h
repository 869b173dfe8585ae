/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation of this node on one session: opened under the session's shard lock, looked at, changed,
 * closed. What was staged gets one version, is applied, and leaves as one change; the order of changes on the
 * wire is the order of edits. Between open and close nothing may block, call back or encode.
 *
 *     struct edit e;
 *     edit_open(&e, manager, loop, context, id);
 *     if (edit_exists(&e)) ...
 *     edit_set(&e, ENTRY_ATTRIBUTE, name, value);
 *     err = edit_close(&e, &delivery);
 */
#ifndef CLUSTERD_SESSION_EDIT_H
#define CLUSTERD_SESSION_EDIT_H

#include "clusterd/session/manager.h"
#include "clusterd/transport/delivery.h"

struct session;

struct edit {
    struct manager *manager;
    struct loop *loop;
    struct context *context;
    struct span id; /* borrowed from the caller until close */
    struct table_now now;
    struct session *session; /* NULL: none held */
    bool exists;             /* alive and not over */
    uint64_t key;            /* stable */
    unsigned shard;
    struct version version;
    struct change *change; /* staged; NULL while there is none */
    bool reset, ended;
};

void edit_open(struct edit *e, struct manager *m, struct loop *loop, struct context *c, struct span id);

/* Looking. Values are borrowed until close: take references of what is needed later. */
static inline bool edit_exists(const struct edit *e)
{
    return e->exists;
}
struct blob *edit_find(const struct edit *e, enum entry_kind kind, struct span name); /* NULL: not there */
size_t edit_n_attributes(const struct edit *e);
/* Walk the attributes in insertion order: *at from 0; false ends. */
bool edit_next_attribute(const struct edit *e, size_t *at, struct span *name, struct blob **value);
int64_t edit_ttl_ms(const struct edit *e); /* -1: none, else time left (> 0) */

/* Was the session opened by a front door (of whatever node)? Those end with their last field, as Redis'
 * hashes do. */
bool edit_made_by_front(const struct edit *e);

/* Changing: staged, seen by edit_find only after close. */
void edit_reset(struct edit *e); /* whatever was there goes; for SET and HSET on nothing */
void edit_set(struct edit *e, enum entry_kind kind, struct span name, struct blob *value_taken);
void edit_remove(struct edit *e, enum entry_kind kind, struct span name);
void edit_set_ttl(struct edit *e, int64_t ms); /* -1 = none */
void edit_end(struct edit *e);                 /* the session ends */

/*
 * Applies and sends what was staged (nothing staged: nothing happens). ERR_FULL: no memory for it, nothing
 * was done. `d` (may be NULL) is told of each member's acknowledgement according to the cluster's send
 * options; it must have been initialised, and the caller seals it. With purely asynchronous options it is not
 * needed.
 */
fallible edit_close(struct edit *e, struct delivery *d);
/*
 * Gives a session another id (RENAME; Tomcats see CHANGE_SESSION_ID). What stands under the new id is
 * replaced; only_new: then nothing is done and ERR_EXISTS. An operation of its own, without open and close.
 * ERR_NOT_FOUND: there is no such session.
 */
struct edit_name {
    struct context *context;
    struct span id;
};
fallible edit_rename(struct manager *m, struct loop *loop, const struct edit_name *from,
                     const struct edit_name *to, bool only_new, struct delivery *d);
void edit_cancel(struct edit *e); /* close without doing what was staged */

#endif
