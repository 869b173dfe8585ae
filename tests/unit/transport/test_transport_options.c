/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of receiver and sender: the <Cluster> element that everybody copies, in its old names and
 * in today's, Tomcat's defaults, and what is refused.
 */
#include "clusterd/conf/tree.h"
#include "rig.h"

static enum err load(const struct option_spec *rows, const char *text, void *out, struct diag *d)
{
    struct conf_node *root;

    ck_assert_int_eq(tree_load_text(span_str(text), "x.yaml", d, &root), ERR_OK);
    enum err e = option_load(root, rows, NULL, out, d);
    tree_free(root);
    return e;
}

static void loads_receiver(const char *text)
{
    struct receiver_conf c = {0};
    struct diag d = {0};

    ck_assert_msg(load(receiver_options, text, &c, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert_str_eq(c.address, "auto");
    ck_assert_int_eq(c.port, 4001);
    ck_assert_int_eq(c.auto_bind, 100);
    ck_assert_int_eq(c.selector_timeout_ms, 100);
    ck_assert_int_eq(c.max_threads, 6);
    ck_assert_uint_eq(c.max_frame_bytes, 1 << 30);
    ck_assert_uint_eq(c.max_stranger_frame_bytes, 1 << 20);
    ck_assert_uint_eq(c.allow_from.n, 2);
    ck_assert_str_eq(c.allow_from.v[1], "::1/128");
    option_free(receiver_options, &c);
    diag_fini(&d);
}

START_TEST(receiver_in_old_and_new_names)
{
    loads_receiver("className: org.apache.catalina.cluster.tcp.ReplicationListener\ntcpListenAddress: auto\n"
                   "tcpListenPort: 4001\ntcpSelectorTimeout: 100\ntcpThreadCount: 6\n"
                   "allowFrom: [10.0.0.0/8, '::1/128']\n");
    loads_receiver(
        "className: org.apache.catalina.tribes.transport.nio.NioReceiver\naddress: auto\nport: 4001\n"
        "selectorTimeout: 100\nmaxThreads: 6\nautoBind: 100\nallowFrom: [10.0.0.0/8, '::1/128']\n");
}
END_TEST

START_TEST(receiver_defaults_are_tomcats)
{
    struct receiver_conf c = {0};

    option_defaults(receiver_options, &c);
    ck_assert_str_eq(c.address, "auto");
    ck_assert_int_eq(c.port, 4000);
    ck_assert_int_eq(c.auto_bind, 100);
    ck_assert_int_eq(c.selector_timeout_ms, 5000);
    ck_assert_int_eq(c.max_threads, 15);
    ck_assert_uint_eq(c.allow_from.n, 0);
    option_free(receiver_options, &c);
}
END_TEST

START_TEST(sender_options)
{
    struct transmitter_conf c = {0};
    struct diag d = {0};

    ck_assert_int_eq(load(transmitter_options,
                          "className: ReplicationTransmitter\nreplicationMode: fastasyncqueue\npoolSize: 25\n"
                          "timeout: 5000\nmaxRetryAttempts: 0\nkeepAliveCount: 100\nkeepAliveTime: -1\n"
                          "maxQueueBytes: 1m\n",
                          &c, &d),
                     ERR_OK);
    ck_assert_int_eq(c.replication_mode, 1);
    ck_assert_int_eq(c.pool_size, 25);
    ck_assert_int_eq(c.timeout_ms, 5000);
    ck_assert_int_eq(c.max_retry_attempts, 0);
    ck_assert_int_eq(c.keep_alive_count, 100);
    ck_assert_int_eq(c.keep_alive_time_ms, -1);
    ck_assert_uint_eq(c.max_queue_bytes, 1 << 20);
    option_free(transmitter_options, &c);
    c = (struct transmitter_conf){0};
    option_defaults(transmitter_options, &c);
    ck_assert_int_eq(c.pool_size, 4);
    ck_assert_int_eq(c.timeout_ms, 3000);
    ck_assert_int_eq(c.max_retry_attempts, 1);
    ck_assert_int_eq(c.keep_alive_count, -1);
    ck_assert_uint_eq(c.max_queue_bytes, 64 << 20);
    option_free(transmitter_options, &c);
    diag_fini(&d);
}
END_TEST

START_TEST(wrong_values_are_refused)
{
    static const struct {
        const struct option_spec *rows;
        const char *text, *want;
    } rows[] = {{receiver_options, "port: 65536\n", "port"},
                {receiver_options, "port: -1\n", "port"},
                {receiver_options, "allowFrom: [10.0.0.0/33]\n", "must be a network"},
                {receiver_options, "className: BioReceiver\n", "className"},
                {receiver_options, "maxThreads: 0\n", "maxThreads"},
                {receiver_options, "adress: auto\n", "address"},
                {transmitter_options, "replicationMode: fast\n", "replicationMode"},
                {transmitter_options, "poolSize: 0\n", "poolSize"},
                {transmitter_options, "keepAliveCount: -2\n", "keepAliveCount"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        union {
            struct receiver_conf r;
            struct transmitter_conf t;
        } c = {0};
        struct diag d = {0};
        ck_assert_msg(load(rows[i].rows, rows[i].text, &c, &d) == ERR_CONFIG, "%s", rows[i].text);
        ck_assert_msg(strstr(buf_cstr(&d.text), rows[i].want) != NULL, "%s", buf_cstr(&d.text));
        option_free(rows[i].rows, &c);
        diag_fini(&d);
    }
}
END_TEST

CLUSTERD_SUITE(transport_options, &receiver_in_old_and_new_names, &receiver_defaults_are_tomcats,
               &sender_options, &wrong_values_are_refused)
