/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams whose input is gathered: all of a turn are shown before the first is offered its own; what becomes
 * of those that end or are paused in between. Each body runs on a real and on a simulated loop.
 */
#include "world.h"

#define STREAMS   40 /* more than are gathered at a time */
#define TOGETHER  4
#define BYTES_MAX 300000 /* of one write: more than a read takes */

struct crowd {
    struct world w;
    struct server sv;
    struct peer server[STREAMS], client[STREAMS];
    size_t n;
    struct span shown[STREAMS]; /* of on_gathered(), by the place in `server`; taken when offered */
    unsigned shows;             /* calls */
    size_t most_shown;
};

/* Stream operations have no argument of their own. */
static struct crowd *crowd;

static void on_gathered(const struct stream_input *inputs, size_t n)
{
    ck_assert_uint_gt(n, 1);
    crowd->shows++;
    if (n > crowd->most_shown)
        crowd->most_shown = n;
    for (size_t i = 0; i < n; i++) {
        struct peer *p = stream_arg(inputs[i].stream);
        ck_assert(!p->inside);
        ck_assert_uint_gt(inputs[i].in.n, 0);
        crowd->shown[p - crowd->server] = inputs[i].in;
    }
}

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    struct peer *p = arg;
    struct span *shown = &crowd->shown[p - crowd->server];

    if (shown->n)
        ck_assert(shown->p == in.p && shown->n == in.n);
    shown->n = 0;
    return peer_input(s, arg, in);
}

static const struct stream_ops gather_ops = {
    .on_input = on_input, .on_gathered = on_gathered, .on_close = peer_closed};

static bool all_open(void *arg)
{
    struct crowd *c = arg;

    for (size_t i = 0; i < c->n; i++)
        if (!c->client[i].opens || !c->server[i].s)
            return false;
    return true;
}

static void crowd_init(struct crowd *c, enum kind kind, size_t n, const struct stream_ops *ops)
{
    *c = (struct crowd){0};
    crowd = c;
    world_init(&c->w, kind);
    server_init(&c->sv, &c->w, c->server, n);
    c->sv.ops = ops;
    for (c->n = 1; c->n <= n; c->n++) { /* one by one, so that those of the same place belong together */
        peer_init(&c->client[c->n - 1]);
        client_connect(&c->w, &c->sv, &c->client[c->n - 1]);
        ck_assert(world_run(&c->w, all_open, c, 5000));
    }
    c->n = n;
}

static void crowd_fini(struct crowd *c)
{
    listener_close(c->sv.ls);
    world_fini(&c->w);
    for (size_t i = 0; i < c->n; i++) {
        ck_assert(!c->client[i].s && !c->server[i].s);
        buf_fini(&c->server[i].in);
    }
}

/* All that the clients have written waits to be read, and is read in one turn. */
static void hold(struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++)
        stream_pause(c->server[i].s);
}

static void let_go(struct crowd *c)
{
    world_run(&c->w, NULL, NULL, 30);
    for (size_t i = 0; i < c->n; i++)
        stream_resume(c->server[i].s);
}

struct bytes {
    struct crowd c;
    size_t sent[STREAMS];
};

static bool all_came(void *arg)
{
    struct bytes *b = arg;

    for (size_t i = 0; i < b->c.n; i++)
        if (b->c.server[i].n_in < b->sent[i])
            return false;
    return true;
}

static void check_bytes(struct peer *p, struct span in)
{
    pattern_check(in, p->n_in - in.n);
}

/* STREAMS streams whose servers get patterns, and do what `on_bytes` does with them. */
static void bytes_init(struct bytes *b, enum kind kind, const struct stream_ops *ops,
                       void (*on_bytes)(struct peer *p, struct span in))
{
    *b = (struct bytes){0};
    crowd_init(&b->c, kind, STREAMS, ops);
    for (size_t i = 0; i < STREAMS; i++) {
        b->c.server[i].discard = true;
        b->c.server[i].on_input = on_bytes;
    }
}

static void write_bytes(struct bytes *b, size_t i, size_t n)
{
    static uint8_t room[BYTES_MAX];

    pattern_fill(room, n, b->sent[i]);
    stream_write(b->c.client[i].s, span_of(room, n));
    b->sent[i] += n;
}

static void write_some(struct bytes *b, size_t i, uint32_t random)
{
    static const size_t most[] = {1, 50, 1100, 1100, 4097, 20000, 64 * 1024 + 1, BYTES_MAX};

    write_bytes(b, i, 1 + random % most[random / 1000 % 8]);
}

/* Whatever is gathered with what: every stream is offered its own bytes, all of them, in order. */
static void own_bytes_in_order(enum kind kind)
{
    static struct bytes b;
    uint32_t random = 1;

    bytes_init(&b, kind, &gather_ops, check_bytes);
    for (unsigned round = 0; round < 20; round++) {
        if (round % 2)
            hold(&b.c);
        for (size_t i = 0; i < STREAMS; i++, random = random * 1103515245 + 12345)
            write_some(&b, i, random >> 8);
        if (round % 2)
            let_go(&b.c);
        ck_assert(world_run(&b.c.w, all_came, &b, 10000));
    }
    ck_assert_uint_gt(b.c.shows, 0);
    crowd_fini(&b.c);
}
BOTH(own_bytes_in_order)

static uint32_t meddling;

static uint32_t draw(uint32_t bound)
{
    meddling = meddling * 1103515245 + 12345;
    return (meddling >> 8) % bound;
}

/* Takes part of its input at most, wants more than that, stops and starts others and itself. */
static void meddle(struct peer *p, struct span in)
{
    size_t left = CONTAINER_OF(crowd, struct bytes, c)->sent[p - crowd->server] - p->n_in;

    pattern_check(in, p->n_in - (in.n < p->consume_max ? in.n : p->consume_max));
    p->consume_max = draw(3) ? SIZE_MAX : draw(3000);
    if (draw(8) == 0) /* no more than will come */
        stream_want(p->s, left < 20000 ? left : draw(20000));
    for (unsigned i = draw(6); i > 0; i--) {
        struct stream *s = crowd->server[draw(STREAMS)].s;
        if (draw(3))
            stream_pause(s);
        else
            stream_resume(s);
    }
}

static const struct stream_ops meddling_ops = {
    .on_input = peer_input, .on_gathered = on_gathered, .on_close = peer_closed};

static bool came_after_a_push(void *arg)
{
    struct bytes *b = arg;

    for (size_t i = 0; i < STREAMS; i++) {
        stream_pause(b->c.server[i].s);
        stream_resume(b->c.server[i].s);
    }
    return all_came(b);
}

/* The same when the owners stop and start each other in between, and do not take all. */
static void in_order_among_meddlers(enum kind kind)
{
    static struct bytes b;

    meddling = 1;
    bytes_init(&b, kind, &meddling_ops, meddle);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < STREAMS; i++)
            write_some(&b, i, draw(1 << 24));
        ck_assert(world_run(&b.c.w, came_after_a_push, &b, 20000));
    }
    ck_assert_uint_gt(b.c.shows, 0);
    crowd_fini(&b.c);
}
BOTH(in_order_among_meddlers)

/* As much as may be gathered, and then what a read takes at most. */
static void fill_the_room(enum kind kind)
{
    static struct bytes b;

    bytes_init(&b, kind, &gather_ops, check_bytes);
    for (unsigned round = 0; round < 3; round++) { /* the system tells of more at a time after the first */
        hold(&b.c);
        for (size_t i = 0; i < STREAMS; i++)
            write_bytes(&b, i, i < 31 ? 4096 : BYTES_MAX);
        let_go(&b.c);
        ck_assert(world_run(&b.c.w, all_came, &b, 10000));
    }
    crowd_fini(&b.c);
}
BOTH(fill_the_room)

static void write_all(struct crowd *c)
{
    hold(c);
    for (size_t i = 0; i < c->n; i++)
        stream_write(c->client[i].s, SPAN_LIT("abcdef"));
    let_go(c);
}

static unsigned offered(const struct crowd *c)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->server[i].inputs > 0;
    return n;
}

/* All are read before the first is offered anything. */
static void all_are_shown_first(enum kind kind)
{
    static struct crowd c;

    crowd_init(&c, kind, TOGETHER, &gather_ops);
    write_all(&c);
    world_run(&c.w, NULL, NULL, 50);
    ck_assert_uint_eq(offered(&c), TOGETHER);
    ck_assert_uint_gt(c.most_shown, 1);
    if (kind == REAL) /* the simulated system also gives less than it has */
        ck_assert_uint_eq(c.most_shown, TOGETHER);
    for (size_t i = 0; i < TOGETHER; i++)
        ck_assert(span_eq(buf_span(&c.server[i].in), SPAN_LIT("abcdef")));
    crowd_fini(&c);
}
BOTH(all_are_shown_first)

/* Who is offered its input first ends its neighbours: one is closed, one aborted, one paused. */
static void end_the_others(struct peer *p, struct span in)
{
    size_t first = (size_t)(p - crowd->server);

    (void)in;
    if (offered(crowd) > 1)
        return;
    stream_close(crowd->server[(first + 1) % TOGETHER].s, 100);
    stream_abort(crowd->server[(first + 2) % TOGETHER].s);
    stream_pause(crowd->server[(first + 3) % TOGETHER].s);
}

static void neighbours_end(enum kind kind)
{
    static struct crowd c;

    crowd_init(&c, kind, TOGETHER, &gather_ops);
    for (size_t i = 0; i < TOGETHER; i++)
        c.server[i].on_input = end_the_others;
    write_all(&c);
    world_run(&c.w, NULL, NULL, 300);
    ck_assert_uint_eq(offered(&c), 1);
    size_t first = 0;
    while (!c.server[first].inputs)
        first++;
    struct peer *closed = &c.server[(first + 1) % TOGETHER], *aborted = &c.server[(first + 2) % TOGETHER];
    struct peer *paused = &c.server[(first + 3) % TOGETHER];
    ck_assert(span_eq(buf_span(&c.server[first].in), SPAN_LIT("abcdef")));
    ck_assert(closed->closes == 1 && closed->why == ERR_OK);
    ck_assert(aborted->closes == 1 && aborted->why == ERR_CANCELLED);
    ck_assert(paused->closes == 0 && stream_is_paused(paused->s));
    c.shown[paused - c.server] = (struct span){NULL, 0}; /* it was kept since, elsewhere */
    stream_resume(paused->s);
    world_run(&c.w, NULL, NULL, 50);
    ck_assert(span_eq(buf_span(&paused->in), SPAN_LIT("abcdef")));
    crowd_fini(&c);
}
BOTH(neighbours_end)

/* More streams than are gathered: who is offered its input first closes those that are still to be read,
 * whose peers have reset them. They were closed, and nothing else. */
static void close_the_reset(struct peer *p, struct span in)
{
    (void)p;
    (void)in;
    for (size_t i = STREAMS / 5 * 4; i < STREAMS; i++)
        if (crowd->server[i].s)
            stream_close(crowd->server[i].s, 100);
}

static void closed_before_the_read(enum kind kind)
{
    static struct crowd c;

    crowd_init(&c, kind, STREAMS, &gather_ops);
    write_all(&c); /* from now on the system tells of more than 32 at a time */
    world_run(&c.w, NULL, NULL, 50);
    for (size_t i = 0; i < STREAMS / 5 * 4; i++) {
        c.server[i].on_input = close_the_reset;
        stream_write(c.client[i].s, SPAN_LIT("abcdef"));
        stream_flush(c.client[i].s);
    }
    for (size_t i = STREAMS / 5 * 4; i < STREAMS; i++)
        stream_abort(c.client[i].s);
    world_run(&c.w, NULL, NULL, 300);
    for (size_t i = STREAMS / 5 * 4; i < STREAMS; i++) {
        ck_assert_uint_eq(c.server[i].closes, 1);
        if (kind == REAL) /* the simulated network brings the resets in any order */
            ck_assert_int_eq(c.server[i].why, ERR_OK);
    }
    crowd_fini(&c);
}
BOTH(closed_before_the_read)

static void want_twelve(struct peer *p, struct span in)
{
    ck_assert(p->inputs == 1 || in.n >= 12);
    stream_want(p->s, 12);
}

/* Nothing is unconsumed, but the owner does not want less than so much. */
static void as_much_as_wanted(enum kind kind)
{
    static struct crowd c;

    crowd_init(&c, kind, TOGETHER, &gather_ops);
    for (size_t i = 0; i < TOGETHER; i++)
        c.server[i].on_input = want_twelve;
    for (unsigned round = 0; round < 3; round++) {
        write_all(&c);
        world_run(&c.w, NULL, NULL, 50);
        memset(c.shown, 0, sizeof c.shown); /* what was kept is offered from elsewhere */
    }
    for (size_t i = 0; i < TOGETHER; i++)
        ck_assert_uint_eq(c.server[i].inputs, 2);
    crowd_fini(&c);
}
BOTH(as_much_as_wanted)

CLUSTERD_SUITE(gather, &own_bytes_in_order_real, &own_bytes_in_order_sim, &fill_the_room_real,
               &fill_the_room_sim, &in_order_among_meddlers_real, &in_order_among_meddlers_sim,
               &all_are_shown_first_real, &all_are_shown_first_sim, &neighbours_end_real, &neighbours_end_sim,
               &closed_before_the_read_real, &closed_before_the_read_sim, &as_much_as_wanted_real,
               &as_much_as_wanted_sim)
