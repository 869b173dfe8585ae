/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: one row says everything about one key of the configuration, and the row is all there is. It
 * gives parsing with type and range checks, defaults, --check-config, `clusterctl config`, the reference page
 * and whether a reload applies the key live. A module owns its rows and the struct that they fill. Main
 * thread.
 *
 *   struct receiver_config { int32_t port; char *address; int64_t selector_timeout_ms; };
 *   static const struct option_spec receiver_options[] = {
 *       {.name = "port", .aliases = "tcpListenPort", .type = OPTION_INT, OPTION_AT(struct receiver_config,
 * port), .def = "4000", .min = 1, .max = 65535, .doc = "first TCP port that is tried"}, {0}};
 */
#ifndef CLUSTERD_CONF_OPTION_H
#define CLUSTERD_CONF_OPTION_H

#include "clusterd/conf/tree.h"

/* What a value looks like, and the C type of its field. */
enum option_type {
    OPTION_BOOL,    /* true false yes no on off, any case: bool */
    OPTION_INT,     /* decimal: int32_t */
    OPTION_MS,      /* decimal, milliseconds: int64_t */
    OPTION_SECONDS, /* decimal, seconds: int64_t */
    OPTION_BYTES,   /* 65536, 64k, 1m, 2g: uint64_t */
    OPTION_STRING,  /* any text: char *, owned; NULL when it is not set and has no default */
    OPTION_ENUM,    /* one of `names`: int, the index into names */
    OPTION_CLASS,   /* as OPTION_ENUM, but its Java package may be in front: int */
    OPTION_STRINGS, /* a list, or one text: struct option_strings, owned */
    OPTION_CUSTOM   /* what `parse` takes: what `parse` fills */
};

enum {
    OPTION_LIVE = 1,   /* a reload applies it; else the change waits for a restart, and the reload says so */
    OPTION_AUTO = 2,   /* BYTES, INT, MS, SECONDS: the word "auto" is allowed and gives OPTION_AUTO_VALUE */
    OPTION_SECRET = 4, /* option_dump() prints stars */
    OPTION_REQUIRED = 8,  /* missing is an error */
    OPTION_NO_EFFECT = 16 /* a key of Tomcat's that is accepted and checked, and means nothing here */
};

#define OPTION_AUTO_VALUE (-1) /* BYTES: UINT64_MAX */

struct option_strings {
    char **v;
    size_t n;
};

/*
 * OPTION_CUSTOM: parse one scalar into the field; on error ERR_BAD (or another), the field untouched and *why
 * a static text. OPTION_STRING, OPTION_STRINGS: may stand in a row as a check (field is then NULL) for each
 * text.
 */
typedef enum err (*option_parse_fn)(const char *text, void *field, const char **why);
/* OPTION_CUSTOM: the text that parse takes. */
typedef void (*option_print_fn)(const void *field, struct buf *out);
/* OPTION_CUSTOM: free what the field owns; may be NULL. */
typedef void (*option_free_fn)(void *field);

struct option_spec {
    const char *name;    /* today's name; NULL ends the table */
    const char *aliases; /* older names, separated by blanks, or NULL */
    enum option_type type;
    size_t offset;            /* of the field: OPTION_AT() */
    const char *def;          /* as in a file; a list: items separated by blanks; NULL: zero or empty */
    int64_t min, max;         /* numbers, in their own unit; both 0: any that is not negative */
    const char *const *names; /* ENUM, CLASS: what is accepted, NULL at the end */
    option_parse_fn parse;
    option_print_fn print;
    option_free_fn free;
    unsigned flags;
    const char *doc; /* one sentence, without its full stop */
};

#define OPTION_AT(type, field) .offset = offsetof(type, field)

/*
 * Fill *out from a map (NULL: all defaults). `sections` are further keys of this map that the caller reads
 * itself (NULL-terminated; NULL = none). Reports every mistake, not only the first: unknown keys with the
 * nearest known one, wrong types, values out of range, a key given by two names, missing ones. *out is
 * complete in any case (defaults where something was wrong), must be zero before, and needs
 * option_free(). ERR_CONFIG when anything was reported.
 */
fallible option_load(const struct conf_node *map, const struct option_spec *rows, const char *const *sections,
                     void *out, struct diag *d);
/* The same without a file; a default that does not parse is a mistake of ours (ASSERT). */
void option_defaults(const struct option_spec *rows, void *out);
void option_free(const struct option_spec *rows, void *out);
/* "key: value" lines with today's names, `indent` blanks in front. With `docs`, each below a comment line. */
void option_dump(const struct option_spec *rows, const void *in, unsigned indent, bool docs, struct buf *out);
/* Do these fields say the same? For reload: which rows changed. */
bool option_equal(const struct option_spec *row, const void *a, const void *b);
/* The row of a name or alias, or NULL. */
const struct option_spec *option_find(const struct option_spec *rows, const char *name);

/* A class name without its Java package: "org.apache.catalina.tribes.membership.McastService" ->
 * "McastService". */
const char *option_class_short(const char *name);
/* The nearest of `names` to a mistyped word, or NULL when none is near. NULL-terminated array. */
const char *option_nearest(const char *word, const char *const *names);

#endif
