/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver's address: see receiver_address.h. Tomcat takes what the host name resolves to and announces
 * even 127.0.1.1 from a Debian /etc/hosts, which no other host can reach; here such an address is passed
 * over.
 */
#include "receiver_address.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

#include <stdio.h>

#define RESOLVED_MAX 16

/* fe80::/10 needs an interface with it, which a member record cannot carry. */
static bool is_link_local(const struct addr *a)
{
    return a->family == ADDR_IP6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static const struct host_address *find_if(const struct receiver_address_facts *f, const struct addr *a)
{
    for (size_t i = 0; i < f->n_ifs; i++)
        if (f->ifs[i].addr.family == a->family && span_eq(addr_host(&f->ifs[i].addr), addr_host(a)))
            return &f->ifs[i];
    return NULL;
}

static bool is_reachable(const struct host_address *i)
{
    return i && i->up && !i->loopback && !addr_is_loopback(&i->addr) && !is_link_local(&i->addr);
}

static const struct host_address *first_if(const struct receiver_address_facts *f, enum addr_family family,
                                           bool multicast)
{
    for (size_t i = 0; i < f->n_ifs; i++)
        if (is_reachable(&f->ifs[i]) && f->ifs[i].addr.family == family &&
            (f->ifs[i].multicast || !multicast))
            return &f->ifs[i];
    return NULL;
}

/* Why the host name's own addresses were no use. */
static void explain_name(const struct receiver_address_facts *f, struct buf *why)
{
    char text[ADDR_TEXT_MAX];

    if (f->n_resolved == 0)
        wr_printf(why, "the host name \"%s\" does not resolve", f->name);
    else if (addr_is_loopback(&f->resolved[0]))
        wr_printf(why, "the host name \"%s\" resolves to %s, which others cannot reach", f->name,
                  addr_host_text(&f->resolved[0], text));
    else
        wr_printf(why, "the host name \"%s\" resolves to %s, which no interface has that is up", f->name,
                  addr_host_text(&f->resolved[0], text));
}

bool receiver_address_pick(const struct receiver_address_facts *f, struct addr *out, struct buf *why)
{
    static const enum addr_family families[] = {ADDR_IP4, ADDR_IP6};
    const struct host_address *found = NULL;

    for (size_t i = 0; i < f->n_resolved; i++)
        if (is_reachable(find_if(f, &f->resolved[i]))) {
            wr_printf(why, "the host name \"%s\" resolves to it", f->name);
            *out = f->resolved[i];
            return true;
        }
    explain_name(f, why);
    for (int multicast = 1; multicast >= 0 && !found; multicast--)
        for (size_t k = 0; k < 2 && !found; k++)
            found = first_if(f, families[k], multicast);
    if (found) {
        wr_printf(why, "; interface %s has it", found->interface);
        *out = found->addr;
        return true;
    }
    wr_text(why, "; there is no other interface");
    struct addr loopback = {.family = ADDR_IP4, .ip = {127, 0, 0, 1}};
    *out = loopback;
    return false;
}

static void allow_add(struct receiver_address *a, const struct cidr *c)
{
    a->allow = mem_realloc(a->allow, (a->n_allow + 1) * sizeof *a->allow);
    a->allow[a->n_allow++] = *c;
}

static void allow_loopback(struct receiver_address *a)
{
    struct cidr four = {{.family = ADDR_IP4, .ip = {127}}, 8};
    struct cidr six = {{.family = ADDR_IP6, .ip = {[15] = 1}}, 128};

    allow_add(a, &four);
    allow_add(a, &six);
}

/* The default: neighbours on the bound address' own subnet; on all subnets when every address is bound. */
static void allow_subnets(struct receiver_address *a, const struct receiver_address_facts *f)
{
    for (size_t i = 0; i < f->n_ifs; i++) {
        const struct host_address *h = &f->ifs[i];
        bool bound = addr_is_any(&a->bind) || span_eq(addr_host(&h->addr), addr_host(&a->bind));
        if (!bound || !h->up)
            continue;
        struct cidr c = {h->addr, h->prefix_bits};
        c.net.port = 0;
        allow_add(a, &c);
        if (h->prefix_bits == addr_host(&h->addr).n * 8 && !addr_is_any(&a->bind) && !h->loopback)
            log_warn(
                "receiver: the subnet of %s is this host alone, so nobody else may connect: set allowFrom",
                h->interface);
    }
}

static enum err read_allow_from(const struct option_strings *list, struct diag *d, struct receiver_address *a)
{
    for (size_t i = 0; i < list->n; i++) {
        struct cidr c;
        if (cidr_parse(list->v[i], &c) != ERR_OK)
            return diag_error(d, NULL, 0, "receiver: allowFrom: \"%s\" is no network such as 10.0.0.0/8",
                              list->v[i]);
        allow_add(a, &c);
    }
    return ERR_OK;
}

/* An address or host name that the configuration gives. */
static enum err explicit_address(struct host *h, const char *text, const struct receiver_address_facts *f,
                                 struct diag *d, struct receiver_address *a)
{
    struct addr found[RESOLVED_MAX];
    size_t n = 0;
    char own[ADDR_TEXT_MAX];

    if (addr_parse(text, 0, &a->bind) == ERR_OK) {
        snprintf(a->why, sizeof a->why, "as configured");
    } else {
        if (host_resolve(h, text, found, RESOLVED_MAX, &n) != ERR_OK || n == 0)
            return diag_error(d, NULL, 0, "receiver: address \"%s\" is no address and does not resolve",
                              text);
        a->bind = found[0];
        snprintf(a->why, sizeof a->why, "the configured name \"%.200s\" resolves to it", text);
    }
    a->bind.port = 0;
    if (a->bind.family == ADDR_UNIX || addr_is_multicast(&a->bind))
        return diag_error(d, NULL, 0, "receiver: \"%s\" is no address to listen at", text);
    if (!addr_is_any(&a->bind) && !addr_is_loopback(&a->bind) && !find_if(f, &a->bind))
        return diag_error(d, NULL, 0, "receiver: no interface of this machine has the address %s",
                          addr_host_text(&a->bind, own));
    a->announce = a->bind;
    return ERR_OK;
}

static void pick(const struct receiver_address_facts *f, struct addr *out, char *why_text, size_t cap)
{
    struct buf why = {0};
    char text[ADDR_TEXT_MAX];

    bool reachable = receiver_address_pick(f, out, &why);
    out->port = 0;
    snprintf(why_text, cap, "%s", buf_cstr(&why));
    if (!reachable)
        log_warn("receiver: the address is %s, so only nodes on this machine can reach it (%s); set address",
                 addr_host_text(out, text), why_text);
    buf_fini(&why);
}

fallible receiver_address_choose(struct host *h, const char *text, const struct option_strings *allow_from,
                                 struct diag *d, struct receiver_address *out)
{
    struct host_address *ifs = mem_array(RECEIVER_ADDRESS_IFS_MAX, sizeof *ifs);
    struct receiver_address_facts f = {.ifs = ifs};
    struct addr resolved[RESOLVED_MAX];
    struct receiver_address a = {0};
    char name[256] = "";
    enum err e = ERR_OK;

    f.n_ifs = host_addresses(h, ifs, RECEIVER_ADDRESS_IFS_MAX);
    f.name = host_name(h, name, sizeof name);
    f.resolved = resolved;
    bool is_auto = !text || strcmp(text, "auto") == 0;
    if (!is_auto)
        e = explicit_address(h, text, &f, d, &a);
    if (e == ERR_OK && (is_auto || addr_is_any(&a.bind))) {
        if (host_resolve(h, f.name, resolved, RESOLVED_MAX, &f.n_resolved) != ERR_OK)
            f.n_resolved = 0;
        pick(&f, &a.announce, a.why, sizeof a.why);
        if (is_auto)
            a.bind = a.announce;
    }
    if (e == ERR_OK)
        e = read_allow_from(allow_from, d, &a);
    if (e == ERR_OK && addr_is_loopback(&a.bind))
        allow_loopback(&a);
    else if (e == ERR_OK && allow_from->n == 0)
        allow_subnets(&a, &f);
    mem_free(ifs);
    if (e != ERR_OK)
        receiver_address_fini(&a);
    else
        *out = a;
    return e;
}

void receiver_address_fini(struct receiver_address *a)
{
    mem_free(a->allow);
    a->allow = NULL;
    a->n_allow = 0;
}

bool receiver_address_allows(const struct receiver_address *a, const struct addr *peer)
{
    for (size_t i = 0; i < a->n_allow; i++)
        if (cidr_contains(&a->allow[i], peer))
            return true;
    return false;
}
