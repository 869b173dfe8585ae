/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected byte streams (TCP or unix) and listeners. A stream belongs to one loop for its whole life; all
 * functions are for that loop's thread only, but stream_adopt(), which is called on the loop that shall own
 * it.
 *
 * Reading: bytes are read ahead and offered in one contiguous span; what on_input() does not consume stays
 * and is offered again, with more behind it, after the next read. While nothing is unconsumed a stream holds
 * no input memory. Writing: bytes are queued and leave at the end of the loop's turn in as few system calls
 * as possible.
 */
#ifndef CLUSTERD_LOOP_STREAM_H
#define CLUSTERD_LOOP_STREAM_H

#include "clusterd/loop/addr.h"
#include "clusterd/loop/loop.h"
#include "clusterd/util/diag.h"

struct stream;

/* What was read of a stream and will be offered to it. */
struct stream_input {
    struct stream *stream;
    struct span in;
};

struct stream_ops {
    /* An outgoing connection stands. Not called for adopted streams. May be NULL. */
    void (*on_open)(struct stream *s, void *arg);
    /* Unread input; returns how many of its bytes were consumed (0..in.n). The span is valid during the call
     * only. The stream may be closed or aborted from inside. */
    size_t (*on_input)(struct stream *s, void *arg, struct span in);
    /* Several streams of these operations were read in this turn, and now each of them is offered its input,
     * unless it ends or is paused before: a look at all of it, to prepare what will be needed. Nothing may be
     * done with the streams. May be NULL: then each stream is offered what was read of it at once. */
    void (*on_gathered)(const struct stream_input *inputs, size_t n);
    /* The queue of unsent bytes has fallen to the low mark after having been above it. May be NULL. */
    void (*on_drain)(struct stream *s, void *arg);
    /* The peer has ended its side; all its bytes were offered. NULL = what is queued is still sent (at most
     * 5 s), then on_close(ERR_CLOSED). */
    void (*on_eof)(struct stream *s, void *arg);
    /* The end, exactly once, never from inside a call to a stream function: the stream is gone when this
     * returns (functions called on it from inside have no effect). why: ERR_OK after stream_close(), whatever
     * came of it, ERR_CLOSED the peer ended or reset it, ERR_REFUSED / ERR_TIMEOUT / ERR_IO the connection
     * failed, ERR_TOO_BIG the input limit, ERR_CANCELLED stream_abort() or the loop ended. */
    void (*on_close)(struct stream *s, void *arg, enum err why);
};

/* Begins to connect. on_open or on_close follows later, never inside the call. `from` (may be NULL) is the
 * local address to connect from. */
struct stream *stream_connect(struct loop *l, const struct addr *to, const struct addr *from,
                              unsigned timeout_ms, const struct stream_ops *ops, void *arg);

void stream_write(struct stream *s, struct span bytes);   /* copies */
void stream_write_blob(struct stream *s, struct blob *b); /* takes its own reference; no copy when large */
void stream_flush(struct stream *s);          /* try to send now instead of at the end of the turn */
size_t stream_queued(const struct stream *s); /* unsent bytes */
void stream_set_low_mark(struct stream *s, size_t bytes);        /* default 0 */
void stream_set_input_limit(struct stream *s, size_t max_bytes); /* unconsumed input; more ends it with
                                                                    ERR_TOO_BIG. default 1 MiB */
/* Do not offer input again before `total` bytes are unconsumed (or the peer ends): for large frames. The
 * stream reads ahead up to there; one reset at each call of on_input. */
void stream_want(struct stream *s, size_t total);
/* Stop reading: back-pressure. A reset by the peer is noticed all the same, an orderly end after the resume
 * or by writing. */
void stream_pause(struct stream *s);
void stream_resume(
    struct stream *s); /* also offers what is unconsumed again, later in this turn or the next */
bool stream_is_paused(const struct stream *s);
/* Stop reading, send what is queued (at most linger_ms), then on_close(ERR_OK). */
void stream_close(struct stream *s, unsigned linger_ms);
/* Drop everything, also what is on its way (a reset), then on_close(ERR_CANCELLED). */
void stream_abort(struct stream *s);
const struct addr *stream_peer(const struct stream *s);
const struct addr *stream_local(const struct stream *s);
struct loop *stream_loop(const struct stream *s);
void *stream_arg(const struct stream *s);
uint64_t
stream_last_read_ms(const struct stream *s); /* mono time of the last byte read (or of the opening) */

/* An accepted connection that no loop owns yet. It is adopted or refused exactly once, from any loop of the
 * host. */
struct incoming;
const struct addr *incoming_peer(const struct incoming *in);
const struct addr *incoming_local(const struct incoming *in);
struct stream *stream_adopt(struct loop *l, struct incoming *in, const struct stream_ops *ops, void *arg);
void incoming_refuse(struct incoming *in);

struct listener;
typedef void (*listener_fn)(void *arg, struct incoming *in); /* owns `in` */
/* ERR_EXISTS: the port (or a living unix socket) is in use. A dead unix socket file is replaced; mode = its
 * permissions (0 = 0660). Accepting is paused for 100 ms, with one log line, when the process is out of
 * files. */
fallible listener_open(struct loop *l, const struct addr *at, unsigned mode, listener_fn fn, void *arg,
                       struct listener **out);
const struct addr *listener_addr(const struct listener *ls); /* with the port really bound */
void listener_close(struct listener *ls); /* afterwards fn is not called; removes a unix socket file */

#endif
