/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was heard when: adding, expiry, return of the same object, jumps of alive, the bound. No I/O, no time
 * but what is given.
 */
#include "../../../src/membership/tracker.h"
#include "support/suite.h"

static struct member_rec rec_of(unsigned i, int64_t alive_ms)
{
    struct member_rec rec = {.alive_ms = alive_ms,
                             .port = 4000,
                             .secure_port = -1,
                             .udp_port = -1,
                             .host_len = 4,
                             .host = {10, 0, 0, 1}};

    rec.id.b[0] = (uint8_t)(i >> 8);
    rec.id.b[1] = (uint8_t)i;
    return rec;
}

static enum tracker_news hear(struct tracker *t, unsigned i, int64_t alive_ms, uint64_t now_ms,
                              struct member **m)
{
    struct member_rec rec = rec_of(i, alive_ms);

    return tracker_heard(t, &rec, now_ms, m);
}

START_TEST(test_known_and_new)
{
    struct tracker t;
    struct member *a, *again, *b;

    tracker_init(&t);
    ck_assert_int_eq(hear(&t, 1, 100, 1000, &a), TRACKER_NEW);
    ck_assert_int_eq(hear(&t, 1, 600, 1500, &again), TRACKER_KNOWN);
    ck_assert_ptr_eq(a, again);
    ck_assert_int_eq(atomic_load(&a->alive_ms), 600);
    ck_assert_uint_eq(atomic_load(&a->heard_mono_ms), 1500);
    ck_assert_int_eq(hear(&t, 2, 100, 1500, &b), TRACKER_NEW);
    ck_assert_ptr_ne(a, b);
    tracker_fini(&t);
}
END_TEST

START_TEST(test_expiry_needs_more_than_the_drop_time)
{
    struct tracker t;
    struct member *a;

    tracker_init(&t);
    hear(&t, 1, 0, 1000, &a);
    ck_assert_ptr_null(tracker_expire(&t, 4000, 3000));
    struct member *gone = tracker_expire(&t, 4001, 3000);
    ck_assert_ptr_eq(gone, a);
    view_member_unref(gone);
    ck_assert_ptr_null(tracker_expire(&t, 9000, 3000));
    tracker_fini(&t);
}
END_TEST

START_TEST(test_a_held_member_returns_as_the_same_object)
{
    struct tracker t;
    struct member *a, *back;

    tracker_init(&t);
    hear(&t, 1, 0, 1000, &a);
    view_member_ref(a);
    view_member_unref(tracker_expire(&t, 9000, 3000));
    ck_assert_int_eq(hear(&t, 1, 9000, 10000, &back), TRACKER_NEW);
    ck_assert_ptr_eq(a, back);
    view_member_unref(a);
    tracker_fini(&t);
}
END_TEST

START_TEST(test_leaving)
{
    struct tracker t;
    struct member *a, *left, *back;
    struct member_rec rec = rec_of(1, 1000), other = rec_of(2, 0);

    tracker_init(&t);
    hear(&t, 1, 500, 1000, &a);
    ck_assert_ptr_null(tracker_leave(&t, &other, 1500, 3000));
    left = tracker_leave(&t, &rec, 1500, 3000);
    ck_assert_ptr_eq(left, a);
    ck_assert_int_eq(hear(&t, 1, 1000, 1500, &back), TRACKER_STALE); /* was sent before it left */
    ck_assert_ptr_null(tracker_expire(&t, 9000, 3000));
    ck_assert_int_eq(hear(&t, 1, 1001, 2000, &back), TRACKER_NEW);
    view_member_unref(tracker_leave(&t, &rec, 2000, 3000));
    ck_assert_int_eq(hear(&t, 1, 10, 5001, &back), TRACKER_NEW); /* that is long ago */
    view_member_unref(left);
    tracker_fini(&t);
}
END_TEST

START_TEST(test_a_jump_of_alive_is_told_once)
{
    struct tracker t;
    struct member *a;

    tracker_init(&t);
    hear(&t, 1, 0, 1000, &a);
    atomic_store(&a->clock_known, true);
    ck_assert_int_eq(hear(&t, 1, 540, 1500, &a), TRACKER_KNOWN); /* 40 ms faster: jitter */
    ck_assert(atomic_load(&a->clock_known));
    ck_assert_int_eq(hear(&t, 1, 3600000, 2000, &a), TRACKER_REORDERED);
    ck_assert(atomic_load(&a->clock_doubt));
    ck_assert_int_eq(hear(&t, 1, 3600500, 2500, &a), TRACKER_KNOWN);
    ck_assert_int_eq(hear(&t, 1, 3000, 3000, &a), TRACKER_REORDERED);
    ck_assert_int_eq(hear(&t, 1, INT64_MIN, 3500, &a), TRACKER_REORDERED);
    ck_assert_int_eq(hear(&t, 1, INT64_MAX / 2, 4000, &a), TRACKER_REORDERED);
    tracker_fini(&t);
}
END_TEST

START_TEST(test_the_number_of_members_is_bounded)
{
    struct tracker t;
    struct member *m, *held;

    tracker_init(&t);
    hear(&t, 0, 0, 1000, &held);
    view_member_ref(held);
    for (unsigned i = 1; i < TRACKER_MEMBERS_MAX; i++)
        ck_assert_int_eq(hear(&t, i, 0, 1000, &m), TRACKER_NEW);
    ck_assert_int_eq(hear(&t, 5000, 0, 1000, &m), TRACKER_FULL);
    ck_assert_int_eq(hear(&t, 1, 1000, 2000, &m), TRACKER_KNOWN);
    while ((m = tracker_expire(&t, 4900, 3000)))
        view_member_unref(m);
    /* The silent ones make room, but for those that somebody holds. */
    ck_assert_int_eq(hear(&t, 5000, 0, 5000, &m), TRACKER_NEW);
    ck_assert_uint_eq(t.n, 3); /* held, 1 and 5000 */
    view_member_unref(held);
    tracker_fini(&t);
}
END_TEST

START_TEST(test_shifting)
{
    struct tracker t;
    struct member *a;

    tracker_init(&t);
    hear(&t, 1, 0, 1000, &a);
    tracker_shift(&t, 20000);
    ck_assert_ptr_null(tracker_expire(&t, 24000, 3000));
    view_member_unref(tracker_expire(&t, 24001, 3000));
    tracker_fini(&t);
}
END_TEST

CLUSTERD_SUITE(tracker, &test_known_and_new, &test_expiry_needs_more_than_the_drop_time,
               &test_a_held_member_returns_as_the_same_object, &test_leaving,
               &test_a_jump_of_alive_is_told_once, &test_the_number_of_members_is_bounded, &test_shifting)
