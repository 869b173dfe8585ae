/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML file as a tree of scalars, lists and maps, each with the line it came from. Only what a
 * configuration needs: one document, no anchors or aliases, no tags, keys are plain texts and occur once.
 * Bounded: file size, depth and number of nodes. Main thread, at start-up and reload.
 */
#ifndef CLUSTERD_CONF_TREE_H
#define CLUSTERD_CONF_TREE_H

#include "clusterd/util/diag.h"

#define TREE_FILE_MAX  ((size_t)1 << 20)
#define TREE_DEPTH_MAX 32u
#define TREE_NODES_MAX 10000u

enum conf_kind { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf_node {
    enum conf_kind kind;
    const char *file;               /* borrowed from the root */
    unsigned line;                  /* of the value; of the key where it is a member of a map */
    char *key;                      /* in a map; else NULL */
    char *text;                     /* of a scalar, UTF-8 without NUL; else NULL */
    bool is_null;                   /* a scalar that was left empty, or ~ or null without quotes */
    struct conf_node *first, *next; /* children of a list or map, in the file's order */
};

/* A file or a text. All that is wrong goes to *d as file:line errors. On success *out is owned: tree_free().
 */
fallible tree_load_file(const char *path, struct diag *d, struct conf_node **out);
fallible tree_load_text(struct span yaml, const char *file, struct diag *d, struct conf_node **out);
void tree_free(struct conf_node *root); /* NULL is fine */

/* A map's value, or NULL when it is absent or `map` is NULL. */
const struct conf_node *tree_find(const struct conf_node *map, const char *key);
/*
 * The same, of one kind: NULL when it is absent or null; another kind is reported ("membership: must be a
 * map") and gives NULL too.
 */
const struct conf_node *tree_section(const struct conf_node *map, const char *key, enum conf_kind kind,
                                     struct diag *d);

/* The first child, also of NULL: for (const struct conf_node *n = tree_first(map); n; n = n->next) */
static inline const struct conf_node *tree_first(const struct conf_node *parent)
{
    return parent ? parent->first : NULL;
}

#endif
