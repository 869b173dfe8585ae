/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door under real threads and sockets: clients in threads of their own, many short connections,
 * CLIENT LIST and KILL across the workers, a peer that ends its side behind its request, stopping with
 * clients on it. Run under TSan too.
 */
#include "clusterd/front/front.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 6
#define ROUNDS  150

static char folder[] = "/tmp/clusterd-front.XXXXXX";
static char path[sizeof folder + 16];
static atomic_uint failures, replies;

static int dial(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Inline request, then exactly this reply; NULL: any, until it ends with a line. */
static void ask(int fd, const char *request, const char *want)
{
    char got[65536];
    size_t n = 0;

    if (*request && send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        atomic_fetch_add(&failures, 1);
        return;
    }
    while (n < sizeof got - 1 && (!want || n < strlen(want))) {
        ssize_t more = read(fd, got + n, sizeof got - 1 - n);
        if (more <= 0)
            break;
        n += (size_t)more;
        if (!want && got[n - 1] == '\n')
            break;
    }
    got[n] = 0;
    if (want ? strcmp(got, want) != 0 : n == 0) {
        fprintf(stderr, "%swanted %s, got %s\n", request, want ? want : "something", got);
        atomic_fetch_add(&failures, 1);
    }
    atomic_fetch_add(&replies, 1);
}

/* A new connection for each request or two, as PHP does. */
static void *client(void *arg)
{
    unsigned me = *(unsigned *)arg;
    char request[128], want[128];

    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd = dial();
        if (fd < 0) {
            atomic_fetch_add(&failures, 1);
            continue;
        }
        snprintf(request, sizeof request, "SET k%u %u EX 100\r\n", me, i);
        ask(fd, request, "+OK\r\n");
        snprintf(request, sizeof request, "HSET shared f%u %u\r\n", me, i);
        ask(fd, request, i ? ":0\r\n" : ":1\r\n");
        if (i % 10 == 0)
            ask(fd, "CLIENT LIST\r\n", NULL);
        if (i % 25 == 0)
            ask(fd, "CLIENT KILL ID 999999\r\n", ":0\r\n");
        snprintf(request, sizeof request, "GET k%u\r\n", me);
        snprintf(want, sizeof want, "$%d\r\n%u\r\n", snprintf(NULL, 0, "%u", i), i);
        /* The peer ends its side behind its request: it still gets its reply. */
        if (i % 3 == 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0) {
            shutdown(fd, SHUT_WR);
            ask(fd, "", want);
        } else {
            ask(fd, request, want);
        }
        close(fd);
    }
    return NULL;
}

struct node {
    struct host *host;
    struct manager *manager;
    struct front *front;
    struct front_conf conf;
    struct manager_conf manager_conf;
    struct metrics metrics;
};

static void on_stopped(void *arg)
{
    host_stop(((struct node *)arg)->host);
}

struct stop_task {
    struct task task;
    struct node *node;
};

static void stop(struct task *t, bool cancelled)
{
    struct stop_task *s = (struct stop_task *)t;

    (void)cancelled;
    front_stop(s->node->front, on_stopped, s->node);
}

/* The clients, some more that stay silent, and then the end. */
static void *drive(void *arg)
{
    struct stop_task *s = arg;
    pthread_t threads[CLIENTS];
    unsigned ids[CLIENTS];
    int idle[4];

    for (int i = 0; i < 4; i++)
        idle[i] = dial();
    for (unsigned i = 0; i < CLIENTS; i++) {
        ids[i] = i;
        if (pthread_create(&threads[i], NULL, client, &ids[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    loop_post(host_main(s->node->host), &s->task);
    for (int i = 0; i < 4; i++) {
        char c;
        if (idle[i] < 0 || read(idle[i], &c, 1) != 0) /* the end, not a time-out */
            atomic_fetch_add(&failures, 1);
        close(idle[i]);
    }
    return NULL;
}

START_TEST(many_clients_in_threads)
{
    struct node n = {0};
    struct diag d = {0};
    pthread_t driver;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/front.sock", folder);
    n.host = host_new_real(3);
    option_defaults(context_manager_options, &n.manager_conf);
    option_defaults(front_options, &n.conf);
    struct manager_options o = {.table = {.max_contexts = 100,
                                          .auto_contexts = true,
                                          .tombstone_ms = 600000,
                                          .park_ms = 5000,
                                          .max_tombstones = 100000},
                                .defaults = n.manager_conf};
    n.manager = manager_new(n.host, &o, NULL, 0, &n.metrics);
    char at[sizeof path + 8], *listen[] = {at, NULL};
    snprintf(at, sizeof at, "unix:%s", path);
    struct option_strings defaults = n.conf.listen;
    n.conf.listen = (struct option_strings){listen, 1};
    ck_assert_int_eq(front_new(n.manager, &n.conf, NULL, NULL, &n.metrics, &d, &n.front), ERR_OK);
    ck_assert_msg(front_start(n.front, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    front_set_loading(n.front, false);
    struct stop_task s = {.task.run = stop, .node = &n};
    ck_assert_int_eq(pthread_create(&driver, NULL, drive, &s), 0);
    host_run(n.host);
    pthread_join(driver, NULL);
    ck_assert_uint_eq(atomic_load(&failures), 0);
    ck_assert_uint_ge(atomic_load(&replies), CLIENTS * ROUNDS * 3);
    ck_assert_uint_eq(metric_get(&n.metrics, clients_accepted), CLIENTS * ROUNDS + 4);
    front_free(n.front);
    manager_free(n.manager);
    host_free(n.host);
    n.conf.listen = defaults;
    option_free(front_options, &n.conf);
    option_free(context_manager_options, &n.manager_conf);
    diag_fini(&d);
    ck_assert_int_ne(access(path, F_OK), 0); /* the socket file is gone */
    rmdir(folder);
}
END_TEST

CLUSTERD_SUITE(front_threads, &many_clients_in_threads)
