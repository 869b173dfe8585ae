/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All lanes of one member, and what they tell the main loop. A peer is made when its member is first added
 * and freed with the member, so transmitter_send() needs no look-up and no lock to find it. Private to
 * transport.
 */
#ifndef TRANSPORT_PEER_H
#define TRANSPORT_PEER_H

#include "lane.h"

#define PEER_FLOWS     256
#define PEER_LANE_BITS 8

struct peer {
    struct link link; /* in transmitter.peers, while its lanes live */
    struct transmitter *t;
    struct member *m; /* a reference while its lanes live */
    unsigned n_lanes, live_lanes;
    bool is_closing, open_again;

    int n_lagging; /* lanes; guarded by the first lane's lock */
    atomic_bool lost, trouble_posted, caught_posted;
    atomic_int trouble_why;
    struct task trouble, caught;
    /* Several lanes: where the unfinished messages of each flow are; their number and, in PEER_LANE_BITS, the
     * lane. Flows that share a place share the lane. */
    atomic_uint *flows;
    struct lane lanes[];
};

/* Main loop. */
struct peer *peer_new(struct transmitter *t, struct member *m);
void peer_open(struct peer *p);
void peer_close(struct peer *p, unsigned order);
void peer_lane_ended(struct peer *p);
/* Frees what is still queued, when the loops have ended; the member's reference too. */
void peer_abandon(struct peer *p);
/* Any thread. */
/* The lane of a message, which counts as unfinished there until peer_leave_lane(). */
struct lane *peer_take_lane(struct peer *p, const struct transmitter_item *item);
void peer_leave_lane(struct lane *l, uint64_t flow, size_t bytes);
void peer_tell_trouble(struct peer *p, enum err why);
void peer_set_lagging(struct lane *l, bool lagging); /* tells the other lanes */
void peer_caught_up(struct peer *p, bool lost);      /* a lane did; the main loop hears it when none lags */

#endif
