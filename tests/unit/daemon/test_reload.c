/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: the log level is applied, everything else is named and waits, a file with mistakes changes nothing.
 */
#include "../../../src/daemon/reload.h"

#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];
static struct buf lines;

static void sink(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    wr_printf(&lines, "%s\n", line);
}

static void put(const char *yaml)
{
    FILE *f = fopen(path, "w");

    fputs(yaml, f);
    fclose(f);
}

static struct config *begin(const char *yaml)
{
    struct diag d = {0};
    struct config *c = NULL;

    strcpy(path, "/tmp/clusterd-reload.XXXXXX");
    close(mkstemp(path));
    put(yaml);
    ck_assert_int_eq(config_load_file(path, &d, &c), ERR_OK);
    diag_fini(&d);
    log_set_level(LOG_INFO);
    log_set_sink(sink, NULL);
    return c;
}

static void end(struct config *c)
{
    log_set_sink(NULL, NULL);
    log_set_level(LOG_INFO);
    unlink(path);
    config_free(c);
    buf_fini(&lines);
}

START_TEST(level_is_applied)
{
    struct config *c = begin("log: {level: info}\n");

    put("log: {level: debug}\n");
    struct reload_result r = reload_run(c);
    ck_assert_uint_eq(r.applied, 1);
    ck_assert_uint_eq(r.waiting, 0);
    ck_assert(log_is_on(LOG_DEBUG));
    ck_assert_int_eq(c->log.level, LOG_DEBUG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&lines), "Reload: log.level is now debug\n"));
    end(c);
}
END_TEST

START_TEST(other_keys_wait)
{
    struct config *c = begin("log: {level: info}\n");

    put("log: {level: info}\ncluster: {clusterName: x, membership: {mcastPort: 9}}\ncontexts: {list: [{name: "
        "a}]}\n");
    for (int i = 0; i < 2; i++) { /* the running values are compared, so it is told again */
        struct reload_result r = reload_run(c);
        ck_assert(!r.failed);
        ck_assert_uint_eq(r.applied, 0);
        ck_assert_uint_eq(r.waiting, 3);
    }
    ck_assert_ptr_nonnull(
        strstr(buf_cstr(&lines), "Reload: cluster.clusterName has changed, which takes effect"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&lines), "Reload: cluster.membership.port has changed"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&lines), "Reload: contexts.list has changed"));
    ck_assert_int_eq((int)c->membership.port, 45564);
    end(c);
}
END_TEST

START_TEST(mistakes_change_nothing)
{
    struct config *c = begin("log: {level: info}\n");

    put("log: {level: debug}\nclustr: {}\n");
    struct reload_result r = reload_run(c);
    ck_assert(r.failed);
    ck_assert(!log_is_on(LOG_DEBUG));
    ck_assert_ptr_nonnull(
        strstr(buf_cstr(&lines), ":2: error: clustr: unknown key; did you mean cluster?\n"));
    unlink(path);
    ck_assert(reload_run(c).failed);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&lines), "cannot be opened"));
    end(c);
}
END_TEST

START_TEST(nothing_has_changed)
{
    struct config *c = begin("log: {level: info}\n");
    struct reload_result r = reload_run(c);

    ck_assert(!r.failed);
    ck_assert_uint_eq(r.applied + r.waiting, 0);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&lines), "Reload: nothing has changed\n"));
    end(c);
}
END_TEST

CLUSTERD_SUITE(reload, &level_is_applied, &other_keys_wait, &mistakes_change_nothing, &nothing_has_changed)
