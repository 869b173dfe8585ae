/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines of a test: kept from logs_begin() to logs_end(), so that a test can count those with certain
 * words. One thread.
 */
#ifndef TESTS_SUPPORT_LOGS_H
#define TESTS_SUPPORT_LOGS_H

#include "clusterd/util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct buf logs_text;

static inline void logs_sink(void *arg, enum log_level level, const char *line)
{
    static const char letters[] = "EWID";

    (void)arg;
    wr_printf(&logs_text, "%c %s\n", letters[level], line);
}

static inline void logs_begin(enum log_level level)
{
    buf_clear(&logs_text);
    log_set_level(level);
    log_set_sink(logs_sink, NULL);
}

static inline unsigned logs_count(const char *words)
{
    unsigned n = 0;

    for (const char *at = buf_cstr(&logs_text); (at = strstr(at, words)); at += strlen(words))
        n++;
    return n;
}

static inline void logs_end(void)
{
    log_set_sink(NULL, NULL);
    log_set_level(LOG_INFO);
    if (getenv("LOGS"))
        fputs(buf_cstr(&logs_text), stderr);
    buf_fini(&logs_text);
}

#endif
