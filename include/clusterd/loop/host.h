/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world that one node lives in: a main loop and n worker loops, and what the machine says about itself. A
 * real host has one thread a worker and runs the main loop in host_run(); simulated hosts come from sim.h.
 */
#ifndef CLUSTERD_LOOP_HOST_H
#define CLUSTERD_LOOP_HOST_H

#include "clusterd/loop/addr.h"
#include "clusterd/loop/loop.h"
#include "clusterd/util/diag.h"

struct host;

/* Starts n_workers (1..64) threads whose loops wait for work. The first one sets the process key of hash.h.
 */
struct host *host_new_real(unsigned n_workers);
/* Own thread; returns after host_stop(). May be run again then. */
void host_run(struct host *h);
void host_stop(
    struct host *h); /* any thread, any loop; a simulated host goes on until its scenario ends it */
/* Ends the worker threads, runs all remaining tasks cancelled and ends all streams with ERR_CANCELLED (in the
 * calling thread, which counts as each loop's own meanwhile), frees everything. After host_run() returned.
 * Close listeners and groups and stop timers before. */
void host_free(struct host *h);

struct loop *host_main(struct host *h);
unsigned host_n_workers(const struct host *h);
struct loop *host_worker(struct host *h, unsigned i);

/* The network interfaces' addresses, as seen now. */
struct host_address {
    char interface[32];
    struct addr addr;
    unsigned prefix_bits; /* length of the subnet prefix */
    bool up, loopback, multicast;
};
size_t host_addresses(struct host *h, struct host_address *out, size_t max); /* main loop */
/* The machine's own name, and what that name resolves to (hosts file, DNS); blocking: start-up only. */
const char *host_name(struct host *h, char *out, size_t cap);
fallible host_resolve(struct host *h, const char *name, struct addr *out, size_t max, size_t *n);

/* Calls fn on the main loop when the process gets this signal (real hosts only). */
typedef void (*host_signal_fn)(void *arg, int signal_number);
void host_on_signal(struct host *h, int signal_number, host_signal_fn fn, void *arg);

#endif
