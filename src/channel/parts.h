/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the channel share: the channel itself, its stack of stages, and the two ends of that
 * stack.
 *
 *      channel.c       life, view, the top of the stack
 *      stage.c         the interceptors in between
 *      coordinator.c   the bottom: sender, receiver, membership (Tomcat: ChannelCoordinator)
 */
#ifndef CHANNEL_PARTS_H
#define CHANNEL_PARTS_H

#include "clusterd/channel/channel.h"
#include "clusterd/channel/interceptor.h"
#include "clusterd/loop/lock.h"
#include "clusterd/util/list.h"
#include "clusterd/util/log.h"

struct stage {
    struct channel *channel;
    const struct interceptor_ops *ops;
    void *conf, *state;
    bool own_conf, started;
    struct stage *up, *down; /* NULL at the ends */
};

/* What a loop's thread has for itself, so that a message costs no lock: the view that it used last, and where
 * the ids of its messages have got to. */
struct own {
    struct loop *loop;
    struct view *view;
    struct ident id;    /* the first bytes are random and stay */
    uint64_t n_stamped; /* the last seven are this */
    uint8_t apart[64];  /* from the next loop's, which would share a cache line */
};

struct channel {
    struct host *host;
    struct loop *main;
    const struct channel_events *ev;
    void *arg;
    struct metrics *metrics;

    uint32_t start_options;
    const struct receiver_conf *receiver_conf;
    const struct transmitter_conf *sender_conf;

    struct mcast *mcast;
    struct receiver *receiver;       /* NULL before it has started */
    struct transmitter *transmitter; /* the same */
    struct stage *stages;            /* first configured first: the top */
    size_t n_stages;

    /* Our own record; nothing of it changes after `open` was set. */
    struct member_rec local;
    struct buf local_raw, payload;
    char local_name[MEMBER_NAME_MAX];
    atomic_bool open; /* local is known, messages may pass */

    struct lock view_lock;
    struct view *view;
    atomic_ullong view_serial;
    struct own *own; /* one each loop: workers, then main */
    size_t n_own;

    struct timer heartbeat_timer; /* once, while stopping: the sender's turn has come */
    unsigned linger_ms;
    struct timer later_timer; /* on_started or on_stopped, never inside the call that leads to it */
    uint64_t started_ms;
    bool stopping;
    void (*on_started)(void *arg);
    void *started_arg;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
    atomic_int n_posted;    /* tasks of ours that lie in the main loop's queue */
    atomic_int n_strangers; /* messages to strangers that are under way */
    struct log_limit frames_limit, strangers_limit;
};

/* stage.c */
void stage_build(struct channel *c, const struct interceptor_spec *specs, size_t n);
fallible stage_start_all(struct channel *c, struct diag *d);
void stage_stop_all(struct channel *c);
void stage_free_all(struct channel *c);
void stage_heartbeat_all(struct channel *c);
/* Into the stack from its ends. */
void stage_send_top(struct channel *c, struct message *m, const struct targets *targets);
enum err stage_recv_bottom(struct channel *c, const struct received *m);
void stage_added_bottom(struct channel *c, struct member *m);
void stage_disappeared_bottom(struct channel *c, struct member *m, bool shutdown);
void stage_trouble_bottom(struct channel *c, struct member *m, enum err why);

/* channel.c: what the calling thread's loop has for itself. */
struct own *channel_own(struct channel *c, const struct loop *loop);
/* Out of the stack at the top. */
enum err channel_top_recv(struct channel *c, const struct received *m);
void channel_top_added(struct channel *c, struct member *m);
void channel_top_disappeared(struct channel *c, struct member *m, bool shutdown);
void channel_resort(struct channel *c);

/* coordinator.c: out of the stack at the bottom, and what membership and transport call. */
void coordinator_send(struct channel *c, struct message *m, const struct targets *targets);
extern const struct mcast_events coordinator_mcast_events;
extern const struct receiver_events coordinator_receiver_events;
extern const struct transmitter_events coordinator_transmitter_events;

#endif
