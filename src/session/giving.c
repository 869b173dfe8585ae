/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions for other clusterd nodes; see giving.h. What a member gets of one shard is a share. Each step
 * sends some sessions of one share and is a flight until the member has acknowledged them:
 *
 *   ready --(step: the window is full)--> waiting --(a flight is back)--> ready --(step: the last)--> gone
 *
 * A share waits only while there are flights to its member, and each that comes back calls one.
 */
#include "giving.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "slice.h"

#define FIRST        4           /* sessions of a share's first step; then twice as many each time, ... */
#define SLICE        2048        /* ... up to this, ... */
#define SLICE_BYTES  (1u << 20)  /* ... or about this */
#define WINDOW_BYTES (4u << 20)  /* in flights to a member; live changes share its queue */
#define BLOCK_BYTES  (64u << 10) /* in a message */
#define HOPS_MAX     4096        /* changes of ids that are followed in one step */
#define KEYS_MAX     (4u << 20)  /* of all shares */
#define SHARES_MAX   8192
#define STEP_MS      1
#define GIVE_OPTIONS (SEND_USE_ACK | SEND_SYNCHRONIZED_ACK)

struct share {
    struct link link;
    struct member *to;
    unsigned shard;
    struct table_summary *keys; /* sorted; n of them, those below `at` are sent */
    size_t n, at;
    size_t want; /* sessions of the next step */
};

struct flight {
    struct link link;
    struct giving *giving;
    struct member *to;
    size_t bytes;
    struct delivery delivery;
};

struct giving {
    struct manager *manager;
    struct timer step_timer;
    struct link ready, waiting; /* shares */
    size_t n_shares, n_keys;    /* of both */
    struct link flights;
};

static struct loop *main_loop(const struct giving *g)
{
    return host_main(g->manager->host);
}

/* --- shares --- */

static struct share *find_share(const struct link *list, const struct member *to)
{
    LINK_EACH(l, list)
    {
        struct share *s = CONTAINER_OF(l, struct share, link);
        if (s->to == to)
            return s;
    }
    return NULL;
}

bool giving_has_more(const struct giving *g, const struct member *to)
{
    return find_share(&g->ready, to) || find_share(&g->waiting, to);
}

static void move_share(struct share *s, struct link *list)
{
    link_remove(&s->link);
    link_push_back(list, &s->link);
}

static void end_share(struct giving *g, struct share *s)
{
    g->n_shares--;
    g->n_keys -= s->n;
    link_remove(&s->link);
    view_member_unref(s->to);
    mem_free(s->keys);
    mem_free(s);
}

static void end_shares(struct giving *g, struct link *list, const struct member *to)
{
    LINK_EACH_SAFE(l, list)
    {
        struct share *s = CONTAINER_OF(l, struct share, link);
        if (s->to == to)
            end_share(g, s);
    }
}

static void start_steps(struct giving *g)
{
    if (!g->step_timer.active)
        timer_start(&g->step_timer, STEP_MS);
}

void giving_add(struct giving *g, struct member *to, unsigned shard, struct table_summary *keys_taken,
                size_t n)
{
    if (n && (g->n_shares >= SHARES_MAX || g->n_keys >= KEYS_MAX)) {
        log_limited(loop_mono_ms(main_loop(g)), LOG_INFO,
                    "%zu sessions for %s are left to a later comparison: much is on its way already", n,
                    to->name);
        n = 0;
    }
    if (n == 0) {
        mem_free(keys_taken);
        return;
    }
    struct share *s = MEM_NEW(struct share);
    *s = (struct share){.to = view_member_ref(to), .shard = shard, .keys = keys_taken, .n = n, .want = FIRST};
    link_push_back(&g->ready, &s->link);
    g->n_shares++;
    g->n_keys += n;
    start_steps(g);
}

/* --- flights --- */

static size_t bytes_in_flight(const struct giving *g, const struct member *to)
{
    size_t bytes = 0;

    LINK_EACH(l, &g->flights)
    {
        const struct flight *f = CONTAINER_OF(l, struct flight, link);
        if (f->to == to)
            bytes += f->bytes;
    }
    return bytes;
}

static void end_flight(struct flight *f)
{
    link_remove(&f->link);
    view_member_unref(f->to);
    mem_free(f);
}

/* Every flight comes back, also one that had nothing to carry. */
static void on_back(struct delivery *d, bool cancelled)
{
    struct flight *f = CONTAINER_OF(d, struct flight, delivery);
    struct giving *g = f->giving;

    if (cancelled) /* giving_free() follows */
        return;
    if (atomic_load(&d->failed) > 0) {
        end_shares(g, &g->ready, f->to);
        end_shares(g, &g->waiting, f->to);
    }
    struct share *next = find_share(&g->waiting, f->to);
    end_flight(f);
    if (!next)
        return;
    move_share(next, &g->ready);
    start_steps(g);
}

static struct flight *flight_new(struct giving *g, struct member *to)
{
    struct flight *f = MEM_NEW(struct flight);

    f->giving = g;
    f->to = view_member_ref(to);
    delivery_init(&f->delivery, main_loop(g), on_back);
    f->delivery.is_patient = true; /* a window, not a time-out */
    link_push_back(&g->flights, &f->link);
    return f;
}

/* --- a step --- */

struct cargo {
    struct giving *giving;
    struct flight *flight;
    struct buf block;
    unsigned hops_left;
};

static void flush(struct cargo *k)
{
    if (k->block.n)
        manager_send_own(k->giving->manager, main_loop(k->giving), k->flight->to, &k->block, 0, GIVE_OPTIONS,
                         &k->flight->delivery);
    k->flight->bytes += k->block.n;
    buf_clear(&k->block);
}

static void add_one(struct cargo *k, const struct change *c)
{
    if (k->block.n == 0)
        cluster_own_begin(&k->block, OWN_REPAIR);
    change_encode(c, &k->block);
    if (k->block.n >= BLOCK_BYTES)
        flush(k);
}

/* With an old id goes all that it leads to, which lies in other shards: the other side may have missed many
 * changes of one id, and would learn of one with each comparison. */
static void add_picked(void *arg, struct change *c)
{
    struct cargo *k = arg;

    add_one(k, c);
    while (c && c->new_id.n && k->hops_left > 0) {
        struct change *next =
            table_held(k->giving->manager->table, c->context, c->new_id, table_now(main_loop(k->giving)));
        change_unref(c);
        c = next;
        k->hops_left--;
        if (c)
            add_one(k, c);
    }
    change_unref(c);
}

static void send_slice(struct giving *g, struct share *s)
{
    size_t n = s->n - s->at < s->want ? s->n - s->at : s->want;
    struct flight *f = flight_new(g, s->to);
    struct cargo k = {.giving = g, .flight = f, .hops_left = HOPS_MAX};

    table_pick(g->manager->table, s->shard, s->keys + s->at, n, table_now(main_loop(g)), add_picked, &k);
    flush(&k);
    buf_fini(&k.block);
    s->at += n;
    s->want = slice_next(s->want, n, f->bytes, SLICE, SLICE_BYTES);
    delivery_seal(&f->delivery);
}

/* The first share whose member can take something. NULL: all that there are wait for their flights. */
static struct share *next_share(struct giving *g)
{
    while (!link_is_alone(&g->ready)) {
        struct share *s = CONTAINER_OF(g->ready.next, struct share, link);
        if (bytes_in_flight(g, s->to) < WINDOW_BYTES)
            return s;
        move_share(s, &g->waiting);
    }
    return NULL;
}

static void on_step(struct timer *t, void *arg)
{
    struct giving *g = arg;
    struct share *s = next_share(g);

    if (!s)
        return;
    if (g->manager->running)
        send_slice(g, s);
    if (s->at == s->n || !g->manager->running)
        end_share(g, s);
    if (!link_is_alone(&g->ready))
        timer_start(t, STEP_MS);
}

struct giving *giving_new(struct manager *m)
{
    struct giving *g = MEM_NEW(struct giving);

    g->manager = m;
    timer_init(&g->step_timer, host_main(m->host), on_step, g);
    link_init(&g->ready);
    link_init(&g->waiting);
    link_init(&g->flights);
    return g;
}

void giving_free(struct giving *g)
{
    timer_fini(&g->step_timer);
    for (struct link *l; (l = g->ready.next) != &g->ready || (l = g->waiting.next) != &g->waiting;)
        end_share(g, CONTAINER_OF(l, struct share, link));
    while (!link_is_alone(&g->flights))
        end_flight(CONTAINER_OF(g->flights.next, struct flight, link));
    mem_free(g);
}
