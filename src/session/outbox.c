/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of changes; see outbox.h. A queue is drained by a task on the loop that pushed first; whoever
 * pushes meanwhile, from whatever thread, only appends.
 */
#include "outbox.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "tomcat.h"

#define QUEUES 16

struct queued {
    struct link link;
    struct change *change;
    struct delivery *delivery;
};

struct queue {
    struct lock lock;
    struct link list;
    bool draining; /* a task is posted or runs */
    struct task task;
    struct loop *loop; /* of the task */
    struct outbox *outbox;
};

struct outbox {
    struct manager *manager;
    struct queue queues[QUEUES];
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

static void send_blob(struct manager *m, struct loop *loop, const struct change *c, struct span bytes,
                      const struct side *to, struct delivery *d)
{
    struct blob *payload = blob_new(bytes);
    struct cluster_out out = {.payload = payload,
                              .options = cluster_send_options(m->cluster),
                              .timestamp = c->version.time_ms,
                              .seq = c->version.seq,
                              .flow = c->flow,
                              .delivery = d};
    struct targets targets = {to->n, to->members};

    cluster_send_to(m->cluster, loop, &out, &targets);
    blob_unref(payload);
}

static void send_own(struct manager *m, struct loop *loop, const struct change *c, const struct side *to,
                     struct delivery *d)
{
    struct buf b = {0};

    cluster_own_begin(&b, OWN_CHANGES);
    change_encode(c, &b);
    send_blob(m, loop, c, buf_span(&b), to, d);
    buf_fini(&b);
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

static void send_change(struct manager *m, struct loop *loop, const struct change *c, struct delivery *d)
{
    struct view *v = channel_view(cluster_channel(m->cluster));
    struct side nodes = side_of(v, true), tomcats = side_of(v, false);

    if (nodes.n)
        send_own(m, loop, c, &nodes, d);
    if (tomcats.n && manager_is_tomcat_context(c->context))
        send_tomcat(m, loop, c, &tomcats, d);
    mem_free(nodes.members);
    mem_free(tomcats.members);
    view_unref(v);
}

static void drain(struct task *t, bool cancelled)
{
    struct queue *q = CONTAINER_OF(t, struct queue, task);
    struct manager *m = q->outbox->manager;

    for (;;) {
        struct link batch;
        link_init(&batch);
        lock_take(&q->lock);
        while (!link_is_alone(&q->list))
            link_push_back(&batch, link_pop_front(&q->list));
        if (link_is_alone(&batch))
            q->draining = false;
        lock_drop(&q->lock);
        if (link_is_alone(&batch))
            return;
        for (struct link *l; (l = link_pop_front(&batch));) {
            struct queued *e = CONTAINER_OF(l, struct queued, link);
            if (!cancelled && m->cluster)
                send_change(m, q->loop, e->change, e->delivery);
            if (e->delivery)
                delivery_seal(e->delivery); /* the hold taken in outbox_push() */
            change_unref(e->change);
            mem_free(e);
        }
    }
}

struct outbox *outbox_new(struct manager *m)
{
    struct outbox *o = MEM_NEW(struct outbox);

    o->manager = m;
    for (unsigned i = 0; i < QUEUES; i++) {
        lock_init(&o->queues[i].lock);
        link_init(&o->queues[i].list);
        o->queues[i].outbox = o;
        o->queues[i].task.run = drain;
    }
    return o;
}

void outbox_push(struct outbox *o, struct loop *loop, struct change *c, struct delivery *d)
{
    struct queue *q = &o->queues[c->flow % QUEUES];
    struct queued *e = MEM_NEW(struct queued);

    e->change = change_ref(c);
    e->delivery = d;
    if (d)
        delivery_expect(d, 1);
    lock_take(&q->lock);
    link_push_back(&q->list, &e->link);
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
    for (unsigned i = 0; i < QUEUES; i++)
        lock_fini(&o->queues[i].lock);
    mem_free(o);
}
