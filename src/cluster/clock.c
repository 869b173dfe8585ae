/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks of members; see clock.h. The offset is against our steady clock, so that a step of our own wall
 * clock changes nothing. It is kept as it is while answers agree with it to 50 ms: a version must not become
 * older than the one before because an estimate has got better by a few milliseconds.
 */
#include "clock.h"

#include "clusterd/util/log.h"
#include "clusterd/wire/rpc.h"

#include <stdlib.h>

#define RPC_ID        "clusterd-clock"
#define ANSWER_MS     3000 /* an answer that takes longer says nothing, and another question is allowed */
#define ROUND_TRIP_MS 500  /* of a usable answer */
#define STICKY_MS     50
#define FUTURE_MS \
    200 /* by which a message may seem to come from the future: half a round trip, and rounding */
#define BEHIND_MS     10000 /* by which a message may be behind the latest one of its member */
#define TELL_MS       1000
#define TELL_AGAIN_MS 500 /* right again: below this */

static uint64_t token_of(struct span uuid)
{
    uint64_t token = 0;

    for (size_t i = 0; i < 8; i++)
        token = token << 8 | uuid.p[i];
    return token;
}

bool clock_ask(struct member *m, struct loop *l, struct buf *out)
{
    uint64_t now_ms = loop_mono_ms(l);
    struct ident uuid;

    if (atomic_load(&m->seen.probe) && now_ms - atomic_load(&m->seen.probe_mono_ms) < ANSWER_MS)
        return false;
    do
        loop_random(l, uuid.b, IDENT_LEN);
    while (token_of(span_of(uuid.b, IDENT_LEN)) == 0);
    atomic_store(&m->seen.probe_mono_ms, now_ms);
    atomic_store(&m->seen.probe, token_of(span_of(uuid.b, IDENT_LEN)));
    rpc_request_encode(span_of(uuid.b, IDENT_LEN), SPAN_LIT(RPC_ID), out);
    return true;
}

static void tell(struct member *m, int64_t offset_ms)
{
    bool told = atomic_load(&m->seen.clock_told);

    if (told && llabs(offset_ms) < TELL_AGAIN_MS) {
        atomic_store(&m->seen.clock_told, false);
        log_info("the clock of member %s agrees with ours again", m->name);
    } else if (!told && llabs(offset_ms) > TELL_MS) {
        atomic_store(&m->seen.clock_told, true);
        log_warn("the clock of member %s is %lld.%03lld s %s ours: which of two changes is the later one is "
                 "decided by "
                 "time; look at NTP on both hosts",
                 m->name, llabs(offset_ms) / 1000, llabs(offset_ms) % 1000,
                 offset_ms > 0 ? "ahead of" : "behind");
    }
}

bool clock_answer(struct member *m, struct loop *l, struct span rpc_id, struct span uuid, int64_t theirs_ms)
{
    unsigned long long token = uuid.n == IDENT_LEN ? token_of(uuid) : 0;
    uint64_t asked_ms = atomic_load(&m->seen.probe_mono_ms), round_trip_ms = loop_mono_ms(l) - asked_ms;

    if (!span_eq(rpc_id, SPAN_LIT(RPC_ID)) || token == 0 ||
        !atomic_compare_exchange_strong(&m->seen.probe, &token, 0))
        return false;
    if (round_trip_ms > ROUND_TRIP_MS || theirs_ms < 0 || theirs_ms > INT64_MAX / 2)
        return true;
    /* A Tomcat that starts answers slowly: what lies within the error is no news, and at first it is none. */
    int64_t error_ms = (int64_t)(round_trip_ms / 2), offset_ms = theirs_ms + error_ms - loop_steady_ms(l);
    bool known = atomic_load(&m->clock_known);
    int64_t held_ms = known ? atomic_load(&m->clock_offset_ms) : 0;
    if (llabs(offset_ms - held_ms) < STICKY_MS + error_ms)
        offset_ms = held_ms;
    if (!known || offset_ms != held_ms) {
        atomic_store(&m->clock_offset_ms, offset_ms);
        atomic_store(&m->seen.latest_ms, theirs_ms);
        atomic_store(&m->clock_known, true);
    }
    atomic_store(&m->clock_doubt, false);
    tell(m, offset_ms);
    return true;
}

bool clock_is_odd(struct member *m, struct loop *l, int64_t theirs_ms)
{
    int64_t latest_ms = atomic_load(&m->seen.latest_ms);

    if (!atomic_load(&m->clock_known) || atomic_load(&m->clock_doubt))
        return true;
    if (theirs_ms > latest_ms)
        atomic_store(&m->seen.latest_ms, theirs_ms);
    return latest_ms - theirs_ms > BEHIND_MS ||
           theirs_ms - atomic_load(&m->clock_offset_ms) > loop_steady_ms(l) + FUTURE_MS;
}
