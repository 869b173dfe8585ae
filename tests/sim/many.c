/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many nodes, of which a heartbeat of the channel is for some only, in turn:
 *
 *   - a quiet minute costs a node as many messages among 24 as among 8;
 *   - a clock that was set is known to all before long;
 *   - a node that was killed and is started again becomes complete at once, and all others hear of it.
 *
 * Status 1 when one of them goes wrong.
 */
#include "plain_node.h"

#include "clusterd/util/log.h"

#include <stdio.h>
#include <stdlib.h>

#define FEW         8
#define MANY        24
#define START_MS    60000
#define SETTLE_MS   60000
#define QUIET_MS    60000
#define GROWTH_MAX  1.1 /* comparisons are with a member that chance chooses */
#define SET_MS      7000
#define SET_ERROR   100
#define ROUND_MS    (MANY / VIEW_TURN_MEMBERS * 5000) /* five seconds: heartbeats of the channel */
#define ON_WAY_MS   1000
#define SET_NODE    5
#define KILLED_NODE 7
#define COMPLETE_MS 10000

static struct sim *sim;
static struct plain_node nodes[MANY];
static unsigned n_nodes;

static bool all_ready(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < n_nodes; i++)
        if (!nodes[i].ready)
            return false;
    return true;
}

static void begin(unsigned n)
{
    sim = sim_new(n);
    n_nodes = n;
    for (unsigned i = 0; i < n; i++)
        plain_node_start(&nodes[i], sim, i);
    ASSERT(sim_run_until(sim, all_ready, NULL, START_MS));
    sim_run_ms(sim, SETTLE_MS);
}

static void end(void)
{
    for (unsigned i = 0; i < n_nodes; i++)
        plain_node_end(&nodes[i]);
    sim_free(sim);
}

static unsigned long long messages(void)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < n_nodes; i++)
        n += metric_get(node_metrics(nodes[i].node), messages_sent);
    return n;
}

static double messages_of_a_quiet_minute(void)
{
    unsigned long long before = messages();

    sim_run_ms(sim, QUIET_MS);
    return (double)(messages() - before) / n_nodes;
}

/* Of how many other nodes is this true of what they know about that one? */
static unsigned count_others(unsigned of, bool (*is_so)(const struct member *m))
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_nodes; i++) {
        struct view *v = channel_view(cluster_channel(node_cluster(nodes[i].node)));
        for (size_t k = 0; i != of && k < v->n; k++)
            n += v->members[k]->addr.ip[3] == of + 1 && is_so(v->members[k]);
        view_unref(v);
    }
    return n;
}

static bool has_set_clock(const struct member *m)
{
    return llabs(atomic_load(&m->clock_offset_ms) - SET_MS) <= SET_ERROR;
}

static bool is_complete(const struct member *m)
{
    return atomic_load(&m->complete);
}

static bool all_know_complete(void *arg)
{
    (void)arg;
    return count_others(KILLED_NODE, is_complete) == n_nodes - 1;
}

static bool clock_is_heard_of(void)
{
    sim_host_set_wall_offset(nodes[SET_NODE].host, SET_MS);
    sim_run_ms(sim, ROUND_MS + ON_WAY_MS);
    unsigned n = count_others(SET_NODE, has_set_clock);
    printf("%u of %u nodes know of a clock that was set %d s ago\n", n, n_nodes - 1,
           (ROUND_MS + ON_WAY_MS) / 1000);
    return n == n_nodes - 1;
}

static bool returns(void)
{
    sim_host_kill(sim, nodes[KILLED_NODE].host);
    plain_node_end(&nodes[KILLED_NODE]);
    uint64_t from_ms = sim_now_us(sim) / 1000;
    plain_node_start(&nodes[KILLED_NODE], sim, KILLED_NODE);
    if (!sim_run_until(sim, plain_node_is_ready, &nodes[KILLED_NODE], COMPLETE_MS)) {
        printf("a node among %u is not complete %d ms after its start\n", n_nodes, COMPLETE_MS);
        return false;
    }
    printf("a node among %u is complete %llu ms after its start\n", n_nodes,
           (unsigned long long)(sim_now_us(sim) / 1000 - from_ms));
    bool heard = sim_run_until(sim, all_know_complete, NULL, ON_WAY_MS);
    printf("%u of %u others have heard of it\n", count_others(KILLED_NODE, is_complete), n_nodes - 1);
    return heard;
}

int main(void)
{
    log_set_level(LOG_ERROR);
    begin(FEW);
    double few = messages_of_a_quiet_minute();
    end();
    begin(MANY);
    double many = messages_of_a_quiet_minute();
    printf("messages of a node in a quiet minute: %.1f among %d, %.1f among %d\n", few, FEW, many, MANY);
    bool good = many <= few * GROWTH_MAX;
    good &= clock_is_heard_of();
    good &= returns();
    end();
    return good ? 0 : 1;
}
