/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of a session, one behind the other in its block; see session.h. Pure data, under the shard's
 * lock.
 *
 *   u8 kind | E_PRESENT | E_OWN | E_STRING | E_NAME   [E_NAME: u16 n]
 *   8 bytes: the value's blob, the number, or since when it is gone   [E_OWN: version]   [name]
 *
 * Without E_OWN the version is that of the session's life: so it is with everything that a front door wrote
 * when it made the session. Nothing is aligned, so all of it is copied in and out.
 */
#include "session.h"

#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"

/* Fewer entries than this are searched one by one. Whoever sends more must not cost a comparison for each
 * pair. */
#define INDEX_FROM 32

enum { E_KIND = 7, E_PRESENT = 8, E_OWN = 16, E_STRING = 32, E_NAME = 64 };

/* A processor that sees so many lines asked for in a row fetches the next ones by itself. */
#define CACHE_LINE 64
#define WARM_LINES 3

#define VALUE_LEN   8
#define VERSION_LEN sizeof(struct version)
#define ENTRY_MIN   (1 + VALUE_LEN)
_Static_assert(sizeof(struct blob *) <= VALUE_LEN, "a value is a pointer or a number");

/* What an allocator hands out for so many bytes, about; large blocks leave room to grow. */
static size_t block_of(const struct session *s, size_t used)
{
    size_t n = offsetof(struct session, id) + s->id_len + used, step = 16;

    for (size_t big = n >> 10; big; big >>= 1)
        step *= 2;
    return (n + 8 + step - 1) / step * step - 8;
}

static uint8_t *entries_of(const struct session *s)
{
    return (uint8_t *)(uintptr_t)s->id + s->id_len;
}

static bool is_number(enum entry_kind kind)
{
    return kind == ENTRY_MAX_INACTIVE || kind == ENTRY_DEADLINE;
}

static bool is_string_name(struct span name)
{
    return span_eq(name, SPAN_LIT(TABLE_STRING_NAME));
}

static uint8_t name_bits(struct span name)
{
    return name.n == 0 ? 0 : is_string_name(name) ? E_STRING : E_NAME;
}

static size_t entry_size(uint8_t head, size_t name_len)
{
    return ENTRY_MIN + (head & E_OWN ? VERSION_LEN : 0) + (head & E_NAME ? sizeof(uint16_t) + name_len : 0);
}

static size_t change_room(const struct change *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct change_entry *e = &c->entries[i];
        bool own = c->life_kind != CHANGE_LIFE_OPEN || version_cmp(e->version, c->life) != 0;
        n += entry_size((uint8_t)(name_bits(e->name) | (own ? E_OWN : 0)), e->name.n);
    }
    return n;
}

struct session *session_new(const struct context *c, struct span id, uint64_t mono_ms,
                            const struct change *first)
{
    struct session head = {.id_len = id.n & 1023};
    struct session *s = mem_alloc(block_of(&head, first ? change_room(first) : 0));

    *s = head;
    session_table_key(c, id, (uint8_t *)s + offsetof(struct session, tag));
    s->is_new = true;
    s->access_mono_ms = s->changed_mono_ms = mono_ms;
    return s;
}

static uint64_t value_bytes(const struct blob *value)
{
    return value ? value->n + sizeof *value + 16 : 0;
}

size_t session_bytes(const struct session *s)
{
    /* 8 bytes a block are what the allocator adds, 16 a session its place in the table. */
    size_t n = block_of(s, s->used) + 8 + 16;
    const struct session_rare *r = s->rare;
    struct entry e;

    if (r)
        n += sizeof *r + 16 + r->index_cap * sizeof *r->index + (r->alias ? r->alias->n + 32 : 0);
    if (r && r->index)
        return n + r->value_bytes;
    for (size_t at = 0; session_next(s, &at, &e);)
        n += value_bytes(e.value);
    return n;
}

static void take_out(const struct session *s, size_t at, struct entry *e)
{
    const uint8_t *p = entries_of(s) + at;
    uint8_t head = *p++;
    uint16_t name_len = 0;

    *e = (struct entry){.kind = (enum entry_kind)(head & E_KIND),
                        .present = head & E_PRESENT,
                        .own = head & E_OWN,
                        .version = s->life,
                        .at = at};
    if (head & E_NAME) {
        memcpy(&name_len, p, sizeof name_len);
        p += sizeof name_len;
    }
    if (!e->present)
        memcpy(&e->gone_mono_ms, p, VALUE_LEN);
    else if (is_number(e->kind))
        memcpy(&e->number, p, VALUE_LEN);
    else
        memcpy(&e->value, p, sizeof e->value);
    p += VALUE_LEN;
    if (head & E_OWN) {
        memcpy(&e->version, p, VERSION_LEN);
        p += VERSION_LEN;
    }
    if (head & E_STRING)
        e->name = SPAN_LIT(TABLE_STRING_NAME);
    else
        e->name = span_of(p, name_len);
    e->size = entry_size(head, name_len);
}

bool session_next(const struct session *s, size_t *at, struct entry *e)
{
    if (*at >= s->used)
        return false;
    take_out(s, *at, e);
    *at += e->size;
    return true;
}

void session_warm(const struct session *s)
{
    struct entry e;
    size_t at = 0;

    if (session_next(s, &at, &e) && e.value)
        for (int i = 0; i < WARM_LINES; i++)
            __builtin_prefetch((const uint8_t *)e.value + i * CACHE_LINE);
}

/* Writes an entry of which there is room: all of it, or with name.p NULL all but its name. */
static void write_entry(struct session *s, size_t at, uint8_t head, uint64_t value, struct version version,
                        struct span name)
{
    uint8_t *p = entries_of(s) + at;
    uint16_t name_len = (uint16_t)name.n;

    *p++ = head;
    if (head & E_NAME) {
        memcpy(p, &name_len, sizeof name_len);
        p += sizeof name_len;
    }
    memcpy(p, &value, VALUE_LEN);
    p += VALUE_LEN;
    if (head & E_OWN) {
        memcpy(p, &version, VERSION_LEN);
        p += VERSION_LEN;
    }
    if (head & E_NAME)
        memmove(p, name.p, name.n);
}

static uint64_t value_of(const struct entry *e)
{
    uint64_t value = 0;

    if (!e->present)
        value = e->gone_mono_ms;
    else if (is_number(e->kind))
        value = (uint64_t)e->number;
    else
        memcpy(&value, &e->value, sizeof e->value);
    return value;
}

static void write_again(struct session *s, size_t at, const struct entry *e, bool own)
{
    uint8_t head =
        (uint8_t)((uint8_t)e->kind | (e->present ? E_PRESENT : 0) | (own ? E_OWN : 0) | name_bits(e->name));

    write_entry(s, at, head, value_of(e), e->version, e->name);
}

static bool is_attribute(const struct entry *e)
{
    return e->present && e->kind == ENTRY_ATTRIBUTE;
}

/* --- the index --- */

static bool has_index(const struct session *s)
{
    return s->rare && s->rare->index;
}

/* Where the entry stands in the index, or the free place that it would get. */
static uint64_t *index_place(const struct session *s, enum entry_kind kind, struct span name, struct entry *e)
{
    const struct session_rare *r = s->rare;
    size_t mask = r->index_cap - 1, at = (size_t)hash_mix(hash_keyed(name), (uint64_t)kind) & mask;

    for (; r->index[at]; at = (at + 1) & mask) {
        take_out(s, (size_t)r->index[at] - 1, e);
        if (e->kind == kind && span_eq(e->name, name))
            break;
    }
    return &r->index[at];
}

static size_t count(const struct session *s)
{
    struct entry e;
    size_t n = 0;

    for (size_t at = 0; session_next(s, &at, &e);)
        n++;
    return n;
}

static void drop_index(struct session *s)
{
    if (!has_index(s))
        return;
    mem_free(s->rare->index);
    s->rare->index = NULL;
    s->rare->index_cap = s->rare->n = 0;
}

/* Makes the index anew, with room for more; each entry has a version of its own. */
static void index_all(struct session *s, size_t n)
{
    struct entry e, other;

    drop_index(s);
    if (n < INDEX_FROM)
        return;
    struct session_rare *r = session_rare(s);
    r->index_cap = INDEX_FROM;
    while (r->index_cap < 3 * n)
        r->index_cap *= 2;
    r->index = mem_array(r->index_cap, sizeof *r->index);
    r->n = n;
    r->value_bytes = 0;
    r->n_attributes = 0;
    for (size_t at = 0; session_next(s, &at, &e);) {
        r->n_attributes += is_attribute(&e);
        *index_place(s, e.kind, e.name, &other) = e.at + 1;
        r->value_bytes += value_bytes(e.value);
        if (version_cmp(e.version, r->latest) > 0)
            r->latest = e.version;
    }
}

/* --- looking --- */

bool session_find(const struct session *s, enum entry_kind kind, struct span name, struct entry *e)
{
    if (has_index(s))
        return *index_place(s, kind, name, e) != 0;
    for (size_t at = 0; session_next(s, &at, e);)
        if (e->kind == kind && span_eq(e->name, name))
            return true;
    return false;
}

bool session_present(const struct session *s, enum entry_kind kind, struct span name, struct entry *e)
{
    return session_find(s, kind, name, e) && e->present;
}

size_t session_attributes(const struct session *s)
{
    struct entry e;
    size_t n = 0;

    if (has_index(s))
        return s->rare->n_attributes;
    for (size_t at = 0; session_next(s, &at, &e);)
        n += is_attribute(&e);
    return n;
}

size_t session_entries_max(const struct session *s)
{
    return s->used / ENTRY_MIN;
}

bool session_has_entries(const struct session *s)
{
    return s->used > 0;
}

struct version session_latest(const struct session *s)
{
    struct version v = session_floor(s), alias = session_alias_version(s);
    struct entry e;

    if (version_cmp(s->life, v) > 0)
        v = s->life;
    if (version_cmp(alias, v) > 0)
        v = alias;
    if (has_index(s))
        return version_cmp(s->rare->latest, v) > 0 ? s->rare->latest : v;
    for (size_t at = 0; session_next(s, &at, &e);)
        if (version_cmp(e.version, v) > 0)
            v = e.version;
    return v;
}

/* --- changing --- */

struct session_room session_open(struct session *s, const struct change *first)
{
    return (struct session_room){s, block_of(s, first ? change_room(first) : s->used), NULL};
}

static void make_room(struct session_room *r, size_t used)
{
    size_t need = block_of(r->s, used);

    if (need > r->block) {
        r->s = mem_realloc(r->s, need);
        r->block = need;
    }
}

struct session *session_close(struct session_room *r)
{
    size_t need = block_of(r->s, r->s->used);

    if (need < r->block)
        r->s = mem_realloc(r->s, need);
    r->block = need;
    blob_unref(r->spare);
    r->spare = NULL;
    return r->s;
}

void session_own_versions(struct session_room *r)
{
    struct session *s = r->s;
    struct entry e;
    size_t extra = 0;

    for (size_t at = 0; session_next(s, &at, &e);)
        extra += e.own ? 0 : VERSION_LEN;
    if (extra == 0)
        return;
    size_t used = s->used, at = 0;
    make_room(r, used + extra);
    s = r->s;
    /* All of it goes to the end, and comes back entry by entry: what is read is never behind what is written.
     */
    memmove(entries_of(s) + extra, entries_of(s), used);
    for (size_t from = extra; from < used + extra;) {
        take_out(s, from, &e);
        from += e.size;
        write_again(s, at, &e, true);
        at += e.size + (e.own ? 0 : VERSION_LEN);
    }
    s->used = used + extra;
}

static int64_t stored_number(const struct change_entry *ce, struct table_now now)
{
    if (ce->kind != ENTRY_DEADLINE)
        return ce->number;
    /* Time left becomes a time on our own steady clock: no wall clock, ours or theirs, ends a session. */
    int64_t left = ce->number < 0 ? 0 : ce->number;
    return left > INT64_MAX - (int64_t)now.mono_ms ? INT64_MAX : (int64_t)now.mono_ms + left;
}

static void account(struct session_rare *r, const struct entry *gone, const struct entry *come)
{
    r->value_bytes += value_bytes(come->value) - (gone ? value_bytes(gone->value) : 0);
    r->n_attributes += (size_t)is_attribute(come) - (gone ? is_attribute(gone) : 0);
    if (version_cmp(come->version, r->latest) > 0)
        r->latest = come->version;
}

static void add_to_index(struct session_room *r, size_t at, const struct change_entry *ce)
{
    struct session *s = r->s;
    struct entry e;

    if (has_index(s) && s->rare->n < s->rare->index_cap / 2) {
        *index_place(s, ce->kind, ce->name, &e) = at + 1;
        s->rare->n++;
        return;
    }
    /* So many bytes are needed for so many entries; most sessions are done with here. */
    size_t n = has_index(s) ? s->rare->n + 1 : s->used < INDEX_FROM * ENTRY_MIN ? 0 : count(s);
    if (n < INDEX_FROM)
        return;
    session_own_versions(r);
    index_all(r->s, n);
}

/* Values that are let go are often followed by one of the same size. Its bytes then go where the last one's
 * were: else the new value, which is in the caches, would stay, and what is freed is a block that is not,
 * among others that are not. */
static void let_go(struct session_room *r, struct blob *value)
{
    if (!value)
        return;
    blob_unref(r->spare);
    r->spare = value;
}

static struct blob *keep_value(struct session_room *r, struct blob *value)
{
    struct blob *kept = r->spare;

    if (!value || !kept || !blob_refill(kept, blob_span(value)))
        return blob_ref(value);
    r->spare = NULL;
    return kept;
}

void session_put(struct session_room *r, const struct entry *old, const struct change_entry *ce,
                 struct table_now now)
{
    struct entry e = {.kind = ce->kind,
                      .present = ce->present,
                      .name = ce->name,
                      .version = ce->version,
                      .value = ce->present && !is_number(ce->kind) ? ce->value : NULL,
                      .number = stored_number(ce, now),
                      .gone_mono_ms = now.mono_ms};
    bool own = (old && old->own) || has_index(r->s) || version_cmp(ce->version, r->s->life) != 0;
    size_t at = old ? old->at : r->s->used, had = old ? old->size : 0;
    size_t size = entry_size((uint8_t)(name_bits(e.name) | (own ? E_OWN : 0)), e.name.n);

    make_room(r, r->s->used + size - had);
    struct session *s = r->s;
    uint8_t *p = entries_of(s) + at;
    if (size != had)
        memmove(p + size, p + had, s->used - at - had);
    s->used = s->used + size - had;
    if (is_number(e.kind))
        s->timed = true;
    if (has_index(s))
        account(s->rare, old, &e);
    if (old)
        let_go(r, old->value);
    e.value = keep_value(r, e.value);
    write_again(s, at, &e, own);
    if (!old)
        add_to_index(r, at, ce);
}

void session_set_number(struct session *s, const struct entry *e, int64_t number)
{
    struct entry changed = *e;

    changed.number = number;
    write_again(s, e->at, &changed, e->own);
}

/* Keeps those of which `keeps` is true; the others move up. */
typedef bool (*keeps_fn)(const struct entry *e, const void *arg);
static void keep_entries(struct session_room *r, keeps_fn keeps, const void *arg)
{
    struct session *s = r->s;
    struct entry e;
    size_t kept = 0, n = 0;

    for (size_t at = 0; session_next(s, &at, &e);) {
        if (!keeps(&e, arg)) {
            let_go(r, e.value);
            continue;
        }
        if (kept != e.at)
            memmove(entries_of(s) + kept, entries_of(s) + e.at, e.size);
        kept += e.size;
        n++;
    }
    if (kept == s->used)
        return;
    s->used = kept;
    if (kept == 0)
        s->timed = false;
    if (has_index(s))
        index_all(s, n);
}

static bool is_not_below(const struct entry *e, const void *arg)
{
    return version_cmp(e->version, *(const struct version *)arg) >= 0;
}

void session_drop_below(struct session_room *r, struct version floor)
{
    keep_entries(r, is_not_below, &floor);
}

void session_drop_entries(struct session *s)
{
    struct entry e;

    for (size_t at = 0; session_next(s, &at, &e);)
        blob_unref(e.value);
    s->used = 0;
    s->timed = false;
    drop_index(s);
}

struct age {
    uint64_t mono_ms, keep_ms;
};

/* A removed deadline says "never ends by time": it is a value. */
static bool is_to_keep(const struct entry *e, const void *arg)
{
    const struct age *a = arg;

    return e->present || e->kind == ENTRY_DEADLINE || a->mono_ms - e->gone_mono_ms <= a->keep_ms;
}

void session_forget_removed(struct session *s, uint64_t mono_ms, uint64_t keep_ms)
{
    struct age a = {mono_ms, keep_ms};
    struct session_room r = session_open(s, NULL);

    keep_entries(&r, is_to_keep, &a); /* removed entries have no values */
}
