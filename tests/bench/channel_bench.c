/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member of a channel, and nothing above it: sends messages to chosen members as fast as it is asked to,
 * and counts those that come. The counterpart of peers/TribesBench.java: both take the same commands on stdin
 * and answer each with one JSON object in one line, so the benchmark drives them alike and keeps both warm.
 *
 *   channel_bench --port P [--mcast 45564] [--workers 1]
 *
 *   run to=PORT[,PORT] options=8|2|6 size=N flight=N seconds=S max=N stamp=0|1
 *       flight: messages under way at a time (asynchronous: flows that take turns). stamp=1 puts flow and
 * number into each message, for the receivers to check their order; 0 sends the same bytes again and again
 *   stats      what was received: messages, bytes, messages that came before an earlier one of their flow
 *   members    the ports of the members seen
 *   quit
 *
 * Main thread: the channel's main loop. A thread of its own reads stdin and hands the work to worker 0, which
 * makes the messages, as it would the front door's.
 */
#include "clusterd/channel/channel.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SENDERS      4 /* whose flows a receiver tells apart, by their ports */
#define FLIGHT_MAX   1024
#define TARGETS_MAX  64
#define BURST        64                   /* asynchronous messages made in one turn of the loop */
#define QUEUED_BYTES ((uint64_t)16 << 20) /* above it the maker of messages pauses */
#define DRAIN_MS     60000
#define LINGER_MS    1000
#define STAMP_MAGIC  0x43444253U
#define STAMP_BYTES  16

struct slot { /* one message under way */
    struct delivery delivery;
    unsigned index;
    uint64_t number, began_us;
};

struct request {
    char to[256];
    uint32_t options;
    unsigned size, flight;
    double seconds;
    uint64_t max;
    bool stamp;
};

static struct bench {
    struct host *host;
    struct channel *channel;
    struct metrics metrics;
    struct mcast_conf mcast;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    struct channel_conf conf;
    struct task start, go, quit;
    struct timer pause;
    sem_t done;
    bool failed;

    struct request req;
    struct member *targets[TARGETS_MAX];
    size_t n_targets;
    struct view *view;
    struct buf payload;
    struct slot slots[FLIGHT_MAX];
    uint64_t begun, finished, lost, began_us, until_us, ended_us, drain_from_ms;
    uint32_t *took_us;
    size_t n_took, cap_took;

    atomic_ullong messages, bytes, disorder;
    _Atomic uint64_t seen[SENDERS][FLIGHT_MAX];
} b;

/* What comes in. */

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static enum err on_message(void *arg, const struct received *m)
{
    (void)arg;
    atomic_fetch_add_explicit(&b.messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&b.bytes, m->payload.n, memory_order_relaxed);
    if (m->payload.n < STAMP_BYTES || get_u64(m->payload.p) >> 32 != STAMP_MAGIC)
        return ERR_OK;
    unsigned flow = (unsigned)(get_u64(m->payload.p) % FLIGHT_MAX);
    unsigned sender = (unsigned)m->source_rec->port % SENDERS;
    uint64_t number = get_u64(m->payload.p + 8);
    uint64_t before = atomic_exchange_explicit(&b.seen[sender][flow], number, memory_order_relaxed);
    if (number != 0 && number < before)
        atomic_fetch_add_explicit(&b.disorder, 1, memory_order_relaxed);
    return ERR_OK;
}

static void on_member(void *arg, struct member *m)
{
    (void)arg;
    (void)m;
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    (void)arg;
    (void)m;
    (void)shutdown;
}

static void on_caught_up(void *arg, struct member *m, bool lost)
{
    (void)arg;
    if (lost)
        fprintf(stderr, "messages to %s were lost\n", m->name);
}

static void on_heartbeat(void *arg)
{
    (void)arg;
}

static const struct channel_events events = {.on_message = on_message,
                                             .on_added = on_member,
                                             .on_disappeared = on_disappeared,
                                             .on_caught_up = on_caught_up,
                                             .on_heartbeat = on_heartbeat};

/* What goes out: all on worker 0. */

static struct loop *worker(void)
{
    return host_worker(b.host, 0);
}

static void send_one(unsigned flow, uint64_t number, struct delivery *d)
{
    struct message m = {.options = b.req.options | SEND_BYTE_MESSAGE,
                        .payload = buf_span(&b.payload),
                        .flow = flow,
                        .delivery = d};
    const struct targets to = {.n = b.n_targets, .members = b.targets};
    struct buf stamp = {.p = b.payload.p, .cap = b.payload.cap};

    if (b.req.stamp) {
        wr_u32(&stamp, STAMP_MAGIC);
        wr_u32(&stamp, flow);
        wr_u64(&stamp, number);
    }
    channel_stamp(b.channel, worker(), &m);
    channel_send(b.channel, &m, &to);
    b.begun++;
}

static bool may_begin(uint64_t now_us)
{
    return now_us < b.until_us && b.begun < b.req.max;
}

static void finish(void)
{
    b.ended_us = loop_mono_us_exact(worker());
    sem_post(&b.done);
}

/* Asynchronous: made in bursts, until time or count is over; done when the queues are empty. */

static void on_pause(struct timer *t, void *arg)
{
    (void)arg;
    uint64_t now_us = loop_mono_us_exact(worker());
    uint64_t queued = transmitter_queued_bytes(channel_transmitter(b.channel));

    if (!may_begin(now_us)) {
        if (!b.drain_from_ms)
            b.drain_from_ms = loop_mono_ms(worker());
        b.failed = queued && loop_mono_ms(worker()) - b.drain_from_ms > DRAIN_MS;
        if (queued && !b.failed)
            timer_start(t, 1);
        else
            finish();
    } else if (queued > QUEUED_BYTES) {
        timer_start(t, 1);
    } else {
        loop_post(worker(), &b.go);
    }
}

static void burst(void)
{
    for (unsigned i = 0; i < BURST && b.begun < b.req.max; i++) {
        struct slot *s = &b.slots[b.begun % b.req.flight];
        send_one(s->index, s->number++, NULL);
    }
    b.finished = b.begun;
    on_pause(&b.pause, NULL);
}

/* With acknowledgements: each slot sends its next message when the one before is acknowledged. */

static void send_slot(struct slot *s, uint64_t now_us);

static void on_delivered(struct delivery *d, bool cancelled)
{
    struct slot *s = (struct slot *)((char *)d - offsetof(struct slot, delivery));
    uint64_t now_us = loop_mono_us_exact(worker());

    b.finished++;
    b.lost += b.n_targets - (size_t)atomic_load(&d->acked);
    if (b.n_took == b.cap_took) {
        b.cap_took = b.cap_took ? 2 * b.cap_took : 65536;
        b.took_us = mem_realloc(b.took_us, b.cap_took * sizeof *b.took_us);
    }
    b.took_us[b.n_took++] = (uint32_t)(now_us - s->began_us);
    if (!cancelled && may_begin(now_us))
        send_slot(s, now_us);
    else if (b.finished == b.begun)
        finish();
}

static void send_slot(struct slot *s, uint64_t now_us)
{
    s->began_us = now_us;
    delivery_init(&s->delivery, worker(), on_delivered);
    send_one(s->index, s->number++, &s->delivery);
    delivery_seal(&s->delivery);
}

static void run_go(struct task *t, bool cancelled)
{
    (void)t;
    if (cancelled)
        return;
    if (!b.began_us) {
        b.began_us = loop_mono_us_exact(worker());
        b.until_us = b.began_us + (uint64_t)(b.req.seconds * 1e6);
    }
    if (b.req.options & SEND_ASYNCHRONOUS) {
        burst();
        return;
    }
    for (unsigned i = 0; i < b.req.flight && b.begun < b.req.max; i++)
        send_slot(&b.slots[i], loop_mono_us_exact(worker()));
}

/* Commands, on the thread that reads stdin. */

static bool is_wanted(const struct member *m)
{
    char text[16], list[sizeof b.req.to + 2];

    snprintf(text, sizeof text, ",%s,", strrchr(m->name, ':') + 1);
    snprintf(list, sizeof list, ",%s,", b.req.to);
    return strstr(list, text) != NULL;
}

static size_t choose_targets(void)
{
    size_t wanted = 1;

    b.view = channel_view(b.channel);
    b.n_targets = 0;
    for (const char *p = b.req.to; *p; p++)
        wanted += *p == ',';
    for (size_t i = 0; i < b.view->n && b.n_targets < TARGETS_MAX; i++)
        if (is_wanted(b.view->members[i]))
            b.targets[b.n_targets++] = b.view->members[i];
    return wanted;
}

static int compare(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, c = *(const uint32_t *)y;

    return (a > c) - (a < c);
}

static double cpu_s(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void tell_run(double cpu)
{
    double took = (double)(b.ended_us - b.began_us) / 1e6;

    if (b.n_took)
        qsort(b.took_us, b.n_took, sizeof *b.took_us, compare);
    printf(
        "{\"count\": %llu, \"lost\": %llu, \"failed\": %s, \"per_s\": %.1f, \"mb_s\": %.3f, \"p50_us\": %u, "
        "\"p99_us\": %u, \"cpu_us\": %.4f}\n",
        (unsigned long long)b.finished, (unsigned long long)b.lost, b.failed ? "true" : "false",
        (double)b.finished / took, (double)b.finished * b.req.size / took / 1e6,
        b.n_took ? b.took_us[b.n_took / 2] : 0, b.n_took ? b.took_us[(size_t)((double)b.n_took * 0.99)] : 0,
        cpu * 1e6 / (double)(b.finished ? b.finished : 1));
}

static void run(void)
{
    size_t wanted = choose_targets();

    if (b.n_targets != wanted || b.req.flight == 0 || b.req.flight > FLIGHT_MAX || b.req.size < STAMP_BYTES) {
        printf("{\"error\": \"bad request, or %zu of %zu members are there\"}\n", b.n_targets, wanted);
        view_unref(b.view);
        return;
    }
    buf_clear(&b.payload);
    for (unsigned i = 0; i < b.req.size; i++)
        wr_u8(&b.payload, (uint8_t)(i * 31 + 7));
    for (unsigned i = 0; i < b.req.flight; i++)
        b.slots[i].index = i;
    b.begun = b.finished = b.lost = b.began_us = b.drain_from_ms = 0;
    b.n_took = 0;
    b.failed = false;
    double cpu = cpu_s();
    loop_post(worker(), &b.go);
    while (sem_wait(&b.done) != 0) {
    }
    tell_run(cpu_s() - cpu);
    buf_fini(&b.payload);
    view_unref(b.view);
}

static void parse_run(const char *line)
{
    char word[512], *save = NULL;
    struct request *r = &b.req;

    *r = (struct request){
        .options = 8, .size = 1024, .flight = 1, .seconds = 1, .max = UINT64_MAX, .stamp = true};
    snprintf(word, sizeof word, "%s", line);
    for (char *w = strtok_r(word, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
        char *v = strchr(w, '=');
        if (!v)
            continue;
        *v++ = 0;
        if (strcmp(w, "to") == 0)
            snprintf(r->to, sizeof r->to, "%s", v);
        else if (strcmp(w, "options") == 0)
            r->options = (uint32_t)atoi(v);
        else if (strcmp(w, "size") == 0)
            r->size = (unsigned)atoi(v);
        else if (strcmp(w, "flight") == 0)
            r->flight = (unsigned)atoi(v);
        else if (strcmp(w, "seconds") == 0)
            r->seconds = atof(v);
        else if (strcmp(w, "max") == 0)
            r->max = strtoull(v, NULL, 10);
        else if (strcmp(w, "stamp") == 0)
            r->stamp = atoi(v) != 0;
    }
    run();
}

static void tell_members(void)
{
    struct view *v = channel_view(b.channel);

    printf("{\"members\": [");
    for (size_t i = 0; i < v->n; i++)
        printf("%s%s", i ? ", " : "", strrchr(v->members[i]->name, ':') + 1);
    printf("]}\n");
    view_unref(v);
}

static void *read_commands(void *arg)
{
    char line[512];

    (void)arg;
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        if (strncmp(line, "run ", 4) == 0)
            parse_run(line + 4);
        else if (strcmp(line, "stats\n") == 0)
            printf("{\"messages\": %llu, \"bytes\": %llu, \"disorder\": %llu}\n",
                   (unsigned long long)b.messages, (unsigned long long)b.bytes,
                   (unsigned long long)b.disorder);
        else
            tell_members();
        fflush(stdout);
    }
    loop_post(host_main(b.host), &b.quit);
    return NULL;
}

/* Life of the member. */

static void on_started(void *arg)
{
    (void)arg;
    printf("{\"ready\": true}\n");
    fflush(stdout);
}

static void run_start(struct task *t, bool cancelled)
{
    struct diag d = {0};

    (void)t;
    (void)cancelled;
    if (channel_new(b.host, &b.conf, &events, NULL, &b.metrics, &d, &b.channel) != ERR_OK ||
        channel_start(b.channel, on_started, NULL, &d) != ERR_OK) {
        fputs(buf_cstr(&d.text), stderr);
        exit(1);
    }
    diag_fini(&d);
}

static void on_stopped(void *arg)
{
    (void)arg;
    host_stop(b.host);
}

static void run_quit(struct task *t, bool cancelled)
{
    (void)t;
    if (!cancelled)
        channel_stop(b.channel, LINGER_MS, on_stopped, NULL);
}

static void set_text(char **field, const char *text)
{
    mem_free(*field);
    *field = mem_strdup(text);
}

static bool take_arguments(int argc, char **argv, unsigned *workers)
{
    option_defaults(mcast_options, &b.mcast);
    option_defaults(receiver_options, &b.receiver);
    option_defaults(transmitter_options, &b.sender);
    set_text(&b.mcast.address, "228.0.0.4");
    set_text(&b.mcast.bind, "127.0.0.1");
    set_text(&b.receiver.address, "127.0.0.1");
    b.receiver.port = 0;
    b.receiver.auto_bind = 1;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--port") == 0)
            b.receiver.port = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--mcast") == 0)
            b.mcast.port = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--workers") == 0)
            *workers = (unsigned)atoi(argv[i + 1]);
        else
            return false;
    }
    return b.receiver.port > 0 && *workers > 0 && *workers <= 64;
}

int main(int argc, char **argv)
{
    unsigned workers = 1;
    pthread_t reader;

    log_set_level(LOG_WARN);
    if (!take_arguments(argc, argv, &workers)) {
        fprintf(stderr, "usage: channel_bench --port P [--mcast P] [--workers N]\n");
        return 2;
    }
    b.conf = (struct channel_conf){.start_options = START_ALL,
                                   .membership = &b.mcast,
                                   .receiver = &b.receiver,
                                   .sender = &b.sender,
                                   .payload = SPAN_LIT("clusterd/1")};
    b.start.run = run_start;
    b.go.run = run_go;
    b.quit.run = run_quit;
    b.host = host_new_real(workers);
    timer_init(&b.pause, worker(), on_pause, NULL);
    sem_init(&b.done, 0, 0);
    loop_post(host_main(b.host), &b.start);
    if (pthread_create(&reader, NULL, read_commands, NULL) != 0)
        return 1;
    host_run(b.host);
    pthread_join(reader, NULL);
    channel_free(b.channel);
    timer_fini(&b.pause);
    host_free(b.host);
    option_free(mcast_options, &b.mcast);
    option_free(receiver_options, &b.receiver);
    option_free(transmitter_options, &b.sender);
    mem_free(b.took_us);
    return 0;
}
