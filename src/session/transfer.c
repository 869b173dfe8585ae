/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for state; see transfer.h. The first transfer goes through two stages:
 *
 *   1. clusterd members are asked one after the other, those first that say that they are complete, until one
 * of them is. It sends everything: sessions, tombstones and old ids of all contexts.
 *   2. When none was: the Tomcats. Their managers are asked context by context, the longest-running Tomcat
 * first (its getMembers()[0] is what a Tomcat would ask); one that has no such context or does not answer is
 * followed by the next. A request without a context name (all managers) finds contexts that nobody has spoken
 * of.
 *
 * When all have been asked nobody has more than this node: it is complete. So hosts that are all started at
 * once do not wait for each other, and Tomcats among them that do (see asking.c) are told not to. A
 * member that did not answer leaves the node incomplete; it is asked again later.
 */
#include "transfer.h"

#include "asking.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"

#define TICK_MS      50
#define SILENCE_MS   10000 /* without progress: the next member is asked */
#define RETRY_MS     30000
#define SEEN_WAIT_MS 8000 /* for members to see each other: longer than the detector needs to try again */
#define SHORT_MS     2000 /* the end is here, not all that was sent before it, and nothing more comes */
#define ROUNDS_MAX   3    /* so often are they asked of whom only a part has come */

/* A clusterd member that has this node in its view: told by its OWN_STATUS. */
struct seer {
    struct ident id;
    bool complete;
};

struct transfer {
    struct manager *manager;
    struct timer tick;
    atomic_bool starting, failed, memory_full;
    uint64_t refused_seen;
    uint64_t begun_mono_ms, retry_mono_ms;
    /* clusterd stage */
    struct member *node; /* being asked */
    uint32_t request;
    uint64_t node_progress_mono_ms, node_begun_mono_ms;
    uint64_t node_changes; /* that have come */
    bool node_ended;       /* it has sent all: */
    uint64_t node_sent;    /* so many */
    bool node_complete;    /* and holds all */
    bool came_short;       /* a part only of what one of them has */
    unsigned rounds;
    struct ident *nodes_tried;
    size_t n_nodes_tried;
    bool nodes_done;
    bool tomcats_asked;
    bool was_complete;
    struct seer *seers;
    size_t n_seers;
    /* Members that must be in our view, too, before this node calls itself complete: clusterd members that
     * told of themselves, and those that these see. */
    struct ident *seen;
    size_t n_seen;
    /* Tomcats that went without saying good-bye: what happened meanwhile is asked of them when they return.
     */
    struct ident *lost;
    size_t n_lost;
};

#define LOST_MAX  64
#define SEERS_MAX 1024

static struct loop *main_loop(const struct transfer *t)
{
    return host_main(t->manager->host);
}

static uint64_t now_ms(const struct transfer *t)
{
    return loop_mono_ms(main_loop(t));
}

static bool has_ident(const struct ident *list, size_t n, const struct ident *id)
{
    for (size_t i = 0; i < n; i++)
        if (ident_eq(&list[i], id))
            return true;
    return false;
}

static void drop_ident(struct ident *list, size_t *n, const struct ident *id)
{
    for (size_t i = 0; i < *n; i++)
        if (ident_eq(&list[i], id)) {
            memmove(&list[i], &list[i + 1], (--*n - i) * sizeof *list);
            return;
        }
}

static void add_ident(struct ident **list, size_t *n, const struct ident *id)
{
    *list = mem_realloc(*list, (*n + 1) * sizeof **list);
    (*list)[(*n)++] = *id;
}

static struct seer *find_seer(const struct transfer *t, const struct ident *id)
{
    for (size_t i = 0; i < t->n_seers; i++)
        if (ident_eq(&t->seers[i].id, id))
            return &t->seers[i];
    return NULL;
}

static void note_seer(struct transfer *t, const struct ident *id, bool complete)
{
    struct seer *s = find_seer(t, id);

    if (!s && t->n_seers < SEERS_MAX) {
        t->seers = mem_realloc(t->seers, (t->n_seers + 1) * sizeof *t->seers);
        s = &t->seers[t->n_seers++];
    }
    if (s)
        *s = (struct seer){*id, complete};
}

static void forget_seer(struct transfer *t, const struct ident *id)
{
    struct seer *s = find_seer(t, id);

    if (s)
        *s = t->seers[--t->n_seers];
}

/* --- completeness --- */

const char *transfer_why_incomplete(struct manager *m)
{
    struct transfer *t = m->transfer;

    if (!m->running)
        return "the node is starting";
    if (atomic_load(&t->starting))
        return "the first state transfer is running";
    if (atomic_load(&t->memory_full))
        return "memory was full: sessions of others were refused";
    if (atomic_load(&t->failed))
        return "a member did not answer the request for its sessions";
    return NULL;
}

bool transfer_is_starting(const struct manager *m)
{
    return atomic_load(&m->transfer->starting);
}

/* The members that this node sees: a member that does not see one of them yet waits for it. For Tomcats, too:
 * one that is not sent the creation of a session never holds it. But a silent one may be dead; a clusterd
 * node that is silent for a moment must not be passed over. */
static void wr_view(struct transfer *t, struct buf *b)
{
    struct view *v = channel_view(cluster_channel(t->manager->cluster));
    size_t at = wr_reserve_u32(b);
    uint32_t n = 0;

    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version || !atomic_load(&v->members[i]->suspect)) {
            wr_bytes(b, v->members[i]->id.b, IDENT_LEN);
            n++;
        }
    wr_patch_u32(b, at, n);
    view_unref(v);
}

static void send_status(struct transfer *t, struct member *to)
{
    struct buf b = {0};

    atomic_store(&to->told_mono_ms, now_ms(t));
    cluster_own_begin(&b, OWN_STATUS);
    wr_u8(&b, transfer_why_incomplete(t->manager) == NULL);
    wr_u64(&b, manager_knows_time(t->manager) ? (uint64_t)manager_time(t->manager, main_loop(t)) : 0);
    wr_view(t, &b);
    manager_send_own(t->manager, main_loop(t), to, &b, 0, SEND_USE_ACK, NULL);
    buf_fini(&b);
}

/* Nodes pass the time of the cluster on, so each tells some. But one that is not complete may be waiting for
 * this very node (is_seen_by_all()), and what it was told before may have been lost. */
static uint64_t status_turn(const struct member *m)
{
    if (!m->clusterd_version)
        return VIEW_TURN_NEVER;
    return atomic_load(&m->complete) ? atomic_load(&m->told_mono_ms) : VIEW_TURN_ALWAYS;
}

static void tell_in_turn(void *arg, struct member *m)
{
    send_status(arg, m);
}

static void tell_some(struct transfer *t)
{
    struct view *v = channel_view(cluster_channel(t->manager->cluster));

    view_take_turns(v, status_turn, tell_in_turn, t);
    view_unref(v);
}

static void tell_nodes(struct transfer *t)
{
    struct view *v = channel_view(cluster_channel(t->manager->cluster));

    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version)
            send_status(t, v->members[i]);
    view_unref(v);
}

/* Announce a change of completeness at once: others choose by it whom they ask. */
static void note_completeness(struct transfer *t)
{
    const char *why = transfer_why_incomplete(t->manager);
    bool complete = !why;

    if (complete == t->was_complete)
        return;
    t->was_complete = complete;
    if (complete)
        log_info("This node is complete: %llu sessions in memory",
                 (unsigned long long)table_sessions(t->manager->table));
    else
        log_warn("This node is incomplete: %s", why);
    tell_nodes(t);
    channel_beat(cluster_channel(t->manager->cluster));
}

static void set_all_complete(struct transfer *t)
{
    struct context **all;
    size_t n = table_contexts_all(t->manager->table, &all);

    for (size_t i = 0; i < n; i++)
        atomic_store(&all[i]->complete, true);
    mem_free(all);
}

static void finish(struct transfer *t, bool failed)
{
    atomic_store(&t->failed, failed);
    atomic_store(&t->starting, false);
    if (!failed)
        set_all_complete(t);
    t->retry_mono_ms = now_ms(t) + RETRY_MS;
    t->n_seen = 0; /* some may be gone when it begins again */
    note_completeness(t);
    if (!failed && t->tomcats_asked)
        asking_release_all(t->manager);
}

/* --- clusterd members --- */

/* Is this node in the view of every clusterd member that is in ours, and are those that they see in ours? */
static bool is_seen_by_all(struct transfer *t)
{
    struct view *v = channel_view(cluster_channel(t->manager->cluster));
    bool all = true;

    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version && !find_seer(t, &v->members[i]->id))
            all = false;
    for (size_t i = 0; i < t->n_seen; i++)
        if (!view_find_id(v, &t->seen[i]) &&
            !ident_eq(&t->seen[i], &channel_local(cluster_channel(t->manager->cluster))->id))
            all = false;
    view_unref(v);
    return all;
}

static struct member *next_node(struct transfer *t)
{
    struct view *v = channel_view(cluster_channel(t->manager->cluster));
    struct member *best = NULL;

    for (size_t i = 0; i < v->n; i++) {
        struct member *m = v->members[i];
        if (!m->clusterd_version || has_ident(t->nodes_tried, t->n_nodes_tried, &m->id))
            continue;
        if (!best || (atomic_load(&m->complete) && !atomic_load(&best->complete)))
            best = m;
    }
    best = best ? view_member_ref(best) : NULL;
    view_unref(v);
    return best;
}

static void leave_node(struct transfer *t)
{
    if (t->node)
        add_ident(&t->nodes_tried, &t->n_nodes_tried, &t->node->id);
    view_member_unref(t->node);
    t->node = NULL;
}

static void ask_node(struct transfer *t)
{
    struct buf b = {0};

    t->request++;
    t->node_changes = 0;
    t->node_ended = false;
    t->node_begun_mono_ms = t->node_progress_mono_ms = now_ms(t);
    log_info("Manager [all contexts], requesting session state from [%s]. This operation will timeout if no "
             "session "
             "state has been received within [%d] seconds.",
             t->node->name, SILENCE_MS / 1000);
    cluster_own_begin(&b, OWN_GET);
    wr_u32(&b, t->request);
    manager_send_own(t->manager, main_loop(t), t->node, &b, 0, SEND_USE_ACK, NULL);
    buf_fini(&b);
}

static void decide_time(struct transfer *t)
{
    if (manager_knows_time(t->manager))
        return;
    manager_decide_time(t->manager);
    tell_nodes(t);
}

/* True while this stage goes on. */
static bool step_nodes(struct transfer *t)
{
    if (t->nodes_done)
        return false;
    if (!t->node && !is_seen_by_all(t) && now_ms(t) - t->begun_mono_ms < SEEN_WAIT_MS)
        return true;
    decide_time(t);
    if (t->node) {
        int silence_ms = t->node_ended ? SHORT_MS : SILENCE_MS;
        if (now_ms(t) - t->node_progress_mono_ms < (uint64_t)silence_ms)
            return true;
        log_warn("Manager [all contexts]; nothing more from [%s] for [%d] ms, after %llu sessions: asking "
                 "the next "
                 "member",
                 t->node->name, silence_ms, (unsigned long long)t->node_changes);
        t->came_short |= t->node_changes > 0;
        atomic_store(&t->failed, true);
        leave_node(t);
    }
    t->node = next_node(t);
    if (!t->node && t->came_short && ++t->rounds < ROUNDS_MAX) {
        t->came_short = false;
        t->n_nodes_tried = 0;
        t->node = next_node(t);
    }
    if (t->node)
        ask_node(t);
    return t->node != NULL;
}

/* The end may overtake what was sent before it: to a node that was slow nobody waits for acknowledgements,
 * and what is too much for its queue is dropped. */
static void end_if_all_came(struct transfer *t)
{
    if (!t->node || !t->node_ended || t->node_changes < t->node_sent)
        return;
    log_info("Manager [all contexts]; session state of %llu sessions from [%s] received in [%llu] ms.%s",
             (unsigned long long)t->node_sent, t->node->name,
             (unsigned long long)(now_ms(t) - t->node_begun_mono_ms),
             t->node_complete ? "" : " It is itself not complete.");
    metric_inc(t->manager->metrics, transfers_received);
    atomic_store(&t->node->complete, t->node_complete);
    leave_node(t);
    if (t->node_complete) {
        t->nodes_done = true;
        finish(t, false);
    }
}

static void note_seen(struct transfer *t, const struct ident *id)
{
    if (atomic_load(&t->starting) && t->n_seen < SEERS_MAX && !has_ident(t->seen, t->n_seen, id))
        add_ident(&t->seen, &t->n_seen, id);
}

/* Otherwise it was meant for whoever had this address before: that one is in the list, and never comes. */
static bool lists_us(const struct transfer *t, struct span ids)
{
    const struct ident *us = &channel_local(cluster_channel(t->manager->cluster))->id;

    for (size_t at = 0; at < ids.n; at += IDENT_LEN)
        if (memcmp(ids.p + at, us->b, IDENT_LEN) == 0)
            return true;
    return false;
}

static void note_all_seen(struct transfer *t, struct span ids)
{
    struct ident id;

    for (size_t at = 0; at < ids.n; at += IDENT_LEN) {
        memcpy(id.b, ids.p + at, IDENT_LEN);
        note_seen(t, &id);
    }
}

void transfer_on_own_status(struct manager *m, struct member *from, struct span body)
{
    struct transfer *t = m->transfer;
    struct rd in = rd_of(body);
    struct ident id;
    struct span bytes = rd_bytes(&in, IDENT_LEN, "id");
    bool complete = rd_u8(&in, "complete") != 0;

    (void)from; /* it may have become a member since the worker looked */
    if (rd_verdict(&in) != ERR_OK)
        return;
    memcpy(id.b, bytes.p, IDENT_LEN);
    note_seen(t, &id); /* its heartbeats may all have been lost so far */
    uint32_t n = rd_count32(&in, IDENT_LEN, SEERS_MAX, "members");
    struct span ids = rd_bytes(&in, (size_t)n * IDENT_LEN, "members");
    if (lists_us(t, ids)) {
        note_seer(t, &id, complete);
        note_all_seen(t, ids);
    }
    struct view *v = channel_view(cluster_channel(m->cluster));
    struct member *sender = view_find_id(v, &id);
    if (sender)
        atomic_store(&sender->complete, complete);
    view_unref(v);
}

void transfer_on_own_state(struct manager *m, struct member *from, struct span body)
{
    struct transfer *t = m->transfer;
    struct rd in = rd_of(body);

    if (from != t->node || rd_u32(&in, "request") != t->request)
        return;
    t->node_progress_mono_ms = now_ms(t);
    t->node_changes += rd_u64(&in, "number");
    end_if_all_came(t);
}

void transfer_on_own_end(struct manager *m, struct member *from, struct span body)
{
    struct transfer *t = m->transfer;
    struct rd in = rd_of(body);
    uint32_t request = rd_u32(&in, "request");
    bool complete = rd_u8(&in, "complete") != 0;
    uint64_t n = rd_u64(&in, "number");

    if (rd_verdict(&in) != ERR_OK || from != t->node || request != t->request)
        return;
    t->node_progress_mono_ms = now_ms(t);
    t->node_ended = true;
    t->node_sent = n;
    t->node_complete = complete;
    end_if_all_came(t);
}

static void on_tick(struct timer *timer, void *arg)
{
    struct transfer *t = arg;
    bool failed;

    bool asking_nodes = atomic_load(&t->starting) && step_nodes(t);
    if (atomic_load(&t->starting) && !asking_nodes && !t->tomcats_asked) {
        t->tomcats_asked = true;
        asking_all(t->manager);
    }
    bool open = asking_step(t->manager, &failed);
    if (failed)
        atomic_store(&t->failed, true);
    if (atomic_load(&t->starting) && !asking_nodes && !open)
        finish(t, atomic_load(&t->failed));
    if (atomic_load(&t->starting) || open)
        timer_start(timer, TICK_MS);
    note_completeness(t);
}

void transfer_wake(struct manager *m)
{
    struct timer *tick = &m->transfer->tick;

    if (m->running && !tick->active) /* before that it begins by itself: transfer_start() */
        timer_start(tick, TICK_MS);
}

/* --- members come and go --- */

/* What it said of itself before it was a member here. */
static void recall(const struct transfer *t, struct member *member)
{
    const struct seer *s = find_seer(t, &member->id);

    if (s)
        atomic_store(&member->complete, s->complete);
}

void transfer_on_added(struct manager *m, struct member *member)
{
    struct transfer *t = m->transfer;
    bool returned = has_ident(t->lost, t->n_lost, &member->id);

    if (member->clusterd_version) {
        recall(t, member);
        send_status(t, member);
        return;
    }
    if (atomic_load(&t->starting) || (!returned && !asking_is_older(m, member)))
        return;
    drop_ident(t->lost, &t->n_lost, &member->id);
    asking_again(m, member);
}

void transfer_on_disappeared(struct manager *m, struct member *member, bool shutdown)
{
    struct transfer *t = m->transfer;

    if (!shutdown && !member->clusterd_version && !has_ident(t->lost, t->n_lost, &member->id)) {
        if (t->n_lost == LOST_MAX)
            drop_ident(t->lost, &t->n_lost, &t->lost[0]);
        add_ident(&t->lost, &t->n_lost, &member->id);
    }
    forget_seer(t, &member->id); /* when it sees us again it says so */
    if (t->node == member)
        leave_node(t);
}

static void begin(struct transfer *t)
{
    atomic_store(&t->starting, true);
    atomic_store(&t->failed, false);
    t->begun_mono_ms = now_ms(t);
    t->nodes_done = t->tomcats_asked = false;
    t->n_nodes_tried = 0;
    t->came_short = false;
    t->rounds = 0;
    t->refused_seen = table_refused(t->manager->table);
    atomic_store(&t->memory_full, false);
    timer_start(&t->tick, 1);
}

void transfer_on_heartbeat(struct manager *m)
{
    struct transfer *t = m->transfer;

    if (table_refused(m->table) != t->refused_seen) {
        t->refused_seen = table_refused(m->table);
        atomic_store(&t->memory_full, true);
        t->retry_mono_ms = now_ms(t) + RETRY_MS;
    }
    note_completeness(t);
    tell_some(t);
    bool wants = atomic_load(&t->failed) || (atomic_load(&t->memory_full) && !table_is_full(m->table));
    if (wants && !atomic_load(&t->starting) && now_ms(t) >= t->retry_mono_ms)
        begin(t);
}

/* --- life --- */

struct transfer *transfer_new(struct manager *m)
{
    struct transfer *t = MEM_NEW(struct transfer);

    t->manager = m;
    atomic_store(&t->starting, true); /* so that no worker can see a moment of completeness */
    timer_init(&t->tick, host_main(m->host), on_tick, t);
    return t;
}

void transfer_start(struct manager *m)
{
    struct view *v = channel_view(cluster_channel(m->cluster));

    for (size_t i = 0; i < v->n; i++)
        recall(m->transfer, v->members[i]);
    if (v->n == 0 && m->transfer->n_seen == 0) {
        log_info("Manager [all contexts]: skipping state transfer. No members active in cluster group.");
        m->transfer->refused_seen = table_refused(m->table);
        decide_time(m->transfer);
        finish(m->transfer, false);
        transfer_wake(m); /* what Tomcats have spoken of that are gone again */
    } else {
        begin(m->transfer);
        tell_nodes(m->transfer); /* those that were heard before wait for it, too, when all start at once */
    }
    view_unref(v);
}

void transfer_stop(struct manager *m)
{
    timer_stop(&m->transfer->tick);
}

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    timer_fini(&t->tick);
    view_member_unref(t->node);
    mem_free(t->nodes_tried);
    mem_free(t->lost);
    mem_free(t->seers);
    mem_free(t->seen);
    mem_free(t);
}
