/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl session ID: one session with each of its entries, who wrote it last and when. Values only with
 * --reveal.
 */
#include "verb.h"

#include "clusterd/util/mem.h"

static const struct field entries[] = {
    {"type", FIELD_TEXT, "TYPE", NULL},     {"name", FIELD_TEXT, "NAME", NULL},
    {"class", FIELD_TEXT, "CLASS", NULL},   {"size", FIELD_BYTES, "SIZE", NULL},
    {"writer", FIELD_TEXT, "WRITER", NULL}, {"written_ms", FIELD_TIME, "WRITTEN", NULL},
    {"value", FIELD_TEXT, NULL, NULL},      {0}};
static const struct field revealed_entries[] = {
    {"type", FIELD_TEXT, "TYPE", NULL},     {"name", FIELD_TEXT, "NAME", NULL},
    {"class", FIELD_TEXT, "CLASS", NULL},   {"size", FIELD_BYTES, "SIZE", NULL},
    {"writer", FIELD_TEXT, "WRITER", NULL}, {"written_ms", FIELD_TIME, "WRITTEN", NULL},
    {"value", FIELD_TEXT, "VALUE", NULL},   {0}};

#define SESSION_FIELDS(entry_fields)                                                                    \
    {                                                                                                   \
        {"context", FIELD_TEXT, "context", NULL}, {"id", FIELD_TEXT, "id", NULL},                       \
            {"renamed_from", FIELD_TEXT, "renamed from", NULL}, {"kind", FIELD_TEXT, "kind", NULL},     \
            {"attributes", FIELD_INT, "attributes", NULL}, {"bytes", FIELD_BYTES, "size", NULL},        \
            {"created_ms", FIELD_TIME, "created", NULL}, {"idle_ms", FIELD_DURATION, "idle for", NULL}, \
            {"ttl_ms", FIELD_DURATION, "ends in", NULL},                                                \
            {"max_inactive_s", FIELD_SECONDS, "max. inactive", NULL},                                   \
            {"principal", FIELD_TEXT, "user", NULL}, {"auth_type", FIELD_TEXT, "auth type", NULL},      \
            {"writer", FIELD_TEXT, "last writer", NULL}, {"written_ms", FIELD_TIME, "written", NULL},   \
            {"entries", FIELD_ROWS, "entries", (entry_fields)},                                         \
        {                                                                                               \
            0                                                                                           \
        }                                                                                               \
    }

static const struct field fields[] = SESSION_FIELDS(entries);
static const struct field revealed_fields[] = SESSION_FIELDS(revealed_entries);

static int run(struct ctl *c, const struct ctl_words *w)
{
    redisReply *r;
    char *context;
    int status = find_context(c, w, &context);

    if (status != CTL_OK)
        return status;
    const char *words[] = {"SESSION", context, w->id, "REVEAL"};
    status = client_ask(c, &r, w->reveal ? 4 : 3, words);
    mem_free(context);
    if (status != CTL_OK)
        return status;
    const struct field *shown = w->reveal ? revealed_fields : fields;
    if (!field_is_map(r))
        status = client_not_understood(c, "SESSION");
    else if (c->json)
        field_write_json(c->out, field_map_json(r, shown));
    else
        field_print_map(c->out, r, shown);
    freeReplyObject(r);
    return status;
}

const struct verb verb_session = {
    .name = "session",
    .args = "ID",
    .doc = "Show one session and its attributes",
    .more = "Of each attribute: type, size, who wrote it last, and when. ID is the whole session id. The "
            "exit status is 1 when there is no such session.",
    .takes_id = true,
    .takes_context = true,
    .takes_reveal = true,
    .run = run,
};
