/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on keys of any kind: DEL, EXISTS, TYPE and the family of EXPIRE and TTL. Replies and order of the
 * checks are Redis' (db.c, expire.c).
 */
#include "expiry.h"
#include "handlers.h"
#include "key.h"

/* All keys of a command are checked before the first is touched: an error means that nothing was done. */
static bool may_write_all(struct conn *c, const struct words *w)
{
    for (size_t i = 1; i < w->n; i++)
        if (!key_may_write(c, word(w, i)))
            return false;
    return true;
}

void keys_del(struct conn *c, const struct words *w)
{
    int64_t n = 0;

    if (!may_write_all(c, w))
        return;
    for (size_t i = 1; i < w->n; i++) {
        struct edit e;
        if (!key_write(c, word(w, i), &e))
            return;
        if (!edit_exists(&e)) {
            edit_cancel(&e);
            continue;
        }
        edit_end(&e);
        if (!key_commit(c, &e))
            return;
        n++;
    }
    conn_int(c, n);
}

void keys_exists(struct conn *c, const struct words *w)
{
    int64_t n = 0;

    for (size_t i = 1; i < w->n; i++) {
        struct edit e;
        if (!key_read(c, word(w, i), &e))
            continue;
        edit_cancel(&e);
        n++;
    }
    conn_int(c, n);
}

void keys_type(struct conn *c, const struct words *w)
{
    struct edit e;

    if (!key_read(c, word(w, 1), &e)) {
        resp_simple(c->out, "none");
        return;
    }
    enum key_kind kind = key_kind(&e);
    edit_cancel(&e);
    resp_simple(c->out, kind == KEY_STRING ? "string" : "hash");
}

/* --- EXPIRE --- */

struct expire_flags {
    bool nx, xx, gt, lt;
};

static bool parse_flags(struct conn *c, const struct words *w, struct expire_flags *f)
{
    for (size_t i = 3; i < w->n; i++) {
        struct span s = word(w, i);
        if (span_is_nocase(s, "nx")) {
            f->nx = true;
        } else if (span_is_nocase(s, "xx")) {
            f->xx = true;
        } else if (span_is_nocase(s, "gt")) {
            f->gt = true;
        } else if (span_is_nocase(s, "lt")) {
            f->lt = true;
        } else {
            resp_errorf(c->out, "ERR Unsupported option %.*s", (int)(s.n < 256 ? s.n : 256),
                        (const char *)s.p);
            return false;
        }
    }
    if (f->nx && (f->xx || f->gt || f->lt)) {
        conn_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (f->gt && f->lt) {
        conn_error(c, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* A key without an end counts as one with an endless time. */
static bool flags_allow(const struct expire_flags *f, int64_t current_ms, int64_t ttl_ms)
{
    bool endless = current_ms < 0;

    if ((f->nx && !endless) || (f->xx && endless))
        return false;
    if (f->gt && (endless || ttl_ms <= current_ms))
        return false;
    return !(f->lt && !endless && ttl_ms >= current_ms);
}

static void expire(struct conn *c, const struct words *w, enum expiry_form form)
{
    struct expire_flags flags = {0};
    struct edit e;
    int64_t ttl = 0;

    if (!parse_flags(c, w, &flags) || !expiry_any_ttl(c, form, word(w, 2), &ttl) ||
        !key_write(c, word(w, 1), &e))
        return;
    if (!edit_exists(&e) || !flags_allow(&flags, edit_ttl_ms(&e), ttl)) {
        edit_cancel(&e);
        conn_int(c, 0);
        return;
    }
    if (ttl <= 0)
        edit_end(&e);
    else
        edit_set_ttl(&e, ttl);
    if (key_commit(c, &e))
        conn_int(c, 1);
}

void keys_expire(struct conn *c, const struct words *w)
{
    expire(c, w, EXPIRY_EX);
}

void keys_pexpire(struct conn *c, const struct words *w)
{
    expire(c, w, EXPIRY_PX);
}

void keys_expireat(struct conn *c, const struct words *w)
{
    expire(c, w, EXPIRY_EXAT);
}

void keys_pexpireat(struct conn *c, const struct words *w)
{
    expire(c, w, EXPIRY_PXAT);
}

void keys_persist(struct conn *c, const struct words *w)
{
    struct edit e;

    if (!key_write(c, word(w, 1), &e))
        return;
    if (!edit_exists(&e) || edit_ttl_ms(&e) < 0) {
        edit_cancel(&e);
        conn_int(c, 0);
        return;
    }
    edit_set_ttl(&e, -1);
    if (key_commit(c, &e))
        conn_int(c, 1);
}

/* --- RENAME --- */

void keys_rename(struct conn *c, const struct words *w)
{
    enum err result;

    if (!key_rename(c, word(w, 1), word(w, 2), false, &result))
        return;
    if (result == ERR_NOT_FOUND)
        conn_error(c, "ERR no such key");
    else
        resp_simple(c->out, "OK");
}

void keys_renamenx(struct conn *c, const struct words *w)
{
    enum err result;

    if (!key_rename(c, word(w, 1), word(w, 2), true, &result))
        return;
    if (result == ERR_NOT_FOUND)
        conn_error(c, "ERR no such key");
    else
        conn_int(c, result == ERR_OK);
}

/* --- TTL --- */

/* -2 no such key, -1 no end, else `base` + the time left, in the unit. */
static void reply_time(struct conn *c, const struct words *w, int64_t base, bool seconds)
{
    struct edit e;
    int64_t ms = -2;

    if (key_read(c, word(w, 1), &e)) {
        ms = edit_ttl_ms(&e);
        edit_cancel(&e);
    }
    if (ms >= 0) {
        ms = ms > INT64_MAX - base ? INT64_MAX : ms + base;
        ms = seconds ? ms / 1000 + (ms % 1000 >= 500) : ms;
    }
    conn_int(c, ms);
}

void keys_ttl(struct conn *c, const struct words *w)
{
    reply_time(c, w, 0, true);
}

void keys_pttl(struct conn *c, const struct words *w)
{
    reply_time(c, w, 0, false);
}

void keys_expiretime(struct conn *c, const struct words *w)
{
    reply_time(c, w, loop_wall_ms(c->worker->loop), true);
}

void keys_pexpiretime(struct conn *c, const struct words *w)
{
    reply_time(c, w, loop_wall_ms(c->worker->loop), false);
}
