/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was heard when; see tracker.h. The list is in the order in which members were heard last. Heartbeats
 * come in turn, so the one that is heard next is near the head, and so is the one that is heard no more: with
 * a thousand members, too, neither is searched for long.
 */
#include "tracker.h"

#include "clusterd/util/mem.h"

/* Estimates of a member's start differ by the delay of datagrams; what differs more has jumped. */
#define JUMP_MS 1000

void tracker_init(struct tracker *t)
{
    link_init(&t->list);
    t->n = 0;
}

static void drop(struct tracker *t, struct tracked *e)
{
    link_remove(&e->link);
    t->n--;
    view_member_unref(e->member);
    mem_free(e);
}

void tracker_fini(struct tracker *t)
{
    LINK_EACH_SAFE(l, &t->list)
    drop(t, CONTAINER_OF(l, struct tracked, link));
}

static struct tracked *find(const struct tracker *t, const struct member_rec *rec)
{
    LINK_EACH(l, &t->list)
    {
        struct tracked *e = CONTAINER_OF(l, struct tracked, link);
        if (view_member_is(e->member, rec))
            return e;
    }
    return NULL;
}

/* Silent members that nobody else holds have no object worth keeping. */
static void prune(struct tracker *t, uint64_t now_ms)
{
    LINK_EACH_SAFE(l, &t->list)
    {
        struct tracked *e = CONTAINER_OF(l, struct tracked, link);
        if (e->silent && now_ms >= e->left_until_ms && atomic_load(&e->member->refs) == 1)
            drop(t, e);
    }
}

static enum tracker_news add(struct tracker *t, const struct member_rec *rec, uint64_t now_ms,
                             struct tracked **out)
{
    prune(t, now_ms);
    if (t->n >= TRACKER_MEMBERS_MAX)
        return TRACKER_FULL;
    struct tracked *e = MEM_NEW(struct tracked);
    e->member = view_member_new(rec);
    link_push_back(&t->list, &e->link);
    t->n++;
    *out = e;
    return TRACKER_NEW;
}

/* Of a known member alive, payload and command may change. The payload tells the kind of node, which does not
 * change within a life, and the command is looked at by the caller: what remains is alive. */
enum tracker_news tracker_heard(struct tracker *t, const struct member_rec *rec, uint64_t now_ms,
                                struct member **out)
{
    struct tracked *e = find(t, rec);
    enum tracker_news news = e && !e->silent ? TRACKER_KNOWN : TRACKER_NEW;
    /* alive comes from outside and may be any number: wrap instead of overflow. */
    int64_t start_ms = (int64_t)(now_ms - (uint64_t)rec->alive_ms);

    if (e && now_ms < e->left_until_ms && rec->alive_ms <= e->left_alive_ms)
        return TRACKER_STALE;
    if (!e && add(t, rec, now_ms, &e) == TRACKER_FULL)
        return TRACKER_FULL;
    uint64_t moved = (uint64_t)start_ms - (uint64_t)e->start_ms + JUMP_MS;
    if (news == TRACKER_KNOWN && moved > 2 * (uint64_t)JUMP_MS)
        news = TRACKER_REORDERED;
    if (news != TRACKER_KNOWN) {
        e->start_ms = start_ms;
        /* A Tomcat's alive is the difference of two readings of its wall clock: that clock was set. */
        atomic_store(&e->member->clock_doubt, true);
    }
    e->silent = false;
    e->heard_ms = now_ms;
    link_remove(&e->link);
    link_push_back(&t->list, &e->link);
    atomic_store(&e->member->alive_ms, rec->alive_ms);
    atomic_store(&e->member->heard_mono_ms, now_ms);
    *out = e->member;
    return news;
}

struct member *tracker_leave(struct tracker *t, const struct member_rec *rec, uint64_t now_ms,
                             uint64_t drop_ms)
{
    struct tracked *e = find(t, rec);

    if (!e)
        return NULL;
    e->silent = true;
    e->left_until_ms = now_ms + drop_ms;
    e->left_alive_ms = rec->alive_ms;
    return view_member_ref(e->member);
}

struct member *tracker_expire(struct tracker *t, uint64_t now_ms, uint64_t drop_ms)
{
    LINK_EACH(l, &t->list)
    {
        struct tracked *e = CONTAINER_OF(l, struct tracked, link);
        if (e->silent)
            continue;
        if (now_ms <= e->heard_ms || now_ms - e->heard_ms <= drop_ms)
            break; /* all others were heard later */
        e->silent = true;
        return view_member_ref(e->member);
    }
    return NULL;
}

void tracker_shift(struct tracker *t, uint64_t ms)
{
    LINK_EACH(l, &t->list)
    CONTAINER_OF(l, struct tracked, link)->heard_ms += ms;
}
