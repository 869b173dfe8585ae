/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a comparison has found that other clusterd nodes lack: their way there, as OWN_REPAIR messages, some
 * sessions at a time, and never more of them than a member can take while live changes share its queue.
 * Main loop only. Tomcat has nothing like it.
 */
#ifndef CLUSTERD_SESSION_GIVING_H
#define CLUSTERD_SESSION_GIVING_H

#include "manager_private.h"

struct giving;

struct giving *giving_new(struct manager *m);
void giving_free(struct giving *g);
/* These of a shard, in order, to this member; takes the keys over. What is too much is left to a later
 * comparison, and so is what cannot be delivered. */
void giving_add(struct giving *g, struct member *to, unsigned shard, struct table_summary *keys_taken,
                size_t n);
/* Is there something for this member that has not been sent yet? */
bool giving_has_more(const struct giving *g, const struct member *to);

#endif
