/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl: a client of the control socket. One verb a file in verb/, one row each in verbs[] of ctl.c. A
 * verb parses its own words, asks the daemon through client.h, and writes through field.h: tables for people,
 * JSON for programs. One thread. The grammar of the control socket is in clusterd/front/control.h.
 */
#ifndef CLUSTERD_CTL_CTL_H
#define CLUSTERD_CTL_CTL_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit statuses, the same for every verb. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_NO = 1,          /* the answer is no: not found, not complete */
    CTL_USAGE = 2,       /* the command line is wrong */
    CTL_UNREACHABLE = 3, /* no daemon answers on the socket */
    CTL_FAILED = 4       /* the daemon answered with an error, or with something that is not understood */
};

#define CTL_DEFAULT_SOCKET    "/run/clusterd/control.sock"
#define CTL_DEFAULT_TIMEOUT_S 10

struct ctl {
    const char *socket;
    bool json;
    long timeout_s;
    FILE *out, *err;
    redisContext *connection; /* NULL until the first question */
};

/* What the command line says, for all verbs together; borrowed from argv. */
struct ctl_words {
    const char *id;      /* of session, expire */
    const char *context; /* NULL = any */
    const char *match;   /* NULL = all */
    long limit;          /* 0 = no limit */
    bool reveal;
};

struct verb {
    const char *name;
    const char *args; /* as in a usage line: "ID", or "" */
    const char *doc;  /* one sentence for the list of verbs */
    const char *more; /* further lines of --help, or NULL */
    bool takes_id, takes_context, takes_match, takes_reveal;
    int (*run)(struct ctl *c, const struct ctl_words *w);
};

/* Everything behind main(): parses argv and runs the verb. Bad words end the process with CTL_USAGE. */
int ctl_run(int argc, char **argv, FILE *out, FILE *err);

#endif
