/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front doors on simulated hosts: nodes with a whole session engine, alone or as a cluster, and clients on
 * hosts of their own that count what they are sent. Times are virtual, so waiting costs nothing.
 */
#ifndef TESTS_FRONT_RIG_H
#define TESTS_FRONT_RIG_H

#include "clusterd/front/front.h"
#include "clusterd/loop/sim.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/resp.h"
#include "clusterd/wire/value.h"
#include "support/logs.h"
#include "support/suite.h"

#define RIG_NODES   4
#define RIG_CONTEXT "localhost#/shop"
#define RIG_SOCKET  "/run/clusterd/redis.sock"
#define RIG_CONTROL "/run/clusterd/control.sock"

struct rig_conf {
    const char *front, *cluster; /* YAML of these sections; NULL: defaults */
    unsigned workers, min_acks;
    uint64_t max_bytes;
    int32_t max_active;
};

struct rig_node {
    struct host *host;
    struct manager *manager;
    struct cluster *cluster; /* NULL: alone */
    struct front *front;
    struct metrics metrics;
    struct mcast_conf mcast;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    struct cluster_conf cluster_conf;
    struct channel_conf channel;
    struct front_conf front_conf;
    struct front_control_conf control;
    struct front_operator op;
    struct manager_conf manager_conf;
    unsigned left;
    bool stopped;
};

static struct sim *rig_sim;
static struct rig_node *rig_nodes[RIG_NODES];
static struct host *rig_client_host;

static inline void rig_load(const char *yaml, const struct option_spec *rows, void *out)
{
    struct diag d = {0};
    struct conf_node *map = NULL;

    if (yaml)
        ck_assert_msg(tree_load_text(span_str(yaml), "rig", &d, &map) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert_msg(option_load(map, rows, NULL, out, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    if (map)
        tree_free(map);
    diag_fini(&d);
}

static inline void rig_begin(uint64_t seed)
{
    memset(rig_nodes, 0, sizeof rig_nodes);
    rig_sim = sim_new(seed);
    logs_begin(LOG_DEBUG);
    rig_client_host = sim_host_new(rig_sim, "10.0.9.9", 1);
}

static inline void rig_op_config(void *arg, struct buf *out)
{
    (void)arg;
    wr_text(out, "frontDoor:\n  requirepass: ***\n");
}

static inline void rig_op_leave(void *arg)
{
    ((struct rig_node *)arg)->left++;
}

static inline void rig_op_status(void *arg, struct buf *out)
{
    (void)arg;
    wr_text(out, "config: /etc/x.yaml\nno colon here\nstate: ready: yes\n");
}

static inline void rig_make_cluster(struct rig_node *n)
{
    struct diag d = {0};

    n->channel = (struct channel_conf){
        .start_options = START_ALL, .membership = &n->mcast, .receiver = &n->receiver, .sender = &n->sender};
    ck_assert_msg(cluster_new(n->host, &n->cluster_conf, &n->channel, manager_events(), n->manager,
                              &n->metrics, &d, &n->cluster) == ERR_OK,
                  "%s", buf_cstr(&d.text));
    manager_attach(n->manager, n->cluster);
    diag_fini(&d);
}

static inline void rig_on_cluster(void *arg)
{
    struct rig_node *n = arg;

    manager_start(n->manager);
    front_set_loading(n->front, false);
}

/* Node i on 10.0.0.(i + 1), port 6380, with unix and control sockets; in a cluster when conf->cluster is
 * given. */
static inline struct rig_node *rig_node(unsigned i, const struct rig_conf *conf)
{
    struct rig_node *n = MEM_NEW(struct rig_node);
    struct diag d = {0};
    char ip[32], yaml[512];

    snprintf(ip, sizeof ip, "10.0.0.%u", i + 1);
    snprintf(yaml, sizeof yaml, "listen: [\"%s:6380\", \"unix:" RIG_SOCKET "\"]\n%s", ip,
             conf && conf->front ? conf->front : "");
    n->host = sim_host_new(rig_sim, ip, conf && conf->workers ? conf->workers : 2);
    option_defaults(mcast_options, &n->mcast);
    option_defaults(receiver_options, &n->receiver);
    option_defaults(transmitter_options, &n->sender);
    option_defaults(context_manager_options, &n->manager_conf);
    if (conf && conf->max_active)
        n->manager_conf.max_active_sessions = conf->max_active;
    rig_load(conf ? conf->cluster : NULL, cluster_options, &n->cluster_conf);
    rig_load(yaml, front_options, &n->front_conf);
    rig_load("socket: " RIG_CONTROL, front_control_options, &n->control);
    struct manager_options o = {.table = {.max_contexts = 1000,
                                          .auto_contexts = true,
                                          .tombstone_ms = 600000,
                                          .park_ms = 5000,
                                          .max_tombstones = 1000000,
                                          .max_bytes = conf ? conf->max_bytes : 0},
                                .defaults = n->manager_conf,
                                .prefer_state_transfer = true,
                                .min_acks = conf ? conf->min_acks : 0};
    struct manager_context contexts[] = {
        {.name = RIG_CONTEXT, .key_prefix = "sess:"},
        {.name = "localhost#/long", .key_prefix = "sess:long:"},
        {.name = "localhost#/other", .key_prefix = "o:", .database = 1},
        {.name = "localhost#/hidden"},
    };
    n->manager = manager_new(n->host, &o, contexts, sizeof contexts / sizeof *contexts, &n->metrics);
    if (conf && conf->cluster)
        rig_make_cluster(n);
    n->op = (struct front_operator){rig_op_config, rig_op_leave, rig_op_status, n};
    ck_assert_int_eq(front_new(n->manager, &n->front_conf, &n->control, &n->op, &n->metrics, &d, &n->front),
                     ERR_OK);
    ck_assert_msg(front_start(n->front, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    if (n->cluster)
        ck_assert_int_eq(cluster_start(n->cluster, rig_on_cluster, n, &d), ERR_OK);
    else
        front_set_loading(n->front, false);
    diag_fini(&d);
    rig_nodes[i] = n;
    return n;
}

static inline void rig_on_stopped(void *arg)
{
    ((struct rig_node *)arg)->stopped = true;
}

static inline bool rig_is_stopped(void *arg)
{
    return ((struct rig_node *)arg)->stopped;
}

static inline void rig_free(struct rig_node *n)
{
    front_free(n->front);
    if (n->cluster)
        cluster_free(n->cluster);
    manager_free(n->manager);
    sim_host_end(rig_sim, n->host);
    option_free(mcast_options, &n->mcast);
    option_free(receiver_options, &n->receiver);
    option_free(transmitter_options, &n->sender);
    option_free(context_manager_options, &n->manager_conf);
    option_free(cluster_options, &n->cluster_conf);
    option_free(front_options, &n->front_conf);
    option_free(front_control_options, &n->control);
    mem_free(n);
}

static inline void rig_stop(unsigned i)
{
    struct rig_node *n = rig_nodes[i];

    front_stop(n->front, rig_on_stopped, n);
    ck_assert(sim_run_until(rig_sim, rig_is_stopped, n, 60000));
    if (n->cluster) {
        n->stopped = false;
        manager_stop(n->manager);
        cluster_stop(n->cluster, 500, rig_on_stopped, n);
        ck_assert(sim_run_until(rig_sim, rig_is_stopped, n, 60000));
    }
    rig_free(n);
    rig_nodes[i] = NULL;
}

static inline void rig_end(void)
{
    for (unsigned i = 0; i < RIG_NODES; i++)
        if (rig_nodes[i])
            rig_stop(i);
    sim_host_end(rig_sim, rig_client_host);
    sim_free(rig_sim);
    logs_end();
}

/* --- clients --- */

struct rig_client {
    struct stream *stream; /* NULL: closed */
    struct host *host;
    struct buf got;
    bool open;
    bool deaf; /* does not read */
    enum err why;
    uint64_t got_us; /* when the last bytes came */
    size_t want;
};

static inline void rig_client_open(struct stream *s, void *arg)
{
    (void)s;
    ((struct rig_client *)arg)->open = true;
}

static inline size_t rig_client_input(struct stream *s, void *arg, struct span in)
{
    struct rig_client *c = arg;

    (void)s;
    wr_span(&c->got, in);
    c->got_us = sim_now_us(rig_sim);
    return in.n;
}

static inline void rig_client_close(struct stream *s, void *arg, enum err why)
{
    struct rig_client *c = arg;

    (void)s;
    c->stream = NULL;
    c->why = why;
}

static const struct stream_ops rig_client_ops = {
    .on_open = rig_client_open, .on_input = rig_client_input, .on_close = rig_client_close};

static inline bool rig_has_enough(void *arg)
{
    struct rig_client *c = arg;

    return !c->stream || c->got.n >= c->want;
}

static inline bool rig_is_open(void *arg)
{
    struct rig_client *c = arg;

    return c->open || !c->stream;
}

/* `to`: NULL = the TCP port of the node, else the path of a unix socket on it. */
static inline struct rig_client *rig_connect(unsigned i, const char *to)
{
    struct rig_client *c = MEM_NEW(struct rig_client);
    char text[64];
    struct addr at;

    snprintf(text, sizeof text, "10.0.0.%u:6380", i + 1);
    ck_assert_int_eq(addr_parse(text, 0, &at), ERR_OK);
    c->host = rig_client_host;
    if (to) {
        at = (struct addr){.family = ADDR_UNIX};
        snprintf(at.path, sizeof at.path, "%s", to);
        c->host = rig_nodes[i]->host;
    }
    c->stream = stream_connect(host_main(c->host), &at, NULL, 5000, &rig_client_ops, c);
    ck_assert(sim_run_until(rig_sim, rig_is_open, c, 10000));
    return c;
}

static inline void rig_send(struct rig_client *c, struct span bytes)
{
    ck_assert_ptr_nonnull(c->stream);
    stream_write(c->stream, bytes);
}

/* Bytes of a request whose words are separated by single blanks. */
static inline void rig_encode(const char *words, struct buf *out)
{
    size_t n = 1;

    for (const char *p = words; *p; p++)
        n += *p == ' ';
    resp_array(out, n);
    for (const char *p = words;; p++) {
        size_t len = strcspn(p, " ");
        resp_bulk(out, span_of(p, len));
        p += len;
        if (!*p)
            return;
    }
}

static inline void rig_say(struct rig_client *c, const char *words)
{
    struct buf b = {0};

    rig_encode(words, &b);
    rig_send(c, buf_span(&b));
    buf_fini(&b);
}

/* Waits for so many bytes (or the end of the connection) and a little more, in case too much comes. */
static inline struct span rig_wait(struct rig_client *c, size_t n)
{
    c->want = n;
    sim_run_until(rig_sim, rig_has_enough, c, 60000);
    sim_run_ms(rig_sim, 2);
    return buf_span(&c->got);
}

static inline void rig_expect_at(struct rig_client *c, const char *what, struct span want, const char *file,
                                 int line)
{
    struct span got = rig_wait(c, want.n);
    char a[1024], b[1024];

    if (!span_eq(got, want))
        ck_abort_msg("%s:%d: %s: wanted \"%s\", got \"%s\"", file, line, what,
                     log_printable(a, sizeof a, want), log_printable(b, sizeof b, got));
    buf_clear(&c->got);
}

static inline void rig_ask_at(struct rig_client *c, const char *words, const char *want, const char *file,
                              int line)
{
    rig_say(c, words);
    rig_expect_at(c, words, span_str(want), file, line);
}

#define rig_ask(client, words, want) rig_ask_at(client, words, want, __FILE__, __LINE__)
#define rig_expect(client, want)     rig_expect_at(client, "reply", span_str(want), __FILE__, __LINE__)

/* The whole reply to a request, as text; until the next call on this client. */
static inline const char *rig_reply(struct rig_client *c, const char *words)
{
    buf_clear(&c->got);
    rig_say(c, words);
    rig_wait(c, 1);
    sim_run_ms(rig_sim, 20);
    const char *text = buf_cstr(&c->got);
    return text;
}

static inline bool rig_is_closed(void *arg)
{
    return !((struct rig_client *)arg)->stream;
}

static inline void rig_close(struct rig_client *c)
{
    if (c->stream)
        stream_abort(c->stream);
    ck_assert(sim_run_until(rig_sim, rig_is_closed, c, 60000));
    buf_fini(&c->got);
    mem_free(c);
}

/* --- sessions of Tomcats --- */

static inline struct context *rig_context(unsigned i, const char *name)
{
    struct context *c = table_context_find(manager_table(rig_nodes[i]->manager), span_str(name));

    ck_assert_ptr_nonnull(c);
    return c;
}

/* A session that a Tomcat has made, with one attribute (value taken) unless name is NULL. */
static inline void rig_tomcat_session(unsigned i, const char *context, const char *id, const char *name,
                                      struct blob *value_taken)
{
    struct rig_node *n = rig_nodes[i];
    struct context *k = rig_context(i, context);
    struct table_now now = table_now(host_main(n->host));
    struct version v = {.time_ms = now.wall_ms, .writer = 0x70707070, .seq = 1};
    struct change *c = change_new(k, span_str(id), v);

    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = c->floor = v;
    c->touches = true;
    c->created_wall_ms = now.wall_ms;
    change_set_number(c, ENTRY_MAX_INACTIVE, 1800, v);
    if (name)
        change_set(c, ENTRY_ATTRIBUTE, span_str(name), value_taken, v);
    change_seal(c);
    ck_assert_int_eq(table_apply(manager_table(n->manager), c, now), TABLE_APPLIED);
    change_unref(c);
    atomic_store(&k->seen_on_wire, true);
}

#endif
