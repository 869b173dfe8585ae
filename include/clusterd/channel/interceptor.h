/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of an interceptor (Tomcat: ChannelInterceptorBase). One file, one const ops table, one row in
 * interceptor_all[]. A stage passes on by calling the stage_*_on() functions; not passing on swallows.
 * First configured = nearest the application.
 */
#ifndef CLUSTERD_CHANNEL_INTERCEPTOR_H
#define CLUSTERD_CHANNEL_INTERCEPTOR_H

#include "clusterd/channel/channel.h"

struct stage;

struct interceptor_ops {
    const char *name;                  /* short class name, as in clusterd.yaml */
    const struct option_spec *options; /* rows of stage_conf() */
    size_t conf_size, state_size;
    fallible (*start)(struct stage *st, struct diag *d); /* main loop; may be NULL, as all below */
    void (*stop)(struct stage *st);
    /* Any thread. `targets` is borrowed. Every target given up here must get a delivery result. */
    void (*send)(struct stage *st, struct message *m, const struct targets *targets);
    /* Worker thread (main loop for group datagrams). The verdict goes back to a synchronized sender. */
    enum err (*recv)(struct stage *st, const struct received *m);
    /* Main loop, on the way up. */
    void (*on_added)(struct stage *st, struct member *m);
    void (*on_disappeared)(struct stage *st, struct member *m, bool shutdown);
    /* Main loop, on the way up from the transport: a connection to m broke, a send to it failed. */
    void (*on_trouble)(struct stage *st, struct member *m, enum err why);
    void (*on_heartbeat)(struct stage *st); /* main loop, each 5 s */
};

/* A stage without optionFlag works on every message, else on those whose options have all of its bits. */
static inline bool interceptor_wants(int32_t option_flag, uint32_t options)
{
    return (options & (uint32_t)option_flag) == (uint32_t)option_flag;
}

void *stage_state(struct stage *st); /* state_size zeroed bytes, until channel_free() */
void *stage_conf(struct stage *st);
struct channel *stage_channel(struct stage *st);

void stage_send_on(struct stage *st, struct message *m, const struct targets *targets);
enum err stage_recv_on(struct stage *st, const struct received *m);
void stage_added_on(struct stage *st, struct member *m);
void stage_disappeared_on(struct stage *st, struct member *m, bool shutdown);
void stage_trouble_on(struct stage *st, struct member *m, enum err why);

extern const struct interceptor_ops *const interceptor_all[]; /* NULL-terminated */
/* By its short name or Tomcat's full class name; NULL when there is none. */
const struct interceptor_ops *interceptor_find(const char *name);

#endif
