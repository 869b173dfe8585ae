/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash table against an array that tells what must be in it: putting in, taking out, growing, shrinking,
 * items that move, tables that split, walks that remove what they see.
 */
#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>

#define ITEMS 3000

struct item {
    char id[20];
    bool in;
    unsigned seen;
};

static struct item items[ITEMS];
static uint64_t rng = 88172645463325252ULL;

static uint32_t rnd(uint32_t bound)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % bound;
}

static struct span key_of(const void *item)
{
    return span_str(((const struct item *)item)->id);
}

static void make_items(void)
{
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (struct item){0};
        snprintf(items[i].id, sizeof items[i].id, "item%d", i);
    }
}

static void expect_all(const struct htab *t)
{
    size_t at = 0, n = 0, in = 0;

    for (int i = 0; i < ITEMS; i++) {
        struct span id = span_str(items[i].id);
        ck_assert_ptr_eq(htab_find(t, id), items[i].in ? &items[i] : NULL);
        htab_warm(t, htab_tag(id));
        ck_assert(htab_guess(t, htab_tag(id)) || !items[i].in);
        items[i].seen = 0;
        in += items[i].in;
    }
    for (struct item *x; (x = htab_next(t, &at)); n++) {
        ck_assert(x->in);
        ck_assert_uint_eq(x->seen++, 0);
    }
    ck_assert_uint_eq(n, in);
    ck_assert_uint_eq(t->n, in);
}

START_TEST(what_is_put_in_is_found_until_it_is_taken_out)
{
    struct htab t;

    make_items();
    htab_init(&t, key_of);
    ck_assert_ptr_null(htab_find(&t, SPAN_LIT("item1")));
    for (int round = 0; round < 40; round++) {
        /* The table is filled and emptied again and again. */
        for (int i = 0; i < 2000; i++) {
            struct item *x = &items[rnd(ITEMS)];
            bool add = rnd(10) < (round % 8 < 4 ? 8u : 1u);
            if (add && !x->in)
                htab_put(&t, x);
            else if (!add)
                ck_assert_ptr_eq(htab_remove(&t, span_str(x->id)), x->in ? x : NULL);
            x->in = add || (add && x->in);
        }
        if (round % 3 == 0)
            htab_trim(&t);
        expect_all(&t);
    }
    htab_fini(&t);
}
END_TEST

START_TEST(a_table_is_not_much_larger_than_its_items)
{
    struct htab t;
    size_t at = 0;

    make_items();
    htab_init(&t, key_of);
    for (int i = 0; i < ITEMS; i++) {
        htab_put(&t, &items[i]);
        ck_assert_uint_le(t.cap, 8 + t.n * 3 / 2);
    }
    for (struct item *x; (x = htab_next(&t, &at));)
        if (x != &items[7])
            ck_assert_ptr_eq(htab_remove(&t, span_str(x->id)), x);
    htab_trim(&t);
    ck_assert_uint_le(t.cap, 8);
    ck_assert_ptr_eq(htab_find(&t, SPAN_LIT("item7")), &items[7]);
    htab_fini(&t);
}
END_TEST

START_TEST(an_item_may_move)
{
    struct htab t;

    make_items();
    htab_init(&t, key_of);
    for (int i = 0; i < ITEMS; i++)
        htab_put(&t, &items[i]);
    for (int i = 0; i < ITEMS; i += 7) {
        struct item *copy = MEM_NEW(struct item);
        *copy = items[i];
        htab_moved(&t, (uintptr_t)&items[i], copy);
        ck_assert_ptr_eq(htab_find(&t, span_str(copy->id)), copy);
        ck_assert_ptr_eq(htab_remove(&t, span_str(copy->id)), copy);
        mem_free(copy);
    }
    for (int i = 0; i < ITEMS; i++)
        items[i].in = i % 7 != 0;
    expect_all(&t);
    htab_fini(&t);
}
END_TEST

static bool is_odd(void *arg, const void *item)
{
    (void)arg;
    return ((const struct item *)item - items) % 2;
}

START_TEST(a_table_splits)
{
    struct htab t, odd;

    make_items();
    htab_init(&t, key_of);
    htab_init(&odd, key_of);
    for (int i = 0; i < ITEMS; i++)
        htab_put(&t, &items[i]);
    htab_split(&t, &odd, is_odd, NULL);
    for (int i = 0; i < ITEMS; i++)
        items[i].in = i % 2 == 0;
    expect_all(&t);
    for (int i = 0; i < ITEMS; i++)
        items[i].in = i % 2;
    expect_all(&odd);
    htab_fini(&t);
    htab_fini(&odd);
}
END_TEST

/* Computed by another implementation of SipHash-1-3, which gives the published vectors of SipHash-2-4. Nodes
 * of all versions must agree. */
START_TEST(the_stable_hash_is_what_it_was)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } known[] = {{0, 0xd1bb2292475bff67ULL},
                 {3, 0x21122022bf0d9801ULL},
                 {8, 0xe391cfac8fa83f60ULL},
                 {13, 0xc0272a0484168e50ULL},
                 {36, 0x8e36b155496a47adULL}};
    uint8_t bytes[64];
    uint64_t all = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ck_assert_uint_eq(hash_stable(span_of(bytes, known[i].n)), known[i].hash);
    for (size_t n = 0; n <= sizeof bytes; n++)
        all = all * 31 + hash_stable(span_of(bytes, n));
    ck_assert_uint_eq(all, 0x46e6949ddb447411ULL);
}
END_TEST

CLUSTERD_SUITE(hash, &the_stable_hash_is_what_it_was, &what_is_put_in_is_found_until_it_is_taken_out,
               &a_table_is_not_much_larger_than_its_items, &an_item_may_move, &a_table_splits)
