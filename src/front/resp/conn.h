/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the front door. It lives on one worker; all functions are for that worker's thread but
 * conn_accept(), which the main loop calls.
 *
 * Pipelines: all whole commands of a read are executed in one turn. Under send options with acknowledgements
 * the replies from the first write on are held back until the members have answered, and no further input is
 * executed until then; so a pipelined run of writes waits once, and only its own connection waits.
 */
#ifndef FRONT_RESP_CONN_H
#define FRONT_RESP_CONN_H

#include "../front_private.h"
#include "clusterd/session/edit.h"
#include "clusterd/wire/resp.h"
#include "words.h"

struct command;

enum conn_reply { CONN_REPLY_ON, CONN_REPLY_OFF, CONN_REPLY_SKIP_NEXT, CONN_REPLY_SKIP };

struct conn {
    struct link link; /* worker->conns, from its arrival there to its end */
    struct front *front;
    struct front_worker *worker;
    const struct front_door *door;
    struct stream *stream;     /* NULL before it is adopted and after its end */
    struct incoming *incoming; /* before it is adopted */
    struct task task;          /* arrival; later: go on in the next turn */
    struct addr peer, local;

    uint64_t id, created_ms, active_ms;
    int proto;
    unsigned db;
    bool authenticated; /* nothing (more) to be asked for */
    bool trusted;       /* may reach the sessions of Tomcats */
    char *name, *lib_name, *lib_version;
    const struct command *last; /* NULL: none yet */
    enum conn_reply reply;

    struct resp_parser parser;
    size_t unread;       /* bytes of an unfinished request */
    size_t counted;      /* this connection's part of front->buffered */
    struct buf *out;     /* where replies go: the worker's buffer in a turn, else `held` */
    size_t reply_at;     /* in *out: where the reply of the running command begins */
    struct buf held;     /* replies that wait */
    struct link pending; /* deliveries that they wait for, in order */
    unsigned waits;      /* what has still to come before `held` may go */
    bool posted;         /* `task` is on its way */
    bool muted;          /* that command's reply is not wanted (CLIENT REPLY) */
    bool stalled;        /* a command waits: nothing behind it may be executed in this turn */
    bool choked;         /* the peer does not read its replies: reading pauses */
    bool closing;        /* after the replies that stand there */
    bool killed;         /* closing, and what stands there is not sent */
    bool ended;          /* the peer has ended its side */

    /* Of this turn, added to the counters at its end. */
    unsigned commands, hits, misses;
};

/* Main loop: gives the connection to a worker. */
void conn_accept(struct front_worker *w, const struct front_door *door, struct incoming *in);
void conn_close(struct conn *c); /* after the replies that stand there */
void conn_kill(struct conn *c);  /* now */
/* Forgets all connections of a worker whose loop is dead or has ended. */
void conn_free_all(struct front_worker *w);
void conn_stop_all(struct front_worker *w);     /* front_stop() */
void conn_reset(struct conn *c);                /* to the state of a new connection (RESET) */
bool conn_needs_password(const struct conn *c); /* authenticated ones too */
const char *conn_peer_text(const struct conn *c, char out[ADDR_TEXT_MAX + 8]);

/* For commands that change something: what to give to edit_close(); NULL when nobody waits. Ask for it once
 * for each edit that is really closed. */
struct delivery *conn_delivery(struct conn *c);
/* The change that conn_delivery() was asked for last did not take place: it was refused, or there was nothing
 * to change. Else minAcks would count it as one that nobody acknowledged. */
void conn_no_delivery(struct conn *c);
/* For commands that are answered later: conn_wait(), return without a reply; then, on this thread, the reply
 * into c->out, and conn_go_on(). The connection stays until then; conn_is_gone() tells that nobody reads the
 * reply. */
void conn_wait(struct conn *c);
void conn_go_on(struct conn *c, bool cancelled);
static inline bool conn_is_gone(const struct conn *c)
{
    return !c->stream || c->muted;
}
/* Replies of many values ask after each value whether there is an end: above the hard limit the connection is
 * killed. */
bool conn_is_flooded(struct conn *c);

/* Replies. */
static inline void conn_ok(struct conn *c)
{
    wr_text(c->out, "+OK\r\n");
}
static inline void conn_int(struct conn *c, int64_t v)
{
    resp_int(c->out, v);
}
static inline void conn_null(struct conn *c)
{
    resp_null(c->out, c->proto);
}
static inline void conn_bulk(struct conn *c, struct span s)
{
    resp_bulk(c->out, s);
}
static inline void conn_text(struct conn *c, const char *s)
{
    resp_bulk(c->out, span_str(s));
}
static inline void conn_error(struct conn *c, const char *text)
{
    resp_error(c->out, text);
}
/* The text of a value as a bulk string; null when its class has none. */
void conn_value(struct conn *c, const struct blob *value);
bool conn_has_text(const struct blob *value);

#define CONN_TEXT_MAX (1u << 20) /* bytes of the text of a Tomcat's collection */

#define CONN_SYNTAX_ERROR  "ERR syntax error"
#define CONN_NOT_A_NUMBER  "ERR value is not an integer or out of range"
#define CONN_WRONG_TYPE    "WRONGTYPE Operation against a key holding the wrong kind of value"
#define CONN_VALUE_TOO_BIG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

#endif
