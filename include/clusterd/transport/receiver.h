/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReplicationListener (Tomcat: NioReceiver, NioReplicationTask): listens on the main loop, spreads the
 * accepted connections over the workers, takes frames out of them, hands each message up and acknowledges in
 * order.
 */
#ifndef CLUSTERD_TRANSPORT_RECEIVER_H
#define CLUSTERD_TRANSPORT_RECEIVER_H

#include "clusterd/conf/option.h"
#include "clusterd/loop/host.h"
#include "clusterd/util/diag.h"
#include "clusterd/util/metric.h"
#include "clusterd/wire/channel_data.h"

struct receiver_conf {
    int class_name;
    char *address;                     /* "auto", an address or a host name */
    int32_t port, auto_bind;           /* port 0: any free one */
    int64_t selector_timeout_ms;       /* accepted for Tomcat's sake */
    int32_t max_threads;               /* workers; old name tcpThreadCount */
    uint64_t max_frame_bytes;          /* from members in the view; ours, default 1 GiB */
    uint64_t max_stranger_frame_bytes; /* from anyone else; ours, default 1 MiB */
    struct option_strings allow_from;  /* CIDR texts; empty = the subnet of the bound address */
};
extern const struct option_spec receiver_options[];

struct receiver_events {
    /* A message, on the worker thread that owns the connection; spans are valid during the call. Anything but
     * ERR_OK makes a synchronized sender get FAIL_ACK. Runs after the plain ACK was queued, before the
     * synchronized one. */
    enum err (*on_message)(void *arg, struct loop *worker, const struct channel_data *cd);
    /* May a source at this address send large frames (a member of the view)? Any thread. */
    bool (*is_member_host)(void *arg, const struct addr *peer);
    /* A connection on which this source had sent messages was reset or closed. Any thread. */
    void (*on_peer_closed)(void *arg, const struct ident *source);
    /* Is this message a liveness probe (TcpFailureDetector's 64 bytes)? A connection that brought nothing
     * else ends without on_peer_closed: otherwise two nodes that probe each other because of it would never
     * stop. Worker thread; NULL: there are no probes. */
    bool (*is_probe)(void *arg, const struct channel_data *cd);
};

struct receiver;

/* Chooses the address, binds the first free port of port .. port + autoBind - 1, starts to listen. Errors in
 * *d. Says in the log which address was chosen and why, and warns when others cannot reach it (127.0.1.1 from
 * /etc/hosts). Main loop; may block for a name look-up. `conf` is not needed afterwards. */
fallible receiver_start(struct host *h, const struct receiver_conf *conf, const struct receiver_events *ev,
                        void *arg, struct metrics *metrics, struct diag *d, struct receiver **out);
const struct addr *receiver_addr(const struct receiver *r); /* what is announced */
/* Stops listening and closes all connections; on_stopped follows on the main loop when the workers have let
 * go. */
void receiver_stop(struct receiver *r, void (*on_stopped)(void *arg), void *arg);
void receiver_free(struct receiver *r); /* after on_stopped, or when the host's loops have ended */

#endif
