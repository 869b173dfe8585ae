/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a Redis key to an open edit of its session, with the rules of secrecy in between: what a connection
 * may not reach does not exist for its reads, and is -NOPERM for its writes. Own worker of the connection.
 */
#ifndef FRONT_RESP_KEY_H
#define FRONT_RESP_KEY_H

#include "conn.h"

enum key_kind { KEY_NONE, KEY_STRING, KEY_HASH };

/* Opens the edit for looking: false when there is no such key (for this connection), and nothing is open
 * then. Close it with edit_cancel(). Counts hits and misses. */
bool key_read(struct conn *c, struct span key, struct edit *e);
/* May it be written? If not the error is replied. For commands of many keys, before the first is touched. */
bool key_may_write(struct conn *c, struct span key);
/* key_may_write() and open. False: an error was replied and nothing is open. */
bool key_write(struct conn *c, struct span key, struct edit *e);
/* edit_close(); false when it was refused, with the error replied. Only for edits that stage something. */
bool key_commit(struct conn *c, struct edit *e);
enum key_kind key_kind(const struct edit *e);
/* False: an error was replied. *result: ERR_OK, ERR_NOT_FOUND, or ERR_EXISTS when only_new. */
bool key_rename(struct conn *c, struct span from, struct span to, bool only_new, enum err *result);
struct blob *key_string(const struct edit *e); /* the value of a string; borrowed until the edit ends */

/* Contexts whose sessions are keys of this database for this connection. */
bool key_sees_context(const struct conn *c, const struct context *context, unsigned db);

#define KEY_TOO_LONG "ERR key is too long"

#endif
