/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: every type, defaults, every mistake that a file can make, printing back.
 */
#include "clusterd/conf/option.h"

#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct sample {
    int cls;
    bool enabled;
    int32_t port;
    int64_t frequency_ms, timeout_s;
    uint64_t max_bytes;
    char *name, *unset, *secret, *checked;
    int mode;
    struct option_strings listen, none;
    unsigned bits;
};

static enum err parse_bits(const char *text, void *field, const char **why)
{
    if (strcmp(text, "one") != 0 && strcmp(text, "two") != 0) {
        *why = "must be one or two";
        return ERR_BAD;
    }
    *(unsigned *)field = text[0] == 'o' ? 1 : 2;
    return ERR_OK;
}

static void print_bits(const void *field, struct buf *out)
{
    wr_text(out, *(const unsigned *)field == 1 ? "one" : "two");
}

static enum err check_slash(const char *text, void *field, const char **why)
{
    ck_assert_ptr_null(field);
    *why = "must begin with a slash";
    return text[0] == '/' ? ERR_OK : ERR_BAD;
}

static const char *const classes[] = {"McastService", "StaticMembershipService", NULL};
static const char *const modes[] = {"pooled", "synchronous", "asynchronous", NULL};

static const struct option_spec rows[] = {
    {.name = "className", .type = OPTION_CLASS, OPTION_AT(struct sample, cls), .names = classes},
    {.name = "enabled", .type = OPTION_BOOL, OPTION_AT(struct sample, enabled), .def = "true"},
    {.name = "port",
     .aliases = "mcastPort oldPort",
     .type = OPTION_INT,
     OPTION_AT(struct sample, port),
     .def = "45564",
     .min = 1,
     .max = 65535,
     .flags = OPTION_LIVE,
     .doc = "the port"},
    {.name = "frequency",
     .aliases = "mcastFrequency",
     .type = OPTION_MS,
     OPTION_AT(struct sample, frequency_ms),
     .def = "500",
     .min = 1,
     .max = 3600000},
    {.name = "timeout",
     .type = OPTION_SECONDS,
     OPTION_AT(struct sample, timeout_s),
     .def = "auto",
     .min = -1,
     .max = 100,
     .flags = OPTION_AUTO},
    {.name = "maxBytes",
     .type = OPTION_BYTES,
     OPTION_AT(struct sample, max_bytes),
     .def = "64m",
     .flags = OPTION_AUTO},
    {.name = "name", .type = OPTION_STRING, OPTION_AT(struct sample, name), .def = "demo"},
    {.name = "unset", .type = OPTION_STRING, OPTION_AT(struct sample, unset)},
    {.name = "secret", .type = OPTION_STRING, OPTION_AT(struct sample, secret), .flags = OPTION_SECRET},
    {.name = "checked",
     .type = OPTION_STRING,
     OPTION_AT(struct sample, checked),
     .def = "/run",
     .parse = check_slash},
    {.name = "mode",
     .aliases = "replicationMode",
     .type = OPTION_ENUM,
     OPTION_AT(struct sample, mode),
     .def = "pooled",
     .names = modes,
     .flags = OPTION_NO_EFFECT},
    {.name = "listen",
     .type = OPTION_STRINGS,
     OPTION_AT(struct sample, listen),
     .def = "/a /b",
     .parse = check_slash},
    {.name = "none", .type = OPTION_STRINGS, OPTION_AT(struct sample, none)},
    {.name = "bits",
     .type = OPTION_CUSTOM,
     OPTION_AT(struct sample, bits),
     .def = "two",
     .parse = parse_bits,
     .print = print_bits},
    {0},
};

static const char *const sections[] = {"manager", "interceptors", NULL};

/* Load and give the messages; *out must be freed with option_free(). */
static enum err load(const char *yaml, struct sample *out, struct diag *d)
{
    struct conf_node *root = NULL;

    *out = (struct sample){0};
    ck_assert_int_eq(tree_load_text(span_str(yaml), "t", d, &root), ERR_OK);
    enum err e = option_load(root, rows, sections, out, d);
    tree_free(root);
    return e;
}

static void accepted(const char *yaml, struct sample *out)
{
    struct diag d = {0};

    ck_assert_msg(load(yaml, out, &d) == ERR_OK, "%s", buf_cstr(&d.text));
    diag_fini(&d);
}

static void refused(const char *yaml, const char *want)
{
    struct diag d = {0};
    struct sample s;

    ck_assert_msg(load(yaml, &s, &d) == ERR_CONFIG, "accepted: %s", yaml);
    ck_assert_str_eq(buf_cstr(&d.text), want);
    diag_fini(&d);
    option_free(rows, &s);
}

static void check_defaults(const struct sample *s)
{
    ck_assert_int_eq(s->cls, 0);
    ck_assert(s->enabled);
    ck_assert_int_eq(s->port, 45564);
    ck_assert_int_eq(s->frequency_ms, 500);
    ck_assert_int_eq(s->timeout_s, OPTION_AUTO_VALUE);
    ck_assert_uint_eq(s->max_bytes, 64u << 20);
    ck_assert_str_eq(s->name, "demo");
    ck_assert_ptr_null(s->unset);
    ck_assert_str_eq(s->checked, "/run");
    ck_assert_int_eq(s->mode, 0);
    ck_assert_uint_eq(s->listen.n, 2);
    ck_assert_str_eq(s->listen.v[1], "/b");
    ck_assert_uint_eq(s->none.n, 0);
    ck_assert_uint_eq(s->bits, 2);
}

START_TEST(defaults)
{
    struct sample s = {0}, t;

    option_defaults(rows, &s);
    check_defaults(&s);
    option_free(rows, &s);
    ck_assert_ptr_null(s.name);
    ck_assert_uint_eq(s.listen.n, 0);
    accepted("", &t);
    check_defaults(&t);
    option_free(rows, &t);

    struct diag d = {0};
    struct sample u = {0};
    ck_assert_int_eq(option_load(NULL, rows, NULL, &u, &d), ERR_OK);
    check_defaults(&u);
    option_free(rows, &u);
    diag_fini(&d);
}
END_TEST

START_TEST(all_types)
{
    struct sample s;

    accepted("className: StaticMembershipService\nenabled: Off\nport: 1\nfrequency: 3600000\ntimeout: -1\n"
             "maxBytes: 2g\nname: \"\"\nunset: x y\nsecret: 'pw'\nchecked: /x\nmode: asynchronous\n"
             "listen: [/1, /2, /3]\nnone: single\nbits: one\nmanager: {}\ninterceptors: []\n",
             &s);
    ck_assert_int_eq(s.cls, 1);
    ck_assert(!s.enabled);
    ck_assert_int_eq(s.port, 1);
    ck_assert_int_eq(s.frequency_ms, 3600000);
    ck_assert_int_eq(s.timeout_s, -1);
    ck_assert_uint_eq(s.max_bytes, UINT64_C(2) << 30);
    ck_assert_str_eq(s.name, "");
    ck_assert_str_eq(s.unset, "x y");
    ck_assert_str_eq(s.checked, "/x");
    ck_assert_int_eq(s.mode, 2);
    ck_assert_uint_eq(s.listen.n, 3);
    ck_assert_str_eq(s.listen.v[2], "/3");
    ck_assert_uint_eq(s.none.n, 1);
    ck_assert_str_eq(s.none.v[0], "single");
    ck_assert_uint_eq(s.bits, 1);
    option_free(rows, &s);
}
END_TEST

START_TEST(older_names)
{
    struct sample s;

    accepted("mcastPort: 4000\nmcastFrequency: 100\nreplicationMode: pooled\n", &s);
    ck_assert_int_eq(s.port, 4000);
    ck_assert_int_eq(s.frequency_ms, 100);
    option_free(rows, &s);
    accepted("oldPort: 4001\n", &s);
    ck_assert_int_eq(s.port, 4001);
    option_free(rows, &s);
    ck_assert_ptr_eq(option_find(rows, "oldPort"), &rows[2]);
    ck_assert_ptr_eq(option_find(rows, "port"), &rows[2]);
    ck_assert_ptr_null(option_find(rows, "Port"));
    ck_assert_ptr_null(option_find(rows, "mcastPort oldPort"));
    refused("port: 1\nmcastPort: 2\n",
            "t:2: error: mcastPort: the same key as port, which is in line 1 already\n");
    refused("oldPort: 1\nname: x\nmcastPort: 2\n",
            "t:3: error: mcastPort: the same key as oldPort, which is in line 1 already\n");
}
END_TEST

START_TEST(class_names)
{
    static const char *const texts[] = {
        "McastService",
        "org.apache.catalina.tribes.membership.McastService",
        "org.apache.catalina.cluster.mcast.McastService",
    };
    struct sample s;
    char yaml[128];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(yaml, sizeof yaml, "className: %s\n", texts[i]);
        accepted(yaml, &s);
        ck_assert_int_eq(s.cls, 0);
        option_free(rows, &s);
    }
    ck_assert_str_eq(option_class_short("org.apache.catalina.ha.tcp.SimpleTcpCluster"), "SimpleTcpCluster");
    ck_assert_str_eq(option_class_short("com.example.McastService"), "com.example.McastService");
    refused("className: com.example.McastService\n",
            "t:1: error: className: must be one of McastService, StaticMembershipService\n");
    refused("className: org.apache.catalina.tribes.membership.McastServce\n",
            "t:1: error: className: must be one of McastService, StaticMembershipService (did you mean "
            "McastService?)\n");
}
END_TEST

START_TEST(wrong_values)
{
    refused("port: x\n", "t:1: error: port: must be a whole number\n");
    refused("port: 0x10\n", "t:1: error: port: must be a whole number\n");
    refused("port: 1.5\n", "t:1: error: port: must be a whole number\n");
    refused("port: \"1 \"\n", "t:1: error: port: must be a whole number\n");
    refused("port:\n  - 1\n", "t:1: error: port: must be a single value, not a list\n");
    refused("port: \"-\"\n", "t:1: error: port: must be a whole number\n");
    refused("port: 0\n", "t:1: error: port: must be from 1 to 65535\n");
    refused("mcastPort: 65536\n", "t:1: error: mcastPort: must be from 1 to 65535\n");
    refused("port: 99999999999999999999999\n", "t:1: error: port: must be a whole number\n");
    refused("port: [1]\n", "t:1: error: port: must be a single value, not a list\n");
    refused("port: {a: 1}\n", "t:1: error: port: must be a single value, not a section\n");
    refused("port:\n",
            "t:1: error: port: has no value; leave the key out, or write \"\" for an empty text\n");
    refused("frequency: 0\n", "t:1: error: frequency: must be from 1 to 3600000 (milliseconds)\n");
    refused("frequency: fast\n", "t:1: error: frequency: must be a whole number (milliseconds)\n");
    refused("timeout: -2\n", "t:1: error: timeout: must be from -1 to 100 (seconds)\n");
    refused("timeout: x\n", "t:1: error: timeout: must be a whole number (seconds), or auto\n");
    refused("maxBytes: -1\n",
            "t:1: error: maxBytes: must be a number of bytes such as 65536, 64k, 16m or 2g, or "
            "auto\n");
    refused("maxBytes: 17179869184g\n", "t:1: error: maxBytes: must be less than 2^63 bytes\n");
    refused("enabled: maybe\n", "t:1: error: enabled: must be true or false\n");
    refused("mode: poled\n",
            "t:1: error: mode: must be one of pooled, synchronous, asynchronous (did you mean "
            "pooled?)\n");
    refused("checked: x\n", "t:1: error: checked: must begin with a slash\n");
    refused("bits: three\n", "t:1: error: bits: must be one or two\n");
    refused("listen:\n  - /a\n  - b\n  - [c]\n  - {d: e}\n",
            "t:3: error: listen: must begin with a slash\n"
            "t:4: error: listen: must be a single value, not a list\n"
            "t:5: error: listen: must be a single value, not a section\n");
    refused("listen: {a: b}\n", "t:1: error: listen: must be a single value, not a section\n");
    refused("- port\n", "t:1: error: must be a section of keys (\"key: value\" lines)\n");
}
END_TEST

START_TEST(bytes)
{
    static const struct {
        const char *text;
        uint64_t want;
    } good[] = {{"0", 0},
                {"65536", 65536},
                {"64k", 65536},
                {"64K", 65536},
                {"1m", 1u << 20},
                {"3G", UINT64_C(3) << 30},
                {"8589934591g", UINT64_C(8589934591) << 30},
                {"auto", UINT64_MAX}};
    static const char *const bad[] = {"k",           "-1",          "-1k",  "1kb",  "1t",
                                      "1 k",         "1.5m",        "0x10", "\"\"", "9999999999999999999",
                                      "8589934592g", "17179869184g"};
    struct sample s;
    struct diag d = {0};
    char yaml[64];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(yaml, sizeof yaml, "maxBytes: %s\n", good[i].text);
        accepted(yaml, &s);
        ck_assert_uint_eq(s.max_bytes, good[i].want);
        option_free(rows, &s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(yaml, sizeof yaml, "maxBytes: %s\n", bad[i]);
        ck_assert_msg(load(yaml, &s, &d) == ERR_CONFIG, "%s", bad[i]);
        ck_assert_uint_eq(s.max_bytes, 64u << 20);
        option_free(rows, &s);
    }
    diag_fini(&d);
}
END_TEST

START_TEST(unknown_keys)
{
    refused("prot: 1\n", "t:1: error: prot: unknown key; did you mean port?\n");
    refused("mcastport: 1\n", "t:1: error: mcastport: unknown key; did you mean mcastPort?\n");
    refused("mangaer: {}\n", "t:1: error: mangaer: unknown key; did you mean manager?\n");
    refused("frequencyMs: 1\n", "t:1: error: frequencyMs: unknown key; did you mean frequency?\n");
    refused("xyzzy: 1\n", "t:1: error: xyzzy: unknown key\n");
    ck_assert_str_eq(option_nearest("poled", modes), "pooled");
    ck_assert_ptr_null(option_nearest("xyz", modes));
    ck_assert_ptr_null(option_nearest("", modes));
}
END_TEST

START_TEST(all_mistakes_at_once)
{
    struct diag d = {0};
    struct sample s;

    ck_assert_int_eq(load("port: 0\nprot: 1\nname: kept\nenabled: x\nlisten: b\n", &s, &d), ERR_CONFIG);
    ck_assert_uint_eq(d.errors, 4);
    ck_assert_str_eq(s.name, "kept");
    ck_assert_int_eq(s.port, 45564); /* defaults where something was wrong */
    ck_assert(s.enabled);
    ck_assert_uint_eq(s.listen.n, 2);
    option_free(rows, &s);
    diag_fini(&d);
}
END_TEST

START_TEST(required)
{
    static const struct option_spec needed[] = {
        {.name = "name", .type = OPTION_STRING, OPTION_AT(struct sample, name), .flags = OPTION_REQUIRED},
        {0},
    };
    struct sample s = {0};
    struct diag d = {0};
    struct conf_node *root;

    ck_assert_int_eq(tree_load_text(SPAN_LIT("\n\nx:\n  y: {}\n"), "t", &d, &root), ERR_OK);
    const struct conf_node *y = tree_find(tree_find(root, "x"), "y");
    ck_assert_int_eq(option_load(y, needed, NULL, &s, &d), ERR_CONFIG);
    ck_assert_str_eq(buf_cstr(&d.text), "t:4: error: name: missing\n");
    ck_assert_ptr_null(s.name);
    tree_free(root);
    diag_fini(&d);
}
END_TEST

/* What is printed is a file that loads to the same values. */
START_TEST(dump)
{
    struct sample s, back;
    struct buf text = {0}, again = {0};

    accepted("className: StaticMembershipService\nmaxBytes: 3145728\ntimeout: 7\nlisten: ['/x y', /z]\n"
             "name: \"a\\\"b\\\\c: # \\n\\x01 \\u00e9\"\nunset: null-ish\nbits: one\n",
             &s);
    option_dump(rows, &s, 2, false, &text);
    ck_assert_str_eq(buf_cstr(&text), "  className: StaticMembershipService\n"
                                      "  enabled: true\n"
                                      "  port: 45564\n"
                                      "  frequency: 500\n"
                                      "  timeout: 7\n"
                                      "  maxBytes: 3m\n"
                                      "  name: \"a\\\"b\\\\c: # \\x0a\\x01 \xc3\xa9\"\n"
                                      "  unset: null-ish\n"
                                      "  # secret: \n"
                                      "  checked: /run\n"
                                      "  mode: pooled\n"
                                      "  listen: [\"/x y\", /z]\n"
                                      "  none: []\n"
                                      "  bits: one\n");
    accepted(buf_cstr(&text), &back);
    option_dump(rows, &back, 2, false, &again);
    ck_assert(span_eq(buf_span(&text), buf_span(&again)));
    ck_assert_str_eq(back.name, s.name);
    buf_fini(&text);
    buf_fini(&again);
    option_free(rows, &s);
    option_free(rows, &back);
}
END_TEST

/* What YAML takes for line breaks, or for no text at all, comes back as it was. */
START_TEST(dump_wide_breaks)
{
    struct sample s, back;
    struct buf text = {0};

    accepted("className: StaticMembershipService\n"
             "name: \"a\\u0080\\N\\x9f\\_b \\L \\P\\\\ \\ufeff\\ufffe\\uffff\\ufffd\"\n",
             &s);
    ck_assert_str_eq(s.name,
                     "a\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0"
                     "b \xe2\x80\xa8 \xe2\x80\xa9\\ \xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd");
    option_dump(rows, &s, 0, false, &text);
    accepted(buf_cstr(&text), &back);
    ck_assert_str_eq(back.name, s.name);
    buf_fini(&text);
    option_free(rows, &s);
    option_free(rows, &back);
}
END_TEST

START_TEST(dump_documents)
{
    struct sample s = {0};
    struct buf text = {0};

    option_defaults(rows, &s);
    s.secret = strdup("hidden");
    option_dump(rows, &s, 0, true, &text);
    const char *all = buf_cstr(&text);
    ck_assert_ptr_nonnull(strstr(all, "# the port. Also: mcastPort oldPort. From 1 to 65535. Default: 45564. "
                                      "Applied by a reload.\nport: 45564\n"));
    ck_assert_ptr_nonnull(strstr(all,
                                 "One of pooled, synchronous, asynchronous. Default: pooled. Accepted for "
                                 "Tomcat's sake, without effect here.\nmode: pooled\n"));
    ck_assert_ptr_nonnull(strstr(all, "timeout: auto\n"));
    ck_assert_ptr_nonnull(strstr(all, "secret: \"********\"\n"));
    ck_assert_ptr_null(strstr(all, "hidden"));
    buf_fini(&text);
    option_free(rows, &s);
}
END_TEST

START_TEST(changes)
{
    struct sample a, b;

    accepted("", &a);
    accepted("port: 7\nunset: x\nlisten: [/a]\nbits: one\nname: other\n", &b);
    for (const struct option_spec *row = rows; row->name; row++) {
        bool changed = strstr("port unset listen bits name", row->name) != NULL;
        ck_assert_msg(option_equal(row, &a, &b) == !changed, "%s", row->name);
        ck_assert(option_equal(row, &a, &a));
        ck_assert(option_equal(row, &b, &b));
    }
    option_free(rows, &a);
    option_free(rows, &b);
}
END_TEST

CLUSTERD_SUITE(option, &defaults, &all_types, &older_names, &class_names, &wrong_values, &bytes,
               &unknown_keys, &all_mistakes_at_once, &required, &dump, &dump_wide_breaks, &dump_documents,
               &changes)
