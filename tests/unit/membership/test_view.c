/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members and views: identity, what the payload says about the kind of node, order by alive time, look-ups,
 * and that a view keeps its members while somebody holds it.
 */
#include "clusterd/membership/view.h"
#include "support/suite.h"

static struct member_rec record(uint8_t last, int32_t port, int64_t alive_ms, struct span payload)
{
    struct member_rec rec = {.alive_ms = alive_ms,
                             .port = port,
                             .secure_port = -1,
                             .udp_port = -1,
                             .host_len = 4,
                             .host = {10, 0, 0, last},
                             .payload = payload};

    rec.id.b[0] = last;
    return rec;
}

static struct member *member(uint8_t last, int64_t alive_ms)
{
    struct member_rec rec = record(last, 4000, alive_ms, (struct span){0});

    return view_member_new(&rec);
}

START_TEST(identity_is_host_port_and_id)
{
    struct member_rec rec = record(1, 4000, 5, SPAN_LIT("x"));
    struct member *m = view_member_new(&rec);

    rec.alive_ms = 99;
    rec.udp_port = 7;
    rec.payload = SPAN_LIT("other");
    ck_assert(view_member_is(m, &rec));
    rec.port = 4001;
    ck_assert(!view_member_is(m, &rec));
    rec.port = 4000;
    rec.id.b[15] = 1;
    ck_assert(!view_member_is(m, &rec));
    rec.id.b[15] = 0;
    rec.host[0] = 11;
    ck_assert(!view_member_is(m, &rec));
    rec.host[0] = 10;
    rec.host_len = 16;
    ck_assert(!view_member_is(m, &rec));
    ck_assert_str_eq(m->name, "10.0.0.1:4000");
    view_member_unref(m);
}
END_TEST

START_TEST(ipv6_member)
{
    struct member_rec rec = record(1, 65535, 0, (struct span){0});

    rec.host_len = 16;
    memset(rec.host, 0, sizeof rec.host);
    rec.host[15] = 1;
    struct member *m = view_member_new(&rec);
    ck_assert_str_eq(m->name, "[::1]:65535");
    ck_assert(view_member_is(m, &rec));
    view_member_unref(m);
}
END_TEST

START_TEST(payload_tells_a_clusterd)
{
    static const struct {
        const char *payload;
        unsigned version;
    } rows[] = {{"clusterd/1", 1},
                {"clusterd/23", 23},
                {"clusterd/999999", 999999},
                {"clusterd/", 0},
                {"clusterd/1 ", 0},
                {"clusterd/x", 0},
                {"clusterd", 0},
                {"", 0},
                {"xclusterd/1", 0},
                {"clusterd/-1", 0},
                {"clusterd/99999999999", 0}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct member_rec rec = record(1, 4000, 0, span_str(rows[i].payload));
        struct member *m = view_member_new(&rec);
        ck_assert_msg(m->clusterd_version == rows[i].version, "%s", rows[i].payload);
        ck_assert(span_eq(blob_span(m->payload), rec.payload));
        view_member_unref(m);
    }
}
END_TEST

START_TEST(odd_ports_are_unreachable_not_wrapped)
{
    struct member_rec rec = record(1, -1, 0, (struct span){0});
    struct member *m = view_member_new(&rec);

    ck_assert_uint_eq(m->addr.port, 0);
    ck_assert(view_member_is(m, &rec));
    view_member_unref(m);
}
END_TEST

START_TEST(view_is_sorted_by_alive_and_stable)
{
    struct member *m[] = {member(1, 100), member(2, -5), member(3, 700), member(4, 100)};
    struct view *v = view_new(9, m, 4);

    ck_assert_uint_eq(v->serial, 9);
    ck_assert_uint_eq(v->n, 4);
    ck_assert_ptr_eq(v->members[0], m[2]);
    ck_assert_ptr_eq(v->members[1], m[0]);
    ck_assert_ptr_eq(v->members[2], m[3]);
    ck_assert_ptr_eq(v->members[3], m[1]);
    for (int i = 0; i < 4; i++)
        view_member_unref(m[i]);
    struct view *again = view_ref(v);
    view_unref(v);
    ck_assert_str_eq(again->members[0]->name, "10.0.0.3:4000"); /* still alive by the view's references */
    view_unref(again);
}
END_TEST

START_TEST(lookups)
{
    struct member *m[] = {member(1, 1), member(2, 2)};
    struct view *v = view_new(1, m, 2);
    struct member_rec rec = record(2, 4000, 0, (struct span){0});
    struct addr a = m[0]->addr;
    struct ident none = {{0xff}};

    ck_assert_ptr_eq(view_find(v, &rec), m[1]);
    ck_assert_ptr_eq(view_find_id(v, &m[0]->id), m[0]);
    ck_assert_ptr_null(view_find_id(v, &none));
    ck_assert_ptr_eq(view_find_addr(v, &a), m[0]);
    a.port = 1;
    ck_assert_ptr_null(view_find_addr(v, &a));
    ck_assert(view_has_host(v, &a));
    a.ip[3] = 77;
    ck_assert(!view_has_host(v, &a));
    rec.id.b[0] = 9;
    ck_assert_ptr_null(view_find(v, &rec));
    view_unref(v);
    view_member_unref(m[0]);
    view_member_unref(m[1]);
}
END_TEST

START_TEST(empty_view)
{
    struct view *v = view_new(0, NULL, 0);
    struct ident id = {{0}};

    ck_assert_uint_eq(v->n, 0);
    ck_assert_ptr_null(view_find_id(v, &id));
    view_unref(v);
    view_unref(NULL);
    view_member_unref(NULL);
}
END_TEST

START_TEST(log_text_is_tomcats)
{
    struct member *m = member(1, 0);
    struct buf b = {0};

    view_member_text(m, false, &b);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&b), "tcp://10.0.0.1:4000,10.0.0.1,4000, alive=0"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&b), "command={}"));
    buf_clear(&b);
    view_member_text(m, true, &b);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&b), "command={66 65 66 89"));
    buf_fini(&b);
    view_member_unref(m);
}
END_TEST

#define ALWAYS 100
#define NEVER  200

/* By the first byte of their ids. */
static uint64_t last_turn[256], longest_wait[256], call;

static uint64_t turn_by_id(const struct member *m)
{
    if (m->id.b[0] >= ALWAYS)
        return m->id.b[0] >= NEVER ? VIEW_TURN_NEVER : VIEW_TURN_ALWAYS;
    return last_turn[m->id.b[0]];
}

struct taken {
    unsigned last, some, always;
};

static void take(void *arg, struct member *m)
{
    struct taken *t = arg;
    uint8_t id = m->id.b[0];

    ck_assert_uint_gt(id, t->last); /* the order of the view */
    t->last = id;
    t->some += id < ALWAYS;
    t->always += id >= ALWAYS && id < NEVER;
    if (call - last_turn[id] > longest_wait[id])
        longest_wait[id] = call - last_turn[id];
    last_turn[id] = call;
}

/* One call for the members from 1 to n but `but`, one whose turn is always and one whose turn is never. */
static void call_once(unsigned n, unsigned but)
{
    struct member *m[ALWAYS];
    struct taken t = {0, 0, 0};
    size_t in = 0;

    for (unsigned i = 1; i <= n; i++)
        if (i != but)
            m[in++] = member((uint8_t)i, 1000 - i);
    unsigned at_once = in < VIEW_TURN_MEMBERS ? (unsigned)in : VIEW_TURN_MEMBERS;
    m[in++] = member(ALWAYS, 2);
    m[in++] = member(NEVER, 1);
    struct view *v = view_new(1, m, in);
    view_take_turns(v, turn_by_id, take, &t);
    ck_assert_uint_eq(t.some, at_once);
    ck_assert_uint_eq(t.always, 1);
    view_unref(v);
    while (in > 0)
        view_member_unref(m[--in]);
}

static void begin_turns(void)
{
    call = 1;
    for (unsigned i = 0; i < 256; i++)
        last_turn[i] = 1, longest_wait[i] = 0;
}

/* Nobody leaves; two by turns; each in turn. A member waits for all others, and once more when it was away.
 */
START_TEST(turns_go_round)
{
    for (unsigned n = 1; n <= 20; n++)
        for (unsigned churn = 0; churn < 3; churn++) {
            begin_turns();
            for (call = 2; call < 200; call++)
                call_once(n, churn == 0 ? 0 : churn == 1 ? 1 + call % 2 * (n / 2) : 1 + call * 7 % n);
            for (unsigned i = 1; i <= n; i++)
                ck_assert_uint_le(longest_wait[i],
                                  (n + VIEW_TURN_MEMBERS - 1) / VIEW_TURN_MEMBERS + (churn > 0));
        }
}
END_TEST

CLUSTERD_SUITE(view, &identity_is_host_port_and_id, &ipv6_member, &payload_tells_a_clusterd,
               &odd_ports_are_unreachable_not_wrapped, &view_is_sorted_by_alive_and_stable, &lookups,
               &empty_view, &log_text_is_tomcats, &turns_go_round)
