/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the values of known.h without a walk. Pure functions, any thread.
 */
#include "known.h"

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

bool known_content(struct span value, bool *is_text, struct span *content)
{
    const struct {
        struct span head;
        size_t n_length;
        bool is_text;
    } forms[] = {{SPAN_LIT(KNOWN_HEADER "\x74"), 2, true},
                 {SPAN_LIT(KNOWN_HEADER "\x7c"), 8, true},
                 {KNOWN_BYTES, 4, false}};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t head = forms[i].head.n + forms[i].n_length;
        if (value.n < head || !span_starts_with(value, forms[i].head))
            continue;
        *content = span_of(value.p + head, value.n - head);
        *is_text = forms[i].is_text;
        return big_endian(value.p + forms[i].head.n, forms[i].n_length) == content->n;
    }
    return false;
}
