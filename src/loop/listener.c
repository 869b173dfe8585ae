/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of both kinds: the common object; the kind binds and accepts (real_listener.c, sim_stream.c).
 * One loop, own thread.
 */
#include "loop_impl.h"

fallible listener_open(struct loop *l, const struct addr *at, unsigned mode, listener_fn fn, void *arg,
                       struct listener **out)
{
    struct listener *ls = mem_zalloc(l->ops->listener_size);

    ASSERT(loop_is_current(l));
    ls->loop = l;
    ls->fn = fn;
    ls->arg = arg;
    ls->addr = *at;
    enum err e = l->ops->listen(ls, at, mode ? mode : 0660);
    if (e) {
        mem_free(ls);
        return e;
    }
    link_push_back(&l->listeners, &ls->all);
    *out = ls;
    return ERR_OK;
}

const struct addr *listener_addr(const struct listener *ls)
{
    return &ls->addr;
}

void listener_close(struct listener *ls)
{
    ASSERT(loop_is_current(ls->loop));
    link_remove(&ls->all);
    ls->loop->ops->unlisten(ls);
    ls->closed = true;
    if (!ls->busy)
        mem_free(ls);
}

void listener_io_begin(struct listener *ls)
{
    ls->busy = true;
}

void listener_io_end(struct listener *ls)
{
    ls->busy = false;
    if (ls->closed)
        mem_free(ls);
}
