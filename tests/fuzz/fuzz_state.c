/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a block of session states. Each session that is given out encodes to a block of
 * its own, and decodes to the same again.
 */
#include "clusterd/wire/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_value(const struct blob *a, const struct blob *b)
{
    return (a == NULL) == (b == NULL) && span_eq(blob_span(a), blob_span(b));
}

static void check_same(const struct state_session *a, const struct state_session *b)
{
    ASSERT(a->creation_ms == b->creation_ms && a->last_access_ms == b->last_access_ms);
    ASSERT(a->this_access_ms == b->this_access_ms && a->max_inactive_s == b->max_inactive_s);
    ASSERT(a->is_new == b->is_new && a->is_valid == b->is_valid && a->version == b->version);
    ASSERT(span_eq(a->id, b->id) && b->n_dropped == 0);
    ASSERT(same_value(a->principal, b->principal) && same_value(a->note_request, b->note_request));
    ASSERT(same_value(a->note_id, b->note_id));
    ASSERT(a->n_attributes == b->n_attributes && a->n_listeners == b->n_listeners);
    for (uint32_t i = 0; i < a->n_attributes; i++)
        ASSERT(span_eq(a->attributes[i].name, b->attributes[i].name) &&
               same_value(a->attributes[i].value, b->attributes[i].value));
    for (uint32_t i = 0; i < a->n_listeners; i++)
        ASSERT(same_value(a->listeners[i], b->listeners[i]));
}

/* A note that is an Integer would be read as the number of attributes, as by a Tomcat: such a session has
 * none. */
static void check_again(const struct state_session *s)
{
    struct buf block = {0};
    struct state_reader r;
    struct state_session again;

    ASSERT(state_encode(s, 1, &block) == ERR_OK);
    ASSERT(state_reader_init(&r, buf_span(&block), NULL, NULL) == ERR_OK);
    ASSERT(state_reader_next(&r, &again, NULL) == ERR_OK);
    check_same(s, &again);
    state_session_fini(&again);
    ASSERT(state_reader_next(&r, &again, NULL) == ERR_NOT_FOUND);
    state_reader_fini(&r);
    buf_fini(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_reader r;
    struct state_session s;
    const char *field = NULL;
    enum err e = state_reader_init(&r, span_of(data, size), NULL, &field);

    if (e) {
        ASSERT(field != NULL);
        return 0;
    }
    while ((e = state_reader_next(&r, &s, &field)) == ERR_OK) {
        check_again(&s);
        state_session_fini(&s);
    }
    ASSERT(e == ERR_NOT_FOUND || field != NULL);
    ASSERT(r.done <= r.count);
    state_reader_fini(&r);
    return 0;
}
