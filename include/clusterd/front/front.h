/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door: listeners that speak RESP. Application listeners know Redis' commands; the control socket
 * knows the operator's commands too (control.h). Each connection lives on one worker for its whole life; a
 * command is one const row (src/front/resp/command.c).
 *
 * A Redis string is a session with the one attribute FRONT_STRING_NAME; a Redis hash is a session whose
 * fields are its attributes. Sessions of a context that a Tomcat has spoken of are reachable only when the
 * context has a keyPrefix and the connection came over a unix socket or has authenticated with the password:
 * for others they are not there, and writing is -NOPERM.
 */
#ifndef CLUSTERD_FRONT_FRONT_H
#define CLUSTERD_FRONT_FRONT_H

#include "clusterd/session/manager.h"

/* The attribute that holds the value of a Redis string. */
#define FRONT_STRING_NAME TABLE_STRING_NAME
/* The Redis whose answers these are: the first that knows CLIENT SETINFO; a higher claim invites newer
 * commands. */
#define FRONT_REDIS_VERSION "7.2.5"
#define FRONT_DATABASES     16

struct front_conf {
    struct option_strings listen; /* "unix:/path", "127.0.0.1:6380", "[::1]:6380" */
    char *require_pass;           /* NULL = none; never logged or shown */
    uint64_t max_value_bytes;     /* of one argument; requests may have four times that */
    uint64_t max_output_bytes;    /* per connection: above it reading pauses */
    uint64_t max_buffer_bytes;    /* of all connections: unfinished requests and unread replies */
    int32_t max_clients;
    int64_t idle_timeout_ms; /* 0 = never */
    int32_t unix_mode;       /* permissions of unix sockets */
};
extern const struct option_spec front_options[];

struct front_control_conf {
    char *socket;       /* path of the control socket; NULL = none */
    char *socket_group; /* its group when that exists */
};
extern const struct option_spec front_control_options[];

/* What only the daemon can do; called on any worker, the results come at once. Any of them may be NULL. */
struct front_operator {
    void (*config)(void *arg, struct buf *out); /* effective configuration as text, without secrets */
    void (*leave)(void *arg);                   /* leave the cluster in order and end the process */
    void (*status)(void *arg, struct buf *out); /* extra "key: value" lines of the daemon */
    void *arg;
};

struct front;

/* Main loop. conf, control (NULL: no control socket) and op (NULL: none) are borrowed until front_free(). The
 * manager must be attached to its cluster before front_start(). */
fallible front_new(struct manager *m, const struct front_conf *conf, const struct front_control_conf *control,
                   const struct front_operator *op, struct metrics *metrics, struct diag *d,
                   struct front **out);
/* Main loop. Opens the listeners; on failure none stays open. While the first state transfer runs,
 * application commands are answered -LOADING and INFO says loading:1; front_set_loading(false) ends that. A
 * new front door is loading. */
fallible front_start(struct front *f, struct diag *d);
void front_set_loading(struct front *f, bool loading); /* any thread */
/* Main loop. Closes the listeners, then the connections: replies that wait for acknowledgements still go out.
 * on_stopped on the main loop, later. */
void front_stop(struct front *f, void (*on_stopped)(void *arg), void *arg);
/* After on_stopped, without front_start(), or on a killed simulated host. NULL is fine. */
void front_free(struct front *f);

#endif
