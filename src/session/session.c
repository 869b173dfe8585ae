/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule book: how a change meets a session; see session.h. Pure data, under the shard's lock. How entries
 * are stored: session_entries.c.
 */
#include "session.h"

#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"

/* A Tomcat may reach a session without telling (reads, up to 10.1.46 and 9.0.109): as a Tomcat replica does,
 * keep what a Tomcat wrote last for twice its time, and some more for clocks and queues. */
#define REPLICA_FACTOR   2
#define REPLICA_SLACK_MS 30000
/* A login makes a session and changes its id in one request, in one millisecond, and a Tomcat's CREATED may
 * come last: only what is clearly later than the change is another session. */
#define REOPEN_SLACK_MS 1000

struct span session_table_key(const struct context *c, struct span id, uint8_t *out)
{
    uint16_t context = (uint16_t)c->index;

    ASSERT(id.n <= TABLE_ID_MAX);
    memcpy(out, &context, sizeof context);
    if (id.n)
        memcpy(out + sizeof context, id.p, id.n);
    return span_of(out, sizeof context + id.n);
}

struct span session_item_key(const void *item)
{
    const struct session *s = item;

    return span_of((const uint8_t *)item + offsetof(struct session, tag), SESSION_TAG_LEN + s->id_len);
}

uint64_t session_stable_key(const struct context *c, struct span id)
{
    return hash_mix(c->name_hash, hash_stable(id));
}

struct span session_id(const struct session *s)
{
    return span_of(s->id, s->id_len);
}

/* --- what few sessions have --- */

struct session_rare *session_rare(struct session *s)
{
    if (!s->rare)
        s->rare = MEM_NEW(struct session_rare);
    return s->rare;
}

static void drop_rare_if_empty(struct session *s)
{
    struct session_rare *r = s->rare;

    if (!r || r->index || r->alias || r->has_flow || s->floor_kind == FLOOR_OWN ||
        s->created_kind == CREATED_OWN)
        return;
    mem_free(r);
    s->rare = NULL;
}

void session_free(struct session *s)
{
    session_drop_entries(s);
    if (s->rare)
        blob_unref(s->rare->alias);
    mem_free(s->rare);
    mem_free(s);
}

struct version session_alias_version(const struct session *s)
{
    return s->rare ? s->rare->alias_version : (struct version){0};
}

struct span session_alias(const struct session *s)
{
    return blob_span(s->rare ? s->rare->alias : NULL);
}

uint64_t session_flow(const struct session *s, uint64_t key)
{
    return s->rare && s->rare->has_flow ? s->rare->flow : key;
}

void session_set_flow(struct session *s, uint64_t key, uint64_t flow)
{
    if (flow == session_flow(s, key))
        return;
    session_rare(s)->flow = flow;
    s->rare->has_flow = flow != key;
}

static struct version created_floor(struct version life)
{
    return (struct version){life.time_ms - CHANGE_CREATED_SLACK_MS, 0, 0};
}

struct version session_floor(const struct session *s)
{
    switch ((enum session_floor)s->floor_kind) {
    case FLOOR_LIFE:
        return s->life;
    case FLOOR_CREATED:
        return created_floor(s->life);
    case FLOOR_OWN:
        return s->rare->floor;
    case FLOOR_NONE:
        break;
    }
    return (struct version){0};
}

int64_t session_created(const struct session *s)
{
    switch ((enum session_created)s->created_kind) {
    case CREATED_BACK:
        return s->life.time_ms - (int64_t)s->created_back_ms;
    case CREATED_OWN:
        return s->rare->created_wall_ms;
    case CREATED_NONE:
        break;
    }
    return 0;
}

static void set_created(struct session *s, int64_t wall_ms)
{
    int64_t back_ms = s->life.time_ms - wall_ms;

    if (wall_ms == 0) {
        s->created_kind = CREATED_NONE;
    } else if (back_ms >= 0 && back_ms < 64) {
        s->created_kind = CREATED_BACK;
        s->created_back_ms = (uint64_t)back_ms & 63;
    } else {
        s->created_kind = CREATED_OWN;
        session_rare(s)->created_wall_ms = wall_ms;
    }
}

static void set_floor(struct session *s, struct version floor)
{
    if (version_is_none(floor)) {
        s->floor_kind = FLOOR_NONE;
    } else if (version_cmp(floor, s->life) == 0) {
        s->floor_kind = FLOOR_LIFE;
    } else if (version_cmp(floor, created_floor(s->life)) == 0) {
        s->floor_kind = FLOOR_CREATED;
    } else {
        s->floor_kind = FLOOR_OWN;
        session_rare(s)->floor = floor;
    }
}

/* --- life --- */

bool session_is_alive(const struct session *s)
{
    struct entry e;

    if (s->kind != SESSION_LIVE)
        return false;
    if (s->life_kind == CHANGE_LIFE_OPEN)
        return true;
    /* A delta that came before its CREATED: something real stands behind it. */
    for (size_t at = 0; session_next(s, &at, &e);)
        if (e.present)
            return true;
    return false;
}

uint64_t session_over_at(const struct session *s, const struct context *c)
{
    struct entry deadline, idle;
    bool has_deadline = s->timed && session_find(s, ENTRY_DEADLINE, (struct span){0}, &deadline);
    bool has_idle = s->timed && session_present(s, ENTRY_MAX_INACTIVE, (struct span){0}, &idle);

    if (has_deadline && !(has_idle && version_cmp(idle.version, deadline.version) > 0))
        return deadline.present ? (uint64_t)deadline.number : UINT64_MAX;
    if (!has_idle && s->life_front)
        return UINT64_MAX;
    int64_t max_s = has_idle ? idle.number : c->manager.max_inactive_s;
    if (max_s <= 0)
        return UINT64_MAX;
    uint64_t max_ms = (uint64_t)max_s * 1000;
    return (uint64_t)s->access_mono_ms +
           (s->by_clusterd ? max_ms : REPLICA_FACTOR * max_ms + REPLICA_SLACK_MS);
}

bool session_is_visible(const struct session *s, const struct context *c, struct table_now now)
{
    return session_is_alive(s) && session_over_at(s, c) > now.mono_ms;
}

static bool merge_entry(struct session_room *r, const struct change_entry *ce, struct version floor,
                        struct table_now now)
{
    struct entry old;

    if (version_cmp(ce->version, floor) < 0)
        return false;
    bool found = session_find(r->s, ce->kind, ce->name, &old);
    int order = found ? version_cmp(ce->version, old.version) : 1;
    if (order < 0)
        return false;
    /* One message may set a name more than once (recordAllActions): equal versions apply in order, and a
     * repetition of the message ends where it ended before. */
    if (order == 0 && old.present == ce->present && span_eq(blob_span(old.value), blob_span(ce->value)))
        return false;
    session_put(r, found ? &old : NULL, ce, now);
    return true;
}

/*
 * Which of two words about a life is the later one. The message ids of a Tomcat have no order, so they cannot
 * decide between a CREATED and an EXPIRED of one millisecond: a request may make a session and end it, and no
 * request ends one and makes it anew under the same id. Edits of a clusterd node never open in the
 * millisecond of an end (edit.c).
 */
static int life_cmp(const struct change *c, const struct session *s)
{
    bool ends = c->life_kind == CHANGE_LIFE_ENDED, ended = s->life_kind == CHANGE_LIFE_ENDED;

    if (s->life_kind == CHANGE_LIFE_NONE)
        return 1;
    if (ends != ended && c->life.time_ms == s->life.time_ms && c->life.writer == s->life.writer)
        return ends ? 1 : -1;
    return version_cmp(c->life, s->life);
}

/* Entries, floor and time of creation may be told by the life that they came with: all are told anew. */
static void set_life(struct session_room *r, struct version life, struct version floor,
                     int64_t created_wall_ms)
{
    session_own_versions(r);
    r->s->life = life;
    set_floor(r->s, floor);
    set_created(r->s, created_wall_ms);
}

static bool raise_floor(struct session_room *r, struct version floor)
{
    if (version_cmp(floor, session_floor(r->s)) <= 0)
        return false;
    session_drop_below(r, floor);
    set_floor(r->s, floor);
    return true;
}

static struct version later(struct version a, struct version b)
{
    return version_cmp(a, b) > 0 ? a : b;
}

static bool merge_life(struct session_room *r, const struct change *c)
{
    if (c->life_kind == CHANGE_LIFE_NONE || life_cmp(c, r->s) <= 0)
        return false;
    bool reopened = r->s->life_kind == CHANGE_LIFE_ENDED && c->life_kind == CHANGE_LIFE_OPEN;
    struct version floor = later(session_floor(r->s), c->floor);
    if (c->life_kind == CHANGE_LIFE_ENDED) {
        session_drop_entries(r->s);
        set_life(r, c->life, later(floor, c->life), 0);
        r->s->life_kind = CHANGE_LIFE_ENDED;
        r->s->kind = SESSION_GRAVE;
        return true;
    }
    /* What is below the floor goes first: it needs no version of its own then. */
    session_drop_below(r, floor);
    set_life(r, c->life, floor, c->created_wall_ms ? c->created_wall_ms : session_created(r->s));
    r->s->life_kind = CHANGE_LIFE_OPEN;
    r->s->kind = SESSION_LIVE;
    r->s->life_front = c->life_front;
    if (reopened)
        r->s->is_new = true;
    return true;
}

/* A Tomcat's access moves a front-door deadline on; the front door's own reads leave it, as Redis does. */
static void extend_deadline(struct session *s)
{
    struct entry deadline, idle;

    if (!s->timed || !session_present(s, ENTRY_DEADLINE, (struct span){0}, &deadline) ||
        !session_present(s, ENTRY_MAX_INACTIVE, (struct span){0}, &idle) || idle.number <= 0)
        return;
    int64_t until = (int64_t)s->access_mono_ms + idle.number * 1000;
    if (until > deadline.number)
        session_set_number(s, &deadline, until);
}

static void merge_access(struct session *s, const struct change *c, struct table_now now)
{
    if (!c->touches)
        return;
    uint64_t idle = c->idle_ms < 0 ? 0 : (uint64_t)c->idle_ms;
    uint64_t at = idle < now.mono_ms ? now.mono_ms - idle : 0;
    if (at > s->access_mono_ms)
        s->access_mono_ms = at;
    if (!c->by_clusterd)
        extend_deadline(s);
}

static bool merge(struct session_room *r, uint64_t key, const struct change *c, struct table_now now)
{
    bool fresh = !session_has_entries(r->s) && r->s->life_kind == CHANGE_LIFE_NONE;
    bool changed = merge_life(r, c);

    if (r->s->kind == SESSION_GRAVE)
        return raise_floor(r, c->floor) || changed;
    changed |= raise_floor(r, c->floor);
    struct version floor = session_floor(r->s);
    for (size_t i = 0; i < c->n; i++)
        changed |= merge_entry(r, &c->entries[i], floor, now);
    struct session *s = r->s;
    if (c->created_wall_ms && s->created_kind == CREATED_NONE)
        set_created(s, c->created_wall_ms);
    if (c->not_new)
        s->is_new = false;
    if (changed)
        s->by_clusterd = c->by_clusterd;
    if (fresh && c->flow)
        session_set_flow(s, key, c->flow);
    if (fresh && c->touches)
        s->access_mono_ms = 0; /* take the age that the change tells */
    merge_access(s, c, now);
    if (changed)
        s->changed_mono_ms = now.mono_ms;
    return changed;
}

bool session_merge(struct session **s, uint64_t key, const struct change *c, bool first, struct table_now now)
{
    struct session_room r = session_open(*s, first ? c : NULL);
    bool changed = merge(&r, key, c, now);

    *s = session_close(&r);
    drop_rare_if_empty(*s);
    return changed;
}

void session_make_alias(struct session **ps, struct span new_id, struct version v)
{
    struct session_room r = session_open(*ps, NULL);
    struct blob *alias = blob_new(new_id);

    session_drop_entries(r.s);
    set_life(&r, (struct version){0}, (struct version){0}, 0);
    struct session *s = *ps = session_close(&r);
    struct session_rare *rare = session_rare(s);
    blob_unref(rare->alias);
    rare->alias = alias;
    rare->alias_version = v;
    s->kind = SESSION_ALIAS;
    s->life_kind = CHANGE_LIFE_NONE;
}

bool session_is_opened_anew(struct version renamed, struct version life, bool life_front)
{
    if (life_front)
        return version_cmp(life, renamed) > 0;
    return life.time_ms > renamed.time_ms + REOPEN_SLACK_MS;
}

void session_unalias(struct session *s)
{
    blob_unref(s->rare->alias);
    s->rare->alias = NULL;
    s->rare->alias_version = (struct version){0};
    s->kind = SESSION_LIVE;
    s->is_new = true;
}

struct change *session_snapshot(const struct session *s, struct context *context, struct table_now now)
{
    bool is_alias = s->kind == SESSION_ALIAS;
    struct change *c = change_new(context, session_id(s), is_alias ? session_alias_version(s) : s->life);
    uint64_t access = s->access_mono_ms;
    struct entry e;

    c->flow = session_flow(s, session_stable_key(context, session_id(s)));
    if (is_alias) {
        change_rename(c, session_alias(s));
        change_seal(c);
        return c;
    }
    c->life_kind = (enum change_life)s->life_kind;
    c->life = s->life;
    c->floor = session_floor(s);
    c->life_front = s->life_front;
    c->by_clusterd = s->by_clusterd;
    c->not_new = !s->is_new;
    c->created_wall_ms = session_created(s);
    c->touches = true;
    c->idle_ms = (int64_t)(now.mono_ms - (access < now.mono_ms ? access : now.mono_ms));
    for (size_t at = 0; session_next(s, &at, &e);) {
        if (!e.present)
            change_remove(c, e.kind, e.name, e.version);
        else if (e.kind == ENTRY_DEADLINE)
            change_set_number(c, e.kind, e.number - (int64_t)now.mono_ms, e.version);
        else if (e.kind == ENTRY_MAX_INACTIVE)
            change_set_number(c, e.kind, e.number, e.version);
        else
            change_set(c, e.kind, e.name, blob_ref(e.value), e.version);
    }
    change_seal(c);
    return c;
}

static uint64_t version_hash(struct version v)
{
    return hash_mix((uint64_t)v.time_ms, (uint64_t)v.writer << 32 | v.seq);
}

/*
 * Equal on two nodes when they hold the same: versions stand for the values that they were written with. What
 * was removed does not count, because each node forgets removals in its own time.
 */
uint64_t session_state_hash(const struct session *s)
{
    uint64_t h = hash_mix(s->kind, s->kind == SESSION_ALIAS ? version_hash(session_alias_version(s)) : 0);
    struct entry e;

    if (s->kind == SESSION_ALIAS)
        return hash_mix(h, hash_stable(session_alias(s)));
    if (s->kind == SESSION_GRAVE)
        return hash_mix(h, version_hash(s->life));
    h = hash_mix(h, hash_mix(s->life_kind, version_hash(s->life)));
    uint64_t sum = 0; /* entries stand in order of arrival, which differs between nodes */
    for (size_t at = 0; session_next(s, &at, &e);)
        if (e.present)
            sum += hash_mix(hash_mix((uint64_t)e.kind, hash_stable(e.name)), version_hash(e.version));
    return hash_mix(h, sum);
}
