/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel (Tomcat: GroupChannel, ChannelCoordinator): membership, receiver and transmitter under a stack
 * of interceptors. Messages go down by channel_send() and come up by on_message.
 */
#ifndef CLUSTERD_CHANNEL_CHANNEL_H
#define CLUSTERD_CHANNEL_CHANNEL_H

#include "clusterd/membership/mcast.h"
#include "clusterd/transport/receiver.h"
#include "clusterd/transport/transmitter.h"

struct channel;

/* A message on its way out. Interceptors may replace payload and options; the caller owns the struct. */
struct message {
    uint32_t options;  /* send options (wire/options.h), as they will stand in the ChannelData */
    int64_t timestamp; /* wall ms */
    struct ident id;
    struct span payload;       /* borrowed: nobody keeps it after the call that sends it */
    uint64_t flow;             /* equal flows keep their order */
    struct delivery *delivery; /* may be NULL */
    bool to_stranger;          /* private: see channel_send_stranger() */
};

struct targets {
    size_t n;
    struct member *const *members; /* borrowed */
};

/* A message that came in. All spans are valid during the call only. */
struct received {
    struct loop *loop; /* the thread that it came on */
    uint32_t options;
    int64_t timestamp;
    struct ident id;       /* of the message; shorter wire ids are zero-filled, longer ones cut */
    struct member *source; /* the member of the view, borrowed; NULL when it is not known (yet) */
    const struct member_rec *source_rec;
    struct span payload;
};

struct channel_events {
    enum err (*on_message)(void *arg, const struct received *m); /* worker thread */
    /* Main loop. The view that channel_view() gives contains / no longer contains the member. */
    void (*on_added)(void *arg, struct member *m);
    void (*on_disappeared)(void *arg, struct member *m, bool shutdown);
    void (*on_caught_up)(void *arg, struct member *m, bool lost);
    void (*on_heartbeat)(void *arg); /* main loop, each 5 s */
    int64_t (*alive_ms)(void *arg);  /* what to announce as `alive`, main loop */
};

struct interceptor_spec { /* one configured interceptor */
    const struct interceptor_ops *ops;
    void
        *conf; /* ops->conf_size bytes filled by option_load, or NULL for the defaults; owned by the caller */
};

struct channel_conf {
    uint32_t start_options; /* channelStartOptions, 15 */
    const struct mcast_conf *membership;
    const struct receiver_conf *receiver;
    const struct transmitter_conf *sender;
    const struct interceptor_spec *interceptors; /* none: MessageDispatchInterceptor, TcpFailureDetector */
    size_t n_interceptors;
    struct span payload; /* member payload to announce */
};

fallible channel_new(struct host *h, const struct channel_conf *conf, const struct channel_events *ev,
                     void *arg, struct metrics *metrics, struct diag *d, struct channel **out);
/* Receiver, sender, membership RX, membership TX, as start_options say. on_started (main loop) follows when
 * membership has listened and announced long enough to know the others (4 x frequency). After an error too,
 * channel_stop() is needed before channel_free(). */
fallible channel_start(struct channel *c, void (*on_started)(void *arg), void *arg, struct diag *d);
/* Membership first (BABY-ALEX), then sender (queues flushed, at most linger_ms), then receiver. */
void channel_stop(struct channel *c, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg);
void channel_free(struct channel *c); /* after on_stopped, or when the host's loops have ended */

/* Any thread. Every target gets one delivery result (delivery_expect is called here, before). An empty target
 * list is fine and does nothing. */
void channel_send(struct channel *c, struct message *m, const struct targets *targets);
/* One small message to a source that is not in the view: a connection of its own, no acknowledgement. Any
 * thread. At most CHANNEL_STRANGERS_MAX are under way at a time; more are dropped. */
#define CHANNEL_STRANGERS_MAX 64
void channel_send_stranger(struct channel *c, struct message *m, const struct member_rec *to);
/* Fills timestamp and a fresh id. Any thread (`loop` = the caller's). */
void channel_stamp(struct channel *c, struct loop *loop, struct message *m);

struct view *channel_view(struct channel *c); /* any thread; one reference, as the top of the stack sees it */
const struct member_rec *
channel_local(const struct channel *c); /* our own record; valid after channel_start() */
const char *channel_local_name(const struct channel *c);
struct host *channel_host(const struct channel *c);
struct metrics *channel_metrics(const struct channel *c);
void channel_beat(struct channel *c); /* main loop: announce `alive` now */
/* For interceptors and tests: below the stack. */
struct transmitter *channel_transmitter(struct channel *c);
struct mcast *channel_mcast(struct channel *c);
/* A whole frame of this message with our record as its source. One reference. */
struct blob *channel_encode(struct channel *c, const struct message *m);

#endif
