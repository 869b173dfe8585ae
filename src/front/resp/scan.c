/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCAN and DBSIZE: the keys of one database that the connection may see, over all contexts that belong to it.
 * The cursor is a place in the order of the table's stable hash, so it holds however the table changes; each
 * key that is there all the time is given at least once (Redis: db.c, scanGenericCommand).
 */
#include "scan.h"

#include "clusterd/util/mem.h"
#include "handlers.h"
#include "key.h"

#include <inttypes.h>
#include <stdio.h>

#define DEFAULT_COUNT 10
#define MAX_COUNT     10000 /* COUNT is a hint: a turn looks at no more */
#define MIN_LOOK      1000  /* sessions looked at before a page may end with nothing in it */

struct scan {
    struct conn *conn;
    bool has_pattern, has_type;
    struct span pattern, type;
    size_t looked, found;
    struct buf keys; /* u32 length, bytes */
};

/* The same key may be shadowed by a longer prefix: then it is a key of another context. */
static bool is_key_of(const struct conn *c, const struct context *context, struct span key)
{
    struct span id;

    return context->internal || table_route_key(c->front->table, c->db, key, &id) == context;
}

static bool is_of_type(const struct scan *s, struct context *context, struct span id)
{
    struct edit e;

    if (!s->has_type)
        return true;
    edit_open(&e, s->conn->front->manager, s->conn->worker->loop, context, id);
    enum key_kind kind = key_kind(&e);
    edit_cancel(&e);
    return (kind == KEY_STRING && span_is_nocase(s->type, "string")) ||
           (kind == KEY_HASH && span_is_nocase(s->type, "hash"));
}

static void on_id(void *arg, struct context *context, struct span id)
{
    struct scan *s = arg;
    struct conn *c = s->conn;
    struct buf key = {0};

    s->looked++;
    if (!key_sees_context(c, context, c->db))
        return;
    wr_span(&key, context->key_prefix);
    wr_span(&key, id);
    if ((!s->has_pattern || words_match(s->pattern, buf_span(&key))) &&
        is_key_of(c, context, buf_span(&key)) && is_of_type(s, context, id)) {
        wr_span32(&s->keys, buf_span(&key));
        s->found++;
    }
    buf_fini(&key);
}

/* What is wrong with the option at i and its value; NULL when nothing is. */
static const char *parse_option(const struct words *w, size_t i, struct scan *s, int64_t *count)
{
    if (word_is(w, i, "count")) {
        if (!words_i64(word(w, i + 1), count))
            return CONN_NOT_A_NUMBER;
        return *count < 1 ? CONN_SYNTAX_ERROR : NULL;
    }
    if (word_is(w, i, "match")) {
        s->has_pattern = true;
        s->pattern = word(w, i + 1);
        return s->pattern.n > WORDS_PATTERN_MAX ? "ERR pattern is too long" : NULL;
    }
    if (word_is(w, i, "type")) {
        s->has_type = true;
        s->type = word(w, i + 1);
        return NULL;
    }
    return CONN_SYNTAX_ERROR;
}

static bool parse(struct conn *c, const struct words *w, struct scan *s, uint64_t *at, size_t *count)
{
    int64_t n = DEFAULT_COUNT;

    if (!words_u64(word(w, 1), at)) {
        conn_error(c, "ERR invalid cursor");
        return false;
    }
    for (size_t i = 2; i < w->n; i += 2) {
        const char *wrong = i + 1 == w->n ? CONN_SYNTAX_ERROR : parse_option(w, i, s, &n);
        if (wrong) {
            conn_error(c, wrong);
            return false;
        }
    }
    *count = n < MAX_COUNT ? (size_t)n : MAX_COUNT;
    return true;
}

void scan_scan(struct conn *c, const struct words *w)
{
    struct scan s = {.conn = c};
    uint64_t at = 0;
    size_t count = 0;
    char cursor[24];

    if (!parse(c, w, &s, &at, &count))
        return;
    do
        table_walk_ids(c->front->table, NULL, &at, count, table_now(c->worker->loop), on_id, &s);
    while (at && s.found < count && s.looked < MIN_LOOK);
    resp_array(c->out, 2);
    snprintf(cursor, sizeof cursor, "%" PRIu64, at);
    conn_text(c, cursor);
    resp_array(c->out, s.found);
    struct rd in = rd_of(buf_span(&s.keys));
    for (size_t i = 0; i < s.found; i++)
        conn_bulk(c, rd_bytes32(&in, SIZE_MAX >> 1, "key"));
    buf_fini(&s.keys);
}

int64_t scan_count_keys(const struct conn *c, unsigned db)
{
    struct context **all;
    size_t n = table_contexts_all(c->front->table, &all);
    int64_t keys = 0;

    for (size_t i = 0; i < n; i++)
        if (key_sees_context(c, all[i], db))
            keys += atomic_load_explicit(&all[i]->sessions, memory_order_relaxed);
    mem_free(all);
    return keys;
}

void scan_dbsize(struct conn *c, const struct words *w)
{
    (void)w;
    conn_int(c, scan_count_keys(c, c->db));
}
