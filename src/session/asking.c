/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to Tomcats; see asking.h. A question goes from Tomcat to Tomcat, the longest-running first (whom
 * a Tomcat would ask), until one answers:
 *
 *   due --> sent --(answer: complete)--> done
 *            |  \--(no such context, silence, gone: the next)--> sent
 *            \--(no next)--> done, or failed when somebody was silent
 *
 * A Tomcat that was out of touch (asking_again) is asked next, whoever has answered.
 *
 * All of it is looked at by the tick of transfer.c.
 */
#include "asking.h"

#include "answer.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "transfer.h"

#define SILENCE_MS     10000 /* without progress: the next member is asked */
#define ALL_SILENCE_MS 1500  /* after a request for all was processed: there are no more contexts */
#define FIRST_SIGHT_MS 500   /* an answer that is on its way may settle it */
#define SETTLED_AGE_MS 5000  /* a Tomcat that is this much older than we are was there before us */
#define AGAIN_MS       500   /* a Tomcat looks every 100 ms whether its wait is over */
#define RELEASE_MS     2000  /* a Tomcat answers within this, but for very many sessions */

enum ask_state { ASK_DUE, ASK_SENT, ASK_DONE, ASK_FAILED };

/* Has a Tomcat processed the request? It acknowledges when it has sent all its sessions. On its own, because
 * the ACK may come when the ask is long over. */
struct question {
    struct delivery delivery;
    struct ask *ask; /* NULL: over */
};

/* A question to Tomcats about one context (NULL: all of them). */
struct ask {
    struct link link;
    struct context *context;
    struct member *to; /* being asked */
    struct member *but_not;
    struct member *returned; /* it was out of touch: asked before others, and whatever they answer */
    struct ident *tried;
    size_t n_tried;
    uint64_t due_mono_ms, sent_mono_ms, progress_mono_ms;
    enum ask_state state;
    struct question *question; /* not acknowledged yet */
    bool is_processed;
    uint64_t blocks;
    bool released;            /* the one being asked was told that there is nothing to wait for */
    uint64_t release_mono_ms; /* when, until it is asked again */
    bool unanswered;          /* somebody was silent */
    bool unknown;             /* somebody was silent who may know more than those that start now */
};

struct asking {
    struct manager *manager;
    struct link list;
    bool failed; /* a question, since the last step */
};

static struct loop *main_loop(const struct asking *s)
{
    return host_main(s->manager->host);
}

static uint64_t now_ms(const struct asking *s)
{
    return loop_mono_ms(main_loop(s));
}

static bool has_tried(const struct ask *a, const struct ident *id)
{
    for (size_t i = 0; i < a->n_tried; i++)
        if (ident_eq(&a->tried[i], id))
            return true;
    return false;
}

static void forget_tried(struct ask *a, const struct ident *id)
{
    for (size_t i = 0; i < a->n_tried; i++)
        if (ident_eq(&a->tried[i], id))
            a->tried[i--] = a->tried[--a->n_tried];
}

static bool owes(const struct ask *a)
{
    return a->returned && a->returned != a->to && a->returned != a->but_not &&
           !has_tried(a, &a->returned->id);
}

/* --- Tomcats that wait --- */

bool asking_is_older(const struct manager *m, const struct member *member)
{
    int64_t our_age = (int64_t)(loop_mono_ms(host_main(m->host)) - m->started_mono_ms);

    return atomic_load(&member->alive_ms) > our_age + SETTLED_AGE_MS;
}

/* A Tomcat that waits for another's state answers nobody meanwhile: it keeps the requests and then drops
 * them. So two that start in the same moment wait for each other until stateTransferTimeout, a minute by
 * default. Only one that started with us can be one of them: an older one is no Tomcat that starts. */
static bool may_be_waiting(const struct asking *s, const struct member *to, const struct context *c)
{
    return !asking_is_older(s->manager, to) && atomic_load(&c->sessions) == 0;
}

/* Nobody is known to have sessions of this context: that is worth telling whoever may wait for them. */
static void release(const struct asking *s, struct context *c)
{
    struct view *v = channel_view(cluster_channel(s->manager->cluster));

    for (size_t i = 0; i < v->n; i++)
        if (!v->members[i]->clusterd_version && may_be_waiting(s, v->members[i], c))
            answer_nothing(s->manager, v->members[i], c);
    view_unref(v);
}

void asking_release_all(struct manager *m)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    for (size_t i = 0; i < n; i++)
        if (manager_is_tomcat_context(all[i]))
            release(m->asking, all[i]);
    mem_free(all);
}

/* --- asking --- */

static void forget_question(struct ask *a)
{
    if (a->question)
        a->question->ask = NULL;
    a->question = NULL;
    a->is_processed = false;
}

static void end(struct ask *a)
{
    forget_question(a);
    link_remove(&a->link);
    view_member_unref(a->to);
    view_member_unref(a->but_not);
    view_member_unref(a->returned);
    mem_free(a->tried);
    mem_free(a);
}

static struct ask *find(struct asking *s, const struct context *c)
{
    LINK_EACH(l, &s->list)
    {
        struct ask *a = CONTAINER_OF(l, struct ask, link);
        if (a->context == c && a->state < ASK_DONE)
            return a;
    }
    return NULL;
}

static struct ask *add(struct asking *s, struct context *c, struct member *but_not, unsigned delay_ms)
{
    struct ask *a = MEM_NEW(struct ask);

    a->context = c;
    a->but_not = but_not ? view_member_ref(but_not) : NULL;
    a->due_mono_ms = now_ms(s) + delay_ms;
    link_push_back(&s->list, &a->link);
    transfer_wake(s->manager);
    return a;
}

static struct member *next_tomcat(struct asking *s, const struct ask *a)
{
    struct view *v = channel_view(cluster_channel(s->manager->cluster));
    struct member *found = owes(a) ? view_member_ref(a->returned) : NULL;

    for (size_t i = 0; i < v->n && !found; i++) {
        struct member *m = v->members[i];
        if (!m->clusterd_version && m != a->but_not && !has_tried(a, &m->id))
            found = view_member_ref(m);
    }
    view_unref(v);
    return found;
}

static void on_processed(struct delivery *d, bool cancelled)
{
    struct question *q = CONTAINER_OF(d, struct question, delivery);
    struct ask *a = q->ask;

    if (a && !cancelled) {
        a->question = NULL;
        a->is_processed = atomic_load(&d->acked) == 1;
        a->progress_mono_ms = loop_mono_ms(d->loop);
    }
    mem_free(q);
}

static struct delivery *new_question(struct asking *s, struct ask *a)
{
    forget_question(a);
    a->question = MEM_NEW(struct question);
    a->question->ask = a;
    delivery_init(&a->question->delivery, main_loop(s), on_processed);
    a->question->delivery.is_patient =
        true; /* writing very many sessions takes longer than the ACK time-out */
    return &a->question->delivery;
}

static void send_get_all(struct asking *s, struct ask *a)
{
    struct delivery *d = new_question(s, a);
    struct buf unique = {0};
    struct span context = a->context ? span_str(a->context->name) : (struct span){NULL, 0};

    session_unique_id(SESSION_GET_ALL, SPAN_LIT(SESSION_ID_GET_ALL), context, loop_steady_ms(main_loop(s)),
                      &unique);
    struct session_msg msg = {.event = SESSION_GET_ALL,
                              .timestamp_ms = loop_steady_ms(main_loop(s)),
                              .timestamp_set = true,
                              .has_context = a->context != NULL,
                              .context = context,
                              .session_id = SPAN_LIT(SESSION_ID_GET_ALL),
                              .unique_id = buf_span(&unique)};
    atomic_store(a->context ? &a->context->asked_ms : &s->manager->asked_all_ms,
                 manager_time(s->manager, main_loop(s)));
    log_info("Manager [%s], requesting session state from [%s]. This operation will timeout if no session "
             "state has been "
             "received within [%d] seconds.",
             a->context ? a->context->name : "all contexts", a->to->name, SILENCE_MS / 1000);
    manager_send_session(s->manager, main_loop(s), a->to, &msg, 0, SEND_ASYNCHRONOUS, d);
    delivery_seal(d);
    a->sent_mono_ms = a->progress_mono_ms = now_ms(s);
    a->state = ASK_SENT;
    buf_fini(&unique);
}

static void settle(struct asking *s, struct ask *a, enum ask_state state)
{
    a->state = state;
    if (a->context && state == ASK_DONE)
        atomic_store(&a->context->complete, true);
    if (state == ASK_FAILED)
        s->failed = true;
}

static void go_on(struct asking *s, struct ask *a)
{
    if (a->to) {
        a->tried = mem_realloc(a->tried, (a->n_tried + 1) * sizeof *a->tried);
        a->tried[a->n_tried++] = a->to->id;
        view_member_unref(a->to);
    }
    a->to = next_tomcat(s, a);
    a->released = false;
    a->release_mono_ms = 0;
    if (a->to)
        send_get_all(s, a);
    else
        settle(s, a, a->unanswered ? ASK_FAILED : ASK_DONE);
}

static bool is_worth_a_release(const struct asking *s, const struct ask *a, uint64_t silent)
{
    return a->state == ASK_SENT && a->context && silent >= RELEASE_MS && !a->released && !a->unknown &&
           a->blocks == 0 && may_be_waiting(s, a->to, a->context);
}

/* How long no progress is no reason to ask the next. */
static uint64_t patience_ms(const struct asking *s, const struct ask *a)
{
    const struct manager_conf *conf = a->context ? &a->context->manager : &s->manager->table->defaults;
    int64_t timeout_s = conf->state_transfer_timeout_s;

    /* Nothing says how many contexts there are: when all was sent, quiet is the end. */
    if (!a->context && a->is_processed)
        return ALL_SILENCE_MS;
    /* At work, and not one of those who start with us and wait. */
    if (a->question && asking_is_older(s->manager, a->to))
        return timeout_s < 0                             ? UINT64_MAX
               : (uint64_t)timeout_s * 1000 > SILENCE_MS ? (uint64_t)timeout_s * 1000
                                                         : SILENCE_MS;
    return SILENCE_MS;
}

static void step(struct asking *s, struct ask *a)
{
    uint64_t now = now_ms(s), silent = now - a->progress_mono_ms;

    if (a->state == ASK_DUE && now >= a->due_mono_ms) {
        if (a->context && atomic_load(&a->context->complete) && !owes(a))
            settle(s, a, ASK_DONE);
        else
            go_on(s, a);
    } else if (a->state == ASK_SENT && !a->context && a->is_processed && silent >= ALL_SILENCE_MS) {
        go_on(s, a); /* it may run other contexts */
    } else if (a->release_mono_ms && now >= a->release_mono_ms + AGAIN_MS) {
        a->release_mono_ms = 0;
        send_get_all(s, a); /* it has dropped the first */
    } else if (is_worth_a_release(s, a, silent)) {
        log_info(
            "Manager [%s]: [%s] does not answer; in case it waits for another's sessions it was told that "
            "there are none here",
            a->context->name, a->to->name);
        release(s, a->context);
        a->released = true;
        a->release_mono_ms = now;
    } else if (a->state == ASK_SENT && silent >= patience_ms(s, a)) {
        log_warn("Manager [%s]: No session state sent at [%s] received, timing out after [%llu] ms.",
                 a->context ? a->context->name : "all contexts", a->to->name, (unsigned long long)silent);
        a->unanswered = true;
        a->unknown |= !a->context || !may_be_waiting(s, a->to, a->context);
        go_on(s, a);
    }
}

void asking_all(struct manager *m)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    for (size_t i = 0; i < n; i++)
        if (manager_is_tomcat_context(all[i]) && !find(m->asking, all[i]))
            add(m->asking, all[i], NULL, 0);
    add(m->asking, NULL, NULL, 0);
    mem_free(all);
}

bool asking_step(struct manager *m, bool *failed)
{
    struct asking *s = m->asking;
    bool open = false;

    LINK_EACH_SAFE(l, &s->list)
    {
        struct ask *a = CONTAINER_OF(l, struct ask, link);
        if (a->state < ASK_DONE) /* an answer may have settled it since the last step */
            step(s, a);
        if (a->state < ASK_DONE)
            open = true;
        else
            end(a);
    }
    *failed = s->failed;
    s->failed = false;
    return open;
}

/* --- answers --- */

/* An answer about a context: from whom it came does not matter. */
static struct ask *answered(struct manager *m, struct span name, struct context **c)
{
    *c = table_context_find(m->table, name);
    struct ask *all = find(m->asking, NULL);

    if (all)
        all->progress_mono_ms = now_ms(m->asking);
    return *c ? find(m->asking, *c) : NULL;
}

void asking_on_block(struct manager *m, struct member *from, struct span context)
{
    struct context *c;
    struct ask *a = answered(m, context, &c);

    if (a && a->to == from) {
        a->progress_mono_ms = now_ms(m->asking);
        a->blocks++;
    }
}

void asking_on_complete(struct manager *m, struct member *from, struct span context)
{
    struct context *c;
    struct ask *a = answered(m, context, &c);

    if (!c)
        return;
    if (a && a->to && a->to == a->returned && from != a->to)
        return; /* late, of one that was asked before: it does not answer for this one */
    if (!a || !owes(a))
        atomic_store(&c->complete, true);
    metric_inc(m->metrics, transfers_received);
    if (!a)
        return;
    log_info(
        "Manager [%s]; session state sent at [%s] received in [%llu] ms: %llu blocks, %lld sessions held.",
        c->name, from->name, (unsigned long long)(now_ms(m->asking) - a->sent_mono_ms),
        (unsigned long long)a->blocks, (long long)atomic_load(&c->sessions));
    a->unanswered = false;
    if (!owes(a))
        settle(m->asking, a, ASK_DONE);
    else if (a->state == ASK_SENT)
        go_on(m->asking, a);
}

void asking_on_no_context(struct manager *m, struct member *from, struct span context)
{
    struct context *c;
    struct ask *a = answered(m, context, &c);

    if (a && a->to == from && a->state == ASK_SENT)
        go_on(m->asking, a);
}

void asking_on_first_sight(struct manager *m, struct member *from, struct span context)
{
    struct context *c = table_context_find(m->table, context);

    (void)from;
    if (c && !atomic_load(&c->complete) && !find(m->asking, c))
        add(m->asking, c, NULL, FIRST_SIGHT_MS);
}

bool asking_context(struct manager *m, struct context *c, struct member *but_not)
{
    struct ask *a = find(m->asking, c);
    struct ask probe = {.but_not = but_not};

    if (a)
        return true;
    struct member *someone = next_tomcat(m->asking, &probe);
    if (!someone) {
        atomic_store(&c->complete, true);
        return false;
    }
    view_member_unref(someone);
    add(m->asking, c, but_not, 0);
    return true;
}

/* --- members come and go --- */

void asking_again(struct manager *m, struct member *member)
{
    struct context **all;
    size_t n = table_contexts_all(m->table, &all);

    log_info("%s was out of touch: asking it for the sessions of all contexts", member->name);
    for (size_t i = 0; i < n; i++)
        if (manager_is_tomcat_context(all[i])) {
            struct ask *a = find(m->asking, all[i]);
            atomic_store(&all[i]->complete, false);
            if (!a)
                a = add(m->asking, all[i], NULL, 0);
            view_member_unref(a->returned);
            a->returned = view_member_ref(member);
            forget_tried(a, &member->id);
        }
    mem_free(all);
}

void asking_on_disappeared(struct manager *m, struct member *member)
{
    LINK_EACH_SAFE(l, &m->asking->list)
    {
        struct ask *a = CONTAINER_OF(l, struct ask, link);
        if (a->returned == member) {
            view_member_unref(a->returned);
            a->returned = NULL;
        }
        if (a->to == member && a->state == ASK_SENT)
            go_on(m->asking, a);
    }
}

/* --- life --- */

struct asking *asking_new(struct manager *m)
{
    struct asking *s = MEM_NEW(struct asking);

    s->manager = m;
    link_init(&s->list);
    return s;
}

void asking_free(struct asking *s)
{
    if (!s)
        return;
    while (!link_is_alone(&s->list))
        end(CONTAINER_OF(s->list.next, struct ask, link));
    mem_free(s);
}
