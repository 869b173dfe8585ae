/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as the input of a client of a whole front door, on a simulated host. The first byte
 * chooses the door (TCP, unix socket, control socket), whether a password is asked for, and whether the input
 * comes in two pieces. There is a session of a Tomcat among the data. Afterwards another client is served as
 * ever, and once all are gone no connection is left.
 */
#include "clusterd/front/front.h"
#include "clusterd/loop/sim.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/value.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define SOCKET  "/run/clusterd/redis.sock"
#define CONTROL "/run/clusterd/control.sock"
#define PONG    "+PONG\r\n"

struct door {
    struct sim *sim;
    struct host *host, *client_host;
    struct manager *manager;
    struct front *front;
    struct metrics metrics;
    struct front_conf conf;
    struct front_control_conf control;
    struct manager_conf manager_conf;
    bool stopped;
};

struct client {
    struct stream *stream; /* NULL: closed */
    struct buf got;
};

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    struct client *c = arg;

    (void)s;
    if (c->got.n < 65536)
        wr_span(&c->got, in);
    return in.n;
}

static void on_open(struct stream *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void on_close(struct stream *s, void *arg, enum err why)
{
    (void)s;
    (void)why;
    ((struct client *)arg)->stream = NULL;
}

static const struct stream_ops client_ops = {.on_open = on_open, .on_input = on_input, .on_close = on_close};

static void load(const char *yaml, const struct option_spec *rows, void *out)
{
    struct diag d = {0};
    struct conf_node *map = NULL;

    ASSERT(tree_load_text(span_str(yaml), "fuzz", &d, &map) == ERR_OK);
    ASSERT(option_load(map, rows, NULL, out, &d) == ERR_OK);
    tree_free(map);
    diag_fini(&d);
}

/* A session that a Tomcat has made: hidden from clients that may not see it. */
static void add_session(struct door *f)
{
    struct context *context = table_context_find(manager_table(f->manager), SPAN_LIT("localhost#/shop"));
    struct table_now now = table_now(host_main(f->host));
    struct version v = {.time_ms = now.wall_ms, .writer = 7, .seq = 1};
    struct change *c = change_new(context, SPAN_LIT("S"), v);

    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = c->floor = v;
    c->touches = true;
    change_set_number(c, ENTRY_MAX_INACTIVE, 1800, v);
    change_set(c, ENTRY_ATTRIBUTE, SPAN_LIT("a"), value_from_bytes(SPAN_LIT("v")), v);
    change_seal(c);
    ASSERT(table_apply(manager_table(f->manager), c, now) == TABLE_APPLIED);
    change_unref(c);
    atomic_store(&context->seen_on_wire, true);
}

static void begin(struct door *f, bool password)
{
    static const struct manager_context contexts[] = {{.name = "localhost#/shop", .key_prefix = "s:"}};
    struct manager_options o = {.table = {.max_contexts = 20,
                                          .auto_contexts = true,
                                          .tombstone_ms = 600000,
                                          .park_ms = 5000,
                                          .max_bytes = 1 << 20}};
    struct diag d = {0};

    f->sim = sim_new(1);
    f->host = sim_host_new(f->sim, "10.0.0.1", 2);
    f->client_host = sim_host_new(f->sim, "10.0.9.9", 1);
    option_defaults(context_manager_options, &f->manager_conf);
    load(password ? "listen: [\"10.0.0.1:6380\", \"unix:" SOCKET "\"]\nrequirepass: pw\n"
                  : "listen: [\"10.0.0.1:6380\", \"unix:" SOCKET "\"]\n",
         front_options, &f->conf);
    load("socket: " CONTROL, front_control_options, &f->control);
    o.defaults = f->manager_conf;
    f->manager = manager_new(f->host, &o, contexts, 1, &f->metrics);
    ASSERT(front_new(f->manager, &f->conf, &f->control, NULL, &f->metrics, &d, &f->front) == ERR_OK);
    ASSERT(front_start(f->front, &d) == ERR_OK);
    front_set_loading(f->front, false);
    add_session(f);
    diag_fini(&d);
}

static void on_stopped(void *arg)
{
    ((struct door *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
    return ((struct door *)arg)->stopped;
}

static void end(struct door *f)
{
    front_stop(f->front, on_stopped, f);
    ASSERT(sim_run_until(f->sim, is_stopped, f, 60000));
    front_free(f->front);
    manager_free(f->manager);
    sim_host_end(f->sim, f->host);
    sim_host_end(f->sim, f->client_host);
    sim_free(f->sim);
    option_free(front_options, &f->conf);
    option_free(front_control_options, &f->control);
    option_free(context_manager_options, &f->manager_conf);
}

static void dial(struct door *f, struct client *c, const char *path)
{
    struct addr at;

    *c = (struct client){0};
    ASSERT(addr_parse("10.0.0.1:6380", 0, &at) == ERR_OK);
    if (path) {
        at = (struct addr){.family = ADDR_UNIX};
        snprintf(at.path, sizeof at.path, "%s", path);
    }
    c->stream = stream_connect(host_main(path ? f->host : f->client_host), &at, NULL, 5000, &client_ops, c);
    sim_run_ms(f->sim, 2);
}

static void say(struct door *f, struct client *c, struct span s)
{
    if (c->stream && s.n)
        stream_write(c->stream, s);
    sim_run_ms(f->sim, 5);
}

static void hang_up(struct door *f, struct client *c)
{
    if (c->stream)
        stream_abort(c->stream);
    sim_run_ms(f->sim, 2);
    ASSERT(c->stream == NULL);
    buf_fini(&c->got);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_ERROR);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const doors[] = {NULL, SOCKET, CONTROL, SOCKET};
    struct door f = {0};
    struct client hostile, friend;

    if (size < 2)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    size_t first = data[0] & 8 ? in.n / 2 : in.n;
    begin(&f, data[0] & 4);
    dial(&f, &friend, SOCKET);
    dial(&f, &hostile, doors[data[0] & 3]);
    say(&f, &hostile, span_of(in.p, first));
    say(&f, &hostile, span_of(in.p + first, in.n - first));
    if (friend.stream) { /* CLIENT KILL is there to be used */
        buf_clear(&friend.got);
        say(&f, &friend, SPAN_LIT("PING\r\n"));
        ASSERT(data[0] & 4 || span_eq(buf_span(&friend.got), SPAN_LIT(PONG)));
        ASSERT(friend.got.n > 0);
    }
    hang_up(&f, &hostile);
    hang_up(&f, &friend);
    ASSERT(metric_get(&f.metrics, clients_accepted) == 2);
    end(&f);
    return 0;
}
