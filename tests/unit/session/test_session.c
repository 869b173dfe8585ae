/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's compact form against a plain one: the same random changes meet a session and a model that
 * keeps each register in an array of its own. Names of all lengths, few and very many entries, versions that
 * are the life's and others, lives that end and begin, floors; after each change both hold the same.
 */
#include "../../../src/session/session.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>

#define NAMES    400
#define NAME_MAX 300

static struct context context = {.name = (char *)(uintptr_t) "localhost#/app", .index = 300};
static const struct span id = {(const uint8_t *)"0123456789ABCDEF", 16};
static char names[NAMES][NAME_MAX + 1];
static size_t name_n[NAMES];
static uint64_t rng;

struct model_entry {
    bool held, present;
    struct blob *value;
    int64_t number;
    struct version version;
    uint64_t changed_mono_ms;
};

struct model {
    uint32_t n_names; /* that are in use */
    struct model_entry names[NAMES], interval, deadline;
    enum change_life life_kind;
    struct version life, floor;
    int64_t created;
};

static uint32_t rnd(uint32_t bound)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % bound;
}

static void make_names(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        name_n[i] = i < 4 ? i * 5 : i % 7 == 0 ? NAME_MAX : 4 + i % 20;
        memset(names[i], 'a' + (int)(i % 26), NAME_MAX);
        char number[8];
        int n = snprintf(number, sizeof number, "%u", (unsigned)(i & 0xffff));
        memcpy(names[i], number, (size_t)n < name_n[i] ? (size_t)n : name_n[i]);
    }
    memcpy(names[5], TABLE_STRING_NAME, sizeof TABLE_STRING_NAME - 1);
    name_n[5] = sizeof TABLE_STRING_NAME - 1;
}

static struct span name_of(size_t i)
{
    return span_of(names[i], name_n[i]);
}

static void drop(struct model_entry *e)
{
    blob_unref(e->value);
    *e = (struct model_entry){0};
}

static void drop_below(struct model *m, struct version floor)
{
    for (size_t i = 0; i < NAMES; i++)
        if (m->names[i].held && version_cmp(m->names[i].version, floor) < 0)
            drop(&m->names[i]);
    if (m->interval.held && version_cmp(m->interval.version, floor) < 0)
        drop(&m->interval);
    if (m->deadline.held && version_cmp(m->deadline.version, floor) < 0)
        drop(&m->deadline);
}

static void drop_all(struct model *m)
{
    for (size_t i = 0; i < NAMES; i++)
        drop(&m->names[i]);
    drop(&m->interval);
    drop(&m->deadline);
}

static struct model_entry *model_find(struct model *m, const struct change_entry *e)
{
    if (e->kind == ENTRY_MAX_INACTIVE)
        return &m->interval;
    if (e->kind == ENTRY_DEADLINE)
        return &m->deadline;
    for (size_t i = 0; i < NAMES; i++)
        if (span_eq(name_of(i), e->name))
            return &m->names[i];
    ck_abort_msg("no such name");
    return NULL;
}

static void model_entry(struct model *m, const struct change_entry *ce, struct table_now now)
{
    struct model_entry *e = model_find(m, ce);
    int order = e->held ? version_cmp(ce->version, e->version) : 1;

    if (version_cmp(ce->version, m->floor) < 0 || order < 0)
        return;
    if (order == 0 && e->present == ce->present && span_eq(blob_span(e->value), blob_span(ce->value)))
        return;
    drop(e);
    *e = (struct model_entry){.held = true,
                              .present = ce->present,
                              .value = ce->value ? blob_new(blob_span(ce->value)) : NULL,
                              .number = ce->number,
                              .version = ce->version,
                              .changed_mono_ms = now.mono_ms};
    if (ce->present && ce->kind == ENTRY_DEADLINE)
        e->number += (int64_t)now.mono_ms;
}

static void model_merge(struct model *m, const struct change *c, struct table_now now)
{
    bool wins = c->life_kind != CHANGE_LIFE_NONE &&
                (m->life_kind == CHANGE_LIFE_NONE || version_cmp(c->life, m->life) > 0);

    if (wins) {
        m->life = c->life;
        m->life_kind = c->life_kind;
        if (c->life_kind == CHANGE_LIFE_ENDED) {
            drop_all(m);
            m->created = 0;
            if (version_cmp(m->life, m->floor) > 0)
                m->floor = m->life;
        } else if (c->created_wall_ms) {
            m->created = c->created_wall_ms;
        }
    }
    if (version_cmp(c->floor, m->floor) > 0) {
        m->floor = c->floor;
        drop_below(m, m->floor);
    }
    if (m->life_kind == CHANGE_LIFE_ENDED)
        return;
    for (size_t i = 0; i < c->n; i++)
        model_entry(m, &c->entries[i], now);
    if (c->created_wall_ms && !m->created)
        m->created = c->created_wall_ms;
}

static void expect_entry(const struct session *s, enum entry_kind kind, struct span name,
                         const struct model_entry *want)
{
    struct entry e;

    ck_assert_int_eq(session_find(s, kind, name, &e), want->held);
    if (!want->held)
        return;
    ck_assert_int_eq(e.kind, kind);
    ck_assert(span_eq(e.name, name));
    ck_assert_int_eq(e.present, want->present);
    ck_assert_int_eq(version_cmp(e.version, want->version), 0);
    ck_assert_int_eq(e.value != NULL, want->value != NULL);
    ck_assert(span_eq(blob_span(e.value), blob_span(want->value)));
    if (want->present)
        ck_assert_int_eq(e.number, want->number);
    else
        ck_assert_uint_eq(e.gone_mono_ms, want->changed_mono_ms);
}

static void expect_same(const struct session *s, const struct model *m)
{
    struct version latest = version_cmp(m->life, m->floor) > 0 ? m->life : m->floor;
    size_t held = 0, attributes = 0, at = 0, bytes = 0;
    struct entry e;
    bool timed = m->interval.held || m->deadline.held;

    ck_assert(span_eq(session_id(s), id));
    ck_assert_int_eq(s->life_kind, m->life_kind);
    ck_assert_int_eq(version_cmp(s->life, m->life), 0);
    ck_assert_int_eq(version_cmp(session_floor(s), m->floor), 0);
    ck_assert_int_eq(session_created(s), m->created);
    ck_assert(s->timed || !timed);
    for (size_t i = 0; i < m->n_names; i++) {
        expect_entry(s, ENTRY_ATTRIBUTE, name_of(i), &m->names[i]);
        held += m->names[i].held;
        attributes += m->names[i].held && m->names[i].present;
    }
    expect_entry(s, ENTRY_MAX_INACTIVE, (struct span){0}, &m->interval);
    expect_entry(s, ENTRY_DEADLINE, (struct span){0}, &m->deadline);
    held += (unsigned)m->interval.held + (unsigned)m->deadline.held;
    for (; session_next(s, &at, &e); held--) {
        bytes += e.value ? e.value->n + sizeof *e.value + 16 : 0;
        if (version_cmp(e.version, latest) > 0)
            latest = e.version;
    }
    ck_assert_uint_eq(held, 0);
    ck_assert_uint_eq(session_attributes(s), attributes);
    ck_assert_int_le(version_cmp(latest, session_latest(s)), 0);
    if (s->rare && s->rare->index) {
        ck_assert_uint_eq(s->rare->value_bytes, bytes);
    } else {
        ck_assert_int_eq(version_cmp(latest, session_latest(s)), 0);
        ck_assert_uint_ge(session_bytes(s), bytes);
    }
}

/* Few times, so that versions of one session meet often. */
static struct version any_version(void)
{
    return (struct version){1700000000000 + rnd(40), 1 + rnd(2), rnd(3)};
}

static void add_entries(struct change *c, uint32_t n_names, uint32_t n)
{
    struct blob *value;

    while (n--) {
        struct version v = rnd(3) ? c->version : rnd(2) ? c->life : any_version();
        switch (rnd(12)) {
        case 0:
            change_set_number(c, ENTRY_MAX_INACTIVE, rnd(100), v);
            break;
        case 1:
            change_set_number(c, ENTRY_DEADLINE, rnd(1000), v);
            break;
        case 2:
            change_remove(c, rnd(2) ? ENTRY_MAX_INACTIVE : ENTRY_DEADLINE, (struct span){0}, v);
            break;
        case 3:
        case 4:
            change_remove(c, ENTRY_ATTRIBUTE, name_of(rnd(n_names)), v);
            break;
        default:
            value = blob_alloc(rnd(100));
            memset(value->p, (int)rnd(256), value->n);
            change_set(c, ENTRY_ATTRIBUTE, name_of(rnd(n_names)), value, v);
        }
    }
}

static struct change *any_change(uint32_t n_names, uint32_t most)
{
    struct change *c = change_new(&context, id, any_version());

    if (rnd(3) == 0) {
        c->life_kind = rnd(6) ? CHANGE_LIFE_OPEN : CHANGE_LIFE_ENDED;
        c->life = rnd(2) ? c->version : any_version();
        if (rnd(2))
            c->created_wall_ms = c->life.time_ms - rnd(100) + 10;
    }
    if (rnd(6) == 0)
        c->floor = rnd(3) ? c->version : (struct version){c->life.time_ms - 1000, 0, 0};
    if (c->life_kind != CHANGE_LIFE_ENDED)
        add_entries(c, n_names, rnd(most));
    change_seal(c);
    return c;
}

static void run_history(uint32_t n_names, uint32_t most, int n_changes)
{
    struct session *s = NULL;
    struct model *m = MEM_NEW(struct model);
    struct table_now now = {1000000, 1700000000000};

    m->n_names = n_names;
    for (int i = 0; i < n_changes; i++) {
        struct change *c = any_change(n_names, most);
        bool first = !s;
        /* What is told of a life in the same words twice may differ here, and never does in truth. */
        if (m->life_kind != CHANGE_LIFE_NONE && c->life.time_ms == m->life.time_ms)
            c->life_kind = CHANGE_LIFE_NONE;
        now.mono_ms += rnd(50);
        if (first)
            s = session_new(&context, id, now.mono_ms, c);
        session_merge(&s, 7, c, first, now);
        model_merge(m, c, now);
        change_unref(c);
        expect_same(s, m);
    }
    drop_all(m);
    mem_free(m);
    session_free(s);
}

START_TEST(a_session_is_what_its_changes_say)
{
    make_names();
    for (uint64_t seed = 1; seed <= 80; seed++) {
        rng = seed * 0x9e3779b97f4a7c15ULL;
        run_history(1 + rnd(12), 1 + rnd(6), 60);
    }
}
END_TEST

START_TEST(so_is_one_of_many_entries)
{
    make_names();
    for (uint64_t seed = 1; seed <= 12; seed++) {
        rng = seed * 0x9e3779b97f4a7c15ULL;
        run_history(NAMES, 1 + rnd(60), 60);
    }
}
END_TEST

static void set_one(struct session **s, uint32_t seq, bool anew, struct span bytes)
{
    struct change *c = change_new(&context, id, (struct version){1700000000000, 1, seq});

    change_set(c, ENTRY_ATTRIBUTE, name_of(5), blob_new(bytes), c->version);
    if (anew) {
        c->life_kind = CHANGE_LIFE_OPEN;
        c->life = c->floor = c->version;
    }
    change_seal(c);
    ck_assert(session_merge(s, 7, c, false, (struct table_now){1000000, 1700000000000}));
    change_unref(c);
}

/* Bytes may be written where the last ones were, but never under the eyes of somebody who holds them. */
START_TEST(a_value_that_somebody_holds_stays_as_it_is)
{
    struct session *s = session_new(&context, id, 1000000, NULL);
    struct entry e;

    make_names();
    for (uint32_t i = 0; i < 40; i += 4) {
        bool anew = i % 8 == 4;
        set_one(&s, 10 * i + 1, anew, SPAN_LIT("first"));
        ck_assert(session_present(s, ENTRY_ATTRIBUTE, name_of(5), &e));
        struct blob *held = blob_ref(e.value);
        set_one(&s, 10 * i + 2, anew, SPAN_LIT("other"));
        ck_assert(span_eq(blob_span(held), SPAN_LIT("first")));
        ck_assert(session_present(s, ENTRY_ATTRIBUTE, name_of(5), &e));
        ck_assert(span_eq(blob_span(e.value), SPAN_LIT("other")));
        blob_unref(held);
        set_one(&s, 10 * i + 3, anew, SPAN_LIT("third"));
        ck_assert(session_present(s, ENTRY_ATTRIBUTE, name_of(5), &e));
        ck_assert(span_eq(blob_span(e.value), SPAN_LIT("third")));
        set_one(&s, 10 * i + 4, anew, SPAN_LIT("a value that takes more memory than the others"));
        ck_assert(session_present(s, ENTRY_ATTRIBUTE, name_of(5), &e));
        ck_assert_uint_eq(e.value->n, 46);
    }
    session_free(s);
}
END_TEST

START_TEST(what_was_removed_is_forgotten_in_time)
{
    struct table_now now = {1000000, 1700000000000};
    struct version v = {1700000000000, 1, 1}, w = {1700000000001, 1, 2};
    struct session *s = session_new(&context, id, now.mono_ms, NULL);
    struct change *c = change_new(&context, id, v);
    struct entry e;

    make_names();
    for (size_t i = 10; i < 60; i++) {
        change_set(c, ENTRY_ATTRIBUTE, name_of(i), blob_new(SPAN_LIT("value")), v);
        if (i % 2)
            change_remove(c, ENTRY_ATTRIBUTE, name_of(i), w);
    }
    change_remove(c, ENTRY_DEADLINE, (struct span){0}, w);
    change_seal(c);
    ck_assert(session_merge(&s, 7, c, false, now));
    change_unref(c);
    session_forget_removed(s, now.mono_ms + 100, 100);
    ck_assert(session_find(s, ENTRY_ATTRIBUTE, name_of(11), &e) && !e.present);
    session_forget_removed(s, now.mono_ms + 101, 100);
    for (size_t i = 10; i < 60; i++)
        ck_assert_int_eq(session_find(s, ENTRY_ATTRIBUTE, name_of(i), &e), i % 2 == 0);
    ck_assert(session_find(s, ENTRY_DEADLINE, (struct span){0}, &e));
    ck_assert_uint_eq(session_attributes(s), 25);
    session_free(s);
}
END_TEST

START_TEST(a_small_session_is_small)
{
    struct table_now now = {1000000, 1700000000000};
    struct change *c = change_new(&context, id, (struct version){1700000000000, 1, 1});

    c->life_kind = CHANGE_LIFE_OPEN;
    c->life = c->floor = c->version;
    c->created_wall_ms = c->version.time_ms;
    change_set(c, ENTRY_ATTRIBUTE, SPAN_LIT(TABLE_STRING_NAME), blob_new(SPAN_LIT("v")), c->version);
    change_set_number(c, ENTRY_DEADLINE, 1000, c->version);
    change_seal(c);
    struct session *s = session_new(&context, id, now.mono_ms, c), *was = s;
    ck_assert(session_merge(&s, 7, c, true, now));
    ck_assert_ptr_eq(s, was); /* it was made with room for this */
    ck_assert_ptr_null(s->rare);
    /* The block, its place in the table, the value's block. */
    ck_assert_uint_le(session_bytes(s), 96 + 16 + 1 + 8 + 16);
    change_unref(c);
    session_free(s);
}
END_TEST

CLUSTERD_SUITE(session, &a_session_is_what_its_changes_say, &so_is_one_of_many_entries,
               &a_value_that_somebody_holds_stays_as_it_is, &what_was_removed_is_forgotten_in_time,
               &a_small_session_is_small)
