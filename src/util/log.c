/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log; see log.h. Any thread. The sink is set once at start; without one nothing is written.
 */
#include "clusterd/util/log.h"

#include <stdarg.h>
#include <stdio.h>

static log_sink_fn sink_fn;
static void *sink_arg;
static atomic_int max_level = LOG_INFO;
static _Thread_local const char *thread_tag;

void log_set_sink(log_sink_fn sink, void *arg)
{
    sink_fn = sink;
    sink_arg = arg;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return sink_fn && (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void log_set_thread_tag(const char *tag)
{
    thread_tag = tag;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    size_t n = 0;
    va_list ap;

    if (!log_is_on(level))
        return;
    if (thread_tag)
        n = (size_t)snprintf(line, sizeof line, "%.64s ", thread_tag);
    va_start(ap, fmt);
    int more = vsnprintf(line + n, sizeof line - n, fmt, ap);
    va_end(ap);
    if (more < 0)
        return;
    if ((size_t)more >= sizeof line - n)
        memcpy(line + sizeof line - 4, "...", 4);
    /* Names that others choose stand in lines: they may not end one, nor talk to a terminal. */
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    sink_fn(sink_arg, level, line);
}

bool log_limit_pass(struct log_limit *l, uint64_t mono_ms, unsigned interval_ms, unsigned *suppressed)
{
    unsigned long long next = atomic_load_explicit(&l->next_ms, memory_order_relaxed);

    *suppressed = 0;
    if (mono_ms < next && next - mono_ms <= interval_ms) {
        atomic_fetch_add_explicit(&l->suppressed, 1, memory_order_relaxed);
        return false;
    }
    if (!atomic_compare_exchange_strong(&l->next_ms, &next, mono_ms + interval_ms)) {
        atomic_fetch_add_explicit(&l->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *suppressed = atomic_exchange(&l->suppressed, 0);
    return true;
}

const char *log_id(char buf[LOG_ID_MAX], struct span id)
{
    size_t n = id.n < 6 ? id.n : 6;

    for (size_t i = 0; i < n; i++)
        buf[i] = id.p[i] >= 0x20 && id.p[i] < 0x7f ? (char)id.p[i] : '?';
    memcpy(buf + n, id.n > 6 ? "..." : "", id.n > 6 ? 4 : 1);
    return buf;
}

const char *log_printable(char *buf, size_t cap, struct span s)
{
    size_t n = 0;

    ASSERT(cap >= 8);
    for (size_t i = 0; i < s.n; i++) {
        if (n + 8 > cap) {
            memcpy(buf + n, "...", 3);
            n += 3;
            break;
        }
        if (s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '\\')
            buf[n++] = (char)s.p[i];
        else
            n += (size_t)snprintf(buf + n, cap - n, "\\x%02x", s.p[i]);
    }
    buf[n] = 0;
    return buf;
}
