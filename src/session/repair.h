/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparison between clusterd nodes: digests of the shards are exchanged when a member joins or has lost
 * messages, and at an interval; of shards that differ the sessions that differ are exchanged. Whatever was
 * lost under async or in a partition ends in the same state everywhere. Main loop only. Tomcat has nothing
 * like it.
 */
#ifndef CLUSTERD_SESSION_REPAIR_H
#define CLUSTERD_SESSION_REPAIR_H

#include "manager_private.h"

struct repair;

struct repair *repair_new(struct manager *m);
void repair_free(struct repair *r);
void repair_on_added(struct manager *m, struct member *member); /* compare with it soon */
void repair_on_heartbeat(struct manager *m);

/* Jobs (manager_post): the bodies of the messages. */
void repair_on_digest(struct manager *m, struct member *from, struct span body);
void repair_on_summary(struct manager *m, struct member *from, struct span body);
void repair_on_fetch(struct manager *m, struct member *from, struct span body);

#endif
