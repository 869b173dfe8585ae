/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SimpleTcpCluster: tells members in Tomcat's words, takes messages apart by their root object, and sends
 * changes to Tomcats and clusterd members in the form that each takes. Messages come on any worker, members
 * on the main loop.
 */
#include "clusterd/cluster/cluster.h"
#include "clock.h"

#include "clusterd/group/rpc.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/java.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/rpc.h"

#include <stdio.h>

#define OFFSET_MIN_MS 50 /* smaller ones count as none: delays cannot be told from them */
#define PAST_MAX_MS \
    600000 /* of a member whose clock is not known: older messages have not waited, its clock is wrong */
#define FUTURE_MAX_MS  10000 /* no change is from later than this */
#define PAYLOAD_MAX    32
#define TARGETS_INLINE 32

struct cluster {
    struct host *host;
    const struct cluster_events *ev;
    void *arg;
    struct metrics *metrics;
    struct channel *channel;
    struct cluster_conf conf; /* its texts are the caller's */
    char payload[PAYLOAD_MAX];
    struct log_limit foreign_limit, undecodable_limit, own_limit;
};

/* Options. */

static enum err parse_send(const char *text, void *field, const char **why)
{
    return options_parse_send(text, field, why);
}

static enum err parse_start(const char *text, void *field, const char **why)
{
    return options_parse_start(text, field, why);
}

static void print_send(const void *field, struct buf *out)
{
    options_send_text(*(const uint32_t *)field, out);
}

static void print_start(const void *field, struct buf *out)
{
    options_start_text(*(const uint32_t *)field, out);
}

#define AT(field) OPTION_AT(struct cluster_conf, field)

static const char *const class_names[] = {"SimpleTcpCluster", NULL};

const struct option_spec cluster_options[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     AT(class_name),
     .def = "SimpleTcpCluster",
     .names = class_names,
     .doc = "the cluster"},
    {.name = "clusterName", .type = OPTION_STRING, AT(name), .doc = "name of the cluster, for people"},
    {.name = "channelSendOptions",
     .type = OPTION_CUSTOM,
     AT(send_options),
     .def = "8",
     .parse = parse_send,
     .print = print_send,
     .doc = "what a write waits for: async (8), use_ack (2: received), sync,use_ack (6: processed)"},
    {.name = "channelStartOptions",
     .type = OPTION_CUSTOM,
     AT(start_options),
     .def = "15",
     .parse = parse_start,
     .print = print_start,
     .doc = "which parts of the channel start: 1 receiver, 2 sender, 4 hear members, 8 announce oneself"},
    {.name = "heartbeatBackgroundEnabled",
     .type = OPTION_BOOL,
     AT(heartbeat_background),
     .def = "false",
     .flags = OPTION_NO_EFFECT,
     .doc = "the channel's heartbeat is a timer here in any case"},
    {.name = "notifyLifecycleListenerOnFailure",
     .type = OPTION_BOOL,
     AT(notify_on_failure),
     .def = "false",
     .doc = "log messages that nobody here has a use for"},
    {0}};

/* Receiving. */

static void undecodable(struct cluster *c, const struct received *m, const char *what, const char *field)
{
    char name[MEMBER_NAME_MAX];
    unsigned left_out;

    metric_inc(c->metrics, messages_undecodable);
    if (log_limit_pass(&c->undecodable_limit, loop_mono_ms(m->loop), LOG_LIMIT_MS, &left_out))
        log_warn("Unable to decode a message of %zu bytes from %s (%s: %s); ignored, %u others since the "
                 "last such "
                 "line",
                 m->payload.n, member_name(m->source_rec, name), what, field ? field : "unknown field",
                 left_out);
}

/* Farm deployment, replicated maps and what else there is: nobody here has a use for it. */
static void foreign(struct cluster *c, const struct received *m, const char *kind)
{
    enum log_level level = c->conf.notify_on_failure ? LOG_INFO : LOG_DEBUG;
    char name[MEMBER_NAME_MAX];
    unsigned left_out;

    metric_inc(c->metrics, messages_swallowed);
    if (log_is_on(level) && log_limit_pass(&c->foreign_limit, loop_mono_ms(m->loop), LOG_LIMIT_MS, &left_out))
        log_write(
            level,
            "receive_message_failure: %s from %s has no listener here; %u others since the last such line",
            kind, member_name(m->source_rec, name), left_out);
}

/* Events that a manager sends with its cluster's channelSendOptions; the others have fixed ones. */
static bool has_default_options(int32_t event)
{
    return event == SESSION_CREATED || event == SESSION_EXPIRED || event == SESSION_ACCESSED ||
           event == SESSION_DELTA || event == SESSION_CHANGE_ID;
}

/* Mixed send options work, but then two nodes promise different things about the same session. */
static void compare_options(struct cluster *c, const struct received *m, const struct session_msg *msg)
{
    const uint32_t bits = SEND_SYNC_ACK | SEND_ASYNCHRONOUS;
    uint32_t theirs = m->options & bits, ours = c->conf.send_options & bits;
    struct buf theirs_text = {0}, ours_text = {0};

    if (!m->source || m->source->clusterd_version || !has_default_options(msg->event))
        return;
    if (atomic_load_explicit(&m->source->seen.options, memory_order_relaxed) == theirs + 1 ||
        atomic_exchange(&m->source->seen.options, theirs + 1) == theirs + 1 || theirs == ours)
        return;
    options_send_text(theirs, &theirs_text);
    options_send_text(ours, &ours_text);
    log_warn("member %s sends with channelSendOptions %u (%s), this node with %u (%s)", m->source->name,
             (unsigned)theirs, buf_cstr(&theirs_text), (unsigned)ours, buf_cstr(&ours_text));
    buf_fini(&theirs_text);
    buf_fini(&ours_text);
}

static void ask_time(struct cluster *c, struct loop *loop, struct member *to)
{
    struct message m = {.options = 0};
    struct buf body = {0};

    if (clock_ask(to, loop, &body)) {
        m.payload = buf_span(&body);
        channel_stamp(c->channel, loop, &m);
        channel_send(c->channel, &m, &(struct targets){1, &to});
    }
    buf_fini(&body);
}

static enum err on_session(struct cluster *c, const struct received *m)
{
    struct session_msg msg;
    const char *field = NULL;

    if (session_msg_decode(m->payload, &msg, &field) != ERR_OK) {
        undecodable(c, m, "SessionMessage", field);
        return ERR_OK;
    }
    compare_options(c, m, &msg);
    enum err e = c->ev->on_session(c->arg, m, &msg);
    session_msg_fini(&msg);
    return e;
}

static bool says_clusterd(const struct received *m)
{
    if (m->source)
        return m->source->clusterd_version > 0;
    struct member *member = view_member_new(m->source_rec);
    bool says = member->clusterd_version > 0;
    view_member_unref(member);
    return says;
}

static enum err on_bytes(struct cluster *c, const struct received *m)
{
    struct span magic = SPAN_LIT(CLUSTER_OWN_MAGIC);

    if (!span_starts_with(m->payload, magic) || m->payload.n == magic.n || !says_clusterd(m)) {
        foreign(c, m, "a byte message");
        return ERR_OK;
    }
    uint8_t kind = m->payload.p[magic.n];
    return c->ev->on_own(c->arg, m, kind, span_of(m->payload.p + magic.n + 1, m->payload.n - magic.n - 1));
}

static bool is_clock_answer(const struct received *m)
{
    struct rpc_msg reply;

    if (!m->source || rpc_msg_decode(m->payload, &reply, NULL) != ERR_OK)
        return false;
    bool is = reply.is_no_channel && clock_answer(m->source, m->loop, reply.rpc_id, reply.uuid, m->timestamp);
    rpc_msg_fini(&reply);
    return is;
}

static enum err on_object(struct cluster *c, const struct received *m)
{
    struct span class;
    const char *field = NULL;
    char text[128];
    enum err e = java_root_class(m->payload, &class);

    if (e == ERR_UNSUPPORTED) {
        foreign(c, m, "an object without a class of its own");
    } else if (e != ERR_OK) {
        undecodable(c, m, "Java stream", "root object");
    } else if (span_eq(class, SPAN_LIT(JAVA_CLASS_SESSION_MESSAGE))) {
        return on_session(c, m);
    } else if (span_eq(class, SPAN_LIT(JAVA_CLASS_RPC_MESSAGE)) ||
               span_eq(class, SPAN_LIT(JAVA_CLASS_NO_RPC_REPLY))) {
        if (!is_clock_answer(m) && rpc_on_message(c->channel, m, &field) != ERR_OK)
            undecodable(c, m, "RpcMessage", field);
    } else {
        foreign(c, m, log_printable(text, sizeof text, class));
    }
    return ERR_OK;
}

/* The timestamps of Tomcats are the time of sending; those in the own form are versions and no clock. */
static enum err on_message(void *arg, const struct received *m)
{
    struct cluster *c = arg;

    if (m->options & SEND_BYTE_MESSAGE)
        return on_bytes(c, m);
    if (m->source && !m->source->clusterd_version && clock_is_odd(m->source, m->loop, m->timestamp))
        ask_time(c, m->loop, m->source);
    return on_object(c, m);
}

/* Members. */

static void log_member(const char *event, const char *words, const struct member *m, bool shutdown)
{
    struct buf text = {0};

    view_member_text(m, shutdown, &text);
    log_info("%s: %s[%s]", event, words, buf_cstr(&text));
    buf_fini(&text);
}

static void on_added(void *arg, struct member *m)
{
    struct cluster *c = arg;

    log_member("memberAdded", "Replication member added:", m, false);
    ask_time(c, host_main(c->host), m);
    c->ev->on_added(c->arg, m);
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    struct cluster *c = arg;

    log_member("memberDisappeared", "Received member disappeared:", m, shutdown);
    c->ev->on_disappeared(c->arg, m, shutdown);
}

static void on_caught_up(void *arg, struct member *m, bool lost)
{
    struct cluster *c = arg;

    c->ev->on_caught_up(c->arg, m, lost);
}

/* Versions of what Tomcats do depend on their clocks; other nodes' are for people to look at. */
static uint64_t clock_turn(const struct member *m)
{
    bool known = atomic_load(&m->clock_known) && !atomic_load(&m->clock_doubt);

    return m->clusterd_version && known ? atomic_load(&m->seen.probe_mono_ms) : VIEW_TURN_ALWAYS;
}

static void ask_in_turn(void *arg, struct member *m)
{
    struct cluster *c = arg;

    ask_time(c, host_main(c->host), m);
}

static void on_heartbeat(void *arg)
{
    struct cluster *c = arg;
    struct view *v = channel_view(c->channel);

    view_take_turns(v, clock_turn, ask_in_turn, c);
    view_unref(v);
    c->ev->on_heartbeat(c->arg);
}

static int64_t alive_ms(void *arg)
{
    struct cluster *c = arg;

    return c->ev->alive_ms(c->arg);
}

static const struct channel_events channel_events = {.on_message = on_message,
                                                     .on_added = on_added,
                                                     .on_disappeared = on_disappeared,
                                                     .on_caught_up = on_caught_up,
                                                     .on_heartbeat = on_heartbeat,
                                                     .alive_ms = alive_ms};

/* Sending. */

void cluster_own_begin(struct buf *b, uint8_t kind)
{
    wr_text(b, CLUSTER_OWN_MAGIC);
    wr_u8(b, kind);
}

static void stamp(struct cluster *c, struct loop *loop, const struct cluster_out *out, struct message *m)
{
    channel_stamp(c->channel, loop, m);
    m->timestamp = out->timestamp;
    for (unsigned i = 0; i < 4; i++)
        m->id.b[i] = (uint8_t)(out->seq >> (24 - 8 * i));
}

/* One frame for all members of a kind. */
static void send_kind(struct cluster *c, struct loop *loop, const struct cluster_out *out, uint32_t options,
                      const struct targets *targets)
{
    struct message m = {
        .options = options, .payload = out->payload, .flow = out->flow, .delivery = out->delivery};

    if (targets->n == 0)
        return;
    stamp(c, loop, out, &m);
    /* Nobody asked for ACKs: they are for the lane's order only, so the caller has what it wants already. */
    if (!(out->options & (SEND_USE_ACK | SEND_ASYNCHRONOUS)) && m.delivery) {
        delivery_expect(m.delivery, (int)targets->n);
        for (size_t i = 0; i < targets->n; i++)
            delivery_result(m.delivery, DELIVERY_ACKED);
        m.delivery = NULL;
    }
    channel_send(c->channel, &m, targets);
}

static void refuse(struct cluster *c, const struct cluster_out *out, size_t n)
{
    metric_add(c->metrics, messages_failed, n);
    if (!out->delivery)
        return;
    delivery_expect(out->delivery, (int)n);
    for (size_t i = 0; i < n; i++)
        delivery_result(out->delivery, DELIVERY_FAILED);
}

void cluster_send_to(struct cluster *c, struct loop *loop, const struct cluster_out *out,
                     const struct targets *targets)
{
    struct member *inline_members[TARGETS_INLINE];
    struct member **members = inline_members;
    size_t n_tomcat = 0, n_own = 0;
    bool own_form = span_starts_with(out->payload, SPAN_LIT(CLUSTER_OWN_MAGIC));
    uint32_t base = out->options & ~(uint32_t)SEND_BYTE_MESSAGE;

    if (targets->n > TARGETS_INLINE)
        members = mem_array(targets->n, sizeof(struct member *));
    for (size_t i = 0; i < targets->n; i++) /* Tomcats from the front, clusterd members from the back */
        if (targets->members[i]->clusterd_version)
            members[targets->n - ++n_own] = targets->members[i];
        else
            members[n_tomcat++] = targets->members[i];
    if (own_form)
        refuse(c, out, n_tomcat);
    else
        send_kind(c, loop, out, base | SEND_SYNC_ACK, &(struct targets){n_tomcat, members});
    send_kind(c, loop, out, base | SEND_USE_ACK | (own_form ? SEND_BYTE_MESSAGE : 0),
              &(struct targets){n_own, members + n_tomcat});
    if (members != inline_members)
        mem_free(members);
}

int64_t cluster_clock_offset(const struct member *m)
{
    int64_t offset_ms = m && atomic_load(&m->clock_known) ? atomic_load(&m->clock_offset_ms) : 0;

    return offset_ms >= OFFSET_MIN_MS || offset_ms <= -OFFSET_MIN_MS ? offset_ms : 0;
}

int64_t cluster_correct_time(const struct member *m, int64_t theirs_ms, int64_t now_ms)
{
    int64_t ms = (int64_t)((uint64_t)theirs_ms - (uint64_t)cluster_clock_offset(m));
    bool known = m && atomic_load(&m->clock_known);

    if (ms < 0)
        ms = 0; /* before 1970: no clock says so */
    if (ms > now_ms + FUTURE_MAX_MS)
        return known ? now_ms + FUTURE_MAX_MS : now_ms;
    return !known && ms < now_ms - PAST_MAX_MS ? now_ms : ms;
}

/* Life. */

enum err cluster_new(struct host *h, const struct cluster_conf *conf, struct channel_conf *channel,
                     const struct cluster_events *ev, void *arg, struct metrics *metrics, struct diag *d,
                     struct cluster **out)
{
    struct cluster *c = MEM_NEW(struct cluster);

    c->host = h;
    c->ev = ev;
    c->arg = arg;
    c->metrics = metrics;
    c->conf = *conf;
    snprintf(c->payload, sizeof c->payload, "%s%d", VIEW_CLUSTERD_PAYLOAD, VIEW_CLUSTERD_VERSION);
    channel->payload = span_str(c->payload);
    channel->start_options = conf->start_options;
    enum err e = channel_new(h, channel, &channel_events, c, metrics, d, &c->channel);
    if (e != ERR_OK) {
        mem_free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

enum err cluster_start(struct cluster *c, void (*on_started)(void *arg), void *arg, struct diag *d)
{
    log_info("Cluster is about to start");
    return channel_start(c->channel, on_started, arg, d);
}

void cluster_stop(struct cluster *c, unsigned linger_ms, void (*on_stopped)(void *arg), void *arg)
{
    channel_stop(c->channel, linger_ms, on_stopped, arg);
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    channel_free(c->channel);
    mem_free(c);
}

struct channel *cluster_channel(struct cluster *c)
{
    return c->channel;
}

uint32_t cluster_send_options(const struct cluster *c)
{
    return c->conf.send_options;
}
