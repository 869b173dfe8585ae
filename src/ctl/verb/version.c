/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl version: of this program and of the daemon that it talks to.
 */
#include "verb.h"

static int run(struct ctl *c, const struct ctl_words *w)
{
    const char *word = "VERSION";
    char text[64];
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    (void)w;
    if (status != CTL_OK)
        return status;
    if (r->type != REDIS_REPLY_STRING)
        status = client_not_understood(c, word);
    else if (c->json)
        field_write_json(c->out, json_pack("{s:s, s:s}", "clusterctl", CLUSTERD_VERSION, "clusterd",
                                           field_text(r, FIELD_TEXT, text, sizeof text)));
    else
        fprintf(c->out, "clusterctl %s\nclusterd %s\n", CLUSTERD_VERSION,
                field_text(r, FIELD_TEXT, text, sizeof text));
    freeReplyObject(r);
    return status;
}

const struct verb verb_version = {
    .name = "version",
    .args = "",
    .doc = "Show the versions of clusterctl and of the daemon",
    .run = run,
};
