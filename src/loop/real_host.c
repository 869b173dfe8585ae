/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real host: the main loop runs in the thread that calls host_run(), each worker loop in a thread of its
 * own. The end: workers are joined first, then host_free()'s thread winds up all loops, so that nothing runs
 * concurrently any more while cancelled tasks and on_close callbacks free the node's objects.
 */
#include "clusterd/util/hash.h"
#include "real.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_SIGNALS 16
/* A node whose callbacks make new work for ever can never end: that is a mistake of ours. */
#define MAX_WIND_UP_ROUNDS 10000

struct signal_hook {
    struct real_loop *loop;
    struct event event;
    host_signal_fn fn;
    void *arg;
};

struct real_host {
    struct host h;
    struct real_loop *main;
    struct real_loop **workers;
    struct signal_hook signals[MAX_SIGNALS];
    unsigned n_signals;
};

static const struct loop_ops loop_kind = {
    .stream_size = sizeof(struct real_stream),
    .listener_size = sizeof(struct real_listener),
    .multicast_size = sizeof(struct real_multicast),
    .is_current = real_loop_is_current,
    .mono_us = real_loop_mono_us,
    .mono_us_now = real_loop_mono_us_now,
    .wall_ms = real_loop_wall_ms,
    .wall_ms_now = real_loop_wall_ms_now,
    .random = real_loop_random,
    .post = real_loop_post,
    .attend = real_loop_attend,
    .connect = real_stream_connect,
    .adopt = real_stream_adopt,
    .refuse = real_listener_refuse,
    .read = real_stream_read,
    .send = real_stream_send,
    .interest = real_stream_interest,
    .shut = real_stream_shut,
    .listen = real_listener_listen,
    .unlisten = real_listener_unlisten,
    .mc_open = real_multicast_open,
    .mc_send = real_multicast_send,
    .mc_close = real_multicast_close,
};

static struct real_host *of(struct host *h)
{
    return (struct real_host *)h;
}

static void *worker_main(void *arg)
{
    struct real_loop *r = arg;
    char name[16];

    snprintf(name, sizeof name, "worker-%u", r->l.index - 1);
    pthread_setname_np(pthread_self(), name);
    real_loop_run(r);
    return NULL;
}

/* Signals are the main thread's; a thread inherits the mask of its maker. */
static void start_workers(struct real_host *rh)
{
    sigset_t all, before;

    sigfillset(&all);
    ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (unsigned i = 0; i < rh->h.n_workers; i++)
        ASSERT(pthread_create(&rh->workers[i]->thread, NULL, worker_main, rh->workers[i]) == 0);
    ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

static struct real_loop *make_loop(struct real_host *rh, unsigned index)
{
    struct real_loop *r = MEM_NEW(struct real_loop);

    real_loop_init(r, &rh->h, index, &loop_kind);
    rh->h.loops[index] = &r->l;
    return r;
}

static void run(struct host *h)
{
    real_loop_run(of(h)->main);
}

static void stop(struct host *h)
{
    real_loop_stop(of(h)->main);
}

static bool wind_up_round(struct real_host *rh)
{
    bool any = false;

    for (unsigned i = 0; i <= rh->h.n_workers; i++) {
        struct real_loop *r = (struct real_loop *)rh->h.loops[i];
        any |= real_loop_cancel(r);
        any |= loop_wind_up(&r->l);
    }
    return any;
}

static void free_host(struct host *h)
{
    struct real_host *rh = of(h);

    for (unsigned i = 0; i < h->n_workers; i++)
        real_loop_stop(rh->workers[i]);
    for (unsigned i = 0; i < h->n_workers; i++)
        ASSERT(pthread_join(rh->workers[i]->thread, NULL) == 0);
    for (unsigned i = 0; i <= h->n_workers; i++)
        real_loop_own((struct real_loop *)h->loops[i]);
    for (unsigned rounds = 0; wind_up_round(rh); rounds++)
        ASSERT(rounds < MAX_WIND_UP_ROUNDS);
    for (unsigned i = 0; i < rh->n_signals; i++)
        event_del(&rh->signals[i].event);
    for (unsigned i = 0; i <= h->n_workers; i++) {
        real_loop_fini((struct real_loop *)h->loops[i]);
        mem_free(h->loops[i]);
    }
    mem_free(h->loops);
    mem_free(rh->workers);
    mem_free(rh);
}

static unsigned prefix_bits(const struct addr *mask)
{
    struct span s = addr_host(mask);
    unsigned bits = 0;

    for (size_t i = 0; i < s.n; i++)
        bits += (unsigned)__builtin_popcount(s.p[i]);
    return bits;
}

static size_t addresses(struct host *h, struct host_address *out, size_t max)
{
    struct ifaddrs *list, *i;
    size_t n = 0;

    (void)h;
    if (getifaddrs(&list) != 0)
        return 0;
    for (i = list; i && n < max; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        struct host_address a = {0};
        struct addr mask;

        if (family != AF_INET && family != AF_INET6)
            continue;
        real_addr_from(i->ifa_addr, sizeof(struct sockaddr_in6), &a.addr);
        if (i->ifa_netmask) {
            real_addr_from(i->ifa_netmask, sizeof(struct sockaddr_in6), &mask);
            a.prefix_bits = prefix_bits(&mask);
        }
        snprintf(a.interface, sizeof a.interface, "%s", i->ifa_name);
        a.up = (i->ifa_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
        a.loopback = i->ifa_flags & IFF_LOOPBACK;
        a.multicast = i->ifa_flags & IFF_MULTICAST;
        out[n++] = a;
    }
    freeifaddrs(list);
    return n;
}

static const char *name(struct host *h, char *out, size_t cap)
{
    (void)h;
    if (gethostname(out, cap) != 0)
        snprintf(out, cap, "localhost");
    out[cap - 1] = 0;
    return out;
}

static enum err resolve(struct host *h, const char *host, struct addr *out, size_t max, size_t *n)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *i;
    size_t found = 0;
    int e = getaddrinfo(host, NULL, &hints, &list);

    (void)h;
    if (e == EAI_NONAME || e == EAI_NODATA)
        return ERR_NOT_FOUND;
    if (e)
        return e == EAI_AGAIN ? ERR_TIMEOUT : ERR_IO;
    for (i = list; i && found < max; i = i->ai_next)
        real_addr_from(i->ai_addr, i->ai_addrlen, &out[found++]);
    freeaddrinfo(list);
    if (found == 0)
        return ERR_NOT_FOUND;
    *n = found;
    return ERR_OK;
}

static void on_signal_event(evutil_socket_t number, short what, void *arg)
{
    struct signal_hook *hook = arg;

    (void)what;
    real_loop_begin(hook->loop);
    hook->fn(hook->arg, (int)number);
}

static void on_signal(struct host *h, int number, host_signal_fn fn, void *arg)
{
    struct real_host *rh = of(h);
    struct signal_hook *hook = &rh->signals[rh->n_signals];

    ASSERT(rh->n_signals < MAX_SIGNALS);
    hook->loop = rh->main;
    hook->fn = fn;
    hook->arg = arg;
    ASSERT(event_assign(&hook->event, rh->main->base, number, EV_SIGNAL | EV_PERSIST, on_signal_event,
                        hook) == 0);
    ASSERT(event_add(&hook->event, NULL) == 0);
    rh->n_signals++;
}

static const struct host_ops host_kind = {
    .run = run,
    .stop = stop,
    .free = free_host,
    .addresses = addresses,
    .name = name,
    .resolve = resolve,
    .on_signal = on_signal,
};

/* Once a process: tables that exist already live by the key that they were filled with. */
static void set_hash_key(void)
{
    uint8_t key[16];

    real_loop_draw(key, sizeof key);
    hash_set_key(key);
}

struct host *real_host_new(unsigned n_workers)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct real_host *rh = MEM_NEW(struct real_host);

    ASSERT(n_workers >= 1 && n_workers <= 64);
    ASSERT(pthread_once(&once, set_hash_key) == 0);
    rh->h.ops = &host_kind;
    rh->h.n_workers = n_workers;
    rh->h.loops = mem_array(n_workers + 1, sizeof *rh->h.loops);
    rh->workers = mem_array(n_workers, sizeof *rh->workers);
    rh->main = make_loop(rh, 0);
    real_loop_own(rh->main);
    for (unsigned i = 0; i < n_workers; i++)
        rh->workers[i] = make_loop(rh, i + 1);
    start_workers(rh);
    return &rh->h;
}
