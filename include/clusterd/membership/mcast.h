/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership by multicast heartbeats (Tomcat: McastService, McastServiceImpl). Main loop only. Tells of
 * members that appear and disappear; what is to be believed is decided above (TcpFailureDetector).
 */
#ifndef CLUSTERD_MEMBERSHIP_MCAST_H
#define CLUSTERD_MEMBERSHIP_MCAST_H

#include "clusterd/conf/option.h"
#include "clusterd/loop/host.h"
#include "clusterd/membership/view.h"
#include "clusterd/util/diag.h"
#include "clusterd/util/metric.h"

#define MCAST_DOMAIN_MAX       1024
#define MCAST_FREQUENCY_MIN_MS 10

struct mcast_conf {
    int class_name;
    char *address; /* group */
    int32_t port;
    int64_t frequency_ms, drop_time_ms;
    char *bind;
    int32_t ttl;           /* -1 = the system's */
    int64_t so_timeout_ms; /* accepted for Tomcat's sake: expiry has its own timer here */
    bool local_loopback_disabled;
    bool recovery_enabled;
    int32_t recovery_counter;
    int64_t recovery_sleep_time_ms;
    char *domain;
};
extern const struct option_spec
    mcast_options[]; /* old names: mcastAddr, mcastPort, mcastFrequency, mcastDropTime ... */

struct mcast_events {
    /* A member that was not known is heard, or one that had disappeared is heard again. */
    void (*on_added)(void *arg, struct member *m);
    /* shutdown: it said BABY-ALEX; else it was silent for longer than dropTime. */
    void (*on_disappeared)(void *arg, struct member *m, bool shutdown);
    /* A group datagram that holds framed messages (send option 0x40). Valid during the call. */
    void (*on_frames)(void *arg, struct span packet, const struct addr *from);
    /* The `alive` of a known member jumped: its place in a view has changed. May be NULL. */
    void (*on_reordered)(void *arg);
    /* What our `alive` field shall say now. NULL: the time since the first start. */
    int64_t (*alive_ms)(void *arg);
};

struct mcast;

/* Nothing is opened yet. Mistakes of the configuration (no group address, a bind that is no address) are told
 * in *d; whether there is such an interface shows when the socket is opened. */
fallible mcast_new(struct host *h, const struct mcast_conf *conf, const struct mcast_events *events,
                   void *arg, struct metrics *metrics, struct diag *d, struct mcast **out);
/*
 * The two levels of a channel's start (Channel.MBR_RX_SEQ: hear others; MBR_TX_SEQ: announce oneself); either
 * opens the socket when the other has not. `local` is the record that is announced (host, port, id, payload;
 * copied); the domain comes from the configuration. on_ready (may be NULL) follows 2 x frequency later,
 * unless mcast_stop() comes first.
 */
typedef void (*mcast_ready_fn)(void *arg);
fallible mcast_start_rx(struct mcast *m, const struct member_rec *local, mcast_ready_fn on_ready, void *arg,
                        struct diag *d);
fallible mcast_start_tx(struct mcast *m, const struct member_rec *local, mcast_ready_fn on_ready, void *arg,
                        struct diag *d);
/* Changes what is announced and sends a heartbeat at once. */
void mcast_announce(struct mcast *m, struct span payload);
void mcast_beat(struct mcast *m); /* a heartbeat now, e.g. because `alive` changed its meaning */
/* The domain that is announced; lives as long as m. */
struct span mcast_domain(const struct mcast *m);
/* One group datagram (framed message, send option 0x40): at most MCAST_PACKET_MAX bytes. */
#define MCAST_PACKET_MAX ((size_t)65507)
fallible mcast_broadcast(struct mcast *m, struct span packet);
void mcast_stop(struct mcast *m); /* sends one BABY-ALEX record when it had announced itself */
void mcast_free(struct mcast *m);

#endif
