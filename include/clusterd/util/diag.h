/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people: what start-up and configuration code says when something is wrong, collected so that
 * one run shows every mistake of a file. Not for hot paths.
 */
#ifndef CLUSTERD_UTIL_DIAG_H
#define CLUSTERD_UTIL_DIAG_H

#include "clusterd/util/bytes.h"

struct diag {
    struct buf text; /* lines, each with its newline */
    unsigned errors, warnings;
};

void diag_fini(struct diag *d);
/* `file` may be NULL; line 0 = none. Gives "file:line: error: text". Returns ERR_CONFIG for `return
 * diag_error(...)`. */
enum err diag_error(struct diag *d, const char *file, unsigned line, const char *fmt, ...) PRINTF_LIKE(4, 5);
void diag_warn(struct diag *d, const char *file, unsigned line, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
