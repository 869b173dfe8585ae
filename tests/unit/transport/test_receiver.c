/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver on simulated hosts: what Tomcat does with odd input (recorded in receiver-robustness-*.json)
 * and where we differ on purpose; ACKs and their order; limits for strangers; who is told what at the end.
 */
#include "rig.h"

#include <jansson.h>

static struct sim *sim;
static struct rig_rx rx;
static struct host *client_host;
static struct rig_client client;

static void world_from(const char *client_ip)
{
    sim = sim_new(7);
    rig_rx_start(&rx, sim_host_new(sim, "10.0.0.1", 2));
    client_host = sim_host_new(sim, client_ip, 1);
    client = (struct rig_client){0};
    rig_client_connect(sim, &client, client_host, receiver_addr(rx.r));
    ck_assert(client.open);
}

static void world(void)
{
    world_from("10.0.0.2");
}

static void world_end(void)
{
    rig_client_fini(sim, &client);
    rig_rx_end(sim, &rx);
    sim_host_end(sim, client_host);
    sim_free(sim);
}

static void acks_are(const char *want)
{
    char acks[256];

    ck_assert_str_eq(rig_acks(&client, acks, sizeof acks), want);
}

/* --- the recorded rows --- */

#define MAX_WRITES 3

/* The bytes of a row, as its writes. */
struct input {
    struct buf w[MAX_WRITES];
    unsigned n;
    bool half_close;
};

static void add_frame(struct buf *b, uint32_t options, const char *message)
{
    rig_frame(b, 2, options, span_str(message));
}

/* A frame with some other u32 at an offset of its body, or of the frame with body = false. */
static void add_patched(struct buf *b, bool body, size_t at, uint32_t v)
{
    size_t start = b->n;

    add_frame(b, 3, "one");
    wr_patch_u32(b, start + (body ? FRAME_HEAD_LEN : 0) + at, v);
}

static void add_with_id(struct buf *b, size_t id_len, const char *message)
{
    struct channel_data cd = {.options = 3,
                              .unique_id = span_of("12345678", id_len),
                              .source = rig_rec(2, ""),
                              .message = span_str(message)};

    ck_assert_int_eq(channel_data_encode(b, &cd), ERR_OK);
}

static void add_body(struct buf *b, size_t n)
{
    size_t at = frame_begin(b);

    wr_bytes(b, "\0\0\0\3", n);
    frame_finish(b, at);
}

#define ID_AT      12                 /* of a body: the id's length */
#define SOURCE_AT  (12 + 4 + 16)      /* the source's length */
#define MESSAGE_AT (12 + 20 + 4 + 77) /* the message's length */

static void split(struct input *in, size_t at)
{
    wr_bytes(&in->w[1], in->w[0].p + at, in->w[0].n - at);
    in->w[0].n = at;
    in->n = 2;
}

static bool make(const char *name, struct input *in)
{
    struct buf *a = &in->w[0], *b = &in->w[1], *c = &in->w[2];

    in->n = 1;
    if (!strcmp(name, "valid")) {
        add_frame(a, 3, "one");
    } else if (!strcmp(name, "two frames one write")) {
        add_frame(a, 3, "one");
        add_frame(a, 3, "two");
    } else if (!strcmp(name, "split in 3")) {
        add_frame(a, 3, "one");
        split(in, 20);
        wr_bytes(c, b->p + 50, b->n - 50);
        b->n = 50;
        in->n = 3;
    } else if (!strcmp(name, "byte-split start marker 7+rest")) {
        add_frame(a, 3, "one");
        split(in, 7);
    } else if (!strcmp(name, "8 garbage bytes then frame (separate writes)")) {
        wr_text(a, "garbage!");
        add_frame(b, 3, "one");
        in->n = 2;
    } else if (!strcmp(name, "3 garbage bytes + frame same write")) {
        wr_text(a, "xyz");
        add_frame(a, 3, "one");
    } else if (!strcmp(name, "3 garbage + frame, then frame")) {
        wr_text(a, "xyz");
        add_frame(a, 3, "one");
        add_frame(b, 3, "two");
        in->n = 2;
    } else if (!strcmp(name, "6 garbage bytes, then frame")) {
        wr_text(a, "garbag");
        add_frame(b, 3, "one");
        in->n = 2;
    } else if (!strcmp(name, "frame + trailing garbage 20, then frame")) {
        add_frame(a, 3, "one");
        wr_text(a, "garbagegarbagegarbag");
        add_frame(b, 3, "two");
        in->n = 2;
    } else if (!strcmp(name, "frame, then 20 garbage separately, then frame")) {
        add_frame(a, 3, "one");
        wr_text(b, "garbagegarbagegarbag");
        add_frame(c, 3, "two");
        in->n = 3;
    } else if (!strcmp(name, "bad end marker then good frame")) {
        add_frame(a, 3, "one");
        a->p[a->n - 1] = 'x';
        add_frame(a, 3, "two");
    } else if (!strcmp(name, "negative length")) {
        add_patched(a, false, 7, 0xffffffff);
    } else if (!strcmp(name, "huge length, then good")) {
        add_patched(a, false, 7, 0x7fffffff);
        add_frame(a, 3, "two");
    } else if (!strcmp(name, "empty body frame")) {
        add_frame(a, 3, "one");
        add_body(b, 0);
        in->n = 2;
    } else if (!strcmp(name, "body 4 bytes")) {
        add_body(a, 4);
    } else if (!strcmp(name, "uniqueId 5 bytes")) {
        add_with_id(a, 5, "uid5");
    } else if (!strcmp(name, "uniqueId 0 bytes")) {
        add_with_id(a, 0, "uid0");
    } else if (!strcmp(name, "address length 0")) {
        add_patched(a, true, SOURCE_AT, 0);
    } else if (!strcmp(name, "bad TRIBES-B")) {
        add_patched(a, true, SOURCE_AT + 4, 0x54524942 + 1);
    } else if (!strcmp(name, "message length too long")) {
        add_patched(a, true, MESSAGE_AT, 4000);
    } else if (!strcmp(name, "trailing bytes after message")) {
        add_frame(a, 3, "x123");
        wr_patch_u32(a, FRAME_HEAD_LEN + MESSAGE_AT, 1);
    } else if (!strcmp(name, "use_ack non-serialized garbage as object (opt 2)")) {
        add_frame(a, 2, "undecodable");
    } else if (!strcmp(name, "sync ack, undeserializable (opt 6)")) {
        add_frame(a, 6, "undecodable");
    } else if (!strcmp(name, "opt 6 byte ok = 7")) {
        add_frame(a, 7, "seven");
    } else if (!strcmp(name, "opt 5 (sync without use_ack)")) {
        add_frame(a, 5, "five");
    } else if (!strcmp(name, "zero message opt 3")) {
        add_frame(a, 3, "");
    } else if (!strcmp(name, "FLT2002 inside payload")) {
        add_frame(a, 3, "xxFLT2002yyTLF2003zz");
    } else if (!strcmp(name, "three use_ack frames one write")) {
        add_frame(a, 3, "a");
        add_frame(a, 3, "b");
        add_frame(a, 3, "c");
    } else if (!strcmp(name, "half close after frame")) {
        add_frame(a, 3, "one");
        in->half_close = true;
    } else {
        return false;
    }
    return true;
}

/* Where Tomcat is stuck for ever, skips bytes or reads stale memory, we close the connection. */
static const struct {
    const char *name, *acks, *delivered;
} ours[] = {
    {"8 garbage bytes then frame (separate writes)", "", ""},
    {"3 garbage bytes + frame same write", "", ""},
    {"3 garbage + frame, then frame", "", ""},
    {"6 garbage bytes, then frame", "", ""},
    {"frame + trailing garbage 20, then frame", "A", "one "},
    {"frame, then 20 garbage separately, then frame", "A", "one "},
    {"bad end marker then good frame", "", ""},
    {"huge length, then good", "", ""},
    {"empty body frame", "A", "one "},
    {"body 4 bytes", "", ""},
    /* Two rows of content: the transport hands these bytes up, and what they mean is decided there. */
    {"use_ack non-serialized garbage as object (opt 2)", "A", "undecodable "},
    {"sync ack, undeserializable (opt 6)", "A", "undecodable "},
    {"zero message opt 3", "A", " "},
};

struct expected {
    char acks[8], delivered[64];
    bool closed;
};

static void expect(const char *name, const char *event, struct expected *want)
{
    const char *reply = strstr(event, ": reply=") + 8, *list = strstr(event, "delivered=[") + 11;
    size_t n_acks = 0, n = 0;

    while (strncmp(reply, "464c543230303200000003060203544c4632303033", 42) == 0) {
        want->acks[n_acks++] = 'A';
        reply += 42;
    }
    want->acks[n_acks] = 0;
    want->closed = strstr(event, "conn=EOF") != NULL;
    for (; *list != ']'; list++)
        if (*list != ',')
            want->delivered[n++] = *list;
    if (n > 0)
        want->delivered[n++] = ' ';
    want->delivered[n] = 0;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strcmp(name, ours[i].name)) {
            snprintf(want->acks, sizeof want->acks, "%s", ours[i].acks);
            snprintf(want->delivered, sizeof want->delivered, "%s", ours[i].delivered);
            want->closed = i < 10;
        }
}

static void run_row(const char *name, const char *event)
{
    struct input in = {0};
    struct expected want = {0};
    char acks[64];

    if (!make(name, &in))
        ck_abort_msg("no input for the recorded row \"%s\"", name);
    expect(name, event, &want);
    world();
    for (unsigned i = 0; i < in.n; i++)
        rig_client_send(sim, &client, buf_span(&in.w[i]));
    if (in.half_close)
        stream_close(client.s, 1000);
    sim_run_ms(sim, 900);
    bool closed = client.closed;
    if (!in.half_close) { /* a simulated stream cannot read after it has ended its own side */
        ck_assert_msg(!strcmp(rig_acks(&client, acks, sizeof acks), want.acks), "%s: %s", name, acks);
        ck_assert_msg(closed == want.closed, "%s: closed %d", name, closed);
    }
    ck_assert_msg(!strcmp(buf_cstr(&rx.log), want.delivered), "%s: %s", name, buf_cstr(&rx.log));
    ck_assert_msg(metric_get(&rx.metrics, frames_bad) == want.closed, "%s", name);
    for (unsigned i = 0; i < in.n; i++)
        buf_fini(&in.w[i]);
    world_end();
}

static void run_vectors(const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error), *event;
    size_t i, rows = 0;

    ck_assert_msg(file != NULL, "%s: %s", path, error.text);
    json_array_foreach(json_object_get(file, "events"), i, event)
    {
        const char *text = json_string_value(event), *name = strchr(text, ' ') + 1,
                   *end = strstr(name, ": reply=");
        char copy[128];
        if (!end) /* the last line says in words what "half close after frame" shows */
            continue;
        snprintf(copy, sizeof copy, "%.*s", (int)(end - name), name);
        run_row(copy, text);
        rows++;
    }
    ck_assert_uint_eq(rows, 29);
    json_decref(file);
}

START_TEST(recorded_10_1)
{
    run_vectors(TESTS_DIR "/golden/vectors/receiver-robustness-10.1.60.json");
}
END_TEST

START_TEST(recorded_9_0)
{
    run_vectors(TESTS_DIR "/golden/vectors/receiver-robustness-9.0.70.json");
}
END_TEST

/* --- framing --- */

START_TEST(frames_split_at_every_byte)
{
    struct buf two = {0};

    add_frame(&two, 3, "one");
    add_frame(&two, 7, "two");
    for (size_t at = 1; at < two.n; at++) {
        world();
        rig_client_send(sim, &client, span_of(two.p, at));
        rig_client_send(sim, &client, span_of(two.p + at, two.n - at));
        RIG_LOG_IS(&rx, "one two ");
        acks_are("AA");
        ck_assert(!client.closed);
        world_end();
    }
    buf_fini(&two);
}
END_TEST

START_TEST(byte_by_byte)
{
    struct buf two = {0};

    add_frame(&two, 3, "one");
    add_frame(&two, 3, "two");
    world();
    for (size_t at = 0; at < two.n; at++)
        rig_client_send(sim, &client, span_of(two.p + at, 1));
    RIG_LOG_IS(&rx, "one two ");
    acks_are("AA");
    buf_fini(&two);
    world_end();
}
END_TEST

/* Whatever one byte is changed to: the message comes, or the connection is closed, or more bytes are waited
 * for. */
START_TEST(every_byte_corrupted)
{
    struct buf good = {0}, bad = {0};

    add_frame(&good, 3, "one");
    for (size_t at = 0; at < good.n; at++)
        for (unsigned change = 1; change < 256; change = change * 2 + (change == 128)) {
            buf_clear(&bad);
            wr_span(&bad, buf_span(&good));
            bad.p[at] ^= (uint8_t)change;
            world();
            rig_client_send(sim, &client, buf_span(&bad));
            ck_assert(rx.n <= 1);
            if (client.closed)
                ck_assert_uint_eq(metric_get(&rx.metrics, frames_bad), 1);
            if (at < 7 || at >= good.n - 7)
                ck_assert(client.closed);
            world_end();
        }
    buf_fini(&good);
    buf_fini(&bad);
}
END_TEST

/* Truncated at each length, then the peer goes: never a message, counted when anything had come. */
START_TEST(truncated_at_every_length)
{
    struct buf good = {0};

    add_frame(&good, 3, "one");
    for (size_t n = 0; n < good.n; n++) {
        world();
        rig_client_send(sim, &client, span_of(good.p, n));
        stream_close(client.s, 100);
        sim_run_ms(sim, 50);
        ck_assert_uint_eq(rx.n, 0);
        ck_assert_uint_eq(rx.n_closed, 0);
        ck_assert_uint_eq(metric_get(&rx.metrics, frames_bad), n > 0);
        world_end();
    }
    buf_fini(&good);
}
END_TEST

/* --- ACKs --- */

START_TEST(acks_come_in_the_order_of_the_frames)
{
    struct buf b = {0};

    add_frame(&b, 7, "1");
    add_frame(&b, 7, "fail-2");
    add_frame(&b, 3, "fail-3"); /* plain ACK: says "received" */
    add_frame(&b, 5, "fail-4"); /* 0x04 alone: no answer at all */
    add_frame(&b, 1, "5");
    add_frame(&b, 7, "6");
    add_frame(&b, 6, "fail-7");
    world();
    rx.fail_text = "fail";
    rig_client_send(sim, &client, buf_span(&b));
    acks_are("AFAAF");
    RIG_LOG_IS(&rx, "1 fail-2 fail-3 fail-4 5 6 fail-7 ");
    ck_assert_uint_eq(metric_get(&rx.metrics, acks_sent), 3);
    ck_assert_uint_eq(metric_get(&rx.metrics, fail_acks_sent), 2);
    ck_assert_uint_eq(metric_get(&rx.metrics, frames_received), 7);
    buf_fini(&b);
    world_end();
}
END_TEST

/* A peer that never reads its ACKs is no longer read from; when it reads again nothing was lost. */
START_TEST(unread_acks_stop_the_reading)
{
    enum { MANY = 60000 };
    struct buf b = {0};
    struct frame_view f;
    size_t n = 0;

    for (int i = 0; i < MANY; i++)
        add_frame(&b, 3, "x");
    sim = sim_new(7);
    rig_rx_start(&rx, sim_host_new(sim, "10.0.0.1", 1));
    rx.no_log = true;
    client_host = sim_host_new(sim, "10.0.0.2", 1);
    client = (struct rig_client){.deaf = true};
    rig_client_connect(sim, &client, client_host, receiver_addr(rx.r));
    rig_client_send(sim, &client, buf_span(&b));
    sim_run_ms(sim, 5000);
    ck_assert(rx.n > 1000);
    ck_assert(rx.n < 45000); /* 256 KiB of ACKs here, some in the simulated kernels, one read ahead */
    stream_resume(client.s);
    sim_run_ms(sim, 5000);
    ck_assert_uint_eq(rx.n, MANY);
    for (struct span in = buf_span(&client.got); in.n; in = span_of(in.p + f.total, in.n - f.total)) {
        ck_assert_int_eq(frame_scan(in, ACK_BODY_MAX, &f), ERR_OK);
        n++;
    }
    ck_assert_uint_eq(n, MANY);
    buf_fini(&b);
    world_end();
}
END_TEST

/* --- limits --- */

static struct span zeros(size_t n)
{
    return span_of(mem_zalloc(n), n);
}

static void large_frame(size_t message, bool accepted)
{
    unsigned before = rx.n;
    struct span zero = zeros(message);
    struct buf b = {0};

    rx.no_log = true;
    rig_frame(&b, 2, 3, zero);
    rig_client_send(sim, &client, buf_span(&b));
    sim_run_ms(sim, 3000);
    ck_assert_uint_eq(rx.n - before, accepted);
    ck_assert_int_eq(client.closed, !accepted);
    mem_free((void *)(uintptr_t)zero.p);
    buf_fini(&b);
}

static void send_text(const char *message)
{
    struct buf b = {0};

    add_frame(&b, 3, message);
    rig_client_send(sim, &client, buf_span(&b));
    buf_fini(&b);
}

#define OVERHEAD (size_t)135 /* of a frame with an IPv4 source */

START_TEST(stranger_may_send_up_to_its_limit)
{
    world_from("10.0.0.200");
    large_frame(((size_t)1 << 20) - OVERHEAD, true);
    world_end();
}
END_TEST

START_TEST(stranger_may_not_send_more)
{
    world_from("10.0.0.200");
    large_frame(((size_t)1 << 20) - OVERHEAD + 1, false);
    world_end();
}
END_TEST

START_TEST(member_may_send_more)
{
    world();
    large_frame((size_t)5 << 20, true);
    world_end();
}
END_TEST

/* The announced length alone is enough to send a stranger away: nothing is kept for it. */
START_TEST(stranger_is_judged_by_the_head)
{
    struct buf b = {0};

    world_from("10.0.0.200");
    frame_head(&b, 2 << 20);
    rig_client_send(sim, &client, buf_span(&b));
    ck_assert(client.closed);
    ck_assert_uint_eq(metric_get(&rx.metrics, frames_bad), 1);
    buf_fini(&b);
    world_end();
}
END_TEST

/* A host that has become a member meanwhile, on a connection that it had opened before. */
START_TEST(stranger_becomes_a_member)
{
    world_from("10.0.0.200");
    rx.all_members = true;
    large_frame((size_t)2 << 20, true);
    world_end();
}
END_TEST

START_TEST(members_have_a_limit_too)
{
    struct buf b = {0};

    sim = sim_new(7);
    rig_rx_init(&rx);
    rx.conf.max_frame_bytes = 3 << 20;
    ck_assert_int_eq(rig_rx_try_start(&rx, sim_host_new(sim, "10.0.0.1", 1)), ERR_OK);
    client_host = sim_host_new(sim, "10.0.0.2", 1);
    client = (struct rig_client){0};
    rig_client_connect(sim, &client, client_host, receiver_addr(rx.r));
    frame_head(&b, (3 << 20) - FRAME_OVERHEAD);
    rig_client_send(sim, &client, buf_span(&b));
    ck_assert(!client.closed);
    rig_client_fini(sim, &client);
    client = (struct rig_client){0};
    rig_client_connect(sim, &client, client_host, receiver_addr(rx.r));
    buf_clear(&b);
    frame_head(&b, (3 << 20) - FRAME_OVERHEAD + 1);
    rig_client_send(sim, &client, buf_span(&b));
    ck_assert(client.closed);
    buf_fini(&b);
    world_end();
}
END_TEST

START_TEST(allow_from_is_checked_at_accept)
{
    sim = sim_new(7);
    rig_rx_start(&rx, sim_host_new(sim, "10.0.0.1", 1));
    client_host = sim_host_new(sim, "10.0.1.2", 1); /* another subnet */
    client = (struct rig_client){0};
    rig_client_connect(sim, &client, client_host, receiver_addr(rx.r));
    ck_assert(client.closed);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_refused), 1);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 0);
    world_end();
}
END_TEST

#define FLOOD 600

START_TEST(flood_of_strangers)
{
    static struct rig_client flood[FLOOD];
    struct buf b = {0};
    unsigned open = 0;

    world(); /* a member is there already */
    struct host *stranger = sim_host_new(sim, "10.0.0.200", 1);
    add_frame(&b, 3, "half");
    for (int i = 0; i < FLOOD; i++) {
        flood[i] = (struct rig_client){0};
        rig_client_connect(sim, &flood[i], stranger, receiver_addr(rx.r));
        rig_client_send(sim, &flood[i], span_of(b.p, b.n / 2));
    }
    for (int i = 0; i < FLOOD; i++)
        open += !flood[i].closed;
    ck_assert_uint_eq(open, 512);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_refused), FLOOD - 512);
    buf_clear(&b);
    add_frame(&b, 3, "fine");
    rig_client_send(sim, &client, buf_span(&b)); /* members do not notice */
    RIG_LOG_IS(&rx, "fine ");
    for (int i = 0; i < FLOOD; i++)
        rig_client_fini(sim, &flood[i]);
    rig_client_connect(sim, &flood[0], stranger, receiver_addr(rx.r));
    ck_assert(flood[0].open && !flood[0].closed); /* there is room again */
    rig_client_fini(sim, &flood[0]);
    buf_fini(&b);
    sim_host_end(sim, stranger);
    world_end();
}
END_TEST

/* Each may announce its megabyte, but all together are bounded too. */
START_TEST(strangers_share_their_memory)
{
    static struct rig_client many[70];
    struct buf head = {0};
    unsigned open = 0;

    world_from("10.0.0.200");
    frame_head(&head, (1 << 20) - FRAME_OVERHEAD);
    for (int i = 0; i < 70; i++) {
        many[i] = (struct rig_client){0};
        rig_client_connect(sim, &many[i], client_host, receiver_addr(rx.r));
        rig_client_send(sim, &many[i], buf_span(&head));
    }
    for (int i = 0; i < 70; i++)
        open += !many[i].closed;
    ck_assert_uint_eq(open, 64);
    send_text("small");
    RIG_LOG_IS(&rx, "small ");
    for (int i = 0; i < 70; i++)
        rig_client_fini(sim, &many[i]);
    large_frame(((size_t)1 << 20) - OVERHEAD, true); /* there is room again */
    buf_fini(&head);
    world_end();
}
END_TEST

START_TEST(silent_strangers_are_sent_away)
{
    struct rig_client stranger = {0};

    world();
    struct host *h = sim_host_new(sim, "10.0.0.200", 1);
    rig_client_connect(sim, &stranger, h, receiver_addr(rx.r));
    sim_run_ms(sim, 50000);
    ck_assert(!stranger.closed);
    sim_run_ms(sim, 30000);
    ck_assert(stranger.closed);
    ck_assert(!client.closed); /* a member may be silent for as long as it likes */
    rig_client_fini(sim, &stranger);
    sim_host_end(sim, h);
    world_end();
}
END_TEST

/* --- the end of a connection --- */

START_TEST(close_is_told_when_messages_had_come)
{
    world();
    send_text("one");
    stream_close(client.s, 100);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(rx.n_closed, 1);
    ck_assert_uint_eq(rx.last_closed.b[0], 2);
    world_end();
}
END_TEST

START_TEST(reset_is_told_once)
{
    world();
    send_text("one");
    stream_abort(client.s);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(rx.n_closed, 1);
    ck_assert_uint_eq(metric_get(&rx.metrics, frames_bad), 0);
    world_end();
}
END_TEST

START_TEST(connect_and_close_is_silent)
{
    world();
    stream_close(client.s, 100);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(rx.n_closed, 0);
    ck_assert_uint_eq(metric_get(&rx.metrics, frames_bad), 0);
    ck_assert_uint_eq(metric_get(&rx.metrics, connections_accepted), 1);
    world_end();
}
END_TEST

START_TEST(probes_end_in_silence)
{
    world();
    send_text("probe");
    ck_assert_uint_eq(rx.n, 1);
    stream_close(client.s, 100);
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(rx.n_closed, 0);
    world_end();
}
END_TEST

START_TEST(own_stop_is_not_told)
{
    world();
    send_text("one");
    receiver_stop(rx.r, rig_rx_on_stopped, &rx);
    ck_assert(sim_run_until(sim, rig_is_true, &rx.stopped, 1000));
    sim_run_ms(sim, 50);
    ck_assert_uint_eq(rx.n_closed, 0);
    ck_assert(client.closed);
    rig_rx_fini(&rx);
    sim_host_end(sim, rx.h);
    rig_client_fini(sim, &client);
    sim_host_end(sim, client_host);
    sim_free(sim);
}
END_TEST

START_TEST(loops_end_without_a_stop)
{
    world();
    send_text("one");
    struct rig_client late = {0};
    late.s = stream_connect(host_main(client_host), receiver_addr(rx.r), NULL, 1000, &rig_client_ops, &late);
    while (metric_get(&rx.metrics, connections_accepted) < 2) /* accepted, and on its way to a worker */
        ck_assert(sim_step(sim));
    sim_host_end(sim, rx.h);
    rig_rx_fini(&rx);
    rig_client_fini(sim, &late);
    rig_client_fini(sim, &client);
    sim_host_end(sim, client_host);
    sim_free(sim);
}
END_TEST

/* --- ports and workers --- */

START_TEST(first_free_port_is_taken)
{
    static struct rig_rx second, third;
    struct addr *at;

    world();
    rig_rx_init(&second);
    ck_assert_int_eq(rig_rx_try_start(&second, rx.h), ERR_OK);
    at = (struct addr *)(uintptr_t)receiver_addr(second.r);
    ck_assert_uint_eq(receiver_addr(rx.r)->port, 4000);
    ck_assert_uint_eq(at->port, 4001);
    rig_rx_init(&third);
    third.conf.auto_bind = 2;
    ck_assert_int_eq(rig_rx_try_start(&third, rx.h), ERR_CONFIG);
    ck_assert_ptr_nonnull(
        strstr(buf_cstr(&third.diag.text), "ports 4000 to 4001 of 10.0.0.1 are all in use"));
    third.r = NULL;
    rig_rx_fini(&third);
    receiver_stop(second.r, rig_rx_on_stopped, &second);
    ck_assert(sim_run_until(sim, rig_is_true, &second.stopped, 1000));
    rig_rx_fini(&second);
    world_end();
}
END_TEST

START_TEST(connections_go_round_the_workers)
{
    struct rig_client more[3] = {0};

    world();
    send_text("m");
    for (int i = 0; i < 3; i++) {
        struct buf b = {0};
        add_frame(&b, 3, "m");
        rig_client_connect(sim, &more[i], client_host, receiver_addr(rx.r));
        rig_client_send(sim, &more[i], buf_span(&b));
        buf_fini(&b);
    }
    ck_assert_uint_eq(rx.n_by_loop[0], 2);
    ck_assert_uint_eq(rx.n_by_loop[1], 2);
    for (int i = 0; i < 3; i++)
        rig_client_fini(sim, &more[i]);
    world_end();
}
END_TEST

START_TEST(max_threads_bounds_the_workers)
{
    struct rig_client more[2] = {0};
    struct buf b = {0};

    sim = sim_new(7);
    rig_rx_init(&rx);
    rx.conf.max_threads = 1;
    ck_assert_int_eq(rig_rx_try_start(&rx, sim_host_new(sim, "10.0.0.1", 3)), ERR_OK);
    client_host = sim_host_new(sim, "10.0.0.2", 1);
    client = (struct rig_client){0};
    add_frame(&b, 3, "m");
    for (int i = 0; i < 2; i++) {
        rig_client_connect(sim, &more[i], client_host, receiver_addr(rx.r));
        rig_client_send(sim, &more[i], buf_span(&b));
    }
    ck_assert_uint_eq(rx.n_by_loop[0], 2);
    for (int i = 0; i < 2; i++)
        rig_client_fini(sim, &more[i]);
    buf_fini(&b);
    world_end();
}
END_TEST

CLUSTERD_SUITE(receiver, &recorded_10_1, &recorded_9_0, &frames_split_at_every_byte, &byte_by_byte,
               &every_byte_corrupted, &truncated_at_every_length, &acks_come_in_the_order_of_the_frames,
               &unread_acks_stop_the_reading, &stranger_may_send_up_to_its_limit, &stranger_may_not_send_more,
               &member_may_send_more, &stranger_is_judged_by_the_head, &stranger_becomes_a_member,
               &members_have_a_limit_too, &allow_from_is_checked_at_accept, &flood_of_strangers,
               &strangers_share_their_memory, &silent_strangers_are_sent_away,
               &close_is_told_when_messages_had_come, &reset_is_told_once, &connect_and_close_is_silent,
               &probes_end_in_silence, &own_stop_is_not_told, &loops_end_without_a_stop,
               &first_free_port_is_taken, &connections_go_round_the_workers, &max_threads_bounds_the_workers)
