/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modified UTF-8 to UTF-8 and back; see mutf.h. Most texts of a cluster are ASCII, where both forms are the
 * same bytes: many of them are looked at in one step, and only the rest is decoded unit by unit.
 */
#include "clusterd/wire/mutf.h"

#define REPLACEMENT 0xFFFDu
#define BAD_UNIT    UINT32_MAX

static bool is_cont(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

static bool is_high(uint32_t unit)
{
    return unit >= 0xD800 && unit < 0xDC00;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xDC00 && unit < 0xE000;
}

/* Bytes 01..7F at the start of s. */
static size_t ascii_prefix(struct span s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    size_t i = 0;

    for (uint64_t v[4]; s.n - i >= sizeof v; i += sizeof v) {
        memcpy(v, s.p + i, sizeof v);
        uint64_t tested =
            (v[0] | (v[0] - ones)) | (v[1] | (v[1] - ones)) | (v[2] | (v[2] - ones)) | (v[3] | (v[3] - ones));
        if (tested & tops) /* a byte above 7F, or (perhaps) a zero byte */
            break;
    }
    while (i < s.n && s.p[i] && s.p[i] < 0x80)
        i++;
    return i;
}

/* One code point of strict UTF-8 at s.p[*i]; BAD_UNIT when there is none. */
static uint32_t utf8_next(struct span s, size_t *i)
{
    uint8_t c = s.p[*i];
    size_t more = c < 0x80                ? 0
                  : c >= 0xC2 && c < 0xE0 ? 1
                  : c >= 0xE0 && c < 0xF0 ? 2
                  : c >= 0xF0 && c < 0xF5 ? 3
                                          : 4;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    if (more > 3 || s.n - *i <= more)
        return BAD_UNIT;
    uint32_t v = more == 0 ? c : c & (0x3Fu >> more);
    for (size_t k = 1; k <= more; k++) {
        if (!is_cont(s.p[*i + k]))
            return BAD_UNIT;
        v = v << 6 | (s.p[*i + k] & 0x3Fu);
    }
    if (v < least[more] || v > 0x10FFFF || is_high(v) || is_low(v))
        return BAD_UNIT;
    *i += more + 1;
    return v;
}

/* One UTF-16 unit of modified UTF-8 at s.p[*i], as leniently as Java: any length of form up to three bytes.
 */
static uint32_t mutf_next(struct span s, size_t *i)
{
    uint8_t c = s.p[*i];
    size_t more = c < 0x80 ? 0 : c >= 0xC0 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : 3;

    if (more > 2 || s.n - *i <= more)
        return BAD_UNIT;
    uint32_t v = more == 0 ? c : c & (0x3Fu >> more);
    for (size_t k = 1; k <= more; k++) {
        if (!is_cont(s.p[*i + k]))
            return BAD_UNIT;
        v = v << 6 | (s.p[*i + k] & 0x3Fu);
    }
    *i += more + 1;
    return v;
}

static void put_utf8(struct buf *out, uint32_t v)
{
    uint8_t b[4];
    size_t n = 0;

    if (v < 0x80) {
        b[n++] = (uint8_t)v;
    } else if (v < 0x800) {
        b[n++] = (uint8_t)(0xC0 | v >> 6);
        b[n++] = (uint8_t)(0x80 | (v & 0x3F));
    } else if (v < 0x10000) {
        b[n++] = (uint8_t)(0xE0 | v >> 12);
        b[n++] = (uint8_t)(0x80 | (v >> 6 & 0x3F));
        b[n++] = (uint8_t)(0x80 | (v & 0x3F));
    } else {
        b[n++] = (uint8_t)(0xF0 | v >> 18);
        b[n++] = (uint8_t)(0x80 | (v >> 12 & 0x3F));
        b[n++] = (uint8_t)(0x80 | (v >> 6 & 0x3F));
        b[n++] = (uint8_t)(0x80 | (v & 0x3F));
    }
    wr_bytes(out, b, n);
}

static void put_mutf(struct buf *out, uint32_t v)
{
    if (v == 0) {
        wr_bytes(out, "\xc0\x80", 2);
    } else if (v >= 0x10000) {
        /* put_utf8() gives a surrogate its three bytes as any other unit below U+10000. */
        put_utf8(out, 0xD800 + ((v - 0x10000) >> 10));
        put_utf8(out, 0xDC00 + ((v - 0x10000) & 0x3FF));
    } else {
        put_utf8(out, v);
    }
}

bool mutf_utf8_valid(struct span s)
{
    for (size_t i = ascii_prefix(s); i < s.n;)
        if (utf8_next(s, &i) == BAD_UNIT)
            return false;
    return true;
}

bool mutf_valid(struct span s)
{
    for (size_t i = ascii_prefix(s); i < s.n;)
        if (mutf_next(s, &i) == BAD_UNIT)
            return false;
    return true;
}

bool mutf_is_plain(struct span s)
{
    for (size_t i = ascii_prefix(s); i < s.n;) {
        uint32_t v = utf8_next(s, &i);
        if (v == BAD_UNIT || v == 0 || v > 0xFFFF)
            return false;
    }
    return true;
}

size_t mutf_size(struct span s)
{
    size_t n = s.n, i = ascii_prefix(s);

    for (; i < s.n; i++)
        n += s.p[i] == 0 ? 1 : (s.p[i] & 0xF8) == 0xF0 ? 2 : 0;
    return n;
}

enum err mutf_encode(struct span s, struct buf *out)
{
    size_t i = ascii_prefix(s), before = out->n;

    wr_bytes(out, s.p, i);
    while (i < s.n) {
        uint32_t v = utf8_next(s, &i);
        if (v == BAD_UNIT) {
            out->n = before;
            return ERR_BAD;
        }
        put_mutf(out, v);
    }
    return ERR_OK;
}

enum err mutf_decode(struct span s, struct buf *out)
{
    size_t i = ascii_prefix(s), before = out->n;

    wr_bytes(out, s.p, i);
    while (i < s.n) {
        uint32_t v = mutf_next(s, &i);
        if (v == BAD_UNIT) {
            out->n = before;
            return ERR_BAD;
        }
        if (is_high(v) && i < s.n) {
            size_t after = i;
            uint32_t low = mutf_next(s, &after);
            if (low != BAD_UNIT && is_low(low)) {
                v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
                i = after;
            }
        }
        put_utf8(out, is_high(v) || is_low(v) ? REPLACEMENT : v);
    }
    return ERR_OK;
}
