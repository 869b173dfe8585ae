/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote calls over the channel (Tomcat: RpcChannel). This node serves none, and says so: a caller that gets
 * no NoRpcChannelReply waits for its whole time-out, at each ping, start and stop of a replicated map.
 */
#ifndef CLUSTERD_GROUP_RPC_H
#define CLUSTERD_GROUP_RPC_H

#include "clusterd/channel/channel.h"

/* A message whose root object is an RpcMessage or a NoRpcChannelReply. Requests are answered, to the address
 * in their source record whether or not it is in the view; replies are nobody's and ignored. Thread of the
 * message. ERR_BAD and others: it cannot be decoded, *field (may be NULL) says where. */
fallible rpc_on_message(struct channel *c, const struct received *m, const char **field);

#endif
