/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants of interceptors; see notice.h. Tomcat: group.interceptors.TcpFailureDetector.TCP_FAIL_DETECT,
 * TcpPingInterceptor.TCP_PING_DATA, StaticMembershipInterceptor.MEMBER_START and MEMBER_STOP,
 * NonBlockingCoordinator. COORD_HEADER and COORD_ALIVE, TwoPhaseCommitInterceptor.START_DATA and END_DATA.
 */
#include "clusterd/wire/notice.h"

#define PING                                                                    \
    SPAN_LIT("\x4f\xa7\x73\x48\x79\xdf\x43\xc9\x9f\x6f\x89\x80\xa1\x5b\x07\x14" \
             "\x7d\xd9\x52\x5b\xeb\xdf\x43\x9a\xb7\x7e\xbe\x8f\x81\x67\x1e\xb6" \
             "\x37\x15\xbe\x87\x45\x21\x4c\xa8\xbf\x0a\x4d\x13\x53\x38\x15\x32" \
             "\x55\xf6\x94\xb7\x3a\xdf\x21\x78\x91\x04\x7d\xd7\x72\x84\xc0\xd5")
#define COORD_HEADER SPAN_LIT("\xaa\x26\xde\xe3\x9e\x5a\x41\x3f\xaf\x86\xfa\x92\x63\xca\x0d\x3f")
#define COORD_ALIVE                                                             \
    SPAN_LIT("\x4f\x87\xe7\xf1\xc5\x05\x40\x5e\xb3\x71\x89\xa8\x34\x72\xc8\xd2" \
             "\xee\x66\x0a\x22\x81\xf7\x47\x73\xba\x48\x9b\x58\x48\x84\x7f\x6f" \
             "\x4a\x4c\x8c\x32\x6f\x67\x41\x03\xb3\x33\xdd\x00\x77\x75\x09\xe6" \
             "\x77\x32\xb5\x97\x9a\x24\x4f\x25\xbc\xac\x85\x0f\xea\x93\x6a\xc9")
#define COMMIT_START SPAN_LIT("\x71\x01\xc6\x02\xde\xc4\x4b\xb2\x9b\xf4\x20\xe3\x20\x6f\xd8\x04")
#define COMMIT_END   SPAN_LIT("\x36\xf3\x5a\x6e\x2f\xe1\x4b\xe8\xaf\xe3\x24\x34\xc6\x4d\x92\x38")

static bool ends_with(struct span s, struct span end)
{
    return s.n >= end.n && span_eq(span_of(s.p + s.n - end.n, end.n), end);
}

enum notice_kind notice_classify(struct span message)
{
    if (span_eq(message, NOTICE_PROBE_MESSAGE))
        return NOTICE_PROBE;
    if (span_eq(message, PING))
        return NOTICE_PING;
    if (span_eq(message, SPAN_LIT("Local StaticMember Notification Data")))
        return NOTICE_STATIC_START;
    if (span_eq(message, SPAN_LIT("Local StaticMember Shutdown Data")))
        return NOTICE_STATIC_STOP;
    if (span_starts_with(message, COORD_HEADER) || span_starts_with(message, COORD_ALIVE))
        return NOTICE_COORDINATION;
    if (message.n == 48 && span_starts_with(message, COMMIT_START) && ends_with(message, COMMIT_END))
        return NOTICE_COMMIT;
    return NOTICE_NONE;
}
