/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RpcMessage, the envelope of a remote call over the channel, and NoRpcChannelReply, with which a member says
 * that it has no such channel (a caller that does not get it waits for its whole time-out). Mirrors
 * org.apache.catalina.tribes.group.RpcMessage and its nested class. Pure functions.
 *
 *   RpcMessage         73 <desc> 77 n { u1 reply, i4 n uuid, i4 n rpcId } <object|70> 78
 *   NoRpcChannelReply  73 <desc> 77 n {           i4 n uuid, i4 n rpcId }             78
 */
#ifndef CLUSTERD_WIRE_RPC_H
#define CLUSTERD_WIRE_RPC_H

#include "clusterd/util/bytes.h"

#define RPC_ID_MAX   4096 /* bytes of uuid or rpcId that are accepted */
#define RPC_UUID_LEN 16

struct rpc_msg {
    bool is_no_channel; /* a NoRpcChannelReply: reply is true, there is no object */
    bool reply;
    bool has_object;          /* false: the object is null */
    struct span uuid, rpc_id; /* borrowed from the input, or from `owned` when cut over block records */
    size_t object_at;         /* offset of the object in the input; its handles continue those before it */
    struct buf owned;
};

/* The object inside is not looked at in a message as Tomcat writes it: it may be anything, or cut off.
 * ERR_UNSUPPORTED: the root is of another class. On failure *out is untouched; *field (may be NULL) says
 * where. */
fallible rpc_msg_decode(struct span in, struct rpc_msg *out, const char **field);
void rpc_msg_fini(struct rpc_msg *m); /* only after a successful decode */

/* Append a request with a null message: every member that serves no such id answers it with a
 * NoRpcChannelReply. */
void rpc_request_encode(struct span uuid, struct span rpc_id, struct buf *out);

/* Append a NoRpcChannelReply byte for byte as Tomcat writes it. uuid and rpc_id: at most RPC_ID_MAX bytes
 * each. */
void rpc_no_channel_encode(struct span uuid, struct span rpc_id, struct buf *out);

#endif
