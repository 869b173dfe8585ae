/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Redis protocol; see resp.h. The parser does what Redis does (networking.c: processInlineBuffer,
 * processMultibulkBuffer; sds.c: sdssplitargs), with its error texts, and has limits of its own.
 */
#include "clusterd/wire/resp.h"
#include "clusterd/util/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_WORDS            64 /* memory that a parser keeps between requests */
#define KEEP_TEXT             4096
#define PEEK_WORDS            64
#define UNAUTHENTICATED_WORDS 10
#define UNAUTHENTICATED_BULK  16384

void resp_init(struct resp_parser *p, const struct resp_limits *limits)
{
    *p = (struct resp_parser){.limits = *limits, .words_left = -1, .bulk_len = -1};
}

void resp_fini(struct resp_parser *p)
{
    mem_free(p->words);
    buf_fini(&p->text);
    *p = (struct resp_parser){0};
}

void resp_next(struct resp_parser *p)
{
    if (p->cap_words > KEEP_WORDS) {
        mem_free(p->words);
        p->words = NULL;
        p->cap_words = 0;
    }
    if (p->text.cap > KEEP_TEXT)
        buf_fini(&p->text);
    buf_clear(&p->text);
    p->n_words = p->used = p->need = p->pos = p->searched = 0;
    p->words_left = p->bulk_len = -1;
    p->is_inline = false;
}

struct span resp_word(const struct resp_parser *p, struct span in, size_t i)
{
    ASSERT(i < p->n_words);
    const struct resp_word *w = &p->words[i];
    const uint8_t *base = p->is_inline ? p->text.p : in.p;

    return w->n ? span_of(base + w->at, w->n) : SPAN_LIT("");
}

static void add_word(struct resp_parser *p, size_t at, size_t n)
{
    if (p->n_words == p->cap_words) {
        p->cap_words = p->cap_words ? 2 * p->cap_words : 8;
        p->words = mem_realloc(p->words, p->cap_words * sizeof *p->words);
    }
    p->words[p->n_words++] = (struct resp_word){at, n};
}

static enum err fail(struct resp_parser *p, enum err e, const char *text)
{
    snprintf(p->error, sizeof p->error, "Protocol error: %s", text);
    return e;
}

static enum err more(struct resp_parser *p, size_t need)
{
    p->need = need;
    return ERR_SHORT;
}

/* The line at pos up to its `end` byte, without it; pos stays. A long line without end is searched once only.
 */
static enum err find_line(struct resp_parser *p, struct span in, char end, const char *too_big, size_t *len)
{
    size_t from = p->searched > p->pos ? p->searched : p->pos;
    const uint8_t *at = from < in.n ? memchr(in.p + from, end, in.n - from) : NULL;
    size_t n = (at ? (size_t)(at - in.p) : in.n) - p->pos;

    if (n > p->limits.max_inline)
        return fail(p, ERR_TOO_BIG, too_big);
    p->searched = p->pos + n;
    if (!at)
        return more(p, in.n + 1);
    *len = n;
    return ERR_OK;
}

/* "<type><number>\r\n" at pos. Redis takes any byte for the line feed; so do we, the next line tells. */
static enum err read_head(struct resp_parser *p, struct span in, const char *too_big, struct span *line)
{
    size_t n = 0;

    TRY(find_line(p, in, '\r', too_big, &n));
    if (p->pos + n + 2 > in.n)
        return more(p, p->pos + n + 2);
    *line = span_of(in.p + p->pos, n);
    return ERR_OK;
}

/* Redis' string2ll: no sign but '-', no leading zeros, no blanks. */
static bool parse_number(struct span s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    size_t i = negative;
    int64_t v = 0;

    if (s.n == i || s.n - i > 18 || (s.p[i] == '0' && s.n > 1))
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = negative ? -v : v;
    return true;
}

static enum err read_multibulk_head(struct resp_parser *p, struct span in)
{
    struct span line = {0};
    int64_t n = 0;

    TRY(read_head(p, in, "too big mbulk count string", &line));
    if (!parse_number(span_of(line.p + 1, line.n - 1), &n))
        return fail(p, ERR_BAD, "invalid multibulk length");
    if (n > 0 && (uint64_t)n > p->limits.max_args)
        return fail(p, ERR_TOO_BIG, "invalid multibulk length");
    if (n > UNAUTHENTICATED_WORDS && p->unauthenticated)
        return fail(p, ERR_TOO_BIG, "unauthenticated multibulk length");
    p->pos += line.n + 2;
    p->words_left = n > 0 ? n : 0;
    return ERR_OK;
}

static enum err read_bulk_head(struct resp_parser *p, struct span in)
{
    struct span line = {0};
    int64_t n = 0;

    TRY(read_head(p, in, "too big bulk count string", &line));
    if (in.p[p->pos] != '$') {
        uint8_t c = in.p[p->pos] < 0x20 ? ' ' : in.p[p->pos];
        snprintf(p->error, sizeof p->error, "Protocol error: expected '$', got '%c'", c);
        return ERR_BAD;
    }
    if (!parse_number(span_of(line.p + 1, line.n - 1), &n) || n < 0)
        return fail(p, ERR_BAD, "invalid bulk length");
    if ((uint64_t)n > p->limits.max_bulk)
        return fail(p, ERR_TOO_BIG, "invalid bulk length");
    if (n > UNAUTHENTICATED_BULK && p->unauthenticated)
        return fail(p, ERR_TOO_BIG, "unauthenticated bulk length");
    p->pos += line.n + 2;
    if (p->pos > p->limits.max_request || (uint64_t)n > p->limits.max_request - p->pos)
        return fail(p, ERR_TOO_BIG, "too big request");
    p->bulk_len = n;
    return ERR_OK;
}

static enum err read_words(struct resp_parser *p, struct span in)
{
    while (p->words_left > 0) {
        if (p->bulk_len < 0)
            TRY(read_bulk_head(p, in));
        size_t n = (size_t)p->bulk_len;
        if (in.n - p->pos < n + 2)
            return more(p, p->pos + n + 2);
        add_word(p, p->pos, n);
        p->pos += n + 2;
        p->bulk_len = -1;
        p->words_left--;
    }
    p->used = p->pos;
    return ERR_OK;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands behind a backslash in double quotes, at *i; *i goes behind it. */
static uint8_t escape(struct span s, size_t *i)
{
    uint8_t c = s.p[*i];

    if (c == 'x' && *i + 2 < s.n && hex_digit(s.p[*i + 1]) >= 0 && hex_digit(s.p[*i + 2]) >= 0) {
        c = (uint8_t)(hex_digit(s.p[*i + 1]) << 4 | hex_digit(s.p[*i + 2]));
        *i += 3;
        return c;
    }
    *i += 1;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* A quoted part from behind its opening quote; *i goes behind the closing one, which must end the word. */
static bool read_quoted(struct resp_parser *p, struct span s, size_t *i, uint8_t quote)
{
    while (*i < s.n) {
        uint8_t c = s.p[(*i)++];
        if (c == quote)
            return *i == s.n || is_space(s.p[*i]);
        if (c == '\\' && quote == '"' && *i < s.n)
            c = escape(s, i);
        else if (c == '\\' && quote == '\'' && *i < s.n && s.p[*i] == '\'')
            c = s.p[(*i)++];
        wr_u8(&p->text, c);
    }
    return false;
}

static bool split_words(struct resp_parser *p, struct span s)
{
    size_t i = 0;

    while (true) {
        while (i < s.n && is_space(s.p[i]))
            i++;
        if (i == s.n)
            return true;
        size_t at = p->text.n;
        while (i < s.n && !is_space(s.p[i])) {
            uint8_t c = s.p[i++];
            if (c != '"' && c != '\'')
                wr_u8(&p->text, c);
            else if (!read_quoted(p, s, &i, c))
                return false;
        }
        add_word(p, at, p->text.n - at);
    }
}

static enum err read_inline(struct resp_parser *p, struct span in)
{
    size_t n = 0;

    p->is_inline = true;
    TRY(find_line(p, in, '\n', "too big inline request", &n));
    p->used = p->pos + n + 1;
    if (n > 0 && in.p[p->pos + n - 1] == '\r')
        n--;
    if (!split_words(p, span_of(in.p + p->pos, n)))
        return fail(p, ERR_BAD, "unbalanced quotes in request");
    if (p->n_words > p->limits.max_args)
        return fail(p, ERR_TOO_BIG, "too big inline request");
    return ERR_OK;
}

enum err resp_parse(struct resp_parser *p, struct span in)
{
    ASSERT(in.n >= p->pos);
    if (in.n == 0)
        return more(p, 1);
    if (p->words_left < 0) {
        if (in.p[0] != '*')
            return read_inline(p, in);
        TRY(read_multibulk_head(p, in));
    }
    return read_words(p, in);
}

/* "<type><number>\r\n" at *at, a number without a sign of at most 8 digits. */
static bool peek_head(struct span in, size_t *at, char type, size_t *n)
{
    size_t i = *at, v = 0;

    if (in.n - i < 4 || in.p[i] != (uint8_t)type)
        return false;
    for (size_t end = i + 9 < in.n ? i + 9 : in.n; ++i < end && in.p[i] >= '0' && in.p[i] <= '9';)
        v = 10 * v + (in.p[i] - '0');
    if (in.n - i < 2 || in.p[i] != '\r')
        return false;
    *at = i + 2;
    *n = v;
    return true;
}

bool resp_peek(struct span in, struct span *key, size_t *used)
{
    size_t at = 0, n_words, n;
    struct span second = {NULL, 0};

    if (!peek_head(in, &at, '*', &n_words) || n_words > PEEK_WORDS)
        return false;
    for (size_t i = 0; i < n_words; i++) {
        if (!peek_head(in, &at, '$', &n) || in.n - at < n + 2)
            return false;
        if (i == 1)
            second = span_of(in.p + at, n);
        at += n + 2;
    }
    *key = second;
    *used = at;
    return true;
}

/* "<type><number>\r\n" */
static void head(struct buf *b, char type, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    digits[--at] = '\n';
    digits[--at] = '\r';
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        digits[--at] = '-';
    digits[--at] = type;
    wr_bytes(b, digits + at, sizeof digits - at);
}

/* End the line that began at `from`; what would end it earlier becomes a blank. */
static void finish_line(struct buf *b, size_t from)
{
    for (size_t i = from; i < b->n; i++)
        if (b->p[i] == '\r' || b->p[i] == '\n')
            b->p[i] = ' ';
    wr_text(b, "\r\n");
}

static void line(struct buf *b, char type, const char *text)
{
    size_t from = b->n;

    wr_u8(b, (uint8_t)type);
    wr_text(b, text);
    finish_line(b, from);
}

void resp_simple(struct buf *b, const char *text)
{
    line(b, '+', text);
}

void resp_error(struct buf *b, const char *text)
{
    line(b, '-', text);
}

void resp_errorf(struct buf *b, const char *fmt, ...)
{
    char text[1024]; /* Redis cuts the words that it repeats at 128 bytes */
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    line(b, '-', text);
}

void resp_int(struct buf *b, int64_t v)
{
    head(b, ':', v);
}

void resp_bulk_head(struct buf *b, size_t n)
{
    head(b, '$', (int64_t)n);
}

void resp_bulk(struct buf *b, struct span s)
{
    buf_reserve(b, s.n + 32);
    resp_bulk_head(b, s.n);
    wr_span(b, s);
    wr_text(b, "\r\n");
}

void resp_null(struct buf *b, int proto)
{
    wr_text(b, proto == 3 ? "_\r\n" : "$-1\r\n");
}

void resp_null_array(struct buf *b, int proto)
{
    wr_text(b, proto == 3 ? "_\r\n" : "*-1\r\n");
}

void resp_array(struct buf *b, size_t n)
{
    head(b, '*', (int64_t)n);
}

void resp_map(struct buf *b, int proto, size_t n_pairs)
{
    head(b, proto == 3 ? '%' : '*', (int64_t)(proto == 3 ? n_pairs : 2 * n_pairs));
}

void resp_set(struct buf *b, int proto, size_t n)
{
    head(b, proto == 3 ? '~' : '*', (int64_t)n);
}

void resp_push(struct buf *b, int proto, size_t n)
{
    head(b, proto == 3 ? '>' : '*', (int64_t)n);
}

void resp_verbatim(struct buf *b, int proto, const char type[3], struct span s)
{
    if (proto != 3) {
        resp_bulk(b, s);
        return;
    }
    head(b, '=', (int64_t)s.n + 4);
    wr_bytes(b, type, 3);
    wr_u8(b, ':');
    wr_span(b, s);
    wr_text(b, "\r\n");
}

void resp_bool(struct buf *b, int proto, bool v)
{
    if (proto == 3)
        wr_text(b, v ? "#t\r\n" : "#f\r\n");
    else
        resp_int(b, v);
}

/* The shortest decimal text that reads back as the same number. */
static void double_text(double v, char out[32])
{
    if (isnan(v) || isinf(v)) {
        snprintf(out, 32, "%s", isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

void resp_double(struct buf *b, int proto, double v)
{
    char text[32];

    double_text(v, text);
    if (proto == 3)
        line(b, ',', text);
    else
        resp_bulk(b, span_str(text));
}
