/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of one shard: found by id, walked in the order of their stable keys. Under the shard's lock.
 *
 * A walk that is interrupted goes on at a place in the space of stable keys, so what stands together must be
 * near in that space. But the stable hash is known to everybody: whoever chooses ids can choose keys that
 * stand together, and in a table in the order of keys each of them would cost all others a probe. Hence two
 * levels. Stable keys choose a part; a part is a small table under the secret hash of this process. Parts
 * split when they grow (extendible hashing), so a new session never costs more than one part, and a walk
 * looks at the part where it is. Keys that were chosen to stand together only make one large part: finding
 * is as fast as ever, the walk through that part is slower, and the list of parts grows with the number of
 * sessions only.
 */
#ifndef CLUSTERD_SESSION_STORE_H
#define CLUSTERD_SESSION_STORE_H

#include "clusterd/util/hash.h"

#define STORE_SHARD_BITS 6 /* the top bits of a stable key, the same for all of a store */

typedef uint64_t (*store_stable_fn)(void *arg, const void *item);

struct part;

struct store {
    struct part **dir; /* 1 << depth places, in the order of keys; a part may have several side by side */
    unsigned depth;
    size_t n;
    htab_key_fn key;
    store_stable_fn stable;
    void *arg;
};

/* key: what an item is found by, of all of them unique; stable: its place in a walk. */
void store_init(struct store *s, htab_key_fn key, store_stable_fn stable, void *arg);
void store_fini(struct store *s); /* not the items */
void *store_find(const struct store *s, uint64_t stable, struct span key);
/* For looking ahead, in this order, and other items' steps in between: the part, the item's place in it, the
 * item; see htab_warm(). */
void store_warm(const struct store *s, uint64_t stable);
void store_warm_place(const struct store *s, uint64_t stable, uint32_t tag);
void *store_guess(const struct store *s, uint64_t stable, uint32_t tag);
void store_put(struct store *s, uint64_t stable, void *item);
void store_remove(struct store *s, uint64_t stable, struct span key);
void store_moved(struct store *s, uint64_t stable, uintptr_t from, void *to);

/* The part in which keys from `at` on stand, up to *end; at the end of the store that is the shard's end. */
struct htab *store_part(const struct store *s, uint64_t at, uint64_t *end);

/* All items of the store of a shard, in parts of growing keys. Removing the item just returned is allowed. */
struct store_walk {
    uint64_t at;
    size_t slot;
    bool over;
};
struct store_walk store_walk(unsigned shard);
void *store_next(const struct store *s, struct store_walk *w);

#endif
