/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterd: one node on a real host (Tomcat: Bootstrap, Catalina). Command line, configuration, log, signals,
 * what systemd is told; all else is in node.c. Exit statuses are in clusterd(8) and in `clusterd --help`.
 */
#include "clusterd/daemon/node.h"
#include "clusterd/util/list.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

#include "journal.h"
#include "logger.h"
#include "memory.h"
#include "process.h"
#include "reload.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_FILE   "/etc/clusterd/clusterd.yaml"
#define LINGER_MS      5000
#define STOP_MS        12000 /* a stop that takes longer has hung */
#define NOTIFY_WAIT_MS 2000  /* for what the service manager must not miss */
#define EXTEND_MS      5000

enum daemon_exit {
    EXIT_FINE = 0,
    EXIT_CONFIG = 1,
    EXIT_USAGE = 2,
    EXIT_CANNOT_START = 3,
    EXIT_AT_ONCE = 4 /* ended without leaving in order */
};

struct arguments {
    const char *file;
    bool check, options;
};

struct daemon {
    struct config *conf;
    struct logger logger;
    struct host *host;
    struct node *node;
    struct task start_task;
    struct timer extend, watchdog;
    bool stopping, ready;
    int status;
};

/* Command line. */

enum { KEY_CHECK = 0x100, KEY_OPTIONS };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 'c':
        a->file = arg;
        return 0;
    case KEY_CHECK:
        a->check = true;
        return 0;
    case KEY_OPTIONS:
        a->options = true;
        return 0;
    case 'V':
        printf("clusterd %s\n", CLUSTERD_VERSION);
        exit(EXIT_FINE);
    case ARGP_KEY_ARG:
        argp_error(state, "too many words: %s; the configuration file is given with --config", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct arguments parse_line(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"config", 'c', "FILE", 0, "Configuration (" DEFAULT_FILE ")", 0},
        {"check-config", KEY_CHECK, NULL, 0, "Read the configuration, say what is wrong with it, and end", 0},
        {"options", KEY_OPTIONS, NULL, 0, "List every key of the configuration, fields separated by tabs", 0},
        {"version", 'V', NULL, 0, "Show the version", 0},
        {0}};
    static const struct argp parser = {
        options,
        parse,
        NULL,
        "Holds the sessions of a Tomcat cluster, or of web applications that speak to it as to Redis."
        "\vExit status: 0 it left the cluster in order, or the configuration is good; 1 the configuration "
        "has "
        "mistakes; 2 the command line is wrong; 3 it cannot start: a port is in use, there is no such "
        "interface; 4 "
        "it ended at once, by a second signal or because leaving took too long.\n\n"
        "SIGTERM and SIGINT make it leave the cluster in order, SIGHUP makes it read the configuration "
        "again.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.file = DEFAULT_FILE};

    argv[0] = (char[]){"clusterd"}; /* in messages, wherever the program lies */
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &a);
    return a;
}

static int list_options(void)
{
    struct buf text = {0};

    config_options(&text);
    fputs(buf_cstr(&text), stdout);
    buf_fini(&text);
    return fflush(stdout) == 0 ? EXIT_FINE : EXIT_AT_ONCE;
}

static void print_diag(struct diag *d)
{
    if (d->text.n)
        fputs(buf_cstr(&d->text), stderr);
    diag_fini(d);
}

static struct config *load_config(const struct arguments *a)
{
    struct config *c = NULL;
    struct diag d = {0};
    enum err e = config_load_file(a->file, &d, &c);

    if (e != ERR_OK)
        diag_warn(&d, a->file, 0, "%u mistake%s; clusterd.yaml(5) describes every key", d.errors,
                  d.errors == 1 ? "" : "s");
    print_diag(&d);
    return c;
}

/* Running. */

static void on_stopped(void *arg)
{
    struct daemon *d = arg;

    log_info("Stopped");
    host_stop(d->host);
}

static void on_hang(struct timer *t, void *arg)
{
    (void)t;
    (void)arg;
    log_error("Leaving takes too long: ending at once");
    _exit(EXIT_AT_ONCE);
}

static void stop(struct daemon *d, unsigned linger_ms)
{
    if (d->stopping)
        return;
    d->stopping = true;
    journal_notify("STOPPING=1\nSTATUS=leaving the cluster", true);
    timer_stop(&d->extend);
    timer_start(&d->watchdog, STOP_MS);
    node_stop(d->node, linger_ms, on_stopped, d);
}

static void on_end(void *arg, int signal_number)
{
    struct daemon *d = arg;
    const char *name = signal_number == SIGTERM ? "SIGTERM" : "SIGINT";

    if (d->stopping) {
        log_warn("%s again: ending at once", name);
        _exit(EXIT_AT_ONCE);
    }
    log_info("%s: leaving the cluster", name);
    stop(d, LINGER_MS);
}

static void on_reload(void *arg, int signal_number)
{
    struct daemon *d = arg;
    struct buf text = {0};

    (void)signal_number;
    reload_run(d->conf);
    config_dump(d->conf, &text);
    node_set_config_text(d->node, buf_span(&text));
    buf_fini(&text);
}

static void on_ready(void *arg)
{
    struct daemon *d = arg;

    d->ready = true;
    timer_stop(&d->extend);
    journal_notify("READY=1", true);
    log_info("Ready");
}

static void on_status(void *arg, const char *line)
{
    char text[320];

    (void)arg;
    snprintf(text, sizeof text, "STATUS=%s", line);
    journal_notify(text, false);
}

static void on_leave(void *arg)
{
    log_info("An operator asked this node to leave the cluster");
    stop(arg, LINGER_MS);
}

static void add_status(void *arg, struct buf *out)
{
    struct daemon *d = arg;

    wr_printf(out, "pid: %ld\n", (long)getpid());
    wr_printf(out, "log_lines_lost: %llu\n", logger_lost(&d->logger));
}

/* A state transfer may take longer than systemd waits for a start. */
static void on_extend(struct timer *t, void *arg)
{
    (void)arg;
    journal_notify("EXTEND_TIMEOUT_USEC=30000000", false);
    timer_start(t, EXTEND_MS);
}

static void cannot_start(struct daemon *d, struct diag *why)
{
    d->status = EXIT_CANNOT_START;
    reload_log_diag(why, LOG_ERROR);
    log_error("clusterd cannot start");
}

static void run_start(struct task *t, bool cancelled)
{
    struct daemon *d = CONTAINER_OF(t, struct daemon, start_task);
    struct diag why = {0};

    if (cancelled || d->stopping)
        return;
    timer_start(&d->extend, EXTEND_MS);
    if (node_start(d->node, &why) == ERR_OK) {
        reload_log_diag(&why, LOG_WARN);
    } else {
        cannot_start(d, &why);
        stop(d, 0);
    }
    diag_fini(&why);
}

static void log_configuration(const struct config *c, unsigned workers, uint64_t auto_bytes, const char *what)
{
    log_info("clusterd %s starts with %s: cluster %s, %u worker%s", CLUSTERD_VERSION, c->file,
             c->cluster.name && *c->cluster.name ? c->cluster.name : "without a name", workers,
             workers == 1 ? "" : "s");
    if (c->engine.max_bytes == UINT64_MAX && auto_bytes)
        log_info("maxBytes: auto is %llu MiB, half of what the %s has",
                 (unsigned long long)(auto_bytes >> 20), what);
    else if (c->engine.max_bytes == UINT64_MAX)
        log_warn("maxBytes: auto finds no limit: sessions may fill the memory of this machine");
    if (c->filters.n > 1)
        log_info("filter: taken as a list of %zu expressions separated by ';', as Tomcat 5 does; later "
                 "Tomcats take it "
                 "for one expression",
                 c->filters.n);
}

static const struct node_events node_events = {
    .on_ready = on_ready, .on_status = on_status, .on_leave = on_leave, .add_status = add_status};

static void run_host(struct daemon *d)
{
    struct loop *main_loop = host_main(d->host);

    timer_init(&d->extend, main_loop, on_extend, d);
    timer_init(&d->watchdog, main_loop, on_hang, d);
    d->start_task.run = run_start;
    loop_post(main_loop, &d->start_task);
    host_run(d->host);
    timer_fini(&d->extend);
    timer_fini(&d->watchdog);
    node_free(d->node);
}

static int run(struct config *conf)
{
    struct daemon d = {.conf = conf};
    struct diag why = {0};
    const char *what;
    unsigned workers = node_workers(conf, process_cores());
    uint64_t auto_bytes = memory_limit_bytes("", &what) / 2;

    log_set_level((enum log_level)conf->log.level);
    if (!logger_start(&d.logger, (enum logger_target)conf->log.target))
        log_warn("log: target: the journal cannot be reached; the log goes to stderr");
    mem_tune(workers);
    d.host = host_new_real(workers);
    logger_set_clock(&d.logger, host_main(d.host));
    host_on_signal(d.host, SIGTERM, on_end, &d); /* they come in once the loop runs, and the node is there */
    host_on_signal(d.host, SIGINT, on_end, &d);
    host_on_signal(d.host, SIGHUP, on_reload, &d);
    log_configuration(conf, workers, auto_bytes, what);
    if (node_new(d.host, conf, auto_bytes, &node_events, &d, &why, &d.node) == ERR_OK) {
        reload_log_diag(&why, LOG_WARN);
        run_host(&d);
    } else {
        cannot_start(&d, &why);
    }
    diag_fini(&why);
    logger_set_clock(&d.logger, NULL);
    host_free(d.host);
    logger_stop(&d.logger);
    return d.status;
}

int main(int argc, char **argv)
{
    process_open_streams();
    struct arguments a = parse_line(argc, argv);
    if (a.options)
        return list_options();
    struct config *conf = load_config(&a);
    if (!conf)
        return EXIT_CONFIG;
    int status = EXIT_FINE;
    if (a.check) {
        printf("%s: OK\n", a.file);
    } else {
        process_harden();
        status = run(conf);
    }
    config_free(conf);
    return status;
}
