/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop: tasks, timers, clocks and randomness. Two kinds exist behind the same functions:
 * real (libevent) and simulated (sim.h: virtual time, many hosts in one test process). Everything above this
 * layer sees time, sockets, randomness and threads only through here.
 *
 * A loop belongs to a host (host.h): the set of loops on which one node lives.
 */
#ifndef CLUSTERD_LOOP_LOOP_H
#define CLUSTERD_LOOP_LOOP_H

#include "clusterd/util/bytes.h"

struct loop;

/*
 * Work handed to a loop. It lies inside the object it concerns, so posting allocates nothing, and it runs
 * exactly once for each post: with cancelled = true when the loop ends first, so that its memory has one way
 * out. A task that is posted already must not be posted again before it has run.
 */
struct task;
typedef void (*task_fn)(struct task *t, bool cancelled);
struct task {
    struct task *next;
    task_fn run;
};

/* Any thread. Tasks posted by one thread run in the order of their posting. Never runs the task inside the
 * call. */
void loop_post(struct loop *l, struct task *t);
/* Own thread only: runs after the I/O of this turn, before the loop sleeps. For "once for all of this turn".
 */
void loop_defer(struct loop *l, struct task *t);
bool loop_is_current(const struct loop *l); /* does the caller run on this loop's thread? */
const char *loop_name(const struct loop *l);

/* Clocks. Milliseconds of the turn that runs: one clock read a turn, not one a call. Own thread only. mono
 * begins long before the machine did, so what was "so long ago" elsewhere has a time here. */
uint64_t loop_mono_ms(const struct loop *l);
int64_t loop_wall_ms(const struct loop *l); /* since 1970; may jump */
/* The wall clock as it was when the host was first asked, and steadily on from there: it never jumps. The
 * time of versions: a clock that is set must not make what is written now older than what was written before.
 */
int64_t loop_steady_ms(const struct loop *l);
uint64_t loop_mono_us_exact(struct loop *l); /* reads the clock */
/* Any thread, reads the clock. */
uint64_t loop_mono_ms_now(const struct loop *l);
int64_t loop_wall_ms_now(const struct loop *l);

void loop_random(struct loop *l, void *out,
                 size_t n); /* cryptographic on a real loop, seeded on a simulated one */
uint32_t loop_random_below(struct loop *l, uint32_t bound);

/* One-shot timers; own thread only. A timer may be started again from its own callback. It never fires early;
 * a delay of 0 is the next turn. */
struct timer;
typedef void (*timer_fn)(struct timer *t, void *arg);
struct timer {
    struct loop *loop;
    timer_fn fn;
    void *arg;
    size_t slot; /* the loop's own: the place in its heap of timers */
    bool active;
};
void timer_init(struct timer *t, struct loop *l, timer_fn fn, void *arg);
void timer_start(struct timer *t, uint64_t delay_ms); /* restarts when active */
void timer_stop(struct timer *t);                     /* afterwards fn is not called */
void timer_fini(struct timer *t);                     /* stop; the loop holds nothing of it any more */

#endif
