/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl expire ID: ends a session on every member, as a logout would.
 */
#include "verb.h"

#include "clusterd/util/mem.h"

static int run(struct ctl *c, const struct ctl_words *w)
{
    redisReply *r;
    char *context;
    int status = find_context(c, w, &context);

    if (status != CTL_OK)
        return status;
    status = client_ask(c, &r, 3, (const char *[]){"EXPIRE", context, w->id});
    if (status == CTL_OK) {
        freeReplyObject(r);
        if (c->json)
            field_write_json(c->out, json_pack("{s:b, s:s}", "expired", 1, "context", context));
        else
            fprintf(c->out, "expired in context %s\n", context);
    }
    mem_free(context);
    return status;
}

const struct verb verb_expire = {
    .name = "expire",
    .args = "ID",
    .doc = "End a session on all members",
    .more = "ID is the whole session id. The exit status is 1 when there is no such session.",
    .takes_id = true,
    .takes_context = true,
    .run = run,
};
