/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionMessageImpl: everything that a DeltaManager says. The root object of a channel message; its body
 * (mSession) is a Java stream of its own, see delta.h, state.h and session_id_body_decode(). Mirrors
 * org.apache.catalina.ha.session.SessionMessageImpl, whose layout is the same in all versions. Pure
 * functions.
 *
 *   header, object, class descriptors          constant, 0x113 bytes as every Tomcat writes them
 *   i8  ClusterMessageBase.timestamp           0
 *   i4  mEvtType   i8 serializationTimestamp   u1 timestampSet
 *   mContextName String|null, mSession byte[]|null, mSessionID String|null, uniqueId String|null
 */
#ifndef CLUSTERD_WIRE_SESSION_H
#define CLUSTERD_WIRE_SESSION_H

#include "clusterd/util/bytes.h"

enum session_event {
    SESSION_CREATED = 1,
    SESSION_EXPIRED = 2,
    SESSION_ACCESSED = 3,
    SESSION_GET_ALL = 4,
    SESSION_ALL_DATA = 12,
    SESSION_DELTA = 13,
    SESSION_TRANSFER_COMPLETE = 14,
    SESSION_CHANGE_ID = 15,
    SESSION_NO_CONTEXT_MANAGER = 16
};

/* The session ids of messages that are about no session. */
#define SESSION_ID_GET_ALL           "GET-ALL"
#define SESSION_ID_ALL_DATA          "SESSION-STATE"
#define SESSION_ID_TRANSFER_COMPLETE "SESSION-STATE-TRANSFERRED"
#define SESSION_ID_NO_CONTEXT        "NO-CONTEXT-MANAGER"

struct session_msg {
    int32_t event;        /* enum session_event; other numbers are decoded too and to be ignored */
    int64_t timestamp_ms; /* serializationTimestamp, wall clock of the sender */
    bool timestamp_set;   /* false only in NOCONTEXTMANAGER */
    bool has_context;     /* false: null, meant for all managers */
    bool has_body;        /* false: null */
    struct span context;  /* UTF-8, as all texts here; null texts are empty */
    struct span session_id;
    struct span unique_id;
    struct span body;
    struct buf owned; /* decode: backs texts that differ from the input's bytes. Leave zero for encoding. */
};

/* Tomcat's name of an event for log lines ("SESSION-DELTA"); "unknown" for other numbers. */
const char *session_event_name(int32_t event);

/*
 * Decode one whole message. Takes members in any field order, by reference, and unknown further fields.
 * ERR_UNSUPPORTED: the root is of another class (java_root_class() tells which). Spans point into `in` or
 * into out->owned. On failure *out is untouched and *field (may be NULL) names the part that failed.
 */
fallible session_msg_decode(struct span in, struct session_msg *out, const char **field);
void session_msg_fini(struct session_msg *m); /* needed only after a successful decode */

/* Append the message byte for byte as Tomcat writes it. ERR_BAD: a text is not UTF-8; nothing is appended
 * then. */
fallible session_msg_encode(const struct session_msg *m, struct buf *out);
/* Bytes that session_msg_encode() appends at most (texts may grow); for one reservation up front. */
size_t session_msg_size_max(const struct session_msg *m);

/* Append the unique id that Tomcat gives a message of this event: for logs only, ids repeat. */
void session_unique_id(enum session_event event, struct span session_id, struct span context, int64_t now_ms,
                       struct buf *out);

/* Body of CHANGE_SESSION_ID: block data with the new id. `utf8` of decode is appended to. */
fallible session_id_body_decode(struct span body, struct buf *utf8, const char **field);
fallible session_id_body_encode(struct span utf8, struct buf *out);

#endif
