/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session messages of Tomcat and changes, each made from the other; see tomcat.h. Mirrors the two halves of
 * DeltaManager.messageReceived and DeltaManager.requestCompleted. What has no form on the other side is left
 * out and counted by the caller's log line, never guessed.
 */
#include "tomcat.h"

#include "clusterd/session/context.h"
#include "clusterd/session/table.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/delta.h"
#include "clusterd/wire/mutf.h"
#include "clusterd/wire/value.h"

#include <stdio.h>

#define LISTENER_NAME_LEN 16
#define DELTA_NAME_MAX    21845 /* bytes: each may become three, and Java's UTF holds 65535 */

static struct span listener_name(struct span value, char out[LISTENER_NAME_LEN + 1])
{
    snprintf(out, LISTENER_NAME_LEN + 1, "%016llx", (unsigned long long)hash_stable(value));
    return span_of(out, LISTENER_NAME_LEN);
}

/* Fixed names of Tomcat's become the kind alone. */
static struct span entry_name(const struct delta_action *a, char listener[LISTENER_NAME_LEN + 1])
{
    switch (a->type) {
    case DELTA_ATTRIBUTE:
    case DELTA_NOTE:
        return a->name;
    case DELTA_LISTENER:
        return listener_name(blob_span(a->value), listener);
    case DELTA_PRINCIPAL:
    case DELTA_IS_NEW:
    case DELTA_MAX_INTERVAL:
    case DELTA_AUTH_TYPE:
    case DELTA_TYPE_COUNT:
        break;
    }
    return (struct span){0};
}

static void add_action(struct change *c, const struct delta_action *a)
{
    char listener[LISTENER_NAME_LEN + 1];
    enum entry_kind kind = (enum entry_kind)a->type; /* the numbers are the same */

    if (a->type == DELTA_IS_NEW) {
        bool is_new;
        if (a->value && value_boolean(blob_span(a->value), &is_new) == ERR_OK)
            c->not_new = !is_new;
    } else if (a->type == DELTA_MAX_INTERVAL) {
        int32_t seconds;
        if (a->value && value_integer(blob_span(a->value), &seconds) == ERR_OK)
            change_set_number(c, kind, seconds, c->version);
    } else if (a->op == DELTA_SET && a->value) {
        change_set(c, kind, entry_name(a, listener), blob_ref(a->value), c->version);
    } else {
        change_remove(c, kind, entry_name(a, listener), c->version);
    }
}

/*
 * Requests may follow each other within a millisecond, and a Tomcat's message ids have no order. What else
 * the message tells comes before them: the first delta of a session says that it is new, and the message was
 * stamped a little before it was sent. The greater, the later.
 */
static uint32_t rank_within_ms(const struct delta *d, int64_t lag_ms, uint32_t seq)
{
    bool first = false, is_new;

    for (uint32_t i = 0; i < d->n; i++)
        if (d->actions[i].type == DELTA_IS_NEW && d->actions[i].value &&
            value_boolean(blob_span(d->actions[i].value), &is_new) == ERR_OK)
            first = is_new;
    uint32_t early = lag_ms <= 0 ? 0 : lag_ms > 3 ? 3 : (uint32_t)lag_ms;
    return (first ? 0u : 1u) << 30 | (3 - early) << 28 | seq >> 4;
}

static enum err add_delta(struct change *c, const struct session_msg *msg, int64_t stamped_ms,
                          const char **field)
{
    struct delta delta;

    TRY(delta_decode(msg->body, NULL, &delta, field));
    c->version.seq = rank_within_ms(&delta, c->version.time_ms - stamped_ms, c->version.seq);
    for (uint32_t i = 0; i < delta.n; i++)
        add_action(c, &delta.actions[i]);
    c->left_out = delta.n_dropped;
    delta_fini(&delta);
    return ERR_OK;
}

static enum err fill(struct change *c, const struct session_msg *msg, int64_t stamped_ms, const char **field)
{
    switch (msg->event) {
    case SESSION_CREATED:
        c->life_kind = CHANGE_LIFE_OPEN;
        c->life = c->version;
        c->floor = (struct version){c->version.time_ms - CHANGE_CREATED_SLACK_MS, 0, 0};
        c->created_wall_ms = stamped_ms;
        c->touches = true;
        return ERR_OK;
    case SESSION_EXPIRED:
        c->life_kind = CHANGE_LIFE_ENDED;
        c->life = c->version;
        return ERR_OK;
    case SESSION_ACCESSED:
        c->touches = true;
        return ERR_OK;
    case SESSION_DELTA:
        c->touches = true;
        return add_delta(c, msg, stamped_ms, field);
    case SESSION_CHANGE_ID: {
        struct buf id = {0};
        enum err e = session_id_body_decode(msg->body, &id, field);
        if (e == ERR_OK && id.n == 0) {
            *field = "new session id";
            e = ERR_BAD;
        }
        if (e == ERR_OK)
            change_rename(c, buf_span(&id));
        buf_fini(&id);
        return e;
    }
    default:
        *field = "event";
        return ERR_UNSUPPORTED;
    }
}

enum err tomcat_to_change(const struct session_msg *msg, struct context *context, struct version v,
                          int64_t stamped_ms, struct change **out, const char **field)
{
    struct change *c = change_new(context, msg->session_id, v);
    enum err e = fill(c, msg, stamped_ms, field);

    change_seal(c);
    if (e != ERR_OK) {
        change_unref(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

/* What a Tomcat calls "seconds": rounded up, at least 1, because 0 and less mean that it never ends. */
static int32_t interval_of(const struct change_entry *e)
{
    if (!e->present)
        return -1;
    if (e->kind == ENTRY_MAX_INACTIVE)
        return (int32_t)e->number;
    int64_t s = e->number <= 0 ? 1 : (e->number + 999) / 1000;
    return s > INT32_MAX ? INT32_MAX : (int32_t)s;
}

/* False: it has no form at a Tomcat. A name that is no text in any encoding of Java's stays among clusterd
 * nodes. */
static bool to_action(const struct change_entry *e, struct delta_action *a)
{
    if (!mutf_utf8_valid(e->name) || e->name.n > DELTA_NAME_MAX)
        return false;
    *a = (struct delta_action){.op = e->present ? DELTA_SET : DELTA_REMOVE, .name = e->name};
    switch (e->kind) {
    case ENTRY_DEADLINE:
    case ENTRY_MAX_INACTIVE:
        a->type = DELTA_MAX_INTERVAL;
        a->op = DELTA_SET;
        a->name = SPAN_LIT(DELTA_NAME_MAX_INTERVAL);
        a->value = value_from_integer(interval_of(e));
        return true;
    case ENTRY_LISTENER:
        if (!e->present)
            return false; /* a Tomcat removes a listener by its value, which is gone here */
        a->type = DELTA_LISTENER;
        a->name = SPAN_LIT(DELTA_NAME_LISTENER);
        break;
    case ENTRY_PRINCIPAL:
        a->type = DELTA_PRINCIPAL;
        a->name = SPAN_LIT(DELTA_NAME_PRINCIPAL);
        break;
    case ENTRY_AUTH_TYPE:
        a->type = DELTA_AUTH_TYPE;
        a->name = SPAN_LIT(DELTA_NAME_AUTH_TYPE);
        break;
    case ENTRY_ATTRIBUTE:
        a->type = DELTA_ATTRIBUTE;
        break;
    case ENTRY_NOTE:
        a->type = DELTA_NOTE;
        break;
    case ENTRY_IS_NEW:
        return false;
    }
    a->value = blob_ref(e->value);
    return true;
}

static void encode(struct tomcat_messages *out, const struct change *c, enum session_event event,
                   struct span body, bool has_body)
{
    struct buf unique = {0};

    session_unique_id(event, c->id, span_str(c->context->name), out->time_ms, &unique);
    struct session_msg msg = {.event = (int32_t)event,
                              .timestamp_ms = out->time_ms,
                              .timestamp_set = true,
                              .has_context = true,
                              .has_body = has_body,
                              .context = span_str(c->context->name),
                              .session_id = c->id,
                              .unique_id = buf_span(&unique),
                              .body = body};
    if (out->n < TOMCAT_MESSAGES_MAX && session_msg_encode(&msg, &out->payloads[out->n]) == ERR_OK)
        out->n++;
    buf_fini(&unique);
}

static void encode_delta(struct tomcat_messages *out, const struct change *c)
{
    struct delta delta = {.session_id = c->id};
    struct buf body = {0};
    bool interval = false;

    delta.actions = mem_array(c->n + 2, sizeof *delta.actions);
    if (c->created)
        delta.actions[delta.n++] = (struct delta_action){
            .type = DELTA_IS_NEW, .name = SPAN_LIT(DELTA_NAME_IS_NEW), .value = value_from_boolean(true)};
    for (size_t i = 0; i < c->n; i++)
        if (to_action(&c->entries[i], &delta.actions[delta.n])) {
            interval |= delta.actions[delta.n].type == DELTA_MAX_INTERVAL;
            delta.n++;
        }
    if (c->created && !interval) /* a front-door session without a TTL never ends by time */
        delta.actions[delta.n++] = (struct delta_action){.type = DELTA_MAX_INTERVAL,
                                                         .name = SPAN_LIT(DELTA_NAME_MAX_INTERVAL),
                                                         .value = value_from_integer(-1)};
    if (delta.n && delta_encode(&delta, &body) == ERR_OK)
        encode(out, c, SESSION_DELTA, buf_span(&body), true);
    for (uint32_t i = 0; i < delta.n; i++)
        blob_unref(delta.actions[i].value);
    mem_free(delta.actions);
    buf_fini(&body);
}

void tomcat_from_change(const struct change *c, int64_t offset_ms, struct tomcat_messages *out)
{
    out->time_ms = c->version.time_ms + offset_ms;
    if (c->new_id.n) {
        struct buf body = {0};
        if (session_id_body_encode(c->new_id, &body) == ERR_OK)
            encode(out, c, SESSION_CHANGE_ID, buf_span(&body), true);
        buf_fini(&body);
    } else if (c->life_kind == CHANGE_LIFE_ENDED) {
        encode(out, c, SESSION_EXPIRED, (struct span){0}, false);
    } else {
        if (c->created)
            encode(out, c, SESSION_CREATED, (struct span){0}, false);
        if (c->n || c->created)
            encode_delta(out, c);
        else if (c->touches)
            encode(out, c, SESSION_ACCESSED, (struct span){0}, false);
    }
}

void tomcat_messages_fini(struct tomcat_messages *m)
{
    for (size_t i = 0; i < TOMCAT_MESSAGES_MAX; i++)
        buf_fini(&m->payloads[i]);
    m->n = 0;
}

/* A time of a Tomcat's on our clock; one that is believed, as it would be by the node that is told of it. */
static int64_t put_on_clock(int64_t theirs_ms, int64_t offset_ms)
{
    return version_clamp_time(version_clamp_time(theirs_ms) + offset_ms);
}

/*
 * A block tells what its sender held, not when each attribute was set. The session's last access is the
 * latest time that any of it can be from, as far as the sender knew; so a delta that is newer than what the
 * sender had seen wins over the block, whichever arrives first. Nothing that we hold is removed because a
 * block lacks it: under Tomcat's default options its replicas lose attributes.
 */
struct change *tomcat_state_to_change(const struct state_session *s, struct context *context, uint32_t writer,
                                      int64_t offset_ms, int64_t snapshot_ms, int64_t now_wall_ms)
{
    int64_t access = put_on_clock(s->this_access_ms, offset_ms);
    struct version v = {access < snapshot_ms ? access : snapshot_ms, writer, 0};
    struct change *c = change_new(context, s->id, v);

    c->life_kind = CHANGE_LIFE_OPEN;
    c->created_wall_ms = put_on_clock(s->creation_ms, offset_ms);
    if (c->created_wall_ms > snapshot_ms)
        c->created_wall_ms = snapshot_ms;
    c->life = (struct version){c->created_wall_ms, writer, 0};
    c->touches = true;
    c->idle_ms = now_wall_ms > access ? now_wall_ms - access : 0;
    c->not_new = !s->is_new;
    change_set_number(c, ENTRY_MAX_INACTIVE, s->max_inactive_s, v);
    if (s->principal)
        change_set(c, ENTRY_PRINCIPAL, (struct span){0}, blob_ref(s->principal), v);
    if (s->note_id)
        change_set(c, ENTRY_NOTE, SPAN_LIT(STATE_NOTE_SESSION_ID), blob_ref(s->note_id), v);
    if (s->note_request)
        change_set(c, ENTRY_NOTE, SPAN_LIT(STATE_NOTE_REQUEST), blob_ref(s->note_request), v);
    c->left_out = s->n_dropped;
    for (uint32_t i = 0; i < s->n_attributes; i++) {
        const struct state_attribute *a = &s->attributes[i];
        if (a->name.n <= TABLE_NAME_MAX)
            change_set(c, ENTRY_ATTRIBUTE, a->name, blob_ref(a->value), v);
        else
            c->left_out++;
    }
    for (uint32_t i = 0; i < s->n_listeners; i++) {
        char name[LISTENER_NAME_LEN + 1];
        change_set(c, ENTRY_LISTENER, listener_name(blob_span(s->listeners[i]), name),
                   blob_ref(s->listeners[i]), v);
    }
    change_seal(c);
    return c;
}

/* Which interval a Tomcat shall hold: what was set last of the two kinds. */
static int32_t interval_for_state(const struct change *c)
{
    const struct change_entry *last = NULL;

    for (size_t i = 0; i < c->n; i++) {
        const struct change_entry *e = &c->entries[i];
        if ((e->kind == ENTRY_DEADLINE || (e->kind == ENTRY_MAX_INACTIVE && e->present)) &&
            (!last || version_cmp(e->version, last->version) > 0))
            last = e;
    }
    if (last)
        return interval_of(last);
    return c->life_front ? -1 : (int32_t)c->context->manager.max_inactive_s;
}

static void add_state_entry(struct state_session *s, const struct change_entry *e)
{
    if (!e->present || !mutf_utf8_valid(e->name))
        return;
    switch (e->kind) {
    case ENTRY_ATTRIBUTE:
        s->attributes[s->n_attributes++] = (struct state_attribute){e->name, e->value};
        break;
    case ENTRY_LISTENER:
        s->listeners[s->n_listeners++] = e->value;
        break;
    case ENTRY_PRINCIPAL:
        s->principal = e->value;
        break;
    case ENTRY_NOTE:
        if (span_eq(e->name, SPAN_LIT(STATE_NOTE_SESSION_ID)))
            s->note_id = e->value;
        else if (span_eq(e->name, SPAN_LIT(STATE_NOTE_REQUEST)))
            s->note_request = e->value;
        break;
    case ENTRY_IS_NEW:
    case ENTRY_MAX_INACTIVE:
    case ENTRY_AUTH_TYPE:
    case ENTRY_DEADLINE:
        break;
    }
}

/* When the creation was never told, the earliest time that anything of the session is from. */
static int64_t creation_of(const struct change *c, int64_t fallback_ms)
{
    int64_t t = c->created_wall_ms;

    for (size_t i = 0; !c->created_wall_ms && i < c->n; i++)
        if (t == 0 || c->entries[i].version.time_ms < t)
            t = c->entries[i].version.time_ms;
    return t ? t : fallback_ms;
}

/* Its arrays are the caller's; what they point to stays the change's. */
static struct state_session to_state(const struct change *c, int64_t now_wall_ms, int64_t offset_ms)
{
    int64_t access = now_wall_ms - c->idle_ms;
    struct state_session s = {.creation_ms = creation_of(c, access) + offset_ms,
                              .last_access_ms = access + offset_ms,
                              .this_access_ms = access + offset_ms,
                              .max_inactive_s = interval_for_state(c),
                              .is_new = !c->not_new,
                              .is_valid = true,
                              .id = c->id,
                              .attributes = mem_array(c->n, sizeof *s.attributes),
                              .listeners = mem_array(c->n, sizeof *s.listeners)};

    for (size_t i = 0; i < c->n; i++)
        add_state_entry(&s, &c->entries[i]);
    return s;
}

enum err tomcat_state_from_changes(struct change *const *changes, uint32_t n, int64_t now_wall_ms,
                                   int64_t offset_ms, struct buf *out)
{
    struct state_session *sessions = mem_array(n, sizeof *sessions);

    for (uint32_t i = 0; i < n; i++)
        sessions[i] = to_state(changes[i], now_wall_ms, offset_ms);
    enum err e = state_encode(sessions, n, out);
    for (uint32_t i = 0; i < n; i++) {
        mem_free(sessions[i].attributes);
        mem_free(sessions[i].listeners);
    }
    mem_free(sessions);
    return e;
}

bool tomcat_state_is_plain(const struct change *c)
{
    if (!mutf_utf8_valid(c->id))
        return false;
    for (size_t i = 0; i < c->n; i++) {
        const struct change_entry *e = &c->entries[i];
        if (e->present && e->value && (e->kind != ENTRY_ATTRIBUTE || !value_is_common(blob_span(e->value))))
            return false;
    }
    return true;
}

void tomcat_state_empty(struct buf *out)
{
    enum err e = state_encode(NULL, 0, out);

    ASSERT(e == ERR_OK);
}

static bool is_rest(const struct change_entry *e)
{
    if (!e->present)
        return false;
    return e->kind == ENTRY_AUTH_TYPE ||
           (e->kind == ENTRY_NOTE && !span_eq(e->name, SPAN_LIT(STATE_NOTE_SESSION_ID)) &&
            !span_eq(e->name, SPAN_LIT(STATE_NOTE_REQUEST)));
}

bool tomcat_rest_delta(const struct change *c, struct buf *out)
{
    struct delta delta = {.session_id = c->id, .actions = mem_array(c->n, sizeof *delta.actions)};

    for (size_t i = 0; i < c->n; i++)
        if (is_rest(&c->entries[i]) && to_action(&c->entries[i], &delta.actions[delta.n]))
            delta.n++;
    bool any = delta.n && delta_encode(&delta, out) == ERR_OK;
    for (uint32_t i = 0; i < delta.n; i++)
        blob_unref(delta.actions[i].value);
    mem_free(delta.actions);
    return any;
}
