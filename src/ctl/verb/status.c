/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl status: how the node is, above all whether it holds every session of the cluster, and if not,
 * why. The exit status says it too, for scripts that restart one node after the other.
 */
#include "verb.h"

static const struct field fields[] = {{"name", FIELD_TEXT, "node", NULL},
                                      {"version", FIELD_TEXT, "version", NULL},
                                      {"complete", FIELD_BOOL, "complete", NULL},
                                      {"why", FIELD_TEXT, "why not", NULL},
                                      {"loading", FIELD_BOOL, "loading", NULL},
                                      {"uptime_s", FIELD_SECONDS, "up for", NULL},
                                      {"members", FIELD_INT, "other members", NULL},
                                      {"view", FIELD_INT, "view", NULL},
                                      {"sessions", FIELD_INT, "sessions", NULL},
                                      {"contexts", FIELD_INT, "contexts", NULL},
                                      {"tombstones", FIELD_INT, "tombstones", NULL},
                                      {"session_bytes", FIELD_BYTES, "session memory", NULL},
                                      {"max_bytes", FIELD_BYTES, "at most", NULL},
                                      {"full", FIELD_BOOL, "full", NULL},
                                      {"refused", FIELD_INT, "refused", NULL},
                                      {"send_options", FIELD_TEXT, "send options", NULL},
                                      {"min_acks", FIELD_INT, "minAcks", NULL},
                                      {"clients", FIELD_INT, "clients", NULL},
                                      {"blocked_clients", FIELD_INT, "of them waiting", NULL},
                                      {"queued_bytes", FIELD_BYTES, "queued to members", NULL},
                                      {"daemon", FIELD_MAP, "daemon", NULL},
                                      {"counters", FIELD_MAP, "counters", NULL},
                                      {0}};

static int run(struct ctl *c, const struct ctl_words *w)
{
    const char *word = "STATUS";
    redisReply *r;
    int status = client_ask(c, &r, 1, &word);

    (void)w;
    if (status != CTL_OK)
        return status;
    const redisReply *complete = field_is_map(r) ? field_find(r, "complete") : NULL;
    if (!complete || complete->type != REDIS_REPLY_INTEGER) {
        status = client_not_understood(c, word);
    } else {
        status = complete->integer ? CTL_OK : CTL_NO;
        if (c->json)
            field_write_json(c->out, field_map_json(r, fields));
        else
            field_print_map(c->out, r, fields);
    }
    freeReplyObject(r);
    return status;
}

const struct verb verb_status = {
    .name = "status",
    .args = "",
    .doc = "Show the state of the node: complete, or why not",
    .more = "The exit status is 0 when the node is complete, 1 when it is not. It is complete when it holds "
            "every "
            "session that the cluster holds, as far as it knows. Restart the next node only when this one is "
            "complete.",
    .run = run,
};
