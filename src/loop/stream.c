/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of both kinds: buffering, flow control, life and death. The kind (real_stream.c, sim_stream.c)
 * moves bytes and reports readiness; every callback to the owner is made here, and only from the loop: from
 * an I/O report or from the settling at the end of a turn, never inside a call of a stream function. A stream
 * is freed in one place, finish(), which the settling calls; so a callback may do with its stream what it
 * likes. One loop, own thread.
 */
#include "loop_impl.h"

#include <event2/buffer.h>

#define READ_SHARE     (256 * 1024) /* bytes that one stream reads in a turn before others get theirs */
#define BIG_READ_MAX   (1024 * 1024)
#define LAST_READ_MAX  (16 * 1024 * 1024) /* more than the system keeps for a socket */
#define SHARE_BLOB_MIN 4096               /* smaller blobs are cheaper copied than referenced */
#define CHUNK_MIN      2048
#define EOF_LINGER_MS  5000 /* for what is queued when the peer ends its side and nobody asked to know */
#define INPUT_LIMIT    (1024 * 1024)

static size_t unconsumed(const struct stream *s)
{
    return s->in.n - s->in_off;
}

static void drop_input(struct stream *s)
{
    buf_fini(&s->in);
    s->in_off = 0;
}

static void drop_output(struct stream *s)
{
    if (s->out)
        evbuffer_drain(s->out, evbuffer_get_length(s->out));
    s->tail_shared = false;
}

static void mark_ready(struct stream *s)
{
    if (link_is_alone(&s->ready))
        link_push_back(&s->loop->ready, &s->ready);
    loop_attend(s->loop);
}

static void owe(struct stream *s, unsigned due)
{
    s->due |= due;
    mark_ready(s);
}

static void mark_dirty(struct stream *s)
{
    if (link_is_alone(&s->dirty))
        link_push_back(&s->loop->dirty, &s->dirty);
    loop_attend(s->loop);
}

/* The descriptor goes now, on_close comes when the loop settles. Input may be in use by on_input: it is freed
 * in finish(). */
static void end(struct stream *s, enum err why, bool reset)
{
    if (s->state == STREAM_ENDED)
        return;
    s->state = STREAM_ENDED;
    s->why = why;
    s->due = 0;
    timer_stop(&s->timer);
    link_remove(&s->dirty);
    s->loop->ops->shut(s, reset);
    drop_output(s);
    mark_ready(s);
}

void stream_forget(struct stream *s)
{
    ASSERT(!s->gathered); /* streams end in a turn after what was gathered is offered, or between turns */
    timer_fini(&s->timer);
    link_remove(&s->all);
    link_remove(&s->dirty);
    link_remove(&s->ready);
    drop_input(s);
    if (s->out)
        evbuffer_free(s->out);
    mem_free(s);
}

static void finish(struct stream *s)
{
    drop_input(s);
    s->ops->on_close(s, s->arg, s->why);
    stream_forget(s);
}

/* A connection that stays silent, or a closing one whose peer does not take the rest. */
static void on_timer(struct timer *t, void *arg)
{
    struct stream *s = arg;

    (void)t;
    if (s->state == STREAM_CONNECTING)
        end(s, ERR_TIMEOUT, true);
    else if (s->state == STREAM_CLOSING)
        end(s, s->why, true);
}

static struct stream *make(struct loop *l, const struct stream_ops *ops, void *arg)
{
    struct stream *s = mem_zalloc(l->ops->stream_size);

    ASSERT(loop_is_current(l));
    s->loop = l;
    s->ops = ops;
    s->arg = arg;
    s->in_limit = INPUT_LIMIT;
    link_init(&s->dirty);
    link_init(&s->ready);
    link_push_back(&l->streams, &s->all);
    timer_init(&s->timer, l, on_timer, s);
    s->last_read_ms = loop_mono_ms(l);
    return s;
}

struct stream *stream_connect(struct loop *l, const struct addr *to, const struct addr *from,
                              unsigned timeout_ms, const struct stream_ops *ops, void *arg)
{
    struct stream *s = make(l, ops, arg);

    s->peer = *to;
    if (from)
        s->local = *from;
    enum err e = l->ending ? ERR_CANCELLED : l->ops->connect(s, from);
    if (e)
        end(s, e, true);
    else
        timer_start(&s->timer, timeout_ms);
    return s;
}

struct stream *stream_adopt(struct loop *l, struct incoming *in, const struct stream_ops *ops, void *arg)
{
    struct stream *s = make(l, ops, arg);

    s->peer = in->peer;
    s->local = in->local;
    s->state = STREAM_OPEN;
    l->ops->adopt(s, in);
    if (l->ending)
        end(s, ERR_CANCELLED, true);
    else
        l->ops->interest(s);
    return s;
}

/* --- output --- */

static bool takes_output(const struct stream *s)
{
    return s->state == STREAM_CONNECTING || s->state == STREAM_OPEN;
}

static void queue_changed(struct stream *s)
{
    if (stream_queued(s) > s->low_mark)
        s->above_mark = true;
    if (s->state == STREAM_OPEN && !s->blocked)
        mark_dirty(s);
}

/* Behind a shared blob, evbuffer_add() would allocate as much as that blob is long; so the first copy there
 * gets its own chunk. */
static void copy_behind_shared(struct stream *s, struct span bytes)
{
    struct evbuffer_iovec v;

    ASSERT(evbuffer_reserve_space(s->out, bytes.n > CHUNK_MIN ? (ev_ssize_t)bytes.n : CHUNK_MIN, &v, 1) == 1);
    memcpy(v.iov_base, bytes.p, bytes.n);
    v.iov_len = bytes.n;
    ASSERT(evbuffer_commit_space(s->out, &v, 1) == 0);
    s->tail_shared = false;
}

static void need_out(struct stream *s)
{
    if (!s->out)
        s->out = evbuffer_new();
    ASSERT(s->out);
}

void stream_write(struct stream *s, struct span bytes)
{
    ASSERT(loop_is_current(s->loop));
    if (!takes_output(s) || bytes.n == 0)
        return;
    need_out(s);
    if (s->tail_shared)
        copy_behind_shared(s, bytes);
    else
        ASSERT(evbuffer_add(s->out, bytes.p, bytes.n) == 0);
    queue_changed(s);
}

static void release_blob(const void *data, size_t n, void *blob)
{
    (void)data;
    (void)n;
    blob_unref(blob);
}

void stream_write_blob(struct stream *s, struct blob *b)
{
    ASSERT(loop_is_current(s->loop));
    if (b->n < SHARE_BLOB_MIN) {
        stream_write(s, blob_span(b));
        return;
    }
    if (!takes_output(s))
        return;
    need_out(s);
    ASSERT(evbuffer_add_reference(s->out, b->p, b->n, release_blob, blob_ref(b)) == 0);
    s->tail_shared = true;
    queue_changed(s);
}

/* The peer is gone for writing. What it sent before may still be unread: read that first, unless the owner
 * has stopped reading. */
static void write_failed(struct stream *s, enum err why)
{
    if (s->state == STREAM_CLOSING) {
        end(s, s->why, true);
    } else if (stream_wants_read(s)) {
        drop_output(s);
        s->why = why;
        owe(s, DUE_LAST_READ);
    } else {
        end(s, why, true);
    }
}

static void after_send(struct stream *s, enum io io)
{
    struct loop *l = s->loop;
    size_t left = stream_queued(s);

    if (left == 0)
        s->tail_shared = false;
    if (s->state == STREAM_CLOSING) {
        if (left == 0)
            end(s, s->why, false);
        else if (!s->timer.active)
            timer_start(&s->timer, s->linger_ms);
    } else if (s->above_mark && left <= s->low_mark) {
        s->above_mark = false;
        if (s->ops->on_drain)
            owe(s, DUE_DRAIN);
    }
    if (s->state != STREAM_ENDED && s->blocked != (io == IO_BLOCKED)) {
        s->blocked = io == IO_BLOCKED;
        l->ops->interest(s);
    }
}

static enum io send_queued(struct stream *s)
{
    enum err why = ERR_IO;
    enum io io = IO_DONE;

    if (s->state == STREAM_CONNECTING || s->state == STREAM_ENDED || (s->due & DUE_LAST_READ))
        return IO_DONE;
    if (stream_queued(s) > 0)
        io = s->loop->ops->send(s, &why);
    if (io == IO_FAILED)
        write_failed(s, why);
    else
        after_send(s, io);
    return io;
}

void stream_settle_output(struct stream *s)
{
    if (s->state == STREAM_CLOSING)
        drop_input(s);
    else if (s->blocked)
        return;
    if (send_queued(s) == IO_MORE && s->state != STREAM_ENDED && link_is_alone(&s->dirty))
        link_push_back(&s->loop->later, &s->dirty);
}

void stream_flush(struct stream *s)
{
    ASSERT(loop_is_current(s->loop));
    if (s->state == STREAM_OPEN && !s->blocked)
        send_queued(s);
}

size_t stream_queued(const struct stream *s)
{
    return s->out ? evbuffer_get_length(s->out) : 0;
}

void stream_set_low_mark(struct stream *s, size_t bytes)
{
    s->low_mark = bytes;
}

/* --- input --- */

void stream_set_input_limit(struct stream *s, size_t max_bytes)
{
    s->in_limit = max_bytes;
}

void stream_want(struct stream *s, size_t total)
{
    s->in_want = total;
}

/* Offers `in`, which is all that is unconsumed; returns how much of it was consumed. */
static size_t offer(struct stream *s, struct span in)
{
    s->in_want = 0;
    s->due &= ~(unsigned)DUE_INPUT;
    size_t n = s->ops->on_input(s, s->arg, in);
    ASSERT(n <= in.n);
    return n;
}

/* After an offer or a read that was not offered. A paused stream reads no more, so what it holds beyond the
 * limit is one read ahead at most. */
static void check_limit(struct stream *s)
{
    if (s->state != STREAM_OPEN)
        drop_input(s);
    else if (unconsumed(s) > s->in_limit && !s->paused)
        end(s, ERR_TOO_BIG, false);
}

static void offer_kept(struct stream *s)
{
    s->in_off += offer(s, span_of(s->in.p + s->in_off, unconsumed(s)));
    if (unconsumed(s) == 0)
        drop_input(s);
    check_limit(s);
}

/* Little is unconsumed: read behind a copy of it in the loop's scratch memory. */
static enum io read_scratch(struct stream *s, size_t *n, enum err *why)
{
    size_t kept = unconsumed(s);
    uint8_t *scratch = s->loop->scratch;
    enum io io = s->loop->ops->read(s, scratch + kept, SCRATCH_READ, n, why);

    if (io != IO_DONE)
        return io;
    if (kept + *n < s->in_want) {
        wr_bytes(&s->in, scratch + kept, *n);
        check_limit(s);
        return IO_DONE;
    }
    if (kept)
        memcpy(scratch, s->in.p + s->in_off, kept);
    drop_input(s);
    stream_offer_read(s, span_of(scratch, kept + *n));
    return IO_DONE;
}

/* Much is unconsumed (a large frame): read straight behind it. Memory grows with what has arrived, not with
 * what the peer has announced. */
static enum io read_kept(struct stream *s, size_t *n, enum err *why)
{
    size_t kept = unconsumed(s), room = SCRATCH_READ;

    if (s->in_off) {
        buf_consume(&s->in, s->in_off);
        s->in_off = 0;
    }
    if (s->in_want > kept + room)
        room = s->in_want - kept;
    if (room > BIG_READ_MAX)
        room = BIG_READ_MAX;
    buf_reserve(&s->in, room);
    enum io io = s->loop->ops->read(s, s->in.p + s->in.n, room, n, why);
    if (io != IO_DONE)
        return io;
    s->in.n += *n;
    if (unconsumed(s) >= s->in_want)
        offer_kept(s);
    else
        check_limit(s);
    return IO_DONE;
}

/* The peer has ended its side. A rest that was held back by stream_want() is offered all the same. */
static void got_eof(struct stream *s)
{
    s->eof = true;
    s->loop->ops->interest(s);
    if (unconsumed(s) > 0 && unconsumed(s) < s->in_want)
        owe(s, DUE_INPUT);
    owe(s, DUE_EOF);
}

bool stream_has_read(struct stream *s, enum io io, enum err why)
{
    if (io == IO_DONE)
        s->last_read_ms = loop_mono_ms(s->loop);
    else if (io == IO_EOF)
        got_eof(s);
    else if (io == IO_FAILED)
        end(s, why, true);
    return io == IO_DONE;
}

void stream_offer_read(struct stream *s, struct span in)
{
    size_t used = 0;

    if (s->state != STREAM_OPEN)
        return;
    if (!s->paused && in.n >= s->in_want)
        used = offer(s, in);
    if (s->state == STREAM_OPEN)
        wr_bytes(&s->in, in.p + used, in.n - used);
    check_limit(s);
}

/* Reads up to `share` bytes; ends early when the kind has no more. */
static void read_up_to(struct stream *s, size_t share)
{
    while (stream_wants_read(s) && share > 0) {
        size_t n = 0;
        enum err why = ERR_IO;
        bool small = unconsumed(s) <= SCRATCH_KEEP && s->in_want <= SCRATCH_READ;
        enum io io = small ? read_scratch(s, &n, &why) : read_kept(s, &n, &why);
        if (!stream_has_read(s, io, why))
            return;
        if (n < SCRATCH_READ && !(s->due & DUE_LAST_READ))
            return;
        share -= n < share ? n : share;
    }
}

void stream_pause(struct stream *s)
{
    ASSERT(loop_is_current(s->loop));
    if (s->paused || s->state == STREAM_ENDED)
        return;
    s->paused = true;
    if (s->state == STREAM_OPEN)
        s->loop->ops->interest(s);
}

void stream_resume(struct stream *s)
{
    ASSERT(loop_is_current(s->loop));
    if (!s->paused || s->state == STREAM_ENDED)
        return;
    s->paused = false;
    if (s->state != STREAM_OPEN)
        return;
    s->loop->ops->interest(s);
    if (unconsumed(s) > 0 && (unconsumed(s) >= s->in_want || s->eof))
        owe(s, DUE_INPUT);
    else if (s->due)
        mark_ready(s);
}

bool stream_is_paused(const struct stream *s)
{
    return s->paused;
}

/* --- reports of the kind --- */

void stream_io_opened(struct stream *s)
{
    if (s->state != STREAM_CONNECTING)
        return;
    timer_stop(&s->timer);
    s->state = STREAM_OPEN;
    s->blocked = false;
    s->last_read_ms = loop_mono_ms(s->loop);
    s->loop->ops->interest(s);
    if (stream_queued(s) > 0)
        mark_dirty(s);
    if (s->ops->on_open)
        s->ops->on_open(s, s->arg);
}

void stream_io_readable(struct stream *s)
{
    if (s->gathered) /* reported twice in a turn: first what came first */
        gather_offer(s->loop);
    if (s->ops->on_gathered && stream_wants_read(s) && unconsumed(s) == 0 && !gather_read(s))
        return;
    read_up_to(s, READ_SHARE);
}

void stream_io_writable(struct stream *s)
{
    if (s->blocked && send_queued(s) == IO_MORE && s->state != STREAM_ENDED && link_is_alone(&s->dirty))
        link_push_back(&s->loop->dirty, &s->dirty);
}

void stream_io_failed(struct stream *s, enum err why)
{
    end(s, s->state == STREAM_CLOSING ? s->why : why, true);
}

/* --- what is owed at the end of a turn --- */

static void deliver_eof(struct stream *s)
{
    if (s->ops->on_eof)
        s->ops->on_eof(s, s->arg);
    else {
        stream_close(s, EOF_LINGER_MS);
        s->why = ERR_CLOSED;
    }
}

static bool take_due(struct stream *s, unsigned due)
{
    if (s->state != STREAM_OPEN || !(s->due & due))
        return false;
    s->due &= ~due;
    return true;
}

void stream_settle_callbacks(struct stream *s)
{
    if (s->due & DUE_LAST_READ) {
        enum err why = s->why;
        read_up_to(s, LAST_READ_MAX);
        if (s->state == STREAM_OPEN)
            end(s, why, true);
    }
    if (!s->paused && take_due(s, DUE_INPUT) && unconsumed(s) > 0)
        offer_kept(s);
    if (!s->paused && take_due(s, DUE_EOF))
        deliver_eof(s);
    if (take_due(s, DUE_DRAIN))
        s->ops->on_drain(s, s->arg);
    if (s->state == STREAM_ENDED) {
        link_remove(&s->ready);
        finish(s);
    }
}

/* --- ending --- */

void stream_close(struct stream *s, unsigned linger_ms)
{
    ASSERT(loop_is_current(s->loop));
    if (s->state == STREAM_CONNECTING)
        end(s, ERR_OK, true);
    if (s->state != STREAM_OPEN)
        return;
    s->state = STREAM_CLOSING;
    s->why = ERR_OK;
    s->due = 0;
    s->linger_ms = linger_ms;
    s->loop->ops->interest(s);
    mark_dirty(s);
}

void stream_abort(struct stream *s)
{
    ASSERT(loop_is_current(s->loop));
    end(s, ERR_CANCELLED, true);
}

/* The loop ends. What the system takes at once still leaves, and the peer sees an orderly end: the last reply
 * before a shutdown must not be lost to a reset. */
void stream_wind_up(struct stream *s)
{
    send_queued(s);
    end(s, ERR_CANCELLED, false);
}

/* --- questions --- */

const struct addr *stream_peer(const struct stream *s)
{
    return &s->peer;
}

const struct addr *stream_local(const struct stream *s)
{
    return &s->local;
}

struct loop *stream_loop(const struct stream *s)
{
    return s->loop;
}

void *stream_arg(const struct stream *s)
{
    return s->arg;
}

uint64_t stream_last_read_ms(const struct stream *s)
{
    return s->last_read_ms;
}
