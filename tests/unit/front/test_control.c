/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's commands on the control socket: fields and their types as clusterd/front/control.h has them,
 * in both protocols; what is shown of sessions with and without REVEAL.
 */
#include "rig.h"

/* A reply as text that is easy to compare: bulk strings quoted, integers bare, arrays in [], maps in {}. */
static size_t dump(struct span s, size_t at, struct buf *out)
{
    const uint8_t *cr = memchr(s.p + at, '\r', s.n - at);
    ck_assert_ptr_nonnull(cr);
    size_t end = (size_t)(cr - s.p) + 2;
    long n = strtol((const char *)s.p + at + 1, NULL, 10);
    char type = (char)s.p[at];

    if ((type == '$' || type == '=') && n >= 0) {
        wr_printf(out, "\"%.*s\"", (int)n, (const char *)s.p + end);
        return end + (size_t)n + 2;
    }
    if (type == '*' || type == '%') {
        wr_text(out, type == '*' ? "[" : "{");
        for (long i = 0; i < n * (type == '%' ? 2 : 1); i++) {
            if (i)
                wr_text(out, type == '%' && i % 2 ? ":" : ",");
            end = dump(s, end, out);
        }
        wr_text(out, type == '*' ? "]" : "}");
        return end;
    }
    if (type == '_' || type == '$')
        wr_text(out, "null");
    else
        wr_bytes(out, s.p + at + (type == ':' || type == '#'),
                 (size_t)(cr - s.p) - at - (type == ':' || type == '#'));
    return end;
}

static struct buf shown;

static const char *show(struct rig_client *c, const char *words)
{
    rig_reply(c, words);
    buf_clear(&shown);
    ck_assert_uint_eq(dump(buf_span(&c->got), 0, &shown), c->got.n);
    buf_clear(&c->got);
    return buf_cstr(&shown);
}

static void expect_in(const char *text, const char *want)
{
    ck_assert_msg(strstr(text, want) != NULL, "no %s in %.3000s", want, text);
}

static void expect_not_in(const char *text, const char *unwanted)
{
    ck_assert_msg(strstr(text, unwanted) == NULL, "%s in %.3000s", unwanted, text);
}

static struct rig_client *begin(void)
{
    rig_begin(3);
    rig_node(0, NULL);
    struct rig_client *c = rig_connect(0, RIG_CONTROL);
    ck_assert_int_eq(strncmp(rig_reply(c, "HELLO 3"), "%7", 2), 0);
    buf_clear(&c->got);
    return c;
}

static void end(struct rig_client *c)
{
    rig_close(c);
    buf_fini(&shown);
    rig_end();
}

START_TEST(simple_ones)
{
    struct rig_client *c = begin();

    rig_ask(c, "CLUSTERD PING", "+PONG\r\n");
    rig_ask(c, "clusterd ping", "+PONG\r\n");
    ck_assert_str_eq(show(c, "CLUSTERD VERSION"), "\"" CLUSTERD_VERSION "\"");
    ck_assert_str_eq(show(c, "CLUSTERD CONFIG"), "\"frontDoor:\n  requirepass: ***\n\"");
    expect_in(show(c, "CLUSTERD HELP"), "SESSIONS [CONTEXT <name>]");
    rig_ask(c, "CLUSTERD", "-ERR wrong number of arguments for 'clusterd' command\r\n");
    rig_ask(c, "CLUSTERD nonsense", "-ERR unknown subcommand 'nonsense'. Try CLUSTERD HELP.\r\n");
    rig_ask(c, "CLUSTERD SESSION x", "-ERR wrong number of arguments for 'clusterd|session' command\r\n");
    rig_ask(c, "CLUSTERD LEAVE", "+OK\r\n");
    ck_assert_uint_eq(rig_nodes[0]->left, 1);
    ck_assert_str_eq(show(c, "CLUSTERD MEMBERS"), "[]"); /* this node has no cluster */
    end(c);
}
END_TEST

/* Answered while the state transfer runs, too: that is when an operator asks. */
START_TEST(status_and_contexts)
{
    struct rig_client *c = begin();

    front_set_loading(rig_nodes[0]->front, true);
    const char *s = show(c, "CLUSTERD STATUS");
    expect_in(s, "\"version\":\"" CLUSTERD_VERSION "\"");
    expect_in(s, "\"complete\":f");
    expect_in(s, "\"loading\":t");
    expect_in(s, "\"why\":\"");
    expect_in(s, "\"daemon\":{\"config\":\"/etc/x.yaml\",\"state\":\"ready: yes\"}");
    expect_in(s, "\"counters\":{\"heartbeats_sent\":0,");
    expect_in(s, "\"sessions\":0,\"contexts\":4,\"tombstones\":0,\"session_bytes\":");
    expect_in(s, "\"clients\":1,\"blocked_clients\":0");
    front_set_loading(rig_nodes[0]->front, false);
    rig_ask(c, "SET a 1", "+OK\r\n");
    s = show(c, "CLUSTERD CONTEXTS");
    expect_in(s, "{\"name\":\"" RIG_CONTEXT "\",\"sessions\":0,\"complete\":");
    expect_in(s, "\"configured\":t,\"internal\":f,\"seen_on_wire\":f,\"key_prefix\":\"sess:\",\"database\":0,"
                 "\"max_active\":-1,\"max_inactive_s\":1800}");
    expect_in(s, "{\"name\":\"redis/0\",\"sessions\":1,");
    expect_in(s, "\"internal\":t,\"seen_on_wire\":f,\"key_prefix\":null,\"database\":0");
    end(c);
}
END_TEST

START_TEST(sessions_are_shown_in_short)
{
    struct rig_client *c = begin();

    rig_tomcat_session(0, RIG_CONTEXT, "0123456789ABCDEF", "cart", value_from_bytes(SPAN_LIT("books")));
    rig_ask(c, "SET sess:short v EX 100", "+OK\r\n");
    const char *s = show(c, "CLUSTERD SESSIONS CONTEXT " RIG_CONTEXT);
    expect_in(s, "[\"0\",[{\"context\":\"" RIG_CONTEXT "\",\"id\":\"");
    expect_in(s, "\"id\":\"012345...\",\"kind\":\"hash\",\"attributes\":1,\"bytes\":");
    expect_in(s, "\"max_inactive_s\":1800,\"principal\":null,\"writer\":\"70707070\",\"written_ms\":");
    expect_in(s, "\"id\":\"short\",\"kind\":\"string\",\"attributes\":1,");
    expect_in(s, "\"ttl_ms\":99");
    expect_not_in(s, "6789");
    expect_not_in(s, "books");
    s = show(c, "CLUSTERD SESSION " RIG_CONTEXT " 0123456789ABCDEF");
    expect_in(s, "{\"context\":\"" RIG_CONTEXT "\",\"id\":\"012345...\"");
    expect_in(s, "\"auth_type\":null,\"entries\":[{\"name\":\"\",\"type\":\"max_inactive\",\"class\":null,"
                 "\"size\":0,");
    expect_in(s, "{\"name\":\"cart\",\"type\":\"attribute\",\"class\":\"java.lang.String\",\"size\":12,"
                 "\"writer\":\"70707070\",\"written_ms\":");
    expect_not_in(s, "6789");
    expect_not_in(s, "books");
    s = show(c, "CLUSTERD SESSION " RIG_CONTEXT " 0123456789ABCDEF REVEAL");
    expect_in(s, "\"id\":\"0123456789ABCDEF\"");
    expect_in(s, "\"value\":\"books\"");
    s = show(c, "CLUSTERD SESSIONS REVEAL MATCH *ABC*");
    expect_in(s, "\"id\":\"0123456789ABCDEF\"");
    expect_not_in(s, "short");
    expect_not_in(s, "books");
    end(c);
}
END_TEST

/* What a Tomcat keeps beside the attributes: clear-text passwords among it. */
START_TEST(principals_and_notes_are_never_revealed)
{
    struct rig_client *c = begin();
    struct context *k = rig_context(0, RIG_CONTEXT);
    struct table_now now = table_now(host_main(rig_nodes[0]->host));
    struct version v = {.time_ms = now.wall_ms, .writer = 1, .seq = 1};
    struct change *change = change_new(k, SPAN_LIT("S"), v);

    change->life_kind = CHANGE_LIFE_OPEN;
    change->life = change->floor = v;
    change_set(change, ENTRY_PRINCIPAL, (struct span){0}, value_from_bytes(SPAN_LIT("pass1")), v);
    change_set(change, ENTRY_AUTH_TYPE, (struct span){0}, value_from_bytes(SPAN_LIT("FORM")), v);
    change_set(change, ENTRY_NOTE, SPAN_LIT("org.apache.catalina.session.PASSWORD"),
               value_from_bytes(SPAN_LIT("pass2")), v);
    change_set_number(change, ENTRY_MAX_INACTIVE, 60, v);
    change_seal(change);
    ck_assert_int_eq(table_apply(manager_table(rig_nodes[0]->manager), change, now), TABLE_APPLIED);
    change_unref(change);
    const char *s = show(c, "CLUSTERD SESSION " RIG_CONTEXT " S REVEAL");
    expect_in(s, "\"auth_type\":\"FORM\"");
    expect_in(s, "\"name\":\"org.apache.catalina.session.PASSWORD\",\"type\":\"note\"");
    expect_in(s, "\"type\":\"principal\"");
    expect_in(s, "\"type\":\"max_inactive\"");
    expect_in(s, "\"value\":\"60\"");
    expect_not_in(s, "pass1");
    expect_not_in(s, "pass2");
    end(c);
}
END_TEST

START_TEST(pages_of_sessions)
{
    struct rig_client *c = begin();
    char words[96], cursor[32] = "";
    int found = 0, pages = 0;

    for (int i = 0; i < 500; i++) {
        snprintf(words, sizeof words, "SET key%d v", i);
        rig_reply(c, words);
    }
    snprintf(words, sizeof words, "CLUSTERD SESSIONS COUNT 50");
    for (; strcmp(cursor, "0") != 0; pages++) {
        const char *s = show(c, words);
        snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(s + 2, "\""), s + 2);
        snprintf(words, sizeof words, "CLUSTERD SESSIONS COUNT 50 CURSOR %s", cursor);
        for (const char *p = s; (p = strstr(p, "\"id\":")); p++)
            found++;
    }
    ck_assert_int_ge(found, 500);
    ck_assert_int_lt(found, 520);
    ck_assert_int_gt(pages, 4);
    rig_ask(c, "CLUSTERD SESSIONS CURSOR x", "-ERR invalid cursor\r\n");
    rig_ask(c, "CLUSTERD SESSIONS COUNT x", "-ERR value is not an integer or out of range\r\n");
    rig_ask(c, "CLUSTERD SESSIONS COUNT", "-ERR syntax error\r\n");
    rig_ask(c, "CLUSTERD SESSIONS nonsense 1", "-ERR syntax error\r\n");
    rig_ask(c, "CLUSTERD SESSIONS CONTEXT nonsense", "-ERR no such context\r\n");
    rig_ask(c, "CLUSTERD SESSION nonsense S", "-ERR no such context\r\n");
    rig_ask(c, "CLUSTERD SESSION redis/0 S", "-ERR no such session\r\n");
    rig_ask(c, "CLUSTERD SESSION redis/0 key1 nonsense", "-ERR syntax error\r\n");
    end(c);
}
END_TEST

START_TEST(expire)
{
    struct rig_client *c = begin();

    rig_tomcat_session(0, "localhost#/hidden", "SESSION123", NULL, NULL);
    rig_ask(c, "CLUSTERD EXPIRE localhost#/hidden nonsense", "-ERR no such session\r\n");
    rig_ask(c, "CLUSTERD EXPIRE nonsense SESSION123", "-ERR no such context\r\n");
    rig_ask(c, "CLUSTERD EXPIRE localhost#/hidden SESSION123", "+OK\r\n");
    rig_ask(c, "CLUSTERD EXPIRE localhost#/hidden SESSION123", "-ERR no such session\r\n");
    ck_assert_uint_eq(logs_count("Session SESSIO... of context localhost#/hidden ended by the operator"), 1);
    ck_assert_uint_eq(logs_count("SESSION123"), 0);
    end(c);
}
END_TEST

static bool sees_member(void *arg)
{
    struct view *v = channel_view(cluster_channel(((struct rig_node *)arg)->cluster));
    bool sees = v->n == 1;

    view_unref(v);
    return sees;
}

START_TEST(members)
{
    struct rig_conf conf = {.cluster = "channelSendOptions: 8"};

    rig_begin(5);
    struct rig_node *n = rig_node(0, &conf);
    rig_node(1, &conf);
    ck_assert(sim_run_until(rig_sim, sees_member, n, 60000));
    sim_run_ms(rig_sim, 20000);
    struct rig_client *c = rig_connect(0, RIG_CONTROL);
    const char *s = show(c, "CLUSTERD MEMBERS"); /* RESP2 */
    expect_in(s, "[[\"name\",\"10.0.0.1:4000\",\"host\",\"10.0.0.1\",\"port\",4000,\"alive\",");
    expect_in(s, "\"state\",\"self\",\"suspect\",0,\"lagging\",0,\"complete\",1,\"id\",\"");
    expect_in(s, "],[\"name\",\"10.0.0.2:4000\",\"host\",\"10.0.0.2\",\"port\",4000,\"alive\",");
    expect_in(s, "\"state\",\"up\",\"suspect\",0,\"lagging\",0,\"complete\",1,\"id\",\"");
    expect_in(s, "\"kind\",\"clusterd\",\"clusterd_version\",1,\"queued_bytes\",0,\"queued_messages\",0,");
    rig_reply(c, "HELLO 3");
    buf_clear(&c->got);
    s = show(c, "CLUSTERD STATUS");
    expect_in(s, "\"complete\":t,\"why\":\"\"");
    expect_in(s, "\"name\":\"10.0.0.1:4000\",\"members\":1,\"view\":");
    expect_in(s, "\"send_options\":\"async\"");
    expect_in(show(c, "INFO clusterd"), "member0:name=10.0.0.2:4000,kind=clusterd,suspect=0,lagging=0");
    rig_close(c);
    buf_fini(&shown);
    rig_end();
}
END_TEST

/* redis-cli asks for these at its prompt. */
START_TEST(docs_of_all_commands)
{
    struct rig_client *c = begin();
    struct rig_client *app = rig_connect(0, NULL);

    const char *s = show(c, "COMMAND DOCS");
    expect_in(s, "\"get\":{\"summary\":\"Get the value of a key\",\"since\":\"1.0.0\",\"group\":\"string\"}");
    expect_in(s, "\"subcommands\":{\"client|getname\":{\"summary\":");
    expect_in(s, "\"clusterd|sessions\"");
    s = show(app, "COMMAND DOCS");
    expect_in(s, "[\"auth\",[\"summary\",");
    expect_not_in(s, "\"clusterd");
    s = show(app, "COMMAND INFO get nonsense hset");
    expect_in(s, "[[\"get\",2,[+readonly,+fast],1,1,1,[+@read,+@string,+@fast],[],[],[]],null,[\"hset\",-4,");
    s = show(app, "COMMAND LIST FILTERBY PATTERN h?et");
    ck_assert_str_eq(s, "[\"hget\",\"hset\"]");
    expect_in(show(app, "COMMAND"), "[\"client\",-2,");
    rig_close(app);
    end(c);
}
END_TEST

CLUSTERD_SUITE(front_control, &simple_ones, &status_and_contexts, &sessions_are_shown_in_short,
               &principals_and_notes_are_never_revealed, &pages_of_sessions, &expire, &members,
               &docs_of_all_commands)
