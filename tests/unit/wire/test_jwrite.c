/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream writer: block data in Java's records, class descriptors once a stream, handles of pasted values.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

#define JDK "../session-vectors/java-serialization.json"

/* The JDK wrote 2500 bytes of block data: records of 1024, 1024 and 452. */
START_TEST(block_records_as_the_jdk_cuts_them)
{
    struct buf java = {0}, out = {0}, data = {0};
    struct jwrite w;

    vectors_get(JDK, "blockdata-2500", &java);
    struct java *j = java_new(buf_span(&java), NULL);
    while (java_peek(j) == JAVA_AT_DATA)
        wr_u8(&data, java_u8(j, "byte"));
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    ck_assert_uint_eq(data.n, 2500);

    for (size_t step = 1; step <= 2500; step += step < 5 ? 1 : 495) {
        buf_clear(&out);
        jwrite_init(&w, &out);
        for (size_t at = 0; at < data.n; at += step)
            jwrite_bytes(&w, span_of(data.p + at, data.n - at < step ? data.n - at : step));
        jwrite_end(&w);
        jwrite_end(&w); /* a second time does nothing */
        ck_assert(span_eq(buf_span(&out), buf_span(&java)));
    }
    buf_fini(&java);
    buf_fini(&out);
    buf_fini(&data);
}
END_TEST

START_TEST(record_heads)
{
    static const size_t sizes[] = {0, 1, 255, 256, 1023, 1024, 1025};
    uint8_t bytes[1025] = {0};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf out = {0};
        struct jwrite w;
        size_t n = sizes[i], heads = n == 0 ? 0 : n <= 255 ? 2 : n <= 1024 ? 5 : 7;
        wr_text(&out, "in front");
        jwrite_init(&w, &out);
        jwrite_bytes(&w, span_of(bytes, n));
        jwrite_null(&w);
        ck_assert_uint_eq(out.n, 8 + 4 + n + heads + 1);
        ck_assert_uint_eq(out.p[out.n - 1], 0x70);
        if (n)
            ck_assert_uint_eq(out.p[12], n <= 255 ? 0x77 : 0x7A);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(primitives)
{
    struct buf out = {0};
    struct jwrite w;

    jwrite_init(&w, &out);
    jwrite_u8(&w, 0xAB);
    jwrite_i32(&w, -2);
    jwrite_i64(&w, 0x0102030405060708);
    ck_assert_int_eq(jwrite_utf(&w, SPAN_LIT("a\x00")), ERR_OK);
    jwrite_end(&w);
    ck_assert(span_eq(buf_span(&out),
                      SPAN_LIT("\xac\xed\x00\x05\x77\x12\xab\xff\xff\xff\xfe\x01\x02\x03\x04\x05\x06"
                               "\x07\x08\x00\x03"
                               "a\xc0\x80")));
    buf_fini(&out);
}
END_TEST

START_TEST(numbers_across_records)
{
    uint8_t bytes[1024] = {0};

    for (size_t before = 1015; before <= 1024; before++) {
        struct buf out = {0};
        struct jwrite w;
        jwrite_init(&w, &out);
        jwrite_bytes(&w, span_of(bytes, before));
        jwrite_i64(&w, 0x0102030405060708);
        jwrite_end(&w);
        ck_assert_uint_eq(out.p[4], 0x7A);
        ck_assert_uint_eq(out.p[7] << 8 | out.p[8], before + 8 < 1024 ? before + 8 : 1024);
        struct java *j = java_new(buf_span(&out), NULL);
        ck_assert_uint_eq(java_bytes(j, before, "bytes").n, before);
        ck_assert(java_i64(j, "number") == 0x0102030405060708);
        ck_assert_int_eq(java_end(j, "end"), ERR_OK);
        java_free(j);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(text_limits)
{
    struct buf text = {0}, out = {0};
    struct jwrite w;

    for (int i = 0; i < 65535; i++)
        wr_u8(&text, 'x');
    jwrite_init(&w, &out);
    ck_assert_int_eq(jwrite_utf(&w, buf_span(&text)), ERR_OK);
    jwrite_end(&w);
    size_t before = out.n;
    wr_u8(&text, 'y');
    ck_assert_int_eq(jwrite_utf(&w, buf_span(&text)), ERR_TOO_BIG);
    ck_assert_int_eq(jwrite_utf(&w, SPAN_LIT("\xff")), ERR_BAD);
    ck_assert_int_eq(jwrite_utf(&w, SPAN_LIT("\x00\xff")), ERR_BAD);
    ck_assert_int_eq(jwrite_string(&w, SPAN_LIT("abc\xff")), ERR_BAD);
    ck_assert_uint_eq(out.n, before);
    ck_assert_int_eq(jwrite_string(&w, buf_span(&text)), ERR_OK);
    ck_assert_uint_eq(out.p[before], 0x7C);
    ck_assert_uint_eq(out.n, before + 9 + 65536);

    struct java *j = java_new(buf_span(&out), NULL);
    struct span s;
    ck_assert_uint_eq(java_utf(j, "a").n, 65535);
    ck_assert(java_string(j, &s, "b") && span_eq(s, buf_span(&text)));
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&text);
    buf_fini(&out);
}
END_TEST

/* "two-integers-share-desc": the JDK wrote two Integers in one stream. */
START_TEST(descriptors_once_a_stream)
{
    struct buf out = {0};
    struct jwrite w;

    jwrite_init(&w, &out);
    jwrite_integer(&w, 1);
    size_t first = out.n;
    jwrite_integer(&w, 2);
    ck_assert_uint_eq(out.n - first, 1 + 5 + 4);
    size_t at = out.n;
    jwrite_long(&w, 3);
    ck_assert_uint_eq(out.n - at, 1 + 37 + 5 + 8); /* its super by reference */
    at = out.n;
    jwrite_boolean(&w, true);
    jwrite_byte_array(&w, SPAN_LIT("ab"));
    jwrite_boolean(&w, false);
    jwrite_byte_array(&w, SPAN_LIT("cd"));
    struct java *j = java_new(buf_span(&out), NULL);
    ck_assert_int_eq(java_integer(j, "a"), 1);
    ck_assert_int_eq(java_integer(j, "b"), 2);
    ck_assert(java_long(j, "c") == 3);
    ck_assert(java_boolean(j, "d"));
    struct java_item item;
    ck_assert(java_item(j, &item, "e") && item.kind == JAVA_ARRAY);
    ck_assert(!java_boolean(j, "f"));
    ck_assert(java_item(j, &item, "g") && item.kind == JAVA_ARRAY);
    struct blob *value = NULL;
    ck_assert_int_eq(java_cut(j, &item, &value), ERR_OK);
    struct blob *want = value_from_bytes(SPAN_LIT("cd\xff"));
    ck_assert_mem_eq(value->p, want->p, 4 + 1 + 18);
    blob_unref(value);
    blob_unref(want);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&out);
}
END_TEST

/* Long first: the super descriptor is written with it, and Integer refers to it. */
START_TEST(number_comes_with_whoever_is_first)
{
    struct buf out = {0}, number = {0};
    struct jwrite w;

    jwrite_init(&w, &out);
    jwrite_long(&w, 1);
    vectors_get(JDK, "long", &number);
    ck_assert_uint_eq(out.n, number.n);
    ck_assert_mem_eq(out.p, number.p, out.n - 8);
    jwrite_integer(&w, 2);
    struct java *j = java_new(buf_span(&out), NULL);
    ck_assert(java_long(j, "a") == 1);
    ck_assert_int_eq(java_integer(j, "b"), 2);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&out);
    buf_fini(&number);
}
END_TEST

/* Pasted values keep their inner references; known classes are recognized only when they fit to the byte. */
START_TEST(pasting)
{
    static const char *const names[] = {"integer",           "long",    "boolean", "string",
                                        "byte-array",        "hashmap", "lambda",  "self-reference",
                                        "concurrenthashmap", "proxy",   "enum",    "class-object"};
    struct buf out = {0};
    struct jwrite w;

    jwrite_init(&w, &out);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct buf v = {0};
            vectors_get(JDK, names[i], &v);
            jwrite_u8(&w, (uint8_t)i);
            ck_assert_int_eq(jwrite_value(&w, buf_span(&v)), ERR_OK);
            buf_fini(&v);
        }
    }
    struct java *j = java_new(buf_span(&out), NULL);
    for (size_t i = 0; i < 2 * (sizeof names / sizeof *names); i++) {
        const char *name = names[i % (sizeof names / sizeof *names)];
        struct java_item item;
        struct buf v = {0};
        struct blob *value = NULL;
        vectors_get(JDK, name, &v);
        ck_assert_uint_eq(java_u8(j, "index"), i % (sizeof names / sizeof *names));
        ck_assert_msg(java_item(j, &item, "item"), "%s: %s", name, java_field(j));
        ck_assert_int_eq(java_cut(j, &item, &value), ERR_OK);
        ck_assert_msg(span_eq(blob_span(value), buf_span(&v)), "%s", name);
        blob_unref(value);
        buf_fini(&v);
    }
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&out);
}
END_TEST

START_TEST(known_classes_must_fit_to_the_byte)
{
    static const char *const names[] = {"integer", "long", "boolean", "string", "byte-array"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf v = {0}, out = {0};
        struct jwrite w;
        vectors_get(JDK, names[i], &v);
        jwrite_init(&w, &out);
        for (size_t n = 0; n < v.n; n++)
            ck_assert_int_eq(jwrite_value(&w, span_of(v.p, n)), ERR_BAD);
        wr_u8(&v, 0);
        ck_assert_int_eq(jwrite_value(&w, buf_span(&v)), ERR_BAD);
        ck_assert_uint_eq(out.n, 4);
        buf_fini(&v);
        buf_fini(&out);
    }
}
END_TEST

CLUSTERD_SUITE(jwrite, &block_records_as_the_jdk_cuts_them, &record_heads, &primitives,
               &numbers_across_records, &text_limits, &descriptors_once_a_stream,
               &number_comes_with_whoever_is_first, &pasting, &known_classes_must_fit_to_the_byte)
