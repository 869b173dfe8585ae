/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lanes of one member as a whole; see peer.h. Opening and closing is the main loop's. A member that is
 * added again while its lanes are still closing opens them when they have closed.
 */
#include "peer.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/options.h"
#include "transmitter_impl.h"

#define ONE_UNFINISHED (1u << PEER_LANE_BITS)
#define LANE_FILL      8u /* messages, of this much each: then a flow goes to the next lane */
#define WEIGHT_BYTES   8192u

static void run_trouble(struct task *t, bool cancelled)
{
    struct peer *p = CONTAINER_OF(t, struct peer, trouble);
    struct member *m = p->m;

    atomic_store(&p->trouble_posted, false);
    if (!cancelled && !p->is_closing)
        p->t->ev.on_trouble(p->t->arg, m, (enum err)atomic_load(&p->trouble_why));
}

void peer_tell_trouble(struct peer *p, enum err why)
{
    atomic_store(&p->trouble_why, why);
    if (!atomic_exchange(&p->trouble_posted, true))
        loop_post(host_main(p->t->host), &p->trouble);
}

static void run_caught(struct task *t, bool cancelled)
{
    struct peer *p = CONTAINER_OF(t, struct peer, caught);

    atomic_store(&p->caught_posted, false);
    bool lost = atomic_exchange(&p->lost, false);
    if (!cancelled && !p->is_closing)
        p->t->ev.on_caught_up(p->t->arg, p->m, lost);
}

void peer_set_lagging(struct lane *l, bool lagging)
{
    struct peer *p = l->peer;
    struct lock *lock = &p->lanes[0].lock;

    lock_take(lock);
    p->n_lagging += lagging ? 1 : -1;
    bool first = lagging && p->n_lagging == 1, last = p->n_lagging == 0;
    atomic_store(&p->m->lagging, p->n_lagging > 0);
    lock_drop(lock);
    for (unsigned i = 0; first && i < p->n_lanes; i++)
        if (&p->lanes[i] != l)
            lane_order(&p->lanes[i], LANE_SHED);
    if (last)
        log_info("sender: %s has caught up", p->m->name);
}

void peer_caught_up(struct peer *p, bool lost)
{
    if (lost)
        atomic_store(&p->lost, true);
    if (!atomic_load(&p->m->lagging) && !atomic_exchange(&p->caught_posted, true))
        loop_post(host_main(p->t->host), &p->caught);
}

/*
 * Which lane. All unfinished messages of a flow are in one, so their order is that lane's. A flow that has
 * none goes where there is something on its way already, but not much: 16 messages in two reads cost a Tomcat
 * two thirds of what they cost it in four. Each lane is for a thread of the Tomcat, which is worth waking for
 * half a batch of small messages or for a large one. What wants no ACK is finished when it is written, and
 * nothing tells when it was handled: such a flow stays at home, but for messages that come while its place
 * has unfinished ones (nothing but probes and greetings is sent to a Tomcat so).
 */
static unsigned flow_hash(uint64_t flow)
{
    return (unsigned)(flow * 0x9e3779b97f4a7c15u >> 32);
}

static atomic_uint *flow_place(const struct peer *p, uint64_t flow)
{
    return &p->flows[flow_hash(flow) % PEER_FLOWS];
}

static unsigned weight_of(size_t bytes)
{
    return (unsigned)(1 + bytes / WEIGHT_BYTES);
}

static unsigned load_of(const struct lane *l)
{
    return atomic_load_explicit(&l->load, memory_order_relaxed);
}

static unsigned choose_lane(const struct peer *p, const struct transmitter_item *item)
{
    unsigned least = 0;

    if (!(item->options & SEND_USE_ACK))
        return flow_hash(item->flow) % p->n_lanes;
    for (unsigned i = 0; i < p->n_lanes; i++) {
        if (load_of(&p->lanes[i]) < LANE_FILL)
            return i;
        if (load_of(&p->lanes[i]) < load_of(&p->lanes[least]))
            least = i;
    }
    return least;
}

struct lane *peer_take_lane(struct peer *p, const struct transmitter_item *item)
{
    if (p->n_lanes == 1)
        return &p->lanes[0];
    atomic_uint *place = flow_place(p, item->flow);
    unsigned was = atomic_load(place), lane;
    do {
        lane = was >= ONE_UNFINISHED ? was % ONE_UNFINISHED : choose_lane(p, item);
    } while (!atomic_compare_exchange_weak(place, &was, was - was % ONE_UNFINISHED + ONE_UNFINISHED + lane));
    atomic_fetch_add_explicit(&p->lanes[lane].load, weight_of(item->frame->n), memory_order_relaxed);
    return &p->lanes[lane];
}

void peer_leave_lane(struct lane *l, uint64_t flow, size_t bytes)
{
    if (l->peer->n_lanes == 1)
        return;
    atomic_fetch_sub_explicit(&l->load, weight_of(bytes), memory_order_relaxed);
    atomic_fetch_sub(flow_place(l->peer, flow), ONE_UNFINISHED);
}

/* With the member's last reference: its lanes have ended long ago. */
static void free_peer(void *peer)
{
    struct peer *p = peer;

    for (unsigned i = 0; i < p->n_lanes; i++)
        lane_fini(&p->lanes[i]);
    mem_free(p->flows);
    mem_free(p);
}

struct peer *peer_new(struct transmitter *t, struct member *m)
{
    bool is_clusterd = m->clusterd_version > 0;
    unsigned n = is_clusterd ? 1 : t->pool_size;
    struct peer *p = mem_zalloc(sizeof *p + n * sizeof p->lanes[0]);

    p->t = t;
    p->m = m;
    p->n_lanes = n;
    ASSERT(n > 0 && n <= ONE_UNFINISHED);
    if (n > 1)
        p->flows = mem_zalloc(PEER_FLOWS * sizeof *p->flows);
    p->trouble.run = run_trouble;
    p->caught.run = run_caught;
    link_init(&p->link);
    for (unsigned i = 0; i < n; i++) {
        struct loop *worker = host_worker(t->host, t->next_worker);
        t->next_worker = (t->next_worker + 1) % host_n_workers(t->host);
        lane_init(&p->lanes[i], p, i, worker, is_clusterd ? &lane_pipeline_ops : &lane_batch_ops);
    }
    m->free_lanes = free_peer;
    atomic_store_explicit(&m->lanes, p, memory_order_release);
    return p;
}

void peer_open(struct peer *p)
{
    view_member_ref(p->m);
    link_push_back(&p->t->peers, &p->link);
    p->live_lanes = p->n_lanes;
    p->is_closing = p->open_again = false;
    p->n_lagging = 0;
    atomic_store(&p->m->lagging, false);
    for (unsigned i = 0; i < p->n_lanes; i++)
        lane_open(&p->lanes[i]);
}

void peer_close(struct peer *p, unsigned order)
{
    p->is_closing = true;
    for (unsigned i = 0; i < p->n_lanes; i++)
        lane_close(&p->lanes[i], order);
}

void peer_lane_ended(struct peer *p)
{
    struct transmitter *t = p->t;
    struct member *m = p->m;

    if (--p->live_lanes > 0)
        return;
    link_remove(&p->link);
    atomic_store(&m->lagging, false);
    if (p->open_again && !t->is_stopping)
        peer_open(p);
    view_member_unref(m);
    transmitter_check_stopped(t);
}

void peer_abandon(struct peer *p)
{
    link_remove(&p->link);
    view_member_unref(p->m);
}
