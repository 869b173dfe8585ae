/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session engine of a node as a whole: start and stop, what comes from the cluster, what is sent outside
 * of the outbox, letting sessions end. Messages come on workers; what needs the main loop (transfers,
 * comparison) is posted there. Mirrors DeltaManager and ClusterSessionListener; the parts have files of their
 * own.
 */
#include "answer.h"
#include "asking.h"
#include "clusterd/session/edit.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "outbox.h"
#include "repair.h"
#include "tomcat.h"
#include "transfer.h"

#include <stdio.h>

#define ON_THE_WAY_MS    250
#define JUMP_MS          1000 /* of cluster time; less is how clocks drift */
#define AGE_NONE_MS      50   /* the way takes as long */
#define ASKED_SLACK_MS   1000 /* messages are under way for that long at most, or nearly */
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

/* --- what comes from the cluster, on workers --- */

static const char *source_text(const struct received *r, char *buf, size_t cap)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];

    if (r->source)
        snprintf(buf, cap, "%s", r->source->name);
    else if (addr_from_host(span_of(r->source_rec->host, r->source_rec->host_len),
                            (uint16_t)r->source_rec->port, &a) == ERR_OK)
        snprintf(buf, cap, "%s", addr_text(&a, text));
    else
        snprintf(buf, cap, "an unknown member");
    return buf;
}

/* A Tomcat's time on the clock of the cluster. While this node starts, what comes from a Tomcat whose clock
 * has not been asked yet goes far into the past, as everything does while cluster time is not known. */
static int64_t on_cluster_clock(const struct manager *m, const struct received *r, int64_t theirs_ms)
{
    bool known = r->source && atomic_load(&r->source->clock_known);

    if (!known && (!m->running || transfer_is_starting(m)))
        return cluster_correct_time(NULL, theirs_ms, loop_steady_ms(r->loop)) + MANAGER_TIME_UNKNOWN;
    return cluster_correct_time(r->source, theirs_ms, loop_steady_ms(r->loop)) + atomic_load(&m->ahead_ms);
}

static void tell_undecodable(struct manager *m, const struct received *r, int32_t event, enum err e,
                             const char *field)
{
    char who[ADDR_TEXT_MAX];

    metric_inc(m->metrics, messages_undecodable);
    log_limited(loop_mono_ms(r->loop), LOG_WARN, "A %s message from %s cannot be used: %s: %s",
                session_event_name(event), source_text(r, who, sizeof who), field ? field : "content",
                err_text(e));
}

static void apply(struct manager *m, const struct received *r, struct change *c)
{
    char who[ADDR_TEXT_MAX], id[LOG_ID_MAX];
    enum table_result result = table_apply(m->table, c, table_now(r->loop));

    if (result == TABLE_FULL)
        log_limited(
            loop_mono_ms(r->loop), LOG_ERROR,
            "The memory for sessions is full (maxBytes %llu): sessions of others, the last one from %s, "
            "are dropped; this node is incomplete",
            (unsigned long long)table_conf(m->table)->max_bytes, source_text(r, who, sizeof who));
    else if (result == TABLE_REFUSED)
        log_limited(loop_mono_ms(r->loop), LOG_WARN,
                    "Session %s of %s from %s is refused: its id has more than %d bytes", log_id(id, c->id),
                    c->context->name, source_text(r, who, sizeof who), TABLE_ID_MAX);
}

/* What cannot be taken out of a message costs itself only; it must not go unnoticed. */
static void tell_left_out(struct manager *m, const struct received *r, const struct change *c)
{
    char who[ADDR_TEXT_MAX], id[LOG_ID_MAX];

    if (c->left_out == 0)
        return;
    metric_add(m->metrics, values_left_out, c->left_out);
    log_limited(
        loop_mono_ms(r->loop), LOG_WARN,
        "%u values of session %s of %s from %s were left out: they cannot be cut from its stream, or the "
        "sender failed to write them",
        c->left_out, log_id(id, c->id), c->context->name, source_text(r, who, sizeof who));
}

static void apply_session(struct manager *m, const struct received *r, const struct session_msg *msg,
                          struct context *c)
{
    struct version v = {on_cluster_clock(m, r, r->timestamp), version_head(&r->source_rec->id),
                        version_head(&r->id)};
    struct change *change;
    const char *field = NULL;
    enum err e = tomcat_to_change(msg, c, v, on_cluster_clock(m, r, msg->timestamp_ms), &change, &field);

    if (e != ERR_OK) {
        tell_undecodable(m, r, msg->event, e, field);
        return;
    }
    tell_left_out(m, r, change);
    apply(m, r, change);
    change_unref(change);
}

/*
 * The latest time that anything in a block counts as being from. What its sender heard from other Tomcats may
 * have been on its way for a while and has no time of its own there; but what was written since we asked, or
 * shortly before, comes to us directly, and with the time of its writing.
 */
static int64_t block_time(struct manager *m, const struct received *r, const struct session_msg *msg,
                          struct context *c)
{
    int64_t time_ms = on_cluster_clock(m, r, msg->timestamp_ms);
    int64_t asked_ms = atomic_load(&c->asked_ms), asked_all_ms = atomic_load(&m->asked_all_ms);

    if (asked_ms < asked_all_ms)
        asked_ms = asked_all_ms;
    return asked_ms && asked_ms - ASKED_SLACK_MS < time_ms ? asked_ms - ASKED_SLACK_MS : time_ms;
}

static void apply_block(struct manager *m, const struct received *r, const struct session_msg *msg,
                        struct context *c)
{
    struct state_reader reader;
    struct state_session s;
    const char *field = NULL;
    int64_t now = manager_time(m, r->loop), snapshot = block_time(m, r, msg, c);
    int64_t offset = -manager_offset_to(m, r->source);
    enum err e = state_reader_init(&reader, msg->body, NULL, &field);

    if (e == ERR_OK) {
        while ((e = state_reader_next(&reader, &s, &field)) == ERR_OK) {
            if (s.is_valid) {
                struct change *change =
                    tomcat_state_to_change(&s, c, version_head(&r->source_rec->id), offset, snapshot, now);
                tell_left_out(m, r, change);
                apply(m, r, change);
                change_unref(change);
            }
            state_session_fini(&s);
        }
        state_reader_fini(&reader);
    }
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        tell_undecodable(m, r, msg->event, e, field);
}

static void post_event(struct manager *m, const struct received *r, const struct session_msg *msg,
                       manager_job_fn fn)
{
    if (r->source)
        manager_post(m, r->source, msg->has_context ? msg->context : (struct span){NULL, 0}, fn);
}

/* Without the host in front: what the same application is called when <Cluster> stands in <Host>. */
static struct span without_host(const char *name)
{
    const char *hash = strchr(name, '#');

    return span_str(hash && hash[1] != '#' ? hash + 1 : name);
}

/* A member that calls its contexts otherwise than the configuration does replicates past them. */
static void compare_name(struct manager *m, const struct member *from, const struct context *c)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    for (size_t i = 0; i < n && !c->configured; i++)
        if (all[i]->configured && !all[i]->internal &&
            span_eq(without_host(all[i]->name), without_host(c->name)))
            log_warn("member %s speaks of context [%s], the configuration of [%s]: these are two contexts. A "
                     "Tomcat "
                     "says host#context when <Cluster> stands in <Engine>, and the context alone in <Host>",
                     from->name, c->name, all[i]->name);
    mem_free(all);
}

static void post_first_sight(struct manager *m, const struct received *r, struct context *c, int32_t event)
{
    if (atomic_exchange(&c->seen_on_wire, true) || !r->source)
        return;
    compare_name(m, r->source, c);
    if (event != SESSION_GET_ALL)
        manager_post(m, r->source, span_str(c->name), asking_on_first_sight);
}

static enum err on_session(void *arg, const struct received *r, const struct session_msg *msg)
{
    struct manager *m = arg;
    struct context *c = NULL;

    if (msg->event == SESSION_NO_CONTEXT_MANAGER) {
        post_event(m, r, msg, asking_on_no_context);
        return ERR_OK;
    }
    if (!msg->has_context) { /* meant for all managers: only a request makes sense so */
        if (msg->event == SESSION_GET_ALL)
            post_event(m, r, msg, answer_on_get_all_contexts);
        return ERR_OK;
    }
    if (!(c = table_context_find_or_add(m->table, msg->context))) {
        char name[80], who[ADDR_TEXT_MAX];
        log_limited(
            loop_mono_ms(r->loop), LOG_WARN,
            "Context manager doesn't exist:[%s], asked for by %s (contexts.auto is off, maxContexts %u "
            "is reached, or the name is no name)",
            log_printable(name, sizeof name, msg->context), source_text(r, who, sizeof who),
            table_conf(m->table)->max_contexts);
        if (msg->event == SESSION_GET_ALL)
            post_event(m, r, msg, answer_on_get_all);
        return ERR_OK;
    }
    switch (msg->event) {
    case SESSION_CREATED:
    case SESSION_EXPIRED:
    case SESSION_ACCESSED:
    case SESSION_DELTA:
    case SESSION_CHANGE_ID:
        apply_session(m, r, msg, c);
        break;
    case SESSION_ALL_DATA:
        apply_block(m, r, msg, c);
        post_event(m, r, msg, asking_on_block);
        break;
    case SESSION_TRANSFER_COMPLETE:
        post_event(m, r, msg, asking_on_complete);
        break;
    case SESSION_GET_ALL:
        post_event(m, r, msg, answer_on_get_all);
        break;
    default:
        break; /* Tomcat ignores unknown events too */
    }
    post_first_sight(m, r, c, msg->event);
    return ERR_OK;
}

/* What a change says in "ms from now" is from the time of its sending. A message may have waited for long, in
 * the socket of a node that was stopped or before a cut line: a session that has ended by time everywhere
 * else must not have all of its time again. */
static void let_age(struct change *c, int64_t age_ms)
{
    if (c->idle_ms >= 0)
        c->idle_ms += age_ms;
    for (size_t i = 0; i < c->n; i++)
        if (c->entries[i].kind == ENTRY_DEADLINE && c->entries[i].present)
            c->entries[i].number -= age_ms < c->entries[i].number ? age_ms : c->entries[i].number;
}

/* Takes up to `max` changes out of a message body. *n = how many, *without = how many more have no context.
 * What came before an error is there all the same. */
static enum err decode_some(struct manager *m, struct rd *in, struct change **out, size_t max, size_t *n,
                            size_t *without)
{
    *n = *without = 0;
    while (*n < max && rd_left(in)) {
        enum err e = change_decode(in, manager_to_context, m->table, &out[*n]);
        if (e == ERR_FULL)
            ++*without; /* a context too many: the rest goes on */
        else if (e == ERR_OK)
            ++*n;
        else
            return e;
    }
    return ERR_OK;
}

static void warm(struct manager *m, struct change *const *changes, size_t n)
{
    struct table_name names[TABLE_WARM_MAX];

    for (size_t i = 0; i < n; i++)
        names[i] = (struct table_name){changes[i]->context, changes[i]->id};
    table_warm(m->table, names, n);
}

/* The changes of a message body, up to the first that cannot be read. n = how many that were. */
static enum err apply_all(struct manager *m, const struct received *r, struct rd *in, uint64_t *n)
{
    int64_t age_ms = manager_age(m, r->loop, r->timestamp);
    struct change *some[TABLE_WARM_MAX];
    size_t n_some, n_without;
    enum err e = ERR_OK;

    while (e == ERR_OK && rd_left(in)) {
        e = decode_some(m, in, some, TABLE_WARM_MAX, &n_some, &n_without);
        *n += n_some + n_without;
        warm(m, some, n_some);
        for (size_t i = 0; i < n_some; i++) {
            if (manager_knows_time(m))
                manager_hear_time(m, r->loop, some[i]->version.time_ms);
            let_age(some[i], age_ms);
            apply(m, r, some[i]);
            change_unref(some[i]);
        }
    }
    return e;
}

static enum err on_own(void *arg, const struct received *r, uint8_t kind, struct span body)
{
    struct manager *m = arg;
    struct rd in = rd_of(body);
    enum err e = ERR_OK;
    uint64_t n = 0;

    switch ((enum own_kind)kind) {
    case OWN_STATE: {
        struct buf news = {0};
        wr_u32(&news, rd_u32(&in, "request"));
        e = apply_all(m, r, &in, &n);
        wr_u64(&news, n);
        if (r->source)
            manager_post(m, r->source, buf_span(&news), transfer_on_own_state);
        buf_fini(&news);
        break;
    }
    case OWN_REPAIR:
        e = apply_all(m, r, &in, &n);
        metric_add(m->metrics, repairs_received, n);
        break;
    case OWN_CHANGES:
        e = apply_all(m, r, &in, &n);
        break;
    case OWN_STATUS: {
        /* The sender may be in no view of ours yet: its id goes along. */
        struct buf status = {0};
        wr_bytes(&status, r->source_rec->id.b, IDENT_LEN);
        wr_u8(&status, rd_u8(&in, "complete"));
        int64_t time = rd_i64(&in, "cluster time");
        wr_span(&status, rd_rest(&in));
        e = rd_verdict(&in);
        if (e == ERR_OK)
            manager_hear_time(m, r->loop, time);
        if (e == ERR_OK)
            manager_post(m, r->source, buf_span(&status), transfer_on_own_status);
        buf_fini(&status);
        break;
    }
    case OWN_GET:
        if (r->source)
            manager_post(m, r->source, body, answer_on_own_get);
        break;
    case OWN_END:
        if (r->source)
            manager_post(m, r->source, body, transfer_on_own_end);
        break;
    case OWN_DIGEST:
        if (r->source)
            manager_post(m, r->source, body, repair_on_digest);
        break;
    case OWN_SUMMARY:
        if (r->source)
            manager_post(m, r->source, body, repair_on_summary);
        break;
    case OWN_FETCH:
        if (r->source)
            manager_post(m, r->source, body, repair_on_fetch);
        break;
    }
    if (e != ERR_OK) {
        char who[ADDR_TEXT_MAX];
        metric_inc(m->metrics, messages_undecodable);
        log_limited(loop_mono_ms(r->loop), LOG_WARN, "A message of kind '%c' from %s cannot be used: %s: %s",
                    kind, source_text(r, who, sizeof who), in.field ? in.field : "content", err_text(e));
    }
    return e;
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
    static const struct cluster_events events = {.on_session = on_session,
                                                 .on_own = on_own,
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
    uint64_t n = table_sessions(m->table) + table_tombstones(m->table);

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
