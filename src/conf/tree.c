/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to a tree, from libyaml's events; see tree.h. No recursion: open lists and maps lie on a stack of
 * fixed depth.
 */
#include "clusterd/conf/tree.h"
#include "clusterd/util/mem.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

/* A list or map whose end has not come yet. */
struct level {
    struct conf_node *node;
    struct conf_node **tail; /* where its next child goes */
    char *key;               /* of a map: read, its value comes next; else NULL */
    unsigned key_line;
};

struct builder {
    struct diag *diag;
    const char *file;
    struct span yaml;
    struct conf_node *root;
    struct level levels[TREE_DEPTH_MAX];
    unsigned depth, n_nodes, n_documents;
};

static unsigned line_of(const yaml_event_t *e)
{
    return (unsigned)e->start_mark.line + 1;
}

static enum err error_at(struct builder *b, const yaml_event_t *e, const char *text)
{
    return diag_error(b->diag, b->file, line_of(e), "%s", text);
}

static const struct conf_node *child_named(const struct conf_node *map, const char *key)
{
    for (const struct conf_node *child = tree_first(map); child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

static enum err take_key(struct builder *b, struct level *l, const yaml_event_t *e)
{
    if (e->type != YAML_SCALAR_EVENT)
        return error_at(b, e, "a key must be a plain text");
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length || *text == 0)
        return error_at(b, e, "a key must not be empty or contain a NUL byte");
    const struct conf_node *before = child_named(l->node, text);
    if (before)
        return diag_error(b->diag, b->file, line_of(e), "%s: given twice; it is in line %u already", text,
                          before->line);
    l->key = mem_strdup(text);
    l->key_line = line_of(e);
    return ERR_OK;
}

static enum err check_plain(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    if (anchor)
        return error_at(b, e, "anchors (&name) are not supported: write the value where it is needed");
    if (tag)
        return error_at(b, e, "tags (!name) are not supported");
    return ERR_OK;
}

static bool is_null(const yaml_event_t *e)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp((const char *)e->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

/* Put a new node where the next value belongs. */
static enum err add_node(struct builder *b, const yaml_event_t *e, enum conf_kind kind,
                         struct conf_node **out)
{
    struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;

    if (++b->n_nodes > TREE_NODES_MAX)
        return error_at(b, e, "the file has too many values (more than 10000)");
    struct conf_node *n = MEM_NEW(struct conf_node);
    n->kind = kind;
    n->file = b->file;
    n->line = line_of(e);
    if (!l) {
        b->root = n;
    } else {
        if (l->key) {
            n->key = l->key;
            n->line = l->key_line;
            l->key = NULL;
        }
        *l->tail = n;
        l->tail = &n->next;
    }
    *out = n;
    return ERR_OK;
}

static bool wants_key(const struct builder *b)
{
    const struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;

    return l && l->node->kind == CONF_MAP && !l->key;
}

static enum err on_scalar(struct builder *b, const yaml_event_t *e)
{
    struct conf_node *n;

    TRY(check_plain(b, e, e->data.scalar.anchor, e->data.scalar.tag));
    if (wants_key(b))
        return take_key(b, &b->levels[b->depth - 1], e);
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length)
        return error_at(b, e, "a value must not contain a NUL byte");
    TRY(add_node(b, e, CONF_SCALAR, &n));
    n->text = mem_strdup(text);
    n->is_null = is_null(e);
    return ERR_OK;
}

static enum err on_open(struct builder *b, const yaml_event_t *e, enum conf_kind kind,
                        const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct conf_node *n;

    TRY(check_plain(b, e, anchor, tag));
    if (wants_key(b))
        return take_key(b, &b->levels[b->depth - 1], e);
    if (b->depth == TREE_DEPTH_MAX)
        return error_at(b, e, "lists and maps are nested too deeply (more than 32)");
    TRY(add_node(b, e, kind, &n));
    b->levels[b->depth++] = (struct level){.node = n, .tail = &n->first};
    return ERR_OK;
}

static enum err on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return ERR_OK;
    case YAML_DOCUMENT_START_EVENT:
        return b->n_documents++ ? error_at(b, e, "only one YAML document is allowed in a file") : ERR_OK;
    case YAML_ALIAS_EVENT:
        return error_at(b, e, "aliases (*name) are not supported: write the value where it is needed");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, e, CONF_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, e, CONF_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err syntax_error(struct builder *b, const yaml_parser_t *y)
{
    unsigned line = (unsigned)y->problem_mark.line + 1;
    const char *problem = y->problem ? y->problem : "not YAML";

    if (y->error == YAML_READER_ERROR) { /* libyaml tells only where in the file */
        line = 1;
        for (size_t i = 0; i < y->problem_offset && i < b->yaml.n; i++)
            line += b->yaml.p[i] == '\n';
    }
    if (y->context)
        return diag_error(b->diag, b->file, line, "%s %s", y->context, problem);
    return diag_error(b->diag, b->file, line, "%s", problem);
}

static enum err build(struct builder *b, yaml_parser_t *y)
{
    bool ended = false;

    while (!ended) {
        yaml_event_t e;
        if (!yaml_parser_parse(y, &e))
            return syntax_error(b, y);
        enum err err = on_event(b, &e);
        ended = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        TRY(err);
    }
    return ERR_OK;
}

enum err tree_load_text(struct span yaml, const char *file, struct diag *d, struct conf_node **out)
{
    yaml_parser_t y;
    struct builder b = {.diag = d, .file = mem_strdup(file), .yaml = yaml};

    if (yaml.n > TREE_FILE_MAX) {
        mem_free((char *)b.file);
        return diag_error(d, file, 0, "the file is larger than %zu bytes", TREE_FILE_MAX);
    }
    ASSERT(yaml_parser_initialize(&y));
    yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y, yaml.n ? yaml.p : (const uint8_t *)"", yaml.n);
    enum err e = build(&b, &y);
    yaml_parser_delete(&y);

    for (unsigned i = 0; i < b.depth; i++)
        mem_free(b.levels[i].key);
    if (!b.root) { /* Nothing or comments only: a file that changes nothing. It also owns the name. */
        b.root = MEM_NEW(struct conf_node);
        *b.root = (struct conf_node){.kind = CONF_MAP, .file = b.file, .line = 1};
    }
    if (e != ERR_OK) {
        tree_free(b.root);
        return e;
    }
    *out = b.root;
    return ERR_OK;
}

enum err tree_load_file(const char *path, struct diag *d, struct conf_node **out)
{
    struct buf content = {0};
    FILE *f = fopen(path, "rbe");

    if (!f)
        return diag_error(d, path, 0, "cannot be opened: %s", strerror(errno));
    buf_reserve(&content, TREE_FILE_MAX + 1);
    errno = 0;
    content.n = fread(content.p, 1, TREE_FILE_MAX + 1, f);
    enum err e = ERR_OK;
    if (ferror(f))
        e = diag_error(d, path, 0, "cannot be read: %s", strerror(errno));
    fclose(f);
    if (e == ERR_OK)
        e = tree_load_text(buf_span(&content), path, d, out);
    buf_fini(&content);
    return e;
}

void tree_free(struct conf_node *root)
{
    const char *file = root ? root->file : NULL;
    struct conf_node *todo = root;

    while (todo) {
        struct conf_node *n = todo, *last = n->first;
        todo = n->next;
        if (last) { /* its children come first */
            while (last->next)
                last = last->next;
            last->next = todo;
            todo = n->first;
        }
        mem_free(n->key);
        mem_free(n->text);
        mem_free(n);
    }
    mem_free((char *)file);
}

const struct conf_node *tree_find(const struct conf_node *map, const char *key)
{
    return map && map->kind == CONF_MAP ? child_named(map, key) : NULL;
}

const struct conf_node *tree_section(const struct conf_node *map, const char *key, enum conf_kind kind,
                                     struct diag *d)
{
    const struct conf_node *n = tree_find(map, key);

    if (!n || (n->kind == CONF_SCALAR && n->is_null))
        return NULL;
    if (n->kind != kind) {
        const char *what = kind == CONF_MAP    ? "a section of keys (\"key: value\" lines below it)"
                           : kind == CONF_LIST ? "a list (\"- item\" lines below it, or [a, b])"
                                               : "a single value";
        diag_error(d, n->file, n->line, "%s: must be %s", key, what);
        return NULL;
    }
    return n;
}
