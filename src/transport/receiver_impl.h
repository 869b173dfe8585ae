/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What receiver.c (listening, sharing out, stopping) and receiver_conn.c (one connection) share. The receiver
 * is made and ended on the main loop; a worker's list of connections belongs to that worker's thread.
 */
#ifndef TRANSPORT_RECEIVER_IMPL_H
#define TRANSPORT_RECEIVER_IMPL_H

#include "clusterd/loop/stream.h"
#include "clusterd/transport/receiver.h"
#include "clusterd/util/list.h"
#include "receiver_address.h"

/* Connections of hosts that are not in the view: a starting Tomcat may open 25. */
#define RECEIVER_STRANGERS_MAX      512
#define RECEIVER_STRANGER_BYTES_MAX ((uint64_t)64 << 20) /* of incomplete frames, over all of them */
/* A connection of a host that is not in the view and brings nothing for so long is closed: the other side has
 * died without a word, or means nothing good. */
#define RECEIVER_STRANGER_IDLE_MS 60000
#define RECEIVER_SWEEP_MS         10000

struct receiver_worker {
    struct receiver *r;
    struct loop *loop;
    struct link conns;
    struct timer sweep;
    struct task stop, stopped; /* to the worker, and back to the main loop */
    bool stopping, reported;
};

struct receiver {
    struct host *host;
    struct receiver_events ev;
    void *arg;
    struct metrics *metrics;
    uint64_t max_frame, max_stranger_frame;
    struct receiver_address address;
    struct addr addr; /* announced, with the port really bound */
    struct listener *listener;
    struct receiver_worker *workers;
    unsigned n_workers, next_worker, live_workers;
    atomic_uint n_strangers;
    atomic_ullong stranger_bytes;
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

/* Main loop: gives a connection that was let in to a worker, which owns it from then on. */
void receiver_conn_new(struct receiver_worker *w, struct incoming *in, bool is_stranger);
/* Worker: closes all connections; receiver_none_left() follows when the last has gone. */
void receiver_conn_close_all(struct receiver_worker *w);
/* Worker: looks for connections of strangers that have been silent for too long. */
void receiver_conn_sweep(struct receiver_worker *w);
/* Frees what is left when a simulated host was killed: its streams tell nobody of their end. */
void receiver_conn_abandon_all(struct receiver_worker *w);
/* In receiver.c: a stopping worker's list is empty. */
void receiver_none_left(struct receiver_worker *w);

#endif
