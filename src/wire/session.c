/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionMessageImpl; see session.h for the layout. All Tomcats write the same first 0x113 bytes, so decoding
 * compares them and reads the rest in order; whatever deviates (references, another field order) is left to
 * the general walk. Encoding is that constant and the members behind it.
 */
#include "clusterd/wire/session.h"

#include "java/known.h"
#include "java/parts.h"

#include "clusterd/util/cursor.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/mutf.h"

#define BASE_CLASS   "org.apache.catalina.ha.ClusterMessageBase"
#define MESSAGE_SUID 2

#define SUID(n) "\x00\x00\x00\x00\x00\x00\x00" n

/* Stream header, object, both class descriptors. */
static const uint8_t prefix[] = KNOWN_HEADER "\x73\x72\x00\x31" JAVA_CLASS_SESSION_MESSAGE SUID(
    "\x02") "\x02\x00\x07"
            "I\x00\x08mEvtType"
            "J\x00\x16serializationTimestamp"
            "Z\x00\x0ctimestampSet"
            "L\x00\x0cmContextName\x74\x00\x12Ljava/lang/String;"
            "[\x00\x08mSession\x74\x00\x02[B"
            "L\x00\x0amSessionID\x71\x00\x7e\x00\x01"
            "L\x00\x08uniqueId\x71\x00\x7e\x00\x01"
            "\x78\x72\x00\x29" BASE_CLASS SUID("\x01") "\x02\x00\x01"
                                                       "J\x00\x09timestamp"
                                                       "\x78\x70";
#define PREFIX span_of(prefix, sizeof prefix - 1)

/* Bytes of a message beside its texts and body, at most: prefix, numbers, four heads. */
#define FIXED_MAX (sizeof prefix + 8 + 4 + 8 + 1 + 3 * 9 + sizeof KNOWN_BYTES_DESC + 5)

const char *session_event_name(int32_t event)
{
    switch (event) {
    case SESSION_CREATED:
        return "SESSION-MODIFIED";
    case SESSION_EXPIRED:
        return "SESSION-EXPIRED";
    case SESSION_ACCESSED:
        return "SESSION-ACCESSED";
    case SESSION_GET_ALL:
        return "SESSION-GET-ALL";
    case SESSION_ALL_DATA:
        return "ALL-SESSION-DATA";
    case SESSION_DELTA:
        return "SESSION-DELTA";
    case SESSION_TRANSFER_COMPLETE:
        return "SESSION-STATE-TRANSFERRED";
    case SESSION_CHANGE_ID:
        return "SESSION-ID-CHANGED";
    case SESSION_NO_CONTEXT_MANAGER:
        return "NO-CONTEXT-MANAGER";
    default:
        return "unknown";
    }
}

/* --- decoding --- */

/* Convert the texts from modified UTF-8. No text grows by that, so one reservation keeps the spans in place.
 */
static fallible convert_texts(struct session_msg *m, const char **field)
{
    struct {
        struct span *text;
        const char *field;
    } texts[] = {{&m->context, "mContextName"}, {&m->session_id, "mSessionID"}, {&m->unique_id, "uniqueId"}};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct span mutf = *texts[i].text;
        if (mutf_is_plain(mutf))
            continue;
        if (m->owned.p == NULL)
            buf_reserve(&m->owned, m->context.n + m->session_id.n + m->unique_id.n);
        size_t at = m->owned.n;
        enum err e = mutf_decode(mutf, &m->owned);
        if (e) {
            *field = texts[i].field;
            return e;
        }
        *texts[i].text = span_of(m->owned.p + at, m->owned.n - at);
    }
    return ERR_OK;
}

/* A String or null where Tomcat writes one; any other form makes the reader fail, and the walk takes over. */
static struct span quick_text(struct rd *in, bool *is_set)
{
    uint8_t tc = rd_u8(in, "text");

    *is_set = tc == TC_STRING;
    if (tc != TC_STRING && tc != TC_NULL)
        rd_fail(in, ERR_BAD, "text");
    return *is_set ? rd_bytes(in, rd_u16(in, "text"), "text") : (struct span){NULL, 0};
}

static struct span quick_body(struct rd *in, bool *is_set)
{
    uint8_t tc = rd_u8(in, "body");

    *is_set = tc == TC_ARRAY;
    if (tc == TC_ARRAY)
        rd_expect(in, SPAN_LIT(KNOWN_BYTES_DESC), "body");
    else if (tc != TC_NULL)
        rd_fail(in, ERR_BAD, "body");
    return *is_set ? rd_bytes32(in, INT32_MAX, "body") : (struct span){NULL, 0};
}

/* The message as every Tomcat writes it. False: not in that form. */
static bool quick_decode(struct span in, struct session_msg *m)
{
    bool ignored;

    if (!span_starts_with(in, PREFIX))
        return false;
    struct rd rest = rd_of(span_of(in.p + PREFIX.n, in.n - PREFIX.n));
    rd_u64(&rest, "timestamp");
    m->event = rd_i32(&rest, "mEvtType");
    m->timestamp_ms = rd_i64(&rest, "serializationTimestamp");
    m->timestamp_set = rd_u8(&rest, "timestampSet") != 0;
    m->context = quick_text(&rest, &m->has_context);
    m->body = quick_body(&rest, &m->has_body);
    m->session_id = quick_text(&rest, &ignored);
    m->unique_id = quick_text(&rest, &ignored);
    return rd_end(&rest, "tail") == ERR_OK;
}

static uint64_t number(struct span s)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

/* The content of a String or byte[] member, null included. */
static void take_member(struct walk *w, const struct part *part, struct session_msg *m)
{
    struct {
        const char *name;
        struct span *span;
        bool *is_set;
    } members[] = {{"mContextName", &m->context, &m->has_context},
                   {"mSession", &m->body, &m->has_body},
                   {"mSessionID", &m->session_id, NULL},
                   {"uniqueId", &m->unique_id, NULL}};

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        bool is_body = members[i].span == &m->body;
        const struct java_item *item = &part->item;
        if (!parts_is_field(w, part, members[i].name, is_body ? '[' : 'L') || item->kind == JAVA_NULL)
            continue;
        if (is_body && item->kind == JAVA_ARRAY && parts_is_class(w, w->entries[item->entry].cls, "[B")) {
            uint32_t at = entry_data_at(w, item->entry);
            *members[i].span = span_of(w->s.p + at + 4, walk_u32(w, at));
        } else if (!is_body && item->kind == JAVA_STRING) {
            *members[i].span = entry_text(w, item->entry);
        } else {
            walk_fail(w, ERR_BAD, members[i].name);
        }
        if (members[i].is_set)
            *members[i].is_set = true;
    }
}

static void take_part(struct walk *w, const struct part *part, struct session_msg *m)
{
    if (!parts_is_class(w, part->cls, JAVA_CLASS_SESSION_MESSAGE))
        return;
    if (part->kind == PART_OBJECT)
        take_member(w, part, m);
    else if (parts_is_field(w, part, "mEvtType", 'I'))
        m->event = (int32_t)(uint32_t)number(part->bytes);
    else if (parts_is_field(w, part, "serializationTimestamp", 'J'))
        m->timestamp_ms = (int64_t)number(part->bytes);
    else if (parts_is_field(w, part, "timestampSet", 'Z'))
        m->timestamp_set = part->bytes.p[0] != 0;
}

static fallible walk_decode(struct span in, struct session_msg *m, const char **field)
{
    struct walk w;
    struct java_item root;
    struct parts parts;
    struct part part;

    walk_init(&w, in, NULL);
    if (!walk_object(&w, &root, "session message"))
        goto out;
    if (root.kind != JAVA_OBJECT ||
        !parts_is_class(&w, w.entries[root.entry].cls, JAVA_CLASS_SESSION_MESSAGE)) {
        walk_fail(&w, root.kind == JAVA_EXCEPTION ? ERR_BAD : ERR_UNSUPPORTED, "session message class");
        goto out;
    }
    struct span name = walk_class_name(&w, w.entries[root.entry].cls);
    if (number(span_of(name.p + name.n, 8)) != MESSAGE_SUID)
        walk_fail(&w, ERR_BAD, "session message serialVersionUID");
    if (w.pos != in.n)
        walk_fail(&w, ERR_BAD, "session message tail");
    parts_init(&parts, &w, root.entry);
    while (parts_next(&parts, &part))
        take_part(&w, &part, m);
out:
    *field = w.field;
    enum err e = w.err;
    walk_fini(&w);
    return e;
}

enum err session_msg_decode(struct span in, struct session_msg *out, const char **field)
{
    struct session_msg m = {0};
    const char *where = NULL;
    enum err e = ERR_OK;

    if (!quick_decode(in, &m)) {
        m = (struct session_msg){0};
        e = walk_decode(in, &m, &where);
    }
    if (e == ERR_OK)
        e = convert_texts(&m, &where);
    if (e) {
        session_msg_fini(&m);
        if (field)
            *field = where;
        return e;
    }
    *out = m;
    return ERR_OK;
}

void session_msg_fini(struct session_msg *m)
{
    buf_fini(&m->owned);
}

/* --- encoding --- */

size_t session_msg_size_max(const struct session_msg *m)
{
    return FIXED_MAX + 2 * (m->context.n + m->session_id.n + m->unique_id.n) + m->body.n;
}

static fallible put_text(struct buf *out, struct span utf8)
{
    size_t n = mutf_size(utf8);

    if (n <= UINT16_MAX) {
        wr_u8(out, TC_STRING);
        wr_u16(out, (uint16_t)n);
    } else {
        wr_u8(out, TC_LONGSTRING);
        wr_u64(out, n);
    }
    return mutf_encode(utf8, out);
}

static fallible put_members(const struct session_msg *m, struct buf *out)
{
    if (m->has_context)
        TRY(put_text(out, m->context));
    else
        wr_u8(out, TC_NULL);
    if (m->has_body) {
        wr_u8(out, TC_ARRAY);
        wr_span(out, SPAN_LIT(KNOWN_BYTES_DESC));
        wr_span32(out, m->body);
    } else {
        wr_u8(out, TC_NULL);
    }
    TRY(put_text(out, m->session_id));
    return put_text(out, m->unique_id);
}

enum err session_msg_encode(const struct session_msg *m, struct buf *out)
{
    size_t before = out->n;

    if (m->body.n > INT32_MAX)
        return ERR_TOO_BIG;
    buf_reserve(out, session_msg_size_max(m));
    wr_span(out, PREFIX);
    wr_u64(out, 0);
    wr_u32(out, (uint32_t)m->event);
    wr_u64(out, (uint64_t)m->timestamp_ms);
    wr_u8(out, m->timestamp_set);
    enum err e = put_members(m, out);
    if (e)
        out->n = before;
    return e;
}

void session_unique_id(enum session_event event, struct span session_id, struct span context, int64_t now_ms,
                       struct buf *out)
{
    switch (event) {
    case SESSION_GET_ALL:
    case SESSION_ALL_DATA:
    case SESSION_NO_CONTEXT_MANAGER:
        wr_span(out, session_id);
        wr_u8(out, '-');
        wr_span(out, context);
        break;
    case SESSION_TRANSFER_COMPLETE: /* without the dash: so does Tomcat */
        wr_span(out, session_id);
        wr_span(out, context);
        break;
    case SESSION_EXPIRED:
        wr_span(out, session_id);
        wr_text(out, "-EXPIRED-MSG");
        break;
    case SESSION_CREATED:
    case SESSION_ACCESSED:
    case SESSION_DELTA:
    case SESSION_CHANGE_ID:
        wr_span(out, session_id);
        wr_printf(out, "-%lld", (long long)now_ms);
        break;
    }
}

/* --- the body of CHANGE_SESSION_ID --- */

enum err session_id_body_decode(struct span body, struct buf *utf8, const char **field)
{
    struct java *j = java_new(body, NULL);
    struct span id = java_utf(j, "new session id");
    enum err e = java_end(j, "new session id tail");

    if (e == ERR_OK)
        wr_span(utf8, id);
    else if (field)
        *field = java_field(j);
    java_free(j);
    return e;
}

enum err session_id_body_encode(struct span utf8, struct buf *out)
{
    size_t before = out->n;
    struct jwrite w;

    jwrite_init(&w, out);
    enum err e = jwrite_utf(&w, utf8);
    jwrite_end(&w);
    if (e)
        out->n = before;
    return e;
}
