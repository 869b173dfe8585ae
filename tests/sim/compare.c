/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes whose tables are alike but for a few sessions, and a comparison of them: afterwards they are
 * alike, and what it has cost goes by what was different, not by what is there. Then a member says nonsense
 * about buckets, and nothing comes of it.
 *
 * Prints the bytes of both comparisons; status 1 when the tables differ or too much was sent.
 */
#include "../../src/session/table_private.h"
#include "plain_node.h"

#include "clusterd/cluster/cluster.h"
#include "clusterd/session/manager.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES       2
#define SESSIONS    40000
#define DIFFER      12    /* that one lacks, that the other lacks, that are older on one of both */
#define MORE        20000 /* that one lacks, all in one shard: more than one summary has */
#define FULL_SHARD  63u
#define VALUE_BYTES 100
#define INTERVAL_MS 30000 /* of comparisons, to one random member: there is one */
#define SETTLE_MS   2000
#define KEY_BYTES   16    /* what a summary has of a session */
#define IDLE_BYTES  40000 /* heartbeats of status in an interval, and the digests of both */
#define GIVE_UP_MS  200000

static struct sim *sim;
static struct plain_node nodes[NODES];

static struct span session_name(unsigned number, char out[32])
{
    snprintf(out, 32, "session-%u", number);
    return span_str(out);
}

static void put(struct plain_node *n, unsigned number, uint32_t seq)
{
    char id[32], text[VALUE_BYTES + 1];

    snprintf(text, sizeof text, "%0*u", VALUE_BYTES, seq);
    plain_node_put(n, session_name(number, id), span_str(text), seq);
}

static bool are_alike(void)
{
    for (unsigned shard = 0; shard < TABLE_SHARDS; shard++) {
        struct table_bucket all = {shard, 0, 0};
        uint64_t hash[NODES];
        for (unsigned i = 0; i < NODES; i++)
            hash[i] = table_digest(node_table(nodes[i].node), all, table_now(host_main(nodes[i].host)), 0);
        if (hash[0] != hash[1])
            return false;
    }
    return true;
}

static uint64_t bytes_sent(void)
{
    return metric_get(node_metrics(nodes[0].node), bytes_sent) +
           metric_get(node_metrics(nodes[1].node), bytes_sent);
}

static uint64_t bytes_of_an_interval(void)
{
    uint64_t before = bytes_sent();

    sim_run_ms(sim, INTERVAL_MS + SETTLE_MS);
    return bytes_sent() - before;
}

/* --- nonsense --- */

static void say(struct plain_node *n, const struct buf *bytes)
{
    struct channel *c = cluster_channel(node_cluster(n->node));
    struct view *v = channel_view(c);
    struct message m = {.options = SEND_BYTE_MESSAGE | SEND_USE_ACK, .payload = buf_span(bytes)};

    ASSERT(v->n == NODES - 1);
    channel_stamp(c, host_main(n->host), &m);
    channel_send(c, &m, &(struct targets){v->n, v->members});
    view_unref(v);
}

/* Every shard, bits and bucket that a byte can say, lengths that are too short, buckets out of their order
 * and twice: with the claim to hold one session that nobody has. */
static void say_nonsense(void)
{
    for (unsigned v = 0; v < 256; v++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            struct buf m = {0};
            cluster_own_begin(&m, (uint8_t) "DYY"[kind]);
            if (kind == 1)
                wr_u8(&m, (uint8_t)v);
            if (kind == 2)
                wr_u8(&m, 3);
            wr_u8(&m, kind == 1 ? 8 : (uint8_t)v);
            for (unsigned i = 0; i < (kind ? 3 : v); i++) {
                wr_u8(&m, (uint8_t)(v ^ i));
                wr_u32(&m, v == 77 ? UINT32_MAX : 1);
                wr_u64(&m, (uint64_t)v << 56);
                wr_u64(&m, v);
            }
            say(&nodes[v % NODES], &m);
            buf_fini(&m);
        }
        sim_run_ms(sim, 100);
    }
    sim_run_ms(sim, SETTLE_MS);
}

static void end_all(void)
{
    for (unsigned i = 0; i < NODES; i++)
        plain_node_end(&nodes[i]);
    sim_free(sim);
}

static bool check(const char *what, bool good)
{
    if (!good)
        printf("FAILED: %s\n", what);
    return good;
}

static bool hold_so_many(unsigned n)
{
    return table_sessions(node_table(nodes[0].node)) == n && table_sessions(node_table(nodes[1].node)) == n;
}

static bool a_few_differ(void)
{
    /* Both nodes ask. For each session that differs: the keys of its bucket, of at most 128 sessions as a
     * rule, from the other side, what is asked for, and the session. */
    uint64_t each = 128 * KEY_BYTES + 2 * VALUE_BYTES + 500, most = IDLE_BYTES + 2 * 3 * DIFFER * each;
    bool good = check("the bound says something", most < SESSIONS * KEY_BYTES);

    for (unsigned i = 0; i < DIFFER; i++) {
        put(&nodes[0], SESSIONS + i, i);
        put(&nodes[1], SESSIONS + DIFFER + i, i);
        put(&nodes[i % 2], i, SESSIONS + i);
    }
    good &= check("they differ", !are_alike());
    uint64_t differing = bytes_of_an_interval(), alike = bytes_of_an_interval();
    printf("%u sessions, %u of them differ: %llu bytes (bound %llu); none differs: %llu bytes\n", SESSIONS,
           3 * DIFFER, (unsigned long long)differing, (unsigned long long)most, (unsigned long long)alike);
    good &= check("a comparison makes them alike", are_alike());
    good &= check("nothing is lost or doubled", hold_so_many(SESSIONS + 2 * DIFFER));
    good &= check("it costs what differs", differing <= most);
    return check("without a difference only digests are sent", alike <= IDLE_BYTES) && good;
}

static bool is_in_full_shard(const struct context *c, unsigned number)
{
    char id[32];

    return session_stable_key(c, session_name(number, id)) >> 58 == FULL_SHARD;
}

static bool many_differ(void)
{
    const struct context *c = table_context_find(node_table(nodes[1].node), SPAN_LIT(PLAIN_CONTEXT));
    unsigned n = 0;

    for (unsigned i = 2 * SESSIONS; n < MORE; i++)
        if (is_in_full_shard(c, i)) {
            put(&nodes[1], i, i);
            n++;
        }
    (void)bytes_of_an_interval();
    bool good = check("a comparison of much makes them alike", are_alike());
    return check("nothing of much is lost or doubled", hold_so_many(SESSIONS + 2 * DIFFER + MORE)) && good;
}

static bool run(void)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        for (unsigned n = 0; n < NODES; n++)
            put(&nodes[n], i, i);
    sim_run_ms(sim, 2 * SETTLE_MS);
    bool good = check("the tables are alike at first", are_alike());
    good &= a_few_differ();
    good &= many_differ();
    say_nonsense();
    return check("nonsense changes nothing", are_alike() && hold_so_many(SESSIONS + 2 * DIFFER + MORE)) &&
           good;
}

int main(void)
{
    sim = sim_new(1);
    for (unsigned i = 0; i < NODES; i++)
        plain_node_start(&nodes[i], sim, i);
    for (unsigned i = 0; i < NODES; i++)
        ASSERT(sim_run_until(sim, plain_node_is_ready, &nodes[i], GIVE_UP_MS));
    bool good = run();
    end_all();
    return good ? 0 : 1;
}
