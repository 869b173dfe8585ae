/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration again while the daemon runs (SIGHUP): keys whose rows say OPTION_LIVE are
 * applied, for all others the log says that they wait for a restart. A file with mistakes changes nothing.
 * Main loop.
 */
#ifndef CLUSTERD_DAEMON_RELOAD_H
#define CLUSTERD_DAEMON_RELOAD_H

#include "clusterd/daemon/config.h"
#include "clusterd/util/log.h"

struct reload_result {
    bool failed;      /* the file has mistakes; they were logged */
    unsigned applied; /* keys that changed and are in effect */
    unsigned waiting; /* keys that changed and need a restart */
};

/* Applied keys are changed in *c too. */
struct reload_result reload_run(struct config *c);
/* Each line of a diagnosis as a line of the log. */
void reload_log_diag(struct diag *d, enum log_level level);

#endif
