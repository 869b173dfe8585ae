/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory this process may use: the smallest limit of its control groups (version 2 or 1), at most
 * what the machine has. For maxBytes: auto. Reads files, at start-up only.
 */
#ifndef CLUSTERD_DAEMON_MEMORY_H
#define CLUSTERD_DAEMON_MEMORY_H

#include <stdint.h>

/* `root` is "" but in tests. 0: nothing could be found out. *what: "machine" or "control group", static. */
uint64_t memory_limit_bytes(const char *root, const char **what);

#endif
