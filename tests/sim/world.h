/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated cluster: whole clusterd nodes (daemon/node.h) and Tomcat-like members on simulated hosts, with
 * a model beside them that knows what every session must hold in the end. Everything follows from one seed.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "clusterd/daemon/node.h"
#include "clusterd/loop/sim.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/list.h"

#include <stdarg.h>

#define WORLD_NODES_MAX 8
#define WORLD_KEYS      24
#define WORLD_MOVERS    4
#define WORLD_CONTEXT   "localhost#/app"

struct world;

struct world_node {
    struct world *world;
    unsigned index;
    char ip[32];
    struct host *host;
    struct config *conf;
    struct node *node;
    bool up, ready, stopping, paused;
    unsigned lives;
};

/* One key that front doors write increasing numbers to, through whatever node; one write at a time. */
struct world_key {
    struct world *world;
    char id[32];
    bool busy;
    int64_t issued; /* last number handed to a node; < 0: its end */
    int64_t acked;  /* last number acknowledged; readers must see it or a later one */
    bool ended, ended_acked;
    int64_t next;
};

/* A session that changes its id again and again, on one node, faster than the members hear of it. Tomcats
 * must follow. */
struct world_mover {
    struct world *world;
    unsigned index, serial, generation;
    struct world_node *node; /* NULL: to be begun anew */
    unsigned life;           /* of the node */
    char id[48];
    int64_t number;
    bool busy;
};

struct world_conf {
    unsigned n_nodes, n_tomcats;
    bool sync;
    unsigned loss_percent;
    bool skew;
    unsigned kills;    /* how often a node is killed and started again */
    unsigned steps_ms; /* length of the busy phase, virtual */
};

struct world {
    struct sim *sim;
    struct world_conf conf;
    uint64_t seed;
    struct world_node nodes[WORLD_NODES_MAX];
    struct world_key keys[WORLD_KEYS];
    struct world_mover movers[WORLD_MOVERS];
    struct tomcat *tomcats[4];
    unsigned writes, acks, reads, kills;
    char failure[4096]; /* what was broken; empty = nothing */
};

void world_run(struct world *w); /* the whole of it; afterwards look at w->failure */
void world_free(struct world *w);
void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
uint32_t world_rnd(struct world *w, uint32_t bound);

/* A member that behaves as a Tomcat with a DeltaManager does: applies messages in order of arrival, sends its
 * own with no order between them, knows nothing of versions. tomcat.c */
struct tomcat *tomcat_start(struct world *w, const char *ip, unsigned index, int64_t wall_offset_ms);
void tomcat_step(struct tomcat *t); /* maybe begins a request: create, set, remove, change id, log in, end */
void tomcat_quiesce(struct tomcat *t);
bool tomcat_is_idle(const struct tomcat *t); /* all its messages are out */
void tomcat_stop(struct tomcat *t);
/* What it made must stand on this node exactly so. */
void tomcat_check(struct tomcat *t, struct world_node *n);
/* What clusterd nodes wrote must stand here, as a Tomcat holds it. */
void tomcat_check_replica(struct tomcat *t);
void tomcat_check_mover(struct tomcat *t, const struct world_mover *m);

#endif
