/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Send options (Tomcat: Channel.SEND_OPTIONS_*) and start options (Channel.SND_RX_SEQ ...): bits, and their
 * texts as the configuration has them. Pure functions, any thread.
 */
#ifndef CLUSTERD_WIRE_OPTIONS_H
#define CLUSTERD_WIRE_OPTIONS_H

#include "clusterd/util/bytes.h"

enum {
    SEND_BYTE_MESSAGE = 0x01, /* the message bytes are the application's, not a Java object */
    SEND_USE_ACK = 0x02,
    SEND_SYNCHRONIZED_ACK = 0x04, /* with USE_ACK: the ACK comes after processing */
    SEND_ASYNCHRONOUS = 0x08,
    SEND_SECURE = 0x10,
    SEND_UDP = 0x20,
    SEND_MULTICAST = 0x40,
    SEND_DEFAULT = SEND_USE_ACK,
    SEND_SYNC_ACK = SEND_USE_ACK | SEND_SYNCHRONIZED_ACK
};

enum {
    START_SND_RX = 1, /* the TCP receiver */
    START_SND_TX = 2, /* the TCP sender */
    START_MBR_RX = 4, /* hear members */
    START_MBR_TX = 8, /* announce oneself */
    START_ALL = 15
};

/*
 * A decimal number, or names separated by commas: exact case, blanks around commas but not at the ends, no
 * hexadecimal; empty is 0. Send: byte_message|byte, use_ack, synchronized_ack|sync, asynchronous|async,
 * secure, udp, multicast. Start: snd_rx, snd_tx, mbr_rx, mbr_tx, default. ERR_BAD leaves *out untouched; *why
 * is a static text.
 */
fallible options_parse_send(const char *text, uint32_t *out, const char **why);
fallible options_parse_start(const char *text, uint32_t *out, const char **why);

/* High bit to low bit, as Tomcat prints: 14 = "async, sync, use_ack". Bits without a name as 0x...; 0 = "0".
 */
void options_send_text(uint32_t options, struct buf *out);
void options_start_text(uint32_t options, struct buf *out);

#endif
