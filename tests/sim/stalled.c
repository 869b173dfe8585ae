/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Tomcat asks a clusterd node for its sessions and stalls for longer than a sender waits for an ACK, while
 * the sessions are written to. It must get each of them, all before TRANSFERCOMPLETE: until that it keeps
 * deltas back, so a block that came later would undo what they say.
 *
 *   sim_stalled [--sessions N] [--seeds N]
 *
 * Status 1 when a session is missing or came too late.
 */
#include "bare_member.h"
#include "plain_node.h"

#include "clusterd/session/edit.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/state.h"
#include "clusterd/wire/value.h"

#include <stdio.h>
#include <stdlib.h>

#define STALLS_AFTER 500  /* sessions */
#define STALL_MS     5000 /* the sender's timeout is 3,000 */
#define GIVE_UP_MS   60000
#define VALUE_BYTES  600

static struct sim *sim;
static struct plain_node node;
static struct bare_member tomcat;
static bool asked;
static unsigned n_sessions = 20000, n_came, n_late;
static bool complete, *came;

static void ask(void *arg)
{
    struct view *v = channel_view(tomcat.channel);

    (void)arg;
    ASSERT(v->n == 1);
    bare_member_say(&tomcat, host_main(tomcat.host), v->members[0], SESSION_GET_ALL, PLAIN_CONTEXT);
    asked = true;
    view_unref(v);
}

static void take_block(struct span body)
{
    struct state_reader r;
    struct state_session s;

    ASSERT(state_reader_init(&r, body, NULL, NULL) == ERR_OK);
    while (state_reader_next(&r, &s, NULL) == ERR_OK) {
        unsigned n = (unsigned)strtoul((const char *)s.id.p + 1, NULL, 10);
        ASSERT(n < n_sessions);
        n_came += !came[n]; /* a session may come twice */
        came[n] = true;
        n_late += complete;
        state_session_fini(&s);
    }
    state_reader_fini(&r);
}

static enum err on_message(void *arg, const struct received *m)
{
    struct session_msg msg;

    (void)arg;
    if ((m->options & SEND_BYTE_MESSAGE) || session_msg_decode(m->payload, &msg, NULL) != ERR_OK)
        return ERR_OK;
    if (msg.event == SESSION_ALL_DATA)
        take_block(msg.body);
    complete |= msg.event == SESSION_TRANSFER_COMPLETE;
    session_msg_fini(&msg);
    return ERR_OK;
}

static void write_all(const char *fill)
{
    struct manager *m = node_manager(node.node);
    struct context *c = table_context_find(manager_table(m), SPAN_LIT(PLAIN_CONTEXT));
    char value[VALUE_BYTES], id[16];
    struct edit e;

    memset(value, *fill, sizeof value);
    for (unsigned i = 0; i < n_sessions; i++) {
        snprintf(id, sizeof id, "S%u", i);
        edit_open(&e, m, host_main(node.host), c, span_str(id));
        edit_set(&e, ENTRY_ATTRIBUTE, SPAN_LIT("a"),
                 value_from_bytes(span_of((uint8_t *)value, sizeof value)));
        ASSERT(edit_close(&e, NULL) == ERR_OK);
    }
}

static bool is_time_to_stall(void *arg)
{
    (void)arg;
    return n_came > STALLS_AFTER;
}

static bool is_complete(void *arg)
{
    (void)arg;
    return complete;
}

static void end_all(void)
{
    ASSERT(bare_member_stop(&tomcat));
    bare_member_free(&tomcat);
    plain_node_end(&node);
    sim_free(sim);
}

static bool run(uint64_t seed)
{
    struct diag d = {0};

    n_came = n_late = 0;
    came = mem_array(n_sessions, sizeof *came);
    asked = complete = false;
    sim = sim_new(seed);
    plain_node_start(&node, sim, 0);
    sim_run_ms(sim, 12000);
    write_all("x");
    ASSERT(bare_member_start(&tomcat, sim, "10.0.1.1", 0, on_message, ask, NULL, &d));
    bool stalls = sim_run_until(sim, is_time_to_stall, NULL, GIVE_UP_MS);
    sim_host_pause(sim, tomcat.host, true);
    sim_run_ms(sim, STALL_MS - 1000);
    write_all("y");
    sim_run_ms(sim, 1000);
    sim_host_pause(sim, tomcat.host, false);
    bool ends = sim_run_until(sim, is_complete, NULL, GIVE_UP_MS);
    sim_run_ms(sim, GIVE_UP_MS); /* for what comes too late */
    printf("seed %llu: %u of %u sessions, %u of them after TRANSFERCOMPLETE%s\n", (unsigned long long)seed,
           n_came, n_sessions, n_late, ends ? "" : ", which did not come");
    end_all();
    mem_free(came);
    diag_fini(&d);
    return asked && stalls && ends && n_came == n_sessions && n_late == 0;
}

int main(int argc, char **argv)
{
    unsigned n_seeds = 3;
    bool good = true;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--sessions") == 0)
            n_sessions = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seeds") == 0)
            n_seeds = (unsigned)atoi(argv[i + 1]);
    }
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= n_seeds; seed++)
        good &= run(seed);
    return good ? 0 : 1;
}
