/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated cluster and its invariants; see world.h. A run has three phases: start (hosts come up, some
 * of them at once), busy (writes, reads, kills, restarts, pauses, broken connections, clock jumps), quiet
 * (faults end; everything must agree). Broken at any time:
 *   - a read on a complete node was below a number that had been acknowledged before the read (sync)
 *   - an acknowledged number is on no node or not on each (after quiet)
 *   - an ended session is there
 *   - nodes differ in what they hold, or in who is a member
 *   - something is still queued
 */
#include "world.h"

#include "clusterd/session/edit.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/value.h"

#include <stdio.h>
#include <stdlib.h>

#define QUIET_MS 75000 /* longer than the interval of comparison */
#define SKEW_MS  3600000

void world_fail(struct world *w, const char *fmt, ...)
{
    size_t n = strlen(w->failure);
    va_list ap;

    if (n + 200 > sizeof w->failure)
        return;
    n += (size_t)snprintf(w->failure + n, sizeof w->failure - n, "  [%llu ms] ",
                          (unsigned long long)sim_now_us(w->sim) / 1000);
    va_start(ap, fmt);
    n += (size_t)vsnprintf(w->failure + n, sizeof w->failure - n, fmt, ap);
    va_end(ap);
    if (n + 1 < sizeof w->failure) {
        w->failure[n] = '\n';
        w->failure[n + 1] = 0;
    }
}

uint32_t world_rnd(struct world *w, uint32_t bound)
{
    return sim_random_below(w->sim, bound);
}

/* --- nodes --- */

static void on_ready(void *arg)
{
    ((struct world_node *)arg)->ready = true;
}

static const struct node_events node_events = {.on_ready = on_ready};

static void start_node(struct world_node *n)
{
    struct world *w = n->world;
    struct diag d = {0};
    char yaml[1024];

    snprintf(yaml, sizeof yaml,
             "cluster:\n  channelSendOptions: %s\n  maxBytes: 1g\n"
             "  membership: {address: 228.0.0.4}\n"
             "  receiver: {address: %s, port: 4000, allowFrom: [10.0.0.0/8]}\n"
             "contexts:\n  auto: true\n  list:\n    - {name: \"%s\", keyPrefix: \"app:\"}\n"
             "frontDoor: {listen: []}\n",
             w->conf.sync ? "\"sync,use_ack\"" : "async", n->ip, WORLD_CONTEXT);
    n->host = sim_host_new(w->sim, n->ip, 1 + world_rnd(w, 2));
    if (w->conf.skew)
        sim_host_set_wall_offset(n->host, (int64_t)world_rnd(w, 2 * SKEW_MS) - SKEW_MS);
    bool loads = config_load_text(span_str(yaml), "sim.yaml", &d, &n->conf) == ERR_OK;
    if (loads)
        n->conf->control.socket[0] = 0; /* nobody asks a simulated node */
    if (!loads || node_new(n->host, n->conf, 0, &node_events, n, &d, &n->node) != ERR_OK ||
        node_start(n->node, &d) != ERR_OK)
        world_fail(w, "node %u does not start: %s", n->index, buf_cstr(&d.text));
    n->up = true;
    n->ready = n->stopping = n->paused = false;
    n->lives++;
    diag_fini(&d);
}

static void forget_node(struct world_node *n)
{
    sim_host_wind_up(n->world->sim, n->host);
    node_free(n->node);
    sim_host_end(n->world->sim, n->host);
    config_free(n->conf);
    n->node = NULL;
    n->host = NULL;
    n->up = n->ready = false;
}

static void kill_node(struct world_node *n)
{
    n->world->kills++;
    n->up = n->ready = false;
    sim_host_kill(n->world->sim, n->host);
    forget_node(n);
}

static void on_node_stopped(void *arg)
{
    ((struct world_node *)arg)->stopping = false;
}

static bool node_is_stopped(void *arg)
{
    return !((struct world_node *)arg)->stopping;
}

static void stop_node(struct world_node *n)
{
    n->stopping = true;
    node_stop(n->node, 1000, on_node_stopped, n);
    if (!sim_run_until(n->world->sim, node_is_stopped, n, 60000))
        world_fail(n->world, "node %u does not stop", n->index);
    forget_node(n);
}

static bool is_complete(const struct world_node *n)
{
    return n->up && n->ready && manager_is_complete(node_manager(n->node), NULL);
}

static unsigned n_complete(struct world *w)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->conf.n_nodes; i++)
        n += is_complete(&w->nodes[i]) && !w->nodes[i].paused;
    return n;
}

static bool all_up(struct world *w)
{
    for (unsigned i = 0; i < w->conf.n_nodes; i++)
        if (!is_complete(&w->nodes[i]) || w->nodes[i].paused)
            return false;
    return true;
}

/* --- writes and reads, as a front door makes them: on a worker of a node --- */

struct op {
    struct task task;
    struct delivery delivery;
    struct world_key *key;
    struct world_node *node;
    unsigned life;
    int64_t number; /* < 0: end the session */
    int64_t acked_before;
    bool is_read;
};

static const struct span attr_name = {(const uint8_t *)"n", 1};

static int64_t number_of(struct table *t, struct host *h, const char *id)
{
    struct context *c = table_context_find(t, SPAN_LIT(WORLD_CONTEXT));
    struct change *s = c ? table_snapshot(t, c, span_str(id), false, table_now(host_main(h))) : NULL;
    int64_t n = -1;

    for (size_t i = 0; s && i < s->n; i++) {
        struct buf text = {0};
        if (s->entries[i].present && span_eq(s->entries[i].name, attr_name) &&
            value_text(blob_span(s->entries[i].value), 100, &text) == ERR_OK)
            n = atoll(buf_cstr(&text));
        buf_fini(&text);
    }
    change_unref(s);
    return n;
}

static void op_done(struct op *op, bool acked)
{
    struct world_key *k = op->key;

    k->busy = false;
    if (acked && op->number >= 0 && op->number > k->acked)
        k->acked = op->number;
    if (acked && op->number < 0)
        k->ended_acked = true;
    k->world->acks += acked;
    mem_free(op);
}

static void on_delivered(struct delivery *d, bool cancelled)
{
    struct op *op = CONTAINER_OF(d, struct op, delivery);
    bool alive = op->node->up && op->node->lives == op->life;

    op_done(op, !cancelled && alive && atomic_load(&d->failed) == 0 && atomic_load(&d->lagging) == 0);
}

static void run_read(struct op *op)
{
    struct world *w = op->key->world;
    int64_t seen = number_of(node_table(op->node->node), op->node->host, op->key->id);

    w->reads++;
    if (w->conf.sync && is_complete(op->node) && op->acked_before > 0 && !op->key->ended &&
        seen < op->acked_before)
        world_fail(w, "a read of %s on node %u gave %lld after %lld had been acknowledged", op->key->id,
                   op->node->index, (long long)seen, (long long)op->acked_before);
    mem_free(op);
}

static void run_write(struct op *op)
{
    struct manager *m = node_manager(op->node->node);
    struct loop *loop = host_worker(op->node->host, 0);
    struct context *c = table_context_find(manager_table(m), SPAN_LIT(WORLD_CONTEXT));
    struct edit e;
    char text[24];

    delivery_init(&op->delivery, loop, on_delivered);
    edit_open(&e, m, loop, c, span_str(op->key->id));
    if (op->number < 0) {
        edit_end(&e);
    } else {
        snprintf(text, sizeof text, "%lld", (long long)op->number);
        if (!edit_exists(&e))
            edit_reset(&e);
        edit_set(&e, ENTRY_ATTRIBUTE, attr_name, value_from_bytes(span_str(text)));
    }
    if (edit_close(&e, &op->delivery) != ERR_OK)
        delivery_result(&op->delivery, DELIVERY_FAILED);
    delivery_seal(&op->delivery);
}

static void run_op(struct task *t, bool cancelled)
{
    struct op *op = CONTAINER_OF(t, struct op, task);

    if (cancelled || !op->node->up) {
        if (op->is_read)
            mem_free(op);
        else
            op_done(op, false);
    } else if (op->is_read) {
        run_read(op);
    } else {
        run_write(op);
    }
}

struct move {
    struct task task;
    struct world_mover *mover;
};

static void set_number(struct world_mover *v, struct manager *m, struct loop *loop, struct context *c)
{
    struct edit e;
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)++v->number);
    edit_open(&e, m, loop, c, span_str(v->id));
    if (!edit_exists(&e))
        edit_reset(&e);
    edit_set(&e, ENTRY_ATTRIBUTE, attr_name, value_from_bytes(span_str(text)));
    if (edit_close(&e, NULL) != ERR_OK)
        world_fail(v->world, "node %u refuses %s", v->node->index, v->id);
}

static void run_move(struct task *t, bool cancelled)
{
    struct move *move = CONTAINER_OF(t, struct move, task);
    struct world_mover *v = move->mover;
    char to[sizeof v->id];

    v->busy = false;
    mem_free(move);
    if (cancelled || !v->node->up || v->node->lives != v->life)
        return;
    struct manager *m = node_manager(v->node->node);
    struct loop *loop = host_worker(v->node->host, 0);
    struct context *c = table_context_find(manager_table(m), SPAN_LIT(WORLD_CONTEXT));
    set_number(v, m, loop, c);
    snprintf(to, sizeof to, "M%u.%u.%u", v->index, v->serial, ++v->generation);
    if (edit_rename(m, loop, &(struct edit_name){c, span_str(v->id)}, &(struct edit_name){c, span_str(to)},
                    false, NULL) != ERR_OK)
        world_fail(v->world, "node %u cannot rename %s", v->node->index, v->id);
    memcpy(v->id, to, sizeof to);
    set_number(v, m, loop, c);
}

static struct world_node *some_complete_node(struct world *w)
{
    unsigned first = world_rnd(w, w->conf.n_nodes);

    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        struct world_node *n = &w->nodes[(first + i) % w->conf.n_nodes];
        if (is_complete(n) && !n->paused)
            return n;
    }
    return NULL;
}

static void begin_op(struct world *w, bool read)
{
    struct world_key *k = &w->keys[world_rnd(w, WORLD_KEYS)];
    struct world_node *n = some_complete_node(w);

    if (!n || k->ended || (!read && k->busy))
        return;
    struct op *op = MEM_NEW(struct op);
    op->task.run = run_op;
    op->key = k;
    op->node = n;
    op->life = n->lives;
    op->is_read = read;
    op->acked_before = k->acked;
    if (!read) {
        bool end = k->issued > 3 && world_rnd(w, 60) == 0;
        k->busy = true;
        k->ended = end;
        op->number = end ? -1 : ++k->next;
        k->issued = op->number;
        w->writes++;
    }
    loop_post(host_worker(n->host, 0), &op->task);
}

static bool is_moved(const struct world_mover *v)
{
    return v->node && v->node->up && v->node->lives == v->life;
}

static void begin_move(struct world *w)
{
    struct world_mover *v = &w->movers[world_rnd(w, WORLD_MOVERS)];

    if (v->busy)
        return;
    if (!is_moved(v)) {
        v->node = some_complete_node(w);
        if (!v->node)
            return;
        v->life = v->node->lives;
        v->number = 0;
        v->generation = 0;
        snprintf(v->id, sizeof v->id, "M%u.%u.0", v->index, ++v->serial);
    }
    struct move *move = MEM_NEW(struct move);
    *move = (struct move){{NULL, run_move}, v};
    v->busy = true;
    loop_post(host_worker(v->node->host, 0), &move->task);
}

/* --- faults --- */

static void fault(struct world *w)
{
    struct world_node *n = &w->nodes[world_rnd(w, w->conf.n_nodes)];

    switch (world_rnd(w, 6)) {
    case 0:
    case 1: /* the next only when the cluster has healed, and never the last holder */
        if (w->kills < w->conf.kills && all_up(w) && n_complete(w) > 1)
            kill_node(n);
        break;
    case 2:
        if (w->conf.n_nodes > 1) {
            struct world_node *other = &w->nodes[world_rnd(w, w->conf.n_nodes)];
            if (n != other && n->up && other->up)
                sim_reset_streams(w->sim, n->host, other->host);
        }
        break;
    case 3:
        if (n->up && w->conf.skew)
            sim_host_set_wall_offset(n->host, (int64_t)world_rnd(w, 2 * SKEW_MS) - SKEW_MS);
        break;
    case 4:
        if (n->up && !n->paused && !w->conf.sync && all_up(w)) {
            n->paused = true;
            sim_host_pause(w->sim, n->host, true);
        }
        break;
    default:
        if (n->paused) {
            n->paused = false;
            sim_host_pause(w->sim, n->host, false);
        }
    }
}

static void restart_the_dead(struct world *w)
{
    for (unsigned i = 0; i < w->conf.n_nodes; i++)
        if (!w->nodes[i].up && world_rnd(w, 200) == 0)
            start_node(&w->nodes[i]);
}

/* --- phases --- */

static bool is_started(void *arg)
{
    struct world *w = arg;

    for (unsigned i = 0; i < w->conf.n_nodes; i++)
        if (!w->nodes[i].ready)
            return false;
    return true;
}

static void begin(struct world *w)
{
    w->sim = sim_new(w->seed);
    sim_set_net(w->sim, &(struct sim_net){.datagram_loss_percent = w->conf.loss_percent,
                                          .datagram_dup_percent = 2,
                                          .delay_min_us = 50,
                                          .delay_max_us = 100 + world_rnd(w, 5000),
                                          .stream_timeout_ms = 15000});
    for (unsigned i = 0; i < WORLD_KEYS; i++) {
        w->keys[i].world = w;
        snprintf(w->keys[i].id, sizeof w->keys[i].id, "K%u", i);
    }
    for (unsigned i = 0; i < WORLD_MOVERS; i++) {
        w->movers[i].world = w;
        w->movers[i].index = i;
    }
    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        struct world_node *n = &w->nodes[i];
        n->world = w;
        n->index = i;
        snprintf(n->ip, sizeof n->ip, "10.0.0.%u", i + 1);
        start_node(n);
        if (world_rnd(w, 2))
            sim_run_ms(w->sim, world_rnd(w, 3000));
    }
    for (unsigned i = 0; i < w->conf.n_tomcats; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "10.0.1.%u", i + 1);
        w->tomcats[i] =
            tomcat_start(w, ip, i, w->conf.skew ? (int64_t)world_rnd(w, 2 * SKEW_MS) - SKEW_MS : 0);
    }
    if (!sim_run_until(w->sim, is_started, w, 120000))
        world_fail(w, "the nodes are not ready after two minutes");
    sim_run_ms(w->sim, 8000); /* everybody knows everybody */
}

static void busy(struct world *w)
{
    uint64_t until = sim_now_us(w->sim) + (uint64_t)w->conf.steps_ms * 1000;

    while (sim_now_us(w->sim) < until && !*w->failure) {
        sim_run_ms(w->sim, 1 + world_rnd(w, 4));
        for (unsigned i = world_rnd(w, 4); i; i--)
            begin_op(w, world_rnd(w, 3) == 0);
        for (unsigned i = 0; i < w->conf.n_tomcats; i++)
            if (world_rnd(w, 10) == 0)
                tomcat_step(w->tomcats[i]);
        if (world_rnd(w, 20) == 0)
            begin_move(w);
        if (world_rnd(w, 150) == 0)
            fault(w);
        restart_the_dead(w);
    }
}

static bool is_healed(void *arg)
{
    struct world *w = arg;

    for (unsigned i = 0; i < w->conf.n_tomcats; i++)
        if (!tomcat_is_idle(w->tomcats[i]))
            return false;
    return all_up(w);
}

static bool is_drained(void *arg)
{
    struct world *w = arg;
    bool drained = true;

    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        struct view *v = channel_view(cluster_channel(node_cluster(w->nodes[i].node)));
        for (size_t m = 0; m < v->n; m++)
            drained &= atomic_load(&v->members[m]->queued_bytes) == 0;
        view_unref(v);
    }
    return drained;
}

static void quiet(struct world *w)
{
    for (unsigned i = 0; i < w->conf.n_tomcats; i++)
        tomcat_quiesce(w->tomcats[i]);
    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        struct world_node *n = &w->nodes[i];
        if (n->paused)
            sim_host_pause(w->sim, n->host, false);
        n->paused = false;
        if (!n->up)
            start_node(n);
    }
    sim_set_net(w->sim,
                &(struct sim_net){.delay_min_us = 50, .delay_max_us = 500, .stream_timeout_ms = 15000});
    if (!sim_run_until(w->sim, is_healed, w, 180000))
        world_fail(w, "not every node is complete three minutes after the last fault");
    sim_run_ms(w->sim, QUIET_MS);
    /* A heartbeat's question may just be on its way. */
    (void)sim_run_until(w->sim, is_drained, w, 1000);
}

/* --- the end --- */

struct lines {
    char **v;
    size_t n;
};

static void add_line(void *arg, struct change *c)
{
    struct lines *l = arg;
    uint64_t sum = 0;

    for (size_t i = 0; i < c->n; i++)
        if (c->entries[i].present && c->entries[i].kind != ENTRY_DEADLINE)
            sum += hash_mix(
                hash_stable(c->entries[i].name),
                hash_mix(hash_stable(blob_span(c->entries[i].value)), (uint64_t)c->entries[i].number));
    l->v = mem_realloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = mem_printf("%s %.*s %016llx", c->context->name, (int)c->id.n, (const char *)c->id.p,
                              (unsigned long long)sum);
    change_unref(c);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct lines all_of(struct world_node *n)
{
    struct lines l = {0};
    uint64_t at = 0;

    do
        table_walk(node_table(n->node), NULL, false, &at, 1000, table_now(host_main(n->host)), add_line, &l);
    while (at);
    if (l.n)
        qsort(l.v, l.n, sizeof *l.v, by_text);
    return l;
}

static void lines_fini(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->v[i]);
    mem_free(l->v);
}

static void compare(struct world *w, struct world_node *a, struct world_node *b)
{
    struct lines la = all_of(a), lb = all_of(b);

    for (size_t i = 0, j = 0; i < la.n || j < lb.n;) {
        int c = i == la.n ? 1 : j == lb.n ? -1 : strcmp(la.v[i], lb.v[j]);
        if (c < 0)
            world_fail(w, "node %u holds '%s', node %u does not", a->index, la.v[i], b->index);
        if (c > 0)
            world_fail(w, "node %u holds '%s', node %u does not", b->index, lb.v[j], a->index);
        i += c <= 0;
        j += c >= 0;
    }
    lines_fini(&la);
    lines_fini(&lb);
}

static void check_view(struct world *w, struct world_node *n)
{
    struct view *v = channel_view(cluster_channel(node_cluster(n->node)));

    if (v->n != w->conf.n_nodes + w->conf.n_tomcats - 1)
        world_fail(w, "node %u sees %zu members instead of %u", n->index, v->n,
                   w->conf.n_nodes + w->conf.n_tomcats - 1);
    for (size_t i = 0; i < v->n; i++)
        if (atomic_load(&v->members[i]->queued_bytes))
            world_fail(w, "node %u still has %llu bytes queued for %s", n->index,
                       (unsigned long long)atomic_load(&v->members[i]->queued_bytes), v->members[i]->name);
    view_unref(v);
}

static void check_keys(struct world *w, struct world_node *n)
{
    for (unsigned i = 0; i < WORLD_KEYS; i++) {
        struct world_key *k = &w->keys[i];
        int64_t seen = number_of(node_table(n->node), n->host, k->id);
        if (k->ended_acked && seen >= 0)
            world_fail(w, "node %u: %s has ended and is there with %lld", n->index, k->id, (long long)seen);
        if (!k->ended && w->conf.sync && seen < k->acked)
            world_fail(w, "node %u: %s is %lld, %lld was acknowledged", n->index, k->id, (long long)seen,
                       (long long)k->acked);
    }
}

static void check_all(struct world *w)
{
    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        struct world_node *n = &w->nodes[i];
        if (!n->up)
            continue;
        check_view(w, n);
        check_keys(w, n);
        if (i)
            compare(w, &w->nodes[0], n);
        for (unsigned t = 0; t < w->conf.n_tomcats; t++)
            tomcat_check(w->tomcats[t], n);
    }
    for (unsigned t = 0; t < w->conf.n_tomcats; t++) {
        if (w->conf.sync)
            tomcat_check_replica(w->tomcats[t]);
        for (unsigned i = 0; i < WORLD_MOVERS; i++)
            if (is_moved(&w->movers[i]))
                tomcat_check_mover(w->tomcats[t], &w->movers[i]);
    }
}

void world_run(struct world *w)
{
    begin(w);
    if (!*w->failure)
        busy(w);
    if (!*w->failure)
        quiet(w);
    if (!*w->failure)
        check_all(w);
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < w->conf.n_tomcats; i++)
        tomcat_stop(w->tomcats[i]);
    for (unsigned i = 0; i < w->conf.n_nodes; i++) {
        if (!w->nodes[i].up)
            continue;
        if (w->nodes[i].paused)
            sim_host_pause(w->sim, w->nodes[i].host, false);
        stop_node(&w->nodes[i]);
    }
    sim_free(w->sim);
}
