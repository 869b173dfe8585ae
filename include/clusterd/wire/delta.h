/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeltaRequest: the changes that one request made to one session, body of SESSION_DELTA (and diff of a
 * MapMessage). Mirrors org.apache.catalina.ha.session.DeltaRequest.writeExternal, which runs directly on the
 * stream: block data and objects mixed, no class descriptor of its own. Pure functions.
 *
 *   utf session id   u1 recordAllActions   i4 n
 *   n x { i4 type   i4 action   utf name   u1 has value   [object value] }
 */
#ifndef CLUSTERD_WIRE_DELTA_H
#define CLUSTERD_WIRE_DELTA_H

#include "clusterd/util/bytes.h"
#include "clusterd/wire/java.h"

enum delta_type {
    DELTA_ATTRIBUTE,
    DELTA_PRINCIPAL,
    DELTA_IS_NEW,
    DELTA_MAX_INTERVAL,
    DELTA_AUTH_TYPE,
    DELTA_LISTENER,
    DELTA_NOTE,
    DELTA_TYPE_COUNT
};

enum delta_op { DELTA_SET, DELTA_REMOVE };

/* Names that the actions without a name of their own carry. */
#define DELTA_NAME_PRINCIPAL    "__SET__PRINCIPAL__"
#define DELTA_NAME_IS_NEW       "__SET__ISNEW__"
#define DELTA_NAME_MAX_INTERVAL "__SET__MAXINTERVAL__"
#define DELTA_NAME_AUTH_TYPE    "__SET__AUTHTYPE__"
#define DELTA_NAME_LISTENER     "__SET__LISTENER__"

struct delta_action {
    enum delta_type type;
    enum delta_op op;
    uint32_t index;   /* place in the message, counting what decode left out */
    struct span name; /* UTF-8 */
    struct blob *
        value; /* NULL: none, or null. SET of ATTRIBUTE, PRINCIPAL, AUTH_TYPE, NOTE with NULL means remove. */
};

struct delta {
    struct span session_id; /* UTF-8; ignored by DeltaManager receivers: the message around it decides */
    bool record_all;
    uint32_t n;
    struct delta_action *actions; /* n of them, in order; names the same twice are possible (record_all) */
    uint32_t n_dropped;           /* left out: the value cannot be cut or its writing failed at the sender */
    uint32_t n_unknown;           /* left out: types that do not exist */
    struct java *reader;          /* backs the texts; NULL when not made by decode */
};

/* A fixed name for every type but ATTRIBUTE and NOTE: NULL for those. */
const char *delta_type_name(enum delta_type type);

/*
 * Decode a whole body. Spans point into `in` or belong to *out; delta_fini() releases all. limits NULL: the
 * defaults. On failure *out is untouched and *field (may be NULL) names the part that failed.
 */
fallible delta_decode(struct span in, const struct java_limits *limits, struct delta *out,
                      const char **field);
void delta_fini(struct delta *d); /* only after decode */

/* Append the body. ERR_BAD / ERR_TOO_BIG: a text that no UTF string can hold, a broken value; `out` is
 * unchanged then. */
fallible delta_encode(const struct delta *d, struct buf *out);

#endif
