/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load of writes on a Redis-like server, the same for Redis and for clusterd: so many clients, each with so
 * many commands under way, over keys that are new, in order, or drawn at random. With --wait every write is
 * followed by WAIT 1 0 in the same write() and is done when both are answered, which is how a client of Redis
 * learns that a replica has it. One thread, hiredis for the protocol.
 *
 *   wait_client --port P|--path FILE [--password TEXT] [--op set|hset|setex|get|del] [--prefix s:] [--bytes
 * N[:M]]
 *               [--clients N] [--pipeline N] [--count N] [--first N] [--keys N] [--seconds S] [--wait]
 *
 * Keys are PREFIX and 32 hexadecimal digits made from a number: --first, --first + 1, ... ; with --keys N the
 * numbers are taken modulo N. --bytes N:M draws each length. Ends after --count commands, or --seconds.
 * Prints one JSON object; status 1 when a reply was an error (the first one is told on stderr).
 */
#include <hiredis/hiredis.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CLIENTS_MAX  1024
#define PIPELINE_MAX 1024
#define SILENCE_MS   60000

enum op { OP_SET, OP_HSET, OP_SETEX, OP_GET, OP_DEL, OP_COUNT };
static const char *const op_names[OP_COUNT] = {"set", "hset", "setex", "get", "del"};

struct client {
    redisContext *c;
    double began[PIPELINE_MAX];      /* a ring: when the commands under way were written */
    unsigned first, under_way, half; /* half: the SET's reply has come, WAIT's not yet */
    bool has_output;
};

static struct options {
    const char *path, *password, *prefix;
    int port;
    enum op op;
    unsigned least_bytes, most_bytes, clients, pipeline;
    uint64_t count, first, keys;
    double seconds;
    bool wait;
} o = {.prefix = "s:",
       .op = OP_HSET,
       .least_bytes = 1024,
       .most_bytes = 1024,
       .clients = 1,
       .pipeline = 1,
       .count = 10000};

static struct client clients[CLIENTS_MAX];
static uint64_t n_begun, n_done, n_errors;
static float *took_us;
static double began_s, end_s;
static char *value;
static uint64_t draw = 88172645463325252ULL;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *what, const char *more)
{
    fprintf(stderr, "wait_client: %s: %s\n", what, more);
    exit(1);
}

static uint64_t next_random(void)
{
    draw ^= draw << 13;
    draw ^= draw >> 7;
    draw ^= draw << 17;
    return draw;
}

static void make_key(char *out, size_t cap, uint64_t number)
{
    uint64_t mixed = (number + 1) * 0x9E3779B97F4A7C15ULL;

    snprintf(out, cap, "%s%016llX%016llX", o.prefix, (unsigned long long)mixed, (unsigned long long)number);
}

static int append_one(struct client *c, const char *key, size_t n)
{
    switch (o.op) {
    case OP_SET:
        return redisAppendCommand(c->c, "SET %s %b", key, value, n);
    case OP_HSET:
        return redisAppendCommand(c->c, "HSET %s a %b", key, value, n);
    case OP_SETEX:
        return redisAppendCommand(c->c, "SETEX %s 1800 %b", key, value, n);
    case OP_DEL:
        return redisAppendCommand(c->c, "DEL %s", key);
    case OP_GET:
        return redisAppendCommand(c->c, "GET %s", key);
    case OP_COUNT:
        break;
    }
    return REDIS_ERR;
}

static void begin_one(struct client *c, double now)
{
    char key[128];
    size_t n = o.least_bytes +
               (o.most_bytes > o.least_bytes ? next_random() % (o.most_bytes - o.least_bytes + 1) : 0);
    uint64_t number = o.first + n_begun;

    make_key(key, sizeof key, o.keys ? number % o.keys : number);
    if (append_one(c, key, n) != REDIS_OK || (o.wait && redisAppendCommand(c->c, "WAIT 1 0") != REDIS_OK))
        fail("no memory", "");
    c->began[(c->first + c->under_way) % PIPELINE_MAX] = now;
    c->under_way++;
    c->has_output = true;
    n_begun++;
}

static bool may_begin(double now)
{
    return n_begun < o.count && (o.seconds <= 0 || now < end_s);
}

static void fill(struct client *c, double now)
{
    while (c->under_way < o.pipeline && may_begin(now))
        begin_one(c, now);
    while (c->has_output) {
        int all_written = 0;
        if (redisBufferWrite(c->c, &all_written) != REDIS_OK)
            fail("write", c->c->errstr);
        c->has_output = !all_written;
        if (!all_written)
            break;
    }
}

static void take_reply(struct client *c, redisReply *r, double now)
{
    bool waits = o.wait && c->half;

    if (r->type == REDIS_REPLY_ERROR || (waits && (r->type != REDIS_REPLY_INTEGER || r->integer < 1))) {
        if (n_errors++ == 0)
            fprintf(stderr, "wait_client: %s\n", r->type == REDIS_REPLY_ERROR ? r->str : "WAIT: no replica");
    }
    c->half = o.wait && !c->half;
    if (c->half)
        return;
    if (n_done < o.count)
        took_us[n_done] = (float)((now - c->began[c->first]) * 1e6);
    c->first = (c->first + 1) % PIPELINE_MAX;
    c->under_way--;
    n_done++;
}

static void receive(struct client *c)
{
    void *reply = NULL;

    if (redisBufferRead(c->c) != REDIS_OK)
        fail("read", c->c->errstr);
    double now = now_s();
    for (;;) {
        if (redisGetReplyFromReader(c->c, &reply) != REDIS_OK)
            fail("protocol", c->c->errstr);
        if (!reply)
            break;
        take_reply(c, reply, now);
        freeReplyObject(reply);
    }
    fill(c, now);
}

static void open_client(struct client *c)
{
    c->c = o.path ? redisConnectUnix(o.path) : redisConnect("127.0.0.1", o.port);
    if (!c->c || c->c->err)
        fail("connect", c->c ? c->c->errstr : "no memory");
    if (o.password) {
        redisReply *r = redisCommand(c->c, "AUTH %s", o.password);
        if (!r || r->type == REDIS_REPLY_ERROR)
            fail("AUTH", r ? r->str : c->c->errstr);
        freeReplyObject(r);
    }
    c->c->flags &= ~REDIS_BLOCK;
    redisEnableKeepAlive(c->c);
}

static void run(void)
{
    struct pollfd fds[CLIENTS_MAX];

    began_s = now_s();
    end_s = began_s + o.seconds;
    for (unsigned i = 0; i < o.clients; i++)
        fill(&clients[i], began_s);
    while (n_done < n_begun) {
        for (unsigned i = 0; i < o.clients; i++)
            fds[i] = (struct pollfd){.fd = clients[i].c->fd,
                                     .events = (short)(POLLIN | (clients[i].has_output ? POLLOUT : 0))};
        if (poll(fds, o.clients, SILENCE_MS) <= 0)
            fail("silence", "no reply for a minute");
        for (unsigned i = 0; i < o.clients; i++) {
            if (fds[i].revents & (POLLIN | POLLERR | POLLHUP))
                receive(&clients[i]);
            else if (fds[i].revents & POLLOUT)
                fill(&clients[i], now_s());
        }
    }
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void tell(double took_s)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    qsort(took_us, n_done, sizeof *took_us, compare);
    printf("{\"count\": %llu, \"errors\": %llu, \"per_s\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"cpu_s\": %.4f}\n",
           (unsigned long long)n_done, (unsigned long long)n_errors, (double)n_done / took_s,
           n_done ? took_us[n_done / 2] : 0.0, n_done ? took_us[(size_t)((double)n_done * 0.99)] : 0.0,
           (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6);
}

static bool take_option(const char *name, const char *text)
{
    char *end = NULL;

    if (strcmp(name, "--port") == 0)
        o.port = atoi(text);
    else if (strcmp(name, "--path") == 0)
        o.path = text;
    else if (strcmp(name, "--password") == 0)
        o.password = text;
    else if (strcmp(name, "--prefix") == 0)
        o.prefix = text;
    else if (strcmp(name, "--bytes") == 0) {
        o.least_bytes = o.most_bytes = (unsigned)strtoul(text, &end, 10);
        if (*end == ':')
            o.most_bytes = (unsigned)strtoul(end + 1, NULL, 10);
    } else if (strcmp(name, "--clients") == 0)
        o.clients = (unsigned)atoi(text);
    else if (strcmp(name, "--pipeline") == 0)
        o.pipeline = (unsigned)atoi(text);
    else if (strcmp(name, "--count") == 0)
        o.count = strtoull(text, NULL, 10);
    else if (strcmp(name, "--first") == 0)
        o.first = strtoull(text, NULL, 10);
    else if (strcmp(name, "--keys") == 0)
        o.keys = strtoull(text, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        o.seconds = atof(text);
    else if (strcmp(name, "--op") == 0) {
        for (o.op = 0; o.op < OP_COUNT && strcmp(op_names[o.op], text) != 0; o.op++) {
        }
    } else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    bool good = true;

    for (int i = 1; i < argc && good; i++) {
        if (strcmp(argv[i], "--wait") == 0)
            o.wait = true;
        else {
            good = i + 1 < argc && take_option(argv[i], argv[i + 1]);
            i++;
        }
    }
    if (!good || (!o.port && !o.path) || o.op == OP_COUNT || o.clients == 0 || o.clients > CLIENTS_MAX ||
        o.pipeline == 0 || o.pipeline > PIPELINE_MAX || o.count == 0 || o.count > 100000000 ||
        o.most_bytes > (64U << 20)) {
        fprintf(stderr, "usage: see the head of wait_client.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    value = malloc(o.most_bytes + 1);
    took_us = malloc(o.count * sizeof *took_us);
    if (!value || !took_us)
        fail("no memory", "");
    for (unsigned i = 0; i < o.most_bytes; i++)
        value[i] = (char)('a' + next_random() % 26);
    for (unsigned i = 0; i < o.clients; i++)
        open_client(&clients[i]);
    run();
    tell(now_s() - began_s);
    for (unsigned i = 0; i < o.clients; i++)
        redisFree(clients[i].c);
    free(value);
    free(took_us);
    return n_errors ? 1 : 0;
}
