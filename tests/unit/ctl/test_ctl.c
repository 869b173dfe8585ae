/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl against a daemon that is not there: a thread on a unix socket that speaks RESP, checks each
 * question word for word and gives a prepared answer. What is checked: the words sent, what is printed for
 * people and for programs, and the exit status.
 */
#include "../../../src/ctl/ctl.h"

#include "clusterd/util/mem.h"
#include "clusterd/wire/resp.h"
#include "support/suite.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STEPS_MAX 16

enum then { THEN_GO_ON, THEN_CLOSE, THEN_HANG };

struct fake {
    char dir[64], path[80];
    int listener;
    pthread_t thread;
    struct {
        const char *question; /* words joined by blanks */
        struct buf answer;
        enum then then;
    } steps[STEPS_MAX];
    size_t n, asked;
    struct buf trouble; /* what was asked in another way than expected */
};

static void expect(struct fake *f, const char *question, enum then then)
{
    ck_assert_uint_lt(f->n, STEPS_MAX);
    f->steps[f->n].question = question;
    f->steps[f->n++].then = then;
}

/* The answer to the last question added. */
static struct buf *answer(struct fake *f)
{
    return &f->steps[f->n - 1].answer;
}

static struct buf *question(struct fake *f, const char *words)
{
    expect(f, words, THEN_GO_ON);
    return answer(f);
}

static void start(struct fake *f)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    *f = (struct fake){.dir = "/tmp/clusterd-ctl.XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/s", f->dir);
    memcpy(at.sun_path, f->path, strlen(f->path) + 1);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(f->listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(f->listener, 4), 0);
}

static void check_words(struct fake *f, struct resp_parser *p, struct span in, const char *want)
{
    struct buf got = {0};

    for (size_t i = 0; i < resp_count(p); i++) {
        wr_text(&got, i ? " " : "");
        wr_span(&got, resp_word(p, in, i));
    }
    if (strcmp(buf_cstr(&got), want) != 0)
        wr_printf(&f->trouble, "asked \"%s\", expected \"%s\"\n", buf_cstr(&got), want);
    buf_fini(&got);
}

static bool read_question(int fd, struct buf *in, struct resp_parser *p)
{
    char block[4096];

    while (resp_parse(p, buf_span(in)) != ERR_OK) {
        ssize_t n = read(fd, block, sizeof block);
        if (n <= 0)
            return false;
        wr_bytes(in, block, (size_t)n);
    }
    return true;
}

static void serve_steps(struct fake *f, int fd)
{
    struct resp_parser p;
    struct buf in = {0};
    struct resp_limits limits = RESP_LIMITS_DEFAULT;

    resp_init(&p, &limits);
    while (f->asked < f->n && read_question(fd, &in, &p)) {
        size_t step = f->asked++;
        check_words(f, &p, buf_span(&in), f->steps[step].question);
        buf_consume(&in, p.used);
        resp_next(&p);
        struct buf *a = &f->steps[step].answer;
        if (a->n && write(fd, a->p, a->n) != (ssize_t)a->n)
            wr_text(&f->trouble, "the answer was not taken\n");
        if (f->steps[step].then == THEN_CLOSE)
            break;
        if (f->steps[step].then == THEN_HANG)
            while (read(fd, &(char){0}, 1) > 0)
                ;
    }
    resp_fini(&p);
    buf_fini(&in);
}

static void *serve(void *arg)
{
    struct fake *f = arg;
    int fd = accept(f->listener, NULL, NULL);

    if (fd >= 0) {
        serve_steps(f, fd);
        close(fd);
    }
    return NULL;
}

struct result {
    int status;
    char *out, *err;
};

static void result_free(struct result *r)
{
    free(r->out);
    free(r->err);
}

/* clusterctl --socket PATH and the words of `line`. */
static struct result ctl_at(const char *path, const char *line)
{
    char *words = mem_strdup(line), *save = NULL, *argv[16] = {"clusterctl", "--socket", (char *)path};
    int argc = 3;
    struct result r = {0};
    size_t n_out, n_err;
    FILE *out = open_memstream(&r.out, &n_out), *err = open_memstream(&r.err, &n_err);

    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    r.status = ctl_run(argc, argv, out, err);
    fclose(out);
    fclose(err);
    mem_free(words);
    return r;
}

/* The same against the prepared daemon, which must have been asked exactly what it expected. */
static struct result ctl(struct fake *f, const char *line)
{
    ck_assert_int_eq(pthread_create(&f->thread, NULL, serve, f), 0);
    struct result r = ctl_at(f->path, line);
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    unlink(f->path);
    rmdir(f->dir);
    ck_assert_str_eq(buf_cstr(&f->trouble), "");
    ck_assert_uint_eq(f->asked, f->n);
    buf_fini(&f->trouble);
    for (size_t i = 0; i < f->n; i++)
        buf_fini(&f->steps[i].answer);
    return r;
}

static void text(struct buf *b, const char *s)
{
    resp_bulk(b, span_str(s));
}

static void pair(struct buf *b, const char *name, const char *value)
{
    text(b, name);
    if (value)
        text(b, value);
    else
        resp_null(b, 2);
}

static void pair_int(struct buf *b, const char *name, int64_t value)
{
    text(b, name);
    resp_int(b, value);
}

static void member(struct buf *b, const char *name, const char *host, int port, const char *state,
                   bool tomcat)
{
    resp_map(b, 2, 17);
    pair(b, "name", name);
    pair(b, "host", host);
    pair_int(b, "port", port);
    pair_int(b, "alive", 61000);
    pair(b, "state", state);
    pair_int(b, "suspect", 0);
    pair_int(b, "lagging", 0);
    text(b, "complete");
    if (tomcat)
        resp_null(b, 2);
    else
        resp_int(b, 1);
    pair(b, "id", "0102030405060708090a0b0c0d0e0f10");
    pair(b, "domain", "");
    pair(b, "kind", tomcat ? "tomcat" : "clusterd");
    pair_int(b, "clusterd_version", tomcat ? 0 : 1);
    pair_int(b, "queued_bytes", 2048);
    pair_int(b, "queued_messages", 3);
    pair(b, "clock_offset_ms", NULL);
    pair_int(b, "heard_ms", 250);
    pair_int(b, "of_tomorrow", 7);
}

static void two_members(struct buf *b)
{
    resp_array(b, 2);
    member(b, "127.0.0.1:4001", "127.0.0.1", 4001, "self", false);
    member(b, "127.0.0.1:4002", "127.0.0.1", 4002, "suspect", true);
}

START_TEST(members_as_a_table)
{
    struct fake f;

    start(&f);
    two_members(question(&f, "CLUSTERD MEMBERS"));
    struct result r = ctl(&f, "members");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.err, "");
    ck_assert_str_eq(
        r.out, "NAME            STATE    KIND      COMPLETE  ALIVE  HEARD  QUEUED  BYTES  CLOCK  DOMAIN  ID\n"
               "127.0.0.1:4001  self     clusterd  yes       1m 1s  250ms  3       2.0K   -              "
               "0102030405060708090a0b0c0d0e0f10\n"
               "127.0.0.1:4002  suspect  tomcat    -         1m 1s  250ms  3       2.0K   -              "
               "0102030405060708090a0b0c0d0e0f10\n");
    result_free(&r);
}
END_TEST

START_TEST(members_as_json)
{
    struct fake f;

    start(&f);
    two_members(question(&f, "CLUSTERD MEMBERS"));
    struct result r = ctl(&f, "members --json");
    ck_assert_int_eq(r.status, CTL_OK);
    json_t *list = json_loads(r.out, 0, NULL);
    ck_assert(json_is_array(list));
    ck_assert_uint_eq(json_array_size(list), 2);
    json_t *tomcat = json_array_get(list, 1);
    ck_assert_str_eq(json_string_value(json_object_get(tomcat, "host")), "127.0.0.1");
    ck_assert_int_eq(json_integer_value(json_object_get(tomcat, "port")), 4002);
    ck_assert_int_eq(json_integer_value(json_object_get(tomcat, "alive")), 61000);
    ck_assert_str_eq(json_string_value(json_object_get(tomcat, "state")), "suspect");
    ck_assert_str_eq(json_string_value(json_object_get(tomcat, "id")), "0102030405060708090a0b0c0d0e0f10");
    ck_assert(json_is_null(json_object_get(tomcat, "complete")));
    ck_assert(json_is_true(json_object_get(json_array_get(list, 0), "complete")));
    ck_assert(json_is_false(json_object_get(tomcat, "lagging")));
    ck_assert_int_eq(json_integer_value(json_object_get(tomcat, "of_tomorrow")), 7);
    json_decref(list);
    result_free(&r);
}
END_TEST

static void a_status(struct buf *b, bool complete)
{
    resp_map(b, 2, 6);
    pair(b, "name", "127.0.0.1:4001");
    pair_int(b, "complete", complete);
    pair(b, "why", complete ? "" : "asking for localhost#/app");
    pair_int(b, "uptime_s", 90061);
    text(b, "daemon");
    resp_map(b, 2, 1);
    pair(b, "pid", "17");
    text(b, "counters");
    resp_map(b, 2, 1);
    pair_int(b, "frames_received", 12);
}

START_TEST(status_tells_completeness_by_its_exit_status)
{
    struct fake f;

    start(&f);
    a_status(question(&f, "CLUSTERD STATUS"), true);
    struct result r = ctl(&f, "status");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.out, "node                 127.0.0.1:4001\n"
                            "complete             yes\n"
                            "up for               1d 1h\n"
                            "daemon:\n"
                            "  pid                          17\n"
                            "counters:\n"
                            "  frames_received              12\n");
    result_free(&r);

    start(&f);
    a_status(question(&f, "CLUSTERD STATUS"), false);
    r = ctl(&f, "status");
    ck_assert_int_eq(r.status, CTL_NO);
    ck_assert_ptr_nonnull(strstr(r.out, "complete             no\n"));
    ck_assert_ptr_nonnull(strstr(r.out, "asking for localhost#/app"));
    result_free(&r);

    start(&f);
    a_status(question(&f, "CLUSTERD STATUS"), false);
    r = ctl(&f, "--json status");
    ck_assert_int_eq(r.status, CTL_NO);
    json_t *j = json_loads(r.out, 0, NULL);
    ck_assert(json_is_false(json_object_get(j, "complete")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "counters"), "frames_received")),
                     12);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "daemon"), "pid")), "17");
    json_decref(j);
    result_free(&r);
}
END_TEST

static void contexts(struct buf *b, const char *one, const char *two)
{
    resp_array(b, two ? 2 : 1);
    resp_map(b, 2, 3);
    pair(b, "name", one);
    pair_int(b, "sessions", 5);
    pair(b, "key_prefix", "app:");
    if (!two)
        return;
    resp_map(b, 2, 3);
    pair(b, "name", two);
    pair_int(b, "sessions", 0);
    pair(b, "key_prefix", NULL);
}

START_TEST(contexts_as_a_table)
{
    struct fake f;

    start(&f);
    contexts(question(&f, "CLUSTERD CONTEXTS"), "localhost#/app", "localhost#");
    struct result r = ctl(&f, "contexts");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_ptr_nonnull(strstr(r.out, "localhost#/app  5         "));
    ck_assert_ptr_nonnull(strstr(r.out, "localhost#      0         "));
    result_free(&r);
}
END_TEST

static void page(struct buf *b, const char *cursor, size_t first, size_t n)
{
    char id[32];

    resp_array(b, 2);
    text(b, cursor);
    resp_array(b, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof id, "S%zu", first + i);
        resp_map(b, 2, 4);
        pair(b, "context", "localhost#/app");
        pair(b, "id", id);
        pair_int(b, "bytes", 1024);
        pair(b, "principal", NULL);
    }
}

START_TEST(sessions_follow_the_cursor)
{
    struct fake f;

    start(&f);
    page(question(&f, "CLUSTERD SESSIONS CURSOR 0 COUNT 1000"), "17", 0, 2);
    page(question(&f, "CLUSTERD SESSIONS CURSOR 17 COUNT 1000"), "4", 2, 0);
    page(question(&f, "CLUSTERD SESSIONS CURSOR 4 COUNT 1000"), "0", 2, 1);
    struct result r = ctl(&f, "sessions");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_ptr_nonnull(strstr(r.out, "\nlocalhost#/app  S0  -     "));
    ck_assert_ptr_nonnull(strstr(r.out, "\nlocalhost#/app  S2  -     "));
    ck_assert_ptr_eq(strstr(strstr(r.out, "CONTEXT") + 1, "CONTEXT"), NULL);
    result_free(&r);
}
END_TEST

START_TEST(sessions_with_all_options)
{
    struct fake f;

    start(&f);
    page(question(&f, "CLUSTERD SESSIONS CONTEXT c MATCH a* CURSOR 0 COUNT 1000 REVEAL"), "9", 0, 3);
    page(question(&f, "CLUSTERD SESSIONS CONTEXT c MATCH a* CURSOR 9 COUNT 1000 REVEAL"), "8", 3, 3);
    struct result r = ctl(&f, "sessions --context c --match a* --limit 5 --reveal --json");
    ck_assert_int_eq(r.status, CTL_OK);
    json_t *list = json_loads(r.out, 0, NULL);
    ck_assert_uint_eq(json_array_size(list), 5);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 4), "id")), "S4");
    ck_assert(json_is_null(json_object_get(json_array_get(list, 4), "principal")));
    json_decref(list);
    result_free(&r);

    start(&f);
    page(question(&f, "CLUSTERD SESSIONS CURSOR 0 COUNT 1000"), "0", 0, 0);
    r = ctl(&f, "sessions --json");
    ck_assert_str_eq(r.out, "[]\n");
    result_free(&r);
}
END_TEST

START_TEST(sessions_of_an_unknown_context)
{
    struct fake f;

    start(&f);
    resp_error(question(&f, "CLUSTERD SESSIONS CONTEXT c CURSOR 0 COUNT 1000"), "ERR no such context");
    struct result r = ctl(&f, "sessions -c c");
    ck_assert_int_eq(r.status, CTL_NO);
    ck_assert_str_eq(r.err, "clusterctl: no such context\n");
    result_free(&r);
}
END_TEST

static void a_session(struct buf *b, const char *value)
{
    resp_map(b, 2, 4);
    pair(b, "context", "localhost#/app");
    pair(b, "id", "0123456789");
    pair_int(b, "created_ms", 1700000000000);
    text(b, "entries");
    resp_array(b, 1);
    resp_map(b, 2, 6);
    pair(b, "name", "cart");
    pair(b, "type", "attribute");
    pair(b, "class", "java.lang.String");
    pair_int(b, "size", 12);
    pair(b, "writer", "local");
    pair(b, "value", value);
}

START_TEST(session_is_looked_for_in_each_context)
{
    struct fake f;

    start(&f);
    contexts(question(&f, "CLUSTERD CONTEXTS"), "localhost#/app", "localhost#/web");
    resp_error(question(&f, "CLUSTERD SESSION localhost#/app 0123456789"), "ERR no such session");
    a_session(question(&f, "CLUSTERD SESSION localhost#/web 0123456789"), NULL);
    a_session(question(&f, "CLUSTERD SESSION localhost#/web 0123456789"), NULL);
    struct result r = ctl(&f, "session 0123456789");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.err, "");
    ck_assert_ptr_nonnull(strstr(r.out, "entries:\nTYPE       NAME  CLASS             SIZE  WRITER  WRITTEN\n"
                                        "attribute  cart  java.lang.String  12    local   -\n"));
    result_free(&r);
}
END_TEST

START_TEST(session_that_is_nowhere_or_twice)
{
    struct fake f;

    start(&f);
    contexts(question(&f, "CLUSTERD CONTEXTS"), "a", NULL);
    resp_error(question(&f, "CLUSTERD SESSION a X"), "ERR no such session");
    struct result r = ctl(&f, "session X");
    ck_assert_int_eq(r.status, CTL_NO);
    ck_assert_str_eq(r.err, "clusterctl: no context has such a session\n");
    result_free(&r);

    start(&f);
    contexts(question(&f, "CLUSTERD CONTEXTS"), "a", "b");
    a_session(question(&f, "CLUSTERD SESSION a X"), NULL);
    a_session(question(&f, "CLUSTERD SESSION b X"), NULL);
    r = ctl(&f, "expire X");
    ck_assert_int_eq(r.status, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(r.err, "(a, b)"));
    result_free(&r);
}
END_TEST

START_TEST(session_values_only_with_reveal)
{
    struct fake f;

    start(&f);
    a_session(question(&f, "CLUSTERD SESSION c 0123456789 REVEAL"), "3 \x1b[31mbooks\xc2\x9b\n");
    struct result r = ctl(&f, "session 0123456789 --context c --reveal");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_ptr_nonnull(strstr(r.out, "  3 ?[31mbooks??\n")); /* a terminal gets nothing to obey */
    result_free(&r);

    start(&f);
    a_session(question(&f, "CLUSTERD SESSION c 0123456789 REVEAL"), "\xff\x01");
    r = ctl(&f, "session --json 0123456789 --context c --reveal");
    json_t *j = json_loads(r.out, 0, NULL);
    json_t *entry = json_array_get(json_object_get(j, "entries"), 0);
    ck_assert(json_is_null(json_object_get(entry, "value")));
    ck_assert_str_eq(json_string_value(json_object_get(entry, "value_hex")), "ff01");
    json_decref(j);
    result_free(&r);
}
END_TEST

START_TEST(expire_one)
{
    struct fake f;

    start(&f);
    contexts(question(&f, "CLUSTERD CONTEXTS"), "a", NULL);
    a_session(question(&f, "CLUSTERD SESSION a X"), NULL);
    resp_simple(question(&f, "CLUSTERD EXPIRE a X"), "OK");
    struct result r = ctl(&f, "expire X");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.out, "expired in context a\n");
    result_free(&r);

    start(&f);
    resp_error(question(&f, "CLUSTERD EXPIRE a X"), "ERR no such session");
    r = ctl(&f, "expire X --context a");
    ck_assert_int_eq(r.status, CTL_NO);
    result_free(&r);

    start(&f);
    resp_error(question(&f, "CLUSTERD EXPIRE a X"), "NOREPLICAS Not enough good replicas to write.");
    r = ctl(&f, "expire X --context a");
    ck_assert_int_eq(r.status, CTL_FAILED);
    ck_assert_str_eq(r.err, "clusterctl: NOREPLICAS Not enough good replicas to write.\n");
    result_free(&r);
}
END_TEST

START_TEST(leave_waits_for_the_end)
{
    struct fake f;

    start(&f);
    expect(&f, "CLUSTERD LEAVE", THEN_CLOSE);
    resp_simple(answer(&f), "OK");
    struct result r = ctl(&f, "leave");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.out, "the node has left the cluster\n");
    result_free(&r);

    start(&f);
    expect(&f, "CLUSTERD LEAVE", THEN_HANG);
    resp_simple(answer(&f), "OK");
    r = ctl(&f, "leave --timeout 1");
    ck_assert_int_eq(r.status, CTL_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(r.err, "no answer within 1 s"));
    result_free(&r);
}
END_TEST

START_TEST(small_verbs)
{
    struct fake f;

    start(&f);
    resp_simple(question(&f, "CLUSTERD PING"), "PONG");
    struct result r = ctl(&f, "ping");
    ck_assert_int_eq(r.status, CTL_OK);
    ck_assert_str_eq(r.out, "PONG\n");
    result_free(&r);

    start(&f);
    text(question(&f, "CLUSTERD VERSION"), "9.8.7");
    r = ctl(&f, "version");
    ck_assert_str_eq(r.out, "clusterctl " CLUSTERD_VERSION "\nclusterd 9.8.7\n");
    result_free(&r);

    start(&f);
    text(question(&f, "CLUSTERD CONFIG"), "cluster:\n  minAcks: 0\n");
    r = ctl(&f, "config");
    ck_assert_str_eq(r.out, "cluster:\n  minAcks: 0\n");
    result_free(&r);

    start(&f);
    text(question(&f, "CLUSTERD CONFIG"), "cluster:\n");
    r = ctl(&f, "config -j");
    ck_assert_str_eq(r.out, "{\n  \"yaml\": \"cluster:\\n\"\n}\n");
    result_free(&r);
}
END_TEST

/* Answers that no daemon of ours gives: each verb says so and ends with 4. */
START_TEST(answers_that_are_not_understood)
{
    static const struct {
        const char *line, *question, *answer;
    } cases[] = {
        {"members", "CLUSTERD MEMBERS", "+OK\r\n"},
        {"members", "CLUSTERD MEMBERS", "*1\r\n:1\r\n"},
        {"members", "CLUSTERD MEMBERS", "*1\r\n*1\r\n$1\r\na\r\n"},
        {"members --json", "CLUSTERD MEMBERS", "*1\r\n*2\r\n:1\r\n:2\r\n"},
        {"contexts", "CLUSTERD CONTEXTS", "$2\r\nhi\r\n"},
        {"status", "CLUSTERD STATUS", "*0\r\n"},
        {"status", "CLUSTERD STATUS", "*2\r\n$8\r\ncomplete\r\n$3\r\nyes\r\n"},
        {"sessions", "CLUSTERD SESSIONS CURSOR 0 COUNT 1000", "*2\r\n:0\r\n*0\r\n"},
        {"sessions", "CLUSTERD SESSIONS CURSOR 0 COUNT 1000", "*1\r\n$1\r\n0\r\n"},
        {"session x -c c", "CLUSTERD SESSION c x", ":1\r\n"},
        {"session x", "CLUSTERD CONTEXTS", "*1\r\n*0\r\n"},
        {"ping", "CLUSTERD PING", ":1\r\n"},
        {"version", "CLUSTERD VERSION", "*0\r\n"},
        {"config", "CLUSTERD CONFIG", ":1\r\n"},
        {"config", "CLUSTERD CONFIG",
         "-ERR unknown command 'CLUSTERD', with args beginning with: 'CONFIG' \r\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake f;
        start(&f);
        wr_text(question(&f, cases[i].question), cases[i].answer);
        struct result r = ctl(&f, cases[i].line);
        ck_assert_msg(r.status == CTL_FAILED, "case %zu: status %d", i, r.status);
        ck_assert_msg(strncmp(r.err, "clusterctl: ", 12) == 0, "case %zu: %s", i, r.err);
        ck_assert_msg(*r.out == 0, "case %zu: %s", i, r.out);
        result_free(&r);
    }
}
END_TEST

START_TEST(daemon_that_is_not_there)
{
    struct fake f;

    struct result r = ctl_at("/nonexistent/control.sock", "ping");
    ck_assert_int_eq(r.status, CTL_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(r.err, "/nonexistent/control.sock: No such file or directory"));
    result_free(&r);

    start(&f); /* a socket file that nobody listens on any more */
    close(f.listener);
    r = ctl_at(f.path, "ping");
    ck_assert_int_eq(r.status, CTL_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(r.err, "nobody listens"));
    result_free(&r);
    unlink(f.path);
    rmdir(f.dir);

    start(&f); /* the connection breaks within the answer */
    expect(&f, "CLUSTERD MEMBERS", THEN_CLOSE);
    wr_text(answer(&f), "*2\r\n*2\r\n$4\r\nna");
    r = ctl(&f, "members");
    ck_assert_int_eq(r.status, CTL_UNREACHABLE);
    result_free(&r);

    start(&f);
    expect(&f, "CLUSTERD MEMBERS", THEN_HANG);
    r = ctl(&f, "members --timeout 1");
    ck_assert_int_eq(r.status, CTL_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(r.err, "no answer within 1 s"));
    result_free(&r);
}
END_TEST

CLUSTERD_SUITE(ctl, &members_as_a_table, &members_as_json, &status_tells_completeness_by_its_exit_status,
               &contexts_as_a_table, &sessions_follow_the_cursor, &sessions_with_all_options,
               &sessions_of_an_unknown_context, &session_is_looked_for_in_each_context,
               &session_that_is_nowhere_or_twice, &session_values_only_with_reveal, &expire_one,
               &leave_waits_for_the_end, &small_verbs, &answers_that_are_not_understood,
               &daemon_that_is_not_there)
