/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the simulated cluster over a range of seeds:
 *
 *   sim_cluster [--from N] [--seeds N] [--verbose] [--steady-clocks] [--expect-failure]
 *
 * The seed also draws the shape of the run: 2 to 8 nodes, sync or async, Tomcats or none, clocks that agree
 * or not. A failing seed is printed with what was broken and ends the run with status 1; --expect-failure
 * turns that round (for planted bugs: status 0 only when some seed fails).
 */
#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void to_stderr(void *arg, enum log_level level, const char *line)
{
    struct world *w = *(struct world **)arg;

    fprintf(stderr, "%8llu ms %d %s\n", w && w->sim ? (unsigned long long)sim_now_us(w->sim) / 1000 : 0,
            (int)level, line);
}

static uint64_t mix(uint64_t x)
{
    return hash_mix(x, 0x5eed);
}

static struct world_conf shape_of(uint64_t seed)
{
    uint64_t h = mix(seed);
    struct world_conf c = {.n_nodes = 2 + (unsigned)(h % 3),
                           .sync = (h >> 8) % 3 != 0,
                           .n_tomcats = (unsigned)((h >> 16) % 3),
                           .loss_percent = (h >> 24) % 2 ? 20 : 0,
                           .skew = (h >> 32) % 2,
                           .kills = 1 + (unsigned)((h >> 40) % 4),
                           .steps_ms = 4000 + (unsigned)((h >> 48) % 12000)};

    if ((h >> 4) % 16 == 0)
        c.n_nodes = 8;
    return c;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, seeds = 50;
    bool verbose = false, expect_failure = false, steady = false;
    struct world *current = NULL;
    unsigned long long writes = 0, acks = 0, reads = 0, kills = 0, events = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--steady-clocks") == 0)
            steady = true;
        else if (strcmp(argv[i], "--expect-failure") == 0)
            expect_failure = true;
        else {
            fprintf(stderr,
                    "usage: %s [--from N] [--seeds N] [--verbose] [--steady-clocks] [--expect-failure]\n",
                    argv[0]);
            return 2;
        }
    }
    if (verbose)
        log_set_sink(to_stderr, &current), log_set_level(LOG_DEBUG);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct world *w = MEM_NEW(struct world);
        w->seed = seed;
        w->conf = shape_of(seed);
        w->conf.skew &= !steady;
        current = w;
        world_run(w);
        writes += w->writes;
        acks += w->acks;
        reads += w->reads;
        kills += w->kills;
        events += sim_events(w->sim);
        bool failed = *w->failure;
        if (failed)
            printf("seed %llu (%u nodes, %u tomcats, %s%s, loss %u %%):\n%s", (unsigned long long)seed,
                   w->conf.n_nodes, w->conf.n_tomcats, w->conf.sync ? "sync" : "async",
                   w->conf.skew ? ", skewed clocks" : "", w->conf.loss_percent, w->failure);
        if (failed) {
            printf("found after %llu seeds\n", (unsigned long long)(seed - from + 1));
            fflush(stdout);
            _Exit(expect_failure ? 0 : 1); /* a broken world is not taken down in order */
        }
        current = NULL;
        world_free(w);
        mem_free(w);
    }
    printf(
        "%llu seeds: %llu writes, %llu acknowledged, %llu reads, %llu kills, %llu events; nothing broken\n",
        (unsigned long long)seeds, writes, acks, reads, kills, events);
    return expect_failure ? 1 : 0;
}
