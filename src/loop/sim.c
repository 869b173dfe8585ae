/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: its clock, its heap of events and its random numbers. See sim.h and sim_impl.h. One
 * thread, the scenario's.
 */
#include "clusterd/util/hash.h"
#include "sim_impl.h"

#define DELAY_MIN_US      50
#define DELAY_MAX_US      500
#define STREAM_TIMEOUT_MS 15000

/* SplitMix64 (Steele, Lea, Flood): any state gives a full-period sequence. */
uint64_t sim_next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

uint64_t sim_net_below(struct sim *s, uint64_t bound)
{
    return bound ? sim_next_random(&s->net_random) % bound : 0;
}

struct sim *sim_new(uint64_t seed)
{
    struct sim *s = MEM_NEW(struct sim);
    uint64_t words[2];

    s->seed_random = seed;
    words[0] = sim_next_random(&s->seed_random);
    words[1] = sim_next_random(&s->seed_random);
    hash_set_key((const uint8_t *)words);
    s->net_random = sim_next_random(&s->seed_random);
    s->scenario_random = sim_next_random(&s->seed_random);
    s->net = (struct sim_net){
        .delay_min_us = DELAY_MIN_US, .delay_max_us = DELAY_MAX_US, .stream_timeout_ms = STREAM_TIMEOUT_MS};
    link_init(&s->hosts);
    link_init(&s->machines);
    link_init(&s->cuts);
    link_init(&s->conns);
    link_init(&s->groups);
    return s;
}

void sim_free(struct sim *s)
{
    if (!s)
        return;
    LINK_EACH_SAFE(at, &s->hosts)
    {
        struct sim_host *sh = CONTAINER_OF(at, struct sim_host, all);
        ASSERT(sh->dead);
        sim_host_free_memory(sh);
    }
    while (!link_is_alone(&s->conns))
        sim_conn_free(CONTAINER_OF(s->conns.next, struct sim_conn, all));
    sim_machine_free_cuts(s);
    while (!link_is_alone(&s->machines))
        sim_machine_free(CONTAINER_OF(s->machines.next, struct sim_machine, all));
    heap_fini(&s->queue);
    mem_free(s);
}

void sim_set_net(struct sim *s, const struct sim_net *net)
{
    s->net = *net;
    if (s->net.stream_timeout_ms == 0)
        s->net.stream_timeout_ms = STREAM_TIMEOUT_MS;
}

uint64_t sim_now_us(const struct sim *s)
{
    return s->now_us;
}

uint64_t sim_events(const struct sim *s)
{
    return s->n_events;
}

uint64_t sim_trace(const struct sim *s)
{
    return s->trace;
}

uint32_t sim_random_below(struct sim *s, uint32_t bound)
{
    ASSERT(bound > 0);
    return (uint32_t)(sim_next_random(&s->scenario_random) % bound);
}

void sim_schedule(struct sim *s, struct sim_event *e, uint64_t at_us)
{
    heap_remove(&s->queue, &e->slot);
    heap_put(&s->queue, at_us < s->now_us ? s->now_us : at_us, e, &e->slot);
}

void sim_cancel(struct sim *s, struct sim_event *e)
{
    heap_remove(&s->queue, &e->slot);
}

bool sim_step(struct sim *s)
{
    uint64_t at;
    struct sim_event *e = heap_first(&s->queue, &at);

    ASSERT(!s->current);
    if (!e)
        return false;
    s->trace = hash_mix(hash_mix(s->trace, at), heap_first_seq(&s->queue));
    sim_cancel(s, e);
    s->now_us = at;
    s->n_events++;
    e->fire(e);
    return true;
}

void sim_run_ms(struct sim *s, uint64_t ms)
{
    uint64_t end = s->now_us + ms * 1000, at;

    while (heap_first(&s->queue, &at) && at <= end)
        sim_step(s);
    s->now_us = end;
}

bool sim_run_until(struct sim *s, sim_pred_fn pred, void *arg, uint64_t max_ms)
{
    uint64_t end = s->now_us + max_ms * 1000, at;

    while (!pred(arg)) {
        if (!heap_first(&s->queue, &at) || at > end) {
            s->now_us = end;
            return false;
        }
        sim_step(s);
    }
    return true;
}

static struct sim_machine *machine_of(struct host *h)
{
    return ((struct sim_host *)h)->machine;
}

void sim_set_link(struct sim *s, struct host *a, struct host *b, bool up)
{
    (void)s;
    sim_machine_set_link(machine_of(a), machine_of(b), up);
}

void sim_reset_streams(struct sim *s, struct host *a, struct host *b)
{
    struct sim_machine *ma = machine_of(a), *mb = machine_of(b);

    LINK_EACH(at, &s->conns)
    {
        struct sim_conn *c = CONTAINER_OF(at, struct sim_conn, all);
        bool between = (c->client.machine == ma && c->server.machine == mb) ||
                       (c->client.machine == mb && c->server.machine == ma);
        /* One that does not stand yet would look refused, as by a dead process. */
        if (between && c->phase == SIM_STANDS)
            sim_conn_break(c);
    }
}
