/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks of members: questions and answers, what is not believed, steps of either clock, and what the log
 * says. The member's side is played here; time is simulated.
 */
#include "../../../src/cluster/clock.h"
#include "clusterd/cluster/cluster.h"
#include "clusterd/loop/sim.h"
#include "clusterd/wire/rpc.h"
#include "support/logs.h"
#include "support/suite.h"

static struct sim *sim;
static struct host *host;
static struct loop *loop;
static struct member *member;

static void begin(void)
{
    struct member_rec rec = {.port = 4000, .host_len = 4, .host = {10, 0, 0, 2}};

    sim = sim_new(1);
    host = sim_host_new(sim, "10.0.0.1", 1);
    loop = host_main(host);
    member = view_member_new(&rec);
    logs_begin(LOG_INFO);
}

static void end(void)
{
    view_member_unref(member);
    sim_host_end(sim, host);
    sim_free(sim);
    logs_end();
}

/* One question and its answer after a round trip, by a clock that is skew_ms ahead of the true time. */
static bool ask(int64_t skew_ms, unsigned there_ms, unsigned back_ms)
{
    struct buf question = {0};
    struct rpc_msg m;

    if (!clock_ask(member, loop, &question)) {
        buf_fini(&question);
        return false;
    }
    ck_assert_int_eq(rpc_msg_decode(buf_span(&question), &m, NULL), ERR_OK);
    ck_assert(!m.reply && !m.has_object);
    sim_run_ms(sim, there_ms);
    int64_t stamp = loop_steady_ms(loop) + skew_ms;
    sim_run_ms(sim, back_ms);
    bool is = clock_answer(member, loop, m.rpc_id, m.uuid, stamp);
    ck_assert(!clock_answer(member, loop, m.rpc_id, m.uuid, stamp)); /* the same answer again is nobody's */
    rpc_msg_fini(&m);
    buf_fini(&question);
    return is;
}

static int64_t offset(void)
{
    return atomic_load(&member->clock_offset_ms);
}

START_TEST(test_the_middle_of_the_round_trip)
{
    begin();
    ck_assert(!atomic_load(&member->clock_known));
    ck_assert(ask(3600000, 10, 10));
    ck_assert(atomic_load(&member->clock_known));
    ck_assert_int_eq(offset(), 3600000);
    ck_assert_int_eq(cluster_correct_time(member, loop_steady_ms(loop) + 3600000, loop_steady_ms(loop)),
                     loop_steady_ms(loop));
    ck_assert_uint_eq(logs_count("the clock of member 10.0.0.2:4000 is 3600.000 s ahead of ours"), 1);
    ck_assert(ask(3600000, 10, 10));
    ck_assert_uint_eq(logs_count("the clock of member"), 1);
    ck_assert(ask(20, 1, 1));
    ck_assert_uint_eq(logs_count("the clock of member 10.0.0.2:4000 agrees with ours again"), 1);
    ck_assert_int_eq(cluster_clock_offset(member), 0); /* less than 50 ms counts as nothing */
    end();
}
END_TEST

START_TEST(test_slow_answers_and_jitter_change_nothing)
{
    begin();
    ck_assert(ask(-5000, 0, 600)); /* it is ours, but says nothing */
    ck_assert(!atomic_load(&member->clock_known));
    ck_assert(ask(-5000, 1, 1));
    int64_t first = offset();
    for (int i = 0; i < 20; i++) {
        ck_assert(ask(-5000 + i, (unsigned)i, 40));
        ck_assert_int_eq(offset(), first);
    }
    ck_assert(ask(-9000, 1, 1)); /* it was set back */
    ck_assert_int_eq(offset(), -9000);
    end();
}
END_TEST

/* A Tomcat that starts takes its time in one direction only: that is no difference of the clocks. */
START_TEST(test_what_lies_within_the_error_is_nothing)
{
    begin();
    ck_assert(ask(0, 0, 400));
    ck_assert(atomic_load(&member->clock_known));
    ck_assert_int_eq(offset(), 0);
    ck_assert(ask(-300, 400, 0)); /* between -550 and -50 */
    ck_assert_int_eq(offset(), 0);
    ck_assert(ask(-300, 2, 2)); /* now it is sure */
    ck_assert_int_eq(offset(), -300);
    ck_assert(ask(-300, 0, 400));
    ck_assert_int_eq(offset(), -300);
    end();
}
END_TEST

START_TEST(test_our_own_steps_change_nothing)
{
    begin();
    ck_assert(ask(0, 1, 1));
    sim_host_set_wall_offset(host, -7200000);
    ck_assert(ask(0, 1, 1));
    ck_assert_int_eq(offset(), 0);
    ck_assert_uint_eq(logs_count("the clock of member"), 0);
    end();
}
END_TEST

START_TEST(test_one_question_at_a_time)
{
    struct buf b = {0};

    begin();
    ck_assert(clock_ask(member, loop, &b));
    ck_assert(!clock_ask(member, loop, &b));
    sim_run_ms(sim, 3001);
    ck_assert(clock_ask(member, loop, &b)); /* the first was not answered */
    ck_assert(!clock_answer(member, loop, SPAN_LIT("clusterd-clock"), SPAN_LIT("0123456789abcdef"), 1));
    ck_assert(!clock_answer(member, loop, SPAN_LIT("clusterd-clock"), SPAN_LIT(""), 1));
    buf_fini(&b);
    end();
}
END_TEST

START_TEST(test_what_makes_it_ask_again)
{
    begin();
    ck_assert(clock_is_odd(member, loop, loop_steady_ms(loop))); /* not known */
    ck_assert(ask(1000, 1, 1));
    int64_t theirs = loop_steady_ms(loop) + 1000;
    ck_assert(!clock_is_odd(member, loop, theirs));
    ck_assert(!clock_is_odd(member, loop, theirs - 9000)); /* waited in a queue */
    ck_assert(clock_is_odd(member, loop, theirs - 11000));
    ck_assert(clock_is_odd(member, loop, theirs + 1000)); /* from the future */
    atomic_store(&member->clock_doubt, true);
    ck_assert(clock_is_odd(member, loop, theirs));
    end();
}
END_TEST

START_TEST(test_times_of_members_not_known_yet)
{
    int64_t now = 1700000000000;

    ck_assert_int_eq(cluster_correct_time(NULL, now - 300, now), now - 300);
    ck_assert_int_eq(cluster_correct_time(NULL, now + 300, now), now + 300);
    ck_assert_int_eq(cluster_correct_time(NULL, now + 3600000, now), now);
    ck_assert_int_eq(cluster_correct_time(NULL, now - 3600000, now), now);
    ck_assert_int_eq(cluster_correct_time(NULL, INT64_MIN, now), now);
    ck_assert_int_eq(cluster_correct_time(NULL, INT64_MAX, now), now);
}
END_TEST

CLUSTERD_SUITE(clock, &test_the_middle_of_the_round_trip, &test_slow_answers_and_jitter_change_nothing,
               &test_what_lies_within_the_error_is_nothing, &test_our_own_steps_change_nothing,
               &test_one_question_at_a_time, &test_what_makes_it_ask_again,
               &test_times_of_members_not_known_yet)
