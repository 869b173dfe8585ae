/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session engine under real threads: the workers of one node edit, rename, end, read and walk the same
 * few sessions while the main loop sweeps and compares; two whole nodes in this process write to each other
 * over loopback, each worker waiting for the acknowledgement of its write. Afterwards the counts are right,
 * the nodes are equal, and nothing is left when everything has ended. Run under TSan too.
 */
#include "clusterd/session/edit.h"
#include "clusterd/util/list.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/value.h"
#include "support/suite.h"

#include <pthread.h>
#include <stdio.h>

#define WORKERS 3
#define IDS     12
#define ROUNDS  400 /* turns of a worker */
#define BURST   20  /* operations in a turn */
#define CONTEXT "localhost#/app"

static const struct manager_options options = {
    .table = {.max_contexts = 100,
              .auto_contexts = true,
              .tombstone_ms = 600000,
              .park_ms = 5000,
              .max_tombstones = 100000},
    .defaults = {.max_inactive_s = 1800, .max_active_sessions = -1}};

static struct span session_name(unsigned i, char out[16])
{
    snprintf(out, 16, "S%u", i % IDS);
    return span_str(out);
}

static struct blob *number(unsigned v)
{
    char text[16];

    snprintf(text, sizeof text, "%u", v);
    return value_from_bytes(span_str(text));
}

/* The visible sessions, counted by walking. */
static void count_id(void *arg, struct context *c, struct span id)
{
    (void)c;
    (void)id;
    ++*(uint64_t *)arg;
}

static uint64_t walk_count(struct manager *m, struct loop *loop, size_t want)
{
    uint64_t at = 0, n = 0;

    do
        table_walk_ids(manager_table(m), NULL, &at, want, table_now(loop), count_id, &n);
    while (at);
    return n;
}

/* --- one node: everything at the same time on the same sessions --- */

struct busy {
    struct task task;
    struct manager *manager;
    struct loop *loop;
    unsigned seed, rounds;
    atomic_uint *running;
};

static unsigned draw(struct busy *b, unsigned bound)
{
    b->seed = b->seed * 1664525u + 1013904223u;
    return (b->seed >> 16) % bound;
}

static struct context *context_of(struct manager *m)
{
    return table_context_find(manager_table(m), SPAN_LIT(CONTEXT));
}

static void drop_change(void *arg, struct change *c)
{
    (void)arg;
    change_unref(c);
}

/* As a front door does. */
static void do_edit(struct busy *b, struct span id)
{
    struct edit e;
    char name[16];

    edit_open(&e, b->manager, b->loop, context_of(b->manager), id);
    if (!edit_exists(&e) || draw(b, 8) == 0)
        edit_reset(&e);
    edit_set(&e, ENTRY_ATTRIBUTE, session_name(draw(b, 5), name), number(draw(b, 1000)));
    if (draw(b, 4) == 0)
        edit_remove(&e, ENTRY_ATTRIBUTE, session_name(draw(b, 5), name));
    if (draw(b, 10) == 0)
        edit_set_ttl(&e, 3600000);
    if (draw(b, 10) == 0)
        edit_cancel(&e);
    else
        ck_assert_int_eq(edit_close(&e, NULL), ERR_OK);
}

/* As a message of a Tomcat does: out of order, by up to a second. */
static void do_apply(struct busy *b, struct span id)
{
    struct table_now now = table_now(b->loop);
    struct version v = {now.wall_ms - draw(b, 1000), 7 + draw(b, 2), draw(b, 1000)};
    struct change *c = change_new(context_of(b->manager), id, v);
    char name[16];

    c->touches = true;
    switch (draw(b, 5)) {
    case 0:
        c->life_kind = CHANGE_LIFE_OPEN;
        c->life = c->floor = v;
        break;
    case 1:
        c->life_kind = CHANGE_LIFE_ENDED;
        c->life = v;
        break;
    case 2:
        change_rename(c, session_name(draw(b, IDS), name));
        break;
    default:
        change_set(c, ENTRY_ATTRIBUTE, session_name(draw(b, 5), name), number(draw(b, 1000)), v);
    }
    change_seal(c);
    (void)table_apply(manager_table(b->manager), c, now);
    change_unref(c);
}

static void do_end(struct busy *b, struct span id)
{
    struct edit e;

    edit_open(&e, b->manager, b->loop, context_of(b->manager), id);
    edit_end(&e);
    ck_assert_int_eq(edit_close(&e, NULL), ERR_OK);
}

static void do_rename(struct busy *b, struct span id)
{
    char name[16];
    struct edit_name from = {context_of(b->manager), id};
    struct edit_name to = {from.context, session_name(draw(b, IDS), name)};
    enum err e = edit_rename(b->manager, b->loop, &from, &to, draw(b, 2), NULL);

    ck_assert(e == ERR_OK || e == ERR_NOT_FOUND || e == ERR_EXISTS);
}

static void do_read(struct busy *b, struct span id)
{
    struct table *t = manager_table(b->manager);
    struct table_now now = table_now(b->loop);
    uint64_t at = 0;

    change_unref(table_snapshot(t, context_of(b->manager), id, draw(b, 2), now));
    if (draw(b, 10) == 0)
        do
            table_walk(t, NULL, true, &at, 3, now, drop_change, NULL);
        while (at);
}

static void run_busy(struct task *t, bool cancelled)
{
    struct busy *b = (struct busy *)t;
    char name[16];

    ck_assert(!cancelled);
    for (unsigned i = 0; i < BURST; i++) {
        struct span id = session_name(draw(b, IDS), name);
        unsigned what = draw(b, 10);
        if (what < 3)
            do_edit(b, id);
        else if (what < 6)
            do_apply(b, id);
        else if (what == 6)
            do_end(b, id);
        else if (what == 7)
            do_rename(b, id);
        else
            do_read(b, id);
    }
    if (--b->rounds)
        loop_post(b->loop, t);
    else
        atomic_fetch_sub(b->running, 1);
}

struct sweeper {
    struct timer timer;
    struct host *host;
    struct manager *manager;
    atomic_uint running;
};

/* The main loop meanwhile: sweeps as if it were later or earlier, and compares. */
static void on_sweep(struct timer *timer, void *arg)
{
    struct sweeper *s = arg;
    struct table *t = manager_table(s->manager);
    struct table_now now = table_now(timer->loop);

    table_sweep(t, 50, now);
    for (unsigned shard = 0; shard < TABLE_SHARDS; shard++) {
        struct table_summary *all = NULL;
        struct table_bucket bucket = {shard, 2, shard % 4};
        size_t n = table_summaries(t, bucket, now, &all);
        (void)table_digest(t, bucket, now, 0);
        ck_assert_uint_le(n, 2 * IDS + 16);
        mem_free(all);
    }
    ck_assert_uint_le(table_sessions(t), IDS);
    if (atomic_load(&s->running))
        timer_start(timer, 1);
    else
        host_stop(s->host);
}

/* Ends all that there is, and lets it be forgotten. */
static void check_empties(struct manager *m, struct loop *loop)
{
    struct table *t = manager_table(m);
    struct table_now now = table_now(loop), later = {now.mono_ms + 3600000, now.wall_ms};
    struct busy b = {.manager = m, .loop = loop};
    char name[16];

    ck_assert_uint_eq(walk_count(m, loop, 1), table_sessions(t));
    ck_assert_uint_eq(walk_count(m, loop, 1000), table_sessions(t));
    ck_assert_uint_eq((uint64_t)atomic_load(&context_of(m)->sessions), table_sessions(t));
    for (unsigned i = 0; i < IDS; i++)
        do_end(&b, session_name(i, name));
    ck_assert_uint_eq(table_sessions(t), 0);
    ck_assert_int_eq(atomic_load(&context_of(m)->sessions), 0);
    for (unsigned i = 0; i < 3; i++)
        table_sweep(t, 1000000, later);
    ck_assert_uint_eq(table_tombstones(t), 0);
    ck_assert_uint_eq(table_bytes(t), 0);
}

START_TEST(workers_share_sessions)
{
    struct metrics metrics = {0};
    struct busy busy[WORKERS];
    struct manager_context context = {.name = CONTEXT};
    struct sweeper s = {.host = host_new_real(WORKERS)};

    s.manager = manager_new(s.host, &options, &context, 1, &metrics);
    atomic_init(&s.running, WORKERS);
    timer_init(&s.timer, host_main(s.host), on_sweep, &s);
    timer_start(&s.timer, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        busy[i] = (struct busy){{NULL, run_busy}, s.manager, host_worker(s.host, i),
                                0x5eed + i,       ROUNDS,    &s.running};
        loop_post(busy[i].loop, &busy[i].task);
    }
    host_run(s.host);
    check_empties(s.manager, host_main(s.host));
    timer_fini(&s.timer);
    manager_free(s.manager);
    host_free(s.host);
}
END_TEST

/* --- two nodes: writes that wait for the other's acknowledgement --- */

#define WRITES 60 /* of a worker */

struct node;

struct writer {
    struct task task;
    struct delivery delivery;
    struct node *node;
    struct loop *loop;
    unsigned index, written, failed;
};

struct node {
    struct host *host;
    struct manager *manager;
    struct cluster *cluster;
    struct node *other;
    struct metrics metrics;
    struct mcast_conf mcast;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    struct cluster_conf conf;
    struct channel_conf channel;
    struct timer tick;
    struct writer writers[WORKERS];
    unsigned phase, ticks;
    bool started, equal;
    atomic_uint writing, done; /* done: this node has nothing to do any more */
};

#define TICK_MS  20
#define TICK_MAX 3000 /* a minute */

static void write_next(struct writer *w);

static void on_delivered(struct delivery *d, bool cancelled)
{
    struct writer *w = CONTAINER_OF(d, struct writer, delivery);

    w->failed += cancelled || atomic_load(&d->failed) > 0;
    if (++w->written < WRITES)
        write_next(w);
    else
        atomic_fetch_sub(&w->node->writing, 1);
}

/* A session of its own, one that all share, and now and then a new id for its own. */
static void write_next(struct writer *w)
{
    struct manager *m = w->node->manager;
    struct context *c = context_of(m);
    struct edit e;
    char own[32], next[32];
    unsigned turn = w->written / 10;

    delivery_init(&w->delivery, w->loop, on_delivered);
    snprintf(own, sizeof own, "W%u.%u", w->index, turn);
    snprintf(next, sizeof next, "W%u.%u", w->index, turn + 1);
    if (w->written % 10 == 9) {
        struct edit_name from = {c, span_str(own)}, to = {c, span_str(next)};
        if (edit_rename(m, w->loop, &from, &to, false, &w->delivery) != ERR_OK)
            w->failed++;
    } else {
        edit_open(&e, m, w->loop, c, w->written % 2 ? SPAN_LIT("shared") : span_str(own));
        if (!edit_exists(&e))
            edit_reset(&e);
        edit_set(&e, ENTRY_ATTRIBUTE, span_str(own), number(w->written));
        if (edit_close(&e, &w->delivery) != ERR_OK)
            w->failed++;
    }
    delivery_seal(&w->delivery);
}

static void run_writer(struct task *t, bool cancelled)
{
    if (!cancelled)
        write_next((struct writer *)t);
}

static bool tables_are_equal(struct node *a, struct table_now now)
{
    for (unsigned shard = 0; shard < TABLE_SHARDS; shard++) {
        struct table_bucket all = {shard, 0, 0};
        if (table_digest(manager_table(a->manager), all, now, 0) !=
            table_digest(manager_table(a->other->manager), all, now, 0))
            return false;
    }
    return true;
}

static void on_stopped(void *arg)
{
    host_stop(((struct node *)arg)->host);
}

/* What a node does, step by step. */
static void on_tick(struct timer *t, void *arg)
{
    struct node *n = arg;
    bool out_of_time = ++n->ticks > TICK_MAX;

    switch (n->phase) {
    case 0: /* until both know each other */
        if (!out_of_time && !(n->started && manager_is_complete(n->manager, NULL) &&
                              metric_get(&n->metrics, members_added) > 0))
            break;
        n->phase++;
        for (unsigned i = 0; i < WORKERS; i++)
            loop_post(n->writers[i].loop, &n->writers[i].task);
        break;
    case 1: /* until all is written here */
        if (!out_of_time && atomic_load(&n->writing))
            break;
        n->phase++;
        atomic_store(&n->done, 1);
        break;
    case 2: /* until all is written there, and the same stands on both */
        n->equal = atomic_load(&n->other->done) && tables_are_equal(n, table_now(t->loop));
        if (!out_of_time && !n->equal)
            break;
        n->phase++;
        atomic_store(&n->done, 2);
        break;
    default: /* until the other has seen it too */
        if (!out_of_time && atomic_load(&n->other->done) < 2)
            break;
        manager_stop(n->manager);
        cluster_stop(n->cluster, 1000, on_stopped, n);
        return;
    }
    timer_start(t, TICK_MS);
}

static void on_started(void *arg)
{
    struct node *n = arg;

    n->started = true;
    manager_start(n->manager);
}

static void load(const char *yaml, const struct option_spec *rows, void *out)
{
    struct diag d = {0};
    struct conf_node *map = NULL;

    ck_assert_msg(tree_load_text(span_str(yaml), "test", &d, &map) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert_msg(option_load(map, rows, NULL, out, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    tree_free(map);
    diag_fini(&d);
}

static void node_init(struct node *n, struct node *other, unsigned index, unsigned mcast_port)
{
    struct manager_context context = {.name = CONTEXT};
    struct diag d = {0};
    char yaml[128];

    *n = (struct node){.host = host_new_real(WORKERS), .other = other};
    snprintf(yaml, sizeof yaml,
             "{address: 228.0.0.4, port: %u, bind: 127.0.0.1, frequency: 100, dropTime: 10000}", mcast_port);
    load(yaml, mcast_options, &n->mcast);
    load("{address: 127.0.0.1, port: 0}", receiver_options, &n->receiver);
    load("{timeout: 20000}", transmitter_options, &n->sender);
    load("{channelSendOptions: \"sync,use_ack\"}", cluster_options, &n->conf);
    n->channel = (struct channel_conf){
        .start_options = START_ALL, .membership = &n->mcast, .receiver = &n->receiver, .sender = &n->sender};
    n->manager = manager_new(n->host, &options, &context, 1, &n->metrics);
    ck_assert_msg(cluster_new(n->host, &n->conf, &n->channel, manager_events(), n->manager, &n->metrics, &d,
                              &n->cluster) == ERR_OK,
                  "%s", buf_cstr(&d.text));
    manager_attach(n->manager, n->cluster);
    atomic_init(&n->writing, WORKERS);
    for (unsigned i = 0; i < WORKERS; i++)
        n->writers[i] = (struct writer){.task = {NULL, run_writer},
                                        .node = n,
                                        .loop = host_worker(n->host, i),
                                        .index = index * WORKERS + i};
    timer_init(&n->tick, host_main(n->host), on_tick, n);
    timer_start(&n->tick, TICK_MS);
    ck_assert_msg(cluster_start(n->cluster, on_started, n, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    diag_fini(&d);
}

static void node_fini(struct node *n)
{
    timer_fini(&n->tick);
    cluster_free(n->cluster);
    manager_free(n->manager);
    host_free(n->host);
    option_free(mcast_options, &n->mcast);
    option_free(receiver_options, &n->receiver);
    option_free(transmitter_options, &n->sender);
    option_free(cluster_options, &n->conf);
}

static void *run_node(void *arg)
{
    host_run(((struct node *)arg)->host);
    return NULL;
}

START_TEST(two_nodes_write_to_each_other)
{
    static struct node a, b;
    pthread_t thread;
    unsigned char random[2];

    /* Other tests of this machine have groups of their own. */
    struct host *h = host_new_real(1);
    loop_random(host_main(h), random, sizeof random);
    host_free(h);
    unsigned port = 20000 + ((unsigned)random[0] << 8 | random[1]) % 20000;

    node_init(&a, &b, 0, port);
    node_init(&b, &a, 1, port);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_node, &b), 0);
    host_run(a.host);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_uint_eq(a.writers[i].written + b.writers[i].written, 2 * WRITES);
        ck_assert_uint_eq(a.writers[i].failed + b.writers[i].failed, 0);
    }
    ck_assert(a.equal && b.equal);
    ck_assert_uint_eq(table_sessions(manager_table(a.manager)), 2 * WORKERS + 1);
    ck_assert_uint_eq(table_sessions(manager_table(b.manager)), 2 * WORKERS + 1);
    node_fini(&a);
    node_fini(&b);
}
END_TEST

CLUSTERD_SUITE(session_threads, &workers_share_sessions, &two_nodes_write_to_each_other)
