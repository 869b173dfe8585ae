/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries: one completion, after the seal and the last result, on the loop of the one who waits; also from
 * several threads, and when the loop has ended.
 */
#include "rig.h"

static struct sim *sim;
static struct host *host;

static void world(void)
{
    sim = sim_new(1);
    host = sim_host_new(sim, "10.0.0.1", 1);
}

static void world_end(void)
{
    if (host)
        sim_host_end(sim, host);
    sim_free(sim);
}

START_TEST(waits_for_all_results_and_the_seal)
{
    struct rig_wait w = {0};

    world();
    delivery_init(&w.d, host_main(host), rig_wait_fn);
    delivery_expect(&w.d, 3);
    delivery_result(&w.d, DELIVERY_ACKED);
    delivery_result(&w.d, DELIVERY_LAGGING);
    delivery_result(&w.d, DELIVERY_FAILED);
    sim_run_ms(sim, 10);
    ck_assert(!w.done);
    delivery_seal(&w.d);
    ck_assert(!w.done);
    sim_run_ms(sim, 10);
    ck_assert(w.done && !w.cancelled);
    ck_assert_int_eq(w.d.acked, 1);
    ck_assert_int_eq(w.d.lagging, 1);
    ck_assert_int_eq(w.d.failed, 1);
    world_end();
}
END_TEST

START_TEST(result_after_the_seal)
{
    struct rig_wait w = {0};

    world();
    delivery_init(&w.d, host_main(host), rig_wait_fn);
    delivery_expect(&w.d, 1);
    delivery_seal(&w.d);
    sim_run_ms(sim, 10);
    ck_assert(!w.done);
    delivery_result(&w.d, DELIVERY_ACKED);
    sim_run_ms(sim, 10);
    ck_assert(w.done);
    world_end();
}
END_TEST

START_TEST(nothing_expected_still_completes_later)
{
    struct rig_wait w = {0};

    world();
    delivery_init(&w.d, host_worker(host, 0), rig_wait_fn);
    delivery_seal(&w.d);
    ck_assert(!w.done);
    sim_run_ms(sim, 10);
    ck_assert(w.done);
    delivery_result(NULL, DELIVERY_ACKED);
    world_end();
}
END_TEST

START_TEST(cancelled_with_its_loop)
{
    struct rig_wait w = {0};

    world();
    delivery_init(&w.d, host_main(host), rig_wait_fn);
    delivery_seal(&w.d);
    sim_host_end(sim, host);
    host = NULL;
    ck_assert(w.done && w.cancelled);
    world_end();
}
END_TEST

/* Each worker gives its share of the results; the completion runs once, after the last. */
#define N_THREADS 4
#define N_RESULTS 20000
#define N_ROUNDS  20

struct giver {
    struct task task;
    struct crowd *crowd;
};
struct crowd {
    struct host *h;
    struct delivery d;
    struct giver givers[N_THREADS];
    struct task start;
    unsigned rounds, total;
};

static void give(struct task *t, bool cancelled)
{
    struct giver *g = CONTAINER_OF(t, struct giver, task);

    (void)cancelled;
    for (int i = 0; i < N_RESULTS; i++)
        delivery_result(&g->crowd->d, i % 2 ? DELIVERY_ACKED : DELIVERY_FAILED);
}

static void crowd_done(struct delivery *d, bool cancelled);

static void crowd_start(struct task *t, bool cancelled)
{
    struct crowd *c = CONTAINER_OF(t, struct crowd, start);

    (void)cancelled;
    delivery_init(&c->d, host_main(c->h), crowd_done);
    delivery_expect(&c->d, N_THREADS * N_RESULTS);
    for (unsigned i = 0; i < N_THREADS; i++)
        loop_post(host_worker(c->h, i), &c->givers[i].task);
    delivery_seal(&c->d);
}

static void crowd_done(struct delivery *d, bool cancelled)
{
    struct crowd *c = CONTAINER_OF(d, struct crowd, d);

    ck_assert(!cancelled);
    ck_assert(loop_is_current(host_main(c->h)));
    c->total += (unsigned)(d->acked + d->failed);
    if (++c->rounds == N_ROUNDS)
        host_stop(c->h);
    else
        loop_post(host_main(c->h), &c->start);
}

START_TEST(results_from_many_threads)
{
    struct crowd c = {.h = host_new_real(N_THREADS)};

    c.start.run = crowd_start;
    for (unsigned i = 0; i < N_THREADS; i++)
        c.givers[i] = (struct giver){.task.run = give, .crowd = &c};
    loop_post(host_main(c.h), &c.start);
    host_run(c.h);
    host_free(c.h);
    ck_assert_uint_eq(c.total, N_ROUNDS * N_THREADS * N_RESULTS);
}
END_TEST

CLUSTERD_SUITE(delivery, &waits_for_all_results_and_the_seal, &result_after_the_seal,
               &nothing_expected_still_completes_later, &cancelled_with_its_loop, &results_from_many_threads)
