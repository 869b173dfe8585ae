/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two acknowledgements (Tomcat: transport.Constants ACK_COMMAND, FAIL_ACK_COMMAND): frames with a body of
 * three bytes. They carry no message id: an ACK answers the frame of the same position on its connection.
 * Constants and pure functions, any thread.
 */
#ifndef CLUSTERD_WIRE_ACK_H
#define CLUSTERD_WIRE_ACK_H

#include "clusterd/util/bytes.h"

/* Complete frames, ready to be written. */
#define ACK_FRAME      SPAN_LIT("FLT2002\x00\x00\x00\x03\x06\x02\x03TLF2003")
#define ACK_FAIL_FRAME SPAN_LIT("FLT2002\x00\x00\x00\x03\x0b\x00\x05TLF2003")
#define ACK_FRAME_LEN  ((size_t)21)
#define ACK_BODY_MAX   ((size_t)3) /* enough as max_body where only ACKs may come */

enum ack_kind { ACK_UNKNOWN, ACK_OK, ACK_FAIL };

/* What the body of a received frame says. An unknown body is to be ignored, as Tomcat's sender does. */
enum ack_kind ack_classify(struct span body);

#endif
