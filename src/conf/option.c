/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables; see option.h. Values of single fields are in value.c, suggestions in nearest.c.
 */
#include "clusterd/conf/option.h"
#include "clusterd/util/mem.h"

#include "nearest.h"
#include "value.h"

static void *field_of(const struct option_spec *row, void *out)
{
    return (char *)out + row->offset;
}

static const void *const_field_of(const struct option_spec *row, const void *in)
{
    return (const char *)in + row->offset;
}

/* The next of the words in *at (separated by blanks); *at goes behind it. False at the end. */
static bool next_word(const char **at, struct span *word)
{
    if (!*at)
        return false;
    *at += strspn(*at, " ");
    size_t n = strcspn(*at, " ");
    *word = span_of(*at, n);
    *at += n;
    return n > 0;
}

static bool has_name(const struct option_spec *row, struct span name)
{
    const char *at = row->aliases;
    struct span alias;

    if (span_eq(span_str(row->name), name))
        return true;
    while (next_word(&at, &alias))
        if (span_eq(alias, name))
            return true;
    return false;
}

const struct option_spec *option_find(const struct option_spec *rows, const char *name)
{
    for (const struct option_spec *row = rows; row->name; row++)
        if (has_name(row, span_str(name)))
            return row;
    return NULL;
}

const char *option_class_short(const char *name)
{
    static const char package[] = "org.apache.catalina.";
    const char *dot = strrchr(name, '.');

    return dot && strncmp(name, package, sizeof package - 1) == 0 ? dot + 1 : name;
}

const char *option_nearest(const char *word, const char *const *names)
{
    struct nearest near;

    nearest_init(&near, word);
    for (; *names; names++)
        nearest_consider(&near, span_str(*names));
    return (const char *)near.best.p;
}

static void strings_add(struct option_strings *s, const char *text, size_t n)
{
    s->v = mem_realloc(s->v, (s->n + 1) * sizeof *s->v);
    s->v[s->n++] = mem_strndup(text, n);
}

static void strings_free(struct option_strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->v[i]);
    mem_free(s->v);
    *s = (struct option_strings){0};
}

static void set_default(const struct option_spec *row, void *out)
{
    struct buf why = {0};
    const char *at = row->def;
    struct span word;

    if (row->type == OPTION_STRINGS)
        while (next_word(&at, &word))
            strings_add(field_of(row, out), (const char *)word.p, word.n);
    else if (row->def)
        ASSERT(value_parse(row, row->def, field_of(row, out), &why) == ERR_OK);
    buf_fini(&why);
}

void option_defaults(const struct option_spec *rows, void *out)
{
    for (const struct option_spec *row = rows; row->name; row++)
        set_default(row, out);
}

static enum err report(struct diag *d, const struct conf_node *at, const char *key, struct buf *why)
{
    enum err e = diag_error(d, at->file, at->line, "%s: %s", key, buf_cstr(why));

    buf_clear(why);
    return e;
}

static enum err want_scalar(const struct conf_node *n, struct buf *why)
{
    if (n->kind == CONF_SCALAR && !n->is_null)
        return ERR_OK;
    wr_text(why, n->kind == CONF_LIST  ? "must be a single value, not a list"
                 : n->kind == CONF_MAP ? "must be a single value, not a section"
                                       : "has no value; leave the key out, or write \"\" for an empty text");
    return ERR_BAD;
}

/* One item; the list's own key names it in messages. */
static enum err load_string(const struct option_spec *row, const struct conf_node *n, const char *key,
                            struct option_strings *to, struct diag *d)
{
    struct buf why = {0};
    enum err e = want_scalar(n, &why);

    if (e == ERR_OK)
        e = value_check(row, n->text, &why);
    if (e != ERR_OK)
        e = report(d, n, key, &why);
    else
        strings_add(to, n->text, strlen(n->text));
    buf_fini(&why);
    return e;
}

static enum err load_strings(const struct option_spec *row, const struct conf_node *n,
                             struct option_strings *field, struct diag *d)
{
    struct option_strings read = {0};
    enum err worst = ERR_OK;

    if (n->kind == CONF_LIST) {
        for (const struct conf_node *item = tree_first(n); item; item = item->next)
            if (load_string(row, item, n->key, &read, d) != ERR_OK)
                worst = ERR_CONFIG;
    } else {
        worst = load_string(row, n, n->key, &read, d);
    }
    if (worst == ERR_OK)
        *field = read;
    else
        strings_free(&read);
    return worst;
}

static enum err load_value(const struct option_spec *row, const struct conf_node *n, void *out,
                           struct diag *d)
{
    struct buf why = {0};

    if (row->type == OPTION_STRINGS)
        return load_strings(row, n, field_of(row, out), d);
    enum err e = want_scalar(n, &why);
    if (e == ERR_OK)
        e = value_parse(row, n->text, field_of(row, out), &why);
    if (e != ERR_OK)
        e = report(d, n, n->key, &why);
    buf_fini(&why);
    return e;
}

/* The one node that sets this row, or NULL. A second one, by another name of the same key, is reported. */
static const struct conf_node *node_of(const struct option_spec *row, const struct conf_node *map,
                                       struct diag *d)
{
    const struct conf_node *found = NULL;

    for (const struct conf_node *n = tree_first(map); n; n = n->next) {
        if (!has_name(row, span_str(n->key)))
            continue;
        if (found)
            diag_error(d, n->file, n->line, "%s: the same key as %s, which is in line %u already", n->key,
                       found->key, found->line);
        else
            found = n;
    }
    return found;
}

static bool is_one_of(const char *key, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(*names, key) == 0)
            return true;
    return false;
}

static void report_unknown(const struct conf_node *n, const struct option_spec *rows,
                           const char *const *sections, struct diag *d)
{
    struct nearest near;

    nearest_init(&near, n->key);
    for (const struct option_spec *row = rows; row->name; row++) {
        const char *at = row->aliases;
        struct span alias;
        nearest_consider(&near, span_str(row->name));
        while (next_word(&at, &alias))
            nearest_consider(&near, alias);
    }
    for (; sections && *sections; sections++)
        nearest_consider(&near, span_str(*sections));
    if (near.best.n)
        diag_error(d, n->file, n->line, "%s: unknown key; did you mean %.*s?", n->key, (int)near.best.n,
                   (const char *)near.best.p);
    else
        diag_error(d, n->file, n->line, "%s: unknown key", n->key);
}

static void load_row(const struct option_spec *row, const struct conf_node *map, void *out, struct diag *d)
{
    const struct conf_node *n = node_of(row, map, d);

    if (n && load_value(row, n, out, d) == ERR_OK)
        return;
    if (!n && row->flags & OPTION_REQUIRED)
        diag_error(d, map ? map->file : NULL, map ? map->line : 0, "%s: missing", row->name);
    set_default(row, out);
}

enum err option_load(const struct conf_node *map, const struct option_spec *rows, const char *const *sections,
                     void *out, struct diag *d)
{
    unsigned before = d->errors;

    if (map && map->kind != CONF_MAP) {
        diag_error(d, map->file, map->line, "%s%smust be a section of keys (\"key: value\" lines)",
                   map->key ? map->key : "", map->key ? ": " : "");
        map = NULL;
    }
    for (const struct option_spec *row = rows; row->name; row++)
        load_row(row, map, out, d);
    for (const struct conf_node *n = tree_first(map); n; n = n->next)
        if (!option_find(rows, n->key) && !is_one_of(n->key, sections))
            report_unknown(n, rows, sections, d);
    return d->errors == before ? ERR_OK : ERR_CONFIG;
}

void option_free(const struct option_spec *rows, void *out)
{
    for (const struct option_spec *row = rows; row->name; row++) {
        void *field = field_of(row, out);
        if (row->type == OPTION_STRING) {
            mem_free(*(char **)field);
            *(char **)field = NULL;
        } else if (row->type == OPTION_STRINGS) {
            strings_free(field);
        } else if (row->type == OPTION_CUSTOM && row->free) {
            row->free(field);
        }
    }
}

static void dump_docs(const struct option_spec *row, unsigned indent, struct buf *out)
{
    wr_printf(out, "%*s# %s.", (int)indent, "", row->doc ? row->doc : row->name);
    if (row->aliases)
        wr_printf(out, " Also: %s.", row->aliases);
    if (row->names) {
        wr_text(out, " One of");
        for (const char *const *name = row->names; *name; name++)
            wr_printf(out, " %s%s", *name, name[1] ? "," : ".");
    }
    if (row->min || row->max)
        wr_printf(out, " From %lld to %lld.", (long long)row->min, (long long)row->max);
    wr_printf(out, " Default: %s.", row->def && *row->def ? row->def : "none");
    if (row->flags & OPTION_NO_EFFECT)
        wr_text(out, " Accepted for Tomcat's sake, without effect here.");
    else if (row->flags & OPTION_LIVE)
        wr_text(out, " Applied by a reload.");
    wr_u8(out, '\n');
}

void option_dump(const struct option_spec *rows, const void *in, unsigned indent, bool docs, struct buf *out)
{
    for (const struct option_spec *row = rows; row->name; row++) {
        const void *field = const_field_of(row, in);
        bool unset = row->type == OPTION_STRING && !*(char *const *)field;
        if (docs)
            dump_docs(row, indent, out);
        wr_printf(out, "%*s%s%s: ", (int)indent, "", unset ? "# " : "", row->name);
        if (row->flags & OPTION_SECRET)
            wr_text(out, unset ? "" : "\"********\"");
        else if (!unset)
            value_print(row, field, out);
        wr_u8(out, '\n');
    }
}

bool option_equal(const struct option_spec *row, const void *a, const void *b)
{
    struct buf ta = {0}, tb = {0};
    const char *const *sa = const_field_of(row, a), *const *sb = const_field_of(row, b);

    if (row->type == OPTION_STRING && (!*sa || !*sb))
        return *sa == *sb;
    value_print(row, sa, &ta);
    value_print(row, sb, &tb);
    bool same = span_eq(buf_span(&ta), buf_span(&tb));
    buf_fini(&ta);
    buf_fini(&tb);
    return same;
}
