/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the control socket; see client.h. A time-out bounds each wait, so that a daemon that
 * hangs cannot hang a script.
 */
#include "client.h"

#include "clusterd/util/err.h"

#include <errno.h>
#include <string.h>

static int unreachable(struct ctl *c, int error)
{
    fprintf(c->err, "clusterctl: cannot reach clusterd at %s: %s\n", c->socket, strerror(error));
    if (error == ENOENT)
        fprintf(c->err,
                "  Does clusterd run? Its control socket is where \"control: socket:\" of its configuration "
                "says; name another one with --socket PATH.\n");
    else if (error == ECONNREFUSED)
        fprintf(
            c->err,
            "  The socket is there, but nobody listens: clusterd has ended (systemctl status clusterd).\n");
    else if (error == EACCES || error == EPERM)
        fprintf(c->err, "  Only root and members of the socket's group may use it (group clusterd).\n");
    return CTL_UNREACHABLE;
}

static int open_connection(struct ctl *c)
{
    struct timeval limit = {.tv_sec = c->timeout_s};

    if (c->connection)
        return CTL_OK;
    errno = 0;
    c->connection = redisConnectUnixWithTimeout(c->socket, limit);
    if (!c->connection || c->connection->err) {
        int error = errno ? errno : ECONNREFUSED;
        client_close(c);
        return unreachable(c, error);
    }
    if (redisSetTimeout(c->connection, limit) != REDIS_OK)
        return unreachable(c, errno);
    return CTL_OK;
}

void client_close(struct ctl *c)
{
    if (c->connection)
        redisFree(c->connection);
    c->connection = NULL;
}

static int lost(struct ctl *c)
{
    bool late = c->connection->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);

    if (late)
        fprintf(c->err, "clusterctl: no answer within %ld s (--timeout)\n", c->timeout_s);
    else
        fprintf(c->err, "clusterctl: the connection to clusterd was lost: %s\n", c->connection->errstr);
    client_close(c);
    return CTL_UNREACHABLE;
}

static bool says_not_there(const redisReply *r)
{
    return strcmp(r->str, "ERR no such session") == 0 || strcmp(r->str, "ERR no such context") == 0;
}

static int ask(struct ctl *c, redisReply **reply, size_t n, const char *const *words, bool quiet)
{
    const char *argv[16] = {"CLUSTERD"};
    int status = open_connection(c);

    if (status != CTL_OK)
        return status;
    ASSERT(n < sizeof argv / sizeof *argv);
    memcpy(argv + 1, words, n * sizeof *words);
    redisReply *r = redisCommandArgv(c->connection, (int)n + 1, argv, NULL);
    if (!r)
        return lost(c);
    if (r->type != REDIS_REPLY_ERROR) {
        *reply = r;
        return CTL_OK;
    }
    bool not_there = says_not_there(r);
    if (!not_there || !quiet)
        fprintf(c->err, "clusterctl: %s\n", strncmp(r->str, "ERR ", 4) == 0 ? r->str + 4 : r->str);
    freeReplyObject(r);
    return not_there ? CTL_NO : CTL_FAILED;
}

int client_ask(struct ctl *c, redisReply **reply, size_t n, const char *const *words)
{
    return ask(c, reply, n, words, false);
}

int client_look(struct ctl *c, redisReply **reply, size_t n, const char *const *words)
{
    return ask(c, reply, n, words, true);
}

int client_wait_closed(struct ctl *c)
{
    void *r = NULL;

    if (redisGetReply(c->connection, &r) == REDIS_OK) {
        freeReplyObject(r);
        return client_not_understood(c, "leave");
    }
    if (c->connection->err == REDIS_ERR_EOF || (c->connection->err == REDIS_ERR_IO && errno == ECONNRESET)) {
        client_close(c);
        return CTL_OK;
    }
    return lost(c);
}

int client_not_understood(struct ctl *c, const char *what)
{
    fprintf(c->err,
            "clusterctl: the answer to %s is not understood; are clusterctl and clusterd of one version?\n",
            what);
    return CTL_FAILED;
}
