/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session table; see table.h. Any thread. Nothing is called back, encoded or sent under a shard's lock.
 * Here: finding, applying changes, renames, parking, memory. Contexts: table_context.c; walks, sweeping and
 * comparison: table_walk.c.
 */
#include "table_private.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

#define ALIAS_HOPS_MAX   1024 /* an id changes at login and at fail-over, but a client may RENAME in a loop */
#define PARKED_MAX       10000 /* changes */
#define PARKED_BYTES_MAX ((size_t)32 << 20)
#define HARD_LIMIT(max)  ((max) + (max) / 20)

struct parked {
    struct link link;
    struct change *change;
    uint64_t until_mono_ms;
};

struct table_now table_now(const struct loop *l)
{
    return (struct table_now){loop_mono_ms(l), loop_steady_ms(l)};
}

static uint64_t stable_key(void *arg, const void *item)
{
    const struct session *s = item;

    return session_stable_key(table_context_of(arg, s), session_id(s));
}

struct table *table_new(const struct table_conf *conf, struct metrics *metrics)
{
    struct table *t = MEM_NEW(struct table);

    t->conf = *conf;
    t->metrics = metrics;
    for (unsigned i = 0; i < TABLE_SHARDS; i++) {
        lock_init(&t->shards[i].lock);
        store_init(&t->shards[i].sessions, session_item_key, stable_key, t);
    }
    lock_init(&t->park_lock);
    link_init(&t->parked);
    table_contexts_init(t);
    return t;
}

static void parked_free(struct parked *p)
{
    change_unref(p->change);
    mem_free(p);
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < TABLE_SHARDS; i++) {
        struct store_walk walk = store_walk(i);
        for (struct session *s; (s = store_next(&t->shards[i].sessions, &walk));)
            session_free(s);
        store_fini(&t->shards[i].sessions);
        lock_fini(&t->shards[i].lock);
    }
    for (struct link *l; (l = link_pop_front(&t->parked));)
        parked_free(CONTAINER_OF(l, struct parked, link));
    lock_fini(&t->park_lock);
    table_contexts_fini(t);
    mem_free(t);
}

struct session *table_find_locked(struct table *t, const struct context *c, uint64_t key, struct span id)
{
    uint8_t tagged[SESSION_TAG_LEN + TABLE_ID_MAX];

    if (id.n > TABLE_ID_MAX)
        return NULL;
    return store_find(&t->shards[table_shard_of(key)].sessions, key, session_table_key(c, id, tagged));
}

struct session *table_add_locked(struct table *t, const struct context *c, uint64_t key, struct span id,
                                 uint64_t mono_ms, const struct change *first)
{
    struct session *s = session_new(c, id, mono_ms, first);

    store_put(&t->shards[table_shard_of(key)].sessions, key, s);
    atomic_fetch_add(&t->bytes, session_bytes(s));
    atomic_fetch_add(&t->items, 1);
    return s;
}

void table_remove_locked(struct table *t, struct session *s)
{
    struct context *c = table_context_of(t, s);
    uint64_t key = session_stable_key(c, session_id(s));

    store_remove(&t->shards[table_shard_of(key)].sessions, key, session_item_key(s));
    atomic_fetch_sub(&t->bytes, session_bytes(s));
    atomic_fetch_sub(&t->items, 1);
    if (s->kind != SESSION_LIVE)
        atomic_fetch_sub(&t->graves, 1);
    if (s->counted) {
        atomic_fetch_sub(&c->sessions, 1);
        atomic_fetch_sub(&t->sessions, 1);
    }
    session_free(s);
}

struct table_mark table_before(const struct session *s)
{
    return (struct table_mark){session_bytes(s), s->kind != SESSION_LIVE};
}

void table_after(struct table *t, struct session *s, struct table_mark before)
{
    size_t bytes = session_bytes(s);
    bool grave = s->kind != SESSION_LIVE, alive = session_is_alive(s);

    /* Unsigned wrap-around makes this right for shrinking too. */
    atomic_fetch_add(&t->bytes, (unsigned long long)bytes - before.bytes);
    if (grave != before.grave)
        atomic_fetch_add(&t->graves, grave ? 1 : (unsigned long long)-1);
    if (alive == s->counted)
        return;
    s->counted = alive;
    atomic_fetch_add(&table_context_of(t, s)->sessions, alive ? 1 : -1);
    atomic_fetch_add(&t->sessions, alive ? 1 : (unsigned long long)-1);
    if (alive)
        metric_inc(t->metrics, sessions_created);
}

struct session *table_merge_locked(struct table *t, struct session *s, uint64_t key, struct span id,
                                   const struct change *c, struct table_now now, bool *changed)
{
    bool first = !s;

    if (first)
        s = table_add_locked(t, c->context, key, id, now.mono_ms, c);
    struct table_mark mark = table_before(s);
    uintptr_t was = (uintptr_t)s;
    if (s->kind == SESSION_ALIAS)
        session_unalias(s);
    *changed = session_merge(&s, key, c, first, now);
    if ((uintptr_t)s != was)
        store_moved(&t->shards[table_shard_of(key)].sessions, key, was, s);
    table_after(t, s, mark);
    return s;
}

bool table_refuses(struct table *t, bool exists)
{
    uint64_t max = t->conf.max_bytes, used = atomic_load(&t->bytes);

    return max && used >= (exists ? HARD_LIMIT(max) : max);
}

/* One change can be larger than all that there may be. What it replaces makes room. */
static bool is_too_large(struct table *t, const struct session *s, const struct change *c)
{
    uint64_t max = HARD_LIMIT(t->conf.max_bytes), used = atomic_load(&t->bytes);

    return max && change_bytes(c) > (used < max ? max - used : 0) + (s ? session_bytes(s) : 0);
}

void table_lock_two(struct table *t, unsigned a, unsigned b)
{
    lock_take(&t->shards[a < b ? a : b].lock);
    if (a != b)
        lock_take(&t->shards[a < b ? b : a].lock);
}

void table_unlock_two(struct table *t, unsigned a, unsigned b)
{
    lock_drop(&t->shards[a].lock);
    if (a != b)
        lock_drop(&t->shards[b].lock);
}

static size_t parked_bytes(const struct change *c)
{
    return sizeof(struct parked) + change_bytes(c);
}

/* Out of the parking lot, into `to`. Under its lock. */
static void leave(struct table *t, struct parked *p, struct link *to)
{
    link_remove(&p->link);
    link_push_back(to, &p->link);
    t->n_parked--;
    t->parked_bytes -= parked_bytes(p->change);
}

static void park(struct table *t, struct change *c, uint64_t mono_ms)
{
    size_t bytes = parked_bytes(c);

    lock_take(&t->park_lock);
    if (t->n_parked < PARKED_MAX && bytes <= PARKED_BYTES_MAX - t->parked_bytes) {
        struct parked *p = MEM_NEW(struct parked);
        p->change = change_ref(c);
        p->until_mono_ms = mono_ms + t->conf.park_ms;
        link_push_back(&t->parked, &p->link);
        t->n_parked++;
        t->parked_bytes += bytes;
    }
    lock_drop(&t->park_lock);
    metric_inc(t->metrics, deltas_parked);
}

/* Takes what waits for this session out of the parking lot and applies it. */
static void unpark(struct table *t, struct context *c, struct span id, struct table_now now)
{
    struct link mine;

    link_init(&mine);
    lock_take(&t->park_lock);
    LINK_EACH_SAFE(l, &t->parked)
    {
        struct parked *p = CONTAINER_OF(l, struct parked, link);
        if (p->change->context == c && span_eq(p->change->id, id))
            leave(t, p, &mine);
    }
    lock_drop(&t->park_lock);
    for (struct link *l; (l = link_pop_front(&mine));) {
        struct parked *p = CONTAINER_OF(l, struct parked, link);
        (void)table_apply(t, p->change, now);
        parked_free(p);
    }
}

void table_forget_parked(struct table *t, uint64_t mono_ms)
{
    struct link over;

    link_init(&over);
    lock_take(&t->park_lock);
    LINK_EACH_SAFE(l, &t->parked)
    {
        /* In order of parking, hence of expiry. */
        struct parked *p = CONTAINER_OF(l, struct parked, link);
        if (p->until_mono_ms > mono_ms)
            break;
        leave(t, p, &over);
    }
    lock_drop(&t->park_lock);
    for (struct link *l; (l = link_pop_front(&over));)
        parked_free(CONTAINER_OF(l, struct parked, link));
}

/* An opening later than the change of id claims the old id for a new session; anything else follows the new
 * id. */
static bool follows_alias(const struct session *alias, const struct change *c)
{
    return !(c->life_kind == CHANGE_LIFE_OPEN &&
             session_is_opened_anew(session_alias_version(alias), c->life, c->life_front));
}

/* One attempt under one shard's lock. `id` is where the session is looked for; when an alias stands there its
 * target is written to `next` and true returned. */
static bool apply_at(struct table *t, struct change *c, struct span id, struct table_now now,
                     struct buf *next, enum table_result *result, bool *reopened)
{
    uint64_t key = session_stable_key(c->context, id);
    struct shard *sh = &t->shards[table_shard_of(key)];

    lock_take(&sh->lock);
    struct session *s = table_find_locked(t, c->context, key, id);
    if (s && s->kind == SESSION_ALIAS && follows_alias(s, c)) {
        buf_clear(next);
        wr_span(next, session_alias(s));
        lock_drop(&sh->lock);
        return true;
    }
    bool brings = c->n > 0 || c->life_kind == CHANGE_LIFE_OPEN;
    if (!s && c->n == 0 && c->life_kind == CHANGE_LIFE_NONE) {
        lock_drop(&sh->lock); /* an access to what is not known here says nothing */
        return false;
    }
    /* The end of a session that is not known here takes memory too. */
    if (((brings || !s) && table_refuses(t, s || !brings)) || (c->n && is_too_large(t, s, c))) {
        lock_drop(&sh->lock);
        atomic_fetch_add(&t->refused, 1);
        metric_inc(t->metrics, sessions_rejected);
        *result = TABLE_FULL;
        return false;
    }
    bool was_grave = s && s->kind == SESSION_GRAVE, changed;
    s = table_merge_locked(t, s, key, id, c, now, &changed);
    *reopened = was_grave && s->kind == SESSION_LIVE;
    *result = was_grave && s->kind == SESSION_GRAVE && c->n && !changed ? TABLE_PARKED
              : changed                                                 ? TABLE_APPLIED
                                                                        : TABLE_STALE;
    lock_drop(&sh->lock);
    return false;
}

/* Was the target renamed later than this change? Message ids of a Tomcat do not tell within a millisecond,
 * but there an id that was given up does not come home so fast: two changes in a row are what happens. */
static bool moved_on(const struct session *target, const struct change *c)
{
    struct version renamed = session_alias_version(target);

    if (!c->by_clusterd && renamed.time_ms == c->version.time_ms && renamed.writer == c->version.writer)
        return true;
    return version_cmp(renamed, c->version) > 0;
}

/* What stands under the old id goes to the new one, whose session is made when it is NULL. */
static void move_state(struct table *t, const struct session *so, uint64_t key_from, struct session *sn,
                       uint64_t key_to, struct span to, struct table_now now)
{
    const struct context *c = table_context_of(t, so);
    bool changed;

    if (!sn)
        sn = table_add_locked(t, c, key_to, to, now.mono_ms, NULL);
    struct table_mark mark = table_before(sn);
    if (sn->kind == SESSION_ALIAS)
        session_unalias(sn);
    session_set_flow(sn, key_to, session_flow(so, key_from));
    sn->changed_mono_ms = now.mono_ms;
    table_after(t, sn, mark);
    if (so->kind == SESSION_ALIAS)
        return;
    struct change *all = session_snapshot(so, table_context_of(t, so), now);
    sn = table_merge_locked(t, sn, key_to, to, all, now, &changed);
    sn->changed_mono_ms = now.mono_ms;
    change_unref(all);
}

static void leave_alias(struct table *t, struct session *so, uint64_t key, struct span to, struct version v,
                        struct table_now now)
{
    struct table_mark mark = table_before(so);
    uintptr_t was = (uintptr_t)so;

    session_make_alias(&so, to, v);
    if ((uintptr_t)so != was)
        store_moved(&t->shards[table_shard_of(key)].sessions, key, was, so);
    so->changed_mono_ms = now.mono_ms;
    table_after(t, so, mark);
}

/*
 * The ids are in one of three states each; what happens depends on versions only:
 *   - `from` was renamed by a later change already: this one is history.
 *   - `to` was renamed by a later change: the state belongs to where that went (the caller follows and comes
 * again).
 *   - `to` was renamed earlier: the id is claimed back (a route that moved away and home again).
 */
enum table_result table_rename_locked(struct table *t, struct change *c, struct span from, struct span to,
                                      struct table_now now, struct buf *next)
{
    uint64_t key_from = session_stable_key(c->context, from), key_to = session_stable_key(c->context, to);
    struct session *so = table_find_locked(t, c->context, key_from, from);
    struct session *sn = table_find_locked(t, c->context, key_to, to);

    buf_clear(next);
    if (so && so->kind == SESSION_ALIAS && version_cmp(session_alias_version(so), c->version) >= 0)
        return TABLE_STALE;
    if (sn && sn->kind == SESSION_ALIAS && moved_on(sn, c)) {
        wr_span(next, session_alias(sn));
        return TABLE_STALE;
    }
    /* A session that was opened under the old id after the rename has nothing to do with it. */
    if (so && so->kind == SESSION_LIVE && so->life_kind == CHANGE_LIFE_OPEN &&
        session_is_opened_anew(c->version, so->life, so->life_front))
        return TABLE_STALE;
    if (!so && table_refuses(t, true))
        return TABLE_FULL;
    if (!so)
        so = table_add_locked(t, c->context, key_from, from, now.mono_ms, NULL);
    move_state(t, so, key_from, sn, key_to, to, now);
    leave_alias(t, so, key_from, to, c->version, now);
    return TABLE_APPLIED;
}

static enum table_result apply_rename(struct table *t, struct change *c, struct table_now now)
{
    struct buf to = {0}, next = {0};
    enum table_result result = TABLE_STALE;

    wr_span(&to, c->new_id);
    for (int hop = 0; hop < ALIAS_HOPS_MAX; hop++) {
        struct span target = buf_span(&to);
        if (span_eq(target, c->id))
            break; /* it came back to where it began, later */
        unsigned a = table_shard_of(session_stable_key(c->context, c->id));
        unsigned b = table_shard_of(session_stable_key(c->context, target));
        table_lock_two(t, a, b);
        result = table_rename_locked(t, c, c->id, target, now, &next);
        table_unlock_two(t, a, b);
        if (next.n == 0)
            break;
        struct buf swap = to;
        to = next;
        next = swap;
    }
    if (result == TABLE_FULL) {
        atomic_fetch_add(&t->refused, 1);
        metric_inc(t->metrics, sessions_rejected);
    }
    if (result == TABLE_APPLIED)
        unpark(t, c->context, buf_span(&to), now);
    buf_fini(&to);
    buf_fini(&next);
    return result;
}

enum table_result table_apply(struct table *t, struct change *c, struct table_now now)
{
    enum table_result result = TABLE_STALE;
    bool reopened = false;

    if (c->id.n > TABLE_ID_MAX || c->new_id.n > TABLE_ID_MAX) {
        metric_inc(t->metrics, sessions_rejected);
        return TABLE_REFUSED;
    }
    if (c->new_id.n)
        return apply_rename(t, c, now);
    struct buf led = {0}, next = {0};
    struct span at = c->id;
    for (int hop = 0; hop < ALIAS_HOPS_MAX; hop++) {
        if (!apply_at(t, c, at, now, &next, &result, &reopened))
            break;
        struct buf swap = led;
        led = next;
        next = swap;
        at = buf_span(&led);
    }
    if (result == TABLE_PARKED)
        park(t, c, now.mono_ms);
    if (reopened)
        unpark(t, c->context, at, now);
    if (result == TABLE_STALE)
        metric_inc(t->metrics, changes_stale);
    buf_fini(&led);
    buf_fini(&next);
    return result;
}

struct change *table_snapshot(struct table *t, struct context *c, struct span id, bool follow,
                              struct table_now now)
{
    struct buf led = {0};
    struct change *found = NULL;
    struct span at = id;

    for (int hop = 0; hop < ALIAS_HOPS_MAX && at.n <= TABLE_ID_MAX; hop++) {
        uint64_t key = session_stable_key(c, at);
        struct shard *sh = &t->shards[table_shard_of(key)];
        bool again = false;
        lock_take(&sh->lock);
        struct session *s = table_find_locked(t, c, key, at);
        if (s && s->kind == SESSION_ALIAS && follow) {
            buf_clear(&led);
            wr_span(&led, session_alias(s));
            at = buf_span(&led);
            again = true;
        } else if (s && session_is_visible(s, c, now)) {
            found = session_snapshot(s, c, now);
        }
        lock_drop(&sh->lock);
        if (!again)
            break;
    }
    buf_fini(&led);
    return found;
}

struct change *table_held(struct table *t, struct context *c, struct span id, struct table_now now)
{
    if (id.n > TABLE_ID_MAX)
        return NULL;
    uint64_t key = session_stable_key(c, id);
    struct shard *sh = &t->shards[table_shard_of(key)];
    lock_take(&sh->lock);
    struct session *s = table_find_locked(t, c, key, id);
    struct change *held = s ? session_snapshot(s, c, now) : NULL;
    lock_drop(&sh->lock);
    return held;
}

uint64_t table_bytes(const struct table *t)
{
    return atomic_load(&t->bytes);
}

uint64_t table_sessions(const struct table *t)
{
    return atomic_load(&t->sessions);
}

uint64_t table_tombstones(const struct table *t)
{
    return atomic_load(&t->graves);
}

uint64_t table_items(const struct table *t)
{
    return atomic_load(&t->items);
}

bool table_is_full(const struct table *t)
{
    return t->conf.max_bytes && atomic_load(&t->bytes) >= t->conf.max_bytes;
}

uint64_t table_refused(const struct table *t)
{
    return atomic_load(&t->refused);
}

const struct table_conf *table_conf(const struct table *t)
{
    return &t->conf;
}
