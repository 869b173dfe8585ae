/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: virtual time, a simulated network and any number of hosts in one thread of a test
 * process. Everything that happens follows from the seed, so a failing run is replayed exactly. Hosts run the
 * very code that ships: they get a struct host whose loops are simulated.
 *
 * Datagrams may be lost, duplicated, delayed, reordered. Streams are reliable and ordered as TCP is, but
 * stall in a partition, break when a process is killed (the peer learns it at once) or its host loses power
 * (the peer learns nothing until it sends and a retransmission time-out of stream_timeout_ms passes).
 */
#ifndef CLUSTERD_LOOP_SIM_H
#define CLUSTERD_LOOP_SIM_H

#include "clusterd/loop/host.h"

struct sim;

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s); /* hosts must have been ended or be dead; dead ones are freed */

/* A host with this IPv4 address ("10.0.0.1") and n_workers worker loops. A killed host's address may be used
 * again. */
struct host *sim_host_new(struct sim *s, const char *ip, unsigned n_workers);
/*
 * Orderly end, of a living or a dead host: remaining tasks run cancelled, streams end with ERR_CANCELLED;
 * frees the host. The node on it must have been freed.
 */
void sim_host_end(struct sim *s, struct host *h);
/* The first half of it: everything gets its last callback, the memory of the loops stays until
 * sim_host_end(). For a node whose parts must let go of their connections before it is freed (one that was
 * killed). */
void sim_host_wind_up(struct sim *s, struct host *h);
/*
 * kill -9: from now on nothing of this host runs; its streams are reset at their peers, its listeners and
 * groups vanish. The node's memory is still the caller's, who has two ways to be rid of it:
 * - free the node as always and then sim_host_end(): its calls to the dead host's loops have no effect
 * outside (what it writes or sends is dropped, connecting fails), its callbacks get their last word;
 * - forget it (memory that the test does not track) and call sim_host_free_dead(): nothing is called any
 * more. Not from a turn of that host itself.
 */
void sim_host_kill(struct sim *s, struct host *h);
void sim_host_power_off(struct sim *s, struct host *h); /* as kill, but peers are told nothing */
void sim_host_free_dead(struct sim *s, struct host *h); /* frees what the dead host's loops own */
void sim_host_pause(struct sim *s, struct host *h,
                    bool paused); /* SIGSTOP / SIGCONT: time goes on, nothing runs */
bool sim_host_is_dead(const struct host *h);

/* Clock of a host: offset of its wall clock against virtual time; may be changed at any time (a jump). */
void sim_host_set_wall_offset(struct host *h, int64_t offset_ms);

struct sim_net {
    unsigned datagram_loss_percent, datagram_dup_percent;
    unsigned delay_min_us,
        delay_max_us;           /* each datagram and each stream segment draws its own; streams keep order */
    unsigned stream_timeout_ms; /* default 15,000 */
};
void sim_set_net(struct sim *s, const struct sim_net *net);
/* Cut or mend the link between two hosts, both directions. */
void sim_set_link(struct sim *s, struct host *a, struct host *b, bool up);
/* Connections that stand; those being made are let be. */
void sim_reset_streams(struct sim *s, struct host *a,
                       struct host *b); /* all connections between them get a reset */

uint64_t sim_now_us(const struct sim *s);
uint32_t sim_random_below(struct sim *s, uint32_t bound); /* for the scenario's own choices */
bool sim_step(struct sim *s);                             /* runs the next event; false when there is none */
void sim_run_ms(struct sim *s, uint64_t ms);              /* all events of the next ms milliseconds */
typedef bool (*sim_pred_fn)(void *arg);
/* Runs until pred is true (checked after each event); false when max_ms of virtual time went by first. */
bool sim_run_until(struct sim *s, sim_pred_fn pred, void *arg, uint64_t max_ms);
uint64_t sim_events(const struct sim *s); /* events run so far */
uint64_t sim_trace(const struct sim *s);  /* a hash of all events so far: equal seeds give equal traces */

#endif
