/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a Java serialization stream and as an RPC envelope. What can be cut out of it
 * stands alone: it walks, cuts to the same bytes again, and survives being pasted into a longer stream.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/rpc.h"
#include "clusterd/wire/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void cut_same(struct java *j, const struct blob *want)
{
    struct java_item item;
    struct blob *value = NULL;

    ASSERT(java_item(j, &item, "value"));
    ASSERT(java_cut(j, &item, &value) == ERR_OK);
    ASSERT(span_eq(blob_span(value), blob_span(want)));
    blob_unref(value);
}

static void paste_twice(const struct blob *value)
{
    struct buf stream = {0};
    struct jwrite w;

    jwrite_init(&w, &stream);
    jwrite_long(&w, 1);
    jwrite_u8(&w, 2);
    ASSERT(jwrite_value(&w, blob_span(value)) == ERR_OK);
    ASSERT(jwrite_value(&w, blob_span(value)) == ERR_OK);
    jwrite_integer(&w, 3);
    struct java *j = java_new(buf_span(&stream), NULL);
    ASSERT(java_long(j, "long") == 1 && java_u8(j, "byte") == 2);
    cut_same(j, value);
    cut_same(j, value);
    ASSERT(java_integer(j, "integer") == 3 && java_end(j, "end") == ERR_OK);
    java_free(j);
    buf_fini(&stream);
}

static void check_value(const struct blob *value)
{
    struct java *j = java_new(blob_span(value), NULL);
    struct buf text = {0};
    size_t n = 0;

    cut_same(j, value);
    ASSERT(java_end(j, "end") == ERR_OK);
    java_free(j);
    paste_twice(value);

    enum value_kind kind = value_kind(blob_span(value));
    enum err e = value_text(blob_span(value), 1 << 16, &text);
    ASSERT(kind != VALUE_BROKEN && kind != VALUE_NULL);
    ASSERT(e == ERR_OK || e == ERR_UNSUPPORTED || e == ERR_TOO_BIG);
    ASSERT(e == ERR_OK || text.n == 0);
    ASSERT(kind != VALUE_STRING ||
           (e == ERR_OK && value_text_size(blob_span(value), &n) == ERR_OK && n == text.n));
    ASSERT(value_class(blob_span(value), &text) == ERR_OK);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size), name;
    struct java *j = java_new(in, NULL);
    struct rpc_msg rpc;
    const char *field = NULL;
    enum java_next next;

    while ((next = java_peek(j)) != JAVA_AT_END) {
        struct java_item item;
        struct blob *value = NULL;
        if (next == JAVA_AT_DATA) {
            java_utf(j, "text");
        } else if (java_item(j, &item, "item") && java_cut(j, &item, &value) == ERR_OK) {
            check_value(value);
            blob_unref(value);
        }
    }
    ASSERT((java_err(j) == ERR_OK) == (java_field(j) == NULL));
    ASSERT(java_pos(j) <= size);
    java_free(j);

    if (java_root_class(in, &name) == ERR_OK)
        ASSERT(name.p >= data && name.p + name.n <= data + size);
    if (rpc_msg_decode(in, &rpc, &field) == ERR_OK) {
        ASSERT(rpc.is_no_channel || rpc.object_at < size);
        rpc_msg_fini(&rpc);
    } else {
        ASSERT(field != NULL);
    }
    return 0;
}
