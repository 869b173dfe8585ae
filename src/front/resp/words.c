/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and globs of requests; see words.h. The glob keeps one place to go back to, the last star, so no
 * pattern makes it slow, and gives what Redis' recursive matcher gives, unclosed classes included.
 */
#include "words.h"

bool words_u64(struct span s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)s.p[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool words_i64(struct span s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct span digits = negative ? span_of(s.p + 1, s.n - 1) : s;
    uint64_t v = 0;

    if (digits.n == 0 || (digits.p[0] == '0' && s.n > 1) || !words_u64(digits, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* A class from behind its '['; *at goes behind it. A missing ']' closes at the end, as in Redis. */
static bool match_class(struct span p, size_t *at, uint8_t c)
{
    bool negated = *at < p.n && p.p[*at] == '^', found = false;
    size_t i = *at + negated;

    for (; i < p.n && p.p[i] != ']'; i++) {
        if (p.p[i] == '\\' && i + 1 < p.n) {
            found |= p.p[++i] == c;
        } else if (i + 2 < p.n && p.p[i + 1] == '-') {
            uint8_t low = p.p[i], high = p.p[i + 2];
            found |= low <= high ? low <= c && c <= high : high <= c && c <= low;
            i += 2;
        } else {
            found |= p.p[i] == c;
        }
    }
    *at = i < p.n ? i + 1 : i;
    return found != negated;
}

/* One element of the pattern that is no star against one byte; *at goes behind the element. */
static bool match_one(struct span p, size_t *at, uint8_t c)
{
    uint8_t e = p.p[(*at)++];

    if (e == '?')
        return true;
    if (e == '[')
        return match_class(p, at, c);
    if (e == '\\' && *at < p.n)
        e = p.p[(*at)++];
    return e == c;
}

bool words_match(struct span pattern, struct span text)
{
    size_t at = 0, i = 0, star = SIZE_MAX, from = 0;

    while (i < text.n) {
        if (at < pattern.n && pattern.p[at] == '*') {
            star = ++at;
            from = i;
        } else if (at < pattern.n && match_one(pattern, &at, text.p[i])) {
            i++;
        } else if (star != SIZE_MAX) {
            at = star;
            i = ++from;
        } else {
            return false;
        }
    }
    while (at < pattern.n && pattern.p[at] == '*')
        at++;
    return at == pattern.n;
}
