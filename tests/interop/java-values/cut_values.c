/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C side of the test interop/java-values: cut_values DIR reads DIR/stream.ser and DIR/delta.ser, which
 * Java wrote, and writes DIR/value<n>.ser, DIR/text<n> (empty where there is none) and DIR/delta-again.ser
 * for Java.
 */
#include "clusterd/util/mem.h"
#include "clusterd/wire/delta.h"
#include "clusterd/wire/value.h"

#include <stdio.h>
#include <stdlib.h>

static void die(const char *what, const char *why)
{
    fprintf(stderr, "cut_values: %s: %s\n", what, why ? why : "?");
    exit(1);
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "rb");

    if (!f)
        die(path, "cannot be opened");
    for (int c; (c = getc(f)) != EOF;)
        wr_u8(out, (uint8_t)c);
    fclose(f);
    mem_free(path);
}

static void write_file(const char *dir, const char *name, unsigned number, const char *ext, struct span data)
{
    char *path = number == UINT32_MAX ? mem_printf("%s/%s%s", dir, name, ext)
                                      : mem_printf("%s/%s%u%s", dir, name, number, ext);
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data.p, 1, data.n, f) != data.n || fclose(f) != 0)
        die(path, "cannot be written");
    mem_free(path);
}

static void cut_stream(const char *dir)
{
    struct buf in = {0}, text = {0};
    enum java_next next;
    unsigned n = 0, exceptions = 0;

    read_file(dir, "stream.ser", &in);
    struct java *j = java_new(buf_span(&in), NULL);
    while ((next = java_peek(j)) != JAVA_AT_END) {
        struct java_item item;
        struct blob *value = NULL;
        if (next == JAVA_AT_DATA) {
            java_utf(j, "block data");
            continue;
        }
        if (!java_item(j, &item, "item"))
            break;
        if (item.kind == JAVA_EXCEPTION) {
            exceptions++;
            continue;
        }
        if (java_cut(j, &item, &value) != ERR_OK)
            die("value", "cannot be cut");
        write_file(dir, "value", n, ".ser", blob_span(value));
        buf_clear(&text);
        if (value_text(blob_span(value), 1 << 20, &text) != ERR_OK)
            buf_clear(&text);
        write_file(dir, "text", n++, "", buf_span(&text));
        blob_unref(value);
    }
    if (java_end(j, "end") != ERR_OK)
        die("stream.ser", java_field(j));
    if (exceptions != 2)
        die("stream.ser", "two writes failed there");
    java_free(j);
    buf_fini(&in);
    buf_fini(&text);
    printf("%u values cut\n", n);
}

static void repeat_delta(const char *dir)
{
    struct buf in = {0}, out = {0};
    struct delta d;
    const char *field = NULL;

    read_file(dir, "delta.ser", &in);
    if (delta_decode(buf_span(&in), NULL, &d, &field) != ERR_OK)
        die("delta.ser", field);
    if (d.n_dropped || d.n_unknown || delta_encode(&d, &out) != ERR_OK)
        die("delta.ser", "did not come through whole");
    write_file(dir, "delta-again", UINT32_MAX, ".ser", buf_span(&out));
    printf("delta of %u actions, %zu bytes from %zu\n", d.n, out.n, in.n);
    delta_fini(&d);
    buf_fini(&in);
    buf_fini(&out);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage", "cut_values DIR");
    cut_stream(argv[1]);
    repeat_delta(argv[1]);
    return 0;
}
