/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole configuration of a node (Tomcat: <Engine jvmRoute> and <Cluster> with what is nested in it): a
 * YAML file becomes one struct, filled through the option tables of all modules. All mistakes of a file are
 * told in one run. Immutable once loaded. Main thread, at start-up and reload.
 */
#ifndef CLUSTERD_DAEMON_CONFIG_H
#define CLUSTERD_DAEMON_CONFIG_H

#include "clusterd/channel/interceptor.h"
#include "clusterd/cluster/cluster.h"
#include "clusterd/front/front.h"
#include "clusterd/membership/mcast.h"
#include "clusterd/session/manager.h"
#include "clusterd/transport/receiver.h"
#include "clusterd/transport/transmitter.h"

enum config_section {
    CONFIG_CLUSTER,
    CONFIG_MANAGER,
    CONFIG_MEMBERSHIP,
    CONFIG_RECEIVER,
    CONFIG_SENDER,
    CONFIG_VALVE,
    CONFIG_DEPLOYER,
    CONFIG_LISTENER,
    CONFIG_CONTEXTS,
    CONFIG_CONTEXT,         /* one item of contexts: list: */
    CONFIG_CONTEXT_MANAGER, /* its manager */
    CONFIG_FRONT,
    CONFIG_CONTROL,
    CONFIG_LOG,
    CONFIG_SECTIONS
};

/* Keys of <Cluster> that are nobody else's. */
struct config_engine {
    char *jvm_route; /* NULL = none */
    int32_t min_acks;
    bool prefer_state_transfer;
    uint64_t max_bytes; /* UINT64_MAX = auto */
    bool use_dirty_flag;
};

struct config_valve {
    int class_name;
    char *filter; /* as written; NULL = none */
    bool statistics, primary_indicator;
    char *primary_indicator_name;
};

struct config_contexts {
    bool auto_contexts;
    int32_t max_contexts;
};

struct config_manager {
    struct manager_conf conf;
    bool notify_listeners, notify_session_listeners, notify_container_listeners; /* without effect */
};

struct config_context {
    char *name, *key_prefix; /* key_prefix: NULL = none */
    int32_t database;
    struct config_manager manager;
};

enum config_log_target { CONFIG_LOG_STDERR, CONFIG_LOG_JOURNAL, CONFIG_LOG_AUTO };

struct config_log {
    int level;  /* enum log_level */
    int target; /* enum config_log_target */
};

/* Keys of Tomcat's that are accepted and checked, and mean nothing here. */
struct config_ignored {
    int membership_class, deployer_class, listener_class;
    bool wait_for_ack, send_ack;
    char *temp_dir, *deploy_dir, *watch_dir;
    bool watch_enabled;
    int32_t deploy_frequency, max_valid_time;
};

struct config {
    char *file;
    struct config_engine engine;
    struct cluster_conf cluster;
    struct config_manager manager; /* the default of every context */
    struct mcast_conf membership;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    struct interceptor_spec *interceptors; /* first = nearest the application */
    size_t n_interceptors;
    struct config_valve valve;
    struct option_strings filters; /* the valve's filter as regular expressions that compile */
    struct config_ignored ignored;
    struct config_contexts contexts;
    struct config_context *context_list;
    size_t n_contexts;
    struct front_conf front;
    struct front_control_conf control;
    struct config_log log;
    struct option_spec
        *rows[CONFIG_SECTIONS]; /* of this struct; CONFIG_CONTEXT, _MANAGER: of struct config_context */
};

/* Errors and warnings go to *d, each with file and line. ERR_CONFIG when there was an error. */
fallible config_load_file(const char *path, struct diag *d, struct config **out);
fallible config_load_text(struct span yaml, const char *file, struct diag *d, struct config **out);
void config_free(struct config *c); /* NULL is fine */

/* The effective configuration as a file that would load again to the same; secrets as stars. */
void config_dump(const struct config *c, struct buf *out);
/* Calls fn for each key that differs, with its dotted path; lists of contexts and interceptors as one key,
 * row NULL. */
typedef void (*config_diff_fn)(void *arg, const char *path, const struct option_spec *row);
void config_diff(const struct config *a, const struct config *b, config_diff_fn fn, void *arg);
/*
 * All keys, a line each, fields separated by tabs: section, name, older names, type, default, range or
 * choices, flags (live, secret, required, no-effect; separated by commas), documentation. What
 * docs/man/options.py reads.
 */
void config_options(struct buf *out);

#endif
