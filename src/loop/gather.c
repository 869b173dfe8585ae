/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading all ready streams of a turn before the first of them is offered its input. With one small request
 * on each of many connections the processor would else go to and fro between the kernel's code and the
 * owner's for each, and nobody could have the memory of the next request fetched during this one. For streams
 * whose owner has on_gathered() (stream.h). Both kinds, own thread.
 */
#include "loop_impl.h"

/* Some tens of small requests. More of them, or larger ones, would push each other out of the caches. */
#define GATHER_BYTES     (64 * 1024)
#define GATHER_SMALL_MAX 4096 /* a longer read is offered at once: a pipeline, or a large value */

void gather_fini(struct gather *g)
{
    mem_free(g->memory);
}

void gather_offer(struct loop *l)
{
    struct gather *g = &l->gather;

    if (g->n > 1)
        g->inputs[0].stream->ops->on_gathered(g->inputs, g->n);
    for (size_t i = 0; i < g->n; i++) {
        g->inputs[i].stream->gathered = false;
        stream_offer_read(g->inputs[i].stream, g->inputs[i].in);
    }
    g->n = g->used = 0;
}

static bool is_full(const struct gather *g)
{
    return g->n == GATHER_STREAMS || g->used > GATHER_BYTES;
}

bool gather_read(struct stream *s)
{
    struct gather *g = &s->loop->gather;
    enum err why = ERR_IO;
    size_t n = 0;

    if (is_full(g) || (g->n && g->inputs[0].stream->ops != s->ops))
        gather_offer(s->loop);
    if (!stream_wants_read(s)) /* a neighbour has closed or paused it */
        return false;
    if (!g->memory)
        g->memory = mem_alloc(GATHER_BYTES + SCRATCH_READ);
    uint8_t *to = g->memory + g->used;
    enum io io = s->loop->ops->read(s, to, SCRATCH_READ, &n, &why);
    if (!stream_has_read(s, io, why))
        return false;
    g->inputs[g->n++] = (struct stream_input){s, span_of(to, n)};
    g->used += n;
    s->gathered = true;
    if (n > GATHER_SMALL_MAX)
        gather_offer(s->loop);
    return n == SCRATCH_READ;
}
