/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that wait for members: two or three nodes on simulated hosts under sync,use_ack, with a link of 10
 * ms. A reply to a write comes when the others hold it; only its own connection waits; pipelines wait once;
 * order is kept; minAcks; members that are cut off; clients that leave meanwhile.
 */
#include "rig.h"

#define SYNC    "channelSendOptions: \"sync,use_ack\"\n"
#define ASYNC   "channelSendOptions: 8\n"
#define LINK_MS 10

static bool all_loaded(void *arg)
{
    unsigned n = *(unsigned *)arg;

    for (unsigned i = 0; i < n; i++) {
        const char *why;
        struct view *v = channel_view(cluster_channel(rig_nodes[i]->cluster));
        bool sees = v->n == n - 1;
        view_unref(v);
        if (!sees || !manager_is_complete(rig_nodes[i]->manager, &why))
            return false;
    }
    return true;
}

static void start(unsigned n, const char *cluster, unsigned min_acks)
{
    struct rig_conf conf = {.cluster = cluster, .min_acks = min_acks, .workers = 1};
    struct sim_net net = {.delay_min_us = LINK_MS * 1000, .delay_max_us = LINK_MS * 1000};

    rig_begin(7);
    sim_set_net(rig_sim, &net);
    for (unsigned i = 0; i < n; i++)
        rig_node(i, &conf);
    ck_assert(sim_run_until(rig_sim, all_loaded, &n, 120000));
    sim_run_ms(rig_sim, 1000);
}

static uint64_t now_ms(void)
{
    return sim_now_us(rig_sim) / 1000;
}

static unsigned blocked(unsigned i)
{
    struct rig_client *c = rig_connect(i, RIG_CONTROL);
    const char *text = strstr(rig_reply(c, "INFO clients"), "blocked_clients:");
    unsigned n = (unsigned)atoi(text + strlen("blocked_clients:"));

    rig_close(c);
    return n;
}

/* The others hold what was acknowledged: nodes are asked on their own hosts, without a link between. */
START_TEST(writes_wait_until_the_members_have_them)
{
    start(3, SYNC, 0);
    struct rig_client *w = rig_connect(0, RIG_SOCKET), *r1 = rig_connect(1, RIG_SOCKET),
                      *r2 = rig_connect(2, RIG_SOCKET);
    uint64_t t = now_ms();
    rig_say(w, "SET a 1");
    rig_wait(w, 5);
    ck_assert_uint_ge(now_ms() - t, 2 * LINK_MS);
    ck_assert_uint_lt(now_ms() - t, 4 * LINK_MS);
    rig_expect(w, "+OK\r\n");
    rig_ask(r1, "GET a", "$1\r\n1\r\n");
    rig_ask(r2, "GET a", "$1\r\n1\r\n");
    t = now_ms();
    rig_ask(w, "GET a", "$1\r\n1\r\n");
    rig_ask(w, "SET a 2 NX", "$-1\r\n");
    rig_ask(w, "DEL none", ":0\r\n");
    rig_ask(w, "EXPIRE none 1", ":0\r\n");
    rig_ask(w, "HDEL none f", ":0\r\n");
    rig_ask(w, "PERSIST a", ":0\r\n");
    ck_assert_uint_lt(now_ms() - t,
                      6 * LINK_MS); /* nothing changed, nothing waits (2 ms each is the test's own) */
    t = now_ms();
    rig_ask(w, "DEL a none", ":1\r\n");
    ck_assert_uint_ge(now_ms() - t, 2 * LINK_MS);
    rig_ask(r1, "EXISTS a", ":0\r\n");
    rig_close(w);
    rig_close(r1);
    rig_close(r2);
    rig_end();
}
END_TEST

START_TEST(async_writes_do_not_wait)
{
    start(2, ASYNC, 0);
    struct rig_client *w = rig_connect(0, RIG_SOCKET), *r = rig_connect(1, RIG_SOCKET);
    uint64_t t = now_ms();
    rig_ask(w, "SET a 1", "+OK\r\n");
    ck_assert_uint_lt(now_ms() - t, LINK_MS);
    sim_run_ms(rig_sim, 3 * LINK_MS);
    rig_ask(r, "GET a", "$1\r\n1\r\n");
    rig_close(w);
    rig_close(r);
    rig_end();
}
END_TEST

START_TEST(a_pipeline_waits_once_and_in_order)
{
    struct buf b = {0}, want = {0};

    start(2, SYNC, 0);
    struct rig_client *w = rig_connect(0, RIG_SOCKET);
    rig_encode("PING", &b);
    for (int i = 0; i < 100; i++) {
        char words[64];
        snprintf(words, sizeof words, "SET k%d %d", i, i);
        rig_encode(words, &b);
        wr_text(&want, "+OK\r\n");
        rig_encode("GET k0", &b);
        wr_text(&want, "$1\r\n0\r\n");
    }
    uint64_t t = now_ms();
    rig_send(w, buf_span(&b));
    rig_wait(w, 7);
    ck_assert_uint_lt(now_ms() - t, LINK_MS); /* what stands before the first write does not wait */
    rig_expect(w, "+PONG\r\n");
    rig_wait(w, want.n);
    ck_assert(span_eq(buf_span(&w->got), buf_span(&want)));
    ck_assert_uint_lt(now_ms() - t, 4 * LINK_MS);
    buf_fini(&b);
    buf_fini(&want);
    rig_close(w);
    rig_end();
}
END_TEST

/* What comes while a connection waits is executed afterwards, not before. */
START_TEST(only_its_own_connection_waits)
{
    start(2, SYNC, 0);
    struct rig_client *w = rig_connect(0, RIG_SOCKET), *other = rig_connect(0, RIG_SOCKET);
    sim_set_link(rig_sim, rig_nodes[0]->host, rig_nodes[1]->host, false);
    rig_say(w, "SET a 1");
    sim_run_ms(rig_sim, 5);
    ck_assert_uint_eq(blocked(0), 1);
    rig_say(w, "SET b 2");
    rig_say(w, "QUIT");
    rig_ask(other, "PING", "+PONG\r\n");
    rig_ask(other, "GET a", "$1\r\n1\r\n");
    rig_ask(other, "EXISTS b", ":0\r\n");
    ck_assert_uint_eq(w->got.n, 0);
    sim_set_link(rig_sim, rig_nodes[0]->host, rig_nodes[1]->host, true);
    rig_expect(w, "+OK\r\n+OK\r\n+OK\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, w, 1000));
    ck_assert_uint_eq(blocked(0), 0);
    rig_close(w);
    rig_close(other);
    rig_end();
}
END_TEST

/* One slow write, then the member is lagging and nobody waits for it. */
START_TEST(a_member_that_is_cut_off_costs_one_wait)
{
    start(2, SYNC, 0);
    struct rig_client *w = rig_connect(0, RIG_SOCKET);
    sim_host_pause(rig_sim, rig_nodes[1]->host, true);
    uint64_t t = now_ms();
    rig_ask(w, "SET a 1", "+OK\r\n");
    ck_assert_uint_ge(now_ms() - t, 1000);
    ck_assert_uint_lt(now_ms() - t, 8000);
    t = now_ms();
    rig_ask(w, "SET a 2", "+OK\r\n");
    ck_assert_uint_lt(now_ms() - t, 100);
    sim_host_pause(rig_sim, rig_nodes[1]->host, false);
    rig_close(w);
    rig_end();
}
END_TEST

START_TEST(min_acks_short)
{
    struct buf b = {0};

    start(2, SYNC, 2);
    struct rig_client *w = rig_connect(0, RIG_SOCKET);
    rig_ask(w, "SET a 1", "-NOREPLICAS Not enough good replicas to write.\r\n");
    rig_ask(w, "GET a", "$1\r\n1\r\n");
    rig_ask(w, "SET a 1 NX", "$-1\r\n");
    rig_encode("PING", &b);
    rig_encode("SET b 2", &b);
    rig_encode("GET b", &b);
    rig_encode("DEL a b", &b);
    rig_encode("GET b", &b);
    rig_encode("HDEL none f", &b);
    rig_send(w, buf_span(&b));
    rig_expect(w, "+PONG\r\n-NOREPLICAS Not enough good replicas to write.\r\n$1\r\n2\r\n"
                  "-NOREPLICAS Not enough good replicas to write.\r\n$-1\r\n:0\r\n");
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, replicas_short), 4); /* DEL changed two sessions */
    buf_fini(&b);
    rig_close(w);
    rig_end();
}
END_TEST

/* What was refused for another reason says so. */
START_TEST(min_acks_and_other_errors)
{
    struct rig_conf conf = {.cluster = SYNC, .min_acks = 2, .max_active = 1};

    rig_begin(7);
    rig_node(0, &conf);
    sim_run_ms(rig_sim, 20000);
    struct rig_client *w = rig_connect(0, RIG_SOCKET);
    rig_ask(w, "SET sess:1 v", "-NOREPLICAS Not enough good replicas to write.\r\n");
    rig_ask(w, "SET sess:2 v", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    rig_ask(w, "HSET sess:1 f v", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    rig_ask(w, "RENAME sess:none sess:2", "-ERR no such key\r\n");
    rig_ask(w, "RENAME sess:1 sess:1", "+OK\r\n");
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, replicas_short), 1);
    rig_close(w);
    rig_end();
}
END_TEST

START_TEST(min_acks_met_and_then_not)
{
    start(3, SYNC, 1);
    struct rig_client *w = rig_connect(0, RIG_SOCKET);
    rig_ask(w, "SET a 1", "+OK\r\n");
    rig_stop(1);
    sim_run_ms(rig_sim, 5000);
    rig_ask(w, "SET a 2", "+OK\r\n");
    rig_stop(2);
    sim_run_ms(rig_sim, 5000);
    rig_ask(w, "SET a 3", "-NOREPLICAS Not enough good replicas to write.\r\n");
    rig_ask(w, "CLIENT REPLY OFF", "");
    rig_ask(w, "SET a 4", "");
    rig_ask(w, "CLIENT REPLY ON", "+OK\r\n");
    rig_ask(w, "GET a", "$1\r\n4\r\n");
    rig_close(w);
    rig_end();
}
END_TEST

START_TEST(clients_that_leave_while_they_wait)
{
    start(2, SYNC, 0);
    struct rig_client *gone = rig_connect(0, RIG_SOCKET), *half = rig_connect(0, NULL),
                      *r = rig_connect(0, RIG_SOCKET);
    rig_say(gone, "SET a 1");
    sim_run_ms(rig_sim, 1);
    rig_close(gone);
    /* Closes right behind its request: the write is done all the same. */
    rig_say(half, "SET b 2");
    stream_close(half->stream, 1000);
    sim_run_ms(rig_sim, 200);
    rig_ask(r, "MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    ck_assert_uint_eq(blocked(0), 0);
    rig_close(half);
    rig_close(r);
    rig_end();
}
END_TEST

/* Replies that wait go out before the connection ends. */
START_TEST(stopping_while_a_reply_waits)
{
    start(2, SYNC, 0);
    struct rig_client *w = rig_connect(0, NULL);
    rig_say(w, "SET a 1");
    sim_run_ms(rig_sim, LINK_MS + 1);
    ck_assert_uint_eq(w->got.n, 0);
    rig_stop(0);
    sim_run_ms(rig_sim, 3 * LINK_MS);
    ck_assert_str_eq(buf_cstr(&w->got), "+OK\r\n");
    rig_close(w);
    rig_end();
}
END_TEST

/* Many connections at once, all waiting, each with its own order. */
START_TEST(many_waiting_connections)
{
    struct rig_client *c[50];
    char words[64], want[128];

    start(2, SYNC, 1);
    for (int i = 0; i < 50; i++)
        c[i] = rig_connect(0, i % 2 ? RIG_SOCKET : NULL);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 50; i++) {
            snprintf(words, sizeof words, "SET k%d %d-%d", i, i, round);
            rig_say(c[i], words);
            snprintf(words, sizeof words, "GET k%d", i);
            rig_say(c[i], words);
        }
        for (int i = 0; i < 50; i++) {
            snprintf(words, sizeof words, "%d-%d", i, round);
            snprintf(want, sizeof want, "+OK\r\n$%zu\r\n%s\r\n", strlen(words), words);
            rig_expect(c[i], want);
        }
    }
    for (int i = 0; i < 50; i++)
        rig_close(c[i]);
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, replicas_short), 0);
    rig_end();
}
END_TEST

/* A node that dies with clients on it and replies waiting: its memory is given back. */
START_TEST(killed_while_replies_wait)
{
    start(2, SYNC, 0);
    struct rig_client *w = rig_connect(0, NULL), *idle = rig_connect(0, NULL);
    rig_say(w, "SET a 1");
    rig_say(idle, "CLIENT LIST");
    sim_run_ms(rig_sim, LINK_MS + LINK_MS / 2);
    ck_assert_uint_eq(w->got.n, 0);
    struct rig_node *n = rig_nodes[0];
    sim_host_kill(rig_sim, n->host);
    sim_host_wind_up(rig_sim, n->host);
    rig_free(n);
    rig_nodes[0] = NULL;
    sim_run_ms(rig_sim, 1000);
    struct rig_client *r = rig_connect(1, RIG_SOCKET);
    rig_ask(r, "PING", "+PONG\r\n");
    ck_assert(rig_is_closed(w));
    ck_assert_uint_eq(w->got.n, 0);
    rig_close(w);
    rig_close(idle);
    rig_close(r);
    rig_end();
}
END_TEST

CLUSTERD_SUITE(front_waiting, &writes_wait_until_the_members_have_them, &async_writes_do_not_wait,
               &a_pipeline_waits_once_and_in_order, &only_its_own_connection_waits,
               &a_member_that_is_cut_off_costs_one_wait, &min_acks_short, &min_acks_and_other_errors,
               &min_acks_met_and_then_not, &clients_that_leave_while_they_wait, &stopping_while_a_reply_waits,
               &many_waiting_connections, &killed_while_replies_wait)
