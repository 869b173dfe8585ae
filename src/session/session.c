/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule book: how a change meets a session; see session.h. Pure data, under the shard's lock.
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
/* Fewer entries than this are searched one by one. Whoever sends more must not cost a comparison for each
 * pair. */
#define INDEX_FROM 32

struct span session_table_key(const struct context *c, struct span id, uint8_t *out)
{
    ASSERT(id.n <= TABLE_ID_MAX);
    out[0] = (uint8_t)(c->index >> 24);
    out[1] = (uint8_t)(c->index >> 16);
    out[2] = (uint8_t)(c->index >> 8);
    out[3] = (uint8_t)c->index;
    if (id.n)
        memcpy(out + SESSION_TAG_LEN, id.p, id.n);
    return span_of(out, SESSION_TAG_LEN + id.n);
}

struct span session_item_key(const void *item)
{
    const struct session *s = item;

    return span_of(s->tagged_id, SESSION_TAG_LEN + (size_t)s->id_len);
}

uint64_t session_stable_key(const struct context *c, struct span id)
{
    return hash_mix(c->name_hash, hash_stable(id));
}

struct session *session_new(struct context *c, struct span id, uint64_t mono_ms)
{
    struct session *s = mem_zalloc(sizeof *s + SESSION_TAG_LEN + id.n);

    s->context = c;
    s->id_len = (uint16_t)id.n;
    session_table_key(c, id, s->tagged_id);
    s->key = session_stable_key(c, id);
    s->flow = s->key;
    s->is_new = true;
    s->access_mono_ms = s->changed_mono_ms = mono_ms;
    return s;
}

static void entry_fini(struct entry *e)
{
    blob_unref(e->value);
    blob_unref(e->name);
}

static void drop_entries(struct session *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        entry_fini(&s->entries[i]);
    mem_free(s->entries);
    mem_free(s->index);
    s->entries = NULL;
    s->index = NULL;
    s->n = s->cap = s->index_cap = 0;
}

static bool is_entry(const struct entry *e, enum entry_kind kind, struct span name)
{
    return e->kind == kind && span_eq(blob_span(e->name), name);
}

/* Where the entry stands in the index, or the free place that it would get. */
static uint32_t *index_place(const struct session *s, enum entry_kind kind, struct span name)
{
    uint32_t mask = s->index_cap - 1, at = (uint32_t)hash_mix(hash_keyed(name), (uint64_t)kind) & mask;

    while (s->index[at] && !is_entry(&s->entries[s->index[at] - 1], kind, name))
        at = (at + 1) & mask;
    return &s->index[at];
}

/* Makes the index anew, with room for twice the entries. */
static void index_all(struct session *s)
{
    mem_free(s->index);
    s->index = NULL;
    s->index_cap = 0;
    if (s->n < INDEX_FROM)
        return;
    s->index_cap = INDEX_FROM;
    while (s->index_cap / 4 < s->n)
        s->index_cap *= 2;
    s->index = mem_array(s->index_cap, sizeof *s->index);
    for (uint32_t i = 0; i < s->n; i++)
        *index_place(s, (enum entry_kind)s->entries[i].kind, blob_span(s->entries[i].name)) = i + 1;
}

void session_free(struct session *s)
{
    drop_entries(s);
    blob_unref(s->alias);
    mem_free(s);
}

struct span session_id(const struct session *s)
{
    return span_of(s->tagged_id + SESSION_TAG_LEN, s->id_len);
}

size_t session_bytes(const struct session *s)
{
    /* 16 bytes a block is what the allocator adds, 16 a session its place in the table. */
    size_t n = sizeof *s + SESSION_TAG_LEN + s->id_len + 32 + s->cap * sizeof *s->entries +
               s->index_cap * sizeof *s->index;

    for (uint32_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        n += e->name ? e->name->n + sizeof *e->name + 16 : 0;
        n += e->value ? e->value->n + sizeof *e->value + 16 : 0;
    }
    return n + (s->alias ? s->alias->n + 32 : 0);
}

struct entry *session_find(const struct session *s, enum entry_kind kind, struct span name)
{
    if (s->index) {
        uint32_t place = *index_place(s, kind, name);
        return place ? &s->entries[place - 1] : NULL;
    }
    for (uint32_t i = 0; i < s->n; i++)
        if (is_entry(&s->entries[i], kind, name))
            return &s->entries[i];
    return NULL;
}

struct entry *session_present(const struct session *s, enum entry_kind kind, struct span name)
{
    struct entry *e = session_find(s, kind, name);

    return e && e->present ? e : NULL;
}

bool session_is_alive(const struct session *s)
{
    if (s->kind != SESSION_LIVE)
        return false;
    if (s->life_kind == CHANGE_LIFE_OPEN)
        return true;
    /* A delta that came before its CREATED: something real stands behind it. */
    for (uint32_t i = 0; i < s->n; i++)
        if (s->entries[i].present)
            return true;
    return false;
}

uint64_t session_over_at(const struct session *s)
{
    const struct entry *deadline = session_find(s, ENTRY_DEADLINE, (struct span){0});
    const struct entry *idle = session_present(s, ENTRY_MAX_INACTIVE, (struct span){0});

    if (deadline && !(idle && version_cmp(idle->version, deadline->version) > 0))
        return deadline->present ? (uint64_t)deadline->number : UINT64_MAX;
    if (!idle && s->life_front)
        return UINT64_MAX;
    int64_t max_s = idle ? idle->number : s->context->manager.max_inactive_s;
    if (max_s <= 0)
        return UINT64_MAX;
    uint64_t max_ms = (uint64_t)max_s * 1000;
    return s->access_mono_ms + (s->by_clusterd ? max_ms : REPLICA_FACTOR * max_ms + REPLICA_SLACK_MS);
}

bool session_is_visible(const struct session *s, struct table_now now)
{
    return session_is_alive(s) && session_over_at(s) > now.mono_ms;
}

static struct entry *add_entry(struct session *s, enum entry_kind kind, struct span name)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap + s->cap / 2 + 1 : 2;
        s->entries = mem_realloc(s->entries, s->cap * sizeof *s->entries);
    }
    struct entry *e = &s->entries[s->n++];
    *e = (struct entry){.kind = (uint8_t)kind, .name = name.n ? blob_new(name) : NULL};
    if (s->index && s->n <= s->index_cap / 2)
        *index_place(s, kind, name) = s->n;
    else
        index_all(s);
    return e;
}

static int64_t stored_number(const struct change_entry *ce, struct table_now now)
{
    if (ce->kind != ENTRY_DEADLINE)
        return ce->number;
    /* Time left becomes a time on our own steady clock: no wall clock, ours or theirs, ends a session. */
    int64_t left = ce->number < 0 ? 0 : ce->number;
    return left > INT64_MAX - (int64_t)now.mono_ms ? INT64_MAX : (int64_t)now.mono_ms + left;
}

static bool merge_entry(struct session *s, const struct change_entry *ce, struct table_now now)
{
    if (version_cmp(ce->version, s->floor) < 0)
        return false;
    struct entry *e = session_find(s, ce->kind, ce->name);
    int order = e ? version_cmp(ce->version, e->version) : 1;
    if (order < 0)
        return false;
    /* One message may set a name more than once (recordAllActions): equal versions apply in order, and a
     * repetition of the message ends where it ended before. */
    if (order == 0 && e->present == ce->present && span_eq(blob_span(e->value), blob_span(ce->value)))
        return false;
    if (!e)
        e = add_entry(s, ce->kind, ce->name);
    blob_unref(e->value);
    e->value = ce->present ? blob_ref(ce->value) : NULL;
    e->number = ce->present ? stored_number(ce, now) : 0;
    e->present = ce->present;
    e->version = ce->version;
    e->changed_mono_ms = now.mono_ms;
    return true;
}

/* After some were taken out and the others moved up. */
static void keep_entries(struct session *s, uint32_t kept)
{
    if (kept == s->n)
        return;
    s->n = kept;
    index_all(s);
}

static bool raise_floor(struct session *s, struct version floor)
{
    if (version_cmp(floor, s->floor) <= 0)
        return false;
    s->floor = floor;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (version_cmp(s->entries[i].version, floor) < 0)
            entry_fini(&s->entries[i]);
        else
            s->entries[kept++] = s->entries[i];
    }
    keep_entries(s, kept);
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

static bool merge_life(struct session *s, const struct change *c)
{
    if (c->life_kind == CHANGE_LIFE_NONE || life_cmp(c, s) <= 0)
        return false;
    bool reopened = s->life_kind == CHANGE_LIFE_ENDED && c->life_kind == CHANGE_LIFE_OPEN;
    s->life = c->life;
    s->life_kind = (uint8_t)c->life_kind;
    if (c->life_kind == CHANGE_LIFE_ENDED) {
        session_bury(s);
        return true;
    }
    s->kind = SESSION_LIVE;
    s->life_front = c->life_front;
    if (reopened)
        s->is_new = true;
    if (c->created_wall_ms)
        s->created_wall_ms = c->created_wall_ms;
    return true;
}

/* A Tomcat's access moves a front-door deadline on; the front door's own reads leave it, as Redis does. */
static void extend_deadline(struct session *s)
{
    struct entry *deadline = session_present(s, ENTRY_DEADLINE, (struct span){0});
    const struct entry *idle = session_present(s, ENTRY_MAX_INACTIVE, (struct span){0});

    if (!deadline || !idle || idle->number <= 0)
        return;
    int64_t until = (int64_t)s->access_mono_ms + idle->number * 1000;
    if (until > deadline->number)
        deadline->number = until;
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

bool session_merge(struct session *s, const struct change *c, struct table_now now)
{
    bool fresh = s->n == 0 && s->life_kind == CHANGE_LIFE_NONE;
    bool changed = merge_life(s, c);

    if (s->kind == SESSION_GRAVE)
        return raise_floor(s, c->floor) || changed;
    changed |= raise_floor(s, c->floor);
    for (size_t i = 0; i < c->n; i++)
        changed |= merge_entry(s, &c->entries[i], now);
    if (c->created_wall_ms && !s->created_wall_ms)
        s->created_wall_ms = c->created_wall_ms;
    if (c->not_new)
        s->is_new = false;
    if (changed)
        s->by_clusterd = c->by_clusterd;
    if (fresh && c->flow)
        s->flow = c->flow;
    if (fresh && c->touches)
        s->access_mono_ms = 0; /* take the age that the change tells */
    merge_access(s, c, now);
    if (changed)
        s->changed_mono_ms = now.mono_ms;
    return changed;
}

void session_bury(struct session *s)
{
    drop_entries(s);
    s->kind = SESSION_GRAVE;
    if (version_cmp(s->life, s->floor) > 0)
        s->floor = s->life;
}

void session_make_alias(struct session *s, struct span new_id, struct version v)
{
    drop_entries(s);
    blob_unref(s->alias);
    s->alias = blob_new(new_id);
    s->alias_version = v;
    s->kind = SESSION_ALIAS;
    s->life_kind = CHANGE_LIFE_NONE;
    s->life = s->floor = (struct version){0};
}

bool session_is_opened_anew(struct version renamed, struct version life, bool life_front)
{
    if (life_front)
        return version_cmp(life, renamed) > 0;
    return life.time_ms > renamed.time_ms + REOPEN_SLACK_MS;
}

void session_unalias(struct session *s)
{
    blob_unref(s->alias);
    s->alias = NULL;
    s->alias_version = (struct version){0};
    s->kind = SESSION_LIVE;
    s->is_new = true;
}

struct change *session_snapshot(const struct session *s, struct table_now now)
{
    struct change *c =
        change_new(s->context, session_id(s), s->kind == SESSION_ALIAS ? s->alias_version : s->life);

    c->flow = s->flow;
    if (s->kind == SESSION_ALIAS) {
        change_rename(c, blob_span(s->alias));
        change_seal(c);
        return c;
    }
    c->life_kind = (enum change_life)s->life_kind;
    c->life = s->life;
    c->floor = s->floor;
    c->life_front = s->life_front;
    c->by_clusterd = s->by_clusterd;
    c->not_new = !s->is_new;
    c->created_wall_ms = s->created_wall_ms;
    c->touches = true;
    c->idle_ms = (int64_t)(now.mono_ms - (s->access_mono_ms < now.mono_ms ? s->access_mono_ms : now.mono_ms));
    for (uint32_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        enum entry_kind kind = (enum entry_kind)e->kind;
        if (!e->present)
            change_remove(c, kind, blob_span(e->name), e->version);
        else if (kind == ENTRY_DEADLINE)
            change_set_number(c, kind, e->number - (int64_t)now.mono_ms, e->version);
        else if (kind == ENTRY_MAX_INACTIVE)
            change_set_number(c, kind, e->number, e->version);
        else
            change_set(c, kind, blob_span(e->name), blob_ref(e->value), e->version);
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
    uint64_t h = hash_mix(s->kind, s->kind == SESSION_ALIAS ? version_hash(s->alias_version) : 0);

    if (s->kind == SESSION_ALIAS)
        return hash_mix(h, hash_stable(blob_span(s->alias)));
    if (s->kind == SESSION_GRAVE)
        return hash_mix(h, version_hash(s->life));
    h = hash_mix(h, hash_mix(s->life_kind, version_hash(s->life)));
    uint64_t sum = 0; /* entries stand in order of arrival, which differs between nodes */
    for (uint32_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        if (e->present)
            sum += hash_mix(hash_mix(e->kind, hash_stable(blob_span(e->name))), version_hash(e->version));
    }
    return hash_mix(h, sum);
}

void session_forget_removed(struct session *s, uint64_t mono_ms, uint64_t keep_ms)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        /* A removed deadline says "never ends by time": it is a value. */
        if (!s->entries[i].present && s->entries[i].kind != ENTRY_DEADLINE &&
            mono_ms - s->entries[i].changed_mono_ms > keep_ms)
            entry_fini(&s->entries[i]);
        else
            s->entries[kept++] = s->entries[i];
    }
    keep_entries(s, kept);
}
