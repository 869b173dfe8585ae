/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public functions of a host: each passes on to the host's kind, real_host.c or sim_host.c.
 */
#include "loop_impl.h"
#include "real.h"

struct host *host_new_real(unsigned n_workers)
{
    return real_host_new(n_workers);
}

void host_run(struct host *h)
{
    h->ops->run(h);
}

void host_stop(struct host *h)
{
    h->ops->stop(h);
}

void host_free(struct host *h)
{
    if (h)
        h->ops->free(h);
}

struct loop *host_main(struct host *h)
{
    return h->loops[0];
}

unsigned host_n_workers(const struct host *h)
{
    return h->n_workers;
}

struct loop *host_worker(struct host *h, unsigned i)
{
    ASSERT(i < h->n_workers);
    return h->loops[i + 1];
}

size_t host_addresses(struct host *h, struct host_address *out, size_t max)
{
    return h->ops->addresses(h, out, max);
}

const char *host_name(struct host *h, char *out, size_t cap)
{
    ASSERT(cap > 0);
    return h->ops->name(h, out, cap);
}

fallible host_resolve(struct host *h, const char *name, struct addr *out, size_t max, size_t *n)
{
    return h->ops->resolve(h, name, out, max, n);
}

void host_on_signal(struct host *h, int signal_number, host_signal_fn fn, void *arg)
{
    h->ops->on_signal(h, signal_number, fn, arg);
}
