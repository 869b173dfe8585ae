/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole configuration: the file that everybody copies, both generations of names, inheritance, what is
 * dumped can be loaded again, and a table of files with mistakes, each with the lines that must be told.
 */
#include "clusterd/daemon/config.h"

#include "clusterd/util/log.h"
#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct config *load(const char *yaml, const char *expected_warnings)
{
    struct diag d = {0};
    struct config *c = NULL;
    enum err e = config_load_text(span_str(yaml), "t.yaml", &d, &c);

    ck_assert_msg(e == ERR_OK, "%s\n%s", buf_cstr(&d.text), yaml);
    ck_assert_str_eq(buf_cstr(&d.text), expected_warnings);
    diag_fini(&d);
    return c;
}

/* What goes wrong with this file: all lines of it. The caller frees. */
static char *mistakes(const char *yaml)
{
    struct diag d = {0};
    struct config *untouched = (struct config *)&d, *c = untouched;
    enum err e = config_load_text(span_str(yaml), "t.yaml", &d, &c);

    ck_assert_msg(e == ERR_CONFIG, "was accepted:\n%s", yaml);
    ck_assert_ptr_eq(c, untouched);
    ck_assert_uint_gt(d.errors, 0);
    char *text = mem_strdup(buf_cstr(&d.text));
    diag_fini(&d);
    return text;
}

START_TEST(empty_file_gives_defaults)
{
    struct config *c = load("", "");

    ck_assert_str_eq(c->membership.address, "228.0.0.4");
    ck_assert_int_eq((int)c->membership.port, 45564);
    ck_assert_int_eq((int)c->membership.frequency_ms, 500);
    ck_assert_int_eq((int)c->membership.drop_time_ms, 3000);
    ck_assert_str_eq(c->receiver.address, "auto");
    ck_assert_int_eq(c->receiver.port, 4000);
    ck_assert_int_eq(c->receiver.auto_bind, 100);
    ck_assert_uint_eq(c->cluster.send_options, 8);
    ck_assert_uint_eq(c->cluster.start_options, 15);
    ck_assert_uint_eq(c->engine.max_bytes, UINT64_MAX);
    ck_assert(c->engine.prefer_state_transfer);
    ck_assert_int_eq(c->engine.min_acks, 0);
    ck_assert_ptr_null(c->engine.jvm_route);
    ck_assert(c->contexts.auto_contexts);
    ck_assert_int_eq(c->contexts.max_contexts, 1000);
    ck_assert_uint_eq(c->n_contexts, 0);
    ck_assert_uint_eq(c->n_interceptors, 0);
    ck_assert_uint_eq(c->filters.n, 0);
    ck_assert_int_eq((int)c->manager.conf.state_transfer_timeout_s, 60);
    ck_assert_int_eq(c->log.level, LOG_INFO);
    ck_assert_int_eq(c->log.target, CONFIG_LOG_AUTO);
    config_free(c);
}
END_TEST

/* The <Cluster> element of Tomcat 5's server.xml, attribute for attribute. */
START_TEST(tomcat_5_word_for_word)
{
    struct config *c =
        load("cluster:\n"
             "  className: org.apache.catalina.cluster.tcp.SimpleTcpCluster\n"
             "  managerClassName: org.apache.catalina.cluster.session.DeltaManager\n"
             "  expireSessionsOnShutdown: true\n"
             "  useDirtyFlag: false\n"
             "  notifyListenersOnReplication: true\n"
             "  membership:\n"
             "    className: org.apache.catalina.cluster.mcast.McastService\n"
             "    mcastAddr: 228.0.0.5\n"
             "    mcastPort: 45565\n"
             "    mcastFrequency: 501\n"
             "    mcastDropTime: 3001\n"
             "  receiver:\n"
             "    className: org.apache.catalina.cluster.tcp.ReplicationListener\n"
             "    tcpListenAddress: auto\n"
             "    tcpListenPort: 4001\n"
             "    tcpSelectorTimeout: 100\n"
             "    tcpThreadCount: 6\n"
             "  sender:\n"
             "    className: org.apache.catalina.cluster.tcp.ReplicationTransmitter\n"
             "    replicationMode: pooled\n"
             "  valve:\n"
             "    className: org.apache.catalina.cluster.tcp.ReplicationValve\n"
             "    filter: \".*\\\\.gif;.*\\\\.js;.*\\\\.jpg;.*\\\\.htm;.*\\\\.html;.*\\\\.txt;\"\n"
             "  deployer:\n"
             "    className: org.apache.catalina.cluster.deploy.FarmWarDeployer\n"
             "    tempDir: /tmp/war-temp/\n"
             "    deployDir: /tmp/war-deploy/\n"
             "    watchDir: /tmp/war-listen/\n"
             "    watchEnabled: false\n"
             "  clusterListener:\n"
             "    className: org.apache.catalina.cluster.session.ClusterSessionListener\n",
             "");

    ck_assert_str_eq(c->membership.address, "228.0.0.5");
    ck_assert_int_eq((int)c->membership.port, 45565);
    ck_assert_int_eq((int)c->membership.frequency_ms, 501);
    ck_assert_int_eq((int)c->membership.drop_time_ms, 3001);
    ck_assert_str_eq(c->receiver.address, "auto");
    ck_assert_int_eq(c->receiver.port, 4001);
    ck_assert_int_eq((int)c->receiver.selector_timeout_ms, 100);
    ck_assert_int_eq(c->receiver.max_threads, 6);
    ck_assert(c->manager.conf.expire_sessions_on_shutdown);
    ck_assert(!c->engine.use_dirty_flag);
    ck_assert_uint_eq(c->filters.n, 6);
    ck_assert_str_eq(c->filters.v[0], ".*\\.gif");
    ck_assert_str_eq(c->filters.v[5], ".*\\.txt");
    config_free(c);
}
END_TEST

START_TEST(names_of_today)
{
    struct config *c = load("cluster:\n"
                            "  className: org.apache.catalina.ha.tcp.SimpleTcpCluster\n"
                            "  channelSendOptions: 6\n"
                            "  manager: {className: org.apache.catalina.ha.session.DeltaManager}\n"
                            "  membership:\n"
                            "    className: org.apache.catalina.tribes.membership.McastService\n"
                            "    address: 228.0.0.5\n"
                            "    port: 45565\n"
                            "    frequency: 501\n"
                            "    dropTime: 3001\n"
                            "  receiver:\n"
                            "    className: org.apache.catalina.tribes.transport.nio.NioReceiver\n"
                            "    address: 127.0.0.1\n"
                            "    port: 4001\n"
                            "    selectorTimeout: 100\n"
                            "    maxThreads: 6\n"
                            "  interceptors:\n"
                            "    - org.apache.catalina.tribes.group.interceptors.TcpFailureDetector\n"
                            "    - className: MessageDispatch15Interceptor\n"
                            "  valve: {filter: '.*\\.(gif|js)'}\n",
                            "");

    ck_assert_str_eq(c->membership.address, "228.0.0.5");
    ck_assert_int_eq((int)c->membership.port, 45565);
    ck_assert_int_eq((int)c->membership.frequency_ms, 501);
    ck_assert_int_eq((int)c->membership.drop_time_ms, 3001);
    ck_assert_str_eq(c->receiver.address, "127.0.0.1");
    ck_assert_int_eq(c->receiver.port, 4001);
    ck_assert_int_eq((int)c->receiver.selector_timeout_ms, 100);
    ck_assert_int_eq(c->receiver.max_threads, 6);
    ck_assert_uint_eq(c->cluster.send_options, 6);
    ck_assert_uint_eq(c->n_interceptors, 2);
    ck_assert_str_eq(c->interceptors[0].ops->name, "TcpFailureDetector");
    ck_assert_str_eq(c->interceptors[1].ops->name, "MessageDispatchInterceptor");
    ck_assert_uint_eq(c->filters.n, 1);
    config_free(c);
}
END_TEST

START_TEST(contexts_inherit_from_the_manager)
{
    struct config *c = load("cluster:\n"
                            "  expireSessionsOnShutdown: true\n"
                            "  manager:\n"
                            "    stateTransferTimeout: 7\n"
                            "    maxActiveSessions: 50\n"
                            "contexts:\n"
                            "  auto: no\n"
                            "  maxContexts: 12\n"
                            "  list:\n"
                            "    - name: localhost#/app\n"
                            "      keyPrefix: 'app:'\n"
                            "    - name: localhost#\n"
                            "      keyPrefix: 'app:'\n"
                            "      database: 3\n"
                            "      manager:\n"
                            "        maxActiveSessions: 5\n"
                            "        expireSessionsOnShutdown: no\n",
                            "");

    ck_assert(!c->contexts.auto_contexts);
    ck_assert_int_eq(c->contexts.max_contexts, 12);
    ck_assert_uint_eq(c->n_contexts, 2);
    const struct config_context *app = &c->context_list[0], *root = &c->context_list[1];
    ck_assert_str_eq(app->name, "localhost#/app");
    ck_assert_str_eq(app->key_prefix, "app:");
    ck_assert_int_eq(app->database, 0);
    ck_assert_int_eq((int)app->manager.conf.state_transfer_timeout_s, 7);
    ck_assert_int_eq((int)app->manager.conf.max_active_sessions, 50);
    ck_assert(app->manager.conf.expire_sessions_on_shutdown);
    ck_assert_int_eq(root->database, 3);
    ck_assert_int_eq((int)root->manager.conf.state_transfer_timeout_s, 7);
    ck_assert_int_eq((int)root->manager.conf.max_active_sessions, 5);
    ck_assert(!root->manager.conf.expire_sessions_on_shutdown);
    ck_assert((int)root->manager.conf.max_inactive_s == (int)c->manager.conf.max_inactive_s);
    config_free(c);
}
END_TEST

START_TEST(warnings_do_not_refuse)
{
    static const struct {
        const char *yaml, *warning;
    } cases[] = {
        {"cluster: {jvmRoute: node.1}", "t.yaml:1: warning: jvmRoute: node.1 contains a dot"},
        {"cluster:\n  minAcks: 2\n", "t.yaml:2: warning: minAcks: members acknowledge nothing"},
        {"cluster:\n  membership:\n    dropTime: 600\n", "warning: membership: dropTime is less than twice"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diag d = {0};
        struct config *c;
        ck_assert_int_eq(config_load_text(span_str(cases[i].yaml), "t.yaml", &d, &c), ERR_OK);
        ck_assert_uint_eq(d.warnings, 1);
        ck_assert_msg(strstr(buf_cstr(&d.text), cases[i].warning) != NULL, "%s", buf_cstr(&d.text));
        config_free(c);
        diag_fini(&d);
    }
    config_free(load("cluster: {minAcks: 2, channelSendOptions: 'sync,use_ack'}", ""));
}
END_TEST

/* Each file is refused, and every one of the texts (separated by '|') is in what is said. */
static const struct {
    const char *yaml, *said;
} bad_files[] = {
    /* Not a configuration at all. */
    {"- a\n- b\n", "t.yaml:1: error: must be a section of keys"},
    {"hello", "t.yaml:1: error: must be a section of keys"},
    {"cluster: [", "t.yaml:2: error: "},
    {"cluster:\n\tclusterName: x\n", "t.yaml:2: error: "},
    {"cluster: 1\n", "t.yaml:1: error: cluster: must be a section of keys"},
    {"cluster: [a]\n", "t.yaml:1: error: cluster: must be a section of keys"},
    {"cluster:\n  membership: on\n", "t.yaml:2: error: membership: must be a section of keys"},
    {"log: info\n", "log: must be a section of keys"},
    {"control: /run/x\n", "control: must be a section of keys"},
    {"frontDoor: 6379\n", "frontDoor: must be a section of keys"},
    {"contexts: []\n", "contexts: must be a section of keys"},
    {"cluster: {}\n---\ncluster: {}\n", "only one YAML document"},
    {"cluster: &a {}\n", "anchors"},
    {"cluster: !x {}\n", "tags"},
    {"cluster: *a\n", "alias"},
    /* Keys given twice. */
    {"log: {}\nlog: {}\n", "t.yaml:2: error: log: given twice; it is in line 1 already"},
    {"log:\n  level: info\n  level: debug\n", "t.yaml:3: error: level: given twice"},
    {"cluster:\n  membership:\n    mcastAddr: 228.0.0.4\n    address: 228.0.0.4\n",
     "t.yaml:4: error: address: the same key as mcastAddr, which is in line 3 already"},
    {"cluster:\n  membership:\n    port: 1\n    mcastPort: 1\n", "the same key as port"},
    {"cluster:\n  membership:\n    frequency: 500\n    mcastFrequency: 500\n", "the same key as frequency"},
    {"cluster:\n  membership:\n    dropTime: 3000\n    mcastDropTime: 3000\n", "the same key as dropTime"},
    {"cluster:\n  receiver:\n    address: auto\n    tcpListenAddress: auto\n", "the same key as address"},
    {"cluster:\n  receiver:\n    port: 4000\n    tcpListenPort: 4000\n", "the same key as port"},
    {"cluster:\n  receiver:\n    selectorTimeout: 100\n    tcpSelectorTimeout: 100\n", "the same key as"},
    {"cluster:\n  receiver:\n    maxThreads: 6\n    tcpThreadCount: 6\n", "the same key as maxThreads"},
    {"cluster:\n  expireSessionsOnShutdown: no\n  manager:\n    expireSessionsOnShutdown: no\n",
     "t.yaml:2: error: expireSessionsOnShutdown: given twice; it is in line 4, under manager, already"},
    {"cluster:\n  managerClassName: DeltaManager\n  manager:\n    className: DeltaManager\n", "given twice"},
    /* Unknown keys, with the nearest. */
    {"clustr: {}\n", "t.yaml:1: error: clustr: unknown key; did you mean cluster?"},
    {"frontdoor: {}\n", "did you mean frontDoor?"},
    {"xyzzy: 1\n", "t.yaml:1: error: xyzzy: unknown key\n"},
    {"cluster:\n  clusterNam: x\n", "t.yaml:2: error: clusterNam: unknown key; did you mean clusterName?"},
    {"cluster:\n  jvmroute: x\n", "did you mean jvmRoute?"},
    {"cluster:\n  membershp: {}\n", "did you mean membership?"},
    {"cluster:\n  recever: {}\n", "did you mean receiver?"},
    {"cluster:\n  channelSendOption: 8\n", "did you mean channelSendOptions?"},
    {"cluster:\n  channel: {}\n", "channel: write membership, receiver, sender and interceptors directly"},
    {"cluster:\n  membership:\n    mcastAdr: x\n",
     "t.yaml:3: error: mcastAdr: unknown key; did you mean mcastAddr?"},
    {"cluster:\n  membership:\n    tcpListenPort: 1\n", "tcpListenPort: unknown key"},
    {"cluster:\n  receiver:\n    tcpListenPrt: 1\n", "did you mean tcpListenPort?"},
    {"cluster:\n  receiver:\n    allowfrom: 1\n", "did you mean allowFrom?"},
    {"cluster:\n  sender:\n    replicationmode: pooled\n", "did you mean replicationMode?"},
    {"cluster:\n  sender:\n    poolsize: 1\n", "did you mean poolSize?"},
    {"cluster:\n  manager:\n    stateTransferTimeOut: 1\n", "did you mean stateTransferTimeout?"},
    {"cluster:\n  valve:\n    filtre: 1\n", "did you mean filter?"},
    {"cluster:\n  deployer:\n    watchdir: 1\n", "did you mean watchDir?"},
    {"contexts:\n  lists: []\n", "did you mean list?"},
    {"contexts:\n  maxcontexts: 1\n", "did you mean maxContexts?"},
    {"contexts:\n  list:\n    - {name: a, keyprefix: b}\n",
     "t.yaml:3: error: keyprefix: unknown key; did you mean keyPrefix?"},
    {"contexts:\n  list:\n    - {name: a, manager: {maxActive: 1}}\n", "maxActive: unknown key"},
    {"frontDoor:\n  listn: []\n", "did you mean listen?"},
    {"control:\n  sockt: x\n", "did you mean socket?"},
    {"log:\n  levl: info\n", "did you mean level?"},
    /* Wrong types and no values. */
    {"cluster:\n  clusterName:\n", "t.yaml:2: error: clusterName: has no value"},
    {"cluster:\n  clusterName: [a]\n", "clusterName: must be a single value, not a list"},
    {"cluster:\n  clusterName: {a: b}\n", "clusterName: must be a single value, not a section"},
    {"cluster:\n  minAcks: many\n", "minAcks: must be a whole number"},
    {"cluster:\n  minAcks: 1.5\n", "minAcks: must be a whole number"},
    {"cluster:\n  minAcks: 0x10\n", "minAcks: must be a whole number"},
    {"cluster:\n  minAcks: ''\n", "minAcks: must be a whole number"},
    {"cluster:\n  preferStateTransfer: maybe\n", "preferStateTransfer: must be true or false"},
    {"cluster:\n  useDirtyFlag: 1\n", "useDirtyFlag: must be true or false"},
    {"cluster:\n  maxBytes: lots\n",
     "maxBytes: must be a number of bytes such as 65536, 64k, 16m or 2g, or auto"},
    {"cluster:\n  maxBytes: -1\n", "maxBytes: must be "},
    {"cluster:\n  maxBytes: 1t\n", "maxBytes: must be a number of bytes"},
    {"cluster:\n  channelSendOptions: sometimes\n", "channelSendOptions: "},
    {"cluster:\n  channelSendOptions: [8]\n", "channelSendOptions: must be a single value"},
    {"cluster:\n  channelStartOptions: never\n", "channelStartOptions: "},
    {"cluster:\n  heartbeatBackgroundEnabled: x\n", "heartbeatBackgroundEnabled: must be true or false"},
    {"cluster:\n  membership:\n    mcastPort: x\n", "t.yaml:3: error: mcastPort: must be a whole number"},
    {"cluster:\n  membership:\n    frequency: 0.5s\n", "frequency: must be a whole number (milliseconds)"},
    {"cluster:\n  membership:\n    mcastAddr: 10.0.0.1\n", "mcastAddr: "},
    {"cluster:\n  membership:\n    mcastAddr: not an address\n", "mcastAddr: "},
    {"cluster:\n  membership:\n    bind: eth0\n", "bind: "},
    {"cluster:\n  membership:\n    domain: '{1,2'\n", "domain: "},
    {"cluster:\n  membership:\n    recoveryEnabled: 5\n", "recoveryEnabled: must be true or false"},
    {"cluster:\n  receiver:\n    tcpListenPort: http\n", "tcpListenPort: must be a whole number"},
    {"cluster:\n  receiver:\n    allowFrom: [10.0.0.0/8, 10.0.0.0/33]\n", "t.yaml:3: error: allowFrom: "},
    {"cluster:\n  receiver:\n    allowFrom: localhost\n", "allowFrom: "},
    {"cluster:\n  receiver:\n    allowFrom: [[a]]\n", "allowFrom: must be a single value, not a list"},
    {"cluster:\n  receiver:\n    maxFrameBytes: auto\n", "maxFrameBytes: must be a number of bytes"},
    {"cluster:\n  sender:\n    timeout: long\n", "timeout: must be a whole number (milliseconds)"},
    {"cluster:\n  sender:\n    replicationMode: poled\n",
     "replicationMode: must be one of | (did you mean pooled?)"},
    {"cluster:\n  manager:\n    expireSessionsOnShutdown: perhaps\n",
     "expireSessionsOnShutdown: must be true or false"},
    {"cluster:\n  expireSessionsOnShutdown: perhaps\n",
     "t.yaml:2: error: expireSessionsOnShutdown: must be true or false"},
    {"cluster:\n  manager:\n    stateTransferTimeout: 1m\n",
     "stateTransferTimeout: must be a whole number (seconds)"},
    {"cluster:\n  jvmRoute: 'a b'\n", "jvmRoute: must be a word without blanks"},
    {"cluster:\n  jvmRoute: ''\n", "jvmRoute: must be a word"},
    {"cluster:\n  jvmRoute: 'a;b'\n", "jvmRoute: must be a word"},
    {"contexts:\n  auto: sure\n", "auto: must be true or false"},
    {"contexts:\n  list: localhost#/app\n", "list: must be a list"},
    {"contexts:\n  list: {name: a}\n", "list: must be a list"},
    {"contexts:\n  list: [a]\n", "must be a section of keys"},
    {"contexts:\n  list: [[]]\n", "must be a section of keys"},
    {"contexts:\n  list:\n    - {name: a, manager: DeltaManager}\n", "manager: must be a section of keys"},
    {"contexts:\n  list:\n    - {name: a, database: x}\n", "database: must be a whole number"},
    {"contexts:\n  list:\n    - {name: 'a b'}\n", "name: must be the name of a Tomcat manager"},
    {"contexts:\n  list:\n    - {name: ''}\n", "name: must be the name of a Tomcat manager"},
    {"contexts:\n  list:\n    - {name: a, keyPrefix: ''}\n", "keyPrefix: must be from 1 to 256 bytes"},
    {"contexts:\n  list:\n    - keyPrefix: 'a:'\n", "t.yaml:3: error: name: missing"},
    {"contexts:\n  list:\n    - {}\n", "name: missing"},
    {"frontDoor:\n  maxClients: x\n", "maxClients: must be a whole number"},
    {"log:\n  level: verbose\n", "t.yaml:2: error: level: must be one of error, warn, info, debug"},
    {"log:\n  level: Debug\n", "level: must be one of error, warn, info, debug (did you mean debug?)"},
    {"log:\n  target: syslog\n", "target: must be one of stderr, journal, auto"},
    /* Classes. */
    {"cluster:\n  className: CatalinaCluster\n", "className: must be SimpleTcpCluster"},
    {"cluster:\n  className: com.example.SimpleTcpCluster\n", "className: must be"},
    {"cluster:\n  manager:\n    className: BackupManager\n", "className: must be"},
    {"cluster:\n  managerClassName: PersistentManager\n", "className: must be"},
    {"cluster:\n  membership:\n    className: CloudMembershipService\n", "className: must be McastService"},
    {"cluster:\n  receiver:\n    className: XioReceiver\n",
     "className: must be one of | (did you mean NioReceiver?)"},
    {"cluster:\n  sender:\n    className: Sender\n", "className: must be"},
    {"cluster:\n  valve:\n    className: JvmRouteBinderValve\n", "className: must be ReplicationValve"},
    {"cluster:\n  clusterListener:\n    className: X\n", "className: must be one of ClusterSessionListener"},
    {"cluster:\n  deployer:\n    className: X\n", "className: must be FarmWarDeployer"},
    /* Ranges: both sides of each end are in the next test. */
    {"cluster:\n  minAcks: -1\n", "minAcks: must be from 0 to 1000"},
    {"cluster:\n  minAcks: 99999999999999999999999\n", "minAcks: "},
    {"cluster:\n  maxBytes: 1k\n", "maxBytes: must be from 65536 to "},
    /* Interceptors. */
    {"cluster:\n  interceptors: TcpFailureDetector\n", "interceptors: must be a list"},
    {"cluster:\n  interceptors: [TcpFailureDetecter]\n",
     "t.yaml:2: error: interceptors: TcpFailureDetecter is not known; known are |(did you mean "
     "TcpFailureDetector?)"},
    {"cluster:\n  interceptors: [EncryptInterceptor]\n", "EncryptInterceptor is not known"},
    {"cluster:\n  interceptors: [com.example.TcpFailureDetector]\n",
     "com.example.TcpFailureDetector is not known"},
    {"cluster:\n  interceptors: [TcpFailureDetector, TcpFailureDetector]\n",
     "TcpFailureDetector is named twice"},
    {"cluster:\n  interceptors: [MessageDispatchInterceptor, MessageDispatch15Interceptor]\n",
     "is named twice"},
    {"cluster:\n  interceptors: [[]]\n", "interceptors: must be a class name"},
    {"cluster:\n  interceptors: [~]\n", "interceptors: must be a class name"},
    {"cluster:\n  interceptors: [{}]\n", "interceptors: className: missing"},
    {"cluster:\n  interceptors: [{className: [a]}]\n", "className: must be a single value"},
    {"cluster:\n  interceptors: [{className: TcpFailureDetector, colour: red}]\n", "colour: unknown key"},
    /* Contexts that cannot be told apart. */
    {"contexts:\n  list:\n    - {name: a}\n    - {name: a}\n",
     "t.yaml:4: error: name: there is a context a already"},
    {"contexts:\n  list:\n    - {name: a, keyPrefix: x}\n    - {name: b, keyPrefix: x}\n",
     "t.yaml:4: error: keyPrefix: context a has the prefix x already"},
    /* Expressions. */
    {"cluster:\n  valve:\n    filter: '*.gif'\n",
     "t.yaml:3: error: filter: *.gif is not a regular expression: "},
    {"cluster:\n  valve:\n    filter: '.*gif;(;'\n",
     "filter: ( is not a regular expression: | at character 2"},
    {"cluster:\n  valve:\n    filter: '[a'\n", "filter: [a is not a regular expression"},
    /* Several mistakes, all told in one run. */
    {"clusterr: {}\ncluster:\n  minAcks: x\n  membership:\n    mcastPort: 0\n  interceptors: [Nobody]\n"
     "contexts:\n  list:\n    - {}\nlog:\n  level: loud\n",
     "t.yaml:1: error: clusterr|t.yaml:3: error: minAcks|t.yaml:5: error: mcastPort|t.yaml:6: error: "
     "interceptors|"
     "t.yaml:9: error: name: missing|t.yaml:11: error: level"},
};

START_TEST(bad_files_are_refused)
{
    struct buf missing = {0};

    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        char *text = mistakes(bad_files[i].yaml), *want = mem_strdup(bad_files[i].said), *save = NULL;
        for (char *w = strtok_r(want, "|", &save); w; w = strtok_r(NULL, "|", &save))
            if (!strstr(text, w))
                wr_printf(&missing, "\nwanted: %s\nsaid: %sof:\n%s", w, text, bad_files[i].yaml);
        mem_free(want);
        mem_free(text);
    }
    ck_assert_msg(missing.n == 0, "%s", buf_cstr(&missing));
    buf_fini(&missing);
}
END_TEST

/* A mistake in what contexts inherit is told once, not once a context. */
START_TEST(inherited_mistakes_are_told_once)
{
    char *text = mistakes("cluster:\n  manager: {stateTransferTimeout: x}\n"
                          "contexts:\n  list:\n    - {name: a}\n    - {name: b}\n");

    ck_assert_ptr_nonnull(strstr(text, "stateTransferTimeout"));
    ck_assert_ptr_null(strstr(strstr(text, "stateTransferTimeout") + 1, "stateTransferTimeout"));
    mem_free(text);
}
END_TEST

/* One line of config_options(), split at its tabs. */
struct option_line {
    char *fields[8];
};

static char *next_option(char **at, struct option_line *line)
{
    char *text = *at, *end = strchr(text, '\n');

    if (!*text)
        return NULL;
    ck_assert_ptr_nonnull(end);
    *end = 0;
    *at = end + 1;
    for (size_t i = 0; i < 8; i++) {
        char *tab = strchr(text, '\t');
        line->fields[i] = text;
        ck_assert_msg((tab != NULL) == (i < 7), "%s", text);
        if (tab) {
            *tab = 0;
            text = tab + 1;
        }
    }
    return line->fields[0];
}

/* A file in which this key of this section has this value. */
static char *file_with(const char *section, const char *key, const char *value)
{
    struct buf b = {0};
    char *path = mem_strdup(section), *save = NULL;
    unsigned indent = 0;

    for (char *name = strtok_r(path, ".", &save); name; name = strtok_r(NULL, ".", &save), indent += 2)
        wr_printf(&b, "%*s%s:\n", (int)indent, "", name);
    if (strcmp(section, "contexts.list") == 0)
        wr_printf(&b, "    - x: y\n      %s: %s\n", key, value);
    else
        wr_printf(&b, "%*s%s: %s\n", (int)indent, "", key, value);
    mem_free(path);
    char *text = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return text;
}

static void refused(const struct option_line *l, const char *value)
{
    char *yaml = file_with(l->fields[0], l->fields[1], value), *text = mistakes(yaml),
         *want = mem_printf(": %s: ", l->fields[1]);

    ck_assert_msg(strstr(text, want) != NULL, "%s\n%s", yaml, text);
    mem_free(want);
    mem_free(text);
    mem_free(yaml);
}

static void accepted(const struct option_line *l, const char *value)
{
    char *yaml = file_with(l->fields[0], l->fields[1], value);
    struct diag d = {0};
    struct config *c = NULL;

    ck_assert_msg(config_load_text(span_str(yaml), "t.yaml", &d, &c) == ERR_OK, "%s%s", yaml,
                  buf_cstr(&d.text));
    config_free(c);
    diag_fini(&d);
    mem_free(yaml);
}

/* Every key of every section: a list and a section in place of a value are refused, so is what is just
 * outside of its range, while the ends of the range, and the default, are taken. */
START_TEST(every_key_checks_its_type_and_range)
{
    struct buf all = {0};
    struct option_line l;
    size_t n = 0, n_ranges = 0;
    long long min, max;
    char number[32];

    config_options(&all);
    wr_u8(&all, 0);
    char *at = (char *)all.p;
    while (next_option(&at, &l)) {
        bool is_text = strcmp(l.fields[3], "text") == 0, is_list = strcmp(l.fields[3], "list of texts") == 0;
        n++;
        ck_assert_msg(l.fields[7][0] != 0, "%s.%s has no documentation", l.fields[0], l.fields[1]);
        ck_assert_msg(l.fields[7][strlen(l.fields[7]) - 1] != '.',
                      "%s.%s: the full stop is added by the page", l.fields[0], l.fields[1]);
        if (strstr(l.fields[0], "interceptors") || strcmp(l.fields[0], "contexts.list") == 0)
            continue;
        refused(&l, "{a: b}");
        if (!is_list)
            refused(&l, "[a, b]");
        if (!is_text && !is_list)
            refused(&l, "'?!'");
        if (*l.fields[4] && !is_list) {
            char *quoted = mem_printf("'%s'", l.fields[4]);
            accepted(&l, quoted);
            mem_free(quoted);
        }
        if (sscanf(l.fields[5], "%lld to %lld", &min, &max) != 2)
            continue;
        n_ranges++;
        snprintf(number, sizeof number, "%lld", min - 1);
        refused(&l, number);
        snprintf(number, sizeof number, "%lld", min);
        accepted(&l, number);
        snprintf(number, sizeof number, "%lld", max);
        accepted(&l, number);
        snprintf(number, sizeof number, "%lld", max + 1);
        refused(&l, number);
    }
    ck_assert_uint_gt(n, 60);
    ck_assert_uint_gt(n_ranges, 15);
    buf_fini(&all);
}
END_TEST

/* Only the log level can be applied while the daemon runs: reload.c knows of no other. */
START_TEST(only_the_log_level_is_live)
{
    struct buf all = {0};
    struct option_line l;
    size_t live = 0;

    config_options(&all);
    wr_u8(&all, 0);
    char *at = (char *)all.p;
    while (next_option(&at, &l)) {
        if (!strstr(l.fields[6], "live"))
            continue;
        ck_assert_str_eq(l.fields[0], "log");
        ck_assert_str_eq(l.fields[1], "level");
        live++;
    }
    ck_assert_uint_eq(live, 1);
    buf_fini(&all);
}
END_TEST

static void count_diff(void *arg, const char *path, const struct option_spec *row)
{
    (void)row;
    wr_printf(arg, "%s ", path);
}

START_TEST(dump_loads_to_the_same)
{
    static const char *const yamls[] = {
        "", "cluster: {clusterName: 'a: b', jvmRoute: n1, maxBytes: 64m, channelSendOptions: 'sync,use_ack'}",
        "cluster:\n  interceptors: [TcpFailureDetector, MessageDispatchInterceptor]\n"
        "  receiver: {allowFrom: [10.0.0.0/8, '::1']}\n  valve: {filter: '.*\\.gif;a\"b;'}\n",
        "contexts:\n  list:\n    - {name: 'localhost#/a', keyPrefix: 'a:'}\n    - {name: b, manager: "
        "{maxActiveSessions: 3}}\n",
        "log: {level: debug, target: journal}\ncontrol: {socket: /tmp/x}\nfrontDoor: {listen: "
        "['unix:/tmp/y']}\n"};

    for (size_t i = 0; i < sizeof yamls / sizeof *yamls; i++) {
        struct buf dumped = {0}, again = {0}, diff = {0};
        struct config *a = load(yamls[i], "");
        config_dump(a, &dumped);
        struct config *b = load(buf_cstr(&dumped), "");
        config_diff(a, b, count_diff, &diff);
        ck_assert_str_eq(buf_cstr(&diff), "");
        config_dump(b, &again);
        ck_assert_str_eq(buf_cstr(&again), buf_cstr(&dumped));
        config_free(a);
        config_free(b);
        buf_fini(&dumped);
        buf_fini(&again);
        buf_fini(&diff);
    }
}
END_TEST

START_TEST(diff_names_what_differs)
{
    struct config *a = load("log: {level: info}\n", "");
    struct config *b = load("log: {level: debug}\ncluster: {jvmRoute: x, membership: {mcastPort: 5}, "
                            "interceptors: [TcpFailureDetector]}\ncontexts: {list: [{name: a}]}\n",
                            "");
    struct buf diff = {0};

    config_diff(a, b, count_diff, &diff);
    ck_assert_str_eq(
        buf_cstr(&diff),
        "cluster.jvmRoute cluster.membership.port log.level cluster.interceptors contexts.list ");
    config_free(a);
    config_free(b);
    buf_fini(&diff);
}
END_TEST

START_TEST(secrets_are_not_dumped)
{
    struct config *c = load("frontDoor: {requirepass: hush-hush}\n", "");
    struct buf dumped = {0};

    config_dump(c, &dumped);
    ck_assert_ptr_null(strstr(buf_cstr(&dumped), "hush"));
    buf_fini(&dumped);
    config_free(c);
}
END_TEST

START_TEST(file_that_is_not_there)
{
    struct diag d = {0};
    struct config *c;

    ck_assert_int_eq(config_load_file("/nonexistent/clusterd.yaml", &d, &c), ERR_CONFIG);
    ck_assert_str_eq(buf_cstr(&d.text),
                     "/nonexistent/clusterd.yaml: error: cannot be opened: No such file or directory\n");
    diag_fini(&d);
}
END_TEST

START_TEST(shipped_files_load)
{
    static const char *const files[] = {TESTS_DIR "/../etc/clusterd.yaml", TESTS_DIR "/system/example.yaml"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct diag d = {0};
        struct config *c = NULL;
        ck_assert_msg(config_load_file(files[i], &d, &c) == ERR_OK, "%s", buf_cstr(&d.text));
        ck_assert_msg(d.warnings == 0, "%s", buf_cstr(&d.text));
        config_free(c);
        diag_fini(&d);
    }
}
END_TEST

CLUSTERD_SUITE(config, &empty_file_gives_defaults, &tomcat_5_word_for_word, &names_of_today,
               &contexts_inherit_from_the_manager, &warnings_do_not_refuse, &bad_files_are_refused,
               &inherited_mistakes_are_told_once, &every_key_checks_its_type_and_range,
               &only_the_log_level_is_live, &dump_loads_to_the_same, &diff_names_what_differs,
               &secrets_are_not_dumped, &file_that_is_not_there, &shipped_files_load)
