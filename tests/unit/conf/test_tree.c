/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to a tree: shapes, lines, everything that is refused, limits.
 */
#include "clusterd/conf/tree.h"

#include "support/suite.h"

#include <stdlib.h>
#include <unistd.h>

static struct conf_node *load(const char *yaml)
{
    struct diag d = {0};
    struct conf_node *root = NULL;

    ck_assert_msg(tree_load_text(span_str(yaml), "t.yaml", &d, &root) == ERR_OK, "%s", buf_cstr(&d.text));
    ck_assert_uint_eq(d.errors, 0);
    diag_fini(&d);
    return root;
}

static void refused_span(struct span yaml, const char *want)
{
    struct diag d = {0};
    struct conf_node *root = NULL;

    ck_assert_msg(tree_load_text(yaml, "t.yaml", &d, &root) == ERR_CONFIG, "accepted: %.*s", (int)yaml.n,
                  (const char *)yaml.p);
    ck_assert_ptr_null(root);
    ck_assert_msg(strstr(buf_cstr(&d.text), want) != NULL, "%s", buf_cstr(&d.text));
    diag_fini(&d);
}

static void refused(const char *yaml, const char *want)
{
    refused_span(span_str(yaml), want);
}

START_TEST(shapes)
{
    struct conf_node *root = load("cluster:\n"
                                  "  name: demo   # comment\n"
                                  "  list:\n"
                                  "    - one\n"
                                  "    - {a: 1, b: [x, y]}\n"
                                  "  text: \"a: b\"\n");
    const struct conf_node *cluster = tree_find(root, "cluster"), *list = tree_find(cluster, "list");

    ck_assert_int_eq(root->kind, CONF_MAP);
    ck_assert_int_eq(cluster->kind, CONF_MAP);
    ck_assert_uint_eq(cluster->line, 1);
    ck_assert_str_eq(tree_find(cluster, "name")->text, "demo");
    ck_assert_uint_eq(tree_find(cluster, "name")->line, 2);
    ck_assert_str_eq(tree_find(cluster, "name")->file, "t.yaml");
    ck_assert_str_eq(tree_find(cluster, "text")->text, "a: b");
    ck_assert_int_eq(list->kind, CONF_LIST);
    ck_assert_uint_eq(list->line, 3);
    ck_assert_str_eq(tree_first(list)->text, "one");
    ck_assert_ptr_null(tree_first(list)->key);
    const struct conf_node *second = tree_first(list)->next;
    ck_assert_int_eq(second->kind, CONF_MAP);
    ck_assert_uint_eq(second->line, 5);
    ck_assert_str_eq(tree_find(second, "b")->first->next->text, "y");
    ck_assert_ptr_null(second->next);
    ck_assert_ptr_null(tree_find(cluster, "nothing"));
    ck_assert_ptr_null(tree_find(NULL, "nothing"));
    ck_assert_ptr_null(tree_find(list, "one"));
    tree_free(root);
}
END_TEST

START_TEST(nulls)
{
    struct conf_node *root = load("a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\nf: x\n");
    static const bool want[] = {true, true, true, false, false, false};
    unsigned i = 0;

    for (const struct conf_node *n = tree_first(root); n; n = n->next, i++)
        ck_assert_msg(n->is_null == want[i], "%s", n->key);
    ck_assert_uint_eq(i, 6);
    tree_free(root);
}
END_TEST

START_TEST(empty_files)
{
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "{}\n"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct conf_node *root = load(texts[i]);
        ck_assert_msg(root->kind == CONF_MAP || root->is_null, "%s", texts[i]);
        ck_assert_ptr_null(root->first);
        tree_free(root);
    }
    tree_free(NULL);
}
END_TEST

START_TEST(refusals)
{
    refused("a: 1\nb: 2\na: 3\n", "t.yaml:3: error: a: given twice; it is in line 1 already");
    refused("x:\n  k: 1\n  k: 2\n", "t.yaml:3: error: k: given twice; it is in line 2 already");
    refused("a: &here 1\nb: 2\n", "t.yaml:1: error: anchors (&name) are not supported");
    refused("a: &here [1]\n", "anchors (&name) are not supported");
    refused("a: &here {b: 1}\n", "anchors (&name) are not supported");
    refused("a: 1\nb: *here\n", "t.yaml:2: error: aliases (*name) are not supported");
    refused("a: !!int 1\n", "tags (!name) are not supported");
    refused("a: !x [1]\n", "tags (!name) are not supported");
    refused("? [a, b]\n: 1\n", "a key must be a plain text");
    refused("? {a: b}\n: 1\n", "a key must be a plain text");
    refused("\"\": 1\n", "a key must not be empty");
    refused("\"a\\0b\": 1\n", "a key must not be empty or contain a NUL byte");
    refused("a: \"b\\0c\"\n", "a value must not contain a NUL byte");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2: error: only one YAML document");
}
END_TEST

START_TEST(syntax_errors_have_a_line)
{
    refused("a: 1\nb: [1, 2\nc: 3\n", "t.yaml:3: error: ");
    refused("a: 1\n\tb: 2\n", "t.yaml:2: error: ");
    refused("a: \"open\n", "t.yaml:");
    refused("a: 1\n  b: 2\n", "t.yaml:2: error: ");
    refused_span(SPAN_LIT("a: \xff\n"), "t.yaml:1: error: ");
    refused_span(SPAN_LIT("a: 1\nb: \x01\n"), "t.yaml:2: error: ");
    refused_span(SPAN_LIT("\xff\xfe"
                          "a\0:\0 \0b\0"),
                 "t.yaml:");
}
END_TEST

START_TEST(limits)
{
    struct buf b = {0};

    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        wr_u8(&b, '[');
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        wr_u8(&b, ']');
    tree_free(load(buf_cstr(&b)));
    buf_clear(&b);
    for (unsigned i = 0; i <= TREE_DEPTH_MAX; i++)
        wr_u8(&b, '[');
    refused(buf_cstr(&b), "nested too deeply");

    buf_clear(&b);
    for (unsigned i = 0; i < TREE_NODES_MAX - 1; i++)
        wr_text(&b, "- x\n");
    tree_free(load(buf_cstr(&b)));
    wr_text(&b, "- x\n");
    refused(buf_cstr(&b), "t.yaml:10000: error: the file has too many values");

    buf_clear(&b);
    buf_reserve(&b, TREE_FILE_MAX + 1);
    memset(b.p, '#', TREE_FILE_MAX + 1);
    b.n = TREE_FILE_MAX + 1;
    refused_span(buf_span(&b), "larger than 1048576 bytes");
    buf_fini(&b);
}
END_TEST

START_TEST(files)
{
    struct diag d = {0};
    struct conf_node *root = NULL;
    char path[] = "/tmp/clusterd-tree-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "a: 1\n", 5), 5);
    close(fd);
    ck_assert_int_eq(tree_load_file(path, &d, &root), ERR_OK);
    ck_assert_str_eq(tree_find(root, "a")->text, "1");
    tree_free(root);
    unlink(path);

    root = NULL;
    ck_assert_int_eq(tree_load_file("/nonexistent/x.yaml", &d, &root), ERR_CONFIG);
    ck_assert_str_eq(buf_cstr(&d.text),
                     "/nonexistent/x.yaml: error: cannot be opened: No such file or directory\n");
    buf_clear(&d.text);
    ck_assert_int_eq(tree_load_file("/", &d, &root), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "Is a directory"));
    ck_assert_ptr_null(root);
    diag_fini(&d);
}
END_TEST

START_TEST(sections)
{
    struct conf_node *root = load("map: {a: 1}\nlist: [1]\nscalar: x\nempty:\n");
    struct diag d = {0};

    ck_assert_ptr_nonnull(tree_section(root, "map", CONF_MAP, &d));
    ck_assert_ptr_nonnull(tree_section(root, "list", CONF_LIST, &d));
    ck_assert_ptr_nonnull(tree_section(root, "scalar", CONF_SCALAR, &d));
    ck_assert_ptr_null(tree_section(root, "absent", CONF_MAP, &d));
    ck_assert_ptr_null(tree_section(root, "empty", CONF_MAP, &d));
    ck_assert_uint_eq(d.errors, 0);
    ck_assert_ptr_null(tree_section(root, "list", CONF_MAP, &d));
    ck_assert_ptr_null(tree_section(root, "map", CONF_LIST, &d));
    ck_assert_ptr_null(tree_section(root, "map", CONF_SCALAR, &d));
    ck_assert_uint_eq(d.errors, 3);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&d.text), "t.yaml:2: error: list: must be a section of keys"));
    diag_fini(&d);
    tree_free(root);
}
END_TEST

/* Has `etc` the keys of `example`, in its order? (Others may stand there as comments only.) Lists may differ.
 */
static void same_keys(const struct conf_node *example, const struct conf_node *etc)
{
    const struct conf_node *e = tree_first(etc);

    for (const struct conf_node *n = tree_first(example); n; n = n->next) {
        if (strcmp(n->key, "bind") == 0 || strcmp(n->key, "allowFrom") == 0 ||
            strcmp(n->key, "jvmRoute") == 0)
            continue; /* they belong to one host: comments in etc */
        ck_assert_msg(e && strcmp(e->key, n->key) == 0, "%s is not where %s was expected",
                      e ? e->key : "nothing", n->key);
        ck_assert_int_eq(n->kind, e->kind);
        if (n->kind == CONF_MAP)
            same_keys(n, e);
        e = e->next;
    }
    ck_assert_msg(e == NULL, "%s is not in the example", e ? e->key : "");
}

START_TEST(shipped_file)
{
    struct diag d = {0};
    struct conf_node *example = NULL, *etc = NULL;

    ck_assert_int_eq(tree_load_file(TESTS_DIR "/golden/clusterd.example.yaml", &d, &example), ERR_OK);
    ck_assert_int_eq(tree_load_file(TESTS_DIR "/../etc/clusterd.yaml", &d, &etc), ERR_OK);
    same_keys(example, etc);
    tree_free(example);
    tree_free(etc);
    diag_fini(&d);
}
END_TEST

CLUSTERD_SUITE(tree, &shapes, &nulls, &empty_files, &refusals, &syntax_errors_have_a_line, &limits, &files,
               &sections, &shipped_file)
