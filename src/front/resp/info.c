/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INFO: what clients (ioredis waits for loading:0), exporters and `redis-cli --stat` read, with real figures,
 * under Redis' names; and a section of clusterd's own. Redis: server.c, genRedisInfoString.
 */
#include "clusterd/channel/channel.h"
#include "handlers.h"
#include "scan.h"

#include <inttypes.h>
#include <sys/utsname.h>
#include <unistd.h>

struct section {
    const char *name, *title;
    void (*write)(struct conn *c, struct buf *b);
};

static uint64_t uptime_s(const struct conn *c)
{
    return (loop_mono_ms(c->worker->loop) - c->front->started_mono_ms) / 1000;
}

static unsigned tcp_port(const struct front *f)
{
    for (size_t i = 0; i < f->n_doors; i++)
        if (!f->doors[i].is_unix)
            return f->doors[i].at.port;
    return 0;
}

static void human(struct buf *b, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double v = (double)bytes;
    size_t u = 0;

    for (; v >= 1024 && u + 2 < sizeof units; u++)
        v /= 1024;
    wr_printf(b, u ? "%s:%.2f%c\r\n" : "%s:%.0f%c\r\n", name, v, units[u]);
}

static void write_server(struct conn *c, struct buf *b)
{
    struct utsname os;
    bool known = uname(&os) == 0;

    wr_printf(b, "redis_version:" FRONT_REDIS_VERSION "\r\nredis_mode:standalone\r\n");
    wr_printf(b, "clusterd_version:%s\r\n", CLUSTERD_VERSION);
    wr_printf(b, "os:%s %s %s\r\n", known ? os.sysname : "", known ? os.release : "",
              known ? os.machine : "");
    wr_printf(b, "arch_bits:%zu\r\nmultiplexing_api:epoll\r\n", 8 * sizeof(void *));
    wr_printf(b, "process_id:%ld\r\nrun_id:%s\r\ntcp_port:%u\r\n", (long)getpid(), c->front->run_id,
              tcp_port(c->front));
    wr_printf(b, "server_time_usec:%" PRId64 "\r\n", loop_wall_ms(c->worker->loop) * 1000);
    wr_printf(b, "uptime_in_seconds:%" PRIu64 "\r\nuptime_in_days:%" PRIu64 "\r\n", uptime_s(c),
              uptime_s(c) / 86400);
    wr_printf(b, "io_threads_active:%u\r\n", c->front->n_workers);
}

static void write_clients(struct conn *c, struct buf *b)
{
    wr_printf(b, "connected_clients:%u\r\nmaxclients:%" PRId32 "\r\nblocked_clients:%u\r\n",
              atomic_load(&c->front->clients), c->front->conf->max_clients, atomic_load(&c->front->blocked));
}

static void write_memory(struct conn *c, struct buf *b)
{
    uint64_t used = table_bytes(c->front->table), max = table_conf(c->front->table)->max_bytes;

    wr_printf(b, "used_memory:%" PRIu64 "\r\n", used);
    human(b, "used_memory_human", used);
    wr_printf(b, "used_memory_dataset:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\n", used, max);
    human(b, "maxmemory_human", max);
    wr_text(b, "maxmemory_policy:noeviction\r\n");
}

static bool is_loading(const struct conn *c)
{
    return atomic_load_explicit(&c->front->loading, memory_order_relaxed);
}

static void write_persistence(struct conn *c, struct buf *b)
{
    wr_printf(b, "loading:%d\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n",
              is_loading(c));
}

static void write_stats(struct conn *c, struct buf *b)
{
    struct metrics *m = c->front->metrics;

    wr_printf(b, "total_connections_received:%llu\r\n", metric_get(m, clients_accepted));
    wr_printf(b, "total_commands_processed:%llu\r\n", metric_get(m, commands));
    wr_printf(b, "rejected_connections:%llu\r\n", metric_get(m, clients_refused));
    wr_printf(b, "expired_keys:%llu\r\nevicted_keys:0\r\n", metric_get(m, sessions_expired));
    wr_printf(b, "keyspace_hits:%llu\r\n", metric_get(m, key_hits));
    wr_printf(b, "keyspace_misses:%llu\r\n", metric_get(m, key_misses));
    wr_printf(b, "acl_access_denied_auth:%llu\r\n", metric_get(m, auth_failures));
    wr_printf(b, "unknown_commands:%llu\r\n", metric_get(m, commands_unknown));
}

/* The replicas of Redis' model are not what members are; they have a section of their own. */
static void write_replication(struct conn *c, struct buf *b)
{
    wr_printf(b, "role:master\r\nconnected_slaves:0\r\nmaster_replid:%s\r\nmaster_repl_offset:0\r\n",
              c->front->run_id);
}

static void write_cluster(struct conn *c, struct buf *b)
{
    (void)c;
    wr_text(b, "cluster_enabled:0\r\n");
}

static void write_keyspace(struct conn *c, struct buf *b)
{
    for (unsigned db = 0; db < FRONT_DATABASES; db++) {
        int64_t keys = scan_count_keys(c, db);
        if (keys > 0)
            wr_printf(b, "db%u:keys=%" PRId64 ",expires=0,avg_ttl=0\r\n", db, keys);
    }
}

static void write_clusterd(struct conn *c, struct buf *b)
{
    struct manager *m = c->front->manager;
    struct cluster *cluster = manager_cluster(m);
    const char *why = "";
    bool complete = manager_is_complete(m, &why);

    wr_printf(b, "clusterd_version:%s\r\ncomplete:%d\r\nincomplete_because:%s\r\n", CLUSTERD_VERSION,
              complete, complete ? "" : why);
    wr_printf(b, "sessions:%" PRIu64 "\r\nmin_acks:%u\r\n", table_sessions(c->front->table),
              c->front->min_acks);
    wr_printf(b, "replicas_short:%llu\r\n", metric_get(c->front->metrics, replicas_short));
    if (!cluster)
        return;
    struct view *v = channel_view(cluster_channel(cluster));
    wr_printf(b, "members:%zu\r\n", v->n);
    for (size_t i = 0; i < v->n; i++) {
        const struct member *x = v->members[i];
        wr_printf(b, "member%zu:name=%s,kind=%s,suspect=%d,lagging=%d,queued_bytes=%llu\r\n", i, x->name,
                  x->clusterd_version ? "clusterd" : "tomcat", atomic_load(&x->suspect),
                  atomic_load(&x->lagging), atomic_load(&x->queued_bytes));
    }
    view_unref(v);
}

static const struct section sections[] = {
    {"server", "Server", write_server},       {"clients", "Clients", write_clients},
    {"memory", "Memory", write_memory},       {"persistence", "Persistence", write_persistence},
    {"stats", "Stats", write_stats},          {"replication", "Replication", write_replication},
    {"cluster", "Cluster", write_cluster},    {"clusterd", "Clusterd", write_clusterd},
    {"keyspace", "Keyspace", write_keyspace},
};

static bool is_asked(const struct words *w, const struct section *s)
{
    bool asked = w->n == 1;

    for (size_t i = 1; i < w->n; i++)
        asked |= word_is(w, i, s->name) || word_is(w, i, "all") || word_is(w, i, "everything") ||
                 word_is(w, i, "default");
    return asked;
}

void info_info(struct conn *c, const struct words *w)
{
    struct buf b = {0};

    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!is_asked(w, &sections[i]))
            continue;
        wr_printf(&b, "%s# %s\r\n", b.n ? "\r\n" : "", sections[i].title);
        sections[i].write(c, &b);
    }
    resp_verbatim(c->out, c->proto, "txt", buf_span(&b));
    buf_fini(&b);
}
