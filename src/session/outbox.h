/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of this node on their way to the members: a few first-in-first-out queues, chosen by flow. An
 * operation appends its change under the shard's lock, so the order in a queue is the order of operations;
 * one drainer at a time encodes and sends, so that order is also the order on the wire. Nothing is encoded
 * under a lock.
 */
#ifndef CLUSTERD_SESSION_OUTBOX_H
#define CLUSTERD_SESSION_OUTBOX_H

#include "manager_private.h"

struct outbox;

struct outbox *outbox_new(struct manager *m);
/* Takes its own reference. `loop` is the caller's; the change leaves at the end of its turn. d may be NULL;
 * it gets its results later (a hold is taken here). Under the shard's lock. */
void outbox_push(struct outbox *o, struct loop *loop, struct change *c, struct delivery *d);
void outbox_free(struct outbox *o);

#endif
