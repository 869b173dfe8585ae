/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world's inside. All that happens is an event in one heap, ordered by virtual time, then by
 * the order of making; nothing is ever ordered by address. "Kernel" events (a segment arrives, a task reaches
 * a loop) happen to sockets and inboxes even while their host is paused; they make a loop runnable, and the
 * loop's own event is a whole turn, made of the same code as a real loop's.
 */
#ifndef LOOP_SIM_IMPL_H
#define LOOP_SIM_IMPL_H

#include "clusterd/loop/sim.h"
#include "loop_impl.h"

struct sim_event {
    size_t slot;
    void (*fire)(struct sim_event *e);
};

struct sim {
    uint64_t now_us, n_events, trace;
    uint64_t net_random, scenario_random, seed_random; /* states of three independent generators */
    struct heap queue;
    struct loop *current; /* whose turn runs; NULL: the scenario's own code */
    struct sim_net net;
    struct link hosts, machines, cuts, conns, groups;
};

/* A computer: outlives the processes (struct sim_host) on it. */
struct sim_machine {
    struct link all;
    struct sim *sim;
    struct addr ip;
    bool up;
    uint16_t next_port;
    struct link listeners; /* of the living process */
    unsigned serial;       /* processes started so far */
};

struct sim_host {
    struct host h;
    struct link all;
    struct sim *sim;
    struct sim_machine *machine;
    bool dead, paused;
    uint64_t mono_base_us; /* machines were not switched on at the same moment */
    int64_t wall_offset_ms;
    char name[40];
    struct link incomings; /* accepted and not yet adopted */
};

/* Something a loop must look at in its next turn. */
struct sim_ready {
    struct link link;
    void (*fire)(struct sim_ready *r);
};

struct sim_loop {
    struct loop l;
    struct sim_host *host;
    struct sim_event turn;
    uint64_t turn_at_us;
    struct link ready;    /* struct sim_ready */
    struct link arrivals; /* tasks on their way */
    struct task *posted, **posted_tail;
    uint64_t *last_arrival_us; /* by posting loop: posts of one loop keep their order */
    uint64_t random;
};

/* One end of a connection as its machine's kernel sees it. `machine` is where it lives; `host` the process
 * that holds it, NULL once it is closed. */
struct sim_end {
    struct sim_conn *conn;
    struct sim_machine *machine;
    struct sim_host *host;
    struct sim_stream *stream;
    struct sim_incoming *incoming;
    struct addr addr;
    struct buf rx; /* received and unread, from rx_off */
    size_t rx_off;
    bool rx_fin;
    enum err broken; /* why the connection broke; ERR_OK = it did not */
    /* What this end sends. */
    struct link flight; /* struct sim_segment, in order */
    size_t in_flight;
    struct sim_event arrive;
    uint64_t last_arrival_us, stalled_since_us, retry_us;
    bool stalled, blocked, may_write;
    struct sim_event window; /* the news that the receiver has read */
};

struct sim_conn {
    struct link all;
    struct sim *sim;
    struct sim_end client, server;
    struct sim_event connect; /* the SYN, then its answer */
    uint64_t syn_retry_us;
    enum { SIM_SYN, SIM_ANSWER, SIM_STANDS } phase;
    enum err answer;
};

struct sim_stream {
    struct stream s;
    struct sim_ready ready;
    struct sim_end *end; /* NULL: closed, or the host is dead */
};

struct sim_incoming {
    struct incoming in;
    struct link link; /* in a backlog or in the host's list */
    struct sim_end *end;
};

struct sim_listener {
    struct listener ls;
    struct link on_machine;
    struct sim_host *host;
    struct sim_ready ready;
    struct link backlog; /* struct sim_incoming */
    size_t n_backlog;
};

struct sim_multicast {
    struct multicast m;
    struct link in_world;
    struct sim_host *host; /* NULL: dead */
    struct sim_ready ready;
    struct link inbound; /* struct sim_datagram: on the way */
    struct link queue;   /* arrived */
    size_t n_queue;
};

/* sim.c */
uint64_t sim_next_random(uint64_t *state);
uint64_t sim_net_below(struct sim *s, uint64_t bound); /* 0 when bound is 0 */
void sim_schedule(struct sim *s, struct sim_event *e, uint64_t at_us);
void sim_cancel(struct sim *s, struct sim_event *e);

/* sim_machine.c */
struct sim_machine *sim_machine_get(struct sim *s, const struct addr *ip); /* makes it when it is new */
struct sim_machine *sim_machine_find(struct sim *s, const struct addr *ip);
void sim_machine_free(struct sim_machine *m);
uint16_t sim_machine_new_port(struct sim_machine *m);
bool sim_machine_reaches(const struct sim_machine *a, const struct sim_machine *b);
uint64_t sim_machine_delay_us(const struct sim_machine *a, const struct sim_machine *b);
void sim_machine_set_link(struct sim_machine *a, struct sim_machine *b, bool up);
void sim_machine_free_cuts(struct sim *s);

/* sim_host.c */
void sim_host_free_memory(struct sim_host *sh);

/* sim_loop.c */
struct sim_loop *sim_loop_new(struct sim_host *sh, unsigned index);
void sim_loop_free(struct sim_loop *l);
void sim_loop_wake(struct sim_loop *l);
void sim_loop_stop(struct sim_loop *l);   /* no more turns; tasks on their way arrive */
bool sim_loop_cancel(struct sim_loop *l); /* posted tasks run cancelled; true when there were any */
void sim_loop_mark_ready(struct sim_loop *l, struct sim_ready *r);

/* sim_conn.c */
struct sim_conn *sim_conn_new(struct sim_stream *ss, struct sim_machine *to, const struct addr *from);
struct sim_end *sim_conn_peer(struct sim_end *e);
size_t sim_conn_room(struct sim_end *e);
void sim_conn_send(struct sim_end *e, struct evbuffer *from, size_t n);
void sim_conn_was_read(struct sim_end *e);
/* The process lets go of this end. */
enum sim_close {
    SIM_CLOSE_FIN,    /* after what was sent */
    SIM_CLOSE_RESET,  /* what is on the way may be lost */
    SIM_CLOSE_KILLED, /* a reset after what was sent */
    SIM_CLOSE_SILENT  /* its machine lost power */
};
void sim_conn_close(struct sim_end *e, enum sim_close how);
void sim_conn_break(struct sim_conn *c);
void sim_conn_free(struct sim_conn *c);
static inline size_t sim_conn_unread(const struct sim_end *e)
{
    return e->rx.n - e->rx_off;
}

/* sim_stream.c */
enum err sim_stream_connect(struct stream *s, const struct addr *from);
void sim_stream_adopt(struct stream *s, struct incoming *in);
enum io sim_stream_read(struct stream *s, uint8_t *to, size_t cap, size_t *n, enum err *why);
enum io sim_stream_send(struct stream *s, enum err *why);
void sim_stream_interest(struct stream *s);
void sim_stream_shut(struct stream *s, bool reset);
void sim_stream_notify(struct sim_stream *ss); /* its end changed */

/* sim_listener.c */
enum err sim_listener_listen(struct listener *ls, const struct addr *at, unsigned mode);
void sim_listener_unlisten(struct listener *ls);
void sim_listener_refuse(struct incoming *in);
struct sim_listener *sim_listener_find(struct sim_machine *m, const struct addr *to);
void sim_listener_arrival(struct sim_listener *sl, struct sim_end *end, const struct addr *peer);
void sim_listener_detach(struct sim_listener *sl); /* its process is dead */

/* sim_multicast.c */
enum err sim_multicast_open(struct multicast *m, struct diag *d);
enum err sim_multicast_send(struct multicast *m, struct span packet);
void sim_multicast_close(struct multicast *m);
void sim_multicast_detach(struct sim_multicast *sm);

#endif
