/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the front door on simulated hosts: RESP2 and RESP3, passwords, pipelines cut anywhere,
 * limits, CLIENT over several workers, stopping. What single commands answer is in test_replies.c.
 */
#include "rig.h"

START_TEST(hello_switches_the_protocol)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "GET none", "$-1\r\n");
    const char *hello = rig_reply(c, "HELLO 3");
    const char *head =
        "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n" FRONT_REDIS_VERSION "\r\n";
    ck_assert_msg(strncmp(hello, head, strlen(head)) == 0, "%s", hello);
    ck_assert_ptr_nonnull(strstr(hello, "$5\r\nproto\r\n:3\r\n"));
    ck_assert_ptr_nonnull(strstr(hello, "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"));
    ck_assert_ptr_nonnull(strstr(hello, "$7\r\nmodules\r\n*0\r\n"));
    buf_clear(&c->got);
    rig_ask(c, "GET none", "_\r\n");
    rig_ask(c, "HSET h a 1", ":1\r\n");
    rig_ask(c, "HGETALL h", "%1\r\n$1\r\na\r\n$1\r\n1\r\n");
    ck_assert_int_eq(strncmp(rig_reply(c, "INFO"), "=", 1), 0);
    buf_clear(&c->got);
    rig_ask(c, "RESET", "+RESET\r\n");
    rig_ask(c, "HGETALL h", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

/* HELLO's own reply has the new form already, and so has what is pipelined behind it. */
START_TEST(hello_in_a_pipeline)
{
    struct buf b = {0};

    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_encode("GET none", &b);
    rig_encode("HELLO 3 SETNAME web", &b);
    rig_encode("CLIENT SETINFO LIB-NAME node-redis", &b);
    rig_encode("CLIENT SETINFO LIB-VER 6.3.1", &b);
    rig_encode("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip", &b);
    rig_encode("GET none", &b);
    rig_send(c, buf_span(&b));
    rig_wait(c, 150);
    const char *got = buf_cstr(&c->got);
    ck_assert_msg(strncmp(got, "$-1\r\n%7\r\n", 9) == 0, "%s", got);
    ck_assert_msg(strstr(got, "*0\r\n+OK\r\n+OK\r\n+OK\r\n_\r\n") != NULL, "%s", got);
    const char *list = rig_reply(c, "CLIENT LIST");
    ck_assert_msg(strstr(list, "name=web") && strstr(list, "lib-name=node-redis lib-ver=6.3.1"), "%s", list);
    buf_fini(&b);
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(password)
{
    struct rig_conf conf = {.front = "requirepass: s3cret"};

    rig_begin(1);
    sim_run_ms(rig_sim, 1800000); /* lines are rate-limited over tests too */
    rig_node(0, &conf);
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        struct rig_client *c = rig_connect(0, unix_socket ? RIG_SOCKET : NULL);
        rig_ask(c, "GET a", "-NOAUTH Authentication required.\r\n");
        rig_ask(c, "PING", "-NOAUTH Authentication required.\r\n");
        rig_ask(c, "AUTH s3cre", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        rig_ask(c, "AUTH s3cret7", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        rig_ask(c, "AUTH other s3cret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        rig_ask(c, "AUTH s3cret", "+OK\r\n");
        rig_ask(c, "GET a", "$-1\r\n");
        rig_ask(c, "RESET", "+RESET\r\n");
        rig_ask(c, "GET a", "-NOAUTH Authentication required.\r\n");
        rig_ask(c, "AUTH default s3cret", "+OK\r\n");
        rig_ask(c, "GET a", "$-1\r\n");
        rig_close(c);
    }
    struct rig_client *control = rig_connect(0, RIG_CONTROL);
    rig_ask(control, "PING", "+PONG\r\n");
    rig_close(control);
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, auth_failures), 6);
    ck_assert_uint_eq(logs_count("s3cre"), 0);
    ck_assert_uint_ge(logs_count("wrong password"), 1);
    rig_end();
}
END_TEST

/* Before AUTH a request may have few and short words, as in Redis: memory is for those who know the password.
 */
START_TEST(unauthenticated_requests_are_small)
{
    struct rig_conf conf = {.front = "requirepass: s3cret"};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    rig_send(c, SPAN_LIT("*11\r\n"));
    rig_expect(c, "-ERR Protocol error: unauthenticated multibulk length\r\n");
    ck_assert(rig_is_closed(c));
    rig_close(c);
    c = rig_connect(0, NULL);
    rig_send(c, SPAN_LIT("*2\r\n$4\r\nAUTH\r\n$16385\r\n"));
    rig_expect(c, "-ERR Protocol error: unauthenticated bulk length\r\n");
    ck_assert(rig_is_closed(c));
    rig_close(c);
    rig_end();
}
END_TEST

static const char *const pipeline[] = {
    "SET a 1 EX 100", "GET a",    "HSET h f v g w", "HGETALL h", "foo bar",    "GET",      "MGET a h none",
    "HDEL h f g",     "EXISTS h", "PING hello",     "TTL a",     "DEL a none", "SET a",    "TYPE a",
    "SELECT 3",       "SET a 3",  "GET a",          "SELECT 0",  "GET a",      "HGET a f",
};

/* What a fresh node answers to these bytes, given in two parts with a pause between, or byte by byte (cut =
 * 0). */
static void answer(struct span bytes, size_t cut, struct buf *out)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    if (cut) {
        rig_send(c, span_of(bytes.p, cut));
        sim_run_ms(rig_sim, 2);
        rig_send(c, span_of(bytes.p + cut, bytes.n - cut));
    }
    for (size_t i = 0; !cut && i < bytes.n; i++) {
        rig_send(c, span_of(bytes.p + i, 1));
        sim_run_ms(rig_sim, 1);
    }
    sim_run_ms(rig_sim, 10);
    wr_span(out, buf_span(&c->got));
    rig_close(c);
    rig_end();
}

START_TEST(pipelines_may_be_cut_anywhere)
{
    struct buf bytes = {0}, whole = {0};

    for (size_t i = 0; i < sizeof pipeline / sizeof *pipeline; i++)
        rig_encode(pipeline[i], &bytes);
    wr_text(&bytes, "PING\r\n\r\nset \"a b\" 'c'\r\nget \"a b\"\r\n*0\r\n*1\r\n$4\r\nPING\r\n");
    answer(buf_span(&bytes), bytes.n, &whole);
    ck_assert_msg(whole.n > 300, "%s", buf_cstr(&whole));
    for (size_t cut = 0; cut < bytes.n; cut++) {
        struct buf got = {0};
        answer(buf_span(&bytes), cut, &got);
        ck_assert_msg(span_eq(buf_span(&got), buf_span(&whole)), "cut at %zu: %s", cut, buf_cstr(&got));
        buf_fini(&got);
    }
    buf_fini(&bytes);
    buf_fini(&whole);
}
END_TEST

/* More commands than one turn executes: nothing is lost, and another connection gets its turn between. */
START_TEST(long_pipelines_share_the_worker)
{
    struct rig_conf conf = {.workers = 1};
    struct buf b = {0}, want = {0};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *many = rig_connect(0, NULL), *one = rig_connect(0, NULL);
    for (int i = 0; i < 5000; i++) {
        char words[64];
        snprintf(words, sizeof words, "ECHO %d", i);
        rig_encode(words, &b);
        snprintf(words, sizeof words, "%d", i);
        resp_bulk(&want, span_str(words));
    }
    rig_send(many, buf_span(&b));
    rig_say(one, "PING");
    rig_expect(one, "+PONG\r\n");
    rig_wait(many, want.n);
    ck_assert(span_eq(buf_span(&many->got), buf_span(&want)));
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, commands), 5001);
    buf_fini(&b);
    buf_fini(&want);
    rig_close(many);
    rig_close(one);
    rig_end();
}
END_TEST

START_TEST(protocol_errors_end_the_connection)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"*99999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
        {"*1\r\n$9999999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
        {"*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"},
        {"set \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
        {"PING\r\n*1\r\nX\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got 'X'\r\n"},
        {"QUIT\r\nPING\r\n", "+OK\r\n"},
        {"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n", ""},
    };

    rig_begin(1);
    rig_node(0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_client *c = rig_connect(0, NULL);
        rig_send(c, span_str(cases[i].in));
        ck_assert_msg(sim_run_until(rig_sim, rig_is_closed, c, 5000), "%s", cases[i].in);
        ck_assert_str_eq(buf_cstr(&c->got), cases[i].out);
        rig_close(c);
    }
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "EXISTS a", ":0\r\n");
    rig_close(c);
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, clients_bad), 7);
    rig_end();
}
END_TEST

/* Announced lengths cost nothing; what has really come is bounded. */
START_TEST(absurd_lengths_take_no_memory)
{
    struct rig_conf conf = {.front = "maxValueBytes: 1m"};
    struct buf big = {0};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    rig_send(c, SPAN_LIT("*1000000\r\n$1\r\nx\r\n"));
    sim_run_ms(rig_sim, 100);
    ck_assert_uint_eq(c->got.n, 0);
    ck_assert(!rig_is_closed(c));
    rig_close(c);
    c = rig_connect(0, NULL);
    rig_send(c, SPAN_LIT("*2\r\n$3\r\nGET\r\n$2097153\r\n"));
    rig_expect(c, "-ERR Protocol error: invalid bulk length\r\n");
    rig_close(c);
    /* A value over the limit gets an error and keeps its connection. */
    c = rig_connect(0, NULL);
    resp_array(&big, 3);
    resp_bulk(&big, SPAN_LIT("SET"));
    resp_bulk(&big, SPAN_LIT("a"));
    size_t n = (1u << 20) + 1;
    resp_bulk_head(&big, n);
    buf_reserve(&big, n + 2);
    memset(big.p + big.n, 'x', n);
    big.n += n;
    wr_text(&big, "\r\n");
    rig_send(c, buf_span(&big));
    rig_expect(c, "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    rig_ask(c, "EXISTS a", ":0\r\n");
    buf_fini(&big);
    rig_close(c);
    rig_end();
}
END_TEST

/* Unfinished requests of all connections share one bound; what is finished gives its room back. */
START_TEST(unfinished_input_is_bounded_over_all_clients)
{
    struct rig_conf conf = {.front = "maxValueBytes: 1m\nmaxBufferBytes: 1m"};
    struct buf half = {0}, rest = {0};
    size_t n = 700000;

    rig_begin(1);
    rig_node(0, &conf);
    resp_array(&half, 3);
    resp_bulk(&half, SPAN_LIT("SET"));
    resp_bulk(&half, SPAN_LIT("a"));
    resp_bulk_head(&half, n + 1);
    buf_reserve(&half, n);
    memset(half.p + half.n, 'x', n);
    half.n += n;
    wr_text(&rest, "y\r\n");
    struct rig_client *first = rig_connect(0, NULL), *second = rig_connect(0, NULL),
                      *small = rig_connect(0, NULL);
    rig_send(first, buf_span(&half));
    sim_run_ms(rig_sim, 200);
    rig_send(second, buf_span(&half));
    rig_expect(second, "-ERR too much unfinished input of all clients (maxBufferBytes)\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, second, 5000));
    rig_ask(small, "SET b 1", "+OK\r\n");
    rig_send(first, buf_span(&rest));
    rig_expect(first, "+OK\r\n");
    rig_close(second);
    second = rig_connect(0, NULL);
    rig_send(second, buf_span(&half));
    sim_run_ms(rig_sim, 200);
    rig_send(second, buf_span(&rest));
    rig_expect(second, "+OK\r\n");
    rig_ask(small, "STRLEN a", ":700001\r\n");
    buf_fini(&half);
    buf_fini(&rest);
    rig_close(first);
    rig_close(second);
    rig_close(small);
    rig_end();
}
END_TEST

/* Short words take more memory than bytes of input: that counts too. */
START_TEST(unfinished_words_count_as_memory)
{
    struct rig_conf conf = {.front = "maxBufferBytes: 1m"};
    struct buf half = {0};

    rig_begin(1);
    rig_node(0, &conf);
    resp_array(&half, 200000);
    for (int i = 0; i < 100000; i++) /* 600,000 bytes */
        resp_bulk(&half, SPAN_LIT(""));
    struct rig_client *c = rig_connect(0, NULL);
    rig_send(c, buf_span(&half));
    rig_expect(c, "-ERR too much unfinished input of all clients (maxBufferBytes)\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c, 5000));
    buf_fini(&half);
    rig_close(c);
    rig_end();
}
END_TEST

/* Many that do not read: each gets a little, together no more than the bound. */
START_TEST(unread_output_is_bounded_over_all_clients)
{
    struct rig_conf conf = {.front = "maxOutputBytes: 1m\nmaxBufferBytes: 1m", .workers = 1};
    struct buf value = {0}, gets = {0};
    struct rig_client *c[20];
    size_t n = 20000;

    rig_begin(1);
    rig_node(0, &conf);
    resp_array(&value, 3);
    resp_bulk(&value, SPAN_LIT("SET"));
    resp_bulk(&value, SPAN_LIT("a"));
    char *x = mem_zalloc(n);
    memset(x, 'x', n);
    resp_bulk(&value, span_of(x, n));
    for (int i = 0; i < 200; i++)
        rig_encode("GET a", &gets);
    for (int i = 0; i < 20; i++)
        c[i] = rig_connect(0, NULL);
    rig_send(c[0], buf_span(&value));
    rig_expect(c[0], "+OK\r\n");
    for (int i = 0; i < 20; i++) {
        stream_pause(c[i]->stream);
        rig_send(c[i], buf_span(&gets));
        sim_run_ms(rig_sim, 50);
    }
    uint64_t executed = metric_get(&rig_nodes[0]->metrics, commands);
    ck_assert_msg(executed < 20 * 200 / 2, "%llu", (unsigned long long)executed);
    for (int i = 0; i < 20; i++)
        stream_resume(c[i]->stream);
    for (int i = 0; i < 20; i++) {
        rig_wait(c[i], 200 * (n + 10));
        ck_assert_uint_eq(c[i]->got.n, 200 * (n + 10));
        rig_close(c[i]);
    }
    mem_free(x);
    buf_fini(&value);
    buf_fini(&gets);
    rig_end();
}
END_TEST

START_TEST(max_clients)
{
    struct rig_conf conf = {.front = "maxClients: 3"};
    struct rig_client *c[3];

    rig_begin(1);
    rig_node(0, &conf);
    for (int i = 0; i < 3; i++) {
        c[i] = rig_connect(0, NULL);
        rig_ask(c[i], "PING", "+PONG\r\n");
    }
    struct rig_client *more = rig_connect(0, NULL);
    rig_expect(more, "-ERR max number of clients reached\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, more, 5000));
    rig_close(more);
    struct rig_client *control = rig_connect(0, RIG_CONTROL);
    rig_ask(control, "PING", "+PONG\r\n");
    rig_close(control);
    rig_close(c[0]);
    sim_run_ms(rig_sim, 10);
    more = rig_connect(0, NULL);
    rig_ask(more, "PING", "+PONG\r\n");
    rig_close(more);
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, clients_refused), 1);
    ck_assert_uint_eq(logs_count("maxClients (3) reached, refusing 10.0.9.9:"), 1);
    rig_close(c[1]);
    rig_close(c[2]);
    rig_end();
}
END_TEST

START_TEST(idle_connections_end)
{
    struct rig_conf conf = {.front = "idleTimeout: 5000"};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *idle = rig_connect(0, NULL), *busy = rig_connect(0, NULL),
                      *half = rig_connect(0, NULL), *control = rig_connect(0, RIG_CONTROL);
    rig_send(half, SPAN_LIT("*2\r\n$3\r\nGE"));
    for (int i = 0; i < 9; i++) {
        sim_run_ms(rig_sim, 1000);
        rig_ask(busy, "PING", "+PONG\r\n");
    }
    ck_assert(rig_is_closed(idle));
    ck_assert(rig_is_closed(half));
    ck_assert(!rig_is_closed(busy));
    ck_assert(!rig_is_closed(control));
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, clients_idle), 2);
    rig_close(idle);
    rig_close(half);
    rig_close(busy);
    rig_close(control);
    rig_end();
}
END_TEST

/* A peer that sends commands and reads no replies: its commands stop, and go on when it reads. */
START_TEST(slow_readers_stop_being_read)
{
    struct rig_conf conf = {.front = "maxOutputBytes: 100000", .workers = 1};
    struct buf value = {0}, gets = {0};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL), *other = rig_connect(0, NULL);
    resp_array(&value, 3);
    resp_bulk(&value, SPAN_LIT("SET"));
    resp_bulk(&value, SPAN_LIT("a"));
    char *x = mem_zalloc(20001);
    memset(x, 'x', 20000);
    resp_bulk(&value, span_of(x, 20000));
    rig_send(c, buf_span(&value));
    rig_expect(c, "+OK\r\n");
    stream_pause(c->stream);
    for (int i = 0; i < 1000; i++)
        rig_encode("GET a", &gets);
    rig_send(c, buf_span(&gets));
    sim_run_ms(rig_sim, 500);
    uint64_t executed = metric_get(&rig_nodes[0]->metrics, commands);
    ck_assert_msg(executed < 900, "%llu commands were executed for nobody", (unsigned long long)executed);
    rig_ask(other, "PING", "+PONG\r\n");
    stream_resume(c->stream);
    rig_wait(c, 1000 * (20000 + 10));
    ck_assert_uint_eq(c->got.n, 1000 * (size_t)(20000 + 10));
    mem_free(x);
    buf_fini(&value);
    buf_fini(&gets);
    rig_close(c);
    rig_close(other);
    rig_end();
}
END_TEST

/* One reply may be large, but not without end: 600 times one value. */
START_TEST(floods_are_cut)
{
    struct rig_conf conf = {.front = "maxOutputBytes: 65536"};
    struct buf b = {0};

    rig_begin(1);
    sim_run_ms(rig_sim, 900000); /* lines are rate-limited over tests too */
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    rig_say(c, "SET a 0123456789012345678901234567890123456789012345678901234567890123456789");
    rig_expect(c, "+OK\r\n");
    resp_array(&b, 20001);
    resp_bulk(&b, SPAN_LIT("MGET"));
    for (int i = 0; i < 20000; i++)
        resp_bulk(&b, SPAN_LIT("a"));
    rig_send(c, buf_span(&b));
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c, 5000));
    ck_assert_uint_eq(c->got.n, 0);
    ck_assert_uint_eq(logs_count("one reply has more"), 1);
    buf_fini(&b);
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(loading)
{
    rig_begin(1);
    rig_node(0, NULL);
    front_set_loading(rig_nodes[0]->front, true);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "GET a", "-LOADING Redis is loading the dataset in memory\r\n");
    rig_ask(c, "HSET a b c", "-LOADING Redis is loading the dataset in memory\r\n");
    rig_ask(c, "PING", "+PONG\r\n");
    rig_ask(c, "SELECT 1", "+OK\r\n");
    rig_ask(c, "CLIENT SETNAME x", "+OK\r\n");
    ck_assert_ptr_nonnull(strstr(rig_reply(c, "INFO"), "loading:1\r\n"));
    ck_assert_ptr_nonnull(strstr(rig_reply(c, "COMMAND COUNT"), ":"));
    front_set_loading(rig_nodes[0]->front, false);
    ck_assert_ptr_nonnull(strstr(rig_reply(c, "info persistence"), "loading:0\r\n"));
    buf_clear(&c->got);
    rig_ask(c, "GET a", "$-1\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(client_list_and_kill_reach_all_workers)
{
    struct rig_conf conf = {.workers = 3};
    struct rig_client *c[6];
    char words[64];

    rig_begin(1);
    rig_node(0, &conf);
    for (int i = 0; i < 6; i++) {
        c[i] = rig_connect(0, i == 5 ? RIG_SOCKET : NULL);
        snprintf(words, sizeof words, "CLIENT SETNAME c%d", i);
        rig_ask(c[i], words, "+OK\r\n");
    }
    const char *list = rig_reply(c[0], "CLIENT LIST");
    for (int i = 0; i < 6; i++) {
        snprintf(words, sizeof words, "name=c%d ", i);
        ck_assert_msg(strstr(list, words) != NULL, "%s", list);
    }
    ck_assert_ptr_nonnull(strstr(list, "addr=" RIG_SOCKET ":0"));
    buf_clear(&c[0]->got);
    rig_ask(c[0], "CLIENT KILL ID 4", ":1\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c[3], 5000));
    rig_ask(c[0], "CLIENT KILL ID 4", ":0\r\n");
    /* Replies behind it wait for it. */
    struct buf b = {0};
    rig_encode("PING", &b);
    rig_encode("CLIENT KILL ID 5", &b);
    rig_encode("PING", &b);
    rig_send(c[1], buf_span(&b));
    rig_expect(c[1], "+PONG\r\n:1\r\n+PONG\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c[4], 5000));
    /* All others: the asker stays. */
    rig_ask(c[0], "CLIENT KILL TYPE normal", ":3\r\n");
    rig_ask(c[0], "PING", "+PONG\r\n");
    rig_ask(c[0], "CLIENT KILL TYPE normal SKIPME no", ":1\r\n");
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c[0], 5000));
    buf_fini(&b);
    for (int i = 0; i < 6; i++)
        rig_close(c[i]);
    rig_end();
}
END_TEST

START_TEST(stopping_with_open_connections)
{
    struct rig_client *c[20];

    rig_begin(1);
    rig_node(0, NULL);
    for (int i = 0; i < 20; i++) {
        c[i] = rig_connect(0, i % 2 ? RIG_SOCKET : NULL);
        if (i % 3 == 0)
            rig_send(c[i], SPAN_LIT("*2\r\n$3\r\nGET\r\n$100\r\nabc"));
    }
    rig_say(c[1], "CLIENT LIST"); /* on its way through the workers */
    rig_stop(0);
    for (int i = 0; i < 20; i++)
        rig_close(c[i]);
    rig_end();
}
END_TEST

/* A node that never started, and one whose port is taken. */
START_TEST(starting_fails_cleanly)
{
    struct diag d = {0};
    struct front *second;

    rig_begin(1);
    struct rig_node *n = rig_node(0, NULL);
    ck_assert_int_eq(front_new(n->manager, &n->front_conf, NULL, NULL, &n->metrics, &d, &second), ERR_OK);
    ck_assert_int_ne(front_start(second, &d), ERR_OK);
    ck_assert_msg(strstr(buf_cstr(&d.text), "10.0.0.1:6380: it is in use") != NULL, "%s", buf_cstr(&d.text));
    front_free(second);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "PING", "+PONG\r\n");
    rig_close(c);
    diag_fini(&d);
    rig_end();
}
END_TEST

START_TEST(unknown_commands_are_counted_and_logged_without_their_arguments)
{
    rig_begin(1);
    sim_run_ms(rig_sim, 3600000); /* lines are rate-limited over tests too */
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "FLUSHALL geheim", "-ERR unknown command 'FLUSHALL', with args beginning with: 'geheim' \r\n");
    rig_ask(c, "CLUSTERD MEMBERS",
            "-ERR unknown command 'CLUSTERD', with args beginning with: 'MEMBERS' \r\n");
    rig_ask(c, "client|id", "-ERR unknown command 'client|id', with args beginning with: \r\n");
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, commands_unknown), 3);
    ck_assert_uint_eq(logs_count("unknown command 'FLUSHALL' from 10.0.9.9"), 1);
    ck_assert_uint_eq(logs_count("geheim"), 0);
    rig_close(c);
    rig_end();
}
END_TEST

CLUSTERD_SUITE(front_connection, &hello_switches_the_protocol, &hello_in_a_pipeline, &password,
               &unauthenticated_requests_are_small, &pipelines_may_be_cut_anywhere,
               &long_pipelines_share_the_worker, &protocol_errors_end_the_connection,
               &absurd_lengths_take_no_memory, &unfinished_input_is_bounded_over_all_clients,
               &unfinished_words_count_as_memory, &unread_output_is_bounded_over_all_clients, &max_clients,
               &idle_connections_end, &slow_readers_stop_being_read, &floods_are_cut, &loading,
               &client_list_and_kill_reach_all_workers, &stopping_with_open_connections,
               &starting_fails_cleanly, &unknown_commands_are_counted_and_logged_without_their_arguments)
