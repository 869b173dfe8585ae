/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the front door: input to commands, replies to output, waiting in between; see conn.h.
 * Everything that may call back later (a delivery, a posted task, a tour of the workers) keeps the connection
 * in memory: it is freed when its stream is gone and nothing is on its way any more.
 */
#include "conn.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "clusterd/wire/value.h"
#include "command.h"

#include <stdio.h>

#define TURN_COMMANDS    256 /* executed before other connections get their turn */
#define KEEP_OUT         (256 * 1024)
#define LITTLE           (64 * 1024) /* bytes that every connection may hold */
#define INPUT_STEP       (1024 * 1024) /* of a large request at most so much more is read before it is counted */
#define CLOSE_LINGER_MS  2000
#define EOF_LINGER_MS    5000
#define IDLE_TICK_MS     1000
#define FLOOD_FACTOR     16 /* of maxOutputBytes: one reply may have so much */
#define NOREPLICAS_REPLY "-NOREPLICAS Not enough good replicas to write.\r\n"

/* Acknowledgements that replies wait for. With minAcks one for each change, so that each reply is judged by
 * its own; else one for all changes of a turn. */
struct pending {
    struct link link;
    struct delivery delivery;
    struct conn *conn; /* NULL: given up with its node, on a host that died */
    size_t from, to;   /* the reply in the turn's output, later in `held`; to = 0: its command still runs */
    bool is_done;      /* nothing will touch the delivery any more */
    bool is_short;     /* fewer acknowledgements than minAcks */
};

static struct pending *pending_of(struct link *l)
{
    return CONTAINER_OF(l, struct pending, link);
}

/* Tells the front what this connection holds. */
static void count_buffers(struct conn *c)
{
    size_t n = c->stream ? c->unread + resp_memory(&c->parser) + c->held.n + stream_queued(c->stream) : 0;

    n = n > LITTLE ? n : 0;
    if (n == c->counted)
        return;
    atomic_fetch_add_explicit(&c->front->buffered, (unsigned long long)n - c->counted, memory_order_relaxed);
    c->counted = n;
}

static bool is_crowded(const struct conn *c)
{
    return atomic_load_explicit(&c->front->buffered, memory_order_relaxed) > c->front->conf->max_buffer_bytes;
}

/* Would so many unsent bytes be too many? */
static bool is_too_much(const struct conn *c, size_t queued)
{
    return queued > c->front->conf->max_output_bytes || (queued > LITTLE && is_crowded(c));
}

static void conn_free(struct conn *c)
{
    struct front_worker *w = c->worker;

    count_buffers(c);
    for (struct link *l; (l = link_pop_front(&c->pending));) {
        struct pending *p = pending_of(l);
        p->conn = NULL;
        if (p->is_done)
            mem_free(p);
    }
    link_remove(&c->link);
    resp_fini(&c->parser);
    buf_fini(&c->held);
    mem_free(c->name);
    mem_free(c->lib_name);
    mem_free(c->lib_version);
    mem_free(c);
    atomic_fetch_sub(&w->front->clients, 1);
    front_conn_gone(w);
}

static void free_if_done(struct conn *c)
{
    if (!c->stream && c->waits == 0 && !c->posted)
        conn_free(c);
}

/* --- waiting --- */

static void add_wait(struct conn *c)
{
    if (c->waits++ == 0)
        atomic_fetch_add_explicit(&c->front->blocked, 1, memory_order_relaxed);
}

static bool drop_wait(struct conn *c)
{
    ASSERT(c->waits > 0);
    if (--c->waits)
        return false;
    atomic_fetch_sub_explicit(&c->front->blocked, 1, memory_order_relaxed);
    return true;
}

/* Writes the bytes, with the replies of writes that too few members have acknowledged replaced. */
static void write_judged(struct conn *c, struct span bytes)
{
    size_t at = 0;

    for (struct link *l; (l = link_pop_front(&c->pending));) {
        struct pending *p = pending_of(l);
        /* Several changes of one command have one reply. */
        if (p->is_short && p->from >= at && p->to > p->from) {
            stream_write(c->stream, span_of(bytes.p + at, p->from - at));
            stream_write(c->stream, SPAN_LIT(NOREPLICAS_REPLY));
            at = p->to;
        }
        mem_free(p);
    }
    if (bytes.n > at)
        stream_write(c->stream, span_of(bytes.p + at, bytes.n - at));
}

/* After output was queued: stop reading while the peer does not take its replies. */
static bool is_choked(struct conn *c)
{
    count_buffers(c);
    c->choked = is_too_much(c, stream_queued(c->stream));
    if (c->choked)
        stream_pause(c->stream);
    return c->choked;
}

static void close_stream(struct conn *c)
{
    if (c->killed)
        stream_abort(c->stream);
    else
        stream_close(c->stream, c->ended ? EOF_LINGER_MS : CLOSE_LINGER_MS);
}

/* Nothing is waited for any more: the held replies leave, and reading goes on. */
static void release(struct conn *c)
{
    write_judged(c, buf_span(&c->held));
    buf_fini(&c->held);
    if (c->closing || c->ended)
        close_stream(c);
    else if (!is_choked(c))
        stream_resume(c->stream);
}

void conn_wait(struct conn *c)
{
    add_wait(c);
    c->stalled = true;
    c->muted = c->reply == CONN_REPLY_OFF || c->reply == CONN_REPLY_SKIP;
}

void conn_go_on(struct conn *c, bool cancelled)
{
    if (!drop_wait(c))
        return;
    if (c->stream && !cancelled)
        release(c);
    free_if_done(c);
}

static bool too_few(const struct conn *c, const struct delivery *d)
{
    return (unsigned)atomic_load_explicit(&d->acked, memory_order_relaxed) < c->front->min_acks;
}

static void judge(struct pending *p)
{
    p->is_done = true;
    p->is_short = too_few(p->conn, &p->delivery);
    if (p->is_short)
        metric_inc(p->conn->front->metrics, replicas_short);
}

static void on_delivered(struct delivery *d, bool cancelled)
{
    struct pending *p = CONTAINER_OF(d, struct pending, delivery);

    if (!p->conn) {
        mem_free(p);
        return;
    }
    judge(p);
    conn_go_on(p->conn, cancelled);
}

struct delivery *conn_delivery(struct conn *c)
{
    if (!c->front->wait_for_acks)
        return NULL;
    if (!link_is_alone(&c->pending) && c->front->min_acks == 0)
        return &pending_of(c->pending.prev)->delivery;
    struct pending *p = MEM_NEW(struct pending);
    delivery_init(&p->delivery, c->worker->loop, on_delivered);
    p->conn = c;
    p->from = c->reply_at;
    link_push_back(&c->pending, &p->link);
    return &p->delivery;
}

void conn_no_delivery(struct conn *c)
{
    if (link_is_alone(&c->pending) || c->front->min_acks == 0)
        return;
    struct pending *p = pending_of(c->pending.prev);
    ASSERT(p->from == c->reply_at && atomic_load(&p->delivery.pending) == 1);
    link_remove(&p->link);
    mem_free(p);
}

/* The command's reply is complete: its changes know now which one is theirs. */
static void end_reply(struct conn *c)
{
    if (c->reply == CONN_REPLY_OFF || c->reply == CONN_REPLY_SKIP)
        c->out->n = c->reply_at;
    if (c->reply == CONN_REPLY_SKIP)
        c->reply = CONN_REPLY_ON;
    else if (c->reply == CONN_REPLY_SKIP_NEXT)
        c->reply = CONN_REPLY_SKIP;
    for (struct link *l = c->pending.prev; l != &c->pending && !pending_of(l)->to; l = l->prev)
        pending_of(l)->to = c->out->n;
}

/* Seals the turn's deliveries. Where only the seal was missing, all results are in (or there was nobody to
 * ask), and nothing else will ever touch the delivery: no need to wait. Returns where the waiting replies
 * begin. */
static size_t seal_pending(struct conn *c)
{
    size_t hold = link_is_alone(&c->pending) ? c->out->n : pending_of(c->pending.next)->from;

    LINK_EACH(l, &c->pending)
    {
        struct pending *p = pending_of(l);
        p->from -= hold;
        p->to -= hold;
        if (atomic_load_explicit(&p->delivery.pending, memory_order_acquire) == 1) {
            judge(p);
        } else {
            add_wait(c);
            delivery_seal(&p->delivery);
        }
    }
    return hold;
}

/* --- a turn --- */

static void count(struct conn *c)
{
    struct metrics *m = c->front->metrics;

    if (c->commands)
        metric_add(m, commands, c->commands);
    if (c->hits)
        metric_add(m, key_hits, c->hits);
    if (c->misses)
        metric_add(m, key_misses, c->misses);
    c->commands = c->hits = c->misses = 0;
}

static void on_next_turn(struct task *t, bool cancelled)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);

    c->posted = false;
    if (!c->stream)
        free_if_done(c);
    else if (!cancelled && c->waits == 0 && !c->choked && !c->closing)
        stream_resume(c->stream);
}

static void post_next_turn(struct conn *c)
{
    stream_pause(c->stream);
    if (c->posted)
        return;
    c->posted = true;
    c->task.run = on_next_turn;
    loop_post(c->worker->loop, &c->task);
}

static void end_turn(struct conn *c)
{
    struct buf *out = c->out;
    size_t hold = seal_pending(c);
    struct span rest = out->n > hold ? span_of(out->p + hold, out->n - hold) : (struct span){NULL, 0};

    if (hold)
        stream_write(c->stream, span_of(out->p, hold));
    if (c->waits)
        wr_span(&c->held, rest);
    else
        write_judged(c, rest);
    if (out->cap > KEEP_OUT)
        buf_fini(out);
    c->out = &c->held;
    count(c);
}

static void begin_turn(struct conn *c)
{
    c->active_ms = loop_mono_ms(c->worker->loop);
    link_remove(&c->link);
    link_push_back(&c->worker->conns, &c->link);
    c->out = &c->worker->out;
    buf_clear(c->out);
    c->stalled = false;
    c->unread = 0;
}

static void protocol_error(struct conn *c, const char *text)
{
    char peer[ADDR_TEXT_MAX + 8];

    metric_inc(c->front->metrics, clients_bad);
    log_limited(loop_mono_ms(c->worker->loop), LOG_WARN, "Front door: closing %s: %s",
                conn_peer_text(c, peer), text);
    resp_errorf(c->out, "ERR %s", text);
    c->closing = true;
}

/* A request goes on in bytes that have not come yet. What will be read of it is counted before it comes, but
 * not what it merely announces: as much again as has come, within limits. */
static void want_more(struct conn *c, size_t have)
{
    size_t step = have < LITTLE ? LITTLE : have < INPUT_STEP ? have : INPUT_STEP;
    size_t want = c->parser.need < have + step ? c->parser.need : have + step;

    c->unread = want;
    stream_want(c->stream, want);
    count_buffers(c);
    if (c->counted && is_crowded(c))
        protocol_error(c, "too much unfinished input of all clients (maxBufferBytes)");
}

/* The session that the first request of the input is about; *used = that request's length. False: no request
 * that could be looked into. *name has no context when it is about none. */
static bool look_at(const struct conn *c, struct span in, struct table_name *name, size_t *used)
{
    struct span key;

    *name = (struct table_name){0};
    if (!c->authenticated || !resp_peek(in, &key, used))
        return false;
    name->context = table_route_known(c->front->table, c->db, key, &name->id);
    if (name->id.n == 0)
        name->context = NULL;
    return true;
}

/* The sessions that the next requests of a pipeline are about will be needed soon. */
static void look_ahead(const struct conn *c, struct span in)
{
    struct table_name names[TABLE_WARM_MAX];
    size_t n = 0, used;

    for (int i = 0; i < TABLE_WARM_MAX && look_at(c, in, &names[n], &used); i++) {
        n += names[n].context != NULL;
        in = span_of(in.p + used, in.n - used);
    }
    table_warm(c->front->table, names, n);
}

/* So will those of the single requests of several connections. Pipelines have look_ahead(). */
static void on_gathered(const struct stream_input *inputs, size_t n_inputs)
{
    const struct conn *c = NULL;
    struct table_name names[TABLE_WARM_MAX];
    size_t n = 0, used;

    for (size_t i = 0; i < n_inputs; i++) {
        c = stream_arg(inputs[i].stream);
        if (look_at(c, inputs[i].in, &names[n], &used) && names[n].context && used == inputs[i].in.n)
            n++;
        if (n == TABLE_WARM_MAX || i + 1 == n_inputs) {
            table_warm(c->front->table, names, n);
            n = 0;
        }
    }
}

static bool may_go_on(const struct conn *c)
{
    return !c->closing && !c->stalled && !is_too_much(c, c->out->n + stream_queued(c->stream));
}

/* Executes the whole commands of the input; returns how much of it they were. */
static size_t execute(struct conn *c, struct span in)
{
    size_t used = 0;

    for (unsigned n = 0; may_go_on(c); n++) {
        struct span rest = span_of(in.p + used, in.n - used);
        if (n == TURN_COMMANDS && rest.n) {
            post_next_turn(c);
            break;
        }
        enum err e = resp_parse(&c->parser, rest);
        if (e == ERR_SHORT) {
            want_more(c, rest.n);
            break;
        }
        if (e) {
            protocol_error(c, c->parser.error);
            return in.n;
        }
        if (n % TABLE_WARM_MAX == 0 && c->parser.used < rest.n)
            look_ahead(c, rest);
        c->reply_at = c->out->n;
        if (resp_count(&c->parser)) {
            struct words words = {&c->parser, rest, resp_count(&c->parser)};
            command_run(c, &words);
            end_reply(c);
        }
        used += c->parser.used;
        resp_next(&c->parser);
    }
    return used;
}

static size_t on_input(struct stream *s, void *arg, struct span in)
{
    struct conn *c = arg;

    if (c->closing)
        return in.n;
    if (c->waits || c->choked || c->posted) {
        stream_pause(s);
        return 0;
    }
    begin_turn(c);
    size_t used = execute(c, in);
    end_turn(c);
    if (c->closing) {
        if (c->waits == 0 || c->killed)
            close_stream(c);
        return in.n;
    }
    is_choked(c);
    /* What was not looked at must be offered again: pausing makes resuming do so. */
    if (c->waits && used < in.n)
        stream_pause(s);
    return used;
}

static void on_drain(struct stream *s, void *arg)
{
    struct conn *c = arg;

    count_buffers(c);
    if (!c->choked)
        return;
    c->choked = false;
    if (c->waits == 0 && !c->closing && !c->posted)
        stream_resume(s);
}

static void on_eof(struct stream *s, void *arg)
{
    struct conn *c = arg;

    (void)s;
    c->ended = true;
    if (c->waits == 0 && !c->closing)
        close_stream(c);
}

static void on_close(struct stream *s, void *arg, enum err why)
{
    struct conn *c = arg;

    (void)s;
    (void)why;
    c->stream = NULL;
    count_buffers(c);
    free_if_done(c);
}

static const struct stream_ops conn_ops = {.on_input = on_input,
                                           .on_gathered = on_gathered,
                                           .on_drain = on_drain,
                                           .on_eof = on_eof,
                                           .on_close = on_close};

/* --- life --- */

static void on_idle_tick(struct timer *t, void *arg)
{
    struct front_worker *w = arg;
    uint64_t now = loop_mono_ms(w->loop), limit = (uint64_t)w->front->conf->idle_timeout_ms;

    LINK_EACH_SAFE(l, &w->conns)
    {
        struct conn *c = CONTAINER_OF(l, struct conn, link);
        if (now - c->active_ms < limit)
            break;
        if (!c->stream || c->waits || c->closing || c->door->is_control)
            continue;
        metric_inc(w->front->metrics, clients_idle);
        conn_close(c);
    }
    timer_start(t, IDLE_TICK_MS);
}

static void start_idle_timer(struct front_worker *w)
{
    if (w->timer_ready || w->front->conf->idle_timeout_ms <= 0)
        return;
    w->timer_ready = true;
    timer_init(&w->idle_timer, w->loop, on_idle_tick, w);
    timer_start(&w->idle_timer, IDLE_TICK_MS);
}

static void on_arrival(struct task *t, bool cancelled)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);
    struct front_worker *w = c->worker;

    c->posted = false;
    link_push_back(&w->conns, &c->link);
    if (cancelled || w->stopping) {
        incoming_refuse(c->incoming);
        conn_free(c);
        return;
    }
    start_idle_timer(w);
    c->created_ms = c->active_ms = loop_mono_ms(w->loop);
    c->stream = stream_adopt(w->loop, c->incoming, &conn_ops, c);
    c->incoming = NULL;
    stream_set_input_limit(c->stream, w->front->limits->max_request + KEEP_OUT);
    stream_set_low_mark(c->stream, LITTLE / 2);
}

void conn_accept(struct front_worker *w, const struct front_door *door, struct incoming *in)
{
    struct conn *c = MEM_NEW(struct conn);

    link_init(&c->link);
    link_init(&c->pending);
    c->front = w->front;
    c->worker = w;
    c->door = door;
    c->incoming = in;
    c->peer = *incoming_peer(in);
    c->local = *incoming_local(in);
    c->id = atomic_fetch_add_explicit(&w->front->next_conn_id, 1, memory_order_relaxed) + 1;
    c->out = &c->held;
    resp_init(&c->parser, w->front->limits);
    conn_reset(c);
    atomic_fetch_add(&w->front->clients, 1);
    metric_inc(w->front->metrics, clients_accepted);
    c->posted = true;
    c->task.run = on_arrival;
    loop_post(w->loop, &c->task);
}

bool conn_needs_password(const struct conn *c)
{
    return c->front->conf->require_pass && !c->door->is_control;
}

void conn_reset(struct conn *c)
{
    c->proto = 2;
    c->db = 0;
    c->authenticated = !conn_needs_password(c);
    c->trusted = c->door->is_unix && c->authenticated;
    c->parser.unauthenticated = !c->authenticated;
    c->reply = CONN_REPLY_ON;
    mem_free(c->name);
    c->name = NULL;
}

void conn_close(struct conn *c)
{
    bool running = c->out != &c->held;

    if (c->closing)
        return;
    c->closing = true;
    if (c->stream && !running && c->waits == 0)
        close_stream(c);
}

void conn_kill(struct conn *c)
{
    bool running = c->out != &c->held;

    c->closing = c->killed = true;
    if (c->stream && !running)
        stream_abort(c->stream);
}

bool conn_is_flooded(struct conn *c)
{
    char peer[ADDR_TEXT_MAX + 8];

    if (c->out->n - c->reply_at <= FLOOD_FACTOR * c->front->conf->max_output_bytes)
        return false;
    log_limited(loop_mono_ms(c->worker->loop), LOG_WARN,
                "Front door: closing %s: one reply has more than %d times maxOutputBytes",
                conn_peer_text(c, peer), FLOOD_FACTOR);
    metric_inc(c->front->metrics, clients_bad);
    c->out->n = c->reply_at;
    conn_kill(c);
    return true;
}

static void end_idle_timer(struct front_worker *w)
{
    if (w->timer_ready)
        timer_fini(&w->idle_timer);
    w->timer_ready = false;
}

void conn_stop_all(struct front_worker *w)
{
    end_idle_timer(w);
    LINK_EACH_SAFE(l, &w->conns)
    conn_close(CONTAINER_OF(l, struct conn, link));
}

void conn_free_all(struct front_worker *w)
{
    end_idle_timer(w);
    LINK_EACH_SAFE(l, &w->conns)
    conn_free(CONTAINER_OF(l, struct conn, link));
}

const char *conn_peer_text(const struct conn *c, char out[ADDR_TEXT_MAX + 8])
{
    if (c->door->is_unix)
        snprintf(out, ADDR_TEXT_MAX + 8, "%s:0", c->local.path);
    else
        addr_text(&c->peer, out);
    return out;
}

void conn_value(struct conn *c, const struct blob *value)
{
    struct buf text = {0};
    struct span plain;

    if (value_text_plain(blob_span(value), &plain))
        conn_bulk(c, plain);
    else if (value_text(blob_span(value), CONN_TEXT_MAX, &text) == ERR_OK)
        conn_bulk(c, buf_span(&text));
    else
        conn_null(c);
    buf_fini(&text);
}

bool conn_has_text(const struct blob *value)
{
    struct buf text = {0};
    size_t n = 0;
    bool has = value_text_size(blob_span(value), &n) == ERR_OK ||
               value_text(blob_span(value), CONN_TEXT_MAX, &text) == ERR_OK;

    buf_fini(&text);
    return has;
}
