/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Tomcat of the simulator; see world.h. Its rules are those of the protocol notes (docs/PROTOCOL.md,
 * session messages): a receiver that applies what comes when it comes, a sender under channelSendOptions 8,
 * whose messages may overtake each other by up to REORDER_MS. It is the only writer of its sessions'
 * attributes, so what they must hold in the end is known exactly.
 */
#include "bare_member.h"
#include "clusterd/util/hash.h"
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/delta.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/session.h"
#include "clusterd/wire/state.h"
#include "clusterd/wire/value.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define OWN_MAX    12
#define ATTRS      3
#define REORDER_MS 800

/* A session that this Tomcat made. */
struct own {
    char id[48], first[48], old[48];
    unsigned renames;
    bool alive, expired, logged_in;
    int value[ATTRS]; /* 0 = not there */
    int64_t created_ms, access_ms;
};

/* A replica: what messages of others left here. */
struct replica {
    struct link link;
    char id[64];
    struct {
        char name[16], value[32];
    } attr[8];
    unsigned n;
};

struct outgoing {
    struct link link;
    struct timer timer;
    struct tomcat *tomcat;
    struct message message;
    struct buf payload;
};

struct tomcat {
    struct world *world;
    unsigned index;
    struct bare_member member;
    struct diag diag;
    struct link outgoing, replicas;
    struct own own[OWN_MAX];
    unsigned n_own, next_id;
    bool started, quiet;
};

/* --- receiving --- */

static struct replica *find_replica(struct tomcat *t, struct span id)
{
    LINK_EACH(l, &t->replicas)
    {
        struct replica *r = CONTAINER_OF(l, struct replica, link);
        if (span_eq(span_str(r->id), id))
            return r;
    }
    return NULL;
}

static void drop_replica(struct replica *r)
{
    link_remove(&r->link);
    mem_free(r);
}

static void copy_text(char *out, size_t cap, struct span s)
{
    snprintf(out, cap, "%.*s", (int)s.n, (const char *)s.p);
}

static struct replica *create_replica(struct tomcat *t, struct span id)
{
    struct replica *r = find_replica(t, id);

    if (r)
        drop_replica(r);
    r = MEM_NEW(struct replica);
    copy_text(r->id, sizeof r->id, id);
    link_push_back(&t->replicas, &r->link);
    return r;
}

static void set_replica(struct replica *r, struct span name, struct blob *value)
{
    struct buf text = {0};
    unsigned i = 0;

    while (i < r->n && !span_eq(span_str(r->attr[i].name), name))
        i++;
    if (!value || value_text(blob_span(value), 100, &text) != ERR_OK) {
        if (i < r->n)
            r->attr[i] = r->attr[--r->n];
    } else if (i < sizeof r->attr / sizeof *r->attr) {
        copy_text(r->attr[i].name, sizeof r->attr[i].name, name);
        copy_text(r->attr[i].value, sizeof r->attr[i].value, buf_span(&text));
        r->n += i == r->n;
    }
    buf_fini(&text);
}

static void apply_delta(struct replica *r, struct span body)
{
    struct delta d;
    const char *field;

    if (delta_decode(body, NULL, &d, &field) != ERR_OK)
        return;
    for (uint32_t i = 0; i < d.n; i++)
        if (d.actions[i].type == DELTA_ATTRIBUTE)
            set_replica(r, d.actions[i].name, d.actions[i].op == DELTA_SET ? d.actions[i].value : NULL);
    delta_fini(&d);
}

static void change_id(struct tomcat *t, struct replica *r, struct span body)
{
    struct buf id = {0};
    const char *field;

    if (session_id_body_decode(body, &id, &field) == ERR_OK) {
        struct replica *there = find_replica(t, buf_span(&id));
        if (there && there != r)
            drop_replica(there);
        copy_text(r->id, sizeof r->id, buf_span(&id));
    }
    buf_fini(&id);
}

static struct blob *number(int v)
{
    char text[16];

    snprintf(text, sizeof text, "%d", v);
    return value_from_bytes(span_str(text));
}

static void encode_message(enum session_event event, const char *id, int64_t now, struct span body,
                           bool has_body, struct buf *out)
{
    struct buf unique = {0};

    session_unique_id(event, span_str(id), SPAN_LIT(WORLD_CONTEXT), now, &unique);
    struct session_msg msg = {.event = (int32_t)event,
                              .timestamp_ms = now,
                              .timestamp_set = true,
                              .has_context = true,
                              .has_body = has_body,
                              .context = SPAN_LIT(WORLD_CONTEXT),
                              .session_id = span_str(id),
                              .unique_id = buf_span(&unique),
                              .body = body};
    ASSERT(session_msg_encode(&msg, out) == ERR_OK);
    buf_fini(&unique);
}

/* At once, to the member that asked. */
static void say(struct tomcat *t, const struct received *to, enum session_event event, const char *id,
                int64_t now, struct span body, bool has_body)
{
    struct message m = {.options = SEND_USE_ACK | SEND_SYNCHRONIZED_ACK};
    struct buf b = {0};

    encode_message(event, id, now, body, has_body, &b);
    channel_stamp(t->member.channel, to->loop, &m);
    m.payload = buf_span(&b);
    channel_send(t->member.channel, &m, &(struct targets){1, (struct member *[]){to->source}});
    buf_fini(&b);
}

/* What a Tomcat sends that is asked for its sessions: those that it made, in one block, and that this was
 * all. */
static void answer_get_all(struct tomcat *t, const struct received *m)
{
    struct state_session all[OWN_MAX] = {0};
    struct state_attribute attributes[OWN_MAX][ATTRS];
    static const struct span names[ATTRS] = {
        {(const uint8_t *)"a0", 2}, {(const uint8_t *)"a1", 2}, {(const uint8_t *)"a2", 2}};
    struct buf body = {0};
    uint32_t n = 0;
    int64_t now = loop_wall_ms(m->loop);

    for (unsigned i = 0; i < t->n_own; i++) {
        const struct own *o = &t->own[i];
        struct state_session *s = &all[n];
        if (!o->alive)
            continue;
        *s = (struct state_session){.creation_ms = o->created_ms,
                                    .last_access_ms = o->access_ms,
                                    .this_access_ms = o->access_ms,
                                    .max_inactive_s = 1800,
                                    .is_valid = true,
                                    .id = span_str(o->id),
                                    .principal = o->logged_in ? value_from_bytes(SPAN_LIT("bob")) : NULL,
                                    .attributes = attributes[n]};
        for (unsigned a = 0; a < ATTRS; a++)
            if (o->value[a])
                attributes[n][s->n_attributes++] = (struct state_attribute){names[a], number(o->value[a])};
        n++;
    }
    ASSERT(state_encode(all, n, &body) == ERR_OK);
    for (uint32_t i = 0; i < n; i++) {
        blob_unref(all[i].principal);
        for (uint32_t a = 0; a < all[i].n_attributes; a++)
            blob_unref(attributes[i][a].value);
    }
    say(t, m, SESSION_ALL_DATA, SESSION_ID_ALL_DATA, now, buf_span(&body), true);
    say(t, m, SESSION_TRANSFER_COMPLETE, SESSION_ID_TRANSFER_COMPLETE, now, (struct span){0}, false);
    buf_fini(&body);
}

static enum err on_message(void *arg, const struct received *m)
{
    struct tomcat *t = arg;
    struct session_msg msg;

    if (!bare_member_read(&t->member, m, &msg))
        return ERR_OK;
    struct replica *r = find_replica(t, msg.session_id);
    switch (msg.event) {
    case SESSION_CREATED:
        create_replica(t, msg.session_id);
        break;
    case SESSION_EXPIRED:
        if (r)
            drop_replica(r);
        break;
    case SESSION_DELTA:
        if (r)
            apply_delta(r, msg.body);
        break;
    case SESSION_CHANGE_ID:
        if (r)
            change_id(t, r, msg.body);
        break;
    case SESSION_GET_ALL:
        if (m->source)
            answer_get_all(t, m);
        break;
    default:
        break;
    }
    session_msg_fini(&msg);
    return ERR_OK;
}

/* --- sending --- */

static void send_now(struct timer *timer, void *arg)
{
    struct outgoing *o = arg;
    struct tomcat *t = o->tomcat;
    struct view *v = channel_view(t->member.channel);
    struct targets targets = {v->n, v->members};

    (void)timer;
    o->message.flow = world_rnd(t->world, 4);
    channel_send(t->member.channel, &o->message, &targets);
    view_unref(v);
    link_remove(&o->link);
    timer_fini(&o->timer);
    buf_fini(&o->payload);
    mem_free(o);
}

static void send_later(struct tomcat *t, enum session_event event, const char *id, struct span body,
                       bool has_body)
{
    struct outgoing *o = MEM_NEW(struct outgoing);
    int64_t now = loop_wall_ms(host_main(t->member.host));

    encode_message(event, id, now, body, has_body, &o->payload);
    o->tomcat = t;
    channel_stamp(t->member.channel, host_main(t->member.host),
                  &o->message); /* the time of the request, not of the sending */
    o->message.options = SEND_USE_ACK;
    o->message.payload = buf_span(&o->payload);
    link_push_back(&t->outgoing, &o->link);
    timer_init(&o->timer, host_main(t->member.host), send_now, o);
    uint32_t delay = world_rnd(t->world, 3) ? world_rnd(t->world, 5) : world_rnd(t->world, REORDER_MS);
    log_debug("tomcat %u: %s of %s at %lld, sent in %u ms", t->index, session_event_name(event), id,
              (long long)now, delay);
    timer_start(&o->timer, delay);
}

static void send_delta(struct tomcat *t, const char *id, const struct delta_action *actions, uint32_t n)
{
    struct delta d = {
        .session_id = span_str(id), .n = n, .actions = (struct delta_action *)(uintptr_t)actions};
    struct buf body = {0};

    ASSERT(delta_encode(&d, &body) == ERR_OK);
    send_later(t, SESSION_DELTA, id, buf_span(&body), true);
    buf_fini(&body);
    for (uint32_t i = 0; i < n; i++)
        blob_unref(actions[i].value);
}

static void create(struct tomcat *t)
{
    struct own *o = &t->own[t->n_own++];

    *o = (struct own){.alive = true};
    o->created_ms = o->access_ms = loop_wall_ms(host_main(t->member.host));
    snprintf(o->first, sizeof o->first, "T%u-%u.r%u", t->index, t->next_id++, t->index);
    memcpy(o->id, o->first, sizeof o->id);
    send_later(t, SESSION_CREATED, o->id, (struct span){0}, false);
    o->value[0] = 1;
    struct delta_action actions[] = {
        {.type = DELTA_IS_NEW, .name = SPAN_LIT(DELTA_NAME_IS_NEW), .value = value_from_boolean(true)},
        {.type = DELTA_MAX_INTERVAL,
         .name = SPAN_LIT(DELTA_NAME_MAX_INTERVAL),
         .value = value_from_integer(1800)},
        {.type = DELTA_ATTRIBUTE, .name = SPAN_LIT("a0"), .value = number(1)}};
    send_delta(t, o->id, actions, 3);
}

static void set_some(struct tomcat *t, struct own *o)
{
    char name[8];
    unsigned i = world_rnd(t->world, ATTRS);
    bool remove = o->value[i] && world_rnd(t->world, 4) == 0;

    o->value[i] = remove ? 0 : (int)(1 + world_rnd(t->world, 1000000));
    snprintf(name, sizeof name, "a%u", i);
    struct delta_action action = {.type = DELTA_ATTRIBUTE,
                                  .op = remove ? DELTA_REMOVE : DELTA_SET,
                                  .name = span_str(name),
                                  .value = remove ? NULL : number(o->value[i])};
    log_debug("tomcat %u: %s is now %d", t->index, name, o->value[i]);
    send_delta(t, o->id, &action, 1);
}

static void rename_own(struct tomcat *t, struct own *o, bool login)
{
    struct buf body = {0};
    char to[48];

    if (o->renames && world_rnd(t->world, 3) == 0)
        memcpy(to, o->old, sizeof to); /* a route that moves back home */
    else
        snprintf(to, sizeof to, "T%u-%u.r%u", t->index, t->next_id++, t->index);
    ASSERT(session_id_body_encode(span_str(to), &body) == ERR_OK);
    send_later(t, SESSION_CHANGE_ID, o->id, buf_span(&body), true);
    buf_fini(&body);
    memcpy(o->old, o->id, sizeof o->old);
    memcpy(o->id, to, sizeof o->id);
    o->renames++;
    if (login) {
        o->logged_in = true;
        struct delta_action actions[] = {{.type = DELTA_AUTH_TYPE,
                                          .name = SPAN_LIT(DELTA_NAME_AUTH_TYPE),
                                          .value = value_from_bytes(SPAN_LIT("FORM"))},
                                         {.type = DELTA_PRINCIPAL,
                                          .name = SPAN_LIT(DELTA_NAME_PRINCIPAL),
                                          .value = value_from_bytes(SPAN_LIT("bob"))}};
        send_delta(t, o->id, actions, 2);
    }
}

void tomcat_step(struct tomcat *t)
{
    if (!t->started || t->quiet)
        return;
    if (t->n_own < OWN_MAX && (t->n_own == 0 || world_rnd(t->world, 5) == 0)) {
        create(t);
        return;
    }
    struct own *o = &t->own[world_rnd(t->world, t->n_own)];
    if (!o->alive)
        return;
    o->access_ms = loop_wall_ms(host_main(t->member.host));
    switch (world_rnd(t->world, 10)) {
    case 0:
        rename_own(t, o, false);
        break;
    case 1:
        rename_own(t, o, true);
        break;
    case 2:
        o->alive = false;
        o->expired = true;
        send_later(t, SESSION_EXPIRED, o->id, (struct span){0}, false);
        break;
    default:
        set_some(t, o);
    }
}

void tomcat_quiesce(struct tomcat *t)
{
    t->quiet = true;
}

bool tomcat_is_idle(const struct tomcat *t)
{
    return link_is_alone(&t->outgoing);
}

/* --- checks --- */

static void expect_dead(struct tomcat *t, struct world_node *n, struct context *c, const char *id,
                        const char *why)
{
    struct change *s =
        table_snapshot(node_table(n->node), c, span_str(id), false, table_now(host_main(n->host)));

    if (s)
        world_fail(t->world, "node %u: session %s of tomcat %u is there, but %s", n->index, id, t->index,
                   why);
    change_unref(s);
}

static void check_values(struct tomcat *t, struct world_node *n, const struct own *o, const struct change *s)
{
    int found[ATTRS] = {0};
    bool principal = false, auth = false;

    for (size_t i = 0; i < s->n; i++) {
        const struct change_entry *e = &s->entries[i];
        struct buf text = {0};
        if (!e->present)
            continue;
        principal |= e->kind == ENTRY_PRINCIPAL;
        auth |= e->kind == ENTRY_AUTH_TYPE;
        if (e->kind == ENTRY_ATTRIBUTE && e->name.n == 2 &&
            value_text(blob_span(e->value), 100, &text) == ERR_OK)
            found[(e->name.p[1] - '0') % ATTRS] = atoi(buf_cstr(&text));
        buf_fini(&text);
    }
    for (int i = 0; i < ATTRS; i++)
        if (found[i] != o->value[i])
            world_fail(t->world, "node %u: session %s (first %s) of tomcat %u: a%d is %d, was set to %d",
                       n->index, o->id, o->first, t->index, i, found[i], o->value[i]);
    if (o->logged_in && !(principal && auth))
        world_fail(t->world, "node %u: session %s of tomcat %u has lost its login", n->index, o->id,
                   t->index);
}

void tomcat_check(struct tomcat *t, struct world_node *n)
{
    struct context *c = table_context_find(node_table(n->node), SPAN_LIT(WORLD_CONTEXT));

    for (unsigned i = 0; c && i < t->n_own; i++) {
        const struct own *o = &t->own[i];
        if (!o->alive) {
            expect_dead(t, n, c, o->id, "it has ended");
            expect_dead(t, n, c, o->first, "it has ended (first id)");
            continue;
        }
        struct change *s =
            table_snapshot(node_table(n->node), c, span_str(o->id), false, table_now(host_main(n->host)));
        if (!s) {
            world_fail(t->world, "node %u: session %s (first %s) of tomcat %u is missing", n->index, o->id,
                       o->first, t->index);
            continue;
        }
        check_values(t, n, o, s);
        change_unref(s);
        if (o->renames && strcmp(o->old, o->id) != 0)
            expect_dead(t, n, c, o->old, "its id was changed");
    }
}

/* The front doors' keys "K<n>" carry their number in the attribute "n"; see world.c. */
void tomcat_check_replica(struct tomcat *t)
{
    struct world *w = t->world;

    for (unsigned k = 0; k < WORLD_KEYS; k++) {
        const struct world_key *key = &w->keys[k];
        struct replica *r = find_replica(t, span_str(key->id));
        if (key->acked <= 0 || key->ended)
            continue;
        if (!r) {
            world_fail(w, "tomcat %u: key %s is missing", t->index, key->id);
            continue;
        }
        for (unsigned i = 0; i < r->n; i++)
            if (strcmp(r->attr[i].name, "n") == 0 && atoll(r->attr[i].value) < key->acked)
                world_fail(w, "tomcat %u: key %s is %s, %lld was acknowledged", t->index, key->id,
                           r->attr[i].value, (long long)key->acked);
    }
}

void tomcat_check_mover(struct tomcat *t, const struct world_mover *m)
{
    struct replica *r = find_replica(t, span_str(m->id));
    long long number = -1;

    for (unsigned i = 0; r && i < r->n; i++)
        if (strcmp(r->attr[i].name, "n") == 0)
            number = atoll(r->attr[i].value);
    if (number != m->number)
        world_fail(t->world, "tomcat %u: %s, which node %u renamed, is %lld instead of %lld", t->index, m->id,
                   m->node->index, number, (long long)m->number);
}

/* --- life --- */

static void on_started(void *arg)
{
    ((struct tomcat *)arg)->started = true;
}

struct tomcat *tomcat_start(struct world *w, const char *ip, unsigned index, int64_t wall_offset_ms)
{
    struct tomcat *t = MEM_NEW(struct tomcat);

    t->world = w;
    t->index = index;
    link_init(&t->outgoing);
    link_init(&t->replicas);
    if (!bare_member_start(&t->member, w->sim, ip, wall_offset_ms, on_message, on_started, t, &t->diag))
        world_fail(w, "tomcat %u does not start: %s", index, buf_cstr(&t->diag.text));
    return t;
}

void tomcat_stop(struct tomcat *t)
{
    if (!t)
        return;
    if (!bare_member_stop(&t->member))
        world_fail(t->world, "tomcat %u does not stop", t->index);
    while (!link_is_alone(&t->outgoing)) {
        struct outgoing *o = CONTAINER_OF(t->outgoing.next, struct outgoing, link);
        link_remove(&o->link);
        timer_fini(&o->timer);
        buf_fini(&o->payload);
        mem_free(o);
    }
    while (!link_is_alone(&t->replicas))
        drop_replica(CONTAINER_OF(t->replicas.next, struct replica, link));
    bare_member_free(&t->member);
    diag_fini(&t->diag);
    mem_free(t);
}
