/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heartbeats of very many members, on simulated hosts and virtual time: what one heard heartbeat costs, with
 * the simulated network included. Each member is a whole McastService of ours on a host of its own; nothing
 * else of a node is there.
 *
 *   heartbeat_sim [--members 1000]
 *
 * All members start at once and announce themselves, which is most of the work: each looks through all that
 * it knows for somebody whom it does not know yet. Then everybody must know everybody, and a line of JSON
 * says that it is ready. Each line "run ms=N" has that many virtual milliseconds counted, in which each is
 * heard every 500, and is answered by a line; "quit" ends. Status 1 when somebody is missing or has
 * disappeared.
 */
#include "clusterd/loop/sim.h"
#include "clusterd/membership/mcast.h"
#include "clusterd/util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MEMBERS_MAX 4000
#define SETTLE_MS   250 /* the first heartbeat at once, the second one after 500 */

struct sim_member {
    struct host *host;
    struct mcast *mcast;
    struct metrics metrics;
    unsigned known;
};

static struct sim *sim;
static struct sim_member *members;
static unsigned n_members = 1000;
static unsigned long long n_gone;
static struct mcast_conf conf;

static void on_added(void *arg, struct member *m)
{
    (void)m;
    ((struct sim_member *)arg)->known++;
}

static void on_disappeared(void *arg, struct member *m, bool shutdown)
{
    (void)arg;
    (void)m;
    n_gone += !shutdown;
}

static void on_frames(void *arg, struct span packet, const struct addr *from)
{
    (void)arg;
    (void)packet;
    (void)from;
}

static const struct mcast_events events = {
    .on_added = on_added, .on_disappeared = on_disappeared, .on_frames = on_frames};

static double cpu_s(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static unsigned long long heard(void)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < n_members; i++)
        n += metric_get(&members[i].metrics, heartbeats_received);
    return n;
}

static bool start(struct sim_member *m, unsigned index)
{
    char ip[32];
    struct diag d = {0};

    snprintf(ip, sizeof ip, "10.0.%u.%u", index / 250, index % 250 + 1);
    struct member_rec rec = {.port = 4000,
                             .secure_port = -1,
                             .udp_port = -1,
                             .host_len = 4,
                             .host = {10, 0, (uint8_t)(index / 250), (uint8_t)(index % 250 + 1)},
                             .payload = SPAN_LIT("clusterd/1")};
    memcpy(rec.id.b, rec.host, 4);
    m->host = sim_host_new(sim, ip, 1);
    bool good = mcast_new(m->host, &conf, &events, m, &m->metrics, &d, &m->mcast) == ERR_OK &&
                mcast_start_rx(m->mcast, &rec, NULL, NULL, &d) == ERR_OK &&
                mcast_start_tx(m->mcast, &rec, NULL, NULL, &d) == ERR_OK;
    if (!good)
        fprintf(stderr, "member %u does not start: %s\n", index, buf_cstr(&d.text));
    diag_fini(&d);
    return good;
}

static bool all_know_all(void)
{
    for (unsigned i = 0; i < n_members; i++)
        if (members[i].known != n_members - 1)
            return false;
    return n_gone == 0;
}

static bool begin(void)
{
    for (unsigned i = 0; i < n_members; i++)
        if (!start(&members[i], i))
            return false;
    sim_run_ms(sim, SETTLE_MS);
    printf("{\"members\": %u}\n", n_members);
    fflush(stdout);
    return true;
}

static void count(unsigned ms)
{
    double cpu = cpu_s();
    unsigned long long n = heard();

    sim_run_ms(sim, ms);
    cpu = cpu_s() - cpu;
    n = heard() - n;
    printf("{\"heard\": %llu, \"cpu_us\": %.4f}\n", n, cpu * 1e6 / (double)(n ? n : 1));
    fflush(stdout);
}

static bool run(void)
{
    char line[64];
    unsigned ms;

    if (!begin())
        return false;
    while (all_know_all() && fgets(line, sizeof line, stdin) && sscanf(line, "run ms=%u", &ms) == 1)
        count(ms);
    if (all_know_all())
        return true;
    fprintf(stderr, "not everybody knows everybody, or %llu have disappeared\n", n_gone);
    return false;
}

static void end(void)
{
    for (unsigned i = 0; i < n_members; i++) {
        if (members[i].mcast) {
            mcast_stop(members[i].mcast);
            mcast_free(members[i].mcast);
        }
        if (members[i].host)
            sim_host_end(sim, members[i].host);
    }
    sim_free(sim);
    mem_free(members);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--members") == 0)
            n_members = (unsigned)atoi(argv[i + 1]);
        else
            n_members = 0;
    }
    if (n_members < 2 || n_members > MEMBERS_MAX) {
        fprintf(stderr, "usage: heartbeat_sim [--members 2-%d]\n", MEMBERS_MAX);
        return 2;
    }
    option_defaults(mcast_options, &conf);
    mem_free(conf.address);
    conf.address = mem_strdup("228.0.0.4");
    members = mem_array(n_members, sizeof *members);
    sim = sim_new(1);
    bool good = run();
    end();
    option_free(mcast_options, &conf);
    return good ? 0 : 1;
}
