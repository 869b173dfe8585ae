/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between Tomcat's session messages and changes, in both directions. Pure functions but for the log.
 */
#ifndef CLUSTERD_SESSION_TOMCAT_H
#define CLUSTERD_SESSION_TOMCAT_H

#include "clusterd/session/change.h"
#include "clusterd/wire/session.h"
#include "clusterd/wire/state.h"

/* What one change is to a Tomcat: encoded SessionMessageImpl objects, to be sent in this order. */
#define TOMCAT_MESSAGES_MAX 3
struct tomcat_messages {
    int64_t time_ms; /* of the messages, on the receivers' clock */
    size_t n;
    struct buf payloads[TOMCAT_MESSAGES_MAX];
};
/* offset_ms puts cluster time on a Tomcat's clock. */
void tomcat_from_change(const struct change *c, int64_t offset_ms, struct tomcat_messages *out);
void tomcat_messages_fini(struct tomcat_messages *m);

/*
 * A message about one session (CREATED, EXPIRED, ACCESSED, DELTA, CHANGE_ID) as a change of version v.
 * stamped_ms is the message's own time on the same clock. *field names what could not be read.
 */
fallible tomcat_to_change(const struct session_msg *msg, struct context *context, struct version v,
                          int64_t stamped_ms, struct change **out, const char **field);

/* One session of an ALL_SESSION_DATA block as a change. `offset_ms` is added to its times to put them on our
 * clock; snapshot_ms (our clock) bounds the version of its entries, since they are no newer than the block.
 */
struct change *tomcat_state_to_change(const struct state_session *s, struct context *context, uint32_t writer,
                                      int64_t offset_ms, int64_t snapshot_ms, int64_t now_wall_ms);

/* Whole sessions as the body of an ALL_SESSION_DATA message. ERR_BAD: an id or a name is no text that Java
 * knows. */
fallible tomcat_state_from_changes(struct change *const *changes, uint32_t n, int64_t now_wall_ms,
                                   int64_t offset_ms, struct buf *out);
/* Every Tomcat can read the session: its id is text, and all that it holds are attributes of java.lang and
 * byte[]. */
bool tomcat_state_is_plain(const struct change *c);
/* The body of a block without sessions. */
void tomcat_state_empty(struct buf *out);
/* Auth type and most notes travel in deltas only: true when the session has any, with the body of a delta
 * that sets them appended. */
bool tomcat_rest_delta(const struct change *c, struct buf *out);

#endif
