/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was heard when (Tomcat: Membership's map of MemberImpl to MbrEntry). Owned and used by one
 * McastService, on its loop. A member that fell silent keeps its object as long as anybody else holds it, so
 * that the same object comes back when it is heard again.
 */
#ifndef MEMBERSHIP_TRACKER_H
#define MEMBERSHIP_TRACKER_H

#include "clusterd/membership/view.h"
#include "clusterd/util/list.h"

#define TRACKER_MEMBERS_MAX 1024 /* heartbeats of more are dropped */

struct tracked {
    struct link link;
    struct member *member;
    uint64_t heard_ms;
    int64_t start_ms; /* on our clock, by what it announces: heard_ms - alive */
    bool silent;      /* gone for those above; kept for its object only */
    /* It has said that it leaves: until then, heartbeats that are not younger than that are late ones. */
    uint64_t left_until_ms;
    int64_t left_alive_ms;
};

struct tracker {
    struct link list;
    size_t n;
};

enum tracker_news {
    TRACKER_KNOWN,
    TRACKER_NEW,       /* not known, or silent until now */
    TRACKER_REORDERED, /* known, and its alive jumped */
    TRACKER_STALE,     /* sent before it left */
    TRACKER_FULL       /* not known, and there is no room */
};

void tracker_init(struct tracker *t);
void tracker_fini(struct tracker *t);
/* A heartbeat. *out is the member (borrowed), but for TRACKER_STALE and TRACKER_FULL. */
enum tracker_news tracker_heard(struct tracker *t, const struct member_rec *rec, uint64_t now_ms,
                                struct member **out);
/* It says that it leaves. One reference; NULL when it is not known. */
struct member *tracker_leave(struct tracker *t, const struct member_rec *rec, uint64_t now_ms,
                             uint64_t drop_ms);
/* A member not heard for more than drop_ms; it is silent from now on. One reference; NULL when there is none.
 */
struct member *tracker_expire(struct tracker *t, uint64_t now_ms, uint64_t drop_ms);
/* Count as if everybody had been heard this much later: we were stopped and could not listen. */
void tracker_shift(struct tracker *t, uint64_t ms);

#endif
