/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLIENT and its subcommands, as far as clients send them at set-up and people use them: names, CLIENT LIST
 * and KILL over all workers. Texts are Redis' (networking.c: clientCommand).
 */
#include "client.h"

#include "clusterd/util/mem.h"
#include "command.h"
#include "handlers.h"
#include "tour.h"

#include <stdio.h>

#define MAX_IDS 1024 /* in CLIENT LIST ID ... */

bool client_is_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~')
            return false;
    return true;
}

void client_set(char **field, struct span s)
{
    mem_free(*field);
    *field = s.n ? mem_strndup((const char *)s.p, s.n) : NULL;
}

void client_setname(struct conn *c, const struct words *w)
{
    if (!client_is_name(word(w, 2))) {
        conn_error(c, CLIENT_BAD_NAME);
        return;
    }
    client_set(&c->name, word(w, 2));
    conn_ok(c);
}

void client_getname(struct conn *c, const struct words *w)
{
    (void)w;
    if (c->name)
        conn_text(c, c->name);
    else
        conn_null(c);
}

void client_setinfo(struct conn *c, const struct words *w)
{
    bool is_name = word_is(w, 2, "lib-name");
    struct span option = word(w, 2);

    if (!is_name && !word_is(w, 2, "lib-ver")) {
        resp_errorf(c->out, "ERR Unrecognized option '%.*s'", (int)(option.n < 128 ? option.n : 128),
                    (const char *)option.p);
    } else if (!client_is_name(word(w, 3))) {
        resp_errorf(c->out, "ERR %s cannot contain spaces, newlines or special characters.",
                    is_name ? "lib-name" : "lib-ver");
    } else {
        client_set(is_name ? &c->lib_name : &c->lib_version, word(w, 3));
        conn_ok(c);
    }
}

void client_id(struct conn *c, const struct words *w)
{
    (void)w;
    conn_int(c, (int64_t)c->id);
}

void client_getredir(struct conn *c, const struct words *w)
{
    (void)w;
    conn_int(c, -1);
}

void client_on_off(struct conn *c, const struct words *w)
{
    if (word_is(w, 2, "on") || word_is(w, 2, "off"))
        conn_ok(c);
    else
        conn_error(c, CONN_SYNTAX_ERROR);
}

/* node-redis 6 and redis-py 8 ask for notices of endpoints that move. There are none, so the promise is kept.
 */
void client_maint_notifications(struct conn *c, const struct words *w)
{
    (void)w;
    conn_ok(c);
}

void client_reply(struct conn *c, const struct words *w)
{
    if (word_is(w, 2, "on")) {
        c->reply = CONN_REPLY_ON;
        conn_ok(c);
    } else if (word_is(w, 2, "off")) {
        c->reply = CONN_REPLY_OFF;
    } else if (word_is(w, 2, "skip")) {
        if (c->reply == CONN_REPLY_ON)
            c->reply = CONN_REPLY_SKIP_NEXT;
    } else {
        conn_error(c, CONN_SYNTAX_ERROR);
    }
}

void client_help(struct conn *c, const struct words *w)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port> | <option> <value> [<option> <value> [...]]",
        "    Kill connections by ADDR, LADDR, TYPE, USER, ID, SKIPME.",
        "LIST [TYPE <normal|...>] [ID <client-id> ...]",
        "    Return information about client connections.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETINFO <LIB-NAME|LIB-VER> <value>",
        "    Tell which library the client uses.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
    };

    (void)w;
    resp_array(c->out, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        resp_simple(c->out, lines[i]);
}

static const char *text_or_empty(const char *s)
{
    return s ? s : "";
}

/* One line of CLIENT LIST. What has no meaning here stands at what an idle Redis client shows. */
static void add_line(struct buf *b, const struct conn *c)
{
    char peer[ADDR_TEXT_MAX + 8], local[ADDR_TEXT_MAX + 8];
    uint64_t now = loop_mono_ms(c->worker->loop);
    char flags[8];
    size_t n = 0;

    if (c->door->is_unix)
        snprintf(local, sizeof local, "%s:0", c->local.path);
    else
        addr_text(&c->local, local);
    if (!link_is_alone(&c->pending))
        flags[n++] = 'b';
    if (c->closing)
        flags[n++] = 'c';
    if (c->door->is_unix)
        flags[n++] = 'U';
    if (n == 0)
        flags[n++] = 'N';
    wr_printf(
        b,
        "id=%llu addr=%s laddr=%s fd=0 name=%s age=%llu idle=%llu flags=%.*s db=%u sub=0 psub=0 ssub=0 "
        "multi=-1 "
        "qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=%zu oll=0 omem=%zu tot-mem=%zu events=r "
        "cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
        (unsigned long long)c->id, conn_peer_text(c, peer), local, text_or_empty(c->name),
        (unsigned long long)(now - c->created_ms) / 1000, (unsigned long long)(now - c->active_ms) / 1000,
        (int)n, flags, c->db, c->held.n, stream_queued(c->stream),
        sizeof *c + c->held.cap + stream_queued(c->stream), c->last ? c->last->name : "NULL", c->proto,
        text_or_empty(c->lib_name), text_or_empty(c->lib_version));
}

void client_info(struct conn *c, const struct words *w)
{
    struct buf line = {0};

    (void)w;
    add_line(&line, c);
    resp_verbatim(c->out, c->proto, "txt", buf_span(&line));
    buf_fini(&line);
}

/* --- CLIENT LIST and CLIENT KILL: a tour with a filter --- */

struct client_tour {
    struct tour tour;
    /* Filter. */
    uint64_t *ids; /* NULL: any */
    size_t n_ids;
    char *addr, *laddr; /* NULL: any */
    bool nobody;        /* a TYPE or USER that nobody has */
    uint64_t not_id;    /* SKIPME; 0: none */
    /* Result. */
    struct buf text;
    int64_t killed;
    bool old_style;
};

static bool is_wanted(const struct client_tour *t, const struct conn *c)
{
    char text[ADDR_TEXT_MAX + 8];
    bool found = !t->ids;

    if (!c->stream || t->nobody || c->id == t->not_id)
        return false;
    for (size_t i = 0; i < t->n_ids; i++)
        found |= t->ids[i] == c->id;
    if (!found || (t->addr && strcmp(t->addr, conn_peer_text(c, text)) != 0))
        return false;
    return !t->laddr || strcmp(t->laddr, addr_text(&c->local, text)) == 0;
}

static void list_visit(struct tour *tour, struct front_worker *w)
{
    struct client_tour *t = (struct client_tour *)tour;

    LINK_EACH(l, &w->conns)
    {
        const struct conn *c = CONTAINER_OF(l, struct conn, link);
        if (is_wanted(t, c))
            add_line(&t->text, c);
    }
}

static void kill_visit(struct tour *tour, struct front_worker *w)
{
    struct client_tour *t = (struct client_tour *)tour;

    LINK_EACH_SAFE(l, &w->conns)
    {
        struct conn *c = CONTAINER_OF(l, struct conn, link);
        if (is_wanted(t, c) && !c->closing) {
            conn_close(c);
            t->killed++;
        }
    }
}

static void free_tour(struct client_tour *t)
{
    mem_free(t->ids);
    mem_free(t->addr);
    mem_free(t->laddr);
    buf_fini(&t->text);
    mem_free(t);
}

static void list_end(struct tour *tour, bool gone)
{
    struct client_tour *t = (struct client_tour *)tour;
    struct conn *c = tour->conn;

    if (!gone)
        resp_verbatim(c->out, c->proto, "txt", buf_span(&t->text));
    free_tour(t);
}

static void kill_end(struct tour *tour, bool gone)
{
    struct client_tour *t = (struct client_tour *)tour;
    struct conn *c = tour->conn;

    if (gone)
        ;
    else if (!t->old_style)
        conn_int(c, t->killed);
    else if (t->killed)
        conn_ok(c);
    else
        conn_error(c, "ERR No such client");
    free_tour(t);
}

/* Of Redis' types only "normal" occurs here. */
static bool parse_type(struct conn *c, struct client_tour *t, struct span type)
{
    static const char *const others[] = {"master", "replica", "slave", "pubsub"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        t->nobody |= span_is_nocase(type, others[i]);
    if (t->nobody || span_is_nocase(type, "normal"))
        return true;
    resp_errorf(c->out, "ERR Unknown client type '%.*s'", (int)(type.n < 128 ? type.n : 128),
                (const char *)type.p);
    return false;
}

static bool parse_list(struct conn *c, const struct words *w, struct client_tour *t)
{
    if (w->n == 4 && word_is(w, 2, "type"))
        return parse_type(c, t, word(w, 3));
    if (w->n > 3 && w->n - 3 <= MAX_IDS && word_is(w, 2, "id")) {
        t->ids = mem_array(w->n - 3, sizeof *t->ids);
        for (size_t i = 3; i < w->n; i++) {
            int64_t id = 0;
            if (!words_i64(word(w, i), &id)) {
                conn_error(c, "ERR Invalid client ID");
                return false;
            }
            t->ids[t->n_ids++] = (uint64_t)id;
        }
        return true;
    }
    if (w->n == 2)
        return true;
    conn_error(c, CONN_SYNTAX_ERROR);
    return false;
}

void client_list(struct conn *c, const struct words *w)
{
    struct client_tour *t = MEM_NEW(struct client_tour);

    t->tour.visit = list_visit;
    t->tour.end = list_end;
    if (parse_list(c, w, t))
        tour_start(&t->tour, c);
    else
        free_tour(t);
}

static bool parse_kill_id(struct conn *c, struct client_tour *t, struct span text)
{
    int64_t id = 0;

    if (!words_i64(text, &id) || id < 1) {
        conn_error(c, "ERR client-id should be greater than 0");
        return false;
    }
    mem_free(t->ids);
    t->ids = mem_array(1, sizeof *t->ids);
    t->ids[0] = (uint64_t)id;
    t->n_ids = 1;
    return true;
}

static bool parse_kill_option(struct conn *c, const struct words *w, size_t i, struct client_tour *t)
{
    struct span value = word(w, i + 1);

    if (word_is(w, i, "id"))
        return parse_kill_id(c, t, value);
    if (word_is(w, i, "type"))
        return parse_type(c, t, value);
    if (word_is(w, i, "addr")) {
        client_set(&t->addr, value);
        return true;
    }
    if (word_is(w, i, "laddr")) {
        client_set(&t->laddr, value);
        return true;
    }
    if (word_is(w, i, "user") && span_eq(value, SPAN_LIT("default")))
        return true;
    if (word_is(w, i, "user")) {
        resp_errorf(c->out, "ERR No such user '%.*s'", (int)(value.n < 128 ? value.n : 128),
                    (const char *)value.p);
        return false;
    }
    if (word_is(w, i, "skipme") && (span_is_nocase(value, "yes") || span_is_nocase(value, "no"))) {
        t->not_id = span_is_nocase(value, "yes") ? c->id : 0;
        return true;
    }
    conn_error(c, CONN_SYNTAX_ERROR);
    return false;
}

static bool parse_kill(struct conn *c, const struct words *w, struct client_tour *t)
{
    if (w->n == 3) {
        t->old_style = true;
        client_set(&t->addr, word(w, 2));
        t->nobody = word(w, 2).n == 0;
        return true;
    }
    t->not_id = c->id;
    for (size_t i = 2; i < w->n; i += 2) {
        if (i + 1 == w->n) {
            conn_error(c, CONN_SYNTAX_ERROR);
            return false;
        }
        if (!parse_kill_option(c, w, i, t))
            return false;
    }
    return true;
}

void client_kill(struct conn *c, const struct words *w)
{
    struct client_tour *t = MEM_NEW(struct client_tour);

    t->tour.visit = kill_visit;
    t->tour.end = kill_end;
    if (parse_kill(c, w, t))
        tour_start(&t->tour, c);
    else
        free_tour(t);
}
