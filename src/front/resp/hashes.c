/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis hashes: sessions whose attributes are the fields. A Tomcat's session is one too, also without any
 * attribute. Strings, numbers and byte arrays of a Tomcat read as their text; values of other classes have
 * none: HGET and HMGET give null for them, HGETALL and HVALS leave them out. A hash that a front door has
 * made ends with its last field, as in Redis; a Tomcat's session, or one that somebody has logged in to, does
 * not.
 */
#include "clusterd/util/mem.h"
#include "clusterd/wire/value.h"
#include "command.h"
#include "handlers.h"
#include "key.h"

#define STRING_NAME SPAN_LIT(FRONT_STRING_NAME)
#define FEW_FIELDS  8 /* found by looking at each; more by hash */

/* Opens a hash for looking. On false nothing is open: *wrong tells a string from nothing at all, and is
 * replied. */
static bool read_hash(struct conn *c, const struct words *w, struct edit *e, bool *wrong)
{
    *wrong = false;
    if (!key_read(c, word(w, 1), e))
        return false;
    if (key_kind(e) == KEY_HASH)
        return true;
    edit_cancel(e);
    conn_error(c, CONN_WRONG_TYPE);
    *wrong = true;
    return false;
}

/* Opens a hash, or nothing, for writing. False: replied, nothing is open. */
static bool write_hash(struct conn *c, const struct words *w, struct edit *e)
{
    if (!key_write(c, word(w, 1), e))
        return false;
    if (key_kind(e) != KEY_STRING)
        return true;
    edit_cancel(e);
    conn_error(c, CONN_WRONG_TYPE);
    return false;
}

/* The value of one field, with a reference of its own; NULL when there is none. True: nothing was replied. */
static bool find_field(struct conn *c, const struct words *w, struct blob **value)
{
    struct edit e;
    bool wrong;

    *value = NULL;
    if (!read_hash(c, w, &e, &wrong))
        return !wrong;
    *value = blob_ref(edit_find(&e, ENTRY_ATTRIBUTE, word(w, 2)));
    edit_cancel(&e);
    return true;
}

void hashes_hget(struct conn *c, const struct words *w)
{
    struct blob *value;

    if (!find_field(c, w, &value))
        return;
    if (value)
        conn_value(c, value);
    else
        conn_null(c);
    blob_unref(value);
}

void hashes_hexists(struct conn *c, const struct words *w)
{
    struct blob *value;

    if (find_field(c, w, &value))
        conn_int(c, value != NULL);
    blob_unref(value);
}

void hashes_hstrlen(struct conn *c, const struct words *w)
{
    struct blob *value;
    struct buf text = {0};
    size_t n = 0;

    if (!find_field(c, w, &value))
        return;
    if (value && value_text_size(blob_span(value), &n) != ERR_OK &&
        value_text(blob_span(value), CONN_TEXT_MAX, &text) == ERR_OK)
        n = text.n;
    conn_int(c, (int64_t)n);
    buf_fini(&text);
    blob_unref(value);
}

void hashes_hlen(struct conn *c, const struct words *w)
{
    struct edit e;
    bool wrong;

    if (read_hash(c, w, &e, &wrong)) {
        size_t n = edit_n_attributes(&e);
        edit_cancel(&e);
        conn_int(c, (int64_t)n);
    } else if (!wrong) {
        conn_int(c, 0);
    }
}

void hashes_hmget(struct conn *c, const struct words *w)
{
    struct edit e;
    size_t n = w->n - 2;
    bool wrong, found = read_hash(c, w, &e, &wrong);

    if (wrong)
        return;
    struct blob **values = mem_array(n, sizeof *values);
    for (size_t i = 0; found && i < n; i++)
        values[i] = blob_ref(edit_find(&e, ENTRY_ATTRIBUTE, word(w, i + 2)));
    if (found)
        edit_cancel(&e);
    resp_array(c->out, n);
    for (size_t i = 0; i < n && !conn_is_flooded(c); i++) {
        if (values[i])
            conn_value(c, values[i]);
        else
            conn_null(c);
    }
    for (size_t i = 0; i < n; i++)
        blob_unref(values[i]);
    mem_free(values);
}

/* A copy of a hash that outlives the lock: names behind each other, values by reference. */
struct copy {
    size_t n;
    struct buf names; /* u32 length, bytes */
    struct blob **values;
};

static void take_copy(const struct edit *e, bool with_values, struct copy *k)
{
    size_t at = 0;
    struct span name;
    struct blob *value;

    *k = (struct copy){0};
    if (with_values)
        k->values = mem_array(edit_n_attributes(e), sizeof *k->values);
    while (edit_next_attribute(e, &at, &name, &value)) {
        wr_span32(&k->names, name);
        if (with_values)
            k->values[k->n] = blob_ref(value);
        k->n++;
    }
}

static void drop_copy(struct copy *k)
{
    for (size_t i = 0; k->values && i < k->n; i++)
        blob_unref(k->values[i]);
    mem_free(k->values);
    buf_fini(&k->names);
}

/* How many of the values have a text: the head of the reply tells the number. */
static size_t count_texts(const struct copy *k)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n; i++)
        n += conn_has_text(k->values[i]);
    return n;
}

static void reply_pairs(struct conn *c, const struct copy *k, bool names)
{
    struct rd in = rd_of(buf_span(&k->names));

    for (size_t i = 0; i < k->n && !conn_is_flooded(c); i++) {
        struct span name = rd_bytes32(&in, TABLE_NAME_MAX, "name");
        if (!conn_has_text(k->values[i]))
            continue;
        if (names)
            conn_bulk(c, name);
        conn_value(c, k->values[i]);
    }
}

void hashes_hgetall(struct conn *c, const struct words *w)
{
    struct edit e;
    struct copy k = {0};
    bool wrong;

    if (read_hash(c, w, &e, &wrong)) {
        take_copy(&e, true, &k);
        edit_cancel(&e);
    } else if (wrong) {
        return;
    }
    resp_map(c->out, c->proto, count_texts(&k));
    reply_pairs(c, &k, true);
    drop_copy(&k);
}

void hashes_hvals(struct conn *c, const struct words *w)
{
    struct edit e;
    struct copy k = {0};
    bool wrong;

    if (read_hash(c, w, &e, &wrong)) {
        take_copy(&e, true, &k);
        edit_cancel(&e);
    } else if (wrong) {
        return;
    }
    resp_array(c->out, count_texts(&k));
    reply_pairs(c, &k, false);
    drop_copy(&k);
}

void hashes_hkeys(struct conn *c, const struct words *w)
{
    struct edit e;
    struct copy k = {0};
    bool wrong;

    if (read_hash(c, w, &e, &wrong)) {
        take_copy(&e, false, &k);
        edit_cancel(&e);
    } else if (wrong) {
        return;
    }
    resp_array(c->out, k.n);
    struct rd in = rd_of(buf_span(&k.names));
    for (size_t i = 0; i < k.n; i++)
        conn_bulk(c, rd_bytes32(&in, TABLE_NAME_MAX, "name"));
    drop_copy(&k);
}

/* --- writing --- */

/* The different ones of the words at, at + step ... of a request: commands may name a field twice. */
struct fields {
    struct span *spans;
    size_t n;
    struct htab table; /* of spans, when there are many */
    bool many;
};

static struct span field_key(const void *item)
{
    return *(const struct span *)item;
}

static bool has_field(const struct fields *f, struct span s)
{
    if (f->many)
        return htab_find(&f->table, s) != NULL;
    for (size_t i = 0; i < f->n; i++)
        if (span_eq(f->spans[i], s))
            return true;
    return false;
}

static void take_fields(const struct words *w, size_t at, size_t step, struct fields *f)
{
    size_t max = (w->n - at + step - 1) / step;

    *f = (struct fields){.spans = mem_array(max, sizeof *f->spans), .many = max > FEW_FIELDS};
    htab_init(&f->table, field_key);
    for (size_t i = at; i < w->n; i += step) {
        if (has_field(f, word(w, i)))
            continue;
        f->spans[f->n] = word(w, i);
        if (f->many)
            htab_put(&f->table, &f->spans[f->n]);
        f->n++;
    }
}

static void drop_fields(struct fields *f)
{
    htab_fini(&f->table);
    mem_free(f->spans);
}

static size_t count_present(const struct edit *e, const struct fields *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        n += edit_find(e, ENTRY_ATTRIBUTE, f->spans[i]) != NULL;
    return n;
}

static bool check_pairs(struct conn *c, const struct words *w)
{
    for (size_t i = 2; i < w->n; i += 2) {
        struct span name = word(w, i), value = word(w, i + 1);
        const char *wrong = NULL;
        if (name.n > TABLE_NAME_MAX)
            wrong = "ERR field name is too long";
        else if (span_eq(name, STRING_NAME))
            wrong = "ERR field name '" FRONT_STRING_NAME "' is reserved";
        else if (value.n > c->front->conf->max_value_bytes)
            wrong = CONN_VALUE_TOO_BIG;
        if (wrong) {
            conn_error(c, wrong);
            return false;
        }
    }
    return true;
}

/* The values of a request, made before the lock is taken. NULL: one is too big, replied. */
static struct blob **make_values(struct conn *c, const struct words *w, size_t n)
{
    struct blob **values = mem_array(n, sizeof *values);
    bool fits = true;

    for (size_t i = 0; i < n; i++) {
        values[i] = value_from_bytes(word(w, 3 + 2 * i));
        fits = fits && values[i]->n <= TABLE_VALUE_MAX;
    }
    if (fits)
        return values;
    for (size_t i = 0; i < n; i++)
        blob_unref(values[i]);
    mem_free(values);
    conn_error(c, CONN_VALUE_TOO_BIG);
    return NULL;
}

/* Stages all pairs; what stood there of the values array is given away. */
static void stage_pairs(struct edit *e, const struct words *w, struct blob **values, size_t n)
{
    if (!edit_exists(e))
        edit_reset(e);
    for (size_t i = 0; i < n; i++) {
        edit_set(e, ENTRY_ATTRIBUTE, word(w, 2 + 2 * i), values[i]);
        values[i] = NULL;
    }
}

/* HSET, HMSET, HSETNX. Gives the number of new fields, or -1 when an error was replied. */
static int64_t set_fields(struct conn *c, const struct words *w, bool only_new)
{
    struct edit e;
    struct fields f;
    size_t n = (w->n - 2) / 2;
    int64_t added = -1;

    if (!check_pairs(c, w))
        return -1;
    struct blob **values = make_values(c, w, n);
    if (!values)
        return -1;
    take_fields(w, 2, 2, &f);
    if (write_hash(c, w, &e)) {
        size_t present = count_present(&e, &f);
        if (only_new && present) {
            edit_cancel(&e);
            added = 0;
        } else {
            stage_pairs(&e, w, values, n);
            if (key_commit(c, &e))
                added = (int64_t)(f.n - present);
        }
    }
    drop_fields(&f);
    for (size_t i = 0; i < n; i++)
        blob_unref(values[i]);
    mem_free(values);
    return added;
}

void hashes_hset(struct conn *c, const struct words *w)
{
    if (w->n % 2) {
        command_arity_error(c, c->last);
        return;
    }
    int64_t added = set_fields(c, w, false);
    if (added >= 0)
        conn_int(c, added);
}

void hashes_hmset(struct conn *c, const struct words *w)
{
    if (w->n % 2)
        command_arity_error(c, c->last);
    else if (set_fields(c, w, false) >= 0)
        conn_ok(c);
}

void hashes_hsetnx(struct conn *c, const struct words *w)
{
    int64_t added = set_fields(c, w, true);

    if (added >= 0)
        conn_int(c, added);
}

static bool ends_when_empty(const struct edit *e)
{
    return edit_made_by_front(e) && !edit_find(e, ENTRY_PRINCIPAL, (struct span){0});
}

static void stage_removal(struct edit *e, const struct fields *f, size_t present)
{
    if (present == edit_n_attributes(e) && ends_when_empty(e)) {
        edit_end(e);
        return;
    }
    for (size_t i = 0; i < f->n; i++)
        if (edit_find(e, ENTRY_ATTRIBUTE, f->spans[i]))
            edit_remove(e, ENTRY_ATTRIBUTE, f->spans[i]);
}

void hashes_hdel(struct conn *c, const struct words *w)
{
    struct edit e;
    struct fields f;

    take_fields(w, 2, 1, &f);
    if (write_hash(c, w, &e)) {
        size_t present = edit_exists(&e) ? count_present(&e, &f) : 0;
        bool ok = true;
        if (present) {
            stage_removal(&e, &f, present);
            ok = key_commit(c, &e);
        } else {
            edit_cancel(&e);
        }
        if (ok)
            conn_int(c, (int64_t)present);
    }
    drop_fields(&f);
}
