/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes: building, counting, and clusterd's own wire form of them. Pure functions, any thread; see change.h
 * for what a change means and session.c for what it does to a session.
 *
 * Wire form (big-endian):
 *   u16 flags   u16 n, context name   u16 n, session id   version of the change: i64 time, u32 writer, u32
 * seq [RENAME: u16 n, new id]  [OPEN or ENDED: version]  [FLOOR: version]  [CREATED_AT: i64 wall ms]
 *   [TOUCHES: u32 idle ms]  u64 flow  u32 number of entries
 *   entry: u8 kind | 0x80 present | 0x40 own version   [own version]   u16 n, name   [present: i64 number, or
 *   u32 n, value stream]
 */
#include "clusterd/session/change.h"
#include "clusterd/session/context.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"

enum {
    F_OPEN = 1,
    F_ENDED = 2,
    F_FLOOR = 4,
    F_RENAME = 8,
    F_TOUCHES = 16,
    F_BY_CLUSTERD = 32,
    F_NOT_NEW = 64,
    F_LIFE_FRONT = 128,
    F_CREATED_AT = 256,
    F_KNOWN = 511,
    E_PRESENT = 0x80,
    E_VERSION = 0x40,
    E_KIND = 0x3f,
};

/* More entries than this in one change are nobody's session. */
#define ENTRIES_MAX 1000000u
#define IDLE_MAX_MS UINT32_MAX

static bool is_number(enum entry_kind kind)
{
    return kind == ENTRY_MAX_INACTIVE || kind == ENTRY_DEADLINE;
}

/* While a change is built its texts are offsets into `text`, which may move; the offset stands in span.p. */
static struct span keep(struct change *c, struct span s)
{
    struct span kept = {(const uint8_t *)(uintptr_t)c->text_n, s.n};

    if (s.n > c->text_cap - c->text_n) {
        size_t cap = c->text_n + s.n > 2 * c->text_cap ? c->text_n + s.n : 2 * c->text_cap;
        bool inside = c->text == c->text_room;
        c->text = mem_realloc(inside ? NULL : c->text, cap);
        c->text_cap = cap;
        if (inside)
            memcpy(c->text, c->text_room, c->text_n);
    }
    if (s.n)
        memcpy(c->text + c->text_n, s.p, s.n);
    c->text_n += s.n;
    return kept;
}

static void settle(const struct change *c, struct span *s)
{
    s->p = c->text + (uintptr_t)s->p;
}

struct change *change_new(struct context *context, struct span id, struct version v)
{
    struct change *c = mem_alloc(sizeof *c);

    memset(c, 0, offsetof(struct change, entry_room));
    atomic_init(&c->refs, 1);
    c->entries = c->entry_room;
    c->cap = CHANGE_ENTRY_ROOM;
    c->text = c->text_room;
    c->text_cap = CHANGE_TEXT_ROOM;
    c->context = context;
    c->version = v;
    c->id = keep(c, id);
    return c;
}

void change_rename(struct change *c, struct span new_id)
{
    c->new_id = keep(c, new_id);
}

static void grow_entries(struct change *c)
{
    bool inside = c->entries == c->entry_room;

    c->cap *= 2;
    c->entries = mem_realloc(inside ? NULL : c->entries, c->cap * sizeof *c->entries);
    if (inside)
        memcpy(c->entries, c->entry_room, sizeof c->entry_room);
}

static struct change_entry *add(struct change *c, enum entry_kind kind, struct span name, struct version v)
{
    if (c->n == c->cap)
        grow_entries(c);
    struct change_entry *e = &c->entries[c->n++];

    *e = (struct change_entry){.kind = kind, .name = keep(c, name), .version = v};
    return e;
}

void change_set(struct change *c, enum entry_kind kind, struct span name, struct blob *value_taken,
                struct version v)
{
    struct change_entry *e = add(c, kind, name, v);

    e->present = true;
    e->value = value_taken;
}

void change_set_number(struct change *c, enum entry_kind kind, int64_t number, struct version v)
{
    struct change_entry *e = add(c, kind, (struct span){0}, v);

    e->present = true;
    e->number = number;
}

void change_remove(struct change *c, enum entry_kind kind, struct span name, struct version v)
{
    add(c, kind, name, v);
}

size_t change_names(const struct change *c, enum entry_kind kind, struct span *out)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (c->entries[i].kind != kind)
            continue;
        out[n] = c->entries[i].name;
        settle(c, &out[n++]);
    }
    return n;
}

void change_seal(struct change *c)
{
    settle(c, &c->id);
    settle(c, &c->new_id);
    for (size_t i = 0; i < c->n; i++)
        settle(c, &c->entries[i].name);
}

size_t change_bytes(const struct change *c)
{
    size_t n = sizeof *c + (c->text != c->text_room ? c->text_cap : 0) +
               (c->entries != c->entry_room ? c->cap * sizeof *c->entries : 0);

    for (size_t i = 0; i < c->n; i++)
        n += blob_span(c->entries[i].value).n;
    return n;
}

struct change *change_ref(struct change *c)
{
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void change_unref(struct change *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->n; i++)
        blob_unref(c->entries[i].value);
    if (c->entries != c->entry_room)
        mem_free(c->entries);
    if (c->text != c->text_room)
        mem_free(c->text);
    mem_free(c);
}

static void wr_span16(struct buf *b, struct span s)
{
    ASSERT(s.n <= UINT16_MAX);
    wr_u16(b, (uint16_t)s.n);
    wr_span(b, s);
}

static void wr_version(struct buf *b, struct version v)
{
    wr_u64(b, (uint64_t)v.time_ms);
    wr_u32(b, v.writer);
    wr_u32(b, v.seq);
}

static void encode_entry(const struct change *c, const struct change_entry *e, struct buf *out)
{
    bool own = version_cmp(e->version, c->version) != 0;

    wr_u8(out, (uint8_t)((unsigned)e->kind | (e->present ? E_PRESENT : 0) | (own ? E_VERSION : 0)));
    if (own)
        wr_version(out, e->version);
    wr_span16(out, e->name);
    if (!e->present)
        return;
    if (is_number(e->kind))
        wr_u64(out, (uint64_t)e->number);
    else
        wr_span32(out, blob_span(e->value));
}

void change_encode(const struct change *c, struct buf *out)
{
    unsigned flags =
        (c->life_kind == CHANGE_LIFE_OPEN ? F_OPEN : 0) | (c->life_kind == CHANGE_LIFE_ENDED ? F_ENDED : 0) |
        (version_is_none(c->floor) ? 0 : F_FLOOR) | (c->new_id.n ? F_RENAME : 0) |
        (c->touches ? F_TOUCHES : 0) | (c->by_clusterd ? F_BY_CLUSTERD : 0) | (c->not_new ? F_NOT_NEW : 0) |
        (c->life_front ? F_LIFE_FRONT : 0) | (c->created_wall_ms ? F_CREATED_AT : 0);

    wr_u16(out, (uint16_t)flags);
    wr_span16(out, span_str(c->context->name));
    wr_span16(out, c->id);
    wr_version(out, c->version);
    if (flags & F_RENAME)
        wr_span16(out, c->new_id);
    if (flags & (F_OPEN | F_ENDED))
        wr_version(out, c->life);
    if (flags & F_FLOOR)
        wr_version(out, c->floor);
    if (flags & F_CREATED_AT)
        wr_u64(out, (uint64_t)c->created_wall_ms);
    if (flags & F_TOUCHES)
        wr_u32(out, c->idle_ms < 0                      ? 0
                    : c->idle_ms > (int64_t)IDLE_MAX_MS ? IDLE_MAX_MS
                                                        : (uint32_t)c->idle_ms);
    wr_u64(out, c->flow);
    wr_u32(out, (uint32_t)c->n);
    for (size_t i = 0; i < c->n; i++)
        encode_entry(c, &c->entries[i], out);
}

static struct version rd_version(struct rd *in, const char *field)
{
    struct version v;

    v.time_ms = version_clamp_time(rd_i64(in, field));
    v.writer = rd_u32(in, field);
    v.seq = rd_u32(in, field);
    return v;
}

static struct span rd_span16(struct rd *in, size_t max, const char *field)
{
    uint16_t n = rd_u16(in, field);

    if (n > max)
        rd_fail(in, ERR_TOO_BIG, field);
    return rd_bytes(in, n, field);
}

/* Seconds are what a Java int holds; a time left may be longer than any time that is believed. */
static int64_t rd_number(struct rd *in, enum entry_kind kind)
{
    int64_t n = rd_i64(in, "entry number");

    if (kind == ENTRY_DEADLINE)
        return version_clamp_time(n);
    if (n < INT32_MIN || n > INT32_MAX)
        rd_fail(in, ERR_BAD, "entry number");
    return n;
}

static void decode_entry(struct rd *in, struct change *c)
{
    uint8_t head = rd_u8(in, "entry kind");
    enum entry_kind kind = (enum entry_kind)(head & E_KIND);

    if (kind > ENTRY_DEADLINE || kind == ENTRY_IS_NEW)
        rd_fail(in, ERR_BAD, "entry kind");
    struct version v = head & E_VERSION ? rd_version(in, "entry version") : c->version;
    struct span name = rd_span16(in, TABLE_NAME_MAX, "entry name");

    if (!(head & E_PRESENT)) {
        if (!in->err)
            change_remove(c, kind, name, v);
    } else if (is_number(kind)) {
        int64_t number = rd_number(in, kind);
        if (!in->err)
            change_set_number(c, kind, number, v);
    } else {
        struct span value = rd_bytes32(in, TABLE_VALUE_MAX, "entry value");
        if (!in->err)
            change_set(c, kind, name, blob_new(value), v);
    }
}

/* Everything behind the context and the id. */
static void decode_body(struct rd *in, unsigned flags, struct change *c)
{
    if (flags & F_RENAME)
        change_rename(c, rd_span16(in, TABLE_ID_MAX, "new id"));
    if (flags & (F_OPEN | F_ENDED))
        c->life = rd_version(in, "life");
    c->life_kind = flags & F_OPEN ? CHANGE_LIFE_OPEN : flags & F_ENDED ? CHANGE_LIFE_ENDED : CHANGE_LIFE_NONE;
    if (flags & F_FLOOR)
        c->floor = rd_version(in, "floor");
    if (flags & F_CREATED_AT)
        c->created_wall_ms = version_clamp_time(rd_i64(in, "creation time"));
    if (flags & F_TOUCHES)
        c->idle_ms = rd_u32(in, "idle time");
    c->touches = flags & F_TOUCHES;
    c->by_clusterd = flags & F_BY_CLUSTERD;
    c->not_new = flags & F_NOT_NEW;
    c->life_front = flags & F_LIFE_FRONT;
    c->flow = rd_u64(in, "flow");
    /* The smallest entry is a kind and an empty name. */
    uint32_t n = rd_count32(in, 3, ENTRIES_MAX, "number of entries");
    for (uint32_t i = 0; i < n && !in->err; i++)
        decode_entry(in, c);
}

enum err change_decode(struct rd *in, change_context_fn context, void *arg, struct change **out)
{
    unsigned flags = rd_u16(in, "change flags");
    struct span name = rd_span16(in, TABLE_CONTEXT_MAX, "context name");
    struct span id = rd_span16(in, TABLE_ID_MAX, "session id");
    struct version v = rd_version(in, "version");

    if (flags & ~(unsigned)F_KNOWN || (flags & F_OPEN && flags & F_ENDED))
        rd_fail(in, ERR_BAD, "change flags");
    TRY(rd_verdict(in));
    struct change *c = change_new(NULL, id, v);
    decode_body(in, flags, c);
    change_seal(c);
    enum err e = rd_verdict(in);
    if (e == ERR_OK && !(c->context = context(arg, name)))
        e = ERR_FULL;
    if (e != ERR_OK) {
        change_unref(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}
