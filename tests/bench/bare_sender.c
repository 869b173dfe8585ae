/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of sending to a Tribes receiver: a sender that makes nothing, queues nothing and knows no flows.
 * It has --flight frames on their way over so many connections, all of them the same synchronized message
 * that was made before, and writes as many again as acknowledgements came; with --batches only when all of a
 * connection's have come. What it reaches is what the receiver and TCP let through.
 *
 *   bare_sender --port P [--connections 1] [--flight 16] [--batches] [--seconds 1]
 *
 * Prints one JSON object: messages a second, CPU microseconds of this process for each.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define FLIGHT_MAX      256
#define MESSAGE_BYTES   1024
#define ACK_BYTES       21
#define OPTIONS         7 /* bytes, acknowledged, after they were handled */
#define PATIENCE_MS     5000

static struct {
    int fd;
    unsigned share, out; /* frames that it may have on their way, and has */
    size_t acked_bytes;  /* of acknowledgements that are not counted yet */
} connections[CONNECTIONS_MAX];
static unsigned n_connections = 1, flight = 16, port;
static bool batches;
static double seconds = 1;
static uint8_t frame[2048], frames[FLIGHT_MAX * sizeof frame];
static size_t frame_bytes;

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

static double cpu_s(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void put(const char *bytes, size_t n)
{
    memcpy(frame + frame_bytes, bytes, n);
    frame_bytes += n;
}

static void put_number(uint64_t v, unsigned n)
{
    while (n-- > 0)
        frame[frame_bytes++] = (uint8_t)(v >> 8 * n);
}

/* docs/PROTOCOL.md; the source is a member that nobody has heard of. */
static void make_frame(void)
{
    const unsigned member_bytes = 77, body = 24 + 16 + member_bytes + MESSAGE_BYTES;

    put("FLT2002", 7);
    put_number(body, 4);
    put_number(OPTIONS, 4);
    put_number(0, 8);
    put_number(16, 4);
    put("unique id of all", 16);
    put_number(member_bytes, 4);
    put("TRIBES-B\1\0", 10);
    put_number(member_bytes - 24, 4);
    put_number(1, 8);
    put_number(9, 4);
    put_number(UINT64_MAX, 8);
    put("\4\177\0\0\1", 5);
    put_number(0, 8);
    put("the bare sender.", 16);
    put_number(0, 4);
    put("TRIBES-E\1\0", 10);
    put_number(MESSAGE_BYTES, 4);
    memset(frame + frame_bytes, 'x', MESSAGE_BYTES);
    frame_bytes += MESSAGE_BYTES;
    put("TLF2003", 7);
    for (unsigned i = 0; i < FLIGHT_MAX; i++)
        memcpy(frames + i * frame_bytes, frame, frame_bytes);
}

static void open_all(int epoll)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (unsigned i = 0; i < n_connections; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
        connections[i].fd = fd;
        connections[i].share = flight / n_connections + (i < flight % n_connections);
    }
}

static void fill(unsigned i)
{
    size_t n = (connections[i].share - connections[i].out) * frame_bytes;

    must(write(connections[i].fd, frames, n) == (ssize_t)n, "write");
    connections[i].out = connections[i].share;
}

/* How many of its frames are acknowledged, by what came now. */
static unsigned take_acks(unsigned i)
{
    uint8_t in[FLIGHT_MAX * ACK_BYTES];
    ssize_t got = read(connections[i].fd, in, sizeof in);

    must(got > 0, "read");
    connections[i].acked_bytes += (size_t)got;
    unsigned n = (unsigned)(connections[i].acked_bytes / ACK_BYTES);
    connections[i].acked_bytes -= (size_t)n * ACK_BYTES;
    must(n <= connections[i].out, "more acknowledgements than frames");
    connections[i].out -= n;
    return n;
}

static void run(void)
{
    int epoll = epoll_create1(0);
    uint64_t done = 0;
    unsigned under_way = flight;

    make_frame();
    open_all(epoll);
    double began = now_s(), cpu = cpu_s();
    for (unsigned i = 0; i < n_connections; i++)
        fill(i);
    while (under_way > 0) {
        struct epoll_event e[CONNECTIONS_MAX];
        int n = epoll_wait(epoll, e, CONNECTIONS_MAX, PATIENCE_MS);
        must(n > 0, "epoll_wait");
        bool goes_on = now_s() - began < seconds;
        for (int k = 0; k < n; k++) {
            unsigned i = e[k].data.u32, acked = take_acks(i);
            done += acked;
            under_way -= acked;
            if (!goes_on || (batches && connections[i].out > 0))
                continue;
            under_way += connections[i].share - connections[i].out;
            fill(i);
        }
    }
    double took = now_s() - began;
    printf("{\"per_s\": %.1f, \"cpu_us\": %.4f}\n", (double)done / took,
           (cpu_s() - cpu) * 1e6 / (double)done);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--batches") == 0) {
            batches = true;
            continue;
        }
        if (strcmp(argv[i], "--port") == 0)
            port = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--connections") == 0)
            n_connections = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--flight") == 0)
            flight = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(value);
        i++;
    }
    if (port == 0 || n_connections == 0 || n_connections > CONNECTIONS_MAX || flight < n_connections ||
        flight > FLIGHT_MAX) {
        fprintf(stderr,
                "usage: bare_sender --port P [--connections N] [--flight N] [--batches] [--seconds S]\n");
        return 2;
    }
    run();
    return 0;
}
