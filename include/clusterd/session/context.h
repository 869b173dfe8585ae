/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context: a named set of sessions (Tomcat: the manager's name, "localhost#/app"). Configured ones exist
 * from the start; others are made at first sight while contexts.auto allows it, at most maxContexts.
 * Front-door keys that no prefix claims live in contexts of their own ("redis/0" .. "redis/15"), which are
 * never shown to a Tomcat. Contexts are never removed while the node runs; pointers stay valid. Any thread.
 */
#ifndef CLUSTERD_SESSION_CONTEXT_H
#define CLUSTERD_SESSION_CONTEXT_H

#include "clusterd/conf/option.h"
#include "clusterd/util/bytes.h"

struct manager_conf { /* attributes of <Manager>, Tomcat's names */
    int class_name;   /* DeltaManager is the only one */
    bool expire_sessions_on_shutdown;
    int64_t state_transfer_timeout_s; /* 60; -1 = for ever */
    bool send_all_sessions;           /* accepted for Tomcat's sake: blocks are always small here */
    int32_t send_all_sessions_size;
    int64_t send_all_sessions_wait_ms;
    bool state_timestamp_drop;
    int32_t max_active_sessions; /* -1 = no limit */
    int64_t max_inactive_s;      /* ours, 1800: for sessions whose creator did not say */
};
extern const struct option_spec context_manager_options[];

struct context {
    char *name;
    uint32_t index;         /* of this node only */
    uint64_t name_hash;     /* stable */
    struct span key_prefix; /* of front-door keys; n = 0: none */
    unsigned database;      /* front-door database that the prefix belongs to */
    bool internal;          /* front door only: never sent to a Tomcat */
    bool configured;
    struct manager_conf manager;
    atomic_llong sessions; /* held and alive */
    atomic_bool seen_on_wire;
    atomic_llong asked_ms; /* cluster time at which Tomcats were asked for its sessions last */
    atomic_bool complete;  /* every session that others hold is held here too, as far as is known */
};

#endif
