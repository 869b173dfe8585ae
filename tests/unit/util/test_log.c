/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines with names that others have chosen: one line each, no control bytes; limits with their counts.
 */
#include "support/logs.h"
#include "support/suite.h"

START_TEST(lines_have_no_control_bytes)
{
    logs_begin(LOG_INFO);
    log_info("context %s of %s", "a\nE forged\r\x1b[31m\t\x7f", "\xc3\xa4");
    ck_assert_str_eq(buf_cstr(&logs_text), "I context a E forged  [31m   of \xc3\xa4\n");
    logs_end();
}
END_TEST

START_TEST(long_lines_are_cut)
{
    char much[2 * LOG_LINE_MAX];

    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = 0;
    logs_begin(LOG_INFO);
    log_info("%s", much);
    ck_assert_uint_le(logs_text.n, LOG_LINE_MAX + 2);
    ck_assert_uint_eq(logs_count("x...\n"), 1);
    logs_end();
}
END_TEST

START_TEST(a_limit_lets_one_through_and_counts_the_rest)
{
    struct log_limit limit = {0};
    unsigned left_out;

    ck_assert(log_limit_pass(&limit, 1000, LOG_LIMIT_MS, &left_out));
    for (int i = 0; i < 5; i++)
        ck_assert(!log_limit_pass(&limit, 1000 + LOG_LIMIT_MS - 1, LOG_LIMIT_MS, &left_out));
    ck_assert(log_limit_pass(&limit, 1000 + LOG_LIMIT_MS, LOG_LIMIT_MS, &left_out));
    ck_assert_uint_eq(left_out, 5);
}
END_TEST

START_TEST(ids_and_bytes_are_shown_in_part)
{
    char id[LOG_ID_MAX], text[16];

    ck_assert_str_eq(log_id(id, SPAN_LIT("0123456789")), "012345...");
    ck_assert_str_eq(log_id(id, SPAN_LIT("a\x1b\n")), "a??");
    ck_assert_str_eq(log_printable(text, sizeof text, SPAN_LIT("a\x1b\\")), "a\\x1b\\x5c");
    ck_assert_str_eq(log_printable(text, sizeof text, SPAN_LIT("0123456789abcdef")), "012345678...");
}
END_TEST

CLUSTERD_SUITE(log, &lines_have_no_control_bytes, &long_lines_are_cut,
               &a_limit_lets_one_through_and_counts_the_rest, &ids_and_bytes_are_shown_in_part)
