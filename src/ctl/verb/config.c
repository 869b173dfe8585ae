/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl config: the configuration that is in effect, defaults included, as a file that clusterd would
 * read.
 */
#include "verb.h"

static int run(struct ctl *c, const struct ctl_words *w)
{
    const char *word = "CONFIG";
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    (void)w;
    if (status != CTL_OK)
        return status;
    if (r->type != REDIS_REPLY_STRING)
        status = client_not_understood(c, word);
    else if (c->json)
        field_write_json(c->out, json_pack("{s:s%}", "yaml", r->str, (size_t)r->len));
    else
        fwrite(r->str, 1, (size_t)r->len, c->out);
    freeReplyObject(r);
    return status;
}

const struct verb verb_config = {
    .name = "config",
    .args = "",
    .doc = "Show the configuration that is in effect",
    .more = "Passwords are shown as stars. With --json the text is in one field, yaml.",
    .run = run,
};
