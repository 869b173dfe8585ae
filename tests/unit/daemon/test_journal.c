/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd would receive: sockets of our own in its place, with and without a file, full, replaced, gone.
 */
#include "../../../src/daemon/journal.h"
#include "../../../src/daemon/logger.h"

#include "support/suite.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/clusterd-journal.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Somebody who listens at the name, as systemd does; "@" stands for a name without a file. */
static int listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    size_t n = strlen(name);

    memcpy(at.sun_path, name, n);
    if (*name == '@')
        at.sun_path[0] = 0;
    ck_assert_int_eq(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[8192];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = 0;
    return text;
}

START_TEST(entries_have_a_priority)
{
    struct logger l;

    make_folder();
    int fd = listen_at(path);
    ck_assert(logger_start_journal(&l, path));
    log_error("one");
    log_warn("two\nPRIORITY=0\nlines");
    log_info("three");
    ck_assert_str_eq(heard(fd), "PRIORITY=3\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=one\n");
    ck_assert_str_eq(heard(fd), "PRIORITY=4\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=two PRIORITY=0 lines\n");
    ck_assert_str_eq(heard(fd), "PRIORITY=6\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=three\n");
    ck_assert_str_eq(heard(fd), "");
    ck_assert_uint_eq(logger_lost(&l), 0);
    logger_stop(&l);
    close(fd);
    remove_folder();
}
END_TEST

START_TEST(the_longest_line_is_one_whole_entry)
{
    static const char head[] = "PRIORITY=6\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=";
    static char line[2 * LOG_LINE_MAX];
    struct logger l;

    make_folder();
    int fd = listen_at(path);
    ck_assert(logger_start_journal(&l, path));
    memset(line, 'x', sizeof line - 1);
    log_info("%s", line);
    const char *got = heard(fd);
    ck_assert_uint_eq(strlen(got), sizeof head - 1 + LOG_LINE_MAX - 1 + 1);
    ck_assert_int_eq(strncmp(got, head, sizeof head - 1), 0);
    ck_assert_str_eq(got + strlen(got) - 5, "x...\n");
    logger_stop(&l);
    close(fd);
    remove_folder();
}
END_TEST

START_TEST(a_journal_that_does_not_read_holds_nobody_up)
{
    struct logger l;
    unsigned n = 0;
    char told[160];

    make_folder();
    int fd = listen_at(path);
    ck_assert(logger_start_journal(&l, path));
    for (int i = 0; i < 5000; i++)
        log_info("line %d", i);
    unsigned long long lost = logger_lost(&l);
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_lt(lost, 5000);
    while (*heard(fd))
        n++;
    ck_assert_uint_eq(n + lost, 5000);
    log_info("again");
    snprintf(told, sizeof told,
             "PRIORITY=4\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=The log could not be written for a while: %llu "
             "lines are lost\n",
             lost);
    ck_assert_str_eq(heard(fd), told);
    ck_assert_str_eq(heard(fd), "PRIORITY=6\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=again\n");
    logger_stop(&l);
    close(fd);
    remove_folder();
}
END_TEST

START_TEST(a_journal_that_was_replaced_is_found_again)
{
    struct logger l;

    make_folder();
    int fd = listen_at(path);
    ck_assert(logger_start_journal(&l, path));
    close(fd);
    log_info("to nobody");
    ck_assert_uint_eq(logger_lost(&l), 1);
    unlink(path);
    fd = listen_at(path);
    log_info("back");
    ck_assert_ptr_nonnull(strstr(heard(fd), "MESSAGE=The log could not be written for a while: 1 lines"));
    ck_assert_ptr_nonnull(strstr(heard(fd), "MESSAGE=back\n"));
    logger_stop(&l);
    close(fd);
    remove_folder();
}
END_TEST

START_TEST(no_journal)
{
    struct logger l;
    char longer[300];

    make_folder();
    ck_assert(!logger_start_journal(&l, path));
    int fd = listen_at(path);
    close(fd);
    ck_assert(!logger_start_journal(&l, path)); /* a file that nobody listens at */
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = 0;
    ck_assert_int_eq(journal_open(longer), -1);
    remove_folder();
}
END_TEST

START_TEST(the_manager_is_told)
{
    make_folder();
    int fd = listen_at(path);
    setenv("NOTIFY_SOCKET", path, 1);
    journal_notify("STOPPING=1\nSTATUS=leaving the cluster", true);
    journal_notify("READY=1", true);
    ck_assert_str_eq(heard(fd), "STOPPING=1\nSTATUS=leaving the cluster");
    ck_assert_str_eq(heard(fd), "READY=1");
    ck_assert_str_eq(heard(fd), "");
    close(fd);

    char name[128];
    snprintf(name, sizeof name, "@%s", path);
    fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    journal_notify("READY=1", true);
    ck_assert_str_eq(heard(fd), "READY=1");
    close(fd);
    unsetenv("NOTIFY_SOCKET");
    remove_folder();
}
END_TEST

START_TEST(a_manager_that_does_not_read_holds_nobody_up)
{
    make_folder();
    int fd = listen_at(path), n = 0;
    setenv("NOTIFY_SOCKET", path, 1);
    for (int i = 0; i < 5000; i++) /* more than any socket keeps */
        journal_notify("STATUS=busy", false);
    while (*heard(fd))
        n++;
    ck_assert_int_gt(n, 0);
    ck_assert_int_lt(n, 5000);
    close(fd);
    unsetenv("NOTIFY_SOCKET");
    remove_folder();
}
END_TEST

START_TEST(no_manager)
{
    static char longer[300];

    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    unsetenv("NOTIFY_SOCKET");
    journal_notify("READY=1", true);
    for (const char *const *name =
             (const char *const[]){"", "relative", "/nonexistent/socket", "@nobody", longer, NULL};
         *name; name++) {
        setenv("NOTIFY_SOCKET", *name, 1);
        journal_notify("READY=1", true);
    }
    unsetenv("NOTIFY_SOCKET");
}
END_TEST

CLUSTERD_SUITE(journal, &entries_have_a_priority, &the_longest_line_is_one_whole_entry,
               &a_journal_that_does_not_read_holds_nobody_up, &a_journal_that_was_replaced_is_found_again,
               &no_journal, &the_manager_is_told, &a_manager_that_does_not_read_holds_nobody_up, &no_manager)
