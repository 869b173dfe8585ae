/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks of members; see clock.h. What is filtered is our *monotonic* time minus their timestamp, so a step
 * of our own wall clock shows at once in the offset and needs no detection. A step of theirs forward makes a
 * smaller lag, which the minimum follows at once. A step back shows in timestamps that fall behind the latest
 * one, message after message; and in a Tomcat's heartbeats (tracker.c), which also catch it while no messages
 * come.
 */
#include "clock.h"

#include "clusterd/util/log.h"

#define PERIOD_MS     30000
#define BEHIND_MS     1000 /* more than messages overtake each other by */
#define BEHIND_N      4
#define TELL_MS       1000
#define TELL_AGAIN_MS 500  /* right again: below this */
#define SURE_MS       2000 /* a clock that seems slow may be a delay, for so long */
#define ABSURD_MS     (10LL * 365 * 24 * 3600 * 1000)

static int64_t get(atomic_llong *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static void put(atomic_llong *v, int64_t x)
{
    atomic_store_explicit(v, x, memory_order_relaxed);
}

static uint64_t distance(int64_t offset_ms)
{
    return offset_ms < 0 ? -(uint64_t)offset_ms : (uint64_t)offset_ms;
}

static void begin(struct member_seen *s, int64_t lag_ms, int64_t theirs_ms, uint64_t mono_ms)
{
    put(&s->lag_min_ms, lag_ms);
    put(&s->lag_before_ms, INT64_MAX);
    put(&s->latest_ms, theirs_ms);
    atomic_store(&s->period_ms, mono_ms);
    atomic_store(&s->first_ms, mono_ms);
    atomic_store(&s->n_behind, 0);
}

/* True when its clock was set back. */
static bool fell_behind(struct member_seen *s, int64_t theirs_ms)
{
    int64_t latest_ms = get(&s->latest_ms);

    if (theirs_ms < latest_ms && latest_ms - theirs_ms > BEHIND_MS)
        return atomic_fetch_add(&s->n_behind, 1) + 1 >= BEHIND_N;
    atomic_store_explicit(&s->n_behind, 0, memory_order_relaxed);
    if (theirs_ms > latest_ms)
        put(&s->latest_ms, theirs_ms);
    return false;
}

static void filter(struct member_seen *s, int64_t lag_ms, uint64_t mono_ms)
{
    uint64_t period_ms = atomic_load(&s->period_ms);

    if (mono_ms > period_ms && mono_ms - period_ms >= PERIOD_MS &&
        atomic_compare_exchange_strong(&s->period_ms, &period_ms, mono_ms)) {
        bool stale = mono_ms - period_ms >= 2 * (uint64_t)PERIOD_MS;
        put(&s->lag_before_ms, stale ? INT64_MAX : get(&s->lag_min_ms));
        put(&s->lag_min_ms, lag_ms);
    } else if (lag_ms < get(&s->lag_min_ms)) {
        put(&s->lag_min_ms, lag_ms);
    }
}

void clock_sample(struct member *m, int64_t theirs_ms, uint64_t mono_ms, int64_t wall_ms)
{
    struct member_seen *s = &m->seen;
    int64_t lag_ms = (int64_t)(mono_ms - (uint64_t)theirs_ms); /* theirs may be any number: wrap */
    bool known = atomic_load(&m->clock_known);

    if (distance((int64_t)((uint64_t)theirs_ms - (uint64_t)wall_ms)) > (uint64_t)ABSURD_MS)
        return; /* no clock is that wrong: one such message must not spoil the estimate */
    if (!known || fell_behind(s, theirs_ms))
        begin(s, lag_ms, theirs_ms, mono_ms);
    else
        filter(s, lag_ms, mono_ms);
    int64_t min_ms = get(&s->lag_min_ms), before_ms = get(&s->lag_before_ms);
    uint64_t lag_best_ms = (uint64_t)(min_ms < before_ms ? min_ms : before_ms);
    put(&m->clock_offset_ms, (int64_t)(mono_ms - lag_best_ms - (uint64_t)wall_ms));
    if (!known)
        atomic_store(&m->clock_known, true);
}

void clock_check(struct member *m, uint64_t mono_ms)
{
    int64_t offset_ms = get(&m->clock_offset_ms);
    bool told = atomic_load(&m->seen.clock_told);

    if (!atomic_load(&m->clock_known))
        return;
    if (told && distance(offset_ms) < TELL_AGAIN_MS) {
        atomic_store(&m->seen.clock_told, false);
        log_info("the clock of member %s agrees with ours again", m->name);
        return;
    }
    bool sure = offset_ms > 0 || mono_ms - atomic_load(&m->seen.first_ms) > SURE_MS;
    if (told || !sure || distance(offset_ms) <= TELL_MS || atomic_exchange(&m->seen.clock_told, true))
        return;
    log_warn(
        "the clock of member %s is %llu.%03u s %s ours: which of two changes is the later one is decided by "
        "time; look at NTP on both hosts",
        m->name, (unsigned long long)(distance(offset_ms) / 1000), (unsigned)(distance(offset_ms) % 1000),
        offset_ms > 0 ? "ahead of" : "behind");
}
