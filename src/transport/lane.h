/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: a queue and one connection to one member, on one worker (Tomcat: NioSender). What goes out when,
 * and what an ACK means, is the lane's policy: lane_pipeline.c towards clusterd, lane_batch.c towards Tomcat.
 * A peer is all lanes of one member (peer.c). Private to transport.
 *
 *            connect             on_open
 *   IDLE ---------------> CONNECTING ---> READY ------------------+
 *    ^  ^                  ^     | failed   | broken              | own close: renewal, bad ACK, end
 *    |  |            retry |     v          v                     v
 *    |  +-- nothing to --- WAITING <--------+-- bad ACK ------ CLOSING
 *    |      send             |                                    |  renewal: CONNECTING or IDLE
 *    |       opened again    v            end                     |
 *    +-------------------- ENDED <--------------------------------+   (each state may end)
 */
#ifndef TRANSPORT_LANE_H
#define TRANSPORT_LANE_H

#include "clusterd/loop/lock.h"
#include "clusterd/loop/stream.h"
#include "clusterd/transport/transmitter.h"
#include "clusterd/util/list.h"
#include "clusterd/wire/ack.h"
#include "sendqueue.h"

#define LANE_BATCH_MAX 16

enum lane_state { LANE_IDLE, LANE_CONNECTING, LANE_READY, LANE_WAITING, LANE_CLOSING, LANE_ENDED };

/* What the main loop or another lane tells a lane to do. */
enum {
    LANE_OPEN = 1,
    LANE_SHED = 2,  /* the member lags: nobody waits for it any more */
    LANE_CHECK = 4, /* keep-alive limits */
    LANE_DRAIN = 8, /* end when nothing is left to be sent */
    LANE_END = 16   /* end now */
};

struct lane;

struct lane_ops {
    void (*pump)(struct lane *l); /* READY: send what may be sent now */
    /* An ACK or FAIL_ACK came. False: none was expected. */
    bool (*on_ack)(struct lane *l, enum ack_kind kind);
    /* The connection is gone: what was in flight is to be sent again, or is given up. */
    void (*on_lost)(struct lane *l);
};

/* Towards a Tomcat: the frames that are out, or are being repeated one by one. */
struct lane_batch {
    struct out v[LANE_BATCH_MAX];
    unsigned n;      /* messages in it; 0 = none */
    unsigned n_sent; /* frames out whose ACK has not come, and the ACKs that have */
    unsigned n_acks, n_fails;
    bool is_repeat; /* one by one: v[at] is out or the next to go */
    unsigned at;
};

struct lane {
    struct peer *peer;
    struct loop *loop;
    const struct lane_ops *ops;
    unsigned index;

    struct lock lock; /* guards the next five */
    struct sendqueue inbox;
    unsigned orders;
    bool is_open;   /* takes messages */
    bool is_alive;  /* takes orders */
    bool is_posted; /* `wake` is on its way */

    /* The worker's own, from here on but for the atomic. */
    struct task wake, ended;
    enum lane_state state;
    struct stream *stream;
    struct timer retry, ack_timer;
    struct sendqueue mail, queue;
    enum err why; /* of CLOSING */
    bool is_draining, is_ending, report_when_woken;

    bool is_proven;   /* this connection has brought an ACK */
    bool is_retiring; /* send no more, the connection is to be renewed */
    bool no_source;   /* connecting from the configured address did not work */
    unsigned backoff_ms;
    uint64_t opened_ms;  /* 0: not open yet */
    uint64_t n_requests; /* on this connection */

    uint64_t n_in, n_done; /* messages that came in and those that are done */
    /* Not yet told to the member and the metrics. */
    uint64_t done_bytes, done_messages, n_first, n_again, n_bytes;
    uint64_t progress_ms;      /* when an ACK came, or waiting began */
    uint64_t wrote, seen_left; /* bytes written on this connection; of them, left at the last look */
    bool seen_queued;

    bool is_behind, is_lagging;
    uint64_t behind_mark, behind_ms; /* caught up when n_done reaches the mark soon after it was set */
    atomic_bool lost;                /* messages were dropped; any thread */
    atomic_uint load;                /* of several lanes: what is unfinished; any thread */

    size_t sent, in_flight, in_flight_bytes; /* pipeline: places before `sent` are out */
    struct lane_batch batch;
};

extern const struct lane_ops lane_pipeline_ops, lane_batch_ops;

/* Main loop. */
void lane_init(struct lane *l, struct peer *p, unsigned index, struct loop *worker,
               const struct lane_ops *ops);
void lane_fini(struct lane *l);
void lane_open(struct lane *l);
void lane_close(struct lane *l, unsigned order); /* LANE_DRAIN or LANE_END: takes no messages any more */
/* Any thread. */
void lane_order(struct lane *l, unsigned order);
bool lane_push(struct lane *l, const struct out *o); /* false: closed, and `o` is still the caller's */
/* Its worker. */
static inline bool lane_has_work(const struct lane *l)
{
    return l->n_in != l->n_done;
}
void lane_shed(struct lane *l); /* nobody waits any more; the messages stay where they are */
/* lane_watch.c */
void lane_watch_start(struct lane *l);    /* something is unfinished: look after a while whether it gets on */
void lane_watch_progress(struct lane *l); /* it got on, or begins */
void lane_watch_behind(struct lane *l);   /* has a member caught up that was behind? */
void lane_watch_on_timer(struct timer *t, void *arg);
/* For the policies. */
bool lane_may_write(const struct lane *l); /* the socket takes what is written */
void lane_write(struct lane *l, struct out *o);
void lane_done(struct lane *l, struct out *o, enum delivery_result r);
void lane_give_up(struct lane *l, struct out *o, const char *why); /* after too many tries */
bool lane_renew_when_due(
    struct lane *l);              /* nothing is in flight: true when the connection is being renewed */
bool lane_is_due(struct lane *l); /* keep-alive limits say that this connection should go */

#endif
