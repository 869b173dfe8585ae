/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All golden vectors of tests/golden/session-vectors: session messages of two Tomcat versions with their
 * bodies, streams made by hand, maps, farm messages, FileStore files and plain JDK output. Each is decoded;
 * what clusterd sends itself is encoded again byte for byte. Every object is cut, and what was cut is walked,
 * cut again and must stay the same. The number of vectors is counted against the directory.
 */
#include "clusterd/wire/delta.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/rpc.h"
#include "clusterd/wire/session.h"
#include "clusterd/wire/state.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

#include <dirent.h>

#define DIR_NAME TESTS_DIR "/golden/session-vectors"

static const char *text_of(json_t *v, const char *key)
{
    json_t *s = json_object_get(v, key);

    return json_is_string(s) ? json_string_value(s) : NULL;
}

/* Bytes of a hexadecimal member; empty when it is null. */
static struct buf hex_of(json_t *v, const char *key)
{
    struct buf b = {0};

    if (text_of(v, key))
        vectors_unhex(text_of(v, key), &b);
    return b;
}

static bool has_text(struct span s, const char *text)
{
    return span_eq(s, span_str(text));
}

/* --- values --- */

/* A value stands alone: walking and cutting it gives the same bytes, pasting it into a longer stream works.
 */
static void check_value(const char *name, const struct blob *value)
{
    struct java *j = java_new(blob_span(value), NULL);
    struct java_item item;
    struct blob *again = NULL;
    struct buf stream = {0};
    struct jwrite w;

    ck_assert_msg(java_item(j, &item, "value"), "%s: %s", name, java_field(j));
    ck_assert_msg(java_end(j, "tail") == ERR_OK, "%s", name);
    ck_assert_msg(java_cut(j, &item, &again) == ERR_OK, "%s", name);
    ck_assert_msg(span_eq(blob_span(again), blob_span(value)), "%s", name);
    blob_unref(again);
    java_free(j);
    ck_assert_msg(value_kind(blob_span(value)) != VALUE_BROKEN, "%s", name);

    jwrite_init(&w, &stream);
    jwrite_integer(&w, 4711);
    jwrite_boolean(&w, true);
    jwrite_u8(&w, 5);
    ck_assert_int_eq(jwrite_value(&w, blob_span(value)), ERR_OK);
    ck_assert_int_eq(jwrite_value(&w, blob_span(value)), ERR_OK);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("tail")), ERR_OK);
    jwrite_end(&w);
    j = java_new(buf_span(&stream), NULL);
    ck_assert_int_eq(java_integer(j, "a"), 4711);
    ck_assert(java_boolean(j, "b"));
    ck_assert_int_eq(java_u8(j, "c"), 5);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(java_item(j, &item, "value"), "%s: %s", name, java_field(j));
        ck_assert_int_eq(java_cut(j, &item, &again), ERR_OK);
        ck_assert_msg(span_eq(blob_span(again), blob_span(value)), "%s", name);
        blob_unref(again);
    }
    struct span tail;
    ck_assert(java_string(j, &tail, "d") && has_text(tail, "tail"));
    ck_assert_int_eq(java_end(j, "tail"), ERR_OK);
    java_free(j);
    buf_fini(&stream);
}

/* Whatever stands at the top level of a stream. Gives the number of objects; those that failed count. */
static unsigned check_stream(const char *name, struct span stream, unsigned *n_exceptions)
{
    struct java *j = java_new(stream, NULL);
    unsigned n = 0;

    for (;;) {
        enum java_next next = java_peek(j);
        struct java_item item;
        struct blob *value = NULL;
        if (next == JAVA_AT_END)
            break;
        if (next == JAVA_AT_DATA) {
            java_u8(j, "byte");
            continue;
        }
        ck_assert_msg(java_item(j, &item, "item"), "%s: %s at %zu", name, java_field(j), java_pos(j));
        n++;
        if (item.kind == JAVA_EXCEPTION)
            ++*n_exceptions;
        enum err e = java_cut(j, &item, &value);
        if (item.kind == JAVA_NULL || item.kind == JAVA_EXCEPTION) {
            ck_assert_int_eq(e, ERR_NOT_FOUND);
            continue;
        }
        ck_assert_msg(e == ERR_OK, "%s: %s", name, err_text(e));
        check_value(name, value);
        blob_unref(value);
    }
    ck_assert_msg(java_end(j, "end") == ERR_OK, "%s: %s", name, java_field(j));
    java_free(j);
    return n;
}

/* --- deltas --- */

static bool same_value(const struct blob *a, const struct blob *b)
{
    return (a == NULL) == (b == NULL) && span_eq(blob_span(a), blob_span(b));
}

static void check_same_delta(const char *name, const struct delta *a, const struct delta *b)
{
    ck_assert_msg(span_eq(a->session_id, b->session_id) && a->record_all == b->record_all && a->n == b->n,
                  "%s", name);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct delta_action *x = &a->actions[i], *y = &b->actions[i];
        ck_assert_msg(x->type == y->type && x->op == y->op && span_eq(x->name, y->name), "%s: action %u",
                      name, i);
        ck_assert_msg(same_value(x->value, y->value), "%s: value %u", name, i);
    }
}

/* What the capture says was in the delta. */
static void check_delta_inputs(const char *name, const struct delta *d, json_t *want)
{
    json_t *actions = json_object_get(want, "actions"), *a;
    size_t i;

    ck_assert_msg(has_text(d->session_id, text_of(want, "sessionId")), "%s", name);
    ck_assert_int_eq(d->record_all, json_is_true(json_object_get(want, "recordAllActions")));
    ck_assert_msg(d->n == json_array_size(actions), "%s: %u actions", name, d->n);
    json_array_foreach(actions, i, a)
    {
        static const char *const types[] = {"ATTR",     "PRINCIPAL", "ISNEW", "MAXINT",
                                            "AUTHTYPE", "LISTENER",  "NOTE"};
        const struct delta_action *got = &d->actions[i];
        struct buf text = {0};
        ck_assert_msg(has_text(got->name, text_of(a, "name")), "%s: action %zu", name, i);
        ck_assert_msg(strcmp(types[got->type], text_of(a, "type")) == 0, "%s: type %s", name,
                      text_of(a, "type"));
        ck_assert_int_eq(got->op == DELTA_SET, strcmp(text_of(a, "action"), "SET") == 0);
        if (got->value && value_kind(blob_span(got->value)) == VALUE_STRING) {
            json_t *value = json_object_get(a, "value");
            ck_assert_int_eq(value_text(blob_span(got->value), 0, &text), ERR_OK);
            ck_assert_msg(
                span_eq(buf_span(&text), span_of(json_string_value(value), json_string_length(value))),
                "%s: value %zu", name, i);
        }
        if (delta_type_name(got->type))
            ck_assert_msg(has_text(got->name, delta_type_name(got->type)), "%s", name);
        buf_fini(&text);
    }
}

/* Returns true when the body comes out byte for byte. */
static bool check_delta(const char *name, struct span body, json_t *want)
{
    struct delta d, back;
    const char *field = NULL;
    struct buf again = {0};

    ck_assert_msg(delta_decode(body, NULL, &d, &field) == ERR_OK, "%s: %s", name, field);
    ck_assert_int_eq(d.n_unknown + d.n_dropped, 0);
    if (want)
        check_delta_inputs(name, &d, want);
    for (uint32_t i = 0; i < d.n; i++)
        if (d.actions[i].value)
            check_value(name, d.actions[i].value);
    ck_assert_int_eq(delta_encode(&d, &again), ERR_OK);
    bool is_same = span_eq(buf_span(&again), body);
    ck_assert_int_eq(delta_decode(buf_span(&again), NULL, &back, &field), ERR_OK);
    check_same_delta(name, &d, &back);
    delta_fini(&back);
    delta_fini(&d);
    buf_fini(&again);
    return is_same;
}

/* --- state --- */

static void check_same_session(const char *name, const struct state_session *a, const struct state_session *b)
{
    ck_assert_msg(a->creation_ms == b->creation_ms && a->last_access_ms == b->last_access_ms &&
                      a->this_access_ms == b->this_access_ms && a->max_inactive_s == b->max_inactive_s &&
                      a->is_new == b->is_new && a->is_valid == b->is_valid && a->version == b->version,
                  "%s", name);
    ck_assert_msg(span_eq(a->id, b->id), "%s", name);
    ck_assert_msg(same_value(a->principal, b->principal) && same_value(a->note_id, b->note_id) &&
                      same_value(a->note_request, b->note_request),
                  "%s", name);
    ck_assert_int_eq(a->n_attributes, b->n_attributes);
    for (uint32_t i = 0; i < a->n_attributes; i++)
        ck_assert_msg(span_eq(a->attributes[i].name, b->attributes[i].name) &&
                          same_value(a->attributes[i].value, b->attributes[i].value),
                      "%s: attribute %u", name, i);
    ck_assert_int_eq(a->n_listeners, b->n_listeners);
    for (uint32_t i = 0; i < a->n_listeners; i++)
        ck_assert_msg(same_value(a->listeners[i], b->listeners[i]), "%s: listener %u", name, i);
}

/* Encode one session as a block of its own; it must come back as it was. */
static void check_session_alone(const char *name, const struct state_session *s)
{
    struct buf block = {0};
    struct state_reader r;
    struct state_session back;

    ck_assert_int_eq(state_encode(s, 1, &block), ERR_OK);
    ck_assert_int_eq(state_reader_init(&r, buf_span(&block), NULL, NULL), ERR_OK);
    ck_assert_int_eq(r.count, 1);
    ck_assert_int_eq(state_reader_next(&r, &back, NULL), ERR_OK);
    check_same_session(name, s, &back);
    state_session_fini(&back);
    ck_assert_int_eq(state_reader_next(&r, &back, NULL), ERR_NOT_FOUND);
    state_reader_fini(&r);
    buf_fini(&block);
}

static unsigned check_state(const char *name, struct span body)
{
    struct state_reader r;
    struct state_session s;
    const char *field = NULL;
    enum err e;
    unsigned dropped = 0;
    struct buf empty = {0};

    ck_assert_msg(state_reader_init(&r, body, NULL, &field) == ERR_OK, "%s: %s", name, field);
    while ((e = state_reader_next(&r, &s, &field)) == ERR_OK) {
        ck_assert_msg(s.id.n > 0 && s.creation_ms > 0 && s.this_access_ms >= s.creation_ms && s.is_valid,
                      "%s: %.*s", name, (int)s.id.n, (const char *)s.id.p);
        dropped += s.n_dropped;
        for (uint32_t i = 0; i < s.n_attributes; i++)
            check_value(name, s.attributes[i].value);
        check_session_alone(name, &s);
        state_session_fini(&s);
    }
    ck_assert_msg(e == ERR_NOT_FOUND, "%s: %s: %s", name, field, err_text(e));
    ck_assert_int_eq(r.done, r.count);
    if (r.count == 0) {
        ck_assert_int_eq(state_encode(NULL, 0, &empty), ERR_OK);
        ck_assert_msg(span_eq(buf_span(&empty), body), "%s", name);
        buf_fini(&empty);
    }
    state_reader_fini(&r);
    return dropped;
}

/* --- messages --- */

static struct {
    unsigned vectors, messages, deltas, deltas_same, blocks, ids, rpcs, no_channels, maps, dropped,
        exceptions;
} seen;

static void check_message_inputs(const char *name, const struct session_msg *m, json_t *in)
{
    ck_assert_msg(m->event == json_integer_value(json_object_get(in, "event")), "%s", name);
    ck_assert_msg(m->timestamp_ms == json_integer_value(json_object_get(in, "timestamp")), "%s", name);
    ck_assert_msg(m->has_context && has_text(m->context, text_of(in, "contextName")), "%s", name);
    ck_assert_msg(has_text(m->session_id, text_of(in, "sessionID")), "%s", name);
    ck_assert_msg(has_text(m->unique_id, text_of(in, "uniqueId")), "%s", name);
    ck_assert_int_eq(m->timestamp_set, m->event != SESSION_NO_CONTEXT_MANAGER);
}

/* The unique id is made from what is known, except that Tomcat looks at its clock for it. */
static void check_unique_id(const char *name, const struct session_msg *m)
{
    struct buf id = {0};
    bool has_time = m->event == SESSION_CREATED || m->event == SESSION_ACCESSED ||
                    m->event == SESSION_DELTA || m->event == SESSION_CHANGE_ID;
    size_t same = m->unique_id.n - (has_time ? 4 : 0);

    session_unique_id((enum session_event)m->event, m->session_id, m->context, m->timestamp_ms, &id);
    ck_assert_msg(id.n == m->unique_id.n && memcmp(id.p, m->unique_id.p, same) == 0, "%s: %s", name,
                  buf_cstr(&id));
    buf_fini(&id);
}

static void check_body(const char *name, const struct session_msg *m, json_t *in)
{
    struct buf id = {0}, again = {0};

    if (m->event == SESSION_DELTA) {
        seen.deltas++;
        /* Values that shared objects or split block data come back in full: equal, not byte for byte. */
        bool is_same = check_delta(name, m->body, json_object_get(in, "delta"));
        ck_assert_msg(is_same || strstr(name, "set-shared") || strstr(name, "unknown-ctx-form") ||
                          strstr(name, "blockdata-split"),
                      "%s", name);
        seen.deltas_same += is_same;
    } else if (m->event == SESSION_ALL_DATA) {
        seen.blocks++;
        seen.dropped += check_state(name, m->body);
    } else if (m->event == SESSION_CHANGE_ID) {
        seen.ids++;
        ck_assert_int_eq(session_id_body_decode(m->body, &id, NULL), ERR_OK);
        if (text_of(in, "newSessionID"))
            ck_assert_msg(has_text(buf_span(&id), text_of(in, "newSessionID")), "%s", name);
        ck_assert_int_eq(session_id_body_encode(buf_span(&id), &again), ERR_OK);
        ck_assert_msg(span_eq(buf_span(&again), m->body), "%s", name);
    } else {
        ck_assert_msg(!m->has_body, "%s", name);
    }
    buf_fini(&id);
    buf_fini(&again);
}

static void check_message(const char *name, struct span bytes, json_t *v)
{
    struct session_msg m;
    struct buf again = {0}, body = hex_of(v, "body_hex");
    const char *field = NULL;
    json_t *in = json_object_get(v, "inputs");
    enum err e = session_msg_decode(bytes, &m, &field);

    if (strstr(name, "bad-suid")) { /* a Tomcat refuses it, too */
        ck_assert_int_eq(e, ERR_BAD);
        return;
    }
    ck_assert_msg(e == ERR_OK, "%s: %s", name, field);
    seen.messages++;
    if (text_of(in, "uniqueId")) {
        check_message_inputs(name, &m, in);
        check_unique_id(name, &m);
        ck_assert_msg(m.has_body == (body.n > 0) && span_eq(m.body, buf_span(&body)), "%s", name);
    }
    if (strstr(name, "unknown-evt"))
        ck_assert_int_eq(m.event, 99);
    else
        check_body(name, &m, in);
    ck_assert_int_eq(session_msg_encode(&m, &again), ERR_OK);
    ck_assert_msg(span_eq(buf_span(&again), bytes), "%s", name);
    ck_assert_uint_le(again.n, session_msg_size_max(&m));
    session_msg_fini(&m);
    buf_fini(&again);
    buf_fini(&body);
}

static void check_rpc(const char *name, struct span bytes, json_t *v)
{
    struct rpc_msg m;
    const char *field = NULL;
    struct buf again = {0};
    json_t *rpc = json_object_get(json_object_get(v, "inputs"), "rpc");

    ck_assert_msg(rpc_msg_decode(bytes, &m, &field) == ERR_OK, "%s: %s", name, field);
    seen.rpcs++;
    ck_assert_int_eq(m.uuid.n, RPC_UUID_LEN);
    if (m.is_no_channel) {
        seen.no_channels++;
        rpc_no_channel_encode(m.uuid, m.rpc_id, &again);
        ck_assert_msg(span_eq(buf_span(&again), bytes), "%s", name);
    } else {
        ck_assert_int_eq(m.reply, json_is_true(json_object_get(rpc, "reply")));
        ck_assert(has_text(m.rpc_id, text_of(json_object_get(v, "inputs"), "mapName")));
    }
    rpc_msg_fini(&m);
    buf_fini(&again);
}

static void check_map(const char *name, struct span root, struct span bytes, json_t *v)
{
    struct buf key = hex_of(v, "keydata_hex"), value = hex_of(v, "valuedata_hex"),
               diff = hex_of(v, "diffvalue_hex");

    seen.maps++;
    if (has_text(root, JAVA_CLASS_RPC_MESSAGE) || has_text(root, JAVA_CLASS_NO_RPC_REPLY))
        check_rpc(name, bytes, v);
    else
        ck_assert_msg(has_text(root, JAVA_CLASS_MAP_MESSAGE), "%s", name);
    check_stream(name, bytes, &seen.exceptions);
    if (key.n)
        check_stream(name, buf_span(&key), &seen.exceptions);
    if (value.n)
        check_stream(name, buf_span(&value), &seen.exceptions);
    if (diff.n)
        check_delta(name, buf_span(&diff), NULL);
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&diff);
}

static void check_vector(const char *file, json_t *v)
{
    const char *name = text_of(v, "name");
    struct buf bytes = hex_of(v, "hex");
    struct span root = {NULL, 0};
    enum err e = java_root_class(buf_span(&bytes), &root);

    seen.vectors++;
    ck_assert_msg(e == ERR_OK || e == ERR_UNSUPPORTED, "%s", name);
    if (strncmp(file, "map-", 4) == 0) {
        check_map(name, root, buf_span(&bytes), v);
    } else if (has_text(root, JAVA_CLASS_SESSION_MESSAGE)) {
        check_message(name, buf_span(&bytes), v);
    } else {
        ck_assert_msg(strncmp(file, "farm-", 5) != 0 || has_text(root, JAVA_CLASS_FILE_MESSAGE) ||
                          has_text(root, JAVA_CLASS_UNDEPLOY),
                      "%s", name);
        check_stream(name, buf_span(&bytes), &seen.exceptions);
    }
    buf_fini(&bytes);
}

START_TEST(every_vector)
{
    DIR *dir = opendir(DIR_NAME);
    unsigned files = 0;

    ck_assert_ptr_nonnull(dir);
    memset(&seen, 0, sizeof seen);
    for (struct dirent *d; (d = readdir(dir));) {
        char path[1024];
        json_error_t error;
        size_t i;
        json_t *v;
        if (!strstr(d->d_name, ".json"))
            continue;
        files++;
        snprintf(path, sizeof path, "%s/%s", DIR_NAME, d->d_name);
        json_t *doc = json_load_file(path, JSON_ALLOW_NUL, &error);
        ck_assert_msg(doc != NULL, "%s: %s", path, error.text);
        json_array_foreach(json_object_get(doc, "vectors"), i, v) check_vector(d->d_name, v);
        json_decref(doc);
    }
    closedir(dir);
    ck_assert_uint_eq(files, 11);
    ck_assert_uint_eq(seen.vectors, 353);
    ck_assert_uint_eq(seen.messages, 234);
    ck_assert_uint_eq(seen.deltas, 85);
    ck_assert_uint_eq(seen.deltas_same, 80);
    ck_assert_uint_eq(seen.blocks, 36);
    ck_assert_uint_eq(seen.ids, 16);
    ck_assert_uint_eq(seen.maps, 70);
    ck_assert_uint_eq(seen.rpcs, 37);
    ck_assert_uint_eq(seen.no_channels, 1);
    ck_assert_uint_eq(seen.dropped, 2);    /* half-in-full-state of both versions */
    ck_assert_uint_eq(seen.exceptions, 1); /* tc-exception */
}
END_TEST

/* The channel's vectors hold Java streams, too: RPC envelopes, map messages, members of both versions. */
START_TEST(java_streams_of_the_channel)
{
    DIR *dir = opendir(VECTORS_DIR);
    unsigned n = 0, rpcs = 0, exceptions = 0;

    ck_assert_ptr_nonnull(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        size_t i;
        json_t *v;
        if (!strstr(d->d_name, ".json"))
            continue;
        json_t *doc = vectors_load(d->d_name);
        json_array_foreach(json_object_get(doc, "vectors"), i, v)
        {
            struct buf bytes = hex_of(v, "hex");
            struct span root = {NULL, 0};
            struct rpc_msg m;
            if (span_starts_with(buf_span(&bytes), JAVA_HEADER)) {
                n++;
                check_stream(text_of(v, "name"), buf_span(&bytes), &exceptions);
                if (java_root_class(buf_span(&bytes), &root) == ERR_OK &&
                    span_starts_with(root, SPAN_LIT(JAVA_CLASS_RPC_MESSAGE))) {
                    rpcs++;
                    ck_assert_int_eq(rpc_msg_decode(buf_span(&bytes), &m, NULL), ERR_OK);
                    rpc_msg_fini(&m);
                }
            }
            buf_fini(&bytes);
        }
        json_decref(doc);
    }
    closedir(dir);
    ck_assert_uint_eq(n, 54);
    ck_assert_uint_eq(rpcs, 14);
    ck_assert_uint_eq(exceptions, 0);
}
END_TEST

CLUSTERD_SUITE(session_vectors, &every_vector, &java_streams_of_the_channel)
