/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking Tomcats for their sessions: for those of one context, or of all contexts that they have. Main loop
 * only. Mirrors DeltaManager.getAllClusterSessions.
 */
#ifndef CLUSTERD_SESSION_ASKING_H
#define CLUSTERD_SESSION_ASKING_H

#include "manager_private.h"

struct asking;

struct asking *asking_new(struct manager *m);
void asking_free(struct asking *s);

/* For each context that is known, and once for all: contexts that nobody has spoken of. */
void asking_all(struct manager *m);
/* For this context unless that was done; false: it is settled already. */
bool asking_context(struct manager *m, struct context *c, struct member *but_not);
/* What a Tomcat of another life, or one that was out of touch, holds and we may have missed. */
void asking_again(struct manager *m, struct member *member);
/* Often. True while any question is open. failed: one was not answered by somebody who may know more. */
bool asking_step(struct manager *m, bool *failed);
/* Nobody has any sessions: Tomcats that wait for those of each other are told so. */
void asking_release_all(struct manager *m);
/* Was this member there clearly before us? */
bool asking_is_older(const struct manager *m, const struct member *member);

/* Jobs (manager_post): body = the context name. */
void asking_on_first_sight(struct manager *m, struct member *from, struct span context);
void asking_on_block(struct manager *m, struct member *from, struct span context);
void asking_on_complete(struct manager *m, struct member *from, struct span context);
void asking_on_no_context(struct manager *m, struct member *from, struct span context);

void asking_on_disappeared(struct manager *m, struct member *member);

#endif
