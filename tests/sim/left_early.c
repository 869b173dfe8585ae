/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node starts while one Tomcat speaks of a context and takes its leave, and an older Tomcat, which holds
 * the sessions, cannot be reached yet. When it can, it must be asked for them: that somebody spoke of the
 * context before the node had started must not count as a question that is still open.
 *
 * Status 1 when it was not asked.
 */
#include "bare_member.h"
#include "plain_node.h"

#include "clusterd/group/rpc.h"
#include "clusterd/util/log.h"
#include "clusterd/wire/options.h"

#include <stdio.h>

#define RUNS_MS    300000 /* for so long have the Tomcats been there */
#define START_MS   5000
#define ON_WAY_MS  300
#define ALONE_MS   20000
#define IN_VIEW_MS 10000
#define ASKED_MS   5000

struct tomcat {
    struct bare_member member;
    unsigned asked;
};

static struct sim *sim;
static struct plain_node node;
static struct tomcat young, old;

static enum err on_message(void *arg, const struct received *m)
{
    struct tomcat *t = arg;
    struct session_msg msg;
    const char *field;

    if (m->options & SEND_BYTE_MESSAGE)
        return ERR_OK;
    if (session_msg_decode(m->payload, &msg, &field) != ERR_OK) { /* the question for the time */
        if (rpc_on_message(t->member.channel, m, &field) != ERR_OK)
            log_debug("%s is wrong", field);
        return ERR_OK;
    }
    t->asked += msg.event == SESSION_GET_ALL;
    session_msg_fini(&msg);
    return ERR_OK;
}

static void on_started(void *arg)
{
    (void)arg;
}

static void start(struct tomcat *t, const char *ip)
{
    struct diag d = {0};

    ASSERT(bare_member_start(&t->member, sim, ip, 0, on_message, on_started, t, &d));
    diag_fini(&d);
}

static void stop(struct tomcat *t)
{
    ASSERT(bare_member_stop(&t->member));
    bare_member_free(&t->member);
}

static size_t members(struct channel *c)
{
    struct view *v = channel_view(c);
    size_t n = v->n;

    view_unref(v);
    return n;
}

static bool sees_node(void *arg)
{
    (void)arg;
    return members(young.member.channel) == 2; /* and the old one */
}

static bool is_in_view(void *arg)
{
    (void)arg;
    return members(cluster_channel(node_cluster(node.node))) == 1;
}

static bool is_asked(void *arg)
{
    (void)arg;
    return old.asked > 0;
}

static void say_and_leave(void)
{
    struct view *v;

    ASSERT(sim_run_until(sim, sees_node, NULL, START_MS));
    v = channel_view(young.member.channel);
    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version)
            bare_member_say(&young.member, host_main(young.member.host), v->members[i], SESSION_ACCESSED,
                            PLAIN_CONTEXT);
    view_unref(v);
    sim_run_ms(sim, ON_WAY_MS);
    stop(&young);
}

int main(void)
{
    bool good;

    log_set_level(LOG_ERROR);
    sim = sim_new(1);
    start(&old, "10.0.1.1");
    start(&young, "10.0.1.2");
    sim_run_ms(sim, RUNS_MS);
    plain_node_start(&node, sim, 0);
    sim_set_link(sim, node.host, old.member.host, false);
    say_and_leave();
    ASSERT(!node.ready && members(cluster_channel(node_cluster(node.node))) == 0);
    ASSERT(sim_run_until(sim, plain_node_is_ready, &node, START_MS));
    sim_run_ms(sim, ALONE_MS);
    ASSERT(old.asked == 0);
    sim_set_link(sim, node.host, old.member.host, true);
    ASSERT(sim_run_until(sim, is_in_view, NULL, IN_VIEW_MS));
    good = sim_run_until(sim, is_asked, NULL, ASKED_MS);
    printf("a Tomcat that came into sight is %sasked for its sessions\n", good ? "" : "NOT ");
    stop(&old);
    plain_node_end(&node);
    sim_free(sim);
    return good ? 0 : 1;
}
