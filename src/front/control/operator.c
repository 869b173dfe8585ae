/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's commands but those that look into sessions: members, contexts, status, configuration,
 * leaving. Grammar and fields: clusterd/front/control.h. On the connection's worker.
 */
#include "clusterd/channel/channel.h"
#include "clusterd/front/control.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "field.h"

#include "../resp/handlers.h"
#include "../resp/key.h"

void operator_ping(struct conn *c, const struct words *w)
{
    (void)w;
    resp_simple(c->out, "PONG");
}

void operator_version(struct conn *c, const struct words *w)
{
    (void)w;
    conn_text(c, CLUSTERD_VERSION);
}

void operator_help(struct conn *c, const struct words *w)
{
    static const char *const lines[] = {
        "CLUSTERD <subcommand> [<arg> ...]. Subcommands are:",
        "CONFIG",
        "    Return the effective configuration.",
        "CONTEXTS",
        "    Return the contexts that this node knows.",
        "EXPIRE <context> <id>",
        "    End one session everywhere.",
        "LEAVE",
        "    Leave the cluster in order and end the process.",
        "MEMBERS",
        "    Return the members of the cluster, this node first.",
        "PING",
        "    Return PONG.",
        "SESSION <context> <id> [REVEAL]",
        "    Return one session; ids and values only with REVEAL.",
        "SESSIONS [CONTEXT <name>] [MATCH <glob>] [CURSOR <n>] [COUNT <n>] [REVEAL]",
        "    Return a page of the sessions held here.",
        "STATUS",
        "    Return whether this node is complete, and what it holds.",
        "VERSION",
        "    Return the version of this clusterd.",
    };

    (void)w;
    resp_array(c->out, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        resp_simple(c->out, lines[i]);
}

void operator_config(struct conn *c, const struct words *w)
{
    const struct front_operator *op = c->front->op;
    struct buf text = {0};

    (void)w;
    if (op && op->config)
        op->config(op->arg, &text);
    conn_bulk(c, buf_span(&text));
    buf_fini(&text);
}

void operator_leave(struct conn *c, const struct words *w)
{
    const struct front_operator *op = c->front->op;

    (void)w;
    if (!op || !op->leave) {
        conn_error(c, "ERR this node cannot leave by command");
        return;
    }
    log_info("Leaving the cluster: asked to by the operator");
    conn_ok(c);
    op->leave(op->arg);
}

void operator_expire(struct conn *c, const struct words *w)
{
    struct context *context = table_context_find(c->front->table, word(w, 2));
    struct span id = word(w, 3);
    char shown[LOG_ID_MAX];
    struct edit e;

    if (!context) {
        conn_error(c, FIELD_NO_CONTEXT);
        return;
    }
    if (id.n > TABLE_ID_MAX) {
        conn_error(c, FIELD_NO_SESSION);
        return;
    }
    edit_open(&e, c->front->manager, c->worker->loop, context, id);
    if (!edit_exists(&e)) {
        edit_cancel(&e);
        conn_error(c, FIELD_NO_SESSION);
        return;
    }
    edit_end(&e);
    if (!key_commit(c, &e))
        return;
    log_info("Session %s of context %s ended by the operator", log_id(shown, id), context->name);
    conn_ok(c);
}

/* --- MEMBERS --- */

static const char *state_of(const struct member *m)
{
    return atomic_load(&m->suspect) ? "suspect" : atomic_load(&m->lagging) ? "lagging" : "up";
}

static void write_host(struct conn *c, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];

    field_text(c, "host", addr_host_text(a, text));
    field_int(c, "port", a->port);
}

#define MEMBER_FIELDS 16

static void write_member(struct conn *c, const struct member *m)
{
    char id[IDENT_TEXT_MAX];
    uint64_t heard = atomic_load(&m->heard_mono_ms), now = loop_mono_ms(c->worker->loop);

    resp_map(c->out, c->proto, MEMBER_FIELDS);
    field_text(c, "name", m->name);
    write_host(c, &m->addr);
    field_int(c, "alive", atomic_load(&m->alive_ms));
    field_text(c, "state", state_of(m));
    field_bool(c, "suspect", atomic_load(&m->suspect));
    field_bool(c, "lagging", atomic_load(&m->lagging));
    if (m->clusterd_version)
        field_bool(c, "complete", atomic_load(&m->complete));
    else
        field_null(c, "complete");
    field_text(c, "id", ident_text(&m->id, id));
    field_span(c, "domain", blob_span(m->domain));
    field_text(c, "kind", m->clusterd_version ? "clusterd" : "tomcat");
    field_int(c, "clusterd_version", m->clusterd_version);
    field_int(c, "queued_bytes", (int64_t)atomic_load(&m->queued_bytes));
    field_int(c, "queued_messages", (int64_t)atomic_load(&m->queued_messages));
    if (atomic_load(&m->clock_known))
        field_int(c, "clock_offset_ms", atomic_load(&m->clock_offset_ms));
    else
        field_null(c, "clock_offset_ms");
    if (heard)
        field_int(c, "heard_ms", now > heard ? (int64_t)(now - heard) : 0);
    else
        field_null(c, "heard_ms");
}

/* This node, in the same fields. */
static void write_self(struct conn *c, struct channel *channel)
{
    const struct member_rec *self = channel_local(channel);
    const char *why = NULL;
    char id[IDENT_TEXT_MAX];
    struct addr at = {0};

    if (addr_from_host(span_of(self->host, self->host_len), (uint16_t)self->port, &at) != ERR_OK)
        at = (struct addr){.family = ADDR_IP4};
    resp_map(c->out, c->proto, MEMBER_FIELDS);
    field_text(c, "name", channel_local_name(channel));
    write_host(c, &at);
    field_int(c, "alive", manager_alive_ms(c->front->manager));
    field_text(c, "state", "self");
    field_bool(c, "suspect", false);
    field_bool(c, "lagging", false);
    field_bool(c, "complete", manager_is_complete(c->front->manager, &why));
    field_text(c, "id", ident_text(&self->id, id));
    field_span(c, "domain", self->domain);
    field_text(c, "kind", "clusterd");
    field_int(c, "clusterd_version", VIEW_CLUSTERD_VERSION);
    field_int(c, "queued_bytes", 0);
    field_int(c, "queued_messages", 0);
    field_int(c, "clock_offset_ms", 0);
    field_int(c, "heard_ms", 0);
}

void operator_members(struct conn *c, const struct words *w)
{
    struct cluster *cluster = manager_cluster(c->front->manager);

    (void)w;
    if (!cluster) {
        resp_array(c->out, 0);
        return;
    }
    struct channel *channel = cluster_channel(cluster);
    struct view *v = channel_view(channel);
    resp_array(c->out, v->n + 1);
    write_self(c, channel);
    for (size_t i = 0; i < v->n; i++)
        write_member(c, v->members[i]);
    view_unref(v);
}

/* --- CONTEXTS --- */

void operator_contexts(struct conn *c, const struct words *w)
{
    struct context **all;
    size_t n = table_contexts_all(c->front->table, &all);

    (void)w;
    resp_array(c->out, n);
    for (size_t i = 0; i < n; i++) {
        const struct context *x = all[i];
        resp_map(c->out, c->proto, 10);
        field_text(c, "name", x->name);
        field_int(c, "sessions", atomic_load(&x->sessions));
        field_bool(c, "complete", atomic_load(&x->complete));
        field_bool(c, "configured", x->configured);
        field_bool(c, "internal", x->internal);
        field_bool(c, "seen_on_wire", atomic_load(&x->seen_on_wire));
        if (x->key_prefix.n)
            field_span(c, "key_prefix", x->key_prefix);
        else
            field_null(c, "key_prefix");
        field_int(c, "database", x->database);
        field_int(c, "max_active", x->manager.max_active_sessions);
        field_int(c, "max_inactive_s", x->manager.max_inactive_s);
    }
    mem_free(all);
}

/* --- STATUS --- */

static void write_cluster(struct conn *c, struct cluster *cluster)
{
    struct buf options = {0};
    struct view *v = channel_view(cluster_channel(cluster));
    uint64_t queued = 0;

    for (size_t i = 0; i < v->n; i++)
        queued += atomic_load(&v->members[i]->queued_bytes);
    options_send_text(cluster_send_options(cluster), &options);
    field_text(c, "name", channel_local_name(cluster_channel(cluster)));
    field_int(c, "members", (int64_t)v->n);
    field_int(c, "view", (int64_t)v->serial);
    field_span(c, "send_options", buf_span(&options));
    field_int(c, "queued_bytes", (int64_t)queued);
    view_unref(v);
    buf_fini(&options);
}

static void write_no_cluster(struct conn *c)
{
    field_text(c, "name", "");
    field_int(c, "members", 0);
    field_int(c, "view", 0);
    field_text(c, "send_options", "");
    field_int(c, "queued_bytes", 0);
}

static void write_table(struct conn *c)
{
    const struct table *t = c->front->table;
    struct context **all;
    size_t n = table_contexts_all(c->front->table, &all);

    mem_free(all);
    field_int(c, "sessions", (int64_t)table_sessions(t));
    field_int(c, "contexts", (int64_t)n);
    field_int(c, "tombstones", (int64_t)table_tombstones(t));
    field_int(c, "session_bytes", (int64_t)table_bytes(t));
    field_int(c, "max_bytes", (int64_t)table_conf(t)->max_bytes);
    field_bool(c, "full", table_is_full(t));
    field_int(c, "refused", (int64_t)table_refused(t));
}

static void write_counters(struct conn *c)
{
    const struct metrics *m = c->front->metrics;
    const struct {
        const char *name;
        unsigned long long value;
    } counters[] = {
#define COUNTER(name, help) {#name, metric_get(m, name)},
        METRIC_LIST(COUNTER)
#undef COUNTER
    };
    size_t n = sizeof counters / sizeof *counters;

    conn_text(c, "counters");
    resp_map(c->out, c->proto, n);
    for (size_t i = 0; i < n; i++)
        field_int(c, counters[i].name, (int64_t)counters[i].value);
}

/* The next "key: value" line of the daemon's text; false at its end. Lines without a colon are passed over.
 */
static bool next_line(struct span *left, struct span *key, struct span *value)
{
    while (left->n) {
        const uint8_t *end = memchr(left->p, '\n', left->n);
        size_t n = end ? (size_t)(end - left->p) : left->n, skip = end ? n + 1 : n;
        const uint8_t *colon = memchr(left->p, ':', n);
        struct span line = span_of(left->p, n);
        *left = span_of(left->p + skip, left->n - skip);
        if (!colon)
            continue;
        size_t at = (size_t)(colon - line.p);
        *key = span_of(line.p, at);
        at += at + 1 < n && line.p[at + 1] == ' ' ? 2 : 1;
        *value = span_of(line.p + at, n - at);
        return true;
    }
    return false;
}

static void write_daemon(struct conn *c)
{
    const struct front_operator *op = c->front->op;
    struct buf text = {0};
    struct span left, key, value;
    size_t n = 0;

    if (op && op->status)
        op->status(op->arg, &text);
    for (left = buf_span(&text); next_line(&left, &key, &value);)
        n++;
    conn_text(c, "daemon");
    resp_map(c->out, c->proto, n);
    for (left = buf_span(&text); next_line(&left, &key, &value);) {
        conn_bulk(c, key);
        conn_bulk(c, value);
    }
    buf_fini(&text);
}

#define STATUS_FIELDS 22

void operator_status(struct conn *c, const struct words *w)
{
    struct front *f = c->front;
    struct cluster *cluster = manager_cluster(f->manager);
    const char *why = "";
    bool complete = manager_is_complete(f->manager, &why), loading = atomic_load(&f->loading);

    (void)w;
    if (complete && loading) { /* who waits for "complete" must find the applications served */
        complete = false;
        why = "applications are not served";
    }
    resp_map(c->out, c->proto, STATUS_FIELDS);
    field_text(c, "version", CLUSTERD_VERSION);
    field_bool(c, "complete", complete);
    field_text(c, "why", complete || !why ? "" : why);
    field_bool(c, "loading", loading);
    field_int(c, "uptime_s", (int64_t)((loop_mono_ms(c->worker->loop) - f->started_mono_ms) / 1000));
    if (cluster)
        write_cluster(c, cluster);
    else
        write_no_cluster(c);
    field_int(c, "min_acks", f->min_acks);
    write_table(c);
    field_int(c, "clients", atomic_load(&f->clients));
    field_int(c, "blocked_clients", atomic_load(&f->blocked));
    write_daemon(c);
    write_counters(c);
}
