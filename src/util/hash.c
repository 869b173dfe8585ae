/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-1-3 (Aumasson, Bernstein) and the project's one hash table: open addressing with linear probing,
 * pointers to the items and 32-bit tags beside them, so that a lookup compares a key only when its tag fits.
 */
#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"

static uint64_t process_key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
static const uint64_t stable_key[2] = {0x636c757374657264ULL, 0x7368617264733031ULL};
static char deleted_mark;
#define DELETED ((void *)&deleted_mark)

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
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

static uint32_t tag_of(uint64_t h)
{
    return (uint32_t)(h >> 32);
}

/* The slot of the key, or (size_t)-1. */
static size_t slot_of(const struct htab *t, struct span key, uint64_t h)
{
    if (t->cap == 0)
        return (size_t)-1;
    for (size_t i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        void *item = t->slots[i];
        if (!item)
            return (size_t)-1;
        if (item != DELETED && t->tags[i] == tag_of(h) && span_eq(t->key(item), key))
            return i;
    }
}

static void place(void **slots, uint32_t *tags, size_t cap, void *item, uint64_t h)
{
    size_t i = h & (cap - 1);

    while (slots[i])
        i = (i + 1) & (cap - 1);
    slots[i] = item;
    tags[i] = tag_of(h);
}

static void resize(struct htab *t, size_t cap)
{
    void **slots = mem_array(cap, sizeof *slots);
    uint32_t *tags = mem_array(cap, sizeof *tags);

    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i] && t->slots[i] != DELETED)
            place(slots, tags, cap, t->slots[i], hash_keyed(t->key(t->slots[i])));
    mem_free(t->slots);
    mem_free(t->tags);
    t->slots = slots;
    t->tags = tags;
    t->cap = cap;
    t->used = t->n;
}

void *htab_find(const struct htab *t, struct span key)
{
    size_t i = slot_of(t, key, hash_keyed(key));

    return i == (size_t)-1 ? NULL : t->slots[i];
}

void htab_put(struct htab *t, void *item)
{
    if ((t->used + 1) * 4 > t->cap * 3) {
        size_t cap = t->cap ? t->cap : 8;
        while ((t->n + 1) * 3 > cap * 2)
            cap *= 2;
        resize(t, cap);
    }
    uint64_t h = hash_keyed(t->key(item));
    place(t->slots, t->tags, t->cap, item, h);
    t->n++;
    t->used++;
}

void *htab_remove(struct htab *t, struct span key)
{
    size_t i = slot_of(t, key, hash_keyed(key));

    if (i == (size_t)-1)
        return NULL;
    void *item = t->slots[i];
    /* An empty neighbour ends every probe here, so no mark is needed. */
    if (!t->slots[(i + 1) & (t->cap - 1)]) {
        t->slots[i] = NULL;
        t->used--;
    } else {
        t->slots[i] = DELETED;
    }
    t->n--;
    return item;
}

void *htab_next(const struct htab *t, size_t *at)
{
    while (*at < t->cap) {
        void *item = t->slots[(*at)++];
        if (item && item != DELETED)
            return item;
    }
    return NULL;
}

size_t htab_memory(const struct htab *t)
{
    return t->cap * (sizeof *t->slots + sizeof *t->tags);
}
