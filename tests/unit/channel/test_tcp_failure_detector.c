/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TcpFailureDetector in whole channels on simulated hosts: how fast a death is noticed, who stays as a
 * suspect, who is let in, and what a probe looks like on the wire.
 */
#include "clusterd/wire/notice.h"
#include "unit/channel/world.h"

static bool is_told(void *arg)
{
    return ((struct world_node *)arg)->disappeared > 0;
}

static bool is_two_gone(void *arg)
{
    (void)arg;
    return world_nodes[1]->disappeared > 0 && world_nodes[3]->disappeared > 0;
}

/* Milliseconds from now until nodes 1 and 3 have been told. */
static double until_told(void)
{
    uint64_t t0 = sim_now_us(world_sim);

    ck_assert(sim_run_until(world_sim, is_two_gone, NULL, 30000));
    return (double)(sim_now_us(world_sim) - t0) / 1000;
}

START_TEST(test_a_killed_idle_process_is_noticed_at_once)
{
    double worst = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        world_begin(seed);
        world_up(3);
        sim_run_ms(world_sim, 1000 + seed * 37);
        world_kill(2);
        double ms = until_told();
        worst = ms > worst ? ms : worst;
        ck_assert_uint_eq(world_nodes[1]->shutdowns, 0);
        ck_assert_uint_eq(logs_count("Verification complete. Member disappeared"), 2);
        sim_run_ms(world_sim, 10000);
        ck_assert_uint_eq(world_nodes[1]->disappeared,
                          1); /* once, and its last heartbeats bring it not back */
        ck_assert_uint_eq(world_nodes[1]->added, 2);
        world_end();
    }
    printf("kill -9 of an idle node: told after at most %.2f ms of virtual time\n", worst);
    ck_assert_double_lt(worst, 50);
}
END_TEST

START_TEST(test_a_killed_busy_process_is_noticed_at_once)
{
    world_begin(30);
    world_up(3);
    for (unsigned i = 0; i < 200; i++)
        world_send(1 + i % 3, SPAN_LIT("busy"), 0x0f, NULL);
    sim_run_ms(world_sim, 1);
    for (unsigned i = 0; i < 200; i++)
        world_send(1, SPAN_LIT("busy"), 0x0f, NULL);
    world_kill(2);
    ck_assert_double_lt(until_told(), 50);
    world_end();
}
END_TEST

/* Nothing is said when the power goes: heartbeats end, then the probe finds nobody. */
START_TEST(test_a_host_without_power)
{
    world_begin(31);
    world_up(3);
    world_power_off(2);
    double ms = until_told();
    ck_assert_double_gt(ms, 2500);
    ck_assert_double_lt(ms, 3000 + 500 + 1000 + 100);
    ck_assert_uint_ge(
        logs_count("Received memberDisappeared[org.apache.catalina.tribes.membership.MemberImpl["
                   "tcp://10.0.0.2:4000,10.0.0.2,4000, alive="),
        2);
    ck_assert_uint_ge(logs_count("] message. Will verify."), 2);
    world_end();
}
END_TEST

START_TEST(test_a_stopped_process_is_a_suspect)
{
    world_begin(32);
    world_up(3);
    sim_host_pause(world_sim, world_nodes[2]->host, true);
    sim_run_ms(world_sim, 2000);
    ck_assert(!atomic_load(&world_member(1, 2)->suspect));
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_eq(world_nodes[1]->disappeared, 0);
    ck_assert(atomic_load(&world_member(1, 2)->suspect));
    ck_assert(atomic_load(&world_member(3, 2)->suspect));
    ck_assert(!atomic_load(&world_member(1, 3)->suspect));
    ck_assert_uint_ge(logs_count("Verification complete. Member still alive"), 2);
    sim_host_pause(world_sim, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 1000);
    ck_assert(!atomic_load(&world_member(1, 2)->suspect));
    ck_assert_uint_eq(world_nodes[1]->added, 2);
    ck_assert_uint_eq(world_nodes[2]->disappeared, 0); /* nor did it lose the others while it slept */
    world_end();
}
END_TEST

START_TEST(test_broken_connections_alone_change_nothing)
{
    world_begin(33);
    world_up(3);
    uint64_t probes = metric_get(&world_nodes[1]->metrics, probes_sent);
    for (unsigned i = 0; i < 5; i++) {
        sim_reset_streams(world_sim, world_nodes[1]->host, world_nodes[2]->host);
        sim_run_ms(world_sim, 3000);
    }
    for (unsigned i = 1; i <= 3; i++)
        ck_assert_uint_eq(world_nodes[i]->disappeared, 0);
    ck_assert_uint_gt(metric_get(&world_nodes[1]->metrics, probes_sent), probes);
    sim_run_ms(world_sim, 20000); /* and probes do not go on for ever */
    probes = metric_get(&world_nodes[1]->metrics, probes_sent);
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, probes_sent), probes);
    world_end();
}
END_TEST

START_TEST(test_lost_heartbeats_are_no_death)
{
    struct sim_net net = {
        .datagram_loss_percent = 20, .datagram_dup_percent = 5, .delay_min_us = 100, .delay_max_us = 30000};

    world_begin(34);
    log_set_level(LOG_INFO);
    world_up(3);
    sim_set_net(world_sim, &net);
    sim_run_ms(world_sim, 3 * 3600 * 1000);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_uint_eq(world_nodes[i]->added, 2);
        ck_assert_uint_eq(world_nodes[i]->disappeared, 0);
    }
    world_end();
}
END_TEST

/* A link that was cut for a while: both sides lose each other, and both find back. */
START_TEST(test_a_partition_and_its_end)
{
    world_begin(35);
    world_up(3);
    sim_set_link(world_sim, world_nodes[1]->host, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 20000);
    ck_assert_ptr_null(world_member(1, 2));
    ck_assert_ptr_null(world_member(2, 1));
    ck_assert_ptr_nonnull(world_member(3, 1));
    sim_set_link(world_sim, world_nodes[1]->host, world_nodes[2]->host, true);
    sim_run_ms(world_sim, 8000);
    ck_assert_ptr_nonnull(world_member(1, 2));
    ck_assert_ptr_nonnull(world_member(2, 1));
    struct world_delivery w;
    world_send(1, SPAN_LIT("back"), 0x07, &w);
    sim_run_ms(world_sim, 500);
    ck_assert_int_eq(atomic_load(&w.d.acked), 2);
    world_end();
}
END_TEST

/* The new process has the port of the old one: a probe of the old one is answered, by the wrong one. */
START_TEST(test_a_restart_on_the_same_address)
{
    for (unsigned gap_ms = 0; gap_ms <= 4000; gap_ms += 400) {
        world_begin(36 + gap_ms);
        world_up(3);
        struct world_node *old = world_nodes[2];
        struct member_rec old_rec = *channel_local(old->channel);
        world_kill(2);
        sim_run_ms(world_sim, gap_ms);
        world_start(2);
        sim_run_ms(world_sim, 9000);
        for (unsigned i = 1; i <= 3; i += 2) {
            struct view *v = world_view(i);
            ck_assert_uint_eq(v->n, 2);
            ck_assert_ptr_null(view_find(v, &old_rec));
            view_unref(v);
            ck_assert_ptr_nonnull(world_member(i, 2));
            ck_assert_msg(world_nodes[i]->disappeared == 1, "gap %u ms", gap_ms);
        }
        ck_assert_uint_eq(world_nodes[2]->added, 2);
        world_end();
    }
}
END_TEST

/* Even when the new process answers the probe of the old one: it is told as soon as the new one is heard. */
START_TEST(test_a_restart_within_a_moment)
{
    world_begin(37);
    world_up(3);
    struct member_rec old_rec = *channel_local(world_nodes[2]->channel);
    world_kill(2);
    world_start(2);
    sim_run_ms(world_sim, 1500);
    for (unsigned i = 1; i <= 3; i += 2) {
        struct view *v = world_view(i);
        ck_assert_uint_eq(v->n, 2);
        ck_assert_ptr_null(view_find(v, &old_rec));
        ck_assert_uint_eq(world_nodes[i]->disappeared, 1);
        view_unref(v);
    }
    world_end();
}
END_TEST

/* A bare peer: heartbeats and TCP apart. */

START_TEST(test_silent_but_answering)
{
    world_begin(50);
    world_up(1);
    struct world_node *n = world_nodes[1];
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 1000);
    ck_assert_uint_eq(n->added, 1);
    struct view *v = world_view(1);
    struct member *m = v->members[0];
    timer_stop(&p->beat);
    sim_run_ms(world_sim, 10000);
    ck_assert(atomic_load(&m->suspect));
    uint64_t probes = metric_get(&n->metrics, probes_sent);
    sim_run_ms(world_sim, 50000);
    ck_assert_uint_ge(metric_get(&n->metrics, probes_sent) - probes, 9); /* each heartbeat of the channel */
    ck_assert_uint_le(metric_get(&n->metrics, probes_sent) - probes, 11);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 100);
    ck_assert(!atomic_load(&m->suspect));
    ck_assert_uint_eq(n->added, 1);
    timer_stop(&p->beat);
    sim_run_ms(world_sim, 320000); /* removeSuspectsTimeout: let be */
    ck_assert(!atomic_load(&m->suspect));
    probes = metric_get(&n->metrics, probes_sent);
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_eq(metric_get(&n->metrics, probes_sent), probes);
    ck_assert_uint_eq(n->disappeared, 0);
    view_unref(v);
    world_peer_free(p);
    sim_run_ms(world_sim, 1000);
    ck_assert_uint_eq(n->disappeared, 1); /* but its end is noticed all the same */
    world_end();
}
END_TEST

/* One probe at a time; what happens during one is looked into by another. */
START_TEST(test_trouble_during_a_probe)
{
    struct sim_net slow = {.delay_min_us = 20000, .delay_max_us = 20000};

    world_begin(56);
    world_up(1);
    struct world_node *n = world_nodes[1];
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 1010);
    timer_stop(&p->beat); /* heard for the last time at 1000 */
    sim_set_net(world_sim, &slow);
    sim_run_ms(world_sim, 3480); /* silence is noticed at 4500 */
    uint64_t probes = metric_get(&n->metrics, probes_sent);
    sim_reset_streams(world_sim, n->host, p->host);
    sim_run_ms(world_sim, 15);
    ck_assert_uint_eq(logs_count("Will verify"), 1);
    ck_assert_uint_eq(metric_get(&n->metrics, probes_sent) - probes, 1);
    sim_run_ms(world_sim, 200);
    ck_assert_uint_eq(metric_get(&n->metrics, probes_sent) - probes, 2);
    ck_assert_uint_eq(n->disappeared, 0);
    world_peer_free(p);
    world_end();
}
END_TEST

START_TEST(test_heard_but_its_port_is_closed)
{
    world_begin(51);
    world_up(1);
    struct world_node *n = world_nodes[1];
    struct world_peer *p = world_peer_new(1);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 20000);
    ck_assert_uint_eq(n->added, 0);
    ck_assert_uint_ge(metric_get(&n->metrics, probes_sent), 3);
    world_peer_listen(p);
    sim_run_ms(world_sim, 5100); /* the next heartbeat of the channel */
    ck_assert_uint_eq(n->added, 1);
    listener_close(p->listener);
    p->listener = NULL;
    sim_reset_streams(world_sim, n->host, p->host);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(n->disappeared, 1); /* although it is still heard */
    sim_run_ms(world_sim, 20000);
    ck_assert_uint_eq(n->added, 1);
    world_peer_listen(p);
    sim_run_ms(world_sim, 5100);
    ck_assert_uint_eq(n->added, 2);
    world_peer_free(p);
    world_end();
}
END_TEST

/* Heard, but connecting leads nowhere (a filter that drops): reported as a suspect, and given up after a
 * while. */
START_TEST(test_heard_but_its_tcp_times_out)
{
    world_begin(52);
    world_up(1);
    struct world_node *n = world_nodes[1];
    struct world_peer *p = world_peer_new(1), *voice = world_peer_new(2);
    world_peer_listen(p);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 1000);
    ck_assert_uint_eq(n->added, 1);
    struct view *v = world_view(1);
    struct member *m = v->members[0];
    timer_stop(&p->beat);
    voice->rec = p->rec; /* its heartbeats go on from elsewhere, while its own host is cut off */
    voice->alive_ms = p->alive_ms;
    world_peer_beat(&voice->beat, voice);
    sim_reset_streams(world_sim, n->host, p->host);
    sim_set_link(world_sim, n->host, p->host, false);
    sim_run_ms(world_sim, 10000);
    ck_assert_uint_eq(n->disappeared, 0);
    ck_assert(atomic_load(&m->suspect));
    ck_assert_uint_ge(logs_count("Member is heard, but its TCP does not answer"), 1);
    ck_assert_uint_le(logs_count("Member is heard, but its TCP does not answer"), 1);
    sim_set_link(world_sim, n->host, p->host, true);
    sim_run_ms(world_sim, 6000);
    ck_assert(!atomic_load(&m->suspect));
    sim_reset_streams(world_sim, n->host, p->host);
    sim_set_link(world_sim, n->host, p->host, false);
    sim_run_ms(world_sim, 320000);
    ck_assert_uint_eq(n->disappeared, 1);
    view_unref(v);
    world_peer_free(voice);
    world_peer_free(p);
    world_end();
}
END_TEST

START_TEST(test_what_a_probe_looks_like)
{
    struct frame_view f;
    struct channel_data cd;

    world_begin(53);
    struct world_node *n = world_make(1);
    n->conf.payload = span_of(NULL, 0);
    world_open(n);
    struct world_peer *p = world_peer_new(1);
    p->rec.payload = SPAN_LIT("clusterd/1"); /* one lane, and nothing else to tell it from a probe */
    world_peer_listen(p);
    sim_run_ms(world_sim, 2500);
    world_peer_beat(NULL, p);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(p->got.n, 199);
    ck_assert_int_eq(frame_scan(buf_span(&p->got), 10000, &f), ERR_OK);
    ck_assert_uint_eq(f.total, 199);
    struct rd in = rd_of(f.body);
    ck_assert_int_eq(channel_data_decode(&in, &cd), ERR_OK);
    ck_assert_uint_eq(cd.options, SEND_BYTE_MESSAGE);
    ck_assert(span_eq(cd.message, NOTICE_PROBE_MESSAGE));
    ck_assert(member_same(&cd.source, channel_local(n->channel)));
    ck_assert_uint_eq(n->added, 1);
    world_peer_free(p);
    world_end();
}
END_TEST

static void *configured(const char *name, const char *yaml, struct interceptor_spec *spec)
{
    struct diag d = {0};
    struct conf_node *map;

    spec->ops = interceptor_find(name);
    ck_assert_ptr_nonnull(spec->ops);
    spec->conf = mem_zalloc(spec->ops->conf_size);
    ck_assert_int_eq(tree_load_text(span_str(yaml), "t", &d, &map), ERR_OK);
    ck_assert_msg(option_load(map, spec->ops->options, NULL, spec->conf, &d) == ERR_OK, "%s",
                  buf_cstr(&d.text));
    tree_free(map);
    diag_fini(&d);
    return spec->conf;
}

/* performReadTest: a process that is stopped does not answer, and is dead in this mode. */
START_TEST(test_the_read_test)
{
    struct interceptor_spec spec;

    world_begin(54);
    configured("org.apache.catalina.tribes.group.interceptors.TcpFailureDetector",
               "performReadTest: true\nreadTestTimeout: 700\n", &spec);
    struct world_node *n = world_make(1);
    n->conf.interceptors = &spec;
    n->conf.n_interceptors = 1;
    world_open(n);
    world_start(2);
    sim_run_ms(world_sim, 3000);
    ck_assert_uint_eq(n->added, 1);
    ck_assert_uint_ge(metric_get(&world_nodes[2]->metrics, messages_swallowed), 1);
    sim_host_pause(world_sim, world_nodes[2]->host, true);
    ck_assert(sim_run_until(world_sim, is_told, n, 4600));
    sim_host_pause(world_sim, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 2000);
    ck_assert_uint_eq(n->added, 2);
    world_end();
    option_free(spec.ops->options, spec.conf);
    mem_free(spec.conf);
}
END_TEST

/* A flood of made-up members: probes are bounded, and none of them gets in. */
START_TEST(test_made_up_members)
{
    world_begin(55);
    log_set_level(LOG_WARN);
    world_up(1);
    struct world_peer *p = world_peer_new(1);
    for (unsigned i = 0; i < 3000; i++) {
        p->rec.id.b[0] = (uint8_t)i;
        p->rec.id.b[1] = (uint8_t)(i >> 8);
        p->rec.host[2] = (uint8_t)(2 + i % 200);
        world_peer_beat(NULL, p);
    }
    sim_run_ms(world_sim, 900);
    ck_assert_uint_ge(metric_get(&world_nodes[1]->metrics, probes_sent), 64);
    ck_assert_uint_le(metric_get(&world_nodes[1]->metrics, probes_sent), 64);
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_eq(world_nodes[1]->added, 0);
    ck_assert_uint_le(metric_get(&world_nodes[1]->metrics, probes_sent), 4000);
    world_start(2);
    sim_run_ms(world_sim, 6000);
    ck_assert_ptr_nonnull(world_member(1, 2));
    world_peer_free(p);
    world_end();
}
END_TEST

CLUSTERD_SUITE(tcp_failure_detector, &test_a_killed_idle_process_is_noticed_at_once,
               &test_a_killed_busy_process_is_noticed_at_once, &test_a_host_without_power,
               &test_a_stopped_process_is_a_suspect, &test_broken_connections_alone_change_nothing,
               &test_lost_heartbeats_are_no_death, &test_a_partition_and_its_end,
               &test_a_restart_on_the_same_address, &test_a_restart_within_a_moment,
               &test_trouble_during_a_probe, &test_silent_but_answering, &test_heard_but_its_port_is_closed,
               &test_heard_but_its_tcp_times_out, &test_what_a_probe_looks_like, &test_the_read_test,
               &test_made_up_members)
