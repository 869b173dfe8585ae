/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparison and repair; see repair.h. The exchange, each step a message of its own:
 *
 *   A  OWN_DIGEST   a hash of each shard, of what has been quiet for a while
 *   B  OWN_SUMMARY  of the shards that differ: (key, state hash) of each session, tombstone and old id
 *   A  OWN_REPAIR   the sessions that B lacks or holds otherwise; OWN_FETCH the keys of those that A lacks or
 * holds otherwise B  OWN_REPAIR   those
 *
 * All of it only merges changes, so it may be repeated, interrupted and overtaken at will.
 */
#include "repair.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "transfer.h"

#include <stdlib.h>

#define QUIET_MS    3000  /* younger changes may still be on their way */
#define SOON_MS     1000  /* after a member was added */
#define INTERVAL_MS 30000 /* one random member each */
#define BLOCK_BYTES (64u << 10)
#define KEYS_MAX    (1u << 22) /* in one message */
#define WALK_SLICE  4096

struct repair {
    struct manager *manager;
    struct timer timer;
    struct member **due; /* to be compared with soon */
    size_t n_due;
    uint64_t next_mono_ms;
};

static struct loop *main_loop(const struct manager *m)
{
    return host_main(m->host);
}

static void send(struct manager *m, struct member *to, const struct buf *b)
{
    manager_send_own(m, main_loop(m), to, b, 0, SEND_USE_ACK, NULL);
}

static void send_digest(struct manager *m, struct member *to)
{
    struct buf b = {0};
    uint64_t hash, count;

    if (transfer_why_incomplete(m))
        return; /* the transfer brings it */
    cluster_own_begin(&b, OWN_DIGEST);
    for (unsigned s = 0; s < TABLE_SHARDS; s++) {
        table_digest(m->table, s, table_now(main_loop(m)), QUIET_MS, &hash, &count);
        wr_u64(&b, hash);
    }
    send(m, to, &b);
    buf_fini(&b);
}

static void send_summary(struct manager *m, struct member *to, unsigned shard)
{
    struct buf b = {0};
    struct table_summary *all;
    size_t n = table_summaries(m->table, shard, table_now(main_loop(m)), &all);

    if (n <= KEYS_MAX) {
        cluster_own_begin(&b, OWN_SUMMARY);
        wr_u8(&b, (uint8_t)shard);
        wr_u32(&b, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
            wr_u64(&b, all[i].key);
            wr_u64(&b, all[i].state);
        }
        send(m, to, &b);
    }
    buf_fini(&b);
    mem_free(all);
}

void repair_on_digest(struct manager *m, struct member *from, struct span body)
{
    struct rd in = rd_of(body);
    unsigned differ = 0;

    for (unsigned s = 0; s < TABLE_SHARDS; s++) {
        uint64_t hash, count, theirs = rd_u64(&in, "shard hash");
        if (rd_verdict(&in) != ERR_OK)
            return;
        table_digest(m->table, s, table_now(main_loop(m)), QUIET_MS, &hash, &count);
        if (hash != theirs) {
            send_summary(m, from, s);
            differ++;
        }
    }
    if (differ)
        log_debug("%u of %u shards differ from those of %s", differ, TABLE_SHARDS, from->name);
}

static int by_key(const void *a, const void *b)
{
    const struct table_summary *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

/* Sends all sessions of a shard that `pick` names. */
struct pick {
    struct manager *manager;
    struct member *to;
    struct table_summary *keys; /* sorted */
    size_t n;
    struct buf block;
};

static void flush(struct pick *p)
{
    if (p->block.n)
        send(p->manager, p->to, &p->block);
    buf_clear(&p->block);
}

static void add_picked(void *arg, struct change *c)
{
    struct pick *p = arg;
    struct table_summary key = {session_stable_key(c->context, c->id), 0};

    if (bsearch(&key, p->keys, p->n, sizeof key, by_key)) {
        if (p->block.n == 0)
            cluster_own_begin(&p->block, OWN_REPAIR);
        change_encode(c, &p->block);
        if (p->block.n >= BLOCK_BYTES)
            flush(p);
    }
    change_unref(c);
}

static void send_picked(struct manager *m, struct member *to, unsigned shard, struct table_summary *keys,
                        size_t n)
{
    struct pick p = {.manager = m, .to = to, .keys = keys, .n = n};
    uint64_t at = (uint64_t)shard << 58;

    if (n == 0)
        return;
    qsort(keys, n, sizeof *keys, by_key);
    do
        table_walk(m->table, NULL, true, &at, WALK_SLICE, table_now(main_loop(m)), add_picked, &p);
    while (at && at >> 58 == shard);
    flush(&p);
    buf_fini(&p.block);
}

static size_t read_keys(struct rd *in, unsigned *shard, bool with_state, struct table_summary **out_taken)
{
    *shard = rd_u8(in, "shard");
    if (*shard >= TABLE_SHARDS)
        rd_fail(in, ERR_BAD, "shard");
    uint32_t n = rd_count32(in, with_state ? 16 : 8, KEYS_MAX, "number of keys");
    struct table_summary *all = mem_array(n, sizeof *all);

    for (uint32_t i = 0; i < n; i++) {
        all[i].key = rd_u64(in, "key");
        all[i].state = with_state ? rd_u64(in, "state") : 0;
    }
    *out_taken = all;
    return in->err ? 0 : n;
}

static void send_fetch(struct manager *m, struct member *to, unsigned shard, const struct table_summary *keys,
                       size_t n)
{
    struct buf b = {0};

    if (n == 0)
        return;
    cluster_own_begin(&b, OWN_FETCH);
    wr_u8(&b, (uint8_t)shard);
    wr_u32(&b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        wr_u64(&b, keys[i].key);
    send(m, to, &b);
    buf_fini(&b);
}

/* What stands in `a`, sorted, and not just so in `b`, sorted. */
static size_t difference(const struct table_summary *a, size_t n_a, const struct table_summary *b, size_t n_b,
                         struct table_summary *out)
{
    size_t n = 0;

    for (size_t i = 0, j = 0; i < n_a; i++) {
        while (j < n_b && b[j].key < a[i].key)
            j++;
        if (j == n_b || b[j].key != a[i].key || b[j].state != a[i].state)
            out[n++] = a[i];
    }
    return n;
}

void repair_on_summary(struct manager *m, struct member *from, struct span body)
{
    struct rd in = rd_of(body);
    struct table_summary *theirs, *ours;
    unsigned shard;
    size_t n_theirs = read_keys(&in, &shard, true, &theirs);

    if (rd_verdict(&in) == ERR_OK) {
        size_t n_ours = table_summaries(m->table, shard, table_now(main_loop(m)), &ours);
        struct table_summary *give = mem_array(n_ours, sizeof *give),
                             *take = mem_array(n_theirs, sizeof *take);
        if (n_theirs)
            qsort(theirs, n_theirs, sizeof *theirs, by_key);
        if (n_ours)
            qsort(ours, n_ours, sizeof *ours, by_key);
        size_t n_give = difference(ours, n_ours, theirs, n_theirs, give);
        size_t n_take = difference(theirs, n_theirs, ours, n_ours, take);
        log_debug("shard %u: %zu sessions for %s, %zu from it", shard, n_give, from->name, n_take);
        send_picked(m, from, shard, give, n_give);
        send_fetch(m, from, shard, take, n_take);
        mem_free(give);
        mem_free(take);
        mem_free(ours);
    }
    mem_free(theirs);
}

void repair_on_fetch(struct manager *m, struct member *from, struct span body)
{
    struct rd in = rd_of(body);
    struct table_summary *keys;
    unsigned shard;
    size_t n = read_keys(&in, &shard, false, &keys);

    if (rd_verdict(&in) == ERR_OK)
        send_picked(m, from, shard, keys, n);
    mem_free(keys);
}

static void on_timer(struct timer *t, void *arg)
{
    struct repair *r = arg;

    (void)t;
    for (size_t i = 0; i < r->n_due; i++) {
        if (r->manager->running)
            send_digest(r->manager, r->due[i]);
        view_member_unref(r->due[i]);
    }
    r->n_due = 0;
}

void repair_on_added(struct manager *m, struct member *member)
{
    struct repair *r = m->repair;

    for (size_t i = 0; i < r->n_due; i++)
        if (r->due[i] == member)
            return;
    r->due = mem_realloc(r->due, (r->n_due + 1) * sizeof *r->due);
    r->due[r->n_due++] = view_member_ref(member);
    if (!r->timer.active)
        timer_start(&r->timer, SOON_MS);
}

void repair_on_heartbeat(struct manager *m)
{
    struct repair *r = m->repair;
    struct view *v;
    size_t n = 0;

    if (loop_mono_ms(main_loop(m)) < r->next_mono_ms)
        return;
    r->next_mono_ms = loop_mono_ms(main_loop(m)) + INTERVAL_MS;
    v = channel_view(cluster_channel(m->cluster));
    for (size_t i = 0; i < v->n; i++)
        n += v->members[i]->clusterd_version > 0;
    uint32_t chosen = n ? loop_random_below(main_loop(m), (uint32_t)n) : 0;
    for (size_t i = 0; i < v->n; i++)
        if (v->members[i]->clusterd_version && chosen-- == 0)
            send_digest(m, v->members[i]);
    view_unref(v);
}

struct repair *repair_new(struct manager *m)
{
    struct repair *r = MEM_NEW(struct repair);

    r->manager = m;
    timer_init(&r->timer, host_main(m->host), on_timer, r);
    return r;
}

void repair_free(struct repair *r)
{
    if (!r)
        return;
    timer_fini(&r->timer);
    for (size_t i = 0; i < r->n_due; i++)
        view_member_unref(r->due[i]);
    mem_free(r->due);
    mem_free(r);
}
