/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edit distance for suggestions; see nearest.h.
 */
#include "nearest.h"

#include <ctype.h>

#define WORD_MAX 64u

void nearest_init(struct nearest *n, const char *word)
{
    *n = (struct nearest){.word = span_str(word)};
    /* A third of the letters may be wrong, at least one. Nearer than this is what is looked for. */
    n->distance = (unsigned)(n->word.n / 3) + (n->word.n >= 3 ? 1 : 2);
}

static bool same(uint8_t a, uint8_t b)
{
    return tolower(a) == tolower(b);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment; row[i % 3][j] is the distance of the first i letters of a to the first j of b. */
static unsigned distance(struct span a, struct span b)
{
    unsigned row[3][WORD_MAX + 1];

    for (unsigned j = 0; j <= b.n; j++)
        row[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *now = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned cost = same(a.p[i - 1], b.p[j - 1]) ? 0 : 1;
            now[j] = least(prev[j] + 1, now[j - 1] + 1, prev[j - 1] + cost);
            if (i > 1 && j > 1 && same(a.p[i - 1], b.p[j - 2]) && same(a.p[i - 2], b.p[j - 1]) &&
                prev2[j - 2] + 1 < now[j])
                now[j] = prev2[j - 2] + 1;
        }
    }
    return row[a.n % 3][b.n];
}

void nearest_consider(struct nearest *n, struct span candidate)
{
    if (n->word.n == 0 || n->word.n > WORD_MAX || candidate.n == 0 || candidate.n > WORD_MAX)
        return;
    unsigned d = distance(n->word, candidate);
    if (d < n->distance) {
        n->distance = d;
        n->best = candidate;
    }
}
