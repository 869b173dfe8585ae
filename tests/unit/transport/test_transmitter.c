/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transmitter on simulated hosts, against our own receiver and against a peer that answers as the test
 * says: pipelining and batches, repetition, lagging and catching up, full queues, kills, resets, keep-alive,
 * probes, the end.
 */
#include "rig.h"

#include "clusterd/util/log.h"

static struct sim *sim;
static struct rig_tx tx;
static struct rig_rx rx;
static struct rig_fake fake;
static struct member *m;

/* A transmitter at 10.0.0.1, not yet started, so that a test may change its configuration. */
static void world(uint64_t seed)
{
    sim = sim_new(seed);
    rig_tx_init(&tx);
}

static void world_end(unsigned linger_ms)
{
    rig_tx_end(sim, &tx, linger_ms);
    sim_free(sim);
    view_member_unref(m);
    m = NULL;
}

static void start(bool is_clusterd)
{
    rig_tx_start(sim, &tx, sim_host_new(sim, "10.0.0.1", 2));
    m = rig_member(2, is_clusterd);
    transmitter_add(tx.t, m);
    sim_run_ms(sim, 20);
}

/* ... and a receiver, or a peer that the test plays, at 10.0.0.2. */
static void with_receiver(bool is_clusterd)
{
    rig_rx_start(&rx, sim_host_new(sim, "10.0.0.2", 1));
    start(is_clusterd);
}

static void with_fake(bool is_clusterd)
{
    rig_fake_start(&fake, sim_host_new(sim, "10.0.0.2", 1));
    start(is_clusterd);
}

static void is_idle(void)
{
    ck_assert_uint_eq(m->queued_bytes, 0);
    ck_assert_uint_eq(m->queued_messages, 0);
    ck_assert_uint_eq(transmitter_queued_bytes(tx.t), 0);
}

static void results(const struct rig_wait *w, int acked, int lagging, int failed)
{
    ck_assert(w->done);
    ck_assert_int_eq(w->d.acked, acked);
    ck_assert_int_eq(w->d.lagging, lagging);
    ck_assert_int_eq(w->d.failed, failed);
}

/* --- order per flow, checked at the receiver --- */

#define N_FLOWS 40

static struct order {
    uint32_t next[N_FLOWS]; /* the first number of a flow that has not come */
    unsigned n_new, n_again;
} order;

/* Messages are flow and number. What came before may come again, but nothing is ever left out. */
static void check_order(struct rig_rx *x, const struct channel_data *cd)
{
    struct rd in = rd_of(cd->message);
    uint32_t flow = rd_u32(&in, "flow"), n = rd_u32(&in, "number");

    (void)x;
    ck_assert_uint_lt(flow, N_FLOWS);
    ck_assert_msg(n <= order.next[flow], "flow %u: %u came when %u was due", flow, n, order.next[flow]);
    if (n == order.next[flow]) {
        order.next[flow]++;
        order.n_new++;
    } else {
        order.n_again++;
    }
}

static void expect_order(void)
{
    order = (struct order){0};
    rx.no_log = true;
    rx.on_message = check_order;
}

static void send_numbered(uint32_t flow, uint32_t n, size_t more, struct rig_wait *w)
{
    struct buf b = {0};

    wr_u32(&b, flow);
    wr_u32(&b, n);
    buf_reserve(&b, more);
    memset(b.p + b.n, 0, more);
    b.n += more;
    rig_send(&tx, m, flow, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, buf_span(&b), w);
    buf_fini(&b);
}

static void many_messages(bool is_clusterd)
{
    enum { N = 2000 };
    static struct rig_wait w[N];

    world(1);
    with_receiver(is_clusterd);
    expect_order();
    for (uint32_t i = 0; i < N; i++) {
        send_numbered(i % N_FLOWS, i / N_FLOWS, i % 700, &w[i]);
        if (i % 100 == 0)
            sim_run_ms(sim, 1);
    }
    ck_assert_uint_gt(m->queued_messages, 0);
    sim_run_ms(sim, 500);
    for (int i = 0; i < N; i++)
        results(&w[i], 1, 0, 0);
    ck_assert_uint_eq(order.n_new, N);
    ck_assert_uint_eq(order.n_again, 0);
    ck_assert_uint_eq(metric_get(&tx.metrics, messages_sent), N);
    ck_assert_uint_eq(metric_get(&tx.metrics, messages_resent), 0);
    ck_assert_uint_eq(metric_get(&tx.metrics, bytes_sent), metric_get(&rx.metrics, bytes_received));
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), is_clusterd ? 1 : 4);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}

START_TEST(many_messages_to_clusterd)
{
    many_messages(true);
}
END_TEST

START_TEST(many_messages_to_tomcat)
{
    many_messages(false);
}
END_TEST

START_TEST(messages_without_ack_are_done_when_written)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[3];
        world(1);
        tx.conf.pool_size = 1;
        with_fake(is_clusterd);
        fake.answers = false;
        rig_send(&tx, m, 1, SEND_BYTE_MESSAGE, SPAN_LIT("a"), &w[0]);
        rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, SPAN_LIT("b"), &w[1]);
        rig_send(&tx, m, 2, SEND_BYTE_MESSAGE, SPAN_LIT("c"), &w[2]);
        sim_run_ms(sim, 50);
        results(&w[0], 1, 0, 0);
        results(&w[2], 1, 0, 0);
        ck_assert(!w[1].done);
        rig_fake_ack(&fake, ACK_FRAME, 1);
        sim_run_ms(sim, 50);
        results(&w[1], 1, 0, 0);
        ck_assert_uint_eq(fake.n, 3);
        is_idle();
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

/* --- towards clusterd: pipelining --- */

START_TEST(pipeline_does_not_wait_for_acks)
{
    struct rig_wait w[50];

    world(1);
    with_fake(true);
    fake.answers = false;
    for (int i = 0; i < 50; i++)
        rig_send_text(&tx, m, 1, "x", &w[i]);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(fake.n, 50); /* one flow, and all are out */
    rig_fake_ack(&fake, ACK_FRAME, 20);
    sim_run_ms(sim, 50);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(w[i].done, i < 20); /* by position */
    rig_fake_ack(&fake, ACK_FRAME, 30);
    sim_run_ms(sim, 50);
    ck_assert(w[49].done);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(pipeline_has_a_window)
{
    world(1);
    with_fake(true);
    fake.answers = false;
    for (int i = 0; i < 5000; i++)
        rig_send_text(&tx, m, 1, "x", NULL);
    sim_run_ms(sim, 200);
    ck_assert_uint_eq(fake.n, 4096);
    rig_fake_ack(&fake, ACK_FRAME, 4);
    sim_run_ms(sim, 200);
    ck_assert_uint_eq(fake.n, 4100);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(pipeline_sends_again_in_order_after_a_reset)
{
    struct rig_wait w[4];
    static const char *const text[] = {"1", "2", "3", "4"};

    world(1);
    with_fake(true);
    fake.answers = false;
    for (int i = 0; i < 4; i++)
        rig_send_text(&tx, m, 1, text[i], &w[i]);
    sim_run_ms(sim, 20);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    rig_fake_reset(&fake);
    sim_run_ms(sim, 100);
    RIG_LOG_IS(&fake, "|1 2 3 4 |2 3 4 ");
    ck_assert_uint_eq(tx.n_trouble, 1);
    rig_fake_ack(&fake, ACK_FRAME, 3);
    sim_run_ms(sim, 20);
    for (int i = 0; i < 4; i++)
        results(&w[i], 1, 0, 0);
    ck_assert_uint_eq(metric_get(&tx.metrics, messages_resent), 3);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(pipeline_gives_up_after_the_second_break)
{
    struct rig_wait w;

    world(1);
    with_fake(true);
    fake.answers = false;
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 20);
    rig_fake_reset(&fake);
    sim_run_ms(sim, 300);
    ck_assert(!w.done);
    rig_fake_reset(&fake);
    sim_run_ms(sim, 300);
    results(&w, 0, 0, 1);
    ck_assert_uint_eq(fake.n, 2);
    ck_assert_uint_eq(metric_get(&tx.metrics, messages_failed), 1);
    ck_assert_uint_eq(tx.n_lost, 1); /* a comparison is asked for */
    is_idle();
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(pipeline_fails_what_gets_fail_ack)
{
    struct rig_wait w[3];

    world(1);
    with_fake(true);
    fake.fails = "bad";
    rig_send_text(&tx, m, 1, "a", &w[0]);
    rig_send_text(&tx, m, 1, "bad", &w[1]);
    rig_send_text(&tx, m, 1, "b", &w[2]);
    sim_run_ms(sim, 50);
    results(&w[0], 1, 0, 0);
    results(&w[1], 0, 0, 1);
    results(&w[2], 1, 0, 0);
    RIG_LOG_IS(&fake, "|a bad b ");
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

/* --- towards a Tomcat: batches --- */

/* Messages named by flow and number ("3.0"), flows 0..n_flows-1, two of each, in one lane. */
static void send_pairs(int n_flows)
{
    char text[32];

    for (int n = 0; n < 2; n++)
        for (int flow = 0; flow < n_flows; flow++) {
            snprintf(text, sizeof text, "%d.%d", flow, n);
            rig_send_text(&tx, m, (uint64_t)flow, text, NULL);
        }
}

static void batch_world(void)
{
    world(1);
    tx.conf.pool_size = 1;
    with_fake(false);
    fake.answers = false;
}

START_TEST(batch_is_bounded_and_waits)
{
    batch_world();
    send_pairs(20);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "|0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0 13.0 14.0 15.0 ");
    rig_fake_ack(&fake, ACK_FRAME, 15);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(fake.n, 16); /* one ACK is missing: nothing more goes out */
    buf_clear(&fake.log);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "16.0 17.0 18.0 19.0 0.1 1.1 2.1 3.1 4.1 5.1 6.1 7.1 8.1 9.1 10.1 11.1 ");
    rig_fake_ack(&fake, ACK_FRAME, 16);
    sim_run_ms(sim, 50);
    rig_fake_ack(&fake, ACK_FRAME, 8);
    sim_run_ms(sim, 50);
    is_idle();
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(batch_takes_one_message_of_a_flow)
{
    batch_world();
    rig_send_text(&tx, m, 1, "a0", NULL);
    rig_send_text(&tx, m, 1, "a1", NULL);
    rig_send_text(&tx, m, 2, "b0", NULL);
    rig_send_text(&tx, m, 1, "a2", NULL);
    rig_send_text(&tx, m, 2, "b1", NULL);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "|a0 b0 ");
    rig_fake_ack(&fake, ACK_FRAME, 2);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "|a0 b0 a1 b1 ");
    rig_fake_ack(&fake, ACK_FRAME, 2);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "|a0 b0 a1 b1 a2 ");
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 50);
    is_idle();
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(large_frames_go_alone)
{
    struct span large = span_of(mem_zalloc(70000), 70000);

    batch_world();
    rig_send_text(&tx, m, 1, "a", NULL);
    rig_send(&tx, m, 2, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, large, NULL);
    rig_send_text(&tx, m, 3, "c", NULL);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(fake.n, 1);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(fake.n, 2);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(fake.n, 3);
    mem_free((void *)(uintptr_t)large.p);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(failed_batch_is_repeated_singly)
{
    struct rig_wait w[3];

    batch_world();
    rig_send_text(&tx, m, 1, "a", &w[0]);
    rig_send_text(&tx, m, 2, "bad", &w[1]);
    rig_send_text(&tx, m, 3, "c", &w[2]);
    sim_run_ms(sim, 20);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    rig_fake_ack(&fake, ACK_FAIL_FRAME, 1);
    sim_run_ms(sim, 20);
    RIG_LOG_IS(&fake, "|a bad c "); /* the third answer is still to come */
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    RIG_LOG_IS(&fake, "|a bad c a ");
    rig_send_text(&tx, m, 1, "later", NULL); /* waits for the repetition */
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    RIG_LOG_IS(&fake, "|a bad c a bad ");
    results(&w[0], 1, 0, 0);
    ck_assert(!w[1].done && !w[2].done);
    rig_fake_ack(&fake, ACK_FAIL_FRAME, 1);
    sim_run_ms(sim, 20);
    RIG_LOG_IS(&fake, "|a bad c a bad c ");
    results(&w[1], 0, 0, 1);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    results(&w[2], 1, 0, 0);
    RIG_LOG_IS(&fake, "|a bad c a bad c later ");
    ck_assert_uint_eq(tx.n_lost, 0); /* the peer refused it: a comparison would not help */
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    is_idle();
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(single_message_is_repeated_after_fail_ack)
{
    struct rig_wait w;

    batch_world();
    fake.answers = true;
    fake.fails = "bad";
    rig_send_text(&tx, m, 1, "bad", &w);
    sim_run_ms(sim, 50);
    results(&w, 0, 0, 1);
    RIG_LOG_IS(&fake, "|bad bad ");
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(reset_batch_is_repeated_singly)
{
    struct rig_wait w[3];

    batch_world();
    rig_send_text(&tx, m, 1, "a", &w[0]);
    rig_send_text(&tx, m, 2, "b", &w[1]);
    rig_send_text(&tx, m, 3, "c", &w[2]);
    sim_run_ms(sim, 20);
    rig_fake_ack(&fake, ACK_FRAME, 2); /* whose they are is not known */
    sim_run_ms(sim, 20);
    rig_fake_reset(&fake);
    sim_run_ms(sim, 100);
    RIG_LOG_IS(&fake, "|a b c |a ");
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    RIG_LOG_IS(&fake, "|a b c |a b ");
    rig_fake_reset(&fake); /* its second and last try */
    sim_run_ms(sim, 100);
    RIG_LOG_IS(&fake, "|a b c |a b |c ");
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    results(&w[0], 1, 0, 0);
    results(&w[1], 0, 0, 1);
    results(&w[2], 1, 0, 0);
    ck_assert_uint_eq(tx.n_lost, 1);
    is_idle();
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(without_repetition_each_goes_alone)
{
    struct rig_wait w[2];

    world(1);
    tx.conf.pool_size = 1;
    tx.conf.max_retry_attempts = 0;
    with_fake(false);
    fake.fails = "bad";
    rig_send_text(&tx, m, 1, "bad", &w[0]);
    rig_send_text(&tx, m, 2, "b", &w[1]);
    sim_run_ms(sim, 50);
    RIG_LOG_IS(&fake, "|bad b ");
    results(&w[0], 0, 0, 1);
    results(&w[1], 1, 0, 0);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

/* --- what a peer may do wrong --- */

static void bad_answer(bool is_clusterd, struct span answer, bool breaks)
{
    struct rig_wait w;

    world(1);
    tx.conf.pool_size = 1;
    with_fake(is_clusterd);
    fake.answers = false;
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 20);
    stream_write(fake.s, answer);
    sim_run_ms(sim, 300);
    ck_assert(!w.done);
    ck_assert_uint_eq(fake.n, breaks ? 2 : 1); /* sent again on a new connection */
    ck_assert_uint_eq(fake.n_conns, breaks ? 2 : 1);
    rig_fake_ack(&fake, ACK_FRAME, 1);
    sim_run_ms(sim, 20);
    results(&w, 1, 0, 0);
    rig_fake_end(sim, &fake);
    world_end(0);
}

START_TEST(garbage_instead_of_an_ack)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        bad_answer(is_clusterd, SPAN_LIT("garbage"), true);
        bad_answer(is_clusterd, SPAN_LIT("FLT2002\xff\xff\xff\xff"), true);
        bad_answer(is_clusterd, SPAN_LIT("FLT2002\0\0\0\4"), true); /* longer than an ACK */
        bad_answer(is_clusterd, SPAN_LIT("FLT2002\0\0\0\3\6\2\3TLF2004"), true);
        bad_answer(is_clusterd, SPAN_LIT("FLT2002\0\0\0\3\1\2\3TLF2003"),
                   false); /* unknown: ignored, as Tomcat */
        bad_answer(is_clusterd, SPAN_LIT("FLT2002\0\0\0\0TLF2003"), false);
    }
}
END_TEST

/* Cut off within the ACK, then the connection ends. */
START_TEST(truncated_ack)
{
    for (size_t n = 1; n < ACK_FRAME_LEN; n++) {
        struct rig_wait w;
        world(n);
        with_fake(true);
        fake.answers = false;
        rig_send_text(&tx, m, 1, "x", &w);
        sim_run_ms(sim, 20);
        stream_write(fake.s, span_of(ACK_FRAME.p, n));
        stream_close(fake.s, 100);
        sim_run_ms(sim, 300);
        ck_assert(!w.done);
        ck_assert_uint_eq(fake.n, 2);
        rig_fake_ack(&fake, ACK_FRAME, 1);
        sim_run_ms(sim, 20);
        results(&w, 1, 0, 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

START_TEST(surplus_ack_breaks_the_connection)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w;
        world(1);
        tx.conf.pool_size = 1;
        with_fake(is_clusterd);
        rig_fake_ack(&fake, ACK_FRAME, 1);
        sim_run_ms(sim, 300);
        ck_assert_uint_eq(fake.n_conns, 2);
        ck_assert_uint_eq(metric_get(&tx.metrics, frames_bad), 1);
        rig_send_text(&tx, m, 1, "x", &w);
        sim_run_ms(sim, 50);
        results(&w, 1, 0, 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

/* --- the standing connection --- */

START_TEST(a_connection_stands_without_traffic)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        world(1);
        with_fake(is_clusterd);
        ck_assert_uint_eq(fake.n_open, 1);
        rig_fake_reset(&fake);
        sim_run_ms(sim, 200);
        ck_assert_uint_eq(tx.n_trouble, 1);
        ck_assert_ptr_eq(tx.last_member, m);
        ck_assert_uint_eq(fake.n_open, 1);
        stream_close(fake.s, 0); /* the peer closes politely */
        sim_run_ms(sim, 400);
        ck_assert_uint_eq(tx.n_trouble, 2);
        ck_assert_int_eq(tx.last_trouble, ERR_CLOSED);
        ck_assert_uint_eq(fake.n_open, 1);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

/* A peer that lets us in and closes at once is not asked a thousand times a second. */
START_TEST(reconnecting_slows_down)
{
    world(1);
    rig_fake_start(&fake, sim_host_new(sim, "10.0.0.2", 1));
    start(true);
    uint64_t end = sim_now_us(sim) + 10000000;
    while (sim_now_us(sim) < end) {
        rig_fake_reset(&fake);
        sim_run_ms(sim, 1);
    }
    ck_assert_uint_ge(fake.n_conns, 5);
    ck_assert_uint_le(fake.n_conns, 12);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(nobody_listens_then_somebody_does)
{
    struct rig_wait w;

    world(1);
    fake = (struct rig_fake){.h = sim_host_new(sim, "10.0.0.2", 1), .answers = true};
    link_init(&fake.conns);
    start(true);
    ck_assert_uint_ge(tx.n_trouble, 1);
    ck_assert_int_eq(tx.last_trouble, ERR_REFUSED);
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 1000);
    ck_assert(!w.done);
    rig_fake_listen(&fake);
    sim_run_ms(sim, 2100);
    results(&w, 1, 0, 0);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

START_TEST(kill_is_noticed_at_once)
{
    world(1);
    with_receiver(true);
    sim_run_ms(sim, 5000);
    uint64_t before = sim_now_us(sim);
    sim_host_kill(sim, rx.h);
    sim_run_ms(sim, 50);
    ck_assert_uint_ge(tx.n_trouble, 1);
    ck_assert_uint_le(tx.trouble_us - before, 50000);
    rig_rx_fini(&rx); /* its connection lies in the dead host */
    world_end(0);
}
END_TEST

/* As the failure detector does, without a probe: the lanes end while one of them waits to connect again. */
START_TEST(member_in_trouble_is_removed)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[30];
        world(1);
        with_fake(is_clusterd);
        fake.answers = false;
        tx.removes = true;
        for (int i = 0; i < 30; i++)
            rig_send_text(&tx, m, (uint64_t)i, "x", &w[i]);
        sim_run_ms(sim, 50);
        rig_fake_reset(&fake);
        sim_run_ms(sim, 50);
        for (int i = 0; i < 30; i++)
            results(&w[i], 0, 0, 1);
        is_idle();
        ck_assert_uint_eq(tx.n_trouble, 1);
        ck_assert_uint_eq(fake.n_open, 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

/* --- lagging --- */

START_TEST(stopped_member_lags_and_catches_up)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[4];
        world(1);
        with_receiver(is_clusterd);
        sim_host_pause(sim, rx.h, true);
        uint64_t begun = sim_now_us(sim);
        rig_send_text(&tx, m, 1, "a", &w[0]);
        rig_send_text(&tx, m, 2, "b", &w[1]);
        sim_run_ms(sim, 2900);
        ck_assert(!w[0].done && !w[1].done);
        sim_run_ms(sim, 1000);
        results(&w[0], 0, 1, 0);
        results(&w[1], 0, 1, 0);
        ck_assert_uint_ge(w[0].at_us - begun, 3000000);
        ck_assert(m->lagging);
        ck_assert_uint_eq(tx.n_trouble, 1);
        ck_assert_int_eq(tx.last_trouble, ERR_TIMEOUT);
        rig_send_text(&tx, m, 1, "c", &w[2]); /* nobody waits for it any more */
        sim_run_ms(sim, 1);
        results(&w[2], 0, 1, 0);
        sim_run_ms(sim, 20000);
        ck_assert_uint_eq(m->queued_messages, 3);
        ck_assert_uint_eq(tx.n_caught, 0);
        sim_host_pause(sim, rx.h, false);
        sim_run_ms(sim, 100);
        ck_assert_uint_eq(rx.n, 3);
        ck_assert(!m->lagging);
        ck_assert_uint_eq(tx.n_caught, 1);
        ck_assert_uint_eq(tx.n_lost, 0);
        is_idle();
        rig_send_text(&tx, m, 1, "d", &w[3]); /* it counts again */
        sim_run_ms(sim, 100);
        results(&w[3], 1, 0, 0);
        rig_rx_end(sim, &rx);
        world_end(0);
    }
}
END_TEST

START_TEST(stopped_member_does_not_slow_the_others)
{
    static struct rig_rx other;
    struct rig_wait w;

    world(1);
    rig_rx_start(&other, sim_host_new(sim, "10.0.0.3", 1));
    with_receiver(true);
    struct member *m3 = rig_member(3, true);
    transmitter_add(tx.t, m3);
    sim_run_ms(sim, 50);
    sim_host_pause(sim, rx.h, true);
    for (int i = 0; i < 1000; i++) {
        rig_send_text(&tx, m, 1, "x", NULL);
        rig_send_text(&tx, m3, 1, "x", &w);
        sim_run_ms(sim, 10);
        results(&w, 1, 0, 0);
        ck_assert_uint_le(w.at_us + 8000, sim_now_us(sim));
    }
    ck_assert(m->lagging && !m3->lagging);
    sim_host_pause(sim, rx.h, false);
    sim_run_ms(sim, 100);
    ck_assert_uint_eq(rx.n, 1000);
    rig_rx_end(sim, &rx);
    rig_rx_end(sim, &other);
    view_member_unref(m3);
    world_end(0);
}
END_TEST

/* A few messages go over one connection; the flow of the ninth opens the next one. */
START_TEST(lanes_fill_one_by_one)
{
    world(1);
    with_receiver(false);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 8; i++)
            rig_send_text(&tx, m, 8 * round + i, "x", NULL);
        sim_run_ms(sim, 20);
    }
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 1);
    for (unsigned i = 0; i < 9; i++)
        rig_send_text(&tx, m, i, "x", NULL);
    sim_run_ms(sim, 20);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 2);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* Each large message has a connection of its own: it takes a thread of the Tomcat for a while. */
START_TEST(large_messages_take_all_lanes)
{
    struct rig_wait w[4];

    world(1);
    with_receiver(false);
    expect_order();
    for (uint32_t i = 0; i < 4; i++)
        send_numbered(i, 0, 100000, &w[i]);
    sim_run_ms(sim, 100);
    for (int i = 0; i < 4; i++)
        results(&w[i], 1, 0, 0);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 4);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* A flow stays in its lane while any of it is unfinished, however full that is and however empty the others.
 */
START_TEST(flow_stays_in_its_lane)
{
    world(1);
    with_receiver(false);
    expect_order();
    for (uint32_t n = 0; n < 300; n++)
        send_numbered(7, n, 0, NULL);
    sim_run_ms(sim, 2000);
    ck_assert_uint_eq(order.n_new, 300);
    ck_assert_uint_eq(order.n_again, 0);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 1);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* Lanes of a Tomcat lag together: a caller on another lane waits once, not once a lane. */
START_TEST(lagging_counts_for_all_lanes)
{
    struct rig_wait w[16];

    world(1);
    with_fake(false);
    fake.answers = false;
    for (int i = 0; i < 8; i++)
        rig_send_text(&tx, m, (uint64_t)i, "x", &w[i]);
    sim_run_ms(sim, 2500);
    for (int i = 8; i < 16; i++)
        rig_send_text(&tx, m, (uint64_t)i, "x", &w[i]);
    sim_run_ms(sim, 1500);
    for (int i = 0; i < 16; i++)
        results(&w[i], 0, 1, 0);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

/* It is behind, but no ACK is ever late by the time-out: not lagging. */
START_TEST(slow_is_not_lagging)
{
    struct rig_wait w[10];

    world(1);
    with_fake(true);
    fake.answers = false;
    for (int i = 0; i < 10; i++)
        rig_send_text(&tx, m, 1, "x", &w[i]);
    for (int i = 0; i < 10; i++) {
        sim_run_ms(sim, 2000);
        rig_fake_ack(&fake, ACK_FRAME, 1);
    }
    sim_run_ms(sim, 20);
    for (int i = 0; i < 10; i++)
        results(&w[i], 1, 0, 0);
    ck_assert_uint_eq(metric_get(&tx.metrics, ack_timeouts), 0);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

/* A large frame on a slow link is under way for longer than the time-out: bytes that leave are progress. */
START_TEST(slow_large_frame_is_not_lagging)
{
    struct span large = span_of(mem_zalloc((size_t)20 << 20), (size_t)20 << 20);
    struct sim_net slow = {.delay_min_us = 50000, .delay_max_us = 60000}; /* some 4 MB/s */
    struct rig_wait w;

    world(1);
    sim_set_net(sim, &slow);
    with_receiver(true);
    rx.no_log = true;
    sim_run_ms(sim, 500);
    rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, large, &w);
    sim_run_ms(sim, 4000);
    ck_assert(!w.done);
    ck_assert(!m->lagging);
    sim_run_ms(sim, 20000);
    results(&w, 1, 0, 0);
    ck_assert_uint_ge(w.at_us, 4500000);
    mem_free((void *)(uintptr_t)large.p);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* Under traffic that never pauses the queue is never empty, and it has caught up all the same. */
START_TEST(catches_up_under_steady_traffic)
{
    world(1);
    with_receiver(true);
    sim_host_pause(sim, rx.h, true);
    for (int i = 0; i < 10000; i++) {
        rig_send_text(&tx, m, 1, "x", NULL);
        sim_run_ms(sim, 1);
        if (i == 5000)
            sim_host_pause(sim, rx.h, false);
        if (i == 4999)
            ck_assert(m->lagging);
    }
    ck_assert(!m->lagging);
    ck_assert_uint_eq(tx.n_caught, 1);
    sim_run_ms(sim, 100);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* A member that cannot be connected to lags as well, so that its callers get on. */
START_TEST(unreachable_member_lags)
{
    struct rig_wait w;

    world(1);
    fake = (struct rig_fake){.h = sim_host_new(sim, "10.0.0.2", 1)};
    start(true);
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 4000);
    results(&w, 0, 1, 0);
    transmitter_remove(tx.t, m);
    sim_run_ms(sim, 50);
    is_idle();
    ck_assert(!m->lagging);
    rig_fake_end(sim, &fake);
    world_end(0);
}
END_TEST

/* --- full queues --- */

START_TEST(full_queue_drops_and_says_so)
{
    enum { N = 1000, SIZE = 1024 };
    static struct rig_wait w[N];
    static const uint8_t zero[SIZE];
    unsigned failed = 0;

    world(1);
    tx.conf.max_queue_bytes = 200 * 1024;
    with_receiver(true);
    rx.no_log = true;
    sim_host_pause(sim, rx.h, true);
    for (int i = 0; i < N; i++)
        rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, span_of(zero, SIZE), &w[i]);
    ck_assert_uint_le(m->queued_bytes, 200 * 1024);
    sim_run_ms(sim, 4000);
    for (int i = 0; i < N; i++)
        failed += (unsigned)w[i].d.failed;
    ck_assert_uint_gt(failed, 700);
    ck_assert_uint_eq(metric_get(&tx.metrics, messages_dropped_full), failed);
    results(&w[0], 0, 1, 0);
    results(&w[N - 1], 0, 0, 1);
    sim_host_pause(sim, rx.h, false);
    sim_run_ms(sim, 200);
    ck_assert_uint_eq(rx.n, N - failed);
    ck_assert_uint_eq(tx.n_caught, 1);
    ck_assert_uint_eq(tx.n_lost, 1);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* Something was dropped, but the member never lagged: a comparison is asked for all the same. */
START_TEST(loss_without_lag_is_told)
{
    static const uint8_t zero[100 * 1024];

    world(1);
    tx.conf.max_queue_bytes = 150 * 1024;
    with_receiver(true);
    rx.no_log = true;
    rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, span_of(zero, sizeof zero), NULL);
    rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, span_of(zero, sizeof zero), NULL);
    sim_run_ms(sim, 100);
    ck_assert_uint_eq(rx.n, 1);
    ck_assert_uint_eq(tx.n_caught, 1);
    ck_assert_uint_eq(tx.n_lost, 1);
    ck_assert(!m->lagging);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

START_TEST(one_message_may_exceed_the_bound)
{
    struct span large = span_of(mem_zalloc(500000), 500000);
    struct rig_wait w;

    world(1);
    tx.conf.max_queue_bytes = 100000;
    with_receiver(true);
    rx.no_log = true;
    rig_send(&tx, m, 1, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, large, &w);
    sim_run_ms(sim, 500);
    results(&w, 1, 0, 0);
    mem_free((void *)(uintptr_t)large.p);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* --- members come and go --- */

START_TEST(removed_member_fails_its_messages)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[20], late, unknown;
        world(1);
        with_fake(is_clusterd);
        fake.answers = false;
        for (int i = 0; i < 20; i++)
            rig_send_text(&tx, m, (uint64_t)i, "x", &w[i]);
        sim_run_ms(sim, 50);
        rig_send_text(&tx, m, 1, "still in the mailbox", &late);
        transmitter_remove(tx.t, m);
        transmitter_remove(tx.t, m);
        sim_run_ms(sim, 50);
        for (int i = 0; i < 20; i++)
            results(&w[i], 0, 0, 1);
        results(&late, 0, 0, 1);
        is_idle();
        ck_assert_uint_eq(fake.n_open, 0);
        rig_send_text(&tx, m, 1, "x", &late);
        sim_run_ms(sim, 5);
        results(&late, 0, 0, 1);
        struct member *never = rig_member(9, true);
        rig_send_text(&tx, never, 1, "x", &unknown);
        sim_run_ms(sim, 5);
        results(&unknown, 0, 0, 1);
        view_member_unref(never);
        ck_assert_uint_eq(tx.n_trouble, 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

START_TEST(member_comes_back)
{
    struct rig_wait w;

    world(1);
    with_receiver(false);
    for (int i = 0; i < 10; i++) {
        transmitter_remove(tx.t, m);
        if (i % 2)
            sim_run_ms(sim, 20);
        transmitter_add(tx.t, m);
        transmitter_add(tx.t, m);
        sim_run_ms(sim, 20);
        rig_send_text(&tx, m, 1, "x", &w);
        sim_run_ms(sim, 20);
        results(&w, 1, 0, 0);
    }
    transmitter_remove(tx.t, m);
    transmitter_add(tx.t, m);
    transmitter_remove(tx.t, m); /* stays away */
    sim_run_ms(sim, 50);
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 20);
    results(&w, 0, 0, 1);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* The member object goes with the last reference, whoever holds it. */
START_TEST(member_is_freed_while_its_lanes_close)
{
    world(1);
    with_receiver(false);
    transmitter_remove(tx.t, m);
    view_member_unref(m);
    sim_run_ms(sim, 50);
    m = rig_member(2, true);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* --- keep-alive limits --- */

START_TEST(keep_alive_count)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[30];
        world(1);
        tx.conf.pool_size = 1;
        tx.conf.keep_alive_count = 9;
        with_fake(is_clusterd);
        for (int i = 0; i < 30; i++) {
            rig_send_text(&tx, m, 1, "x", &w[i]);
            sim_run_ms(sim, 20);
        }
        for (int i = 0; i < 30; i++)
            results(&w[i], 1, 0, 0);
        ck_assert_uint_eq(fake.n_conns, 4); /* ten messages on each, and a new one stands */
        ck_assert_uint_eq(fake.n_open, 1);
        ck_assert_uint_eq(tx.n_trouble, 0);
        ck_assert_uint_eq(metric_get(&tx.metrics, messages_resent), 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

START_TEST(keep_alive_time)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w;
        world(1);
        tx.conf.pool_size = 1;
        tx.conf.keep_alive_time_ms = 3000;
        with_fake(is_clusterd);
        rig_send_text(&tx, m, 1, "x", &w);
        sim_run_ms(sim, 2000);
        transmitter_heartbeat(tx.t);
        sim_run_ms(sim, 2000);
        ck_assert_uint_eq(fake.n_conns, 1);
        transmitter_heartbeat(tx.t);
        sim_run_ms(sim, 50);
        ck_assert_uint_eq(fake.n_conns, 2);
        ck_assert_uint_eq(fake.n_open, 1);
        ck_assert_uint_eq(tx.n_trouble, 0);
        rig_fake_end(sim, &fake);
        world_end(0);
    }
}
END_TEST

/* With unbroken traffic the pipeline is drained for the change, and nothing is lost or doubled. */
START_TEST(keep_alive_under_traffic)
{
    world(1);
    tx.conf.keep_alive_count = 50;
    with_receiver(true);
    expect_order();
    for (uint32_t i = 0; i < 3000; i++) {
        send_numbered(1, i, 0, NULL);
        sim_run_ms(sim, i % 3 == 0);
    }
    sim_run_ms(sim, 2000);
    ck_assert_uint_eq(order.n_new, 3000);
    ck_assert_uint_eq(order.n_again, 0);
    ck_assert_uint_ge(metric_get(&rx.metrics, connections_accepted), 3);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

/* --- random resets, pauses and kinds: the order of each flow holds --- */

static void order_holds(uint64_t seed)
{
    enum { N = 1500 };
    static struct rig_wait w[N];
    uint32_t next[N_FLOWS] = {0}, n_flows;

    world(seed);
    tx.conf.max_retry_attempts = 1000000;
    tx.conf.pool_size = 1 + (int32_t)sim_random_below(sim, 4);
    with_receiver(seed % 2);
    expect_order();
    n_flows = 1 + sim_random_below(sim, N_FLOWS);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t flow = sim_random_below(sim, n_flows);
        size_t more = sim_random_below(sim, 20) == 0 ? sim_random_below(sim, 100000) : 0;
        send_numbered(flow, next[flow]++, more, &w[i]);
        switch (sim_random_below(sim, 40)) {
        case 0:
            sim_reset_streams(sim, tx.h, rx.h);
            break;
        case 1:
            sim_host_pause(sim, rx.h, true);
            break;
        case 2:
        case 3:
            sim_host_pause(sim, rx.h, false);
            break;
        default:
            break;
        }
        if (sim_random_below(sim, 10) == 0)
            sim_run_ms(sim, sim_random_below(sim, 30));
    }
    sim_host_pause(sim, rx.h, false);
    sim_run_ms(sim, 20000);
    ck_assert_msg(order.n_new == N, "seed %llu: %u of %d came", (unsigned long long)seed, order.n_new, N);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(w[i].d.acked + w[i].d.lagging, 1);
    ck_assert(!m->lagging);
    is_idle();
    rig_rx_end(sim, &rx);
    world_end(0);
}

START_TEST(order_of_each_flow_survives_resets)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        order_holds(seed);
}
END_TEST

/* --- probes --- */

struct answer {
    bool done;
    enum err result;
};

static void on_probe(void *arg, enum err result)
{
    struct answer *a = arg;

    ck_assert(!a->done);
    a->done = true;
    a->result = result;
}

static struct answer probe(const char *to, const char *frame, unsigned read_ms, unsigned wait_ms)
{
    struct answer a = {0};
    struct addr at;
    struct blob *b =
        frame ? rig_blob(SEND_BYTE_MESSAGE | (read_ms ? SEND_USE_ACK : 0), span_str(frame)) : NULL;

    ck_assert_int_eq(addr_parse(to, 0, &at), ERR_OK);
    transmitter_probe(tx.t, &at, 1000, b, read_ms, on_probe, &a);
    ck_assert(!a.done);
    blob_unref(b);
    sim_run_ms(sim, wait_ms);
    ck_assert(a.done);
    return a;
}

START_TEST(probes)
{
    world(1);
    with_receiver(true);
    ck_assert_int_eq(probe("10.0.0.2:4000", NULL, 0, 50).result, ERR_OK);
    ck_assert_uint_eq(rx.n, 0);
    ck_assert_int_eq(probe("10.0.0.2:4000", "probe", 0, 50).result, ERR_OK);
    ck_assert_uint_eq(rx.n, 1);
    ck_assert_int_eq(probe("10.0.0.2:4000", "probe", 500, 50).result, ERR_OK);
    ck_assert_int_eq(probe("10.0.0.2:4000", NULL, 500, 600).result, ERR_TIMEOUT); /* nothing to answer */
    ck_assert_int_eq(probe("10.0.0.2:4001", NULL, 0, 50).result, ERR_REFUSED);
    sim_host_pause(sim, rx.h, true);
    ck_assert_int_eq(probe("10.0.0.2:4000", "probe", 0, 50).result, ERR_OK); /* its kernel answers */
    ck_assert_int_eq(probe("10.0.0.2:4000", "probe", 500, 600).result, ERR_TIMEOUT);
    sim_host_pause(sim, rx.h, false);
    sim_set_link(sim, tx.h, rx.h, false);
    ck_assert_int_eq(probe("10.0.0.2:4000", NULL, 0, 1100).result, ERR_TIMEOUT);
    sim_set_link(sim, tx.h, rx.h, true);
    ck_assert_uint_eq(metric_get(&tx.metrics, probes_sent), 8);
    rig_rx_end(sim, &rx);
    world_end(0);
}
END_TEST

START_TEST(probe_ends_with_the_transmitter)
{
    struct answer waiting = {0}, connecting = {0};
    struct addr at;

    world(1);
    with_receiver(true);
    ck_assert_int_eq(addr_parse("10.0.0.2:4000", 0, &at), ERR_OK);
    transmitter_probe(tx.t, &at, 1000, NULL, 5000, on_probe, &waiting);
    sim_run_ms(sim, 100);
    transmitter_probe(tx.t, &at, 1000, NULL, 5000, on_probe, &connecting);
    ck_assert(!waiting.done);
    rig_tx_end(sim, &tx, 0);
    rig_rx_end(sim, &rx);
    sim_free(sim);
    view_member_unref(m);
    ck_assert(waiting.done && connecting.done);
    ck_assert_int_eq(waiting.result, ERR_CANCELLED);
    ck_assert_int_eq(connecting.result, ERR_CANCELLED);
}
END_TEST

/* --- the end --- */

START_TEST(stop_flushes_what_is_queued)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        enum { N = 500 };
        static struct rig_wait w[N];
        world(1);
        with_receiver(is_clusterd);
        rx.no_log = true;
        for (int i = 0; i < N; i++)
            rig_send_text(&tx, m, (uint64_t)i % 7, "x", &w[i]);
        rig_tx_end(sim, &tx, 2000);
        for (int i = 0; i < N; i++)
            results(&w[i], 1, 0, 0);
        ck_assert_uint_eq(rx.n, N);
        rig_rx_end(sim, &rx);
        sim_free(sim);
        view_member_unref(m);
    }
}
END_TEST

START_TEST(stop_waits_no_longer_than_told)
{
    struct rig_wait w, late;

    world(1);
    with_receiver(true);
    sim_host_pause(sim, rx.h, true);
    rig_send_text(&tx, m, 1, "x", &w);
    sim_run_ms(sim, 10);
    transmitter_stop(tx.t, 500, rig_tx_on_stopped, &tx);
    rig_send_text(&tx, m, 1, "x", &late);
    sim_run_ms(sim, 450);
    results(&late, 0, 0, 1);
    ck_assert(!w.done && !tx.stopped);
    sim_run_ms(sim, 100);
    results(&w, 0, 0, 1);
    ck_assert(tx.stopped);
    transmitter_free(tx.t);
    option_free(transmitter_options, &tx.conf);
    sim_host_end(sim, tx.h);
    sim_host_pause(sim, rx.h, false);
    rig_rx_end(sim, &rx);
    sim_free(sim);
    view_member_unref(m);
}
END_TEST

/* The host's loops end under a transmitter that nobody has stopped. */
START_TEST(loops_end_without_a_stop)
{
    for (int is_clusterd = 0; is_clusterd < 2; is_clusterd++) {
        struct rig_wait w[40];
        struct answer a = {0};
        world(1);
        with_fake(is_clusterd);
        fake.answers = false;
        for (int i = 0; i < 40; i++) {
            rig_send_text(&tx, m, (uint64_t)i, "x", &w[i]);
            if (i == 20)
                sim_run_ms(sim, 20);
        }
        struct addr at = m->addr;
        transmitter_probe(tx.t, &at, 1000, NULL, 5000, on_probe, &a);
        sim_host_end(sim, tx.h);
        for (int i = 0; i < 40; i++)
            ck_assert(w[i].done && w[i].cancelled);
        ck_assert(a.done);
        transmitter_free(tx.t);
        option_free(transmitter_options, &tx.conf);
        rig_fake_end(sim, &fake);
        sim_free(sim);
        view_member_unref(m);
    }
}
END_TEST

CLUSTERD_SUITE(transmitter, &many_messages_to_clusterd, &many_messages_to_tomcat,
               &messages_without_ack_are_done_when_written, &pipeline_does_not_wait_for_acks,
               &pipeline_has_a_window, &pipeline_sends_again_in_order_after_a_reset,
               &pipeline_gives_up_after_the_second_break, &pipeline_fails_what_gets_fail_ack,
               &batch_is_bounded_and_waits, &batch_takes_one_message_of_a_flow, &large_frames_go_alone,
               &failed_batch_is_repeated_singly, &single_message_is_repeated_after_fail_ack,
               &reset_batch_is_repeated_singly, &without_repetition_each_goes_alone,
               &garbage_instead_of_an_ack, &truncated_ack, &surplus_ack_breaks_the_connection,
               &a_connection_stands_without_traffic, &reconnecting_slows_down,
               &nobody_listens_then_somebody_does, &kill_is_noticed_at_once, &member_in_trouble_is_removed,
               &stopped_member_lags_and_catches_up, &stopped_member_does_not_slow_the_others,
               &lanes_fill_one_by_one, &large_messages_take_all_lanes, &flow_stays_in_its_lane,
               &lagging_counts_for_all_lanes, &slow_is_not_lagging, &slow_large_frame_is_not_lagging,
               &catches_up_under_steady_traffic, &unreachable_member_lags, &full_queue_drops_and_says_so,
               &loss_without_lag_is_told, &one_message_may_exceed_the_bound,
               &removed_member_fails_its_messages, &member_comes_back, &member_is_freed_while_its_lanes_close,
               &keep_alive_count, &keep_alive_time, &keep_alive_under_traffic,
               &order_of_each_flow_survives_resets, &probes, &probe_ends_with_the_transmitter,
               &stop_flushes_what_is_queued, &stop_waits_no_longer_than_told, &loops_end_without_a_stop)
