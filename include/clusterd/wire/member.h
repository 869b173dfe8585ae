/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member record (Tomcat: membership.MemberImpl): heartbeat datagram, source field of each message, body
 * of serialized members. h, c, d, p are lengths:
 *
 *   TRIBES-B\1\0 (10) | i32 body length | i64 alive | i32 port | i32 secure port | i32 UDP port | u8 h, host
 *   | i32 c, command | i32 d, domain | unique id (16) | i32 p, payload | TRIBES-E\1\0 (10)
 *
 * Also the texts of a member: names, Tomcat's log form, and byte strings of the configuration. Pure
 * functions, any thread.
 */
#ifndef CLUSTERD_WIRE_MEMBER_H
#define CLUSTERD_WIRE_MEMBER_H

#include "clusterd/util/cursor.h"
#include "clusterd/util/ident.h"

#define MEMBER_BEGIN      SPAN_LIT("TRIBES-B\x01\x00")
#define MEMBER_END        SPAN_LIT("TRIBES-E\x01\x00")
#define MEMBER_SHUTDOWN   SPAN_LIT("BABY-ALEX") /* as command: this member is leaving */
#define MEMBER_RECORD_MAX ((size_t)65535)       /* the whole record, markers included */
#define MEMBER_RECORD_MIN ((size_t)77)          /* IPv4, no command, domain or payload */
#define MEMBER_HOST_MAX   16

struct member_rec {
    int64_t alive_ms; /* meaningful in heartbeats only; in a message's source field it is stale */
    int32_t port;
    int32_t secure_port, udp_port; /* -1 = none */
    uint8_t host_len;              /* 4 or 16 */
    uint8_t host[MEMBER_HOST_MAX];
    struct ident id;
    struct span command, domain, payload; /* borrowed */
    struct span unknown; /* decode: bytes between payload and end marker, to be counted; encode ignores it */
};

/*
 * Decode the record at the cursor and advance behind it; what follows is the caller's. Spans borrow from the
 * input. ERR_BAD for a host that is neither 4 nor 16 bytes and for ports outside -1..65535; ERR_TOO_BIG above
 * MEMBER_RECORD_MAX. in->field names what was wrong.
 */
fallible member_decode(struct rd *in, struct member_rec *out);
/* ERR_TOO_BIG, and nothing written, when the record would exceed MEMBER_RECORD_MAX. */
fallible member_encode(struct buf *b, const struct member_rec *m);
size_t member_size(const struct member_rec *m); /* bytes that member_encode writes */

static inline bool member_is_shutdown(const struct member_rec *m)
{
    return span_eq(m->command, MEMBER_SHUTDOWN);
}
/* Identity: host, port and unique id; nothing else counts. */
bool member_same(const struct member_rec *a, const struct member_rec *b);
/* Tomcat's absolute order: host (shorter first, then unsigned bytes), port (signed), unique id. */
int member_cmp(const struct member_rec *a, const struct member_rec *b);

#define MEMBER_HOST_TEXT_MAX 40 /* "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" and the NUL */
#define MEMBER_NAME_MAX      56
#define MEMBER_LIST_NAME_MAX 96

/* "127.0.0.1", "::1" (RFC 5952). Returns out. */
const char *member_host_text(const struct member_rec *m, char out[MEMBER_HOST_TEXT_MAX]);
/* For people: "127.0.0.1:4000", "[::1]:4000". Returns out. */
const char *member_name(const struct member_rec *m, char out[MEMBER_NAME_MAX]);
/* As a Tomcat names a member that it knows from the wire: "tcp://{127, 0, 0, 1}:4000". Returns out. */
const char *member_list_name(const struct member_rec *m, char out[MEMBER_LIST_NAME_MAX]);
/*
 * Tomcat's MemberImpl.toString() with a readable host, for memberAdded and memberDisappeared lines:
 * "org.apache.catalina.tribes.membership.MemberImpl[tcp://192.168.1.123:14001,192.168.1.123,14001, alive=0,
 * securePort=-1, UDP Port=-1, id={16 -2 ... }, payload={}, command={}, domain={}]" on one line. Payload,
 * command and domain are cut after nine bytes, as there.
 */
void member_log_text(const struct member_rec *m, struct buf *out);
/* The same with the host as a byte list, to the letter what a Tomcat logs of a member from the wire. */
void member_list_text(const struct member_rec *m, struct buf *out);

/*
 * Byte strings of the configuration (domain, uniqueId): "{1,-2,3}" is a list of signed decimal bytes,
 * anything else stands for its ISO-8859-1 bytes (given here as UTF-8). Appends to *out. ERR_BAD, *why =
 * static text and nothing appended when it is neither.
 */
fallible member_parse_bytes(const char *text, struct buf *out, const char **why);
/* The text that member_parse_bytes() reads back: plain when printable, else a list. */
void member_bytes_text(struct span bytes, struct buf *out);

#endif
