/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading of times to live; see expiry.h. Redis: t_string.c (parseExtendedStringArgumentsOrReply,
 * getExpireMillisecondsOrReply), expire.c (expireGenericCommand), with the same checks in the same order.
 */
#include "expiry.h"

#include "command.h"

static bool takes_form(const struct expiry_options *o, enum expiry_form form)
{
    return !o->keep_ttl && !o->persist && (o->form == EXPIRY_NONE || o->form == form);
}

static enum expiry_form form_of(struct span s)
{
    static const char *const names[] = {
        [EXPIRY_EX] = "ex", [EXPIRY_PX] = "px", [EXPIRY_EXAT] = "exat", [EXPIRY_PXAT] = "pxat"};

    for (int f = EXPIRY_EX; f <= EXPIRY_PXAT; f++)
        if (span_is_nocase(s, names[f]))
            return (enum expiry_form)f;
    return EXPIRY_NONE;
}

static bool take_flag(const struct words *w, size_t i, bool is_set, struct expiry_options *o)
{
    if (is_set && !o->xx && word_is(w, i, "nx"))
        return o->nx = true;
    if (is_set && !o->nx && word_is(w, i, "xx"))
        return o->xx = true;
    if (is_set && word_is(w, i, "get"))
        return o->get = true;
    if (is_set && !o->persist && o->form == EXPIRY_NONE && word_is(w, i, "keepttl"))
        return o->keep_ttl = true;
    if (!is_set && !o->keep_ttl && o->form == EXPIRY_NONE && word_is(w, i, "persist"))
        return o->persist = true;
    return false;
}

bool expiry_parse_options(struct conn *c, const struct words *w, size_t at, bool is_set,
                          struct expiry_options *o)
{
    for (size_t i = at; i < w->n; i++) {
        enum expiry_form form = form_of(word(w, i));
        if (take_flag(w, i, is_set, o))
            continue;
        if (form == EXPIRY_NONE || !takes_form(o, form) || i + 1 == w->n) {
            conn_error(c, CONN_SYNTAX_ERROR);
            return false;
        }
        o->form = form;
        o->number = word(w, ++i);
    }
    return true;
}

static bool is_absolute(enum expiry_form form)
{
    return form == EXPIRY_EXAT || form == EXPIRY_PXAT;
}

static bool invalid(struct conn *c)
{
    resp_errorf(c->out, "ERR invalid expire time in '%s' command", c->last->name);
    return false;
}

/* The moment in ms since 1970 must fit an int64_t, as in Redis. */
static bool to_ttl(struct conn *c, enum expiry_form form, int64_t v, int64_t *ttl_ms)
{
    int64_t now = loop_wall_ms(c->worker->loop);

    if (form == EXPIRY_EX || form == EXPIRY_EXAT) {
        if (v > INT64_MAX / 1000 || v < INT64_MIN / 1000)
            return invalid(c);
        v *= 1000;
    }
    if (!is_absolute(form)) {
        if (v > INT64_MAX - now)
            return invalid(c);
        *ttl_ms = v;
        return true;
    }
    *ttl_ms = v < INT64_MIN + now ? INT64_MIN : v - now;
    return true;
}

bool expiry_any_ttl(struct conn *c, enum expiry_form form, struct span number, int64_t *ttl_ms)
{
    int64_t v = 0;

    if (!words_i64(number, &v)) {
        conn_error(c, CONN_NOT_A_NUMBER);
        return false;
    }
    return to_ttl(c, form, v, ttl_ms);
}

bool expiry_ttl(struct conn *c, enum expiry_form form, struct span number, int64_t *ttl_ms)
{
    int64_t v = 0;

    if (!words_i64(number, &v)) {
        conn_error(c, CONN_NOT_A_NUMBER);
        return false;
    }
    if (v <= 0)
        return invalid(c);
    return to_ttl(c, form, v, ttl_ms);
}
