/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clusterd node of the simulated cluster with default settings: one worker, no front door, one context; and
 * the least limit of a frame, for what nodes send of their own accord has to fit in.
 */
#ifndef TESTS_SIM_PLAIN_NODE_H
#define TESTS_SIM_PLAIN_NODE_H

#include "clusterd/daemon/node.h"
#include "clusterd/loop/sim.h"

#define PLAIN_CONTEXT "localhost#/app"

struct plain_node {
    struct sim *sim;
    struct host *host;
    struct config *conf;
    struct node *node;
    bool ready, stopped;
    uint64_t ready_ms; /* simulated time */
};

/* At 10.0.0.(index + 1). One that cannot start ends the program, and says why. */
void plain_node_start(struct plain_node *n, struct sim *sim, unsigned index);
bool plain_node_is_ready(void *node); /* for sim_run_until() */
/* A session that never ends by time, with an attribute "a", as if a message had brought it a minute ago; of
 * several the one with the greatest seq counts. */
void plain_node_put(struct plain_node *n, struct span id, struct span value, uint32_t seq);
/* Stopped in order, or wound up when its host was killed; everything is freed, *n is zero. */
void plain_node_end(struct plain_node *n);

#endif
