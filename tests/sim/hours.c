/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle nodes for many simulated hours, on a network that loses datagrams: no member may ever seem to
 * disappear, although with the default times a member's heartbeats are all lost for longer than dropTime
 * every few minutes. In the end one node is killed, and the others must notice.
 *
 *   sim_hours [--hours N] [--nodes N] [--loss PERCENT] [--seed N]
 *
 * Prints what was heard and lost, and the real time that it took. Status 1 when something was wrong.
 */
#include "plain_node.h"

#include "clusterd/util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODES_MAX 8
#define HOUR_MS   3600000ULL
#define LOOK_MS   60000 /* how often the views are looked at */
#define START_MS  120000
#define NOTICE_MS 10000

static struct sim *sim;
static struct plain_node nodes[NODES_MAX];
static unsigned n_nodes = 3;

static bool all_ready(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < n_nodes; i++)
        if (!nodes[i].ready)
            return false;
    return true;
}

static unsigned long long disappeared(void)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < n_nodes; i++)
        n += metric_get(node_metrics(nodes[i].node), members_disappeared);
    return n;
}

/* Does each of the first so many nodes see so many members? */
static bool all_see(unsigned of, size_t members)
{
    for (unsigned i = 0; i < of; i++) {
        struct view *v = channel_view(cluster_channel(node_cluster(nodes[i].node)));
        bool right = v->n == members;
        view_unref(v);
        if (!right)
            return false;
    }
    return true;
}

static bool others_have_noticed(void *arg)
{
    (void)arg;
    return all_see(n_nodes - 1, n_nodes - 2);
}

static bool begin(unsigned loss_percent, uint64_t seed)
{
    sim = sim_new(seed);
    for (unsigned i = 0; i < n_nodes; i++)
        plain_node_start(&nodes[i], sim, i);
    if (!sim_run_until(sim, all_ready, NULL, START_MS) || !all_see(n_nodes, n_nodes - 1)) {
        printf("the nodes do not find each other\n");
        return false;
    }
    sim_set_net(sim, &(struct sim_net){.datagram_loss_percent = loss_percent,
                                       .delay_min_us = 50,
                                       .delay_max_us = 500,
                                       .stream_timeout_ms = 15000});
    return true;
}

static bool idle(unsigned hours)
{
    for (uint64_t ms = 0; ms < hours * HOUR_MS; ms += LOOK_MS) {
        sim_run_ms(sim, LOOK_MS);
        if (disappeared() == 0 && all_see(n_nodes, n_nodes - 1))
            continue;
        printf("after %.3f hours: %llu members have disappeared though all are alive\n",
               (double)(ms + LOOK_MS) / HOUR_MS, disappeared());
        return false;
    }
    return true;
}

static void tell(unsigned hours, unsigned loss_percent, clock_t began)
{
    unsigned long long sent = 0, heard = 0, probes = 0;

    for (unsigned i = 0; i < n_nodes; i++) {
        sent += metric_get(node_metrics(nodes[i].node), heartbeats_sent);
        heard += metric_get(node_metrics(nodes[i].node), heartbeats_received);
        probes += metric_get(node_metrics(nodes[i].node), probes_sent);
    }
    printf(
        "%u hours, %u nodes, %u %% loss: %llu of %llu heartbeats heard, %llu probes, %llu events, %.1f s of "
        "CPU: nobody disappeared\n",
        hours, n_nodes, loss_percent, heard, sent * (n_nodes - 1), probes,
        (unsigned long long)sim_events(sim), (double)(clock() - began) / CLOCKS_PER_SEC);
}

/* The last node dies: that is no false alarm. */
static bool kill_one(void)
{
    sim_host_kill(sim, nodes[n_nodes - 1].host);
    if (!sim_run_until(sim, others_have_noticed, NULL, NOTICE_MS)) {
        printf("a killed node is not noticed within %d ms\n", NOTICE_MS);
        return false;
    }
    return true;
}

static void end(void)
{
    for (unsigned i = 0; i < n_nodes; i++)
        plain_node_end(&nodes[i]);
    sim_free(sim);
}

int main(int argc, char **argv)
{
    unsigned hours = 20, loss_percent = 20;
    uint64_t seed = 1;
    clock_t began = clock();

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hours") == 0 && i + 1 < argc)
            hours = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc)
            n_nodes = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--loss") == 0 && i + 1 < argc)
            loss_percent = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else
            n_nodes = 0;
    }
    if (n_nodes < 2 || n_nodes > NODES_MAX || loss_percent > 99) {
        fprintf(stderr, "usage: %s [--hours N] [--nodes 2-%d] [--loss PERCENT] [--seed N]\n", argv[0],
                NODES_MAX);
        return 2;
    }
    log_set_level(LOG_ERROR);
    if (!begin(loss_percent, seed) || !idle(hours))
        return 1;
    tell(hours, loss_percent, began);
    if (!kill_one())
        return 1;
    end();
    return 0;
}
