/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What transmitter.c, peer.c, lane.c and probe.c share. The lists belong to the main loop; limits and
 * addresses do not change after the first member was added, so lanes read them from their threads.
 */
#ifndef TRANSPORT_TRANSMITTER_IMPL_H
#define TRANSPORT_TRANSMITTER_IMPL_H

#include "clusterd/transport/transmitter.h"
#include "peer.h"

struct transmitter {
    struct host *host;
    struct transmitter_events ev;
    void *arg;
    struct metrics *metrics;
    unsigned pool_size, max_tries;
    uint64_t timeout_ms, max_queue_bytes;
    int64_t keep_alive_count, keep_alive_time_ms;
    struct addr source; /* ADDR_NONE: the system's choice */
    atomic_ullong queued_bytes;

    struct link peers, probes;
    unsigned next_worker;
    bool is_stopping, is_stopped;
    struct timer linger;
    struct task stopped;
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

/* Main loop: something has gone that a stop waits for. */
void transmitter_check_stopped(struct transmitter *t);
/* The local address to connect from to this peer, or NULL. */
const struct addr *transmitter_source_for(const struct transmitter *t, const struct addr *to);
/* probe.c: transmitter_probe() */
void probe_start(struct transmitter *t, const struct addr *to, unsigned connect_timeout_ms,
                 struct blob *frame, unsigned read_timeout_ms, transmitter_probe_fn fn, void *arg);
void probe_cancel_all(struct transmitter *t);
void probe_abandon_all(struct transmitter *t); /* a killed host: nobody is told */

#endif
