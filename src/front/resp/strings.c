/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis strings: sessions with the one attribute FRONT_STRING_NAME. SET replaces whatever stood under the
 * key. Replies and order of checks are Redis' (t_string.c). Values are made before and read after the lock.
 */
#include "clusterd/wire/value.h"
#include "expiry.h"
#include "handlers.h"
#include "key.h"

#define NAME SPAN_LIT(FRONT_STRING_NAME)

void strings_get(struct conn *c, const struct words *w)
{
    struct edit e;

    if (!key_read(c, word(w, 1), &e)) {
        conn_null(c);
        return;
    }
    struct blob *value = blob_ref(key_string(&e));
    edit_cancel(&e);
    if (value)
        conn_value(c, value);
    else
        conn_error(c, CONN_WRONG_TYPE);
    blob_unref(value);
}

/* Anything but a string is null here, without an error. */
void strings_mget(struct conn *c, const struct words *w)
{
    resp_array(c->out, w->n - 1);
    for (size_t i = 1; i < w->n && !conn_is_flooded(c); i++) {
        struct edit e;
        struct blob *value = NULL;
        if (key_read(c, word(w, i), &e)) {
            value = blob_ref(key_string(&e));
            edit_cancel(&e);
        }
        if (value)
            conn_value(c, value);
        else
            conn_null(c);
        blob_unref(value);
    }
}

static size_t text_size(const struct blob *value)
{
    struct buf text = {0};
    size_t n = 0;

    if (value_text_size(blob_span(value), &n) != ERR_OK &&
        value_text(blob_span(value), CONN_TEXT_MAX, &text) == ERR_OK)
        n = text.n;
    buf_fini(&text);
    return n;
}

void strings_strlen(struct conn *c, const struct words *w)
{
    struct edit e;

    if (!key_read(c, word(w, 1), &e)) {
        conn_int(c, 0);
        return;
    }
    struct blob *value = blob_ref(key_string(&e));
    edit_cancel(&e);
    if (value)
        conn_int(c, (int64_t)text_size(value));
    else
        conn_error(c, CONN_WRONG_TYPE);
    blob_unref(value);
}

/* A value of this connection's limits, or NULL with the error replied. */
static struct blob *make_value(struct conn *c, struct span bytes)
{
    struct blob *value = bytes.n <= c->front->conf->max_value_bytes ? value_from_bytes(bytes) : NULL;

    if (value && value->n <= TABLE_VALUE_MAX)
        return value;
    blob_unref(value);
    conn_error(c, CONN_VALUE_TOO_BIG);
    return NULL;
}

struct set {
    struct span key, value;
    bool nx, xx, get, keep_ttl, has_ttl;
    int64_t ttl_ms;
};

/* Stages the new value, or the end of the key when its time is over already; false when nothing is to be
 * done. */
static bool stage_set(struct edit *e, const struct set *s, struct blob *value_taken)
{
    int64_t ttl = s->keep_ttl ? edit_ttl_ms(e) : s->ttl_ms;

    if (s->has_ttl && ttl <= 0) {
        blob_unref(value_taken);
        if (edit_exists(e))
            edit_end(e);
        return edit_exists(e);
    }
    edit_reset(e);
    edit_set(e, ENTRY_ATTRIBUTE, NAME, value_taken);
    if (s->has_ttl || (s->keep_ttl && ttl > 0))
        edit_set_ttl(e, ttl);
    return true;
}

enum set_result { SET_DONE, SET_NOT_DONE, SET_REPLIED };

/* *old: the string that stood there, with its own reference. */
static enum set_result set_key(struct conn *c, const struct set *s, struct blob **old)
{
    struct edit e;
    struct blob *value = make_value(c, s->value);

    if (!value)
        return SET_REPLIED;
    if (!key_write(c, s->key, &e)) {
        blob_unref(value);
        return SET_REPLIED;
    }
    enum key_kind kind = key_kind(&e);
    *old = s->get ? blob_ref(key_string(&e)) : NULL;
    bool wrong = s->get && kind == KEY_HASH;
    if (wrong || (s->nx && kind != KEY_NONE) || (s->xx && kind == KEY_NONE)) {
        edit_cancel(&e);
        blob_unref(value);
        if (wrong)
            conn_error(c, CONN_WRONG_TYPE);
        return wrong ? SET_REPLIED : SET_NOT_DONE;
    }
    if (!stage_set(&e, s, value))
        edit_cancel(&e);
    else if (!key_commit(c, &e))
        return SET_REPLIED;
    return SET_DONE;
}

void strings_set(struct conn *c, const struct words *w)
{
    struct expiry_options o = {0};
    struct set s = {.key = word(w, 1), .value = word(w, 2)};
    struct blob *old = NULL;

    if (!expiry_parse_options(c, w, 3, true, &o))
        return;
    s.has_ttl = o.form != EXPIRY_NONE;
    if (s.has_ttl && !expiry_ttl(c, o.form, o.number, &s.ttl_ms))
        return;
    s.nx = o.nx;
    s.xx = o.xx;
    s.get = o.get;
    s.keep_ttl = o.keep_ttl;
    enum set_result result = set_key(c, &s, &old);
    if (result != SET_REPLIED) {
        if (old)
            conn_value(c, old);
        else if (s.get || result == SET_NOT_DONE)
            conn_null(c);
        else
            conn_ok(c);
    }
    blob_unref(old);
}

static void set_with_ttl(struct conn *c, const struct words *w, enum expiry_form form)
{
    struct set s = {.key = word(w, 1), .value = word(w, 3), .has_ttl = true};
    struct blob *old = NULL;

    if (expiry_ttl(c, form, word(w, 2), &s.ttl_ms) && set_key(c, &s, &old) == SET_DONE)
        conn_ok(c);
}

void strings_setex(struct conn *c, const struct words *w)
{
    set_with_ttl(c, w, EXPIRY_EX);
}

void strings_psetex(struct conn *c, const struct words *w)
{
    set_with_ttl(c, w, EXPIRY_PX);
}

void strings_setnx(struct conn *c, const struct words *w)
{
    struct set s = {.key = word(w, 1), .value = word(w, 2), .nx = true};
    struct blob *old = NULL;
    enum set_result result = set_key(c, &s, &old);

    if (result != SET_REPLIED)
        conn_int(c, result == SET_DONE);
}

/* The value under a key that is about to be changed: null or an error is replied when there is none, and the
 * edit is over then. */
static struct blob *open_string(struct conn *c, struct span key, struct edit *e)
{
    if (!key_write(c, key, e))
        return NULL;
    struct blob *value = blob_ref(key_string(e));
    if (value)
        return value;
    bool exists = edit_exists(e);
    edit_cancel(e);
    if (exists)
        conn_error(c, CONN_WRONG_TYPE);
    else
        conn_null(c);
    return NULL;
}

void strings_getdel(struct conn *c, const struct words *w)
{
    struct edit e;
    struct blob *value = open_string(c, word(w, 1), &e);

    if (!value)
        return;
    edit_end(&e);
    if (key_commit(c, &e))
        conn_value(c, value);
    blob_unref(value);
}

/* True when a new time to live was staged. */
static bool stage_getex(struct edit *e, const struct expiry_options *o, int64_t ttl)
{
    if (o->persist && edit_ttl_ms(e) >= 0)
        edit_set_ttl(e, -1);
    else if (o->form != EXPIRY_NONE && ttl <= 0)
        edit_end(e);
    else if (o->form != EXPIRY_NONE)
        edit_set_ttl(e, ttl);
    else
        return false;
    return true;
}

void strings_getex(struct conn *c, const struct words *w)
{
    struct edit e;
    struct expiry_options o = {0};
    int64_t ttl = 0;

    if (!expiry_parse_options(c, w, 2, false, &o))
        return;
    struct blob *value = open_string(c, word(w, 1), &e);
    if (!value)
        return;
    if (o.form != EXPIRY_NONE && !expiry_ttl(c, o.form, o.number, &ttl)) {
        edit_cancel(&e);
    } else if (!stage_getex(&e, &o, ttl)) {
        edit_cancel(&e);
        conn_value(c, value);
    } else if (key_commit(c, &e)) {
        conn_value(c, value);
    }
    blob_unref(value);
}
