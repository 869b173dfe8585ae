/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn of a real loop, its clocks, its inbox and its randomness. The inbox is a lock-free stack: a poster
 * pushes, the loop takes all at once and turns the order round. A loop that is about to wait for descriptors
 * leaves the mark LOOP_ASLEEP there; only the poster that replaces the mark writes to the eventfd, so a burst
 * of posts costs one wake-up and a post to a busy loop costs none.
 */
#include "real.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TURN_WAIT_MAX_US (3600 * 1000000ULL)
#define BEFORE_BOOT_US \
    (50 * 365 * 86400ULL * 1000000) /* longer than a session is idle, and less than since 1970 */

static struct task asleep_mark;
#define LOOP_ASLEEP (&asleep_mark)

/* Its address tells threads apart. */
static _Thread_local const char this_thread;

static struct real_loop *of(const struct loop *l)
{
    return (struct real_loop *)l;
}

static uint64_t read_clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* CLOCK_MONOTONIC begins with the machine. Whoever is told what happened "so long ago" by another one must be
 * able to say when that was. */
static uint64_t read_mono_us(void)
{
    return BEFORE_BOOT_US + read_clock_us(CLOCK_MONOTONIC);
}

static void read_clocks(struct real_loop *r)
{
    r->mono_us = read_mono_us();
    r->wall_ms = (int64_t)(read_clock_us(CLOCK_REALTIME) / 1000);
}

void real_loop_begin(struct real_loop *r)
{
    if (r->fresh)
        return;
    read_clocks(r);
    r->fresh = true;
    /* What is posted from now on is found at the end of this turn: nobody needs to wake us for it. */
    struct task *asleep = LOOP_ASLEEP;
    (void)atomic_compare_exchange_strong_explicit(&r->posted, &asleep, NULL, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

/* Outside of a run (start-up, the end) there are no turns that would keep the clocks fresh. */
static void refresh_idle(struct real_loop *r)
{
    if (!r->running)
        read_clocks(r);
}

uint64_t real_loop_mono_us(const struct loop *l)
{
    refresh_idle(of(l));
    return of(l)->mono_us;
}

int64_t real_loop_wall_ms(const struct loop *l)
{
    refresh_idle(of(l));
    return of(l)->wall_ms;
}

uint64_t real_loop_mono_us_now(const struct loop *l)
{
    (void)l;
    return read_mono_us();
}

int64_t real_loop_wall_ms_now(const struct loop *l)
{
    (void)l;
    return (int64_t)(read_clock_us(CLOCK_REALTIME) / 1000);
}

bool real_loop_is_current(const struct loop *l)
{
    return atomic_load_explicit(&of(l)->owner, memory_order_relaxed) == &this_thread;
}

void real_loop_own(struct real_loop *r)
{
    atomic_store_explicit(&r->owner, &this_thread, memory_order_relaxed);
}

/* The kernel's generator, which needs no library and no memory of ours. It never fails once it is seeded, and
 * a signal may only cut a request of more than 256 bytes short. */
void real_loop_draw(void *out, size_t n)
{
    uint8_t *to = out;

    while (n > 0) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        to += got;
        n -= (size_t)got;
    }
}

void real_loop_random(struct loop *l, void *out, size_t n)
{
    (void)l;
    real_loop_draw(out, n);
}

static void write_wake(struct real_loop *r)
{
    uint64_t one = 1;

    ASSERT(write(r->wake_fd, &one, sizeof one) == sizeof one);
}

void real_loop_post(struct loop *l, struct task *t)
{
    struct real_loop *r = of(l);
    struct task *head = atomic_load_explicit(&r->posted, memory_order_relaxed);

    do
        t->next = head == LOOP_ASLEEP ? NULL : head;
    while (!atomic_compare_exchange_weak_explicit(&r->posted, &head, t, memory_order_acq_rel,
                                                  memory_order_relaxed));
    if (head == LOOP_ASLEEP)
        write_wake(r);
}

void real_loop_attend(struct loop *l)
{
    (void)l; /* own thread, not in a turn: the next turn is still to begin and looks by itself */
}

/* All that was posted, oldest first; also takes the mark away. */
static struct task *take_posted(struct real_loop *r)
{
    struct task *t = NULL, *list = NULL;

    if (atomic_load_explicit(&r->posted, memory_order_relaxed))
        t = atomic_exchange_explicit(&r->posted, NULL, memory_order_acq_rel);
    if (t == LOOP_ASLEEP)
        return NULL;
    while (t) {
        struct task *next = t->next;
        t->next = list;
        list = t;
        t = next;
    }
    return list;
}

bool real_loop_cancel(struct real_loop *r)
{
    struct task *list = take_posted(r);

    loop_tasks_run(list, true);
    return list != NULL;
}

static bool fall_asleep(struct real_loop *r)
{
    struct task *none = NULL;

    return atomic_compare_exchange_strong_explicit(&r->posted, &none, LOOP_ASLEEP, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd; /* edge-triggered: the counter need not be read */
    (void)what;
    real_loop_begin(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct real_loop *r = arg;

    (void)fd;
    (void)what;
    r->tick_at_us = 0;
    real_loop_begin(r);
}

/* Sets the one libevent timer to the earliest timer of ours. False: something is due already. */
static bool set_tick(struct real_loop *r)
{
    uint64_t at, now;
    struct timeval tv;

    if (!timer_next_us(&r->l, &at) || at == r->tick_at_us)
        return true;
    now = read_mono_us();
    if (at <= now)
        return false;
    uint64_t wait = at - now < TURN_WAIT_MAX_US ? at - now : TURN_WAIT_MAX_US;
    tv.tv_sec = (time_t)(wait / 1000000);
    tv.tv_usec = (suseconds_t)(wait % 1000000);
    ASSERT(event_add(&r->tick, &tv) == 0);
    r->tick_at_us = at;
    return true;
}

static void turn(struct real_loop *r)
{
    bool may_wait = loop_is_settled(&r->l) && set_tick(r) && fall_asleep(r);

    r->fresh = false;
    event_base_loop(r->base, EVLOOP_ONCE | (may_wait ? 0 : EVLOOP_NONBLOCK));
    real_loop_begin(r);
    loop_turn(&r->l, take_posted(r));
}

void real_loop_run(struct real_loop *r)
{
    real_loop_own(r);
    read_clocks(r);
    r->running = true;
    while (!atomic_load_explicit(&r->stop, memory_order_acquire))
        turn(r);
    r->running = false;
    atomic_store_explicit(&r->stop, false, memory_order_relaxed);
}

void real_loop_stop(struct real_loop *r)
{
    atomic_store_explicit(&r->stop, true, memory_order_release);
    write_wake(r);
}

void real_loop_init(struct real_loop *r, struct host *h, unsigned index, const struct loop_ops *ops)
{
    loop_init(&r->l, ops, h, index);
    r->base = event_base_new();
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(r->base && r->wake_fd >= 0);
    ASSERT(event_base_get_features(r->base) & EV_FEATURE_ET);
    ASSERT(event_assign(&r->wake, r->base, r->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake, r) == 0);
    ASSERT(event_assign(&r->tick, r->base, -1, 0, on_tick, r) == 0);
    ASSERT(event_add(&r->wake, NULL) == 0);
    read_clocks(r);
}

void real_loop_fini(struct real_loop *r)
{
    loop_fini(&r->l);
    event_del(&r->wake);
    event_del(&r->tick);
    event_base_free(r->base);
    close(r->wake_fd);
}
