/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attribute values: made from bytes and numbers, turned into text, asked for their class. Values of the JDK
 * come from the golden vectors, so the bytes are Java's own.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

#define JDK "../session-vectors/java-serialization.json"

/* The text of a value, or the name of the error in brackets. */
static const char *text_of(struct span value, size_t max, struct buf *out)
{
    enum err e;

    buf_clear(out);
    e = value_text(value, max, out);
    if (e) {
        ck_assert_uint_eq(out->n, 0);
        wr_printf(out, "[%d]", (int)e);
    }
    return buf_cstr(out);
}

static struct buf jdk(const char *name)
{
    struct buf b = {0};

    vectors_get(JDK, name, &b);
    return b;
}

START_TEST(from_bytes)
{
    struct blob *v = value_from_bytes(SPAN_LIT("text"));
    struct buf out = {0};
    size_t n = 0;

    ck_assert(span_eq(blob_span(v), SPAN_LIT("\xac\xed\x00\x05\x74\x00\x04text")));
    ck_assert_int_eq(value_kind(blob_span(v)), VALUE_STRING);
    ck_assert_str_eq(text_of(blob_span(v), 0, &out), "text");
    ck_assert_int_eq(value_text_size(blob_span(v), &n), ERR_OK);
    ck_assert_uint_eq(n, 4);
    blob_unref(v);

    v = value_from_bytes(SPAN_LIT("\x00\xff"));
    ck_assert_int_eq(value_kind(blob_span(v)), VALUE_BYTES);
    ck_assert_uint_eq(v->n, 4 + 1 + 18 + 4 + 2);
    text_of(blob_span(v), 0, &out);
    ck_assert(span_eq(buf_span(&out), SPAN_LIT("\x00\xff")));
    ck_assert_int_eq(value_text_size(blob_span(v), &n), ERR_OK);
    ck_assert_uint_eq(n, 2);
    buf_clear(&out);
    ck_assert_int_eq(value_class(blob_span(v), &out), ERR_OK);
    ck_assert_str_eq(buf_cstr(&out), "[B");
    blob_unref(v);

    v = value_from_bytes(SPAN_LIT("a\x00\xf0\x9f\x98\x80"));
    ck_assert(span_eq(blob_span(v), SPAN_LIT("\xac\xed\x00\x05\x74\x00\x09"
                                             "a\xc0\x80\xed\xa0\xbd\xed\xb8\x80")));
    text_of(blob_span(v), 0, &out);
    ck_assert(span_eq(buf_span(&out), SPAN_LIT("a\x00\xf0\x9f\x98\x80")));
    ck_assert_int_eq(value_text_size(blob_span(v), &n), ERR_OK);
    ck_assert_uint_eq(n, 6);
    blob_unref(v);

    v = value_from_bytes((struct span){NULL, 0});
    ck_assert_str_eq(text_of(blob_span(v), 0, &out), "");
    blob_unref(v);
    buf_fini(&out);
}
END_TEST

static bool plain_is(struct span value, const char *text)
{
    struct span plain;

    return value_text_plain(value, &plain) && span_eq(plain, span_str(text));
}

static bool bytes_are_plain(struct span bytes)
{
    struct blob *v = value_from_bytes(bytes);
    struct span plain;
    bool are = value_text_plain(blob_span(v), &plain) && span_eq(plain, bytes);

    blob_unref(v);
    return are;
}

START_TEST(plain_text_stands_in_the_value)
{
    struct buf text = {0};
    struct span plain;

    ck_assert(bytes_are_plain(SPAN_LIT("")));
    ck_assert(bytes_are_plain(SPAN_LIT("text")));
    ck_assert(bytes_are_plain(SPAN_LIT("\xc3\xa4\xe2\x82\xac")));
    ck_assert(bytes_are_plain(SPAN_LIT("\x00\xff"))); /* a byte[] */
    for (int i = 0; i < 65536; i++)
        wr_u8(&text, 'x');
    ck_assert(bytes_are_plain(buf_span(&text)));
    buf_fini(&text);
    ck_assert(!bytes_are_plain(SPAN_LIT("a\x00"
                                        "b")));
    ck_assert(!bytes_are_plain(SPAN_LIT("\xf0\x9f\x98\x80")));

    /* Lengths that do not fit, and what is no UTF-8. */
    ck_assert(plain_is(SPAN_LIT("\xac\xed\x00\x05\x74\x00\x02"
                                "ab"),
                       "ab"));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x74\x00\x03"
                                         "ab"),
                                &plain));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x74\x00\x01"
                                         "ab"),
                                &plain));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x7c\x01\x00\x00\x00\x00\x00\x00\x02"
                                         "ab"),
                                &plain));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x74\x00\x02\xc3"
                                         "b"),
                                &plain));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x74\x00"), &plain));
    ck_assert(!value_text_plain(SPAN_LIT("\xac\xed\x00\x05\x70"), &plain));
}
END_TEST

START_TEST(long_text_becomes_a_long_string)
{
    struct buf text = {0}, out = {0};

    for (int i = 0; i < 65535; i++)
        wr_u8(&text, 'x');
    struct blob *v = value_from_bytes(buf_span(&text));
    ck_assert_uint_eq(v->p[4], 0x74);
    blob_unref(v);
    wr_u8(&text, 'y');
    v = value_from_bytes(buf_span(&text));
    ck_assert_uint_eq(v->p[4], 0x7C);
    ck_assert_int_eq(value_text(blob_span(v), 0, &out), ERR_OK);
    ck_assert(span_eq(buf_span(&out), buf_span(&text)));
    size_t n = 0;
    ck_assert_int_eq(value_text_size(blob_span(v), &n), ERR_OK);
    ck_assert_uint_eq(n, 65536);
    blob_unref(v);
    buf_fini(&text);
    buf_fini(&out);
}
END_TEST

START_TEST(numbers_are_as_java_writes_them)
{
    struct buf java = jdk("integer"), out = {0};
    struct blob *v;
    int32_t i = 0;
    int64_t l = 0;
    bool b = false;

    ck_assert_int_eq(value_integer(buf_span(&java), &i), ERR_OK);
    v = value_from_integer(i);
    ck_assert(span_eq(blob_span(v), buf_span(&java)));
    blob_unref(v);
    buf_fini(&java);

    java = jdk("long");
    ck_assert_int_eq(value_long(buf_span(&java), &l), ERR_OK);
    v = value_from_long(l);
    ck_assert(span_eq(blob_span(v), buf_span(&java)));
    ck_assert_int_eq(value_integer(blob_span(v), &i), ERR_BAD);
    blob_unref(v);
    buf_fini(&java);

    java = jdk("boolean");
    ck_assert_int_eq(value_boolean(buf_span(&java), &b), ERR_OK);
    v = value_from_boolean(b);
    ck_assert(span_eq(blob_span(v), buf_span(&java)));
    ck_assert_str_eq(text_of(blob_span(v), 0, &out), b ? "true" : "false");
    blob_unref(v);
    buf_fini(&java);

    v = value_from_integer(-2147483647 - 1);
    ck_assert_str_eq(text_of(blob_span(v), 0, &out), "-2147483648");
    blob_unref(v);
    v = value_from_long(INT64_MIN);
    ck_assert_str_eq(text_of(blob_span(v), 0, &out), "-9223372036854775808");
    ck_assert_int_eq(value_kind(blob_span(v)), VALUE_NUMBER);
    blob_unref(v);
    buf_fini(&out);
}
END_TEST

/* A boxed number of any class and its bytes. */
static const char *boxed_text(const char *cls, char type, uint64_t bits, unsigned width, struct buf *out)
{
    struct buf v = {0};

    wr_span(&v, JAVA_HEADER);
    wr_bytes(&v, "\x73\x72", 2);
    wr_u16(&v, (uint16_t)strlen(cls));
    wr_text(&v, cls);
    wr_u64(&v, 1);
    wr_bytes(&v, "\x02\x00\x01", 3);
    wr_u8(&v, (uint8_t)type);
    wr_bytes(&v, "\x00\x05value\x78\x70", 9);
    for (unsigned i = width; i-- > 0;)
        wr_u8(&v, (uint8_t)(bits >> (8 * i)));
    text_of(buf_span(&v), 0, out);
    buf_fini(&v);
    return buf_cstr(out);
}

START_TEST(texts_of_primitives)
{
    static const struct {
        double d;
        const char *text;
    } doubles[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100.0, "100.0"},
        {1234567.0, "1234567.0"},
        {9999999.0, "9999999.0"},
        {1e7, "1.0E7"},
        {12345678.9, "1.23456789E7"},
        {0.001, "0.001"},
        {0.00123, "0.00123"},
        {0.0009, "9.0E-4"},
        {1e-10, "1.0E-10"},
        {1e100, "1.0E100"},
        {3.141592653589793, "3.141592653589793"},
        {1.0 / 3, "0.3333333333333333"},
        {1.7976931348623157e308, "1.7976931348623157E308"},
        {4.9e-324, "4.9E-324"},
        {120.5, "120.5"},
        {__builtin_inf(), "Infinity"},
        {-__builtin_inf(), "-Infinity"},
        {__builtin_nan(""), "NaN"},
    };
    static const struct {
        float f;
        const char *text;
    } floats[] = {
        {0.1f, "0.1"}, {16777216.0f, "1.6777216E7"}, {3.4028235e38f, "3.4028235E38"}, {1.4e-45f, "1.4E-45"}};
    struct buf out = {0};

    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        uint64_t bits;
        memcpy(&bits, &doubles[i].d, 8);
        ck_assert_str_eq(boxed_text("java.lang.Double", 'D', bits, 8, &out), doubles[i].text);
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        uint32_t bits;
        memcpy(&bits, &floats[i].f, 4);
        ck_assert_str_eq(boxed_text("java.lang.Float", 'F', bits, 4, &out), floats[i].text);
    }
    ck_assert_str_eq(boxed_text("java.lang.Byte", 'B', 0x80, 1, &out), "-128");
    ck_assert_str_eq(boxed_text("java.lang.Short", 'S', 0xFFFE, 2, &out), "-2");
    ck_assert_str_eq(boxed_text("java.lang.Character", 'C', 0x20AC, 2, &out), "\xe2\x82\xac");
    ck_assert_str_eq(boxed_text("java.lang.Character", 'C', 0xD800, 2, &out), "\xef\xbf\xbd");
    /* A class of that name with another field is none of ours. */
    ck_assert_str_eq(boxed_text("java.lang.Byte", 'I', 5, 4, &out), "[4]");
    buf_fini(&out);
}
END_TEST

static const char *date_text(int64_t ms, struct buf *out)
{
    struct buf v = {0};

    wr_span(&v, JAVA_HEADER);
    wr_span(
        &v,
        SPAN_LIT(
            "\x73\x72\x00\x0ejava.util.Date\x68\x6a\x81\x01\x4b\x59\x74\x19\x03\x00\x00\x78\x70\x77\x08"));
    wr_u64(&v, (uint64_t)ms);
    wr_u8(&v, 0x78);
    text_of(buf_span(&v), 0, out);
    buf_fini(&v);
    return buf_cstr(out);
}

START_TEST(dates)
{
    struct buf out = {0};

    ck_assert_str_eq(date_text(0, &out), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(date_text(-1, &out), "1969-12-31T23:59:59.999Z");
    ck_assert_str_eq(date_text(951782400000, &out), "2000-02-29T00:00:00.000Z");
    ck_assert_str_eq(date_text(1795279274950, &out), "2026-11-21T16:41:14.950Z");
    ck_assert_str_eq(date_text(-62135596800000, &out), "0001-01-01T00:00:00.000Z");
    ck_assert_str_eq(date_text(-62198755200000, &out), "-0001-01-01T00:00:00.000Z");
    ck_assert_str_eq(date_text(253402300800000, &out), "+10000-01-01T00:00:00.000Z");
    ck_assert_str_eq(date_text(INT64_MAX, &out), "+292278994-08-17T07:12:55.807Z");
    ck_assert_str_eq(date_text(INT64_MIN, &out), "-292275055-05-16T16:47:04.192Z");
    buf_fini(&out);
}
END_TEST

START_TEST(values_of_the_jdk)
{
    static const struct {
        const char *name, *cls, *text;
        enum value_kind kind;
    } cases[] = {
        {"null", "null", "null", VALUE_NULL},
        {"integer", "java.lang.Integer", "5", VALUE_NUMBER},
        {"double", "java.lang.Double", "1.5", VALUE_NUMBER},
        {"char", "java.lang.Character", "x", VALUE_CHARACTER},
        {"string", "java.lang.String", "abc", VALUE_STRING},
        {"empty-string", "java.lang.String", "", VALUE_STRING},
        {"int-array", "[I", "[1,2]", VALUE_COLLECTION},
        {"string-array", "[Ljava.lang.String;", "[\"a\",\"a\",null]", VALUE_COLLECTION},
        {"byte-array", "[B", "\1\2", VALUE_BYTES},
        {"object-array-nested", "[Ljava.lang.Object;", "[[],\"x\"]", VALUE_COLLECTION},
        {"arraylist", "java.util.ArrayList", "[\"a\",\"b\"]", VALUE_COLLECTION},
        {"linkedlist", "java.util.LinkedList", "[\"a\"]", VALUE_COLLECTION},
        {"hashset", "java.util.HashSet", "[\"a\"]", VALUE_COLLECTION},
        {"treemap", "java.util.TreeMap", "{\"k\":\"v\"}", VALUE_COLLECTION},
        {"hashmap", "java.util.HashMap", "{\"k\":\"v\"}", VALUE_COLLECTION},
        {"concurrenthashmap", "java.util.concurrent.ConcurrentHashMap", "{\"k\":\"v\"}", VALUE_COLLECTION},
        {"list-of", "java.util.CollSer", "[\"a\",\"b\"]", VALUE_COLLECTION},
        {"enum", "java.util.concurrent.TimeUnit", "SECONDS", VALUE_ENUM},
        {"enum-with-body", "java.math.RoundingMode", "UP", VALUE_ENUM},
        {"date", "java.util.Date", "1970-01-01T00:00:00.000Z", VALUE_DATE},
        {"class-object", "java.lang.Class", "[4]", VALUE_OTHER},
        {"bigdecimal", "java.math.BigDecimal", "[4]", VALUE_OTHER},
        {"uuid", "java.util.UUID", "[4]", VALUE_OTHER},
        {"self-reference", "Cap$Bean", "[4]", VALUE_OTHER},
        {"lambda", "java.lang.invoke.SerializedLambda", "[4]", VALUE_OTHER},
        {"proxy", "java.lang.reflect.Proxy", "[4]", VALUE_OTHER},
    };
    struct buf out = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf v = jdk(cases[i].name);
        buf_clear(&out);
        ck_assert_int_eq(value_class(buf_span(&v), &out), ERR_OK);
        ck_assert_str_eq(buf_cstr(&out), cases[i].cls);
        ck_assert_str_eq(text_of(buf_span(&v), 1000, &out), cases[i].text);
        ck_assert_msg(value_kind(buf_span(&v)) == cases[i].kind, "%s", cases[i].name);
        buf_fini(&v);
    }
    buf_fini(&out);
}
END_TEST

START_TEST(fields_of_a_bean)
{
    struct buf v = jdk("self-reference"), out = {0};

    ck_assert_int_eq(value_string_field(buf_span(&v), "label", &out), ERR_OK);
    ck_assert_str_eq(buf_cstr(&out), "x");
    ck_assert_int_eq(value_string_field(buf_span(&v), "count", &out), ERR_NOT_FOUND);
    ck_assert_int_eq(value_string_field(buf_span(&v), "next", &out), ERR_NOT_FOUND);
    buf_clear(&out);
    ck_assert_int_eq(value_string(buf_span(&v), &out), ERR_BAD);
    buf_fini(&v);
    v = jdk("string");
    ck_assert_int_eq(value_string(buf_span(&v), &out), ERR_OK);
    ck_assert_str_eq(buf_cstr(&out), "abc");
    ck_assert_int_eq(value_string_field(buf_span(&v), "value", &out), ERR_NOT_FOUND);
    buf_fini(&v);
    buf_fini(&out);
}
END_TEST

START_TEST(no_value)
{
    static const struct span cases[] = {
        SPAN_LIT(""),
        SPAN_LIT("\xac\xed\x00\x05"),
        SPAN_LIT("\xac\xed\x00\x05\x74\x00\x05"
                 "abc"),
        SPAN_LIT("\xac\xed\x00\x05\x74\x00\x01"
                 "abc"), /* a tail */
        SPAN_LIT("\xac\xed\x00\x05\x77\x01\x01"),
        SPAN_LIT("\xac\xed\x00\x05\x7b\x70"), /* an exception */
        SPAN_LIT("text"),
    };
    struct buf out = {0};
    int32_t i = 7;

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct jwrite w;
        ck_assert_int_eq(value_kind(cases[k]), VALUE_BROKEN);
        ck_assert_str_eq(text_of(cases[k], 100, &out), "[2]");
        buf_clear(&out);
        ck_assert_int_ne(value_class(cases[k], &out), ERR_OK);
        ck_assert_int_eq(value_integer(cases[k], &i), ERR_BAD);
        jwrite_init(&w, &out);
        ck_assert_int_eq(jwrite_value(&w, cases[k]), ERR_BAD);
        ck_assert_uint_eq(out.n, 4);
    }
    ck_assert_int_eq(i, 7);
    buf_fini(&out);
}
END_TEST

#define ARRAY_DESC  "\x75\x72\x00\x13[Ljava.lang.Object;\x90\xce\x58\x9f\x10\x73\x29\x6c\x02\x00\x00\x78\x70"
#define ARRAY_AGAIN "\x75\x71\x00\x7e\x00\x00"

/* Arrays of two references to the one before: n levels have 2^n leaves. */
START_TEST(text_of_shared_structure_is_bounded)
{
    struct buf v = {0}, out = {0};

    wr_span(&v, JAVA_HEADER);
    for (unsigned i = 0; i < 30; i++) {
        wr_span(&v, i ? SPAN_LIT(ARRAY_AGAIN) : SPAN_LIT(ARRAY_DESC));
        wr_u32(&v, 2);
    }
    wr_bytes(&v, "\x70\x70", 2);
    for (uint32_t i = 29; i-- > 0;) {
        wr_u8(&v, 0x71);
        wr_u32(&v, 0x7E0000 + i + 2);
    }
    ck_assert_int_eq(value_kind(buf_span(&v)), VALUE_COLLECTION);
    ck_assert_str_eq(text_of(buf_span(&v), 100000, &out), "[3]");
    buf_fini(&v);

    /* Deeper than a reader of text wants to go. */
    v = (struct buf){0};
    wr_span(&v, JAVA_HEADER);
    for (unsigned i = 0; i < 33; i++) {
        wr_span(&v, i ? SPAN_LIT(ARRAY_AGAIN) : SPAN_LIT(ARRAY_DESC));
        wr_u32(&v, 1);
    }
    wr_u8(&v, 0x70);
    ck_assert_str_eq(text_of(buf_span(&v), 100000, &out), "[3]");
    buf_fini(&v);

    /* An array in itself. */
    v = (struct buf){0};
    wr_span(&v, JAVA_HEADER);
    wr_span(&v, SPAN_LIT(ARRAY_DESC));
    wr_u32(&v, 1);
    wr_bytes(&v, "\x71\x00\x7e\x00\x01", 5);
    ck_assert_str_eq(text_of(buf_span(&v), 100000, &out), "[4]");
    buf_fini(&v);
    buf_fini(&out);
}
END_TEST

START_TEST(text_is_json)
{
    struct buf v = {0}, out = {0};

    wr_span(&v, JAVA_HEADER);
    wr_span(&v, SPAN_LIT(ARRAY_DESC));
    wr_u32(&v, 5);
    wr_span(&v, SPAN_LIT("\x74\x00\x0b"
                         "a\"b\\c\n\xc0\x80\xc3\xa9~"));
    wr_span(&v, SPAN_LIT(
                    "\x75\x72\x00\x02["
                    "B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70\x00\x00\x00\x04\xff\x00\x01\x02"));
    wr_span(&v,
            SPAN_LIT("\x75\x72\x00\x02[D\x01\x02\x03\x04\x05\x06\x07\x08\x02\x00\x00\x78\x70\x00\x00\x00\x02"
                     "\x3f\xf0\x00\x00\x00\x00\x00\x00\x7f\xf8\x00\x00\x00\x00\x00\x00"));
    wr_span(&v, SPAN_LIT("\x75\x72\x00\x02["
                         "C\x01\x02\x03\x04\x05\x06\x07\x08\x02\x00\x00\x78\x70\x00\x00\x00\x01\x00\x22"));
    wr_u8(&v, 0x70);
    ck_assert_str_eq(text_of(buf_span(&v), 1000, &out),
                     "[\"a\\\"b\\\\c\\u000a\\u0000\xc3\xa9~\",\"/wABAg==\",[1.0,\"NaN\"],[\"\\\"\"],null]");
    json_t *parsed = json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL, NULL);
    ck_assert_uint_eq(json_array_size(parsed), 5);
    json_decref(parsed);
    buf_fini(&v);
    buf_fini(&out);
}
END_TEST

CLUSTERD_SUITE(value, &from_bytes, &plain_text_stands_in_the_value, &long_text_becomes_a_long_string,
               &numbers_are_as_java_writes_them, &texts_of_primitives, &dates, &values_of_the_jdk,
               &fields_of_a_bean, &no_value, &text_of_shared_structure_is_bounded, &text_is_json)
