/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a session message of a Tomcat, all the way: decoded, put on cluster time, made a
 * change, applied to a table. What the table then holds is written for a Tomcat and for a clusterd node, and
 * can be read by both.
 */
#include "../../src/session/tomcat.h"
#include "clusterd/cluster/cluster.h"
#include "clusterd/session/table.h"
#include "clusterd/wire/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OFFSET_MS (-3600000)

static struct metrics metrics;
static const struct table_now now = {1000000, 1700000000000};
static const struct span context_name = {(const uint8_t *)"localhost#/app", 14};

static void apply_state(struct table *t, struct context *context, const struct session_msg *m,
                        int64_t sent_ms)
{
    struct state_reader r;
    struct state_session s;

    if (state_reader_init(&r, m->body, NULL, NULL) != ERR_OK)
        return;
    while (state_reader_next(&r, &s, NULL) == ERR_OK) {
        struct change *c = tomcat_state_to_change(&s, context, 7, OFFSET_MS, sent_ms, now.wall_ms);
        (void)table_apply(t, c, now);
        change_unref(c);
        state_session_fini(&s);
    }
    state_reader_fini(&r);
}

static void apply(struct table *t, const struct session_msg *m)
{
    struct context *context = table_context_find_or_add(t, context_name);
    int64_t sent_ms = cluster_correct_time(NULL, m->timestamp_ms, now.wall_ms);
    struct change *c = NULL;
    const char *field = NULL;

    if (m->event == SESSION_ALL_DATA) {
        apply_state(t, context, m, sent_ms);
    } else if (tomcat_to_change(m, context, (struct version){now.wall_ms, 7, 1}, sent_ms, &c, &field) ==
               ERR_OK) {
        (void)table_apply(t, c, now);
        change_unref(c);
    }
}

static void check_messages(const struct change *c)
{
    struct tomcat_messages out = {0};
    struct session_msg m;
    struct delta rest;
    struct buf body = {0};

    tomcat_from_change(c, OFFSET_MS, &out);
    for (size_t i = 0; i < out.n; i++) {
        ASSERT(session_msg_decode(buf_span(&out.payloads[i]), &m, NULL) == ERR_OK);
        ASSERT(span_eq(m.session_id, c->id));
        session_msg_fini(&m);
    }
    tomcat_messages_fini(&out);
    if (tomcat_rest_delta(c, &body)) {
        ASSERT(delta_decode(buf_span(&body), NULL, &rest, NULL) == ERR_OK && rest.n > 0);
        delta_fini(&rest);
    }
    buf_fini(&body);
}

static void check_state(struct change *c)
{
    struct buf block = {0};
    struct state_reader r;
    struct state_session s;
    bool plain = tomcat_state_is_plain(c);

    if (c->new_id.n || c->life_kind == CHANGE_LIFE_ENDED ||
        tomcat_state_from_changes(&c, 1, now.wall_ms, OFFSET_MS, &block) != ERR_OK) {
        ASSERT(c->new_id.n || c->life_kind == CHANGE_LIFE_ENDED || !plain);
        buf_fini(&block);
        return;
    }
    ASSERT(state_reader_init(&r, buf_span(&block), NULL, NULL) == ERR_OK);
    ASSERT(state_reader_next(&r, &s, NULL) == ERR_OK);
    ASSERT(span_eq(s.id, c->id) && s.n_dropped == 0);
    state_session_fini(&s);
    state_reader_fini(&r);
    buf_fini(&block);
}

static struct context *to_context(void *arg, struct span name)
{
    return table_context_find_or_add(arg, name);
}

static void check(void *arg, struct change *snapshot)
{
    struct buf own = {0};
    struct change *again = NULL;

    check_messages(snapshot);
    check_state(snapshot);
    change_encode(snapshot, &own);
    struct rd in = rd_of(buf_span(&own));
    ASSERT(change_decode(&in, to_context, arg, &again) == ERR_OK);
    ASSERT(version_cmp(again->life, snapshot->life) == 0 &&
           again->created_wall_ms == snapshot->created_wall_ms);
    change_unref(again);
    change_unref(snapshot);
    buf_fini(&own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_conf conf = {
        .max_contexts = 10, .auto_contexts = true, .tombstone_ms = 600000, .park_ms = 5000};
    struct session_msg m;
    uint64_t at = 0;

    if (session_msg_decode(span_of(data, size), &m, NULL) != ERR_OK)
        return 0;
    struct table *t = table_new(&conf, &metrics);
    apply(t, &m);
    do
        table_walk(t, NULL, true, &at, 100, now, check, t);
    while (at);
    table_free(t);
    session_msg_fini(&m);
    return 0;
}
