/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door: listeners that speak RESP. Application listeners know Redis' commands; the control socket
 * knows the operator's commands too. Each connection lives on one worker; one const row a command (command.h
 * of this layer).
 */
#ifndef CLUSTERD_FRONT_FRONT_H
#define CLUSTERD_FRONT_FRONT_H

#include "clusterd/session/manager.h"

struct front_conf {
    char **listen;             /* "unix:/path", "127.0.0.1:6380", "[::1]:6380"; NULL-terminated */
    char *require_pass;        /* NULL = none; never logged or shown */
    uint64_t max_value_bytes;  /* of one argument, 64 MiB */
    uint64_t max_output_bytes; /* per connection: above it reading pauses; 32 MiB */
    unsigned max_clients;      /* 10,000 */
    uint64_t idle_timeout_ms;  /* 0 = never */
    unsigned unix_mode;        /* permissions of unix sockets, 0660 */
};
extern const struct option_spec front_options[];

struct front_control_conf {
    char *socket;       /* path of the control socket */
    char *socket_group; /* its group when that exists; default "clusterd" */
};
extern const struct option_spec front_control_options[];

/* What only the daemon can do; called on any worker, the results come at once. */
struct front_operator {
    void (*config)(void *arg, struct buf *out); /* effective configuration as text */
    void (*leave)(void *arg);                   /* leave the cluster in order and end the process */
    void (*status)(void *arg, struct buf *out); /* extra "key: value" lines of the daemon */
    void *arg;
};

struct front;

fallible front_new(struct manager *m, const struct front_conf *conf, const struct front_control_conf *control,
                   const struct front_operator *op, struct metrics *metrics, struct diag *d,
                   struct front **out);
/* Main loop. Opens the listeners. While the first state transfer runs, application commands are answered
 * -LOADING and INFO says loading:1; front_set_loading(false) ends that. */
fallible front_start(struct front *f, struct diag *d);
void front_set_loading(struct front *f, bool loading);
void front_stop(struct front *f, void (*on_stopped)(void *arg),
                void *arg); /* closes all; on_stopped on the main loop */
void front_free(struct front *f);

#endif
