/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledgements; see ack.h. Tomcat: transport.Constants, and the comparison in
 * transport.nio.NioSender.read().
 */
#include "clusterd/wire/ack.h"

enum ack_kind ack_classify(struct span body)
{
    if (span_eq(body, SPAN_LIT("\x06\x02\x03")))
        return ACK_OK;
    if (span_eq(body, SPAN_LIT("\x0b\x00\x05")))
        return ACK_FAIL;
    return ACK_UNKNOWN;
}
