/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that a decoder had to make because they do not lie in the input as they are: joined over block
 * records or converted from modified UTF-8. They live until the decoder goes, at addresses that do not move.
 */
#ifndef WIRE_JAVA_ARENA_H
#define WIRE_JAVA_ARENA_H

#include "clusterd/util/bytes.h"

struct arena_chunk {
    struct arena_chunk *next;
    uint8_t p[];
};

/* Zero-initialised is empty. */
struct arena {
    struct arena_chunk *chunks;
};

uint8_t *arena_alloc(struct arena *a, size_t n); /* n uninitialised bytes; n has passed a limit */
void arena_fini(struct arena *a);
/* UTF-8 of modified UTF-8: the same span when the bytes are the same, else a copy here. */
fallible arena_text(struct arena *a, struct span mutf, struct span *utf8);

#endif
