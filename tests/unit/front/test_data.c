/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keys are sessions of: contexts by prefix and database, sessions that Tomcats made, who may reach them,
 * limits of memory and size, SCAN over everything, times to live.
 */
#include "rig.h"

#define NOPERM "-NOPERM this key is a session of a Tomcat: use the unix socket or AUTH\r\n"

static const uint8_t opaque[] = {/* an object of a class that nobody knows: com.x.Y without fields */
                                 0xac, 0xed, 0x00, 0x05, 's', 'r', 0, 7, 'c', 'o', 'm', '.', 'x', '.',
                                 'Y',  0,    0,    0,    0,   0,   0, 0, 1,   2,   0,   0,   'x', 'p'};

START_TEST(keys_find_their_context)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "HSET sess:abc user ann", ":1\r\n");
    rig_ask(c, "SET plain v", "+OK\r\n");
    rig_ask(c, "SET sess:long:1 v", "+OK\r\n");
    rig_ask(c, "SET o:1 v", "+OK\r\n"); /* o: belongs to database 1 */
    rig_ask(c, "SELECT 1", "+OK\r\n");
    rig_ask(c, "EXISTS o:1 plain sess:abc", ":0\r\n");
    rig_ask(c, "SET o:1 w", "+OK\r\n");
    rig_ask(c, "DBSIZE", ":1\r\n");
    rig_ask(c, "SELECT 0", "+OK\r\n");
    rig_ask(c, "DBSIZE", ":4\r\n");
    ck_assert_int_eq(atomic_load(&rig_context(0, RIG_CONTEXT)->sessions), 1);
    ck_assert_int_eq(atomic_load(&rig_context(0, "localhost#/long")->sessions), 1);
    ck_assert_int_eq(atomic_load(&rig_context(0, "localhost#/other")->sessions), 1);
    ck_assert_int_eq(atomic_load(&rig_context(0, "redis/0")->sessions), 2);
    ck_assert(rig_context(0, "redis/0")->internal);
    struct change *s = table_snapshot(manager_table(rig_nodes[0]->manager), rig_context(0, RIG_CONTEXT),
                                      SPAN_LIT("abc"), false, table_now(host_main(rig_nodes[0]->host)));
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(s->n, 1);
    ck_assert(span_eq(s->entries[0].name, SPAN_LIT("user")));
    change_unref(s);
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(a_string_is_a_session_with_one_attribute)
{
    struct buf text = {0};

    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "HSET k a 1 b 2", ":2\r\n");
    rig_ask(c, "SET k hello", "+OK\r\n");
    struct change *s = table_snapshot(manager_table(rig_nodes[0]->manager), rig_context(0, "redis/0"),
                                      SPAN_LIT("k"), false, table_now(host_main(rig_nodes[0]->host)));
    size_t present = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->entries[i].present)
            continue;
        present++;
        ck_assert(span_eq(s->entries[i].name, SPAN_LIT(FRONT_STRING_NAME)));
        ck_assert_int_eq(value_string(blob_span(s->entries[i].value), &text), ERR_OK);
    }
    ck_assert_uint_eq(present, 1);
    ck_assert_str_eq(buf_cstr(&text), "hello");
    change_unref(s);
    rig_ask(c, "HSET h " FRONT_STRING_NAME " x", "-ERR field name 'clusterd.string' is reserved\r\n");
    rig_ask(c, "EXISTS h", ":0\r\n");
    buf_fini(&text);
    rig_close(c);
    rig_end();
}
END_TEST

/* Strings, numbers, booleans, byte arrays of a Tomcat read as text; other classes have none. */
START_TEST(a_tomcats_attributes_are_readable)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, RIG_SOCKET);
    rig_tomcat_session(0, RIG_CONTEXT, "S1", "name", value_from_bytes(SPAN_LIT("\xc5\xbeluť")));
    rig_ask(c, "HGET sess:S1 name", "$6\r\n\xc5\xbeluť\r\n");
    rig_tomcat_session(0, RIG_CONTEXT, "S2", "n", value_from_integer(-42));
    rig_ask(c, "HGET sess:S2 n", "$3\r\n-42\r\n");
    rig_ask(c, "HSTRLEN sess:S2 n", ":3\r\n");
    rig_tomcat_session(0, RIG_CONTEXT, "S3", "b", value_from_boolean(true));
    rig_ask(c, "HGETALL sess:S3", "*2\r\n$1\r\nb\r\n$4\r\ntrue\r\n");
    rig_tomcat_session(0, RIG_CONTEXT, "S4", "bytes", value_from_bytes(SPAN_LIT("\xff\x00\x01")));
    rig_say(c, "HGET sess:S4 bytes");
    rig_expect_at(c, "bytes", SPAN_LIT("$3\r\n\xff\x00\x01\r\n"), __FILE__, __LINE__);
    rig_tomcat_session(0, RIG_CONTEXT, "S5", "obj", blob_new(span_of(opaque, sizeof opaque)));
    rig_ask(c, "HGET sess:S5 obj", "$-1\r\n");
    rig_ask(c, "HEXISTS sess:S5 obj", ":1\r\n");
    rig_ask(c, "HSTRLEN sess:S5 obj", ":0\r\n");
    rig_ask(c, "HGETALL sess:S5", "*0\r\n");
    rig_ask(c, "HVALS sess:S5", "*0\r\n");
    rig_ask(c, "HKEYS sess:S5", "*1\r\n$3\r\nobj\r\n");
    rig_ask(c, "HLEN sess:S5", ":1\r\n");
    rig_ask(c, "HSET sess:S5 more 1", ":1\r\n");
    rig_ask(c, "HMGET sess:S5 obj more", "*2\r\n$-1\r\n$1\r\n1\r\n");
    rig_ask(c, "HGETALL sess:S5", "*2\r\n$4\r\nmore\r\n$1\r\n1\r\n");
    rig_ask(c, "GET sess:S5", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

/* A Tomcat's session exists without any attribute, and does not end with its last one. */
START_TEST(a_tomcats_session_is_a_hash_even_when_empty)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, RIG_SOCKET);
    rig_tomcat_session(0, RIG_CONTEXT, "S", NULL, NULL);
    rig_ask(c, "EXISTS sess:S", ":1\r\n");
    rig_ask(c, "TYPE sess:S", "+hash\r\n");
    rig_ask(c, "HLEN sess:S", ":0\r\n");
    rig_ask(c, "HGETALL sess:S", "*0\r\n");
    rig_ask(c, "HSET sess:S a 1", ":1\r\n");
    rig_ask(c, "HDEL sess:S a", ":1\r\n");
    rig_ask(c, "EXISTS sess:S", ":1\r\n");
    rig_ask(c, "HSET sess:mine a 1", ":1\r\n");
    rig_ask(c, "HDEL sess:mine a", ":1\r\n");
    rig_ask(c, "EXISTS sess:mine", ":0\r\n");
    rig_ask(c, "DEL sess:S", ":1\r\n");
    rig_ask(c, "EXISTS sess:S", ":0\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

/* Secrecy: without a unix socket or a password a Tomcat's context is not there. */
static void check_hidden(struct rig_client *c)
{
    rig_ask(c, "HGETALL sess:S", "*0\r\n");
    rig_ask(c, "HGET sess:S name", "$-1\r\n");
    rig_ask(c, "HMGET sess:S name", "*1\r\n$-1\r\n");
    rig_ask(c, "EXISTS sess:S", ":0\r\n");
    rig_ask(c, "TYPE sess:S", "+none\r\n");
    rig_ask(c, "TTL sess:S", ":-2\r\n");
    rig_ask(c, "MGET sess:S", "*1\r\n$-1\r\n");
    rig_ask(c, "SCAN 0 COUNT 1000", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nown\r\n");
    rig_ask(c, "DBSIZE", ":1\r\n");
    rig_ask(c, "SET sess:S x", NOPERM);
    rig_ask(c, "SET sess:new x", NOPERM);
    rig_ask(c, "HSET sess:S name x", NOPERM);
    rig_ask(c, "HDEL sess:S name", NOPERM);
    rig_ask(c, "DEL own sess:S", NOPERM);
    rig_ask(c, "EXISTS own", ":1\r\n"); /* an error means that nothing was done */
    rig_ask(c, "EXPIRE sess:S 0", NOPERM);
    rig_ask(c, "PERSIST sess:S", NOPERM);
    rig_ask(c, "GETDEL sess:S", NOPERM);
    rig_ask(c, "GETEX sess:S EX 1", NOPERM);
    rig_ask(c, "CLUSTERD SESSIONS",
            "-ERR unknown command 'CLUSTERD', with args beginning with: 'SESSIONS' \r\n");
}

START_TEST(tomcats_sessions_are_hidden_from_strangers)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *tcp = rig_connect(0, NULL), *unix_socket = rig_connect(0, RIG_SOCKET);
    rig_ask(tcp, "SET own v", "+OK\r\n");
    rig_ask(tcp, "SET sess:before v", "+OK\r\n"); /* no Tomcat has spoken of the context yet */
    rig_ask(tcp, "DEL sess:before", ":1\r\n");
    rig_tomcat_session(0, RIG_CONTEXT, "S", "name", value_from_bytes(SPAN_LIT("secret")));
    check_hidden(tcp);
    rig_ask(tcp, "AUTH default x", "+OK\r\n"); /* which proves nothing without a password */
    check_hidden(tcp);
    rig_ask(unix_socket, "HGET sess:S name", "$6\r\nsecret\r\n");
    rig_ask(unix_socket, "DBSIZE", ":2\r\n");
    rig_tomcat_session(0, "localhost#/hidden", "H", "name", value_from_bytes(SPAN_LIT("secret")));
    rig_ask(unix_socket, "DBSIZE", ":2\r\n"); /* without a keyPrefix there is no key */
    rig_close(tcp);
    rig_close(unix_socket);
    rig_end();
}
END_TEST

START_TEST(a_password_opens_tomcats_sessions)
{
    struct rig_conf conf = {.front = "requirepass: pw"};

    rig_begin(1);
    rig_node(0, &conf);
    rig_tomcat_session(0, RIG_CONTEXT, "S", "name", value_from_bytes(SPAN_LIT("v")));
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "HGET sess:S name", "-NOAUTH Authentication required.\r\n");
    rig_ask(c, "AUTH pw", "+OK\r\n");
    rig_ask(c, "HGET sess:S name", "$1\r\nv\r\n");
    rig_ask(c, "HSET sess:S name w", ":0\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(out_of_memory)
{
    struct rig_conf conf = {.max_bytes = 4000};
    char words[64];
    int refused = 0;

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    for (int i = 0; i < 100; i++) {
        snprintf(words, sizeof words, "SET key%d value", i);
        const char *got = rig_reply(c, words);
        if (strcmp(got, "+OK\r\n") != 0) {
            ck_assert_str_eq(got, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
            refused++;
        }
        buf_clear(&c->got);
    }
    ck_assert_int_gt(refused, 10);
    ck_assert_int_lt(refused, 100);
    ck_assert_uint_eq(metric_get(&rig_nodes[0]->metrics, commands_refused), (unsigned)refused);
    rig_ask(c, "GET key0", "$5\r\nvalue\r\n");
    rig_ask(c, "HSET h f v", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    rig_ask(c, "DEL key0 key1 key2 key3 key4 key5 key6", ":7\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(max_active_sessions)
{
    struct rig_conf conf = {.max_active = 2};

    rig_begin(1);
    rig_node(0, &conf);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "SET sess:1 v", "+OK\r\n");
    rig_ask(c, "SET sess:2 v", "+OK\r\n");
    rig_ask(c, "SET sess:3 v", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    rig_ask(c, "SET sess:2 w", "+OK\r\n");
    rig_ask(c, "DEL sess:1", ":1\r\n");
    rig_ask(c, "SET sess:3 v", "+OK\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(long_keys_and_fields)
{
    char key[700], words[800];
    struct buf b = {0};

    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    memset(key, 'k', sizeof key);
    key[512] = 0;
    snprintf(words, sizeof words, "SET %s v", key);
    rig_ask(c, words, "+OK\r\n");
    snprintf(words, sizeof words, "GET %s", key);
    rig_ask(c, words, "$1\r\nv\r\n");
    key[512] = 'k';
    key[513] = 0;
    snprintf(words, sizeof words, "SET %s v", key);
    rig_ask(c, words, "-ERR key is too long\r\n");
    snprintf(words, sizeof words, "GET %s", key);
    rig_ask(c, words, "$-1\r\n");
    snprintf(words, sizeof words, "DEL %s", key);
    rig_ask(c, words, "-ERR key is too long\r\n");
    resp_array(&b, 4);
    resp_bulk(&b, SPAN_LIT("HSET"));
    resp_bulk(&b, SPAN_LIT("h"));
    char *field = mem_zalloc(65536);
    resp_bulk(&b, span_of(field, 65536));
    resp_bulk(&b, SPAN_LIT("v"));
    rig_send(c, buf_span(&b));
    rig_expect(c, "-ERR field name is too long\r\n");
    mem_free(field);
    buf_fini(&b);
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(scan_gives_every_key)
{
    char words[64];
    bool seen[300] = {0};
    int found = 0, pages = 0;

    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, RIG_SOCKET);
    for (int i = 0; i < 300; i++) {
        snprintf(words, sizeof words, i % 3 ? "HSET sess:k%d f v" : "SET k%d v", i);
        rig_reply(c, words);
    }
    snprintf(words, sizeof words, "SCAN 0 COUNT 7");
    for (char cursor[32] = ""; strcmp(cursor, "0") != 0; pages++) {
        const char *p = strstr(rig_reply(c, words), "\r\n") + 2;
        p = strstr(p, "\r\n") + 2;
        snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(p, "\r"), p);
        snprintf(words, sizeof words, "SCAN %s COUNT 7", cursor);
        while ((p = strstr(p, "k"))) {
            int i = atoi(++p);
            found += !seen[i];
            seen[i] = true;
        }
    }
    ck_assert_int_eq(found, 300);
    ck_assert_int_gt(pages, 5);
    buf_clear(&c->got);
    rig_ask(c, "SCAN 0 COUNT 100000 MATCH k299", "*2\r\n$1\r\n0\r\n*0\r\n");
    rig_ask(c, "SCAN 0 COUNT 100000 MATCH sess:k299", "*2\r\n$1\r\n0\r\n*1\r\n$9\r\nsess:k299\r\n");
    rig_ask(c, "SCAN 0 COUNT 100000 MATCH *k29? TYPE string",
            "*2\r\n$1\r\n0\r\n*3\r\n$4\r\nk291\r\n$4\r\nk297\r\n$4\r\nk294\r\n");
    rig_close(c);
    rig_end();
}
END_TEST

START_TEST(times_to_live)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "SET a v PX 1500", "+OK\r\n");
    rig_ask(c, "HSET h f v", ":1\r\n");
    rig_ask(c, "PEXPIRE h 1500", ":1\r\n");
    rig_ask(c, "HSET h g w", ":1\r\n");
    sim_run_ms(rig_sim, 1000);
    rig_ask(c, "GET a", "$1\r\nv\r\n");
    rig_ask(c, "TTL h", ":0\r\n");
    sim_run_ms(rig_sim, 600);
    rig_ask(c, "GET a", "$-1\r\n");
    rig_ask(c, "HGETALL h", "*0\r\n");
    rig_ask(c, "EXISTS a h", ":0\r\n");
    rig_ask(c, "HSET h f v", ":1\r\n");
    rig_ask(c, "TTL h", ":-1\r\n");
    sim_run_ms(rig_sim, 7200000);
    rig_ask(c, "HGET h f", "$1\r\nv\r\n"); /* no TTL: for ever */
    rig_close(c);
    rig_end();
}
END_TEST

/* The wall clock jumps: times left stay, absolute times follow the clock that they were given by. */
START_TEST(clock_jumps)
{
    rig_begin(1);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, NULL);
    rig_ask(c, "SET a v EX 100", "+OK\r\n");
    sim_host_set_wall_offset(rig_nodes[0]->host, 3600000);
    rig_ask(c, "TTL a", ":100\r\n");
    rig_ask(c, "GET a", "$1\r\nv\r\n");
    sim_host_set_wall_offset(rig_nodes[0]->host, -3600000);
    rig_ask(c, "TTL a", ":100\r\n");
    rig_ask(c, "SET a w", "+OK\r\n");
    rig_ask(c, "GET a", "$1\r\nw\r\n"); /* an earlier clock does not lose to what was written before */
    rig_close(c);
    rig_end();
}
END_TEST

CLUSTERD_SUITE(front_data, &keys_find_their_context, &a_string_is_a_session_with_one_attribute,
               &a_tomcats_attributes_are_readable, &a_tomcats_session_is_a_hash_even_when_empty,
               &tomcats_sessions_are_hidden_from_strangers, &a_password_opens_tomcats_sessions,
               &out_of_memory, &max_active_sessions, &long_keys_and_fields, &scan_gives_every_key,
               &times_to_live, &clock_jumps)
