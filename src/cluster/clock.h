/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a member's wall clock is from ours. It is asked: an RPC that nobody serves is answered at once, by
 * a Tomcat as by a clusterd node, and the answer carries the time of its sending; half of the round trip is
 * the error. What other messages say is not trusted, since they may have waited in queues for any time, but
 * one that the estimate cannot explain is a reason to ask again. Any thread; the state lies in struct member.
 */
#ifndef CLUSTER_CLOCK_H
#define CLUSTER_CLOCK_H

#include "clusterd/loop/loop.h"
#include "clusterd/membership/view.h"

/* Appends a question for the member's time, unless one is open: then false. Not to be sent later than now. */
bool clock_ask(struct member *m, struct loop *l, struct buf *out);
/* A NoRpcChannelReply of m, stamped theirs_ms. False when it is no answer to a question of ours. */
bool clock_answer(struct member *m, struct loop *l, struct span rpc_id, struct span uuid, int64_t theirs_ms);
/* A message of m was stamped theirs_ms. True when its clock must have been set since it was asked. */
bool clock_is_odd(struct member *m, struct loop *l, int64_t theirs_ms);

#endif
