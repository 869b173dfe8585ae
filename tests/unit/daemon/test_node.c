/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes on simulated hosts: they find each other, become ready, share a session, leave in order and
 * without order. The front door is not configured here; the simulator has no unix sockets.
 */
#include "clusterd/daemon/node.h"

#include "clusterd/loop/sim.h"
#include "clusterd/session/edit.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>

struct one {
    struct host *host;
    struct config *conf;
    struct node *node;
    char status[256];
    unsigned n_ready, n_stopped, n_left;
};

static void on_ready(void *arg)
{
    ((struct one *)arg)->n_ready++;
}

static void on_status(void *arg, const char *line)
{
    struct one *o = arg;

    snprintf(o->status, sizeof o->status, "%s", line);
}

static void on_leave(void *arg)
{
    ((struct one *)arg)->n_left++;
}

static void on_stopped(void *arg)
{
    ((struct one *)arg)->n_stopped++;
}

static void add_status(void *arg, struct buf *out)
{
    (void)arg;
    wr_text(out, "answer: 42\n");
}

static const struct node_events events = {
    .on_ready = on_ready, .on_status = on_status, .on_leave = on_leave, .add_status = add_status};

static struct config *configure(const char *ip, const char *more)
{
    struct diag d = {0};
    struct config *c = NULL;
    char *yaml = mem_printf("cluster:\n  receiver: {address: %s, allowFrom: [10.0.0.0/8]}\n"
                            "  membership: {bind: %s}\n%sfrontDoor: {listen: []}\n",
                            ip, ip, more);

    ck_assert_msg(config_load_text(span_str(yaml), "sim.yaml", &d, &c) == ERR_OK, "%s", buf_cstr(&d.text));
    mem_free(c->control.socket);
    c->control.socket = NULL;
    mem_free(yaml);
    diag_fini(&d);
    return c;
}

static void make(struct sim *s, struct one *o, const char *ip, const char *more)
{
    struct diag d = {0};

    *o = (struct one){.conf = configure(ip, more)};
    o->host = sim_host_new(s, ip, 2);
    ck_assert_msg(node_new(o->host, o->conf, 0, &events, o, &d, &o->node) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert_msg(node_start(o->node, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert(!node_is_ready(o->node));
    diag_fini(&d);
}

static void finish(struct sim *s, struct one *o)
{
    node_stop(o->node, 1000, on_stopped, o);
    sim_run_ms(s, 3000);
    ck_assert_uint_eq(o->n_stopped, 1);
    node_free(o->node);
    sim_host_end(s, o->host);
    config_free(o->conf);
}

static size_t members(struct one *o)
{
    struct view *v = channel_view(cluster_channel(node_cluster(o->node)));
    size_t n = v->n;

    view_unref(v);
    return n;
}

START_TEST(alone_it_becomes_ready)
{
    struct sim *s = sim_new(1);
    struct one a;
    struct buf status = {0};

    make(s, &a, "10.0.0.1", "  clusterName: shop\n  jvmRoute: n1\n");
    sim_run_ms(s, 30000);
    ck_assert_uint_eq(a.n_ready, 1);
    ck_assert(node_is_ready(a.node));
    ck_assert_str_eq(a.status, "complete, 0 other members, 0 sessions");
    node_status(a.node, &status);
    ck_assert_str_eq(buf_cstr(&status),
                     "state: running\ncluster: shop\njvmRoute: n1\nworkers: 2\nconfig: sim.yaml\n"
                     "answer: 42\n");
    buf_fini(&status);
    finish(s, &a);
    ck_assert_uint_eq(a.n_left, 0);
    sim_free(s);
}
END_TEST

START_TEST(nodes_share_a_session)
{
    struct sim *s = sim_new(2);
    struct one n[3];
    static const char *const ips[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
    struct table_now now;

    for (int i = 0; i < 2; i++)
        make(s, &n[i], ips[i], "");
    sim_run_ms(s, 20000);
    ck_assert(node_is_ready(n[0].node) && node_is_ready(n[1].node));
    ck_assert_uint_eq(members(&n[0]), 1);

    struct context *c = table_context_find_or_add(node_table(n[0].node), SPAN_LIT("localhost#/app"));
    struct edit e;
    edit_open(&e, node_manager(n[0].node), host_main(n[0].host), c, SPAN_LIT("SESSION1"));
    edit_set(&e, ENTRY_ATTRIBUTE, SPAN_LIT("cart"), blob_new(SPAN_LIT("\xac\xed\x00\x05t\x00\x01x")));
    ck_assert_int_eq(edit_close(&e, NULL), ERR_OK);
    sim_run_ms(s, 1000);
    make(s, &n[2], ips[2], ""); /* this one needs the state transfer */
    sim_run_ms(s, 20000);
    for (int i = 1; i < 3; i++) {
        ck_assert_uint_eq(n[i].n_ready, 1);
        struct context *other = table_context_find(node_table(n[i].node), SPAN_LIT("localhost#/app"));
        ck_assert_ptr_nonnull(other);
        now = table_now(host_main(n[i].host));
        struct change *held = table_snapshot(node_table(n[i].node), other, SPAN_LIT("SESSION1"), false, now);
        ck_assert_msg(held != NULL, "node %d has not got it", i + 1);
        change_unref(held);
    }
    ck_assert_str_eq(n[2].status, "complete, 2 other members, 1 sessions");

    finish(s, &n[1]); /* says goodbye: nobody waits for dropTime */
    ck_assert_uint_eq(members(&n[0]), 1);
    finish(s, &n[0]);
    finish(s, &n[2]);
    sim_free(s);
}
END_TEST

static volatile struct one buried; /* volatile: the compiler must not see that nobody reads it */

START_TEST(killed_node_can_be_forgotten)
{
    struct sim *s = sim_new(3);
    struct one a, b;

    make(s, &a, "10.0.0.1", "");
    make(s, &b, "10.0.0.2", "");
    sim_run_ms(s, 20000);
    ck_assert_uint_eq(members(&a), 1);
    sim_host_kill(s, b.host);
    buried = b; /* what its loops had in flight is never finished, so it cannot be freed either */
    sim_run_ms(s, 6000);
    ck_assert_uint_eq(members(&a), 0);
    finish(s, &a);
    sim_free(s);
}
END_TEST

START_TEST(stopped_while_it_starts)
{
    struct sim *s = sim_new(4);
    struct one a;

    for (unsigned ms = 0; ms < 2200; ms += 200) {
        make(s, &a, "10.0.0.1", "");
        sim_run_ms(s, ms);
        finish(s, &a);
        ck_assert_uint_le(a.n_ready, 1);
    }
    sim_free(s);
}
END_TEST

START_TEST(port_in_use)
{
    struct sim *s = sim_new(5);
    struct one a;
    struct diag d = {0};
    struct node *second;

    make(s, &a, "10.0.0.1", "");
    struct config *conf = configure("10.0.0.1", "");
    conf->receiver.auto_bind = 1;
    ck_assert_int_eq(node_new(a.host, conf, 0, &events, &a, &d, &second), ERR_OK);
    ck_assert_int_ne(node_start(second, &d), ERR_OK);
    ck_assert_uint_gt(d.errors, 0);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "4000"));
    a.n_stopped = 0;
    node_stop(second, 0, on_stopped, &a);
    sim_run_ms(s, 1000);
    ck_assert_uint_eq(a.n_stopped, 1);
    node_free(second);
    config_free(conf);
    diag_fini(&d);
    a.n_stopped = 0;
    finish(s, &a);
    sim_free(s);
}
END_TEST

START_TEST(number_of_workers)
{
    struct config *c = configure("10.0.0.1", "");

    c->receiver.max_threads = 15;
    ck_assert_uint_eq(node_workers(c, 1), 1);
    ck_assert_uint_eq(node_workers(c, 2), 1);
    ck_assert_uint_eq(node_workers(c, 4), 3);
    ck_assert_uint_eq(node_workers(c, 64), 6);
    ck_assert_uint_eq(node_workers(c, 0), 1);
    c->receiver.max_threads = 2;
    ck_assert_uint_eq(node_workers(c, 64), 2);
    config_free(c);
}
END_TEST

CLUSTERD_SUITE(node, &alone_it_becomes_ready, &nodes_share_a_session, &killed_node_can_be_forgotten,
               &stopped_while_it_starts, &port_in_use, &number_of_workers)
