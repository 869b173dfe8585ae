/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of a change: what decides, on every node alike, which of two changes to the same thing is the
 * later one. time_ms  wall time of the writer: the ChannelData timestamp, put on our clock when the writer is
 * a Tomcat; a clusterd writer's is taken as it stands (docs/RATIONALE.md says why) writer   the first four
 * bytes of the writer's unique id seq      the first four bytes of the message id; a clusterd writer counts
 * there, so its own order is kept within a millisecond
 */
#ifndef CLUSTERD_SESSION_VERSION_H
#define CLUSTERD_SESSION_VERSION_H

#include "clusterd/util/ident.h"

/* No time further from 1970 than this is believed: 140,000 years, so sums of times stay far within int64_t.
 */
#define VERSION_TIME_MAX (INT64_C(1) << 52)

struct version {
    int64_t time_ms;
    uint32_t writer, seq;
};

static inline int version_cmp(struct version a, struct version b)
{
    if (a.time_ms != b.time_ms)
        return a.time_ms < b.time_ms ? -1 : 1;
    if (a.writer != b.writer)
        return a.writer < b.writer ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}
static inline int64_t version_clamp_time(int64_t ms)
{
    return ms > VERSION_TIME_MAX ? VERSION_TIME_MAX : ms < -VERSION_TIME_MAX ? -VERSION_TIME_MAX : ms;
}
static inline bool version_is_none(struct version v)
{
    return v.time_ms == 0 && v.writer == 0 && v.seq == 0;
}
static inline uint32_t version_head(const struct ident *id)
{
    return be_u32(id->b);
}

#endif
