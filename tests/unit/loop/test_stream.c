/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of both kinds: data, flow control, ending. Each body runs on a real and on a simulated loop.
 */
#include "world.h"

/* --- data --- */

static bool echoed(void *arg)
{
    struct pair *p = arg;

    return p->client.in.n >= 11;
}

static void echo(enum kind kind)
{
    struct pair p;

    pair_init(&p, kind);
    p.server.echo = true;
    stream_write(p.client.s, SPAN_LIT("hello "));
    stream_write(p.client.s, SPAN_LIT("world"));
    ck_assert_uint_eq(stream_queued(p.client.s), 11);
    ck_assert(world_run(&p.w, echoed, &p, 2000));
    ck_assert(span_eq(buf_span(&p.client.in), SPAN_LIT("hello world")));
    ck_assert_uint_eq(stream_queued(p.client.s), 0);
    ck_assert(addr_eq(stream_peer(p.client.s), listener_addr(p.sv.ls)));
    ck_assert(addr_eq(stream_local(p.client.s), stream_peer(p.server.s)));
    ck_assert(addr_eq(stream_local(p.server.s), listener_addr(p.sv.ls)));
    ck_assert_ptr_eq(stream_arg(p.client.s), &p.client);
    ck_assert_uint_le(stream_last_read_ms(p.client.s), loop_mono_ms(p.w.lb));
    ck_assert_uint_gt(stream_last_read_ms(p.client.s) + 2000, loop_mono_ms(p.w.lb));
    pair_fini(&p);
    ck_assert_int_eq(p.client.why, ERR_CANCELLED);
    ck_assert_int_eq(p.server.why, ERR_CANCELLED);
}
BOTH(echo)

#define LINE 10

/* Whole lines only: what is not consumed is offered again with more behind it. */
static size_t whole_lines(struct stream *s, void *arg, struct span in)
{
    struct peer *p = arg;
    size_t n = in.n / LINE * LINE;

    (void)s;
    ck_assert_uint_eq(p->n_in % LINE, 0);
    pattern_check(in, p->n_in);
    p->inputs++;
    p->n_in += n;
    return n;
}
static const struct stream_ops line_ops = {.on_input = whole_lines, .on_close = peer_closed};

static bool all_lines(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 100 * LINE * 100;
}

struct dribble {
    struct timer timer;
    struct peer *to;
    size_t sent, step;
};

static void dribble_on(struct timer *t, void *arg)
{
    struct dribble *d = arg;
    uint8_t bytes[4096];
    size_t n = d->step % 997 + 1, total = 100 * LINE * 100;

    if (n > total - d->sent)
        n = total - d->sent;
    pattern_fill(bytes, n, d->sent);
    stream_write(d->to->s, span_of(bytes, n));
    if (d->step % 3 == 0)
        stream_flush(d->to->s);
    d->sent += n;
    d->step = d->step * 31 + 7;
    if (d->sent < total)
        timer_start(t, d->step % 8 == 0);
}

static void split_and_joined(enum kind kind)
{
    struct pair p;
    struct dribble d = {.to = &p.client, .step = 1};

    pair_init_ops(&p, kind, &line_ops);
    timer_init(&d.timer, p.w.lb, dribble_on, &d);
    timer_start(&d.timer, 0);
    ck_assert(world_run(&p.w, all_lines, &p, 20000));
    ck_assert_uint_gt(p.server.inputs, 20);
    timer_fini(&d.timer);
    pair_fini(&p);
}
BOTH(split_and_joined)

static void want_input(struct peer *p, struct span in)
{
    /* Offers: first whatever comes, then only from 200,000 on, then again whatever comes. */
    if (p->inputs == 1)
        stream_want(p->s, 200000);
    else if (p->inputs == 2)
        ck_assert_uint_ge(in.n, 200000);
    if (p->inputs == 2)
        p->consume_max = SIZE_MAX;
}

static size_t want_consume(struct stream *s, void *arg, struct span in)
{
    struct peer *p = arg;

    (void)s;
    p->inputs++;
    want_input(p, in);
    if (p->inputs == 1)
        return 0;
    p->n_in += in.n;
    return in.n;
}
static const struct stream_ops want_ops = {.on_input = want_consume, .on_close = peer_closed};

static bool first_offer(void *arg)
{
    return ((struct pair *)arg)->server.inputs == 1;
}
static bool all_wanted(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 200000 + 1;
}
static bool one_more(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 200000 + 2;
}

static void want(enum kind kind)
{
    struct pair p;
    uint8_t *bytes = mem_zalloc(100000);

    pair_init_ops(&p, kind, &want_ops);
    stream_write(p.client.s, span_of(bytes, 1));
    ck_assert(world_run(&p.w, first_offer, &p, 2000));
    stream_write(p.client.s, span_of(bytes, 100000));
    world_run(&p.w, NULL, NULL, 30);
    ck_assert_uint_eq(p.server.inputs, 1);
    stream_write(p.client.s, span_of(bytes, 100000));
    ck_assert(world_run(&p.w, all_wanted, &p, 5000));
    /* The want was for one offer only. */
    stream_write(p.client.s, span_of(bytes, 1));
    ck_assert(world_run(&p.w, one_more, &p, 2000));
    mem_free(bytes);
    pair_fini(&p);
}
BOTH(want)

/* The peer ends before there is as much as was wanted: the rest is offered once more. */
static size_t keep_until_end(struct stream *s, void *arg, struct span in)
{
    struct peer *p = arg;

    p->inputs++;
    p->offered = in.n;
    stream_want(s, 1000);
    return 0;
}
static const struct stream_ops keep_ops = {.on_input = keep_until_end, .on_close = peer_closed};

static void rest_is_offered_at_eof(enum kind kind)
{
    struct pair p;

    pair_init_ops(&p, kind, &keep_ops);
    stream_write(p.client.s, SPAN_LIT("x"));
    ck_assert(world_run(&p.w, first_offer, &p, 2000));
    stream_write(p.client.s, SPAN_LIT("yz"));
    stream_close(p.client.s, 1000);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 3000));
    ck_assert_uint_eq(p.server.inputs, 2);
    ck_assert_uint_eq(p.server.offered, 3);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    ck_assert_int_eq(p.client.why, ERR_OK);
    pair_fini(&p);
}
BOTH(rest_is_offered_at_eof)

static void input_limit(enum kind kind)
{
    struct pair p;
    uint8_t bytes[5000] = {0};

    pair_init(&p, kind);
    p.server.consume_max = 0;
    stream_set_input_limit(p.server.s, 4096);
    stream_write(p.client.s, span_of(bytes, 4096));
    world_run(&p.w, NULL, NULL, 50);
    ck_assert_uint_eq(p.server.closes, 0);
    ck_assert_uint_eq(p.server.offered, 4096);
    stream_write(p.client.s, span_of(bytes, 1));
    ck_assert(world_run(&p.w, pair_is_closed, &p, 2000));
    ck_assert_int_eq(p.server.why, ERR_TOO_BIG);
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    pair_fini(&p);
}
BOTH(input_limit)

/* A want above the limit ends the stream when the limit is passed, not when the want is reached. */
static void limit_under_want(enum kind kind)
{
    struct pair p;
    uint8_t *bytes = mem_zalloc(300000);

    pair_init_ops(&p, kind, &want_ops);
    stream_set_input_limit(p.server.s, 100000);
    stream_write(p.client.s, span_of(bytes, 1));
    ck_assert(world_run(&p.w, first_offer, &p, 2000));
    stream_write(p.client.s, span_of(bytes, 150000));
    ck_assert(world_run(&p.w, pair_is_closed, &p, 5000));
    ck_assert_int_eq(p.server.why, ERR_TOO_BIG);
    ck_assert_uint_eq(p.server.inputs, 1);
    mem_free(bytes);
    pair_fini(&p);
}
BOTH(limit_under_want)

/* --- volume and back-pressure --- */

struct bulk {
    struct pair p;
    size_t sent, total, seen;
    unsigned step;
    size_t max_queued;
};

static void bulk_fill(struct peer *peer)
{
    struct bulk *b = peer->arg;
    static uint8_t bytes[70000];

    while (b->sent < b->total && stream_queued(peer->s) < 512 * 1024) {
        size_t n = b->step % 7 == 0 ? 1 + b->step % 50 : 1 + b->step % 70000;
        if (n > b->total - b->sent)
            n = b->total - b->sent;
        pattern_fill(bytes, n, b->sent);
        if (b->step % 2) {
            struct blob *blob = blob_new(span_of(bytes, n));
            stream_write_blob(peer->s, blob);
            blob_unref(blob);
        } else {
            stream_write(peer->s, span_of(bytes, n));
        }
        b->sent += n;
        b->step = b->step * 1103515245 + 12345;
        if (stream_queued(peer->s) > b->max_queued)
            b->max_queued = stream_queued(peer->s);
    }
}

static void bulk_seen(struct peer *peer, struct span in)
{
    struct bulk *b = peer->arg;

    pattern_check(in, b->seen);
    b->seen += in.n;
}

static bool bulk_done(void *arg)
{
    struct bulk *b = arg;

    return b->seen == b->total;
}

static void bulk_run(enum kind kind, size_t total)
{
    struct bulk b = {.total = total, .step = 1};

    pair_init(&b.p, kind);
    b.p.server.discard = true;
    b.p.server.on_input = bulk_seen;
    b.p.client.on_drain = bulk_fill;
    b.p.server.arg = b.p.client.arg = &b;
    stream_set_low_mark(b.p.client.s, 128 * 1024);
    bulk_fill(&b.p.client);
    ck_assert(world_run(&b.p.w, bulk_done, &b, 100000));
    ck_assert_uint_lt(b.max_queued, 600 * 1024);
    ck_assert_uint_gt(b.p.client.drains, total / (1024 * 1024));
    pair_fini(&b.p);
}

START_TEST(bulk_real)
{
    bulk_run(REAL, 200 * 1000 * 1000);
}
END_TEST

START_TEST(bulk_sim)
{
    bulk_run(SIM, 20 * 1000 * 1000);
}
END_TEST

static bool queue_stands(void *arg)
{
    struct pair *p = arg;

    return stream_queued(p->client.s) > 0;
}

static bool drained(void *arg)
{
    return ((struct pair *)arg)->client.drains > 0;
}

/* A reader that pauses: the writer's bytes stay queued, nothing is lost, on_drain comes after the resume. */
static void back_pressure(enum kind kind)
{
    struct pair p;
    size_t total = 24 * 1024 * 1024;
    struct blob *blob = blob_alloc(total);

    pair_init(&p, kind);
    pattern_fill(blob->p, total, 0);
    p.server.discard = true;
    stream_pause(p.server.s);
    ck_assert(stream_is_paused(p.server.s));
    stream_write_blob(p.client.s, blob);
    blob_unref(blob);
    stream_write(p.client.s, SPAN_LIT("tail"));
    world_run(&p.w, NULL, NULL, 100);
    ck_assert(queue_stands(&p));
    ck_assert_uint_eq(p.server.inputs, 0);
    ck_assert_uint_eq(p.client.drains, 0);
    stream_resume(p.server.s);
    ck_assert(world_run(&p.w, drained, &p, 20000));
    ck_assert_uint_eq(stream_queued(p.client.s), 0);
    stream_close(p.client.s, 5000);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 20000));
    ck_assert_uint_eq(p.server.n_in, total + 4);
    pair_fini(&p);
}
BOTH(back_pressure)

#define MEGA (1024 * 1024)

static void still_queued(struct peer *p)
{
    ck_assert_uint_gt(stream_queued(p->s), 0);
    ck_assert_uint_le(stream_queued(p->s), 10 * MEGA);
    *(bool *)p->arg = true;
}

/* on_drain comes at the low mark, not when all has gone. */
static void low_mark(enum kind kind)
{
    struct pair p;
    struct blob *blob = blob_alloc(16 * 1024);
    bool early = false;

    pair_init(&p, kind);
    memset(blob->p, 0, blob->n);
    p.server.discard = true;
    p.client.on_drain = still_queued;
    p.client.arg = &early;
    stream_set_low_mark(p.client.s, 10 * MEGA);
    for (unsigned i = 0; i < 40 * 64; i++)
        stream_write_blob(p.client.s, blob);
    blob_unref(blob);
    ck_assert(world_run(&p.w, drained, &p, 20000));
    ck_assert(early);
    ck_assert_uint_eq(p.client.drains, 1);
    pair_fini(&p);
}
BOTH(low_mark)

static bool five_mega(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 5 * MEGA;
}

/* More chunks than leave in one turn. */
static void many_chunks(enum kind kind)
{
    struct pair p;
    struct blob *blob = blob_alloc(16 * 1024);

    memset(blob->p, 0, blob->n);
    pair_init(&p, kind);
    p.server.discard = true;
    for (unsigned i = 0; i < 5 * 64; i++)
        stream_write_blob(p.client.s, blob);
    blob_unref(blob);
    ck_assert(world_run(&p.w, five_mega, &p, 10000));
    pair_fini(&p);
}
BOTH(many_chunks)

static void pause_after_first(struct peer *p, struct span in)
{
    (void)in;
    stream_pause(p->s);
}

static bool three_consumed(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 3;
}
static bool six_consumed(void *arg)
{
    return ((struct pair *)arg)->server.n_in == 6;
}

/* What is unconsumed at a pause is offered after the resume, without new input. */
static void resume_offers_the_rest(enum kind kind)
{
    struct pair p;

    pair_init(&p, kind);
    p.server.consume_max = 3;
    p.server.on_input = pause_after_first;
    stream_write(p.client.s, SPAN_LIT("abcdef"));
    ck_assert(world_run(&p.w, three_consumed, &p, 2000) || kind == SIM);
    world_run(&p.w, NULL, NULL, 20);
    ck_assert(stream_is_paused(p.server.s));
    for (unsigned i = 0; i < 6 && p.server.n_in < 6; i++) {
        size_t before = p.server.n_in;
        stream_resume(p.server.s);
        ck_assert_uint_eq(p.server.n_in, before); /* never inside the call */
        world_run(&p.w, NULL, NULL, 20);
    }
    ck_assert(six_consumed(&p));
    ck_assert(span_eq(buf_span(&p.server.in), SPAN_LIT("abcdef")));
    pair_fini(&p);
}
BOTH(resume_offers_the_rest)

CLUSTERD_SUITE(stream, &low_mark_real, &low_mark_sim, &many_chunks_real, &many_chunks_sim, &echo_real,
               &echo_sim, &split_and_joined_real, &split_and_joined_sim, &want_real, &want_sim,
               &rest_is_offered_at_eof_real, &rest_is_offered_at_eof_sim, &input_limit_real, &input_limit_sim,
               &limit_under_want_real, &limit_under_want_sim, &bulk_real, &bulk_sim, &back_pressure_real,
               &back_pressure_sim, &resume_offers_the_rest_real, &resume_offers_the_rest_sim)
