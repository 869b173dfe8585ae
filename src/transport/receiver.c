/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver as a whole (Tomcat: ReceiverBase, NioReceiver): address and port, who is let in, which worker
 * gets a connection, and the end. Main loop; a stop goes to each worker as a task, and comes back as one when
 * the worker's last connection has gone.
 */
#include "receiver_impl.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

static const char *const class_names[] = {"ReplicationListener", "NioReceiver", NULL};

static enum err check_cidr(const char *text, void *field, const char **why)
{
    struct cidr c;

    (void)field;
    if (cidr_parse(text, &c) == ERR_OK)
        return ERR_OK;
    *why = "must be a network such as 10.0.0.0/8, or an address";
    return ERR_BAD;
}

const struct option_spec receiver_options[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     OPTION_AT(struct receiver_conf, class_name),
     .def = "ReplicationListener",
     .names = class_names,
     .doc = "the receiver; both names mean the same"},
    {.name = "address",
     .aliases = "tcpListenAddress host",
     .type = OPTION_STRING,
     OPTION_AT(struct receiver_conf, address),
     .def = "auto",
     .doc =
         "address to listen at and to announce; auto chooses one that other hosts can reach, and logs why"},
    {.name = "port",
     .aliases = "tcpListenPort",
     .type = OPTION_INT,
     OPTION_AT(struct receiver_conf, port),
     .def = "4000",
     .max = 65535,
     .doc = "first TCP port that is tried; 0 takes any free one"},
    {.name = "autoBind",
     .type = OPTION_INT,
     OPTION_AT(struct receiver_conf, auto_bind),
     .def = "100",
     .max = 65535,
     .doc = "number of ports that are tried; 0 means 1"},
    {.name = "selectorTimeout",
     .aliases = "tcpSelectorTimeout",
     .type = OPTION_MS,
     OPTION_AT(struct receiver_conf, selector_timeout_ms),
     .def = "5000",
     .flags = OPTION_NO_EFFECT,
     .doc = "how long Tomcat waits for input at a time"},
    {.name = "maxThreads",
     .aliases = "tcpThreadCount",
     .type = OPTION_INT,
     OPTION_AT(struct receiver_conf, max_threads),
     .def = "15",
     .min = 1,
     .max = 1000,
     .doc = "upper bound of the worker threads; by default one less than the cores, at most 6, are started"},
    {.name = "maxFrameBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct receiver_conf, max_frame_bytes),
     .def = "1g",
     .min = 1 << 20, /* what clusterd nodes send of their own accord fits */
     .max = 2147483647,
     .doc = "longest message that a member may send (a Tomcat sends all sessions of a context as one)"},
    {.name = "maxStrangerFrameBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct receiver_conf, max_stranger_frame_bytes),
     .def = "1m",
     .min = 1024,
     .max = 2147483647,
     .doc = "longest message that a host may send that is not a member (yet)"},
    {.name = "allowFrom",
     .type = OPTION_STRINGS,
     OPTION_AT(struct receiver_conf, allow_from),
     .parse = check_cidr,
     .doc = "networks from which connections are accepted; by default the subnet of the address"},
    {0}};

/* --- accepting --- */

static void on_incoming(void *arg, struct incoming *in)
{
    struct receiver *r = arg;
    const struct addr *peer = incoming_peer(in);
    uint64_t now = loop_mono_ms(host_main(r->host));
    char text[ADDR_TEXT_MAX];

    if (!receiver_address_allows(&r->address, peer)) {
        metric_inc(r->metrics, connections_refused);
        log_limited(now, LOG_WARN, "receiver: %s may not connect: it is not in allowFrom",
                    addr_text(peer, text));
        incoming_refuse(in);
        return;
    }
    bool is_stranger = !r->ev.is_member_host(r->arg, peer);
    if (is_stranger && atomic_fetch_add(&r->n_strangers, 1) >= RECEIVER_STRANGERS_MAX) {
        atomic_fetch_sub(&r->n_strangers, 1);
        metric_inc(r->metrics, connections_refused);
        log_limited(now, LOG_WARN, "receiver: %s refused: %d connections of hosts that are no members",
                    addr_text(peer, text), RECEIVER_STRANGERS_MAX);
        incoming_refuse(in);
        return;
    }
    metric_inc(r->metrics, connections_accepted);
    receiver_conn_new(&r->workers[r->next_worker], in, is_stranger);
    r->next_worker = (r->next_worker + 1) % r->n_workers;
}

/* --- the beginning --- */

static enum err bind_port(struct receiver *r, const struct receiver_conf *conf, struct diag *d)
{
    struct addr at = r->address.bind;
    int last = conf->port + (conf->port && conf->auto_bind > 1 ? conf->auto_bind - 1 : 0);
    char text[ADDR_TEXT_MAX];
    enum err e = ERR_EXISTS;

    if (last > UINT16_MAX)
        last = UINT16_MAX;
    for (int port = conf->port; port <= last && e == ERR_EXISTS; port++) {
        at.port = (uint16_t)port;
        e = listener_open(host_main(r->host), &at, 0, on_incoming, r, &r->listener);
    }
    if (e == ERR_OK)
        return ERR_OK;
    addr_host_text(&at, text);
    if (e == ERR_EXISTS)
        return diag_error(d, NULL, 0, "receiver: ports %d to %d of %s are all in use", conf->port, last,
                          text);
    return diag_error(d, NULL, 0, "receiver: cannot listen at %s port %u: %s", text, at.port, err_text(e));
}

static void on_sweep(struct timer *t, void *arg)
{
    struct receiver_worker *w = arg;

    receiver_conn_sweep(w);
    if (!link_is_alone(&w->conns))
        timer_start(t, RECEIVER_SWEEP_MS);
}

static void run_stop(struct task *t, bool cancelled)
{
    struct receiver_worker *w = CONTAINER_OF(t, struct receiver_worker, stop);

    w->stopping = true;
    if (!cancelled) {
        timer_fini(&w->sweep);
        receiver_conn_close_all(w);
    }
    if (link_is_alone(&w->conns))
        receiver_none_left(w);
}

void receiver_none_left(struct receiver_worker *w)
{
    if (w->reported)
        return;
    w->reported = true;
    loop_post(host_main(w->r->host), &w->stopped);
}

static void run_stopped(struct task *t, bool cancelled)
{
    struct receiver_worker *w = CONTAINER_OF(t, struct receiver_worker, stopped);
    struct receiver *r = w->r;

    if (--r->live_workers == 0 && r->on_stopped && !cancelled)
        r->on_stopped(r->stop_arg);
}

static void make_workers(struct receiver *r, int32_t max_threads)
{
    unsigned n = host_n_workers(r->host);

    r->n_workers = max_threads > 0 && (unsigned)max_threads < n ? (unsigned)max_threads : n;
    r->workers = mem_array(r->n_workers, sizeof *r->workers);
    r->live_workers = r->n_workers;
    for (unsigned i = 0; i < r->n_workers; i++) {
        struct receiver_worker *w = &r->workers[i];
        w->r = r;
        w->loop = host_worker(r->host, i);
        w->stop.run = run_stop;
        w->stopped.run = run_stopped;
        link_init(&w->conns);
        timer_init(&w->sweep, w->loop, on_sweep, w);
    }
}

fallible receiver_start(struct host *h, const struct receiver_conf *conf, const struct receiver_events *ev,
                        void *arg, struct metrics *metrics, struct diag *d, struct receiver **out)
{
    struct receiver *r = MEM_NEW(struct receiver);
    char text[ADDR_TEXT_MAX];

    r->host = h;
    r->ev = *ev;
    r->arg = arg;
    r->metrics = metrics;
    r->max_frame = conf->max_frame_bytes;
    r->max_stranger_frame = conf->max_stranger_frame_bytes;
    if (r->max_stranger_frame > r->max_frame)
        r->max_stranger_frame = r->max_frame;
    enum err e = receiver_address_choose(h, conf->address, &conf->allow_from, d, &r->address);
    if (e == ERR_OK)
        e = bind_port(r, conf, d);
    if (e != ERR_OK) {
        receiver_address_fini(&r->address);
        mem_free(r);
        return e;
    }
    make_workers(r, conf->max_threads);
    r->addr = r->address.announce;
    r->addr.port = listener_addr(r->listener)->port;
    log_info("Receiver Server Socket bound to:[/%s] (%s)", addr_text(&r->addr, text), r->address.why);
    *out = r;
    return ERR_OK;
}

const struct addr *receiver_addr(const struct receiver *r)
{
    return &r->addr;
}

/* --- the end --- */

void receiver_stop(struct receiver *r, void (*on_stopped)(void *arg), void *arg)
{
    r->on_stopped = on_stopped;
    r->stop_arg = arg;
    listener_close(r->listener);
    r->listener = NULL;
    for (unsigned i = 0; i < r->n_workers; i++)
        loop_post(r->workers[i].loop, &r->workers[i].stop);
}

void receiver_free(struct receiver *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n_workers; i++)
        receiver_conn_abandon_all(&r->workers[i]);
    receiver_address_fini(&r->address);
    mem_free(r->workers);
    mem_free(r);
}
