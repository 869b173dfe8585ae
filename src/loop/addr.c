/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses as plain values: parsing, printing, classes, CIDR. No name look-up, no system call but
 * the one that turns an IPv6 zone name into its index. Any thread. (Tomcat: java.net.InetAddress)
 */
#include "clusterd/loop/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

static unsigned ip_bytes(const struct addr *a)
{
    return a->family == ADDR_IP4 ? 4 : a->family == ADDR_IP6 ? 16 : 0;
}

/* Decimal digits up to the end of the text, at most `max`. */
static fallible parse_number(const char *text, unsigned long max, unsigned long *out)
{
    unsigned long v = 0;

    if (!*text)
        return ERR_BAD;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return ERR_BAD;
        v = v * 10 + (unsigned long)(*text - '0');
        if (v > max)
            return ERR_BAD;
    }
    *out = v;
    return ERR_OK;
}

/* "fe80::1" or "fe80::1%eth0" */
static fallible parse_ip6(const char *text, struct addr *out)
{
    struct addr a = {.family = ADDR_IP6};
    char ip[64];
    const char *zone = strchr(text, '%');
    size_t n = zone ? (size_t)(zone - text) : strlen(text);

    if (n >= sizeof ip)
        return ERR_BAD;
    memcpy(ip, text, n);
    ip[n] = 0;
    if (inet_pton(AF_INET6, ip, a.ip) != 1)
        return ERR_BAD;
    if (zone) {
        unsigned long index;

        a.scope = if_nametoindex(zone + 1);
        if (a.scope == 0) {
            TRY(parse_number(zone + 1, UINT32_MAX, &index));
            a.scope = (uint32_t)index;
        }
    }
    *out = a;
    return ERR_OK;
}

static fallible parse_unix(const char *path, struct addr *out)
{
    struct addr a = {.family = ADDR_UNIX};
    size_t n = strlen(path);

    if (n == 0)
        return ERR_BAD;
    if (n >= sizeof a.path)
        return ERR_TOO_BIG;
    memcpy(a.path, path, n + 1);
    *out = a;
    return ERR_OK;
}

/* Takes a host and an optional ":port" apart; `port` points to the digits or is NULL. */
static fallible split_port(const char *text, char host[ADDR_TEXT_MAX], const char **port)
{
    size_t n = strlen(text);
    const char *colon = strchr(text, ':');

    *port = NULL;
    if (*text == '[') {
        const char *close = strchr(text, ']');
        if (!close || (close[1] && close[1] != ':'))
            return ERR_BAD;
        *port = close[1] ? close + 2 : NULL;
        n = (size_t)(close - text) - 1;
        text++;
    } else if (colon && !strchr(colon + 1, ':')) {
        *port = colon + 1;
        n = (size_t)(colon - text);
    }
    if (n == 0 || n >= ADDR_TEXT_MAX)
        return ERR_BAD;
    memcpy(host, text, n);
    host[n] = 0;
    return ERR_OK;
}

fallible addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
    char host[ADDR_TEXT_MAX];
    const char *port_text;
    unsigned long port = default_port;
    struct addr a = {.family = ADDR_IP4};

    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    if (*text == '/')
        return parse_unix(text, out);
    TRY(split_port(text, host, &port_text));
    if (port_text)
        TRY(parse_number(port_text, UINT16_MAX, &port));
    if (strchr(host, ':'))
        TRY(parse_ip6(host, &a));
    else if (*text == '[' || inet_pton(AF_INET, host, a.ip) != 1)
        return ERR_BAD;
    a.port = (uint16_t)port;
    *out = a;
    return ERR_OK;
}

fallible addr_from_host(struct span host, uint16_t port, struct addr *out)
{
    struct addr a = {.family = host.n == 4 ? ADDR_IP4 : ADDR_IP6, .port = port};

    if (host.n != 4 && host.n != 16)
        return ERR_BAD;
    memcpy(a.ip, host.p, host.n);
    *out = a;
    return ERR_OK;
}

struct span addr_host(const struct addr *a)
{
    return span_of(a->ip, ip_bytes(a));
}

const char *addr_host_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "none";

    if (a->family == ADDR_UNIX) {
        snprintf(out, ADDR_TEXT_MAX, "unix:%s", a->path);
        return out;
    }
    if (a->family != ADDR_NONE)
        inet_ntop(a->family == ADDR_IP4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip);
    if (a->scope)
        snprintf(out, ADDR_TEXT_MAX, "%s%%%u", ip, a->scope);
    else
        snprintf(out, ADDR_TEXT_MAX, "%s", ip);
    return out;
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char host[ADDR_TEXT_MAX];

    addr_host_text(a, host);
    if (a->family == ADDR_IP4)
        snprintf(out, ADDR_TEXT_MAX, "%.100s:%u", host, a->port);
    else if (a->family == ADDR_IP6)
        snprintf(out, ADDR_TEXT_MAX, "[%.100s]:%u", host, a->port);
    else
        memcpy(out, host, sizeof host);
    return out;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == ADDR_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port == b->port && a->scope == b->scope && span_eq(addr_host(a), addr_host(b));
}

/* The IPv4 bytes inside ::ffff:a.b.c.d, or of an IPv4 address; NULL for any other. */
static const uint8_t *as_ip4(const struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (a->family == ADDR_IP4)
        return a->ip;
    if (a->family == ADDR_IP6 && memcmp(a->ip, mapped, sizeof mapped) == 0)
        return a->ip + sizeof mapped;
    return NULL;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    const uint8_t *ip4 = as_ip4(a);

    if (ip4)
        return ip4[0] == 127;
    return a->family == ADDR_UNIX || (a->family == ADDR_IP6 && memcmp(a->ip, one, sizeof one) == 0);
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[16];

    return ip_bytes(a) && memcmp(a->ip, zero, ip_bytes(a)) == 0;
}

bool addr_is_multicast(const struct addr *a)
{
    const uint8_t *ip4 = as_ip4(a);

    return ip4 ? ip4[0] >= 224 && ip4[0] <= 239 : a->family == ADDR_IP6 && a->ip[0] == 0xff;
}

fallible cidr_parse(const char *text, struct cidr *out)
{
    char ip[ADDR_TEXT_MAX];
    struct cidr c;
    unsigned long bits;
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);

    if (n == 0 || n >= sizeof ip)
        return ERR_BAD;
    memcpy(ip, text, n);
    ip[n] = 0;
    TRY(addr_parse(ip, 0, &c.net));
    if (c.net.family == ADDR_UNIX || *ip == '[' || (c.net.family == ADDR_IP4 && strchr(ip, ':')))
        return ERR_BAD;
    bits = ip_bytes(&c.net) * 8;
    if (slash)
        TRY(parse_number(slash + 1, bits, &bits));
    c.bits = (unsigned)bits;
    *out = c;
    return ERR_OK;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
    const uint8_t *ip4 = as_ip4(a);

    if (c->net.family == ADDR_IP4)
        return ip4 && same_bits(c->net.ip, ip4, c->bits);
    return c->net.family == ADDR_IP6 && a->family == ADDR_IP6 && same_bits(c->net.ip, a->ip, c->bits);
}
