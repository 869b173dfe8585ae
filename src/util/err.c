/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of the error codes, and the one place where a broken assumption of ours ends the process.
 */
#include "clusterd/util/err.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const texts[ERR_COUNT] = {
    [ERR_OK] = "ok",
    [ERR_SHORT] = "ends too early",
    [ERR_BAD] = "malformed",
    [ERR_TOO_BIG] = "over the limit",
    [ERR_UNSUPPORTED] = "not supported",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists already",
    [ERR_FULL] = "full",
    [ERR_CLOSED] = "closed by the other side",
    [ERR_TIMEOUT] = "timed out",
    [ERR_REFUSED] = "refused by the other side",
    [ERR_DENIED] = "not allowed",
    [ERR_IO] = "input/output error",
    [ERR_CONFIG] = "configuration error",
    [ERR_CANCELLED] = "cancelled",
};

const char *err_text(enum err e)
{
    return (unsigned)e < ERR_COUNT && texts[e] ? texts[e] : "unknown error";
}

void err_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken assumption: %s\n", file, line, expr);
    abort();
}
