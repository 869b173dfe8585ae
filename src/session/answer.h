/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering state transfers: what a member that starts asks for goes out in small blocks, as fast as it
 * acknowledges. Main loop only. Mirrors DeltaManager.handleGET_ALL_SESSIONS.
 */
#ifndef CLUSTERD_SESSION_ANSWER_H
#define CLUSTERD_SESSION_ANSWER_H

#include "manager_private.h"

struct answers;

struct answers *answer_new(struct manager *m);
void answer_free(struct answers *a);
void answer_stop(struct manager *m); /* gives up what runs */

/* Jobs (manager_post): body = the context name; the request in own form. */
void answer_on_get_all(struct manager *m, struct member *from, struct span context);
void answer_on_get_all_contexts(struct manager *m, struct member *from, struct span none);
void answer_on_own_get(struct manager *m, struct member *from, struct span body);

/* Unasked: there are no sessions of this context. A Tomcat that waits for another's state goes on; for any
 * other it means nothing. */
void answer_nothing(struct manager *m, struct member *to, struct context *c);

void answer_on_disappeared(struct manager *m, struct member *member);

#endif
