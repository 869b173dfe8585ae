/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated loops. A turn takes no virtual time. Posted tasks reach their loop after a small random delay, so
 * that different seeds explore different orders between loops; the posts of one loop to another keep theirs.
 */
#include "clusterd/util/log.h"
#include "sim_impl.h"

#define POST_DELAY_US      20 /* as a rule */
#define POST_DELAY_LONG_US 500
#define POST_LONG_ONE_IN   32
#define WAKE_DELAY_US      10
#define WALL_START_MS      1700000000000 /* 2023-11-14: any plausible date */

struct sim_arrival {
    struct sim_event event;
    struct link link; /* in the loop's arrivals, in the order of posting */
    struct sim_loop *to;
    struct task *task;
};

static struct sim_loop *of(const struct loop *l)
{
    return (struct sim_loop *)l;
}

/* Between events the scenario's own code may touch any loop. */
static bool is_current(const struct loop *l)
{
    const struct sim *s = of(l)->host->sim;

    return s->current == l || !s->current;
}

static uint64_t mono_us(const struct loop *l)
{
    return of(l)->host->mono_base_us + of(l)->host->sim->now_us;
}

static int64_t wall_ms(const struct loop *l)
{
    const struct sim_host *sh = of(l)->host;

    return WALL_START_MS + (int64_t)(sh->sim->now_us / 1000) + sh->wall_offset_ms;
}

static void random_bytes(struct loop *l, void *out, size_t n)
{
    uint8_t *p = out;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = sim_next_random(&of(l)->random);
        memcpy(p + i, &v, n - i < 8 ? n - i : 8);
    }
}

static void wake_at(struct sim_loop *l, uint64_t at_us)
{
    if (l->host->dead || l->host->paused || (l->turn.slot && l->turn_at_us <= at_us))
        return;
    l->turn_at_us = at_us;
    sim_schedule(l->host->sim, &l->turn, at_us);
}

void sim_loop_wake(struct sim_loop *l)
{
    struct sim *s = l->host->sim;

    if (s->current == &l->l)
        return; /* the turn that runs looks again before it ends */
    wake_at(l, s->now_us + 1 + sim_net_below(s, WAKE_DELAY_US));
}

void sim_loop_mark_ready(struct sim_loop *l, struct sim_ready *r)
{
    if (link_is_alone(&r->link))
        link_push_back(&l->ready, &r->link);
    sim_loop_wake(l);
}

/* Timers are in the host's monotonic time. */
static void wake_for_timer(struct sim_loop *l)
{
    uint64_t at;

    if (timer_next_us(&l->l, &at))
        wake_at(l, at - l->host->mono_base_us);
}

static void attend(struct loop *l)
{
    if (!loop_is_settled(l))
        sim_loop_wake(of(l));
    wake_for_timer(of(l));
}

static void append(struct sim_loop *l, struct task *t)
{
    t->next = NULL;
    *l->posted_tail = t;
    l->posted_tail = &t->next;
}

static struct task *take_posted(struct sim_loop *l)
{
    struct task *list = l->posted;

    l->posted = NULL;
    l->posted_tail = &l->posted;
    return list;
}

static void arrival_fire(struct sim_event *e)
{
    struct sim_arrival *a = CONTAINER_OF(e, struct sim_arrival, event);

    append(a->to, a->task);
    sim_loop_wake(a->to);
    link_remove(&a->link);
    mem_free(a);
}

static void post(struct loop *l, struct task *t)
{
    struct sim_loop *to = of(l);
    struct sim *s = to->host->sim;
    struct sim_arrival *a;

    if (to->host->dead || l->ending) {
        append(to, t);
        return;
    }
    /* Only loops of the same host post to each other; the scenario's code counts as one more. */
    unsigned from = s->current && s->current->host == l->host ? s->current->index + 1 : 0;
    uint64_t range = sim_net_below(s, POST_LONG_ONE_IN) ? POST_DELAY_US : POST_DELAY_LONG_US;
    uint64_t at = s->now_us + sim_net_below(s, range);
    if (at < to->last_arrival_us[from])
        at = to->last_arrival_us[from];
    to->last_arrival_us[from] = at;

    a = MEM_NEW(struct sim_arrival);
    a->event.fire = arrival_fire;
    a->to = to;
    a->task = t;
    link_push_back(&to->arrivals, &a->link);
    sim_schedule(s, &a->event, at);
}

static void turn_fire(struct sim_event *e)
{
    struct sim_loop *l = CONTAINER_OF(e, struct sim_loop, turn);
    struct sim *s = l->host->sim;
    struct link list, *at;

    s->current = &l->l;
    log_set_thread_tag(l->host->name);
    l->l.in_turn = true;
    link_init(&list);
    while ((at = link_pop_front(&l->ready)))
        link_push_back(&list, at);
    while ((at = link_pop_front(&list))) {
        struct sim_ready *r = CONTAINER_OF(at, struct sim_ready, link);
        r->fire(r);
    }
    loop_turn(&l->l, take_posted(l));
    log_set_thread_tag(NULL);
    s->current = NULL;
    if (l->posted || !link_is_alone(&l->ready) || !loop_is_settled(&l->l))
        sim_loop_wake(l);
    wake_for_timer(l);
}

static const struct loop_ops loop_kind = {
    .stream_size = sizeof(struct sim_stream),
    .listener_size = sizeof(struct sim_listener),
    .multicast_size = sizeof(struct sim_multicast),
    .is_current = is_current,
    .mono_us = mono_us,
    .mono_us_now = mono_us,
    .wall_ms = wall_ms,
    .wall_ms_now = wall_ms,
    .random = random_bytes,
    .post = post,
    .attend = attend,
    .connect = sim_stream_connect,
    .adopt = sim_stream_adopt,
    .refuse = sim_listener_refuse,
    .read = sim_stream_read,
    .send = sim_stream_send,
    .interest = sim_stream_interest,
    .shut = sim_stream_shut,
    .listen = sim_listener_listen,
    .unlisten = sim_listener_unlisten,
    .mc_open = sim_multicast_open,
    .mc_send = sim_multicast_send,
    .mc_close = sim_multicast_close,
};

struct sim_loop *sim_loop_new(struct sim_host *sh, unsigned index)
{
    struct sim_loop *l = MEM_NEW(struct sim_loop);

    loop_init(&l->l, &loop_kind, &sh->h, index);
    l->host = sh;
    l->turn.fire = turn_fire;
    link_init(&l->ready);
    link_init(&l->arrivals);
    l->posted_tail = &l->posted;
    l->last_arrival_us = mem_array(sh->h.n_workers + 2, sizeof *l->last_arrival_us);
    l->random = sim_next_random(&sh->sim->seed_random);
    return l;
}

void sim_loop_stop(struct sim_loop *l)
{
    struct link *at;

    sim_cancel(l->host->sim, &l->turn);
    while ((at = link_pop_front(&l->arrivals))) {
        struct sim_arrival *a = CONTAINER_OF(at, struct sim_arrival, link);
        sim_cancel(l->host->sim, &a->event);
        append(l, a->task);
        mem_free(a);
    }
}

bool sim_loop_cancel(struct sim_loop *l)
{
    struct task *list = take_posted(l);

    loop_tasks_run(list, true);
    return list != NULL;
}

void sim_loop_free(struct sim_loop *l)
{
    loop_fini(&l->l);
    mem_free(l->last_arrival_us);
    mem_free(l);
}
