/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink of the log; see logger.h. Any thread, one at a time under the lock. Before each write poll() is
 * asked whether it would block: a pipe that is writable takes a whole line, because lines are shorter than
 * PIPE_BUF; so stderr, which may be shared with other processes, needs not be made non-blocking. An entry of
 * the journal is a datagram, which is sent at once or not at all.
 */
#include "logger.h"

#include "journal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX (LOG_LINE_MAX + 64)

static bool put(struct logger *l, const char *text, size_t n)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};

    if (l->journal)
        return journal_send(l->fd, l->journal, text, n);
    return poll(&p, 1, 0) == 1 && p.revents & POLLOUT && write(l->fd, text, n) == (ssize_t)n;
}

static size_t format_head(const struct logger *l, enum log_level level, char *out, size_t cap)
{
    static const struct {
        int priority;
        const char *name;
    } levels[] = {{3, "ERROR"}, {4, "WARN "}, {6, "INFO "}, {7, "DEBUG"}};

    if (l->journal) /* a line has no line ends, so that these fields are always well formed */
        return (size_t)snprintf(out, cap,
                                "PRIORITY=%d\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=", levels[level].priority);
    if (l->priorities)
        return (size_t)snprintf(out, cap, "<%d>", levels[level].priority);
    if (!l->clock)
        return (size_t)snprintf(out, cap, "%s ", levels[level].name);
    int64_t ms = loop_wall_ms_now(l->clock);
    time_t s = (time_t)(ms / 1000);
    struct tm tm = {0};
    localtime_r(&s, &tm);
    size_t n = strftime(out, cap, "%Y-%m-%d %H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, cap - n, ".%03d %s ", (int)(ms % 1000), levels[level].name);
}

static bool put_line(struct logger *l, enum log_level level, const char *line)
{
    char text[TEXT_MAX];
    size_t n = format_head(l, level, text, sizeof text);
    size_t left = sizeof text - n - 1, len = strlen(line);

    if (len > left)
        len = left;
    memcpy(text + n, line, len);
    text[n + len] = '\n';
    return put(l, text, n + len + 1);
}

static void sink(void *arg, enum log_level level, const char *line)
{
    struct logger *l = arg;
    char told[96];

    lock_take(&l->lock);
    bool fine = true;
    if (l->lost > l->lost_told) {
        snprintf(told, sizeof told, "The log could not be written for a while: %llu lines are lost",
                 l->lost - l->lost_told);
        fine = put_line(l, LOG_WARN, told);
        if (fine)
            l->lost_told = l->lost;
    }
    if (!fine || !put_line(l, level, line)) {
        l->lost++;
        atomic_fetch_add_explicit(&l->lost_total, 1, memory_order_relaxed);
    }
    lock_drop(&l->lock);
}

/* Systemd says which stream it has connected to the journal: this is it only while the file is the same. */
static bool is_journal(int fd)
{
    const char *env = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return env && sscanf(env, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           (unsigned long long)st.st_dev == device && (unsigned long long)st.st_ino == inode;
}

void logger_start_fd(struct logger *l, int fd, bool priorities)
{
    *l = (struct logger){.fd = fd, .priorities = priorities};
    lock_init(&l->lock);
    log_set_sink(sink, l);
}

bool logger_start_journal(struct logger *l, const char *path)
{
    int fd = journal_open(path);

    if (fd < 0)
        return false;
    logger_start_fd(l, fd, false);
    l->journal = path;
    l->owns_fd = true;
    return true;
}

bool logger_start(struct logger *l, enum logger_target target)
{
    bool journal = is_journal(STDERR_FILENO);

    if (target == LOGGER_JOURNAL && !journal && logger_start_journal(l, JOURNAL_SOCKET))
        return true;
    logger_start_fd(l, STDERR_FILENO, journal);
    return target != LOGGER_JOURNAL || journal;
}

void logger_set_clock(struct logger *l, const struct loop *clock)
{
    l->clock = clock;
}

void logger_stop(struct logger *l)
{
    log_set_sink(NULL, NULL);
    if (l->owns_fd)
        close(l->fd);
    lock_fini(&l->lock);
}

unsigned long long logger_lost(const struct logger *l)
{
    return atomic_load_explicit(&l->lost_total, memory_order_relaxed);
}
