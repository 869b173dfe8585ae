/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole channels on simulated hosts: start and stop, members both ways, what a caller learns under each send
 * option, group datagrams, strangers, and messages that are nobody's.
 */
#include "unit/channel/world.h"
#include "unit/wire/vectors.h"

START_TEST(test_start_takes_four_frequencies)
{
    world_begin(1);
    world_start(1);
    sim_run_ms(world_sim, 1990);
    ck_assert(!world_nodes[1]->started);
    sim_run_ms(world_sim, 20);
    ck_assert(world_nodes[1]->started);
    ck_assert_str_eq(channel_local_name(world_nodes[1]->channel), "10.0.0.1:4000");
    ck_assert_uint_eq(logs_count("Receiver Server Socket bound"), 1);
    world_end();
}
END_TEST

START_TEST(test_members_know_each_other)
{
    world_begin(2);
    world_up(4);
    for (unsigned i = 1; i <= 4; i++) {
        struct view *v = world_view(i);
        ck_assert_uint_eq(v->n, 3);
        for (unsigned k = 1; k <= 4; k++)
            ck_assert_int_eq(world_member(i, k) != NULL, i != k);
        for (size_t k = 0; k < v->n; k++)
            ck_assert_uint_eq(v->members[k]->clusterd_version, 1);
        view_unref(v);
    }
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, members_added), 3);
    world_end();
}
END_TEST

START_TEST(test_the_view_is_sorted_by_alive)
{
    world_begin(3);
    for (unsigned i = 1; i <= 3; i++) {
        world_start(i);
        sim_run_ms(world_sim, 3000);
    }
    struct view *v = world_view(3);
    ck_assert_str_eq(v->members[0]->name, "10.0.0.1:4000");
    ck_assert_str_eq(v->members[1]->name, "10.0.0.2:4000");
    view_unref(v);
    world_end();
}
END_TEST

static int64_t old_alive(void *arg)
{
    (void)arg;
    return 1000000;
}

/* A node that becomes complete announces to be old: its place in the others' views changes at once. */
START_TEST(test_a_jump_of_alive_sorts_the_view_anew)
{
    static struct channel_events older;

    world_begin(4);
    world_up(3);
    struct world_node *n = world_start(4);
    older = world_events;
    older.alive_ms = old_alive;
    sim_run_ms(world_sim, 3000);
    struct view *v = world_view(1);
    ck_assert_str_eq(v->members[2]->name, "10.0.0.4:4000");
    uint64_t serial = v->serial;
    view_unref(v);
    world_stop(4);
    n = world_make(5);
    struct diag d = {0};
    ck_assert_int_eq(channel_new(n->host, &n->conf, &older, n, &n->metrics, &d, &n->channel), ERR_OK);
    ck_assert_int_eq(channel_start(n->channel, world_on_started, n, &d), ERR_OK);
    diag_fini(&d);
    sim_run_ms(world_sim, 3000);
    v = world_view(1);
    ck_assert_str_eq(v->members[0]->name, "10.0.0.5:4000");
    ck_assert_uint_gt(v->serial, serial);
    view_unref(v);
    world_end();
}
END_TEST

/* Members are told before the queues are flushed, which may take a while. */
START_TEST(test_stopping_says_so_first)
{
    world_begin(5);
    world_up(4);
    struct world_node *two = world_nodes[2];
    sim_host_pause(world_sim, world_nodes[4]->host, true);
    world_send(2, SPAN_LIT("last words"), 0x07, NULL);
    channel_stop(two->channel, 1000, world_on_stopped, two);
    sim_run_ms(world_sim, 50);
    ck_assert(!two->stopped);
    for (unsigned i = 1; i <= 3; i += 2) {
        ck_assert_uint_eq(world_nodes[i]->disappeared, 1);
        ck_assert_uint_eq(world_nodes[i]->shutdowns, 1);
        ck_assert_uint_eq(world_nodes[i]->messages, 1);
        struct view *v = world_view(i);
        ck_assert_uint_eq(v->n, 2);
        view_unref(v);
    }
    ck_assert_uint_eq(logs_count("Will verify"), 0);
    sim_host_pause(world_sim, world_nodes[4]->host, false);
    world_finish(2);
    world_end();
}
END_TEST

START_TEST(test_start_options)
{
    world_begin(6);
    struct world_node *tcp_only = world_make(1);
    tcp_only->conf.start_options = START_SND_RX | START_SND_TX;
    world_open(tcp_only);
    world_start(2);
    struct world_node *listener_only = world_make(3);
    listener_only->conf.start_options = START_SND_RX | START_SND_TX | START_MBR_RX;
    world_open(listener_only);
    struct world_node *announcer_only = world_make(4);
    announcer_only->conf.start_options = START_SND_TX | START_MBR_TX;
    world_open(announcer_only);
    sim_run_ms(world_sim, 2500);
    for (unsigned i = 1; i <= 4; i++)
        ck_assert(world_nodes[i]->started);
    ck_assert_uint_eq(world_nodes[1]->added, 0);
    ck_assert_uint_eq(world_nodes[2]->added, 0); /* 4 is heard, but its port does not answer */
    ck_assert_uint_eq(world_nodes[3]->added, 1); /* 2 */
    ck_assert_uint_eq(world_nodes[4]->added, 0);
    ck_assert_str_eq(channel_local_name(announcer_only->channel), "10.0.0.4:4000");
    world_end();
}
END_TEST

/* Send options and what the caller learns. */

START_TEST(test_deliveries_under_each_send_option)
{
    static const uint32_t options[] = {0, 2, 6, 8, 10, 14};
    struct world_delivery w;

    world_begin(7);
    world_up(3);
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        world_send(1, SPAN_LIT("hello"), options[i] | SEND_BYTE_MESSAGE, &w);
        ck_assert(!w.done); /* never inside the call */
        sim_run_ms(world_sim, 100);
        ck_assert(w.done);
        ck_assert_int_eq(atomic_load(&w.d.acked), 2);
        ck_assert_uint_eq(world_nodes[2]->messages, i + 1);
        ck_assert_uint_eq(world_nodes[3]->messages, i + 1);
        ck_assert_uint_eq(world_nodes[2]->last_options, options[i] | SEND_BYTE_MESSAGE);
        ck_assert(span_eq(buf_span(&world_nodes[2]->last), SPAN_LIT("hello")));
    }
    ck_assert_uint_eq(world_nodes[2]->unknown, 0);
    world_end();
}
END_TEST

/* Asynchronous: the caller goes on at once, although a member is stopped. Not so with 2 and 6. */
START_TEST(test_who_waits_for_a_stopped_member)
{
    struct world_delivery async, ack;

    world_begin(8);
    world_up(3);
    sim_host_pause(world_sim, world_nodes[3]->host, true);
    uint64_t t0 = sim_now_us(world_sim);
    world_send(1, SPAN_LIT("a"), 0x0f, &async);
    world_send(1, SPAN_LIT("b"), 0x07, &ack);
    sim_run_ms(world_sim, 100);
    ck_assert(async.done);
    ck_assert_int_eq(atomic_load(&async.d.acked), 2);
    ck_assert(!ack.done);
    sim_run_ms(world_sim, 5000);
    ck_assert(ack.done);
    ck_assert_int_eq(atomic_load(&ack.d.acked), 1);
    ck_assert_int_eq(atomic_load(&ack.d.lagging), 1);
    ck_assert_uint_ge(ack.done_us - t0, 2900000);
    ck_assert(atomic_load(&world_member(1, 3)->lagging));
    sim_host_pause(world_sim, world_nodes[3]->host, false);
    sim_run_ms(world_sim, 3000);
    ck_assert_uint_eq(world_nodes[3]->messages, 2);
    ck_assert_uint_ge(world_nodes[1]->caught_up, 1);
    world_end();
}
END_TEST

START_TEST(test_a_refusing_listener_fails_a_synchronized_message)
{
    struct world_delivery w;

    world_begin(9);
    world_up(2);
    world_nodes[2]->verdict = ERR_DENIED;
    world_send(1, SPAN_LIT("x"), 0x07, &w);
    sim_run_ms(world_sim, 1000);
    ck_assert(w.done);
    ck_assert_int_eq(atomic_load(&w.d.failed), 1);
    ck_assert_uint_ge(world_nodes[2]->messages, 1);
    world_end();
}
END_TEST

START_TEST(test_group_datagrams)
{
    struct world_delivery w, big;
    struct buf much = {0};

    world_begin(10);
    world_up(3);
    world_send(1, SPAN_LIT("to all"), SEND_MULTICAST | SEND_BYTE_MESSAGE, &w);
    sim_run_ms(world_sim, 20);
    ck_assert(w.done);
    ck_assert_int_eq(atomic_load(&w.d.acked), 2);
    ck_assert_uint_eq(world_nodes[1]->messages, 0); /* our own comes back and is nobody's */
    ck_assert_uint_eq(world_nodes[2]->messages, 1);
    ck_assert_uint_eq(world_nodes[3]->messages, 1);
    ck_assert_uint_eq(world_nodes[3]->unknown, 0);
    buf_reserve(&much, 70000);
    memset(much.p, 'm', 70000);
    much.n = 70000;
    world_send(1, buf_span(&much), SEND_MULTICAST | SEND_BYTE_MESSAGE, &big);
    sim_run_ms(world_sim, 20);
    ck_assert(big.done);
    ck_assert_int_eq(atomic_load(&big.d.failed), 2);
    ck_assert_uint_eq(logs_count("too long to be sent to the group"), 1);
    buf_fini(&much);
    world_end();
}
END_TEST

START_TEST(test_malformed_group_datagrams)
{
    struct buf b = {0};

    world_begin(11);
    world_up(1);
    struct world_peer *p = world_peer_new(1);
    world_peer_frame(p, SEND_BYTE_MESSAGE, SPAN_LIT("one"), &b);
    size_t one = b.n;
    world_peer_frame(p, SEND_BYTE_MESSAGE, SPAN_LIT("two"), &b);
    ck_assert_int_eq(multicast_send(p->group, buf_span(&b)), ERR_OK);
    sim_run_ms(world_sim, 10);
    ck_assert_uint_eq(world_nodes[1]->messages, 2);
    ck_assert_uint_eq(world_nodes[1]->unknown, 2); /* the peer is no member: handed up all the same */
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, messages_unknown_source), 2);
    for (size_t n = 0; n < one; n++) {
        ck_assert_int_eq(multicast_send(p->group, span_of(b.p, n)), ERR_OK);
        sim_run_ms(world_sim, 1);
    }
    ck_assert_uint_eq(world_nodes[1]->messages, 2);
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, datagrams_bad), one);
    ck_assert_uint_eq(logs_count("a group datagram of 10.0.0.101:"), 1);
    for (size_t at = 11; at < one - 7; at++) { /* whatever a changed byte makes of it, nothing breaks */
        struct buf c = {0};
        wr_bytes(&c, b.p, one);
        c.p[at] ^= 0xff;
        ck_assert_int_eq(multicast_send(p->group, buf_span(&c)), ERR_OK);
        sim_run_ms(world_sim, 1);
        buf_fini(&c);
    }
    buf_fini(&b);
    world_peer_free(p);
    world_end();
}
END_TEST

/* Who claims to be us is not heard. */
START_TEST(test_our_own_identity_from_elsewhere)
{
    struct buf b = {0};

    world_begin(12);
    world_up(1);
    struct world_peer *p = world_peer_new(1);
    struct member_rec mine = p->rec;
    p->rec = *channel_local(world_nodes[1]->channel);
    world_peer_frame(p, SEND_BYTE_MESSAGE | SEND_USE_ACK, SPAN_LIT("me"), &b);
    world_peer_send(p, 1, buf_span(&b));
    sim_run_ms(world_sim, 100);
    ck_assert_uint_eq(world_nodes[1]->messages, 0);
    ck_assert(span_eq(buf_span(&p->answers), ACK_FRAME));
    p->rec = mine;
    buf_fini(&b);
    stream_close(p->out, 0);
    sim_run_ms(world_sim, 100);
    world_peer_free(p);
    world_end();
}
END_TEST

START_TEST(test_a_message_to_a_stranger)
{
    struct message m = {.options = SEND_ASYNCHRONOUS};

    world_begin(13);
    world_up(1);
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    m.payload = SPAN_LIT("reply");
    channel_stamp(world_nodes[1]->channel, host_main(world_nodes[1]->host), &m);
    channel_send_stranger(world_nodes[1]->channel, &m, &p->rec);
    sim_run_ms(world_sim, 100);
    ck_assert_uint_eq(p->accepted, 1);
    struct frame_view f;
    struct channel_data cd;
    ck_assert_int_eq(frame_scan(buf_span(&p->got), 10000, &f), ERR_OK);
    struct rd in = rd_of(f.body);
    ck_assert_int_eq(channel_data_decode(&in, &cd), ERR_OK);
    ck_assert_uint_eq(cd.options, SEND_ASYNCHRONOUS);
    ck_assert(span_eq(cd.message, SPAN_LIT("reply")));
    ck_assert(member_same(&cd.source, channel_local(world_nodes[1]->channel)));
    p->rec.port = 1; /* nobody there: given up, and no more than so many at a time */
    for (unsigned i = 0; i < CHANNEL_STRANGERS_MAX + 10; i++)
        channel_send_stranger(world_nodes[1]->channel, &m, &p->rec);
    sim_run_ms(world_sim, 5000);
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, messages_failed), CHANNEL_STRANGERS_MAX + 10);
    ck_assert_uint_eq(logs_count("too many messages to nodes that are not in the view"), 1);
    world_peer_free(p);
    world_end();
}
END_TEST

/* The ids of all loops' messages differ, and look as Tomcat's do. */
START_TEST(test_ids_differ)
{
    enum { EACH = 300 };
    static struct ident ids[4 * EACH];
    size_t n = 0;

    world_begin(14);
    world_up(2);
    for (unsigned node = 1; node <= 2; node++) {
        struct host *h = world_nodes[node]->host;
        struct loop *loops[] = {host_main(h), host_worker(h, 0)};
        for (unsigned i = 0; i < 2 * EACH; i++) {
            struct message m = {0};
            channel_stamp(world_nodes[node]->channel, loops[i % 2], &m);
            ck_assert_uint_eq(m.id.b[6] >> 4, 4);
            ck_assert_uint_eq(m.id.b[8] >> 6, 2);
            ids[n++] = m.id;
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert(!ident_eq(&ids[i], &ids[k]));
    world_end();
}
END_TEST

/* What interceptors of Tomcats say to their like, byte for byte as Tomcat sends it. */
START_TEST(test_notices_are_swallowed)
{
    static const char *const names[] = {"const-TcpFailureDetector.TCP_FAIL_DETECT",
                                        "const-TcpPingInterceptor.TCP_PING_DATA",
                                        "const-StaticMembershipInterceptor.MEMBER_START",
                                        "const-StaticMembershipInterceptor.MEMBER_STOP",
                                        "const-COORD_ALIVE",
                                        "nbc-election-request",
                                        "nbc-view-conf",
                                        "2pc-phase2-message"};
    struct buf b = {0};
    unsigned n = 0;

    world_begin(14);
    world_up(1);
    struct world_peer *p = world_peer_new(1);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf bytes = {0};
        vectors_get("interceptors-10.1.60.json", names[i], &bytes);
        for (uint32_t options = 0; options < 8; options++) {
            buf_clear(&b);
            world_peer_frame(p, options, buf_span(&bytes), &b);
            world_peer_send(p, 1, buf_span(&b));
            n++;
        }
        buf_fini(&bytes);
    }
    sim_run_ms(world_sim, 200);
    ck_assert_uint_eq(world_nodes[1]->messages, 0);
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, messages_swallowed), n);
    ck_assert_uint_eq(p->answers.n, n / 2 * ACK_FRAME_LEN); /* acknowledged where it was asked for */
    buf_fini(&b);
    stream_close(p->out, 0);
    sim_run_ms(world_sim, 100);
    world_peer_free(p);
    world_end();
}
END_TEST

/* Before the start and after the stop nothing is sent, and every caller learns it. */
START_TEST(test_sending_out_of_time)
{
    struct member_rec rec = {.port = 4000, .host_len = 4, .host = {10, 0, 0, 9}};
    struct world_delivery w = {0};
    struct diag d = {0};

    world_begin(15);
    struct world_node *n = world_make(1);
    struct member *m = view_member_new(&rec);
    struct message msg = {.options = 2, .payload = SPAN_LIT("x"), .delivery = &w.d};
    ck_assert_int_eq(channel_new(n->host, &n->conf, &world_events, n, &n->metrics, &d, &n->channel), ERR_OK);
    delivery_init(&w.d, host_main(n->host), world_on_delivered);
    channel_send(n->channel, &msg, &(struct targets){1, &m});
    delivery_seal(&w.d);
    sim_run_ms(world_sim, 10);
    ck_assert(w.done);
    ck_assert_int_eq(atomic_load(&w.d.failed), 1);
    view_member_unref(m);
    diag_fini(&d);
    world_end();
}
END_TEST

START_TEST(test_the_heartbeat_comes_each_five_seconds)
{
    world_begin(16);
    world_up(1);
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_ge(world_nodes[1]->heartbeats, 12);
    ck_assert_uint_le(world_nodes[1]->heartbeats, 13);
    world_end();
}
END_TEST

START_TEST(test_a_port_in_use_and_a_start_that_fails)
{
    struct diag d = {0};

    world_begin(17);
    struct world_node *n = world_make(1);
    mem_free(n->mcast.bind);
    n->mcast.bind = mem_strdup("10.7.7.7");
    ck_assert_int_eq(channel_new(n->host, &n->conf, &world_events, n, &n->metrics, &d, &n->channel), ERR_OK);
    ck_assert_int_eq(channel_start(n->channel, world_on_started, n, &d), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "10.7.7.7"));
    diag_fini(&d);
    world_end(); /* stops it all the same */
}
END_TEST

CLUSTERD_SUITE(channel, &test_start_takes_four_frequencies, &test_members_know_each_other,
               &test_the_view_is_sorted_by_alive, &test_a_jump_of_alive_sorts_the_view_anew,
               &test_stopping_says_so_first, &test_start_options, &test_deliveries_under_each_send_option,
               &test_who_waits_for_a_stopped_member, &test_a_refusing_listener_fails_a_synchronized_message,
               &test_group_datagrams, &test_malformed_group_datagrams, &test_our_own_identity_from_elsewhere,
               &test_a_message_to_a_stranger, &test_ids_differ, &test_notices_are_swallowed,
               &test_sending_out_of_time, &test_the_heartbeat_comes_each_five_seconds,
               &test_a_port_in_use_and_a_start_that_fails)
