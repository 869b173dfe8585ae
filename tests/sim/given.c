/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a comparison gives, in cases where giving it could do harm or is easily forgotten:
 *
 *   - far more than a member's queue may hold, while new sessions are written: those are there in time,
 *     nothing is dropped, and all that is given arrives;
 *   - a value that has run out on one node, and the older one that it replaced on the other;
 *   - an attribute that was removed from a session whose creation no node has heard of;
 *   - a shard so full that its keys are more than a frame may have, for a node that has nothing.
 *
 * Status 1 when one of them goes wrong.
 */
#include "../../src/session/table_private.h"
#include "plain_node.h"

#include "clusterd/session/edit.h"
#include "clusterd/session/manager.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE        3000
#define LARGE_BYTES  50000 /* all of them: more than twice the 64 MiB of a member's queue */
#define LIVE         2400  /* one each LIVE_MS: longer than it takes to give the large ones */
#define LIVE_MS      50
#define LIVE_LATE_MS 2000
#define FULL_SHARD   5u
#define FULL         70000 /* sessions of one shard: 16 bytes of each in a summary */
#define DELAY_US     20000
#define TTL_MS       10000
#define GRACE_MS     2000  /* what is over is still held, unseen */
#define CUT_MS       60000 /* both have noticed it */
#define COMPARED_MS  40000 /* a comparison with one of one member each 30 s */
#define GIVE_UP_MS   200000

static struct sim *sim;
static struct plain_node nodes[2];

static bool check(const char *what, bool good)
{
    if (!good)
        printf("FAILED: %s\n", what);
    return good;
}

static struct context *context_of(const struct plain_node *n)
{
    return table_context_find(node_table(n->node), SPAN_LIT(PLAIN_CONTEXT));
}

/* The value of attribute "a", or that there is no such session. */
static bool has(const struct plain_node *n, struct span id, struct span value)
{
    struct change *c =
        table_snapshot(node_table(n->node), context_of(n), id, true, table_now(host_main(n->host)));
    bool found = false;

    for (size_t i = 0; c && i < c->n; i++)
        found |= c->entries[i].kind == ENTRY_ATTRIBUTE && c->entries[i].present &&
                 span_eq(blob_span(c->entries[i].value), value);
    change_unref(c);
    return found;
}

static void set(struct plain_node *n, struct span id, struct span value, int64_t ttl_ms)
{
    struct edit e;

    edit_open(&e, node_manager(n->node), host_main(n->host), context_of(n), id);
    edit_reset(&e);
    edit_set(&e, ENTRY_ATTRIBUTE, SPAN_LIT("a"), blob_new(value));
    if (ttl_ms)
        edit_set_ttl(&e, ttl_ms);
    ASSERT(edit_close(&e, NULL) == ERR_OK);
}

static void start(void)
{
    sim = sim_new(1);
    for (unsigned i = 0; i < 2; i++)
        plain_node_start(&nodes[i], sim, i);
    for (unsigned i = 0; i < 2; i++)
        ASSERT(sim_run_until(sim, plain_node_is_ready, &nodes[i], GIVE_UP_MS));
    sim_run_ms(sim, COMPARED_MS);
}

static void end(void)
{
    for (unsigned i = 0; i < 2; i++)
        plain_node_end(&nodes[i]);
    sim_free(sim);
}

/* Node 1 has much that node 0 lacks, and goes on writing. */
static bool live_writes_pass(void)
{
    static char value[LARGE_BYTES + 1];
    unsigned late = 0;
    char id[32];

    start();
    memset(value, 'x', LARGE_BYTES);
    for (unsigned i = 0; i < LARGE; i++) {
        snprintf(id, sizeof id, "large-%u", i);
        plain_node_put(&nodes[1], span_str(id), span_str(value), 1);
    }
    sim_set_net(sim, &(struct sim_net){
                         .delay_min_us = DELAY_US, .delay_max_us = DELAY_US, .stream_timeout_ms = 15000});
    for (unsigned i = 0; i < LIVE; i++) {
        snprintf(id, sizeof id, "live-%u", i);
        set(&nodes[1], span_str(id), SPAN_LIT("live"), 0);
        sim_run_ms(sim, LIVE_MS);
        if (i < LIVE_LATE_MS / LIVE_MS)
            continue;
        snprintf(id, sizeof id, "live-%u", i - LIVE_LATE_MS / LIVE_MS);
        late += !has(&nodes[0], span_str(id), SPAN_LIT("live"));
    }
    sim_run_ms(sim, COMPARED_MS);
    uint64_t dropped = metric_get(node_metrics(nodes[1].node), messages_dropped_full),
             held = table_sessions(node_table(nodes[0].node));
    printf("%u sessions of %u bytes given: %u of %u live writes late, %llu messages dropped, %llu sessions\n",
           LARGE, LARGE_BYTES, late, LIVE, (unsigned long long)dropped, (unsigned long long)held);
    bool good = check("live writes do not wait for what is given", late == 0);
    good &= check("nothing is dropped", dropped == 0);
    good &= check("all that is given arrives", held == LARGE + LIVE);
    end();
    return good;
}

static bool what_ran_out_stays_out(void)
{
    struct span id = SPAN_LIT("session");

    start();
    set(&nodes[0], id, SPAN_LIT("old"), 0);
    sim_run_ms(sim, COMPARED_MS);
    bool good = check("both have the old value",
                      has(&nodes[0], id, SPAN_LIT("old")) && has(&nodes[1], id, SPAN_LIT("old")));
    sim_set_link(sim, nodes[0].host, nodes[1].host, false);
    sim_run_ms(sim, CUT_MS);
    set(&nodes[1], id, SPAN_LIT("new"), TTL_MS);
    sim_run_ms(sim, TTL_MS + GRACE_MS);
    good &= check("the old value is on one side only",
                  has(&nodes[0], id, SPAN_LIT("old")) && !has(&nodes[1], id, SPAN_LIT("old")));
    sim_set_link(sim, nodes[0].host, nodes[1].host, true);
    sim_run_ms(sim, COMPARED_MS);
    good &= check("the old value stays replaced",
                  !has(&nodes[0], id, SPAN_LIT("old")) && !has(&nodes[1], id, SPAN_LIT("old")));
    end();
    return good;
}

/* A delta of a Tomcat whose CREATED is unknown. */
static void apply_delta(struct plain_node *n, struct span id, bool removes, uint32_t seq)
{
    struct table_now now = table_now(host_main(n->host));
    struct change *c = change_new(context_of(n), id, (struct version){now.wall_ms - 60000, 1, seq});

    if (removes)
        change_remove(c, ENTRY_ATTRIBUTE, SPAN_LIT("a"), c->version);
    else
        change_set(c, ENTRY_ATTRIBUTE, SPAN_LIT("a"), blob_new(SPAN_LIT("value")), c->version);
    change_seal(c);
    ASSERT(table_apply(node_table(n->node), c, now) == TABLE_APPLIED);
    change_unref(c);
}

static bool a_removal_arrives(void)
{
    struct span id = SPAN_LIT("session");

    start();
    apply_delta(&nodes[0], id, false, 1);
    apply_delta(&nodes[1], id, false, 1);
    apply_delta(&nodes[1], id, true, 2);
    bool good =
        check("one has it", has(&nodes[0], id, SPAN_LIT("value")) && !has(&nodes[1], id, SPAN_LIT("value")));
    sim_run_ms(sim, COMPARED_MS);
    good &= check("a removal arrives", !has(&nodes[0], id, SPAN_LIT("value")));
    end();
    return good;
}

static bool a_full_shard_fits(void)
{
    char id[32];
    unsigned n = 0;

    start();
    for (unsigned i = 0; n < FULL; i++) {
        snprintf(id, sizeof id, "session-%u", i);
        if (session_stable_key(context_of(&nodes[1]), span_str(id)) >> (64 - STORE_SHARD_BITS) != FULL_SHARD)
            continue;
        plain_node_put(&nodes[1], span_str(id), SPAN_LIT("x"), 1);
        n++;
    }
    sim_run_ms(sim, COMPARED_MS);
    bool good = check("a full shard is given", table_sessions(node_table(nodes[0].node)) == FULL);
    for (unsigned i = 0; i < 2; i++)
        good &= check("no frame is too long", metric_get(node_metrics(nodes[i].node), frames_bad) == 0);
    end();
    return good;
}

int main(void)
{
    bool good = live_writes_pass();

    good &= what_ran_out_stays_out();
    good &= a_removal_arrives();
    good &= a_full_shard_fits();
    return good ? 0 : 1;
}
