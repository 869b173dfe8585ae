/* SPDX-License-Identifier: Apache-2.0 */
/*
 * McastService: announces the local member by heartbeats to a multicast group and tells of others that
 * appear, fall silent or leave. Main loop. Two differences to Tomcat's class: recovery after network errors
 * sends no BABY-ALEX (it would make every member drop a node whose TCP works), and a node that was itself
 * stopped (SIGSTOP, a stalled virtual machine) does not hold its own silence against the others.
 */
#include "clusterd/membership/mcast.h"
#include "tracker.h"

#include "clusterd/loop/multicast.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/frame.h"

#include <stdio.h>

#define SILENCE_MS      5000  /* nothing heard, not even ourselves: say what to look at */
#define SAY_AGAIN_MS    60000 /* such advice at most once a minute */
#define DOMAIN_TEXT_MAX 80

struct mcast {
    struct loop *loop;
    const struct mcast_events *events;
    void *arg;
    struct metrics *metrics;

    struct multicast_options where;
    uint64_t frequency_ms, drop_time_ms, recovery_sleep_ms;
    bool recovery_enabled;
    unsigned recovery_counter;
    char group_text[ADDR_TEXT_MAX];

    struct multicast *socket; /* NULL: not started, or between two attempts of a recovery */
    bool started, hearing, announcing;
    struct member_rec local; /* its spans point into the two buffers below */
    struct buf domain, payload, out;
    struct tracker tracker;

    struct timer beat_timer, tick_timer, ready_rx_timer, ready_tx_timer, recovery_timer;
    mcast_ready_fn on_ready_rx, on_ready_tx;
    void *ready_rx_arg, *ready_tx_arg;

    uint64_t started_ms; /* time zero of alive */
    uint64_t awake_ms;   /* when we ran for the last time */
    uint64_t heard_ms;   /* any heartbeat, our own too */
    bool told_silence;   /* since that heartbeat */
    unsigned n_errors;   /* consecutive */
    unsigned n_attempts; /* of the recovery that runs; 0 = none does */
    struct log_limit garbage_limit, silence_limit, address_limit, domain_limit, full_limit;
};

/* Sending. */

static int64_t alive_ms(struct mcast *m)
{
    return m->events->alive_ms ? m->events->alive_ms(m->arg)
                               : (int64_t)(loop_mono_ms(m->loop) - m->started_ms);
}

static void failed(struct mcast *m, const char *what)
{
    if (m->n_attempts)
        return;
    m->n_errors++;
    if (m->n_errors == 1)
        log_warn("Membership: network error on group %s: %s", m->group_text, what);
    if (!m->recovery_enabled || m->n_errors < m->recovery_counter)
        return;
    log_warn(
        "Membership: %u network errors on group %s one after the other (%s); recovery begins, an attempt "
        "each %llu ms until it works",
        m->n_errors, m->group_text, what, (unsigned long long)m->recovery_sleep_ms);
    m->n_attempts = 1;
    timer_start(&m->recovery_timer, 0); /* not here: we may be inside a call of the socket's */
}

static enum err send_packet(struct mcast *m, struct span packet)
{
    if (!m->socket)
        return ERR_CLOSED;
    enum err e = multicast_send(m->socket, packet);
    if (e != ERR_OK)
        failed(m, multicast_error_text(m->socket));
    else
        m->n_errors = 0;
    return e;
}

static enum err send_record(struct mcast *m, struct span command)
{
    struct member_rec rec = m->local;

    rec.alive_ms = alive_ms(m);
    rec.command = command;
    buf_clear(&m->out);
    enum err e = member_encode(&m->out, &rec);
    ASSERT(e == ERR_OK); /* the sizes of domain and payload were checked when they were set */
    e = send_packet(m, buf_span(&m->out));
    if (e == ERR_OK && command.n == 0)
        metric_inc(m->metrics, heartbeats_sent);
    return e;
}

/* Hearing. */

/* A silence that we slept through tells nothing about the others. */
static void stay_awake(struct mcast *m, uint64_t now_ms)
{
    uint64_t gap = now_ms - m->awake_ms;

    m->awake_ms = now_ms;
    if (gap <= 2 * m->frequency_ms)
        return;
    tracker_shift(&m->tracker, gap - m->frequency_ms);
    m->heard_ms += gap - m->frequency_ms;
}

static void expire(struct mcast *m, uint64_t now_ms)
{
    struct member *gone;

    while (m->hearing && (gone = tracker_expire(&m->tracker, now_ms, m->drop_time_ms))) {
        m->events->on_disappeared(m->arg, gone, false);
        view_member_unref(gone);
    }
}

static void garbage(struct mcast *m, const struct addr *from, size_t n, const char *what)
{
    char text[ADDR_TEXT_MAX];
    unsigned left_out;

    metric_inc(m->metrics, datagrams_bad);
    if (!log_limit_pass(&m->garbage_limit, loop_mono_ms(m->loop), LOG_LIMIT_MS, &left_out))
        return;
    log_warn(
        "Membership: a datagram of %zu bytes from %s on group %s is no heartbeat (%s); ignored, %u others "
        "since the last such line",
        n, addr_text(from, text), m->group_text, what, left_out);
}

/* Where nobody can be reached there is no member; a wildcard address would even lead to ourselves. */
static const char *unreachable(const struct member_rec *rec)
{
    struct addr a;

    if (rec->port <= 0)
        return "member port";
    if (addr_from_host(span_of(rec->host, rec->host_len), (uint16_t)rec->port, &a) != ERR_OK ||
        addr_is_any(&a) || addr_is_multicast(&a))
        return "member host";
    return NULL;
}

static void domain_text(struct span domain, char out[DOMAIN_TEXT_MAX])
{
    struct buf text = {0};

    if (domain.n == 0)
        wr_text(&text, "(none)");
    else
        member_bytes_text(domain, &text);
    log_printable(out, DOMAIN_TEXT_MAX, buf_span(&text));
    buf_fini(&text);
}

static void check_member_domain(struct mcast *m, const struct member_rec *rec, bool is_new)
{
    char theirs[DOMAIN_TEXT_MAX], ours[DOMAIN_TEXT_MAX], name[MEMBER_NAME_MAX];
    unsigned left_out;

    if (span_eq(rec->domain, m->local.domain))
        return;
    metric_inc(m->metrics, datagrams_foreign_domain);
    if (!is_new || !log_limit_pass(&m->domain_limit, loop_mono_ms(m->loop), SAY_AGAIN_MS, &left_out))
        return;
    domain_text(rec->domain, theirs);
    domain_text(m->local.domain, ours);
    log_warn(
        "Membership: member %s on group %s is of domain %s, this node of domain %s. It becomes a member all "
        "the same, as with Tomcat: only a DomainFilterInterceptor on every node keeps domains apart, or a "
        "group or port of their own",
        member_name(rec, name), m->group_text, theirs, ours);
}

/* Another life of ours, whose last heartbeats are still on their way, or a node that announces an address
 * which is not its own: it would make us talk to ourselves. */
static bool has_our_address(struct mcast *m, const struct member_rec *rec, uint64_t now_ms)
{
    char name[MEMBER_NAME_MAX];
    unsigned left_out;

    if (rec->port != m->local.port || rec->host_len != m->local.host_len ||
        memcmp(rec->host, m->local.host, rec->host_len) != 0)
        return false;
    if (now_ms - m->started_ms > m->drop_time_ms && !member_is_shutdown(rec) &&
        log_limit_pass(&m->address_limit, now_ms, SAY_AGAIN_MS, &left_out))
        log_warn("Membership: another node announces our own address %s; it is ignored. Look at its receiver "
                 "address (127.0.1.1 from /etc/hosts is the usual reason), and at ours",
                 member_name(rec, name));
    return true;
}

static void heartbeat(struct mcast *m, const struct member_rec *rec, const struct addr *from, uint64_t now_ms)
{
    struct member *member;
    char text[ADDR_TEXT_MAX];
    unsigned left_out;
    enum tracker_news news = tracker_heard(&m->tracker, rec, now_ms, &member);

    if (news == TRACKER_FULL) {
        metric_inc(m->metrics, datagrams_bad);
        if (log_limit_pass(&m->full_limit, now_ms, SAY_AGAIN_MS, &left_out))
            log_warn(
                "Membership: more than %d members on group %s; further ones are ignored, the last one was "
                "announced by %s, and %u others since the last such line",
                TRACKER_MEMBERS_MAX, m->group_text, addr_text(from, text), left_out);
        return;
    }
    if (news == TRACKER_STALE)
        return;
    check_member_domain(m, rec, news == TRACKER_NEW);
    if (news == TRACKER_NEW)
        m->events->on_added(m->arg, member);
    else if (news == TRACKER_REORDERED && m->events->on_reordered)
        m->events->on_reordered(m->arg);
}

/* Removed whether we know it or not: those above may know it all the same. */
static void shutdown_heard(struct mcast *m, const struct member_rec *rec, uint64_t now_ms)
{
    struct member *member = tracker_leave(&m->tracker, rec, now_ms, m->drop_time_ms);

    if (!member)
        member = view_member_new(rec);
    m->events->on_disappeared(m->arg, member, true);
    view_member_unref(member);
}

static void on_record(struct mcast *m, struct span packet, const struct addr *from, uint64_t now_ms)
{
    struct rd in = rd_of(packet);
    struct member_rec rec;
    const char *why = NULL;

    if (member_decode(&in, &rec) != ERR_OK)
        why = in.field;
    else
        why = unreachable(&rec);
    if (why) {
        garbage(m, from, packet.n, why);
        return;
    }
    m->heard_ms = now_ms;
    m->told_silence = false;
    if (member_same(&rec, &m->local))
        return;
    metric_inc(m->metrics, heartbeats_received);
    if (!m->hearing || has_our_address(m, &rec, now_ms))
        return;
    if (member_is_shutdown(&rec))
        shutdown_heard(m, &rec, now_ms);
    else
        heartbeat(m, &rec, from, now_ms);
}

static void on_packet(void *arg, struct span packet, const struct addr *from)
{
    struct mcast *m = arg;
    uint64_t now_ms = loop_mono_ms(m->loop);

    stay_awake(m, now_ms);
    if (span_starts_with(packet, MEMBER_BEGIN))
        on_record(m, packet, from, now_ms);
    else if (!span_starts_with(packet, FRAME_START))
        garbage(m, from, packet.n, "neither a member record nor a message");
    else if (m->hearing)
        m->events->on_frames(m->arg, packet, from);
    expire(m, now_ms);
}

static void on_error(void *arg, const char *what)
{
    failed(arg, what);
}

/* Our own heartbeats come back, so silence means that multicast does not work. Without them a lonely node
 * hears nothing either, and is told only once. */
static void watch_silence(struct mcast *m, uint64_t now_ms)
{
    bool own = m->announcing && !m->where.loopback_disabled;
    uint64_t limit_ms = 3 * m->frequency_ms > SILENCE_MS ? 3 * m->frequency_ms : SILENCE_MS;
    char bind[ADDR_TEXT_MAX];
    unsigned left_out;

    if (m->n_attempts || now_ms < m->heard_ms || now_ms - m->heard_ms < limit_ms || (m->told_silence && !own))
        return;
    if (!log_limit_pass(&m->silence_limit, now_ms, SAY_AGAIN_MS, &left_out))
        return;
    m->told_silence = true;
    log_warn(
        "Membership: no heartbeat heard on group %s for %llu ms%s. Look at the interface (%s: is it up, does "
        "it say MULTICAST?), at the route for the group (ip route get), at the firewall (UDP port %u and "
        "IGMP), at rp_filter, and at IGMP snooping in switches",
        m->group_text, (unsigned long long)(now_ms - m->heard_ms),
        own ? ", not even our own" : " (our own ones do not come back to us here)",
        m->where.bind.family == ADDR_NONE ? "the system's choice, as there is no bind address"
                                          : addr_host_text(&m->where.bind, bind),
        m->where.group.port);
}

/* Timers. */

static void on_tick(struct timer *t, void *arg)
{
    struct mcast *m = arg;
    uint64_t now_ms = loop_mono_ms(m->loop);

    timer_start(t, m->frequency_ms);
    stay_awake(m, now_ms);
    expire(m, now_ms);
    watch_silence(m, now_ms);
}

static void on_beat(struct timer *t, void *arg)
{
    struct mcast *m = arg;
    uint64_t now_ms = loop_mono_ms(m->loop);

    timer_start(t, m->frequency_ms);
    stay_awake(m, now_ms);
    (void)send_record(m, span_of(NULL, 0)); /* counted and reported there */
    expire(m, now_ms);
}

static void on_ready_rx(struct timer *t, void *arg)
{
    struct mcast *m = arg;

    (void)t;
    m->on_ready_rx(m->ready_rx_arg);
}

static void on_ready_tx(struct timer *t, void *arg)
{
    struct mcast *m = arg;

    (void)t;
    m->on_ready_tx(m->ready_tx_arg);
}

static enum err open_socket(struct mcast *m, struct diag *d)
{
    return multicast_open(m->loop, &m->where, on_packet, on_error, m, d, &m->socket);
}

/* Close, open, send: what works then has recovered. */
static void on_recovery(struct timer *t, void *arg)
{
    struct mcast *m = arg;
    struct diag d = {0};

    if (m->socket)
        multicast_close(m->socket);
    m->socket = NULL;
    bool works = open_socket(m, &d) == ERR_OK;
    if (works && m->announcing)
        works = send_record(m, span_of(NULL, 0)) == ERR_OK;
    diag_fini(&d);
    if (!works) {
        m->n_attempts++;
        timer_start(t, m->recovery_sleep_ms);
        return;
    }
    log_info("Membership: group %s works again after %u attempts", m->group_text, m->n_attempts);
    m->n_attempts = 0;
    m->n_errors = 0;
    m->heard_ms = loop_mono_ms(m->loop);
}

/* Life. */

static enum err read_conf(struct mcast *m, const struct mcast_conf *conf, struct diag *d)
{
    const char *why = NULL;

    if (addr_parse(conf->address, (uint16_t)conf->port, &m->where.group) != ERR_OK ||
        !addr_is_multicast(&m->where.group))
        return diag_error(d, NULL, 0, "membership.address: %s is no multicast address", conf->address);
    m->where.group.port = (uint16_t)conf->port;
    if (conf->bind && *conf->bind && addr_parse(conf->bind, 0, &m->where.bind) != ERR_OK)
        return diag_error(d, NULL, 0, "membership.bind: %s is no address", conf->bind);
    if (conf->domain && member_parse_bytes(conf->domain, &m->domain, &why) != ERR_OK)
        return diag_error(d, NULL, 0, "membership.domain: %s", why);
    if (m->domain.n > MCAST_DOMAIN_MAX)
        return diag_error(d, NULL, 0, "membership.domain: must have at most %d bytes", MCAST_DOMAIN_MAX);
    if (conf->frequency_ms < MCAST_FREQUENCY_MIN_MS)
        return diag_error(d, NULL, 0, "membership.frequency: must be at least %d ms", MCAST_FREQUENCY_MIN_MS);
    if (conf->drop_time_ms < 2 * conf->frequency_ms)
        diag_warn(d, NULL, 0, "membership: dropTime %lld ms is less than two heartbeats (frequency %lld ms)",
                  (long long)conf->drop_time_ms, (long long)conf->frequency_ms);
    m->where.ttl = conf->ttl;
    m->where.loopback_disabled = conf->local_loopback_disabled;
    m->frequency_ms = (uint64_t)conf->frequency_ms;
    m->drop_time_ms = (uint64_t)conf->drop_time_ms;
    m->recovery_enabled = conf->recovery_enabled;
    m->recovery_counter = (unsigned)conf->recovery_counter;
    m->recovery_sleep_ms = (uint64_t)conf->recovery_sleep_time_ms;
    addr_text(&m->where.group, m->group_text);
    return ERR_OK;
}

enum err mcast_new(struct host *h, const struct mcast_conf *conf, const struct mcast_events *events,
                   void *arg, struct metrics *metrics, struct diag *d, struct mcast **out)
{
    struct mcast *m = MEM_NEW(struct mcast);

    m->loop = host_main(h);
    m->events = events;
    m->arg = arg;
    m->metrics = metrics;
    tracker_init(&m->tracker);
    timer_init(&m->beat_timer, m->loop, on_beat, m);
    timer_init(&m->tick_timer, m->loop, on_tick, m);
    timer_init(&m->ready_rx_timer, m->loop, on_ready_rx, m);
    timer_init(&m->ready_tx_timer, m->loop, on_ready_tx, m);
    timer_init(&m->recovery_timer, m->loop, on_recovery, m);
    enum err e = read_conf(m, conf, d);
    if (e != ERR_OK) {
        mcast_free(m);
        return e;
    }
    *out = m;
    return ERR_OK;
}

static enum err set_payload(struct mcast *m, struct span payload)
{
    if (payload.n > MEMBER_RECORD_MAX / 2) /* leaves room for the domain and the rest of the record */
        return ERR_TOO_BIG;
    buf_clear(&m->payload);
    wr_span(&m->payload, payload);
    m->local.payload = buf_span(&m->payload);
    return ERR_OK;
}

/* The first level that starts opens the socket. */
static enum err start(struct mcast *m, const struct member_rec *local, struct diag *d)
{
    if (m->started)
        return ERR_OK;
    m->local = *local;
    m->local.command = span_of(NULL, 0);
    m->local.domain = buf_span(&m->domain);
    if (set_payload(m, local->payload) != ERR_OK)
        return diag_error(d, NULL, 0, "member payload of %zu bytes is too long", local->payload.n);
    m->started_ms = m->awake_ms = m->heard_ms = loop_mono_ms(m->loop);
    m->told_silence = false;
    m->n_errors = m->n_attempts = 0;
    TRY(open_socket(m, d));
    m->started = true;
    timer_start(&m->tick_timer, m->frequency_ms);
    return ERR_OK;
}

enum err mcast_start_rx(struct mcast *m, const struct member_rec *local, mcast_ready_fn on_ready, void *arg,
                        struct diag *d)
{
    TRY(start(m, local, d));
    m->hearing = true;
    m->on_ready_rx = on_ready;
    m->ready_rx_arg = arg;
    if (on_ready)
        timer_start(&m->ready_rx_timer, 2 * m->frequency_ms);
    return ERR_OK;
}

enum err mcast_start_tx(struct mcast *m, const struct member_rec *local, mcast_ready_fn on_ready, void *arg,
                        struct diag *d)
{
    TRY(start(m, local, d));
    m->announcing = true;
    (void)send_record(m, span_of(NULL, 0));
    timer_start(&m->beat_timer,
                0); /* the second heartbeat follows at once, as Tomcat's send thread does it */
    m->on_ready_tx = on_ready;
    m->ready_tx_arg = arg;
    if (on_ready)
        timer_start(&m->ready_tx_timer, 2 * m->frequency_ms);
    return ERR_OK;
}

void mcast_announce(struct mcast *m, struct span payload)
{
    if (set_payload(m, payload) == ERR_OK)
        mcast_beat(m);
}

void mcast_beat(struct mcast *m)
{
    if (m->announcing)
        (void)send_record(m, span_of(NULL, 0));
}

struct span mcast_domain(const struct mcast *m)
{
    return buf_span(&m->domain);
}

enum err mcast_broadcast(struct mcast *m, struct span packet)
{
    if (packet.n > MCAST_PACKET_MAX)
        return ERR_TOO_BIG;
    return send_packet(m, packet);
}

void mcast_stop(struct mcast *m)
{
    if (!m->started)
        return;
    if (m->announcing)
        (void)send_record(m, MEMBER_SHUTDOWN);
    m->started = m->hearing = m->announcing = false;
    timer_stop(&m->beat_timer);
    timer_stop(&m->tick_timer);
    timer_stop(&m->ready_rx_timer);
    timer_stop(&m->ready_tx_timer);
    timer_stop(&m->recovery_timer);
    if (m->socket)
        multicast_close(m->socket);
    m->socket = NULL;
}

void mcast_free(struct mcast *m)
{
    if (!m)
        return;
    mcast_stop(m);
    timer_fini(&m->beat_timer);
    timer_fini(&m->tick_timer);
    timer_fini(&m->ready_rx_timer);
    timer_fini(&m->ready_tx_timer);
    timer_fini(&m->recovery_timer);
    tracker_fini(&m->tracker);
    buf_fini(&m->domain);
    buf_fini(&m->payload);
    buf_fini(&m->out);
    mem_free(m);
}
