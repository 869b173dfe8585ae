/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that any server of the front door's protocol must do: the limit beside which the benchmark puts
 * clusterd and Redis. It keeps nothing. A turn is one epoll_wait(), one read() of each ready connection and
 * one write() of fixed replies to each; what writes consist of is passed on in one writev() to a replica, a
 * fork of this process that only reads. With --wait the replica answers what it has read by a short
 * acknowledgement, and the replies are held back until it has come. One thread each, no code of clusterd.
 *
 *   bare_front --port P [--wait]
 *
 * GET is answered by 1 KiB, SET and SETEX by OK, HSET by 0, WAIT by 1, BEHIND by how many bytes the replica
 * has not read yet, all else by OK. Prints {"replica": its pid} when it is ready; SIGTERM ends both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define CONNS_MAX   256
#define IN_MAX      (64U << 10)
#define OUT_MAX     (4U << 20) /* as many values as GETs can stand in IN_MAX */
#define VALUE_BYTES 1024
#define HEADER      sizeof(uint64_t)

struct conn {
    int fd; /* -1: free */
    uint32_t events;
    size_t in_n, whole; /* bytes at hand, and those of them that are whole commands */
    bool has_writes;
    size_t out_n, out_at;
    uint64_t waits_for; /* the replies may go when the replica has this turn; 0 = now */
    char *in, *out;
};

static bool waits;
static int poller, listener, replica;
static struct conn conns[CONNS_MAX], *touched[CONNS_MAX];
static unsigned n_conns, n_touched;
static uint64_t turns, sent;       /* that had something for the replica; bytes to it */
static _Atomic uint64_t *received; /* by the replica, which shares it with us */
static char value_reply[VALUE_BYTES + 16];

static void must(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

/* The replica: turns, each behind its length. */

static uint64_t count_turns(const char *p, size_t n)
{
    static char header[HEADER];
    static size_t header_n;
    static uint64_t left, done;

    while (n > 0) {
        size_t k = left ? left : HEADER - header_n;
        k = k < n ? k : n;
        if (left) {
            left -= k;
            done += left == 0;
        } else {
            memcpy(header + header_n, p, k);
            header_n = (header_n + k) % HEADER;
            if (header_n == 0)
                memcpy(&left, header, HEADER);
        }
        p += k;
        n -= k;
    }
    return done;
}

static _Noreturn void replicate(int fd)
{
    static char buffer[256U << 10];
    uint64_t told = 0;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        atomic_fetch_add(received, (uint64_t)n);
        uint64_t done = count_turns(buffer, (size_t)n);
        if (waits && done > told)
            must(write(fd, &done, sizeof done) == sizeof done, "write");
        told = done;
    }
    exit(0);
}

/* Sockets. */

static int no_delay(int fd, const char *what)
{
    must(fd >= 0, what);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static int listen_at(int port, struct sockaddr_in *at)
{
    socklen_t n = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
             bind(fd, (struct sockaddr *)at, n) == 0 && listen(fd, CONNS_MAX) == 0 &&
             getsockname(fd, (struct sockaddr *)at, &n) == 0,
         "listen");
    return fd;
}

static pid_t start_replica(void)
{
    struct sockaddr_in at;
    int meeting = listen_at(0, &at);
    pid_t child = fork();

    must(child >= 0, "fork");
    replica = child ? accept(meeting, NULL, NULL) : socket(AF_INET, SOCK_STREAM, 0);
    close(meeting);
    no_delay(replica, "replica");
    if (child == 0) {
        must(connect(replica, (struct sockaddr *)&at, sizeof at) == 0, "connect");
        replicate(replica);
    }
    return child;
}

static void watch(int fd, int operation, uint32_t events, void *whose)
{
    struct epoll_event e = {.events = events, .data.ptr = whose};

    must(epoll_ctl(poller, operation, fd, &e) == 0, "epoll_ctl");
}

static void interest(struct conn *c, uint32_t events)
{
    if (c->events != events)
        watch(c->fd, EPOLL_CTL_MOD, events, c);
    c->events = events;
}

static void take_conn(void)
{
    int fd = no_delay(accept4(listener, NULL, NULL, SOCK_NONBLOCK), "accept");
    struct conn *c = conns;

    while (c < conns + n_conns && c->fd >= 0)
        c++;
    must(c < conns + CONNS_MAX, "too many connections");
    if (c == conns + n_conns) {
        n_conns++;
        c->in = malloc(IN_MAX);
        c->out = malloc(OUT_MAX);
        must(c->in && c->out, "memory");
    }
    *c = (struct conn){.fd = fd, .events = EPOLLIN, .in = c->in, .out = c->out};
    watch(fd, EPOLL_CTL_ADD, EPOLLIN, c);
}

static void end_conn(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Commands. */

/* "<mark>123\r\n": false when it is not all there yet. */
static bool read_number(const struct conn *c, size_t *at, char mark, size_t *value)
{
    const char *from = c->in + *at, *end = memchr(from, '\n', c->in_n - *at);

    must(*at >= c->in_n || *from == mark, "protocol");
    if (!end)
        return false;
    *value = strtoul(from + 1, NULL, 10);
    *at = (size_t)(end + 1 - c->in);
    return true;
}

static void reply(struct conn *c, const char *text, size_t n)
{
    must(c->out_n + n <= OUT_MAX, "too many replies");
    memcpy(c->out + c->out_n, text, n);
    c->out_n += n;
}

static void answer(struct conn *c, const char *name, size_t n)
{
    static const struct {
        const char *name, *reply;
        bool is_write;
    } commands[] = {{"SET", "+OK\r\n", true},
                    {"SETEX", "+OK\r\n", true},
                    {"HSET", ":0\r\n", true},
                    {"WAIT", ":1\r\n", false},
                    {"CONFIG", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n", false}};
    char number[32];

    if (n == 3 && strncasecmp(name, "GET", n) == 0) {
        reply(c, value_reply, strlen(value_reply));
        return;
    }
    if (n == 6 && strncasecmp(name, "BEHIND", n) == 0) {
        snprintf(number, sizeof number, ":%llu\r\n", (unsigned long long)(sent - atomic_load(received)));
        reply(c, number, strlen(number));
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strlen(commands[i].name) == n && strncasecmp(name, commands[i].name, n) == 0) {
            reply(c, commands[i].reply, strlen(commands[i].reply));
            c->has_writes |= commands[i].is_write;
            return;
        }
    }
    reply(c, "+OK\r\n", 5);
}

/* False: no whole command is left. */
static bool take_command(struct conn *c)
{
    size_t at = c->whole, args, n, name_at = 0, name_n = 0;

    if (at >= c->in_n || !read_number(c, &at, '*', &args))
        return false;
    for (size_t i = 0; i < args; i++) {
        if (at >= c->in_n || !read_number(c, &at, '$', &n) || n + 2 > c->in_n - at)
            return false;
        if (i == 0) {
            name_at = at;
            name_n = n;
        }
        at += n + 2;
    }
    answer(c, c->in + name_at, name_n);
    c->whole = at;
    return true;
}

/* A turn. */

static void flush(struct conn *c)
{
    ssize_t n = c->out_n > c->out_at ? write(c->fd, c->out + c->out_at, c->out_n - c->out_at) : 0;

    if (n < 0 && errno != EAGAIN) {
        end_conn(c);
        return;
    }
    c->out_at += n > 0 ? (size_t)n : 0;
    bool all = c->out_at == c->out_n;
    if (all)
        c->out_at = c->out_n = 0;
    interest(c, all ? EPOLLIN : EPOLLOUT);
}

static void serve(struct conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (events & EPOLLOUT) {
        flush(c);
        return;
    }
    if (c->out_n && !(events & (EPOLLHUP | EPOLLERR))) {
        interest(c, 0); /* its replies are held back: what follows is read when they have gone */
        return;
    }
    ssize_t n = read(c->fd, c->in + c->in_n, IN_MAX - c->in_n);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        end_conn(c);
        return;
    }
    c->in_n += (size_t)n;
    while (take_command(c))
        ;
    touched[n_touched++] = c;
}

static void take_acknowledgements(void)
{
    static char buffer[4096];
    static size_t have;
    ssize_t n = read(replica, buffer + have, sizeof buffer - have);
    uint64_t done;

    must(n > 0, "the replica is gone");
    have += (size_t)n;
    size_t rest = have % sizeof done, last = have - rest;
    if (last == 0)
        return;
    memcpy(&done, buffer + last - sizeof done, sizeof done);
    memmove(buffer, buffer + last, rest);
    have = rest;
    for (struct conn *c = conns; c < conns + n_conns; c++) {
        if (c->fd >= 0 && c->waits_for && c->waits_for <= done) {
            c->waits_for = 0;
            flush(c);
        }
    }
}

static void write_whole(struct iovec *v, int n)
{
    while (n > 0) {
        ssize_t done = writev(replica, v, n);
        must(done > 0, "the replica is gone");
        for (; n > 0 && (size_t)done >= v->iov_len; v++, n--)
            done -= (ssize_t)v->iov_len;
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
}

static void pass_on(void)
{
    static struct iovec v[CONNS_MAX + 1];
    uint64_t length = 0;
    int n = 1;

    for (unsigned i = 0; i < n_touched; i++) {
        struct conn *c = touched[i];
        if (!c->has_writes)
            continue;
        v[n++] = (struct iovec){.iov_base = c->in, .iov_len = c->whole};
        length += c->whole;
        c->waits_for = waits ? turns + 1 : 0;
    }
    if (length == 0)
        return;
    v[0] = (struct iovec){.iov_base = &length, .iov_len = HEADER};
    sent += HEADER + length;
    turns++;
    write_whole(v, n);
}

static void end_turn(void)
{
    pass_on();
    for (unsigned i = 0; i < n_touched; i++) {
        struct conn *c = touched[i];
        c->in_n -= c->whole;
        memmove(c->in, c->in + c->whole, c->in_n);
        must(c->in_n < IN_MAX, "a command is too long");
        c->whole = 0;
        c->has_writes = false;
        if (!c->waits_for)
            flush(c);
    }
    n_touched = 0;
}

static _Noreturn void run(void)
{
    struct epoll_event ready[CONNS_MAX];

    for (;;) {
        int n = epoll_wait(poller, ready, CONNS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == &listener)
                take_conn();
            else if (ready[i].data.ptr == &replica)
                take_acknowledgements();
            else
                serve(ready[i].data.ptr, ready[i].events);
        }
        end_turn();
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in at;
    int port = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--wait") == 0)
            waits = true;
        else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            port = atoi(argv[++i]);
        else
            port = -1;
    }
    if (port <= 0 || port > 65535) {
        fprintf(stderr, "usage: bare_front --port P [--wait]\n");
        return 2;
    }
    received = mmap(NULL, sizeof *received, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(received != MAP_FAILED, "mmap");
    int n = snprintf(value_reply, sizeof value_reply, "$%d\r\n", VALUE_BYTES);
    memset(value_reply + n, 'v', VALUE_BYTES);
    memcpy(value_reply + n + VALUE_BYTES, "\r\n", 3);
    pid_t child = start_replica();
    listener = listen_at(port, &at);
    poller = epoll_create1(0);
    must(poller >= 0, "epoll");
    watch(listener, EPOLL_CTL_ADD, EPOLLIN, &listener);
    watch(replica, EPOLL_CTL_ADD, EPOLLIN, &replica);
    printf("{\"replica\": %d}\n", (int)child);
    fflush(stdout);
    run();
}
