/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All golden vectors of tests/golden/vectors, file by file: each is decoded and encoded again byte for byte
 * by the format that it is of; those of Java objects and of interceptors' transformations are counted here
 * and read by the tests of those layers. A vector that nobody claims fails the test, so none can be
 * forgotten. The transcripts of the receiver say what Tomcat did with malformed input; beside each stands
 * what clusterd does.
 */
#include "clusterd/wire/ack.h"
#include "clusterd/wire/channel_data.h"
#include "clusterd/wire/notice.h"

#include "support/suite.h"
#include "vectors.h"

#include <dirent.h>

enum { N_FILES = 14, N_VECTORS = 238 };

static void check_member(const char *name, struct span bytes)
{
    struct rd in = rd_of(bytes);
    struct member_rec m;
    struct buf again = {0};

    ck_assert_msg(member_decode(&in, &m) == ERR_OK, "%s: %s", name, in.field);
    ck_assert_msg(rd_left(&in) == 0 && m.unknown.n == 0, "%s", name);
    ck_assert_msg(member_is_shutdown(&m) == (strstr(name, "shutdown") != NULL), "%s", name);
    ck_assert_int_eq(member_encode(&again, &m), ERR_OK);
    ck_assert_msg(span_eq(buf_span(&again), bytes), "%s", name);
    buf_fini(&again);
}

static void check_body(const char *name, struct span body)
{
    struct rd in = rd_of(body);
    struct channel_data cd;
    struct buf again = {0};

    ck_assert_msg(channel_data_decode(&in, &cd) == ERR_OK, "%s: %s", name, in.field);
    ck_assert_msg(cd.trailing == 0, "%s", name);
    cd.source_raw = (struct span){0}; /* the record, too, must come out the same */
    ck_assert_int_eq(channel_data_encode(&again, &cd), ERR_OK);
    ck_assert_msg(span_eq(span_of(again.p + FRAME_HEAD_LEN, again.n - FRAME_OVERHEAD), body), "%s", name);
    if (strstr(name, "tcpfailuredetector"))
        ck_assert_msg(notice_classify(cd.message) == NOTICE_PROBE, "%s", name);
    buf_fini(&again);
}

/* What went over a connection or in a datagram: any number of frames, nothing else. */
static void check_frames(const char *name, struct span in)
{
    struct frame_view v;
    struct buf again = {0};

    while (in.n) {
        ck_assert_msg(frame_scan(in, FRAME_BODY_MAX, &v) == ERR_OK, "%s: %s", name, v.field);
        buf_clear(&again);
        size_t at = frame_begin(&again);
        wr_span(&again, v.body);
        frame_finish(&again, at);
        ck_assert_msg(span_eq(buf_span(&again), span_of(in.p, v.total)), "%s", name);
        if (strstr(name, "-received") || strstr(name, "ack-command"))
            ck_assert_msg(ack_classify(v.body) == (strstr(name, "throws") && !strstr(name, "-2-") ? ACK_FAIL
                                                   : strstr(name, "fail-ack")                     ? ACK_FAIL
                                                                                                  : ACK_OK),
                          "%s", name);
        else if (!strstr(name, "xbytebuffer"))
            check_body(name, v.body);
        in = span_of(in.p + v.total, in.n - v.total);
    }
    buf_fini(&again);
}

static void check_java(const char *name, struct span bytes)
{
    ck_assert_msg(span_starts_with(bytes, SPAN_LIT("\xac\xed\x00\x05")), "%s", name);
}

static void check_nothing(const char *name, struct span bytes)
{
    (void)name;
    (void)bytes;
}

/* Who reads which vectors: the first row whose text begins the name, of the longer ones first. */
static const struct {
    const char *prefix;
    void (*check)(const char *name, struct span bytes);
} readers[] = {
    {"member-externalizable", check_java},
    {"member-", check_member},
    {"staticmember-", check_java},
    {"ack-command", check_frames},
    {"fail-ack-command", check_frames},
    {"xbytebuffer-", check_frames},
    {"channeldata-", check_body},
    {"frame-", check_frames},
    {"java-", check_java},
    {"rpcmessage-", check_java},
    {"mapmessage-", check_java},
    {"rpc-of-mapmessage-", check_java},
    {"static-", check_java},
    {"fragment-0-channeldata", check_body},
    {"2pc-phase1", check_body},
    {"2pc-phase2-message", check_nothing}, /* test_notice.c */
    {"2pc-phase2", check_body},
    {"const-", check_nothing},    /* test_notice.c */
    {"nbc-", check_nothing},      /* test_notice.c */
    {"fragment-", check_nothing}, /* interceptors change the message field in ways of their own */
    {"order-", check_nothing},
    {"gzip-", check_nothing},
    {"encrypt-", check_nothing},
    {"live-", check_frames},
    {"mcast-heartbeat-", check_member},
    {"mcast-shutdown", check_member},
    {"mcast-broadcast-", check_frames},
};

static void check_vector(const char *file, const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "name"));
    struct buf b = {0};

    vectors_unhex(json_string_value(json_object_get(v, "hex")), &b);
    ck_assert_msg(json_integer_value(json_object_get(v, "length")) == (json_int_t)b.n, "%s: %s", file, name);
    size_t i = 0;
    while (i < sizeof readers / sizeof *readers &&
           strncmp(name, readers[i].prefix, strlen(readers[i].prefix)) != 0)
        i++;
    ck_assert_msg(i < sizeof readers / sizeof *readers, "%s: nobody reads %s", file, name);
    readers[i].check(name, buf_span(&b));
    buf_fini(&b);
}

START_TEST(all_vectors)
{
    DIR *dir = opendir(VECTORS_DIR);
    struct dirent *entry;
    unsigned files = 0, vectors = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        json_t *doc = vectors_load(entry->d_name), *list = json_object_get(doc, "vectors"), *v;
        size_t i;
        json_array_foreach(list, i, v) check_vector(entry->d_name, v);
        const char *format = json_string_value(json_object_get(doc, "format"));
        ck_assert_str_eq(format, list ? "tribes-vectors/1" : "tribes-transcript/1");
        vectors += (unsigned)json_array_size(list);
        files++;
        json_decref(doc);
    }
    closedir(dir);
    ck_assert_uint_eq(files, N_FILES);
    ck_assert_uint_eq(vectors, N_VECTORS);
}
END_TEST

/*
 * The receiver with malformed input. Tomcat's reactions are in the transcripts; ours are here: what a
 * connection delivers (texts of messages, "-" for one without), and whether it is closed.
 */
#define GARBAGE "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"

struct wire_case {
    const char *name;    /* as in the transcript */
    const char *input;   /* words: text = a frame with that message; see make_word() */
    const char *ours;    /* delivered messages, then "closed" or "open" */
    bool same_as_tomcat; /* else docs/PROTOCOL says why: closed instead of stuck or undefined */
};

static const struct wire_case cases[] = {
    {"valid", "one", "one open", true},
    {"two frames one write", "one two", "one two open", true},
    {"split in 3", "one", "one open", true},
    {"byte-split start marker 7+rest", "one", "one open", true},
    {"8 garbage bytes then frame (separate writes)", "!8 one", "closed", false},
    {"3 garbage bytes + frame same write", "!3 one", "closed", false},
    {"3 garbage + frame, then frame", "!3 one two", "closed", false},
    {"6 garbage bytes, then frame", "!6 one", "closed", false},
    {"frame + trailing garbage 20, then frame", "one !20 two", "one closed", false},
    {"frame, then 20 garbage separately, then frame", "one !20 two", "one closed", false},
    {"bad end marker then good frame", "!end one", "closed", false},
    {"negative length", "!negative", "closed", true},
    {"huge length, then good", "!huge one", "closed", false},
    {"empty body frame", "!empty", "closed", false},
    {"body 4 bytes", "!four", "closed", false},
    {"uniqueId 5 bytes", "!uid5", "uid5 open", true},
    {"uniqueId 0 bytes", "!uid0", "uid0 open", true},
    {"address length 0", "!noaddress", "closed", true},
    {"bad TRIBES-B", "!badaddress", "closed", true},
    {"message length too long", "!longmessage", "closed", true},
    {"trailing bytes after message", "!trailing", "x open", true},
    {"use_ack non-serialized garbage as object (opt 2)", "garbage", "garbage open", true},
    {"sync ack, undeserializable (opt 6)", "garbage", "garbage open", true},
    {"opt 6 byte ok = 7", "seven", "seven open", true},
    {"opt 5 (sync without use_ack)", "five", "five open", true},
    {"zero message opt 3", "!nothing", "- open", true},
    {"FLT2002 inside payload", "xxFLT2002yyTLF2003zz", "xxFLT2002yyTLF2003zz open", true},
    {"three use_ack frames one write", "a b c", "a b c open", true},
    {"half close after frame", "one", "one open", true},
    {"shutdownOutput after frame", "one", "one open", true},
};

static void make_frame(struct buf *b, struct span unique_id, struct span message)
{
    struct channel_data cd = {.options = 3,
                              .unique_id = unique_id,
                              .source = {.port = 4000, .host_len = 4, .host = {127, 0, 0, 1}},
                              .message = message};

    ck_assert_int_eq(channel_data_encode(b, &cd), ERR_OK);
}

#define ID16 SPAN_LIT("0123456789abcdef")

static void make_broken(struct buf *b, const char *how)
{
    size_t at = b->n;

    if (strcmp(how, "empty") == 0) {
        frame_finish(b, frame_begin(b));
        return;
    }
    if (strcmp(how, "four") == 0) {
        size_t length_at = frame_begin(b);
        wr_u32(b, 3);
        frame_finish(b, length_at);
        return;
    }
    if (strcmp(how, "uid5") == 0 || strcmp(how, "uid0") == 0) {
        make_frame(b, how[3] == '5' ? SPAN_LIT("12345") : SPAN_LIT(""), span_str(how));
        return;
    }
    make_frame(b, ID16, strcmp(how, "nothing") == 0 ? SPAN_LIT("") : SPAN_LIT("x"));
    if (strcmp(how, "end") == 0) {
        b->p[b->n - 1] ^= 1;
    } else if (strcmp(how, "negative") == 0) {
        wr_patch_u32(b, at + 7, (uint32_t)-1);
    } else if (strcmp(how, "huge") == 0) {
        wr_patch_u32(b, at + 7, 0x7ffffff0);
    } else if (strcmp(how, "noaddress") == 0) {
        wr_patch_u32(b, at + FRAME_HEAD_LEN + 32, 0);
    } else if (strcmp(how, "badaddress") == 0) {
        b->p[at + FRAME_HEAD_LEN + 36] ^= 1;
    } else if (strcmp(how, "longmessage") == 0) {
        wr_patch_u32(b, at + FRAME_HEAD_LEN + 113, 1000);
    } else if (strcmp(how, "trailing") == 0) {
        b->n -= FRAME_TAIL_LEN;
        wr_text(b, "more");
        wr_patch_u32(b, at + 7, (uint32_t)(b->n - at - FRAME_HEAD_LEN));
        wr_span(b, FRAME_END);
    } else {
        ck_assert_str_eq(how, "nothing");
    }
}

static void make_word(struct buf *b, const char *word)
{
    if (word[0] == '!' && word[1] >= '0' && word[1] <= '9')
        wr_bytes(b, GARBAGE, (size_t)atoi(word + 1));
    else if (word[0] == '!')
        make_broken(b, word + 1);
    else
        make_frame(b, ID16, span_str(word));
}

/* What the receiver does with these bytes: frame by frame, until there is no more or it closes. */
static void receive(struct span in, struct buf *said)
{
    struct frame_view v;
    enum err e;

    while ((e = frame_scan(in, 1u << 20, &v)) == ERR_OK) {
        struct rd body = rd_of(v.body);
        struct channel_data cd;
        e = channel_data_decode(&body, &cd);
        if (e != ERR_OK) {
            e = ERR_BAD; /* a whole frame was there: more bytes do not help */
            break;
        }
        wr_span(said, cd.message.n ? cd.message : SPAN_LIT("-"));
        wr_u8(said, ' ');
        in = span_of(in.p + v.total, in.n - v.total);
    }
    wr_text(said, e == ERR_SHORT ? "open" : "closed");
}

static void check_case(const struct wire_case *c)
{
    struct buf in = {0}, said = {0};
    char words[64], *save = NULL;

    snprintf(words, sizeof words, "%s", c->input);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        make_word(&in, w);
    receive(buf_span(&in), &said);
    ck_assert_msg(strcmp(buf_cstr(&said), c->ours) == 0, "%s: %s", c->name, buf_cstr(&said));
    buf_fini(&in);
    buf_fini(&said);
}

/* "delivered=[a, b] conn=open" of the transcript against ours, where they should agree. */
static void compare_with_tomcat(const char *event, const struct wire_case *c)
{
    bool open = strstr(event, "conn=open") || strstr(event, "then EOF");
    char want[64] = "";
    const char *delivered = strstr(event, "delivered=[");

    if (!delivered || strstr(c->name, "zero message") || strcmp(c->input, "garbage") == 0)
        return; /* the listener saw nothing: the message was empty, or no Java object */
    delivered += strlen("delivered=[");
    size_t n = strcspn(delivered, "]");
    for (size_t i = 0; i < n; i++)
        if (delivered[i] != ',')
            strncat(want, delivered + i, 1);
    snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s", *want ? " " : "",
             open ? "open" : "closed");
    ck_assert_msg((strcmp(want, c->ours) == 0) == c->same_as_tomcat, "%s: Tomcat %s, we %s", c->name, want,
                  c->ours);
}

static void check_transcript(const char *file)
{
    json_t *doc = vectors_load(file), *events = json_object_get(doc, "events"), *event;
    size_t i, n = sizeof cases / sizeof *cases;

    ck_assert_uint_eq(json_array_size(events), n);
    json_array_foreach(events, i, event)
    {
        const char *text = strchr(json_string_value(event), ' ') + 1;
        ck_assert_msg(strncmp(text, cases[i].name, strlen(cases[i].name)) == 0 &&
                          text[strlen(cases[i].name)] == ':',
                      "%s", text);
        check_case(&cases[i]);
        compare_with_tomcat(text, &cases[i]);
    }
    json_decref(doc);
}

START_TEST(malformed_input)
{
    check_transcript("receiver-robustness-10.1.60.json");
    check_transcript("receiver-robustness-9.0.70.json");
}
END_TEST

CLUSTERD_SUITE(vectors, &all_vectors, &malformed_input)
