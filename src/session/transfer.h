/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first state transfer, and the next when one has failed: clusterd members are asked here, Tomcats in
 * asking.c; and whether this node is complete, which decides what it announces. Main loop only (but
 * transfer_why_incomplete and transfer_is_starting). Mirrors DeltaManager.getAllClusterSessions.
 */
#ifndef CLUSTERD_SESSION_TRANSFER_H
#define CLUSTERD_SESSION_TRANSFER_H

#include "manager_private.h"

struct transfer;

struct transfer *transfer_new(struct manager *m);
void transfer_free(struct transfer *t);
void transfer_start(struct manager *m);
void transfer_stop(struct manager *m);

/* NULL when everything that the cluster holds is held here, as far as can be known; else a static text. Any
 * thread. */
const char *transfer_why_incomplete(struct manager *m);
/* Does the first transfer still run? Then requests of others are answered with what there is. */
bool transfer_is_starting(const struct manager *m);
/* A question to Tomcats is open: have it looked at. */
void transfer_wake(struct manager *m);

/* Jobs (manager_post). body = the sender's id, u8 complete, and the list of OWN_STATUS; its sender may
 * be in no view yet */
void transfer_on_own_status(struct manager *m, struct member *from, struct span body);
/* body = u32 request, u64 number of changes in a block that has been applied */
void transfer_on_own_state(struct manager *m, struct member *from, struct span body);
void transfer_on_own_end(struct manager *m, struct member *from, struct span body);

void transfer_on_added(struct manager *m, struct member *member);
void transfer_on_disappeared(struct manager *m, struct member *member, bool shutdown);
void transfer_on_heartbeat(struct manager *m);

#endif
