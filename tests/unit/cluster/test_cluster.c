/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SimpleTcpCluster on simulated hosts: log lines with Tomcat's words, messages taken apart by their root
 * object (with Tomcat's own bytes), the own form, send options on the wire, warnings about options and
 * clocks.
 */
#include "clusterd/cluster/cluster.h"
#include "unit/channel/world.h"
#include "unit/wire/vectors.h"

struct cnode {
    struct world_node *base;
    struct cluster *cluster;
    struct cluster_conf conf;
    unsigned sessions, owns, added, disappeared, strangers;
    int32_t last_event;
    uint8_t last_kind;
    struct buf last_body;
    struct ident last_id;
    int64_t last_timestamp;
    uint32_t last_options;
};

static struct cnode cnodes[WORLD_NODES];

static enum err on_session(void *arg, const struct received *m, const struct session_msg *msg)
{
    struct cnode *c = arg;

    c->sessions++;
    c->strangers += !m->source;
    c->last_event = msg->event;
    c->last_options = m->options;
    return ERR_OK;
}

static enum err on_own(void *arg, const struct received *m, uint8_t kind, struct span body)
{
    struct cnode *c = arg;

    c->owns++;
    c->strangers += !m->source;
    c->last_kind = kind;
    buf_clear(&c->last_body);
    wr_span(&c->last_body, body);
    c->last_id = m->id;
    c->last_timestamp = m->timestamp;
    c->last_options = m->options;
    return ERR_OK;
}

static void on_added(void *arg, struct member *m)
{
    (void)m;
    ((struct cnode *)arg)->added++;
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    (void)m;
    (void)shutdown;
    ((struct cnode *)arg)->disappeared++;
}

static void on_caught_up(void *arg, struct member *m, bool lost)
{
    (void)arg;
    (void)m;
    (void)lost;
}

static void on_heartbeat(void *arg)
{
    (void)arg;
}

static int64_t alive_ms(void *arg)
{
    struct cnode *c = arg;

    return (int64_t)loop_mono_ms(host_main(c->base->host));
}

static const struct cluster_events events = {.on_session = on_session,
                                             .on_own = on_own,
                                             .on_added = on_added,
                                             .on_disappeared = on_disappeared,
                                             .on_caught_up = on_caught_up,
                                             .on_heartbeat = on_heartbeat,
                                             .alive_ms = alive_ms};

static struct cnode *start(unsigned i, const char *yaml)
{
    struct cnode *c = &cnodes[i];
    struct conf_node *map;
    struct diag d = {0};

    memset(c, 0, sizeof *c);
    c->base = world_make(i);
    ck_assert_int_eq(tree_load_text(span_str(yaml), "t", &d, &map), ERR_OK);
    ck_assert_int_eq(option_load(map, cluster_options, NULL, &c->conf, &d), ERR_OK);
    tree_free(map);
    ck_assert_int_eq(
        cluster_new(c->base->host, &c->conf, &c->base->conf, &events, c, &c->base->metrics, &d, &c->cluster),
        ERR_OK);
    c->base->channel = cluster_channel(c->cluster);
    ck_assert_int_eq(cluster_start(c->cluster, world_on_started, c->base, &d), ERR_OK);
    diag_fini(&d);
    return c;
}

static void begin(uint64_t seed)
{
    world_begin(seed);
    memset(cnodes, 0, sizeof cnodes);
}

static void stop(unsigned i)
{
    struct cnode *c = &cnodes[i];
    struct world_node *n = c->base;

    cluster_stop(c->cluster, 500, world_on_stopped, n);
    ck_assert(sim_run_until(world_sim, world_is_stopped, n, 60000));
    cluster_free(c->cluster);
    option_free(cluster_options, &c->conf);
    buf_fini(&c->last_body);
    sim_host_end(world_sim, n->host);
    world_free_conf(n);
    buf_fini(&n->last);
    mem_free(n);
    world_nodes[i] = NULL;
    c->base = NULL;
}

static void end(void)
{
    for (unsigned i = 0; i < WORLD_NODES; i++)
        if (cnodes[i].base && !cnodes[i].base->dead)
            stop(i);
    world_end();
}

static void peer_end(struct world_peer *p)
{
    if (p->out)
        stream_close(p->out, 0);
    sim_run_ms(world_sim, 50);
    world_peer_free(p);
}

/* A message of the peer with the present time of its host. */
static void peer_says(struct world_peer *p, uint32_t options, struct span message, int64_t skew_ms)
{
    struct ident id = {{0xb0}};
    struct channel_data cd = {.options = options,
                              .timestamp_ms = loop_wall_ms_now(host_main(p->host)) + skew_ms,
                              .unique_id = span_of(id.b, IDENT_LEN),
                              .source = p->rec,
                              .message = message};
    struct buf frame = {0};

    ck_assert_int_eq(channel_data_encode(&frame, &cd), ERR_OK);
    world_peer_send(p, 1, buf_span(&frame));
    buf_fini(&frame);
    sim_run_ms(world_sim, 20);
}

/* Bytes of a recorded session message. */
static void session_vector(const char *file, const char *name, struct buf *out)
{
    char path[512];
    json_error_t error;
    json_t *v;
    size_t i;
    bool found = false;

    snprintf(path, sizeof path, "%s/golden/session-vectors/%s", TESTS_DIR, file);
    json_t *doc = json_load_file(path, JSON_ALLOW_NUL, &error);
    ck_assert_msg(doc != NULL, "%s: %s", path, error.text);
    json_array_foreach(json_object_get(doc, "vectors"), i, v)
    {
        if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0) {
            vectors_unhex(json_string_value(json_object_get(v, "hex")), out);
            found = true;
        }
    }
    ck_assert_msg(found, "%s: no %s", path, name);
    json_decref(doc);
}

START_TEST(test_log_lines_have_tomcats_words)
{
    begin(1);
    start(1, "clusterName: test\n");
    start(2, "clusterName: test\n");
    sim_run_ms(world_sim, 3000);
    ck_assert_uint_eq(cnodes[1].added, 1);
    ck_assert_uint_eq(logs_count("Cluster is about to start"), 2);
    ck_assert_uint_eq(
        logs_count("memberAdded: Replication member added:[org.apache.catalina.tribes.membership."
                   "MemberImpl[tcp://10.0.0.2:4000,10.0.0.2,4000, alive="),
        1);
    stop(2);
    sim_run_ms(world_sim, 100);
    ck_assert_uint_eq(logs_count("memberDisappeared: Received member disappeared:[org.apache.catalina.tribes."
                                 "membership.MemberImpl[tcp://10.0.0.2:4000,10.0.0.2,4000, alive="),
                      1);
    ck_assert_uint_eq(logs_count("command={66 65 66 89 45 65 76 69 88 "), 1); /* BABY-ALEX */
    ck_assert_uint_eq(cnodes[1].disappeared, 1);
    end();
}
END_TEST

START_TEST(test_messages_are_taken_apart)
{
    struct buf b = {0};

    begin(2);
    struct cnode *c = start(1, "channelSendOptions: async\n");
    struct world_peer *p = world_peer_new(1);
    sim_run_ms(world_sim, 2500);
    session_vector("session-messages-10.1.60.json", "delta/create/CREATED", &b);
    peer_says(p, 0x08, buf_span(&b), 0);
    ck_assert_uint_eq(c->sessions, 1);
    ck_assert_uint_eq(c->strangers, 1); /* before its first heartbeat */
    ck_assert_int_eq(c->last_event, SESSION_CREATED);
    buf_clear(&b);
    session_vector("session-messages-9.0.70.json", "delta/create/DELTA", &b);
    peer_says(p, 0x08, buf_span(&b), 0);
    ck_assert_int_eq(c->last_event, SESSION_DELTA);
    ck_assert_uint_eq(c->sessions, 2);

    buf_clear(&b);
    session_vector("farm-messages-10.1.60.json", "farm/FileMessage-farm#x.war-1-of-2", &b);
    peer_says(p, 0x08, buf_span(&b), 0);
    buf_clear(&b);
    vectors_get(CORE, "mapmessage-backup", &b);
    peer_says(p, 0x02, buf_span(&b), 0);
    buf_clear(&b);
    vectors_get(CORE, "java-string", &b);
    peer_says(p, 0x06, buf_span(&b), 0);
    peer_says(p, 0x01, SPAN_LIT("any bytes"), 0);
    ck_assert_uint_eq(metric_get(&c->base->metrics, messages_swallowed), 4);
    ck_assert_uint_eq(logs_count("receive_message_failure: org.apache.catalina.ha.deploy.FileMessage from "
                                 "10.0.0.101:5000 has no listener here"),
                      1);
    ck_assert_uint_eq(metric_get(&c->base->metrics, messages_undecodable), 0);
    peer_says(p, 0x06, SPAN_LIT("no stream"), 0);
    ck_assert_uint_eq(metric_get(&c->base->metrics, messages_undecodable), 1);
    ck_assert_uint_eq(logs_count("Unable to decode a message of 9 bytes from 10.0.0.101:5000"), 1);
    ck_assert_uint_eq(p->answers.n,
                      4 * ACK_FRAME_LEN - ACK_FRAME_LEN); /* and acknowledged: 0x02, 0x06, 0x06 */
    buf_fini(&b);
    peer_end(p);
    end();
}
END_TEST

/* Truncated and changed session messages: counted, one line an interval, positively acknowledged. */
START_TEST(test_broken_session_messages)
{
    struct buf b = {0};

    begin(3);
    struct cnode *c = start(1, "clusterName: x\n");
    struct world_peer *p = world_peer_new(1);
    sim_run_ms(world_sim, 2500);
    session_vector("session-messages-10.1.60.json", "delta/create/DELTA", &b);
    for (size_t n = 0; n < b.n; n += 3)
        peer_says(p, 0x06, span_of(b.p, n), 0);
    ck_assert_uint_eq(c->sessions, 0);
    ck_assert_uint_eq(metric_get(&c->base->metrics, messages_undecodable), (b.n + 2) / 3);
    ck_assert_uint_eq(p->answers.n, (b.n + 2) / 3 * ACK_FRAME_LEN);
    ck_assert_uint_eq(p->answers.p[11], 0x06); /* ACK, not FAIL_ACK */
    ck_assert_uint_ge(logs_count("Unable to decode a message"), 1);
    ck_assert_uint_le(logs_count("Unable to decode a message"), 3);
    buf_fini(&b);
    peer_end(p);
    end();
}
END_TEST

static void send_own(unsigned from, uint8_t kind, const char *body, uint32_t options,
                     struct world_delivery *w)
{
    struct cnode *c = &cnodes[from];
    struct loop *main = host_main(c->base->host);
    struct view *v = world_view(from);
    struct buf b = {0};

    cluster_own_begin(&b, kind);
    wr_text(&b, body);
    memset(w, 0, sizeof *w);
    delivery_init(&w->d, main, world_on_delivered);
    struct cluster_out out = {.payload = buf_span(&b),
                              .options = options,
                              .timestamp = 1234567,
                              .seq = 0xdeadbeef,
                              .flow = 7,
                              .delivery = &w->d};
    cluster_send_to(c->cluster, main, &out, &(struct targets){v->n, v->members});
    delivery_seal(&w->d);
    buf_fini(&b);
    view_unref(v);
}

START_TEST(test_the_own_form)
{
    struct world_delivery w;

    begin(4);
    start(1, "clusterName: x\n");
    struct cnode *two = start(2, "clusterName: x\n");
    sim_run_ms(world_sim, 3000);
    send_own(1, 9, "body", SEND_USE_ACK, &w);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(two->owns, 1);
    ck_assert_uint_eq(two->strangers, 0);
    ck_assert_uint_eq(two->last_kind, 9);
    ck_assert(span_eq(buf_span(&two->last_body), SPAN_LIT("body")));
    ck_assert_int_eq(two->last_timestamp, 1234567);
    ck_assert_mem_eq(two->last_id.b, "\xde\xad\xbe\xef", 4);
    ck_assert_uint_eq(two->last_options, SEND_BYTE_MESSAGE | SEND_USE_ACK);
    ck_assert_int_eq(atomic_load(&w.d.acked), 1);
    send_own(1, 1, "", SEND_SYNC_ACK, &w);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(two->last_options, SEND_BYTE_MESSAGE | SEND_SYNC_ACK);
    ck_assert_uint_eq(two->last_body.n, 0);
    send_own(1, 1, "", SEND_ASYNCHRONOUS, &w);
    sim_run_ms(world_sim, 50);
    ck_assert_uint_eq(two->last_options, SEND_BYTE_MESSAGE | SEND_USE_ACK | SEND_ASYNCHRONOUS);
    end();
}
END_TEST

/* Who does not say that it is clusterd is not heard in the own form, and is not sent it. */
START_TEST(test_the_own_form_and_tomcats)
{
    struct world_delivery w;

    begin(5);
    struct cnode *c = start(1, "clusterName: x\n");
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    sim_run_ms(world_sim, 2500);
    peer_says(p, 0x01, SPAN_LIT("CLD1\x05hello"), 0);
    ck_assert_uint_eq(c->owns, 0);
    p->rec.payload = SPAN_LIT("clusterd/1");
    peer_says(p, 0x01, SPAN_LIT("CLD1\x05hello"), 0);
    ck_assert_uint_eq(c->owns, 1); /* not in the view, but says what it is */
    ck_assert_uint_eq(c->strangers, 1);
    p->rec.payload = span_of(NULL, 0);
    peer_says(p, 0x01, SPAN_LIT("CLD1"), 0);
    ck_assert_uint_eq(c->owns, 1);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 100);
    ck_assert_uint_eq(c->added, 1);
    buf_clear(&p->got);
    send_own(1, 5, "secret", SEND_USE_ACK, &w);
    sim_run_ms(world_sim, 100);
    ck_assert(w.done);
    ck_assert_int_eq(atomic_load(&w.d.failed), 1);
    ck_assert_uint_eq(p->got.n, 0);
    peer_end(p);
    end();
}
END_TEST

static uint32_t options_of_frame(struct span got)
{
    struct frame_view f;
    struct channel_data cd;

    ck_assert_int_eq(frame_scan(got, 100000, &f), ERR_OK);
    struct rd in = rd_of(f.body);
    ck_assert_int_eq(channel_data_decode(&in, &cd), ERR_OK);
    return cd.options;
}

/* Whatever the caller waits for, a Tomcat is asked for synchronized ACKs: order on a lane rests on them. */
START_TEST(test_options_towards_tomcats)
{
    static const struct {
        uint32_t asked, wire;
        bool waits;
    } cases[] = {{0, 6, false},   {2, 6, true},    {6, 6, true}, {8, 14, false},
                 {10, 14, false}, {14, 14, false}, {1, 6, false}};

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world_delivery w = {0};
        begin(6 + i);
        struct cnode *c = start(1, "clusterName: x\n");
        struct world_peer *p = world_peer_new(1);
        world_peer_listen(p);
        sim_run_ms(world_sim, 2500);
        world_peer_beat(&p->beat, p);
        sim_run_ms(world_sim, 200);
        ck_assert_uint_eq(c->added, 1);
        buf_clear(&p->got);
        struct loop *main = host_main(c->base->host);
        struct view *v = world_view(1);
        delivery_init(&w.d, main, world_on_delivered);
        struct cluster_out out = {
            .payload = SPAN_LIT("\xac\xed\x00\x05t\x00\x01x"), .options = cases[i].asked, .delivery = &w.d};
        cluster_send_to(c->cluster, main, &out, &(struct targets){v->n, v->members});
        delivery_seal(&w.d);
        view_unref(v);
        sim_run_ms(world_sim, 100);
        ck_assert_uint_eq(options_of_frame(buf_span(&p->got)), cases[i].wire);
        ck_assert_int_eq(w.done, !cases[i].waits); /* the peer never acknowledges */
        peer_end(p);
        sim_run_ms(world_sim, 20000);
        ck_assert(w.done);
        end();
    }
}
END_TEST

START_TEST(test_other_send_options_are_told_once)
{
    struct buf created = {0}, get_all = {0};

    begin(20);
    struct cnode *c = start(1, "channelSendOptions: \"sync,use_ack\"\n");
    ck_assert_uint_eq(cluster_send_options(c->cluster), 6);
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 2500);
    session_vector("session-messages-10.1.60.json", "delta/create/CREATED", &created);
    session_vector("session-messages-10.1.60.json", "delta/start-B/GET_ALL_SESSIONS", &get_all);
    peer_says(p, 0x08, buf_span(&get_all), 0); /* these are fixed, and say nothing */
    ck_assert_uint_eq(logs_count("sends with channelSendOptions"), 0);
    for (unsigned i = 0; i < 20; i++)
        peer_says(p, 0x08, buf_span(&created), 0);
    ck_assert_uint_eq(
        logs_count("member 10.0.0.101:5000 sends with channelSendOptions 8 (async), this node with 6 "
                   "(sync, use_ack)"),
        1);
    peer_says(p, 0x06, buf_span(&created), 0);
    peer_says(p, 0x02, buf_span(&created), 0);
    ck_assert_uint_eq(logs_count("sends with channelSendOptions"), 2);
    buf_fini(&created);
    buf_fini(&get_all);
    peer_end(p);
    end();
}
END_TEST

/* Versions in the own form are no clock; members are asked for their time. */
START_TEST(test_a_clusterd_with_another_clock)
{
    struct world_delivery w[10];

    begin(22);
    start(1, "clusterName: x\n");
    start(2, "clusterName: x\n");
    sim_run_ms(world_sim, 3000);
    for (unsigned i = 0; i < 10; i++)
        send_own(2, 3, "old version", SEND_USE_ACK, &w[i]);
    sim_run_ms(world_sim, 20000);
    ck_assert_uint_eq(logs_count("the clock of member"), 0);
    sim_host_set_wall_offset(world_nodes[2]->host, 3600000);
    sim_run_ms(world_sim, 6000);
    ck_assert_uint_eq(logs_count("the clock of member 10.0.0.2:4000 is 3"), 1);
    ck_assert_uint_le(logs_count("the clock of member 10.0.0.1:4000 is 3"), 1);
    sim_host_set_wall_offset(world_nodes[2]->host, 0);
    sim_run_ms(world_sim, 60000);
    ck_assert_uint_eq(logs_count("the clock of member 10.0.0.2:4000 agrees with ours again"), 1);
    end();
}
END_TEST

START_TEST(test_options_of_the_cluster)
{
    struct cluster_conf conf = {0};
    struct buf out = {0};

    option_defaults(cluster_options, &conf);
    ck_assert_uint_eq(conf.send_options, 8);
    ck_assert_uint_eq(conf.start_options, 15);
    ck_assert(!conf.heartbeat_background && !conf.notify_on_failure);
    option_dump(cluster_options, &conf, 0, false, &out);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "channelSendOptions: async"));
    buf_fini(&out);
    option_free(cluster_options, &conf);
}
END_TEST

CLUSTERD_SUITE(cluster, &test_log_lines_have_tomcats_words, &test_messages_are_taken_apart,
               &test_broken_session_messages, &test_the_own_form, &test_the_own_form_and_tomcats,
               &test_options_towards_tomcats, &test_other_send_options_are_told_once,
               &test_a_clusterd_with_another_clock, &test_options_of_the_cluster)
