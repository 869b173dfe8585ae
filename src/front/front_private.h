/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the front door share: the front itself, its listeners ("doors") and its share of each
 * worker. The front is written on the main loop; what workers read of it is constant after front_start() or
 * atomic. A front_worker belongs to its worker's thread.
 */
#ifndef FRONT_FRONT_PRIVATE_H
#define FRONT_FRONT_PRIVATE_H

#include "clusterd/front/front.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/list.h"

struct front_door {
    struct front *front;
    struct addr at;
    struct listener *listener;
    bool is_unix, is_control;
};

struct front_worker {
    struct front *front;
    struct loop *loop;
    struct link conns; /* all of this worker, the longest inactive first */
    struct buf out;    /* replies of the turn that runs; no connection holds memory between turns */
    struct timer idle_timer;
    bool timer_ready, stopping, reported;
    struct task task; /* front_stop(), there and back */
};

struct front {
    struct manager *manager;
    struct table *table;
    struct metrics *metrics;
    const struct front_conf *conf;
    const struct front_control_conf *control;
    const struct front_operator *op;
    struct host *host;
    struct loop *main;
    struct htab commands; /* rows of command.c by name */
    uint64_t started_mono_ms;
    char run_id[41];
    bool wait_for_acks; /* the send options ask members for acknowledgements: replies to writes wait for them
                         */
    unsigned min_acks;
    struct resp_limits *limits;

    atomic_bool loading;
    atomic_ullong next_conn_id;
    atomic_uint clients, blocked;
    atomic_ullong buffered; /* bytes that connections with more than a little of them hold */

    struct front_door *doors;
    size_t n_doors;
    struct front_worker *workers;
    unsigned n_workers, next_worker;
    struct link refused; /* connections over maxClients, being told so */
    unsigned n_refused;

    bool stopping, stopped;
    unsigned workers_left;
    void (*on_stopped)(void *arg);
    void *on_stopped_arg;
    struct task stopped_task;
};

/* A connection of this worker is gone: stopping goes on when it was the last. Worker. */
void front_conn_gone(struct front_worker *w);

#endif
