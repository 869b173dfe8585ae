/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All lanes of one member, and what they tell the main loop. A peer is made when its member is first added
 * and freed with the member, so transmitter_send() needs no look-up and no lock to find it. Private to
 * transport.
 */
#ifndef TRANSPORT_PEER_H
#define TRANSPORT_PEER_H

#include "lane.h"

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
struct lane *peer_lane(struct peer *p, uint64_t flow);
void peer_tell_trouble(struct peer *p, enum err why);
void peer_set_lagging(struct lane *l, bool lagging); /* tells the other lanes */
void peer_caught_up(struct peer *p, bool lost);      /* a lane did; the main loop hears it when none lags */

#endif
