/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event, to whoever set the sink (daemon: stderr or the journal; simulator: its own).
 * A line is formatted on the caller's stack and given to the sink in one call, from any thread. Session ids
 * must go through log_id(): ids are credentials, only their first six characters are ever logged.
 */
#ifndef CLUSTERD_UTIL_LOG_H
#define CLUSTERD_UTIL_LOG_H

#include "clusterd/util/bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 2048 /* bytes; longer lines end in "..." */

typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line);

void log_set_sink(log_sink_fn sink, void *arg);
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);
/* A text in front of each line of this thread (the simulator's node name); NULL = none. Borrowed. */
void log_set_thread_tag(const char *tag);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)

/* At most one line per `interval_ms` and site; the next line says how many were left out. */
struct log_limit {
    atomic_ullong next_ms;
    atomic_uint suppressed;
};
/* True when a line may be written now; *suppressed = lines left out since the last one. */
bool log_limit_pass(struct log_limit *l, uint64_t mono_ms, unsigned interval_ms, unsigned *suppressed);

#define LOG_LIMIT_MS 10000 /* default interval for repeated warnings */
/* log_limited(now_ms, LOG_WARN, "format", ...): rate-limited per call site. */
#define log_limited(mono_ms, level, ...)                                                          \
    do {                                                                                          \
        static struct log_limit site_;                                                            \
        unsigned left_out_;                                                                       \
        if (log_limit_pass(&site_, (mono_ms), LOG_LIMIT_MS, &left_out_)) {                        \
            log_write((level), __VA_ARGS__);                                                      \
            if (left_out_)                                                                        \
                log_write((level), "(%u more lines like the last one were left out)", left_out_); \
        }                                                                                         \
    } while (0)

/* The loggable form of a session id: first six characters and "...", control bytes as '?'. Returns buf. */
#define LOG_ID_MAX 16
const char *log_id(char buf[LOG_ID_MAX], struct span id);
/* Printable form of untrusted bytes: control and non-ASCII bytes as \xNN, cut to the buffer. Returns buf. */
const char *log_printable(char *buf, size_t cap, struct span s);

#endif
