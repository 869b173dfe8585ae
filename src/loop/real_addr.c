/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between struct addr and the system's struct sockaddr. Any thread.
 */
#include "real.h"

#include <netinet/in.h>
#include <sys/un.h>

int real_addr_family(const struct addr *a)
{
    switch (a->family) {
    case ADDR_IP4:
        return AF_INET;
    case ADDR_IP6:
        return AF_INET6;
    case ADDR_UNIX:
        return AF_UNIX;
    case ADDR_NONE:
        break;
    }
    return AF_UNSPEC;
}

socklen_t real_addr_to(const struct addr *a, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){.ss_family = (sa_family_t)real_addr_family(a)};
    if (a->family == ADDR_IP4) {
        struct sockaddr_in *in4 = (struct sockaddr_in *)out;
        in4->sin_port = htons(a->port);
        memcpy(&in4->sin_addr, a->ip, 4);
        return sizeof *in4;
    }
    if (a->family == ADDR_IP6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof *in6;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    _Static_assert(sizeof un->sun_path == sizeof a->path, "a path of ours is a path of the system's");
    memcpy(un->sun_path, a->path, sizeof a->path);
    return sizeof *un;
}

void real_addr_from(const void *from, socklen_t n, struct addr *out)
{
    /* A copy: what getifaddrs() gives need not be aligned for the largest kind. */
    struct sockaddr_storage copy = {.ss_family = AF_UNSPEC}, *sa = &copy;

    memcpy(&copy, from, n < sizeof copy ? n : sizeof copy);
    *out = (struct addr){0};
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;
        out->family = ADDR_IP4;
        out->port = ntohs(in4->sin_port);
        memcpy(out->ip, &in4->sin_addr, 4);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        out->family = ADDR_IP6;
        out->port = ntohs(in6->sin6_port);
        out->scope = in6->sin6_scope_id;
        memcpy(out->ip, &in6->sin6_addr, 16);
    } else if (sa->ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
        size_t path =
            n > offsetof(struct sockaddr_un, sun_path) ? n - offsetof(struct sockaddr_un, sun_path) : 0;
        out->family = ADDR_UNIX;
        memcpy(out->path, un->sun_path, path < sizeof out->path ? path : sizeof out->path - 1);
    }
}
