/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session state blocks; see state.h for the layout. What cannot be cut is left out and counted; what cannot
 * be walked ends the block, because nobody knows where the next item begins.
 */
#include "clusterd/wire/state.h"

#include "clusterd/util/mem.h"
#include "clusterd/wire/jwrite.h"

static enum err give_up(const struct java *j, const char **field)
{
    if (field)
        *field = java_field(j);
    return java_err(j);
}

enum err state_reader_init(struct state_reader *r, struct span body, const struct java_limits *limits,
                           const char **field)
{
    struct java *j = java_new(body, limits);
    int32_t count = java_integer(j, "session count");

    if (count < 0)
        java_fail(j, ERR_BAD, "session count");
    if (java_err(j)) {
        enum err e = give_up(j, field);
        java_free(j);
        return e;
    }
    *r = (struct state_reader){.java = j, .count = (uint32_t)count};
    return ERR_OK;
}

void state_reader_fini(struct state_reader *r)
{
    java_free(r->java);
    *r = (struct state_reader){0};
}

/* An item as a value; NULL for null and, counted, for what has no value. */
static struct blob *cut(struct java *j, const struct java_item *item, struct state_session *s)
{
    struct blob *value = NULL;

    if (item->kind != JAVA_NULL && java_cut(j, item, &value) != ERR_OK)
        s->n_dropped++;
    return value;
}

static struct blob *read_value(struct java *j, struct state_session *s, const char *field)
{
    struct java_item item;

    return java_item(j, &item, field) ? cut(j, &item, s) : NULL;
}

/* The two notes, which old versions did not write, and the number of attributes behind them. */
static int32_t read_notes(struct java *j, struct state_session *s)
{
    struct java_item item;
    int32_t n;

    if (!java_item(j, &item, "session note SESSION_ID"))
        return 0;
    if (java_is_integer(j, &item, &n))
        return n;
    s->note_id = cut(j, &item, s);
    s->note_request = read_value(j, s, "session note REQUEST");
    return java_integer(j, "session attribute count");
}

static void read_attributes(struct java *j, struct state_session *s, int32_t n)
{
    uint32_t cap = 0;

    if (n < 0)
        java_fail(j, ERR_BAD, "session attribute count");
    for (; n > 0 && !java_err(j); n--) {
        struct state_attribute a = {0};
        bool is_named = java_string(j, &a.name, "session attribute name");
        a.value = read_value(j, s, "session attribute value");
        if (!is_named || !a.value) {
            blob_unref(a.value);
            continue;
        }
        if (s->n_attributes == cap) {
            cap = cap ? 2 * cap : 8;
            s->attributes = mem_realloc(s->attributes, cap * sizeof *s->attributes);
        }
        s->attributes[s->n_attributes++] = a;
    }
}

static void read_listeners(struct java *j, struct state_session *s)
{
    int32_t n = java_integer(j, "session listener count");
    uint32_t cap = 0;

    if (n < 0)
        java_fail(j, ERR_BAD, "session listener count");
    for (; n > 0 && !java_err(j); n--) {
        struct blob *listener = read_value(j, s, "session listener");
        if (!listener)
            continue;
        if (s->n_listeners == cap) {
            cap = cap ? 2 * cap : 4;
            s->listeners = mem_realloc(s->listeners, cap * sizeof *s->listeners);
        }
        s->listeners[s->n_listeners++] = listener;
    }
}

static void read_session(struct java *j, struct state_session *s)
{
    s->creation_ms = java_long(j, "session creationTime");
    s->last_access_ms = java_long(j, "session lastAccessedTime");
    s->max_inactive_s = java_integer(j, "session maxInactiveInterval");
    s->is_new = java_boolean(j, "session isNew");
    s->is_valid = java_boolean(j, "session isValid");
    s->this_access_ms = java_long(j, "session thisAccessedTime");
    s->version = java_long(j, "session version");
    if (java_u8(j, "session has principal"))
        s->principal = read_value(j, s, "session principal");
    if (!java_string(j, &s->id, "session id"))
        java_fail(j, ERR_BAD, "session id");
    read_attributes(j, s, read_notes(j, s));
    read_listeners(j, s);
}

enum err state_reader_next(struct state_reader *r, struct state_session *out, const char **field)
{
    struct state_session s = {0};

    if (r->done == r->count)
        return java_end(r->java, "session block tail") ? give_up(r->java, field) : ERR_NOT_FOUND;
    java_share(r->java);
    read_session(r->java, &s);
    if (java_err(r->java)) {
        state_session_fini(&s);
        return give_up(r->java, field);
    }
    r->done++;
    *out = s;
    return ERR_OK;
}

void state_session_fini(struct state_session *s)
{
    for (uint32_t i = 0; i < s->n_attributes; i++)
        blob_unref(s->attributes[i].value);
    for (uint32_t i = 0; i < s->n_listeners; i++)
        blob_unref(s->listeners[i]);
    mem_free(s->attributes);
    mem_free(s->listeners);
    blob_unref(s->principal);
    blob_unref(s->note_id);
    blob_unref(s->note_request);
    *s = (struct state_session){0};
}

/* --- encoding --- */

static fallible write_optional(struct jwrite *w, const struct blob *value)
{
    if (value)
        return jwrite_value(w, blob_span(value));
    jwrite_null(w);
    return ERR_OK;
}

static fallible write_session(struct jwrite *w, const struct state_session *s)
{
    jwrite_long(w, s->creation_ms);
    jwrite_long(w, s->last_access_ms);
    jwrite_integer(w, s->max_inactive_s);
    jwrite_boolean(w, s->is_new);
    jwrite_boolean(w, s->is_valid);
    jwrite_long(w, s->this_access_ms);
    jwrite_long(w, s->version);
    jwrite_u8(w, s->principal != NULL);
    if (s->principal)
        TRY(jwrite_value(w, blob_span(s->principal)));
    TRY(jwrite_string(w, s->id));
    TRY(write_optional(w, s->note_id));
    TRY(write_optional(w, s->note_request));
    jwrite_integer(w, (int32_t)s->n_attributes);
    for (uint32_t i = 0; i < s->n_attributes; i++) {
        TRY(jwrite_string(w, s->attributes[i].name));
        TRY(jwrite_value(w, blob_span(s->attributes[i].value)));
    }
    jwrite_integer(w, (int32_t)s->n_listeners);
    for (uint32_t i = 0; i < s->n_listeners; i++)
        TRY(jwrite_value(w, blob_span(s->listeners[i])));
    return ERR_OK;
}

enum err state_encode(const struct state_session *sessions, uint32_t n, struct buf *out)
{
    size_t before = out->n;
    struct jwrite w;
    enum err e = ERR_OK;

    jwrite_init(&w, out);
    jwrite_integer(&w, (int32_t)n);
    for (uint32_t i = 0; e == ERR_OK && i < n; i++)
        e = write_session(&w, &sessions[i]);
    jwrite_end(&w);
    if (e)
        out->n = before;
    return e;
}
