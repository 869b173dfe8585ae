/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session messages beyond the golden ones: forms that a Tomcat may write but does not (references, another
 * field order, null members, long texts), texts of all scripts, and what is refused.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/session.h"

#include "support/suite.h"

static struct buf encoded(const struct session_msg *m)
{
    struct buf b = {0};

    ck_assert_int_eq(session_msg_encode(m, &b), ERR_OK);
    ck_assert_uint_le(b.n, session_msg_size_max(m));
    return b;
}

static void check_same(const struct session_msg *a, const struct session_msg *b)
{
    ck_assert_int_eq(a->event, b->event);
    ck_assert(a->timestamp_ms == b->timestamp_ms);
    ck_assert_int_eq(a->timestamp_set, b->timestamp_set);
    ck_assert_int_eq(a->has_context, b->has_context);
    ck_assert_int_eq(a->has_body, b->has_body);
    ck_assert(span_eq(a->context, b->context));
    ck_assert(span_eq(a->session_id, b->session_id));
    ck_assert(span_eq(a->unique_id, b->unique_id));
    ck_assert(span_eq(a->body, b->body));
}

static void check_round_trip(const struct session_msg *m)
{
    struct buf b = encoded(m);
    struct session_msg back;
    const char *field = NULL;

    ck_assert_msg(session_msg_decode(buf_span(&b), &back, &field) == ERR_OK, "%s", field);
    check_same(m, &back);
    session_msg_fini(&back);
    buf_fini(&b);
}

START_TEST(round_trips)
{
    struct buf text = {0};
    struct session_msg m = {.event = SESSION_DELTA,
                            .timestamp_ms = INT64_MIN,
                            .timestamp_set = true,
                            .has_context = true,
                            .has_body = true,
                            .context = SPAN_LIT("localhost#/app"),
                            .session_id = SPAN_LIT("ID.node"),
                            .unique_id = SPAN_LIT("ID.node-1"),
                            .body = SPAN_LIT("\xac\xed\x00\x05")};

    check_round_trip(&m);
    m.body = SPAN_LIT("");
    check_round_trip(&m);
    m.has_body = false;
    check_round_trip(&m);
    m.context = SPAN_LIT(""); /* ROOT of a cluster inside of a Host */
    check_round_trip(&m);
    m.has_context = false; /* all managers */
    check_round_trip(&m);
    m.event = -1;
    m.timestamp_set = false;
    check_round_trip(&m);
    m.session_id = SPAN_LIT("a\x00\xc3\xa9\xf0\x9f\x98\x80");
    m.unique_id = SPAN_LIT("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80");
    check_round_trip(&m);
    for (int i = 0; i < 70000; i++)
        wr_u8(&text, 'x');
    m.session_id = buf_span(&text);
    m.context = buf_span(&text);
    m.has_context = true;
    check_round_trip(&m);
    buf_fini(&text);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused)
{
    struct session_msg m = {.event = 1, .has_context = true, .unique_id = SPAN_LIT("u")};
    struct buf out = {0};

    wr_text(&out, "kept");
    m.session_id = SPAN_LIT("\xff");
    ck_assert_int_eq(session_msg_encode(&m, &out), ERR_BAD);
    m.session_id = SPAN_LIT("");
    m.context = SPAN_LIT("\xc3");
    ck_assert_int_eq(session_msg_encode(&m, &out), ERR_BAD);
    ck_assert_uint_eq(out.n, 4);
    buf_fini(&out);
}
END_TEST

/* --- a general writer of the class, for other forms --- */

static void utf(struct buf *b, const char *s)
{
    wr_u16(b, (uint16_t)strlen(s));
    wr_text(b, s);
}

static void field(struct buf *b, char type, const char *name)
{
    wr_u8(b, (uint8_t)type);
    utf(b, name);
}

/* Fields in another order, one that nobody knows, the super with none; handles: desc 0, strings 1 and 2,
 * super 3, object 4. */
static struct buf odd_start(const char *cls, uint64_t suid)
{
    struct buf b = {0};

    wr_span(&b, JAVA_HEADER);
    wr_bytes(&b, "\x73\x72", 2);
    utf(&b, cls);
    wr_u64(&b, suid);
    wr_u8(&b, 2);
    wr_u16(&b, 8);
    field(&b, 'L', "uniqueId");
    wr_u8(&b, 0x74);
    utf(&b, "Ljava/lang/String;");
    field(&b, 'L', "mSessionID");
    wr_bytes(&b, "\x71\x00\x7e\x00\x01", 5);
    field(&b, 'Z', "timestampSet");
    field(&b, 'D', "unknown");
    field(&b, '[', "mSession");
    wr_u8(&b, 0x74);
    utf(&b, "[B");
    field(&b, 'J', "serializationTimestamp");
    field(&b, 'L', "mContextName");
    wr_bytes(&b, "\x71\x00\x7e\x00\x01", 5);
    field(&b, 'I', "mEvtType");
    wr_bytes(&b, "\x78\x72", 2);
    utf(&b, "org.apache.catalina.ha.ClusterMessageBase");
    wr_u64(&b, 1);
    wr_bytes(&b, "\x02\x00\x00\x78\x70", 5);
    return b;
}

static void odd_members(struct buf *b)
{
    wr_u8(b, 0x74); /* 5: unique id */
    utf(b, "same");
    wr_bytes(b, "\x71\x00\x7e\x00\x05", 5); /* session id: the same object */
    wr_u8(b, 1);
    wr_u64(b, 0);
    wr_span(b,
            SPAN_LIT("\x75\x72\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70\x00\x00\x00\x02"
                     "ab"));
    wr_u64(b, 1234);
    wr_bytes(b, "\x71\x00\x7e\x00\x02", 5); /* context: the signature "[B" of all things */
    wr_u32(b, 13);
}

START_TEST(other_forms_are_understood)
{
    struct buf b = odd_start(JAVA_CLASS_SESSION_MESSAGE, 2);
    struct session_msg m, want = {.event = 13,
                                  .timestamp_ms = 1234,
                                  .timestamp_set = true,
                                  .has_context = true,
                                  .has_body = true,
                                  .context = SPAN_LIT("[B"),
                                  .session_id = SPAN_LIT("same"),
                                  .unique_id = SPAN_LIT("same"),
                                  .body = SPAN_LIT("ab")};
    const char *field_name = NULL;

    odd_members(&b);
    ck_assert_msg(session_msg_decode(buf_span(&b), &m, &field_name) == ERR_OK, "%s", field_name);
    check_same(&m, &want);
    session_msg_fini(&m);
    for (size_t n = 0; n < b.n; n++)
        ck_assert_int_ne(session_msg_decode(span_of(b.p, n), &m, &field_name), ERR_OK);
    wr_u8(&b, 0x70);
    ck_assert_int_eq(session_msg_decode(buf_span(&b), &m, &field_name), ERR_BAD);
    ck_assert_str_eq(field_name, "session message tail");
    buf_fini(&b);
}
END_TEST

START_TEST(others_are_told_apart)
{
    struct session_msg m = {.event = 77};
    const char *field_name = NULL;

    struct buf b = odd_start(JAVA_CLASS_RPC_MESSAGE, 2);
    odd_members(&b);
    ck_assert_int_eq(session_msg_decode(buf_span(&b), &m, &field_name), ERR_UNSUPPORTED);
    ck_assert_str_eq(field_name, "session message class");
    buf_fini(&b);
    b = odd_start(JAVA_CLASS_SESSION_MESSAGE, 3);
    odd_members(&b);
    ck_assert_int_eq(session_msg_decode(buf_span(&b), &m, &field_name), ERR_BAD);
    ck_assert_str_eq(field_name, "session message serialVersionUID");
    buf_fini(&b);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT("\xac\xed\x00\x05\x70"), &m, NULL), ERR_UNSUPPORTED);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT("\xac\xed\x00\x05\x74\x00\x00"), &m, NULL), ERR_UNSUPPORTED);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT("\xac\xed\x00\x05\x7b\x70"), &m, NULL), ERR_BAD);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT("\xac\xed\x00\x05\x77\x01\x01"), &m, NULL), ERR_BAD);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT(""), &m, NULL), ERR_SHORT);
    ck_assert_int_eq(session_msg_decode(SPAN_LIT("GET / HTTP/1.0"), &m, NULL), ERR_BAD);
    ck_assert_int_eq(m.event, 77); /* untouched */
}
END_TEST

START_TEST(names_of_events)
{
    ck_assert_str_eq(session_event_name(1), "SESSION-MODIFIED");
    ck_assert_str_eq(session_event_name(13), "SESSION-DELTA");
    ck_assert_str_eq(session_event_name(16), "NO-CONTEXT-MANAGER");
    ck_assert_str_eq(session_event_name(5), "unknown");
    ck_assert_str_eq(session_event_name(-1), "unknown");
}
END_TEST

START_TEST(id_bodies)
{
    struct buf body = {0}, id = {0}, text = {0};
    const char *field_name = NULL;

    ck_assert_int_eq(session_id_body_encode(SPAN_LIT("NEW.nodeA"), &body), ERR_OK);
    ck_assert(span_eq(buf_span(&body), SPAN_LIT("\xac\xed\x00\x05\x77\x0b\x00\x09NEW.nodeA")));
    for (size_t n = 0; n < body.n; n++)
        ck_assert_int_ne(session_id_body_decode(span_of(body.p, n), &id, &field_name), ERR_OK);
    ck_assert_uint_eq(id.n, 0);
    ck_assert_int_eq(session_id_body_decode(buf_span(&body), &id, &field_name), ERR_OK);
    ck_assert_str_eq(buf_cstr(&id), "NEW.nodeA");
    wr_u8(&body, 0x70);
    ck_assert_int_eq(session_id_body_decode(buf_span(&body), &id, &field_name), ERR_BAD);
    ck_assert_str_eq(field_name, "new session id tail");

    for (int i = 0; i < 70000; i++)
        wr_u8(&text, 'x');
    buf_clear(&body);
    ck_assert_int_eq(session_id_body_encode(buf_span(&text), &body), ERR_TOO_BIG);
    ck_assert_int_eq(session_id_body_encode(SPAN_LIT("\xff"), &body), ERR_BAD);
    ck_assert_uint_eq(body.n, 0);
    ck_assert_int_eq(session_id_body_encode(span_of(text.p, 60000), &body), ERR_OK);
    buf_clear(&id);
    ck_assert_int_eq(session_id_body_decode(buf_span(&body), &id, &field_name), ERR_OK);
    ck_assert_uint_eq(id.n, 60000); /* joined from 59 records */
    buf_fini(&body);
    buf_fini(&id);
    buf_fini(&text);
}
END_TEST

CLUSTERD_SUITE(session, &round_trips, &text_that_is_not_utf8_is_refused, &other_forms_are_understood,
               &others_are_told_apart, &names_of_events, &id_bodies)
