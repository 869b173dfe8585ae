/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiver and transmitter on a real host, with real threads and sockets on loopback: a large frame at line
 * speed, senders on all threads, members that come and go meanwhile, and an end that nobody announced. Also
 * the tests that ThreadSanitizer is for.
 */
#include "rig.h"

#define N_WORKERS 3

static struct world {
    struct host *h;
    struct rig_rx rx;
    struct rig_tx tx;
    struct member *m;
    struct task start;
    void (*on_start)(void);
    unsigned n_stopped;
} w;

static void run_start(struct task *t, bool cancelled)
{
    (void)t;
    ck_assert(!cancelled);
    w.on_start();
}

static void on_trouble(void *arg, struct member *m, enum err why)
{
    (void)m;
    (void)why;
    ((struct rig_tx *)arg)->n_trouble++;
}

static void on_caught_up(void *arg, struct member *m, bool lost)
{
    (void)m;
    ((struct rig_tx *)arg)->n_lost += lost;
}

static bool all_are_members(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return true;
}

static atomic_uint n_closed;

static void on_peer_closed(void *arg, const struct ident *source)
{
    (void)arg;
    (void)source;
    n_closed++;
}

static void begin(enum err (*on_message)(void *, struct loop *, const struct channel_data *),
                  void (*on_start)(void))
{
    struct receiver_events ev = {
        .on_message = on_message, .is_member_host = all_are_members, .on_peer_closed = on_peer_closed};
    struct transmitter_events tev = {.on_trouble = on_trouble, .on_caught_up = on_caught_up};

    w = (struct world){.h = host_new_real(N_WORKERS), .on_start = on_start, .start.run = run_start};
    rig_rx_init(&w.rx);
    rig_tx_init(&w.tx);
    mem_free(w.rx.conf.address);
    w.rx.conf.address = mem_strdup("127.0.0.1");
    w.rx.conf.port = 0;
    ck_assert_int_eq(receiver_start(w.h, &w.rx.conf, &ev, NULL, &w.rx.metrics, &w.rx.diag, &w.rx.r), ERR_OK);
    w.tx.h = w.h;
    w.tx.t = transmitter_new(w.h, &w.tx.conf, &tev, &w.tx, &w.tx.metrics);
    transmitter_set_source(w.tx.t, receiver_addr(w.rx.r));
    loop_post(host_main(w.h), &w.start);
}

static struct member *local_member(bool is_clusterd)
{
    struct member_rec rec = rig_rec(1, is_clusterd ? "clusterd/1" : "");

    memcpy(rec.host, "\x7f\0\0\1", 4);
    rec.port = receiver_addr(w.rx.r)->port;
    return view_member_new(&rec);
}

static void on_stopped(void *arg)
{
    (void)arg;
    if (++w.n_stopped == 2)
        host_stop(w.h);
}

static void stop_all(void)
{
    transmitter_stop(w.tx.t, 2000, on_stopped, NULL);
    receiver_stop(w.rx.r, on_stopped, NULL);
}

static void finish(void)
{
    host_run(w.h);
    host_free(w.h);
    transmitter_free(w.tx.t);
    option_free(transmitter_options, &w.tx.conf);
    rig_rx_fini(&w.rx);
    view_member_unref(w.m);
}

/* --- a large frame --- */

#define LARGE ((size_t)100 << 20)
/* A Tomcat gives up after 3 s. Copying or scanning the frame again at each read would take minutes, which
 * shows in a slow build on a busy machine too. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define LARGE_MAX_US 30000000
#else
#define LARGE_MAX_US 3000000
#endif

static struct blob *large;
static struct rig_wait large_wait;
static uint64_t large_us;

static enum err check_large(void *arg, struct loop *worker, const struct channel_data *cd)
{
    (void)arg;
    (void)worker;
    ck_assert_uint_eq(cd->message.n, LARGE);
    for (size_t i = 0; i < LARGE; i += 4099)
        ck_assert_uint_eq(cd->message.p[i], (uint8_t)(i * 31 >> 4));
    return ERR_OK;
}

static void large_done(struct delivery *d, bool cancelled)
{
    large_us = loop_mono_us_exact(host_main(w.h)) - large_us;
    rig_wait_fn(d, cancelled);
    stop_all();
}

static void send_large(void)
{
    w.m = local_member(true);
    transmitter_add(w.tx.t, w.m);
    large_us = loop_mono_us_exact(host_main(w.h));
    struct transmitter_item item = {
        .frame = large, .options = SEND_BYTE_MESSAGE | SEND_SYNC_ACK, .delivery = &large_wait.d};
    delivery_init(&large_wait.d, host_main(w.h), large_done);
    delivery_expect(&large_wait.d, 1);
    transmitter_send(w.tx.t, w.m, &item);
    delivery_seal(&large_wait.d);
}

START_TEST(large_frame_at_line_speed)
{
    uint8_t *bytes = mem_alloc(LARGE);

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 31 >> 4);
    large = rig_blob(SEND_BYTE_MESSAGE | SEND_SYNC_ACK, span_of(bytes, LARGE));
    mem_free(bytes);
    large_wait = (struct rig_wait){0};
    begin(check_large, send_large);
    finish();
    blob_unref(large);
    ck_assert_int_eq(large_wait.d.acked, 1);
    ck_assert_msg(large_us < LARGE_MAX_US, "100 MiB took %llu ms", (unsigned long long)large_us / 1000);
}
END_TEST

/* --- senders on all threads --- */

#define N_SENDERS (N_WORKERS + 1)
#define N_EACH    6000
#define N_LANES   5 /* flows of a sender */

struct sent {
    struct delivery d;
    struct sender *by;
};

static struct sender {
    struct task task;
    struct loop *loop;
    unsigned index, n;
    struct sent sent[N_EACH];
} senders[N_SENDERS];

static atomic_uint next_number[N_SENDERS][N_LANES], n_acked, n_other, n_finished;
static bool coming_and_going;
static struct timer flicker;
static unsigned n_flickers;

static enum err check_number(void *arg, struct loop *worker, const struct channel_data *cd)
{
    struct rd in = rd_of(cd->message);
    uint32_t sender = rd_u32(&in, "sender"), flow = rd_u32(&in, "flow"), n = rd_u32(&in, "number");

    (void)arg;
    (void)worker;
    ck_assert(sender < N_SENDERS && flow < N_LANES);
    if (coming_and_going)
        return ERR_OK; /* what was queued for a removed member is gone: gaps are right */
    ck_assert_uint_eq(n, next_number[sender][flow]);
    next_number[sender][flow] = n + 1;
    return ERR_OK;
}

static void all_sent(void);

static void one_done(struct delivery *d, bool cancelled)
{
    ck_assert(!cancelled);
    ck_assert(loop_is_current(d->loop));
    ck_assert_int_eq(d->acked + d->lagging + d->failed, 1);
    n_acked += (unsigned)d->acked;
    n_other += (unsigned)(d->lagging + d->failed);
    if (++n_finished == N_SENDERS * N_EACH) {
        w.on_start = all_sent;
        loop_post(host_main(w.h), &w.start);
    }
}

/* Some at a time, so that sending, receiving and acknowledging go on at once. */
static void send_some(struct task *t, bool cancelled)
{
    struct sender *s = CONTAINER_OF(t, struct sender, task);

    ck_assert(!cancelled);
    for (unsigned i = 0; i < 50 && s->n < N_EACH; i++, s->n++) {
        struct buf b = {0};
        wr_u32(&b, s->index);
        wr_u32(&b, s->n % N_LANES);
        wr_u32(&b, s->n / N_LANES);
        struct blob *frame = rig_blob(SEND_BYTE_MESSAGE | SEND_SYNC_ACK, buf_span(&b));
        struct transmitter_item item = {.frame = frame,
                                        .options = SEND_BYTE_MESSAGE | SEND_SYNC_ACK,
                                        .flow = s->index * 1000 + s->n % N_LANES,
                                        .delivery = &s->sent[s->n].d};
        delivery_init(&s->sent[s->n].d, s->loop, one_done);
        delivery_expect(&s->sent[s->n].d, 1);
        transmitter_send(w.tx.t, w.m, &item);
        delivery_seal(&s->sent[s->n].d);
        blob_unref(frame);
        buf_fini(&b);
    }
    if (s->n < N_EACH)
        loop_post(s->loop, &s->task);
}

static void on_flicker(struct timer *t, void *arg)
{
    (void)arg;
    n_flickers++;
    if (n_flickers % 2)
        transmitter_remove(w.tx.t, w.m);
    else
        transmitter_add(w.tx.t, w.m);
    if (n_finished < N_SENDERS * N_EACH)
        timer_start(t, n_flickers % 3);
}

static void all_sent(void)
{
    timer_fini(&flicker);
    stop_all();
}

static bool to_clusterd;

static void start_senders(void)
{
    w.m = local_member(to_clusterd);
    transmitter_add(w.tx.t, w.m);
    timer_init(&flicker, host_main(w.h), on_flicker, NULL);
    if (coming_and_going)
        timer_start(&flicker, 1);
    for (unsigned i = 0; i < N_SENDERS; i++) {
        senders[i].index = i;
        senders[i].n = 0;
        senders[i].task.run = send_some;
        senders[i].loop = i < N_WORKERS ? host_worker(w.h, i) : host_main(w.h);
        loop_post(senders[i].loop, &senders[i].task);
    }
}

static void from_all_threads(bool is_clusterd, bool flickers)
{
    memset((void *)next_number, 0, sizeof next_number);
    n_acked = n_other = n_finished = n_flickers = 0;
    to_clusterd = is_clusterd;
    coming_and_going = flickers;
    begin(check_number, start_senders);
    finish();
    ck_assert_uint_eq(n_acked + n_other, N_SENDERS * N_EACH);
    if (!flickers) {
        ck_assert_uint_eq(n_other, 0);
        for (unsigned i = 0; i < N_SENDERS; i++)
            for (unsigned k = 0; k < N_LANES; k++)
                ck_assert_uint_eq(next_number[i][k], N_EACH / N_LANES);
    }
}

START_TEST(senders_on_all_threads_to_clusterd)
{
    from_all_threads(true, false);
}
END_TEST

START_TEST(senders_on_all_threads_to_tomcat)
{
    from_all_threads(false, false);
}
END_TEST

/* Whatever happens to the member meanwhile, each delivery completes once. */
START_TEST(member_comes_and_goes_under_load)
{
    from_all_threads(true, true);
    from_all_threads(false, true);
}
END_TEST

/* --- the end without a stop --- */

static enum err stop_at_100(void *arg, struct loop *worker, const struct channel_data *cd)
{
    static atomic_uint n;

    (void)arg;
    (void)worker;
    (void)cd;
    if (++n % 100 == 0)
        host_stop(w.h);
    return ERR_OK;
}

static void ended(struct delivery *d, bool cancelled)
{
    (void)cancelled;
    ck_assert_int_eq(d->acked + d->lagging + d->failed, 1);
    n_finished++;
}

static void send_and_end(void)
{
    struct blob *frame = rig_blob(SEND_BYTE_MESSAGE | SEND_SYNC_ACK, SPAN_LIT("x"));

    w.m = local_member(to_clusterd);
    transmitter_add(w.tx.t, w.m);
    for (unsigned i = 0; i < N_EACH; i++) {
        struct transmitter_item item = {.frame = frame,
                                        .options = SEND_BYTE_MESSAGE | SEND_SYNC_ACK,
                                        .flow = i,
                                        .delivery = &senders[0].sent[i].d};
        delivery_init(&senders[0].sent[i].d, host_main(w.h), ended);
        delivery_expect(&senders[0].sent[i].d, 1);
        transmitter_send(w.tx.t, w.m, &item);
        delivery_seal(&senders[0].sent[i].d);
    }
    blob_unref(frame);
}

START_TEST(host_ends_in_the_middle)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        n_finished = 0;
        to_clusterd = is_clusterd;
        begin(stop_at_100, send_and_end);
        finish();
        ck_assert_uint_eq(n_finished, N_EACH);
    }
}
END_TEST

CLUSTERD_SUITE(transport_threads, &large_frame_at_line_speed, &senders_on_all_threads_to_clusterd,
               &senders_on_all_threads_to_tomcat, &member_comes_and_goes_under_load, &host_ends_in_the_middle)
