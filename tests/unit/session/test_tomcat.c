/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tomcat's messages as changes: what the versions say about messages that were sent within one millisecond,
 * whose ids have no order.
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

CLUSTERD_SUITE(tomcat, &test_first_request_comes_first, &test_stamped_earlier_is_earlier,
               &test_equal_otherwise_the_id_decides_for_all_alike)
