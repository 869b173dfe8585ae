/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC requests that nobody serves, with Tomcat's own bytes: answered to members and to strangers alike,
 * replies left alone, hostile ones reported.
 */
#include "clusterd/group/rpc.h"
#include "clusterd/wire/rpc.h"
#include "unit/channel/world.h"
#include "unit/wire/vectors.h"

static unsigned n_bad;

static enum err serve(struct world_node *n, const struct received *m)
{
    const char *field = NULL;

    if (m->options & SEND_BYTE_MESSAGE)
        return ERR_OK;
    n->messages++;
    if (rpc_on_message(n->channel, m, &field) != ERR_OK) {
        ck_assert_ptr_nonnull(field);
        n_bad++;
    }
    return ERR_OK;
}

static struct world_peer *begin(uint64_t seed)
{
    world_begin(seed);
    n_bad = 0;
    world_start(1)->hook = serve;
    struct world_peer *p = world_peer_new(1);
    world_peer_listen(p);
    sim_run_ms(world_sim, 2500);
    return p;
}

static void end(struct world_peer *p)
{
    if (p->out)
        stream_close(p->out, 0);
    sim_run_ms(world_sim, 100);
    world_peer_free(p);
    world_end();
}

static void request(struct world_peer *p, const char *vector, uint32_t options)
{
    struct buf bytes = {0}, frame = {0};

    vectors_get(CORE, vector, &bytes);
    world_peer_frame(p, options, buf_span(&bytes), &frame);
    world_peer_send(p, 1, buf_span(&frame));
    buf_fini(&bytes);
    buf_fini(&frame);
    sim_run_ms(world_sim, 100);
}

/* The last frame that the peer was sent: a reply to this id and 20..2f, without any wish for an ACK. */
static void check_reply(struct world_peer *p, const char *rpc_id)
{
    struct buf want = {0};
    struct frame_view f;
    struct channel_data cd = {0};
    struct rpc_msg reply;
    size_t at = 0;

    vectors_get(CORE, "rpcmessage-norpcchannelreply", &want);
    while (at < p->got.n) {
        ck_assert_int_eq(frame_scan(span_of(p->got.p + at, p->got.n - at), 10000, &f), ERR_OK);
        struct rd in = rd_of(f.body);
        ck_assert_int_eq(channel_data_decode(&in, &cd), ERR_OK);
        at += f.total;
    }
    ck_assert_uint_eq(cd.options, SEND_ASYNCHRONOUS);
    ck_assert_int_eq(span_eq(cd.message, buf_span(&want)), strcmp(rpc_id, "rpc-id") == 0);
    ck_assert_int_eq(rpc_msg_decode(cd.message, &reply, NULL), ERR_OK);
    ck_assert(reply.is_no_channel);
    ck_assert(span_eq(reply.rpc_id, span_str(rpc_id)));
    rpc_msg_fini(&reply);
    ck_assert(member_same(&cd.source, channel_local(world_nodes[1]->channel)));
    buf_fini(&want);
}

START_TEST(test_a_stranger_is_answered)
{
    struct world_peer *p = begin(1);

    request(p, "rpcmessage-request", 0x0a);
    ck_assert_uint_eq(p->accepted, 1);
    check_reply(p, "rpc-id");
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, rpc_unserved), 1);
    ck_assert(span_eq(buf_span(&p->answers), ACK_FRAME)); /* the request was acknowledged all the same */
    end(p);
}
END_TEST

START_TEST(test_a_member_is_answered_over_its_lane)
{
    struct world_peer *p = begin(2);

    world_peer_beat(&p->beat, p);
    sim_run_ms(world_sim, 200);
    ck_assert_uint_eq(world_nodes[1]->added, 1);
    unsigned accepted = p->accepted;
    buf_clear(&p->got);
    request(p, "rpc-of-mapmessage-init", 0);
    check_reply(p, "/ctx-map");
    buf_clear(&p->got);
    request(p, "rpcmessage-request-null", 0);
    check_reply(p, "rpc-id");
    ck_assert_uint_le(p->accepted, accepted + 4); /* lanes open when they are needed */
    end(p);
}
END_TEST

START_TEST(test_replies_are_nobodys)
{
    struct world_peer *p = begin(3);

    request(p, "rpcmessage-reply", 0);
    request(p, "rpcmessage-norpcchannelreply", 0);
    ck_assert_uint_eq(p->accepted, 0);
    ck_assert_uint_eq(world_nodes[1]->messages, 2);
    ck_assert_uint_eq(n_bad, 0);
    ck_assert_uint_eq(metric_get(&world_nodes[1]->metrics, messages_swallowed), 2);
    end(p);
}
END_TEST

START_TEST(test_broken_requests)
{
    struct world_peer *p = begin(4);
    struct buf bytes = {0}, frame = {0};

    vectors_get(CORE, "rpcmessage-request", &bytes);
    for (size_t n = 0; n < bytes.n; n++) {
        buf_clear(&frame);
        world_peer_frame(p, 0, span_of(bytes.p, n), &frame);
        world_peer_send(p, 1, buf_span(&frame));
        sim_run_ms(world_sim, 1);
    }
    sim_run_ms(world_sim, 100);
    ck_assert_uint_eq(world_nodes[1]->messages, bytes.n);
    ck_assert_uint_ge(n_bad, 90); /* the object behind the ids is not looked at */
    ck_assert_uint_eq(n_bad + metric_get(&world_nodes[1]->metrics, rpc_unserved), bytes.n);
    buf_fini(&bytes);
    buf_fini(&frame);
    end(p);
}
END_TEST

CLUSTERD_SUITE(rpc, &test_a_stranger_is_answered, &test_a_member_is_answered_over_its_lane,
               &test_replies_are_nobodys, &test_broken_requests)
