/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation of this node on one session; see edit.h. The shard's lock is held from open to close. The
 * version of a change is drawn when the first thing is staged and is later than everything that the session
 * has seen, whatever the clocks say.
 */
#include "clusterd/session/edit.h"

#include "clusterd/util/mem.h"
#include "outbox.h"

#include <stdlib.h>

void edit_open(struct edit *e, struct manager *m, struct loop *loop, struct context *c, struct span id)
{
    ASSERT(id.n <= TABLE_ID_MAX);
    *e = (struct edit){.manager = m, .loop = loop, .context = c, .id = id, .now = table_now(loop)};
    e->key = session_stable_key(c, id);
    e->shard = table_shard_of(e->key);
    lock_take(&m->table->shards[e->shard].lock);
    e->session = table_find_locked(m->table, c, e->key, id);
    e->exists = e->session && session_is_visible(e->session, c, e->now);
}

struct blob *edit_find(const struct edit *e, enum entry_kind kind, struct span name)
{
    struct entry found;

    return e->exists && session_present(e->session, kind, name, &found) ? found.value : NULL;
}

size_t edit_n_attributes(const struct edit *e)
{
    return e->exists ? session_attributes(e->session) : 0;
}

bool edit_next_attribute(const struct edit *e, size_t *at, struct span *name, struct blob **value)
{
    struct entry entry;

    while (e->exists && session_next(e->session, at, &entry)) {
        if (!entry.present || entry.kind != ENTRY_ATTRIBUTE)
            continue;
        *name = entry.name;
        *value = entry.value;
        return true;
    }
    return false;
}

int64_t edit_ttl_ms(const struct edit *e)
{
    uint64_t over = e->exists ? session_over_at(e->session, e->context) : UINT64_MAX;

    return over == UINT64_MAX ? -1 : (int64_t)(over - e->now.mono_ms);
}

bool edit_made_by_front(const struct edit *e)
{
    return e->exists && e->session->life_front;
}

static struct version next_version(const struct edit *e)
{
    struct version v = {manager_time(e->manager, e->loop), e->manager->self,
                        atomic_fetch_add(&e->manager->seq, 1)};

    if (e->session) {
        struct version seen = session_latest(e->session);
        /* Within a millisecond an end wins over an opening. */
        if (version_cmp(v, seen) <= 0 || (e->session->kind == SESSION_GRAVE && v.time_ms == seen.time_ms))
            v.time_ms = seen.time_ms + 1;
    }
    return v;
}

static struct change *staged(struct edit *e)
{
    if (!e->change) {
        e->version = next_version(e);
        e->change = change_new(e->context, e->id, e->version);
        e->change->by_clusterd = true;
        e->change->touches = true;
    }
    return e->change;
}

void edit_reset(struct edit *e)
{
    struct change *c = staged(e);

    e->reset = true;
    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = c->floor = e->version;
    c->life_front = true;
    c->created_wall_ms = e->version.time_ms;
}

void edit_set(struct edit *e, enum entry_kind kind, struct span name, struct blob *value_taken)
{
    change_set(staged(e), kind, name, value_taken, e->version);
}

void edit_remove(struct edit *e, enum entry_kind kind, struct span name)
{
    change_remove(staged(e), kind, name, e->version);
}

void edit_set_ttl(struct edit *e, int64_t ms)
{
    struct change *c = staged(e);

    if (ms < 0)
        change_remove(c, ENTRY_DEADLINE, (struct span){0}, e->version);
    else
        change_set_number(c, ENTRY_DEADLINE, ms, e->version);
}

void edit_end(struct edit *e)
{
    struct change *c = staged(e);

    e->ended = true;
    c->life_kind = CHANGE_LIFE_ENDED;
    c->life = e->version;
}

static int by_bytes(const void *pa, const void *pb)
{
    const struct span *a = pa, *b = pb;

    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return a->n ? memcmp(a->p, b->p, a->n) : 0;
}

#define FEW 8

/* Tomcats know no floor: what a reset lets go must be removed by name. Both sides may have very many names,
 * and the shard is locked: the staged ones are sorted. */
static void name_what_goes(struct edit *e)
{
    struct span few_staged[FEW], few_going[FEW], name;
    size_t most = session_entries_max(e->session), at = 0, n = 0;
    struct span *staged = e->change->n > FEW ? mem_array(e->change->n, sizeof *staged) : few_staged;
    struct span *going = most > FEW ? mem_array(most, sizeof *going) : few_going;
    size_t n_staged = change_names(e->change, ENTRY_ATTRIBUTE, staged);
    struct blob *value;

    if (n_staged > 1)
        qsort(staged, n_staged, sizeof *staged, by_bytes);
    while (edit_next_attribute(e, &at, &name, &value))
        if (!n_staged || !bsearch(&name, staged, n_staged, sizeof *staged, by_bytes))
            going[n++] = name;
    for (size_t i = 0; i < n; i++)
        change_remove(e->change, ENTRY_ATTRIBUTE, going[i], e->version);
    if (staged != few_staged)
        mem_free(staged);
    if (going != few_going)
        mem_free(going);
}

static bool is_refused(const struct edit *e)
{
    const struct context *c = e->context;

    if (e->ended || e->change->n == 0)
        return false;
    if (table_refuses(e->manager->table, e->exists))
        return true;
    return !e->exists && c->manager.max_active_sessions >= 0 &&
           atomic_load(&c->sessions) >= c->manager.max_active_sessions;
}

static void apply(struct edit *e)
{
    struct session *s = e->session;
    struct change *c = e->change;
    bool changed;

    c->created = !e->exists && !e->ended;
    /* A later write tells of the life that it belongs to, so that it never meets a tombstone of an earlier
     * one. */
    if (c->life_kind == CHANGE_LIFE_NONE && s && s->life_kind == CHANGE_LIFE_OPEN) {
        c->life_kind = CHANGE_LIFE_OPEN;
        c->life = s->life;
        c->life_front = s->life_front;
    }
    c->flow = s ? session_flow(s, e->key) : e->key;
    e->session = table_merge_locked(e->manager->table, s, e->key, e->id, c, e->now, &changed);
}

static void commit(struct edit *e, struct delivery *d)
{
    if (e->reset && e->exists)
        name_what_goes(e);
    change_seal(e->change);
    apply(e);
    if (e->manager->cluster)
        outbox_push(e->manager->outbox, e->loop, e->change, d);
}

static void end(struct edit *e)
{
    lock_drop(&e->manager->table->shards[e->shard].lock);
    change_unref(e->change);
    e->change = NULL;
}

enum err edit_close(struct edit *e, struct delivery *d)
{
    struct manager *m = e->manager;

    if (!e->change || (e->ended && !e->exists)) {
        end(e);
        return ERR_OK;
    }
    if (is_refused(e)) {
        metric_inc(m->metrics, sessions_rejected);
        end(e);
        return ERR_FULL;
    }
    commit(e, d);
    end(e);
    return ERR_OK;
}

void edit_cancel(struct edit *e)
{
    end(e);
}

/* An id that was never used here: the session itself gets it, and its old id stays as an alias for late
 * messages. */
static void move(const struct edit *from, struct span to, struct delivery *d)
{
    struct manager *m = from->manager;
    const struct session *so = from->session;
    struct change *c = change_new(from->context, from->id, next_version(from));
    struct buf next = {0};

    change_rename(c, to);
    c->by_clusterd = true;
    c->flow = session_flow(so, from->key);
    change_seal(c);
    (void)table_rename_locked(m->table, c, c->id, c->new_id, from->now, &next);
    buf_fini(&next);
    if (m->cluster)
        outbox_push(m->outbox, from->loop, c, d);
    change_unref(c);
}

/* Stages all of `from` on `e`, which stands at the new id. */
static void stage_copy(struct edit *e, const struct session *from)
{
    struct entry x;

    edit_reset(e);
    e->change->life_front = from->life_front;
    for (size_t at = 0; session_next(from, &at, &x);) {
        if (x.kind == ENTRY_DEADLINE)
            edit_set_ttl(e, x.present ? x.number - (int64_t)e->now.mono_ms : -1);
        else if (x.present && x.kind == ENTRY_MAX_INACTIVE)
            change_set_number(e->change, x.kind, x.number, e->version);
        else if (x.present)
            edit_set(e, x.kind, x.name, blob_ref(x.value));
    }
}

enum err edit_rename(struct manager *m, struct loop *loop, const struct edit_name *from,
                     const struct edit_name *to, bool only_new, struct delivery *d)
{
    struct table *t = m->table;
    struct edit source = {
        .manager = m, .loop = loop, .context = from->context, .id = from->id, .now = table_now(loop)};
    struct edit target = {
        .manager = m, .loop = loop, .context = to->context, .id = to->id, .now = source.now};
    bool same = from->context == to->context && span_eq(from->id, to->id);

    source.key = session_stable_key(from->context, from->id);
    target.key = session_stable_key(to->context, to->id);
    source.shard = table_shard_of(source.key);
    target.shard = table_shard_of(target.key);
    table_lock_two(t, source.shard, target.shard);
    source.session = table_find_locked(t, from->context, source.key, from->id);
    target.session = table_find_locked(t, to->context, target.key, to->id);
    source.exists = source.session && session_is_visible(source.session, from->context, source.now);
    target.exists = target.session && session_is_visible(target.session, to->context, target.now);
    enum err e = !source.exists ? ERR_NOT_FOUND : only_new && target.exists ? ERR_EXISTS : ERR_OK;
    if (e == ERR_OK && !same) {
        if (!target.session && from->context == to->context) {
            move(&source, to->id, d);
        } else {
            stage_copy(&target, source.session);
            commit(&target, d);
            edit_end(&source);
            commit(&source, d);
        }
    }
    table_unlock_two(t, source.shard, target.shard);
    change_unref(source.change);
    change_unref(target.change);
    return e;
}
