/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tour: a command that must see the connections of all workers goes from worker to worker as a task, and
 * comes home with what it found. Its connection waits meanwhile.
 */
#ifndef FRONT_RESP_TOUR_H
#define FRONT_RESP_TOUR_H

#include "conn.h"

struct tour {
    struct task task;
    struct conn *conn;
    unsigned next;                                         /* worker */
    void (*visit)(struct tour *t, struct front_worker *w); /* on that worker's thread */
    void (*end)(struct tour *t, bool gone); /* on the connection's: reply unless gone, free the tour */
};

void tour_start(struct tour *t, struct conn *c);

#endif
