/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the configuration; see config.h. A section of the file is a row of section_table: where it
 * stands and which modules' option tables fill it. Tables that share a section are joined into one, with
 * offsets into struct config, so that loading, dumping, comparing and freeing are loops over rows. Lists
 * (contexts, interceptors) and the valve's expressions are in config_lists.c and config_filter.c.
 */
#include "clusterd/daemon/config.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"

#include "config_parts.h"

#include <stdio.h>

#define ROOT (-1)

static const char *const no_sections[] = {NULL};
static const char *const root_sections[] = {"cluster", "contexts", "frontDoor", "control", "log", NULL};
/* Besides its sections, what Tomcat 5 has in <Cluster> and later ones in <Manager>, and Tomcat 6's <Channel>.
 */
static const char *const cluster_sections[] = {"manager",
                                               "membership",
                                               "receiver",
                                               "sender",
                                               "interceptors",
                                               "valve",
                                               "deployer",
                                               "clusterListener",
                                               "managerClassName",
                                               "expireSessionsOnShutdown",
                                               "notifyListenersOnReplication",
                                               "channel",
                                               NULL};
static const char *const contexts_sections[] = {"list", NULL};
static const char *const context_sections[] = {"manager", NULL};

static enum err check_route(const char *text, void *field, const char **why)
{
    (void)field;
    *why = "must be a word without blanks, ';', ',' and '!'";
    if (!*text)
        return ERR_BAD;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c == 0x7f || *c == ';' || *c == ',' || *c == '!')
            return ERR_BAD;
    return ERR_OK;
}

static enum err check_key_prefix(const char *text, void *field, const char **why)
{
    (void)field;
    *why = "must be from 1 to 256 bytes";
    return *text && strlen(text) <= 256 ? ERR_OK : ERR_BAD;
}

static enum err check_context_name(const char *text, void *field, const char **why)
{
    (void)field;
    *why = "must be the name of a Tomcat manager, HOST#/PATH, from 1 to 1024 bytes without blanks";
    return *text && strlen(text) <= 1024 && !strpbrk(text, " \t\r\n") ? ERR_OK : ERR_BAD;
}

static const char *const membership_classes[] = {"McastService", NULL};
static const char *const valve_classes[] = {"ReplicationValve", NULL};
static const char *const deployer_classes[] = {"FarmWarDeployer", NULL};
static const char *const listener_classes[] = {"ClusterSessionListener", "JvmRouteSessionIDBinderListener",
                                               NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_targets[] = {"stderr", "journal", "auto", NULL};

static const struct option_spec engine_rows[] = {
    {.name = "jvmRoute",
     .type = OPTION_STRING,
     OPTION_AT(struct config_engine, jvm_route),
     .parse = check_route,
     .doc = "name of this node in session ids, as Engine has it in Tomcat; keep it free of dots"},
    {.name = "minAcks",
     .type = OPTION_INT,
     OPTION_AT(struct config_engine, min_acks),
     .def = "0",
     .max = 1000,
     .doc = "A write that fewer members have acknowledged is answered -NOREPLICAS"},
    {.name = "preferStateTransfer",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_engine, prefer_state_transfer),
     .def = "true",
     .doc = "announce to be the oldest member once complete, so that starting Tomcats ask this node for "
            "sessions"},
    {.name = "maxBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct config_engine, max_bytes),
     .def = "auto",
     .min = 64 * 1024,
     .max = INT64_MAX,
     .flags = OPTION_AUTO,
     .doc = "memory for sessions; auto is half of what the process may use (cgroup, else the machine)"},
    {.name = "useDirtyFlag",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_engine, use_dirty_flag),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "tomcat 5: send a session only when it was changed; the front door sees every change"},
    {0}};

static const struct option_spec membership_rows[] = {{.name = "className",
                                                      .type = OPTION_CLASS,
                                                      OPTION_AT(struct config_ignored, membership_class),
                                                      .def = "McastService",
                                                      .names = membership_classes,
                                                      .doc = "how members find each other"},
                                                     {0}};

static const struct option_spec sender_rows[] = {
    {.name = "waitForAck",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_ignored, wait_for_ack),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat 5: wait for acknowledgements; here channelSendOptions say so"},
    {0}};

static const struct option_spec receiver_rows[] = {
    {.name = "sendAck",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_ignored, send_ack),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat 5: acknowledge messages; here each message says whether it wants that"},
    {0}};

static const struct option_spec valve_rows[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     OPTION_AT(struct config_valve, class_name),
     .def = "ReplicationValve",
     .names = valve_classes,
     .doc = "the kind of valve"},
    {.name = "filter",
     .type = OPTION_STRING,
     OPTION_AT(struct config_valve, filter),
     .doc = "requests whose whole URI matches change no session: one regular expression, or several, each "
            "followed "
            "by a semicolon, as in Tomcat 5"},
    {.name = "statistics",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_valve, statistics),
     .def = "false",
     .flags = OPTION_NO_EFFECT,
     .doc = "count requests in Tomcat's valve"},
    {.name = "primaryIndicator",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_valve, primary_indicator),
     .def = "false",
     .flags = OPTION_NO_EFFECT,
     .doc = "tell the web application whether this node is the session's primary"},
    {.name = "primaryIndicatorName",
     .type = OPTION_STRING,
     OPTION_AT(struct config_valve, primary_indicator_name),
     .def = "org.apache.catalina.ha.tcp.isPrimarySession",
     .flags = OPTION_NO_EFFECT,
     .doc = "name of the request attribute that tells so"},
    {0}};

static const struct option_spec manager_rows[] = {
    {.name = "notifyListenersOnReplication",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_manager, notify_listeners),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "tell a web application's listeners of replicated attributes; there are none here"},
    {.name = "notifySessionListenersOnReplication",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_manager, notify_session_listeners),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "the same for replicated sessions"},
    {.name = "notifyContainerListenersOnReplication",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_manager, notify_container_listeners),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "the same for the container's listeners"},
    {0}};

static const struct option_spec deployer_rows[] = {{.name = "className",
                                                    .type = OPTION_CLASS,
                                                    OPTION_AT(struct config_ignored, deployer_class),
                                                    .def = "FarmWarDeployer",
                                                    .names = deployer_classes,
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "clusterd holds sessions and deploys nothing"},
                                                   {.name = "tempDir",
                                                    .type = OPTION_STRING,
                                                    OPTION_AT(struct config_ignored, temp_dir),
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "folder for received pieces"},
                                                   {.name = "deployDir",
                                                    .type = OPTION_STRING,
                                                    OPTION_AT(struct config_ignored, deploy_dir),
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "folder to deploy to"},
                                                   {.name = "watchDir",
                                                    .type = OPTION_STRING,
                                                    OPTION_AT(struct config_ignored, watch_dir),
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "folder to watch"},
                                                   {.name = "watchEnabled",
                                                    .type = OPTION_BOOL,
                                                    OPTION_AT(struct config_ignored, watch_enabled),
                                                    .def = "false",
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "watch the folder"},
                                                   {.name = "processDeployFrequency",
                                                    .type = OPTION_INT,
                                                    OPTION_AT(struct config_ignored, deploy_frequency),
                                                    .def = "2",
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "how often to look"},
                                                   {.name = "maxValidTime",
                                                    .type = OPTION_INT,
                                                    OPTION_AT(struct config_ignored, max_valid_time),
                                                    .def = "300",
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "seconds that an unfinished file is kept"},
                                                   {0}};

static const struct option_spec listener_rows[] = {{.name = "className",
                                                    .type = OPTION_CLASS,
                                                    OPTION_AT(struct config_ignored, listener_class),
                                                    .def = "ClusterSessionListener",
                                                    .names = listener_classes,
                                                    .flags = OPTION_NO_EFFECT,
                                                    .doc = "clusterd always listens to session messages"},
                                                   {0}};

static const struct option_spec contexts_rows[] = {
    {.name = "auto",
     .type = OPTION_BOOL,
     OPTION_AT(struct config_contexts, auto_contexts),
     .def = "true",
     .doc = "keep the sessions of contexts that are first seen in a message from a member"},
    {.name = "maxContexts",
     .type = OPTION_INT,
     OPTION_AT(struct config_contexts, max_contexts),
     .def = "1000",
     .min = 1,
     .max = 1000000,
     .doc = "how many contexts are kept at most; the messages of further ones are refused and counted"},
    {0}};

static const struct option_spec context_rows[] = {
    {.name = "name",
     .type = OPTION_STRING,
     OPTION_AT(struct config_context, name),
     .parse = check_context_name,
     .flags = OPTION_REQUIRED,
     .doc = "name of the context as Tomcat's manager has it: host, #, path (localhost#/app; localhost# for "
            "ROOT)"},
    {.name = "keyPrefix",
     .type = OPTION_STRING,
     OPTION_AT(struct config_context, key_prefix),
     .parse = check_key_prefix,
     .doc = "front-door keys with this prefix are sessions of this context; what follows the prefix is the "
            "session id"},
    {.name = "database",
     .type = OPTION_INT,
     OPTION_AT(struct config_context, database),
     .def = "0",
     .max = 15,
     .doc = "front-door database (SELECT) that the prefix belongs to"},
    {0}};

static const struct option_spec log_rows[] = {
    {.name = "level",
     .type = OPTION_ENUM,
     OPTION_AT(struct config_log, level),
     .def = "info",
     .names = log_levels,
     .flags = OPTION_LIVE,
     .doc = "the least important kind of line that is written"},
    {.name = "target",
     .type = OPTION_ENUM,
     OPTION_AT(struct config_log, target),
     .def = "auto",
     .names = log_targets,
     .doc = "where the log goes; auto is the journal under systemd, else stderr"},
    {0}};

#define TABLE(table, field)                                   \
    {                                                         \
        .rows = (table), .at = offsetof(struct config, field) \
    }

/* Rows of a later table whose name an earlier one has are left out. */
static const struct section {
    int parent; /* enum config_section, or ROOT */
    const char *key, *path;
    const char *const *subsections;
    struct {
        const struct option_spec *rows;
        size_t at;
    } tables[2];
    bool hidden; /* not dumped */
} section_table[CONFIG_SECTIONS] = {
    [CONFIG_CLUSTER] = {ROOT,
                        "cluster",
                        "cluster",
                        cluster_sections,
                        {TABLE(cluster_options, cluster), TABLE(engine_rows, engine)},
                        false},
    [CONFIG_MANAGER] = {CONFIG_CLUSTER,
                        "manager",
                        "cluster.manager",
                        no_sections,
                        {TABLE(context_manager_options, manager.conf), TABLE(manager_rows, manager)},
                        false},
    [CONFIG_MEMBERSHIP] = {CONFIG_CLUSTER,
                           "membership",
                           "cluster.membership",
                           no_sections,
                           {TABLE(mcast_options, membership), TABLE(membership_rows, ignored)},
                           false},
    [CONFIG_RECEIVER] = {CONFIG_CLUSTER,
                         "receiver",
                         "cluster.receiver",
                         no_sections,
                         {TABLE(receiver_options, receiver), TABLE(receiver_rows, ignored)},
                         false},
    [CONFIG_SENDER] = {CONFIG_CLUSTER,
                       "sender",
                       "cluster.sender",
                       no_sections,
                       {TABLE(transmitter_options, sender), TABLE(sender_rows, ignored)},
                       false},
    [CONFIG_VALVE] =
        {CONFIG_CLUSTER, "valve", "cluster.valve", no_sections, {TABLE(valve_rows, valve)}, false},
    [CONFIG_DEPLOYER] =
        {CONFIG_CLUSTER, "deployer", "cluster.deployer", no_sections, {TABLE(deployer_rows, ignored)}, true},
    [CONFIG_LISTENER] = {CONFIG_CLUSTER,
                         "clusterListener",
                         "cluster.clusterListener",
                         no_sections,
                         {TABLE(listener_rows, ignored)},
                         true},
    [CONFIG_CONTEXTS] =
        {ROOT, "contexts", "contexts", contexts_sections, {TABLE(contexts_rows, contexts)}, false},
    [CONFIG_CONTEXT] =
        {CONFIG_CONTEXTS, "list", "contexts.list", context_sections, {{context_rows, 0}}, true},
    [CONFIG_CONTEXT_MANAGER] = {CONFIG_CONTEXT,
                                "manager",
                                "contexts.list.manager",
                                no_sections,
                                {{context_manager_options, offsetof(struct config_context, manager.conf)},
                                 {manager_rows, offsetof(struct config_context, manager)}},
                                true},
    [CONFIG_FRONT] = {ROOT, "frontDoor", "frontDoor", no_sections, {TABLE(front_options, front)}, false},
    [CONFIG_CONTROL] =
        {ROOT, "control", "control", no_sections, {TABLE(front_control_options, control)}, false},
    [CONFIG_LOG] = {ROOT, "log", "log", no_sections, {TABLE(log_rows, log)}, false},
};

static size_t count_rows(const struct option_spec *rows)
{
    size_t n = 0;

    while (rows && rows[n].name)
        n++;
    return n;
}

/* The tables of a section as one, with offsets from the beginning of the whole struct. */
static struct option_spec *join_rows(const struct section *s)
{
    size_t max = count_rows(s->tables[0].rows) + count_rows(s->tables[1].rows), n = 0;
    struct option_spec *all = mem_array(max + 1, sizeof *all);

    for (size_t t = 0; t < 2; t++) {
        for (const struct option_spec *row = s->tables[t].rows; row && row->name; row++) {
            if (option_find(all, row->name))
                continue;
            all[n] = *row;
            all[n++].offset += s->tables[t].at;
        }
    }
    return all;
}

static void join_all(struct option_spec *rows[CONFIG_SECTIONS])
{
    for (size_t i = 0; i < CONFIG_SECTIONS; i++)
        rows[i] = join_rows(&section_table[i]);
}

static void free_rows(struct option_spec *rows[CONFIG_SECTIONS])
{
    for (size_t i = 0; i < CONFIG_SECTIONS; i++)
        mem_free(rows[i]);
}

/* Rows of struct config_context; all others are of struct config. */
static bool is_of_context(size_t section)
{
    return section == CONFIG_CONTEXT || section == CONFIG_CONTEXT_MANAGER;
}

/* Where later Tomcats have <Channel>, clusterd has none: what is inside stands directly below cluster. */
static void refuse_channel(const struct conf_node *cluster, struct diag *d)
{
    const struct conf_node *n = tree_find(cluster, "channel");

    if (n)
        diag_error(d, n->file, n->line,
                   "channel: write membership, receiver, sender and interceptors directly below cluster");
}

static void check_combinations(const struct config *c, const struct conf_node *maps[CONFIG_SECTIONS],
                               struct diag *d)
{
    const struct conf_node *at = tree_find(maps[CONFIG_CLUSTER], "jvmRoute");

    if (at && c->engine.jvm_route && strchr(c->engine.jvm_route, '.'))
        diag_warn(d, at->file, at->line,
                  "jvmRoute: %s contains a dot: Tomcat and mod_proxy take the route from the first dot of a "
                  "session "
                  "id on, mod_jk and HAProxy from the last; choose a name without dots",
                  c->engine.jvm_route);
    at = tree_find(maps[CONFIG_CLUSTER], "minAcks");
    if (at && c->engine.min_acks > 0 && !(c->cluster.send_options & SEND_USE_ACK))
        diag_warn(d, at->file, at->line,
                  "minAcks: members acknowledge nothing under these channelSendOptions; write \"use_ack\" or "
                  "\"sync,use_ack\" there");
    at = maps[CONFIG_MEMBERSHIP];
    if (at && c->membership.drop_time_ms < 2 * c->membership.frequency_ms)
        diag_warn(d, at->file, at->line,
                  "membership: dropTime is less than twice the frequency: one lost heartbeat looks like a "
                  "dead member");
}

static void load_sections(struct config *c, const struct conf_node *root, struct diag *d)
{
    static const struct option_spec none[] = {{0}};
    const struct conf_node *maps[CONFIG_SECTIONS] = {0};
    enum err e =
        option_load(root, none, root_sections, c, d); /* what is known on top; each section reports its own */

    (void)e;
    for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
        const struct section *s = &section_table[i];
        const struct conf_node *parent = s->parent == ROOT ? root : maps[s->parent];
        if (is_of_context(i))
            continue;
        maps[i] = tree_section(parent, s->key, CONF_MAP, d);
    }
    refuse_channel(maps[CONFIG_CLUSTER], d);
    struct conf_node *manager =
        config_parts_manager_map(maps[CONFIG_CLUSTER], maps[CONFIG_MANAGER], c->rows[CONFIG_MANAGER], d);
    maps[CONFIG_MANAGER] = manager;
    bool manager_ok = true;
    for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
        if (is_of_context(i))
            continue;
        e = option_load(maps[i], c->rows[i], section_table[i].subsections, c, d);
        if (i == CONFIG_MANAGER)
            manager_ok = e == ERR_OK;
    }
    config_parts_contexts(c, maps[CONFIG_CONTEXTS], manager_ok ? manager : NULL, context_sections, d);
    config_parts_interceptors(c, maps[CONFIG_CLUSTER], d);
    config_filter_load(c, maps[CONFIG_VALVE], d);
    check_combinations(c, maps, d);
    config_parts_free_map(manager);
}

static enum err load(struct conf_node *root_taken, const char *file, struct diag *d, struct config **out)
{
    struct config *c = MEM_NEW(struct config);
    unsigned before = d->errors;

    c->file = mem_strdup(file);
    join_all(c->rows);
    load_sections(c, root_taken, d);
    tree_free(root_taken);
    if (d->errors != before) {
        config_free(c);
        return ERR_CONFIG;
    }
    *out = c;
    return ERR_OK;
}

enum err config_load_file(const char *path, struct diag *d, struct config **out)
{
    struct conf_node *root;

    TRY(tree_load_file(path, d, &root));
    return load(root, path, d, out);
}

enum err config_load_text(struct span yaml, const char *file, struct diag *d, struct config **out)
{
    struct conf_node *root;

    TRY(tree_load_text(yaml, file, d, &root));
    return load(root, file, d, out);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    config_parts_free(c);
    config_filter_free(c);
    for (size_t i = 0; i < CONFIG_SECTIONS; i++)
        if (!is_of_context(i))
            option_free(c->rows[i], c);
    free_rows(c->rows);
    mem_free(c->file);
    mem_free(c);
}

void config_dump(const struct config *c, struct buf *out)
{
    for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
        const struct section *s = &section_table[i];
        unsigned indent = s->parent == ROOT ? 0 : 2;
        if (i == CONFIG_CONTEXTS)
            config_parts_dump_interceptors(c, out);
        if (!s->hidden) {
            wr_printf(out, "%*s%s:\n", (int)indent, "", s->key);
            option_dump(c->rows[i], c, indent + 2, false, out);
        }
        if (i == CONFIG_CONTEXTS)
            config_parts_dump_contexts(c, out);
    }
}

static void diff_list(const struct config *a, const struct config *b,
                      void (*dump)(const struct config *, struct buf *), const char *path, config_diff_fn fn,
                      void *arg)
{
    struct buf ta = {0}, tb = {0};

    dump(a, &ta);
    dump(b, &tb);
    if (!span_eq(buf_span(&ta), buf_span(&tb)))
        fn(arg, path, NULL);
    buf_fini(&ta);
    buf_fini(&tb);
}

void config_diff(const struct config *a, const struct config *b, config_diff_fn fn, void *arg)
{
    char path[128];

    for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
        if (is_of_context(i))
            continue;
        for (const struct option_spec *row = a->rows[i]; row->name; row++) {
            if (option_equal(row, a, b))
                continue;
            snprintf(path, sizeof path, "%s.%s", section_table[i].path, row->name);
            fn(arg, path, row);
        }
    }
    diff_list(a, b, config_parts_dump_interceptors, "cluster.interceptors", fn, arg);
    diff_list(a, b, config_parts_dump_contexts, "contexts.list", fn, arg);
}

void config_options(struct buf *out)
{
    struct option_spec *rows[CONFIG_SECTIONS];

    join_all(rows);
    for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
        if (i == CONFIG_CONTEXTS)
            config_parts_interceptor_options(out);
        if (i != CONFIG_CONTEXT_MANAGER) /* the same keys as cluster.manager */
            config_parts_options(section_table[i].path, rows[i], out);
    }
    free_rows(rows);
}
