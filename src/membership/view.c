/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members and views (Tomcat: MemberImpl, Membership). What identifies a member is copied once, from the first
 * record seen of it; views are sorted when they are made and never changed. Any thread.
 */
#include "clusterd/membership/view.h"
#include "clusterd/util/mem.h"

#include <stdlib.h>

#define VERSION_DIGITS_MAX 6

/* A payload that says anything else than the prefix and one number is a Tomcat's: never guess. */
static unsigned clusterd_version(struct span payload)
{
    struct span prefix = SPAN_LIT(VIEW_CLUSTERD_PAYLOAD);
    unsigned version = 0;

    if (!span_starts_with(payload, prefix) || payload.n - prefix.n > VERSION_DIGITS_MAX)
        return 0;
    for (size_t i = prefix.n; i < payload.n; i++) {
        if (payload.p[i] < '0' || payload.p[i] > '9')
            return 0;
        version = version * 10 + (payload.p[i] - '0');
    }
    return version;
}

/* Ports outside 0..65535 are unreachable all the same. */
static uint16_t tcp_port(const struct member_rec *rec)
{
    return rec->port > 0 && rec->port <= UINT16_MAX ? (uint16_t)rec->port : 0;
}

struct member *view_member_new(const struct member_rec *rec)
{
    struct member *m = MEM_NEW(struct member);

    atomic_init(&m->refs, 1);
    m->id = rec->id;
    enum err e = addr_from_host(span_of(rec->host, rec->host_len), tcp_port(rec), &m->addr);
    ASSERT(e == ERR_OK); /* the decoder lets only 4 and 16 bytes through */
    m->secure_port = rec->secure_port;
    m->udp_port = rec->udp_port;
    m->domain = blob_new(rec->domain);
    m->payload = blob_new(rec->payload);
    m->clusterd_version = clusterd_version(rec->payload);
    addr_text(&m->addr, m->name);
    atomic_init(&m->alive_ms, rec->alive_ms);
    return m;
}

struct member *view_member_ref(struct member *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void view_member_unref(struct member *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    void *lanes = atomic_load(&m->lanes);
    if (lanes)
        m->free_lanes(lanes);
    blob_unref(m->domain);
    blob_unref(m->payload);
    mem_free(m);
}

bool view_member_is(const struct member *m, const struct member_rec *rec)
{
    return ident_eq(&m->id, &rec->id) && m->addr.port == tcp_port(rec) &&
           span_eq(addr_host(&m->addr), span_of(rec->host, rec->host_len));
}

void view_member_text(const struct member *m, bool shutdown, struct buf *out)
{
    struct span host = addr_host(&m->addr);
    struct member_rec rec = {.alive_ms = atomic_load(&m->alive_ms),
                             .port = m->addr.port,
                             .secure_port = m->secure_port,
                             .udp_port = m->udp_port,
                             .host_len = (uint8_t)host.n,
                             .id = m->id,
                             .domain = blob_span(m->domain),
                             .payload = blob_span(m->payload)};

    memcpy(rec.host, host.p, host.n);
    if (shutdown)
        rec.command = MEMBER_SHUTDOWN;
    member_log_text(&rec, out);
}

/* A member's alive may change while others sort by it, so each is read once. */
struct ranked {
    int64_t alive_ms;
    size_t at;
};

static int cmp_ranked(const void *pa, const void *pb)
{
    const struct ranked *a = pa, *b = pb;

    if (a->alive_ms != b->alive_ms)
        return a->alive_ms > b->alive_ms ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

struct view *view_new(uint64_t serial, struct member *const *members, size_t n)
{
    struct view *v = mem_zalloc(sizeof *v + n * sizeof v->members[0]);
    struct ranked *order = mem_array(n ? n : 1, sizeof *order);

    atomic_init(&v->refs, 1);
    v->serial = serial;
    v->n = n;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){atomic_load(&members[i]->alive_ms), i};
    qsort(order, n, sizeof *order, cmp_ranked);
    for (size_t i = 0; i < n; i++)
        v->members[i] = view_member_ref(members[order[i].at]);
    mem_free(order);
    return v;
}

struct view *view_ref(struct view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void view_unref(struct view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->n; i++)
        view_member_unref(v->members[i]);
    mem_free(v);
}

struct member *view_find(const struct view *v, const struct member_rec *rec)
{
    for (size_t i = 0; i < v->n; i++)
        if (view_member_is(v->members[i], rec))
            return v->members[i];
    return NULL;
}

struct member *view_find_id(const struct view *v, const struct ident *id)
{
    for (size_t i = 0; i < v->n; i++)
        if (ident_eq(&v->members[i]->id, id))
            return v->members[i];
    return NULL;
}

struct member *view_find_addr(const struct view *v, const struct addr *a)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->addr.port == a->port && span_eq(addr_host(&v->members[i]->addr), addr_host(a)))
            return v->members[i];
    return NULL;
}

/* Those that have waited longest so far, in this order; the last place is for one that is pushed out. */
struct waiting {
    size_t n;
    struct member *members[VIEW_TURN_MEMBERS + 1];
    uint64_t since[VIEW_TURN_MEMBERS + 1];
};

static void add_waiting(struct waiting *w, struct member *m, uint64_t since)
{
    size_t at = w->n;

    for (; at > 0 && w->since[at - 1] > since; at--) {
        w->members[at] = w->members[at - 1];
        w->since[at] = w->since[at - 1];
    }
    w->members[at] = m;
    w->since[at] = since;
    if (w->n < VIEW_TURN_MEMBERS)
        w->n++;
}

static bool is_waiting(const struct waiting *w, const struct member *m)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->members[i] == m)
            return true;
    return false;
}

void view_take_turns(const struct view *v, view_turn_fn *turn, view_each_fn *each, void *arg)
{
    struct waiting longest = {0};

    for (size_t i = 0; i < v->n; i++) {
        uint64_t since = turn(v->members[i]);
        if (since != VIEW_TURN_ALWAYS && since != VIEW_TURN_NEVER)
            add_waiting(&longest, v->members[i], since);
    }
    for (size_t i = 0; i < v->n; i++)
        if (turn(v->members[i]) == VIEW_TURN_ALWAYS || is_waiting(&longest, v->members[i]))
            each(arg, v->members[i]);
}

bool view_has_host(const struct view *v, const struct addr *a)
{
    for (size_t i = 0; i < v->n; i++)
        if (span_eq(addr_host(&v->members[i]->addr), addr_host(a)))
            return true;
    return false;
}
