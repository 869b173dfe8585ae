/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack itself, with interceptors of the test's own: order both ways, swallowing, members and trouble on
 * their way up; the table of interceptors; and MessageDispatchInterceptor's bound.
 */
#include "unit/channel/world.h"

static char trace[4096];
static unsigned held, swallowed;

static void note(const char *who, const char *what)
{
    size_t n = strlen(trace);

    snprintf(trace + n, sizeof trace - n, "%s%s ", who, what);
}

/* Appends its letter to what is sent, takes it off again on receive. */
static void tag_send(struct stage *st, struct message *m, const struct targets *targets, char tag)
{
    struct buf b = {0};

    wr_span(&b, m->payload);
    wr_u8(&b, (uint8_t)tag);
    struct message changed = *m;
    changed.payload = buf_span(&b);
    stage_send_on(st, &changed, targets);
    buf_fini(&b);
}

static enum err tag_recv(struct stage *st, const struct received *m, char tag)
{
    struct received cut = *m;

    if (m->payload.n == 0 || m->payload.p[m->payload.n - 1] != (uint8_t)tag)
        return ERR_BAD;
    cut.payload.n--;
    return stage_recv_on(st, &cut);
}

static enum err a_start(struct stage *st, struct diag *d)
{
    (void)d;
    ck_assert_ptr_nonnull(stage_channel(st));
    note("A", "start");
    return ERR_OK;
}

static void a_stop(struct stage *st)
{
    (void)st;
    note("A", "stop");
}

static void a_send(struct stage *st, struct message *m, const struct targets *targets)
{
    note("A", "send");
    tag_send(st, m, targets, 'a');
}

static enum err a_recv(struct stage *st, const struct received *m)
{
    note("A", "recv");
    return tag_recv(st, m, 'a');
}

static void a_added(struct stage *st, struct member *m)
{
    note("A", "added");
    stage_added_on(st, m);
}

static void b_send(struct stage *st, struct message *m, const struct targets *targets)
{
    note("B", "send");
    tag_send(st, m, targets, 'b');
}

static enum err b_recv(struct stage *st, const struct received *m)
{
    note("B", "recv");
    if (m->options & SEND_SECURE) {
        swallowed++;
        return ERR_OK;
    }
    return tag_recv(st, m, 'b');
}

/* Keeps members to itself. */
static void b_added(struct stage *st, struct member *m)
{
    (void)st;
    (void)m;
    note("B", "added");
    held++;
}

static const struct interceptor_ops ops_a = {
    .name = "A", .start = a_start, .stop = a_stop, .send = a_send, .recv = a_recv, .on_added = a_added};
static const struct interceptor_ops ops_b = {.name = "B", .send = b_send, .recv = b_recv};
static const struct interceptor_ops ops_holder = {.name = "Holder", .on_added = b_added};

static void begin(uint64_t seed)
{
    world_begin(seed);
    trace[0] = 0;
    held = swallowed = 0;
}

START_TEST(test_order_both_ways)
{
    static const struct interceptor_spec specs[] = {{.ops = &ops_a}, {.ops = &ops_b}};

    begin(1);
    for (unsigned i = 1; i <= 2; i++) {
        struct world_node *n = world_make(i);
        n->conf.interceptors = specs;
        n->conf.n_interceptors = 2;
        world_open(n);
    }
    ck_assert_str_eq(trace, "Astart Astart ");
    sim_run_ms(world_sim, 2500);
    trace[0] = 0;
    world_send(1, SPAN_LIT("x"), 0x07, NULL);
    sim_run_ms(world_sim, 50);
    ck_assert_str_eq(trace, "Asend Bsend Brecv Arecv ");
    ck_assert(span_eq(buf_span(&world_nodes[2]->last), SPAN_LIT("x")));
    world_send(1, SPAN_LIT("y"), 0x07 | SEND_SECURE, NULL);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(swallowed, 1);
    ck_assert_uint_eq(world_nodes[2]->messages, 1);
    trace[0] = 0;
    world_end();
    ck_assert_ptr_nonnull(strstr(trace, "Astop Astop "));
}
END_TEST

START_TEST(test_a_stage_may_keep_members_back)
{
    static const struct interceptor_spec specs[] = {{.ops = &ops_a}, {.ops = &ops_holder}};

    begin(2);
    struct world_node *n = world_make(1);
    n->conf.interceptors = specs;
    n->conf.n_interceptors = 2;
    world_open(n);
    world_start(2);
    sim_run_ms(world_sim, 3000);
    ck_assert_uint_eq(held, 1);
    ck_assert_uint_eq(n->added, 0);
    ck_assert_ptr_null(strstr(trace, "Aadded")); /* above the one that keeps */
    world_end();
}
END_TEST

START_TEST(test_the_table)
{
    ck_assert_ptr_nonnull(interceptor_find("MessageDispatchInterceptor"));
    ck_assert_ptr_nonnull(
        interceptor_find("org.apache.catalina.tribes.group.interceptors.MessageDispatchInterceptor"));
    ck_assert_ptr_nonnull(interceptor_find("TcpFailureDetector"));
    ck_assert_ptr_null(interceptor_find("NoSuchInterceptor"));
    for (size_t i = 0; interceptor_all[i]; i++) {
        const struct interceptor_ops *ops = interceptor_all[i];
        void *conf = mem_zalloc(ops->conf_size);
        option_defaults(ops->options, conf); /* every default parses */
        option_free(ops->options, conf);
        mem_free(conf);
    }
}
END_TEST

/* MessageDispatchInterceptor. */

static struct interceptor_spec dispatch(const char *yaml)
{
    struct interceptor_spec spec = {.ops = interceptor_find("MessageDispatchInterceptor")};
    struct conf_node *map;
    struct diag d = {0};

    spec.conf = mem_zalloc(spec.ops->conf_size);
    ck_assert_int_eq(tree_load_text(span_str(yaml), "t", &d, &map), ERR_OK);
    ck_assert_int_eq(option_load(map, spec.ops->options, NULL, spec.conf, &d), ERR_OK);
    tree_free(map);
    diag_fini(&d);
    return spec;
}

static void fill(const char *yaml, struct world_delivery out[4], struct interceptor_spec *spec)
{
    struct buf big = {0};

    *spec = dispatch(yaml);
    struct world_node *n = world_make(1);
    n->conf.interceptors = spec;
    n->conf.n_interceptors = 1;
    world_open(n);
    world_start(2);
    sim_run_ms(world_sim, 2500);
    sim_host_pause(world_sim, world_nodes[2]->host, true);
    sim_run_ms(world_sim, 100);
    buf_reserve(&big, 400);
    memset(big.p, 'q', 400);
    big.n = 400;
    for (unsigned i = 0; i < 4; i++) {
        world_send(1, buf_span(&big), SEND_ASYNCHRONOUS | SEND_USE_ACK | SEND_BYTE_MESSAGE, &out[i]);
        sim_run_ms(world_sim, 10);
    }
    buf_fini(&big);
}

static void fill_end(struct interceptor_spec *spec)
{
    world_end();
    option_free(spec->ops->options, spec->conf);
    mem_free(spec->conf);
}

START_TEST(test_a_full_queue_makes_callers_wait)
{
    struct world_delivery w[4];
    struct interceptor_spec spec;

    begin(3);
    fill("maxQueueSize: 1000\n", w, &spec);
    ck_assert(w[0].done);
    ck_assert_int_eq(atomic_load(&w[0].d.acked), 1); /* queued is enough */
    ck_assert(!w[2].done && !w[3].done);
    ck_assert_uint_eq(logs_count("a caller waits"), 1);
    sim_host_pause(world_sim, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 500);
    ck_assert(w[3].done);
    ck_assert_int_eq(atomic_load(&w[3].d.acked), 1);
    ck_assert_uint_eq(world_nodes[2]->messages, 4);
    fill_end(&spec);
}
END_TEST

/* One that has stopped must not hold up others: its queue has a bound of its own. */
START_TEST(test_a_lagging_member_fills_no_queue)
{
    struct world_delivery w[4], before, after;
    struct interceptor_spec spec;
    char text[400] = {0};

    begin(5);
    fill("maxQueueSize: 1000\nalwaysSend: false\n", w, &spec);
    world_send(1, span_of(text, sizeof text), SEND_ASYNCHRONOUS | SEND_USE_ACK | SEND_BYTE_MESSAGE, &before);
    ck_assert_int_eq(atomic_load(&before.d.failed), 1);
    struct view *v = world_view(1);
    ck_assert_uint_eq(v->n, 1);
    atomic_store(&v->members[0]->lagging, true);
    view_unref(v);
    world_send(1, span_of(text, sizeof text), SEND_ASYNCHRONOUS | SEND_USE_ACK | SEND_BYTE_MESSAGE, &after);
    sim_run_ms(world_sim, 1);
    ck_assert(after.done);
    ck_assert_int_eq(atomic_load(&after.d.acked), 1);
    sim_host_pause(world_sim, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 500);
    fill_end(&spec);
}
END_TEST

START_TEST(test_a_full_queue_refuses)
{
    struct world_delivery w[4];
    struct interceptor_spec spec;

    begin(4);
    fill("maxQueueSize: 1000\nalwaysSend: false\n", w, &spec);
    ck_assert_int_eq(atomic_load(&w[0].d.acked), 1);
    ck_assert(w[3].done);
    ck_assert_int_eq(atomic_load(&w[3].d.failed), 1);
    ck_assert_uint_ge(metric_get(&world_nodes[1]->metrics, messages_failed), 1);
    ck_assert_uint_eq(logs_count("a message was refused"), 1);
    sim_host_pause(world_sim, world_nodes[2]->host, false);
    sim_run_ms(world_sim, 500);
    ck_assert_uint_lt(world_nodes[2]->messages, 4);
    fill_end(&spec);
}
END_TEST

CLUSTERD_SUITE(stage, &test_order_both_ways, &test_a_stage_may_keep_members_back, &test_the_table,
               &test_a_full_queue_makes_callers_wait, &test_a_lagging_member_fills_no_queue,
               &test_a_full_queue_refuses)
