/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small messages that Tomcat's interceptors send to their like on other members. They are constants, no
 * Java objects and nothing for an application: a node must know them, also those of interceptors that it does
 * not run, to swallow them (acknowledged, if the sender asked for it). Constants and a pure function, any
 * thread.
 */
#ifndef CLUSTERD_WIRE_NOTICE_H
#define CLUSTERD_WIRE_NOTICE_H

#include "clusterd/util/bytes.h"

/* What TcpFailureDetector sends to see whether a member is alive. */
#define NOTICE_PROBE_MESSAGE                                                    \
    SPAN_LIT("\x4f\xa7\x73\x48\x79\x82\x43\xc9\x9f\x6f\x89\x80\xa1\x5b\x07\x14" \
             "\x7d\xd9\x52\x5b\xeb\xf1\x43\x9a\xb7\x7e\xbe\x8f\x81\x67\x1e\xb6" \
             "\x37\x15\xbe\x87\x45\x7e\x4c\xa8\xbf\x0a\x4d\x13\x53\x38\x15\x32" \
             "\x55\xf6\x94\xb7\x3a\xfa\x40\x78\x91\x04\x7d\xd7\x72\x84\xc0\xd5")

enum notice_kind {
    NOTICE_NONE,         /* not one of them: an ordinary message */
    NOTICE_PROBE,        /* TcpFailureDetector */
    NOTICE_PING,         /* TcpPingInterceptor */
    NOTICE_STATIC_START, /* StaticMembershipInterceptor: the source has started */
    NOTICE_STATIC_STOP,  /* ... and stops */
    NOTICE_COORDINATION, /* NonBlockingCoordinator: elections and their views */
    NOTICE_COMMIT        /* TwoPhaseCommitInterceptor: the second phase of an earlier message */
};

/* `message` is the message field of a ChannelData. */
enum notice_kind notice_classify(struct span message);

#endif
