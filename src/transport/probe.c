/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One liveness probe (Tomcat: TcpFailureDetector.memberAlive): connect, write a frame, wait for any byte if
 * that is asked for, close. Main loop. The result is known before the connection has gone, and told when it
 * has.
 */
#include "transmitter_impl.h"

#include "clusterd/util/mem.h"

#define CLOSE_LINGER_MS 1000u

struct probe {
    struct link link;
    struct transmitter *t;
    struct stream *stream;
    struct blob *frame;
    unsigned read_timeout_ms;
    struct timer timer;
    bool is_decided;
    enum err result;
    transmitter_probe_fn fn;
    void *arg;
};

static void probe_free(struct probe *p)
{
    link_remove(&p->link);
    blob_unref(p->frame);
    mem_free(p);
}

static void decide(struct probe *p, enum err result)
{
    if (p->is_decided)
        return;
    p->is_decided = true;
    p->result = result;
    timer_stop(&p->timer);
    if (result == ERR_OK)
        stream_close(p->stream, CLOSE_LINGER_MS);
    else
        stream_abort(p->stream);
}

static void on_open(struct stream *s, void *arg)
{
    struct probe *p = arg;

    if (p->frame)
        stream_write_blob(s, p->frame);
    if (p->read_timeout_ms)
        timer_start(&p->timer, p->read_timeout_ms);
    else
        decide(p, ERR_OK);
}

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    (void)s;
    decide(arg, ERR_OK);
    return in.n;
}

static void on_eof(struct stream *s, void *arg)
{
    (void)s;
    decide(arg, ERR_CLOSED);
}

static void on_timer(struct timer *t, void *arg)
{
    (void)t;
    decide(arg, ERR_TIMEOUT);
}

static void on_close(struct stream *s, void *arg, enum err why)
{
    struct probe *p = arg;
    struct transmitter *t = p->t;
    enum err result = p->is_decided ? p->result : why;

    (void)s;
    timer_fini(&p->timer);
    p->fn(p->arg, result);
    probe_free(p);
    transmitter_check_stopped(t);
}

static const struct stream_ops ops = {
    .on_open = on_open, .on_input = on_input, .on_eof = on_eof, .on_close = on_close};

void probe_start(struct transmitter *t, const struct addr *to, unsigned connect_timeout_ms,
                 struct blob *frame, unsigned read_timeout_ms, transmitter_probe_fn fn, void *arg)
{
    struct probe *p = MEM_NEW(struct probe);
    struct loop *main_loop = host_main(t->host);

    metric_inc(t->metrics, probes_sent);
    p->t = t;
    p->frame = blob_ref(frame);
    p->read_timeout_ms = read_timeout_ms;
    p->fn = fn;
    p->arg = arg;
    timer_init(&p->timer, main_loop, on_timer, p);
    link_push_back(&t->probes, &p->link);
    p->stream = stream_connect(main_loop, to, transmitter_source_for(t, to), connect_timeout_ms, &ops, p);
    if (t->is_stopping)
        decide(p, ERR_CANCELLED);
}

void probe_cancel_all(struct transmitter *t)
{
    LINK_EACH(l, &t->probes)
    decide(CONTAINER_OF(l, struct probe, link), ERR_CANCELLED);
}

void probe_abandon_all(struct transmitter *t)
{
    while (!link_is_alone(&t->probes))
        probe_free(CONTAINER_OF(t->probes.next, struct probe, link));
}
