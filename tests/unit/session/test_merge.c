/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of change.h, tested as such: replicas that have applied the same changes, in whatever order and
 * however often, hold the same. Histories are drawn from a seed, as real writers could have made them; each
 * is applied in many random orders, with repetitions.
 */
#include "clusterd/session/table.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct metrics metrics;
static uint64_t rng;

static uint32_t rnd(uint32_t bound)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % bound;
}

static struct table *new_table(void)
{
    struct table_conf conf = {
        .max_contexts = 10, .auto_contexts = true, .tombstone_ms = 600000, .park_ms = 5000};

    return table_new(&conf, &metrics);
}

static const struct table_now now = {1000000, 1700000000000};
static const struct span ctx_name = {(const uint8_t *)"localhost#/app", 14};

/* A change belongs to a table's context; histories are kept in wire form and decoded for each table. */
static struct context *to_context(void *arg, struct span name)
{
    return table_context_find_or_add(arg, name);
}

struct history {
    struct buf changes[64];
    size_t n;
};

static void record(struct history *h, struct change *c)
{
    change_seal(c);
    change_encode(c, &h->changes[h->n++]);
    change_unref(c);
}

static struct change *decode(struct table *t, const struct buf *b)
{
    struct rd in = rd_of(buf_span(b));
    struct change *c = NULL;

    ck_assert_int_eq(change_decode(&in, to_context, t, &c), ERR_OK);
    ck_assert_int_eq(rd_end(&in, "change"), ERR_OK);
    return c;
}

static void apply(struct table *t, const struct buf *b)
{
    struct change *c = decode(t, b);

    (void)table_apply(t, c, now);
    change_unref(c);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct dump {
    char **lines;
    size_t n;
};

static void dump_one(void *arg, struct change *c)
{
    struct dump *d = arg;
    struct buf b = {0};
    char *entries[64];
    size_t n = 0;

    wr_printf(&b, "%.*s life %d@%lld.%u.%u:", (int)c->id.n, (const char *)c->id.p, (int)c->life_kind,
              (long long)c->life.time_ms, c->life.writer, c->life.seq);
    if (c->new_id.n)
        wr_printf(&b, " -> %.*s", (int)c->new_id.n, (const char *)c->new_id.p);
    for (size_t i = 0; i < c->n; i++)
        if (c->entries[i].present)
            entries[n++] =
                mem_printf(" %d/%.*s=%.*s", (int)c->entries[i].kind, (int)c->entries[i].name.n,
                           (const char *)c->entries[i].name.p, (int)blob_span(c->entries[i].value).n,
                           (const char *)blob_span(c->entries[i].value).p);
    if (n)
        qsort(entries, n, sizeof *entries, by_text);
    for (size_t i = 0; i < n; i++) {
        wr_text(&b, entries[i]);
        mem_free(entries[i]);
    }
    d->lines = mem_realloc(d->lines, (d->n + 1) * sizeof *d->lines);
    d->lines[d->n++] = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    change_unref(c);
}

/* Everything alive, as sorted text. Graves and aliases are bookkeeping that may differ in form. */
static char *dump(struct table *t)
{
    struct dump d = {0};
    struct buf all = {0};
    uint64_t at = 0;

    do
        table_walk(t, NULL, false, &at, 3, now, dump_one, &d);
    while (at);
    if (d.n)
        qsort(d.lines, d.n, sizeof *d.lines, by_text);
    for (size_t i = 0; i < d.n; i++) {
        wr_printf(&all, "%s\n", d.lines[i]);
        mem_free(d.lines[i]);
    }
    mem_free(d.lines);
    char *text = mem_strdup(buf_cstr(&all));
    buf_fini(&all);
    return text;
}

static struct version at_time(int64_t t, unsigned writer)
{
    static uint32_t seq;

    return (struct version){now.wall_ms - 100000 + t, writer, ++seq};
}

static struct change *begin(struct table *t, const char *id, struct version v)
{
    return change_new(table_context_find_or_add(t, ctx_name), span_str(id), v);
}

static struct span text(const char *s)
{
    return span_str(s);
}

static void set(struct change *c, const char *name, const char *value)
{
    change_set(c, ENTRY_ATTRIBUTE, text(name), blob_new(text(value)), c->version);
}

static void created(struct history *h, struct table *t, const char *id, struct version v)
{
    struct change *c = begin(t, id, v);

    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = v;
    c->floor = (struct version){v.time_ms - 1000, 0, 0};
    record(h, c);
}

static void ended(struct history *h, struct table *t, const char *id, struct version v)
{
    struct change *c = begin(t, id, v);

    c->life_kind = CHANGE_LIFE_ENDED;
    c->life = v;
    record(h, c);
}

static void renamed(struct history *h, struct table *t, const char *from, const char *to, struct version v)
{
    struct change *c = begin(t, from, v);

    change_rename(c, text(to));
    record(h, c);
}

static void delta(struct history *h, struct table *t, const char *id, struct version v, const char *name,
                  const char *value)
{
    struct change *c = begin(t, id, v);

    if (value)
        set(c, name, value);
    else
        change_remove(c, ENTRY_ATTRIBUTE, text(name), v);
    record(h, c);
}

static void history_fini(struct history *h)
{
    for (size_t i = 0; i < h->n; i++)
        buf_fini(&h->changes[i]);
}

/* A session as Tomcats make it: created, deltas by two writers, id changes (also back home), maybe an end. */
static void draw_session(struct history *h, struct table *t, unsigned k)
{
    char id[32], other[32], name[8], value[16];
    int64_t time = rnd(1000);

    snprintf(id, sizeof id, "S%u.A", k);
    created(h, t, id, at_time(time, 1));
    for (unsigned i = 0, n = 2 + rnd(6); i < n; i++) {
        time += 1 + rnd(20);
        snprintf(name, sizeof name, "a%u", rnd(3));
        snprintf(value, sizeof value, "v%u", i);
        switch (rnd(5)) {
        case 0:
            snprintf(other, sizeof other, "S%u.%c", k, "ABC"[rnd(3)]);
            if (strcmp(other, id) != 0) {
                renamed(h, t, id, other, at_time(time, 1 + rnd(2)));
                memcpy(id, other, sizeof id);
            }
            break;
        case 1:
            delta(h, t, id, at_time(time, 1 + rnd(2)), name, NULL);
            break;
        default:
            delta(h, t, id, at_time(time, 1 + rnd(2)), name, value);
        }
    }
    if (rnd(4) == 0)
        ended(h, t, id, at_time(time + 1, 1));
}

static void check_orders(uint64_t seed)
{
    struct history h = {0};
    struct table *first = new_table();

    rng = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (unsigned k = 0; k < 3; k++)
        draw_session(&h, first, k);
    for (size_t i = 0; i < h.n; i++)
        apply(first, &h.changes[i]);
    char *want = dump(first);
    for (int round = 0; round < 20; round++) {
        struct table *t = new_table();
        size_t order[2 * 64], n = 0;
        for (size_t i = 0; i < h.n; i++) {
            order[n++] = i;
            if (rnd(4) == 0)
                order[n++] = i; /* sent twice */
        }
        for (size_t i = n; i > 1; i--) {
            size_t j = rnd((uint32_t)i), swap = order[i - 1];
            order[i - 1] = order[j];
            order[j] = swap;
        }
        for (size_t i = 0; i < n; i++)
            apply(t, &h.changes[order[i]]);
        char *got = dump(t);
        if (strcmp(got, want) != 0) {
            struct buf b = {0};
            for (size_t i = 0; i < n; i++) {
                struct change *c = decode(t, &h.changes[order[i]]);
                wr_printf(&b, "#%zu %.*s -> %.*s life %d v %lld n %zu\n", order[i], (int)c->id.n,
                          (const char *)c->id.p, (int)c->new_id.n, (const char *)c->new_id.p,
                          (int)c->life_kind, (long long)c->version.time_ms, c->n);
                change_unref(c);
            }
            ck_abort_msg("seed %llu: in order:\n%sin this order:\n%sgives:\n%s", (unsigned long long)seed,
                         want, buf_cstr(&b), got);
        }
        mem_free(got);
        table_free(t);
    }
    mem_free(want);
    table_free(first);
    history_fini(&h);
}

START_TEST(any_order_gives_the_same)
{
    for (uint64_t seed = 1; seed <= 600; seed++)
        check_orders(seed);
}
END_TEST

static bool alive(struct table *t, const char *id)
{
    struct change *c = table_snapshot(t, table_context_find(t, ctx_name), span_str(id), false, now);

    change_unref(c);
    return c != NULL;
}

START_TEST(logout_wins)
{
    struct table *t = new_table();
    struct history h = {0};

    created(&h, t, "x", at_time(0, 1));
    ended(&h, t, "x", at_time(10, 1));
    delta(&h, t, "x", at_time(20, 2), "a", "late"); /* by a member that has not heard of the end */
    for (size_t i = 0; i < h.n; i++)
        apply(t, &h.changes[i]);
    ck_assert(!alive(t, "x"));
    apply(t, &h.changes[0]);
    ck_assert(!alive(t, "x"));
    history_fini(&h);
    table_free(t);
}
END_TEST

START_TEST(delta_before_created_is_kept)
{
    struct table *t = new_table();
    struct history h = {0};

    delta(&h, t, "x", at_time(5, 1), "a", "1");
    created(&h, t, "x", at_time(5, 1));
    apply(t, &h.changes[0]);
    ck_assert(alive(t, "x"));
    apply(t, &h.changes[1]);
    struct change *c = table_snapshot(t, table_context_find(t, ctx_name), text("x"), false, now);
    ck_assert_uint_eq(c->n, 1);
    change_unref(c);
    history_fini(&h);
    table_free(t);
}
END_TEST

START_TEST(old_id_is_never_seen_again)
{
    struct table *t = new_table();
    struct history h = {0};

    renamed(&h, t, "old", "new", at_time(10, 1));
    created(&h, t, "old", at_time(0, 1));
    delta(&h, t, "old", at_time(2, 1), "a", "1");
    for (size_t i = 0; i < h.n; i++)
        apply(t, &h.changes[i]);
    ck_assert(!alive(t, "old"));
    ck_assert(alive(t, "new"));
    history_fini(&h);
    table_free(t);
}
END_TEST

/* A node that was out of touch hears of all changes of an id but the first, which comes last. */
START_TEST(first_of_many_renames_comes_last)
{
    struct table *t = new_table();
    struct history h = {0};
    char from[16], to[16] = "id-0";

    created(&h, t, to, at_time(0, 1));
    delta(&h, t, to, at_time(1, 1), "a", "1");
    for (int i = 1; i <= 40; i++) {
        memcpy(from, to, sizeof to);
        snprintf(to, sizeof to, "id-%d", i);
        renamed(&h, t, from, to, at_time(10 * i, 1));
    }
    for (size_t i = 0; i < h.n; i++)
        if (i != 2)
            apply(t, &h.changes[i]);
    ck_assert(alive(t, "id-0"));
    apply(t, &h.changes[2]);
    ck_assert(!alive(t, "id-0"));
    struct change *c = table_snapshot(t, table_context_find(t, ctx_name), text("id-40"), false, now);
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(c->n, 1);
    change_unref(c);
    history_fini(&h);
    table_free(t);
}
END_TEST

/* A Tomcat's message ids have no order: within a millisecond the numbers say nothing. */
START_TEST(one_millisecond_of_a_tomcat)
{
    int64_t ms = now.wall_ms - 5000;

    for (uint32_t seq = 1; seq < 4; seq += 2) {
        struct table *t = new_table();
        struct history h = {0};
        created(&h, t, "old", (struct version){ms, 1, seq});
        delta(&h, t, "old", (struct version){ms, 1, 7}, "a", "1");
        renamed(&h, t, "old", "mid", (struct version){ms, 1, 2});
        renamed(&h, t, "mid", "new", (struct version){ms, 1, 4 - seq});
        created(&h, t, "gone", (struct version){ms, 1, seq});
        ended(&h, t, "gone", (struct version){ms, 1, 2});
        for (unsigned order = 0; order < 720; order++) {
            struct table *replica = new_table();
            size_t left[6] = {0, 1, 2, 3, 4, 5};
            for (unsigned n = 6, o = order; n; o /= n, n--) {
                size_t at = o % n;
                apply(replica, &h.changes[left[at]]);
                left[at] = left[n - 1];
            }
            ck_assert(alive(replica, "new"));
            ck_assert(!alive(replica, "old") && !alive(replica, "mid") && !alive(replica, "gone"));
            struct change *c =
                table_snapshot(replica, table_context_find(replica, ctx_name), text("new"), false, now);
            ck_assert_uint_eq(c->n, 1);
            change_unref(c);
            table_free(replica);
        }
        history_fini(&h);
        table_free(t);
    }
}
END_TEST

START_TEST(created_anew_after_its_end)
{
    struct table *t = new_table();
    struct history h = {0};

    created(&h, t, "x", at_time(0, 1));
    ended(&h, t, "x", at_time(5000, 1));
    delta(&h, t, "x", at_time(7001, 2), "a", "2"); /* overtakes the CREATED: waits for it */
    created(&h, t, "x", at_time(7000, 2));
    for (size_t i = 0; i < h.n; i++)
        apply(t, &h.changes[i]);
    struct change *c = table_snapshot(t, table_context_find(t, ctx_name), text("x"), false, now);
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(c->n, 1);
    change_unref(c);
    history_fini(&h);
    table_free(t);
}
END_TEST

START_TEST(codec_is_exact_and_bounded)
{
    struct table *t = new_table();
    struct history h = {0};
    struct buf again = {0};

    rng = 7;
    draw_session(&h, t, 1);
    struct change *c = begin(t, "full", at_time(3, 9));
    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = at_time(1, 2);
    c->floor = at_time(1, 1);
    c->touches = c->by_clusterd = c->not_new = c->life_front = true;
    c->created_wall_ms = 12345;
    c->idle_ms = 77;
    c->flow = 0x1122334455667788;
    change_set_number(c, ENTRY_DEADLINE, 5000, at_time(4, 4));
    change_set_number(c, ENTRY_MAX_INACTIVE, 60, c->version);
    change_set(c, ENTRY_PRINCIPAL, (struct span){0}, blob_new(text("p")), c->version);
    record(&h, c);
    for (size_t i = 0; i < h.n; i++) {
        struct span whole = buf_span(&h.changes[i]);
        c = decode(t, &h.changes[i]);
        buf_clear(&again);
        change_encode(c, &again);
        ck_assert(span_eq(buf_span(&again), whole));
        change_unref(c);
        for (size_t n = 0; n < whole.n; n++) {
            uint8_t *exact = mem_alloc(n); /* so that a read behind the end is seen */
            memcpy(exact, whole.p, n);
            struct rd in = rd_of(span_of(exact, n));
            ck_assert_int_ne(change_decode(&in, to_context, t, &c), ERR_OK);
            mem_free(exact);
        }
        for (size_t n = 0; n < whole.n; n++) {
            h.changes[i].p[n] ^= 0x81;
            struct rd in = rd_of(buf_span(&h.changes[i]));
            if (change_decode(&in, to_context, t, &c) == ERR_OK)
                change_unref(c);
            h.changes[i].p[n] ^= 0x81;
        }
    }
    buf_fini(&again);
    history_fini(&h);
    table_free(t);
}
END_TEST

CLUSTERD_SUITE(merge, &any_order_gives_the_same, &logout_wins, &delta_before_created_is_kept,
               &old_id_is_never_seen_again, &first_of_many_renames_comes_last, &one_millisecond_of_a_tomcat,
               &created_anew_after_its_end, &codec_is_exact_and_bounded)
