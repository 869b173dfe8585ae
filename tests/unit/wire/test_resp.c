/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Redis protocol: requests whole and in pieces, Redis' error texts, limits, recorded clients, replies.
 */
#include "clusterd/util/mem.h"
#include "clusterd/wire/resp.h"

#include "support/suite.h"
#include "vectors.h"

#include <dirent.h>
#include <math.h>

static struct resp_parser parser(void)
{
    struct resp_parser p;

    resp_init(&p, &RESP_LIMITS_DEFAULT);
    return p;
}

/* The words of the request found, as [a][b]. */
static void words_text(const struct resp_parser *p, struct span in, struct buf *out)
{
    for (size_t i = 0; i < resp_count(p); i++) {
        struct span w = resp_word(p, in, i);
        wr_u8(out, '[');
        wr_span(out, w);
        wr_u8(out, ']');
    }
}

/* Looking ahead sees what the parser sees, of multibulk requests that are not too long, once they are whole.
 */
static void expect_peek(const struct resp_parser *p, struct span in)
{
    struct span key;
    size_t used;
    bool usual = in.n > 1 && in.p[0] == '*' && in.p[1] != '-';

    ck_assert_int_eq(resp_peek(in, &key, &used), usual);
    if (!usual)
        return;
    ck_assert_uint_eq(used, p->used);
    ck_assert(span_eq(key, resp_count(p) > 1 ? resp_word(p, in, 1) : (struct span){NULL, 0}));
    for (size_t n = 0; n < p->used; n++) {
        uint8_t *part = n ? memcpy(mem_alloc(n), in.p, n) : NULL; /* so that a byte too far is noticed */
        ck_assert(!resp_peek(span_of(part, n), &key, &used));
        mem_free(part);
    }
}

/* One request in one piece. */
static void parses(struct span in, const char *want)
{
    struct resp_parser p = parser();
    struct buf got = {0};

    ck_assert_msg(resp_parse(&p, in) == ERR_OK, "%.*s: %s", (int)in.n, (const char *)in.p, p.error);
    words_text(&p, in, &got);
    ck_assert_str_eq(buf_cstr(&got), want);
    ck_assert_uint_eq(p.used, in.n);
    expect_peek(&p, in);
    buf_fini(&got);
    resp_fini(&p);
}

static void fails_with(struct resp_parser *p, struct span in, enum err want, const char *text)
{
    enum err e = resp_parse(p, in);

    ck_assert_msg(e == want, "%.*s gave %s", (int)in.n, (const char *)in.p, err_text(e));
    ck_assert_str_eq(p->error, text);
    resp_fini(p);
}

static void fails(struct span in, enum err want, const char *text)
{
    struct resp_parser p = parser();

    fails_with(&p, in, want, text);
}

START_TEST(multibulk)
{
    parses(SPAN_LIT("*1\r\n$4\r\nPING\r\n"), "[PING]");
    parses(SPAN_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"), "[SET][k][]");
    parses(SPAN_LIT("*2\r\n$4\r\nECHO\r\n$6\r\na\r\n$1\r\r\n"), "[ECHO][a\r\n$1\r]");
    parses(SPAN_LIT("*0\r\n"), "");
    parses(SPAN_LIT("*-1\r\n"), "");
}
END_TEST

START_TEST(inline_commands)
{
    parses(SPAN_LIT("PING\r\n"), "[PING]");
    parses(SPAN_LIT("PING\n"), "[PING]");
    parses(SPAN_LIT("  set\tk   v  \r\n"), "[set][k][v]");
    parses(SPAN_LIT("\r\n"), "");
    parses(SPAN_LIT("\n"), "");
    parses(SPAN_LIT("   \r\n"), "");
    parses(SPAN_LIT("echo \"a b\"\r\n"), "[echo][a b]");
    parses(SPAN_LIT("echo 'a \\' b'\r\n"), "[echo][a ' b]");
    parses(SPAN_LIT("echo \"\\x41\\x4a\\n\\r\\t\\b\\a\\\\\\\"\\q\\xzz\"\r\n"),
           "[echo][AJ\n\r\t\b\a\\\"qxzz]");
    parses(SPAN_LIT("echo \"\" ''\r\n"), "[echo][][]");
    parses(SPAN_LIT("echo ab\"cd\" e'f'\r\n"), "[echo][abcd][ef]");
    parses(SPAN_LIT("echo 'a\\n'\r\n"), "[echo][a\\n]");
}
END_TEST

START_TEST(error_texts)
{
    fails(SPAN_LIT("*x\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*03\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*+3\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("* 3\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*-0\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*9999999999999999999999\r\n"), ERR_BAD, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*1048577\r\n"), ERR_TOO_BIG, "Protocol error: invalid multibulk length");
    fails(SPAN_LIT("*1\r\n:3\r\n"), ERR_BAD, "Protocol error: expected '$', got ':'");
    fails(SPAN_LIT("*1\r\nfoo\r\n"), ERR_BAD, "Protocol error: expected '$', got 'f'");
    fails(SPAN_LIT("*1\r\n\r\n"), ERR_BAD, "Protocol error: expected '$', got ' '");
    fails(SPAN_LIT("*1\r\n$-1\r\n"), ERR_BAD, "Protocol error: invalid bulk length");
    fails(SPAN_LIT("*1\r\n$\r\n"), ERR_BAD, "Protocol error: invalid bulk length");
    fails(SPAN_LIT("*1\r\n$5x\r\n"), ERR_BAD, "Protocol error: invalid bulk length");
    fails(SPAN_LIT("*1\r\n$2147483648\r\n"), ERR_TOO_BIG, "Protocol error: invalid bulk length");
    fails(SPAN_LIT("*1\r\n$9223372036854775807\r\n"), ERR_BAD, "Protocol error: invalid bulk length");
    fails(SPAN_LIT("echo \"a\r\n"), ERR_BAD, "Protocol error: unbalanced quotes in request");
    fails(SPAN_LIT("echo 'a\r\n"), ERR_BAD, "Protocol error: unbalanced quotes in request");
    fails(SPAN_LIT("echo \"a\"b\r\n"), ERR_BAD, "Protocol error: unbalanced quotes in request");
    fails(SPAN_LIT("echo \"a\\\r\n"), ERR_BAD, "Protocol error: unbalanced quotes in request");
    fails(SPAN_LIT("echo 'a\\'\r\n"), ERR_BAD, "Protocol error: unbalanced quotes in request");
}
END_TEST

START_TEST(long_lines)
{
    struct buf b = {0};

    buf_reserve(&b, 70000);
    memset(b.p, '1', 70000);
    fails(span_of(b.p, 65537), ERR_TOO_BIG, "Protocol error: too big inline request");
    b.p[0] = '*';
    fails(span_of(b.p, 65537), ERR_TOO_BIG, "Protocol error: too big mbulk count string");
    memcpy(b.p, "*1\r\n$", 5);
    fails(span_of(b.p, 65541), ERR_TOO_BIG, "Protocol error: too big bulk count string");

    /* The longest line that is allowed, and one more: the same verdict, whether its end is there or not. */
    struct resp_parser p = parser();
    memset(b.p, 'x', 65537);
    ck_assert_int_eq(resp_parse(&p, span_of(b.p, 65536)), ERR_SHORT);
    b.p[65536] = '\n';
    ck_assert_int_eq(resp_parse(&p, span_of(b.p, 65537)), ERR_OK);
    ck_assert_uint_eq(resp_word(&p, span_of(b.p, 65537), 0).n, 65536);
    resp_fini(&p);
    b.p[65536] = 'x';
    b.p[65537] = '\n';
    fails(span_of(b.p, 65538), ERR_TOO_BIG, "Protocol error: too big inline request");
    buf_fini(&b);
}
END_TEST

START_TEST(before_authentication)
{
    struct resp_parser p = parser();

    p.unauthenticated = true;
    fails_with(&p, SPAN_LIT("*11\r\n"), ERR_TOO_BIG, "Protocol error: unauthenticated multibulk length");
    p = parser();
    p.unauthenticated = true;
    fails_with(&p, SPAN_LIT("*1\r\n$16385\r\n"), ERR_TOO_BIG, "Protocol error: unauthenticated bulk length");
    p = parser();
    p.unauthenticated = true;
    ck_assert_int_eq(resp_parse(&p, SPAN_LIT("*10\r\n$16384\r\n")), ERR_SHORT);
    ck_assert_uint_eq(p.need, 13 + 16384 + 2);
    resp_fini(&p);
}
END_TEST

START_TEST(own_limits)
{
    struct resp_limits limits = {.max_args = 3, .max_bulk = 10, .max_inline = 20, .max_request = 40};
    struct resp_parser p;

    resp_init(&p, &limits);
    fails_with(&p, SPAN_LIT("*4\r\n"), ERR_TOO_BIG, "Protocol error: invalid multibulk length");
    resp_init(&p, &limits);
    fails_with(&p, SPAN_LIT("*1\r\n$11\r\n"), ERR_TOO_BIG, "Protocol error: invalid bulk length");
    resp_init(&p, &limits);
    fails_with(&p, SPAN_LIT("a b c d\r\n"), ERR_TOO_BIG, "Protocol error: too big inline request");
    resp_init(&p, &limits);
    fails_with(&p, SPAN_LIT("*3\r\n$9\r\n123456789\r\n$9\r\n123456789\r\n$9\r\n"), ERR_TOO_BIG,
               "Protocol error: too big request");
}
END_TEST

/* Requests of all kinds in a row. */
#define MIXED                                                                                       \
    SPAN_LIT("*2\r\n$3\r\nGET\r\n$5\r\na\r\nb*\r\nPING\r\n\r\n*0\r\n*1\r\n$0\r\n\r\necho \"x y\"\n" \
             "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\n*1\r\n$4\r\nPING\r\n")
#define MIXED_WORDS "[GET][a\r\nb*];[PING];;;[];[echo][x y];[SET][k][*1\r\n$4\r\nPING];"

/*
 * Feed bytes in pieces of the given size (the last may be shorter). Each call sees a fresh copy that ends
 * exactly where the input does, so that a read behind it, or a pointer kept from before, is seen by the
 * sanitizer.
 */
static void feed(struct span all, size_t piece, struct buf *got)
{
    struct resp_parser p = parser();
    size_t start = 0, end = 0;

    while (start < all.n) {
        if (end < all.n)
            end += piece < all.n - end ? piece : all.n - end;
        while (true) {
            uint8_t *copy = malloc(end - start ? end - start : 1);
            memcpy(copy, all.p + start, end - start);
            struct span in = span_of(copy, end - start);
            enum err e = resp_parse(&p, in);
            if (e == ERR_OK) {
                words_text(&p, in, got);
                wr_u8(got, ';');
                start += p.used;
                resp_next(&p);
            } else {
                ck_assert_int_eq(e, ERR_SHORT);
                ck_assert_uint_gt(p.need, in.n);
            }
            free(copy);
            if (e != ERR_OK)
                break;
        }
    }
    resp_fini(&p);
}

START_TEST(in_pieces)
{
    for (size_t piece = 1; piece <= MIXED.n; piece++) {
        struct buf got = {0};
        feed(MIXED, piece, &got);
        ck_assert_msg(strcmp(buf_cstr(&got), MIXED_WORDS) == 0, "pieces of %zu: %s", piece, buf_cstr(&got));
        buf_fini(&got);
    }
}
END_TEST

/* Any byte replaced: never more than the input is used, and the parse does not depend on how it was cut. */
START_TEST(every_byte_damaged)
{
    struct buf b = {0};

    wr_span(&b, MIXED);
    for (size_t i = 0; i < b.n; i++) {
        uint8_t original = b.p[i];
        for (unsigned v = 0; v < 256; v += 5) {
            b.p[i] = (uint8_t)v;
            struct resp_parser whole = parser(), cut = parser();
            struct span in = buf_span(&b);
            enum err e = resp_parse(&whole, in), f = ERR_SHORT;
            for (size_t n = 0; n <= in.n && f == ERR_SHORT; n++)
                f = resp_parse(&cut, span_of(in.p, n));
            ck_assert_int_eq(e, f);
            ck_assert_str_eq(whole.error, cut.error);
            ck_assert(e != ERR_OK || (whole.used == cut.used && whole.used <= in.n));
            resp_fini(&whole);
            resp_fini(&cut);
        }
        b.p[i] = original;
    }
    buf_fini(&b);
}
END_TEST

START_TEST(large_words)
{
    struct resp_parser p = parser();
    struct buf b = {0};

    wr_text(&b, "*2\r\n$3\r\nGET\r\n$1000000\r\n");
    size_t head = b.n;
    ck_assert_int_eq(resp_parse(&p, buf_span(&b)), ERR_SHORT);
    ck_assert_uint_eq(p.need, head + 1000002);
    ck_assert_uint_eq(p.pos, head); /* what was parsed is not parsed again */
    for (unsigned i = 0; i < 1000; i++) {
        char block[1000];
        memset(block, 'v', sizeof block);
        wr_bytes(&b, block, sizeof block);
        ck_assert_int_eq(resp_parse(&p, buf_span(&b)), ERR_SHORT);
        ck_assert_uint_eq(p.pos, head);
    }
    wr_text(&b, "\r\n");
    ck_assert_int_eq(resp_parse(&p, buf_span(&b)), ERR_OK);
    ck_assert_uint_eq(resp_word(&p, buf_span(&b), 1).n, 1000000);
    resp_fini(&p);
    buf_fini(&b);
}
END_TEST

START_TEST(memory_follows_what_came)
{
    struct resp_parser p = parser();
    struct buf b = {0};

    ck_assert_int_eq(resp_parse(&p, SPAN_LIT("*1000000\r\n")), ERR_SHORT);
    ck_assert_uint_eq(p.cap_words, 0); /* a claimed count reserves nothing */
    resp_next(&p);
    wr_text(&b, "*1000\r\n");
    for (unsigned i = 0; i < 1000; i++)
        wr_text(&b, "$1\r\nx\r\n");
    ck_assert_int_eq(resp_parse(&p, buf_span(&b)), ERR_OK);
    ck_assert_uint_eq(resp_count(&p), 1000);
    resp_next(&p);
    ck_assert_uint_eq(p.cap_words, 0); /* given back */
    resp_fini(&p);
    buf_fini(&b);
}
END_TEST

/*
 * tests/golden/resp: what session middlewares sent to a Redis, one request a line, written as an inline
 * command: "c1 > SET k \"a\\x00b\" EX 60". Lines whose values were cut when they were recorded end in
 * "bytes)".
 */
#define RECORDINGS_DIR TESTS_DIR "/golden/resp"
enum { N_RECORDINGS = 7, N_RECORDED = 192 };

/* As an inline command and, with the same words, as clients send them: one after the other into *stream. */
static void add_recorded(const char *line, struct buf *stream, struct buf *words)
{
    struct resp_parser p = parser();
    struct span in = span_str(line);

    ck_assert_msg(resp_parse(&p, in) == ERR_OK, "%s: %s", line, p.error);
    ck_assert_uint_eq(p.used, in.n);
    ck_assert_uint_gt(resp_count(&p), 0);
    resp_array(stream, resp_count(&p));
    for (size_t i = 0; i < resp_count(&p); i++)
        resp_bulk(stream, resp_word(&p, in, i));
    words_text(&p, in, words);
    wr_u8(words, ';');
    resp_fini(&p);
}

static unsigned check_recording(const char *name)
{
    char path[512], line[4096];
    struct buf stream = {0}, want = {0}, got = {0};
    unsigned n = 0;

    snprintf(path, sizeof path, "%s/%s", RECORDINGS_DIR, name);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        const char *request = strstr(line, "> ");
        if (line[0] != 'c' || !request || request > line + 5 || strstr(line, " bytes)"))
            continue;
        add_recorded(request + 2, &stream, &want);
        n++;
    }
    fclose(f);
    feed(buf_span(&stream), 100, &got);
    ck_assert_msg(span_eq(buf_span(&got), buf_span(&want)), "%s", name);
    buf_fini(&stream);
    buf_fini(&want);
    buf_fini(&got);
    return n;
}

START_TEST(recorded_clients)
{
    DIR *dir = opendir(RECORDINGS_DIR);
    struct dirent *entry;
    unsigned files = 0, requests = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (!strstr(entry->d_name, ".txt"))
            continue;
        requests += check_recording(entry->d_name);
        files++;
    }
    closedir(dir);
    ck_assert_uint_eq(files, N_RECORDINGS);
    ck_assert_uint_eq(requests, N_RECORDED);
}
END_TEST

static void reply_is(struct buf *b, const char *want)
{
    ck_assert_str_eq(buf_cstr(b), want);
    buf_clear(b);
}

START_TEST(replies)
{
    struct buf b = {0};

    resp_simple(&b, "OK");
    reply_is(&b, "+OK\r\n");
    resp_error(&b, "ERR no such key");
    reply_is(&b, "-ERR no such key\r\n");
    resp_error(&b, "ERR two\r\nlines");
    reply_is(&b, "-ERR two  lines\r\n");
    resp_errorf(&b, "ERR unknown command '%s', with args beginning with: ", "x\ny");
    reply_is(&b, "-ERR unknown command 'x y', with args beginning with: \r\n");
    resp_int(&b, 0);
    resp_int(&b, -7);
    resp_int(&b, INT64_MAX);
    resp_int(&b, INT64_MIN);
    reply_is(&b, ":0\r\n:-7\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
    resp_bulk(&b, SPAN_LIT("a\r\nb"));
    resp_bulk(&b, SPAN_LIT(""));
    reply_is(&b, "$4\r\na\r\nb\r\n$0\r\n\r\n");
    resp_bulk_head(&b, 3);
    reply_is(&b, "$3\r\n");
    resp_array(&b, 0);
    resp_array(&b, 12);
    reply_is(&b, "*0\r\n*12\r\n");
    buf_fini(&b);
}
END_TEST

START_TEST(replies_of_both_versions)
{
    struct buf b = {0};

    resp_null(&b, 2);
    resp_null(&b, 3);
    reply_is(&b, "$-1\r\n_\r\n");
    resp_null_array(&b, 2);
    resp_null_array(&b, 3);
    reply_is(&b, "*-1\r\n_\r\n");
    resp_map(&b, 2, 3);
    resp_map(&b, 3, 3);
    reply_is(&b, "*6\r\n%3\r\n");
    resp_set(&b, 2, 3);
    resp_set(&b, 3, 3);
    reply_is(&b, "*3\r\n~3\r\n");
    resp_push(&b, 2, 3);
    resp_push(&b, 3, 3);
    reply_is(&b, "*3\r\n>3\r\n");
    resp_verbatim(&b, 2, "txt", SPAN_LIT("abc"));
    resp_verbatim(&b, 3, "txt", SPAN_LIT("abc"));
    reply_is(&b, "$3\r\nabc\r\n=7\r\ntxt:abc\r\n");
    resp_bool(&b, 2, true);
    resp_bool(&b, 2, false);
    resp_bool(&b, 3, true);
    resp_bool(&b, 3, false);
    reply_is(&b, ":1\r\n:0\r\n#t\r\n#f\r\n");
    resp_double(&b, 2, 0.1);
    resp_double(&b, 3, 3.0);
    resp_double(&b, 3, 0.1 + 0.2);
    resp_double(&b, 3, INFINITY);
    resp_double(&b, 3, -INFINITY);
    resp_double(&b, 3, NAN);
    reply_is(&b, "$3\r\n0.1\r\n,3\r\n,0.30000000000000004\r\n,inf\r\n,-inf\r\n,nan\r\n");
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(resp, &multibulk, &inline_commands, &error_texts, &long_lines, &before_authentication,
               &own_limits, &in_pieces, &every_byte_damaged, &large_words, &memory_follows_what_came,
               &recorded_clients, &replies, &replies_of_both_versions)
