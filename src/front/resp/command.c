/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands, and what happens to a request before its function runs: look-up, arity, password,
 * loading, in Redis' order and with Redis' texts (server.c: processCommand).
 */
#include "command.h"

#include "clusterd/util/log.h"
#include "handlers.h"

#define NAME_MAX_LEN  64
#define ARGS_TEXT_MAX 128 /* as in Redis */

#define W   COMMAND_WRITE
#define R   COMMAND_READ
#define OOM COMMAND_OOM
#define F   COMMAND_FAST
#define LD  COMMAND_LOADING
#define NA  COMMAND_NO_AUTH
#define ADM COMMAND_ADMIN
#define NS  COMMAND_NO_SCRIPT
#define CTL (COMMAND_CONTROL | COMMAND_ADMIN | COMMAND_LOADING)

/* clang-format off */
const struct command command_rows[] = {
    {"auth", -2, NS | LD | F | NA, 0, 0, 0, connection_auth, "connection", "1.0.0", "Authenticate to the server"},
    {"client", -2, LD, 0, 0, 0, NULL, "connection", "2.4.0", "A container for client connection commands"},
    {"client|getname", 2, NS | LD, 0, 0, 0, client_getname, "connection", "2.6.9", "Get the current connection name"},
    {"client|getredir", 2, NS | LD, 0, 0, 0, client_getredir, "connection", "6.0.0", "Get tracking notifications redirection client ID if any"},
    {"client|help", 2, LD, 0, 0, 0, client_help, "connection", "5.0.0", "Show helpful text about the different subcommands"},
    {"client|id", 2, NS | LD, 0, 0, 0, client_id, "connection", "5.0.0", "Returns the client ID for the current connection"},
    {"client|info", 2, NS | LD, 0, 0, 0, client_info, "connection", "6.2.0", "Returns information about the current client connection."},
    {"client|kill", -3, ADM | NS | LD, 0, 0, 0, client_kill, "connection", "2.4.0", "Kill the connection of a client"},
    {"client|list", -2, ADM | NS | LD, 0, 0, 0, client_list, "connection", "2.4.0", "Get the list of client connections"},
    {"client|maint_notifications", -3, NS | LD, 0, 0, 0, client_maint_notifications, "connection", "7.2.0", "Accepted and without effect: clusterd never moves endpoints"},
    {"client|no-evict", 3, ADM | NS | LD, 0, 0, 0, client_on_off, "connection", "7.0.0", "Set client eviction mode for the current connection"},
    {"client|no-touch", 3, NS | LD, 0, 0, 0, client_on_off, "connection", "7.2.0", "Controls whether commands sent by the client affect the LRU/LFU of accessed keys."},
    {"client|reply", 3, NS | LD, 0, 0, 0, client_reply, "connection", "3.2.0", "Instruct the server whether to reply to commands"},
    {"client|setinfo", 4, NS | LD, 0, 0, 0, client_setinfo, "connection", "7.2.0", "Sets information specific to the client or connection."},
    {"client|setname", 3, NS | LD, 0, 0, 0, client_setname, "connection", "2.6.9", "Set the current connection name"},
    {"clusterd", -2, CTL, 0, 0, 0, NULL, "server", "7.2.0", "A container for the operator's commands of clusterd"},
    {"clusterd|config", 2, CTL, 0, 0, 0, operator_config, "server", "7.2.0", "The effective configuration"},
    {"clusterd|contexts", 2, CTL, 0, 0, 0, operator_contexts, "server", "7.2.0", "The contexts that this node knows"},
    {"clusterd|expire", 4, CTL, 0, 0, 0, operator_expire, "server", "7.2.0", "End one session everywhere"},
    {"clusterd|help", 2, CTL, 0, 0, 0, operator_help, "server", "7.2.0", "Show helpful text about the different subcommands"},
    {"clusterd|leave", 2, CTL, 0, 0, 0, operator_leave, "server", "7.2.0", "Leave the cluster in order and end the process"},
    {"clusterd|members", 2, CTL, 0, 0, 0, operator_members, "server", "7.2.0", "The members of the cluster, as this node sees them"},
    {"clusterd|ping", 2, CTL, 0, 0, 0, operator_ping, "server", "7.2.0", "Answer PONG"},
    {"clusterd|session", -4, CTL, 0, 0, 0, inspect_session, "server", "7.2.0", "One session: its attributes, their types and writers"},
    {"clusterd|sessions", -2, CTL, 0, 0, 0, inspect_sessions, "server", "7.2.0", "A page of the sessions held here"},
    {"clusterd|status", 2, CTL, 0, 0, 0, operator_status, "server", "7.2.0", "Is this node complete, and what does it hold"},
    {"clusterd|version", 2, CTL, 0, 0, 0, operator_version, "server", "7.2.0", "The version of this clusterd"},
    {"command", -1, LD, 0, 0, 0, docs_command, "server", "2.8.13", "Get array of Redis command details"},
    {"command|count", 2, LD, 0, 0, 0, docs_count, "server", "2.8.13", "Get total number of Redis commands"},
    {"command|docs", -2, LD, 0, 0, 0, docs_docs, "server", "7.0.0", "Get array of specific Redis command documentation"},
    {"command|help", 2, LD, 0, 0, 0, docs_help, "server", "5.0.0", "Show helpful text about the different subcommands"},
    {"command|info", -2, LD, 0, 0, 0, docs_info, "server", "2.8.13", "Get array of specific Redis command details, or all when no argument is given."},
    {"command|list", -2, LD, 0, 0, 0, docs_list, "server", "7.0.0", "Get an array of Redis command names"},
    {"dbsize", 1, R | F, 0, 0, 0, scan_dbsize, "server", "1.0.0", "Return the number of keys in the selected database"},
    {"del", -2, W, 1, -1, 1, keys_del, "generic", "1.0.0", "Delete a key"},
    {"echo", 2, LD | F, 0, 0, 0, connection_echo, "connection", "1.0.0", "Echo the given string"},
    {"exists", -2, R | F, 1, -1, 1, keys_exists, "generic", "1.0.0", "Determine if a key exists"},
    {"expire", -3, W | F, 1, 1, 1, keys_expire, "generic", "1.0.0", "Set a key's time to live in seconds"},
    {"expireat", -3, W | F, 1, 1, 1, keys_expireat, "generic", "1.2.0", "Set the expiration for a key as a UNIX timestamp"},
    {"expiretime", 2, R | F, 1, 1, 1, keys_expiretime, "generic", "7.0.0", "Get the expiration Unix timestamp for a key"},
    {"get", 2, R | F, 1, 1, 1, strings_get, "string", "1.0.0", "Get the value of a key"},
    {"getdel", 2, W | F, 1, 1, 1, strings_getdel, "string", "6.2.0", "Get the value of a key and delete the key"},
    {"getex", -2, W | F, 1, 1, 1, strings_getex, "string", "6.2.0", "Get the value of a key and optionally set its expiration"},
    {"hdel", -3, W | F, 1, 1, 1, hashes_hdel, "hash", "2.0.0", "Delete one or more hash fields"},
    {"hello", -1, NS | LD | F | NA, 0, 0, 0, connection_hello, "connection", "6.0.0", "Handshake with Redis"},
    {"hexists", 3, R | F, 1, 1, 1, hashes_hexists, "hash", "2.0.0", "Determine if a hash field exists"},
    {"hget", 3, R | F, 1, 1, 1, hashes_hget, "hash", "2.0.0", "Get the value of a hash field"},
    {"hgetall", 2, R, 1, 1, 1, hashes_hgetall, "hash", "2.0.0", "Get all the fields and values in a hash"},
    {"hkeys", 2, R, 1, 1, 1, hashes_hkeys, "hash", "2.0.0", "Get all the fields in a hash"},
    {"hlen", 2, R | F, 1, 1, 1, hashes_hlen, "hash", "2.0.0", "Get the number of fields in a hash"},
    {"hmget", -3, R | F, 1, 1, 1, hashes_hmget, "hash", "2.0.0", "Get the values of all the given hash fields"},
    {"hmset", -4, W | OOM | F, 1, 1, 1, hashes_hmset, "hash", "2.0.0", "Set multiple hash fields to multiple values"},
    {"hset", -4, W | OOM | F, 1, 1, 1, hashes_hset, "hash", "2.0.0", "Set the string value of a hash field"},
    {"hsetnx", 4, W | OOM | F, 1, 1, 1, hashes_hsetnx, "hash", "2.0.0", "Set the value of a hash field, only if the field does not exist"},
    {"hstrlen", 3, R | F, 1, 1, 1, hashes_hstrlen, "hash", "3.2.0", "Get the length of the value of a hash field"},
    {"hvals", 2, R, 1, 1, 1, hashes_hvals, "hash", "2.0.0", "Get all the values in a hash"},
    {"info", -1, LD, 0, 0, 0, info_info, "server", "1.0.0", "Get information and statistics about the server"},
    {"mget", -2, R | F, 1, -1, 1, strings_mget, "string", "1.0.0", "Get the values of all the given keys"},
    {"persist", 2, W | F, 1, 1, 1, keys_persist, "generic", "2.2.0", "Remove the expiration from a key"},
    {"pexpire", -3, W | F, 1, 1, 1, keys_pexpire, "generic", "2.6.0", "Set a key's time to live in milliseconds"},
    {"pexpireat", -3, W | F, 1, 1, 1, keys_pexpireat, "generic", "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds"},
    {"pexpiretime", 2, R | F, 1, 1, 1, keys_pexpiretime, "generic", "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds"},
    {"ping", -1, LD | F, 0, 0, 0, connection_ping, "connection", "1.0.0", "Ping the server"},
    {"psetex", 4, W | OOM, 1, 1, 1, strings_psetex, "string", "2.6.0", "Set the value and expiration in milliseconds of a key"},
    {"pttl", 2, R | F, 1, 1, 1, keys_pttl, "generic", "2.6.0", "Get the time to live for a key in milliseconds"},
    {"quit", -1, NS | LD | F | NA, 0, 0, 0, connection_quit, "connection", "1.0.0", "Close the connection"},
    {"rename", 3, W, 1, 2, 1, keys_rename, "generic", "1.0.0", "Rename a key"},
    {"renamenx", 3, W | F, 1, 2, 1, keys_renamenx, "generic", "1.0.0", "Rename a key, only if the new key does not exist"},
    {"reset", 1, NS | LD | F | NA, 0, 0, 0, connection_reset, "connection", "6.2.0", "Reset the connection"},
    {"scan", -2, R, 0, 0, 0, scan_scan, "generic", "2.8.0", "Incrementally iterate the keys space"},
    {"select", 2, LD | F, 0, 0, 0, connection_select, "connection", "1.0.0", "Change the selected database for the current connection"},
    {"set", -3, W | OOM, 1, 1, 1, strings_set, "string", "1.0.0", "Set the string value of a key"},
    {"setex", 4, W | OOM, 1, 1, 1, strings_setex, "string", "2.0.0", "Set the value and expiration of a key"},
    {"setnx", 3, W | OOM | F, 1, 1, 1, strings_setnx, "string", "1.0.0", "Set the value of a key, only if the key does not exist"},
    {"strlen", 2, R | F, 1, 1, 1, strings_strlen, "string", "2.2.0", "Get the length of the value stored in a key"},
    {"touch", -2, R | F, 1, -1, 1, keys_exists, "generic", "3.2.1", "Alters the last access time of a key(s). Returns the number of existing keys specified."},
    {"ttl", 2, R | F, 1, 1, 1, keys_ttl, "generic", "1.0.0", "Get the time to live for a key in seconds"},
    {"type", 2, R | F, 1, 1, 1, keys_type, "generic", "1.0.0", "Determine the type stored at key"},
    {"unlink", -2, W | F, 1, -1, 1, keys_del, "generic", "4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking."},
};
/* clang-format on */
const size_t command_n_rows = sizeof command_rows / sizeof *command_rows;

static struct span row_key(const void *item)
{
    return span_str(((const struct command *)item)->name);
}

void command_index(struct htab *t)
{
    htab_init(t, row_key);
    for (size_t i = 0; i < command_n_rows; i++)
        htab_put(t, (void *)(uintptr_t)&command_rows[i]);
}

/* Appends a word in lower case; false when it is no part of any name. */
static bool add_lower(char name[NAME_MAX_LEN], size_t *n, struct span s)
{
    if (s.n > NAME_MAX_LEN - *n || (s.n && memchr(s.p, '|', s.n)))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        name[(*n)++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return true;
}

bool command_is_sub(const struct command *row, const struct command *of)
{
    size_t n = strlen(of->name);

    return strncmp(row->name, of->name, n) == 0 && row->name[n] == '|';
}

/* Rows stand in order, so subcommands follow their parent. */
static bool has_subs(const struct command *row)
{
    return row + 1 < command_rows + command_n_rows && command_is_sub(row + 1, row);
}

const struct command *command_find(const struct htab *t, const struct words *w, size_t at,
                                   const struct command **parent)
{
    char name[NAME_MAX_LEN];
    size_t n = 0;

    if (parent)
        *parent = NULL;
    if (!add_lower(name, &n, word(w, at)))
        return NULL;
    const struct command *row = htab_find(t, span_of(name, n));
    if (!row || !has_subs(row) || at + 1 == w->n)
        return row;
    if (parent)
        *parent = row;
    if (n == NAME_MAX_LEN)
        return NULL;
    name[n++] = '|';
    return add_lower(name, &n, word(w, at + 1)) ? htab_find(t, span_of(name, n)) : NULL;
}

/* At most `max` bytes of the word, as C prints it: up to its first NUL. */
static void add_text(struct buf *b, struct span s, size_t max)
{
    wr_bytes(b, s.p, strnlen((const char *)s.p, s.n < max ? s.n : max));
}

static void report_unknown(struct conn *c, struct span name)
{
    char shown[64], peer[ADDR_TEXT_MAX + 8];

    metric_inc(c->front->metrics, commands_unknown);
    log_limited(loop_mono_ms(c->worker->loop), LOG_WARN, "Front door: unknown command '%s' from %s",
                log_printable(shown, sizeof shown, name), conn_peer_text(c, peer));
}

static void unknown_command(struct conn *c, const struct words *w)
{
    struct buf text = {0}, args = {0};

    report_unknown(c, word(w, 0));
    for (size_t i = 1; i < w->n && args.n < ARGS_TEXT_MAX; i++) {
        size_t room = ARGS_TEXT_MAX - args.n;
        wr_text(&args, "'");
        add_text(&args, word(w, i), room);
        wr_text(&args, "' ");
    }
    wr_text(&text, "ERR unknown command '");
    add_text(&text, word(w, 0), 128);
    wr_text(&text, "', with args beginning with: ");
    wr_span(&text, buf_span(&args));
    conn_error(c, buf_cstr(&text));
    buf_fini(&text);
    buf_fini(&args);
}

static void unknown_subcommand(struct conn *c, const struct words *w, const struct command *parent)
{
    struct buf text = {0};
    char upper[NAME_MAX_LEN];
    size_t n = 0;

    report_unknown(c, word(w, 1));
    for (; parent->name[n]; n++)
        upper[n] = (char)(parent->name[n] & ~0x20);
    wr_text(&text, "ERR unknown subcommand '");
    add_text(&text, word(w, 1), 128);
    wr_printf(&text, "'. Try %.*s HELP.", (int)n, upper);
    conn_error(c, buf_cstr(&text));
    buf_fini(&text);
}

void command_arity_error(struct conn *c, const struct command *row)
{
    resp_errorf(c->out, "ERR wrong number of arguments for '%s' command", row->name);
}

static bool has_arity(const struct command *row, size_t n)
{
    return row->arity > 0 ? n == (size_t)row->arity : n >= (size_t)-row->arity;
}

/* A web page can make a browser send an HTTP request here: end it before its body is taken for commands. */
static bool is_http(const struct words *w)
{
    return word_is(w, 0, "post") || word_is(w, 0, "host:");
}

void command_run(struct conn *c, const struct words *w)
{
    const struct command *parent, *row = command_find(&c->front->commands, w, 0, &parent);

    c->commands++;
    if ((row && (row->flags & COMMAND_CONTROL) && !c->door->is_control) ||
        (parent && (parent->flags & COMMAND_CONTROL) && !c->door->is_control))
        row = parent = NULL;
    if (row)
        c->last = row;
    if (!row && !parent && is_http(w)) {
        report_unknown(c, word(w, 0));
        conn_kill(c);
    } else if (!row && parent) {
        unknown_subcommand(c, w, parent);
    } else if (!row) {
        unknown_command(c, w);
    } else if (!has_arity(row, w->n)) {
        command_arity_error(c, row);
    } else if (!c->authenticated && !(row->flags & COMMAND_NO_AUTH)) {
        conn_error(c, "NOAUTH Authentication required.");
    } else if (!(row->flags & COMMAND_LOADING) &&
               atomic_load_explicit(&c->front->loading, memory_order_relaxed)) {
        conn_error(c, "LOADING Redis is loading the dataset in memory");
    } else {
        row->fn(c, w);
    }
}
