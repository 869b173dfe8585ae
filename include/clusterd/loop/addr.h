/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses without <sys/socket.h>: IPv4, IPv6 or a unix path. A plain value, compared with addr_eq().
 */
#ifndef CLUSTERD_LOOP_ADDR_H
#define CLUSTERD_LOOP_ADDR_H

#include "clusterd/util/bytes.h"

enum addr_family { ADDR_NONE, ADDR_IP4, ADDR_IP6, ADDR_UNIX };

struct addr {
    enum addr_family family;
    uint8_t ip[16]; /* network order; 4 bytes used for IPv4 */
    uint16_t port;
    uint32_t scope; /* IPv6 interface index, 0 = none */
    char path[108]; /* unix: NUL-terminated */
};

#define ADDR_TEXT_MAX 128

/* "1.2.3.4", "::1", "[::1]:80", "1.2.3.4:80", "unix:/path". A missing port keeps `default_port`. No name
 * look-up. */
fallible addr_parse(const char *text, uint16_t default_port, struct addr *out);
/* Host bytes as a member record carries them (4 or 16). Other lengths: ERR_BAD. */
fallible addr_from_host(struct span host, uint16_t port, struct addr *out);
struct span addr_host(const struct addr *a); /* 4 or 16 bytes inside *a; empty for unix */
const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]);      /* "1.2.3.4:80" */
const char *addr_host_text(const struct addr *a, char out[ADDR_TEXT_MAX]); /* "1.2.3.4" */
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
bool addr_is_any(const struct addr *a);
bool addr_is_multicast(const struct addr *a);

/* A network in CIDR form: "10.0.0.0/8", "::1/128"; a bare address is a /32 or /128. */
struct cidr {
    struct addr net;
    unsigned bits;
};
fallible cidr_parse(const char *text, struct cidr *out);
bool cidr_contains(const struct cidr *c,
                   const struct addr *a); /* an IPv4-mapped IPv6 address counts as IPv4 */

#endif
