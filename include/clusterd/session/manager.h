/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeltaManager (Tomcat: DeltaManager, ClusterSessionListener): the session engine of one node. Owns the
 * table, turns Tomcats' messages into changes and changes into messages, asks for and answers state
 * transfers, compares with other clusterd nodes, lets sessions end. Other layers see manager_*, table_*
 * (reading) and edit_*.
 */
#ifndef CLUSTERD_SESSION_MANAGER_H
#define CLUSTERD_SESSION_MANAGER_H

#include "clusterd/cluster/cluster.h"
#include "clusterd/session/table.h"

struct manager;

struct manager_options {
    struct table_conf table;
    struct manager_conf defaults;
    bool prefer_state_transfer; /* announce to be the oldest member once complete */
    unsigned min_acks;
};

/* A context of the configuration; prefix may be NULL. */
struct manager_context {
    const char *name, *key_prefix;
    unsigned database;
    const struct manager_conf *conf; /* NULL = the defaults */
};

struct manager *manager_new(struct host *h, const struct manager_options *o,
                            const struct manager_context *contexts, size_t n_contexts,
                            struct metrics *metrics);
/* The cluster must have been made with manager_events() and this manager as their argument. */
const struct cluster_events *manager_events(void);
void manager_attach(struct manager *m, struct cluster *c);
/* Main loop. The channel runs: begin to ask for state. */
void manager_start(struct manager *m);
/* Main loop. Ends sessions when expireSessionsOnShutdown says so, tells nobody anything else. */
void manager_stop(struct manager *m);
void manager_free(struct manager *m);

struct table *manager_table(struct manager *m);
struct cluster *manager_cluster(struct manager *m);
struct host *manager_host(struct manager *m);
struct metrics *manager_metrics(struct manager *m);
unsigned manager_min_acks(const struct manager *m);

/* Is everything that the cluster holds held here? If not, why: a short text. Main loop or worker. */
bool manager_is_complete(struct manager *m, const char **why);
/* What this node announces as its age in ms: 0 while incomplete, then older than any Tomcat. Any thread. */
int64_t manager_alive_ms(struct manager *m);
/* Ends one session here and everywhere (clusterctl expire). ERR_NOT_FOUND. */
fallible manager_expire(struct manager *m, struct loop *loop, struct context *c, struct span id,
                        struct delivery *d);
/* What a writer is called: a member's name, "local", or the hexadecimal of its first four id bytes. */
const char *manager_writer_name(struct manager *m, uint32_t writer, char out[64]);

#endif
