/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door as a whole: options, listeners, handing connections to the workers in turn, refusing those
 * over maxClients, and stopping in order. Main loop, but for what workers report.
 */
#include "front_private.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "resp/command.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PORT     6380
#define CONTROL_RESERVE  32 /* connections of the control socket that maxClients does not count */
#define MAX_REFUSED      64 /* connections that are told why at the same time; more are just closed */
#define REFUSED_LINGER   500
#define REQUEST_FACTOR   4 /* of maxValueBytes: one request may have so much */
#define REFUSED_REPLY    "-ERR max number of clients reached\r\n"
#define SOCKET_PATH_MAX  107
#define MIN_REQUEST      (1u << 20)
#define ACK_OPTIONS_MASK (SEND_USE_ACK | SEND_ASYNCHRONOUS)

/* --- options --- */

static enum err parse_mode(const char *text, void *field, const char **why)
{
    char *end = NULL;
    unsigned long mode = strtoul(text, &end, 8);

    if (text[0] < '0' || text[0] > '7' || *end || mode > 0777) {
        *why = "must be octal permissions such as 0660";
        return ERR_BAD;
    }
    *(int32_t *)field = (int32_t)mode;
    return ERR_OK;
}

static void print_mode(const void *field, struct buf *out)
{
    wr_printf(out, "0%o", (unsigned)*(const int32_t *)field);
}

static enum err check_listen(const char *text, void *field, const char **why)
{
    struct addr at;

    (void)field;
    if (addr_parse(text, DEFAULT_PORT, &at) == ERR_OK)
        return ERR_OK;
    *why = "must be unix:PATH, IPV4:PORT or [IPV6]:PORT";
    return ERR_BAD;
}

static enum err check_path(const char *text, void *field, const char **why)
{
    (void)field;
    if (*text && strlen(text) <= SOCKET_PATH_MAX)
        return ERR_OK;
    *why = "must be a path of 1 to 107 bytes";
    return ERR_BAD;
}

const struct option_spec front_options[] = {
    {.name = "listen",
     .type = OPTION_STRINGS,
     OPTION_AT(struct front_conf, listen),
     .def = "unix:/run/clusterd/redis.sock 127.0.0.1:6380",
     .parse = check_listen,
     .doc = "where applications connect: unix:PATH, or an address and a port"},
    {.name = "requirepass",
     .aliases = "requirePass",
     .type = OPTION_STRING,
     OPTION_AT(struct front_conf, require_pass),
     .flags = OPTION_SECRET,
     .doc = "the password that AUTH asks for; without it there is none"},
    {.name = "maxValueBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct front_conf, max_value_bytes),
     .def = "32m",
     .min = 1024,
     .max = 64 << 20,
     .doc = "the largest value that is taken; a whole request may have four times as much"},
    {.name = "maxOutputBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct front_conf, max_output_bytes),
     .def = "32m",
     .min = 65536,
     .max = 1 << 30,
     .doc = "unread replies of a connection above which no more of its commands are read"},
    {.name = "maxBufferBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct front_conf, max_buffer_bytes),
     .def = "512m",
     .min = 1 << 20,
     .max = INT64_MAX,
     .doc = "unfinished large requests and unread large replies of all connections together; above it those "
            "who send "
            "more are closed and those who do not read get no more"},
    {.name = "maxClients",
     .aliases = "maxclients",
     .type = OPTION_INT,
     OPTION_AT(struct front_conf, max_clients),
     .def = "10000",
     .min = 1,
     .max = 1000000,
     .doc = "connections of applications at the same time"},
    {.name = "idleTimeout",
     .aliases = "timeout",
     .type = OPTION_MS,
     OPTION_AT(struct front_conf, idle_timeout_ms),
     .def = "0",
     .max = INT32_MAX,
     .doc = "a connection that sends nothing for so long is closed; 0 is never"},
    {.name = "unixMode",
     .aliases = "unixsocketperm",
     .type = OPTION_CUSTOM,
     OPTION_AT(struct front_conf, unix_mode),
     .def = "0660",
     .parse = parse_mode,
     .print = print_mode,
     .doc = "permissions of the unix sockets, octal"},
    {0}};

const struct option_spec front_control_options[] = {
    {.name = "socket",
     .type = OPTION_STRING,
     OPTION_AT(struct front_control_conf, socket),
     .def = "/run/clusterd/control.sock",
     .parse = check_path,
     .doc = "unix socket of clusterctl"},
    {.name = "socketGroup",
     .type = OPTION_STRING,
     OPTION_AT(struct front_control_conf, socket_group),
     .def = "clusterd",
     .doc = "group that may use the control socket, when it exists"},
    {0}};

/* --- accepting --- */

struct refusal {
    struct link link;
    struct front *front;
};

static void check_stopped(struct front *f);

static size_t refused_input(struct stream *s, void *arg, struct span in)
{
    (void)s;
    (void)arg;
    return in.n;
}

static void refused_close(struct stream *s, void *arg, enum err why)
{
    struct refusal *r = arg;
    struct front *f = r->front;

    (void)s;
    (void)why;
    link_remove(&r->link);
    mem_free(r);
    f->n_refused--;
    check_stopped(f);
}

static const struct stream_ops refused_ops = {.on_input = refused_input, .on_close = refused_close};

static void refuse(struct front *f, struct incoming *in)
{
    char peer[ADDR_TEXT_MAX];

    metric_inc(f->metrics, clients_refused);
    log_limited(loop_mono_ms(f->main), LOG_WARN,
                "Front door: maxClients (%d) reached, refusing %s and others", (int)f->conf->max_clients,
                addr_text(incoming_peer(in), peer));
    if (f->n_refused >= MAX_REFUSED) {
        incoming_refuse(in);
        return;
    }
    struct refusal *r = MEM_NEW(struct refusal);
    r->front = f;
    link_push_back(&f->refused, &r->link);
    f->n_refused++;
    struct stream *s = stream_adopt(f->main, in, &refused_ops, r);
    stream_write(s, SPAN_LIT(REFUSED_REPLY));
    stream_close(s, REFUSED_LINGER);
}

static void on_incoming(void *arg, struct incoming *in)
{
    struct front_door *door = arg;
    struct front *f = door->front;
    unsigned limit = (unsigned)f->conf->max_clients + (door->is_control ? CONTROL_RESERVE : 0);

    if (f->stopping) {
        incoming_refuse(in);
    } else if (atomic_load_explicit(&f->clients, memory_order_relaxed) >= limit) {
        refuse(f, in);
    } else {
        conn_accept(&f->workers[f->next_worker], door, in);
        f->next_worker = (f->next_worker + 1) % f->n_workers;
    }
}

/* --- opening --- */

/* The folder of a socket may not exist yet ("run/redis.sock"): one level is made. */
static void make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return;
    char *parent = mem_strndup(path, (size_t)(slash - path));
    if (mkdir(parent, 0755) == 0)
        log_info("Made the folder %s", parent);
    mem_free(parent);
}

static void give_to_group(const char *path, const char *name)
{
    const struct group *g = name ? getgrnam(name) : NULL;

    if (g && chown(path, (uid_t)-1, g->gr_gid) != 0)
        log_warn("Cannot give %s to the group %s: %s", path, name, strerror(errno));
}

static enum err open_door(struct front *f, struct front_door *door, struct diag *d)
{
    char at[ADDR_TEXT_MAX];
    unsigned mode = door->is_control ? 0660 : (unsigned)f->conf->unix_mode;

    if (door->is_unix)
        make_parent(door->at.path);
    enum err e = listener_open(f->main, &door->at, mode, on_incoming, door, &door->listener);
    if (e)
        return diag_error(d, NULL, 0, "%s: cannot listen on %s: %s",
                          door->is_control ? "control.socket" : "frontDoor", addr_text(&door->at, at),
                          e == ERR_EXISTS ? "it is in use" : err_text(e));
    door->at = *listener_addr(door->listener);
    if (door->is_control)
        give_to_group(door->at.path, f->control->socket_group);
    log_info("%s on %s", door->is_control ? "Control socket" : "Front door", addr_text(&door->at, at));
    return ERR_OK;
}

static void close_doors(struct front *f)
{
    for (size_t i = 0; i < f->n_doors; i++) {
        if (f->doors[i].listener)
            listener_close(f->doors[i].listener);
        f->doors[i].listener = NULL;
    }
}

enum err front_start(struct front *f, struct diag *d)
{
    struct cluster *cluster = manager_cluster(f->manager);

    f->wait_for_acks = cluster && (cluster_send_options(cluster) & ACK_OPTIONS_MASK) == SEND_USE_ACK;
    f->started_mono_ms = loop_mono_ms(f->main);
    for (size_t i = 0; i < f->n_doors; i++) {
        enum err e = open_door(f, &f->doors[i], d);
        if (e) {
            close_doors(f);
            return e;
        }
    }
    return ERR_OK;
}

void front_set_loading(struct front *f, bool loading)
{
    atomic_store(&f->loading, loading);
}

/* --- making --- */

static struct resp_limits *make_limits(const struct front_conf *conf)
{
    struct resp_limits *l = MEM_NEW(struct resp_limits);
    struct resp_limits most = RESP_LIMITS_DEFAULT;
    uint64_t request = REQUEST_FACTOR * conf->max_value_bytes;

    *l = most;
    l->max_request = request < MIN_REQUEST        ? MIN_REQUEST
                     : request < most.max_request ? request
                                                  : most.max_request;
    /* A value over the limit gets an error and keeps its connection, unless it is far over it. */
    l->max_bulk = l->max_request / 2 < most.max_bulk ? l->max_request / 2 : most.max_bulk;
    return l;
}

static enum err add_doors(struct front *f, struct diag *d)
{
    size_t n = f->conf->listen.n;
    enum err result = ERR_OK;

    f->doors = mem_array(n + 1, sizeof *f->doors);
    for (size_t i = 0; i < n; i++) {
        struct front_door *door = &f->doors[f->n_doors];
        if (addr_parse(f->conf->listen.v[i], DEFAULT_PORT, &door->at) != ERR_OK) {
            result = diag_error(d, NULL, 0, "frontDoor.listen: \"%s\" is no address", f->conf->listen.v[i]);
            continue;
        }
        door->front = f;
        door->is_unix = door->at.family == ADDR_UNIX;
        f->n_doors++;
    }
    if (f->control && f->control->socket && *f->control->socket) {
        struct front_door *door = &f->doors[f->n_doors++];
        *door = (struct front_door){.front = f, .is_unix = true, .is_control = true};
        door->at.family = ADDR_UNIX;
        if (strlen(f->control->socket) > SOCKET_PATH_MAX)
            return diag_error(d, NULL, 0, "control.socket: longer than %d bytes", SOCKET_PATH_MAX);
        snprintf(door->at.path, sizeof door->at.path, "%s", f->control->socket);
    }
    return result;
}

static void make_workers(struct front *f)
{
    f->n_workers = host_n_workers(f->host);
    f->workers = mem_array(f->n_workers, sizeof *f->workers);
    for (unsigned i = 0; i < f->n_workers; i++) {
        f->workers[i].front = f;
        f->workers[i].loop = host_worker(f->host, i);
        link_init(&f->workers[i].conns);
    }
}

static void make_run_id(struct front *f)
{
    uint8_t id[20];

    loop_random(f->main, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(f->run_id + 2 * i, 3, "%02x", id[i]);
}

enum err front_new(struct manager *m, const struct front_conf *conf, const struct front_control_conf *control,
                   const struct front_operator *op, struct metrics *metrics, struct diag *d,
                   struct front **out)
{
    struct front *f = MEM_NEW(struct front);

    f->manager = m;
    f->table = manager_table(m);
    f->metrics = metrics;
    f->conf = conf;
    f->control = control;
    f->op = op;
    f->host = manager_host(m);
    f->main = host_main(f->host);
    f->min_acks = manager_min_acks(m);
    f->limits = make_limits(conf);
    atomic_init(&f->loading, true);
    link_init(&f->refused);
    command_index(&f->commands);
    make_run_id(f);
    make_workers(f);
    enum err e = add_doors(f, d);
    if (e) {
        front_free(f);
        return e;
    }
    *out = f;
    return ERR_OK;
}

/* --- stopping --- */

static void on_worker_done(struct task *t, bool cancelled)
{
    struct front_worker *w = CONTAINER_OF(t, struct front_worker, task);

    (void)cancelled;
    w->front->workers_left--;
    check_stopped(w->front);
}

static void on_all_done(struct task *t, bool cancelled)
{
    struct front *f = CONTAINER_OF(t, struct front, stopped_task);

    (void)cancelled;
    if (f->on_stopped)
        f->on_stopped(f->on_stopped_arg);
}

static void check_stopped(struct front *f)
{
    if (!f->stopping || f->workers_left || f->n_refused || f->stopped)
        return;
    f->stopped = true;
    f->stopped_task.run = on_all_done;
    loop_post(f->main, &f->stopped_task);
}

void front_conn_gone(struct front_worker *w)
{
    if (!w->stopping || w->reported || !link_is_alone(&w->conns))
        return;
    w->reported = true;
    w->task.run = on_worker_done;
    loop_post(w->front->main, &w->task);
}

static void on_worker_stop(struct task *t, bool cancelled)
{
    struct front_worker *w = CONTAINER_OF(t, struct front_worker, task);

    (void)cancelled;
    w->stopping = true;
    conn_stop_all(w);
    front_conn_gone(w);
}

void front_stop(struct front *f, void (*on_stopped)(void *arg), void *arg)
{
    close_doors(f);
    f->stopping = true;
    f->on_stopped = on_stopped;
    f->on_stopped_arg = arg;
    f->workers_left = f->n_workers;
    for (unsigned i = 0; i < f->n_workers; i++) {
        f->workers[i].task.run = on_worker_stop;
        loop_post(f->workers[i].loop, &f->workers[i].task);
    }
}

void front_free(struct front *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->n_workers; i++) {
        f->workers[i].reported = true;
        conn_free_all(&f->workers[i]);
        buf_fini(&f->workers[i].out);
    }
    for (struct link *l; (l = link_pop_front(&f->refused));)
        mem_free(CONTAINER_OF(l, struct refusal, link));
    htab_fini(&f->commands);
    mem_free(f->limits);
    mem_free(f->workers);
    mem_free(f->doors);
    mem_free(f);
}
