/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member of the simulated cluster that is a channel and nothing else: default settings, lets anybody
 * connect, tells for how long it has run. What messages mean to it is its owner's business.
 */
#ifndef TESTS_SIM_BARE_MEMBER_H
#define TESTS_SIM_BARE_MEMBER_H

#include "clusterd/channel/channel.h"
#include "clusterd/loop/sim.h"
#include "clusterd/wire/session.h"

struct bare_member {
    struct sim *sim;
    struct host *host;
    struct channel *channel;
    struct metrics metrics;
    /* private */
    struct mcast_conf mcast;
    struct receiver_conf receiver;
    struct transmitter_conf sender;
    uint64_t started_mono_ms;
    enum err (*on_message)(void *arg, const struct received *m); /* on a worker's loop */
    void *arg;
    bool stopped;
};

/* on_started: when the channel has listened to others for a while. False: *d says why not. */
bool bare_member_start(struct bare_member *b, struct sim *sim, const char *ip, int64_t wall_offset_ms,
                       enum err (*on_message)(void *arg, const struct received *m),
                       void (*on_started)(void *arg), void *arg, struct diag *d);
/* For on_message(): is it a session message? Then session_msg_fini(). RPCs are answered as a Tomcat answers
 * what it does not serve. */
bool bare_member_read(const struct bare_member *b, const struct received *m, struct session_msg *msg);
/* A message without a body about the sessions of a context: GET_ALL, TRANSFER_COMPLETE, NO_CONTEXT_MANAGER;
 * or about a session "s": ACCESSED. */
void bare_member_say(struct bare_member *b, struct loop *loop, struct member *to, enum session_event event,
                     const char *context);
/* With BABY-ALEX. False: it does not end. Then bare_member_free(). */
bool bare_member_stop(struct bare_member *b);
void bare_member_free(struct bare_member *b);

#endif
