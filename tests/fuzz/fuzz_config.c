/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a configuration file, read by a table with one row of each type. Whatever it is,
 * the result is complete; what it prints loads again and prints the same.
 */
#include "clusterd/conf/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sample {
    int cls, mode;
    bool flag;
    int32_t port;
    int64_t frequency_ms, timeout_s;
    uint64_t max_bytes;
    char *name;
    struct option_strings listen;
    unsigned letter;
};

static enum err parse_letter(const char *text, void *field, const char **why)
{
    *why = "must be one letter";
    if (text[0] < 'a' || text[0] > 'z' || text[1])
        return ERR_BAD;
    *(unsigned *)field = (unsigned char)text[0];
    return ERR_OK;
}

static void print_letter(const void *field, struct buf *out)
{
    wr_u8(out, (uint8_t) * (const unsigned *)field);
}

static const char *const classes[] = {"McastService", "NioReceiver", NULL};
static const char *const modes[] = {"pooled", "synchronous", NULL};

static const struct option_spec rows[] = {
    {.name = "className", .type = OPTION_CLASS, OPTION_AT(struct sample, cls), .names = classes},
    {.name = "mode", .type = OPTION_ENUM, OPTION_AT(struct sample, mode), .names = modes},
    {.name = "flag", .type = OPTION_BOOL, OPTION_AT(struct sample, flag)},
    {.name = "port", .aliases = "tcpPort", .type = OPTION_INT, OPTION_AT(struct sample, port), .max = 65535},
    {.name = "frequency", .type = OPTION_MS, OPTION_AT(struct sample, frequency_ms), .def = "500"},
    {.name = "timeout",
     .type = OPTION_SECONDS,
     OPTION_AT(struct sample, timeout_s),
     .min = -1,
     .max = 9,
     .flags = OPTION_AUTO},
    {.name = "maxBytes", .type = OPTION_BYTES, OPTION_AT(struct sample, max_bytes), .flags = OPTION_AUTO},
    {.name = "name", .type = OPTION_STRING, OPTION_AT(struct sample, name), .def = "x"},
    {.name = "listen", .type = OPTION_STRINGS, OPTION_AT(struct sample, listen), .def = "a b"},
    {.name = "letter",
     .type = OPTION_CUSTOM,
     OPTION_AT(struct sample, letter),
     .def = "q",
     .parse = parse_letter,
     .print = print_letter},
    {0},
};

static const char *const sections[] = {"cluster", NULL};

/* Print it, load that, print it again. */
static void load_again(const struct sample *s)
{
    struct buf text = {0}, again = {0};
    struct diag d = {0};
    struct conf_node *root = NULL;
    struct sample back = {0};

    option_dump(rows, s, 0, true, &text);
    ASSERT(tree_load_text(buf_span(&text), "dump", &d, &root) == ERR_OK);
    ASSERT(option_load(root, rows, NULL, &back, &d) == ERR_OK);
    option_dump(rows, &back, 0, true, &again);
    ASSERT(span_eq(buf_span(&text), buf_span(&again)));
    tree_free(root);
    option_free(rows, &back);
    buf_fini(&text);
    buf_fini(&again);
    diag_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag d = {0};
    struct conf_node *root = NULL;
    struct sample s = {0};

    if (tree_load_text(span_of(data, size), "fuzz", &d, &root) != ERR_OK) {
        ASSERT(d.errors > 0 && root == NULL);
        diag_fini(&d);
        return 0;
    }
    const struct conf_node *inner = tree_section(root, "cluster", CONF_MAP, &d);
    unsigned before = d.errors;
    enum err e = option_load(inner ? inner : root, rows, sections, &s, &d);
    ASSERT((e == ERR_OK) == (d.errors == before));
    load_again(&s);
    option_free(rows, &s);
    tree_free(root);
    diag_fini(&d);
    return 0;
}
