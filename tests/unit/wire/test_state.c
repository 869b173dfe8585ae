/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State blocks beyond the golden ones: every optional item, sessions that fail half way, counts that lie, and
 * a block of many sessions read one by one.
 */
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/state.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

#include <stdio.h>

static bool has_text(const struct blob *value, const char *want)
{
    struct buf text = {0};
    bool has =
        value && value_text(blob_span(value), 1000, &text) == ERR_OK && strcmp(buf_cstr(&text), want) == 0;

    buf_fini(&text);
    return has;
}

START_TEST(every_item_comes_back)
{
    struct state_attribute attributes[] = {
        {SPAN_LIT("a"), value_from_integer(1)},
        {SPAN_LIT("b\xf0\x9f\x98\x80"), value_from_bytes(SPAN_LIT("\xff"))}};
    struct blob *listeners[] = {value_from_bytes(SPAN_LIT("listener"))};
    struct state_session s = {.creation_ms = 1,
                              .last_access_ms = 2,
                              .this_access_ms = 3,
                              .max_inactive_s = -1,
                              .is_new = true,
                              .is_valid = true,
                              .version = 4,
                              .id = SPAN_LIT("ID.\xc3\xa9"),
                              .principal = value_from_bytes(SPAN_LIT("principal")),
                              .note_id = value_from_bytes(SPAN_LIT("note")),
                              .note_request = value_from_long(5),
                              .n_attributes = 2,
                              .n_listeners = 1,
                              .attributes = attributes,
                              .listeners = listeners};
    struct buf b = {0};
    struct state_reader r;
    struct state_session got;

    ck_assert_int_eq(state_encode(&s, 1, &b), ERR_OK);
    ck_assert_int_eq(state_reader_init(&r, buf_span(&b), NULL, NULL), ERR_OK);
    ck_assert_int_eq(state_reader_next(&r, &got, NULL), ERR_OK);
    ck_assert(got.creation_ms == 1 && got.last_access_ms == 2 && got.this_access_ms == 3 && got.version == 4);
    ck_assert(got.max_inactive_s == -1 && got.is_new && got.is_valid && got.n_dropped == 0);
    ck_assert(span_eq(got.id, s.id));
    ck_assert(has_text(got.principal, "principal") && has_text(got.note_id, "note") &&
              has_text(got.note_request, "5"));
    ck_assert_uint_eq(got.n_attributes, 2);
    ck_assert(span_eq(got.attributes[1].name, attributes[1].name));
    ck_assert(has_text(got.attributes[0].value, "1") && has_text(got.attributes[1].value, "\xff"));
    ck_assert_uint_eq(got.n_listeners, 1);
    ck_assert(has_text(got.listeners[0], "listener"));
    state_session_fini(&got);
    ck_assert_int_eq(state_reader_next(&r, &got, NULL), ERR_NOT_FOUND);
    ck_assert_int_eq(state_reader_next(&r, &got, NULL), ERR_NOT_FOUND);
    state_reader_fini(&r);

    for (size_t n = 0; n < b.n; n++) {
        const char *field = NULL;
        enum err e = state_reader_init(&r, span_of(b.p, n), NULL, &field);
        if (e == ERR_OK) {
            e = state_reader_next(&r, &got, &field);
            state_reader_fini(&r);
        }
        ck_assert_msg(e == ERR_SHORT && field, "%zu bytes: %s", n, err_text(e));
    }
    state_session_fini(&(struct state_session){.principal = s.principal, .note_id = s.note_id});
    blob_unref(s.note_request);
    blob_unref(attributes[0].value);
    blob_unref(attributes[1].value);
    blob_unref(listeners[0]);
    buf_fini(&b);
}
END_TEST

/* The items of a session up to the principal's flag. */
static void head(struct jwrite *w, bool has_principal)
{
    jwrite_long(w, 1);
    jwrite_long(w, 2);
    jwrite_integer(w, 1800);
    jwrite_boolean(w, false);
    jwrite_boolean(w, true);
    jwrite_long(w, 3);
    jwrite_long(w, 0);
    jwrite_u8(w, has_principal);
    jwrite_end(w);
}

static void text(struct jwrite *w, const char *s)
{
    ck_assert_int_eq(jwrite_string(w, span_str(s)), ERR_OK);
}

/* A writer that fails puts TC_EXCEPTION, a Throwable, and starts its handles anew: so must our writer here.
 */
static void writer_fails(struct jwrite *w)
{
    wr_bytes(w->out, "\x7b\x74\x00\x03why", 7);
    *w = (struct jwrite){.out = w->out};
}

START_TEST(failed_values_are_left_out)
{
    struct buf b = {0};
    struct jwrite w;
    struct state_reader r;
    struct state_session s;
    const char *field = NULL;

    jwrite_init(&w, &b);
    jwrite_integer(&w, 2);
    head(&w, true);
    writer_fails(&w); /* the principal */
    text(&w, "ONE");
    jwrite_null(&w);
    writer_fails(&w); /* the request note */
    jwrite_integer(&w, 5);
    text(&w, "a");
    text(&w, "1");
    text(&w, "b");
    writer_fails(&w);
    text(&w, "c");
    wr_bytes(&b, "\x74\x00\x01\xff", 4); /* no text that a Java could read */
    w.next_handle++;
    text(&w, "d");
    jwrite_null(&w);
    text(&w, "e");
    text(&w, "5");
    jwrite_integer(&w, 2);
    writer_fails(&w);
    text(&w, "listener");
    head(&w, false);
    text(&w, "TWO");
    jwrite_integer(&w, 0); /* of an old version: no notes */
    jwrite_integer(&w, 0);

    ck_assert_msg(state_reader_init(&r, buf_span(&b), NULL, &field) == ERR_OK, "%s", field);
    ck_assert_msg(state_reader_next(&r, &s, &field) == ERR_OK, "%s", field);
    ck_assert(span_eq(s.id, SPAN_LIT("ONE")));
    ck_assert_uint_eq(s.n_dropped, 5);
    ck_assert_ptr_null(s.principal);
    ck_assert_ptr_null(s.note_request);
    ck_assert_uint_eq(s.n_attributes, 2);
    ck_assert(has_text(s.attributes[0].value, "1") && has_text(s.attributes[1].value, "5"));
    ck_assert_uint_eq(s.n_listeners, 1);
    state_session_fini(&s);
    ck_assert_msg(state_reader_next(&r, &s, &field) == ERR_OK, "%s", field);
    ck_assert(span_eq(s.id, SPAN_LIT("TWO")) && s.n_attributes == 0 && s.max_inactive_s == 1800);
    state_session_fini(&s);
    ck_assert_int_eq(state_reader_next(&r, &s, &field), ERR_NOT_FOUND);
    state_reader_fini(&r);
    buf_fini(&b);
}
END_TEST

static enum err read_all(const struct buf *b, unsigned *n, const char **field)
{
    struct state_reader r;
    struct state_session s;
    enum err e = state_reader_init(&r, buf_span(b), NULL, field);

    *n = 0;
    if (e)
        return e;
    while ((e = state_reader_next(&r, &s, field)) == ERR_OK) {
        ++*n;
        state_session_fini(&s);
    }
    state_reader_fini(&r);
    return e;
}

START_TEST(counts_that_lie)
{
    struct buf b = {0};
    struct jwrite w;
    unsigned n;
    const char *field = NULL;

    jwrite_init(&w, &b);
    jwrite_integer(&w, -1);
    ck_assert_int_eq(read_all(&b, &n, &field), ERR_BAD);
    ck_assert_str_eq(field, "session count");

    buf_clear(&b);
    jwrite_init(&w, &b);
    jwrite_integer(&w, INT32_MAX);
    head(&w, false);
    text(&w, "ONE");
    jwrite_null(&w);
    jwrite_null(&w);
    jwrite_integer(&w, 0);
    jwrite_integer(&w, 0);
    ck_assert_int_eq(read_all(&b, &n, &field), ERR_SHORT);
    ck_assert_uint_eq(n, 1); /* what was whole is good */

    for (int which = 0; which < 2; which++) {
        buf_clear(&b);
        jwrite_init(&w, &b);
        jwrite_integer(&w, 1);
        head(&w, false);
        text(&w, "ONE");
        jwrite_integer(&w, which ? 0 : INT32_MAX);
        jwrite_integer(&w, INT32_MAX);
        ck_assert_int_eq(read_all(&b, &n, &field), which ? ERR_SHORT : ERR_BAD);
        ck_assert_str_eq(field, which ? "session listener" : "session attribute name");
    }

    buf_clear(&b);
    jwrite_init(&w, &b);
    jwrite_integer(&w, 0);
    jwrite_null(&w);
    ck_assert_int_eq(read_all(&b, &n, &field), ERR_BAD);
    ck_assert_str_eq(field, "session block tail");
    buf_fini(&b);
}
END_TEST

START_TEST(many_sessions_one_by_one)
{
    enum { COUNT = 20000 };
    struct state_attribute a = {SPAN_LIT("attribute"), value_from_bytes(SPAN_LIT("some value"))};
    struct state_session *all = calloc(COUNT, sizeof *all);
    char(*ids)[24] = calloc(COUNT, sizeof *ids);
    struct buf b = {0};
    struct state_reader r;
    struct state_session s;

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "ID%u", i);
        all[i] = (struct state_session){
            .creation_ms = i, .is_valid = true, .id = span_str(ids[i]), .n_attributes = 1, .attributes = &a};
    }
    ck_assert_int_eq(state_encode(all, COUNT, &b), ERR_OK);
    ck_assert_int_eq(state_reader_init(&r, buf_span(&b), NULL, NULL), ERR_OK);
    ck_assert_uint_eq(r.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_eq(state_reader_next(&r, &s, NULL), ERR_OK);
        ck_assert(span_eq(s.id, span_str(ids[i])) && s.creation_ms == i);
        ck_assert(span_eq(blob_span(s.attributes[0].value), blob_span(a.value)));
        state_session_fini(&s);
    }
    ck_assert_int_eq(state_reader_next(&r, &s, NULL), ERR_NOT_FOUND);
    state_reader_fini(&r);
    blob_unref(a.value);
    buf_fini(&b);
    free(all);
    free(ids);
}
END_TEST

START_TEST(what_cannot_be_encoded)
{
    struct state_session s = {.id = SPAN_LIT("\xff")};
    struct buf b = {0};

    wr_text(&b, "kept");
    ck_assert_int_eq(state_encode(&s, 1, &b), ERR_BAD);
    s.id = SPAN_LIT("ID");
    s.principal = blob_new(SPAN_LIT("\xac\xed\x00\x05"));
    ck_assert_int_eq(state_encode(&s, 1, &b), ERR_BAD);
    ck_assert_uint_eq(b.n, 4);
    blob_unref(s.principal);
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(state, &every_item_comes_back, &failed_values_are_left_out, &counts_that_lie,
               &many_sessions_one_by_one, &what_cannot_be_encoded)
