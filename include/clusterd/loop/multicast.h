/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A multicast group socket for membership (Tomcat: McastServiceImpl's MulticastSocket): one socket sends and
 * receives, SO_REUSEADDR, source port = group port.
 */
#ifndef CLUSTERD_LOOP_MULTICAST_H
#define CLUSTERD_LOOP_MULTICAST_H

#include "clusterd/loop/addr.h"
#include "clusterd/loop/loop.h"
#include "clusterd/util/diag.h"

struct multicast;

struct multicast_options {
    struct addr group;      /* address and port */
    struct addr bind;       /* local interface address; ADDR_NONE = the system's choice */
    int ttl;                /* -1 = the system's default (1) */
    bool loopback_disabled; /* IP_MULTICAST_LOOP off */
};

/* A datagram; the span is valid during the call. `from` is its sender. */
typedef void (*multicast_fn)(void *arg, struct span packet, const struct addr *from);
/* Repeated receive errors are told with the errno text through on_error; the socket stays open. */
typedef void (*multicast_error_fn)(void *arg, const char *what);

/* With a bind address: binds to the group address and port and uses the interface that owns the bind address;
 * falls back to the wildcard address as Tomcat does. Errors are explained in *d (no such interface, port in
 * use, no multicast route). */
fallible multicast_open(struct loop *l, const struct multicast_options *o, multicast_fn on_packet,
                        multicast_error_fn on_error, void *arg, struct diag *d, struct multicast **out);
fallible multicast_send(struct multicast *m,
                        struct span packet); /* one datagram; ERR_IO: see multicast_error_text */
const char *multicast_error_text(const struct multicast *m);
void multicast_close(struct multicast *m);

#endif
