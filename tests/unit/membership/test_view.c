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

static enum view_turn turn_by_id(const struct member *m)
{
    if (m->id.b[0] >= 100)
        return m->id.b[0] >= 200 ? VIEW_TURN_NONE : VIEW_TURN_ALL;
    return VIEW_TURN_SOME;
}

struct taken {
    unsigned times[256];
    unsigned last, some;
};

static void take(void *arg, struct member *m)
{
    struct taken *t = arg;

    ck_assert_uint_gt(m->id.b[0], t->last); /* the order of the view */
    t->last = m->id.b[0];
    t->times[t->last]++;
    t->some += t->last < 100;
}

/* n that have turns, one whose turn is always, one whose turn is never: all are called as often as is right,
 * at most one more than others. */
static void take_turns(unsigned n, uint8_t self, unsigned calls)
{
    struct ident id = {{[IDENT_LEN - 1] = self}};
    unsigned at_once = n < VIEW_TURN_MEMBERS ? n : VIEW_TURN_MEMBERS, least;
    struct member *m[100];
    struct taken t = {{0}, 0, 0};

    for (unsigned i = 0; i < n; i++)
        m[i] = member((uint8_t)(i + 1), 1000 - i);
    m[n] = member(100, 2);
    m[n + 1] = member(200, 1);
    struct view *v = view_new(1, m, n + 2);
    for (unsigned i = 0; i < calls; i++) {
        t.last = t.some = 0;
        view_take_turns(v, &id, i, turn_by_id, take, &t);
        ck_assert_uint_eq(t.some, at_once);
    }
    ck_assert_uint_eq(t.times[100], calls);
    ck_assert_uint_eq(t.times[200], 0);
    least = n ? calls * at_once / n : 0;
    for (unsigned i = 1; i <= n; i++) {
        ck_assert_uint_ge(t.times[i], least);
        ck_assert_uint_le(t.times[i], least + 1);
    }
    view_unref(v);
    for (unsigned i = 0; i < n + 2; i++)
        view_member_unref(m[i]);
}

START_TEST(turns_go_round)
{
    for (unsigned n = 0; n <= 20; n++)
        for (unsigned calls = 1; calls < 12; calls++) {
            take_turns(n, 0, calls);
            take_turns(n, 255, calls);
        }
}
END_TEST

START_TEST(members_begin_with_different_ones)
{
    struct member *m[20];
    struct taken t = {{0}, 0, 0};

    for (unsigned i = 0; i < 20; i++)
        m[i] = member((uint8_t)(i + 1), 1000 - i);
    struct view *v = view_new(1, m, 20);
    for (unsigned self = 0; self < 20; self++) {
        struct ident id = {{[IDENT_LEN - 1] = (uint8_t)self}};
        t.last = 0;
        view_take_turns(v, &id, 7, turn_by_id, take, &t);
    }
    for (unsigned i = 1; i <= 20; i++)
        ck_assert_uint_eq(t.times[i], VIEW_TURN_MEMBERS);
    view_unref(v);
    for (unsigned i = 0; i < 20; i++)
        view_member_unref(m[i]);
}
END_TEST

CLUSTERD_SUITE(view, &identity_is_host_port_and_id, &ipv6_member, &payload_tells_a_clusterd,
               &odd_ports_are_unreachable_not_wrapped, &view_is_sorted_by_alive_and_stable, &lookups,
               &empty_view, &log_text_is_tomcats, &turns_go_round, &members_begin_with_different_ones)
