/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as the input of a front-door client. The first byte says in pieces of what size they
 * arrive; the requests found, and the error at the end, must be the same as when all arrives at once.
 */
#include "clusterd/wire/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resp_limits limits = {
    .max_args = 1000, .max_bulk = 2000, .max_inline = 300, .max_request = 4000};

/* Looking ahead at what the parser has found sees the same, or nothing. */
static void check_peek(const struct resp_parser *p, struct span in)
{
    struct span key;
    size_t used;

    if (!resp_peek(in, &key, &used))
        return;
    ASSERT(used == p->used);
    ASSERT(span_eq(key, resp_count(p) > 1 ? resp_word(p, in, 1) : (struct span){NULL, 0}));
}

/* Requests as canonical multibulk, then the error if there is one. */
static void parse_all(struct span in, size_t piece, bool unauthenticated, struct buf *said)
{
    struct resp_parser p;
    size_t start = 0, end = 0;
    enum err e = ERR_SHORT;

    resp_init(&p, &limits);
    p.unauthenticated = unauthenticated;
    while (e == ERR_OK || (e == ERR_SHORT && end < in.n)) {
        if (e == ERR_SHORT)
            end += piece < in.n - end ? piece : in.n - end;
        struct span now = span_of(in.p + start, end - start);
        e = resp_parse(&p, now);
        if (e == ERR_SHORT)
            ASSERT(p.need > now.n);
        if (e != ERR_OK)
            continue;
        ASSERT(p.used > 0 && p.used <= now.n);
        check_peek(&p, now);
        resp_array(said, resp_count(&p));
        for (size_t i = 0; i < resp_count(&p); i++)
            resp_bulk(said, resp_word(&p, now, i));
        start += p.used;
        resp_next(&p);
    }
    if (e != ERR_SHORT)
        resp_error(said, p.error);
    resp_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};

    if (size < 2)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    bool unauthenticated = data[0] & 1;
    parse_all(in, in.n, unauthenticated, &whole);
    parse_all(in, 1 + (data[0] >> 1), unauthenticated, &pieces);
    ASSERT(span_eq(buf_span(&whole), buf_span(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
