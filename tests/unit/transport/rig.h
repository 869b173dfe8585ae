/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the transport share: receivers that write down what they get, raw connections that send
 * any bytes, a peer that answers as the test says (a Tomcat that misbehaves), and transmitters. They run on
 * simulated hosts; the few tests on real hosts use the parts that do not mind.
 */
#ifndef TESTS_UNIT_TRANSPORT_RIG_H
#define TESTS_UNIT_TRANSPORT_RIG_H

#include "clusterd/loop/sim.h"
#include "clusterd/loop/stream.h"
#include "clusterd/transport/receiver.h"
#include "clusterd/transport/transmitter.h"
#include "clusterd/util/list.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/ack.h"
#include "clusterd/wire/options.h"
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* --- frames --- */

static inline struct member_rec rig_rec(uint8_t last, const char *payload)
{
    struct member_rec rec = {.port = 4000,
                             .secure_port = -1,
                             .udp_port = -1,
                             .host_len = 4,
                             .host = {10, 0, 0, last},
                             .payload = span_str(payload)};

    rec.id.b[0] = last;
    rec.id.b[15] = 0xee;
    return rec;
}

/* A whole frame from the member 10.0.0.<last>. */
static inline void rig_frame(struct buf *b, uint8_t last, uint32_t options, struct span message)
{
    static const uint8_t id[16] = {0xa0, 1, 2, 3};
    struct channel_data cd = {.options = options,
                              .timestamp_ms = 1700000000000,
                              .unique_id = span_of(id, sizeof id),
                              .source = rig_rec(last, ""),
                              .message = message};

    ck_assert_int_eq(channel_data_encode(b, &cd), ERR_OK);
}

static inline struct blob *rig_blob(uint32_t options, struct span message)
{
    struct buf b = {0};

    rig_frame(&b, 1, options, message);
    struct blob *out = blob_new(buf_span(&b));
    buf_fini(&b);
    return out;
}

/* --- a receiver that writes down what it gets --- */

struct rig_rx {
    struct host *h;
    struct receiver *r;
    struct receiver_conf conf;
    struct metrics metrics;
    struct diag diag;
    struct buf log;        /* the messages, each with a blank behind it */
    atomic_uint n;         /* messages */
    atomic_ullong n_bytes; /* of messages */
    unsigned fail_next;    /* so many messages are refused */
    const char *fail_text; /* messages that begin so are refused */
    bool all_members, no_log;
    unsigned n_closed;
    struct ident last_closed;
    unsigned n_by_loop[8];
    struct loop *loops[8];
    bool stopped;
    /* Sees each message, before the verdict. */
    void (*on_message)(struct rig_rx *x, const struct channel_data *cd);
    void *user;
};

static inline enum err rig_rx_message(void *arg, struct loop *worker, const struct channel_data *cd)
{
    struct rig_rx *x = arg;

    ck_assert(loop_is_current(worker));
    x->n++;
    x->n_bytes += cd->message.n;
    for (size_t i = 0; i < 8; i++) {
        if (!x->loops[i])
            x->loops[i] = worker;
        if (x->loops[i] == worker) {
            x->n_by_loop[i]++;
            break;
        }
    }
    if (x->on_message)
        x->on_message(x, cd);
    if (!x->no_log) {
        wr_span(&x->log, cd->message);
        wr_u8(&x->log, ' ');
    }
    if (x->fail_text && span_starts_with(cd->message, span_str(x->fail_text)))
        return ERR_BAD;
    if (x->fail_next > 0) {
        x->fail_next--;
        return ERR_FULL;
    }
    return ERR_OK;
}

static inline bool rig_rx_is_member(void *arg, const struct addr *peer)
{
    struct rig_rx *x = arg;

    return x->all_members || (peer->family == ADDR_IP4 && peer->ip[3] < 100);
}

static inline void rig_rx_closed(void *arg, const struct ident *source)
{
    struct rig_rx *x = arg;

    x->n_closed++;
    x->last_closed = *source;
}

static inline bool rig_rx_is_probe(void *arg, const struct channel_data *cd)
{
    (void)arg;
    return span_eq(cd->message, SPAN_LIT("probe"));
}

static const struct receiver_events rig_rx_events = {.on_message = rig_rx_message,
                                                     .is_member_host = rig_rx_is_member,
                                                     .on_peer_closed = rig_rx_closed,
                                                     .is_probe = rig_rx_is_probe};

static inline enum err rig_rx_try_start(struct rig_rx *x, struct host *h)
{
    x->h = h;
    return receiver_start(h, &x->conf, &rig_rx_events, x, &x->metrics, &x->diag, &x->r);
}

static inline void rig_rx_init(struct rig_rx *x)
{
    *x = (struct rig_rx){0};
    option_defaults(receiver_options, &x->conf);
}

static inline void rig_rx_start(struct rig_rx *x, struct host *h)
{
    rig_rx_init(x);
    ck_assert_msg(rig_rx_try_start(x, h) == ERR_OK, "%s", buf_cstr(&x->diag.text));
}

static inline void rig_rx_on_stopped(void *arg)
{
    struct rig_rx *x = arg;

    x->stopped = true;
}

static inline void rig_rx_fini(struct rig_rx *x)
{
    receiver_free(x->r);
    option_free(receiver_options, &x->conf);
    buf_fini(&x->log);
    diag_fini(&x->diag);
}

static inline bool rig_is_true(void *arg)
{
    return *(bool *)arg;
}

/* Stop in order, then the host. */
static inline void rig_rx_end(struct sim *s, struct rig_rx *x)
{
    receiver_stop(x->r, rig_rx_on_stopped, x);
    ck_assert(sim_run_until(s, rig_is_true, &x->stopped, 5000));
    rig_rx_fini(x);
    sim_host_end(s, x->h);
}

/* --- a raw connection --- */

struct rig_client {
    struct stream *s;
    struct buf got;
    bool open, closed, eof, deaf;
    enum err why;
};

static inline void rig_client_on_open(struct stream *s, void *arg)
{
    struct rig_client *c = arg;

    c->open = true;
    if (c->deaf)
        stream_pause(s);
}

static inline size_t rig_client_on_input(struct stream *s, void *arg, struct span in)
{
    struct rig_client *c = arg;

    (void)s;
    wr_span(&c->got, in);
    return in.n;
}

static inline void rig_client_on_eof(struct stream *s, void *arg)
{
    struct rig_client *c = arg;

    c->eof = true;
    stream_close(s, 100);
}

static inline void rig_client_on_close(struct stream *s, void *arg, enum err why)
{
    struct rig_client *c = arg;

    (void)s;
    c->s = NULL;
    c->closed = true;
    c->why = why;
}

static const struct stream_ops rig_client_ops = {.on_open = rig_client_on_open,
                                                 .on_input = rig_client_on_input,
                                                 .on_eof = rig_client_on_eof,
                                                 .on_close = rig_client_on_close};

static inline void rig_client_connect(struct sim *s, struct rig_client *c, struct host *from,
                                      const struct addr *to)
{
    bool deaf = c->deaf;

    *c = (struct rig_client){.deaf = deaf};
    c->s = stream_connect(host_main(from), to, NULL, 1000, &rig_client_ops, c);
    sim_run_ms(s, 20);
}

static inline void rig_client_send(struct sim *s, struct rig_client *c, struct span bytes)
{
    if (c->s)
        stream_write(c->s, bytes);
    sim_run_ms(s, 20);
}

static inline void rig_client_fini(struct sim *s, struct rig_client *c)
{
    if (c->s)
        stream_abort(c->s);
    sim_run_ms(s, 20);
    buf_fini(&c->got);
}

/* The ACKs that came, as text: A, F, or ? for anything else. */
static inline const char *rig_acks(const struct rig_client *c, char *out, size_t cap)
{
    struct span in = buf_span(&c->got);
    struct frame_view f;
    size_t n = 0;

    while (in.n > 0 && n + 1 < cap) {
        if (frame_scan(in, ACK_BODY_MAX, &f) != ERR_OK) {
            out[n++] = '?';
            break;
        }
        enum ack_kind kind = ack_classify(f.body);
        out[n++] = kind == ACK_OK ? 'A' : kind == ACK_FAIL ? 'F' : '?';
        in = span_of(in.p + f.total, in.n - f.total);
    }
    out[n] = 0;
    return out;
}

/* --- a peer that answers as the test says --- */

struct rig_fake {
    struct host *h;
    struct listener *listener;
    struct stream *s; /* the last connection */
    unsigned n_conns, n_open;
    struct buf log;      /* the messages, each with a blank behind it; '|' where a connection began */
    unsigned n;          /* messages */
    unsigned unanswered; /* on the last connection */
    bool answers;        /* ACK at once */
    const char *fails;   /* text of a message that gets FAIL_ACK, when answers is set */
    struct link conns;
};

struct rig_fake_conn {
    struct link link;
    struct rig_fake *f;
    struct stream *s;
};

static inline size_t rig_fake_on_input(struct stream *s, void *arg, struct span in)
{
    struct rig_fake_conn *c = arg;
    struct rig_fake *f = c->f;
    struct frame_view v;
    size_t used = 0;

    while (frame_scan(span_of(in.p + used, in.n - used), FRAME_BODY_MAX, &v) == ERR_OK) {
        struct rd rd = rd_of(v.body);
        struct channel_data cd;
        ck_assert_int_eq(channel_data_decode(&rd, &cd), ERR_OK);
        wr_span(&f->log, span_of(cd.message.p, cd.message.n > 64 ? 64 : cd.message.n));
        wr_u8(&f->log, ' ');
        f->n++;
        used += v.total;
        if (!(cd.options & SEND_USE_ACK))
            continue;
        bool fails = f->fails && span_eq(cd.message, span_str(f->fails));
        if (f->answers)
            stream_write(s, fails ? ACK_FAIL_FRAME : ACK_FRAME);
        else
            f->unanswered++;
    }
    stream_set_input_limit(s, (size_t)1 << 30);
    return used;
}

static inline void rig_fake_on_close(struct stream *s, void *arg, enum err why)
{
    struct rig_fake_conn *c = arg;

    (void)why;
    c->f->n_open--;
    if (c->f->s == s)
        c->f->s = NULL;
    link_remove(&c->link);
    mem_free(c);
}

static const struct stream_ops rig_fake_ops = {.on_input = rig_fake_on_input, .on_close = rig_fake_on_close};

static inline void rig_fake_incoming(void *arg, struct incoming *in)
{
    struct rig_fake *f = arg;
    struct rig_fake_conn *c = MEM_NEW(struct rig_fake_conn);

    c->f = f;
    link_push_back(&f->conns, &c->link);
    c->s = stream_adopt(host_main(f->h), in, &rig_fake_ops, c);
    stream_set_input_limit(c->s, (size_t)1 << 30);
    f->s = c->s;
    f->n_conns++;
    f->n_open++;
    f->unanswered = 0;
    wr_text(&f->log, "|");
}

static inline void rig_fake_listen(struct rig_fake *f)
{
    struct addr at;

    ck_assert_int_eq(addr_parse("0.0.0.0:4000", 0, &at), ERR_OK);
    ck_assert_int_eq(listener_open(host_main(f->h), &at, 0, rig_fake_incoming, f, &f->listener), ERR_OK);
}

static inline void rig_fake_start(struct rig_fake *f, struct host *h)
{
    *f = (struct rig_fake){.h = h, .answers = true};
    link_init(&f->conns);
    rig_fake_listen(f);
}

static inline void rig_fake_ack(struct rig_fake *f, struct span ack, unsigned n)
{
    ck_assert_ptr_nonnull(f->s);
    for (; n > 0; n--) {
        stream_write(f->s, ack);
        f->unanswered -= f->unanswered > 0;
    }
}

static inline void rig_fake_reset(struct rig_fake *f)
{
    LINK_EACH(l, &f->conns)
    stream_abort(CONTAINER_OF(l, struct rig_fake_conn, link)->s);
}

static inline void rig_fake_end(struct sim *s, struct rig_fake *f)
{
    sim_host_end(s, f->h);
    buf_fini(&f->log);
}

/* --- a transmitter --- */

struct rig_tx {
    struct host *h;
    struct transmitter *t;
    struct transmitter_conf conf;
    struct metrics metrics;
    unsigned n_trouble, n_caught, n_lost;
    enum err last_trouble;
    struct member *last_member;
    uint64_t trouble_us;
    struct sim *sim;
    bool stopped, removes; /* removes: a member in trouble at once */
};

static inline void rig_tx_trouble(void *arg, struct member *m, enum err why)
{
    struct rig_tx *x = arg;

    ck_assert(loop_is_current(host_main(x->h)));
    x->n_trouble++;
    x->last_trouble = why;
    x->last_member = m;
    x->trouble_us = sim_now_us(x->sim);
    if (x->removes)
        transmitter_remove(x->t, m);
}

static inline void rig_tx_caught(void *arg, struct member *m, bool lost)
{
    struct rig_tx *x = arg;

    (void)m;
    ck_assert(loop_is_current(host_main(x->h)));
    x->n_caught++;
    x->n_lost += lost;
}

static const struct transmitter_events rig_tx_events = {.on_trouble = rig_tx_trouble,
                                                        .on_caught_up = rig_tx_caught};

static inline void rig_tx_init(struct rig_tx *x)
{
    *x = (struct rig_tx){0};
    option_defaults(transmitter_options, &x->conf);
}

static inline void rig_tx_start(struct sim *s, struct rig_tx *x, struct host *h)
{
    x->sim = s;
    x->h = h;
    x->t = transmitter_new(h, &x->conf, &rig_tx_events, x, &x->metrics);
}

static inline void rig_tx_on_stopped(void *arg)
{
    struct rig_tx *x = arg;

    x->stopped = true;
}

static inline void rig_tx_end(struct sim *s, struct rig_tx *x, unsigned linger_ms)
{
    transmitter_stop(x->t, linger_ms, rig_tx_on_stopped, x);
    ck_assert(sim_run_until(s, rig_is_true, &x->stopped, linger_ms + 3000));
    ck_assert_uint_eq(transmitter_queued_bytes(x->t), 0);
    transmitter_free(x->t);
    option_free(transmitter_options, &x->conf);
    sim_host_end(s, x->h);
}

static inline struct member *rig_member(uint8_t last, bool is_clusterd)
{
    struct member_rec rec = rig_rec(last, is_clusterd ? "clusterd/1" : "");

    return view_member_new(&rec);
}

/* --- deliveries --- */

struct rig_wait {
    struct delivery d;
    bool done, cancelled;
    uint64_t at_us;
    struct sim *sim;
};

static inline void rig_wait_fn(struct delivery *d, bool cancelled)
{
    struct rig_wait *w = CONTAINER_OF(d, struct rig_wait, d);

    ck_assert(!w->done);
    w->done = true;
    w->cancelled = cancelled;
    if (w->sim)
        w->at_us = sim_now_us(w->sim);
}

/* Sends one message and waits for nothing. */
static inline void rig_send(struct rig_tx *x, struct member *m, uint64_t flow, uint32_t options,
                            struct span message, struct rig_wait *w)
{
    struct blob *frame = rig_blob(options, message);
    struct transmitter_item item = {.frame = frame, .options = options, .flow = flow};

    if (w) {
        *w = (struct rig_wait){.sim = x->sim};
        delivery_init(&w->d, host_main(x->h), rig_wait_fn);
        delivery_expect(&w->d, 1);
        item.delivery = &w->d;
    }
    transmitter_send(x->t, m, &item);
    if (w)
        delivery_seal(&w->d);
    blob_unref(frame);
}

static inline void rig_send_text(struct rig_tx *x, struct member *m, uint64_t flow, const char *text,
                                 struct rig_wait *w)
{
    rig_send(x, m, flow, SEND_BYTE_MESSAGE | SEND_SYNC_ACK, span_str(text), w);
}

#define RIG_LOG_IS(x, text) ck_assert_str_eq(buf_cstr(&(x)->log), text)

#endif
