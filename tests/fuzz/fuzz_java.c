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

/* Bytes of other languages become a value whose text is the same bytes. */
static void check_from_bytes(struct span bytes)
{
    struct blob *value = value_from_bytes(bytes);
    struct buf text = {0};
    size_t n = 0;

    ASSERT(value_text(blob_span(value), 0, &text) == ERR_OK && span_eq(buf_span(&text), bytes));
    ASSERT(value_text_size(blob_span(value), &n) == ERR_OK && n == bytes.n);
    buf_fini(&text);
    blob_unref(value);
}

/* What is asked for as one class is that class or refused, whatever it is. */
static void check_as(struct span value)
{
    struct buf text = {0};
    struct blob *again = NULL;
    int32_t i;
    int64_t l;
    bool b;

    if (value_integer(value, &i) == ERR_OK)
        again = value_from_integer(i);
    else if (value_long(value, &l) == ERR_OK)
        again = value_from_long(l);
    else if (value_boolean(value, &b) == ERR_OK)
        again = value_from_boolean(b);
    else if (value_string(value, &text) == ERR_OK)
        ASSERT(value_kind(value) == VALUE_STRING);
    else if (value_string_field(value, "name", &text) == ERR_OK)
        ASSERT(value_kind(value) != VALUE_STRING);
    ASSERT(!again || value_kind(value) == value_kind(blob_span(again)));
    blob_unref(again);
    buf_fini(&text);
}

/* The stream read as fields, whose types its own length chooses. */
static void read_fields(struct span in)
{
    struct java *j = java_new(in, NULL);
    struct span text;

    for (size_t k = in.n; java_err(j) == ERR_OK && k < in.n + 8; k++)
        switch (k % 8) {
        case 0:
            java_i32(j, "i32");
            break;
        case 1:
            java_i64(j, "i64");
            break;
        case 2:
            java_integer(j, "Integer");
            break;
        case 3:
            java_long(j, "Long");
            break;
        case 4:
            java_boolean(j, "Boolean");
            break;
        case 5:
            text = java_bytes(j, 3, "bytes");
            ASSERT(java_err(j) || text.n == 3);
            break;
        case 6:
            java_utf(j, "utf");
            break;
        default:
            java_string(j, &text, "String");
        }
    enum err e = java_end(j, "end");
    ASSERT((e == ERR_OK) == (java_field(j) == NULL));
    java_free(j);
}

static void check_rpc(struct span in)
{
    struct rpc_msg rpc, again;
    struct buf bytes = {0};
    const char *field = NULL;

    if (rpc_msg_decode(in, &rpc, &field) != ERR_OK) {
        ASSERT(field != NULL);
        return;
    }
    ASSERT(rpc.is_no_channel || rpc.object_at < in.n);
    if (rpc.is_no_channel)
        rpc_no_channel_encode(rpc.uuid, rpc.rpc_id, &bytes);
    else
        rpc_request_encode(rpc.uuid, rpc.rpc_id, &bytes);
    ASSERT(rpc_msg_decode(buf_span(&bytes), &again, &field) == ERR_OK);
    ASSERT(again.is_no_channel == rpc.is_no_channel && !again.has_object);
    ASSERT(span_eq(again.uuid, rpc.uuid) && span_eq(again.rpc_id, rpc.rpc_id));
    rpc_msg_fini(&again);
    rpc_msg_fini(&rpc);
    buf_fini(&bytes);
}

/* What is said to be a value's text is what value_text() makes of it. */
static void check_plain(struct span value)
{
    struct span plain;
    struct buf text = {0};

    if (value_text_plain(value, &plain))
        ASSERT(value_text(value, 0, &text) == ERR_OK && span_eq(buf_span(&text), plain));
    buf_fini(&text);
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
    check_as(blob_span(value));

    check_plain(blob_span(value));
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
    check_rpc(in);
    check_plain(in);
    check_from_bytes(in);
    check_as(in);
    read_fields(in);
    return 0;
}
