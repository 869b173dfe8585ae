/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members and views (Tomcat: MemberImpl, Membership). A member object is made when a member is first seen and
 * lives while anybody holds a reference; what identifies it never changes, what is observed about it is
 * atomic, so it may be read from any thread. A view is an immutable, counted snapshot of all members; it is
 * replaced whole.
 */
#ifndef CLUSTERD_MEMBERSHIP_VIEW_H
#define CLUSTERD_MEMBERSHIP_VIEW_H

#include "clusterd/loop/addr.h"
#include "clusterd/util/ident.h"
#include "clusterd/wire/member.h"

/*
 * How a clusterd node says in its member payload that it is one: this text, then one version number in
 * decimal. Towards such members the wire may carry what a Tomcat cannot take. Any other payload: a Tomcat.
 */
#define VIEW_CLUSTERD_PAYLOAD "clusterd/"
#define VIEW_CLUSTERD_VERSION 1

/* What the cluster layer has seen in a member's messages (cluster/clock.c). Any thread writes it; an update
 * that is lost to another one costs nothing. */
struct member_seen {
    atomic_ullong probe;         /* token of the question for its time that is open; 0 = none */
    atomic_ullong probe_mono_ms; /* when it was asked */
    atomic_llong latest_ms;      /* its latest timestamp */
    atomic_bool clock_told;      /* the log has a warning about its clock */
    atomic_uint options;         /* send options of its session messages, plus one; 0 = none seen */
};

struct member {
    atomic_uint refs;
    struct ident id;
    struct addr addr; /* host and TCP port: with the id, the identity */
    int32_t secure_port, udp_port;
    struct blob *domain;       /* frozen at first sight, as in Tomcat; never NULL */
    struct blob *payload;      /* as first seen; never NULL */
    unsigned clusterd_version; /* 0 = a Tomcat */
    char name[ADDR_TEXT_MAX];  /* "10.0.0.1:4000" */
    /* Observed, written by the loop that observes, read anywhere. */
    atomic_llong alive_ms;                /* as the member last announced it */
    atomic_ullong heard_mono_ms;          /* last heartbeat */
    atomic_bool suspect;                  /* silent on multicast, but answers TCP */
    atomic_bool lagging;                  /* an acknowledgement timed out: nobody waits for it */
    atomic_bool complete;                 /* clusterd members: says that it holds every session */
    atomic_llong clock_offset_ms;         /* its wall clock minus our steady one (loop.h); see clock_known */
    atomic_bool clock_known, clock_doubt; /* doubt: it may have been set, or we may have stood still */
    atomic_ullong queued_bytes, queued_messages; /* waiting to be sent to it, or for its ACK */
    atomic_ullong told_mono_ms; /* when it was last told what this node has and sees (session/transfer.c) */
    struct member_seen seen;
    /* The transmitter's lanes to this member: set at most once, freed with the member. */
    _Atomic(void *) lanes;
    void (*free_lanes)(void *lanes);
};

/* One reference. The clusterd version is read from the payload. */
struct member *view_member_new(const struct member_rec *rec);
struct member *view_member_ref(struct member *m);
void view_member_unref(struct member *m);
bool view_member_is(const struct member *m, const struct member_rec *rec); /* host, port and id equal */
/* Tomcat's MemberImpl text with readable addresses:
 * "org.apache...MemberImpl[tcp://10.0.0.1:4000,10.0.0.1,4000, alive=0, ...]". `shutdown`: with the BABY-ALEX
 * command. */
void view_member_text(const struct member *m, bool shutdown, struct buf *out);

struct view {
    atomic_uint refs;
    uint64_t serial; /* grows by one with each new view of a node */
    size_t n;
    struct member *members[]; /* alive descending, as Tomcat's getMembers(): the first is asked for state */
};

struct view *view_new(uint64_t serial, struct member *const *members, size_t n); /* sorts; refs the members */
struct view *view_ref(struct view *v);
void view_unref(struct view *v);
struct member *view_find(const struct view *v, const struct member_rec *rec); /* borrowed */
struct member *view_find_id(const struct view *v, const struct ident *id);
struct member *view_find_addr(const struct view *v, const struct addr *a); /* host and port */
bool view_has_host(const struct view *v, const struct addr *a);            /* host only */

/* At each heartbeat some members instead of all: what members cost each other stays linear as they grow. */
#define VIEW_TURN_MEMBERS 4
#define VIEW_TURN_ALWAYS  0
#define VIEW_TURN_NEVER   UINT64_MAX
/* One of these, or when it was last this member's turn. */
typedef uint64_t view_turn_fn(const struct member *m);
typedef void view_each_fn(void *arg, struct member *m);
/* Calls each(), in the order of the view, for all whose turn is always and the VIEW_TURN_MEMBERS that have
 * waited longest. */
void view_take_turns(const struct view *v, view_turn_fn *turn, view_each_fn *each, void *arg);

#endif
