/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars of the configuration; see value.h.
 */
#include "value.h"
#include "nearest.h"

#include "clusterd/util/mem.h"

static enum err must_be(struct buf *why, const char *what)
{
    wr_printf(why, "must be %s", what);
    return ERR_BAD;
}

/* Decimal, an optional minus sign, nothing else: YAML's octal and sexagesimal forms are traps. */
static bool parse_decimal(struct span s, int64_t *out)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    bool negative = i;
    int64_t v = 0;

    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > (INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = negative ? -v : v;
    return true;
}

static bool is_auto(const struct option_spec *row, const char *text)
{
    return row->flags & OPTION_AUTO && strcmp(text, "auto") == 0;
}

static void range_of(const struct option_spec *row, int64_t *min, int64_t *max)
{
    bool any = row->min == 0 && row->max == 0;

    *min = row->min;
    *max = any ? (row->type == OPTION_BYTES ? INT64_MAX : INT32_MAX) : row->max;
}

static const char *unit_of(const struct option_spec *row)
{
    if (row->type == OPTION_MS)
        return " (milliseconds)";
    if (row->type == OPTION_SECONDS)
        return " (seconds)";
    return "";
}

static enum err not_a_number(const struct option_spec *row, struct buf *why)
{
    const char *or_auto = row->flags & OPTION_AUTO ? ", or auto" : "";

    if (row->type == OPTION_BYTES)
        wr_printf(why, "must be a number of bytes such as 65536, 64k, 16m or 2g%s", or_auto);
    else
        wr_printf(why, "must be a whole number%s%s", unit_of(row), or_auto);
    return ERR_BAD;
}

static enum err check_range(const struct option_spec *row, int64_t v, struct buf *why)
{
    int64_t min, max;

    range_of(row, &min, &max);
    if (v >= min && v <= max)
        return ERR_OK;
    wr_printf(why, "must be from %lld to %lld%s", (long long)min, (long long)max, unit_of(row));
    return ERR_BAD;
}

static enum err parse_number(const struct option_spec *row, const char *text, int64_t *out, struct buf *why)
{
    int64_t v;

    if (is_auto(row, text)) {
        *out = OPTION_AUTO_VALUE;
        return ERR_OK;
    }
    if (!parse_decimal(span_str(text), &v))
        return not_a_number(row, why);
    TRY(check_range(row, v, why));
    *out = v;
    return ERR_OK;
}

static enum err parse_bytes(const struct option_spec *row, const char *text, uint64_t *out, struct buf *why)
{
    struct span s = span_str(text);
    unsigned shift = 0;
    int64_t v;

    if (is_auto(row, text)) {
        *out = (uint64_t)OPTION_AUTO_VALUE;
        return ERR_OK;
    }
    switch (s.n ? s.p[s.n - 1] | 0x20 : 0) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    default:
        break;
    }
    s.n -= shift != 0;
    if (!parse_decimal(s, &v) || v < 0)
        return not_a_number(row, why);
    if (v > INT64_MAX >> shift)
        return must_be(why, "less than 2^63 bytes");
    v = (int64_t)((uint64_t)v << shift);
    TRY(check_range(row, v, why));
    *out = (uint64_t)v;
    return ERR_OK;
}

static enum err parse_bool(const char *text, bool *out, struct buf *why)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_is_nocase(span_str(text), words[i])) {
            *out = i % 2;
            return ERR_OK;
        }
    }
    return must_be(why, "true or false");
}

static enum err parse_name(const struct option_spec *row, const char *text, int *out, struct buf *why)
{
    struct nearest near;
    const char *name = row->type == OPTION_CLASS ? option_class_short(text) : text;

    nearest_init(&near, name);
    for (int i = 0; row->names[i]; i++) {
        if (strcmp(row->names[i], name) == 0) {
            *out = i;
            return ERR_OK;
        }
        nearest_consider(&near, span_str(row->names[i]));
    }
    wr_text(why, row->names[1] ? "must be one of " : "must be ");
    for (int i = 0; row->names[i]; i++)
        wr_printf(why, "%s%s", i ? ", " : "", row->names[i]);
    if (near.best.n)
        wr_printf(why, " (did you mean %s?)", (const char *)near.best.p);
    return ERR_BAD;
}

enum err value_check(const struct option_spec *row, const char *text, struct buf *why)
{
    const char *reason = "is not accepted";

    if (!row->parse)
        return ERR_OK;
    enum err e = row->parse(text, NULL, &reason);
    if (e != ERR_OK)
        wr_text(why, reason);
    return e;
}

enum err value_parse(const struct option_spec *row, const char *text, void *field, struct buf *why)
{
    const char *reason = "is not accepted";
    int64_t v;
    enum err e;

    switch (row->type) {
    case OPTION_BOOL:
        return parse_bool(text, field, why);
    case OPTION_INT:
        TRY(parse_number(row, text, &v, why));
        *(int32_t *)field = (int32_t)v;
        return ERR_OK;
    case OPTION_MS:
    case OPTION_SECONDS:
        return parse_number(row, text, field, why);
    case OPTION_BYTES:
        return parse_bytes(row, text, field, why);
    case OPTION_STRING:
        TRY(value_check(row, text, why));
        *(char **)field = mem_strdup(text);
        return ERR_OK;
    case OPTION_ENUM:
    case OPTION_CLASS:
        return parse_name(row, text, field, why);
    case OPTION_CUSTOM:
        e = row->parse(text, field, &reason);
        if (e != ERR_OK)
            wr_text(why, reason);
        return e;
    case OPTION_STRINGS:
        break;
    }
    ASSERT(!"value_parse of a list");
    return ERR_BAD;
}

/* What a reader of YAML takes for a line break, or refuses, beyond ASCII; as UTF-8. */
static const struct {
    const char *utf8, *escaped;
} unquotable[] = {{"\xe2\x80\xa8", "\\u2028"},
                  {"\xe2\x80\xa9", "\\u2029"},
                  {"\xef\xbb\xbf", "\\ufeff"},
                  {"\xef\xbf\xbe", "\\ufffe"},
                  {"\xef\xbf\xbf", "\\uffff"}};

/* How many bytes of the text were written escaped, if any. */
static size_t escape_wide(const uint8_t *p, struct buf *out)
{
    if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) {
        wr_printf(out, "\\x%02x", p[1]);
        return 2;
    }
    for (size_t i = 0; i < sizeof unquotable / sizeof *unquotable; i++)
        if (strncmp((const char *)p, unquotable[i].utf8, 3) == 0) {
            wr_text(out, unquotable[i].escaped);
            return 3;
        }
    return 0;
}

void value_quote(const char *text, struct buf *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";

    if (*text && *text != '-' && strcmp(text, "null") != 0 && text[strspn(text, plain)] == 0) {
        wr_text(out, text);
        return;
    }
    wr_u8(out, '"');
    for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
        size_t wide = escape_wide(p, out);
        if (wide)
            p += wide - 1;
        else if (*p == '"' || *p == '\\')
            wr_printf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7F)
            wr_printf(out, "\\x%02x", *p);
        else
            wr_u8(out, *p);
    }
    wr_u8(out, '"');
}

static void print_bytes(uint64_t v, struct buf *out)
{
    static const char suffix[] = "gmk";

    for (unsigned i = 0; v > 0 && i < 3; i++) {
        unsigned shift = 30 - 10 * i;
        if (v % (UINT64_C(1) << shift) == 0) {
            wr_printf(out, "%llu%c", (unsigned long long)(v >> shift), suffix[i]);
            return;
        }
    }
    wr_printf(out, "%llu", (unsigned long long)v);
}

static void print_number(const struct option_spec *row, int64_t v, struct buf *out)
{
    if (row->flags & OPTION_AUTO && v == OPTION_AUTO_VALUE)
        wr_text(out, "auto");
    else if (row->type == OPTION_BYTES)
        print_bytes((uint64_t)v, out);
    else
        wr_printf(out, "%lld", (long long)v);
}

static void print_strings(const struct option_strings *s, struct buf *out)
{
    wr_u8(out, '[');
    for (size_t i = 0; i < s->n; i++) {
        wr_text(out, i ? ", " : "");
        value_quote(s->v[i], out);
    }
    wr_u8(out, ']');
}

void value_print(const struct option_spec *row, const void *field, struct buf *out)
{
    struct buf text = {0};

    switch (row->type) {
    case OPTION_BOOL:
        wr_text(out, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_INT:
        print_number(row, *(const int32_t *)field, out);
        break;
    case OPTION_MS:
    case OPTION_SECONDS:
        print_number(row, *(const int64_t *)field, out);
        break;
    case OPTION_BYTES:
        print_number(row, (int64_t) * (const uint64_t *)field, out);
        break;
    case OPTION_STRING:
        value_quote(*(char *const *)field ? *(char *const *)field : "", out);
        break;
    case OPTION_ENUM:
    case OPTION_CLASS:
        wr_text(out, row->names[*(const int *)field]);
        break;
    case OPTION_STRINGS:
        print_strings(field, out);
        break;
    case OPTION_CUSTOM:
        row->print(field, &text);
        value_quote(buf_cstr(&text), out);
        buf_fini(&text);
        break;
    }
}
