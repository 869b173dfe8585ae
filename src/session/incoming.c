/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from the cluster: Tomcat's SessionMessages and messages in clusterd's own form become changes of
 * the table, here on the worker that read them, or jobs for the main loop (transfers, comparison). What
 * cannot be used is told with its sender and costs nobody else. Mirrors
 * ClusterSessionListener.messageReceived and DeltaManager.messageReceived.
 */
#include "incoming.h"

#include "answer.h"
#include "asking.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "repair.h"
#include "tomcat.h"
#include "transfer.h"

#include <stdio.h>

#define ASKED_SLACK_MS 1000 /* messages are under way for that long at most, or nearly */

/* Changes that are decoded before the first one is applied. As many blocks of one size as glibc keeps for a
 * thread: more would be cut up for the sessions that are made meanwhile, and what is left of each is lost
 * between their values (16: 12 bytes a session). */
#define TOGETHER 7

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
    /* One who is no member yet cannot be asked. */
    if (!r->source || atomic_exchange(&c->seen_on_wire, true))
        return;
    compare_name(m, r->source, c);
    if (event != SESSION_GET_ALL)
        manager_post(m, r->source, span_str(c->name), asking_on_first_sight);
}

enum err incoming_on_session(void *arg, const struct received *r, const struct session_msg *msg)
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
    struct change *some[TOGETHER];
    size_t n_some, n_without;
    enum err e = ERR_OK;

    while (e == ERR_OK && rd_left(in)) {
        e = decode_some(m, in, some, TOGETHER, &n_some, &n_without);
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

static enum err own_state(struct manager *m, const struct received *r, struct rd *in)
{
    struct buf news = {0};
    uint64_t n = 0;

    wr_u32(&news, rd_u32(in, "request"));
    enum err e = apply_all(m, r, in, &n);
    wr_u64(&news, n);
    if (r->source)
        manager_post(m, r->source, buf_span(&news), transfer_on_own_state);
    buf_fini(&news);
    return e;
}

static enum err own_repair(struct manager *m, const struct received *r, struct rd *in)
{
    uint64_t n = 0;
    enum err e = apply_all(m, r, in, &n);

    metric_add(m->metrics, repairs_received, n);
    return e;
}

static enum err own_changes(struct manager *m, const struct received *r, struct rd *in)
{
    uint64_t n = 0;

    return apply_all(m, r, in, &n);
}

/* The sender may be in no view of ours yet: its id goes along. */
static enum err own_status(struct manager *m, const struct received *r, struct rd *in)
{
    struct buf status = {0};

    wr_bytes(&status, r->source_rec->id.b, IDENT_LEN);
    wr_u8(&status, rd_u8(in, "complete"));
    int64_t time = rd_i64(in, "cluster time");
    wr_span(&status, rd_rest(in));
    enum err e = rd_verdict(in);
    if (e == ERR_OK) {
        manager_hear_time(m, r->loop, time);
        manager_post(m, r->source, buf_span(&status), transfer_on_own_status);
    }
    buf_fini(&status);
    return e;
}

/* A kind is read here, on the worker, or its body is a job for the main loop, when its sender is a member. */
static const struct own_row {
    enum own_kind kind;
    enum err (*read)(struct manager *m, const struct received *r, struct rd *in);
    manager_job_fn job;
} own_rows[] = {
    {OWN_CHANGES, own_changes, NULL},     {OWN_STATE, own_state, NULL},
    {OWN_REPAIR, own_repair, NULL},       {OWN_STATUS, own_status, NULL},
    {OWN_GET, NULL, answer_on_own_get},   {OWN_END, NULL, transfer_on_own_end},
    {OWN_DIGEST, NULL, repair_on_digest}, {OWN_SUMMARY, NULL, repair_on_summary},
    {OWN_FETCH, NULL, repair_on_fetch},
};

static enum err own_message(struct manager *m, const struct received *r, uint8_t kind, struct rd *in)
{
    for (size_t i = 0; i < sizeof own_rows / sizeof *own_rows; i++) {
        const struct own_row *row = &own_rows[i];
        if (row->kind != kind)
            continue;
        if (row->read)
            return row->read(m, r, in);
        if (r->source)
            manager_post(m, r->source, rd_rest(in), row->job);
    }
    return ERR_OK; /* a kind of a later version */
}

enum err incoming_on_own(void *arg, const struct received *r, uint8_t kind, struct span body)
{
    struct manager *m = arg;
    struct rd in = rd_of(body);
    char who[ADDR_TEXT_MAX];
    enum err e = own_message(m, r, kind, &in);

    if (e != ERR_OK) {
        metric_inc(m->metrics, messages_undecodable);
        log_limited(loop_mono_ms(r->loop), LOG_WARN, "A message of kind '%c' from %s cannot be used: %s: %s",
                    kind, source_text(r, who, sizeof who), in.field ? in.field : "content", err_text(e));
    }
    return e;
}
