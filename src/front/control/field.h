/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of the operator's replies: a name and a value, within a map whose head has been written.
 */
#ifndef FRONT_CONTROL_FIELD_H
#define FRONT_CONTROL_FIELD_H

#include "../resp/conn.h"

#define FIELD_NO_CONTEXT "ERR no such context"
#define FIELD_NO_SESSION "ERR no such session"

static inline void field_text(struct conn *c, const char *name, const char *value)
{
    conn_text(c, name);
    conn_text(c, value);
}
static inline void field_span(struct conn *c, const char *name, struct span value)
{
    conn_text(c, name);
    conn_bulk(c, value);
}
static inline void field_int(struct conn *c, const char *name, int64_t value)
{
    conn_text(c, name);
    conn_int(c, value);
}
static inline void field_bool(struct conn *c, const char *name, bool value)
{
    conn_text(c, name);
    resp_bool(c->out, c->proto, value);
}
static inline void field_null(struct conn *c, const char *name)
{
    conn_text(c, name);
    conn_null(c);
}

#endif
