/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated hosts: processes on simulated machines, their birth, pause and their several ways to die.
 */
#include "sim_impl.h"

#include <stdio.h>

#define MAX_WIND_UP_ROUNDS 10000
#define MONO_BASE_MAX_MS   1000000

static struct sim_host *of(const struct host *h)
{
    return (struct sim_host *)h;
}

static struct sim_loop *loop_at(struct sim_host *sh, unsigned i)
{
    return (struct sim_loop *)sh->h.loops[i];
}

static void run(struct host *h)
{
    (void)h;
    ASSERT(!"host_run() is for real hosts: a simulated host runs by sim_run_ms()");
}

/* A node that asks for its end: the scenario decides when that comes. */
static void stop(struct host *h)
{
    (void)h;
}

static void end(struct host *h)
{
    sim_host_end(of(h)->sim, h);
}

static size_t addresses(struct host *h, struct host_address *out, size_t max)
{
    struct host_address all[2] = {
        {.interface = "lo", .prefix_bits = 8, .up = true, .loopback = true},
        {.interface = "eth0", .prefix_bits = 24, .up = true, .multicast = true},
    };
    size_t n = max < 2 ? max : 2;

    all[0].addr = (struct addr){.family = ADDR_IP4, .ip = {127, 0, 0, 1}};
    all[1].addr = of(h)->machine->ip;
    memcpy(out, all, n * sizeof *out);
    return n;
}

static const char *name_of(struct host *h, char *out, size_t cap)
{
    snprintf(out, cap, "%s", of(h)->name);
    return out;
}

static enum err resolve(struct host *h, const char *name, struct addr *out, size_t max, size_t *n)
{
    struct addr a = {.family = ADDR_IP4, .ip = {127, 0, 0, 1}};

    if (max == 0)
        return ERR_NOT_FOUND;
    if (strcmp(name, of(h)->name) == 0)
        a = of(h)->machine->ip;
    else if (strcmp(name, "localhost") != 0 && addr_parse(name, 0, &a) != ERR_OK)
        return ERR_NOT_FOUND;
    out[0] = a;
    *n = 1;
    return ERR_OK;
}

static void on_signal(struct host *h, int number, host_signal_fn fn, void *arg)
{
    (void)h; /* nobody signals a simulated process */
    (void)number;
    (void)fn;
    (void)arg;
}

static const struct host_ops host_kind = {
    .run = run,
    .stop = stop,
    .free = end,
    .addresses = addresses,
    .name = name_of,
    .resolve = resolve,
    .on_signal = on_signal,
};

struct host *sim_host_new(struct sim *s, const char *ip, unsigned n_workers)
{
    struct sim_host *sh = MEM_NEW(struct sim_host);
    struct addr a;
    char text[ADDR_TEXT_MAX];

    ASSERT(n_workers >= 1 && n_workers <= 64);
    ASSERT(addr_parse(ip, 0, &a) == ERR_OK && a.family == ADDR_IP4);
    sh->h.ops = &host_kind;
    sh->h.n_workers = n_workers;
    sh->sim = s;
    sh->machine = sim_machine_get(s, &a);
    LINK_EACH(at, &s->hosts)
    {
        struct sim_host *other = CONTAINER_OF(at, struct sim_host, all);
        ASSERT(other->dead || other->machine != sh->machine);
    }
    sh->machine->up = true;
    snprintf(sh->name, sizeof sh->name, "%.20s", addr_host_text(&a, text));
    if (sh->machine->serial++)
        snprintf(sh->name, sizeof sh->name, "%.20s#%u", text, sh->machine->serial);
    sh->mono_base_us = sim_next_random(&s->seed_random) % MONO_BASE_MAX_MS * 1000;
    link_init(&sh->incomings);
    sh->h.loops = mem_array(n_workers + 1, sizeof *sh->h.loops);
    for (unsigned i = 0; i <= n_workers; i++)
        sh->h.loops[i] = &sim_loop_new(sh, i)->l;
    link_push_back(&s->hosts, &sh->all);
    return &sh->h;
}

void sim_host_free_memory(struct sim_host *sh)
{
    for (unsigned i = 0; i <= sh->h.n_workers; i++) {
        sim_loop_stop(loop_at(sh, i));
        loop_forget(sh->h.loops[i]);
    }
    while (!link_is_alone(&sh->incomings))
        sim_listener_refuse(&CONTAINER_OF(sh->incomings.next, struct sim_incoming, link)->in);
    for (unsigned i = 0; i <= sh->h.n_workers; i++)
        sim_loop_free(loop_at(sh, i));
    link_remove(&sh->all);
    mem_free(sh->h.loops);
    mem_free(sh);
}

static bool wind_up_round(struct sim_host *sh)
{
    bool any = false;

    for (unsigned i = 0; i <= sh->h.n_workers; i++) {
        sh->sim->current = sh->h.loops[i];
        any |= sim_loop_cancel(loop_at(sh, i));
        any |= loop_wind_up(sh->h.loops[i]);
    }
    sh->sim->current = NULL;
    return any;
}

void sim_host_wind_up(struct sim *s, struct host *h)
{
    struct sim_host *sh = of(h);

    ASSERT(!s->current);
    for (unsigned i = 0; i <= h->n_workers; i++) {
        h->loops[i]->ending = true;
        sim_loop_stop(loop_at(sh, i));
    }
    for (unsigned rounds = 0; wind_up_round(sh); rounds++)
        ASSERT(rounds < MAX_WIND_UP_ROUNDS);
    sh->dead = true;
}

void sim_host_end(struct sim *s, struct host *h)
{
    sim_host_wind_up(s, h);
    sim_host_free_memory(of(h));
}

/* The connections of this process: reset, or without a word to the peer. */
static void drop_conns(struct sim_host *sh, bool silently)
{
    LINK_EACH_SAFE(at, &sh->sim->conns)
    {
        struct sim_conn *c = CONTAINER_OF(at, struct sim_conn, all);
        struct sim_end *mine[2];
        size_t n = 0;

        if (c->client.host == sh)
            mine[n++] = &c->client;
        if (c->server.host == sh)
            mine[n++] = &c->server;
        /* The connection itself may be freed with its last end. */
        for (size_t i = 0; i < n; i++)
            sim_conn_close(mine[i], silently ? SIM_CLOSE_SILENT : SIM_CLOSE_KILLED);
    }
}

/* From now on the loops of this host touch nothing but their own memory. */
static void die(struct sim_host *sh, bool silently)
{
    struct sim *s = sh->sim;

    ASSERT(!sh->dead && (!s->current || s->current->host != &sh->h));
    sh->dead = true;
    for (unsigned i = 0; i <= sh->h.n_workers; i++) {
        struct loop *l = sh->h.loops[i];
        sim_loop_stop(loop_at(sh, i));
        LINK_EACH(at, &l->listeners)
        {
            sim_listener_detach((struct sim_listener *)CONTAINER_OF(at, struct listener, all));
        }
        LINK_EACH(at, &l->multicasts)
        {
            sim_multicast_detach((struct sim_multicast *)CONTAINER_OF(at, struct multicast, all));
        }
    }
    drop_conns(sh, silently);
}

void sim_host_kill(struct sim *s, struct host *h)
{
    (void)s;
    die(of(h), false);
}

void sim_host_power_off(struct sim *s, struct host *h)
{
    (void)s;
    of(h)->machine->up = false;
    die(of(h), true);
}

void sim_host_free_dead(struct sim *s, struct host *h)
{
    (void)s;
    ASSERT(of(h)->dead);
    sim_host_free_memory(of(h));
}

void sim_host_pause(struct sim *s, struct host *h, bool paused)
{
    struct sim_host *sh = of(h);

    ASSERT(!s->current || s->current->host != h);
    if (sh->paused == paused || sh->dead)
        return;
    sh->paused = paused;
    for (unsigned i = 0; i <= h->n_workers; i++) {
        if (paused)
            sim_cancel(s, &loop_at(sh, i)->turn);
        else
            sim_loop_wake(loop_at(sh, i));
    }
}

bool sim_host_is_dead(const struct host *h)
{
    return of(h)->dead;
}

void sim_host_set_wall_offset(struct host *h, int64_t offset_ms)
{
    of(h)->wall_offset_ms = offset_ms;
}
