/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How streams end: closing, lingering, aborting, the peer's end and its reset, and ending inside any
 * callback. Each body runs on a real and on a simulated loop.
 */
#include "world.h"

static bool server_closed(void *arg)
{
    return ((struct pair *)arg)->server.closes;
}

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
    ck_assert(world_run(&p.w, client_closed, &p, 5000));
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

/* What is written last still leaves when the host ends right then. */
START_TEST(last_words_before_the_end)
{
    struct pair p;
    char in[32] = "";

    pair_init(&p, SIM);
    stream_write(p.server.s, SPAN_LIT("goodbye"));
    listener_close(p.sv.ls);
    host_free(p.w.a);
    ck_assert_int_eq(p.server.why, ERR_CANCELLED);
    sim_run_ms(p.w.sim, 100);
    memcpy(in, p.client.in.p, p.client.in.n);
    ck_assert_str_eq(in, "goodbye");
    ck_assert_int_eq(p.client.why, ERR_CLOSED);
    host_free(p.w.b);
    sim_free(p.w.sim);
    buf_fini(&p.client.in);
}
END_TEST

CLUSTERD_SUITE(stream_end, &last_words_before_the_end, &close_delivers_all_real, &close_delivers_all_sim,
               &linger_ends_real, &linger_ends_sim, &close_without_linger_real, &close_without_linger_sim,
               &abort_resets_real, &abort_resets_sim, &reset_of_paused_real, &reset_of_paused_sim,
               &eof_of_paused_real, &eof_of_paused_sim, &eof_is_told_real, &eof_is_told_sim,
               &write_after_eof_real, &write_after_eof_sim, &last_bytes_are_read_real,
               &last_bytes_are_read_sim, &ending_inside_callbacks_real, &ending_inside_callbacks_sim)
