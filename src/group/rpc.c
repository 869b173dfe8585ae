/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote calls; see rpc.h. Replies leave with option 8 and no other: no acknowledgement, as Tomcat sends
 * them. Any thread.
 */
#include "clusterd/group/rpc.h"

#include "clusterd/util/log.h"
#include "clusterd/wire/options.h"
#include "clusterd/wire/rpc.h"

static void answer(struct channel *c, const struct received *m, const struct rpc_msg *request)
{
    struct message reply = {.options = SEND_ASYNCHRONOUS};
    struct buf bytes = {0};

    rpc_no_channel_encode(request->uuid, request->rpc_id, &bytes);
    reply.payload = buf_span(&bytes);
    channel_stamp(c, m->loop, &reply);
    if (m->source)
        channel_send(c, &reply, &(struct targets){1, (struct member *[]){m->source}});
    else
        channel_send_stranger(c, &reply, m->source_rec);
    buf_fini(&bytes);
}

enum err rpc_on_message(struct channel *c, const struct received *m, const char **field)
{
    struct rpc_msg request;
    char id[64], name[MEMBER_NAME_MAX];

    TRY(rpc_msg_decode(m->payload, &request, field));
    if (!request.reply) {
        metric_inc(channel_metrics(c), rpc_unserved);
        log_debug("an RPC of %s for %s is not served here", member_name(m->source_rec, name),
                  log_printable(id, sizeof id, request.rpc_id));
        answer(c, m, &request);
    } else {
        metric_inc(channel_metrics(c), messages_swallowed);
    }
    rpc_msg_fini(&request);
    return ERR_OK;
}
