/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's answers as text. RESP2 says of a value only that it is a number or a text, so a const table
 * per kind of answer says what each field is and how people want to see it. Fields that no table knows (of a
 * newer daemon) are in the JSON all the same.
 */
#ifndef CLUSTERD_CTL_FIELD_H
#define CLUSTERD_CTL_FIELD_H

#include "ctl.h"

#include <jansson.h>

enum field_kind {
    FIELD_TEXT,
    FIELD_INT,
    FIELD_BOOL,     /* people see yes, no */
    FIELD_BYTES,    /* people see 12.3M */
    FIELD_DURATION, /* milliseconds; people see 3m 20s */
    FIELD_SECONDS,  /* the same in seconds */
    FIELD_TIME,     /* milliseconds since 1970; people see 2025-01-31 12:00:00 */
    FIELD_MAP,      /* names and values that no table knows */
    FIELD_ROWS      /* maps that have a table of their own */
};

struct field {
    const char *name; /* NULL ends a table */
    enum field_kind kind;
    const char *title;        /* for people; NULL: not shown to them */
    const struct field *rows; /* FIELD_ROWS: the table of each row */
};

/* The value of a field, or NULL. */
const redisReply *field_find(const redisReply *map, const char *name);
/* Is it a map (an even number of elements, names are texts), is it rows? */
bool field_is_map(const redisReply *r);
bool field_are_rows(const redisReply *r);

json_t *field_map_json(const redisReply *map, const struct field *fields);
void field_write_json(FILE *out, json_t *value_taken); /* indented, with a line end */

/* One value as people see it; control bytes are shown as '?'. `out` of at least 64 bytes. */
const char *field_text(const redisReply *value, enum field_kind kind, char *out, size_t cap);

/* "title value" lines, one a field; empty texts are left out. */
void field_print_map(FILE *out, const redisReply *map, const struct field *fields);

/* A table whose rows may come in several pages: widths are those of the first page. */
struct field_table {
    const struct field *fields;
    size_t widths[16];
    bool started;
};
void field_print_rows(struct field_table *t, FILE *out, const redisReply *rows);

/* The whole answer of a verb without options: rows as a table or a JSON array. */
int field_answer_rows(struct ctl *c, const char *word, const struct field *fields);

#endif
