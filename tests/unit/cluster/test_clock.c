/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock estimates of members: delays, steps of either clock, nonsense, and what the log says. Time is given,
 * not read.
 */
#include "../../../src/cluster/clock.h"
#include "clusterd/cluster/cluster.h"
#include "support/logs.h"
#include "support/suite.h"

#define WALL0 1700000000000

/* The simulated truth: monotonic time, our wall clock, and theirs. */
static uint64_t mono;
static int64_t ours, theirs;
static struct member *member;

static void begin(int64_t skew_ms)
{
    struct member_rec rec = {.port = 4000, .host_len = 4, .host = {10, 0, 0, 2}};

    member = view_member_new(&rec);
    mono = 5000000;
    ours = WALL0;
    theirs = WALL0 + skew_ms;
    logs_begin(LOG_INFO);
}

static void end(void)
{
    view_member_unref(member);
    logs_end();
}

static void pass(uint64_t ms)
{
    mono += ms;
    ours += (int64_t)ms;
    theirs += (int64_t)ms;
}

/* A message that took delay_ms. */
static void message(uint64_t delay_ms)
{
    int64_t stamp = theirs;

    pass(delay_ms);
    clock_sample(member, stamp, mono, ours);
    clock_check(member, mono);
}

static int64_t offset(void)
{
    return atomic_load(&member->clock_offset_ms);
}

START_TEST(test_the_fastest_message_counts)
{
    begin(0);
    ck_assert(!atomic_load(&member->clock_known));
    for (unsigned i = 0; i < 100; i++) {
        message(i % 10 == 3 ? 1 : 40 + i % 7 * 100);
        pass(50);
    }
    ck_assert(atomic_load(&member->clock_known));
    ck_assert_int_ge(offset(), -1);
    ck_assert_int_le(offset(), 0);
    ck_assert_int_eq(cluster_correct_time(member, theirs, ours), theirs); /* below 50 ms: none */
    end();
}
END_TEST

START_TEST(test_a_skew_is_found_and_told_once)
{
    begin(3600000);
    for (unsigned i = 0; i < 2000; i++) {
        message(2);
        pass(100);
    }
    ck_assert_int_ge(offset(), 3600000 - 2);
    ck_assert_int_le(offset(), 3600000);
    ck_assert_int_eq(cluster_correct_time(member, theirs, ours), theirs - offset());
    ck_assert_uint_eq(logs_count("the clock of member 10.0.0.2:4000 is 3599.998 s ahead of ours"), 1);
    ck_assert_uint_eq(logs_count("the clock of member"), 1);
    end();
    begin(-70000);
    for (unsigned i = 0; i < 100; i++) {
        message(3);
        pass(100);
    }
    ck_assert_int_le(offset(), -70000);
    ck_assert_int_ge(offset(), -70003);
    ck_assert_uint_eq(logs_count("is 70.003 s behind ours"), 1);
    end();
}
END_TEST

START_TEST(test_delays_alone_are_no_skew)
{
    begin(0);
    message(3000); /* the very first one was stuck */
    ck_assert_uint_eq(logs_count("the clock of member"), 0);
    pass(100);
    message(1);
    ck_assert_int_ge(offset(), -1);
    for (unsigned i = 0; i < 50; i++) /* a backlog drains */
        message(i < 40 ? 0 : 1);
    for (unsigned i = 0; i < 40; i++) {
        int64_t stamp = theirs - 4000 + 100 * i;
        pass(1);
        clock_sample(member, stamp, mono, ours);
        clock_check(member, mono);
        clock_sample(member, theirs, mono, ours); /* other connections are in time */
    }
    ck_assert_int_ge(offset(), -1);
    ck_assert_uint_eq(logs_count("the clock of member"), 0);
    end();
}
END_TEST

START_TEST(test_steps_of_their_clock)
{
    static const int64_t steps[] = {3600000, -3600000, 20000, -20000, -3000, 1500};

    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        begin(0);
        for (unsigned k = 0; k < 100; k++) {
            message(2);
            pass(20);
        }
        theirs += steps[i];
        for (unsigned k = 0; k < 4; k++) {
            message(2);
            pass(20);
        }
        ck_assert_int_ge(offset(), steps[i] - 3);
        ck_assert_int_le(offset(), steps[i]);
        for (unsigned k = 0; k < 200; k++) {
            message(2);
            pass(20);
        }
        ck_assert_uint_eq(logs_count("s ahead of ours") + logs_count("s behind ours"), 1);
        theirs -= steps[i];
        for (unsigned k = 0; k < 5; k++) {
            message(2);
            pass(20);
        }
        ck_assert_int_ge(offset(), -3);
        ck_assert_int_le(offset(), 0);
        ck_assert_uint_eq(logs_count("agrees with ours again"), 1);
        end();
    }
}
END_TEST

START_TEST(test_steps_of_our_own_clock_are_seen_at_once)
{
    begin(0);
    for (unsigned k = 0; k < 100; k++) {
        message(2);
        pass(20);
    }
    ours -= 3600000; /* ours was set back: theirs is ahead now */
    message(2);
    ck_assert_int_ge(offset(), 3600000 - 2);
    ours += 7200000;
    message(2);
    ck_assert_int_ge(offset(), -3600000 - 2);
    ck_assert_int_le(offset(), -3600000);
    end();
}
END_TEST

/* A small step back, too small to fall behind messages: the old minimum leaves the window after a minute. */
START_TEST(test_the_window_forgets)
{
    begin(0);
    for (unsigned k = 0; k < 100; k++) {
        message(2);
        pass(20);
    }
    theirs -= 400;
    for (unsigned k = 0; k < 800; k++) {
        message(2);
        pass(100);
    }
    ck_assert_int_ge(offset(), -403);
    ck_assert_int_le(offset(), -400);
    ck_assert_int_eq(cluster_correct_time(member, theirs, ours), theirs - offset());
    pass(10 * 60000); /* silence, and another small step */
    theirs -= 300;
    message(2);
    ck_assert_int_le(offset(), -700);
    end();
}
END_TEST

START_TEST(test_nonsense)
{
    static const int64_t absurd[] = {INT64_MIN, INT64_MAX, 0, -1, WALL0 * 2};

    begin(0);
    for (unsigned i = 0; i < sizeof absurd / sizeof *absurd; i++)
        clock_sample(member, absurd[i], mono, ours);
    ck_assert(!atomic_load(&member->clock_known));
    message(1);
    for (unsigned i = 0; i < 100; i++)
        clock_sample(member, absurd[i % 5], mono, ours);
    ck_assert_int_ge(offset(), -1);
    ck_assert_int_le(offset(), 0);
    ck_assert_int_eq(cluster_correct_time(member, INT64_MAX, ours), ours + 10000);
    ck_assert_int_eq(cluster_correct_time(NULL, ours + 60000, ours), ours + 10000);
    ck_assert_int_eq(cluster_correct_time(NULL, ours - 60000, ours), ours - 60000);
    end();
}
END_TEST

CLUSTERD_SUITE(clock, &test_the_fastest_message_counts, &test_a_skew_is_found_and_told_once,
               &test_delays_alone_are_no_skew, &test_steps_of_their_clock,
               &test_steps_of_our_own_clock_are_seen_at_once, &test_the_window_forgets, &test_nonsense)
