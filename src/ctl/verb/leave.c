/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl leave: the node takes its leave of the cluster, sends what is queued, and its process ends.
 * Returns when it has, so that a script may go on with the next node.
 */
#include "verb.h"

static int run(struct ctl *c, const struct ctl_words *w)
{
    const char *word = "LEAVE";
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    (void)w;
    if (status != CTL_OK)
        return status;
    freeReplyObject(r);
    status = client_wait_closed(c);
    if (status != CTL_OK)
        return status;
    if (c->json)
        field_write_json(c->out, json_pack("{s:b}", "left", 1));
    else
        fprintf(c->out, "the node has left the cluster\n");
    return CTL_OK;
}

const struct verb verb_leave = {
    .name = "leave",
    .args = "",
    .doc = "Make the node leave the cluster and end",
    .more = "The other members keep the sessions. Under systemd the unit stays stopped, because the process "
            "ends with "
            "status 0.",
    .run = run,
};
