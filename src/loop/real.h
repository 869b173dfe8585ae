/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real kind of loop: libevent for readiness, one thread a loop. Private to src/loop/real_*.c.
 */
#ifndef LOOP_REAL_H
#define LOOP_REAL_H

#include "loop_impl.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/socket.h>

struct real_loop {
    struct loop l;
    struct event_base *base;
    struct event wake, tick;
    int wake_fd;
    uint64_t tick_at_us; /* when `tick` is set for; 0 = not set */
    /* Tasks posted by any thread, latest first; LOOP_ASLEEP when the loop waits and must be woken. */
    _Atomic(struct task *) posted;
    _Atomic(const char *) owner; /* the thread that may touch this loop: the address of its own mark */
    atomic_bool stop;
    bool running, fresh; /* fresh: the clocks of this turn have been read */
    uint64_t mono_us;
    int64_t wall_ms;
    pthread_t thread;
};

/* real_loop.c */
void real_loop_init(struct real_loop *r, struct host *h, unsigned index, const struct loop_ops *ops);
void real_loop_fini(struct real_loop *r);
void real_loop_own(struct real_loop *r);    /* the calling thread becomes the loop's own */
void real_loop_run(struct real_loop *r);    /* until real_loop_stop() */
void real_loop_stop(struct real_loop *r);   /* any thread */
bool real_loop_cancel(struct real_loop *r); /* runs what was posted cancelled; true when there was any */
void real_loop_begin(struct real_loop *r);  /* at the start of each I/O callback: the clocks become fresh */
bool real_loop_is_current(const struct loop *l);
uint64_t real_loop_mono_us(const struct loop *l);
uint64_t real_loop_mono_us_now(const struct loop *l);
int64_t real_loop_wall_ms(const struct loop *l);
int64_t real_loop_wall_ms_now(const struct loop *l);
void real_loop_random(struct loop *l, void *out, size_t n);
void real_loop_draw(void *out, size_t n); /* any thread: random bytes from the kernel */
void real_loop_post(struct loop *l, struct task *t);
void real_loop_attend(struct loop *l);

/* real_host.c */
struct host *real_host_new(unsigned n_workers);

/* real_stream.c */
struct real_stream {
    struct stream s;
    int fd;
    short mask; /* what `event` is registered for; 0 = not registered */
    struct event event;
};
enum err real_stream_connect(struct stream *s, const struct addr *from);
void real_stream_adopt(struct stream *s, struct incoming *in);
enum io real_stream_read(struct stream *s, uint8_t *to, size_t cap, size_t *n, enum err *why);
enum io real_stream_send(struct stream *s, enum err *why);
void real_stream_interest(struct stream *s);
void real_stream_shut(struct stream *s, bool reset);

/* real_listener.c */
struct real_listener {
    struct listener ls;
    int fd;
    struct event event;
    struct timer pause;
    bool starved; /* told once that the process is out of files */
    dev_t dev;    /* the unix socket file that is ours to remove */
    ino_t ino;
};
struct real_incoming {
    struct incoming in;
    int fd;
};
enum err real_listener_listen(struct listener *ls, const struct addr *at, unsigned mode);
void real_listener_unlisten(struct listener *ls);
void real_listener_refuse(struct incoming *in);

/* real_multicast.c */
struct real_multicast {
    struct multicast m;
    int fd;
    unsigned interface; /* index; 0 = the system's choice */
    bool wildcard;      /* the group address could not be bound */
    struct event event;
};
enum err real_multicast_open(struct multicast *m, struct diag *d);
enum err real_multicast_send(struct multicast *m, struct span packet);
void real_multicast_close(struct multicast *m);

/* real_addr.c */
socklen_t real_addr_to(const struct addr *a, struct sockaddr_storage *out);
void real_addr_from(const void *from, socklen_t n, struct addr *out);
int real_addr_family(const struct addr *a);

#endif
