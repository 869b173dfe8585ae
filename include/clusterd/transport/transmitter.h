/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReplicationTransmitter (Tomcat: ReplicationTransmitter, PooledParallelSender, NioSender): sends frames to
 * members over lanes. A lane is a queue and one connection, owned by one worker. Messages of one flow (a
 * session's first id) use one lane for ever, so their order is kept whatever the send options say.
 *
 * Towards a clusterd member frames are pipelined and acknowledgements are matched by position. Towards a
 * Tomcat, which may handle two unacknowledged frames of a connection in either order, a lane sends batches of
 * up to 16 frames of distinct flows and waits for as many ACKs before the next (barrier); after a FAIL_ACK or
 * a reset the batch is repeated singly. Every member always has at least one standing connection, so that its
 * death is noticed at once.
 */
#ifndef CLUSTERD_TRANSPORT_TRANSMITTER_H
#define CLUSTERD_TRANSPORT_TRANSMITTER_H

#include "clusterd/conf/option.h"
#include "clusterd/loop/host.h"
#include "clusterd/membership/view.h"
#include "clusterd/transport/delivery.h"
#include "clusterd/util/metric.h"

struct transmitter_conf {
    int class_name;
    int replication_mode;       /* of Tomcat 5; accepted, told in the log */
    int32_t pool_size;          /* lanes per Tomcat member at most, default 4 here (Tomcat: 25) */
    int64_t timeout_ms;         /* ACK time-out, 3000 */
    int32_t max_retry_attempts; /* 1 */
    int32_t keep_alive_count;   /* -1 = no limit */
    int64_t keep_alive_time_ms; /* -1 = no limit */
    uint64_t max_queue_bytes;   /* per member, ours, 64 MiB: above it messages are dropped and counted */
};
extern const struct option_spec transmitter_options[];

struct transmitter_events {
    /* A connection to this member broke or could not be made, or an acknowledgement timed out (ERR_TIMEOUT):
     * find out whether it lives. Main loop; the member may be removed from inside. */
    void (*on_trouble)(void *arg, struct member *m, enum err why);
    /* It was lagging and has caught up, or messages to it were lost (queue full, connection broken too
     * often): `lost` asks for a comparison. Main loop. */
    void (*on_caught_up)(void *arg, struct member *m, bool lost);
};

struct transmitter;

struct transmitter *transmitter_new(struct host *h, const struct transmitter_conf *conf,
                                    const struct transmitter_events *ev, void *arg, struct metrics *metrics);
/* Connect from this local address (the receiver's), by which members tell who comes. Before the first
 * transmitter_add(); without it the system chooses. Main loop. */
void transmitter_set_source(struct transmitter *t, const struct addr *local);
/* Main loop. Opens / closes the lanes of a member. What is queued for a removed member ends as
 * DELIVERY_FAILED. A member object belongs to one transmitter for its whole life. */
void transmitter_add(struct transmitter *t, struct member *m);
void transmitter_remove(struct transmitter *t, struct member *m);

/* One message to one member. Any thread. `frame` is the complete frame (own reference is taken), shared by
 * all members that get the same bytes; its ChannelData options say whether an ACK comes. flow: equal flows
 * keep their order. Frames above 64 KiB share no batch with others. `delivery` may be NULL; exactly one
 * result is given to it. Unknown member, full queue: DELIVERY_FAILED. */
struct transmitter_item {
    struct blob *frame;
    uint32_t
        options; /* those in the frame: 0x02 decides about the ACK; without it "written" is all we know */
    uint64_t flow;
    struct delivery *delivery;
};
void transmitter_send(struct transmitter *t, struct member *m, const struct transmitter_item *item);
/* Bytes queued over all members (for MessageDispatchInterceptor's bound). Any thread. */
uint64_t transmitter_queued_bytes(const struct transmitter *t);

/* TCP liveness probe (TcpFailureDetector.memberAlive): connect, write `frame` when not NULL, optionally wait
 * for any byte (read_timeout_ms > 0), close. Main loop. fn on the main loop, later, exactly once: ERR_OK =
 * alive, ERR_CANCELLED = the transmitter was stopped. */
typedef void (*transmitter_probe_fn)(void *arg, enum err result);
void transmitter_probe(struct transmitter *t, const struct addr *to, unsigned connect_timeout_ms,
                       struct blob *frame, unsigned read_timeout_ms, transmitter_probe_fn fn, void *arg);

void transmitter_heartbeat(struct transmitter *t); /* main loop, each 5 s: keep-alive limits */
/* Nothing new is taken. What is queued is sent for at most linger_ms; what is left then ends as
 * DELIVERY_FAILED. on_stopped follows on the main loop. */
void transmitter_stop(struct transmitter *t, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg);
void transmitter_free(struct transmitter *t); /* after on_stopped, or when the host's loops have ended */

#endif
