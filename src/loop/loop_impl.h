/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the real and the simulated loop have in common. All that a caller can observe (order of callbacks,
 * buffering, back-pressure, ending) is done once, in loop.c, timer.c and stream.c; a kind supplies only
 * clocks, descriptors and readiness through struct loop_ops. So what the simulator tests is what ships.
 *
 * One turn of a loop: I/O callbacks of the kind, loop_turn() = gathered input, due timers, posted tasks, then
 * loop_settle() = deferred tasks, queued output, pending stream callbacks, until nothing is left.
 */
#ifndef LOOP_LOOP_IMPL_H
#define LOOP_LOOP_IMPL_H

#include "clusterd/loop/host.h"
#include "clusterd/loop/loop.h"
#include "clusterd/loop/multicast.h"
#include "clusterd/loop/stream.h"
#include "clusterd/util/list.h"
#include "clusterd/util/mem.h"
#include "heap.h"

#define SCRATCH_READ (64 * 1024) /* bytes of one read */
#define SCRATCH_KEEP (16 * 1024) /* unconsumed bytes that are put in front of the next read */

/* What became of a read or a send. */
enum io {
    IO_DONE,    /* read: bytes came; send: all has left */
    IO_MORE,    /* send: a fair share has left, go on in the next turn */
    IO_BLOCKED, /* the kind calls stream_io_readable() / stream_io_writable() when it can go on */
    IO_EOF,
    IO_FAILED /* with an error */
};

/* A kind's objects begin with the common struct; the sizes say how much to allocate. */
struct loop_ops {
    size_t stream_size, listener_size, multicast_size;

    bool (*is_current)(const struct loop *l);
    uint64_t (*mono_us)(const struct loop *l);     /* of the turn */
    uint64_t (*mono_us_now)(const struct loop *l); /* any thread */
    int64_t (*wall_ms)(const struct loop *l);
    int64_t (*wall_ms_now)(const struct loop *l);
    void (*random)(struct loop *l, void *out, size_t n);
    void (*post)(struct loop *l, struct task *t);
    /* Work was left for loop_turn() or loop_settle() while no turn runs. */
    void (*attend)(struct loop *l);

    /* Begins to connect; an error here is reported by the caller, later ones by stream_io_failed(). */
    enum err (*connect)(struct stream *s, const struct addr *from);
    void (*adopt)(struct stream *s, struct incoming *in);
    void (*refuse)(struct incoming *in);
    enum io (*read)(struct stream *s, uint8_t *to, size_t cap, size_t *n, enum err *why);
    enum io (*send)(struct stream *s, enum err *why); /* drains s->out */
    void (*interest)(struct stream *s);               /* stream_wants_read() or s->blocked changed */
    void (*shut)(struct stream *s, bool reset);       /* gives the descriptor up, once */

    enum err (*listen)(struct listener *ls, const struct addr *at, unsigned mode);
    void (*unlisten)(struct listener *ls);

    enum err (*mc_open)(struct multicast *m, struct diag *d);
    enum err (*mc_send)(struct multicast *m, struct span packet);
    void (*mc_close)(struct multicast *m);
};

/* gather.c: what was read in this turn and is still to be offered. */
#define GATHER_STREAMS 32
struct gather {
    uint8_t *memory; /* NULL until it is used for the first time */
    size_t used, n;
    struct stream_input inputs[GATHER_STREAMS];
};

struct loop {
    const struct loop_ops *ops;
    struct host *host;
    unsigned index; /* 0 = main, i + 1 = worker i */
    char name[32];
    bool in_turn, ending;
    struct heap timers;
    struct task *deferred, **deferred_tail;
    struct link streams, listeners, multicasts;
    struct link dirty; /* streams with output to send at the end of the turn */
    struct link later; /* streams that have sent their fair share of this turn: dirty in the next */
    struct link ready; /* streams with callbacks to make at the end of the turn */
    uint8_t *scratch;  /* SCRATCH_KEEP + SCRATCH_READ bytes */
    struct gather gather;
};

struct host_ops {
    void (*run)(struct host *h);
    void (*stop)(struct host *h);
    void (*free)(struct host *h);
    size_t (*addresses)(struct host *h, struct host_address *out, size_t max);
    const char *(*name)(struct host *h, char *out, size_t cap);
    enum err (*resolve)(struct host *h, const char *name, struct addr *out, size_t max, size_t *n);
    void (*on_signal)(struct host *h, int signal_number, host_signal_fn fn, void *arg);
};

struct host {
    const struct host_ops *ops;
    unsigned n_workers;
    struct loop **loops;         /* n_workers + 1: the main loop first */
    atomic_llong steady_base_ms; /* wall minus monotonic time at the first look; 0 = not looked yet */
};

enum stream_state {
    STREAM_CONNECTING,
    STREAM_OPEN,
    STREAM_CLOSING, /* only sends what is queued */
    STREAM_ENDED    /* descriptor gone, on_close to be made */
};

/* Callbacks that are due: never made inside a call of a stream function. */
enum { DUE_INPUT = 1, DUE_EOF = 2, DUE_DRAIN = 4, DUE_LAST_READ = 8 };

struct evbuffer;

struct stream {
    struct loop *loop;
    const struct stream_ops *ops;
    void *arg;
    struct link all, dirty, ready;
    enum stream_state state;
    unsigned due;
    bool paused, eof;
    bool gathered;   /* what was read of it is in the loop's gather */
    bool blocked;    /* the kind took no more output; it will say when it does */
    bool above_mark; /* on_drain is owed */
    bool tail_shared;
    enum err why;
    struct evbuffer *out; /* NULL until the first write */
    size_t low_mark;
    struct buf in; /* unconsumed input, from in_off */
    size_t in_off, in_limit, in_want;
    unsigned linger_ms;
    struct timer timer; /* connecting or lingering */
    struct addr peer, local;
    uint64_t last_read_ms;
};

struct incoming {
    const struct loop_ops *ops;
    struct addr peer, local;
};

struct listener {
    struct loop *loop;
    struct link all;
    listener_fn fn;
    void *arg;
    struct addr addr;
    bool busy, closed; /* closed while busy with its callbacks: freed after them */
};

struct multicast {
    struct loop *loop;
    struct link all;
    struct multicast_options options;
    multicast_fn on_packet;
    multicast_error_fn on_error;
    void *arg;
    char error[160];
    bool busy, closed; /* as in struct listener */
};

static inline bool stream_wants_read(const struct stream *s)
{
    return s->state == STREAM_OPEN && !s->paused && !s->eof;
}

/* loop.c: for the kinds */
void loop_init(struct loop *l, const struct loop_ops *ops, struct host *h, unsigned index);
void loop_fini(struct loop *l); /* also drops listeners and groups that nobody closed */
void loop_tasks_run(struct task *list, bool cancelled); /* in the order of the list */
void loop_turn(struct loop *l, struct task *posted);
bool loop_is_settled(const struct loop *l); /* nothing waits for loop_settle() */
/* The end: deferred tasks run cancelled, streams end with ERR_CANCELLED. True when there was anything. */
bool loop_wind_up(struct loop *l);
void loop_attend(struct loop *l);
/* Frees the streams without a callback: of a dead simulated host. */
void loop_forget(struct loop *l);

/* timer.c */
void timer_run_due(struct loop *l);
bool timer_next_us(const struct loop *l, uint64_t *at_us); /* false: no timer is active */

/* stream.c: what a kind reports, inside a turn of the stream's loop */
void stream_io_opened(struct stream *s);
void stream_io_readable(struct stream *s);
void stream_io_writable(struct stream *s);
void stream_io_failed(struct stream *s, enum err why);
/* stream.c: for loop.c */
void stream_settle_output(struct stream *s);
void stream_settle_callbacks(struct stream *s);
void stream_wind_up(struct stream *s);
void stream_forget(struct stream *s); /* frees it without a callback */
/* stream.c: for gather.c */
bool stream_has_read(struct stream *s, enum io io, enum err why); /* after a read; false: no bytes came */
void stream_offer_read(struct stream *s, struct span in); /* what was read while nothing was unconsumed */

/* gather.c */
void gather_fini(struct gather *g);
bool gather_read(
    struct stream *s); /* nothing of it is unconsumed; true: there may be more than a read takes */
void gather_offer(struct loop *l); /* all that was gathered */

/* listener.c, multicast.c: callbacks are made between begin and end, as long as `closed` is not set */
void listener_io_begin(struct listener *ls);
void listener_io_end(struct listener *ls);
void multicast_io_begin(struct multicast *m);
void multicast_io_end(struct multicast *m);

#endif
