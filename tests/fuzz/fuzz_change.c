/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as changes in clusterd's own form, one behind the other. What is accepted encodes,
 * and decodes to the same again. All are applied to a table, whose sessions must survive the same trip, and
 * whose count of memory must come back to where it began.
 */
#include "clusterd/session/context.h"
#include "clusterd/session/table.h"
#include "clusterd/util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct metrics metrics;
static const struct table_now now = {1000000, 1700000000000};

static struct context *to_context(void *arg, struct span name)
{
    return table_context_find_or_add(arg, name);
}

static bool same_version(struct version a, struct version b)
{
    return version_cmp(a, b) == 0;
}

static void check_same_entry(const struct change_entry *a, const struct change_entry *b)
{
    ASSERT(a->kind == b->kind && a->present == b->present && a->number == b->number);
    ASSERT(span_eq(a->name, b->name) && same_version(a->version, b->version));
    ASSERT((a->value == NULL) == (b->value == NULL) && span_eq(blob_span(a->value), blob_span(b->value)));
}

static void check_same(const struct change *a, const struct change *b)
{
    ASSERT(a->context == b->context && span_eq(a->id, b->id) && span_eq(a->new_id, b->new_id));
    ASSERT(same_version(a->version, b->version) && same_version(a->floor, b->floor));
    ASSERT(a->life_kind == b->life_kind);
    ASSERT(a->life_kind == CHANGE_LIFE_NONE || same_version(a->life, b->life));
    ASSERT(a->touches == b->touches && (!a->touches || a->idle_ms == b->idle_ms));
    ASSERT(a->life_front == b->life_front && a->by_clusterd == b->by_clusterd && a->not_new == b->not_new);
    ASSERT(a->created_wall_ms == b->created_wall_ms && a->flow == b->flow && a->n == b->n);
    for (size_t i = 0; i < a->n; i++)
        check_same_entry(&a->entries[i], &b->entries[i]);
}

static void check_again(struct table *t, const struct change *c)
{
    struct buf bytes = {0};
    struct change *again = NULL;

    change_encode(c, &bytes);
    struct rd in = rd_of(buf_span(&bytes));
    ASSERT(change_decode(&in, to_context, t, &again) == ERR_OK && rd_left(&in) == 0);
    check_same(c, again);
    change_unref(again);
    buf_fini(&bytes);
}

static void check_snapshot(void *arg, struct change *snapshot)
{
    check_again(arg, snapshot);
    change_unref(snapshot);
}

/* Ends the session; a later end than this one there is not. */
static void end_session(void *arg, struct change *snapshot)
{
    struct change *c =
        change_new(snapshot->context, snapshot->id, (struct version){INT64_MAX, UINT32_MAX, UINT32_MAX});

    c->life_kind = CHANGE_LIFE_ENDED;
    c->life = c->version;
    change_seal(c);
    (void)table_apply(arg, c, now);
    change_unref(c);
    change_unref(snapshot);
}

static void walk(struct table *t, bool graves, table_walk_fn fn)
{
    uint64_t at = 0;

    do
        table_walk(t, NULL, graves, &at, 5, now, fn, t);
    while (at);
}

static void check_end(struct table *t)
{
    struct table_now later = {now.mono_ms + 3600000, now.wall_ms};

    walk(t, false, end_session);
    for (unsigned i = 0; i < 3; i++)
        table_sweep(t, 100000, later);
    ASSERT(table_bytes(t) == 0 && table_sessions(t) == 0 && table_tombstones(t) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_conf conf = {.max_contexts = 10,
                              .auto_contexts = true,
                              .tombstone_ms = 600000,
                              .park_ms = 5000,
                              .max_tombstones = 1000000};
    struct table *t = table_new(&conf, &metrics);
    struct rd in = rd_of(span_of(data, size));

    while (rd_left(&in)) {
        struct change *c = NULL;
        enum err e = change_decode(&in, to_context, t, &c);
        ASSERT(e == ERR_OK || e == ERR_FULL || (in.err && in.field));
        if (e != ERR_OK)
            continue;
        check_again(t, c);
        (void)table_apply(t, c, now);
        change_unref(c);
    }
    walk(t, true, check_snapshot);
    check_end(t);
    table_free(t);
    return 0;
}
