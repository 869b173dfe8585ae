/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing and access of keys; see key.h. The context of a key is found by the longest keyPrefix; a context is
 * "a Tomcat's" from the moment that a Tomcat has spoken of it.
 */
#include "key.h"

static bool is_reachable(const struct conn *c, const struct context *context)
{
    if (context->internal)
        return true;
    return context->key_prefix.n > 0 &&
           (c->trusted || !atomic_load_explicit(&context->seen_on_wire, memory_order_relaxed));
}

bool key_sees_context(const struct conn *c, const struct context *context, unsigned db)
{
    return context->database == db && is_reachable(c, context);
}

static void open_edit(struct conn *c, struct context *context, struct span id, struct edit *e)
{
    edit_open(e, c->front->manager, c->worker->loop, context, id);
}

bool key_read(struct conn *c, struct span key, struct edit *e)
{
    struct span id;
    struct context *context = table_route_key(c->front->table, c->db, key, &id);

    if (context && id.n <= TABLE_ID_MAX && is_reachable(c, context)) {
        open_edit(c, context, id, e);
        if (edit_exists(e)) {
            c->hits++;
            return true;
        }
        edit_cancel(e);
    }
    c->misses++;
    return false;
}

static struct context *find_writable(struct conn *c, struct span key, struct span *id)
{
    struct context *context = table_route_key(c->front->table, c->db, key, id);

    if (context && id->n <= TABLE_ID_MAX && is_reachable(c, context))
        return context;
    if (!context || id->n > TABLE_ID_MAX)
        conn_error(c, context ? KEY_TOO_LONG : "ERR no context for this key");
    else
        conn_error(c, "NOPERM this key is a session of a Tomcat: use the unix socket or AUTH");
    return NULL;
}

bool key_may_write(struct conn *c, struct span key)
{
    struct span id;

    return find_writable(c, key, &id) != NULL;
}

bool key_write(struct conn *c, struct span key, struct edit *e)
{
    struct span id;
    struct context *context = find_writable(c, key, &id);

    if (context)
        open_edit(c, context, id, e);
    return context != NULL;
}

bool key_commit(struct conn *c, struct edit *e)
{
    enum err err = edit_close(e, conn_delivery(c));

    if (err == ERR_OK)
        return true;
    conn_no_delivery(c);
    metric_inc(c->front->metrics, commands_refused);
    if (err == ERR_FULL)
        conn_error(c, "OOM command not allowed when used memory > 'maxmemory'.");
    else
        resp_errorf(c->out, "ERR %s", err_text(err));
    return false;
}

bool key_rename(struct conn *c, struct span from, struct span to, bool only_new, enum err *result)
{
    struct edit_name source, target;

    source.context = find_writable(c, from, &source.id);
    target.context = source.context ? find_writable(c, to, &target.id) : NULL;
    if (!target.context)
        return false;
    *result = edit_rename(c->front->manager, c->worker->loop, &source, &target, only_new, conn_delivery(c));
    if (*result != ERR_OK || (source.context == target.context && span_eq(source.id, target.id)))
        conn_no_delivery(c);
    return true;
}

struct blob *key_string(const struct edit *e)
{
    return edit_find(e, ENTRY_ATTRIBUTE, SPAN_LIT(FRONT_STRING_NAME));
}

enum key_kind key_kind(const struct edit *e)
{
    if (!edit_exists(e))
        return KEY_NONE;
    return key_string(e) ? KEY_STRING : KEY_HASH;
}
