/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What members may send that is well formed and means nothing good: sessions of very many attributes, times
 * at the ends of the scale, names that the own wire form cannot carry, ids that are too long, ends of
 * sessions that nobody knows. None of it may cost more than it should, overflow, or make a session that
 * cannot be passed on.
 */
#include "../../../src/session/table_private.h"
#include "../../../src/session/tomcat.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>

#define MANY 60000

static struct metrics metrics;
static const struct table_now now = {1000000, 1700000000000};
static const struct span ctx_name = {(const uint8_t *)"localhost#/app", 14};

static struct table *new_table(void)
{
    struct table_conf conf = {
        .max_contexts = 10, .auto_contexts = true, .tombstone_ms = 600000, .park_ms = 5000};

    return table_new(&conf, &metrics);
}

static struct context *to_context(void *arg, struct span name)
{
    return table_context_find_or_add(arg, name);
}

static struct span name_of(unsigned i, char buf[16])
{
    snprintf(buf, 16, "name%u", i);
    return span_str(buf);
}

/* Sets the attributes from, from + step ... below MANY to their own names. */
static void set_many(struct table *t, struct context *c, unsigned from, unsigned step, int64_t time_ms,
                     struct version floor)
{
    struct change *change = change_new(c, SPAN_LIT("x"), (struct version){time_ms, 1, 1});
    char buf[16];

    for (unsigned i = from; i < MANY; i += step)
        change_set(change, ENTRY_ATTRIBUTE, name_of(i, buf), blob_new(name_of(i, buf)), change->version);
    change->floor = floor;
    change_seal(change);
    ck_assert_int_eq(table_apply(t, change, now), TABLE_APPLIED);
    change_unref(change);
}

static void check_many(struct table *t, struct context *c, unsigned n, unsigned step)
{
    struct change *all = table_snapshot(t, c, SPAN_LIT("x"), false, now);
    unsigned char *seen = mem_array(MANY, 1);

    ck_assert_ptr_nonnull(all);
    ck_assert_uint_eq(all->n, n);
    for (size_t i = 0; i < all->n; i++) {
        unsigned number;
        char text[16] = {0};
        memcpy(text, all->entries[i].name.p, all->entries[i].name.n);
        ck_assert_int_eq(sscanf(text, "name%u", &number), 1);
        ck_assert_uint_lt(number, MANY);
        ck_assert_uint_eq(number % step, 0);
        ck_assert_uint_eq(seen[number]++, 0);
        ck_assert(span_eq(blob_span(all->entries[i].value), all->entries[i].name));
    }
    mem_free(seen);
    change_unref(all);
}

START_TEST(sec_many_attributes_cost_no_comparison_of_pairs)
{
    struct table *t = new_table();
    struct context *c = table_context_find_or_add(t, ctx_name);
    const struct version none = {0};

    set_many(t, c, 0, 1, 100, none);
    check_many(t, c, MANY, 1);
    set_many(t, c, 0, 3, 200, none);
    check_many(t, c, MANY, 1);
    set_many(t, c, 0, 6, 300, (struct version){150, 0, 0});
    check_many(t, c, MANY / 3, 3);
    set_many(t, c, 0, 3, 400, (struct version){250, 0, 0});
    check_many(t, c, MANY / 3, 3);
    table_free(t);
}
END_TEST

START_TEST(sec_times_at_the_ends_of_the_scale)
{
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX};

    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        struct table *t = new_table();
        struct version v = {times[i], 1, 1};
        struct change *c = change_new(table_context_find_or_add(t, ctx_name), SPAN_LIT("x"), v), *read;
        struct buf b = {0};
        c->life_kind = CHANGE_LIFE_OPEN;
        c->life = c->floor = v;
        c->created_wall_ms = times[i];
        change_set_number(c, ENTRY_DEADLINE, times[i], v);
        change_seal(c);
        change_encode(c, &b);
        change_unref(c);
        struct rd in = rd_of(buf_span(&b));
        ck_assert_int_eq(change_decode(&in, to_context, t, &read), ERR_OK);
        const int64_t got[] = {read->version.time_ms,   read->life.time_ms,
                               read->floor.time_ms,     read->created_wall_ms,
                               read->entries[0].number, read->entries[0].version.time_ms};
        for (unsigned k = 0; k < sizeof got / sizeof *got; k++) {
            ck_assert_int_le(got[k], VERSION_TIME_MAX);
            ck_assert_int_ge(got[k], -VERSION_TIME_MAX);
        }
        (void)table_apply(t, read, now);
        change_unref(read);
        buf_fini(&b);
        table_free(t);
    }
}
END_TEST

START_TEST(sec_seconds_that_are_no_int)
{
    struct table *t = new_table();
    struct change *c =
        change_new(table_context_find_or_add(t, ctx_name), SPAN_LIT("x"), (struct version){1, 1, 1});
    struct change *read;
    struct buf b = {0};

    change_set_number(c, ENTRY_MAX_INACTIVE, (int64_t)INT32_MAX + 1, c->version);
    change_seal(c);
    change_encode(c, &b);
    struct rd in = rd_of(buf_span(&b));
    ck_assert_int_eq(change_decode(&in, to_context, t, &read), ERR_BAD);
    ck_assert_str_eq(in.field, "entry number");
    change_unref(c);
    buf_fini(&b);
    table_free(t);
}
END_TEST

/* A Java string may be longer than the names of the own form: such an attribute is left out and counted. */
START_TEST(sec_name_that_the_own_form_cannot_carry)
{
    static const int64_t times[] = {INT64_MIN, 0, INT64_MAX};
    struct table *t = new_table();
    struct context *context = table_context_find_or_add(t, ctx_name);
    char *name = mem_zalloc(TABLE_NAME_MAX + 2);

    memset(name, 'n', TABLE_NAME_MAX + 1);
    struct blob *value = blob_new(SPAN_LIT("value"));
    struct state_attribute attributes[] = {{span_str(name), value}, {SPAN_LIT("short"), value}};
    for (unsigned i = 0; i < 9; i++) {
        struct state_session s = {.creation_ms = times[i % 3],
                                  .this_access_ms = times[i / 3],
                                  .is_valid = true,
                                  .id = SPAN_LIT("x"),
                                  .n_attributes = 2,
                                  .attributes = attributes};
        struct change *c = tomcat_state_to_change(&s, context, 7, 50, now.wall_ms, now.wall_ms);
        struct buf b = {0};
        ck_assert_uint_eq(c->left_out, 1);
        ck_assert_int_le(c->life.time_ms, now.wall_ms);
        change_encode(c, &b);
        (void)table_apply(t, c, now);
        change_unref(c);
        buf_fini(&b);
    }
    blob_unref(value);
    mem_free(name);
    table_free(t);
}
END_TEST

/* A change with a value of n bytes, or the end of the session for n = 0. */
static enum table_result apply_new(struct table *t, const char *id, int64_t time_ms, size_t n)
{
    struct context *context = table_context_find_or_add(t, ctx_name);
    struct change *c = change_new(context, span_str(id), (struct version){time_ms, 1, 1});
    char *value = mem_zalloc(n + 1);

    if (n) {
        change_set(c, ENTRY_ATTRIBUTE, SPAN_LIT("a"), blob_new(span_of(value, n)), c->version);
    } else {
        c->life_kind = CHANGE_LIFE_ENDED;
        c->life = c->version;
    }
    change_seal(c);
    enum table_result result = table_apply(t, c, now);
    change_unref(c);
    mem_free(value);
    return result;
}

START_TEST(sec_ids_that_are_too_long_are_counted)
{
    struct table *t = new_table();
    char id[TABLE_ID_MAX + 2];

    metrics = (struct metrics){0};
    memset(id, 'i', sizeof id);
    id[TABLE_ID_MAX + 1] = 0;
    ck_assert_int_eq(apply_new(t, id, 1, 5), TABLE_REFUSED);
    struct change *c =
        change_new(table_context_find_or_add(t, ctx_name), SPAN_LIT("x"), (struct version){1, 1, 1});
    change_rename(c, span_str(id));
    change_seal(c);
    ck_assert_int_eq(table_apply(t, c, now), TABLE_REFUSED);
    change_unref(c);
    ck_assert_uint_eq(metric_get(&metrics, sessions_rejected), 2);
    id[TABLE_ID_MAX] = 0;
    ck_assert_int_eq(apply_new(t, id, 1, 5), TABLE_APPLIED);
    ck_assert_uint_eq(metric_get(&metrics, sessions_rejected), 2);
    table_free(t);
}
END_TEST

/* Late changes of a session that has ended wait for its return, but only some megabytes of them. */
START_TEST(sec_late_changes_of_an_ended_session_are_bounded_in_bytes)
{
    enum { MB = 1 << 20, SENT = 100, KEPT_MAX = 32 };
    struct table *t = new_table();

    for (int round = 0; round < 2; round++) { /* what was dropped makes room */
        ck_assert_int_eq(apply_new(t, "x", 1000 + round * 1000, 0), TABLE_APPLIED);
        for (int i = 0; i < SENT; i++)
            ck_assert_int_eq(apply_new(t, "x", 500, MB), TABLE_PARKED);
        ck_assert_uint_gt(t->parked_bytes, (KEPT_MAX - 2) * MB);
        ck_assert_uint_le(t->parked_bytes, KEPT_MAX * MB);
        table_forget_parked(t, now.mono_ms + 6000);
        ck_assert_uint_eq(t->parked_bytes, 0);
    }
    table_free(t);
}
END_TEST

/* Tombstones take memory: over the limit only sessions that are here can end or get a new id. */
START_TEST(sec_ends_of_unknown_sessions_stop_at_the_limit)
{
    struct table_conf conf = {
        .max_contexts = 10, .auto_contexts = true, .tombstone_ms = 600000, .max_bytes = 100000};
    struct table *t = table_new(&conf, &metrics);
    enum table_result result = TABLE_APPLIED;
    char id[32];
    int n = 0;

    ck_assert_int_eq(apply_new(t, "held", 1, 5), TABLE_APPLIED);
    for (; n < 10000 && result == TABLE_APPLIED; n++) {
        snprintf(id, sizeof id, "unknown%d", n);
        result = apply_new(t, id, 1, 0);
    }
    ck_assert_int_eq(result, TABLE_FULL);
    ck_assert_uint_le(table_bytes(t), 106000);
    ck_assert_uint_gt(table_refused(t), 0);
    struct change *c =
        change_new(table_context_find_or_add(t, ctx_name), SPAN_LIT("nobody"), (struct version){1, 1, 1});
    change_rename(c, SPAN_LIT("else"));
    change_seal(c);
    ck_assert_int_eq(table_apply(t, c, now), TABLE_FULL);
    change_unref(c);
    ck_assert_int_eq(apply_new(t, "held", 2, 0), TABLE_APPLIED);
    ck_assert_uint_eq(table_sessions(t), 0);
    table_free(t);
}
END_TEST

START_TEST(sec_one_change_larger_than_the_limit)
{
    struct table_conf conf = {
        .max_contexts = 10, .auto_contexts = true, .tombstone_ms = 600000, .max_bytes = 100000};
    struct table *t = table_new(&conf, &metrics);

    ck_assert_int_eq(apply_new(t, "x", 1, 200000), TABLE_FULL);
    ck_assert_uint_lt(table_bytes(t), 1000);
    ck_assert_int_eq(apply_new(t, "x", 2, 80000), TABLE_APPLIED);
    ck_assert_int_eq(apply_new(t, "x", 3, 90000), TABLE_APPLIED); /* takes the place of the other */
    ck_assert_int_eq(apply_new(t, "y", 3, 50000), TABLE_FULL);
    ck_assert_int_eq(apply_new(t, "x", 4, 250000), TABLE_FULL);
    ck_assert_uint_lt(table_bytes(t), 100000);
    ck_assert_int_eq(apply_new(t, "x", 5, 0), TABLE_APPLIED);
    ck_assert_int_eq(apply_new(t, "y", 3, 50000), TABLE_APPLIED);
    table_free(t);
}
END_TEST

CLUSTERD_SUITE(hostile, &sec_many_attributes_cost_no_comparison_of_pairs, &sec_times_at_the_ends_of_the_scale,
               &sec_seconds_that_are_no_int, &sec_name_that_the_own_form_cannot_carry,
               &sec_ids_that_are_too_long_are_counted,
               &sec_late_changes_of_an_ended_session_are_bounded_in_bytes,
               &sec_ends_of_unknown_sessions_stop_at_the_limit, &sec_one_change_larger_than_the_limit)
