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

static bool server_closed(void *arg)
{
    return ((struct pair *)arg)->server.closes;
}

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

/* --- ending --- */

static void close_delivers_all(enum kind kind)
{
    struct pair p;
    size_t n = 3 * 1000 * 1000;
    uint8_t *bytes = mem_alloc(n);

    pair_init(&p, kind);
    pattern_fill(bytes, n, 0);
    stream_write(p.client.s, span_of(bytes, n));
    stream_close(p.client.s, 5000);
    stream_write(p.client.s, SPAN_LIT("not any more"));
    ck_assert_uint_eq(p.client.closes, 0);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 10000));
    ck_assert_int_eq(p.client.why, ERR_OK);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    ck_assert_uint_eq(p.server.in.n, n);
    pattern_check(buf_span(&p.server.in), 0);
    mem_free(bytes);
    pair_fini(&p);
}
BOTH(close_delivers_all)

static bool client_closed(void *arg)
{
    return ((struct pair *)arg)->client.closes;
}

static void linger_ends(enum kind kind)
{
    struct pair p;
    size_t n = 30 * 1000 * 1000;
    struct blob *blob = blob_alloc(n);
    uint64_t began;

    memset(blob->p, 0, n);
    pair_init(&p, kind);
    stream_pause(p.server.s);
    stream_write_blob(p.client.s, blob);
    blob_unref(blob);
    began = loop_mono_ms(p.w.lb);
    stream_close(p.client.s, 200);
    ck_assert(world_run(&p.w, client_closed, &p, 5000));
    ck_assert_int_eq(p.client.why, ERR_OK);
    ck_assert_uint_ge(p.client.closed_at_ms - began, 200);
    ck_assert_uint_lt(p.client.closed_at_ms - began, 2000);
    pair_fini(&p);
}
BOTH(linger_ends)

static void close_without_linger(enum kind kind)
{
    struct pair p;
    size_t n = 30 * 1000 * 1000;
    struct blob *blob = blob_alloc(n);

    memset(blob->p, 0, n);
    pair_init(&p, kind);
    stream_pause(p.server.s);
    stream_write_blob(p.client.s, blob);
    blob_unref(blob);
    stream_close(p.client.s, 0);
    ck_assert(world_run(&p.w, client_closed, &p, 100));
    ck_assert_int_eq(p.client.why, ERR_OK);
    pair_fini(&p);
}
BOTH(close_without_linger)

static void abort_resets(enum kind kind)
{
    struct pair p;

    pair_init(&p, kind);
    stream_write(p.client.s, SPAN_LIT("dropped"));
    stream_abort(p.client.s);
    stream_abort(p.client.s);
    stream_close(p.client.s, 100);
    ck_assert_uint_eq(p.client.closes, 0);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 2000));
    ck_assert_int_eq(p.client.why, ERR_CANCELLED);
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    ck_assert_uint_eq(p.server.n_in, 0);
    pair_fini(&p);
}
BOTH(abort_resets)

/* While paused, a reset is noticed all the same. */
static void reset_of_paused(enum kind kind)
{
    struct pair p;

    pair_init(&p, kind);
    stream_pause(p.server.s);
    world_run(&p.w, NULL, NULL, 10);
    stream_abort(p.client.s);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 2000));
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
BOTH(reset_of_paused)

/* The end of the peer waits behind the pause; then comes the data, then the end. */
static void eof_of_paused(enum kind kind)
{
    struct pair p;

    pair_init(&p, kind);
    stream_pause(p.server.s);
    stream_write(p.client.s, SPAN_LIT("last words"));
    stream_close(p.client.s, 1000);
    world_run(&p.w, NULL, NULL, 50);
    ck_assert_uint_eq(p.client.closes, 1);
    ck_assert_uint_eq(p.server.closes, 0);
    stream_resume(p.server.s);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 2000));
    ck_assert(span_eq(buf_span(&p.server.in), SPAN_LIT("last words")));
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
BOTH(eof_of_paused)

static void eof_reply(struct peer *p)
{
    stream_write(p->s, SPAN_LIT("after your end"));
    stream_close(p->s, 1000);
}

/* With on_eof, the own side stays open until it is closed. */
static void eof_is_told(enum kind kind)
{
    struct pair p;

    pair_init_ops(&p, kind, &peer_eof_ops);
    p.server.on_eof = eof_reply;
    stream_write(p.client.s, SPAN_LIT("request"));
    stream_close(p.client.s, 1000);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 2000));
    ck_assert_uint_eq(p.server.eofs, 1);
    ck_assert_int_eq(p.server.why, ERR_OK);
    ck_assert(span_eq(buf_span(&p.server.in), SPAN_LIT("request")));
    pair_fini(&p);
}
BOTH(eof_is_told)

static void eof_nothing(struct peer *p)
{
    (void)p;
}

/* After the peer's end a dead connection is found by writing. */
static void write_after_eof(enum kind kind)
{
    struct pair p;

    pair_init_ops(&p, kind, &peer_eof_ops);
    p.server.on_eof = eof_nothing;
    stream_close(p.client.s, 1000);
    world_run(&p.w, NULL, NULL, 30);
    ck_assert_uint_eq(p.server.eofs, 1);
    ck_assert_uint_eq(p.server.closes, 0);
    stream_write(p.server.s, SPAN_LIT("is anybody there?"));
    world_run(&p.w, NULL, NULL, 30);
    if (!p.server.closes)
        stream_write(p.server.s, SPAN_LIT("hello?"));
    ck_assert(world_run(&p.w, server_closed, &p, 2000));
    ck_assert_int_eq(p.server.why, ERR_CLOSED);
    pair_fini(&p);
}
BOTH(write_after_eof)

/* The peer answers and closes while we still write: its answer is read before the end. */
static void answer_and_close(struct peer *p, struct span in)
{
    (void)in;
    stream_write(p->s, SPAN_LIT("go away"));
    stream_close(p->s, 1000);
}

static void keep_writing(struct timer *t, void *arg)
{
    struct pair *p = arg;

    if (!p->client.s)
        return;
    stream_write(p->client.s, SPAN_LIT("more and more"));
    timer_start(t, 1);
}

static void last_bytes_are_read(enum kind kind)
{
    struct pair p;
    struct timer t;

    pair_init(&p, kind);
    p.server.on_input = answer_and_close;
    timer_init(&t, p.w.lb, keep_writing, &p);
    timer_start(&t, 0);
    ck_assert(world_run(&p.w, pair_is_closed, &p, 5000));
    ck_assert(span_eq(buf_span(&p.client.in), SPAN_LIT("go away")));
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    timer_fini(&t);
    pair_fini(&p);
}
BOTH(last_bytes_are_read)

/* --- whatever is done inside a callback --- */

static void act_abort(struct peer *p)
{
    stream_abort(p->s);
}
static void act_close(struct peer *p)
{
    stream_close(p->s, 100);
}
static void act_write_flush_close(struct peer *p)
{
    stream_write(p->s, SPAN_LIT("x"));
    stream_flush(p->s);
    stream_pause(p->s);
    stream_resume(p->s);
    stream_close(p->s, 100);
}
static void act_pause_abort(struct peer *p)
{
    stream_pause(p->s);
    stream_abort(p->s);
}

static void (*const acts[])(struct peer *) = {act_abort, act_close, act_write_flush_close, act_pause_abort};

static void act_on_input(struct peer *p, struct span in)
{
    void (*act)(struct peer *) = *(void (**)(struct peer *))p->arg;

    (void)in;
    act(p);
}

static void act_in_place(enum kind kind, unsigned place, void (*act)(struct peer *))
{
    struct pair p = {0};

    world_init(&p.w, kind);
    server_init(&p.sv, &p.w, &p.server, 1);
    p.sv.ops = &peer_eof_ops;
    peer_init(&p.client);
    p.server.arg = p.client.arg = &act;
    if (place == 0)
        p.client.on_open = act;
    else if (place == 1)
        p.server.on_input = act_on_input;
    else if (place == 2)
        p.client.on_drain = act;
    else if (place == 3)
        p.server.on_eof = act;
    else
        p.sv.on_accept = act;
    client_connect(&p.w, &p.sv, &p.client);
    stream_write(p.client.s, SPAN_LIT("input"));
    if (place == 3)
        stream_flush(p.client.s);
    world_run(&p.w, NULL, NULL, 20);
    if (p.client.s && place == 3)
        stream_close(p.client.s, 100);
    world_run(&p.w, NULL, NULL, 20);
    if (p.client.s && !p.client.closes)
        stream_abort(p.client.s);
    world_run(&p.w, NULL, NULL, 20);
    if (p.server.s && p.server.eofs)
        stream_abort(p.server.s);
    world_run(&p.w, NULL, NULL, 20);
    ck_assert_uint_eq(p.client.closes, 1);
    pair_fini(&p);
}

static void ending_inside_callbacks(enum kind kind)
{
    for (unsigned place = 0; place < 5; place++)
        for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
            act_in_place(kind, place, acts[i]);
}
BOTH(ending_inside_callbacks)

/* --- connecting --- */

static bool peer_is_closed(void *arg)
{
    return ((struct peer *)arg)->closes;
}

static void connect_refused(enum kind kind)
{
    struct world w;
    struct peer p;
    struct server sv;
    struct peer none;

    world_init(&w, kind);
    peer_init(&p);
    server_init(&sv, &w, &none, 1);
    struct addr at = *listener_addr(sv.ls);
    listener_close(sv.ls);
    p.s = stream_connect(w.lb, &at, NULL, 5000, &peer_ops, &p);
    stream_write(p.s, SPAN_LIT("never sent"));
    ck_assert_uint_eq(p.closes, 0);
    ck_assert(world_run(&w, peer_is_closed, &p, 2000));
    ck_assert_int_eq(p.why, ERR_REFUSED);
    ck_assert_uint_eq(p.opens, 0);
    world_fini(&w);
}
BOTH(connect_refused)

static void close_while_connecting(enum kind kind)
{
    struct pair p = {0};
    struct peer other;

    world_init(&p.w, kind);
    server_init(&p.sv, &p.w, &p.server, 1);
    peer_init(&p.client);
    peer_init(&other);
    client_connect(&p.w, &p.sv, &p.client);
    client_connect(&p.w, &p.sv, &other);
    stream_close(p.client.s, 1000);
    stream_abort(other.s);
    ck_assert(world_run(&p.w, client_closed, &p, 1000));
    ck_assert(world_run(&p.w, peer_is_closed, &other, 1000));
    ck_assert_int_eq(p.client.why, ERR_OK);
    ck_assert_int_eq(other.why, ERR_CANCELLED);
    ck_assert_uint_eq(p.client.opens, 0);
    world_run(&p.w, NULL, NULL, 50);
    pair_fini(&p);
}
BOTH(close_while_connecting)

static void port_in_use(enum kind kind)
{
    struct world w;
    struct server sv;
    struct peer peer;
    struct listener *second = NULL;

    world_init(&w, kind);
    server_init(&sv, &w, &peer, 1);
    ck_assert_uint_ne(listener_addr(sv.ls)->port, 0);
    struct addr at = *listener_addr(sv.ls);
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &second), ERR_EXISTS);
    ck_assert_ptr_null(second);
    listener_close(sv.ls);
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &sv.ls), ERR_OK);
    listener_close(sv.ls);
    at.ip[0] = 192;
    at.ip[1] = 0;
    at.ip[2] = 2;
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, &sv, &second), ERR_NOT_FOUND);
    world_fini(&w);
}
BOTH(port_in_use)

#define MANY 300

struct many {
    struct world w;
    struct server sv;
    struct peer servers[MANY], clients[MANY];
};

static bool many_done(void *arg)
{
    struct many *m = arg;

    for (unsigned i = 0; i < MANY; i++)
        if (m->clients[i].n_in != 1000)
            return false;
    return true;
}

static void many_accepted(struct peer *p)
{
    p->echo = true;
}

static void many_connections(enum kind kind)
{
    struct many *m = MEM_NEW(struct many);
    uint8_t bytes[1000];

    world_init(&m->w, kind);
    server_init(&m->sv, &m->w, m->servers, MANY);
    m->sv.on_accept = many_accepted;
    for (unsigned i = 0; i < MANY; i++) {
        peer_init(&m->clients[i]);
        client_connect(&m->w, &m->sv, &m->clients[i]);
        memset(bytes, (int)i, sizeof bytes);
        stream_write(m->clients[i].s, span_of(bytes, sizeof bytes));
    }
    ck_assert(world_run(&m->w, many_done, m, 20000));
    for (unsigned i = 0; i < MANY; i++) {
        for (unsigned j = 0; j < 1000; j++)
            ck_assert_uint_eq(m->clients[i].in.p[j], i & 0xff);
        if (i % 2)
            stream_close(m->clients[i].s, 100);
    }
    world_run(&m->w, NULL, NULL, 100);
    listener_close(m->sv.ls);
    world_fini(&m->w);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(m->clients[i].why, i % 2 ? ERR_OK : ERR_CANCELLED);
        ck_assert_uint_eq(m->servers[i].closes, 1);
        buf_fini(&m->clients[i].in);
        buf_fini(&m->servers[i].in);
    }
    mem_free(m);
}
BOTH(many_connections)

/* A listener may be closed from its own callback, with more connections waiting. */
static void accept_once(void *arg, struct incoming *in)
{
    struct server *sv = arg;

    incoming_refuse(in);
    sv->n++;
    listener_close(sv->ls);
}

static void listener_closed_inside(enum kind kind)
{
    struct world w;
    struct server sv = {0};
    struct peer p[3];
    struct addr at;

    world_init(&w, kind);
    at = world_addr(&w);
    ck_assert_int_eq(listener_open(w.la, &at, 0, accept_once, &sv, &sv.ls), ERR_OK);
    at = *listener_addr(sv.ls);
    for (unsigned i = 0; i < 3; i++) {
        peer_init(&p[i]);
        p[i].s = stream_connect(w.lb, &at, NULL, 5000, &peer_ops, &p[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(world_run(&w, peer_is_closed, &p[i], 2000));
        ck_assert(p[i].why == ERR_CLOSED || p[i].why == ERR_REFUSED);
    }
    ck_assert_uint_eq(sv.n, 1);
    world_fini(&w);
}
BOTH(listener_closed_inside)

/* --- other loops of the host --- */

struct handover {
    struct task task;
    struct worker_server *server;
    struct incoming *in;
};

struct worker_server {
    struct world w;
    struct listener *ls;
    unsigned next;
    atomic_uint adopted, wrong_thread;
};

static size_t worker_echo(struct stream *s, void *arg, struct span in)
{
    struct worker_server *ws = arg;

    if (!loop_is_current(stream_loop(s)))
        atomic_fetch_add(&ws->wrong_thread, 1);
    stream_write(s, in);
    return in.n;
}

static void worker_closed(struct stream *s, void *arg, enum err why)
{
    struct worker_server *ws = arg;

    (void)s;
    (void)why;
    atomic_fetch_sub(&ws->adopted, 1);
}
static const struct stream_ops worker_ops = {.on_input = worker_echo, .on_close = worker_closed};

static void adopt_there(struct task *t, bool cancelled)
{
    struct handover *ho = CONTAINER_OF(t, struct handover, task);
    struct worker_server *ws = ho->server;

    if (cancelled) {
        incoming_refuse(ho->in);
    } else {
        struct loop *l = host_worker(ws->w.a, 0);
        for (unsigned i = 0; i < host_n_workers(ws->w.a); i++)
            if (loop_is_current(host_worker(ws->w.a, i)))
                l = host_worker(ws->w.a, i);
        atomic_fetch_add(&ws->adopted, 1);
        stream_adopt(l, ho->in, &worker_ops, ws);
    }
    mem_free(ho);
}

static void hand_over(void *arg, struct incoming *in)
{
    struct worker_server *ws = arg;
    struct handover *ho = MEM_NEW(struct handover);

    ho->task.run = adopt_there;
    ho->server = ws;
    ho->in = in;
    loop_post(host_worker(ws->w.a, ws->next++ % host_n_workers(ws->w.a)), &ho->task);
}

#define WORKER_CLIENTS 40

struct worker_clients {
    struct peer p[WORKER_CLIENTS];
};

static bool clients_done(void *arg)
{
    struct worker_clients *c = arg;

    for (unsigned i = 0; i < WORKER_CLIENTS; i++)
        if (c->p[i].n_in < 20000)
            return false;
    return true;
}

static void streams_on_workers(enum kind kind)
{
    struct worker_server ws = {0};
    struct worker_clients c;
    struct addr at;
    uint8_t bytes[20000] = {0};

    world_init_seed(&ws.w, kind, 3, 7);
    at = world_addr(&ws.w);
    ck_assert_int_eq(listener_open(ws.w.la, &at, 0, hand_over, &ws, &ws.ls), ERR_OK);
    for (unsigned i = 0; i < WORKER_CLIENTS; i++) {
        peer_init(&c.p[i]);
        c.p[i].discard = true;
        c.p[i].s = stream_connect(ws.w.lb, listener_addr(ws.ls), NULL, 5000, &peer_ops, &c.p[i]);
        stream_write(c.p[i].s, span_of(bytes, sizeof bytes));
    }
    ck_assert(world_run(&ws.w, clients_done, &c, 20000));
    ck_assert_uint_eq(atomic_load(&ws.adopted), WORKER_CLIENTS);
    for (unsigned i = 0; i < WORKER_CLIENTS; i += 2)
        stream_abort(c.p[i].s);
    listener_close(ws.ls);
    world_fini(&ws.w);
    ck_assert_uint_eq(atomic_load(&ws.adopted), 0);
    ck_assert_uint_eq(atomic_load(&ws.wrong_thread), 0);
}
BOTH(streams_on_workers)

CLUSTERD_SUITE(stream, &echo_real, &echo_sim, &split_and_joined_real, &split_and_joined_sim, &want_real,
               &want_sim, &rest_is_offered_at_eof_real, &rest_is_offered_at_eof_sim, &input_limit_real,
               &input_limit_sim, &limit_under_want_real, &limit_under_want_sim, &bulk_real, &bulk_sim,
               &back_pressure_real, &back_pressure_sim, &resume_offers_the_rest_real,
               &resume_offers_the_rest_sim, &close_delivers_all_real, &close_delivers_all_sim,
               &linger_ends_real, &linger_ends_sim, &close_without_linger_real, &close_without_linger_sim,
               &abort_resets_real, &abort_resets_sim, &reset_of_paused_real, &reset_of_paused_sim,
               &eof_of_paused_real, &eof_of_paused_sim, &eof_is_told_real, &eof_is_told_sim,
               &write_after_eof_real, &write_after_eof_sim, &last_bytes_are_read_real,
               &last_bytes_are_read_sim, &ending_inside_callbacks_real, &ending_inside_callbacks_sim,
               &connect_refused_real, &connect_refused_sim, &close_while_connecting_real,
               &close_while_connecting_sim, &port_in_use_real, &port_in_use_sim, &many_connections_real,
               &many_connections_sim, &listener_closed_inside_real, &listener_closed_inside_sim,
               &streams_on_workers_real, &streams_on_workers_sim)
