/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: binding, the care for unix socket files, accepting. Own thread of the listener's loop.
 * (Tomcat: NioReceiver, ReceiverBase.bind)
 */
#include "clusterd/util/log.h"
#include "real.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPT_SHARE    64 /* connections accepted in one turn */
#define ACCEPT_PAUSE_MS 100

static struct real_listener *of(struct listener *ls)
{
    return (struct real_listener *)ls;
}

static void take_connection(struct real_listener *rl, int fd, const struct sockaddr_storage *sa, socklen_t n)
{
    struct real_incoming *ri = MEM_NEW(struct real_incoming);
    struct sockaddr_storage local;
    socklen_t local_n = sizeof local;

    ri->in.ops = rl->ls.loop->ops;
    ri->fd = fd;
    real_addr_from(sa, n, &ri->in.peer);
    ri->in.local = rl->ls.addr;
    if (rl->ls.addr.family != ADDR_UNIX && getsockname(fd, (struct sockaddr *)&local, &local_n) == 0)
        real_addr_from(&local, local_n, &ri->in.local);
    rl->ls.fn(rl->ls.arg, &ri->in);
}

static void pause_accepting(struct real_listener *rl, int error)
{
    char at[ADDR_TEXT_MAX];

    if (!rl->starved)
        log_warn(
            "%s: cannot accept connections: %s; trying again every %d ms (is the limit of open files too "
            "low?)",
            addr_text(&rl->ls.addr, at), strerror(error), ACCEPT_PAUSE_MS);
    rl->starved = true;
    event_del(&rl->event);
    timer_start(&rl->pause, ACCEPT_PAUSE_MS);
}

static bool is_lack_of_resources(int e)
{
    return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct real_listener *rl = arg;

    (void)what;
    real_loop_begin((struct real_loop *)rl->ls.loop);
    listener_io_begin(&rl->ls);
    for (int i = 0; i < ACCEPT_SHARE && !rl->ls.closed; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int peer = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer >= 0) {
            rl->starved = false;
            take_connection(rl, peer, &sa, n);
        } else if (is_lack_of_resources(errno)) {
            pause_accepting(rl, errno);
            break;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    listener_io_end(&rl->ls);
}

static void on_pause_over(struct timer *t, void *arg)
{
    struct real_listener *rl = arg;

    (void)t;
    event_add(&rl->event, NULL);
}

/* --- unix socket files --- */

/* Does anybody answer at this path? A full backlog is an answer. */
static bool is_alive(const struct sockaddr_storage *sa, socklen_t n)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool dead;

    if (fd < 0)
        return true;
    dead = connect(fd, (const struct sockaddr *)sa, n) != 0 && errno == ECONNREFUSED;
    close(fd);
    return !dead;
}

/* bind() refused because the file exists: removes a dead socket; anything else is not ours to remove. */
static fallible remove_dead_socket(const char *path, const struct sockaddr_storage *sa, socklen_t n)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : ERR_IO;
    if (!S_ISSOCK(st.st_mode)) {
        log_error("unix:%s: a file that is not a socket is in the way; remove it or choose another path",
                  path);
        return ERR_EXISTS;
    }
    if (is_alive(sa, n))
        return ERR_EXISTS;
    log_info("unix:%s: removing the socket of a process that is gone", path);
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : ERR_IO;
}

static fallible bind_unix(struct real_listener *rl, const struct sockaddr_storage *sa, socklen_t n,
                          unsigned mode)
{
    const char *path = rl->ls.addr.path;
    struct stat st;

    /* The file is born with no more than these permissions; chmod() then undoes what the umask took away. */
    if (fchmod(rl->fd, mode & 0777) != 0)
        return ERR_IO;
    if (bind(rl->fd, (const struct sockaddr *)sa, n) != 0) {
        if (errno != EADDRINUSE)
            return ERR_IO;
        TRY(remove_dead_socket(path, sa, n));
        if (bind(rl->fd, (const struct sockaddr *)sa, n) != 0)
            return errno == EADDRINUSE ? ERR_EXISTS : ERR_IO;
    }
    if (chmod(path, mode & 0777) != 0 || lstat(path, &st) != 0)
        return ERR_IO;
    rl->dev = st.st_dev;
    rl->ino = st.st_ino;
    return ERR_OK;
}

static void remove_own_socket(const struct real_listener *rl)
{
    const char *path = rl->ls.addr.path;
    struct stat st;

    if (rl->ino && lstat(path, &st) == 0 && st.st_dev == rl->dev && st.st_ino == rl->ino)
        unlink(path);
}

/* --- opening and closing --- */

static fallible bind_port(struct real_listener *rl, const struct sockaddr_storage *sa, socklen_t n)
{
    int on = 1;

    setsockopt(rl->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(rl->fd, (const struct sockaddr *)sa, n) != 0)
        return errno == EADDRINUSE ? ERR_EXISTS : ERR_IO;
    return ERR_OK;
}

/* What to tell and to return when the system refused; errno says why. */
static enum err explain(const struct addr *at)
{
    char text[ADDR_TEXT_MAX];
    int e = errno;

    addr_text(at, text);
    if (e == EADDRINUSE)
        return ERR_EXISTS;
    if (e == ENOENT && at->family == ADDR_UNIX) {
        log_error("%s: cannot listen: the directory does not exist; make it first", text);
        return ERR_NOT_FOUND;
    }
    if (e == EADDRNOTAVAIL) {
        log_error("%s: cannot listen: no interface of this machine has this address", text);
        return ERR_NOT_FOUND;
    }
    log_error("%s: cannot listen: %s", text, strerror(e));
    return e == EACCES || e == EPERM ? ERR_DENIED : ERR_IO;
}

static fallible open_socket(struct real_listener *rl, const struct addr *at, unsigned mode)
{
    struct sockaddr_storage sa;
    socklen_t n = real_addr_to(at, &sa);

    rl->fd = socket(real_addr_family(at), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (rl->fd < 0)
        return ERR_IO;
    if (at->family == ADDR_UNIX)
        TRY(bind_unix(rl, &sa, n, mode));
    else
        TRY(bind_port(rl, &sa, n));
    if (listen(rl->fd, SOMAXCONN) != 0)
        return errno == EADDRINUSE ? ERR_EXISTS : ERR_IO;
    return ERR_OK;
}

enum err real_listener_listen(struct listener *ls, const struct addr *at, unsigned mode)
{
    struct real_listener *rl = of(ls);
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    enum err e = open_socket(rl, at, mode);

    if (e == ERR_IO)
        e = explain(at);
    if (e) {
        remove_own_socket(rl);
        if (rl->fd >= 0)
            close(rl->fd);
        return e;
    }
    if (at->family != ADDR_UNIX && getsockname(rl->fd, (struct sockaddr *)&sa, &n) == 0)
        real_addr_from(&sa, n, &ls->addr);
    timer_init(&rl->pause, ls->loop, on_pause_over, rl);
    ASSERT(event_assign(&rl->event, ((struct real_loop *)ls->loop)->base, rl->fd, EV_READ | EV_PERSIST,
                        on_event, rl) == 0);
    ASSERT(event_add(&rl->event, NULL) == 0);
    return ERR_OK;
}

void real_listener_unlisten(struct listener *ls)
{
    struct real_listener *rl = of(ls);

    timer_fini(&rl->pause);
    event_del(&rl->event);
    close(rl->fd);
    if (ls->addr.family == ADDR_UNIX)
        remove_own_socket(rl);
}

void real_listener_refuse(struct incoming *in)
{
    struct real_incoming *ri = (struct real_incoming *)in;

    close(ri->fd);
    mem_free(ri);
}
