/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about the connection itself: HELLO, AUTH, PING, ECHO, SELECT, RESET, QUIT. Texts and order of the
 * checks are Redis' (networking.c: helloCommand; acl.c: authCommand).
 */
#include "client.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "command.h"
#include "handlers.h"

#include <stdio.h>

#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."
#define NO_PASSWORD                                                                     \
    "ERR AUTH <password> called without any password configured for the default user. " \
    "Are you sure your configuration is correct?"
#define HELLO_NEEDS_AUTH                                                                                     \
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "   \
    "<user> "                                                                                                \
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same " \
    "time"

/* Without a password the user "default" may be anybody, as in Redis; that gives no rights over Tomcats'
 * sessions. */
static bool authenticate(struct conn *c, struct span user, struct span password)
{
    bool known = span_eq(user, SPAN_LIT("default"));
    char peer[ADDR_TEXT_MAX + 8];

    if (!conn_needs_password(c)) {
        if (!known)
            conn_error(c, WRONG_PASSWORD);
        return known;
    }
    if (!span_eq_secret(password, span_str(c->front->conf->require_pass)) || !known) {
        metric_inc(c->front->metrics, auth_failures);
        log_limited(loop_mono_ms(c->worker->loop), LOG_WARN, "Front door: wrong password or user from %s",
                    conn_peer_text(c, peer));
        conn_error(c, WRONG_PASSWORD);
        return false;
    }
    c->authenticated = c->trusted = true;
    c->parser.unauthenticated = false;
    return true;
}

void connection_auth(struct conn *c, const struct words *w)
{
    if (w->n > 3)
        conn_error(c, CONN_SYNTAX_ERROR);
    else if (w->n == 2 && !conn_needs_password(c))
        conn_error(c, NO_PASSWORD);
    else if (authenticate(c, w->n == 2 ? SPAN_LIT("default") : word(w, 1), word(w, w->n - 1)))
        conn_ok(c);
}

struct hello {
    int64_t proto; /* 0: stays */
    struct span user, password, name;
    bool auth, set_name;
};

static bool parse_hello(struct conn *c, const struct words *w, struct hello *h)
{
    if (w->n >= 2 && !words_i64(word(w, 1), &h->proto)) {
        conn_error(c, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (w->n >= 2 && (h->proto < 2 || h->proto > 3)) {
        conn_error(c, "NOPROTO unsupported protocol version");
        return false;
    }
    for (size_t i = 2; i < w->n; i++) {
        size_t more = w->n - 1 - i;
        if (more >= 2 && word_is(w, i, "auth")) {
            h->auth = true;
            h->user = word(w, ++i);
            h->password = word(w, ++i);
        } else if (more >= 1 && word_is(w, i, "setname")) {
            h->set_name = true;
            h->name = word(w, ++i);
            if (!client_is_name(h->name)) {
                conn_error(c, CLIENT_BAD_NAME);
                return false;
            }
        } else {
            struct span s = word(w, i);
            resp_errorf(c->out, "ERR Syntax error in HELLO option '%.*s'", (int)(s.n < 128 ? s.n : 128),
                        (const char *)s.p);
            return false;
        }
    }
    return true;
}

void connection_hello(struct conn *c, const struct words *w)
{
    struct hello h = {0};

    if (!parse_hello(c, w, &h))
        return;
    if (h.auth && !authenticate(c, h.user, h.password))
        return;
    if (!c->authenticated) {
        conn_error(c, HELLO_NEEDS_AUTH);
        return;
    }
    if (h.set_name)
        client_set(&c->name, h.name);
    if (h.proto)
        c->proto = (int)h.proto;
    resp_map(c->out, c->proto, 7);
    conn_text(c, "server");
    conn_text(c, "redis");
    conn_text(c, "version");
    conn_text(c, FRONT_REDIS_VERSION);
    conn_text(c, "proto");
    conn_int(c, c->proto);
    conn_text(c, "id");
    conn_int(c, (int64_t)c->id);
    conn_text(c, "mode");
    conn_text(c, "standalone");
    conn_text(c, "role");
    conn_text(c, "master");
    conn_text(c, "modules");
    resp_array(c->out, 0);
}

void connection_ping(struct conn *c, const struct words *w)
{
    if (w->n > 2)
        command_arity_error(c, c->last);
    else if (w->n == 2)
        conn_bulk(c, word(w, 1));
    else
        resp_simple(c->out, "PONG");
}

void connection_echo(struct conn *c, const struct words *w)
{
    conn_bulk(c, word(w, 1));
}

void connection_select(struct conn *c, const struct words *w)
{
    int64_t db = 0;

    if (!words_i64(word(w, 1), &db) || db < INT32_MIN || db > INT32_MAX) {
        conn_error(c, CONN_NOT_A_NUMBER);
    } else if (db < 0 || db >= FRONT_DATABASES) {
        conn_error(c, "ERR DB index is out of range");
    } else {
        c->db = (unsigned)db;
        conn_ok(c);
    }
}

void connection_reset(struct conn *c, const struct words *w)
{
    (void)w;
    conn_reset(c);
    resp_simple(c->out, "RESET");
}

void connection_quit(struct conn *c, const struct words *w)
{
    (void)w;
    conn_ok(c);
    conn_close(c);
}
