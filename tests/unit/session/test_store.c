/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of a shard, and walks over a whole table: everything is found and seen whatever the keys are,
 * also when somebody has chosen ids whose stable keys stand together; and what a walk costs.
 */
#include "../../../src/session/table_private.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS 20000
#define SHARD 5

struct item {
    uint64_t stable;
    char id[20];
    bool in;
    unsigned seen;
};

static struct item items[ITEMS];
static struct metrics metrics;
static const struct table_now now = {1000000, 1700000000000};

static struct span key_of(const void *item)
{
    return span_str(((const struct item *)item)->id);
}

static uint64_t stable_of(void *arg, const void *item)
{
    (void)arg;
    return ((const struct item *)item)->stable;
}

/* The lowest `bits` of the keys differ, and the shard is the same. */
static void make_items(unsigned bits)
{
    uint64_t mask = (1ULL << bits) - 1;

    for (int i = 0; i < ITEMS; i++) {
        items[i] = (struct item){0};
        snprintf(items[i].id, sizeof items[i].id, "item%d", i);
        items[i].stable = (uint64_t)SHARD << 58 | (hash_stable(span_str(items[i].id)) & mask);
    }
}

static void expect_all(const struct store *s)
{
    struct store_walk walk = store_walk(SHARD);
    size_t n = 0;

    for (struct item *x; (x = store_next(s, &walk)); n++) {
        ck_assert(x->in);
        ck_assert_uint_eq(x->seen++, 0);
    }
    ck_assert_uint_eq(n, s->n);
    for (int i = 0; i < ITEMS; i++) {
        struct item *x = &items[i];
        uint64_t end;
        ck_assert_ptr_eq(store_find(s, x->stable, key_of(x)), x->in ? x : NULL);
        ck_assert_ptr_eq(htab_find(store_part(s, x->stable, &end), key_of(x)), x->in ? x : NULL);
        ck_assert_uint_lt(x->stable, end);
        x->seen = 0;
    }
    ck_assert_uint_le((size_t)1 << s->depth, s->n / 16 + 1);
}

static void fill_and_empty(unsigned bits)
{
    struct store s;

    make_items(bits);
    store_init(&s, key_of, stable_of, NULL);
    for (int i = 0; i < ITEMS; i++) {
        store_put(&s, items[i].stable, &items[i]);
        items[i].in = true;
    }
    expect_all(&s);
    for (int i = 0; i < ITEMS; i++) {
        if (i % 3 == 0)
            continue;
        store_remove(&s, items[i].stable, key_of(&items[i]));
        items[i].in = false;
    }
    struct store_walk walk = store_walk(SHARD);
    for (struct item *x; (x = store_next(&s, &walk));)
        if ((x - items) % 2) {
            store_remove(&s, x->stable, key_of(x));
            x->in = false;
        }
    for (int i = 0; i < ITEMS; i++)
        ck_assert_int_eq(items[i].in, i % 6 == 0);
    store_remove(&s, items[1].stable, key_of(&items[1])); /* it is not there: nothing happens */
    ck_assert_uint_eq(s.n, (ITEMS + 5) / 6);
    /* Few are left, and the list of parts stays as it was. */
    for (int i = 0; i < ITEMS; i++)
        if (!items[i].in) {
            store_put(&s, items[i].stable, &items[i]);
            items[i].in = true;
        }
    expect_all(&s);
    store_fini(&s);
}

START_TEST(all_are_found_and_seen_once)
{
    fill_and_empty(58);
}
END_TEST

START_TEST(keys_that_stand_together_are_found_too)
{
    fill_and_empty(30); /* the first 28 bits behind the shard do not tell them apart */
    fill_and_empty(8);
    fill_and_empty(0);
}
END_TEST

START_TEST(parts_are_small)
{
    struct store s;
    uint64_t at = (uint64_t)SHARD << 58, end;

    make_items(58);
    store_init(&s, key_of, stable_of, NULL);
    for (int i = 0; i < ITEMS; i++)
        store_put(&s, items[i].stable, &items[i]);
    for (; at >> 58 == SHARD; at = end)
        ck_assert_uint_le(store_part(&s, at, &end)->n, 128);
    store_fini(&s);
}
END_TEST

static struct table *table_of(unsigned n)
{
    struct table_conf conf = {.max_contexts = 10, .auto_contexts = true, .tombstone_ms = 1000, .park_ms = 5};
    struct table *t = table_new(&conf, &metrics);
    struct context *c = table_context_find_or_add(t, SPAN_LIT("localhost#/app"));
    char id[24];

    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof id, "session-%u", i);
        struct change *x = change_new(c, span_str(id), (struct version){1700000000000, 1, i});
        x->life_kind = CHANGE_LIFE_OPEN;
        x->life = x->version;
        x->life_front = true;
        change_seal(x);
        ck_assert_int_eq(table_apply(t, x, now), TABLE_APPLIED);
        change_unref(x);
    }
    return t;
}

struct seen {
    unsigned times[ITEMS];
    unsigned n;
};

static void see(void *arg, struct context *c, struct span id)
{
    struct seen *s = arg;
    char text[24] = {0};

    (void)c;
    memcpy(text, id.p, id.n);
    s->times[atoi(text + strlen("session-"))]++;
    s->n++;
}

START_TEST(a_walk_sees_each_session_once_in_slices_of_the_size_asked_for)
{
    static const size_t wants[] = {1, 10, 100, 1000};
    struct table *t = table_of(ITEMS);

    for (size_t w = 0; w < sizeof wants / sizeof *wants; w++) {
        struct seen *s = MEM_NEW(struct seen);
        uint64_t at = 0;
        unsigned before, calls = 0;
        do {
            before = s->n;
            table_walk_ids(t, NULL, &at, wants[w], now, see, s);
            ck_assert_uint_le(s->n - before, 2 * wants[w] + 128);
            if (wants[w] < 32)
                ck_assert_uint_le(s->n - before, 2 * wants[w]);
            calls++;
        } while (at);
        for (int i = 0; i < ITEMS; i++)
            ck_assert_uint_eq(s->times[i], 1);
        ck_assert_uint_le(calls, ITEMS / wants[w] + 1);
        mem_free(s);
    }
    table_free(t);
}
END_TEST

static void count_change(void *arg, struct change *c)
{
    ++*(size_t *)arg;
    change_unref(c);
}

START_TEST(those_asked_for_are_picked)
{
    struct table *t = table_of(ITEMS);

    for (unsigned shard = 0; shard < TABLE_SHARDS; shard += 21) {
        struct table_summary *all, wrong = {.key = (uint64_t)(shard ^ 1) << 58};
        size_t n = table_summaries(t, (struct table_bucket){shard, 0, 0}, now, &all), picked = 0;
        for (size_t i = 1; i < n; i++) /* in the order of their keys */
            for (size_t k = i; k > 0 && all[k - 1].key > all[k].key; k--) {
                struct table_summary swap = all[k];
                all[k] = all[k - 1];
                all[k - 1] = swap;
            }
        table_pick(t, shard, all, n, now, count_change, &picked);
        ck_assert_uint_eq(picked, n);
        picked = 0;
        table_pick(t, shard, all + n / 2, 3, now, count_change, &picked);
        ck_assert_uint_eq(picked, 3);
        picked = 0;
        table_pick(t, shard, &wrong, 1, now, count_change, &picked);
        ck_assert_uint_eq(picked, 0);
        mem_free(all);
    }
    table_free(t);
}
END_TEST

/* However finely: each session is in one bucket, in the one that its key says, and the hashes add up. */
START_TEST(buckets_are_a_whole)
{
    struct table *t = table_of(ITEMS);

    ck_assert_uint_eq(table_bucket_bits(t), 2); /* 312 in a shard */
    for (unsigned shard = 0; shard < TABLE_SHARDS; shard += 21) {
        struct table_bucket whole = {shard, 0, 0};
        struct table_summary *all;
        size_t n_whole = table_summaries(t, whole, now, &all);
        uint64_t hash = table_digest(t, whole, now, 0);
        mem_free(all);
        for (unsigned bits = 1; bits <= TABLE_BUCKET_BITS_MAX; bits++) {
            uint64_t sum = 0;
            size_t n = 0;
            for (unsigned i = 0; i < 1u << bits; i++) {
                struct table_bucket b = {shard, bits, i};
                size_t here = table_summaries(t, b, now, &all);
                for (size_t k = 0; k < here; k++)
                    ck_assert_uint_eq(all[k].key >> (58 - bits), (uint64_t)shard << bits | i);
                sum += table_digest(t, b, now, 0);
                n += here;
                mem_free(all);
            }
            ck_assert_uint_eq(n, n_whole);
            ck_assert_uint_eq(sum, hash);
        }
    }
    table_free(t);
}
END_TEST

/* A removal of what was never opened is neither a session nor a tombstone; it takes as long to look at. */
START_TEST(whatever_is_held_counts)
{
    struct table *t = table_of(0);
    struct context *c = table_context_find_or_add(t, SPAN_LIT("localhost#/app"));
    char id[24];

    for (unsigned i = 0; i < ITEMS; i++) {
        snprintf(id, sizeof id, "session-%u", i);
        struct change *x = change_new(c, span_str(id), (struct version){1700000000001, 1, i});
        change_remove(x, ENTRY_ATTRIBUTE, SPAN_LIT("a"), x->version);
        change_seal(x);
        ck_assert_int_eq(table_apply(t, x, now), TABLE_APPLIED);
        change_unref(x);
    }
    ck_assert_uint_eq(table_sessions(t) + table_tombstones(t), 0);
    ck_assert_uint_eq(table_items(t), ITEMS);
    ck_assert_uint_eq(table_bucket_bits(t), 2);
    table_free(t);
}
END_TEST

START_TEST(swept_is_everything_and_memory_comes_back)
{
    struct table *t = table_of(1000);
    struct context *c = table_context_find(t, SPAN_LIT("localhost#/app"));
    char id[24];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "session-%u", i);
        struct change *x = change_new(c, span_str(id), (struct version){1700000000001, 1, i});
        x->life_kind = CHANGE_LIFE_ENDED;
        x->life = x->version;
        change_seal(x);
        ck_assert_int_eq(table_apply(t, x, now), TABLE_APPLIED);
        change_unref(x);
    }
    ck_assert_uint_eq(table_sessions(t), 0);
    ck_assert_uint_eq(table_tombstones(t), 1000);
    for (int i = 0; i < 100; i++) /* in slices */
        table_sweep(t, 30, (struct table_now){now.mono_ms + 2000, now.wall_ms + 2000});
    ck_assert_uint_eq(table_tombstones(t), 0);
    ck_assert_uint_eq(table_bytes(t), 0);
    table_free(t);
}
END_TEST

CLUSTERD_SUITE(store, &all_are_found_and_seen_once, &keys_that_stand_together_are_found_too, &parts_are_small,
               &a_walk_sees_each_session_once_in_slices_of_the_size_asked_for, &those_asked_for_are_picked,
               &buckets_are_a_whole, &whatever_is_held_counts, &swept_is_everything_and_memory_comes_back)
