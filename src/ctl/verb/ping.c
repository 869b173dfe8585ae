/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl ping: does the daemon answer? Only the exit status and one word.
 */
#include "verb.h"

static int run(struct ctl *c, const struct ctl_words *w)
{
    const char *word = "PING";
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    (void)w;
    if (status != CTL_OK)
        return status;
    if (r->type != REDIS_REPLY_STATUS)
        status = client_not_understood(c, word);
    else if (c->json)
        field_write_json(c->out, json_pack("{s:s}", "ping", r->str));
    else
        fprintf(c->out, "%s\n", r->str);
    freeReplyObject(r);
    return status;
}

const struct verb verb_ping = {
    .name = "ping",
    .args = "",
    .doc = "Ask whether the daemon answers",
    .run = run,
};
