/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constant messages of interceptors, against those of Tomcat.
 */
#include "clusterd/wire/notice.h"

#include "support/suite.h"
#include "vectors.h"

#define FILE_NAME "interceptors-10.1.60.json"

static void expect(const char *name, enum notice_kind kind)
{
    struct buf b = {0};

    vectors_get(FILE_NAME, name, &b);
    ck_assert_msg(notice_classify(buf_span(&b)) == kind, "%s", name);
    if (kind != NOTICE_NONE) { /* One byte changed or missing: an application's message. */
        ck_assert_msg(notice_classify(span_of(b.p + 1, b.n - 1)) == NOTICE_NONE, "%s", name);
        b.p[0] ^= 1;
        ck_assert_msg(notice_classify(buf_span(&b)) == NOTICE_NONE, "%s", name);
    }
    buf_fini(&b);
}

START_TEST(known_bytes)
{
    struct buf b = {0};

    expect("const-TcpFailureDetector.TCP_FAIL_DETECT", NOTICE_PROBE);
    expect("const-TcpPingInterceptor.TCP_PING_DATA", NOTICE_PING);
    expect("const-StaticMembershipInterceptor.MEMBER_START", NOTICE_STATIC_START);
    expect("const-StaticMembershipInterceptor.MEMBER_STOP", NOTICE_STATIC_STOP);
    expect("const-COORD_ALIVE", NOTICE_COORDINATION);
    expect("nbc-election-request", NOTICE_COORDINATION);
    expect("nbc-view-conf", NOTICE_COORDINATION);
    expect("2pc-phase2-message", NOTICE_COMMIT);
    expect("fragment-0-of-3", NOTICE_NONE);
    expect("gzip-message", NOTICE_NONE);

    vectors_get(FILE_NAME, "const-TcpFailureDetector.TCP_FAIL_DETECT", &b);
    ck_assert(span_eq(buf_span(&b), NOTICE_PROBE_MESSAGE));
    buf_fini(&b);
}
END_TEST

START_TEST(not_quite)
{
    ck_assert_int_eq(notice_classify(SPAN_LIT("")), NOTICE_NONE);
    ck_assert_int_eq(notice_classify(SPAN_LIT("Local StaticMember Shutdown Data.")), NOTICE_NONE);
    ck_assert_int_eq(notice_classify(span_of(NOTICE_PROBE_MESSAGE.p, 63)), NOTICE_NONE);
}
END_TEST

CLUSTERD_SUITE(notice, &known_bytes, &not_quite)
