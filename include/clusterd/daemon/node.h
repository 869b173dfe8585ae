/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: everything that one member of the cluster is, as an object. main.c makes one on a real host, the
 * simulator makes many on simulated ones; so there are no globals here, no signals, no files. All functions
 * are for the host's main loop, unless said otherwise.
 */
#ifndef CLUSTERD_DAEMON_NODE_H
#define CLUSTERD_DAEMON_NODE_H

#include "clusterd/daemon/config.h"

struct node;

/* Called on the main loop; each may be NULL. */
struct node_events {
    /* Once: the channel runs, and the first state transfer is through or was given up. Applications are
     * served. */
    void (*on_ready)(void *arg);
    /* One line on how things are, when it has changed; at most every two seconds. */
    void (*on_status)(void *arg, const char *line);
    /* An operator wants the node to leave (clusterctl leave): node_stop() is what should follow. */
    void (*on_leave)(void *arg);
    /* Any thread: further "key: value" lines for clusterctl status. */
    void (*add_status)(void *arg, struct buf *out);
};

/* Nothing is opened yet. The configuration is borrowed until node_free(). auto_bytes: what maxBytes: auto
 * means; 0 = no limit. Mistakes that only the machine can tell (no such interface) go to *d. */
fallible node_new(struct host *h, const struct config *conf, uint64_t auto_bytes,
                  const struct node_events *ev, void *arg, struct diag *d, struct node **out);
/* Opens the front door (answering -LOADING), then the channel. On failure what was opened stays to be closed
 * by node_stop(). */
fallible node_start(struct node *n, struct diag *d);
/*
 * Leaves in order: applications get -LOADING, the other members BABY-ALEX, what is queued for them is sent
 * (at most linger_ms), then everything is closed. on_stopped follows, always later. Also after a node_start()
 * that failed.
 */
void node_stop(struct node *n, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg);
/* After on_stopped, or when it never was started. A node whose host was killed (sim_host_kill) has tasks in
 * flight that will not run: it is freed only together with sim_host_free_dead(), and what was in flight is
 * lost memory. */
void node_free(struct node *n);

/* How many workers a host for this configuration should have: maxThreads at most, one less than the cores, 1
 * to 6. */
unsigned node_workers(const struct config *conf, long cores);

bool node_is_ready(const struct node *n);
struct manager *node_manager(struct node *n);
struct table *node_table(struct node *n);
struct cluster *node_cluster(struct node *n);
struct metrics *node_metrics(struct node *n);
const struct config *node_config(const struct node *n);
/* "key: value" lines; any thread. */
void node_status(struct node *n, struct buf *out);
/* What clusterctl config shows from now on (after a reload). */
void node_set_config_text(struct node *n, struct span text);

#endif
