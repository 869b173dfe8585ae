/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Member records and their texts; see member.h for the bytes. Tomcat: membership.MemberImpl (getData,
 * getMember, getName, toString), util.Arrays and group.AbsoluteOrder.
 */
#include "clusterd/wire/member.h"

#include <stdio.h>

#define FIXED_LEN ((size_t)73) /* a record with empty host, command, domain and payload */
#define BODY_AT   ((size_t)14) /* begin marker and body length */

static int32_t read_port(struct rd *in, const char *field)
{
    int32_t port = rd_i32(in, field);

    if (port < -1 || port > 65535)
        rd_fail(in, ERR_BAD, field);
    return port;
}

static void read_body(struct rd *in, struct member_rec *m)
{
    m->alive_ms = rd_i64(in, "member alive");
    m->port = read_port(in, "member port");
    m->secure_port = read_port(in, "member secure port");
    m->udp_port = read_port(in, "member UDP port");
    m->host_len = rd_u8(in, "member host length");
    if (m->host_len != 4 && m->host_len != 16)
        rd_fail(in, ERR_BAD, "member host length");
    struct span host = rd_bytes(in, m->host_len, "member host");
    if (host.n)
        memcpy(m->host, host.p, host.n);
    m->command = rd_bytes32(in, MEMBER_RECORD_MAX, "member command");
    m->domain = rd_bytes32(in, MEMBER_RECORD_MAX, "member domain");
    struct span id = rd_bytes(in, IDENT_LEN, "member unique id");
    if (id.n)
        memcpy(m->id.b, id.p, id.n);
    m->payload = rd_bytes32(in, MEMBER_RECORD_MAX, "member payload");
    m->unknown = rd_rest(in);
}

enum err member_decode(struct rd *in, struct member_rec *out)
{
    struct member_rec m = {0};

    rd_expect(in, MEMBER_BEGIN, "member begin marker");
    struct span bytes = rd_bytes32(in, MEMBER_RECORD_MAX - BODY_AT - MEMBER_END.n, "member record length");
    rd_expect(in, MEMBER_END, "member end marker");
    TRY(rd_verdict(in));

    struct rd body = rd_of(bytes);
    read_body(&body, &m);
    if (body.err) /* The end marker stands where it should, so an inner length lies: more bytes would not
                     help. */
        return rd_fail(in, body.err == ERR_SHORT ? ERR_BAD : body.err, body.field);
    *out = m;
    return ERR_OK;
}

size_t member_size(const struct member_rec *m)
{
    return FIXED_LEN + m->host_len + m->command.n + m->domain.n + m->payload.n;
}

enum err member_encode(struct buf *b, const struct member_rec *m)
{
    size_t size = member_size(m);

    ASSERT(m->host_len == 4 || m->host_len == 16);
    if (size > MEMBER_RECORD_MAX)
        return ERR_TOO_BIG;
    buf_reserve(b, size);
    wr_span(b, MEMBER_BEGIN);
    wr_u32(b, (uint32_t)(size - BODY_AT - MEMBER_END.n));
    wr_u64(b, (uint64_t)m->alive_ms);
    wr_u32(b, (uint32_t)m->port);
    wr_u32(b, (uint32_t)m->secure_port);
    wr_u32(b, (uint32_t)m->udp_port);
    wr_u8(b, m->host_len);
    wr_bytes(b, m->host, m->host_len);
    wr_span32(b, m->command);
    wr_span32(b, m->domain);
    wr_bytes(b, m->id.b, IDENT_LEN);
    wr_span32(b, m->payload);
    wr_span(b, MEMBER_END);
    return ERR_OK;
}

bool member_same(const struct member_rec *a, const struct member_rec *b)
{
    return member_cmp(a, b) == 0;
}

int member_cmp(const struct member_rec *a, const struct member_rec *b)
{
    if (a->host_len != b->host_len)
        return a->host_len < b->host_len ? -1 : 1;
    int c = memcmp(a->host, b->host, a->host_len);
    if (c)
        return c;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    return memcmp(a->id.b, b->id.b, IDENT_LEN);
}

/* The longest run of two or more zero groups, as RFC 5952 has it: the first of equal ones. */
static void zero_run(const uint16_t group[8], unsigned *at, unsigned *n)
{
    *at = 8;
    *n = 1;
    for (unsigned i = 0; i < 8; i++) {
        unsigned run = 0;
        while (i + run < 8 && group[i + run] == 0)
            run++;
        if (run > *n) {
            *at = i;
            *n = run;
        }
    }
}

static void ipv6_text(const uint8_t host[16], char out[MEMBER_HOST_TEXT_MAX])
{
    uint16_t group[8];
    unsigned run_at, run_n;
    size_t n = 0;

    for (unsigned i = 0; i < 8; i++)
        group[i] = (uint16_t)(host[2 * i] << 8 | host[2 * i + 1]);
    zero_run(group, &run_at, &run_n);
    for (unsigned i = 0; i < 8; i++) {
        if (i == run_at) {
            n += (size_t)snprintf(out + n, MEMBER_HOST_TEXT_MAX - n, "::");
            i += run_n - 1;
            continue;
        }
        const char *colon = i > 0 && i != run_at + run_n ? ":" : "";
        n += (size_t)snprintf(out + n, MEMBER_HOST_TEXT_MAX - n, "%s%x", colon, group[i]);
    }
}

const char *member_host_text(const struct member_rec *m, char out[MEMBER_HOST_TEXT_MAX])
{
    const uint8_t *h = m->host;

    if (m->host_len == 16)
        ipv6_text(h, out);
    else
        snprintf(out, MEMBER_HOST_TEXT_MAX, "%u.%u.%u.%u", h[0], h[1], h[2], h[3]);
    return out;
}

const char *member_name(const struct member_rec *m, char out[MEMBER_NAME_MAX])
{
    char host[MEMBER_HOST_TEXT_MAX];

    member_host_text(m, host);
    snprintf(out, MEMBER_NAME_MAX, m->host_len == 16 ? "[%s]:%d" : "%s:%d", host, m->port);
    return out;
}

/* "{127, 0, 0, 1}" */
static size_t host_list(const struct member_rec *m, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "{");

    for (unsigned i = 0; i < m->host_len; i++)
        n += (size_t)snprintf(out + n, cap - n, i ? ", %u" : "%u", m->host[i]);
    return n + (size_t)snprintf(out + n, cap - n, "}");
}

const char *member_list_name(const struct member_rec *m, char out[MEMBER_LIST_NAME_MAX])
{
    size_t n = (size_t)snprintf(out, MEMBER_LIST_NAME_MAX, "tcp://");

    n += host_list(m, out + n, MEMBER_LIST_NAME_MAX - n);
    snprintf(out + n, MEMBER_LIST_NAME_MAX - n, ":%d", m->port);
    return out;
}

/* Tomcat's MemberImpl.bToS(): signed bytes, each with a blank behind it; "...(length)" after byte `max`. */
static void byte_list(struct span s, size_t max, struct buf *out)
{
    wr_u8(out, '{');
    for (size_t i = 0; i < s.n; i++) {
        wr_printf(out, "%d ", (int8_t)s.p[i]);
        if (i == max) {
            wr_printf(out, "...(%zu)", s.n);
            break;
        }
    }
    wr_u8(out, '}');
}

static void long_text(const struct member_rec *m, const char *host, struct buf *out)
{
    wr_printf(out, "org.apache.catalina.tribes.membership.MemberImpl[tcp://%s:%d,%s,%d, alive=%lld, ", host,
              m->port, host, m->port, (long long)m->alive_ms);
    wr_printf(out, "securePort=%d, UDP Port=%d, id=", m->secure_port, m->udp_port);
    byte_list(span_of(m->id.b, IDENT_LEN), IDENT_LEN, out);
    wr_text(out, ", payload=");
    byte_list(m->payload, 8, out);
    wr_text(out, ", command=");
    byte_list(m->command, 8, out);
    wr_text(out, ", domain=");
    byte_list(m->domain, 8, out);
    wr_u8(out, ']');
}

void member_log_text(const struct member_rec *m, struct buf *out)
{
    char host[MEMBER_HOST_TEXT_MAX];

    long_text(m, member_host_text(m, host), out);
}

void member_list_text(const struct member_rec *m, struct buf *out)
{
    char host[MEMBER_LIST_NAME_MAX];

    host_list(m, host, sizeof host);
    long_text(m, host, out);
}

/* One signed decimal byte at *p, blanks around it allowed; *p goes behind it. */
static bool parse_byte(const char **p, uint8_t *out)
{
    int v = 0, digits = 0;

    *p += strspn(*p, " \t");
    bool negative = **p == '-';
    *p += negative || **p == '+';
    for (; **p >= '0' && **p <= '9' && v < 1000; (*p)++, digits++)
        v = v * 10 + (**p - '0');
    *p += strspn(*p, " \t");
    v = negative ? -v : v;
    *out = (uint8_t)v;
    return digits > 0 && v >= INT8_MIN && v <= INT8_MAX;
}

static enum err parse_list(const char *p, struct buf *out, const char **why)
{
    size_t before = out->n;
    uint8_t byte;

    p += strspn(p, " \t");
    while (*p != '}') {
        if (!parse_byte(&p, &byte) || (*p != ',' && *p != '}')) {
            out->n = before;
            *why = "a byte list is written {1,-2,3}, with numbers from -128 to 127";
            return ERR_BAD;
        }
        wr_u8(out, byte);
        if (*p == ',')
            p++;
    }
    if (p[1] == 0)
        return ERR_OK;
    out->n = before;
    *why = "there is text behind the byte list's closing brace";
    return ERR_BAD;
}

enum err member_parse_bytes(const char *text, struct buf *out, const char **why)
{
    size_t before = out->n;

    if (*text == '{')
        return parse_list(text + 1, out, why);
    for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
        if (*p < 0x80) {
            wr_u8(out, *p);
        } else if ((*p == 0xC2 || *p == 0xC3) && (p[1] & 0xC0) == 0x80) {
            wr_u8(out, (uint8_t)(*p << 6 | (p[1] & 0x3F)));
            p++;
        } else {
            out->n = before;
            *why = "only characters of ISO-8859-1 can be sent; write other bytes as a list {1,-2,3}";
            return ERR_BAD;
        }
    }
    return ERR_OK;
}

void member_bytes_text(struct span bytes, struct buf *out)
{
    bool plain = bytes.n == 0 || bytes.p[0] != '{';

    for (size_t i = 0; plain && i < bytes.n; i++)
        plain = bytes.p[i] >= 0x20 && bytes.p[i] < 0x7F;
    if (plain) {
        wr_span(out, bytes);
        return;
    }
    wr_u8(out, '{');
    for (size_t i = 0; i < bytes.n; i++)
        wr_printf(out, i ? ",%d" : "%d", (int8_t)bytes.p[i]);
    wr_u8(out, '}');
}
