/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hashes and one table. hash_keyed() is SipHash-1-3 under a random key of this process: for every table
 * whose keys come from outside (clients choose RESP keys: hash flooding). hash_stable() is the same function
 * under a fixed key: for what all nodes must compute alike (shards, digests).
 * `struct htab` is the only hash table of the project: pointers in open addressing, the key lies in the item.
 */
#ifndef CLUSTERD_UTIL_HASH_H
#define CLUSTERD_UTIL_HASH_H

#include "clusterd/util/bytes.h"

/* Set the process key once, before the first table is made (16 random bytes). */
void hash_set_key(const uint8_t key[16]);
uint64_t hash_keyed(struct span s);
uint64_t hash_stable(struct span s);
uint64_t hash_mix(uint64_t a, uint64_t b); /* combine two hashes; order matters */

typedef struct span (*htab_key_fn)(const void *item);

struct htab {
    void **slots;
    uint32_t *tags;      /* of the hash of the item in the same slot: its place, and to avoid most compares */
    size_t cap, n, used; /* used counts deleted marks too */
    htab_key_fn key;
};

void htab_init(struct htab *t, htab_key_fn key);
void htab_fini(struct htab *t); /* frees the table, not the items */
void *htab_find(const struct htab *t, struct span key);
/* For whoever will look for many keys: the waits for memory overlap when the first thing of all keys is asked
 * for, then the second one of all. htab_warm() has the place of the key with this tag brought into the
 * caches; htab_guess() is the item that a later htab_find() finds, if there is one, or another one, or NULL.
 */
uint32_t htab_tag(struct span key);
void htab_warm(const struct htab *t, uint32_t tag);
void *htab_guess(const struct htab *t, uint32_t tag);
void htab_put(struct htab *t, void *item);          /* the key must not be in the table yet */
void *htab_remove(struct htab *t, struct span key); /* the item, or NULL */
/* Walk: start with *at = 0; NULL ends. Removing the item just returned is allowed; adding is not. */
void *htab_next(const struct htab *t, size_t *at);
/* An item that is in the table lies elsewhere now, with the same key. */
void htab_moved(struct htab *t, uintptr_t from, void *to);
/* Moves those of which `goes` is true to `out`. */
typedef bool (*htab_goes_fn)(void *arg, const void *item);
void htab_split(struct htab *t, struct htab *out, htab_goes_fn goes, void *arg);
/* Gives back the room of what was removed, when it is worth it. Not during a walk. */
void htab_trim(struct htab *t);

#endif
