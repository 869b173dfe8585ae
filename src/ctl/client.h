/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question and its answer over the control socket (RESP2, hiredis). What goes wrong is said on c->err,
 * with what to do about it, and becomes an exit status.
 */
#ifndef CLUSTERD_CTL_CLIENT_H
#define CLUSTERD_CTL_CLIENT_H

#include "ctl.h"

/*
 * CLUSTERD and these words; connects first when there is no connection yet. CTL_OK: *reply is the caller's to
 * free (freeReplyObject). "No such session" and "no such context" are CTL_NO, and *reply stays untouched, as
 * in all other cases but CTL_OK.
 */
int client_ask(struct ctl *c, redisReply **reply, size_t n, const char *const *words);
/* The same, but what is not there is not said: for looking in several places. */
int client_look(struct ctl *c, redisReply **reply, size_t n, const char *const *words);
/* Waits until the daemon has closed the connection. */
int client_wait_closed(struct ctl *c);
void client_close(struct ctl *c);
/* "The daemon's answer is not understood": CTL_FAILED. */
int client_not_understood(struct ctl *c, const char *what);

#endif
