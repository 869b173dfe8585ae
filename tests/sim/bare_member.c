/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel on a simulated host; see bare_member.h. Of what the channel tells, only messages are passed on.
 */
#include "bare_member.h"

#include "clusterd/group/rpc.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"

#define LINGER_MS  100
#define GIVE_UP_MS 60000

static enum err on_message(void *arg, const struct received *m)
{
    struct bare_member *b = arg;

    return b->on_message(b->arg, m);
}

static void no_member(void *arg, struct member *m)
{
    (void)arg;
    (void)m;
}

static void no_member_gone(void *arg, struct member *m, bool shutdown)
{
    (void)arg;
    (void)m;
    (void)shutdown;
}

static void no_caught_up(void *arg, struct member *m, bool lost)
{
    (void)arg;
    (void)m;
    (void)lost;
}

static void no_heartbeat(void *arg)
{
    (void)arg;
}

static int64_t alive_ms(void *arg)
{
    struct bare_member *b = arg;

    return (int64_t)(loop_mono_ms(host_main(b->host)) - b->started_mono_ms);
}

static void set_text(char **field, const char *text)
{
    mem_free(*field);
    *field = mem_strdup(text);
}

bool bare_member_start(struct bare_member *b, struct sim *sim, const char *ip, int64_t wall_offset_ms,
                       enum err (*on_msg)(void *arg, const struct received *m), void (*on_started)(void *arg),
                       void *arg, struct diag *d)
{
    static const struct channel_events events = {.on_message = on_message,
                                                 .on_added = no_member,
                                                 .on_disappeared = no_member_gone,
                                                 .on_caught_up = no_caught_up,
                                                 .on_heartbeat = no_heartbeat,
                                                 .alive_ms = alive_ms};

    *b = (struct bare_member){.sim = sim, .on_message = on_msg, .arg = arg};
    b->host = sim_host_new(sim, ip, 1);
    sim_host_set_wall_offset(b->host, wall_offset_ms);
    option_defaults(mcast_options, &b->mcast);
    option_defaults(receiver_options, &b->receiver);
    option_defaults(transmitter_options, &b->sender);
    set_text(&b->receiver.address, ip);
    b->receiver.allow_from.v = mem_array(1, sizeof *b->receiver.allow_from.v);
    b->receiver.allow_from.v[0] = mem_strdup("0.0.0.0/0");
    b->receiver.allow_from.n = 1;
    b->started_mono_ms = loop_mono_ms_now(host_main(b->host));
    struct channel_conf conf = {
        .start_options = 15, .membership = &b->mcast, .receiver = &b->receiver, .sender = &b->sender};
    return channel_new(b->host, &conf, &events, b, &b->metrics, d, &b->channel) == ERR_OK &&
           channel_start(b->channel, on_started, arg, d) == ERR_OK;
}

static void on_stopped(void *arg)
{
    ((struct bare_member *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
    return ((struct bare_member *)arg)->stopped;
}

bool bare_member_read(const struct bare_member *b, const struct received *m, struct session_msg *msg)
{
    const char *field = NULL;

    if (m->options & SEND_BYTE_MESSAGE)
        return false;
    if (session_msg_decode(m->payload, msg, &field) == ERR_OK)
        return true;
    if (rpc_on_message(b->channel, m, &field) != ERR_OK)
        log_debug("a bare member cannot read %s", field);
    return false;
}

static const char *id_of(enum session_event event)
{
    return event == SESSION_GET_ALL              ? SESSION_ID_GET_ALL
           : event == SESSION_TRANSFER_COMPLETE  ? SESSION_ID_TRANSFER_COMPLETE
           : event == SESSION_NO_CONTEXT_MANAGER ? SESSION_ID_NO_CONTEXT
                                                 : "s";
}

void bare_member_say(struct bare_member *b, struct loop *loop, struct member *to, enum session_event event,
                     const char *context)
{
    struct buf bytes = {0}, unique = {0};
    struct span id = span_str(id_of(event));
    int64_t now = loop_wall_ms(loop);
    struct message m = {.options = SEND_USE_ACK};

    session_unique_id(event, id, span_str(context), now, &unique);
    struct session_msg msg = {.event = (int32_t)event,
                              .timestamp_ms = now,
                              .timestamp_set = true,
                              .has_context = true,
                              .context = span_str(context),
                              .session_id = id,
                              .unique_id = buf_span(&unique)};
    ASSERT(session_msg_encode(&msg, &bytes) == ERR_OK);
    channel_stamp(b->channel, loop, &m);
    m.payload = buf_span(&bytes);
    channel_send(b->channel, &m, &(struct targets){1, (struct member *[]){to}});
    buf_fini(&bytes);
    buf_fini(&unique);
}

bool bare_member_stop(struct bare_member *b)
{
    channel_stop(b->channel, LINGER_MS, on_stopped, b);
    return sim_run_until(b->sim, is_stopped, b, GIVE_UP_MS);
}

void bare_member_free(struct bare_member *b)
{
    channel_free(b->channel);
    sim_host_end(b->sim, b->host);
    option_free(mcast_options, &b->mcast);
    option_free(receiver_options, &b->receiver);
    option_free(transmitter_options, &b->sender);
}
