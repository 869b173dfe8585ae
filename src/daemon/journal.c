/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's two datagram protocols; see journal.h. Any thread. A datagram is addressed to the path each time,
 * so that entries arrive again after the journal's socket was replaced. The manager's datagram may wait: a
 * READY=1 that is lost would have systemd end a daemon that works.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The length of the address, or 0: it is too long. "@name" is a name without a file. */
static socklen_t set_address(struct sockaddr_un *at, const char *path)
{
    size_t n = strlen(path);

    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n >= sizeof at->sun_path)
        return 0;
    memcpy(at->sun_path, path, n);
    if (*path == '@')
        at->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

int journal_open(const char *path)
{
    struct sockaddr_un at;
    socklen_t n = set_address(&at, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && n && connect(fd, (struct sockaddr *)&at, n) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool journal_send(int fd, const char *path, const char *entry, size_t n)
{
    struct sockaddr_un at;
    socklen_t at_n = set_address(&at, path);

    return sendto(fd, entry, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&at, at_n) == (ssize_t)n;
}

void journal_notify(const char *state, bool may_wait)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un at;

    if (!path || (*path != '/' && *path != '@'))
        return;
    socklen_t n = set_address(&at, path);
    int fd = n ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    int flags = MSG_NOSIGNAL | (may_wait ? 0 : MSG_DONTWAIT);

    while (sendto(fd, state, strlen(state), flags, (struct sockaddr *)&at, n) < 0 && errno == EINTR)
        ;
    close(fd);
}
