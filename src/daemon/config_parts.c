/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of the configuration, and settings that are inherited; see config_parts.h. A context's manager
 * settings are loaded from a map made for the purpose: its own keys, and below them those of cluster:
 * manager: that it does not set itself, so that one table of options does for both.
 */
#include "config_parts.h"

#include "clusterd/util/mem.h"

static struct conf_node *map_new(const char *key, const struct conf_node *at)
{
    struct conf_node *map = MEM_NEW(struct conf_node);

    map->kind = CONF_MAP;
    map->key = mem_strdup(key);
    map->file = at->file;
    map->line = at->line;
    return map;
}

/* A copy of `n` under another key; its value is borrowed. */
static void map_add(struct conf_node *map, const struct conf_node *n, const char *key)
{
    struct conf_node **tail = &map->first, *copy = MEM_NEW(struct conf_node);

    while (*tail)
        tail = &(*tail)->next;
    *copy = *n;
    copy->key = mem_strdup(key);
    copy->next = NULL;
    *tail = copy;
}

void config_parts_free_map(struct conf_node *map)
{
    struct conf_node *n = map ? map->first : NULL;

    while (n) {
        struct conf_node *next = n->next;
        mem_free(n->key);
        mem_free(n);
        n = next;
    }
    if (map)
        mem_free(map->key);
    mem_free(map);
}

/* The node of a map that sets this row, by whatever of its names. */
static const struct conf_node *node_of_row(const struct conf_node *map, const struct option_spec *rows,
                                           const struct option_spec *row)
{
    for (const struct conf_node *n = tree_first(map); n; n = n->next)
        if (option_find(rows, n->key) == row)
            return n;
    return NULL;
}

struct conf_node *config_parts_manager_map(const struct conf_node *cluster, const struct conf_node *manager,
                                           const struct option_spec *rows, struct diag *d)
{
    static const struct {
        const char *cluster_key, *manager_key;
    } moved[] = {{"managerClassName", "className"},
                 {"expireSessionsOnShutdown", "expireSessionsOnShutdown"},
                 {"notifyListenersOnReplication", "notifyListenersOnReplication"}};
    struct conf_node *map = NULL;

    if (manager || cluster)
        map = map_new("manager", manager ? manager : cluster);
    for (const struct conf_node *n = tree_first(manager); n; n = n->next)
        map_add(map, n, n->key);
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        const struct conf_node *n = tree_find(cluster, moved[i].cluster_key);
        if (!n)
            continue;
        const struct option_spec *row = option_find(rows, moved[i].manager_key);
        const struct conf_node *twice = node_of_row(manager, rows, row);
        if (twice)
            diag_error(d, n->file, n->line, "%s: given twice; it is in line %u, under manager, already",
                       n->key, twice->line);
        else
            map_add(map, n, moved[i].manager_key);
    }
    return map;
}

static void load_manager(const struct option_spec *rows, struct config_context *c,
                         const struct conf_node *own, const struct conf_node *inherited,
                         const struct conf_node *item, struct diag *d)
{
    struct conf_node *map = map_new("manager", own ? own : item);

    for (const struct conf_node *n = tree_first(own); n; n = n->next)
        map_add(map, n, n->key);
    for (const struct conf_node *n = tree_first(inherited); n; n = n->next) {
        const struct option_spec *row = option_find(rows, n->key);
        if (row && !node_of_row(own, rows, row))
            map_add(map, n, n->key);
    }
    enum err e = option_load(map, rows, NULL, c, d);
    (void)e; /* told in *d; load() looks there */
    config_parts_free_map(map);
}

/* Two contexts of one name, or of one prefix in one database, cannot be told apart. */
static void check_twins(const struct config *c, const struct config_context *one,
                        const struct conf_node *item, struct diag *d)
{
    if (!one->name)
        return;
    for (const struct config_context *other = c->context_list; other < one; other++) {
        if (other->name && strcmp(other->name, one->name) == 0)
            diag_error(d, item->file, item->line, "name: there is a context %s already", one->name);
        else if (one->key_prefix && other->key_prefix && one->database == other->database &&
                 strcmp(one->key_prefix, other->key_prefix) == 0)
            diag_error(d, item->file, item->line, "keyPrefix: context %s has the prefix %s already",
                       other->name ? other->name : "?", one->key_prefix);
    }
}

void config_parts_contexts(struct config *c, const struct conf_node *contexts,
                           const struct conf_node *inherited, const char *const *sections, struct diag *d)
{
    const struct conf_node *list = tree_section(contexts, "list", CONF_LIST, d);
    size_t n = 0;

    for (const struct conf_node *item = tree_first(list); item; item = item->next)
        n++;
    c->context_list = mem_array(n + 1, sizeof *c->context_list);
    for (const struct conf_node *item = tree_first(list); item; item = item->next) {
        struct config_context *one = &c->context_list[c->n_contexts++];
        enum err e = option_load(item, c->rows[CONFIG_CONTEXT], sections, one, d);
        const struct conf_node *own =
            item->kind == CONF_MAP ? tree_section(item, "manager", CONF_MAP, d) : NULL;
        load_manager(c->rows[CONFIG_CONTEXT_MANAGER], one, own, inherited, item, d);
        if (e == ERR_OK)
            check_twins(c, one, item, d);
    }
}

static const struct interceptor_ops *find_interceptor(const char *class_name)
{
    const char *name = option_class_short(class_name);

    if (strcmp(name, "MessageDispatch15Interceptor") == 0) /* its name in Tomcat 6 and 7 */
        name = "MessageDispatchInterceptor";
    for (const struct interceptor_ops *const *ops = interceptor_all; *ops; ops++)
        if (strcmp((*ops)->name, name) == 0)
            return *ops;
    return NULL;
}

static void report_interceptor(const struct conf_node *at, const char *class_name, struct diag *d)
{
    const char *names[64];
    struct buf known = {0};
    size_t n = 0;

    for (const struct interceptor_ops *const *ops = interceptor_all; *ops && n < 63; ops++) {
        wr_printf(&known, "%s%s", n ? ", " : "", (*ops)->name);
        names[n++] = (*ops)->name;
    }
    names[n] = NULL;
    const char *near = option_nearest(option_class_short(class_name), names);
    diag_error(d, at->file, at->line, "interceptors: %s is not known; known are %s%s%s%s", class_name,
               buf_cstr(&known), near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    buf_fini(&known);
}

/* An item is a class name, or a map of className and the interceptor's own keys. */
static void load_interceptor(struct config *c, const struct conf_node *item, struct diag *d)
{
    static const struct option_spec none[] = {{0}};
    static const char *const sections[] = {"className", NULL};
    const struct conf_node *name = item;

    if (item->kind == CONF_MAP) {
        name = tree_section(item, "className", CONF_SCALAR, d);
        if (!name && !tree_find(item, "className"))
            diag_error(d, item->file, item->line, "interceptors: className: missing");
    } else if (item->kind == CONF_LIST || item->is_null) {
        diag_error(d, item->file, item->line,
                   "interceptors: must be a class name, or a section with className");
        return;
    }
    if (!name || !name->text)
        return;
    const struct interceptor_ops *ops = find_interceptor(name->text);
    if (!ops) {
        report_interceptor(name, name->text, d);
        return;
    }
    for (size_t i = 0; i < c->n_interceptors; i++)
        if (c->interceptors[i].ops == ops)
            diag_error(d, name->file, name->line, "interceptors: %s is named twice", ops->name);
    struct interceptor_spec *spec = &c->interceptors[c->n_interceptors++];
    spec->ops = ops;
    spec->conf = mem_zalloc(ops->conf_size ? ops->conf_size : 1);
    enum err e = option_load(item->kind == CONF_MAP ? item : NULL, ops->options ? ops->options : none,
                             sections, spec->conf, d);
    (void)e; /* told in *d; load() looks there */
}

void config_parts_interceptors(struct config *c, const struct conf_node *cluster, struct diag *d)
{
    const struct conf_node *list = tree_section(cluster, "interceptors", CONF_LIST, d);
    size_t n = 0;

    for (const struct conf_node *item = tree_first(list); item; item = item->next)
        n++;
    c->interceptors = mem_array(n + 1, sizeof *c->interceptors);
    for (const struct conf_node *item = tree_first(list); item; item = item->next)
        load_interceptor(c, item, d);
}

void config_parts_free(struct config *c)
{
    for (size_t i = 0; i < c->n_contexts; i++) {
        option_free(c->rows[CONFIG_CONTEXT_MANAGER], &c->context_list[i]);
        option_free(c->rows[CONFIG_CONTEXT], &c->context_list[i]);
    }
    mem_free(c->context_list);
    for (size_t i = 0; i < c->n_interceptors; i++) {
        if (c->interceptors[i].ops->options)
            option_free(c->interceptors[i].ops->options, c->interceptors[i].conf);
        mem_free(c->interceptors[i].conf);
    }
    mem_free(c->interceptors);
}

void config_parts_dump_contexts(const struct config *c, struct buf *out)
{
    wr_text(out, c->n_contexts ? "  list:\n" : "  list: []\n");
    for (size_t i = 0; i < c->n_contexts; i++) {
        size_t at = out->n + 4;
        option_dump(c->rows[CONFIG_CONTEXT], &c->context_list[i], 6, false, out);
        out->p[at] = '-'; /* the first key is never commented out: a context has a name */
        wr_text(out, "      manager:\n");
        option_dump(c->rows[CONFIG_CONTEXT_MANAGER], &c->context_list[i], 8, false, out);
    }
}

void config_parts_dump_interceptors(const struct config *c, struct buf *out)
{
    wr_text(out, c->n_interceptors ? "  interceptors:\n" : "  interceptors: []\n");
    for (size_t i = 0; i < c->n_interceptors; i++) {
        const struct interceptor_ops *ops = c->interceptors[i].ops;
        wr_printf(out, "    - className: %s\n", ops->name);
        if (ops->options)
            option_dump(ops->options, c->interceptors[i].conf, 6, false, out);
    }
}

static const char *type_text(const struct option_spec *row)
{
    static const char *const texts[] = {[OPTION_BOOL] = "true or false",
                                        [OPTION_INT] = "number",
                                        [OPTION_MS] = "milliseconds",
                                        [OPTION_SECONDS] = "seconds",
                                        [OPTION_BYTES] = "bytes",
                                        [OPTION_STRING] = "text",
                                        [OPTION_ENUM] = "word",
                                        [OPTION_CLASS] = "class",
                                        [OPTION_STRINGS] = "list of texts",
                                        [OPTION_CUSTOM] = "number or text"};

    return texts[row->type];
}

static void range_text(const struct option_spec *row, struct buf *out)
{
    for (size_t i = 0; row->names && row->names[i]; i++)
        wr_printf(out, "%s%s", i ? ", " : "", row->names[i]);
    if (row->min == 0 && row->max == 0)
        return;
    if (row->max == INT64_MAX)
        wr_printf(out, "at least %lld", (long long)row->min);
    else
        wr_printf(out, "%lld to %lld", (long long)row->min, (long long)row->max);
}

static void flags_text(const struct option_spec *row, struct buf *out)
{
    static const struct {
        unsigned flag;
        const char *text;
    } flags[] = {{OPTION_LIVE, "live"},
                 {OPTION_AUTO, "auto"},
                 {OPTION_SECRET, "secret"},
                 {OPTION_REQUIRED, "required"},
                 {OPTION_NO_EFFECT, "no-effect"}};
    const char *separator = "";

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!(row->flags & flags[i].flag))
            continue;
        wr_printf(out, "%s%s", separator, flags[i].text);
        separator = ",";
    }
}

void config_parts_options(const char *section, const struct option_spec *rows, struct buf *out)
{
    for (const struct option_spec *row = rows; row->name; row++) {
        wr_printf(out, "%s\t%s\t%s\t%s\t%s\t", section, row->name, row->aliases ? row->aliases : "",
                  type_text(row), row->def ? row->def : "");
        range_text(row, out);
        wr_u8(out, '\t');
        flags_text(row, out);
        wr_printf(out, "\t%s\n", row->doc ? row->doc : "");
    }
}

void config_parts_interceptor_options(struct buf *out)
{
    for (const struct interceptor_ops *const *ops = interceptor_all; *ops; ops++) {
        char *section = mem_printf("cluster.interceptors.%s", (*ops)->name);
        if ((*ops)->options)
            config_parts_options(section, (*ops)->options, out);
        mem_free(section);
    }
}
