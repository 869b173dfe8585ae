/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real sockets where the peer is not a stream of ours: half-close, reset, full backlogs, unix socket files,
 * a process out of files.
 */
#include "clusterd/util/log.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* --- a raw client on a blocking socket, in the same thread --- */

struct raw {
    struct world w;
    struct server sv;
    struct peer peer;
    int fd;
};

static bool raw_accepted(void *arg)
{
    return ((struct raw *)arg)->sv.n == 1;
}

static int raw_connect(const struct addr *to)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(&sa.sin_addr, to->ip, 4);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void raw_init(struct raw *r, const struct stream_ops *ops)
{
    *r = (struct raw){0};
    world_init(&r->w, REAL);
    server_init(&r->sv, &r->w, &r->peer, 1);
    r->sv.ops = ops;
    r->fd = raw_connect(listener_addr(r->sv.ls));
    ck_assert(world_run(&r->w, raw_accepted, r, 2000));
}

static void raw_fini(struct raw *r)
{
    if (r->fd >= 0)
        close(r->fd);
    listener_close(r->sv.ls);
    world_fini(&r->w);
    ck_assert_uint_eq(r->peer.closes, 1);
    buf_fini(&r->peer.in);
}

static bool raw_closed(void *arg)
{
    return ((struct raw *)arg)->peer.closes;
}

static void raw_reset(int fd)
{
    struct linger hard = {.l_onoff = 1};

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

static void reply_after_end(struct peer *p)
{
    stream_write(p->s, SPAN_LIT("reply"));
    stream_close(p->s, 1000);
}

START_TEST(half_closed_client_gets_its_reply)
{
    struct raw r;
    char in[16];

    raw_init(&r, &peer_eof_ops);
    r.peer.on_eof = reply_after_end;
    ck_assert_int_eq(write(r.fd, "request", 7), 7);
    ck_assert_int_eq(shutdown(r.fd, SHUT_WR), 0);
    ck_assert(world_run(&r.w, raw_closed, &r, 2000));
    ck_assert(span_eq(buf_span(&r.peer.in), SPAN_LIT("request")));
    ck_assert_int_eq(read(r.fd, in, sizeof in), 5);
    ck_assert_int_eq(read(r.fd, in, sizeof in), 0);
    ck_assert_int_eq(r.peer.why, ERR_OK);
    raw_fini(&r);
}
END_TEST

/* Without on_eof what is queued still goes to a half-closed client. */
START_TEST(default_eof_sends_what_is_queued)
{
    struct raw r;
    size_t n = 8 * 1024 * 1024, got = 0;
    struct blob *b = blob_alloc(n);
    static char in[65536];
    ssize_t k;

    memset(b->p, 'x', n);
    raw_init(&r, NULL);
    stream_write_blob(r.peer.s, b);
    blob_unref(b);
    ck_assert_int_eq(shutdown(r.fd, SHUT_WR), 0);
    ck_assert_int_eq(fcntl(r.fd, F_SETFL, O_NONBLOCK), 0);
    for (unsigned i = 0; i < 3000 && got < n; i++) {
        world_run(&r.w, NULL, NULL, 1);
        while ((k = read(r.fd, in, sizeof in)) > 0)
            got += (size_t)k;
    }
    ck_assert_uint_eq(got, n);
    ck_assert(world_run(&r.w, raw_closed, &r, 2000));
    ck_assert_int_eq(r.peer.why, ERR_CLOSED);
    raw_fini(&r);
}
END_TEST

START_TEST(reset_of_an_idle_stream)
{
    struct raw r;

    raw_init(&r, NULL);
    world_run(&r.w, NULL, NULL, 10);
    raw_reset(r.fd);
    r.fd = -1;
    ck_assert(world_run(&r.w, raw_closed, &r, 1000));
    ck_assert_int_eq(r.peer.why, ERR_CLOSED);
    raw_fini(&r);
}
END_TEST

/* After the peer's end a reset is still noticed, without a write. */
START_TEST(reset_of_a_half_closed_stream)
{
    struct raw r;

    raw_init(&r, &peer_eof_ops);
    ck_assert_int_eq(shutdown(r.fd, SHUT_WR), 0);
    world_run(&r.w, NULL, NULL, 10);
    ck_assert_uint_eq(r.peer.eofs, 1);
    raw_reset(r.fd);
    r.fd = -1;
    ck_assert(world_run(&r.w, raw_closed, &r, 1000));
    ck_assert_int_eq(r.peer.why, ERR_CLOSED);
    raw_fini(&r);
}
END_TEST

/* A write that fails must not throw away what the peer said before it went. */
START_TEST(last_words_are_read_when_writing_fails)
{
    struct raw r;

    raw_init(&r, NULL);
    stream_write(r.peer.s, SPAN_LIT("unread by the peer"));
    stream_flush(r.peer.s);
    ck_assert_int_eq(write(r.fd, "last words", 10), 10);
    close(r.fd); /* a reset, as there is unread input */
    r.fd = -1;
    usleep(10000);
    stream_write(r.peer.s, SPAN_LIT("too late"));
    stream_flush(r.peer.s);
    ck_assert_uint_eq(r.peer.n_in, 0);
    ck_assert(world_run(&r.w, raw_closed, &r, 1000));
    ck_assert(span_eq(buf_span(&r.peer.in), SPAN_LIT("last words")));
    ck_assert_int_eq(r.peer.why, ERR_CLOSED);
    raw_fini(&r);
}
END_TEST

/* Closing with unread input must not turn into a reset that takes the reply away. */
START_TEST(close_with_unread_input_is_orderly)
{
    struct raw r;
    char in[16];

    raw_init(&r, NULL);
    stream_pause(r.peer.s);
    ck_assert_int_eq(write(r.fd, "not wanted", 10), 10);
    usleep(10000);
    stream_write(r.peer.s, SPAN_LIT("-ERR go"));
    stream_close(r.peer.s, 1000);
    ck_assert(world_run(&r.w, raw_closed, &r, 1000));
    ck_assert_int_eq(read(r.fd, in, sizeof in), 7);
    ck_assert_int_eq(read(r.fd, in, sizeof in), 0);
    raw_fini(&r);
}
END_TEST

static uint64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* A paused stream whose peer has ended, or has sent what nobody reads, must not spin. */
START_TEST(paused_streams_do_not_spin)
{
    struct raw r;
    uint64_t before;

    raw_init(&r, NULL);
    stream_pause(r.peer.s);
    ck_assert_int_eq(write(r.fd, "unread", 6), 6);
    ck_assert_int_eq(shutdown(r.fd, SHUT_WR), 0);
    world_run(&r.w, NULL, NULL, 20);
    before = cpu_us();
    world_run(&r.w, NULL, NULL, 300);
    ck_assert_uint_lt(cpu_us() - before, 200000);
    ck_assert_uint_eq(r.peer.closes, 0);
    stream_resume(r.peer.s);
    ck_assert(world_run(&r.w, raw_closed, &r, 1000));
    ck_assert(span_eq(buf_span(&r.peer.in), SPAN_LIT("unread")));
    raw_fini(&r);
}
END_TEST

START_TEST(no_delay_is_set)
{
    struct pair p;
    int fds = 0;

    pair_init(&p, REAL);
    for (int fd = 3; fd < 64; fd++) {
        int on = 0;
        socklen_t n = sizeof on;
        struct sockaddr_in sa;
        socklen_t sn = sizeof sa;
        if (getpeername(fd, (struct sockaddr *)&sa, &sn) != 0 || sa.sin_family != AF_INET)
            continue;
        ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
        ck_assert_int_ne(on, 0);
        ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        fds++;
    }
    ck_assert_int_eq(fds, 2);
    pair_fini(&p);
}
END_TEST

static bool closed_peer(void *arg)
{
    return ((struct peer *)arg)->closes;
}

/* A listener whose backlog is full answers nothing: the connection is given up after the timeout. */
START_TEST(connect_timeout)
{
    struct world w;
    struct peer p;
    struct addr to;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sa;
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[8];

    ck_assert_int_eq(bind(ls, (struct sockaddr *)&sa, n), 0);
    ck_assert_int_eq(listen(ls, 0), 0);
    ck_assert_int_eq(getsockname(ls, (struct sockaddr *)&sa, &n), 0);
    for (unsigned i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ck_assert(connect(fill[i], (struct sockaddr *)&sa, sizeof sa) == 0 || errno == EINPROGRESS);
    }
    world_init(&w, REAL);
    peer_init(&p);
    ck_assert_int_eq(addr_parse("127.0.0.1", ntohs(sa.sin_port), &to), ERR_OK);
    uint64_t began = loop_mono_ms(w.lb);
    p.s = stream_connect(w.lb, &to, NULL, 150, &peer_ops, &p);
    ck_assert(world_run(&w, closed_peer, &p, 3000));
    ck_assert_int_eq(p.why, ERR_TIMEOUT);
    ck_assert_uint_ge(p.closed_at_ms - began, 150);
    ck_assert_uint_lt(p.closed_at_ms - began, 1500);
    world_fini(&w);
    for (unsigned i = 0; i < 8; i++)
        close(fill[i]);
    close(ls);
}
END_TEST

START_TEST(connect_from_a_local_address)
{
    struct pair p = {0};
    struct addr from;

    world_init(&p.w, REAL);
    server_init(&p.sv, &p.w, &p.server, 1);
    peer_init(&p.client);
    ck_assert_int_eq(addr_parse("127.0.0.2", 0, &from), ERR_OK);
    p.client.s = stream_connect(p.w.lb, listener_addr(p.sv.ls), &from, 5000, &peer_ops, &p.client);
    ck_assert(world_run(&p.w, pair_is_open, &p, 2000));
    ck_assert(span_eq(addr_host(stream_peer(p.server.s)), addr_host(&from)));
    pair_fini(&p);
    /* An address that this machine does not have. */
    struct peer q;
    world_init(&p.w, REAL);
    peer_init(&q);
    ck_assert_int_eq(addr_parse("198.51.100.1", 0, &from), ERR_OK);
    struct addr to = world_addr(&p.w);
    to.port = 9;
    q.s = stream_connect(p.w.lb, &to, &from, 5000, &peer_ops, &q);
    ck_assert(world_run(&p.w, closed_peer, &q, 2000));
    ck_assert_int_eq(q.why, ERR_IO);
    world_fini(&p.w);
}
END_TEST

/* Linux connects a socket to itself when it draws its own destination as source port. */
START_TEST(no_connection_to_itself)
{
    struct world w;
    struct peer p;
    struct addr to;

    world_init(&w, REAL);
    struct server sv;
    struct peer none;
    server_init(&sv, &w, &none, 1);
    to = *listener_addr(sv.ls);
    listener_close(sv.ls);
    peer_init(&p);
    p.s = stream_connect(w.lb, &to, &to, 1000, &peer_ops, &p);
    ck_assert(world_run(&w, closed_peer, &p, 3000));
    ck_assert_int_eq(p.why, ERR_REFUSED);
    ck_assert_uint_eq(p.opens, 0);
    world_fini(&w);
}
END_TEST

/* --- unix sockets --- */

static char dir[64];

static struct addr socket_path(const char *name)
{
    struct addr a = {.family = ADDR_UNIX};

    if (!*dir) {
        strcpy(dir, "/tmp/clusterd-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
    }
    snprintf(a.path, sizeof a.path, "%s/%s", dir, name);
    return a;
}

static void remove_dir(void)
{
    rmdir(dir);
    *dir = 0;
}

static bool exists(const struct addr *a)
{
    struct stat st;

    return lstat(a->path, &st) == 0;
}

START_TEST(unix_socket)
{
    struct pair p = {0};
    struct addr at = socket_path("s");
    struct stat st;
    mode_t before = umask(0);

    world_init(&p.w, REAL);
    p.sv = (struct server){.loop = p.w.la, .peers = &p.server, .max = 1};
    peer_init(&p.server);
    peer_init(&p.client);
    p.server.echo = true;
    ck_assert_int_eq(listener_open(p.w.la, &at, 0, server_accept, &p.sv, &p.sv.ls), ERR_OK);
    ck_assert_int_eq(stat(at.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0660);
    client_connect(&p.w, &p.sv, &p.client);
    ck_assert(world_run(&p.w, pair_is_open, &p, 2000));
    stream_write(p.client.s, SPAN_LIT("over unix"));
    world_run(&p.w, NULL, NULL, 20);
    ck_assert(span_eq(buf_span(&p.client.in), SPAN_LIT("over unix")));
    ck_assert_int_eq(stream_peer(p.client.s)->family, ADDR_UNIX);
    ck_assert(addr_eq(stream_local(p.server.s), &at));
    /* It is in use. */
    struct listener *second;
    ck_assert_int_eq(listener_open(p.w.la, &at, 0, server_accept, &p.sv, &second), ERR_EXISTS);
    ck_assert(exists(&at));
    pair_fini(&p);
    ck_assert(!exists(&at));
    umask(before);
    remove_dir();
}
END_TEST

static void make_stale(const struct addr *at)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(sa.sun_path, at->path, sizeof sa.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
    ck_assert(exists(at));
}

START_TEST(stale_unix_socket_is_replaced)
{
    struct world w;
    struct server sv = {0};
    struct addr at = socket_path("stale");
    struct stat st;
    mode_t before = umask(077);

    make_stale(&at);
    world_init(&w, REAL);
    ck_assert_int_eq(listener_open(w.la, &at, 0666, server_accept, &sv, &sv.ls), ERR_OK);
    ck_assert_int_eq(stat(at.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0666);
    /* A file that somebody else has put there meanwhile is not removed. */
    ck_assert_int_eq(unlink(at.path), 0);
    make_stale(&at);
    listener_close(sv.ls);
    ck_assert(exists(&at));
    unlink(at.path);
    world_fini(&w);
    umask(before);
    remove_dir();
}
END_TEST

struct log_lines {
    unsigned n;
    char last[LOG_LINE_MAX];
};

static void take_line(void *arg, enum log_level level, const char *line)
{
    struct log_lines *l = arg;

    (void)level;
    l->n++;
    snprintf(l->last, sizeof l->last, "%s", line);
}

START_TEST(unix_socket_refused)
{
    struct world w;
    struct listener *ls = NULL;
    struct addr at = socket_path("file");
    struct log_lines log = {0};
    int fd = open(at.path, O_CREAT | O_WRONLY, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
    log_set_sink(take_line, &log);
    world_init(&w, REAL);
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, NULL, &ls), ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(log.last, "not a socket"));
    ck_assert(exists(&at));
    unlink(at.path);
    at = socket_path("nosuch/dir/s");
    ck_assert_int_eq(listener_open(w.la, &at, 0, server_accept, NULL, &ls), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(log.last, "directory does not exist"));
    ck_assert_ptr_null(ls);
    struct peer p;
    peer_init(&p);
    p.s = stream_connect(w.lb, &at, NULL, 1000, &peer_ops, &p);
    ck_assert(world_run(&w, closed_peer, &p, 1000));
    ck_assert_int_eq(p.why, ERR_REFUSED);
    world_fini(&w);
    log_set_sink(NULL, NULL);
    remove_dir();
}
END_TEST

/* --- out of files --- */

static bool accepted_two(void *arg)
{
    return ((struct server *)arg)->n == 2;
}

START_TEST(out_of_files)
{
    struct world w;
    struct server sv;
    struct peer peers[2];
    struct log_lines log = {0};
    struct rlimit before, low;
    int a, b;

    world_init(&w, REAL);
    server_init(&sv, &w, peers, 2);
    a = raw_connect(listener_addr(sv.ls));
    b = raw_connect(listener_addr(sv.ls));
    log_set_sink(take_line, &log);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)(b > a ? b : a) + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint64_t cpu = cpu_us();
    world_run(&w, NULL, NULL, 350);
    ck_assert_uint_eq(sv.n, 0);
    ck_assert_uint_eq(log.n, 1);
    ck_assert_ptr_nonnull(strstr(log.last, "Too many open files"));
    ck_assert_uint_lt(cpu_us() - cpu, 200000);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert(world_run(&w, accepted_two, &sv, 1000));
    ck_assert_uint_eq(log.n, 1);
    log_set_sink(NULL, NULL);
    close(a);
    close(b);
    listener_close(sv.ls);
    world_fini(&w);
    buf_fini(&peers[0].in);
    buf_fini(&peers[1].in);
}
END_TEST

/* --- wake-ups --- */

/* A loop with nothing to do sleeps: no polling. */
START_TEST(idle_loops_sleep)
{
    struct host *h = host_new_real(4);
    uint64_t before = cpu_us();

    usleep(300000);
    ck_assert_uint_lt(cpu_us() - before, 50000);
    host_free(h);
}
END_TEST

CLUSTERD_SUITE(socket, &last_words_are_read_when_writing_fails, &close_with_unread_input_is_orderly,
               &half_closed_client_gets_its_reply, &default_eof_sends_what_is_queued,
               &reset_of_an_idle_stream, &reset_of_a_half_closed_stream, &paused_streams_do_not_spin,
               &no_delay_is_set, &connect_timeout, &connect_from_a_local_address, &no_connection_to_itself,
               &unix_socket, &stale_unix_socket_is_replaced, &unix_socket_refused, &out_of_files,
               &idle_loops_sleep)
