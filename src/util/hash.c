/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-1-3 (Aumasson, Bernstein) and the project's one hash table: open addressing with linear probing,
 * pointers to the items and 32-bit tags beside them. A tag is what the item's place follows from, so a table
 * grows without touching its items, and a lookup compares a key only when its tag fits. There are as many
 * slots as are needed, not a power of two of them: between 8/7 and 4/3 of the items.
 */
#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"

static uint64_t process_key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
static const uint64_t stable_key[2] = {0x636c757374657264ULL, 0x7368617264733031ULL};
#define EMPTY      0u /* tags; those of items are greater */
#define DELETED    1u
#define CAP_MIN    8u
#define AHEAD      12 /* slots: about as many items as a processor can wait for at a time */
#define CACHE_LINE 64

/* Written so that a compiler makes one load of it. */
static inline uint64_t le64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline uint64_t rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static uint64_t siphash13(const uint64_t key[2], struct span s)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
                     key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL};
    const uint8_t *p = s.p;
    size_t left = s.n;

    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = le64(p);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)s.n << 56;
    if (left && s.n >= 8) /* the last eight bytes, without those that are done with */
        last |= le64(p + left - 8) >> (8 * (8 - left));
    else
        for (size_t i = 0; i < left; i++)
            last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_set_key(const uint8_t key[16])
{
    process_key[0] = le64(key);
    process_key[1] = le64(key + 8);
}

uint64_t hash_keyed(struct span s)
{
    return siphash13(process_key, s);
}

uint64_t hash_stable(struct span s)
{
    return siphash13(stable_key, s);
}

/* The finalizer of MurmurHash3 over both words: good avalanche, no key needed for what is hashed already. */
uint64_t hash_mix(uint64_t a, uint64_t b)
{
    uint64_t h = a * 0x9e3779b97f4a7c15ULL + b;

    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ h >> 33;
}

void htab_init(struct htab *t, htab_key_fn key)
{
    *t = (struct htab){.key = key};
}

void htab_fini(struct htab *t)
{
    mem_free(t->slots);
    mem_free(t->tags);
    *t = (struct htab){.key = t->key};
}

uint32_t htab_tag(struct span key)
{
    uint32_t tag = (uint32_t)(hash_keyed(key) >> 32);

    return tag > DELETED ? tag : tag + DELETED + 1;
}

static size_t home_of(uint32_t tag, size_t cap)
{
    return (size_t)((uint64_t)tag * cap >> 32);
}

static size_t behind(size_t i, size_t cap)
{
    return i + 1 == cap ? 0 : i + 1;
}

/* The slot of the key, or (size_t)-1. */
static size_t slot_of(const struct htab *t, struct span key)
{
    if (t->n == 0)
        return (size_t)-1;
    uint32_t tag = htab_tag(key);
    for (size_t i = home_of(tag, t->cap); t->tags[i] != EMPTY; i = behind(i, t->cap))
        if (t->tags[i] == tag && span_eq(t->key(t->slots[i]), key))
            return i;
    return (size_t)-1;
}

void htab_warm(const struct htab *t, uint32_t tag)
{
    size_t i = home_of(tag, t->cap);

    if (t->n == 0)
        return;
    __builtin_prefetch(&t->tags[i]);
    __builtin_prefetch(&t->slots[i]);
}

void *htab_guess(const struct htab *t, uint32_t tag)
{
    if (t->n == 0)
        return NULL;
    for (size_t i = home_of(tag, t->cap); t->tags[i] != EMPTY; i = behind(i, t->cap))
        if (t->tags[i] == tag)
            return t->slots[i];
    return NULL;
}

static void place(struct htab *t, void *item, uint32_t tag)
{
    size_t i = home_of(tag, t->cap);

    while (t->tags[i] != EMPTY)
        i = behind(i, t->cap);
    t->slots[i] = item;
    t->tags[i] = tag;
}

/* Room for n items and some more. */
static void resize(struct htab *t, size_t n)
{
    struct htab old = *t;

    ASSERT(n < UINT32_MAX / 2);
    t->cap = n + n / 3 + 1 < CAP_MIN ? CAP_MIN : n + n / 3 + 1;
    t->slots = mem_alloc(t->cap * sizeof *t->slots);
    t->tags = mem_array(t->cap, sizeof *t->tags);
    for (size_t i = 0; i < old.cap; i++)
        if (old.tags[i] > DELETED)
            place(t, old.slots[i], old.tags[i]);
    mem_free(old.slots);
    mem_free(old.tags);
    t->used = t->n;
}

void *htab_find(const struct htab *t, struct span key)
{
    size_t i = slot_of(t, key);

    return i == (size_t)-1 ? NULL : t->slots[i];
}

static void put(struct htab *t, void *item, uint32_t tag)
{
    if ((t->used + 1) * 8 > t->cap * 7)
        resize(t, t->n + 1);
    place(t, item, tag);
    t->n++;
    t->used++;
}

void htab_put(struct htab *t, void *item)
{
    put(t, item, htab_tag(t->key(item)));
}

static void take_out(struct htab *t, size_t i)
{
    /* An empty neighbour ends every probe here, so no mark is needed. */
    bool last = t->tags[behind(i, t->cap)] == EMPTY;

    t->tags[i] = last ? EMPTY : DELETED;
    t->used -= last;
    t->n--;
}

void *htab_remove(struct htab *t, struct span key)
{
    size_t i = slot_of(t, key);

    if (i == (size_t)-1)
        return NULL;
    take_out(t, i);
    return t->slots[i];
}

void htab_moved(struct htab *t, uintptr_t from, void *to)
{
    uint32_t tag = htab_tag(t->key(to));

    for (size_t i = home_of(tag, t->cap); t->tags[i] != EMPTY; i = behind(i, t->cap))
        if (t->tags[i] == tag && (uintptr_t)t->slots[i] == from) {
            t->slots[i] = to;
            return;
        }
    ASSERT(!"the item that moved is in the table");
}

/* Whoever looks at one item after the other would wait for the memory of each: that of the items to come is
 * asked for meanwhile. (GCC leaves out calls of a function of its file that only prefetches; hence inline.)
 */
static inline __attribute__((always_inline)) void ask_ahead(const struct htab *t, size_t i)
{
    size_t ahead = i + AHEAD;

    if (ahead >= t->cap || t->tags[ahead] <= DELETED)
        return;
    __builtin_prefetch(t->slots[ahead]);
    __builtin_prefetch((const char *)t->slots[ahead] + CACHE_LINE);
}

void *htab_next(const struct htab *t, size_t *at)
{
    while (*at < t->cap) {
        size_t i = (*at)++;
        ask_ahead(t, i);
        if (t->tags[i] > DELETED)
            return t->slots[i];
    }
    return NULL;
}

void htab_split(struct htab *t, struct htab *out, htab_goes_fn goes, void *arg)
{
    for (size_t i = 0; i < t->cap; i++) {
        ask_ahead(t, i);
        if (t->tags[i] > DELETED && goes(arg, t->slots[i])) {
            put(out, t->slots[i], t->tags[i]);
            take_out(t, i);
        }
    }
    resize(t, t->n);
}

void htab_trim(struct htab *t)
{
    if (t->cap > CAP_MIN && t->n < t->cap / 4)
        resize(t, t->n);
}
