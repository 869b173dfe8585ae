/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast groups on 127.0.0.1 (real) and on the simulated network. Where this machine cannot do multicast
 * on its loopback interface, the real tests say so and end.
 */
#include "clusterd/loop/multicast.h"
#include "world.h"

#include <unistd.h>

struct member {
    struct multicast *m;
    unsigned n, errors;
    size_t bytes;
    struct addr from;
    bool close_inside;
    uint8_t last;
};

static void on_packet(void *arg, struct span packet, const struct addr *from)
{
    struct member *m = arg;

    m->n++;
    m->bytes = packet.n;
    m->from = *from;
    m->last = packet.n ? packet.p[0] : 0;
    if (m->close_inside)
        multicast_close(m->m);
}

static void on_error(void *arg, const char *what)
{
    (void)what;
    ((struct member *)arg)->errors++;
}

static struct multicast_options options(const char *group, const char *bind)
{
    /* Each test process has its own port. */
    struct multicast_options o = {.ttl = -1};

    ck_assert_int_eq(addr_parse(group, (uint16_t)(20000 + getpid() % 10000), &o.group), ERR_OK);
    if (bind)
        ck_assert_int_eq(addr_parse(bind, 0, &o.bind), ERR_OK);
    return o;
}

/* Joins, or says why not and gives false. */
static bool join(struct loop *l, const struct multicast_options *o, struct member *m)
{
    struct diag d = {0};

    *m = (struct member){0};
    if (multicast_open(l, o, on_packet, on_error, m, &d, &m->m) != ERR_OK) {
        printf("no multicast here: %s", buf_cstr(&d.text));
        diag_fini(&d);
        return false;
    }
    diag_fini(&d);
    return true;
}

static bool heard(void *arg)
{
    return ((struct member *)arg)->n > 0;
}

static bool works(struct world *w, struct member *m)
{
    if (multicast_send(m->m, SPAN_LIT("probe")) == ERR_OK && world_run(w, heard, m, 500))
        return true;
    printf("no multicast on this machine's loopback interface: %s\n", multicast_error_text(m->m));
    return false;
}

static void run_group(enum kind kind, const char *group, const char *bind_a, const char *bind_b)
{
    struct world w;
    struct member a, b;
    struct multicast_options oa = options(group, bind_a), ob = options(group, bind_b);

    world_init(&w, kind);
    if (!join(w.la, &oa, &a) || !works(&w, &a)) {
        world_fini(&w);
        ck_assert(kind == REAL);
        return;
    }
    ck_assert(join(w.lb, &ob, &b));
    a.n = 0;
    ck_assert_int_eq(multicast_send(b.m, SPAN_LIT("hello")), ERR_OK);
    ck_assert(world_run(&w, heard, &a, 1000));
    ck_assert(world_run(&w, heard, &b, 1000)); /* a sender hears itself */
    ck_assert_uint_eq(a.n, 1);
    ck_assert_uint_eq(a.bytes, 5);
    /* The source port is the group's. */
    ck_assert_uint_eq(a.from.port, oa.group.port);
    ck_assert_uint_eq(a.errors + b.errors, 0);
    multicast_close(b.m);
    a.n = 0;
    ck_assert_int_eq(multicast_send(a.m, SPAN_LIT("x")), ERR_OK);
    ck_assert(world_run(&w, heard, &a, 1000));
    ck_assert_uint_eq(b.n, 1);
    multicast_close(a.m);
    world_fini(&w);
}

static void group_with_bind(enum kind kind)
{
    run_group(kind, "228.0.0.4", kind == REAL ? "127.0.0.1" : "10.0.0.1",
              kind == REAL ? "127.0.0.1" : "10.0.0.2");
}
BOTH(group_with_bind)

static void large_datagrams(enum kind kind)
{
    struct world w;
    struct member a;
    struct multicast_options o = options("228.0.0.5", kind == REAL ? "127.0.0.1" : "10.0.0.1");
    uint8_t *bytes = mem_zalloc(65535);

    world_init(&w, kind);
    if (join(w.la, &o, &a) && works(&w, &a)) {
        a.n = 0;
        bytes[0] = 7;
        ck_assert_int_eq(multicast_send(a.m, span_of(bytes, 65507)), ERR_OK);
        ck_assert(world_run(&w, heard, &a, 1000));
        ck_assert_uint_eq(a.bytes, 65507);
        ck_assert_uint_eq(a.last, 7);
        ck_assert_int_eq(multicast_send(a.m, span_of(bytes, 65508)), ERR_TOO_BIG);
        ck_assert_ptr_nonnull(strstr(multicast_error_text(a.m), "too long"));
        multicast_close(a.m);
    }
    mem_free(bytes);
    world_fini(&w);
}
BOTH(large_datagrams)

static void loopback_off(struct world *w, const char *group, const char *bind)
{
    struct member a, b;
    struct multicast_options o = options(group, bind);

    ck_assert(join(w->la, &o, &a));
    o.loopback_disabled = true;
    ck_assert(join(w->la, &o, &b));
    ck_assert_int_eq(multicast_send(b.m, SPAN_LIT("x")), ERR_OK);
    ck_assert(!world_run(w, heard, &a, 100));
    ck_assert_int_eq(multicast_send(a.m, SPAN_LIT("x")), ERR_OK);
    ck_assert(world_run(w, heard, &b, 1000));
    multicast_close(b.m);
    multicast_close(a.m);
}

START_TEST(loopback_off_sim)
{
    struct world w;

    world_init(&w, SIM);
    loopback_off(&w, "228.0.0.6", "10.0.0.1");
    world_fini(&w);
}
END_TEST

static void closed_in_callback(enum kind kind)
{
    struct world w;
    struct member a;
    struct multicast_options o = options("228.0.0.7", kind == REAL ? "127.0.0.1" : "10.0.0.1");

    world_init(&w, kind);
    if (join(w.la, &o, &a) && works(&w, &a)) {
        a.n = 0;
        a.close_inside = true;
        for (unsigned i = 0; i < 5; i++)
            ck_assert_int_eq(multicast_send(a.m, SPAN_LIT("x")), ERR_OK);
        world_run(&w, NULL, NULL, 50);
        ck_assert_uint_eq(a.n, 1);
    } else if (kind == SIM) {
        ck_abort_msg("no simulated multicast");
    }
    world_fini(&w);
}
BOTH(closed_in_callback)

static void expect_error(enum kind kind, struct multicast_options o, const char *part)
{
    struct world w;
    struct multicast *m = NULL;
    struct diag d = {0};

    world_init(&w, kind);
    ck_assert_int_eq(multicast_open(w.la, &o, on_packet, on_error, NULL, &d, &m), ERR_CONFIG);
    ck_assert_ptr_null(m);
    ck_assert_uint_eq(d.errors, 1);
    ck_assert_msg(strstr(buf_cstr(&d.text), part), "%s", buf_cstr(&d.text));
    diag_fini(&d);
    world_fini(&w);
}

static void mistakes_are_explained(enum kind kind)
{
    struct multicast_options o = options("10.1.2.3", NULL);

    expect_error(kind, o, "not a group address");
    o = options("228.0.0.4", "198.51.100.77");
    expect_error(kind, o, "bind address 198.51.100.77");
    o = options("228.0.0.4", "::1");
    expect_error(kind, o, "different families");
    o = options("228.0.0.4", NULL);
    o.ttl = 256;
    expect_error(kind, o, "TTL of 256");
}
BOTH(mistakes_are_explained)

/* Groups that share a port do not hear each other. */
START_TEST(groups_are_separate)
{
    struct world w;
    struct member a, b;
    struct multicast_options o = options("228.0.0.8", "127.0.0.1"), other = options("228.0.0.9", "127.0.0.1");

    world_init(&w, REAL);
    if (join(w.la, &o, &a) && works(&w, &a)) {
        /* Another group on the same port is another conversation. */
        ck_assert(join(w.la, &other, &b));
        a.n = 0;
        ck_assert_int_eq(multicast_send(b.m, SPAN_LIT("for others")), ERR_OK);
        ck_assert(world_run(&w, heard, &b, 1000));
        world_run(&w, NULL, NULL, 20);
        ck_assert_uint_eq(a.n, 0);
        multicast_close(b.m);
        multicast_close(a.m);
    }
    world_fini(&w);
}
END_TEST

/* --- interfaces that the loopback one is no stand-in for: in a network namespace of its own --- */

#define IN_NAMESPACE "CLUSTERD_TEST_NAMESPACE"

static void in_namespace(void)
{
    struct world w;
    struct multicast_options far = options("228.0.0.4", NULL);
    struct multicast *m = NULL;
    struct diag d = {0};

    run_group(REAL, "228.0.0.4", "10.9.0.1", "10.9.0.1");
    run_group(REAL, "ff02::114", "fd00::9", "fd00::9");
    world_init(&w, REAL);
    loopback_off(&w, "228.0.0.6", "10.9.0.1");
    loopback_off(&w, "ff02::115", "fd00::9");
    /* There is no default route here. */
    ck_assert_int_eq(multicast_open(w.la, &far, on_packet, on_error, NULL, &d, &m), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "no route for multicast"));
    diag_fini(&d);
    world_fini(&w);
}

START_TEST(namespace)
{
    char self[512], command[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (getenv(IN_NAMESPACE)) {
        in_namespace();
        return;
    }
    ck_assert_int_gt(n, 0);
    self[n] = 0;
    if (system("unshare -rn ip tuntap add d0 mode tap 2>/dev/null") != 0) {
        printf("no network namespaces here: multicast over a real interface is not tested\n");
        return;
    }
    snprintf(command, sizeof command,
             "unshare -rn sh -c 'ip link set lo up; ip tuntap add d0 mode tap; ip link set d0 up; "
             "ip addr add 10.9.0.1/24 dev d0; ip addr add fd00::9/64 dev d0 nodad; " IN_NAMESPACE
             "=1 CK_FORK=no exec %s multicast_namespace' >&2",
             self);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

CLUSTERD_SUITE(multicast_namespace, &namespace)
CLUSTERD_SUITE(multicast, &group_with_bind_real, &group_with_bind_sim, &large_datagrams_real,
               &large_datagrams_sim, &loopback_off_sim, &closed_in_callback_real, &closed_in_callback_sim,
               &mistakes_are_explained_real, &mistakes_are_explained_sim, &groups_are_separate)
