/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Estimates how far a member's wall clock is from ours, from the timestamps of its messages and nothing else.
 * A timestamp can only arrive late, so the message that was fastest within the last minute tells most (the
 * minimum filter of NTP, one-way). Any thread; the state lies in struct member.
 */
#ifndef CLUSTER_CLOCK_H
#define CLUSTER_CLOCK_H

#include "clusterd/membership/view.h"

/* A message of `m` that was stamped theirs_ms when it was sent has arrived. */
void clock_sample(struct member *m, int64_t theirs_ms, uint64_t mono_ms, int64_t wall_ms);
/* One WARN a member when its clock is more than a second from ours, and one line when it is right again. */
void clock_check(struct member *m, uint64_t mono_ms);

#endif
