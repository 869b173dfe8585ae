/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RpcMessage and NoRpcChannelReply; see rpc.h for the layout. The envelope as every Tomcat writes it is read
 * without looking at the object inside, so that a call about unknown things can still be answered; a stream
 * written differently is walked.
 */
#include "clusterd/wire/rpc.h"

#include "java/known.h"
#include "java/parts.h"

#include "clusterd/util/cursor.h"
#include "clusterd/wire/jwrite.h"

#define RPC_DESC "\x72\x00\x2b" JAVA_CLASS_RPC_MESSAGE "\x71\x2a\x75\x0f\xf2\x74\xe5\x09\x0c\x00\x00\x78\x70"
#define REPLY_DESC \
    "\x72\x00\x3d" JAVA_CLASS_NO_RPC_REPLY "\x7b\xab\x8f\xb3\x6a\x4b\x5b\xa6\x0c\x00\x00\x78" RPC_DESC

#define RPC_PREFIX   SPAN_LIT(KNOWN_HEADER "\x73" RPC_DESC "\x77")
#define REPLY_PREFIX SPAN_LIT(KNOWN_HEADER "\x73" REPLY_DESC)

/* The block data of either message. */
static fallible read_head(struct span head, struct rpc_msg *m, const char **field)
{
    struct rd in = rd_of(head);

    m->reply = m->is_no_channel || rd_u8(&in, "rpc reply flag") != 0;
    m->uuid = rd_bytes32(&in, RPC_ID_MAX, "rpc uuid");
    m->rpc_id = rd_bytes32(&in, RPC_ID_MAX, "rpcId");
    enum err e = rd_end(&in, "rpc head");
    if (e)
        *field = in.field;
    return e;
}

/* The form that every Tomcat writes: one record of block data, at most 255 bytes long. */
static bool quick_decode(struct span in, struct rpc_msg *m)
{
    struct span reply_prefix = SPAN_LIT(KNOWN_HEADER "\x73" REPLY_DESC "\x77");
    const char *field;

    m->is_no_channel = span_starts_with(in, reply_prefix);
    if (!m->is_no_channel && !span_starts_with(in, RPC_PREFIX))
        return false;
    size_t at = m->is_no_channel ? reply_prefix.n : RPC_PREFIX.n;
    struct rd rest = rd_of(span_of(in.p + at, in.n - at));
    struct span head = rd_bytes(&rest, rd_u8(&rest, "head"), "head");
    m->object_at = at + rd_pos(&rest);
    uint8_t next = rd_u8(&rest, "object");
    if (rest.err || next == TC_BLOCKDATA || next == TC_BLOCKDATALONG || read_head(head, m, &field) != ERR_OK)
        return false;
    m->has_object = !m->is_no_channel && next != TC_NULL;
    return m->is_no_channel ? next == TC_ENDBLOCKDATA && rd_left(&rest) == 0 : next != TC_ENDBLOCKDATA;
}

/* Join the block data in front of the object, and find the object. */
static void take_parts(struct walk *w, const struct java_item *root, struct rpc_msg *m)
{
    struct parts parts;
    struct part part;
    bool has_item = false;

    parts_init(&parts, w, root->entry);
    while (parts_next(&parts, &part)) {
        if (part.kind == PART_BLOCK && !has_item && m->owned.n + part.bytes.n <= 2 * RPC_ID_MAX + 16) {
            wr_span(&m->owned, part.bytes);
        } else if (part.kind == PART_CONTENT && !has_item && !m->is_no_channel) {
            has_item = true;
            m->has_object = part.item.kind != JAVA_NULL;
            m->object_at = part.item.off;
        } else {
            walk_fail(w, ERR_BAD, "rpc message");
            return;
        }
    }
    if (!has_item && !m->is_no_channel)
        walk_fail(w, ERR_BAD, "rpc object");
}

static fallible walk_decode(struct span in, struct rpc_msg *m, const char **field)
{
    struct walk w;
    struct java_item root;
    enum err e;

    walk_init(&w, in, NULL);
    if (walk_object(&w, &root, "rpc message")) {
        bool is_object = root.kind == JAVA_OBJECT;
        uint32_t cls = is_object ? w.entries[root.entry].cls : WALK_NONE;
        m->is_no_channel = is_object && parts_is_class(&w, cls, JAVA_CLASS_NO_RPC_REPLY);
        if (!m->is_no_channel && !(is_object && parts_is_class(&w, cls, JAVA_CLASS_RPC_MESSAGE)))
            walk_fail(&w, root.kind == JAVA_EXCEPTION ? ERR_BAD : ERR_UNSUPPORTED, "rpc message class");
        else if (w.pos != in.n)
            walk_fail(&w, ERR_BAD, "rpc message tail");
        else
            take_parts(&w, &root, m);
    }
    e = w.err;
    *field = w.field;
    walk_fini(&w);
    return e ? e : read_head(buf_span(&m->owned), m, field);
}

enum err rpc_msg_decode(struct span in, struct rpc_msg *out, const char **field)
{
    struct rpc_msg m = {0};
    const char *where = NULL;

    if (!quick_decode(in, &m)) {
        m = (struct rpc_msg){0};
        enum err e = walk_decode(in, &m, &where);
        if (e) {
            rpc_msg_fini(&m);
            if (field)
                *field = where;
            return e;
        }
    }
    *out = m;
    return ERR_OK;
}

void rpc_msg_fini(struct rpc_msg *m)
{
    buf_fini(&m->owned);
}

void rpc_request_encode(struct span uuid, struct span rpc_id, struct buf *out)
{
    struct jwrite w = {.out = out};

    ASSERT(uuid.n <= RPC_ID_MAX && rpc_id.n <= RPC_ID_MAX);
    wr_span(out, SPAN_LIT(KNOWN_HEADER "\x73" RPC_DESC));
    jwrite_u8(&w, 0); /* no reply */
    jwrite_i32(&w, (int32_t)uuid.n);
    jwrite_bytes(&w, uuid);
    jwrite_i32(&w, (int32_t)rpc_id.n);
    jwrite_bytes(&w, rpc_id);
    jwrite_end(&w);
    wr_u8(out, TC_NULL);
    wr_u8(out, TC_ENDBLOCKDATA);
}

void rpc_no_channel_encode(struct span uuid, struct span rpc_id, struct buf *out)
{
    struct jwrite w = {.out = out};

    ASSERT(uuid.n <= RPC_ID_MAX && rpc_id.n <= RPC_ID_MAX);
    wr_span(out, REPLY_PREFIX);
    jwrite_i32(&w, (int32_t)uuid.n);
    jwrite_bytes(&w, uuid);
    jwrite_i32(&w, (int32_t)rpc_id.n);
    jwrite_bytes(&w, rpc_id);
    jwrite_end(&w);
    wr_u8(out, TC_ENDBLOCKDATA);
}
