/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain nodes; see plain_node.h.
 */
#include "plain_node.h"

#include "clusterd/session/manager.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define LINGER_MS  1000
#define GIVE_UP_MS 60000

static void on_ready(void *arg)
{
    struct plain_node *n = arg;

    n->ready = true;
    n->ready_ms = sim_now_us(n->sim) / 1000;
}

void plain_node_start(struct plain_node *n, struct sim *sim, unsigned index)
{
    static const struct node_events events = {.on_ready = on_ready};
    struct diag d = {0};
    char ip[32], yaml[512];

    snprintf(ip, sizeof ip, "10.0.0.%u", index + 1);
    snprintf(yaml, sizeof yaml,
             "cluster:\n  membership: {address: 228.0.0.4}\n"
             "  receiver: {address: %s, port: 4000, allowFrom: [10.0.0.0/8], maxFrameBytes: 1m}\n"
             "contexts: {list: [{name: \"" PLAIN_CONTEXT "\", keyPrefix: \"app:\"}]}\n"
             "frontDoor: {listen: []}\n",
             ip);
    *n = (struct plain_node){.sim = sim, .host = sim_host_new(sim, ip, 1)};
    enum err e = config_load_text(span_str(yaml), "plain.yaml", &d, &n->conf);
    if (e == ERR_OK) {
        n->conf->control.socket[0] = 0; /* nobody asks a simulated node */
        e = node_new(n->host, n->conf, 0, &events, n, &d, &n->node);
    }
    if (e == ERR_OK)
        e = node_start(n->node, &d);
    if (e != ERR_OK) {
        printf("node %u does not start: %s\n", index, buf_cstr(&d.text));
        exit(1);
    }
    diag_fini(&d);
}

bool plain_node_is_ready(void *node)
{
    return ((struct plain_node *)node)->ready;
}

void plain_node_put(struct plain_node *n, struct span id, struct span value, uint32_t seq)
{
    struct table *t = node_table(n->node);
    struct context *c = table_context_find(t, SPAN_LIT(PLAIN_CONTEXT));
    struct table_now now = table_now(host_main(n->host));
    struct change *x = change_new(c, id, (struct version){now.wall_ms - 60000, 1, seq});

    x->life_kind = CHANGE_LIFE_OPEN;
    x->life = (struct version){now.wall_ms - 60000, 1, 1};
    x->life_front = true;
    change_set(x, ENTRY_ATTRIBUTE, SPAN_LIT("a"), blob_new(value), x->version);
    change_seal(x);
    ASSERT(table_apply(t, x, now) == TABLE_APPLIED);
    change_unref(x);
}

static void on_stopped(void *arg)
{
    ((struct plain_node *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
    return ((struct plain_node *)arg)->stopped;
}

void plain_node_end(struct plain_node *n)
{
    if (sim_host_is_dead(n->host)) {
        sim_host_wind_up(n->sim, n->host);
    } else {
        node_stop(n->node, LINGER_MS, on_stopped, n);
        ASSERT(sim_run_until(n->sim, is_stopped, n, GIVE_UP_MS));
    }
    node_free(n->node);
    sim_host_end(n->sim, n->host);
    config_free(n->conf);
    *n = (struct plain_node){0};
}
