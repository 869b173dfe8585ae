/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast group sockets. As Java's MulticastSocket: SO_REUSEADDR, IP_MULTICAST_ALL off (only groups that
 * this socket joined), source port = group port. With a bind address the socket is bound to the group
 * address, so that unicast datagrams to the port are not taken for heartbeats. Own thread of the loop.
 * (Tomcat: McastServiceImpl.setupSocket)
 */
#include "real.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define RECEIVE_SHARE 64 /* datagrams in one turn */

static struct real_multicast *of(struct multicast *m)
{
    return (struct real_multicast *)m;
}

/* The callbacks may close the group. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct real_multicast *rm = arg;

    (void)what;
    real_loop_begin((struct real_loop *)rm->m.loop);
    multicast_io_begin(&rm->m);
    for (int i = 0; i < RECEIVE_SHARE && !rm->m.closed; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        uint8_t *to = rm->m.loop->scratch;
        ssize_t got = recvfrom(fd, to, SCRATCH_READ, 0, (struct sockaddr *)&sa, &n);
        if (got >= 0) {
            struct addr from;
            real_addr_from(&sa, n, &from);
            rm->m.on_packet(rm->m.arg, span_of(to, (size_t)got), &from);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            rm->m.on_error(rm->m.arg, strerror(errno));
            break;
        }
    }
    multicast_io_end(&rm->m);
}

/* The index of the interface that has this address; 0 = none. */
static unsigned interface_of(const struct addr *a)
{
    struct ifaddrs *list, *i;
    unsigned index = 0;

    if (a->scope)
        return a->scope;
    if (getifaddrs(&list) != 0)
        return 0;
    for (i = list; i && !index; i = i->ifa_next) {
        struct addr has;
        if (!i->ifa_addr)
            continue;
        real_addr_from(i->ifa_addr, sizeof(struct sockaddr_in6), &has);
        if (has.family == a->family && span_eq(addr_host(&has), addr_host(a)))
            index = if_nametoindex(i->ifa_name);
    }
    freeifaddrs(list);
    return index;
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool bind_to(struct real_multicast *rm, bool to_group)
{
    struct addr at = rm->m.options.group;
    struct sockaddr_storage sa;
    socklen_t n;

    if (!to_group)
        memset(at.ip, 0, sizeof at.ip);
    at.scope = to_group ? rm->interface : 0;
    n = real_addr_to(&at, &sa);
    return bind(rm->fd, (struct sockaddr *)&sa, n) == 0;
}

static bool join4(struct real_multicast *rm)
{
    const struct multicast_options *o = &rm->m.options;
    struct ip_mreqn req = {.imr_ifindex = (int)rm->interface};

    set(rm->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    memcpy(&req.imr_multiaddr, o->group.ip, 4);
    if (o->bind.family == ADDR_IP4)
        memcpy(&req.imr_address, o->bind.ip, 4);
    if (setsockopt(rm->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &req, sizeof req) != 0)
        return false;
    if (rm->interface && setsockopt(rm->fd, IPPROTO_IP, IP_MULTICAST_IF, &req, sizeof req) != 0)
        return false;
    return set(rm->fd, IPPROTO_IP, IP_MULTICAST_LOOP, !o->loopback_disabled) &&
           (o->ttl < 0 || set(rm->fd, IPPROTO_IP, IP_MULTICAST_TTL, o->ttl));
}

static bool join6(struct real_multicast *rm)
{
    const struct multicast_options *o = &rm->m.options;
    struct ipv6_mreq req = {.ipv6mr_interface = rm->interface};

    set(rm->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    memcpy(&req.ipv6mr_multiaddr, o->group.ip, 16);
    if (setsockopt(rm->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &req, sizeof req) != 0)
        return false;
    if (rm->interface && !set(rm->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)rm->interface))
        return false;
    return set(rm->fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, !o->loopback_disabled) &&
           (o->ttl < 0 || set(rm->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, o->ttl));
}

/* Finds the interface that the bind address names. */
static enum err find_interface(struct real_multicast *rm, struct diag *d)
{
    const struct multicast_options *o = &rm->m.options;
    char text[ADDR_TEXT_MAX];

    if (o->bind.family == ADDR_NONE || addr_is_any(&o->bind))
        return ERR_OK;
    rm->interface = interface_of(&o->bind);
    if (!rm->interface)
        return diag_error(d, NULL, 0,
                          "multicast: no interface of this machine has the bind address %s (`ip address` "
                          "lists them)",
                          addr_host_text(&o->bind, text));
    return ERR_OK;
}

/* errno says why a step failed. */
static enum err explain(const struct real_multicast *rm, const char *step, struct diag *d)
{
    const struct multicast_options *o = &rm->m.options;
    char text[ADDR_TEXT_MAX];
    int e = errno;

    addr_text(&o->group, text);
    if (e == ENODEV || e == ENETUNREACH || e == EADDRNOTAVAIL)
        return diag_error(
            d, NULL, 0,
            "multicast %s: cannot %s: %s. This machine has no route for multicast: set the bind "
            "address to one of its addresses, or add a route (ip route add 224.0.0.0/4 dev ...)",
            text, step, strerror(e));
    if (e == EADDRINUSE)
        return diag_error(d, NULL, 0,
                          "multicast %s: cannot %s: another program uses this UDP port for itself alone (`ss "
                          "-ulpn` shows it)",
                          text, step);
    if (e == EACCES || e == EPERM)
        return diag_error(d, NULL, 0,
                          "multicast %s: cannot %s: not permitted (a port below 1024? a security policy?)",
                          text, step);
    if (e == ENOBUFS)
        return diag_error(d, NULL, 0,
                          "multicast %s: cannot %s: the system's limit of memberships is reached (sysctl "
                          "net.ipv4.igmp_max_memberships)",
                          text, step);
    return diag_error(d, NULL, 0, "multicast %s: cannot %s: %s", text, step, strerror(e));
}

static enum err open_socket(struct real_multicast *rm, struct diag *d)
{
    const struct multicast_options *o = &rm->m.options;
    bool six = o->group.family == ADDR_IP6;

    rm->fd = socket(real_addr_family(&o->group), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (rm->fd < 0)
        return explain(rm, "open a socket", d);
    if (!set(rm->fd, SOL_SOCKET, SO_REUSEADDR, 1) || (six && !set(rm->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)))
        return explain(rm, "share the port", d);
    if (rm->interface && !bind_to(rm, true)) {
        diag_warn(d, NULL, 0, "multicast: cannot bind to the group address (%s): binding to all addresses",
                  strerror(errno));
        rm->wildcard = true;
    }
    if ((!rm->interface || rm->wildcard) && !bind_to(rm, false))
        return explain(rm, "bind", d);
    if (!(six ? join6(rm) : join4(rm)))
        return explain(rm, "join the group", d);
    return ERR_OK;
}

enum err real_multicast_open(struct multicast *m, struct diag *d)
{
    struct real_multicast *rm = of(m);

    rm->fd = -1;
    TRY(find_interface(rm, d));
    enum err e = open_socket(rm, d);
    if (e) {
        if (rm->fd >= 0)
            close(rm->fd);
        return e;
    }
    ASSERT(event_assign(&rm->event, ((struct real_loop *)m->loop)->base, rm->fd, EV_READ | EV_PERSIST,
                        on_event, rm) == 0);
    ASSERT(event_add(&rm->event, NULL) == 0);
    return ERR_OK;
}

enum err real_multicast_send(struct multicast *m, struct span packet)
{
    struct sockaddr_storage sa;
    struct addr to = m->options.group;
    ssize_t n;

    to.scope = of(m)->interface;
    socklen_t sa_n = real_addr_to(&to, &sa);
    do
        n = sendto(of(m)->fd, packet.p, packet.n, MSG_NOSIGNAL, (struct sockaddr *)&sa, sa_n);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)packet.n)
        return ERR_OK;
    snprintf(m->error, sizeof m->error, "%s%s", strerror(errno),
             errno == ENETUNREACH ? " (no route for multicast: set a bind address or add a route)" : "");
    return errno == EMSGSIZE ? ERR_TOO_BIG : ERR_IO;
}

void real_multicast_close(struct multicast *m)
{
    struct real_multicast *rm = of(m);

    event_del(&rm->event);
    close(rm->fd);
}
