/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: one const row each, found by name; a subcommand's row is named "client|setname". The same row
 * gives arity, rights, COMMAND INFO, COMMAND DOCS and the man page's table. Adding a command is writing its
 * function into the file of its family and adding one row.
 */
#ifndef FRONT_RESP_COMMAND_H
#define FRONT_RESP_COMMAND_H

#include "conn.h"

typedef void (*command_fn)(struct conn *c, const struct words *w);

enum {
    COMMAND_WRITE = 1,
    COMMAND_READ = 2,
    COMMAND_OOM = 4, /* may be refused with -OOM */
    COMMAND_FAST = 8,
    COMMAND_LOADING = 16, /* allowed while loading */
    COMMAND_NO_AUTH = 32, /* allowed before AUTH */
    COMMAND_ADMIN = 64,
    COMMAND_NO_SCRIPT = 128,
    COMMAND_CONTROL = 256 /* the control socket only; elsewhere it is unknown */
};

struct command {
    const char *name;
    int arity; /* words, the name's included; -n = at least n */
    unsigned flags;
    int first, last, step; /* which words are keys, as in COMMAND INFO */
    command_fn fn;         /* NULL: has subcommands only */
    const char *group, *since, *summary;
};

extern const struct command command_rows[];
extern const size_t command_n_rows;

void command_index(struct htab *t); /* all rows by name */
/* The row of a request's first word(s), or NULL; *parent (may be NULL): the row whose subcommand is unknown.
 */
const struct command *command_find(const struct htab *t, const struct words *w, size_t at,
                                   const struct command **parent);
bool command_is_sub(const struct command *row, const struct command *of);
void command_run(struct conn *c, const struct words *w);
void command_arity_error(struct conn *c, const struct command *row);

#endif
