/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address the receiver binds and announces, and from which networks it accepts connections. Private to
 * transport. Main thread, at start-up; receiver_address_pick() is pure.
 */
#ifndef TRANSPORT_RECEIVER_ADDRESS_H
#define TRANSPORT_RECEIVER_ADDRESS_H

#include "clusterd/conf/option.h"
#include "clusterd/loop/host.h"

#define RECEIVER_ADDRESS_IFS_MAX 128

/* What the machine says about itself. */
struct receiver_address_facts {
    const struct host_address *ifs;
    size_t n_ifs;
    const char *name; /* the host's own */
    const struct addr *resolved;
    size_t n_resolved;
};

/* `auto`: an address that others can reach, if there is any. False: there is none but loopback. *why is
 * appended to: why this one. */
bool receiver_address_pick(const struct receiver_address_facts *facts, struct addr *out, struct buf *why);

struct receiver_address {
    struct addr bind, announce; /* ports 0 */
    struct cidr *allow;         /* owned */
    size_t n_allow;
    char why[512];
};
/* `text`: "auto", an address or a host name. The log is told what others cannot reach. */
fallible receiver_address_choose(struct host *h, const char *text, const struct option_strings *allow_from,
                                 struct diag *d, struct receiver_address *out);
void receiver_address_fini(struct receiver_address *a);
/* Does allowFrom let this peer in? */
bool receiver_address_allows(const struct receiver_address *a, const struct addr *peer);

#endif
