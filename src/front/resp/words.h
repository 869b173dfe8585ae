/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of one request as a command sees them, numbers in them read as Redis reads them, and Redis' glob.
 * Words are borrowed from the connection's input and live as long as the command runs. Pure functions.
 */
#ifndef FRONT_RESP_WORDS_H
#define FRONT_RESP_WORDS_H

#include "clusterd/wire/resp.h"

struct words {
    const struct resp_parser *parser;
    struct span in;
    size_t n;
};

static inline struct span word(const struct words *w, size_t i)
{
    return resp_word(w->parser, w->in, i);
}
static inline bool word_is(const struct words *w, size_t i, const char *text)
{
    return span_is_nocase(word(w, i), text);
}

/* The whole of int64_t in decimal; no '+', no leading zeros, no blanks (Redis: string2ll). */
bool words_i64(struct span s, int64_t *out);
bool words_u64(struct span s, uint64_t *out); /* decimal digits only, leading zeros allowed */

/* Redis' glob (stringmatchlen): * ? [a-z] [^a] and backslash. Time at most length times length. */
#define WORDS_PATTERN_MAX 4096
bool words_match(struct span pattern, struct span text);

#endif
