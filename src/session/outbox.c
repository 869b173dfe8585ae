/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of changes; see outbox.h. A queue is drained by a task on the loop that pushed first; whoever
 * pushes meanwhile, from whatever thread, only appends.
 *
 * clusterd members get what stands in a queue in one message, up to BATCH_BYTES: one frame, one
 * acknowledgement and one wake-up for all writes of a turn. Tomcats know one session a message.
 */
#include "outbox.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "tomcat.h"

#define BATCH_BYTES ((size_t)64 * 1024) /* a message this long costs no more a byte than a longer one */
#define KEEP_BYTES  ((size_t)256 * 1024)
#define KEEP_QUEUED ((size_t)1024)

struct queued {
    struct change *change;
    struct delivery *delivery;
};

struct list {
    struct queued *v;
    size_t n, cap;
};

struct queue {
    struct lock lock;
    struct list in;
    bool draining; /* a task is posted or runs */
    struct task task;
    struct loop *loop; /* of the task */
    struct outbox *outbox;
    /* Of the drainer: */
    struct list out;
    struct buf batch;
};

struct outbox {
    struct manager *manager;
    unsigned n_queues; /* one a worker: more would only make batches smaller */
    struct queue queues[];
};

/* The members of a view that speak one form. */
struct side {
    struct member **members;
    size_t n;
};

static struct side side_of(const struct view *v, bool clusterd)
{
    struct side s = {mem_array(v->n, sizeof *s.members), 0};

    for (size_t i = 0; i < v->n; i++)
        if ((v->members[i]->clusterd_version > 0) == clusterd)
            s.members[s.n++] = v->members[i];
    return s;
}

/* Those who wait for a message with the changes of several. */
struct shared {
    struct delivery delivery;
    size_t n;
    struct delivery *waiting[];
};

/* On any thread, when all members have answered. */
static void on_shared(struct delivery *d, bool cancelled)
{
    struct shared *s = CONTAINER_OF(d, struct shared, delivery);

    (void)cancelled;
    for (size_t i = 0; i < s->n; i++)
        delivery_pass_on(s->waiting[i], d);
    mem_free(s);
}

static void send_blob(struct manager *m, struct loop *loop, const struct change *c, struct span bytes,
                      const struct side *to, struct delivery *d)
{
    struct cluster_out out = {.payload = bytes,
                              .options = cluster_send_options(m->cluster),
                              .timestamp = c->version.time_ms,
                              .seq = c->version.seq,
                              .flow = c->flow,
                              .delivery = d};
    struct targets targets = {to->n, to->members};

    cluster_send_to(m->cluster, loop, &out, &targets);
}

/* What a drain has in hand. */
struct round {
    struct queue *queue;
    struct side nodes;
    const struct queued *first; /* of those in the batch */
    size_t n;
};

/* One delivery for all who wait for the batch: their own one when only one does. The batch holds it until it
 * is sealed. */
static struct shared *share(const struct round *r, size_t n_waiting)
{
    struct shared *s = mem_alloc(sizeof *s + n_waiting * sizeof *s->waiting);

    s->n = 0;
    delivery_init(&s->delivery, NULL, on_shared);
    for (size_t i = 0; i < r->n; i++)
        if (r->first[i].delivery) {
            delivery_expect(r->first[i].delivery, (int)r->nodes.n);
            s->waiting[s->n++] = r->first[i].delivery;
        }
    return s;
}

static void send_batch(struct round *r)
{
    struct shared *shared = NULL;
    struct delivery *only = NULL;
    size_t n_waiting = 0;

    if (r->n == 0)
        return;
    for (size_t i = 0; i < r->n; i++)
        if (r->first[i].delivery) {
            only = r->first[i].delivery;
            n_waiting++;
        }
    if (n_waiting > 1)
        shared = share(r, n_waiting);
    send_blob(r->queue->outbox->manager, r->queue->loop, r->first[r->n - 1].change,
              buf_span(&r->queue->batch), &r->nodes, shared ? &shared->delivery : only);
    if (shared)
        delivery_seal(&shared->delivery);
    buf_clear(&r->queue->batch);
    r->n = 0;
}

static bool is_long(const struct change *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->entries[i].name.n + blob_span(c->entries[i].value).n;
    return n >= BATCH_BYTES;
}

/* A change that is itself long goes alone: what a member takes in one message has a limit. */
static void add_own(struct round *r, const struct queued *e)
{
    struct buf *b = &r->queue->batch;

    if (r->n && is_long(e->change))
        send_batch(r);
    if (r->n == 0) {
        r->first = e;
        cluster_own_begin(b, OWN_CHANGES);
    }
    change_encode(e->change, b);
    r->n++;
    if (b->n >= BATCH_BYTES)
        send_batch(r);
}

static void send_tomcat(struct manager *m, struct loop *loop, const struct change *c, const struct side *to,
                        struct delivery *d)
{
    struct tomcat_messages msgs = {0};

    tomcat_from_change(c, manager_offset_to(m, NULL), &msgs);
    for (size_t i = 0; i < msgs.n; i++)
        send_blob(m, loop, c, buf_span(&msgs.payloads[i]), to, d);
    tomcat_messages_fini(&msgs);
}

static void send_all(struct queue *q)
{
    struct manager *m = q->outbox->manager;
    struct view *v = channel_view(cluster_channel(m->cluster));
    struct side tomcats = side_of(v, false);
    struct round r = {.queue = q, .nodes = side_of(v, true)};

    for (size_t i = 0; i < q->out.n; i++) {
        const struct queued *e = &q->out.v[i];
        if (r.nodes.n)
            add_own(&r, e);
        if (tomcats.n && manager_is_tomcat_context(e->change->context))
            send_tomcat(m, q->loop, e->change, &tomcats, e->delivery);
    }
    send_batch(&r);
    mem_free(r.nodes.members);
    mem_free(tomcats.members);
    view_unref(v);
}

static bool take(struct queue *q)
{
    lock_take(&q->lock);
    struct list in = q->in;
    q->in = q->out;
    q->out = in;
    q->draining = in.n > 0;
    lock_drop(&q->lock);
    return in.n > 0;
}

/* Memory that a burst has made is not kept. */
static void clear(struct queue *q)
{
    q->out.n = 0;
    if (q->out.cap > KEEP_QUEUED) {
        mem_free(q->out.v);
        q->out = (struct list){0};
    }
    if (q->batch.cap > KEEP_BYTES)
        buf_fini(&q->batch);
}

static void drain(struct task *t, bool cancelled)
{
    struct queue *q = CONTAINER_OF(t, struct queue, task);

    while (take(q)) {
        if (!cancelled && q->outbox->manager->cluster)
            send_all(q);
        for (size_t i = 0; i < q->out.n; i++) {
            if (q->out.v[i].delivery)
                delivery_seal(q->out.v[i].delivery); /* the hold taken in outbox_push() */
            change_unref(q->out.v[i].change);
        }
        clear(q);
    }
}

struct outbox *outbox_new(struct manager *m)
{
    unsigned n = host_n_workers(m->host);
    struct outbox *o = mem_zalloc(sizeof *o + n * sizeof o->queues[0]);

    o->manager = m;
    o->n_queues = n;
    for (unsigned i = 0; i < n; i++) {
        lock_init(&o->queues[i].lock);
        o->queues[i].outbox = o;
        o->queues[i].task.run = drain;
    }
    return o;
}

static void append(struct list *l, struct queued e)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->v = mem_realloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = e;
}

void outbox_push(struct outbox *o, struct loop *loop, struct change *c, struct delivery *d)
{
    struct queue *q = &o->queues[c->flow % o->n_queues];

    if (d)
        delivery_expect(d, 1);
    lock_take(&q->lock);
    append(&q->in, (struct queued){change_ref(c), d});
    bool wake = !q->draining;
    if (wake) {
        q->draining = true;
        q->loop = loop;
    }
    lock_drop(&q->lock);
    if (wake)
        loop_defer(loop, &q->task);
}

void outbox_free(struct outbox *o)
{
    if (!o)
        return;
    for (unsigned i = 0; i < o->n_queues; i++) {
        struct queue *q = &o->queues[i];
        lock_fini(&q->lock);
        mem_free(q->in.v);
        mem_free(q->out.v);
        buf_fini(&q->batch);
    }
    mem_free(o);
}
