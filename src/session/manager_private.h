/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of one node's session engine, and the kinds of messages in clusterd's own form. Private to this
 * layer.
 */
#ifndef CLUSTERD_SESSION_MANAGER_PRIVATE_H
#define CLUSTERD_SESSION_MANAGER_PRIVATE_H

#include "clusterd/session/manager.h"
#include "clusterd/util/list.h"
#include "table_private.h"

/* Kind byte of a message in clusterd's own form (docs/PROTOCOL.md). */
enum own_kind {
    OWN_CHANGES = 'C', /* changes, one behind the other */
    OWN_STATUS = 'H',  /* u8 complete, i64 cluster time (0 = not known), u32 n, n x id of a member seen */
    OWN_GET = 'G',     /* u32 request: send me everything */
    OWN_STATE = 'S',   /* u32 request, changes */
    OWN_END = 'E',     /* u32 request, u8 complete, u64 number of changes sent */
    OWN_DIGEST = 'D',  /* u8 bits, 64 << bits x u64 */
    OWN_SUMMARY = 'Y', /* u8 shard, u8 bits, then u8 bucket (growing), u32 n, n x (u64 key, u64 state) */
    OWN_FETCH = 'F',   /* u8 shard, u32 n, n x u64 key */
    OWN_REPAIR = 'R',  /* changes */
};

#define MANAGER_TIME_UNKNOWN (-10LL * 365 * 86400 * 1000) /* ten years back */

struct manager {
    struct host *host;
    struct cluster *cluster; /* NULL until attached; tests may run without */
    struct table *table;
    struct metrics *metrics;
    struct manager_options options;
    uint32_t self;             /* writer of our own versions */
    atomic_llong asked_all_ms; /* cluster time at which a Tomcat was asked for all contexts last */
    atomic_llong ahead_ms;     /* cluster time minus our steady clock; MANAGER_TIME_UNKNOWN */
    atomic_llong jumped_ms;    /* by how much cluster time has jumped here, in sum */
    atomic_llong jump_ms;      /* what it was after the last jump */
    atomic_uint seq;
    struct outbox *outbox;
    struct asking *asking;
    struct transfer *transfer;
    struct answers *answers;
    struct repair *repair;
    struct timer sweep_timer;
    uint64_t started_mono_ms;
    atomic_bool
        running; /* between start and stop; members ask before: they are answered with what there is */
    bool stopped;
};

/*
 * Cluster time: the time of versions. It is one for all clusterd nodes, whatever their own clocks say, so
 * that a version means the same on each; it never goes back. A node that joins takes it from the others
 * (OWN_STATUS); nodes that find that they differ, because they started or lived apart, go on with the later
 * one. Until a node knows it, what it hears of Tomcats is put far in the past: the others hold it too, with
 * its true version, and their state wins. Tomcats' timestamps are put on it by their measured offset. Any
 * thread.
 */
int64_t manager_time(const struct manager *m, const struct loop *loop);
bool manager_knows_time(const struct manager *m);
void manager_hear_time(struct manager *m, const struct loop *loop, int64_t cluster_ms);
/* How long ago it was sent; 0 when that cannot be told. */
int64_t manager_age(const struct manager *m, const struct loop *loop, int64_t sent_ms);
/* Nobody could tell it: our own clock becomes the cluster's. */
void manager_decide_time(struct manager *m);
/* What has to be added to cluster time to have this member's own wall clock (NULL: ours). */
int64_t manager_offset_to(const struct manager *m, const struct member *to);

/* A job for the main loop (`from` may be NULL) made of a message that came on a worker: runs fn(m, member,
 * body) there, once. */
typedef void (*manager_job_fn)(struct manager *m, struct member *from, struct span body);
void manager_post(struct manager *m, struct member *from, struct span body, manager_job_fn fn);

/* One message in own form to one member, asynchronously, in order with others of the same flow. */
void manager_send_own(struct manager *m, struct loop *loop, struct member *to, const struct buf *message,
                      uint64_t flow, uint32_t options, struct delivery *d);
/* One SessionMessageImpl to one member. */
void manager_send_session(struct manager *m, struct loop *loop, struct member *to,
                          const struct session_msg *msg, uint64_t flow, uint32_t options, struct delivery *d);
/* Contexts of decoded changes: change_context_fn, arg = the table. */
struct context *manager_to_context(void *arg, struct span name);

/* manager_expire and expireSessionsOnShutdown. */
bool manager_is_tomcat_context(const struct context *c);

#endif
