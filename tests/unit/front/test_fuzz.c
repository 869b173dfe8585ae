/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes at the connection level: noise, requests with bytes changed, lengths that lie, cut anywhere.
 * Afterwards the front door serves others as before, nothing is left behind, and what other connections wrote
 * is still there. Seeds are fixed; a failure is replayed exactly.
 */
#include "rig.h"

#define ROUNDS 3000

static uint64_t state;

static uint32_t rnd(uint32_t bound)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % bound;
}

static const char *const requests[] = {
    "SET k v EX 10",
    "GET k",
    "HSET h a 1 b 2",
    "HGETALL h",
    "MGET k h none",
    "DEL x y",
    "SCAN 0 MATCH * COUNT 10",
    "EXPIRE k 10 NX",
    "HELLO 3",
    "HELLO 2",
    "CLIENT LIST",
    "CLIENT SETNAME x",
    "INFO",
    "COMMAND DOCS",
    "AUTH a b",
    "SELECT 3",
    "GETEX k PX 100",
    "HDEL h a b",
    "CLIENT KILL ID 99999",
    "CLUSTERD SESSIONS",
    "CLIENT REPLY SKIP",
    "RESET",
};

static void add_noise(struct buf *b)
{
    static const char alphabet[] = "*$:+-0123456789\r\n\r\n \"'\\x[]^?";
    size_t n = rnd(300);

    for (size_t i = 0; i < n; i++)
        wr_u8(b, rnd(4) ? (uint8_t)alphabet[rnd(sizeof alphabet - 1)] : (uint8_t)rnd(256));
}

static void add_lies(struct buf *b)
{
    static const char *const lengths[] = {"-1",
                                          "0",
                                          "1",
                                          "65536",
                                          "1048577",
                                          "536870912",
                                          "4294967295",
                                          "2147483648",
                                          "9223372036854775807",
                                          "18446744073709551616",
                                          "1e9",
                                          "",
                                          "0x10",
                                          "+5",
                                          "007"};
    size_t words = rnd(4);

    wr_printf(b, "*%s\r\n", rnd(3) ? "3" : lengths[rnd(sizeof lengths / sizeof *lengths)]);
    for (size_t i = 0; i < words; i++)
        wr_printf(b, "$%s\r\nGET\r\n", rnd(2) ? "3" : lengths[rnd(sizeof lengths / sizeof *lengths)]);
}

static void make_input(struct buf *b)
{
    buf_clear(b);
    for (unsigned parts = 1 + rnd(6); parts--;) {
        size_t from = b->n;
        switch (rnd(4)) {
        case 0:
            add_noise(b);
            break;
        case 1:
            add_lies(b);
            break;
        default:
            rig_encode(requests[rnd(sizeof requests / sizeof *requests)], b);
            for (unsigned changes = rnd(3); changes--;)
                b->p[from + rnd((uint32_t)(b->n - from))] = (uint8_t)rnd(256);
        }
    }
    if (b->n == 0)
        wr_u8(b, '*');
}

/* Sends it in pieces, to whichever door, and mostly does not wait for the end. */
static void attack(struct buf *b)
{
    static const char *const doors[] = {NULL, RIG_SOCKET, RIG_CONTROL};
    struct rig_client *c = rig_connect(0, doors[rnd(3)]);

    for (size_t at = 0; at < b->n && c->stream;) {
        size_t n = 1 + rnd((uint32_t)(b->n - at));
        rig_send(c, span_of(b->p + at, n));
        at += n;
        if (rnd(2))
            sim_run_ms(rig_sim, rnd(3));
    }
    if (rnd(3))
        sim_run_ms(rig_sim, 5);
    rig_close(c);
}

START_TEST(hostile_bytes)
{
    struct rig_conf conf = {.front = "maxValueBytes: 1m", .max_bytes = 1 << 20};
    struct buf b = {0};

    rig_begin(11);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "SELECT 7", "+OK\r\n");
    rig_ask(c, "SET mine v", "+OK\r\n");
    for (unsigned i = 0; i < ROUNDS; i++) {
        state = i;
        make_input(&b);
        attack(&b);
        if (i % 50 == 0) {
            rig_ask(c, "GET mine", "$1\r\nv\r\n");
            ck_assert_uint_lt(table_bytes(manager_table(rig_nodes[0]->manager)), 2 << 20);
        }
    }
    sim_run_ms(rig_sim, 5000);
    const char *info = rig_reply(c, "INFO clients");
    ck_assert_msg(strstr(info, "connected_clients:1\r\n") != NULL, "%s", info);
    ck_assert_uint_gt(metric_get(&rig_nodes[0]->metrics, clients_bad), ROUNDS / 10);
    ck_assert_uint_gt(metric_get(&rig_nodes[0]->metrics, commands), ROUNDS / 2);
    buf_fini(&b);
    rig_close(c);
    rig_end();
}
END_TEST

/* Every truncation of a request, then the end of the connection. */
START_TEST(truncated_requests)
{
    struct buf b = {0};

    rig_begin(1);
    rig_node(0, NULL);
    rig_encode("HSET h field value", &b);
    for (size_t n = 1; n < b.n; n++) {
        struct rig_client *c = rig_connect(0, NULL);
        rig_send(c, span_of(b.p, n));
        sim_run_ms(rig_sim, 1);
        ck_assert_uint_eq(c->got.n, 0);
        rig_close(c);
    }
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "EXISTS h", ":0\r\n");
    buf_fini(&b);
    rig_close(c);
    rig_end();
}
END_TEST

CLUSTERD_SUITE(front_fuzz, &hostile_bytes, &truncated_requests)
