/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session engine of a node as a whole: its time, jobs for the main loop, what is sent outside of the
 * outbox, start and stop, letting sessions end. Main loop, but what manager_private.h says of any thread.
 * Mirrors DeltaManager; the parts have files of their own.
 */
#include "answer.h"
#include "asking.h"
#include "clusterd/session/edit.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "incoming.h"
#include "outbox.h"
#include "repair.h"
#include "transfer.h"

#include <stdio.h>

#define ON_THE_WAY_MS    250
#define JUMP_MS          1000 /* of cluster time; less is how clocks drift */
#define AGE_NONE_MS      50   /* the way takes as long */
#define SWEEP_MS         250
#define SWEEP_PASSES     240 /* sweeps in which the whole table is looked at: a minute */
#define SWEEP_IDLE_MS    2000
#define ALIVE_OLDEST_MS  (10LL * 365 * 86400 * 1000) /* older than any Tomcat */
#define INTERNAL_CONTEXT "redis/"

bool manager_is_tomcat_context(const struct context *c)
{
    return !c->internal && strncmp(c->name, INTERNAL_CONTEXT, sizeof INTERNAL_CONTEXT - 1) != 0;
}

struct context *manager_to_context(void *arg, struct span name)
{
    return table_context_find_or_add(arg, name);
}

/* --- time --- */

int64_t manager_time(const struct manager *m, const struct loop *loop)
{
    return loop_steady_ms(loop) + atomic_load_explicit(&m->ahead_ms, memory_order_relaxed);
}

bool manager_knows_time(const struct manager *m)
{
    return atomic_load(&m->ahead_ms) != MANAGER_TIME_UNKNOWN;
}

void manager_hear_time(struct manager *m, const struct loop *loop, int64_t cluster_ms)
{
    if (cluster_ms <= 0 || cluster_ms > VERSION_TIME_MAX / 2)
        return;
    long long ahead_ms = cluster_ms - loop_steady_ms(loop), have_ms = atomic_load(&m->ahead_ms);
    /* A little behind is what the way here has cost: clocks that agree stay in use as they are. */
    if (have_ms == MANAGER_TIME_UNKNOWN && ahead_ms < 0 && ahead_ms > -ON_THE_WAY_MS)
        ahead_ms = 0;
    if (have_ms != MANAGER_TIME_UNKNOWN && ahead_ms - have_ms > JUMP_MS) {
        atomic_store(&m->jump_ms, cluster_ms);
        atomic_fetch_add(&m->jumped_ms, ahead_ms - have_ms);
    }
    while ((ahead_ms > have_ms || have_ms == MANAGER_TIME_UNKNOWN) &&
           !atomic_compare_exchange_weak(&m->ahead_ms, &have_ms, ahead_ms))
        continue;
}

int64_t manager_age(const struct manager *m, const struct loop *loop, int64_t sent_ms)
{
    if (!manager_knows_time(m) || sent_ms <= 0 || sent_ms > VERSION_TIME_MAX / 2)
        return 0;
    int64_t age_ms = manager_time(m, loop) - sent_ms;
    /* Its sender may not have known of the jump yet. Rather too young than too old. */
    if (sent_ms < atomic_load(&m->jump_ms))
        age_ms -= atomic_load(&m->jumped_ms);
    /* A sender that does not know cluster time stamps what it sends far in the past. */
    return age_ms > AGE_NONE_MS && age_ms < -MANAGER_TIME_UNKNOWN / 2 ? age_ms : 0;
}

void manager_decide_time(struct manager *m)
{
    long long unknown = MANAGER_TIME_UNKNOWN;

    atomic_compare_exchange_strong(&m->ahead_ms, &unknown, 0);
}

int64_t manager_offset_to(const struct manager *m, const struct member *to)
{
    return cluster_clock_offset(to) - atomic_load_explicit(&m->ahead_ms, memory_order_relaxed);
}

/* --- jobs for the main loop --- */

struct job {
    struct task task;
    struct manager *manager;
    struct member *from;
    struct blob *body;
    manager_job_fn fn;
};

static void run_job(struct task *t, bool cancelled)
{
    struct job *j = CONTAINER_OF(t, struct job, task);

    if (!cancelled && !j->manager->stopped)
        j->fn(j->manager, j->from, blob_span(j->body));
    if (j->from)
        view_member_unref(j->from);
    blob_unref(j->body);
    mem_free(j);
}

void manager_post(struct manager *m, struct member *from, struct span body, manager_job_fn fn)
{
    struct job *j = MEM_NEW(struct job);

    *j = (struct job){{NULL, run_job}, m, from ? view_member_ref(from) : NULL, blob_new(body), fn};
    loop_post(host_main(m->host), &j->task);
}

/* --- sending outside of the outbox --- */

static void send_one(struct manager *m, struct loop *loop, struct member *to, struct span bytes,
                     uint64_t flow, uint32_t options, struct delivery *d)
{
    struct cluster_out out = {.payload = bytes,
                              .options = options,
                              .timestamp = manager_time(m, loop),
                              .seq = atomic_fetch_add(&m->seq, 1),
                              .flow = flow,
                              .delivery = d};
    struct targets targets = {1, &to};

    cluster_send_to(m->cluster, loop, &out, &targets);
}

void manager_send_own(struct manager *m, struct loop *loop, struct member *to, const struct buf *message,
                      uint64_t flow, uint32_t options, struct delivery *d)
{
    send_one(m, loop, to, buf_span(message), flow, options, d);
}

void manager_send_session(struct manager *m, struct loop *loop, struct member *to,
                          const struct session_msg *msg, uint64_t flow, uint32_t options, struct delivery *d)
{
    struct buf b = {0};

    if (session_msg_encode(msg, &b) == ERR_OK)
        send_one(m, loop, to, buf_span(&b), flow, options, d);
    buf_fini(&b);
}

/* --- events of the main loop --- */

static void on_added(void *arg, struct member *member)
{
    struct manager *m = arg;

    if (!m->running)
        return;
    transfer_on_added(m, member);
    if (member->clusterd_version)
        repair_on_added(m, member);
}

static void on_disappeared(void *arg, struct member *member, bool shutdown)
{
    struct manager *m = arg;

    if (!m->running)
        return;
    answer_on_disappeared(m, member);
    asking_on_disappeared(m, member);
    transfer_on_disappeared(m, member, shutdown);
}

static void on_caught_up(void *arg, struct member *member, bool lost)
{
    struct manager *m = arg;

    if (m->running && lost && member->clusterd_version)
        repair_on_added(m, member);
}

static void on_heartbeat(void *arg)
{
    struct manager *m = arg;

    if (!m->running)
        return;
    transfer_on_heartbeat(m);
    repair_on_heartbeat(m);
}

int64_t manager_alive_ms(struct manager *m)
{
    uint64_t now = loop_mono_ms_now(host_main(m->host));

    if (!manager_is_complete(m, NULL))
        return 0;
    return (int64_t)(now - m->started_mono_ms) + (m->options.prefer_state_transfer ? ALIVE_OLDEST_MS : 0);
}

static int64_t alive_ms(void *arg)
{
    struct manager *m = arg;

    return m->running ? manager_alive_ms(m) : 0;
}

const struct cluster_events *manager_events(void)
{
    static const struct cluster_events events = {.on_session = incoming_on_session,
                                                 .on_own = incoming_on_own,
                                                 .on_added = on_added,
                                                 .on_disappeared = on_disappeared,
                                                 .on_caught_up = on_caught_up,
                                                 .on_heartbeat = on_heartbeat,
                                                 .alive_ms = alive_ms};
    return &events;
}

/* --- life --- */

static void on_sweep(struct timer *t, void *arg)
{
    struct manager *m = arg;
    uint64_t n = table_items(m->table);

    table_sweep(m->table, (size_t)(n / SWEEP_PASSES) + 64, table_now(t->loop));
    timer_start(t, n ? SWEEP_MS : SWEEP_IDLE_MS);
}

struct manager *manager_new(struct host *h, const struct manager_options *o,
                            const struct manager_context *contexts, size_t n_contexts,
                            struct metrics *metrics)
{
    struct manager *m = MEM_NEW(struct manager);

    m->host = h;
    m->options = *o;
    m->metrics = metrics;
    m->table = table_new(&o->table, metrics);
    for (size_t i = 0; i < n_contexts; i++) {
        const struct manager_context *mc = &contexts[i];
        struct context *c = table_context_add(m->table, span_str(mc->name));
        c->configured = true;
        c->manager = mc->conf ? *mc->conf : o->defaults;
        c->internal = !manager_is_tomcat_context(c);
        table_context_route(m->table, c, mc->database, span_str(mc->key_prefix ? mc->key_prefix : ""));
        log_info("Creating ClusterManager for context %s using class %s", c->name, "DeltaManager");
    }
    table_set_defaults(m->table, &o->defaults);
    loop_random(host_main(h), &m->self, sizeof m->self); /* until the channel has drawn the member id */
    m->outbox = outbox_new(m);
    m->asking = asking_new(m);
    m->transfer = transfer_new(m);
    m->answers = answer_new(m);
    m->repair = repair_new(m);
    timer_init(&m->sweep_timer, host_main(h), on_sweep, m);
    return m;
}

void manager_attach(struct manager *m, struct cluster *c)
{
    m->cluster = c;
    atomic_store(&m->ahead_ms, MANAGER_TIME_UNKNOWN);
}

void manager_start(struct manager *m)
{
    m->self = version_head(&channel_local(cluster_channel(m->cluster))->id);
    m->started_mono_ms = loop_mono_ms(host_main(m->host));
    m->running = true;
    timer_start(&m->sweep_timer, SWEEP_MS);
    transfer_start(m);
}

static void end_one(void *arg, struct context *c, struct span id)
{
    struct manager *m = arg;
    enum err e = manager_expire(m, host_main(m->host), c, id, NULL);

    if (e != ERR_OK && e != ERR_NOT_FOUND)
        log_limited(loop_mono_ms(host_main(m->host)), LOG_WARN, "A session of %s could not be ended: %s",
                    c->name, err_text(e));
}

static void expire_on_shutdown(struct manager *m)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    for (size_t i = 0; i < n; i++) {
        uint64_t at = 0;
        if (!all[i]->manager.expire_sessions_on_shutdown)
            continue;
        log_info("Expiring the sessions of context %s on shutdown", all[i]->name);
        do
            table_walk_ids(m->table, all[i], &at, 1000, table_now(host_main(m->host)), end_one, m);
        while (at);
    }
    mem_free(all);
}

void manager_stop(struct manager *m)
{
    if (!m->running)
        return;
    expire_on_shutdown(m);
    m->running = false;
    m->stopped = true;
    timer_stop(&m->sweep_timer);
    answer_stop(m);
    transfer_stop(m);
}

void manager_free(struct manager *m)
{
    if (!m)
        return;
    timer_fini(&m->sweep_timer);
    repair_free(m->repair);
    answer_free(m->answers);
    transfer_free(m->transfer);
    asking_free(m->asking);
    outbox_free(m->outbox);
    table_free(m->table);
    mem_free(m);
}

struct table *manager_table(struct manager *m)
{
    return m->table;
}

struct cluster *manager_cluster(struct manager *m)
{
    return m->cluster;
}

struct host *manager_host(struct manager *m)
{
    return m->host;
}

struct metrics *manager_metrics(struct manager *m)
{
    return m->metrics;
}

unsigned manager_min_acks(const struct manager *m)
{
    return m->options.min_acks;
}

bool manager_is_complete(struct manager *m, const char **why)
{
    const char *reason = transfer_why_incomplete(m);

    if (why)
        *why = reason ? reason : "";
    return !reason;
}

enum err manager_expire(struct manager *m, struct loop *loop, struct context *c, struct span id,
                        struct delivery *d)
{
    struct edit e;

    if (id.n > TABLE_ID_MAX)
        return ERR_NOT_FOUND;
    edit_open(&e, m, loop, c, id);
    if (!edit_exists(&e)) {
        edit_cancel(&e);
        return ERR_NOT_FOUND;
    }
    edit_end(&e);
    return edit_close(&e, d);
}

const char *manager_writer_name(struct manager *m, uint32_t writer, char out[64])
{
    struct view *v = m->cluster && m->running ? channel_view(cluster_channel(m->cluster)) : NULL;

    snprintf(out, 64, "%08x", writer);
    if (writer == m->self)
        snprintf(out, 64, "local");
    for (size_t i = 0; v && i < v->n; i++)
        if (version_head(&v->members[i]->id) == writer)
            snprintf(out, 64, "%.63s", v->members[i]->name);
    view_unref(v);
    return out;
}
