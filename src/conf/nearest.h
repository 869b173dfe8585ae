/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which known name was meant? The candidate with the smallest edit distance (letters inserted, left out,
 * replaced or two neighbours swapped; case does not count), if it is near enough to be a typing error.
 */
#ifndef CLUSTERD_CONF_NEAREST_H
#define CLUSTERD_CONF_NEAREST_H

#include "clusterd/util/bytes.h"

struct nearest {
    struct span word; /* what was written */
    struct span best; /* n = 0: none so far */
    unsigned distance;
};

void nearest_init(struct nearest *n, const char *word);
void nearest_consider(struct nearest *n, struct span candidate);

#endif
