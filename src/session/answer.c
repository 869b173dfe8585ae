/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to requests for state; see answer.h. Each answer is a little machine that has a few batches on
 * their way, and sends another when one is acknowledged, so that neither side waits for the other:
 *
 *   waiting --(context settled, or 10 s)--> sending --(walk over, all acknowledged)--> gone
 *
 * To a Tomcat goes ALL_SESSION_DATA, which costs it as much for each message as for several sessions in it. A
 * class that it lacks costs it all the rest of a block, so only sessions that every JVM can read share one;
 * any other has a block of its own, and no frame comes near what a Tomcat gives up on. What a state block
 * cannot carry, auth type and notes, goes behind it as a delta. TRANSFERCOMPLETE goes out when all of it is
 * acknowledged.
 *
 * The blocks are flows of their own, so they take several lanes and a Tomcat's threads read several at once.
 * DeltaManager.deserializeSessions (read in 9.0 and 10.1) stands that: it works on what is its own up to
 * ManagerBase.add(), which is a put into a ConcurrentHashMap and a maximum under a lock; the session counter
 * that it increments without one is for statistics. Deltas that overtake a block do no harm: DeltaManager
 * queues them from its request to TRANSFERCOMPLETE and applies then those that are as new as the blocks.
 */
#include "answer.h"

#include "asking.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "slice.h"
#include "tomcat.h"
#include "transfer.h"

#define WAIT_MS         10000 /* for other members to tell of a context that is not known here */
#define POLL_MS         50
#define BATCH_FIRST     4          /* sessions; then twice as many each time, ... */
#define BATCH_SESSIONS  256        /* ... up to this, ... */
#define BATCH_BYTES     (2u << 20) /* ... or about this: what is too much for the member's queue is dropped */
#define BATCHES         4          /* on their way at a time, */
#define WINDOW_BYTES    (8u << 20) /* and no more while they are so large */
#define OWN_BLOCK_BYTES (64u << 10)
#define AGAIN_MS        250          /* a member whose queue is full of other things gets some air */
#define AGAIN_MAX       240          /* for a minute, as long as a Tomcat waits */
#define BLOCK_SESSIONS  128          /* that share a block to a Tomcat, ... */
#define BLOCK_BYTES     (128u << 10) /* ... while they take no more than this */
#define SYNC_OPTIONS    (SEND_USE_ACK | SEND_SYNCHRONIZED_ACK)

/* A batch on its way. */
struct batch {
    struct answer *answer;
    struct delivery delivery;
    bool in_flight;
    size_t bytes;
    uint64_t from, n; /* where its walk began; sessions in it */
};

struct answer {
    struct link link;
    struct manager *manager;
    struct member *to;
    struct context *context; /* NULL: own form, all contexts */
    uint32_t request;        /* own form */
    bool dropped;            /* the member is gone or we stop: ends when the batches come back */
    bool is_over;            /* the walk */
    uint64_t at;             /* walk */
    size_t want;             /* sessions of the next batch */
    uint64_t sent, left_out;
    unsigned n_again; /* how often it went back to a batch that was not delivered */
    bool gave_up;
    struct timer pause;  /* runs after that */
    int64_t snapshot_ms; /* on our clock */
    uint64_t begun_mono_ms;
    struct batch batches[BATCHES], *batch; /* batch: being filled */
    struct timer timer;
    struct buf block; /* own form: what is being filled */
    /* To a Tomcat: sessions of the next block. */
    struct change *held[BLOCK_SESSIONS];
    uint32_t n_held;
    size_t held_bytes;
};

struct answers {
    struct manager *manager;
    struct link list;
};

struct answers *answer_new(struct manager *m)
{
    struct answers *a = MEM_NEW(struct answers);

    a->manager = m;
    link_init(&a->list);
    return a;
}

static void end(struct answer *a)
{
    link_remove(&a->link);
    timer_fini(&a->timer);
    timer_fini(&a->pause);
    view_member_unref(a->to);
    buf_fini(&a->block);
    mem_free(a);
}

void answer_free(struct answers *answers)
{
    struct link *l;

    if (!answers)
        return;
    while ((l = answers->list.next) != &answers->list)
        end(CONTAINER_OF(l, struct answer, link));
    mem_free(answers);
}

static struct loop *main_loop(const struct answer *a)
{
    return host_main(a->manager->host);
}

static void send_message(struct answer *a, enum session_event event, const char *id, struct span body,
                         bool has_body, uint64_t flow, struct delivery *d)
{
    struct buf unique = {0};
    struct span context = span_str(a->context->name);
    int64_t now = manager_time(a->manager, main_loop(a));
    bool no_context = event == SESSION_NO_CONTEXT_MANAGER;
    int64_t time = event == SESSION_DELTA ? now : a->snapshot_ms;

    session_unique_id(event, span_str(id), context, now, &unique);
    struct session_msg msg = {.event = (int32_t)event,
                              .timestamp_ms = no_context ? 0 : time + manager_offset_to(a->manager, a->to),
                              .timestamp_set = !no_context,
                              .has_context = true,
                              .has_body = has_body,
                              .context = context,
                              .session_id = span_str(id),
                              .unique_id = buf_span(&unique),
                              .body = body};
    manager_send_session(a->manager, main_loop(a), a->to, &msg, flow, SYNC_OPTIONS, d);
    if (d)
        a->batch->bytes += body.n;
    buf_fini(&unique);
}

static void send_rest(struct answer *a, const struct change *c)
{
    struct buf body = {0};
    char *id = mem_strndup((const char *)c->id.p, c->id.n);

    if (tomcat_rest_delta(c, &body))
        send_message(a, SESSION_DELTA, id, buf_span(&body), true, c->flow, &a->batch->delivery);
    mem_free(id);
    buf_fini(&body);
}

/* Its flow is that of one of its sessions: while a Tomcat waits for its state no order is needed, see above.
 */
static bool send_state(struct answer *a, struct change *const *sessions, uint32_t n)
{
    struct buf body = {0};
    int64_t now = manager_time(a->manager, main_loop(a)), offset = manager_offset_to(a->manager, a->to);
    bool can = tomcat_state_from_changes(sessions, n, now, offset, &body) == ERR_OK;

    if (can)
        send_message(a, SESSION_ALL_DATA, SESSION_ID_ALL_DATA, buf_span(&body), true, sessions[0]->flow,
                     &a->batch->delivery);
    a->sent += can ? n : 0;
    buf_fini(&body);
    return can;
}

/* One that cannot be written costs the others nothing. */
static void send_held(struct answer *a)
{
    bool sent = a->n_held > 0 && send_state(a, a->held, a->n_held);

    for (uint32_t i = 0; i < a->n_held; i++) {
        if (!sent && (a->n_held == 1 || !send_state(a, &a->held[i], 1)))
            a->left_out++;
        change_unref(a->held[i]);
    }
    a->n_held = 0;
    a->held_bytes = 0;
}

static void hold(struct answer *a, struct change *c)
{
    a->held[a->n_held++] = c;
    a->held_bytes += change_bytes(c);
}

static void add_state(void *arg, struct change *c)
{
    struct answer *a = arg;

    if (a->n_held == BLOCK_SESSIONS || a->held_bytes + change_bytes(c) > BLOCK_BYTES)
        send_held(a);
    if (tomcat_state_is_plain(c)) {
        hold(a, c);
        return;
    }
    send_held(a);
    hold(a, change_ref(c));
    send_held(a);
    send_rest(a, c);
    change_unref(c);
}

static void flush_block(struct answer *a)
{
    if (a->block.n == 0)
        return;
    manager_send_own(a->manager, main_loop(a), a->to, &a->block, a->at, SYNC_OPTIONS, &a->batch->delivery);
    a->batch->bytes += a->block.n;
    buf_clear(&a->block);
}

static void add_own(void *arg, struct change *c)
{
    struct answer *a = arg;

    if (a->block.n == 0) {
        cluster_own_begin(&a->block, OWN_STATE);
        wr_u32(&a->block, a->request);
    }
    change_encode(c, &a->block);
    a->sent++;
    change_unref(c);
    if (a->block.n >= OWN_BLOCK_BYTES)
        flush_block(a);
}

static void on_batch(struct delivery *d, bool cancelled);

static void send_batch(struct answer *a, struct batch *batch)
{
    struct table *t = a->manager->table;
    struct table_now now = table_now(main_loop(a));
    uint64_t sent = a->sent;

    a->batch = batch;
    batch->answer = a;
    batch->in_flight = true;
    batch->bytes = 0;
    batch->from = a->at;
    delivery_init(&batch->delivery, main_loop(a), on_batch);
    /* Also a member that lags must have it all before it is told that it has: a window, not a time-out. */
    batch->delivery.is_patient = true;
    if (!a->context) {
        table_walk(t, NULL, true, &a->at, a->want, now, add_own, a);
        flush_block(a);
    } else {
        table_walk(t, a->context, false, &a->at, a->want, now, add_state, a);
        send_held(a);
    }
    a->is_over = a->at == 0;
    batch->n = a->sent - sent;
    a->want = slice_next(a->want, batch->n, batch->bytes, BATCH_SESSIONS, BATCH_BYTES);
    delivery_seal(&batch->delivery);
}

static bool is_in_flight(const struct answer *a)
{
    for (unsigned i = 0; i < BATCHES; i++)
        if (a->batches[i].in_flight)
            return true;
    return false;
}

static size_t bytes_in_flight(const struct answer *a)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < BATCHES; i++)
        bytes += a->batches[i].bytes;
    return bytes;
}

static void tell_done(const struct answer *a)
{
    log_info("Manager [%s]; session state of %llu sessions sent to [%s] in [%llu] ms.%s",
             a->context ? a->context->name : "all contexts", (unsigned long long)a->sent, a->to->name,
             (unsigned long long)(loop_mono_ms(main_loop(a)) - a->begun_mono_ms),
             a->left_out ? " Some were left out: their ids or names are no text that Java knows." : "");
    if (a->gave_up)
        log_warn("Manager [%s]; not all of the session state for [%s] could be delivered: it lacks sessions",
                 a->context->name, a->to->name);
    metric_inc(a->manager->metrics, transfers_sent);
}

static void end_own(struct answer *a)
{
    struct buf b = {0};

    cluster_own_begin(&b, OWN_END);
    wr_u32(&b, a->request);
    wr_u8(&b, transfer_why_incomplete(a->manager) == NULL);
    wr_u64(&b, a->sent);
    manager_send_own(a->manager, main_loop(a), a->to, &b, 0, SYNC_OPTIONS, NULL);
    buf_fini(&b);
    tell_done(a);
    end(a);
}

static void walk_is_over(struct answer *a)
{
    if (!a->context) {
        end_own(a);
        return;
    }
    send_message(a, SESSION_TRANSFER_COMPLETE, SESSION_ID_TRANSFER_COMPLETE, (struct span){0}, false, 0,
                 NULL);
    tell_done(a);
    end(a);
}

static void go_on(struct answer *a)
{
    bool pauses = a->pause.active && !a->dropped;

    for (unsigned i = 0; i < BATCHES && !a->is_over && !a->dropped && !pauses; i++)
        if (!a->batches[i].in_flight && bytes_in_flight(a) < WINDOW_BYTES)
            send_batch(a, &a->batches[i]);
    if (is_in_flight(a) || pauses)
        return;
    if (a->dropped)
        end(a);
    else
        walk_is_over(a);
}

static void on_pause(struct timer *timer, void *arg)
{
    (void)timer;
    go_on(arg);
}

/* Goes back to where the batch began: a Tomcat may get a session twice before TRANSFERCOMPLETE, but not
 * never. A clusterd member counts what it gets, and asks again by itself. */
static void send_again(struct answer *a, const struct batch *batch)
{
    if (!a->context || a->dropped)
        return;
    if (a->n_again == AGAIN_MAX) {
        a->gave_up = true;
        return;
    }
    a->n_again++;
    a->sent -= batch->n;
    if (a->is_over || batch->from < a->at)
        a->at = batch->from;
    a->is_over = false;
    timer_start(&a->pause, AGAIN_MS);
}

static void on_batch(struct delivery *d, bool cancelled)
{
    struct batch *batch = CONTAINER_OF(d, struct batch, delivery);

    batch->in_flight = false;
    batch->bytes = 0;
    if (cancelled) /* answer_free() follows */
        return;
    if (atomic_load(&d->failed) > 0)
        send_again(batch->answer, batch);
    go_on(batch->answer);
}

static void begin_state(struct answer *a)
{
    a->snapshot_ms = manager_time(a->manager, main_loop(a));
    if (a->context && atomic_load(&a->context->sessions) == 0) {
        struct buf body = {0};
        tomcat_state_empty(&body);
        send_message(a, SESSION_ALL_DATA, SESSION_ID_ALL_DATA, buf_span(&body), true, 0, NULL);
        buf_fini(&body);
    }
    go_on(a);
}

static void refuse(struct answer *a)
{
    send_message(a, SESSION_NO_CONTEXT_MANAGER, SESSION_ID_NO_CONTEXT, (struct span){0}, false, 0, NULL);
    log_limited(loop_mono_ms(main_loop(a)), LOG_INFO,
                "Manager [%s]: no member has sessions of this context; told so to [%s]", a->context->name,
                a->to->name);
    end(a);
}

static void on_wait(struct timer *timer, void *arg)
{
    struct answer *a = arg;
    bool settled = atomic_load(&a->context->complete);

    if (!settled && loop_mono_ms(main_loop(a)) - a->begun_mono_ms < WAIT_MS) {
        timer_start(timer, POLL_MS);
        return;
    }
    if (atomic_load(&a->context->sessions) == 0 && !a->context->configured)
        refuse(a);
    else
        begin_state(a);
}

static struct answer *begin(struct manager *m, struct member *to, struct context *c)
{
    struct answer *a = MEM_NEW(struct answer);

    a->manager = m;
    a->to = view_member_ref(to);
    a->context = c;
    a->want = BATCH_FIRST;
    a->begun_mono_ms = loop_mono_ms(host_main(m->host));
    timer_init(&a->timer, host_main(m->host), on_wait, a);
    timer_init(&a->pause, host_main(m->host), on_pause, a);
    link_push_back(&m->answers->list, &a->link);
    return a;
}

/* A request that is repeated starts anew: the requester has forgotten the first. */
static void drop_same(struct manager *m, const struct member *to, const struct context *c)
{
    LINK_EACH_SAFE(l, &m->answers->list)
    {
        struct answer *a = CONTAINER_OF(l, struct answer, link);
        if (a->to != to || a->context != c || a->dropped)
            continue;
        if (is_in_flight(a))
            a->dropped = true;
        else
            end(a);
    }
}

static void answer_context(struct manager *m, struct member *from, struct context *c, bool known)
{
    drop_same(m, from, c);
    struct answer *a = begin(m, from, c);

    /* While this node itself starts it answers at once with what it has. */
    if (known || transfer_is_starting(m) || !asking_context(m, c, from)) {
        if (!known && !transfer_is_starting(m) && atomic_load(&c->sessions) == 0)
            refuse(a);
        else
            begin_state(a);
        return;
    }
    timer_start(&a->timer, POLL_MS);
}

void answer_on_get_all(struct manager *m, struct member *from, struct span name)
{
    struct context *c = table_context_find(m->table, name);

    if (!c) { /* too many contexts: the requester must not wait for a minute */
        struct session_msg msg = {.event = SESSION_NO_CONTEXT_MANAGER,
                                  .has_context = true,
                                  .context = name,
                                  .session_id = SPAN_LIT(SESSION_ID_NO_CONTEXT),
                                  .unique_id = SPAN_LIT(SESSION_ID_NO_CONTEXT)};
        manager_send_session(m, host_main(m->host), from, &msg, 0, SYNC_OPTIONS, NULL);
        return;
    }
    answer_context(m, from, c, atomic_load(&c->complete) && (c->configured || atomic_load(&c->sessions) > 0));
}

void answer_on_get_all_contexts(struct manager *m, struct member *from, struct span none)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    (void)none;
    for (size_t i = 0; i < n; i++)
        if (manager_is_tomcat_context(all[i]))
            answer_context(m, from, all[i], true);
    mem_free(all);
}

void answer_nothing(struct manager *m, struct member *to, struct context *c)
{
    struct answer *a = begin(m, to, c);

    /* The time is the cut-off below which the receiver drops what it has queued. Nothing was transferred, so
     * nothing that it has is older than that: 0. */
    a->snapshot_ms = -manager_offset_to(m, to);
    send_message(a, SESSION_TRANSFER_COMPLETE, SESSION_ID_TRANSFER_COMPLETE, (struct span){0}, false, 0,
                 NULL);
    end(a);
}

void answer_on_own_get(struct manager *m, struct member *from, struct span body)
{
    struct rd in = rd_of(body);
    uint32_t request = rd_u32(&in, "request");

    if (rd_verdict(&in) != ERR_OK)
        return;
    drop_same(m, from, NULL);
    struct answer *a = begin(m, from, NULL);
    a->request = request;
    begin_state(a);
}

static void drop(struct answer *a)
{
    if (is_in_flight(a))
        a->dropped = true;
    else
        end(a);
}

void answer_on_disappeared(struct manager *m, struct member *member)
{
    LINK_EACH_SAFE(l, &m->answers->list)
    {
        struct answer *a = CONTAINER_OF(l, struct answer, link);
        if (a->to == member && !a->dropped)
            drop(a);
    }
}

void answer_stop(struct manager *m)
{
    LINK_EACH_SAFE(l, &m->answers->list)
    {
        struct answer *a = CONTAINER_OF(l, struct answer, link);
        if (!a->dropped)
            drop(a);
    }
}
