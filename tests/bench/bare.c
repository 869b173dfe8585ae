/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TCP over loopback does when nobody has anything to do with the bytes: the limit beside which the
 * benchmark puts every other figure.
 *
 *   bare pong [--bytes 1024] [--back 21] [--hops 1] [--count 20000] [--epoll 0|1]
 *       one message at a time there and a short answer back, over so many relays (hops 2: client, relay,
 *       end), each a process that blocks in read(), or with --epoll 1 in epoll_wait() before each read(), as
 *       whoever serves more than one connection must; times of a round trip as the client sees them
 *   bare stream [--bytes 65536] [--seconds 1]
 *       one process writes as much as it can in writes of so many bytes, another one reads
 *
 * Prints one JSON object. CPU seconds are those of all its processes, or of each side.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOPS_MAX  4
#define BYTES_MAX (4U << 20)
#define READ_MAX  (256U << 10)

static unsigned bytes, back = 21, hops = 1, count = 20000, use_epoll;
static double seconds = 1;
static uint8_t *buffer;
static int waiter = -1;

static void must(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(int who)
{
    struct rusage r;

    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static int listen_anywhere(struct sockaddr_in *at)
{
    socklen_t n = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(fd >= 0 && bind(fd, (struct sockaddr *)at, n) == 0 && listen(fd, 1) == 0 &&
             getsockname(fd, (struct sockaddr *)at, &n) == 0,
         "listen");
    return fd;
}

static int no_delay(int fd, const char *what)
{
    must(fd >= 0, what);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static int connect_to(const struct sockaddr_in *at)
{
    int fd = no_delay(socket(AF_INET, SOCK_STREAM, 0), "socket");

    must(connect(fd, (const struct sockaddr *)at, sizeof *at) == 0, "connect");
    return fd;
}

/* Each process has one, with all its connections. */
static void attend(int fd)
{
    struct epoll_event e = {.events = EPOLLIN};

    if (!use_epoll)
        return;
    if (waiter < 0)
        waiter = epoll_create1(0);
    must(waiter >= 0 && epoll_ctl(waiter, EPOLL_CTL_ADD, fd, &e) == 0, "epoll");
}

static bool read_all(int fd, size_t n)
{
    struct epoll_event e;

    for (size_t at = 0; at < n;) {
        if (waiter >= 0)
            must(epoll_wait(waiter, &e, 1, -1) == 1, "epoll_wait");
        ssize_t got = read(fd, buffer + at, n - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static void write_all(int fd, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t done = write(fd, buffer + at, n - at);
        must(done > 0, "write");
        at += (size_t)done;
    }
}

/* A relay, or the end when there is nothing behind it. */
static _Noreturn void relay(int listener, const struct sockaddr_in *behind)
{
    int next = behind ? connect_to(behind) : -1, fd = no_delay(accept(listener, NULL, NULL), "accept");

    attend(fd);
    if (next >= 0)
        attend(next);
    while (read_all(fd, bytes)) {
        if (next >= 0) {
            write_all(next, bytes);
            must(read_all(next, back), "read");
        }
        write_all(fd, back);
    }
    exit(0);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void pong(void)
{
    struct sockaddr_in at[HOPS_MAX];
    double *took_us = calloc(count, sizeof *took_us);

    must(took_us != NULL, "memory");
    for (unsigned i = 0; i < hops; i++) {
        int listener = listen_anywhere(&at[i]);
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0)
            relay(listener, i ? &at[i - 1] : NULL);
        close(listener);
    }
    int fd = connect_to(&at[hops - 1]);
    attend(fd);
    double began = now_s(), last = began;
    for (unsigned i = 0; i < count; i++) {
        write_all(fd, bytes);
        must(read_all(fd, back), "read");
        double t = now_s();
        took_us[i] = (t - last) * 1e6;
        last = t;
    }
    close(fd);
    while (wait(NULL) > 0) {
    }
    qsort(took_us, count, sizeof *took_us, compare);
    printf("{\"per_s\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"cpu_us\": %.3f}\n",
           count / (last - began), took_us[count / 2], took_us[(size_t)(count * 0.99)],
           (cpu_s(RUSAGE_SELF) + cpu_s(RUSAGE_CHILDREN)) * 1e6 / count);
    free(took_us);
}

static void stream(void)
{
    struct sockaddr_in at;
    int listener = listen_anywhere(&at);
    pid_t child = fork();

    must(child >= 0, "fork");
    if (child == 0) {
        int fd = no_delay(accept(listener, NULL, NULL), "accept");
        while (read(fd, buffer, READ_MAX) > 0) {
        }
        exit(0);
    }
    close(listener);
    int fd = connect_to(&at);
    double began = now_s(), n = 0;
    while (now_s() - began < seconds) {
        for (unsigned i = 0; i < 8; i++)
            write_all(fd, bytes);
        n += 8.0 * bytes;
    }
    close(fd);
    while (wait(NULL) > 0) {
    }
    double took = now_s() - began;
    printf("{\"mb_s\": %.2f, \"sender_us_kib\": %.4f, \"receiver_us_kib\": %.4f}\n", n / took / 1e6,
           cpu_s(RUSAGE_SELF) * 1e6 / (n / 1024), cpu_s(RUSAGE_CHILDREN) * 1e6 / (n / 1024));
}

int main(int argc, char **argv)
{
    bool is_stream = argc > 1 && strcmp(argv[1], "stream") == 0;

    bytes = is_stream ? 65536 : 1024;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--bytes") == 0)
            bytes = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--back") == 0)
            back = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--hops") == 0)
            hops = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--count") == 0)
            count = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--epoll") == 0)
            use_epoll = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else
            bytes = 0;
    }
    if ((!is_stream && (argc < 2 || strcmp(argv[1], "pong") != 0)) || bytes == 0 || bytes > BYTES_MAX ||
        back == 0 || back > BYTES_MAX || hops == 0 || hops > HOPS_MAX || count == 0) {
        fprintf(stderr,
                "usage: bare pong|stream [--bytes N] [--back N] [--hops 1-%d] [--count N] [--epoll 0|1] "
                "[--seconds S]\n",
                HOPS_MAX);
        return 2;
    }
    buffer = calloc(1, BYTES_MAX);
    must(buffer != NULL, "memory");
    if (is_stream)
        stream();
    else
        pong();
    free(buffer);
    return 0;
}
