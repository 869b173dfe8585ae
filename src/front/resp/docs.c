/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COMMAND and its subcommands: the rows of command.c in Redis' forms, for redis-cli's help and for clients
 * that look up which words are keys. Subcommands stand within their parent, as in Redis. Key specifications,
 * hints and complexity are left out. Redis: server.c, addReplyCommandInfo, commandDocsCommand.
 */
#include "command.h"
#include "handlers.h"

static bool is_sub(const struct command *row)
{
    return strchr(row->name, '|') != NULL;
}

static bool is_shown(const struct conn *c, const struct command *row)
{
    return !is_sub(row) && (c->door->is_control || !(row->flags & COMMAND_CONTROL));
}

static size_t count_shown(const struct conn *c)
{
    size_t n = 0;

    for (size_t i = 0; i < command_n_rows; i++)
        n += is_shown(c, &command_rows[i]);
    return n;
}

static size_t count_subs(const struct command *row)
{
    size_t n = 0;

    while (row + n + 1 < command_rows + command_n_rows && command_is_sub(row + n + 1, row))
        n++;
    return n;
}

/* A name of a set, and whether it belongs to it. */
struct named {
    const char *name;
    bool holds;
};

static void write_set(struct conn *c, const struct named *names, size_t n)
{
    size_t holding = 0;

    for (size_t i = 0; i < n; i++)
        holding += names[i].holds;
    resp_set(c->out, c->proto, holding);
    for (size_t i = 0; i < n; i++)
        if (names[i].holds)
            resp_simple(c->out, names[i].name);
}

static void write_flags(struct conn *c, const struct command *row)
{
    const struct named flags[] = {
        {"write", row->flags & COMMAND_WRITE},        {"readonly", row->flags & COMMAND_READ},
        {"denyoom", row->flags & COMMAND_OOM},        {"admin", row->flags & COMMAND_ADMIN},
        {"noscript", row->flags & COMMAND_NO_SCRIPT}, {"loading", row->flags & COMMAND_LOADING},
        {"stale", row->flags & COMMAND_LOADING},      {"fast", row->flags & COMMAND_FAST},
        {"no_auth", row->flags & COMMAND_NO_AUTH},
    };

    write_set(c, flags, sizeof flags / sizeof *flags);
}

static void write_categories(struct conn *c, const struct command *row)
{
    bool fast = row->flags & COMMAND_FAST;
    const struct named categories[] = {
        {"@keyspace", strcmp(row->group, "generic") == 0},
        {"@read", row->flags & COMMAND_READ},
        {"@write", row->flags & COMMAND_WRITE},
        {"@hash", strcmp(row->group, "hash") == 0},
        {"@string", strcmp(row->group, "string") == 0},
        {"@admin", row->flags & COMMAND_ADMIN},
        {"@fast", fast},
        {"@slow", !fast},
        {"@dangerous", row->flags & COMMAND_ADMIN},
        {"@connection", strcmp(row->group, "connection") == 0},
    };

    write_set(c, categories, sizeof categories / sizeof *categories);
}

/* One row without its subcommands. */
static void write_row(struct conn *c, const struct command *row)
{
    resp_array(c->out, 10);
    conn_text(c, row->name);
    conn_int(c, row->arity);
    write_flags(c, row);
    conn_int(c, row->first);
    conn_int(c, row->last);
    conn_int(c, row->step);
    write_categories(c, row);
    resp_set(c->out, c->proto, 0); /* hints */
    resp_set(c->out, c->proto, 0); /* key specifications */
}

static void write_info(struct conn *c, const struct command *row)
{
    size_t n = count_subs(row);

    write_row(c, row);
    if (n == 0)
        resp_set(c->out, c->proto, 0);
    else
        resp_array(c->out, n);
    for (size_t i = 1; i <= n; i++) {
        write_row(c, row + i);
        resp_set(c->out, c->proto, 0);
    }
}

void docs_command(struct conn *c, const struct words *w)
{
    (void)w;
    resp_array(c->out, count_shown(c));
    for (size_t i = 0; i < command_n_rows; i++)
        if (is_shown(c, &command_rows[i]))
            write_info(c, &command_rows[i]);
}

/* The row of a name as COMMAND INFO and DOCS take it: "get", "client|id". */
static const struct command *find_named(const struct conn *c, struct span name)
{
    for (size_t i = 0; i < command_n_rows; i++)
        if (span_is_nocase(name, command_rows[i].name) &&
            (c->door->is_control || !(command_rows[i].flags & COMMAND_CONTROL)))
            return &command_rows[i];
    return NULL;
}

void docs_info(struct conn *c, const struct words *w)
{
    if (w->n == 2) {
        docs_command(c, w);
        return;
    }
    resp_array(c->out, w->n - 2);
    for (size_t i = 2; i < w->n; i++) {
        const struct command *row = find_named(c, word(w, i));
        if (row)
            write_info(c, row);
        else
            conn_null(c);
    }
}

static void write_doc(struct conn *c, const struct command *row)
{
    size_t subs = count_subs(row);

    conn_text(c, row->name);
    resp_map(c->out, c->proto, subs ? 4 : 3);
    conn_text(c, "summary");
    conn_text(c, row->summary);
    conn_text(c, "since");
    conn_text(c, row->since);
    conn_text(c, "group");
    conn_text(c, row->group);
    if (!subs)
        return;
    conn_text(c, "subcommands");
    resp_map(c->out, c->proto, subs);
    for (size_t i = 1; i <= subs; i++) {
        conn_text(c, row[i].name);
        resp_map(c->out, c->proto, 3);
        conn_text(c, "summary");
        conn_text(c, row[i].summary);
        conn_text(c, "since");
        conn_text(c, row[i].since);
        conn_text(c, "group");
        conn_text(c, row[i].group);
    }
}

void docs_docs(struct conn *c, const struct words *w)
{
    size_t n = 0;

    for (size_t i = 2; i < w->n; i++)
        n += find_named(c, word(w, i)) != NULL;
    resp_map(c->out, c->proto, w->n == 2 ? count_shown(c) : n);
    for (size_t i = 0; w->n == 2 && i < command_n_rows; i++)
        if (is_shown(c, &command_rows[i]))
            write_doc(c, &command_rows[i]);
    for (size_t i = 2; i < w->n; i++) {
        const struct command *row = find_named(c, word(w, i));
        if (row)
            write_doc(c, row);
    }
}

void docs_count(struct conn *c, const struct words *w)
{
    (void)w;
    conn_int(c, (int64_t)count_shown(c));
}

/* COMMAND LIST [FILTERBY PATTERN glob | MODULE name | ACLCAT category]; there are no modules, and no ACLs
 * here. */
void docs_list(struct conn *c, const struct words *w)
{
    bool by_pattern = w->n == 5 && word_is(w, 2, "filterby") && word_is(w, 3, "pattern");
    bool none =
        w->n == 5 && word_is(w, 2, "filterby") && (word_is(w, 3, "module") || word_is(w, 3, "aclcat"));
    size_t n = 0;

    if ((w->n != 2 && !by_pattern && !none) || (by_pattern && word(w, 4).n > WORDS_PATTERN_MAX)) {
        conn_error(c, CONN_SYNTAX_ERROR);
        return;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; !none && i < command_n_rows; i++) {
            const struct command *row = &command_rows[i];
            if (!is_shown(c, row) || (by_pattern && !words_match(word(w, 4), span_str(row->name))))
                continue;
            if (pass)
                conn_text(c, row->name);
            else
                n++;
        }
        if (!pass)
            resp_array(c->out, n);
    }
}

void docs_help(struct conn *c, const struct words *w)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands.",
        "LIST",
        "    Return a list of all commands.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "DOCS [<command-name> ...]",
        "    Return documentation about multiple commands.",
    };

    (void)w;
    resp_array(c->out, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        resp_simple(c->out, lines[i]);
}
