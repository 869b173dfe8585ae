/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tomcat's messages as changes: what the versions say about messages that were sent within one millisecond,
 * whose ids have no order. Changes as blocks of state: what is in them, and which sessions may share one.
 */
#include "../../../src/session/tomcat.h"
#include "clusterd/session/context.h"
#include "clusterd/wire/delta.h"
#include "clusterd/wire/value.h"
#include "support/suite.h"

static struct context context;

/* A delta that sets the attribute "a"; its message was stamped at stamped_ms and sent at 1000. */
static struct version version_of(bool is_new, int64_t stamped_ms, uint32_t id_head)
{
    struct blob *flag = value_from_boolean(is_new), *value = value_from_integer(1);
    struct delta_action actions[] = {
        {.type = DELTA_IS_NEW, .name = SPAN_LIT(DELTA_NAME_IS_NEW), .value = flag},
        {.type = DELTA_ATTRIBUTE, .name = SPAN_LIT("a"), .value = value}};
    struct delta delta = {.session_id = SPAN_LIT("x"), .n = 2, .actions = actions};
    struct buf body = {0};
    struct change *c = NULL;
    const char *field = NULL;

    ck_assert_int_eq(delta_encode(&delta, &body), ERR_OK);
    struct session_msg msg = {
        .event = SESSION_DELTA, .session_id = SPAN_LIT("x"), .has_body = true, .body = buf_span(&body)};
    ck_assert_int_eq(
        tomcat_to_change(&msg, &context, (struct version){1000, 7, id_head}, stamped_ms, &c, &field), ERR_OK);
    ck_assert_uint_eq(c->n, 1);
    ck_assert_int_eq(version_cmp(c->version, c->entries[0].version), 0);
    struct version v = c->version;
    change_unref(c);
    blob_unref(flag);
    blob_unref(value);
    buf_fini(&body);
    ck_assert_int_eq(v.time_ms, 1000);
    ck_assert_uint_eq(v.writer, 7);
    return v;
}

START_TEST(test_first_request_comes_first)
{
    static const uint32_t heads[] = {0, 1, 0x7fffffff, 0x80000000, UINT32_MAX};

    for (unsigned i = 0; i < 5; i++)
        for (unsigned k = 0; k < 5; k++) {
            ck_assert_int_lt(version_cmp(version_of(true, 1000, heads[i]), version_of(false, 1000, heads[k])),
                             0);
            ck_assert_int_lt(version_cmp(version_of(true, 1000, heads[i]), version_of(false, 0, heads[k])),
                             0);
        }
}
END_TEST

START_TEST(test_stamped_earlier_is_earlier)
{
    static const int64_t stamps[] = {0, 998, 999, 1000};

    for (unsigned i = 0; i + 1 < sizeof stamps / sizeof *stamps; i++)
        ck_assert_int_lt(
            version_cmp(version_of(false, stamps[i], UINT32_MAX), version_of(false, stamps[i + 1], 0)), 0);
    ck_assert_int_eq(version_cmp(version_of(false, 1500, 16), version_of(false, 1000, 16)), 0);
}
END_TEST

START_TEST(test_equal_otherwise_the_id_decides_for_all_alike)
{
    ck_assert_int_ne(version_cmp(version_of(false, 1000, 0x10), version_of(false, 1000, 0xf0)), 0);
}
END_TEST

static struct change *session_with(const char *id, enum entry_kind kind, struct blob *value)
{
    struct change *c = change_new(&context, span_str(id), (struct version){1000, 7, 0});

    change_set(c, kind, SPAN_LIT("a"), value, c->version);
    change_seal(c);
    return c;
}

/* All sessions of a block come out of it, in its order, each with what it holds. */
START_TEST(test_a_block_of_many)
{
    struct change *all[3];
    char id[2] = "x";
    struct buf body = {0};
    struct state_reader r;
    struct state_session s;

    for (unsigned i = 0; i < 3; i++) {
        id[0] = (char)('p' + i);
        all[i] = session_with(id, ENTRY_ATTRIBUTE, value_from_integer((int32_t)i));
    }
    ck_assert_int_eq(tomcat_state_from_changes(all, 3, 5000, 30, &body), ERR_OK);
    ck_assert_int_eq(state_reader_init(&r, buf_span(&body), NULL, NULL), ERR_OK);
    for (unsigned i = 0; i < 3; i++) {
        int32_t n = -1;
        ck_assert_int_eq(state_reader_next(&r, &s, NULL), ERR_OK);
        ck_assert(span_eq(s.id, all[i]->id));
        ck_assert_int_eq(s.this_access_ms, 5030);
        ck_assert_uint_eq(s.n_attributes, 1);
        ck_assert_int_eq(value_integer(blob_span(s.attributes[0].value), &n), ERR_OK);
        ck_assert_int_eq(n, (int32_t)i);
        state_session_fini(&s);
        change_unref(all[i]);
    }
    ck_assert_int_eq(state_reader_next(&r, &s, NULL), ERR_NOT_FOUND);
    state_reader_fini(&r);
    buf_fini(&body);
}
END_TEST

static bool is_plain(const char *id, enum entry_kind kind, struct blob *value)
{
    struct change *c = session_with(id, kind, value);
    bool plain = tomcat_state_is_plain(c);

    change_unref(c);
    return plain;
}

/* Only what each JVM can read may share a block: a class that is missing costs all the sessions behind it. */
START_TEST(test_who_may_share_a_block)
{
    static const char date[] = "\xac\xed\0\5sr\0\16java.util.Datehj\x81\1KYt\x19\3\0\0xpw\b\0\0\0\0\0\0\0\1x";
    static const char bean[] = "\xac\xed\0\5sr\0\10app.Bean\0\0\0\0\0\0\0\1\2\0\0xp";

    ck_assert(is_plain("x", ENTRY_ATTRIBUTE, value_from_bytes(SPAN_LIT("text"))));
    ck_assert(is_plain("x", ENTRY_ATTRIBUTE, value_from_bytes(SPAN_LIT("\xff\xfe"))));
    ck_assert(is_plain("x", ENTRY_ATTRIBUTE, value_from_long(1)));
    ck_assert(is_plain("x", ENTRY_ATTRIBUTE, value_from_boolean(true)));
    ck_assert(!is_plain("\xff", ENTRY_ATTRIBUTE, value_from_boolean(true)));
    /* What a JVM would stumble over: an Integer of another make, a text that is none, a null without an
     * object. */
    ck_assert(
        !is_plain("x", ENTRY_ATTRIBUTE,
                  blob_new(SPAN_LIT("\xac\xed\0\5sr\0\21java.lang.Integer\0\0\0\0\0\0\0\1\2\0\1I\0\5value"
                                    "xp\0\0\0\5"))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(SPAN_LIT("\xac\xed\0\5t\0\1\xff"))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(SPAN_LIT("\xac\xed\0\5t\0\2x"))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(SPAN_LIT("\xac\xed\0\5p"))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(span_of(bean, sizeof bean - 1))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(span_of(date, sizeof date - 1))));
    ck_assert(!is_plain("x", ENTRY_ATTRIBUTE, blob_new(SPAN_LIT("broken"))));
    ck_assert(!is_plain("x", ENTRY_PRINCIPAL, value_from_bytes(SPAN_LIT("alice"))));
    ck_assert(!is_plain("x", ENTRY_NOTE, value_from_bytes(SPAN_LIT("note"))));
    ck_assert(!is_plain("x", ENTRY_AUTH_TYPE, value_from_bytes(SPAN_LIT("FORM"))));
}
END_TEST

CLUSTERD_SUITE(tomcat, &test_first_request_comes_first, &test_stamped_earlier_is_earlier,
               &test_equal_otherwise_the_id_decides_for_all_alike, &test_a_block_of_many,
               &test_who_may_share_a_block)
