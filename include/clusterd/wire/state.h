/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole sessions: the body of ALL_SESSION_DATA, `Integer count` and that many sessions in one stream which
 * share one handle table. Mirrors org.apache.catalina.ha.session.DeltaSession.doWriteObject. The reader gives
 * one session at a time, so that a block of 100,000 is never decoded at once and can be taken in slices.
 *
 *   Long creation, Long lastAccessed, Integer maxInactive, Boolean isNew, Boolean isValid, Long thisAccessed,
 *   Long version, block data u1 has principal, [principal], String id,
 *   String|null SESSION_ID note, object|null REQUEST note   (both absent in streams of old versions),
 *   Integer n, n x { String name, value }, Integer m, m x listener
 */
#ifndef CLUSTERD_WIRE_STATE_H
#define CLUSTERD_WIRE_STATE_H

#include "clusterd/util/bytes.h"
#include "clusterd/wire/java.h"

#define STATE_NOTE_SESSION_ID "org.apache.catalina.authenticator.SESSION_ID"
#define STATE_NOTE_REQUEST    "org.apache.catalina.authenticator.REQUEST"

struct state_attribute {
    struct span name; /* UTF-8 */
    struct blob *value;
};

struct state_session {
    int64_t creation_ms, last_access_ms, this_access_ms; /* wall clock of the sender */
    int32_t max_inactive_s;                              /* <= 0: never ends */
    bool is_new, is_valid;
    int64_t version;
    struct span id;            /* UTF-8 */
    struct blob *principal;    /* NULL: none */
    struct blob *note_id;      /* value of the note SESSION_ID, a String; NULL: none */
    struct blob *note_request; /* value of the note REQUEST; NULL: none */
    uint32_t n_attributes, n_listeners;
    struct state_attribute *attributes;
    struct blob **listeners;
    uint32_t
        n_dropped; /* decode: attributes, notes, listeners left out: not to be cut, or failed at the sender */
};

struct state_reader {
    struct java *java;
    uint32_t count; /* sessions announced */
    uint32_t done;  /* sessions given out */
};

/* Start reading a body, which stays borrowed until state_reader_fini(). */
fallible state_reader_init(struct state_reader *r, struct span body, const struct java_limits *limits,
                           const char **field);
/*
 * The next session, owned by the caller: state_session_fini(). Its spans live as long as the reader.
 * ERR_NOT_FOUND: that was the last one and the body ends as it must. Any other error ends the block: what was
 * given out before is good.
 */
fallible state_reader_next(struct state_reader *r, struct state_session *out, const char **field);
void state_reader_fini(struct state_reader *r);
void state_session_fini(struct state_session *s); /* only after state_reader_next() */

/*
 * Append a body with the sessions given; 0 is what a Tomcat without sessions sends. One session a block keeps
 * damage small at a Tomcat that lacks a class. ERR_BAD: a text is not UTF-8 or a value is broken; `out` is
 * unchanged then.
 */
fallible state_encode(const struct state_session *sessions, uint32_t n, struct buf *out);

#endif
