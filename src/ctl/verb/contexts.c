/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl contexts: the named sets of sessions that the node keeps, configured or first seen on the wire.
 * JSON: an array with one object a context.
 */
#include "verb.h"

static const struct field fields[] = {{"name", FIELD_TEXT, "NAME", NULL},
                                      {"sessions", FIELD_INT, "SESSIONS", NULL},
                                      {"complete", FIELD_BOOL, "COMPLETE", NULL},
                                      {"configured", FIELD_BOOL, "CONFIGURED", NULL},
                                      {"seen_on_wire", FIELD_BOOL, "SEEN", NULL},
                                      {"internal", FIELD_BOOL, "INTERNAL", NULL},
                                      {"key_prefix", FIELD_TEXT, "PREFIX", NULL},
                                      {"database", FIELD_INT, "DB", NULL},
                                      {"max_active", FIELD_INT, NULL, NULL},
                                      {"max_inactive_s", FIELD_INT, NULL, NULL},
                                      {0}};

static int run(struct ctl *c, const struct ctl_words *w)
{
    (void)w;
    return field_answer_rows(c, "CONTEXTS", fields);
}

const struct verb verb_contexts = {
    .name = "contexts",
    .args = "",
    .doc = "List the contexts with their number of sessions",
    .more = "SEEN: a member has sent messages of this context. INTERNAL: keys of the front door that no "
            "prefix claims; "
            "never sent to a Tomcat. PREFIX, DB: the front-door keys that are sessions of the context.",
    .run = run,
};
