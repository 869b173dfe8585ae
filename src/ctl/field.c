/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the daemon as tables and as JSON; see field.h. What is printed for people comes from outside
 * (names, ids, values), so bytes that a terminal would obey are replaced.
 */
#include "field.h"
#include "client.h"

#include "clusterd/util/bytes.h"
#include "clusterd/util/mem.h"

#include <string.h>
#include <time.h>

#define VALUE_MAX 256 /* bytes of one value in a table; JSON has it whole */

bool field_is_map(const redisReply *r)
{
    if (!r || r->type != REDIS_REPLY_ARRAY || r->elements % 2)
        return false;
    for (size_t i = 0; i < r->elements; i += 2)
        if (r->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

bool field_are_rows(const redisReply *r)
{
    if (!r || r->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < r->elements; i++)
        if (!field_is_map(r->element[i]))
            return false;
    return true;
}

const redisReply *field_find(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (strcmp(map->element[i]->str, name) == 0)
            return map->element[i + 1];
    return NULL;
}

static const struct field *find_spec(const struct field *fields, const char *name)
{
    for (; fields && fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

/* JSON. */

static json_t *hex_json(const redisReply *v)
{
    struct buf hex = {0};

    for (size_t i = 0; i < (size_t)v->len; i++)
        wr_printf(&hex, "%02x", (uint8_t)v->str[i]);
    json_t *j = json_string(buf_cstr(&hex));
    buf_fini(&hex);
    return j;
}

static json_t *rows_json(const redisReply *rows, const struct field *fields)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rows->elements; i++)
        json_array_append_new(list, field_map_json(rows->element[i], fields));
    return list;
}

static json_t *value_json(const redisReply *v, const struct field *spec)
{
    if (v->type == REDIS_REPLY_INTEGER)
        return spec && spec->kind == FIELD_BOOL ? json_boolean(v->integer) : json_integer(v->integer);
    if (v->type == REDIS_REPLY_STRING || v->type == REDIS_REPLY_STATUS)
        return json_stringn(v->str, (size_t)v->len); /* NULL when it is not UTF-8 */
    if (spec && spec->kind == FIELD_ROWS && field_are_rows(v))
        return rows_json(v, spec->rows);
    if (spec && spec->kind == FIELD_MAP && field_is_map(v))
        return field_map_json(v, NULL);
    return json_null();
}

json_t *field_map_json(const redisReply *map, const struct field *fields)
{
    json_t *object = json_object();

    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        const char *name = map->element[i]->str;
        json_t *value = value_json(map->element[i + 1], find_spec(fields, name));
        if (value) {
            json_object_set_new(object, name, value);
            continue;
        }
        char *hex_name = mem_printf("%s_hex", name);
        json_object_set_new(object, name, json_null());
        json_object_set_new(object, hex_name, hex_json(map->element[i + 1]));
        mem_free(hex_name);
    }
    return object;
}

void field_write_json(FILE *out, json_t *value_taken)
{
    json_dumpf(value_taken, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(value_taken);
}

/* Tables. */

static void duration_text(long long s, char *out, size_t cap)
{
    if (s < 60)
        snprintf(out, cap, "%llds", s);
    else if (s < 3600)
        snprintf(out, cap, "%lldm %llds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, cap, "%lldh %lldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, cap, "%lldd %lldh", s / 86400, s / 3600 % 24);
}

static void bytes_text(long long n, char *out, size_t cap)
{
    static const char units[] = "KMGTP";
    double v = (double)n;
    int unit = -1;

    while (v >= 1024 && unit < 4) {
        v /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(out, cap, "%lld", n);
    else
        snprintf(out, cap, "%.1f%c", v, units[unit]);
}

static void time_text(long long ms, char *out, size_t cap)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (!localtime_r(&s, &tm) || strftime(out, cap, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, cap, "%lld", ms);
}

static void number_text(long long n, enum field_kind kind, char *out, size_t cap)
{
    switch (kind) {
    case FIELD_BOOL:
        snprintf(out, cap, "%s", n ? "yes" : "no");
        break;
    case FIELD_BYTES:
        bytes_text(n, out, cap);
        break;
    case FIELD_DURATION:
        if (n > -1000 && n < 1000)
            snprintf(out, cap, "%lldms", n);
        else
            duration_text(n / 1000, out, cap);
        break;
    case FIELD_SECONDS:
        duration_text(n, out, cap);
        break;
    case FIELD_TIME:
        time_text(n, out, cap);
        break;
    case FIELD_TEXT:
    case FIELD_INT:
    case FIELD_MAP:
    case FIELD_ROWS:
        snprintf(out, cap, "%lld", n);
        break;
    }
}

/* C0, DEL, and the C1 controls in their UTF-8 form steer terminals. */
static void printable(const char *s, size_t n, char *out, size_t cap)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        bool c1 = c == 0xC2 && i + 1 < n && (uint8_t)s[i + 1] < 0xA0;
        if (used + 4 >= cap) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        out[used++] = c < 0x20 || c == 0x7F || c1 ? '?' : (char)c;
        i += c1;
    }
    out[used] = 0;
}

const char *field_text(const redisReply *value, enum field_kind kind, char *out, size_t cap)
{
    if (!value || value->type == REDIS_REPLY_NIL)
        snprintf(out, cap, "-");
    else if (value->type == REDIS_REPLY_INTEGER)
        number_text(value->integer, kind, out, cap);
    else if (value->type == REDIS_REPLY_STRING || value->type == REDIS_REPLY_STATUS)
        printable(value->str, (size_t)value->len, out, cap);
    else
        snprintf(out, cap, "%zu", value->elements);
    return out;
}

static void print_any_map(FILE *out, const redisReply *map)
{
    char name[VALUE_MAX], text[VALUE_MAX];

    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        field_text(map->element[i], FIELD_TEXT, name, sizeof name);
        fprintf(out, "  %-28s %s\n", name, field_text(map->element[i + 1], FIELD_INT, text, sizeof text));
    }
}

void field_print_map(FILE *out, const redisReply *map, const struct field *fields)
{
    char text[VALUE_MAX];

    for (const struct field *f = fields; f->name; f++) {
        const redisReply *v = field_find(map, f->name);
        if (!f->title || !v || (v->type == REDIS_REPLY_STRING && v->len == 0))
            continue;
        if (f->kind == FIELD_ROWS && field_are_rows(v)) {
            struct field_table table = {.fields = f->rows};
            fprintf(out, "%s:\n", f->title);
            field_print_rows(&table, out, v);
        } else if (f->kind == FIELD_MAP && field_is_map(v)) {
            fprintf(out, "%s:\n", f->title);
            print_any_map(out, v);
        } else {
            fprintf(out, "%-20s %s\n", f->title, field_text(v, f->kind, text, sizeof text));
        }
    }
}

/* Columns on a terminal, more or less: UTF-8 continuation bytes take none. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((uint8_t)*text & 0xC0) != 0x80;
    return n;
}

static void print_cell(FILE *out, const char *text, size_t width, bool last)
{
    size_t n = width_of(text);

    fputs(text, out);
    if (last)
        fputc('\n', out);
    else
        fprintf(out, "%*s", (int)(n < width ? width - n + 2 : 2), "");
}

static void print_line(const struct field_table *t, FILE *out, const redisReply *row)
{
    char text[VALUE_MAX];
    size_t column = 0, last = 0;

    for (const struct field *f = t->fields; f->name; f++)
        last += f->title != NULL;
    for (const struct field *f = t->fields; f->name; f++) {
        if (!f->title)
            continue;
        if (row)
            field_text(field_find(row, f->name), f->kind, text, sizeof text);
        print_cell(out, row ? text : f->title, t->widths[column], column + 1 == last);
        column++;
    }
}

static void measure(struct field_table *t, const redisReply *rows)
{
    char text[VALUE_MAX];
    size_t column = 0;

    for (const struct field *f = t->fields; f->name; f++) {
        if (!f->title)
            continue;
        ASSERT(column < sizeof t->widths / sizeof *t->widths);
        t->widths[column] = width_of(f->title);
        for (size_t i = 0; i < rows->elements; i++) {
            const redisReply *v = field_find(rows->element[i], f->name);
            size_t width = width_of(field_text(v, f->kind, text, sizeof text));
            if (width > t->widths[column])
                t->widths[column] = width;
        }
        column++;
    }
}

void field_print_rows(struct field_table *t, FILE *out, const redisReply *rows)
{
    if (!t->started) {
        measure(t, rows);
        print_line(t, out, NULL);
        t->started = true;
    }
    for (size_t i = 0; i < rows->elements; i++)
        print_line(t, out, rows->element[i]);
}

int field_answer_rows(struct ctl *c, const char *word, const struct field *fields)
{
    struct field_table table = {.fields = fields};
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    if (status != CTL_OK)
        return status;
    if (!field_are_rows(r))
        status = client_not_understood(c, word);
    else if (c->json)
        field_write_json(c->out, rows_json(r, fields));
    else
        field_print_rows(&table, c->out, r);
    freeReplyObject(r);
    return status;
}
