/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparison and repair; see repair.h. The exchange, each step a message of its own:
 *
 *   A: OWN_DIGEST, a hash of each bucket of each shard, of what has been quiet for a while
 *   B: OWN_SUMMARY, of the buckets that differ: (key, state hash) of each session, tombstone and old id
 *   A: OWN_REPAIR, the sessions that B lacks or holds otherwise
 *   A: OWN_FETCH, the keys of those that A lacks or holds otherwise
 *   B: OWN_REPAIR, those
 *
 * All of it only merges changes, so it may be repeated, interrupted and overtaken at will.
 */
#include "repair.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "giving.h"
#include "transfer.h"

#include <stdlib.h>

#define QUIET_MS    3000  /* younger changes may still be on their way */
#define SOON_MS     1000  /* after a member was added ... */
#define LATER_MS    4500  /* ... and again after so long: more than QUIET_MS */
#define INTERVAL_MS 30000 /* one random member each */
/* What a shard of a million sessions needs. The other side works off a message in the time that it takes to
 * make the next one; many small ones would queue up there, and leave holes between the sessions. */
#define SUMMARY_BYTES  (256u << 10)
#define KEYS_MAX       (1u << 22) /* of one bucket: only ids that were chosen for it get there */
#define STATE_UNSEEN   0          /* in the place of a hash */
#define STEP_MS        1
#define STEP_SESSIONS  4096        /* that one step looks at, or one shard: about a millisecond */
#define WORK_BYTES_MAX (64u << 20) /* of what waits; what is more is left to the next comparison */
#define WORK_MAX       8192

/* What takes its time goes step by step, some shards or one slice of sessions each: heartbeats are not to
 * wait for it, nor are those who want a shard's lock. */
enum work_kind {
    WORK_DIGEST,  /* make ours and send it */
    WORK_COMPARE, /* theirs, with ours */
    WORK_SUMMARY, /* theirs of one shard, with ours */
    WORK_FETCH    /* they ask for these */
};

struct work {
    struct link link;
    enum work_kind kind;
    struct member *with;
    unsigned shard;  /* of DIGEST and COMPARE: the next one */
    unsigned bits;   /* and buckets of a shard */
    struct buf body; /* the message: that came, or of DIGEST, that is made */
};

/* A member to be compared with: soon, and once more when all that was written until now has become quiet. */
struct due {
    struct member *member;
    uint64_t at_mono_ms;
    bool again;
};

struct repair {
    struct manager *manager;
    struct timer timer, step_timer;
    struct due *due;
    size_t n_due;
    struct link work;
    size_t n_work, work_bytes;
    struct giving *giving;
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

/* --- work --- */

static struct work *find_work(const struct repair *r, enum work_kind kind, const struct member *with)
{
    LINK_EACH(l, &r->work)
    {
        struct work *w = CONTAINER_OF(l, struct work, link);
        if (w->kind == kind && w->with == with)
            return w;
    }
    return NULL;
}

static void start_steps(struct repair *r)
{
    if (!r->step_timer.active)
        timer_start(&r->step_timer, STEP_MS);
}

/* NULL: there is too much of it already. */
static struct work *add_work(struct repair *r, enum work_kind kind, struct member *with, struct span body)
{
    if (r->n_work >= WORK_MAX || r->work_bytes > WORK_BYTES_MAX) {
        log_limited(loop_mono_ms(main_loop(r->manager)), LOG_INFO,
                    "A comparison with %s is put off: much of it is waiting", with->name);
        return NULL;
    }
    struct work *w = MEM_NEW(struct work);
    w->kind = kind;
    w->with = view_member_ref(with);
    wr_span(&w->body, body);
    link_push_back(&r->work, &w->link);
    r->n_work++;
    r->work_bytes += w->body.n;
    start_steps(r);
    return w;
}

static void end_work(struct repair *r, struct work *w)
{
    r->n_work--;
    r->work_bytes -= w->body.n;
    link_remove(&w->link);
    view_member_unref(w->with);
    buf_fini(&w->body);
    mem_free(w);
}

/* --- who is to be compared with, and when --- */

static void start_timer(struct repair *r)
{
    uint64_t now_ms = loop_mono_ms(main_loop(r->manager)), at_ms = UINT64_MAX;

    for (size_t i = 0; i < r->n_due; i++)
        if (r->due[i].at_mono_ms < at_ms)
            at_ms = r->due[i].at_mono_ms;
    if (r->n_due)
        timer_start(&r->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

static struct due *due_for(struct repair *r, struct member *member)
{
    for (size_t i = 0; i < r->n_due; i++)
        if (r->due[i].member == member)
            return &r->due[i];
    r->due = mem_realloc(r->due, (r->n_due + 1) * sizeof *r->due);
    r->due[r->n_due] = (struct due){view_member_ref(member), UINT64_MAX, false};
    return &r->due[r->n_due++];
}

/* What is found now is about to be given already: it would come twice. */
static void put_off(struct repair *r, struct member *member)
{
    struct due *d = due_for(r, member);

    if (d->at_mono_ms == UINT64_MAX)
        d->at_mono_ms = loop_mono_ms(main_loop(r->manager)) + LATER_MS;
    start_timer(r);
}

/* --- digests --- */

static void ask_digest(struct repair *r, struct member *to)
{
    if (find_work(r, WORK_DIGEST, to))
        return;
    struct work *w = add_work(r, WORK_DIGEST, to, (struct span){NULL, 0});
    if (w) {
        cluster_own_begin(&w->body, OWN_DIGEST);
        w->bits = table_bucket_bits(r->manager->table);
        wr_u8(&w->body, (uint8_t)w->bits);
        r->work_bytes += w->body.n;
    }
}

/* The digests of the buckets of one shard. */
static void add_digests(struct manager *m, unsigned shard, unsigned bits, struct buf *out)
{
    for (unsigned i = 0; i < 1u << bits; i++)
        wr_u64(out, table_digest(m->table, (struct table_bucket){shard, bits, i}, table_now(main_loop(m)),
                                 QUIET_MS));
}

/* Each step is a wake-up, most of what an idle node's comparison would cost with a step for each shard. One
 * that is asked about finer buckets than its own looks at its sessions once for each of several buckets. */
static unsigned shards_of_a_step(const struct manager *m, unsigned bits)
{
    unsigned own_bits = table_bucket_bits(m->table);
    uint64_t in_shard = table_items(m->table) / TABLE_SHARDS + 1,
             n = STEP_SESSIONS / (in_shard << (bits > own_bits ? bits - own_bits : 0));

    return n < 1 ? 1 : n > TABLE_SHARDS ? TABLE_SHARDS : (unsigned)n;
}

/* True while there is more to do; so it is with all steps. */
static bool step_digest(struct repair *r, struct work *w)
{
    if (transfer_why_incomplete(r->manager))
        return false; /* the transfer brings it */
    for (unsigned n = shards_of_a_step(r->manager, w->bits); n > 0 && w->shard < TABLE_SHARDS; n--) {
        add_digests(r->manager, w->shard++, w->bits, &w->body);
        r->work_bytes += 8u << w->bits;
    }
    if (w->shard < TABLE_SHARDS)
        return true;
    send(r->manager, w->with, &w->body);
    return false;
}

static void add_summary(struct manager *m, struct table_bucket bucket, struct buf *out)
{
    struct table_summary *all;
    size_t n = table_summaries(m->table, bucket, table_now(main_loop(m)), &all);

    if (n <= KEYS_MAX) {
        wr_u8(out, (uint8_t)bucket.number);
        wr_u32(out, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
            wr_u64(out, all[i].key);
            wr_u64(out, all[i].unseen ? STATE_UNSEEN : all[i].state);
        }
    }
    mem_free(all);
}

/* Of a shard, in some messages, none of them much larger than SUMMARY_BYTES. */
struct summaries {
    struct manager *manager;
    struct member *to;
    unsigned shard, bits;
    size_t empty; /* bytes of a message without a bucket */
    struct buf message;
};

static void begin_summary(struct summaries *s)
{
    buf_clear(&s->message);
    cluster_own_begin(&s->message, OWN_SUMMARY);
    wr_u8(&s->message, (uint8_t)s->shard);
    wr_u8(&s->message, (uint8_t)s->bits);
    s->empty = s->message.n;
}

static void flush_summary(struct summaries *s, size_t least)
{
    if (s->message.n < least)
        return;
    send(s->manager, s->to, &s->message);
    begin_summary(s);
}

/* Ours of the buckets of a shard that differ. They are summed up as finely as our own table is compared: a
 * bucket of a member with a small table may have very many of our sessions. */
static void send_summaries(struct repair *r, const struct work *w, const uint8_t *theirs, const uint8_t *ours)
{
    unsigned own_bits = table_bucket_bits(r->manager->table),
             finer = own_bits > w->bits ? own_bits - w->bits : 0, n = 0;
    struct summaries s = {.manager = r->manager, .to = w->with, .shard = w->shard, .bits = w->bits + finer};

    begin_summary(&s);
    for (unsigned i = 0; i < 1u << w->bits; i++) {
        if (be_u64(theirs + 8 * i) == be_u64(ours + 8 * i))
            continue;
        for (unsigned j = i << finer; j < (i + 1) << finer; j++) {
            add_summary(r->manager, (struct table_bucket){w->shard, s.bits, j}, &s.message);
            flush_summary(&s, SUMMARY_BYTES);
        }
        n++;
    }
    flush_summary(&s, s.empty + 1);
    buf_fini(&s.message);
    if (n)
        log_debug("shard %u differs from that of %s in %u of %u buckets", w->shard, w->with->name, n,
                  1u << w->bits);
}

static void compare_shard(struct repair *r, struct work *w)
{
    size_t shard_bytes = (size_t)8 << w->bits;
    struct buf ours = {0};

    add_digests(r->manager, w->shard, w->bits, &ours);
    send_summaries(r, w, w->body.p + 1 + w->shard * shard_bytes, ours.p);
    buf_fini(&ours);
    w->shard++;
}

static bool step_compare(struct repair *r, struct work *w)
{
    for (unsigned n = shards_of_a_step(r->manager, w->bits); n > 0 && w->shard < TABLE_SHARDS; n--)
        compare_shard(r, w);
    return w->shard < TABLE_SHARDS;
}

void repair_on_digest(struct manager *m, struct member *from, struct span body)
{
    struct rd in = rd_of(body);
    unsigned bits = rd_u8(&in, "bits of a bucket");

    /* What is about to come by transfer anyway must not come twice, and fill the sender's queue. */
    if (transfer_is_starting(m))
        return;
    if (bits > TABLE_BUCKET_BITS_MAX || rd_left(&in) < (size_t)8 * TABLE_SHARDS << bits ||
        find_work(m->repair, WORK_COMPARE, from))
        return;
    if (giving_has_more(m->repair->giving, from)) {
        put_off(m->repair, from);
        return;
    }
    struct work *w = add_work(m->repair, WORK_COMPARE, from, body);
    if (w)
        w->bits = bits;
}

/* --- sessions --- */

static unsigned read_below(struct rd *in, unsigned bound, const char *field)
{
    unsigned v = rd_u8(in, field);

    if (v >= bound)
        rd_fail(in, ERR_BAD, field);
    return v;
}

static size_t read_keys(struct rd *in, bool with_state, struct table_summary **out_taken)
{
    uint32_t n = rd_count32(in, with_state ? 16 : 8, KEYS_MAX, "number of keys");
    struct table_summary *all = mem_array(n, sizeof *all);

    for (uint32_t i = 0; i < n; i++) {
        all[i].key = rd_u64(in, "key");
        all[i].state = with_state ? rd_u64(in, "state") : 0;
        all[i].unseen = with_state && all[i].state == STATE_UNSEEN;
    }
    *out_taken = all;
    return in->err ? 0 : n;
}

static int by_key(const void *a, const void *b)
{
    const struct table_summary *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static void sort(struct table_summary *all, size_t n)
{
    if (n)
        qsort(all, n, sizeof *all, by_key);
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

/* What stands in `a`, sorted, and not just so in `b`, sorted. What nobody sees of `a` is only of interest to
 * who sees something under that name: among those that do not it would go round. */
static size_t difference(const struct table_summary *a, size_t n_a, const struct table_summary *b, size_t n_b,
                         struct table_summary *out)
{
    size_t n = 0;

    for (size_t i = 0, j = 0; i < n_a; i++) {
        while (j < n_b && b[j].key < a[i].key)
            j++;
        bool both = j < n_b && b[j].key == a[i].key, same = both && b[j].state == a[i].state;
        if (a[i].unseen ? both && !b[j].unseen : !same || b[j].unseen)
            out[n++] = a[i];
    }
    return n;
}

/* Keys of several buckets. */
struct keys {
    struct table_summary *all;
    size_t n, cap;
};

static struct table_summary *keys_room(struct keys *k, size_t n)
{
    if (k->cap - k->n < n) {
        k->cap = k->n + n > 2 * k->cap ? k->n + n : 2 * k->cap;
        k->all = mem_realloc(k->all, k->cap * sizeof *k->all);
    }
    return k->all + k->n;
}

static void compare_bucket(struct manager *m, struct table_bucket bucket, struct table_summary *theirs,
                           size_t n_theirs, struct keys *give, struct keys *take)
{
    struct table_summary *ours;
    size_t n_ours = table_summaries(m->table, bucket, table_now(main_loop(m)), &ours);

    sort(theirs, n_theirs);
    sort(ours, n_ours);
    give->n += difference(ours, n_ours, theirs, n_theirs, keys_room(give, n_ours));
    take->n += difference(theirs, n_theirs, ours, n_ours, keys_room(take, n_theirs));
    mem_free(ours);
}

/* Buckets come in their order, so none comes twice, and what is to be given is in order as well. */
static bool step_summary(struct repair *r, struct work *w)
{
    struct rd in = rd_of(buf_span(&w->body));
    unsigned shard = read_below(&in, TABLE_SHARDS, "shard");
    unsigned bits = read_below(&in, TABLE_BUCKET_BITS_MAX + 1, "bits of a bucket"), next = 0;
    struct keys give = {0}, take = {0};

    while (rd_left(&in) > 0) {
        struct table_summary *theirs;
        struct table_bucket bucket = {shard, bits, read_below(&in, 1u << bits, "bucket")};
        if (bucket.number < next)
            rd_fail(&in, ERR_BAD, "bucket");
        next = bucket.number + 1;
        size_t n = read_keys(&in, true, &theirs);
        if (rd_verdict(&in) == ERR_OK)
            compare_bucket(r->manager, bucket, theirs, n, &give, &take);
        mem_free(theirs);
    }
    log_debug("shard %u: %zu sessions for %s, %zu from it", shard, give.n, w->with->name, take.n);
    send_fetch(r->manager, w->with, shard, take.all, take.n);
    mem_free(take.all);
    giving_add(r->giving, w->with, shard, give.all, give.n);
    return false;
}

static bool step_fetch(struct repair *r, struct work *w)
{
    struct rd in = rd_of(buf_span(&w->body));
    unsigned shard = read_below(&in, TABLE_SHARDS, "shard");
    struct table_summary *keys;
    size_t n = read_keys(&in, false, &keys);

    sort(keys, n);
    giving_add(r->giving, w->with, shard, keys, n);
    return false;
}

void repair_on_summary(struct manager *m, struct member *from, struct span body)
{
    (void)add_work(m->repair, WORK_SUMMARY, from, body);
}

void repair_on_fetch(struct manager *m, struct member *from, struct span body)
{
    (void)add_work(m->repair, WORK_FETCH, from, body);
}

/* --- timers --- */

static void on_step(struct timer *t, void *arg)
{
    static bool (*const steps[])(struct repair *, struct work *) = {[WORK_DIGEST] = step_digest,
                                                                    [WORK_COMPARE] = step_compare,
                                                                    [WORK_SUMMARY] = step_summary,
                                                                    [WORK_FETCH] = step_fetch};
    struct repair *r = arg;
    struct work *w = CONTAINER_OF(r->work.next, struct work, link);

    if (!r->manager->running || !steps[w->kind](r, w))
        end_work(r, w);
    if (!link_is_alone(&r->work))
        timer_start(t, STEP_MS);
}

static void on_timer(struct timer *t, void *arg)
{
    struct repair *r = arg;
    uint64_t now_ms = loop_mono_ms(main_loop(r->manager));
    size_t left = 0;

    (void)t;
    for (size_t i = 0; i < r->n_due; i++) {
        struct due d = r->due[i];
        bool is_due = d.at_mono_ms <= now_ms,
             waits = r->manager->running && giving_has_more(r->giving, d.member);
        if (is_due && r->manager->running && !waits)
            ask_digest(r, d.member);
        if (is_due && !d.again && !waits) {
            view_member_unref(d.member);
            continue;
        }
        if (is_due)
            d = (struct due){d.member, now_ms + LATER_MS, d.again && waits};
        r->due[left++] = d;
    }
    r->n_due = left;
    start_timer(r);
}

void repair_on_added(struct manager *m, struct member *member)
{
    struct due *d = due_for(m->repair, member);

    if (d->again)
        return;
    d->again = true;
    d->at_mono_ms = loop_mono_ms(main_loop(m)) + SOON_MS;
    start_timer(m->repair);
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
        if (v->members[i]->clusterd_version && chosen-- == 0 && !giving_has_more(r->giving, v->members[i]))
            ask_digest(r, v->members[i]);
    view_unref(v);
}

struct repair *repair_new(struct manager *m)
{
    struct repair *r = MEM_NEW(struct repair);

    r->manager = m;
    link_init(&r->work);
    r->giving = giving_new(m);
    timer_init(&r->timer, host_main(m->host), on_timer, r);
    timer_init(&r->step_timer, host_main(m->host), on_step, r);
    return r;
}

void repair_free(struct repair *r)
{
    if (!r)
        return;
    timer_fini(&r->timer);
    timer_fini(&r->step_timer);
    while (!link_is_alone(&r->work))
        end_work(r, CONTAINER_OF(r->work.next, struct work, link));
    giving_free(r->giving);
    for (size_t i = 0; i < r->n_due; i++)
        view_member_unref(r->due[i].member);
    mem_free(r->due);
    mem_free(r);
}
