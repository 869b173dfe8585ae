/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SimpleTcpCluster: what the session layer sees of the cluster. Takes messages apart by what they hold, logs
 * members with Tomcat's words, estimates the members' clocks, and sends one change to all members: as
 * Tomcat's message to the Tomcats, in clusterd's own form to clusterd nodes.
 *
 * Own form: a byte message (option 0x01) that begins with CLUSTER_OWN_MAGIC, then one kind byte, then the
 * body. It is sent to, and accepted from, members only that announce the clusterd payload.
 */
#ifndef CLUSTERD_CLUSTER_CLUSTER_H
#define CLUSTERD_CLUSTER_CLUSTER_H

#include "clusterd/channel/channel.h"
#include "clusterd/wire/session.h"

#define CLUSTER_OWN_MAGIC "CLD1"

struct cluster;

struct cluster_conf {
    int class_name;
    char *name;                /* clusterName */
    uint32_t send_options;     /* channelSendOptions, default 8 */
    uint32_t start_options;    /* channelStartOptions, default 15 */
    bool heartbeat_background; /* heartbeatBackgroundEnabled: accepted; the heartbeat is a timer here */
    bool notify_on_failure;    /* notifyLifecycleListenerOnFailure: log messages that nobody accepted */
};
extern const struct option_spec cluster_options[];

struct cluster_events {
    /* A SessionMessageImpl of a Tomcat (or of anything that speaks like one). Worker thread. */
    enum err (*on_session)(void *arg, const struct received *m, const struct session_msg *msg);
    /* A message in clusterd's own form; body is what follows the kind byte. m->source may be NULL when the
     * sender is not in the view yet; its payload said clusterd all the same. Worker thread. */
    enum err (*on_own)(void *arg, const struct received *m, uint8_t kind, struct span body);
    /* Main loop; the log line has been written. */
    void (*on_added)(void *arg, struct member *m);
    void (*on_disappeared)(void *arg, struct member *m, bool shutdown);
    void (*on_caught_up)(void *arg, struct member *m, bool lost);
    void (*on_heartbeat)(void *arg);
    int64_t (*alive_ms)(void *arg);
};

/* channel->payload and start_options are filled in by the cluster. */
fallible cluster_new(struct host *h, const struct cluster_conf *conf, struct channel_conf *channel,
                     const struct cluster_events *ev, void *arg, struct metrics *metrics, struct diag *d,
                     struct cluster **out);
fallible cluster_start(struct cluster *c, void (*on_started)(void *arg), void *arg, struct diag *d);
void cluster_stop(struct cluster *c, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg);
void cluster_free(struct cluster *c);

struct channel *cluster_channel(struct cluster *c);
uint32_t cluster_send_options(const struct cluster *c);

/* Any thread (`loop` = the caller's). A payload that begins with CLUSTER_OWN_MAGIC is of the own form: it
 * goes to clusterd members only (others: DELIVERY_FAILED). Frames to Tomcats always ask for synchronized ACKs
 * and frames to clusterd members for ACKs, because order on a lane rests on them; whether the caller waits
 * for them is said by `options`: not with 0x08, nor without 0x02. The payload is borrowed for the call.
 * The timestamp is the caller's (it is the version of the change); `seq` goes into the first four bytes of
 * the message id, which clusterd nodes read back as the tie-breaker of versions. options: send options; 0x01
 * is set here for the own form. */
struct cluster_out {
    struct span payload;
    uint32_t options;
    int64_t timestamp;
    uint32_t seq;
    uint64_t flow;
    struct delivery *delivery;
};
void cluster_send_to(struct cluster *c, struct loop *loop, const struct cluster_out *out,
                     const struct targets *targets);
/* A buffer prepared with magic and kind, for the own form: append the body. */
void cluster_own_begin(struct buf *b, uint8_t kind);

/* The member's wall time `theirs` on our steady clock (loop_steady_ms): corrected by the offset when that is
 * 50 ms or more, and never later than now + 10 s. A member whose clock is not known yet (or NULL) is taken at
 * its word when that is not absurd (10 min back, 10 s ahead), else `now` is the time. Any thread. */
int64_t cluster_correct_time(const struct member *m, int64_t theirs_ms, int64_t now_ms);
/* How far its clock is ahead of our steady one, as far as that counts. */
int64_t cluster_clock_offset(const struct member *m);

#endif
