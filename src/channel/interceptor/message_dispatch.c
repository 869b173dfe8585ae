/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessageDispatchInterceptor: a caller that sends with option 0x08 does not wait. The lanes of the sender are
 * the queue, so what this stage decides is only when the caller's delivery ends: at once, as long as less
 * than maxQueueSize bytes are queued. Above that the caller waits for the members as if it had not asked for
 * asynchronous sending (alwaysSend), or the message is refused. Any thread.
 */
#include "all.h"

#include "clusterd/util/log.h"
#include "clusterd/wire/options.h"

struct conf {
    int32_t option_flag;
    uint64_t max_queue_bytes;
    bool always_send, use_deep_clone;
    int32_t max_spare_threads, max_threads;
    int64_t keep_alive_time_ms;
};

struct state {
    struct log_limit full_limit;
};

#define AT(field) OPTION_AT(struct conf, field)

static const struct option_spec options[] = {
    {.name = "optionFlag",
     .type = OPTION_INT,
     AT(option_flag),
     .def = "8",
     .doc = "messages with this send option are sent asynchronously"},
    {.name = "maxQueueSize",
     .type = OPTION_BYTES,
     AT(max_queue_bytes),
     .def = "67108864",
     .doc = "above so many queued bytes callers wait, or are refused"},
    {.name = "alwaysSend",
     .type = OPTION_BOOL,
     AT(always_send),
     .def = "true",
     .doc = "what a full queue does: true, the caller waits; false, the message is refused"},
    {.name = "useDeepClone",
     .type = OPTION_BOOL,
     AT(use_deep_clone),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "messages are immutable here and never cloned"},
    {.name = "maxSpareThreads",
     .type = OPTION_INT,
     AT(max_spare_threads),
     .def = "2",
     .flags = OPTION_NO_EFFECT,
     .doc = "no threads of their own send here"},
    {.name = "maxThreads",
     .type = OPTION_INT,
     AT(max_threads),
     .def = "10",
     .flags = OPTION_NO_EFFECT,
     .doc = "no threads of their own send here"},
    {.name = "keepAliveTime",
     .type = OPTION_MS,
     AT(keep_alive_time_ms),
     .def = "5000",
     .flags = OPTION_NO_EFFECT,
     .doc = "no threads of their own send here"},
    {0}};

static enum err start(struct stage *st, struct diag *d)
{
    const struct conf *conf = stage_conf(st);

    if (conf->option_flag != SEND_ASYNCHRONOUS)
        diag_warn(d, NULL, 0,
                  "MessageDispatchInterceptor: optionFlag is %d; asynchronous sending is option 8 everywhere "
                  "else",
                  (int)conf->option_flag);
    return ERR_OK;
}

/* What lies in the queue of a lagging member counts for nothing: it has a bound of its own, and nobody shall
 * wait for one that has stopped. */
static bool is_full(struct stage *st, const struct message *m, const struct targets *targets)
{
    const struct conf *conf = stage_conf(st);
    uint64_t queued = (uint64_t)m->payload.n * targets->n;

    for (size_t i = 0; i < targets->n; i++)
        if (!atomic_load_explicit(&targets->members[i]->lagging, memory_order_relaxed))
            queued += atomic_load_explicit(&targets->members[i]->queued_bytes, memory_order_relaxed);
    return queued > conf->max_queue_bytes;
}

static void results(struct message *m, size_t n, enum delivery_result r)
{
    for (size_t i = 0; i < n; i++)
        delivery_result(m->delivery, r);
}

static void tell_full(struct stage *st)
{
    const struct conf *conf = stage_conf(st);
    struct state *s = stage_state(st);
    uint64_t now_ms = loop_mono_ms_now(host_main(channel_host(stage_channel(st))));
    unsigned left_out;

    if (log_limit_pass(&s->full_limit, now_ms, LOG_LIMIT_MS, &left_out))
        log_warn("MessageDispatchInterceptor: more than maxQueueSize %llu bytes are queued; %s (%u others "
                 "since the "
                 "last such line)",
                 (unsigned long long)conf->max_queue_bytes,
                 conf->always_send ? "a caller waits" : "a message was refused", left_out);
}

static void send(struct stage *st, struct message *m, const struct targets *targets)
{
    const struct conf *conf = stage_conf(st);

    if (!interceptor_wants(conf->option_flag, m->options) || m->to_stranger) {
        stage_send_on(st, m, targets);
        return;
    }
    if (is_full(st, m, targets)) {
        tell_full(st);
        if (!conf->always_send) {
            metric_add(channel_metrics(stage_channel(st)), messages_failed, targets->n);
            results(m, targets->n, DELIVERY_FAILED);
            return;
        }
    } else {
        results(m, targets->n, DELIVERY_ACKED);
        m->delivery = NULL;
    }
    stage_send_on(st, m, targets);
}

const struct interceptor_ops interceptor_message_dispatch = {.name = "MessageDispatchInterceptor",
                                                             .options = options,
                                                             .conf_size = sizeof(struct conf),
                                                             .state_size = sizeof(struct state),
                                                             .start = start,
                                                             .send = send};
