/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of clusterctl: general options, the verb, the verb's own words. General options may stand
 * before or behind the verb. Which options a verb takes is read from its row.
 */
#include "ctl.h"
#include "verb/verb.h"

#include "clusterd/util/bytes.h"
#include "clusterd/util/mem.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

static const struct verb *const verbs[] = {
    &verb_members, &verb_status, &verb_contexts, &verb_sessions, &verb_session, &verb_expire,
    &verb_leave,   &verb_config, &verb_ping,     &verb_version,  NULL};

enum { KEY_CONTEXT = 'c', KEY_MATCH = 'm', KEY_LIMIT = 'n', KEY_REVEAL = 0x100, KEY_TIMEOUT, KEY_VERSION };

/* What argp's callbacks fill. */
struct line {
    struct ctl *c;
    const struct verb *verb; /* NULL until its word was read */
    struct ctl_words words;
    int rest; /* index of the verb in argv */
};

static long parse_number(const char *text, long min, struct argp_state *state, const char *option)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text == 0 || *end || n < min || n > 1000000000)
        argp_error(state, "%s: must be a number, at least %ld", option, min);
    return n;
}

static error_t parse_general(int key, char *arg, struct argp_state *state)
{
    struct ctl *c = ((struct line *)state->input)->c;

    switch (key) {
    case 's':
        c->socket = arg;
        return 0;
    case 'j':
        c->json = true;
        return 0;
    case KEY_TIMEOUT:
        c->timeout_s = parse_number(arg, 1, state, "--timeout");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option general_options[] = {
    {"socket", 's', "PATH", 0, "Control socket of the daemon (" CTL_DEFAULT_SOCKET ")", 10},
    {"json", 'j', NULL, 0, "Write JSON, for programs", 10},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "How long to wait for an answer (10)", 10},
    {0}};
static const struct argp general = {general_options, parse_general, NULL, NULL, NULL, NULL, NULL};
static const struct argp_child children[] = {{&general, 0, NULL, 0}, {0}};

static error_t parse_of_verb(int key, char *arg, struct argp_state *state)
{
    struct line *l = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = l;
        return 0;
    case KEY_CONTEXT:
        l->words.context = arg;
        return 0;
    case KEY_MATCH:
        l->words.match = arg;
        return 0;
    case KEY_LIMIT:
        l->words.limit = parse_number(arg, 0, state, "--limit");
        return 0;
    case KEY_REVEAL:
        l->words.reveal = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!l->verb->takes_id || l->words.id)
            argp_error(state, "too many words: %s", arg);
        l->words.id = arg;
        return 0;
    case ARGP_KEY_END:
        if (l->verb->takes_id && !l->words.id)
            argp_error(state, "which session? Its whole id is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* argv from the verb on, with a name for usage lines in argv[0]. */
static void parse_verb(struct line *l, int argc, char **argv)
{
    struct argp_option options[5] = {{0}};
    size_t n = 0;

    if (l->verb->takes_context)
        options[n++] = (struct argp_option){"context", KEY_CONTEXT, "NAME", 0, "Only in this context", 1};
    if (l->verb->takes_match) {
        options[n++] =
            (struct argp_option){"match", KEY_MATCH, "GLOB", 0, "Only ids like this: * ? [a-z]", 1};
        options[n++] =
            (struct argp_option){"limit", KEY_LIMIT, "N", 0, "At most so many; 0 is all, the default", 1};
    }
    if (l->verb->takes_reveal)
        options[n++] = (struct argp_option){
            "reveal", KEY_REVEAL, NULL, 0, "Show whole session ids, and values: they are secrets", 1};
    char *doc = mem_printf("%s.\v%s", l->verb->doc, l->verb->more ? l->verb->more : "");
    struct argp parser = {
        n ? options : NULL, parse_of_verb, *l->verb->args ? l->verb->args : NULL, doc, children, NULL, NULL};
    char *name = mem_printf("clusterctl %s", l->verb->name);
    argv[0] = name;
    argp_parse(&parser, argc, argv, 0, NULL, l);
    mem_free(name);
    mem_free(doc);
}

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *const *v = verbs; *v; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
    return NULL;
}

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
    struct line *l = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = l;
        return 0;
    case ARGP_KEY_ARG:
        l->verb = find_verb(arg);
        if (!l->verb)
            argp_error(state, "there is no verb %s", arg);
        l->rest = state->next - 1;
        state->next = state->argc; /* what follows is the verb's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which verb? clusterctl --help lists them");
        return 0;
    case KEY_VERSION:
        printf("clusterctl %s\n", CLUSTERD_VERSION);
        exit(CTL_OK);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *main_doc(void)
{
    struct buf b = {0};

    wr_text(&b, "Talks to a running clusterd over its control socket.\vVerbs:\n");
    for (const struct verb *const *v = verbs; *v; v++)
        wr_printf(&b, "  %-9s %-3s %s\n", (*v)->name, (*v)->args, (*v)->doc);
    wr_text(&b, "\nclusterctl VERB --help tells more of each.\n\n"
                "Exit status: 0 it worked; 1 the answer is no (not found; for status: not complete); 2 the "
                "command line "
                "is wrong; 3 no daemon answers; 4 the daemon reported an error.");
    char *text = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return text;
}

static void parse_line(struct line *l, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"version", KEY_VERSION, NULL, 0, "Show the version of clusterctl", 11}, {0}};
    char *doc = main_doc();
    struct argp parser = {options, parse_main, "VERB [WORDS...]", doc, children, NULL, NULL};

    argp_err_exit_status = CTL_USAGE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, l);
    mem_free(doc);
    parse_verb(l, argc - l->rest, argv + l->rest);
}

int ctl_run(int argc, char **argv, FILE *out, FILE *err)
{
    struct ctl c = {.socket = CTL_DEFAULT_SOCKET, .timeout_s = CTL_DEFAULT_TIMEOUT_S, .out = out, .err = err};
    struct line l = {.c = &c};

    argv[0] = (char[]){"clusterctl"}; /* in messages, wherever the program lies */
    parse_line(&l, argc, argv);
    int status = l.verb->run(&c, &l.words);
    client_close(&c);
    if (fflush(out) != 0 && status == CTL_OK) {
        fprintf(err, "clusterctl: cannot write the answer\n");
        status = CTL_FAILED;
    }
    return status;
}
