/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of clusterctl: what each file of this folder exports, and what several of them need. Each verb is
 * one const row; verbs[] in ctl.c lists them in the order of --help.
 */
#ifndef CLUSTERD_CTL_VERB_VERB_H
#define CLUSTERD_CTL_VERB_VERB_H

#include "../client.h"
#include "../field.h"

extern const struct verb verb_members, verb_status, verb_contexts, verb_sessions, verb_session, verb_expire,
    verb_leave, verb_config, verb_ping, verb_version;

/*
 * The context that holds a session: the one that was named, or the only one that has it. CTL_OK: *context is
 * the caller's to free (mem_free). CTL_NO: none has it; CTL_USAGE: several have it. Both are said on c->err.
 */
int find_context(struct ctl *c, const struct ctl_words *w, char **context);

#endif
