/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contexts of a table, and which of them a front-door key belongs to; see context.h. Any thread; the list
 * only grows, so a context found once may be used without the lock.
 */
#include "table_private.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"

#include <stdio.h>

static struct span context_key(const void *item)
{
    return span_str(((const struct context *)item)->name);
}

static const char *const no_names[] = {"DeltaManager", NULL};

const struct option_spec context_manager_options[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     OPTION_AT(struct manager_conf, class_name),
     .def = "DeltaManager",
     .names = no_names,
     .doc = "manager of the sessions: every member holds every session"},
    {.name = "expireSessionsOnShutdown",
     .type = OPTION_BOOL,
     OPTION_AT(struct manager_conf, expire_sessions_on_shutdown),
     .def = "false",
     .doc = "end this context's sessions everywhere when this node stops"},
    {.name = "stateTransferTimeout",
     .type = OPTION_SECONDS,
     OPTION_AT(struct manager_conf, state_transfer_timeout_s),
     .def = "60",
     .min = -1,
     .max = 86400,
     .doc = "how long to wait for the sessions of others when starting; -1 waits for ever"},
    {.name = "sendAllSessions",
     .type = OPTION_BOOL,
     OPTION_AT(struct manager_conf, send_all_sessions),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat's choice between one block and several; clusterd always sends small blocks"},
    {.name = "sendAllSessionsSize",
     .type = OPTION_INT,
     OPTION_AT(struct manager_conf, send_all_sessions_size),
     .def = "1000",
     .min = 1,
     .max = INT32_MAX,
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat's block size of a state transfer"},
    {.name = "sendAllSessionsWaitTime",
     .type = OPTION_MS,
     OPTION_AT(struct manager_conf, send_all_sessions_wait_ms),
     .def = "2000",
     .max = 3600000,
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat's pause between blocks; clusterd is paced by acknowledgements"},
    {.name = "stateTimestampDrop",
     .type = OPTION_BOOL,
     OPTION_AT(struct manager_conf, state_timestamp_drop),
     .def = "true",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat drops messages older than a state transfer; clusterd compares versions instead"},
    {.name = "maxActiveSessions",
     .type = OPTION_INT,
     OPTION_AT(struct manager_conf, max_active_sessions),
     .def = "-1",
     .min = -1,
     .max = INT32_MAX,
     .doc = "the front door refuses new sessions of the context above this number; -1 is no limit"},
    {.name = "maxInactiveInterval",
     .type = OPTION_SECONDS,
     OPTION_AT(struct manager_conf, max_inactive_s),
     .def = "1800",
     .min = -1,
     .max = INT32_MAX,
     .doc =
         "life without access of a Tomcat's session whose own interval has not arrived yet; -1 is for ever"},
    {0}};

void table_contexts_init(struct table *t)
{
    lock_init(&t->contexts_lock);
    htab_init(&t->contexts, context_key);
    option_defaults(context_manager_options, &t->defaults);
}

void table_contexts_fini(struct table *t)
{
    for (size_t i = 0; i < t->n_contexts; i++) {
        mem_free((void *)(uintptr_t)t->context_list[i]->key_prefix.p);
        mem_free(t->context_list[i]->name);
        mem_free(t->context_list[i]);
    }
    mem_free(t->context_list);
    for (size_t i = 0; i < TABLE_DATABASES; i++)
        mem_free(t->routes[i].prefixed);
    htab_fini(&t->contexts);
    lock_fini(&t->contexts_lock);
}

/* "redis/0" .. "redis/15": whoever speaks of it first, a front-door command or another node, it is the same.
 * -1: not one of them. */
static int database_of(struct span name)
{
    char text[24];

    for (int db = 0; db < TABLE_DATABASES; db++) {
        snprintf(text, sizeof text, "redis/%d", db);
        if (span_eq(name, span_str(text)))
            return db;
    }
    return -1;
}

static struct context *add_locked(struct table *t, struct span name)
{
    struct context *c = MEM_NEW(struct context);

    c->name = mem_strndup((const char *)name.p, name.n);
    c->index = (uint32_t)t->n_contexts;
    c->name_hash = hash_stable(name);
    c->manager = t->defaults;
    int database = database_of(name);
    if (database >= 0) {
        c->internal = true;
        c->database = (unsigned)database;
    }
    /* Readers index the list without the lock, so it never moves: room for the most that there can be. */
    if (!t->context_list)
        t->context_list = mem_array(TABLE_CONTEXTS_HARD_MAX, sizeof *t->context_list);
    t->context_list[t->n_contexts++] = c;
    htab_put(&t->contexts, c);
    if (database >= 0)
        atomic_store(&t->routes[database].rest, c);
    return c;
}

struct context *table_context_add(struct table *t, struct span name)
{
    lock_take(&t->contexts_lock);
    struct context *c = htab_find(&t->contexts, name);
    if (!c && t->n_contexts < TABLE_CONTEXTS_HARD_MAX)
        c = add_locked(t, name);
    lock_drop(&t->contexts_lock);
    return c;
}

/* Every change of another node names its context: those in use are found without the lock. Names that share a
 * place take it from each other, which costs the lock and nothing else. */
static _Atomic(struct context *) *recent_place(struct table *t, struct span name)
{
    size_t at = name.n ? name.n + name.p[name.n - 1] + 7u * name.p[name.n / 2] : 0;

    return &t->recent[at % TABLE_RECENT];
}

struct context *table_context_find(struct table *t, struct span name)
{
    lock_take(&t->contexts_lock);
    struct context *c = htab_find(&t->contexts, name);
    lock_drop(&t->contexts_lock);
    return c;
}

struct context *table_context_find_or_add(struct table *t, struct span name)
{
    bool made = false;
    _Atomic(struct context *) *place = recent_place(t, name);
    struct context *recent = atomic_load_explicit(place, memory_order_acquire);

    if (recent && span_eq(span_str(recent->name), name))
        return recent;
    if (name.n > TABLE_CONTEXT_MAX || memchr(name.n ? name.p : (const uint8_t *)"", 0, name.n)) {
        metric_inc(t->metrics, contexts_refused);
        return NULL;
    }
    lock_take(&t->contexts_lock);
    struct context *c = htab_find(&t->contexts, name);
    bool may = (t->conf.auto_contexts && t->n_contexts < t->conf.max_contexts) || database_of(name) >= 0;
    if (!c && may) {
        c = add_locked(t, name);
        made = true;
    }
    lock_drop(&t->contexts_lock);
    if (made)
        log_info("Creating ClusterManager for context %s (first seen in a message)", c->name);
    if (c)
        atomic_store_explicit(place, c, memory_order_release);
    else
        metric_inc(t->metrics, contexts_refused);
    return c;
}

size_t table_contexts(struct table *t, struct context **out, size_t max)
{
    lock_take(&t->contexts_lock);
    size_t n = t->n_contexts < max ? t->n_contexts : max;
    if (n)
        memcpy(out, t->context_list, n * sizeof *out);
    lock_drop(&t->contexts_lock);
    return n;
}

size_t table_contexts_all(struct table *t, struct context ***out_taken)
{
    lock_take(&t->contexts_lock);
    size_t n = t->n_contexts;
    *out_taken = mem_array(n, sizeof **out_taken);
    if (n)
        memcpy(*out_taken, t->context_list, n * sizeof **out_taken);
    lock_drop(&t->contexts_lock);
    return n;
}

void table_set_defaults(struct table *t, const struct manager_conf *defaults)
{
    t->defaults = *defaults;
}

void table_context_route(struct table *t, struct context *c, unsigned database, struct span prefix)
{
    c->database = database;
    if (prefix.n == 0 || database >= TABLE_DATABASES)
        return;
    c->key_prefix = span_str(mem_strndup((const char *)prefix.p, prefix.n));
    struct route *r = &t->routes[database];
    size_t at = r->n++;
    r->prefixed = mem_realloc(r->prefixed, r->n * sizeof *r->prefixed);
    for (; at > 0 && r->prefixed[at - 1]->key_prefix.n < prefix.n; at--)
        r->prefixed[at] = r->prefixed[at - 1];
    r->prefixed[at] = c;
}

struct context *table_route_known(struct table *t, unsigned database, struct span key, struct span *id)
{
    ASSERT(database < TABLE_DATABASES);
    const struct route *r = &t->routes[database];

    for (size_t i = 0; i < r->n; i++) {
        struct context *c = r->prefixed[i];
        if (span_starts_with(key, c->key_prefix)) {
            *id = span_of(key.p + c->key_prefix.n, key.n - c->key_prefix.n);
            return c;
        }
    }
    *id = key;
    return atomic_load_explicit(&r->rest, memory_order_acquire);
}

struct context *table_route_key(struct table *t, unsigned database, struct span key, struct span *id)
{
    struct context *c = table_route_known(t, database, key, id);
    char name[16];

    if (c)
        return c;
    snprintf(name, sizeof name, "redis/%u", database);
    return table_context_add(t, span_str(name));
}
