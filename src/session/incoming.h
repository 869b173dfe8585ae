/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of members, on the worker that read them; the handlers of cluster_events, arg = the manager.
 */
#ifndef CLUSTERD_SESSION_INCOMING_H
#define CLUSTERD_SESSION_INCOMING_H

#include "manager_private.h"

enum err incoming_on_session(void *arg, const struct received *r, const struct session_msg *msg);
enum err incoming_on_own(void *arg, const struct received *r, uint8_t kind, struct span body);

#endif
