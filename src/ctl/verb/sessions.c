/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl sessions: the sessions of one or all contexts, page by page as the daemon gives them, so that a
 * hundred thousand of them take no memory here. JSON: one array.
 */
#include "verb.h"

#include <stdlib.h>
#include <string.h>

static const struct field fields[] = {{"context", FIELD_TEXT, "CONTEXT", NULL},
                                      {"id", FIELD_TEXT, "ID", NULL},
                                      {"kind", FIELD_TEXT, "KIND", NULL},
                                      {"attributes", FIELD_INT, "ATTRIBUTES", NULL},
                                      {"bytes", FIELD_BYTES, "SIZE", NULL},
                                      {"created_ms", FIELD_TIME, "CREATED", NULL},
                                      {"idle_ms", FIELD_DURATION, "IDLE", NULL},
                                      {"ttl_ms", FIELD_DURATION, "TTL", NULL},
                                      {"principal", FIELD_TEXT, "USER", NULL},
                                      {"writer", FIELD_TEXT, "WRITER", NULL},
                                      {"written_ms", FIELD_TIME, "WRITTEN", NULL},
                                      {"max_inactive_s", FIELD_INT, NULL, NULL},
                                      {0}};

struct listing {
    struct ctl *c;
    struct field_table table;
    long left;   /* rows that may still be shown; -1 = any number */
    size_t rows; /* shown so far */
};

static void show_json(struct listing *l, const redisReply *row)
{
    json_t *object = field_map_json(row, fields);

    fputs(l->rows ? ",\n" : "[\n", l->c->out);
    json_dumpf(object, l->c->out, JSON_COMPACT);
    json_decref(object);
}

static void show_page(struct listing *l, const redisReply *rows)
{
    size_t n = rows->elements;
    redisReply part = *rows;

    if (l->left >= 0 && n > (size_t)l->left)
        n = (size_t)l->left;
    part.elements = n;
    if (n > 0 && !l->c->json)
        field_print_rows(&l->table, l->c->out, &part);
    for (size_t i = 0; i < n; i++) {
        if (l->c->json)
            show_json(l, rows->element[i]);
        l->rows++;
    }
    if (l->left >= 0)
        l->left -= (long)n;
}

static size_t build(const char **words, const struct ctl_words *w, const char *cursor)
{
    size_t n = 0;

    words[n++] = "SESSIONS";
    if (w->context) {
        words[n++] = "CONTEXT";
        words[n++] = w->context;
    }
    if (w->match) {
        words[n++] = "MATCH";
        words[n++] = w->match;
    }
    words[n++] = "CURSOR";
    words[n++] = cursor;
    words[n++] = "COUNT";
    words[n++] = "1000";
    if (w->reveal)
        words[n++] = "REVEAL";
    return n;
}

/* One page; *cursor goes on to the next. */
static int page(struct listing *l, const struct ctl_words *w, char *cursor, size_t cap)
{
    const char *words[12];
    size_t n = build(words, w, cursor);
    redisReply *r;
    int status = client_ask(l->c, &r, n, words);

    if (status != CTL_OK)
        return status;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_STRING ||
        (size_t)r->element[0]->len >= cap || !field_are_rows(r->element[1])) {
        status = client_not_understood(l->c, "SESSIONS");
    } else {
        memcpy(cursor, r->element[0]->str, (size_t)r->element[0]->len + 1);
        show_page(l, r->element[1]);
    }
    freeReplyObject(r);
    return status;
}

static int run(struct ctl *c, const struct ctl_words *w)
{
    struct listing l = {.c = c, .table = {.fields = fields}, .left = w->limit > 0 ? w->limit : -1};
    char cursor[64] = "0";
    int status;

    do
        status = page(&l, w, cursor, sizeof cursor);
    while (status == CTL_OK && strcmp(cursor, "0") != 0 && l.left != 0 && !ferror(c->out));
    if (c->json && status == CTL_OK)
        fputs(l.rows ? "\n]\n" : "[]\n", c->out);
    else if (status == CTL_OK && l.rows == 0)
        fputs("no sessions\n", c->err);
    return status;
}

const struct verb verb_sessions = {
    .name = "sessions",
    .args = "",
    .doc = "List sessions",
    .more = "Session ids are credentials: without --reveal only their first six characters are shown. TTL is "
            "the time "
            "until the session ends if nobody uses it, WRITER the member that changed it last.",
    .takes_context = true,
    .takes_match = true,
    .takes_reveal = true,
    .run = run,
};
