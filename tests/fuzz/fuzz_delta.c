/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a DeltaRequest. What is accepted encodes, and decodes to the same actions again.
 */
#include "clusterd/wire/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct delta *a, const struct delta *b)
{
    ASSERT(span_eq(a->session_id, b->session_id) && a->record_all == b->record_all && a->n == b->n);
    ASSERT(b->n_dropped == 0 && b->n_unknown == 0);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct delta_action *x = &a->actions[i], *y = &b->actions[i];
        ASSERT(x->type == y->type && x->op == y->op && span_eq(x->name, y->name));
        ASSERT((x->value == NULL) == (y->value == NULL));
        ASSERT(span_eq(blob_span(x->value), blob_span(y->value)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct delta d, again;
    struct buf bytes = {0};
    const char *field = NULL;

    if (delta_decode(span_of(data, size), NULL, &d, &field) != ERR_OK) {
        ASSERT(field != NULL);
        return 0;
    }
    enum err e = delta_encode(&d, &bytes);
    ASSERT(e == ERR_OK || e == ERR_TOO_BIG); /* a raw NUL takes two bytes when Java writes it */
    if (e == ERR_OK) {
        ASSERT(delta_decode(buf_span(&bytes), NULL, &again, &field) == ERR_OK);
        check_same(&d, &again);
        delta_fini(&again);
    }
    delta_fini(&d);
    buf_fini(&bytes);
    return 0;
}
