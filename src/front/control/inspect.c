/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into sessions: CLUSTERD SESSIONS and SESSION. Works on snapshots, so no lock is held while a reply
 * is made. Ids are credentials and shown in short unless the operator says REVEAL; of principals only the
 * user name is ever told, of notes nothing: a Tomcat keeps clear-text passwords in both. Grammar and fields:
 * clusterd/front/control.h.
 */
#include "clusterd/front/control.h"
#include "clusterd/util/log.h"
#include "clusterd/wire/value.h"
#include "field.h"

#include "../resp/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#define LIST_FIELDS 12

static const char *const type_names[] = {
    [ENTRY_ATTRIBUTE] = "attribute", [ENTRY_PRINCIPAL] = "principal",
    [ENTRY_IS_NEW] = "is_new",       [ENTRY_MAX_INACTIVE] = "max_inactive",
    [ENTRY_AUTH_TYPE] = "auth_type", [ENTRY_LISTENER] = "listener",
    [ENTRY_NOTE] = "note",           [ENTRY_DEADLINE] = "deadline",
};

static const struct change_entry *find_entry(const struct change *s, enum entry_kind kind)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->entries[i].present && s->entries[i].kind == kind)
            return &s->entries[i];
    return NULL;
}

static bool is_string(const struct change *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->entries[i].present && s->entries[i].kind == ENTRY_ATTRIBUTE &&
            span_eq(s->entries[i].name, SPAN_LIT(FRONT_STRING_NAME)))
            return true;
    return false;
}

static struct version last_version(const struct change *s)
{
    struct version v = s->life;

    for (size_t i = 0; i < s->n; i++)
        if (version_cmp(s->entries[i].version, v) > 0)
            v = s->entries[i].version;
    return v;
}

static void write_id(struct conn *c, struct span id, bool reveal)
{
    char shown[LOG_ID_MAX];

    if (reveal)
        field_span(c, "id", id);
    else
        field_text(c, "id", log_id(shown, id));
}

static void write_writer(struct conn *c, struct version v)
{
    char name[64];

    field_text(c, "writer", manager_writer_name(c->front->manager, v.writer, name));
    field_int(c, "written_ms", v.time_ms);
}

/* Time left as the front door would tell it. */
static void write_ttl(struct conn *c, const struct change *s)
{
    struct edit e;

    edit_open(&e, c->front->manager, c->worker->loop, s->context, s->id);
    int64_t ttl = edit_ttl_ms(&e);
    edit_cancel(&e);
    if (ttl >= 0)
        field_int(c, "ttl_ms", ttl);
    else
        field_null(c, "ttl_ms");
}

/* The text of a String value, or null. */
static void write_string(struct conn *c, const char *name, const struct change_entry *e)
{
    struct buf text = {0};

    if (e && e->value && value_string(blob_span(e->value), &text) == ERR_OK)
        field_span(c, name, buf_span(&text));
    else
        field_null(c, name);
    buf_fini(&text);
}

static void write_user(struct conn *c, const char *name, const struct change_entry *e)
{
    struct buf user = {0};

    if (e && e->value && value_string_field(blob_span(e->value), "name", &user) == ERR_OK)
        field_span(c, name, buf_span(&user));
    else
        field_null(c, name);
    buf_fini(&user);
}

/* The fields that SESSIONS and SESSION share. */
static void write_summary(struct conn *c, const struct change *s, bool reveal)
{
    const struct change_entry *idle = find_entry(s, ENTRY_MAX_INACTIVE);
    int64_t attributes = 0, bytes = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (!s->entries[i].present)
            continue;
        attributes += s->entries[i].kind == ENTRY_ATTRIBUTE;
        bytes += (int64_t)(s->entries[i].name.n + blob_span(s->entries[i].value).n);
    }
    field_text(c, "context", s->context->name);
    write_id(c, s->id, reveal);
    field_text(c, "kind", is_string(s) ? "string" : "hash");
    field_int(c, "attributes", attributes);
    field_int(c, "bytes", bytes);
    if (s->created_wall_ms)
        field_int(c, "created_ms", s->created_wall_ms);
    else
        field_null(c, "created_ms");
    field_int(c, "idle_ms", s->idle_ms);
    write_ttl(c, s);
    if (idle)
        field_int(c, "max_inactive_s", idle->number);
    else
        field_null(c, "max_inactive_s");
    write_user(c, "principal", find_entry(s, ENTRY_PRINCIPAL));
    write_writer(c, last_version(s));
}

/* --- SESSIONS --- */

struct listing {
    struct conn *conn;
    bool has_pattern, reveal;
    struct span pattern;
    struct context *context;
    uint64_t at;
    size_t count, found;
    struct buf rows;
};

static void on_session(void *arg, struct change *s)
{
    struct listing *l = arg;
    struct conn *c = l->conn;
    struct buf *out = c->out;

    if (!l->has_pattern || words_match(l->pattern, s->id)) {
        c->out = &l->rows;
        resp_map(c->out, c->proto, LIST_FIELDS);
        write_summary(c, s, l->reveal);
        c->out = out;
        l->found++;
    }
    change_unref(s);
}

/* What is wrong with the option at *i; NULL: nothing, and *i stands on its last word. */
static const char *parse_option(const struct words *w, size_t *i, struct listing *l)
{
    int64_t n = 0;

    if (word_is(w, *i, "reveal")) {
        l->reveal = true;
        return NULL;
    }
    size_t option = (*i)++;
    if (*i == w->n)
        return CONN_SYNTAX_ERROR;
    if (word_is(w, option, "context")) {
        l->context = table_context_find(l->conn->front->table, word(w, *i));
        return l->context ? NULL : FIELD_NO_CONTEXT;
    }
    if (word_is(w, option, "match")) {
        l->has_pattern = true;
        l->pattern = word(w, *i);
        return l->pattern.n > WORDS_PATTERN_MAX ? CONN_SYNTAX_ERROR : NULL;
    }
    if (word_is(w, option, "cursor"))
        return words_u64(word(w, *i), &l->at) ? NULL : "ERR invalid cursor";
    if (!word_is(w, option, "count"))
        return CONN_SYNTAX_ERROR;
    if (!words_i64(word(w, *i), &n) || n < 1)
        return CONN_NOT_A_NUMBER;
    l->count = n < CONTROL_COUNT_MAX ? (size_t)n : CONTROL_COUNT_MAX;
    return NULL;
}

void inspect_sessions(struct conn *c, const struct words *w)
{
    struct listing l = {.conn = c, .count = CONTROL_COUNT};
    char cursor[24];

    for (size_t i = 2; i < w->n; i++) {
        const char *wrong = parse_option(w, &i, &l);
        if (wrong) {
            conn_error(c, wrong);
            return;
        }
    }
    table_walk(c->front->table, l.context, false, &l.at, l.count, table_now(c->worker->loop), on_session, &l);
    resp_array(c->out, 2);
    snprintf(cursor, sizeof cursor, "%" PRIu64, l.at);
    conn_text(c, cursor);
    resp_array(c->out, l.found);
    wr_span(c->out, buf_span(&l.rows));
    buf_fini(&l.rows);
}

/* --- SESSION --- */

static void write_class(struct conn *c, const struct change_entry *e)
{
    struct buf name = {0};

    if (e->value && value_class(blob_span(e->value), &name) == ERR_OK)
        field_span(c, "class", buf_span(&name));
    else
        field_null(c, "class");
    buf_fini(&name);
}

static void write_value(struct conn *c, const struct change_entry *e, bool reveal)
{
    struct buf text = {0};
    char number[24];

    if (reveal && e->kind == ENTRY_ATTRIBUTE && e->value &&
        value_text(blob_span(e->value), CONTROL_VALUE_TEXT_MAX, &text) == ERR_OK) {
        field_span(c, "value", buf_span(&text));
    } else if (e->kind == ENTRY_MAX_INACTIVE || e->kind == ENTRY_DEADLINE) {
        snprintf(number, sizeof number, "%" PRId64, e->number);
        field_text(c, "value", number);
    } else if (reveal && e->kind == ENTRY_AUTH_TYPE) {
        write_string(c, "value", e);
    } else if (reveal && e->kind == ENTRY_PRINCIPAL) {
        write_user(c, "value", e);
    } else {
        field_null(c, "value");
    }
    buf_fini(&text);
}

static void write_entries(struct conn *c, const struct change *s, bool reveal)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += s->entries[i].present;
    conn_text(c, "entries");
    resp_array(c->out, n);
    for (size_t i = 0; i < s->n && !conn_is_flooded(c); i++) {
        const struct change_entry *e = &s->entries[i];
        if (!e->present)
            continue;
        resp_map(c->out, c->proto, 7);
        field_span(c, "name", e->name);
        field_text(c, "type", type_names[e->kind]);
        write_class(c, e);
        field_int(c, "size", (int64_t)blob_span(e->value).n);
        write_writer(c, e->version);
        write_value(c, e, reveal);
    }
}

void inspect_session(struct conn *c, const struct words *w)
{
    struct context *context = table_context_find(c->front->table, word(w, 2));
    struct span id = word(w, 3);
    bool reveal = w->n == 5 && word_is(w, 4, "reveal");

    if (w->n > 4 && !reveal) {
        conn_error(c, CONN_SYNTAX_ERROR);
        return;
    }
    if (!context) {
        conn_error(c, FIELD_NO_CONTEXT);
        return;
    }
    struct change *s = id.n <= TABLE_ID_MAX
                           ? table_snapshot(c->front->table, context, id, false, table_now(c->worker->loop))
                           : NULL;
    if (!s) {
        conn_error(c, FIELD_NO_SESSION);
        return;
    }
    resp_map(c->out, c->proto, LIST_FIELDS + 2);
    write_summary(c, s, reveal);
    write_string(c, "auth_type", find_entry(s, ENTRY_AUTH_TYPE));
    write_entries(c, s, reveal);
    change_unref(s);
}
