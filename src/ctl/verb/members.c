/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl members: who is in the cluster, as the node that is asked sees it; itself comes first. JSON: an
 * array with one object a member.
 */
#include "verb.h"

static const struct field fields[] = {{"name", FIELD_TEXT, "NAME", NULL},
                                      {"state", FIELD_TEXT, "STATE", NULL},
                                      {"kind", FIELD_TEXT, "KIND", NULL},
                                      {"complete", FIELD_BOOL, "COMPLETE", NULL},
                                      {"alive", FIELD_DURATION, "ALIVE", NULL},
                                      {"heard_ms", FIELD_DURATION, "HEARD", NULL},
                                      {"queued_messages", FIELD_INT, "QUEUED", NULL},
                                      {"queued_bytes", FIELD_BYTES, "BYTES", NULL},
                                      {"clock_offset_ms", FIELD_DURATION, "CLOCK", NULL},
                                      {"domain", FIELD_TEXT, "DOMAIN", NULL},
                                      {"id", FIELD_TEXT, "ID", NULL},
                                      {"host", FIELD_TEXT, NULL, NULL},
                                      {"port", FIELD_INT, NULL, NULL},
                                      {"suspect", FIELD_BOOL, NULL, NULL},
                                      {"lagging", FIELD_BOOL, NULL, NULL},
                                      {"clusterd_version", FIELD_INT, NULL, NULL},
                                      {0}};

static int run(struct ctl *c, const struct ctl_words *w)
{
    (void)w;
    return field_answer_rows(c, "MEMBERS", fields);
}

const struct verb verb_members = {
    .name = "members",
    .args = "",
    .doc = "List the members of the cluster",
    .more = "The node that is asked comes first. STATE is self, up, suspect (silent on multicast, but it "
            "answers TCP) or lagging (an "
            "acknowledgement did "
            "not come in time). HEARD is the time since the last heartbeat, QUEUED what waits to be sent to "
            "the member, "
            "CLOCK how far its clock is ahead of ours. COMPLETE is not known of a Tomcat.",
    .run = run,
};
