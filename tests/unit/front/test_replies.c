/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays what a real redis-server answered (tests/golden/front/redis-replies.txt, made by
 * tests/system/resp_compare.py --record) and compares byte for byte: all commands, their errors, RESP3. Once
 * command by command, once as one pipeline a case.
 */
#include "clusterd/util/hash.h"
#include "rig.h"

#include <ctype.h>
#include <inttypes.h>

#define FILE_NAME   TESTS_DIR "/golden/front/redis-replies.txt"
#define MIN_CASES   10
#define MIN_REPLIES 500

/* "\xNN" and, for a whole word or a number in a reply, @S@ and @SMS@: 5000 s from now. */
static void unescape(const char *text, size_t n, int64_t now_ms, struct buf *out)
{
    int64_t soon_s = now_ms / 1000 + 5000;

    for (size_t i = 0; i < n;) {
        if (strncmp(text + i, "\\x", 2) == 0) {
            char hex[3] = {text[i + 2], text[i + 3], 0};
            wr_u8(out, (uint8_t)strtoul(hex, NULL, 16));
            i += 4;
        } else if (strncmp(text + i, "@SMS@", 5) == 0) {
            wr_printf(out, "%" PRId64, soon_s * 1000);
            i += 5;
        } else if (strncmp(text + i, "@S@", 3) == 0) {
            wr_printf(out, "%" PRId64, soon_s);
            i += 3;
        } else {
            wr_u8(out, (uint8_t)text[i++]);
        }
    }
}

/* A line of blank-separated words as a request; "" is the empty word. */
static void encode_line(const char *line, int64_t now_ms, struct buf *out)
{
    struct buf body = {0};
    size_t words = 0;

    for (const char *p = line; *p; words++) {
        struct buf word = {0};
        size_t n = strcspn(p, " ");
        if (strncmp(p, "\"\"", n) != 0 || n != 2)
            unescape(p, n, now_ms, &word);
        resp_bulk(&body, buf_span(&word));
        buf_fini(&word);
        p += n;
        p += *p == ' ';
    }
    resp_array(out, words);
    wr_span(out, buf_span(&body));
    buf_fini(&body);
}

/* Behind the reply that begins at `at`; ck_aborts when it is not whole. */
static size_t reply_end(struct span s, size_t at)
{
    const uint8_t *cr = memchr(s.p + at, '\r', s.n - at);
    ck_assert_ptr_nonnull(cr);
    size_t end = (size_t)(cr - s.p) + 2;
    long n = strtol((const char *)s.p + at + 1, NULL, 10);

    if (strchr("$=", s.p[at]) && n >= 0)
        return end + (size_t)n + 2;
    if (strchr("*%~>", s.p[at]))
        for (long i = 0; i < n * (s.p[at] == '%' ? 2 : 1); i++)
            end = reply_end(s, end);
    return end;
}

static uint64_t bag(struct span s, bool pairs)
{
    size_t at = (size_t)((const uint8_t *)memchr(s.p, '\n', s.n) - s.p) + 1;
    uint64_t sum = hash_stable(span_of(s.p, at));

    while (at < s.n) {
        size_t end = reply_end(s, at);
        end = pairs ? reply_end(s, end) : end;
        sum += hash_stable(span_of(s.p + at, end - at));
        at = end;
    }
    return sum;
}

static bool is_as_recorded(const char *want, struct span got, int64_t now_ms, bool pairs)
{
    struct buf b = {0};
    bool same;

    if (strncmp(want, "~ ", 2) == 0)
        return got.n > 0 && got.p[0] == (uint8_t)want[2];
    bool any_order = strncmp(want, "? ", 2) == 0;
    want += any_order ? 2 : 0;
    unescape(want, strlen(want), now_ms, &b);
    same = any_order ? bag(buf_span(&b), pairs) == bag(got, pairs) : span_eq(got, buf_span(&b));
    buf_fini(&b);
    return same;
}

struct line {
    char *words, *reply;
};

struct replay {
    char name[64];
    struct line *lines;
    size_t n, cap;
    unsigned cases, replies;
};

static void check_reply(const struct replay *r, size_t i, struct span got, int64_t now_ms)
{
    char shown[2048];
    bool pairs = tolower((unsigned char)r->lines[i].words[1]) == 'g'; /* hGetall, not hkeys or hvals */

    ck_assert_msg(is_as_recorded(r->lines[i].reply, got, now_ms, pairs), "%s: %s\n wanted %s\n got    %s",
                  r->name, r->lines[i].words, r->lines[i].reply, log_printable(shown, sizeof shown, got));
}

static void replay_one_by_one(struct replay *r)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    for (size_t i = 0; i < r->n; i++) {
        int64_t now_ms = loop_wall_ms_now(host_main(rig_nodes[0]->host));
        struct buf b = {0};
        encode_line(r->lines[i].words, now_ms, &b);
        rig_send(c, buf_span(&b));
        rig_wait(c, 4);
        ck_assert_msg(c->got.n && reply_end(buf_span(&c->got), 0) == c->got.n, "%s: %s: not one whole reply",
                      r->name, r->lines[i].words);
        check_reply(r, i, buf_span(&c->got), now_ms);
        buf_clear(&c->got);
        buf_fini(&b);
        r->replies++;
    }
    rig_close(c);
    rig_end();
}

static void replay_as_a_pipeline(struct replay *r)
{
    struct buf b = {0};
    size_t at = 0;

    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    int64_t now_ms = loop_wall_ms_now(host_main(rig_nodes[0]->host));
    for (size_t i = 0; i < r->n; i++)
        encode_line(r->lines[i].words, now_ms, &b);
    rig_send(c, buf_span(&b));
    sim_run_ms(rig_sim, 100);
    for (size_t i = 0; i < r->n; i++) {
        ck_assert_msg(at < c->got.n, "%s: %s: no reply", r->name, r->lines[i].words);
        size_t end = reply_end(buf_span(&c->got), at);
        check_reply(r, i, span_of(c->got.p + at, end - at), now_ms);
        at = end;
    }
    ck_assert_uint_eq(at, c->got.n);
    buf_fini(&b);
    rig_close(c);
    rig_end();
}

static void replay_case(struct replay *r)
{
    if (r->n) {
        r->cases++;
        replay_one_by_one(r);
        replay_as_a_pipeline(r);
    }
    for (size_t i = 0; i < r->n; i++) {
        mem_free(r->lines[i].words);
        mem_free(r->lines[i].reply);
    }
    r->n = 0;
}

START_TEST(as_a_real_redis)
{
    FILE *f = fopen(FILE_NAME, "r");
    struct replay r = {0};
    char *line = NULL;
    size_t cap = 0;

    ck_assert_ptr_nonnull(f);
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;) {
        line[n - 1] = 0;
        if (line[0] == '=') {
            replay_case(&r);
            snprintf(r.name, sizeof r.name, "%s", line + 2);
        } else if (line[0] == '>') {
            if (r.n == r.cap) {
                r.cap = r.cap ? 2 * r.cap : 64;
                r.lines = mem_realloc(r.lines, r.cap * sizeof *r.lines);
            }
            r.lines[r.n++] = (struct line){.words = mem_strdup(line + 2)};
        } else if (line[0] == '<') {
            r.lines[r.n - 1].reply = mem_strdup(line + 2);
        }
    }
    replay_case(&r);
    ck_assert_uint_ge(r.cases, MIN_CASES);
    ck_assert_uint_ge(r.replies, MIN_REPLIES);
    mem_free(r.lines);
    free(line);
    fclose(f);
}
END_TEST

CLUSTERD_SUITE(front_replies, &as_a_real_redis)
