/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One heap block a text, freed together; see arena.h. Such texts are rare: ids and names are ASCII and lie in
 * one block record nearly always.
 */
#include "arena.h"

#include "clusterd/util/mem.h"
#include "clusterd/wire/mutf.h"

uint8_t *arena_alloc(struct arena *a, size_t n)
{
    struct arena_chunk *c = mem_alloc(sizeof *c + n);

    c->next = a->chunks;
    a->chunks = c;
    return c->p;
}

void arena_fini(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        mem_free(c);
    }
}

enum err arena_text(struct arena *a, struct span mutf, struct span *utf8)
{
    struct buf b = {0};

    if (mutf_is_plain(mutf)) {
        *utf8 = mutf;
        return ERR_OK;
    }
    enum err e = mutf_decode(mutf, &b);
    if (e == ERR_OK) {
        uint8_t *p = arena_alloc(a, b.n);
        memcpy(p, b.p, b.n);
        *utf8 = span_of(p, b.n);
    }
    buf_fini(&b);
    return e;
}
