/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node (Tomcat: what server.xml's <Cluster> makes); see node.h. Makes the parts from low to high, starts
 * and stops them in order:
 *
 *   new      manager, cluster (with the manager's events), front door
 *   start    front door listens and says -LOADING -> channel -> manager asks for state -> complete, or given
 * up: ready stop     -LOADING again -> each worker finishes what it has begun -> sessions that end with us ->
 * channel leaves
 *            -> front door closes, the control socket with it
 *
 * Main loop; node_status() and the operator's callbacks run on workers and read atomics only.
 */
#include "clusterd/daemon/node.h"
#include "clusterd/util/list.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

#include <stdio.h>

#define POLL_MS       10 /* is the first state transfer through? */
#define STATUS_MS     2000
#define TOMBSTONE_MS  600000
#define PARK_MS       5000
#define TOMBSTONE_MAX 1000000

enum node_state { NODE_NEW, NODE_STARTING, NODE_LOADING, NODE_READY, NODE_STOPPING, NODE_STOPPED };

/* On one worker, to learn that what it had begun before has ended. */
struct barrier {
    struct task there, back;
    struct node *node;
};

struct node {
    struct host *host;
    const struct config *conf;
    const struct node_events *ev;
    void *arg;
    struct metrics metrics;
    struct manager *manager;
    struct cluster *cluster;
    struct front *front; /* NULL: neither listeners nor a control socket are configured */
    struct front_operator operator;
    atomic_int state; /* enum node_state */
    bool front_started, cluster_started;
    struct timer poll, status;
    uint64_t loading_since_ms;
    char status_line[256];
    struct task leave_task;
    atomic_bool leave_posted;
    struct barrier *barriers;
    unsigned n_barriers_left;
    unsigned linger_ms;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
    _Atomic(struct blob *) config_text; /* read by workers, so those replaced are kept until the end */
    struct blob **old_texts;
    size_t n_old_texts;
};

static enum node_state state_of(const struct node *n)
{
    return (enum node_state)atomic_load_explicit(&n->state, memory_order_relaxed);
}

static void set_state(struct node *n, enum node_state s)
{
    atomic_store_explicit(&n->state, (int)s, memory_order_relaxed);
}

unsigned node_workers(const struct config *conf, long cores)
{
    long n = cores - 1;

    if (n > conf->receiver.max_threads)
        n = conf->receiver.max_threads;
    return n < 1 ? 1 : n > 6 ? 6 : (unsigned)n;
}

/* What the operator asks for, on a worker. */

static void op_config(void *arg, struct buf *out)
{
    struct node *n = arg;

    wr_span(out, blob_span(atomic_load(&n->config_text)));
}

static void run_leave(struct task *t, bool cancelled)
{
    struct node *n = CONTAINER_OF(t, struct node, leave_task);

    if (!cancelled && n->ev->on_leave)
        n->ev->on_leave(n->arg);
}

static void op_leave(void *arg)
{
    struct node *n = arg;

    if (!atomic_exchange(&n->leave_posted, true))
        loop_post(host_main(n->host), &n->leave_task);
}

static void op_status(void *arg, struct buf *out)
{
    node_status(arg, out);
}

void node_status(struct node *n, struct buf *out)
{
    static const char *const states[] = {"new", "starting", "loading", "running", "leaving", "stopped"};

    wr_printf(out, "state: %s\n", states[state_of(n)]);
    wr_printf(out, "cluster: %s\n", n->conf->cluster.name ? n->conf->cluster.name : "");
    if (n->conf->engine.jvm_route)
        wr_printf(out, "jvmRoute: %s\n", n->conf->engine.jvm_route);
    wr_printf(out, "workers: %u\n", host_n_workers(n->host));
    wr_printf(out, "config: %s\n", n->conf->file);
    if (n->ev->add_status)
        n->ev->add_status(n->arg, out);
}

/* Making. */

static struct manager *make_manager(struct node *n, uint64_t auto_bytes)
{
    const struct config *c = n->conf;
    struct manager_context *contexts = mem_array(c->n_contexts + 1, sizeof *contexts);
    struct manager_options o = {
        .table = {.max_bytes = c->engine.max_bytes == UINT64_MAX ? auto_bytes : c->engine.max_bytes,
                  .max_contexts = (unsigned)c->contexts.max_contexts,
                  .auto_contexts = c->contexts.auto_contexts,
                  .tombstone_ms = TOMBSTONE_MS,
                  .park_ms = PARK_MS,
                  .max_tombstones = TOMBSTONE_MAX},
        .defaults = c->manager.conf,
        .prefer_state_transfer = c->engine.prefer_state_transfer,
        .min_acks = (unsigned)c->engine.min_acks,
    };

    for (size_t i = 0; i < c->n_contexts; i++) {
        const struct config_context *from = &c->context_list[i];
        contexts[i] = (struct manager_context){.name = from->name,
                                               .key_prefix = from->key_prefix,
                                               .database = (unsigned)from->database,
                                               .conf = &from->manager.conf};
    }
    struct manager *m = manager_new(n->host, &o, contexts, c->n_contexts, &n->metrics);
    mem_free(contexts);
    return m;
}

static enum err make_cluster(struct node *n, struct diag *d)
{
    struct channel_conf channel = {.membership = &n->conf->membership,
                                   .receiver = &n->conf->receiver,
                                   .sender = &n->conf->sender,
                                   .interceptors = n->conf->interceptors,
                                   .n_interceptors = n->conf->n_interceptors};

    TRY(cluster_new(n->host, &n->conf->cluster, &channel, manager_events(), n->manager, &n->metrics, d,
                    &n->cluster));
    manager_attach(n->manager, n->cluster);
    return ERR_OK;
}

static enum err make_front(struct node *n, struct diag *d)
{
    const struct config *c = n->conf;

    if (c->front.listen.n == 0 && !c->control.socket)
        return ERR_OK;
    n->operator=(struct front_operator){
        .config = op_config, .leave = op_leave, .status = op_status, .arg = n};
    return front_new(n->manager, &c->front, &c->control, &n->operator, & n->metrics, d, &n->front);
}

static void on_poll(struct timer *t, void *arg);
static void on_status(struct timer *t, void *arg);

fallible node_new(struct host *h, const struct config *conf, uint64_t auto_bytes,
                  const struct node_events *ev, void *arg, struct diag *d, struct node **out)
{
    struct node *n = MEM_NEW(struct node);
    struct buf text = {0};

    *n = (struct node){.host = h, .conf = conf, .ev = ev, .arg = arg};
    n->leave_task.run = run_leave;
    timer_init(&n->poll, host_main(h), on_poll, n);
    timer_init(&n->status, host_main(h), on_status, n);
    config_dump(conf, &text);
    node_set_config_text(n, buf_span(&text));
    buf_fini(&text);
    n->manager = make_manager(n, auto_bytes);
    enum err e = make_cluster(n, d);
    if (e == ERR_OK)
        e = make_front(n, d);
    if (e != ERR_OK) {
        node_free(n);
        return e;
    }
    *out = n;
    return ERR_OK;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    timer_fini(&n->poll);
    timer_fini(&n->status);
    if (n->front)
        front_free(n->front);
    if (n->cluster)
        cluster_free(n->cluster);
    manager_free(n->manager);
    for (size_t i = 0; i < n->n_old_texts; i++)
        blob_unref(n->old_texts[i]);
    mem_free(n->old_texts);
    blob_unref(atomic_load(&n->config_text));
    mem_free(n->barriers);
    mem_free(n);
}

void node_set_config_text(struct node *n, struct span text)
{
    struct blob *old = atomic_load(&n->config_text);

    if (old && span_eq(blob_span(old), text))
        return;
    atomic_store(&n->config_text, blob_new(text));
    if (!old)
        return;
    n->old_texts = mem_realloc(n->old_texts, (n->n_old_texts + 1) * sizeof *n->old_texts);
    n->old_texts[n->n_old_texts++] = old;
}

/* Starting. */

static void tell_status(struct node *n)
{
    const char *why = "";
    char line[sizeof n->status_line];
    struct view *v = channel_view(cluster_channel(n->cluster));
    bool complete = manager_is_complete(n->manager, &why);

    snprintf(line, sizeof line, "%s%s%s, %zu other member%s, %llu sessions",
             complete ? "complete" : "incomplete", complete ? "" : ": ", complete ? "" : why, v->n,
             v->n == 1 ? "" : "s", (unsigned long long)table_sessions(manager_table(n->manager)));
    view_unref(v);
    if (strcmp(line, n->status_line) == 0)
        return;
    memcpy(n->status_line, line, sizeof line);
    if (n->ev->on_status)
        n->ev->on_status(n->arg, line);
}

static void on_status(struct timer *t, void *arg)
{
    tell_status(arg);
    timer_start(t, STATUS_MS);
}

static void become_ready(struct node *n)
{
    set_state(n, NODE_READY);
    if (n->front)
        front_set_loading(n->front, false);
    tell_status(n);
    timer_start(&n->status, STATUS_MS);
    if (n->ev->on_ready)
        n->ev->on_ready(n->arg);
}

static void on_poll(struct timer *t, void *arg)
{
    struct node *n = arg;
    const char *why = "";
    int64_t patience_s = n->conf->manager.conf.state_transfer_timeout_s;
    uint64_t waited_ms = loop_mono_ms(t->loop) - n->loading_since_ms;

    if (manager_is_complete(n->manager, &why)) {
        become_ready(n);
    } else if (patience_s >= 0 && waited_ms >= (uint64_t)patience_s * 1000) {
        log_warn("The state transfer has not ended within stateTransferTimeout (%lld s): %s. Applications "
                 "are served "
                 "with the sessions that are here",
                 (long long)patience_s, why);
        become_ready(n);
    } else {
        tell_status(n);
        timer_start(t, POLL_MS);
    }
}

static void on_started(void *arg)
{
    struct node *n = arg;

    if (state_of(n) != NODE_STARTING)
        return; /* stopped meanwhile */
    set_state(n, NODE_LOADING);
    n->loading_since_ms = loop_mono_ms(host_main(n->host));
    manager_start(n->manager);
    timer_start(&n->poll, 0);
}

fallible node_start(struct node *n, struct diag *d)
{
    ASSERT(state_of(n) == NODE_NEW);
    set_state(n, NODE_STARTING);
    if (n->front) {
        front_set_loading(n->front, true);
        TRY(front_start(n->front, d));
        n->front_started = true;
    }
    TRY(cluster_start(n->cluster, on_started, n, d));
    n->cluster_started = true;
    return ERR_OK;
}

/* Stopping. */

static void stopped(void *arg)
{
    struct node *n = arg;

    set_state(n, NODE_STOPPED);
    n->on_stopped(n->stopped_arg);
}

static void stop_front(void *arg)
{
    struct node *n = arg;

    if (n->front_started)
        front_stop(n->front, stopped, n);
    else
        stopped(n);
}

static void stop_cluster(struct node *n)
{
    if (!n->cluster_started) {
        stop_front(n);
        return;
    }
    manager_stop(n->manager);
    cluster_stop(n->cluster, n->linger_ms, stop_front, n);
}

static void run_back(struct task *t, bool cancelled)
{
    struct barrier *b = CONTAINER_OF(t, struct barrier, back);

    if (--b->node->n_barriers_left == 0 && !cancelled)
        stop_cluster(b->node);
}

static void run_there(struct task *t, bool cancelled)
{
    struct barrier *b = CONTAINER_OF(t, struct barrier, there);

    (void)cancelled;
    loop_post(host_main(b->node->host), &b->back);
}

/* A command that a worker is at has passed the -LOADING check: its change must be queued before the queues
 * are flushed. */
static void wait_for_workers(struct node *n)
{
    unsigned workers = host_n_workers(n->host);

    n->barriers = mem_array(workers, sizeof *n->barriers);
    n->n_barriers_left = workers;
    for (unsigned i = 0; i < workers; i++) {
        n->barriers[i] = (struct barrier){.there.run = run_there, .back.run = run_back, .node = n};
        loop_post(host_worker(n->host, i), &n->barriers[i].there);
    }
}

void node_stop(struct node *n, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg)
{
    if (state_of(n) >= NODE_STOPPING)
        return;
    set_state(n, NODE_STOPPING);
    timer_stop(&n->poll);
    timer_stop(&n->status);
    n->linger_ms = linger_ms;
    n->on_stopped = on_stopped;
    n->stopped_arg = arg;
    if (n->front)
        front_set_loading(n->front, true);
    wait_for_workers(n);
}

/* Looking. */

bool node_is_ready(const struct node *n)
{
    return state_of(n) == NODE_READY;
}

struct manager *node_manager(struct node *n)
{
    return n->manager;
}

struct table *node_table(struct node *n)
{
    return manager_table(n->manager);
}

struct cluster *node_cluster(struct node *n)
{
    return n->cluster;
}

struct metrics *node_metrics(struct node *n)
{
    return &n->metrics;
}

const struct config *node_config(const struct node *n)
{
    return n->conf;
}
