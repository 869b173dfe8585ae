/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is started within a second or two: clusterd nodes, and Tomcats whose manager asks the member
 * that runs longest for its sessions as DeltaManager.getAllClusterSessions does. While it waits for the
 * answer it keeps requests of others, and then drops them; before it starts it answers that there is no such
 * manager. Two Tomcats alone can so wait for each other until their time-out (the run shows that first, so
 * that the rule is known to be modelled). With clusterd nodes among them nobody may wait for long.
 *
 *   sim_at_once [--seeds N] [--from N] [--verbose]
 *
 * Prints the longest times; status 1 when somebody waited.
 */
#include "bare_member.h"
#include "plain_node.h"

#include "clusterd/util/hash.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/session.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES       2
#define TOMCATS     2
#define TIME_OUT_MS 60000 /* stateTransferTimeout */
#define LONG_MS     15000
#define STARTS_MS   1500 /* within which all are started */
#define DEPLOY_MS   2000 /* from the channel's start to the manager's, at most */
/* When no channel still starts; in every other run both managers start soon after. */
#define TOGETHER_MS 3600
#define GIVE_UP_MS  200000

enum phase { PHASE_CHANNEL, PHASE_WAITING, PHASE_DONE };

/* A Tomcat that starts, of whom only the manager's start is of interest. */
struct starting_tomcat {
    struct bare_member member;
    struct timer manager, time_out;
    enum phase phase;
    uint64_t asked_ms, waited_ms;
};

static struct sim *sim;
static struct plain_node nodes[NODES];
static struct starting_tomcat tomcats[TOMCATS];
static uint64_t chance;
static unsigned together_ms; /* 0: each manager starts when its application is deployed */

static unsigned rnd(unsigned bound)
{
    chance = hash_mix(chance, 0xa70ce);
    return (unsigned)(chance % bound);
}

/* --- a Tomcat --- */

static void end_wait(struct starting_tomcat *t)
{
    if (t->phase != PHASE_WAITING)
        return;
    t->phase = PHASE_DONE;
    t->waited_ms = sim_now_us(sim) / 1000 - t->asked_ms;
}

static void on_time_out(struct timer *timer, void *arg)
{
    (void)timer;
    end_wait(arg);
}

static void on_manager_start(struct timer *timer, void *arg)
{
    struct starting_tomcat *t = arg;
    struct view *v = channel_view(t->member.channel);
    struct member *oldest = NULL;

    (void)timer;
    for (size_t i = 0; i < v->n; i++)
        if (!oldest || atomic_load(&v->members[i]->alive_ms) > atomic_load(&oldest->alive_ms))
            oldest = v->members[i];
    t->asked_ms = sim_now_us(sim) / 1000;
    t->phase = oldest ? PHASE_WAITING : PHASE_DONE;
    if (oldest) {
        log_debug("tomcat %d asks %s", (int)(t - tomcats), oldest->name);
        bare_member_say(&t->member, host_main(t->member.host), oldest, SESSION_GET_ALL, PLAIN_CONTEXT);
        timer_start(&t->time_out, TIME_OUT_MS);
    }
    view_unref(v);
}

static enum err on_message(void *arg, const struct received *m)
{
    struct starting_tomcat *t = arg;
    struct session_msg msg;

    if (!bare_member_read(&t->member, m, &msg))
        return ERR_OK;
    if (msg.event == SESSION_TRANSFER_COMPLETE || msg.event == SESSION_NO_CONTEXT_MANAGER)
        end_wait(t);
    else if (msg.event == SESSION_GET_ALL && m->source && t->phase == PHASE_CHANNEL)
        bare_member_say(&t->member, m->loop, m->source, SESSION_NO_CONTEXT_MANAGER, PLAIN_CONTEXT);
    else if (msg.event == SESSION_GET_ALL && m->source && msg.has_context && t->phase == PHASE_DONE)
        bare_member_say(&t->member, m->loop, m->source, SESSION_TRANSFER_COMPLETE, PLAIN_CONTEXT);
    session_msg_fini(&msg);
    return ERR_OK;
}

static void on_channel_started(void *arg)
{
    struct starting_tomcat *t = arg;

    uint64_t now_ms = sim_now_us(sim) / 1000;

    timer_start(&t->manager, together_ms > now_ms ? (unsigned)(together_ms - now_ms) : rnd(DEPLOY_MS));
}

static void begin_tomcat(struct starting_tomcat *t, unsigned index)
{
    struct diag d = {0};
    char ip[32];

    snprintf(ip, sizeof ip, "10.0.1.%u", index + 1);
    ASSERT(bare_member_start(&t->member, sim, ip, 0, on_message, on_channel_started, t, &d));
    timer_init(&t->manager, host_main(t->member.host), on_manager_start, t);
    timer_init(&t->time_out, host_main(t->member.host), on_time_out, t);
    diag_fini(&d);
}

/* --- a run --- */

static bool all_up(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < NODES; i++)
        if (nodes[i].node && !nodes[i].ready)
            return false;
    for (unsigned i = 0; i < TOMCATS; i++)
        if (tomcats[i].phase != PHASE_DONE)
            return false;
    return true;
}

static void end_all(void)
{
    for (unsigned i = 0; i < TOMCATS; i++) {
        struct starting_tomcat *t = &tomcats[i];
        ASSERT(bare_member_stop(&t->member));
        timer_fini(&t->manager);
        timer_fini(&t->time_out);
        bare_member_free(&t->member);
        *t = (struct starting_tomcat){0};
    }
    for (unsigned i = 0; i < NODES && nodes[i].node; i++)
        plain_node_end(&nodes[i]);
    sim_free(sim);
}

struct longest {
    uint64_t tomcat_ms, node_ms;
};

/* Starts them in an order and at times that the seed draws. False: somebody never came up. */
static bool run(uint64_t seed, bool with_nodes, struct longest *longest)
{
    unsigned at[NODES + TOMCATS];
    bool up;

    chance = seed;
    together_ms = seed % 2 ? TOGETHER_MS + rnd(DEPLOY_MS) : 0;
    sim = sim_new(seed);
    for (unsigned i = 0; i < NODES + TOMCATS; i++)
        at[i] = rnd(STARTS_MS);
    for (unsigned ms = 0; ms < STARTS_MS; ms++) {
        for (unsigned i = 0; i < NODES; i++)
            if (with_nodes && at[i] == ms)
                plain_node_start(&nodes[i], sim, i);
        for (unsigned i = 0; i < TOMCATS; i++)
            if (at[NODES + i] == ms)
                begin_tomcat(&tomcats[i], i);
        sim_run_ms(sim, 1);
    }
    up = sim_run_until(sim, all_up, NULL, GIVE_UP_MS);
    for (unsigned i = 0; i < TOMCATS; i++)
        if (tomcats[i].waited_ms > longest->tomcat_ms)
            longest->tomcat_ms = tomcats[i].waited_ms;
    for (unsigned i = 0; with_nodes && i < NODES; i++)
        if (nodes[i].ready_ms > longest->node_ms)
            longest->node_ms = nodes[i].ready_ms;
    end_all();
    return up;
}

static void to_stderr(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    fprintf(stderr, "%8llu ms %d %s\n", sim ? (unsigned long long)sim_now_us(sim) / 1000 : 0, (int)level,
            line);
}

int main(int argc, char **argv)
{
    uint64_t from = 1, seeds = 100, control = 0;
    struct longest longest = {0};

    log_set_level(LOG_ERROR);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--verbose") == 0)
            log_set_sink(to_stderr, NULL), log_set_level(LOG_DEBUG);
        else {
            fprintf(stderr, "usage: %s [--seeds N] [--from N] [--verbose]\n", argv[0]);
            return 2;
        }
    }
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct longest alone = {0};
        if (!run(seed, false, &alone))
            return 1;
        control += alone.tomcat_ms >= TIME_OUT_MS;
    }
    printf("two Tomcats alone: in %llu of %llu runs they wait for each other until the time-out\n",
           (unsigned long long)control, (unsigned long long)seeds);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct longest one = {0};
        bool up = run(seed, true, &one);
        if (!up || one.tomcat_ms > LONG_MS || one.node_ms > LONG_MS + STARTS_MS) {
            printf("seed %llu: a Tomcat waited %llu ms, a clusterd node was ready after %llu ms\n",
                   (unsigned long long)seed, (unsigned long long)one.tomcat_ms,
                   (unsigned long long)one.node_ms);
            return 1;
        }
        if (one.tomcat_ms > longest.tomcat_ms)
            longest.tomcat_ms = one.tomcat_ms;
        if (one.node_ms > longest.node_ms)
            longest.node_ms = one.node_ms;
    }
    printf(
        "with two clusterd nodes: a Tomcat waits %llu ms at most, clusterd is ready after %llu ms at most\n",
        (unsigned long long)longest.tomcat_ms, (unsigned long long)longest.node_ms);
    if (control == 0 && seeds >= 100) {
        printf("Tomcats that wait for each other are not modelled\n");
        return 1;
    }
    return 0;
}
