/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of streams. While a stream reads, its event is level-triggered. While it is paused or its peer has
 * ended, it listens edge-triggered for the death of the connection alone: libevent reports an EPOLLERR as
 * "readable and writable", so a level-triggered event for EV_CLOSED only would spin on a reset connection.
 * Own thread of the stream's loop.
 */
#include "real.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEND_IOVECS   64
#define SEND_SHARE    (1024 * 1024) /* bytes that one stream sends in a turn before others get theirs */
#define DISCARD_SHARE (256 * 1024)

static struct real_stream *of(struct stream *s)
{
    return (struct real_stream *)s;
}

static struct real_loop *loop_of(struct stream *s)
{
    return (struct real_loop *)s->loop;
}

static enum err error_of(int e)
{
    switch (e) {
    case ECONNREFUSED:
    case ENOENT: /* a unix socket that nobody made */
        return ERR_REFUSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

static int socket_error(int fd)
{
    int e = 0;
    socklen_t n = sizeof e;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) ? errno : e;
}

static void set_no_delay(struct stream *s)
{
    int on = 1;

    if (s->peer.family != ADDR_UNIX)
        setsockopt(of(s)->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A connect to an unused port of this machine may be given the same port as its source, and TCP then
 * connects the socket to itself. Nobody listens there: that is a refusal. */
static bool is_connected_to_itself(const struct stream *s)
{
    return s->peer.family != ADDR_UNIX && addr_eq(&s->peer, &s->local);
}

static void connect_done(struct stream *s)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    int e = socket_error(of(s)->fd);

    if (e == 0 && getsockname(of(s)->fd, (struct sockaddr *)&sa, &n) == 0 && s->peer.family != ADDR_UNIX)
        real_addr_from(&sa, n, &s->local);
    if (e)
        stream_io_failed(s, error_of(e) == ERR_CLOSED ? ERR_REFUSED : error_of(e));
    else if (is_connected_to_itself(s))
        stream_io_failed(s, ERR_REFUSED);
    else
        stream_io_opened(s);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    real_loop_begin(loop_of(s));
    if (s->state == STREAM_CONNECTING) {
        connect_done(s);
        return;
    }
    if (what & EV_WRITE)
        stream_io_writable(s);
    if (stream_wants_read(s)) {
        if (what & (EV_READ | EV_CLOSED))
            stream_io_readable(s);
    } else if (s->state == STREAM_OPEN) {
        int e = socket_error(fd);
        if (e)
            stream_io_failed(s, error_of(e));
    }
}

static short wanted_mask(const struct stream *s)
{
    switch (s->state) {
    case STREAM_CONNECTING:
        return EV_WRITE;
    case STREAM_OPEN:
        if (stream_wants_read(s))
            return (short)(EV_READ | (s->blocked ? EV_WRITE : 0));
        return EV_READ | EV_WRITE | EV_CLOSED | EV_ET;
    case STREAM_CLOSING:
        return s->blocked ? EV_WRITE : 0;
    case STREAM_ENDED:
        break;
    }
    return 0;
}

void real_stream_interest(struct stream *s)
{
    struct real_stream *rs = of(s);
    short mask = wanted_mask(s);

    if (mask == rs->mask)
        return;
    if (rs->mask)
        event_del(&rs->event);
    rs->mask = mask;
    if (!mask)
        return;
    ASSERT(event_assign(&rs->event, loop_of(s)->base, rs->fd, (short)(mask | EV_PERSIST), on_event, s) == 0);
    if (event_add(&rs->event, NULL) != 0) {
        rs->mask = 0;
        stream_io_failed(s, ERR_IO);
    }
}

enum err real_stream_connect(struct stream *s, const struct addr *from)
{
    struct sockaddr_storage sa;
    socklen_t n;
    int fd = socket(real_addr_family(&s->peer), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    of(s)->fd = fd;
    if (fd < 0)
        return ERR_IO;
    set_no_delay(s);
    if (from && from->family != ADDR_NONE) {
        n = real_addr_to(from, &sa);
        /* The port is chosen at connect time, so that many connections from one address do not use it up. */
        if (from->port == 0)
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&sa, n) != 0)
            return ERR_IO;
    }
    n = real_addr_to(&s->peer, &sa);
    if (connect(fd, (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS)
        return errno == EAGAIN ? ERR_REFUSED : error_of(errno); /* EAGAIN: a unix socket's backlog is full */
    real_stream_interest(s);
    return ERR_OK;
}

void real_stream_adopt(struct stream *s, struct incoming *in)
{
    struct real_incoming *ri = (struct real_incoming *)in;

    of(s)->fd = ri->fd;
    set_no_delay(s);
    mem_free(ri);
}

enum io real_stream_read(struct stream *s, uint8_t *to, size_t cap, size_t *n, enum err *why)
{
    ssize_t got;

    do
        got = recv(of(s)->fd, to, cap, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return IO_DONE;
    }
    if (got == 0)
        return IO_EOF;
    if (errno == EAGAIN)
        return IO_BLOCKED;
    *why = error_of(errno);
    return IO_FAILED;
}

/* Sends what a vector of the queue's chunks holds. *want = its bytes. */
static ssize_t send_chunks(struct stream *s, size_t *want)
{
    struct evbuffer_iovec v[SEND_IOVECS];
    int n = evbuffer_peek(s->out, SEND_SHARE, NULL, v, SEND_IOVECS);
    struct msghdr msg = {.msg_iov = (struct iovec *)v};
    ssize_t sent;

    msg.msg_iovlen = (size_t)(n < SEND_IOVECS ? n : SEND_IOVECS);
    *want = 0;
    for (size_t i = 0; i < msg.msg_iovlen; i++)
        *want += v[i].iov_len;
    do /* one chunk, as most replies are, costs the system less without a vector */
        sent = n == 1 ? send(of(s)->fd, v[0].iov_base, v[0].iov_len, MSG_NOSIGNAL)
                      : sendmsg(of(s)->fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

enum io real_stream_send(struct stream *s, enum err *why)
{
    size_t want, done = 0;

    while (evbuffer_get_length(s->out) > 0) {
        ssize_t sent = send_chunks(s, &want);
        if (sent < 0 && errno == EAGAIN)
            return IO_BLOCKED;
        if (sent < 0) {
            *why = error_of(errno);
            return IO_FAILED;
        }
        evbuffer_drain(s->out, (size_t)sent);
        done += (size_t)sent;
        if ((size_t)sent < want)
            return IO_BLOCKED;
        if (done >= SEND_SHARE && evbuffer_get_length(s->out) > 0)
            return IO_MORE;
    }
    return IO_DONE;
}

/* Unread input would make close() a reset, which may take the last bytes sent away from the peer. */
static void discard_input(int fd)
{
    static _Thread_local uint8_t waste[4096];
    size_t done = 0;
    ssize_t n;

    while (done < DISCARD_SHARE && (n = recv(fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
        done += (size_t)n;
}

void real_stream_shut(struct stream *s, bool reset)
{
    struct real_stream *rs = of(s);
    struct linger hard = {.l_onoff = 1};

    if (rs->mask)
        event_del(&rs->event);
    rs->mask = 0;
    if (rs->fd < 0)
        return;
    if (reset && s->peer.family != ADDR_UNIX)
        setsockopt(rs->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    else if (!reset)
        discard_input(rs->fd);
    close(rs->fd);
    rs->fd = -1;
}
