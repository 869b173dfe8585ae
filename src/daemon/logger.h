/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the daemon's log goes: lines with a time on stderr, lines with a priority when stderr is the
 * journal's stream, or entries to the journal's socket. A line that cannot be written at once (full disk,
 * full pipe, reader gone) is dropped and counted; the log never blocks a thread and never ends the process.
 */
#ifndef CLUSTERD_DAEMON_LOGGER_H
#define CLUSTERD_DAEMON_LOGGER_H

#include "clusterd/loop/lock.h"
#include "clusterd/loop/loop.h"
#include "clusterd/util/log.h"

struct logger {
    struct lock lock;
    int fd;
    bool owns_fd;
    const char *journal;      /* fd sends entries to this path; NULL: lines are written to fd */
    bool priorities;          /* "<4>" in front of each line, for the journal; else a time */
    const struct loop *clock; /* NULL: no times yet */
    unsigned long long lost, lost_told;
    atomic_ullong lost_total;
};

enum logger_target { LOGGER_STDERR, LOGGER_JOURNAL, LOGGER_AUTO };

/* Opens the target and becomes the sink of log.h. False, and stderr is used, when the journal was asked for
 * and cannot be reached. */
bool logger_start(struct logger *l, enum logger_target target);
void logger_set_clock(struct logger *l, const struct loop *clock);
void logger_stop(struct logger *l);                     /* no other thread logs any more */
unsigned long long logger_lost(const struct logger *l); /* lines so far; any thread */
/* For tests: the same with a file of the caller's, with a journal at another path. */
void logger_start_fd(struct logger *l, int fd, bool priorities);
bool logger_start_journal(struct logger *l, const char *path);

#endif
