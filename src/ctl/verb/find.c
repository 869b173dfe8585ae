/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which context a session is in, for verbs that take a session id: people know the id from a cookie and
 * rarely the name of the context. Looks into each context unless one was named.
 */
#include "verb.h"

#include "clusterd/util/bytes.h"
#include "clusterd/util/mem.h"

/* Appends the name to `found` when this context has the session. */
static int look(struct ctl *c, const redisReply *name, const char *id, struct buf *found, size_t *n)
{
    redisReply *r;
    int status = client_look(c, &r, 3, (const char *[]){"SESSION", name->str, id});

    if (status == CTL_NO)
        return CTL_OK;
    if (status != CTL_OK)
        return status;
    freeReplyObject(r);
    wr_printf(found, "%s%s", *n ? ", " : "", name->str);
    ++*n;
    return CTL_OK;
}

static int look_everywhere(struct ctl *c, const redisReply *rows, const char *id, struct buf *found,
                           size_t *n)
{
    for (size_t i = 0; i < rows->elements; i++) {
        const redisReply *name = field_find(rows->element[i], "name");
        if (!name || name->type != REDIS_REPLY_STRING)
            return client_not_understood(c, "CONTEXTS");
        int status = look(c, name, id, found, n);
        if (status != CTL_OK)
            return status;
    }
    return CTL_OK;
}

int find_context(struct ctl *c, const struct ctl_words *w, char **context)
{
    const char *word = "CONTEXTS";
    struct buf found = {0};
    redisReply *r;
    size_t n = 0;

    if (w->context) {
        *context = mem_strdup(w->context);
        return CTL_OK;
    }
    int status = client_ask(c, &r, 1, &word);
    if (status != CTL_OK)
        return status;
    status = field_are_rows(r) ? look_everywhere(c, r, w->id, &found, &n) : client_not_understood(c, word);
    freeReplyObject(r);
    if (status == CTL_OK && n == 0) {
        fprintf(c->err, "clusterctl: no context has such a session\n");
        status = CTL_NO;
    } else if (status == CTL_OK && n > 1) {
        fprintf(c->err,
                "clusterctl: several contexts have a session of this id (%s): choose one with --context\n",
                buf_cstr(&found));
        status = CTL_USAGE;
    } else if (status == CTL_OK) {
        *context = mem_strdup(buf_cstr(&found));
    }
    buf_fini(&found);
    return status;
}
