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

#include "clusterd/session/table.h"
#include "clusterd/util/log.h"

#include <stdio.h>

#define OTHER_CONTEXT "localhost#/other"

#define RUNS_MS    300000 /* for so long have the Tomcats been there */
#define START_MS   5000
#define ON_WAY_MS  300
#define ALONE_MS   20000
#define IN_VIEW_MS 10000
#define ASKED_MS   5000

struct tomcat {
    struct bare_member member;
    unsigned asked, asked_other; /* for anything, for OTHER_CONTEXT */
};

static struct sim *sim;
static struct plain_node node;
static struct tomcat young, old;

static enum err on_message(void *arg, const struct received *m)
{
    struct tomcat *t = arg;
    struct session_msg msg;

    if (!bare_member_read(&t->member, m, &msg))
        return ERR_OK;
    if (msg.event == SESSION_GET_ALL && m->source) {
        t->asked++;
        t->asked_other += msg.has_context && span_eq(msg.context, SPAN_LIT(OTHER_CONTEXT));
        bare_member_say(&t->member, m->loop, m->source, SESSION_TRANSFER_COMPLETE, PLAIN_CONTEXT);
    }
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
    struct view *v = channel_view(((struct tomcat *)arg)->member.channel);
    bool sees = view_find_addr(v, &(struct addr){.family = ADDR_IP4, .port = 4000, .ip = {10, 0, 0, 1}});

    view_unref(v);
    return sees;
}

static bool is_in_view(void *arg)
{
    (void)arg;
    return members(cluster_channel(node_cluster(node.node))) == 1;
}

static bool is_asked(void *tomcat)
{
    return ((struct tomcat *)tomcat)->asked > 0;
}

/* As soon as it can. */
static void speak(struct tomcat *t, const char *context)
{
    struct view *v;

    ASSERT(sim_run_until(sim, sees_node, t, START_MS));
    v = channel_view(t->member.channel);
    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version)
            bare_member_say(&t->member, host_main(t->member.host), v->members[i], SESSION_ACCESSED, context);
    view_unref(v);
    sim_run_ms(sim, ON_WAY_MS);
}

static bool comes_into_sight(void)
{
    bool good;

    sim = sim_new(1);
    start(&old, "10.0.1.1");
    start(&young, "10.0.1.2");
    sim_run_ms(sim, RUNS_MS);
    plain_node_start(&node, sim, 0);
    sim_set_link(sim, node.host, old.member.host, false);
    speak(&young, PLAIN_CONTEXT);
    stop(&young);
    ASSERT(!node.ready && members(cluster_channel(node_cluster(node.node))) == 0);
    ASSERT(sim_run_until(sim, plain_node_is_ready, &node, START_MS));
    sim_run_ms(sim, ALONE_MS);
    ASSERT(old.asked == 0);
    sim_set_link(sim, node.host, old.member.host, true);
    ASSERT(sim_run_until(sim, is_in_view, NULL, IN_VIEW_MS));
    good = sim_run_until(sim, is_asked, &old, ASKED_MS);
    stop(&old);
    plain_node_end(&node);
    sim_free(sim);
    return good;
}

static void set_links_of_young(bool up)
{
    sim_set_link(sim, node.host, young.member.host, up);
    sim_set_link(sim, old.member.host, young.member.host, up);
}

static bool returns(void)
{
    bool good;

    sim = sim_new(1);
    start(&old, "10.0.1.1");
    sim_run_ms(sim, RUNS_MS);
    start(&young, "10.0.1.2");
    sim_run_ms(sim, ALONE_MS);
    plain_node_start(&node, sim, 0);
    ASSERT(sim_run_until(sim, plain_node_is_ready, &node, 2 * START_MS));
    set_links_of_young(false);
    sim_run_ms(sim, ALONE_MS);
    ASSERT(is_in_view(NULL)); /* the old one */
    young.asked = 0;
    set_links_of_young(true);
    good = sim_run_until(sim, is_asked, &young, IN_VIEW_MS + ASKED_MS);
    stop(&old);
    stop(&young);
    plain_node_end(&node);
    sim_free(sim);
    return good;
}

static bool speaks_before(void)
{
    sim = sim_new(1);
    plain_node_start(&node, sim, 0);
    sim_run_ms(sim, ALONE_MS);
    start(&young, "10.0.1.2"); /* hears heartbeats before its own first one */
    speak(&young, OTHER_CONTEXT);
    ASSERT(members(cluster_channel(node_cluster(node.node))) == 0);
    ASSERT(table_context_find(node_table(node.node), SPAN_LIT(OTHER_CONTEXT)));
    ASSERT(sim_run_until(sim, is_in_view, NULL, IN_VIEW_MS));
    speak(&young, OTHER_CONTEXT);
    sim_run_ms(sim, ASKED_MS);
    bool good = young.asked_other > 0;
    stop(&young);
    plain_node_end(&node);
    sim_free(sim);
    return good;
}

int main(void)
{
    bool sight, back, before;

    log_set_level(LOG_ERROR);
    sight = comes_into_sight();
    printf("a Tomcat that comes into sight is %sasked for its sessions\n", sight ? "" : "NOT ");
    old = young = (struct tomcat){.asked = 0};
    back = returns();
    printf("a Tomcat that was cut off and returns is %sasked\n", back ? "" : "NOT ");
    old = young = (struct tomcat){.asked = 0};
    before = speaks_before();
    printf("a Tomcat that has spoken of a context too early is %sasked for it\n", before ? "" : "NOT ");
    return sight && back && before ? 0 : 1;
}
