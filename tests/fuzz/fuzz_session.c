/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a SessionMessageImpl and as the body of a change of id. What is accepted encodes,
 * and decodes to the same again.
 */
#include "clusterd/wire/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct session_msg *m)
{
    struct buf bytes = {0};
    struct session_msg again;

    ASSERT(session_msg_encode(m, &bytes) == ERR_OK);
    ASSERT(bytes.n <= session_msg_size_max(m));
    ASSERT(session_msg_decode(buf_span(&bytes), &again, NULL) == ERR_OK);
    ASSERT(again.event == m->event && again.timestamp_ms == m->timestamp_ms);
    ASSERT(again.timestamp_set == m->timestamp_set && again.has_context == m->has_context);
    ASSERT(again.has_body == m->has_body && span_eq(again.body, m->body));
    ASSERT(span_eq(again.context, m->context) && span_eq(again.session_id, m->session_id));
    ASSERT(span_eq(again.unique_id, m->unique_id));
    ASSERT(session_event_name(m->event) != NULL);
    session_msg_fini(&again);
    buf_clear(&bytes);
    session_unique_id((enum session_event)m->event, m->session_id, m->context, m->timestamp_ms, &bytes);
    ASSERT(bytes.n == 0 || span_starts_with(buf_span(&bytes), m->session_id));
    buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_msg m;
    struct buf id = {0}, body = {0}, again = {0};
    const char *field = NULL;

    if (session_msg_decode(span_of(data, size), &m, &field) == ERR_OK) {
        check_again(&m);
        session_msg_fini(&m);
    } else {
        ASSERT(field != NULL);
    }
    if (session_id_body_decode(span_of(data, size), &id, NULL) == ERR_OK) {
        enum err e = session_id_body_encode(buf_span(&id), &body);
        ASSERT(e == ERR_OK || e == ERR_TOO_BIG); /* a raw NUL takes two bytes when Java writes it */
        ASSERT(e || session_id_body_decode(buf_span(&body), &again, NULL) == ERR_OK);
        ASSERT(e || span_eq(buf_span(&again), buf_span(&id)));
    }
    buf_fini(&id);
    buf_fini(&body);
    buf_fini(&again);
    return 0;
}
