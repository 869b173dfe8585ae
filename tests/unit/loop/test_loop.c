/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks, timers, clocks, randomness and the end of a host, on both kinds of loop; tasks across threads.
 */
#include "world.h"

#include <signal.h>
#include <unistd.h>

/* --- tasks --- */

struct counted {
    struct task task;
    unsigned *log;
    size_t *n;
    unsigned id;
    unsigned ran, cancelled;
};

static void count(struct task *t, bool cancelled)
{
    struct counted *c = CONTAINER_OF(t, struct counted, task);

    if (cancelled)
        c->cancelled++;
    else
        c->ran++;
    if (c->log)
        c->log[(*c->n)++] = c->id;
}

static bool ran_all(void *arg)
{
    return *(size_t *)arg == 100;
}

static void posts_keep_order(enum kind kind)
{
    struct world w;
    struct counted tasks[100] = {0};
    unsigned log[100];
    size_t n = 0;

    world_init(&w, kind);
    for (unsigned i = 0; i < 100; i++) {
        tasks[i] = (struct counted){.task.run = count, .log = log, .n = &n, .id = i};
        loop_post(w.la, &tasks[i].task);
        ck_assert_uint_eq(n, 0); /* never inside the call */
    }
    ck_assert(world_run(&w, ran_all, &n, 1000));
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(log[i], i);
        ck_assert_uint_eq(tasks[i].ran, 1);
    }
    world_fini(&w);
    ck_assert_uint_eq(tasks[0].cancelled, 0);
}
BOTH(posts_keep_order)

/* A ring of tasks between all loops of a host: each hop posts the next one; order per poster is checked. */
#define HOPPERS 50
#define HOPS    400

struct hopper {
    struct task task;
    struct ring *ring;
    unsigned at, hops;
};

struct ring {
    struct world w;
    struct hopper hoppers[HOPPERS];
    atomic_uint done, wrong, total;
};

static struct loop *ring_loop(struct ring *r, unsigned i)
{
    return i == 0 ? r->w.la : host_worker(r->w.a, i - 1);
}

static void hop(struct task *t, bool cancelled)
{
    struct hopper *h = CONTAINER_OF(t, struct hopper, task);
    struct ring *r = h->ring;

    if (cancelled || !loop_is_current(ring_loop(r, h->at)))
        atomic_fetch_add(&r->wrong, 1);
    atomic_fetch_add(&r->total, 1);
    if (++h->hops == HOPS) {
        atomic_fetch_add(&r->done, 1);
        return;
    }
    h->at = (h->at + 1 + h->hops % 3) % (host_n_workers(r->w.a) + 1);
    loop_post(ring_loop(r, h->at), &h->task);
}

static bool ring_done(void *arg)
{
    return atomic_load(&((struct ring *)arg)->done) == HOPPERS;
}

static void tasks_across_loops(enum kind kind)
{
    struct ring *r = MEM_NEW(struct ring);

    world_init_seed(&r->w, kind, 3, 11);
    for (unsigned i = 0; i < HOPPERS; i++) {
        r->hoppers[i] = (struct hopper){.task.run = hop, .ring = r, .at = i % 4};
        loop_post(ring_loop(r, i % 4), &r->hoppers[i].task);
    }
    ck_assert(world_run(&r->w, ring_done, r, 20000));
    ck_assert_uint_eq(atomic_load(&r->wrong), 0);
    ck_assert_uint_eq(atomic_load(&r->total), HOPPERS * HOPS);
    world_fini(&r->w);
    mem_free(r);
}
BOTH(tasks_across_loops)

/* Each worker floods the main loop; the main loop sees the numbers of each in order and none missing. */
#define FLOOD 20000

struct flood_item {
    struct task task;
    struct flood *flood;
    unsigned worker, number;
};

struct flood {
    struct world w;
    struct task start[3];
    unsigned next[3], wrong;
};

static void flood_arrives(struct task *t, bool cancelled)
{
    struct flood_item *i = CONTAINER_OF(t, struct flood_item, task);

    if (cancelled || i->number != i->flood->next[i->worker])
        i->flood->wrong++;
    i->flood->next[i->worker]++;
    mem_free(i);
}

static void flood_start(struct flood *f, unsigned worker)
{
    for (unsigned n = 0; n < FLOOD; n++) {
        struct flood_item *i = MEM_NEW(struct flood_item);
        *i = (struct flood_item){.task.run = flood_arrives, .flood = f, .worker = worker, .number = n};
        loop_post(f->w.la, &i->task);
    }
}

static void flood0(struct task *t, bool cancelled)
{
    (void)cancelled;
    flood_start(CONTAINER_OF(t, struct flood, start[0]), 0);
}
static void flood1(struct task *t, bool cancelled)
{
    (void)cancelled;
    flood_start(CONTAINER_OF(t, struct flood, start[1]), 1);
}
static void flood2(struct task *t, bool cancelled)
{
    (void)cancelled;
    flood_start(CONTAINER_OF(t, struct flood, start[2]), 2);
}

static bool flood_done(void *arg)
{
    struct flood *f = arg;

    return f->next[0] == FLOOD && f->next[1] == FLOOD && f->next[2] == FLOOD;
}

static void floods_keep_order(enum kind kind)
{
    struct flood f = {0};
    task_fn starts[3] = {flood0, flood1, flood2};

    world_init_seed(&f.w, kind, 3, 3);
    for (unsigned i = 0; i < 3; i++) {
        f.start[i].run = starts[i];
        loop_post(host_worker(f.w.a, i), &f.start[i]);
    }
    ck_assert(world_run(&f.w, flood_done, &f, 20000));
    ck_assert_uint_eq(f.wrong, 0);
    world_fini(&f.w);
}
BOTH(floods_keep_order)

/* What never ran is cancelled, once, also when a cancelled task posts and defers more. */
struct chain {
    struct task task, next, deferred;
    struct loop *to;
    unsigned cancelled, ran;
};

static void chain_end(struct task *t, bool cancelled)
{
    struct chain *c = CONTAINER_OF(t, struct chain, next);

    ck_assert(cancelled);
    c->cancelled++;
}
static void chain_deferred(struct task *t, bool cancelled)
{
    struct chain *c = CONTAINER_OF(t, struct chain, deferred);

    ck_assert(cancelled);
    c->cancelled++;
}
static void chain_begin(struct task *t, bool cancelled)
{
    struct chain *c = CONTAINER_OF(t, struct chain, task);

    ck_assert(cancelled);
    c->cancelled++;
    loop_post(c->to, &c->next);
}

static void tasks_are_cancelled(enum kind kind)
{
    struct world w;
    struct chain c = {.task.run = chain_begin, .next.run = chain_end, .deferred.run = chain_deferred};

    world_init(&w, kind);
    /* The real worker would run it; only the main loop stands still between runs. */
    c.to = kind == REAL ? w.la : host_worker(w.a, 0);
    loop_post(w.la, &c.task);
    loop_defer(w.la, &c.deferred);
    world_fini(&w);
    ck_assert_uint_eq(c.cancelled, 3);
}
BOTH(tasks_are_cancelled)

/* A host that ends in the middle of everything: each post runs or is cancelled, once. */
#define STORM 200

struct storm {
    struct host *h;
    struct storm_task {
        struct task task;
        struct storm *storm;
        unsigned posts, id;
    } tasks[STORM];
    atomic_uint posted, ran, cancelled;
};

static void storm_hop(struct task *t, bool cancelled)
{
    struct storm_task *st = CONTAINER_OF(t, struct storm_task, task);
    struct storm *s = st->storm;

    if (cancelled) {
        atomic_fetch_add(&s->cancelled, 1);
        return;
    }
    atomic_fetch_add(&s->ran, 1);
    if (++st->posts == 3000 && st->id == 0)
        host_stop(s->h);
    atomic_fetch_add(&s->posted, 1);
    unsigned to = (st->id + st->posts) % (host_n_workers(s->h) + 1);
    loop_post(to ? host_worker(s->h, to - 1) : host_main(s->h), t);
}

START_TEST(every_post_runs_once)
{
    struct storm *s = MEM_NEW(struct storm);

    s->h = host_new_real(3);
    for (unsigned i = 0; i < STORM; i++) {
        s->tasks[i] = (struct storm_task){.task.run = storm_hop, .storm = s, .id = i};
        atomic_fetch_add(&s->posted, 1);
        loop_post(host_main(s->h), &s->tasks[i].task);
    }
    host_run(s->h);
    host_free(s->h);
    ck_assert_uint_eq(atomic_load(&s->cancelled), STORM);
    ck_assert_uint_eq(atomic_load(&s->posted), atomic_load(&s->ran) + STORM);
    mem_free(s);
}
END_TEST

/* --- defer --- */

struct turn_log {
    struct world w;
    struct task deferred, again, posted, later;
    char log[16];
    size_t n;
};

static void log_later(struct task *t, bool cancelled)
{
    struct turn_log *l = CONTAINER_OF(t, struct turn_log, later);

    (void)cancelled;
    l->log[l->n++] = 'l';
}
static void log_again(struct task *t, bool cancelled)
{
    struct turn_log *l = CONTAINER_OF(t, struct turn_log, again);

    (void)cancelled;
    l->log[l->n++] = 'a';
}
static void log_deferred(struct task *t, bool cancelled)
{
    struct turn_log *l = CONTAINER_OF(t, struct turn_log, deferred);

    (void)cancelled;
    l->log[l->n++] = 'd';
    loop_defer(l->w.la, &l->again);
}
static void log_posted(struct task *t, bool cancelled)
{
    struct turn_log *l = CONTAINER_OF(t, struct turn_log, posted);

    (void)cancelled;
    loop_defer(l->w.la, &l->deferred);
    loop_post(l->w.la, &l->later);
    l->log[l->n++] = 'p';
}

static bool four_logged(void *arg)
{
    return ((struct turn_log *)arg)->n == 4;
}

/* Deferred work runs after the turn's own, before anything of the next turn. */
static void deferred_in_the_same_turn(enum kind kind)
{
    struct turn_log l = {.deferred.run = log_deferred,
                         .again.run = log_again,
                         .posted.run = log_posted,
                         .later.run = log_later};

    world_init(&l.w, kind);
    loop_post(l.w.la, &l.posted);
    ck_assert(world_run(&l.w, four_logged, &l, 1000));
    ck_assert_str_eq(l.log, "pdal");
    world_fini(&l.w);
}
BOTH(deferred_in_the_same_turn)

/* --- timers --- */

#define TIMERS 500

struct timers {
    struct world w;
    struct one_timer {
        struct timer timer;
        struct timers *all;
        uint64_t due_us;
        unsigned fired;
        bool stopped;
    } t[TIMERS];
    uint64_t last_due_us;
    unsigned fired, early, disorder;
};

static void on_fire(struct timer *t, void *arg)
{
    struct one_timer *o = arg;
    struct timers *all = o->all;

    ck_assert_ptr_eq(t, &o->timer);
    ck_assert(!t->active);
    ck_assert(!o->stopped);
    o->fired++;
    all->fired++;
    if (loop_mono_us_exact(all->w.la) < o->due_us)
        all->early++;
    if (o->due_us < all->last_due_us)
        all->disorder++;
    all->last_due_us = o->due_us;
}

static bool timers_done(void *arg)
{
    return ((struct timers *)arg)->fired == TIMERS - TIMERS / 5;
}

static void timers_in_order(enum kind kind)
{
    struct timers *all = MEM_NEW(struct timers);

    world_init(&all->w, kind);
    /* Before a run the clock moves between the calls; order is that of the moments, within 1 ms. */
    for (unsigned i = 0; i < TIMERS; i++) {
        struct one_timer *o = &all->t[i];
        uint64_t delay = (i * 7919) % 97;
        o->all = all;
        timer_init(&o->timer, all->w.la, on_fire, o);
        timer_start(&o->timer, 5);
        o->due_us = loop_mono_us_exact(all->w.la) / 1000 * 1000 + delay * 1000;
        timer_start(&o->timer, delay);
        ck_assert(o->timer.active);
    }
    for (unsigned i = 0; i < TIMERS; i += 5) {
        timer_stop(&all->t[i].timer);
        timer_stop(&all->t[i].timer);
        all->t[i].stopped = true;
        ck_assert(!all->t[i].timer.active);
    }
    ck_assert(world_run(&all->w, timers_done, all, 5000));
    world_run(&all->w, NULL, NULL, 20);
    for (unsigned i = 0; i < TIMERS; i++) {
        ck_assert_uint_eq(all->t[i].fired, all->t[i].stopped ? 0 : 1);
        timer_fini(&all->t[i].timer);
    }
    ck_assert_uint_eq(all->early, 0);
    if (kind == SIM)
        ck_assert_uint_eq(all->disorder, 0);
    world_fini(&all->w);
    mem_free(all);
}
BOTH(timers_in_order)

struct ticker {
    struct world w;
    struct timer timer, other;
    unsigned ticks;
    uint64_t began_ms;
};

static void on_tick_restart(struct timer *t, void *arg)
{
    struct ticker *k = arg;

    k->ticks++;
    timer_start(t, 10);
    timer_start(&k->other, 5); /* never comes to fire when restarted in time */
    if (k->ticks == 5)
        timer_stop(&k->other);
}

static void on_other(struct timer *t, void *arg)
{
    (void)t;
    (void)arg;
}

static bool five_ticks(void *arg)
{
    return ((struct ticker *)arg)->ticks == 5;
}

static void timer_restarts_itself(enum kind kind)
{
    struct ticker k = {0};

    world_init(&k.w, kind);
    timer_init(&k.timer, k.w.la, on_tick_restart, &k);
    timer_init(&k.other, k.w.la, on_other, &k);
    k.began_ms = loop_mono_ms(k.w.la);
    timer_start(&k.timer, 10);
    ck_assert(world_run(&k.w, five_ticks, &k, 5000));
    ck_assert_uint_ge(loop_mono_ms(k.w.la) - k.began_ms, 49);
    ck_assert(k.timer.active);
    timer_fini(&k.timer);
    timer_fini(&k.other);
    world_fini(&k.w);
}
BOTH(timer_restarts_itself)

/* A timer of no delay that starts itself again must not starve the rest. */
static void on_zero(struct timer *t, void *arg)
{
    unsigned *n = arg;

    (*n)++;
    timer_start(t, 0);
}

static bool thousand(void *arg)
{
    return *(unsigned *)arg >= 1000;
}

static void zero_timer_is_fair(enum kind kind)
{
    struct world w;
    struct timer t;
    unsigned n = 0;

    world_init(&w, kind);
    timer_init(&t, w.la, on_zero, &n);
    timer_start(&t, 0);
    ck_assert(world_run(&w, thousand, &n, 5000));
    timer_fini(&t);
    world_fini(&w);
}
BOTH(zero_timer_is_fair)

static void timer_of_ages(enum kind kind)
{
    struct world w;
    struct timer t;
    unsigned n = 0;

    world_init(&w, kind);
    timer_init(&t, w.la, on_zero, &n);
    timer_start(&t, UINT64_MAX);
    world_run(&w, NULL, NULL, 20);
    ck_assert_uint_eq(n, 0);
    timer_fini(&t);
    world_fini(&w);
}
BOTH(timer_of_ages)

/* --- clocks, randomness, host --- */

static void clocks(enum kind kind)
{
    struct world w;

    world_init(&w, kind);
    uint64_t mono = loop_mono_ms(w.la);
    int64_t wall = loop_wall_ms(w.la);
    if (kind == REAL) { /* also on a machine that was booted just now */
        ck_assert_uint_gt(mono, 86400000ULL * 365 * 49);
        ck_assert_uint_lt(mono, (uint64_t)wall); /* the last moment that wall time can name has a mono time */
    }
    ck_assert_int_gt(wall, 1600000000000);
    ck_assert_int_lt(wall, 4000000000000);
    world_run(&w, NULL, NULL, 50);
    ck_assert_uint_ge(loop_mono_ms(w.la), mono + 50);
    ck_assert_uint_lt(loop_mono_ms(w.la), mono + 2000);
    ck_assert_int_ge(loop_wall_ms(w.la), wall + 49);
    ck_assert_uint_ge(loop_mono_ms_now(w.la), loop_mono_ms(w.la));
    ck_assert_int_ge(loop_wall_ms_now(w.la) + 5, loop_wall_ms(w.la));
    ck_assert_uint_ge(loop_mono_us_exact(w.la) / 1000, mono + 50);
    world_fini(&w);
}
BOTH(clocks)

static void randomness(enum kind kind)
{
    struct world w;
    uint8_t a[16], b[16], big[5000] = {0};
    unsigned seen[10] = {0}, zeros = 0;

    world_init(&w, kind);
    for (unsigned i = 0; i < 1000; i++) {
        loop_random(w.la, a, sizeof a);
        loop_random(w.la, b, sizeof b);
        ck_assert_mem_ne(a, b, sizeof a);
    }
    loop_random(w.la, big, sizeof big);
    for (size_t i = 0; i < sizeof big; i++)
        zeros += big[i] == 0;
    ck_assert_uint_lt(zeros, 100);
    for (unsigned i = 0; i < 1000; i++)
        seen[loop_random_below(w.la, 10)]++;
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_gt(seen[i], 40);
    ck_assert_uint_eq(loop_random_below(w.la, 1), 0);
    world_fini(&w);
}
BOTH(randomness)

static void host_facts(enum kind kind)
{
    struct world w;
    struct host_address list[32];
    struct addr found[8];
    char name[256];
    size_t n, k;
    bool loopback = false;

    world_init(&w, kind);
    ck_assert_uint_eq(host_n_workers(w.a), 1);
    ck_assert_ptr_eq(host_main(w.a), w.la);
    ck_assert_str_eq(loop_name(w.la), "main");
    ck_assert_str_eq(loop_name(host_worker(w.a, 0)), "worker 0");
    n = host_addresses(w.a, list, 32);
    ck_assert_uint_gt(n, 0);
    for (size_t i = 0; i < n; i++)
        if (list[i].loopback && list[i].addr.family == ADDR_IP4) {
            ck_assert_uint_eq(list[i].prefix_bits, 8);
            loopback = true;
        }
    ck_assert(loopback);
    ck_assert_uint_le(host_addresses(w.a, list, 1), 1);
    ck_assert_uint_gt(strlen(host_name(w.a, name, sizeof name)), 0);
    ck_assert_int_eq(host_resolve(w.a, "127.0.0.1", found, 8, &k), ERR_OK);
    ck_assert_uint_eq(k, 1);
    ck_assert(addr_is_loopback(&found[0]));
    world_fini(&w);
}
BOTH(host_facts)

static void on_signal(void *arg, int number)
{
    ck_assert_int_eq(number, SIGUSR1);
    host_stop(arg);
}

START_TEST(signals_reach_the_main_loop)
{
    struct host *h = host_new_real(2);

    host_on_signal(h, SIGUSR1, on_signal, h);
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
    host_run(h);
    host_free(h);
}
END_TEST

/* host_stop() from a worker, also before the run began. */
struct stopper {
    struct task task;
    struct host *h;
};

static void stop_there(struct task *t, bool cancelled)
{
    struct stopper *s = CONTAINER_OF(t, struct stopper, task);

    if (!cancelled)
        host_stop(s->h);
}

START_TEST(stop_from_a_worker)
{
    struct stopper s = {.task.run = stop_there};

    for (unsigned i = 0; i < 50; i++) {
        s.h = host_new_real(1);
        loop_post(host_worker(s.h, 0), &s.task);
        host_run(s.h);
        host_free(s.h);
    }
}
END_TEST

CLUSTERD_SUITE(loop, &posts_keep_order_real, &posts_keep_order_sim, &tasks_across_loops_real,
               &tasks_across_loops_sim, &floods_keep_order_real, &floods_keep_order_sim,
               &tasks_are_cancelled_real, &tasks_are_cancelled_sim, &deferred_in_the_same_turn_real,
               &deferred_in_the_same_turn_sim, &timers_in_order_real, &timers_in_order_sim,
               &timer_restarts_itself_real, &timer_restarts_itself_sim, &zero_timer_is_fair_real,
               &zero_timer_is_fair_sim, &timer_of_ages_real, &timer_of_ages_sim, &clocks_real, &clocks_sim,
               &randomness_real, &randomness_sim, &host_facts_real, &host_facts_sim, &every_post_runs_once,
               &signals_reach_the_main_loop, &stop_from_a_worker)
