/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeltaRequest beyond the golden ones: what is left out and counted, what is refused, values that share
 * objects.
 */
#include "clusterd/wire/delta.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"

static void begin(struct jwrite *w, struct buf *b, int32_t n)
{
    jwrite_init(w, b);
    ck_assert_int_eq(jwrite_utf(w, SPAN_LIT("ID")), ERR_OK);
    jwrite_u8(w, 0);
    jwrite_i32(w, n);
}

static void action(struct jwrite *w, int32_t type, int32_t op, const char *name, bool has_value)
{
    jwrite_i32(w, type);
    jwrite_i32(w, op);
    ck_assert_int_eq(jwrite_utf(w, span_str(name)), ERR_OK);
    jwrite_u8(w, has_value);
    if (has_value)
        jwrite_end(w);
}

static bool is_text(const struct blob *value, const char *want)
{
    struct buf text = {0};
    bool is =
        value && value_text(blob_span(value), 1000, &text) == ERR_OK && strcmp(buf_cstr(&text), want) == 0;

    buf_fini(&text);
    return is;
}

START_TEST(all_types_come_back)
{
    struct delta_action actions[] = {
        {DELTA_IS_NEW, DELTA_SET, 0, SPAN_LIT(DELTA_NAME_IS_NEW), value_from_boolean(false)},
        {DELTA_MAX_INTERVAL, DELTA_SET, 0, SPAN_LIT(DELTA_NAME_MAX_INTERVAL), value_from_integer(-1)},
        {DELTA_AUTH_TYPE, DELTA_SET, 0, SPAN_LIT(DELTA_NAME_AUTH_TYPE), value_from_bytes(SPAN_LIT("FORM"))},
        {DELTA_PRINCIPAL, DELTA_SET, 0, SPAN_LIT(DELTA_NAME_PRINCIPAL), NULL},
        {DELTA_LISTENER, DELTA_REMOVE, 0, SPAN_LIT(DELTA_NAME_LISTENER), value_from_bytes(SPAN_LIT("l"))},
        {DELTA_NOTE, DELTA_REMOVE, 0, SPAN_LIT("note"), NULL},
        {DELTA_ATTRIBUTE, DELTA_SET, 0, SPAN_LIT("\xf0\x9f\x98\x80"), value_from_bytes(SPAN_LIT("\xff"))},
        {DELTA_ATTRIBUTE, DELTA_SET, 0, SPAN_LIT("other"), value_from_bytes(SPAN_LIT("\xfe"))},
        {DELTA_ATTRIBUTE, DELTA_REMOVE, 0, SPAN_LIT(""), NULL},
    };
    uint32_t n = sizeof actions / sizeof *actions;
    struct delta d = {.session_id = SPAN_LIT("a\x00z"), .record_all = true, .n = n, .actions = actions}, back;
    struct buf b = {0};
    const char *field = NULL;

    ck_assert_int_eq(delta_encode(&d, &b), ERR_OK);
    ck_assert_msg(delta_decode(buf_span(&b), NULL, &back, &field) == ERR_OK, "%s", field);
    ck_assert(span_eq(back.session_id, d.session_id));
    ck_assert(back.record_all);
    ck_assert_uint_eq(back.n, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_int_eq(back.actions[i].type, actions[i].type);
        ck_assert_int_eq(back.actions[i].op, actions[i].op);
        ck_assert_uint_eq(back.actions[i].index, i);
        ck_assert(span_eq(back.actions[i].name, actions[i].name));
        ck_assert(span_eq(blob_span(back.actions[i].value), blob_span(actions[i].value)));
        blob_unref(actions[i].value);
    }
    delta_fini(&back);
    buf_fini(&b);
}
END_TEST

START_TEST(values_that_share_come_apart)
{
    struct buf b = {0};
    struct jwrite w;
    struct delta d;

    begin(&w, &b, 3);
    action(&w, 0, 0, "a", true);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("shared")), ERR_OK);
    action(&w, 0, 0, "b", true);
    wr_bytes(&b, "\x71\x00\x7e\x00\x00", 5);
    action(&w, 0, 0, "c", true);
    wr_bytes(&b,
             "\x75\x72\x00\x13[Ljava.lang.String;"
             "\x01\x02\x03\x04\x05\x06\x07\x08\x02\x00\x00\x78\x70\x00\x00\x00\x01"
             "\x71\x00\x7e\x00\x00",
             45);
    ck_assert_int_eq(delta_decode(buf_span(&b), NULL, &d, NULL), ERR_OK);
    ck_assert_uint_eq(d.n, 3);
    ck_assert(is_text(d.actions[0].value, "shared"));
    ck_assert(is_text(d.actions[1].value, "shared"));
    ck_assert(is_text(d.actions[2].value, "[\"shared\"]"));
    delta_fini(&d);
    buf_fini(&b);
}
END_TEST

START_TEST(what_is_left_out_is_counted)
{
    struct buf b = {0};
    struct jwrite w;
    struct delta d;
    const char *field = NULL;

    begin(&w, &b, 8);
    action(&w, 0, 0, "first", true);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("1")), ERR_OK);
    action(&w, 0, 0, "bad text", true);
    wr_bytes(&b, "\x74\x00\x01\xff", 4);
    action(&w, 9, 0, "unknown type", true);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("x")), ERR_OK);
    action(&w, -1, 0, "unknown type", false);
    action(&w, 0, 7, "any other action is a removal", false);
    action(&w, 0, 0, "null is a removal too", true);
    jwrite_null(&w);
    action(&w, 0, 0, "failed", true);
    wr_bytes(&b, "\x7b\x74\x00\x03why", 7);
    action(&w, 0, 0, "last", true);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("8")), ERR_OK);
    ck_assert_msg(delta_decode(buf_span(&b), NULL, &d, &field) == ERR_OK, "%s", field);
    ck_assert_uint_eq(d.n, 4);
    ck_assert_uint_eq(d.n_dropped, 2);
    ck_assert_uint_eq(d.n_unknown, 2);
    ck_assert(is_text(d.actions[0].value, "1"));
    ck_assert_int_eq(d.actions[1].op, DELTA_REMOVE);
    ck_assert_uint_eq(d.actions[1].index, 4);
    ck_assert_int_eq(d.actions[2].op, DELTA_SET);
    ck_assert_ptr_null(d.actions[2].value);
    ck_assert(is_text(d.actions[3].value, "8"));
    ck_assert_uint_eq(d.actions[3].index, 7);
    delta_fini(&d);
    buf_fini(&b);
}
END_TEST

START_TEST(a_value_too_big_costs_only_itself)
{
    struct buf b = {0}, text = {0};
    struct jwrite w;
    struct delta d;
    struct java_limits limits = java_limits_default;

    for (int i = 0; i < 1000; i++)
        wr_u8(&text, 'x');
    limits.max_value = 500;
    begin(&w, &b, 2);
    action(&w, 0, 0, "big", true);
    ck_assert_int_eq(jwrite_string(&w, buf_span(&text)), ERR_OK);
    action(&w, 0, 0, "small", true);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("x")), ERR_OK);
    ck_assert_int_eq(delta_decode(buf_span(&b), &limits, &d, NULL), ERR_OK);
    ck_assert_uint_eq(d.n, 1);
    ck_assert_uint_eq(d.n_dropped, 1);
    ck_assert(span_eq(d.actions[0].name, SPAN_LIT("small")));
    delta_fini(&d);
    buf_fini(&b);
    buf_fini(&text);
}
END_TEST

START_TEST(refused)
{
    struct buf b = {0};
    struct jwrite w;
    struct delta d = {.n = 5};
    const char *field = NULL;

    begin(&w, &b, -1);
    jwrite_end(&w);
    ck_assert_int_eq(delta_decode(buf_span(&b), NULL, &d, &field), ERR_BAD);
    ck_assert_str_eq(field, "delta action count");
    buf_clear(&b);
    begin(&w, &b, INT32_MAX); /* nothing is allocated for what cannot be there */
    jwrite_end(&w);
    ck_assert_int_eq(delta_decode(buf_span(&b), NULL, &d, &field), ERR_SHORT);
    ck_assert_str_eq(field, "delta action count");
    buf_clear(&b);
    begin(&w, &b, 0);
    jwrite_null(&w);
    ck_assert_int_eq(delta_decode(buf_span(&b), NULL, &d, &field), ERR_BAD);
    ck_assert_str_eq(field, "delta tail");
    buf_clear(&b);
    begin(&w, &b, 1);
    action(&w, 0, 0, "value that is no object", true);
    jwrite_u8(&w, 1);
    jwrite_end(&w);
    ck_assert_int_eq(delta_decode(buf_span(&b), NULL, &d, &field), ERR_BAD);
    ck_assert_str_eq(field, "delta value");
    ck_assert_uint_eq(d.n, 5); /* untouched */
    buf_fini(&b);
}
END_TEST

START_TEST(what_cannot_be_encoded)
{
    struct delta_action a = {DELTA_ATTRIBUTE, DELTA_SET, 0, SPAN_LIT("\xff"), NULL};
    struct delta d = {.session_id = SPAN_LIT("ID"), .n = 1, .actions = &a};
    struct buf b = {0};

    wr_text(&b, "kept");
    ck_assert_int_eq(delta_encode(&d, &b), ERR_BAD);
    a.name = SPAN_LIT("name");
    a.value = blob_new(SPAN_LIT("no value"));
    ck_assert_int_eq(delta_encode(&d, &b), ERR_BAD);
    ck_assert_uint_eq(b.n, 4);
    blob_unref(a.value);
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(delta, &all_types_come_back, &values_that_share_come_apart, &what_is_left_out_is_counted,
               &a_value_too_big_costs_only_itself, &refused, &what_cannot_be_encoded)
