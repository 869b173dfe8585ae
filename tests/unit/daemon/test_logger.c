/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's sink: form of the lines, and that neither a full disk nor a full or closed pipe blocks or loses
 * count.
 */
#include "../../../src/daemon/logger.h"

#include "support/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t read_all(int fd, char *out, size_t cap)
{
    size_t n = 0;
    ssize_t got;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (n < cap - 1 && (got = read(fd, out + n, cap - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = 0;
    return n;
}

START_TEST(lines_for_the_journal_have_priorities)
{
    struct logger l;
    char text[256];
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    logger_start_fd(&l, fds[1], true);
    log_set_level(LOG_DEBUG);
    log_error("one");
    log_warn("two\nlines");
    log_info("three");
    log_debug("four");
    log_set_level(LOG_INFO);
    log_debug("not this one");
    read_all(fds[0], text, sizeof text);
    ck_assert_str_eq(text, "<3>one\n<4>two lines\n<6>three\n<7>four\n");
    logger_stop(&l);
    log_info("nobody hears this");
    ck_assert_uint_eq(read_all(fds[0], text, sizeof text), 0);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(long_lines_stay_whole)
{
    static char text[8192], line[5000];
    struct logger l;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    logger_start_fd(&l, fds[1], false);
    memset(line, 'x', sizeof line - 1);
    log_info("%s", line);
    size_t n = read_all(fds[0], text, sizeof text);
    ck_assert_uint_gt(n, LOG_LINE_MAX - 8);
    ck_assert_uint_lt(n, LOG_LINE_MAX + 32);
    ck_assert_str_eq(text + n - 4, "...\n");
    logger_stop(&l);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(full_disk_is_counted)
{
    struct logger l;
    int fd = open("/dev/full", O_WRONLY);

    logger_start_fd(&l, fd, false);
    for (int i = 0; i < 100; i++)
        log_info("line %d", i);
    ck_assert_uint_eq(logger_lost(&l), 100);
    logger_stop(&l);
    close(fd);
}
END_TEST

START_TEST(full_pipe_does_not_block_and_is_told_later)
{
    static char text[1 << 20];
    struct logger l;
    unsigned long long lost;
    char told[96];
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    logger_start_fd(&l, fds[1], false);
    for (int i = 0; i < 5000; i++)
        log_info("a line of some length, so that the pipe is full after a while: %d", i);
    lost = logger_lost(&l);
    ck_assert_uint_gt(lost, 100);
    ck_assert_uint_lt(lost, 5000);
    read_all(fds[0], text, sizeof text);
    ck_assert_ptr_null(strstr(text, "are lost"));
    log_info("again");
    read_all(fds[0], text, sizeof text);
    snprintf(told, sizeof told,
             "WARN  The log could not be written for a while: %llu lines are lost\nINFO  again\n", lost);
    ck_assert_str_eq(text, told);
    log_info("and on");
    read_all(fds[0], text, sizeof text);
    ck_assert_str_eq(text, "INFO  and on\n");
    logger_stop(&l);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(reader_that_is_gone)
{
    struct logger l;
    int fds[2];

    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    logger_start_fd(&l, fds[1], false);
    log_info("to nobody");
    ck_assert_uint_eq(logger_lost(&l), 1);
    logger_stop(&l);
    close(fds[1]);
    logger_start_fd(&l, fds[1], false); /* a closed descriptor */
    log_info("to nobody");
    ck_assert_uint_eq(logger_lost(&l), 1);
    logger_stop(&l);
}
END_TEST

static void *write_lines(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("%s %d", (const char *)arg, i);
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    static char text[1 << 20];
    struct logger l;
    pthread_t threads[3];
    size_t lines = 0;
    char who[8], path[] = "/tmp/clusterd-log.XXXXXX";
    int fd = mkstemp(path), n, used;

    ck_assert_int_ge(fd, 0);
    logger_start_fd(&l, fd, false);
    pthread_create(&threads[0], NULL, write_lines, "aaaa");
    pthread_create(&threads[1], NULL, write_lines, "bbbb");
    pthread_create(&threads[2], NULL, write_lines, "cccc");
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    logger_stop(&l);
    lseek(fd, 0, SEEK_SET);
    read_all(fd, text, sizeof text);
    for (char *at = text; *at; at += used, lines++) {
        used = 0;
        ck_assert_msg(sscanf(at, "INFO  %4s %d%n", who, &n, &used) == 2 && at[used++] == '\n', "%.40s", at);
        ck_assert(strcmp(who, "aaaa") == 0 || strcmp(who, "bbbb") == 0 || strcmp(who, "cccc") == 0);
    }
    ck_assert_uint_eq(lines, 600);
    close(fd);
    unlink(path);
}
END_TEST

CLUSTERD_SUITE(logger, &lines_for_the_journal_have_priorities, &long_lines_stay_whole, &full_disk_is_counted,
               &full_pipe_does_not_block_and_is_told_later, &reader_that_is_gone,
               &lines_of_several_threads_do_not_mix)
