/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TcpFailureDetector: believes the membership service only after asking the member itself by TCP. Main loop.
 *
 * Each member that is heard, or that is in the view, has a watch:
 *
 *                      heard                    probe answered
 *      (no watch) ----------------> candidate ------------------> up -------- BABY-ALEX ------> (no watch)
 *                                    |    ^                       |
 *          probe failed: tried again |    |      probe refused,   |  silent or in trouble: probed;
 *          at the next heartbeat     +----+ <---------------------+  alive: suspect, probed each heartbeat
 *                                              while still heard
 *
 * Goes beyond Tomcat: trouble on any connection is looked into at once, so a killed process is noticed in
 * milliseconds; a member that is heard but whose TCP only times out is suspect, not gone; a member whose
 * address belongs to a later one is gone, although that address answers.
 */
#include "all.h"

#include "clusterd/util/list.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/notice.h"
#include "clusterd/wire/options.h"

#define CANDIDATE_PROBES_MAX 64 /* at a time; further candidates wait for their turn */

struct conf {
    int32_t option_flag;
    bool connect_test, send_test, read_test;
    int64_t read_timeout_ms, connect_timeout_ms, remove_suspects_timeout_s;
};

struct watch {
    struct link link;
    struct member *member;
    bool up;       /* in the view */
    bool heard;    /* by the membership service */
    bool mute;     /* heard, but its TCP times out */
    bool told;     /* "Will verify" was logged; the verdict must be, too */
    bool again;    /* there was more trouble during the probe */
    bool waiting;  /* a candidate that waits for its turn */
    bool troubled; /* a connection broke at trouble_ms */
    uint64_t trouble_ms, suspect_ms;
    uint64_t lost_ms;    /* when it left the view, though it was heard */
    struct probe *probe; /* under way, or NULL */
};

struct probe {
    struct stage *stage;
    struct watch *watch; /* NULL: nobody is interested any more */
};

struct state {
    struct link watches;
};

#define AT(field) OPTION_AT(struct conf, field)

static const struct option_spec options[] = {
    {.name = "optionFlag",
     .type = OPTION_INT,
     AT(option_flag),
     .def = "0",
     .doc = "further send option of probes"},
    {.name = "performConnectTest",
     .type = OPTION_BOOL,
     AT(connect_test),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat has it and always connects; so does clusterd"},
    {.name = "performSendTest",
     .type = OPTION_BOOL,
     AT(send_test),
     .def = "true",
     .doc = "a probe sends a message, which the member swallows"},
    {.name = "performReadTest",
     .type = OPTION_BOOL,
     AT(read_test),
     .def = "false",
     .doc = "a probe asks for an acknowledgement and waits for it"},
    {.name = "readTestTimeout",
     .type = OPTION_MS,
     AT(read_timeout_ms),
     .def = "5000",
     .min = 1,
     .max = 3600000,
     .doc = "how long a probe waits for the acknowledgement"},
    {.name = "connectTimeout",
     .type = OPTION_MS,
     AT(connect_timeout_ms),
     .def = "1000",
     .min = 1,
     .max = 3600000,
     .doc = "how long a probe waits for the connection"},
    {.name = "removeSuspectsTimeout",
     .type = OPTION_SECONDS,
     AT(remove_suspects_timeout_s),
     .def = "300",
     .doc = "a silent member that answers probes for so long is let be; 0: never"},
    {0}};

static void start_probe(struct stage *st, struct watch *w);

/* Watches. */

static uint64_t now_ms(struct stage *st)
{
    return loop_mono_ms(host_main(channel_host(stage_channel(st))));
}

static bool same_addr(const struct member *a, const struct member *b)
{
    return addr_eq(&a->addr, &b->addr);
}

static struct watch *find(struct stage *st, const struct member *m)
{
    struct state *s = stage_state(st);

    LINK_EACH(l, &s->watches)
    {
        struct watch *w = CONTAINER_OF(l, struct watch, link);
        if (w->member == m || (ident_eq(&w->member->id, &m->id) && same_addr(w->member, m)))
            return w;
    }
    return NULL;
}

static struct watch *watch_new(struct stage *st, struct member *m)
{
    struct state *s = stage_state(st);
    struct watch *w = MEM_NEW(struct watch);

    w->member = view_member_ref(m);
    link_push_back(&s->watches, &w->link);
    return w;
}

static void watch_free(struct watch *w)
{
    if (w->probe)
        w->probe->watch = NULL;
    link_remove(&w->link);
    view_member_unref(w->member);
    mem_free(w);
}

/* Tomcat's words; old greps look for them. */
static void tell(const char *before, const struct member *m, bool shutdown, const char *after)
{
    struct buf text = {0};

    if (!log_is_on(LOG_INFO))
        return;
    view_member_text(m, shutdown, &text);
    log_info("TcpFailureDetector: %s[%s]%s", before, buf_cstr(&text), after);
    buf_fini(&text);
}

static void set_suspect(struct stage *st, struct watch *w, bool suspect)
{
    if (suspect && !atomic_load(&w->member->suspect))
        w->suspect_ms = now_ms(st);
    atomic_store(&w->member->suspect, suspect);
}

/* Out of the view. Its watch stays as a candidate's while the member is heard. */
static void gone(struct stage *st, struct watch *w, bool shutdown)
{
    struct member *m = view_member_ref(w->member);
    bool was_up = w->up;

    set_suspect(st, w, false);
    w->up = w->mute = w->told = w->again = w->troubled = false;
    w->lost_ms = now_ms(st);
    if (shutdown || !w->heard)
        watch_free(w);
    if (was_up)
        stage_disappeared_on(st, m, shutdown);
    view_member_unref(m);
}

/* A port has one owner. If somebody else is heard from this one's address and this one is not heard, or its
 * connections broke after its last heartbeat, then whoever answers there is the other. */
static bool is_replaced(struct stage *st, const struct watch *w)
{
    struct state *s = stage_state(st);
    bool in_doubt = !w->heard || (w->troubled && w->trouble_ms >= atomic_load(&w->member->heard_mono_ms));

    LINK_EACH(l, &s->watches)
    {
        const struct watch *other = CONTAINER_OF(l, struct watch, link);
        /* An earlier life of the member may still count as heard until its drop time is over. */
        bool later = atomic_load(&other->member->heard_mono_ms) > atomic_load(&w->member->heard_mono_ms);
        if (in_doubt && other != w && other->heard && later && same_addr(other->member, w->member))
            return true;
    }
    return false;
}

/* Some watch of this address whose member was replaced; NULL when there is none. */
static struct watch *find_replaced(struct stage *st, const struct watch *by)
{
    struct state *s = stage_state(st);

    LINK_EACH(l, &s->watches)
    {
        struct watch *w = CONTAINER_OF(l, struct watch, link);
        if (w != by && w->up && same_addr(w->member, by->member) && is_replaced(st, w))
            return w;
    }
    return NULL;
}

/* Verdicts. */

static void admit(struct stage *st, struct watch *w)
{
    struct member *m = view_member_ref(w->member);
    struct watch *old;

    w->up = true;
    w->mute = w->troubled = false;
    set_suspect(st, w, false);
    while ((old = find_replaced(st, w))) {
        tell("Verification complete. Member disappeared", old->member, false,
             ": its address belongs to a later member");
        gone(st, old, false);
    }
    stage_added_on(st, m);
    view_member_unref(m);
}

static void on_dead(struct stage *st, struct watch *w, const char *why)
{
    tell("Verification complete. Member disappeared", w->member, false, why);
    gone(st, w, false);
}

static void on_alive(struct stage *st, struct watch *w)
{
    if (is_replaced(st, w)) {
        on_dead(st, w, ": its address belongs to a later member");
        return;
    }
    if (w->told)
        tell("Verification complete. Member still alive", w->member, false, "");
    w->told = w->mute = false;
    if (w->heard)
        set_suspect(st, w, false);
}

/* Refused is dead at once. Whatever else went wrong, a member that is heard lives, and is reported as it is.
 */
static void on_failed(struct stage *st, struct watch *w, enum err result)
{
    if (result == ERR_REFUSED || !w->heard) {
        on_dead(st, w, "");
        return;
    }
    if (!w->mute)
        tell("Member is heard, but its TCP does not answer; suspect", w->member, false, "");
    w->mute = true;
    w->told = false;
    set_suspect(st, w, true);
}

static void on_candidate(struct stage *st, struct watch *w, enum err result)
{
    if (result == ERR_OK) {
        admit(st, w);
        return;
    }
    log_debug("TcpFailureDetector: %s is heard, but was not added: %s", w->member->name, err_text(result));
    if (!w->heard)
        watch_free(w);
}

/* Probes. */

static void start_waiting(struct stage *st)
{
    struct state *s = stage_state(st);

    LINK_EACH(l, &s->watches)
    {
        struct watch *w = CONTAINER_OF(l, struct watch, link);
        if (w->waiting && !w->probe) {
            w->waiting = false;
            start_probe(st, w);
            return;
        }
    }
}

static void on_probed(void *arg, enum err result)
{
    struct probe *p = arg;
    struct stage *st = p->stage;
    struct watch *w = p->watch;

    mem_free(p);
    if (!w || result == ERR_CANCELLED) {
        if (w)
            w->probe = NULL;
        return;
    }
    bool again = w->again;
    struct member *m = view_member_ref(w->member);
    w->probe = NULL;
    w->again = false;
    if (!w->up)
        on_candidate(st, w, result);
    else if (result == ERR_OK)
        on_alive(st, w);
    else
        on_failed(st, w, result);
    w = again ? find(st, m) : NULL;
    if (w && w->up)
        start_probe(st, w);
    view_member_unref(m);
    start_waiting(st);
}

static struct blob *probe_frame(struct stage *st)
{
    const struct conf *conf = stage_conf(st);
    struct channel *c = stage_channel(st);
    struct message m = {.options = (uint32_t)conf->option_flag | SEND_BYTE_MESSAGE};

    if (!conf->send_test)
        return NULL;
    if (conf->read_test)
        m.options |= SEND_USE_ACK;
    channel_stamp(c, host_main(channel_host(c)), &m);
    m.payload = NOTICE_PROBE_MESSAGE;
    return channel_encode(c, &m);
}

static unsigned n_candidate_probes(struct stage *st)
{
    struct state *s = stage_state(st);
    unsigned n = 0;

    LINK_EACH(l, &s->watches)
    {
        const struct watch *w = CONTAINER_OF(l, struct watch, link);
        n += w->probe && !w->up;
    }
    return n;
}

/* At most one probe of a member is under way. */
static void start_probe(struct stage *st, struct watch *w)
{
    const struct conf *conf = stage_conf(st);
    struct channel *c = stage_channel(st);

    if (w->probe)
        return;
    if (!w->up && n_candidate_probes(st) >= CANDIDATE_PROBES_MAX) {
        w->waiting = true;
        return;
    }
    w->probe = MEM_NEW(struct probe);
    w->probe->stage = st;
    w->probe->watch = w;
    struct blob *frame = probe_frame(st);
    transmitter_probe(channel_transmitter(c), &w->member->addr, (unsigned)conf->connect_timeout_ms, frame,
                      conf->read_test ? (unsigned)conf->read_timeout_ms : 0, on_probed, w->probe);
    blob_unref(frame);
}

/* News from below. */

static void on_added(struct stage *st, struct member *m)
{
    struct watch *w = find(st, m);

    if (!w)
        w = watch_new(st, m);
    w->heard = true;
    if (!w->up)
        start_probe(st, w);
    else if (!w->mute)
        set_suspect(st, w, false);
}

static void on_disappeared(struct stage *st, struct member *m, bool shutdown)
{
    struct watch *w = find(st, m);

    if (!w)
        return;
    w->heard = false;
    if (shutdown || !w->up) {
        gone(st, w, shutdown);
        return;
    }
    tell("Received memberDisappeared", m, false, " message. Will verify.");
    w->told = true;
    set_suspect(st, w, true);
    if (is_replaced(st, w))
        on_dead(st, w, ": its address belongs to a later member");
    else if (w->probe)
        w->again = true;
    else
        start_probe(st, w);
}

static void on_trouble(struct stage *st, struct member *m, enum err why)
{
    struct watch *w = find(st, m);

    if (!w || !w->up)
        return;
    log_debug("TcpFailureDetector: trouble with %s (%s), will verify", m->name, err_text(why));
    w->troubled = true;
    w->trouble_ms = now_ms(st);
    if (w->probe)
        w->again = true;
    else
        start_probe(st, w);
}

/* A suspect for long: what is silent but answers is let be, as with Tomcat; what never answers goes. */
static bool is_overdue(struct stage *st, const struct watch *w)
{
    const struct conf *conf = stage_conf(st);
    uint64_t limit_ms = (uint64_t)conf->remove_suspects_timeout_s * 1000;

    return limit_ms > 0 && now_ms(st) - w->suspect_ms > limit_ms;
}

static void check(struct stage *st, struct watch *w)
{
    if (!w->up) {
        /* One that was lost must be heard again first: its port may have a new owner. */
        if (w->heard && atomic_load(&w->member->heard_mono_ms) > w->lost_ms)
            start_probe(st, w);
    } else if (atomic_load(&w->member->suspect)) {
        if (!is_overdue(st, w))
            start_probe(st, w);
        else if (w->mute)
            on_dead(st, w, ": its TCP has not answered for too long");
        else
            set_suspect(st, w, false);
    }
}

static void on_heartbeat(struct stage *st)
{
    struct state *s = stage_state(st);

    LINK_EACH_SAFE(l, &s->watches)
    check(st, CONTAINER_OF(l, struct watch, link));
}

static enum err recv(struct stage *st, const struct received *m)
{
    if (notice_classify(m->payload) != NOTICE_PROBE)
        return stage_recv_on(st, m);
    metric_inc(channel_metrics(stage_channel(st)), messages_swallowed);
    return ERR_OK;
}

/* Life. */

static enum err start(struct stage *st, struct diag *d)
{
    struct state *s = stage_state(st);

    (void)d;
    link_init(&s->watches);
    return ERR_OK;
}

static void stop(struct stage *st)
{
    struct state *s = stage_state(st);

    LINK_EACH_SAFE(l, &s->watches)
    watch_free(CONTAINER_OF(l, struct watch, link));
}

const struct interceptor_ops interceptor_tcp_failure_detector = {.name = "TcpFailureDetector",
                                                                 .options = options,
                                                                 .conf_size = sizeof(struct conf),
                                                                 .state_size = sizeof(struct state),
                                                                 .start = start,
                                                                 .stop = stop,
                                                                 .recv = recv,
                                                                 .on_added = on_added,
                                                                 .on_disappeared = on_disappeared,
                                                                 .on_trouble = on_trouble,
                                                                 .on_heartbeat = on_heartbeat};
