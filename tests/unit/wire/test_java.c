/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of Java streams: block data joined over records, handles in all the places where they are easily
 * got wrong, cutting with expansion of what lies elsewhere, TC_RESET and TC_EXCEPTION, and every limit.
 * Streams are put together here by hand, so that each test shows the bytes that it is about.
 */
#include "clusterd/wire/java.h"
#include "clusterd/wire/jwrite.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

/* --- building streams --- */

static struct buf begin(void)
{
    struct buf b = {0};

    wr_span(&b, JAVA_HEADER);
    return b;
}

static void utf(struct buf *b, const char *s)
{
    wr_u16(b, (uint16_t)strlen(s));
    wr_text(b, s);
}

static void string(struct buf *b, const char *s)
{
    wr_u8(b, 0x74);
    utf(b, s);
}

static void ref(struct buf *b, uint32_t handle)
{
    wr_u8(b, 0x71);
    wr_u32(b, 0x7E0000 + handle);
}

/* A class descriptor up to its field count; flags as in the stream. */
static void desc(struct buf *b, const char *name, uint8_t flags, uint16_t n_fields)
{
    wr_u8(b, 0x72);
    utf(b, name);
    wr_u64(b, 42);
    wr_u8(b, flags);
    wr_u16(b, n_fields);
}

static void field(struct buf *b, char type, const char *name)
{
    wr_u8(b, (uint8_t)type);
    utf(b, name);
}

/* No annotation, no super. */
static void end_desc(struct buf *b)
{
    wr_text(b, "\x78\x70");
}

static void array_desc(struct buf *b, const char *name)
{
    desc(b, name, 2, 0);
    end_desc(b);
}

/* One Bean: fields I count, L label, L next. Without its data. Handles: desc, 2 strings (the second only
 * once). */
static void bean_desc(struct buf *b)
{
    desc(b, "Bean", 2, 3);
    field(b, 'I', "count");
    field(b, 'L', "label");
    string(b, "Ljava/lang/String;");
    field(b, 'L', "next");
    string(b, "LBean;");
    end_desc(b);
}

/* --- checking --- */

static struct blob *cut_next(struct java *j)
{
    struct java_item item;
    struct blob *value = NULL;

    ck_assert_msg(java_item(j, &item, "item"), "%s: %s", java_field(j), err_text(java_err(j)));
    ck_assert_int_eq(java_cut(j, &item, &value), ERR_OK);
    return value;
}

static void expect_value(struct java *j, const struct buf *want)
{
    struct blob *value = cut_next(j);

    if (!span_eq(blob_span(value), buf_span(want))) {
        for (uint32_t i = 0; i < value->n; i++)
            printf("%02x%s", value->p[i], i < want->n && value->p[i] == want->p[i] ? "" : "!");
        printf("\n");
        ck_abort_msg("value differs");
    }
    blob_unref(value);
}

/* The error that the first item of a stream ends with. Frees the stream. */
static enum err first_error(struct buf *b, const struct java_limits *limits)
{
    struct java *j = java_new(buf_span(b), limits);
    struct java_item item;
    bool ok = java_item(j, &item, NULL);
    enum err e = java_err(j);

    ck_assert_int_eq(ok, e == ERR_OK);
    ck_assert_int_eq(e != ERR_OK, java_field(j) != NULL);
    java_free(j);
    buf_fini(b);
    return e;
}

/* --- reading --- */

START_TEST(header)
{
    static const struct {
        struct span in;
        enum err e;
    } cases[] = {
        {SPAN_LIT(""), ERR_SHORT},
        {SPAN_LIT("\xac\xed\x00"), ERR_SHORT},
        {SPAN_LIT("\xac\xed\x00\x06"), ERR_BAD},
        {SPAN_LIT("\xac\xed\x00\x05"), ERR_OK},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct java *j = java_new(cases[i].in, NULL);
        ck_assert_int_eq(java_err(j), cases[i].e);
        ck_assert_int_eq(java_peek(j), JAVA_AT_END);
        ck_assert_int_eq(java_u8(j, "byte"), 0);
        ck_assert_int_eq(java_err(j), cases[i].e ? cases[i].e : ERR_SHORT);
        java_free(j);
    }
}
END_TEST

START_TEST(block_data_is_one_byte_stream)
{
    struct buf b = begin();

    wr_bytes(&b, "\x77\x00", 2);                         /* an empty record */
    wr_bytes(&b, "\x77\x03\x01\x00\x00", 5);             /* u1, half an i4 */
    wr_bytes(&b, "\x7a\x00\x00\x00\x03\x02\x03\x00", 8); /* the other half, half a length */
    wr_bytes(&b,
             "\x77\x00\x77\x02\x03"
             "a",
             6); /* the other half, a third of the text */
    wr_bytes(&b,
             "\x77\x02"
             "bc",
             4);
    string(&b, "object");
    wr_bytes(&b, "\x77\x08\xff\xff\xff\xff\xff\xff\xff\xfe", 10);
    struct java *j = java_new(buf_span(&b), NULL);
    struct span s;
    ck_assert_int_eq(java_u8(j, "a"), 1);
    ck_assert_int_eq(java_i32(j, "b"), 0x0203);
    ck_assert(span_eq(java_utf(j, "c"), SPAN_LIT("abc")));
    ck_assert_int_eq(java_peek(j), JAVA_AT_ITEM);
    ck_assert(java_string(j, &s, "d") && span_eq(s, SPAN_LIT("object")));
    ck_assert(java_i64(j, "e") == -2);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(data_and_objects_are_not_confused)
{
    struct buf b = begin();
    struct java_item item;
    struct span s;

    string(&b, "x");
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert_int_eq(java_i32(j, "number"), 0);
    ck_assert_int_eq(java_err(j), ERR_BAD);
    ck_assert_str_eq(java_field(j), "number");
    ck_assert(!java_item(j, &item, "sticky"));
    ck_assert_str_eq(java_field(j), "number");
    java_free(j);
    buf_fini(&b);

    b = begin();
    wr_bytes(&b, "\x77\x02\x01\x02", 4);
    j = java_new(buf_span(&b), NULL);
    ck_assert(!java_string(j, &s, "text"));
    ck_assert_int_eq(java_err(j), ERR_BAD);
    java_free(j);

    j = java_new(buf_span(&b), NULL);
    ck_assert_int_eq(java_u8(j, "first"), 1);
    ck_assert_int_eq(java_end(j, "tail"), ERR_BAD); /* half a record is left */
    ck_assert_str_eq(java_field(j), "tail");
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(lying_block_lengths)
{
    static const struct {
        struct span bytes;
        enum err e;
    } cases[] = {
        {SPAN_LIT("\x77"), ERR_SHORT},
        {SPAN_LIT("\x77\x05"
                  "abc"),
         ERR_SHORT},
        {SPAN_LIT("\x7a\x00\x00"), ERR_SHORT},
        {SPAN_LIT("\x7a\x7f\xff\xff\xff"
                  "abc"),
         ERR_SHORT}, /* claims 2 GiB */
        {SPAN_LIT("\x7a\xff\xff\xff\xff"
                  "abc"),
         ERR_BAD},
        {SPAN_LIT("\x7a\x80\x00\x00\x00"
                  "abc"),
         ERR_BAD},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = begin();
        wr_span(&b, cases[i].bytes);
        struct java *j = java_new(buf_span(&b), NULL);
        ck_assert_int_eq(java_peek(j), JAVA_AT_END);
        ck_assert_int_eq(java_err(j), cases[i].e);
        java_free(j);
        buf_fini(&b);

        /* The same inside of an object, as what its class wrote. */
        b = begin();
        wr_u8(&b, 0x73);
        desc(&b, "A", 3, 0);
        end_desc(&b);
        wr_span(&b, cases[i].bytes);
        ck_assert_int_eq(first_error(&b, NULL), cases[i].e);
    }
    struct buf b = begin();
    wr_bytes(&b, "\x77\x04\x7f\xff\xff\xff", 6);
    struct java *j = java_new(buf_span(&b), NULL);
    size_t n = (size_t)java_i32(j, "n");
    ck_assert_uint_eq(java_bytes(j, n, "bytes").n, 0); /* nothing is allocated for what cannot be there */
    ck_assert_int_eq(java_err(j), ERR_SHORT);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(boxed_numbers_also_by_reference)
{
    struct buf b = {0};
    struct jwrite w;
    struct java_item item;
    int32_t n = 0;

    jwrite_init(&w, &b);
    jwrite_integer(&w, -5);
    jwrite_long(&w, INT64_MIN);
    jwrite_boolean(&w, true);
    ref(&b, 2); /* the Integer: handles 0 and 1 are Integer and Number */
    ref(&b, 4); /* the Long */
    ref(&b, 6); /* the Boolean */
    ref(&b, 2);
    string(&b, "7");
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert_int_eq(java_integer(j, "a"), -5);
    ck_assert(java_long(j, "b") == INT64_MIN);
    ck_assert(java_boolean(j, "c"));
    ck_assert_int_eq(java_integer(j, "d"), -5);
    ck_assert(java_long(j, "e") == INT64_MIN);
    ck_assert(java_boolean(j, "f"));
    ck_assert(java_item(j, &item, "g") && java_is_integer(j, &item, &n) && n == -5);
    ck_assert(java_item(j, &item, "h") && !java_is_integer(j, &item, &n));
    ck_assert_int_eq(java_err(j), ERR_OK);
    java_free(j);

    j = java_new(buf_span(&b), NULL);
    ck_assert_int_eq(java_long(j, "an Integer is no Long"), 0);
    ck_assert_int_eq(java_err(j), ERR_BAD);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(long_strings)
{
    struct buf text = {0}, b = begin();
    struct span s;

    for (int i = 0; i < 70000; i++)
        wr_u8(&text, (uint8_t)('a' + i % 26));
    wr_u8(&b, 0x7C);
    wr_u64(&b, text.n);
    wr_span(&b, buf_span(&text));
    ref(&b, 0);
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert(java_string(j, &s, "a") && span_eq(s, buf_span(&text)));
    struct blob *value = cut_next(j);
    ck_assert_uint_eq(value->n, 4 + 9 + text.n);
    ck_assert_uint_eq(value->p[4], 0x7C);
    blob_unref(value);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&text);
    buf_fini(&b);

    b = begin();
    wr_u8(&b, 0x7C);
    wr_u64(&b, UINT64_MAX);
    ck_assert_int_eq(first_error(&b, NULL), ERR_SHORT);
}
END_TEST

START_TEST(root_class)
{
    struct span name;
    struct buf b = begin();

    ck_assert_int_eq(java_root_class(SPAN_LIT("\xac\xed"), &name), ERR_BAD);
    ck_assert_int_eq(java_root_class(buf_span(&b), &name), ERR_UNSUPPORTED);
    wr_u8(&b, 0x73);
    desc(&b, JAVA_CLASS_MAP_MESSAGE, 2, 8);
    ck_assert_int_eq(java_root_class(buf_span(&b), &name), ERR_OK);
    ck_assert(span_eq(name, SPAN_LIT(JAVA_CLASS_MAP_MESSAGE)));
    for (size_t n = 6; n < 8 + name.n; n++)
        ck_assert_int_eq(java_root_class(span_of(b.p, n), &name), ERR_BAD);
    buf_fini(&b);
    b = begin();
    string(&b, "text");
    ck_assert_int_eq(java_root_class(buf_span(&b), &name), ERR_UNSUPPORTED);
    buf_fini(&b);
}
END_TEST

/* --- cutting --- */

START_TEST(references_out_of_the_item_are_expanded)
{
    struct buf b = begin(), want = begin();

    string(&b, "shared"); /* 0 */
    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;"); /* 1, array 2 */
    wr_u32(&b, 2);
    string(&b, "own"); /* 3 */
    ref(&b, 0);
    wr_u8(&b, 0x75); /* the second array: class, both strings and the first array are elsewhere */
    ref(&b, 1);      /* array 4 */
    wr_u32(&b, 4);
    ref(&b, 3);
    ref(&b, 2);
    ref(&b, 4);
    ref(&b, 0);

    struct java *j = java_new(buf_span(&b), NULL);
    string(&want, "shared");
    expect_value(j, &want);
    buf_clear(&want);
    wr_span(&want, JAVA_HEADER);
    wr_u8(&want, 0x75);
    array_desc(&want, "[Ljava.lang.Object;"); /* 0, array 1 */
    wr_u32(&want, 2);
    string(&want, "own");    /* 2 */
    string(&want, "shared"); /* 3 */
    expect_value(j, &want);
    buf_clear(&want);
    wr_span(&want, JAVA_HEADER);
    wr_u8(&want, 0x75);
    array_desc(&want, "[Ljava.lang.Object;"); /* 0, array 1 */
    wr_u32(&want, 4);
    string(&want, "own"); /* 2 */
    wr_u8(&want, 0x75);   /* the first array, in which "own" is a reference now */
    ref(&want, 0);        /* array 3 */
    wr_u32(&want, 2);
    ref(&want, 2);
    string(&want, "shared"); /* 4 */
    ref(&want, 1);
    ref(&want, 4);
    expect_value(j, &want);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

/* bean.next = its owner, and the inner one is an item of its own: the copy goes round the cycle once. */
START_TEST(an_item_inside_of_what_it_refers_to)
{
    struct buf b = begin(), want = begin();

    wr_u8(&b, 0x73);
    bean_desc(&b); /* 0, strings 1 2, bean 3 */
    wr_u32(&b, 1);
    string(&b, "outer"); /* 4 */
    wr_u8(&b, 0x73);
    ref(&b, 0); /* bean 5 */
    wr_u32(&b, 2);
    string(&b, "inner"); /* 6 */
    ref(&b, 3);
    ref(&b, 5);

    struct java *j = java_new(buf_span(&b), NULL);
    struct blob *value = cut_next(j);
    ck_assert_uint_eq(value->n, b.n - 5); /* all but the last reference, as it is */
    ck_assert_mem_eq(value->p, b.p, value->n);
    blob_unref(value);

    wr_u8(&want, 0x73);
    bean_desc(&want); /* 0, 1 2, inner bean 3 */
    wr_u32(&want, 2);
    string(&want, "inner"); /* 4 */
    wr_u8(&want, 0x73);
    ref(&want, 0); /* outer bean 5 */
    wr_u32(&want, 1);
    string(&want, "outer"); /* 6 */
    ref(&want, 3);
    expect_value(j, &want);
    java_free(j);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

START_TEST(a_super_descriptor_expands_as_a_descriptor)
{
    struct buf b = begin(), want = begin();

    /* Item 1: class B with super A. Item 2: class C whose super is a reference to A. */
    wr_u8(&b, 0x73);
    desc(&b, "B", 2, 1); /* 0 */
    field(&b, 'B', "b");
    wr_u8(&b, 0x78);
    desc(&b, "A", 2, 1); /* 1 */
    field(&b, 'B', "a");
    end_desc(&b); /* object 2 */
    wr_bytes(&b, "\x0a\x0b", 2);
    wr_u8(&b, 0x73);
    desc(&b, "C", 2, 1); /* 3 */
    field(&b, 'B', "c");
    wr_u8(&b, 0x78);
    ref(&b, 1); /* object 4 */
    wr_bytes(&b, "\x0a\x0c", 2);

    struct java *j = java_new(buf_span(&b), NULL);
    blob_unref(cut_next(j));
    wr_u8(&want, 0x73);
    desc(&want, "C", 2, 1);
    field(&want, 'B', "c");
    wr_u8(&want, 0x78);
    desc(&want, "A", 2, 1);
    field(&want, 'B', "a");
    end_desc(&want);
    wr_bytes(&want, "\x0a\x0c", 2);
    expect_value(j, &want);
    java_free(j);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

START_TEST(a_signature_string_is_a_string)
{
    struct buf b = begin(), want = begin();

    wr_u8(&b, 0x73);
    bean_desc(&b); /* 0, strings 1 2, bean 3 */
    wr_u32(&b, 1);
    ref(&b, 1); /* label = its own signature */
    wr_u8(&b, 0x70);
    ref(&b, 2); /* the other signature as an item: first seen in a descriptor */
    ref(&b, 0); /* the descriptor itself, as an ObjectStreamClass object */

    struct java *j = java_new(buf_span(&b), NULL);
    blob_unref(cut_next(j));
    string(&want, "LBean;");
    expect_value(j, &want);
    buf_clear(&want);
    wr_span(&want, JAVA_HEADER);
    bean_desc(&want);
    expect_value(j, &want);
    java_free(j);
    buf_fini(&b);

    /* And the other way round: a value that a later descriptor uses as a signature. */
    b = begin();
    string(&b, "LX;"); /* 0 */
    wr_u8(&b, 0x73);
    desc(&b, "Y", 2, 1); /* 1, object 2 */
    field(&b, 'L', "x");
    ref(&b, 0);
    end_desc(&b);
    ref(&b, 0);
    j = java_new(buf_span(&b), NULL);
    blob_unref(cut_next(j));
    buf_clear(&want);
    wr_span(&want, JAVA_HEADER);
    wr_u8(&want, 0x73);
    desc(&want, "Y", 2, 1); /* 0 */
    field(&want, 'L', "x");
    string(&want, "LX;"); /* 1 */
    end_desc(&want);
    ref(&want, 1);
    expect_value(j, &want);
    java_free(j);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

START_TEST(class_descriptors_anywhere)
{
    struct buf b = begin();
    struct blob *value;

    /* Class object; array of a class object and of its descriptor; proxy; enum; all in one item. */
    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;"); /* 0, 1 */
    wr_u32(&b, 6);
    wr_u8(&b, 0x76);
    desc(&b, "P", 0, 0); /* 2, 3 */
    end_desc(&b);
    ref(&b, 2);
    wr_u8(&b, 0x76);
    ref(&b, 2);      /* 4 */
    wr_u8(&b, 0x73); /* proxy: two interfaces, something in its annotation, super with one field */
    wr_u8(&b, 0x7D); /* 5 */
    wr_u32(&b, 2);
    utf(&b, "I1");
    utf(&b, "I2");
    wr_bytes(&b, "\x77\x01\x78", 3); /* block data may hold an end mark */
    string(&b, "annotation");        /* 6 */
    wr_u8(&b, 0x78);
    desc(&b, "java.lang.reflect.Proxy", 2, 1); /* 7 */
    field(&b, 'L', "h");
    string(&b, "Ljava/lang/reflect/InvocationHandler;"); /* 8 */
    end_desc(&b);                                        /* 9 */
    wr_u8(&b, 0x70);
    wr_u8(&b, 0x7E);            /* enum: its constant is a new string, later one by reference */
    desc(&b, "Color", 0x12, 0); /* 10 */
    wr_u8(&b, 0x78);
    desc(&b, "java.lang.Enum", 0x12, 0); /* 11 */
    end_desc(&b);                        /* 12 */
    string(&b, "RED");                   /* 13 */
    wr_u8(&b, 0x7E);
    ref(&b, 10); /* 14 */
    ref(&b, 13);

    struct java *j = java_new(buf_span(&b), NULL);
    value = cut_next(j);
    ck_assert(span_eq(blob_span(value), buf_span(&b)));
    blob_unref(value);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(externalizable)
{
    struct buf b = begin();

    /* Only the own class writes, although the super lists a field. */
    wr_u8(&b, 0x73);
    desc(&b, "Ext", 0x0C, 0);
    wr_u8(&b, 0x78);
    desc(&b, "Base", 2, 1);
    field(&b, 'J', "never");
    end_desc(&b);
    wr_bytes(&b, "\x77\x02\x01\x02", 4);
    string(&b, "x");
    wr_u8(&b, 0x78);
    string(&b, "next");
    struct java *j = java_new(buf_span(&b), NULL);
    blob_unref(cut_next(j));
    struct span s;
    ck_assert(java_string(j, &s, "next") && span_eq(s, SPAN_LIT("next")));
    java_free(j);
    buf_fini(&b);

    b = begin();
    wr_u8(&b, 0x73);
    desc(&b, "OldExt", 0x04, 0);
    end_desc(&b);
    wr_text(&b, "nobody knows");
    ck_assert_int_eq(first_error(&b, NULL), ERR_UNSUPPORTED);

    b = begin();
    wr_u8(&b, 0x73);
    desc(&b, "Both", 0x06, 0);
    end_desc(&b);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);
}
END_TEST

START_TEST(write_object_that_writes_no_fields)
{
    struct buf b = begin();

    wr_u8(&b, 0x75);
    array_desc(&b, "[LW;");
    wr_u32(&b, 3);
    wr_u8(&b, 0x73);
    desc(&b, "W", 3, 1); /* 2 */
    field(&b, 'L', "f");
    string(&b, "LX;");
    end_desc(&b);
    wr_bytes(&b, "\x77\x01\x05\x78", 4); /* block data where the field should be */
    wr_u8(&b, 0x73);
    ref(&b, 2);
    wr_u8(&b, 0x78); /* nothing at all */
    wr_u8(&b, 0x73);
    ref(&b, 2);
    wr_bytes(&b, "\x70\x77\x01\x05\x78", 5); /* field, then block data */
    struct java *j = java_new(buf_span(&b), NULL);
    struct blob *value = cut_next(j);
    ck_assert(span_eq(blob_span(value), buf_span(&b)));
    blob_unref(value);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(text_that_no_java_reads)
{
    struct buf b = begin();
    struct java_item item;
    struct blob *value = NULL;

    string(&b, "bad \xff text"); /* 0 */
    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;"); /* 1, 2 */
    wr_u32(&b, 1);
    ref(&b, 0);
    string(&b, "good");
    struct java *j = java_new(buf_span(&b), NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert(java_item(j, &item, "item"));
        ck_assert_int_eq(java_cut(j, &item, &value), ERR_BAD); /* itself, and what contains it */
    }
    value = cut_next(j); /* the reader is fine */
    ck_assert_uint_eq(value->n, 4 + 3 + 4);
    blob_unref(value);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* --- reset and exception --- */

START_TEST(reset_starts_handles_anew)
{
    struct buf b = begin();
    struct java_item item;
    struct span s;

    string(&b, "before");
    wr_u8(&b, 0x79);
    wr_u8(&b, 0x79);
    string(&b, "after");
    ref(&b, 0);
    wr_u8(&b, 0x79);
    ref(&b, 0);
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert(java_string(j, &s, "a"));
    ck_assert(java_string(j, &s, "b"));
    ck_assert(java_string(j, &s, "c") && span_eq(s, SPAN_LIT("after")));
    ck_assert(!java_item(j, &item, "d"));
    ck_assert_int_eq(java_err(j), ERR_BAD);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(reset_inside_of_an_object)
{
    struct buf b = begin(), want = begin();

    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;"); /* 0, 1 */
    wr_u32(&b, 4);
    string(&b, "old"); /* 2 */
    wr_u8(&b, 0x79);
    string(&b, "new"); /* 0 again */
    ref(&b, 0);
    wr_u8(&b, 0x70);
    ref(&b, 0); /* behind the array */
    wr_u8(&want, 0x75);
    array_desc(&want, "[Ljava.lang.Object;");
    wr_u32(&want, 4);
    string(&want, "old");
    string(&want, "new");
    ref(&want, 3);
    wr_u8(&want, 0x70);
    struct java *j = java_new(buf_span(&b), NULL);
    expect_value(j, &want);
    buf_clear(&want);
    wr_span(&want, JAVA_HEADER);
    string(&want, "new");
    expect_value(j, &want);
    java_free(j);
    buf_fini(&b);
    buf_fini(&want);
}
END_TEST

/* An array in an array in which the writer gives up, then a Throwable, then the next item. */
START_TEST(exception_ends_the_outermost_object)
{
    struct buf b = begin();
    struct java_item item;
    struct blob *value = NULL;
    struct span s;

    string(&b, "early"); /* 0 */
    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;");
    wr_u32(&b, 2);
    wr_u8(&b, 0x75);
    ref(&b, 1);
    wr_u32(&b, 2);
    ref(&b, 0);
    wr_u8(&b, 0x7B);
    wr_u8(&b, 0x73);
    desc(&b, "java.io.NotSerializableException", 2, 1); /* 0 in a table of its own */
    field(&b, 'L', "message");
    string(&b, "Ljava/lang/String;"); /* 1 */
    end_desc(&b);
    ref(&b, 1);
    string(&b, "late"); /* 0 again */
    ref(&b, 0);
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert(java_string(j, &s, "a"));
    ck_assert(java_item(j, &item, "b"));
    ck_assert_int_eq(item.kind, JAVA_EXCEPTION);
    ck_assert_int_eq(java_cut(j, &item, &value), ERR_NOT_FOUND);
    ck_assert(java_string(j, &s, "c") && span_eq(s, SPAN_LIT("late")));
    ck_assert(java_string(j, &s, "d") && span_eq(s, SPAN_LIT("late")));
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(exceptions_in_a_row)
{
    struct buf b = begin();
    struct java_item item;

    for (int i = 0; i < 100000; i++)
        wr_u8(&b, 0x7B);
    wr_u8(&b, 0x70);
    string(&b, "end");
    struct java *j = java_new(buf_span(&b), NULL);
    ck_assert(java_item(j, &item, "a"));
    ck_assert_int_eq(item.kind, JAVA_EXCEPTION);
    ck_assert(java_item(j, &item, "b"));
    ck_assert_int_eq(item.kind, JAVA_STRING);
    java_free(j);
    buf_fini(&b);

    /* One in a class annotation, and another in the Throwable that follows. */
    b = begin();
    wr_u8(&b, 0x73);
    desc(&b, "A", 2, 0);
    wr_u8(&b, 0x7B);
    wr_u8(&b, 0x73);
    desc(&b, "T", 2, 1);
    field(&b, 'L', "cause");
    string(&b, "LT;");
    end_desc(&b);
    wr_u8(&b, 0x7B);
    wr_u8(&b, 0x73);
    desc(&b, "U", 3, 1);
    field(&b, 'L', "cause");
    string(&b, "LU;");
    end_desc(&b);
    ref(&b, 2);
    wr_u8(&b, 0x78);
    string(&b, "end");
    j = java_new(buf_span(&b), NULL);
    ck_assert(java_item(j, &item, "a") && item.kind == JAVA_EXCEPTION);
    ck_assert(java_item(j, &item, "b") && item.kind == JAVA_STRING);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* --- hostile --- */

START_TEST(wrong_references)
{
    struct buf b = begin();
    ref(&b, 0);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD); /* nothing there yet */
    b = begin();
    wr_bytes(&b, "\x71\x00\x00\x00\x00", 5);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);
    b = begin();
    wr_bytes(&b, "\x71\xff\xff\xff\xff", 5);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);
    b = begin();
    wr_bytes(&b, "\x71\x00\x7e", 3);
    ck_assert_int_eq(first_error(&b, NULL), ERR_SHORT);

    b = begin(); /* an object whose class is a string */
    wr_u8(&b, 0x75);
    array_desc(&b, "[Ljava.lang.Object;");
    wr_u32(&b, 2);
    string(&b, "x"); /* 2 */
    wr_u8(&b, 0x73);
    ref(&b, 2);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);

    b = begin(); /* a signature that is a descriptor */
    wr_u8(&b, 0x73);
    desc(&b, "A", 2, 1);
    field(&b, 'L', "f");
    ref(&b, 0);
    end_desc(&b);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);

    b = begin(); /* a class that is its own super */
    wr_u8(&b, 0x73);
    desc(&b, "A", 2, 0);
    wr_u8(&b, 0x78);
    ref(&b, 0);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);

    b = begin(); /* two classes that are each other's super */
    wr_u8(&b, 0x73);
    desc(&b, "A", 2, 0);
    wr_u8(&b, 0x78);
    desc(&b, "B", 2, 0);
    wr_u8(&b, 0x78);
    ref(&b, 0);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);

    b = begin(); /* an object of a class that is not complete */
    wr_u8(&b, 0x73);
    desc(&b, "A", 2, 0);
    wr_u8(&b, 0x73);
    ref(&b, 0);
    ck_assert_int_eq(first_error(&b, NULL), ERR_BAD);
}
END_TEST

START_TEST(wrong_forms)
{
    static const struct {
        struct span bytes;
        enum err e;
    } cases[] = {
        {SPAN_LIT("\x00"), ERR_BAD},
        {SPAN_LIT("\x6f"), ERR_BAD},
        {SPAN_LIT("\x7f"), ERR_BAD},
        {SPAN_LIT("\x78"), ERR_BAD},
        {SPAN_LIT("\x73"), ERR_SHORT},
        {SPAN_LIT("\x73\x70"), ERR_BAD}, /* no class */
        {SPAN_LIT("\x76\x70"), ERR_BAD},
        {SPAN_LIT("\x75\x70"), ERR_BAD},
        {SPAN_LIT("\x73\x74\x00\x00"), ERR_BAD}, /* a string for a class */
        {SPAN_LIT("\x74\x00\x05"
                  "abc"),
         ERR_SHORT},
        {SPAN_LIT("\x72\x00\x01"
                  "A"),
         ERR_SHORT},
        {SPAN_LIT("\x72\x00\x01"
                  "A12345678\x02\x00\x01V\x00\x01v"),
         ERR_BAD}, /* a field of type V */
        {SPAN_LIT("\x72\x00\x01"
                  "A12345678\x02\x00\x01L\x00\x01v\x70"),
         ERR_BAD}, /* no signature */
        {SPAN_LIT("\x72\x00\x01"
                  "A12345678\x02\xff\xffI\x00\x01i"),
         ERR_SHORT},
        {SPAN_LIT("\x7d\x00\x01\x00\x00"), ERR_BAD}, /* 65536 interfaces */
        {SPAN_LIT("\x7d\xff\xff\xff\xff"), ERR_BAD},
        {SPAN_LIT("\x7d\x00\x00\xff\xff\x00\x00"), ERR_SHORT},
        {SPAN_LIT("\x75\x72\x00\x01"
                  "B12345678\x02\x00\x00\x78\x70\x00\x00\x00\x00"),
         ERR_BAD}, /* no array */
        {SPAN_LIT("\x75\x72\x00\x02[V12345678\x02\x00\x00\x78\x70\x00\x00\x00\x00"), ERR_BAD},
        {SPAN_LIT("\x75\x72\x00\x02[B12345678\x02\x00\x00\x78\x70\xff\xff\xff\xff"), ERR_BAD},
        {SPAN_LIT("\x75\x72\x00\x02[B12345678\x02\x00\x00\x78\x70\x7f\xff\xff\xff"), ERR_SHORT},
        {SPAN_LIT("\x75\x72\x00\x02[J12345678\x02\x00\x00\x78\x70\x7f\xff\xff\xff"), ERR_SHORT},
        {SPAN_LIT("\x75\x72\x00\x02[L12345678\x02\x00\x00\x78\x70\x7f\xff\xff\xff\x70"), ERR_SHORT},
        {SPAN_LIT("\x7e\x72\x00\x01"
                  "E12345678\x12\x00\x00\x78\x70\x70"),
         ERR_BAD}, /* no constant */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = begin();
        wr_span(&b, cases[i].bytes);
        enum err e = first_error(&b, NULL);
        ck_assert_msg(e == cases[i].e, "case %zu: %s", i, err_text(e));
    }
}
END_TEST

/* A stream in which `one` (n bytes) repeats. */
static struct buf repeated(struct span head, struct span one, unsigned times)
{
    struct buf b = begin();

    wr_span(&b, head);
    buf_reserve(&b, one.n * times);
    for (unsigned i = 0; i < times; i++)
        wr_span(&b, one);
    return b;
}

#define OBJECT_ARRAY                      \
    "\x75\x72\x00\x13[Ljava.lang.Object;" \
    "\x90\xce\x58\x9f\x10\x73\x29\x6c\x02\x00\x00\x78\x70\x00\x00\x00\x01"
#define ARRAY_AGAIN "\x75\x71\x00\x7e\x00\x00\x00\x00\x00\x01"

START_TEST(nesting_a_million_deep)
{
    static const struct {
        struct span head, one;
    } cases[] = {
        {SPAN_LIT(OBJECT_ARRAY), SPAN_LIT(ARRAY_AGAIN)},
        {SPAN_LIT(""), SPAN_LIT("\x73\x72\x00\x01"
                                "A12345678\x02\x00\x00")}, /* in the annotation of its class */
        {SPAN_LIT(""), SPAN_LIT("\x72\x00\x01"
                                "A12345678\x02\x00\x00\x78")}, /* supers */
        {SPAN_LIT(""), SPAN_LIT("\x76\x7d\x00\x00\x00\x00")},  /* proxies */
        {SPAN_LIT("\x73\x72\x00\x01"
                  "E12345678\x0c\x00\x00\x78\x70"),
         SPAN_LIT("\x73\x71\x00\x7e\x00\x00")},
        {SPAN_LIT("\x73\x72\x00\x01"
                  "W12345678\x03\x00\x00\x78\x70"),
         SPAN_LIT("\x73\x71\x00\x7e\x00\x00")},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = repeated(cases[i].head, cases[i].one, 1000000);
        ck_assert_int_eq(first_error(&b, NULL), ERR_TOO_BIG);
    }
}
END_TEST

START_TEST(nesting_a_thousand_deep_is_fine)
{
    struct buf b = repeated(SPAN_LIT(OBJECT_ARRAY), SPAN_LIT(ARRAY_AGAIN), 999);

    wr_u8(&b, 0x70);
    string(&b, "next");
    struct java *j = java_new(buf_span(&b), NULL);
    struct blob *value = cut_next(j);
    ck_assert_uint_eq(value->n, b.n - 7);
    ck_assert_mem_eq(value->p, b.p, value->n);
    blob_unref(value);
    struct span s;
    ck_assert(java_string(j, &s, "next"));
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* Item k is an array that holds item k - 1, by reference: cutting the last one follows all the references. */
START_TEST(a_chain_of_references_is_limited_when_cut)
{
    struct buf b = begin();
    struct java_item item = {0};
    struct blob *value = NULL;

    wr_span(&b, SPAN_LIT(OBJECT_ARRAY "\x70"));
    for (uint32_t i = 1; i < 20000; i++) {
        wr_span(&b, SPAN_LIT(ARRAY_AGAIN));
        ref(&b, i);
    }
    struct java *j = java_new(buf_span(&b), NULL);
    unsigned cut = 0, refused = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        ck_assert(java_item(j, &item, "item"));
        if (i % 1000 != 999)
            continue;
        enum err e = java_cut(j, &item, &value);
        if (e == ERR_OK)
            cut++;
        else
            refused++;
        ck_assert(e == ERR_OK || e == ERR_TOO_BIG);
        if (e == ERR_OK)
            blob_unref(value);
    }
    ck_assert_uint_eq(cut, 2); /* two frames a level: 1000 and 2000 fit into 4096 */
    ck_assert_uint_eq(refused, 18);
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

START_TEST(limits)
{
    struct java_limits l = java_limits_default;

    l.max_handles = 1000;
    struct buf b = repeated(SPAN_LIT("\x75\x72\x00\x02[[12345678\x02\x00\x00\x78\x70\x00\x00\x04\x00"),
                            SPAN_LIT("\x74\x00\x00"), 1024);
    ck_assert_int_eq(first_error(&b, &l), ERR_TOO_BIG);
    b = repeated(SPAN_LIT("\x75\x72\x00\x02[[12345678\x02\x00\x00\x78\x70\x00\x00\x04\x00"),
                 SPAN_LIT("\x76\x72\x00\x00"
                          "12345678\x00\x00\x00\x78\x70"),
                 260);
    ck_assert_int_eq(first_error(&b, &l), ERR_TOO_BIG); /* classes */
    b = repeated(SPAN_LIT("\x72\x00\x00"
                          "12345678\x02\x10\x00"),
                 SPAN_LIT("I\x00\x00"), 4096);
    ck_assert_int_eq(first_error(&b, &l), ERR_TOO_BIG); /* fields */
    l = java_limits_default;
    b = repeated(SPAN_LIT("\x75\x72\x00\x02[[12345678\x02\x00\x00\x78\x70\x00\x00\x00\x01"), SPAN_LIT("\x79"),
                 1000000);
    ck_assert_int_eq(first_error(&b, NULL), ERR_TOO_BIG); /* resets inside of an object */
    l.max_bytes = 10;
    b = repeated(SPAN_LIT("\x74\x00\x10"), SPAN_LIT("x"), 16);
    ck_assert_int_eq(first_error(&b, &l), ERR_TOO_BIG);

    /* A chain of superclasses made of references, which needs no nesting. */
    b = begin();
    for (uint32_t i = 0; i < 200; i++) {
        desc(&b, "C", 2, 0);
        wr_u8(&b, 0x78);
        if (i)
            ref(&b, i - 1);
        else
            wr_u8(&b, 0x70);
    }
    struct java *j = java_new(buf_span(&b), NULL);
    struct java_item item;
    unsigned n = 0;
    while (java_item(j, &item, NULL))
        n++;
    ck_assert_int_eq(java_err(j), ERR_TOO_BIG);
    ck_assert_uint_eq(n, 129);
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* Many references to one large object: each is a copy when it is cut. */
START_TEST(sec_what_one_session_may_copy_is_bounded)
{
    struct java_limits l = java_limits_default;
    struct buf b = begin();
    struct blob *value = NULL;
    struct java_item item;

    l.max_share = 10000;
    wr_u8(&b, 0x74);
    wr_u16(&b, 4000);
    for (int i = 0; i < 4000; i++)
        wr_u8(&b, 'x');
    for (int i = 1; i < 20; i++)
        ref(&b, 0);
    struct java *j = java_new(buf_span(&b), &l);
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            java_share(j);
        ck_assert(java_item(j, &item, "item"));
        enum err e = java_cut(j, &item, &value);
        ck_assert_int_eq(e, i % 10 < 2 ? ERR_OK : ERR_TOO_BIG);
        if (e == ERR_OK)
            blob_unref(value);
    }
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* Each array holds the one before it twice over the big string: sums must not grow without bound. */
START_TEST(what_is_cut_is_bounded)
{
    struct java_limits l = java_limits_default;
    struct buf b = begin();
    struct blob *value = NULL;
    struct java_item item;
    size_t total = 0;
    unsigned refused = 0;

    l.max_value = 5000;
    l.max_growth = 2;
    wr_u8(&b, 0x74);
    wr_u16(&b, 4000);
    for (int i = 0; i < 4000; i++)
        wr_u8(&b, 'x');
    for (int i = 0; i < 100; i++)
        ref(&b, 0);
    struct java *j = java_new(buf_span(&b), &l);
    for (int i = 0; i < 101; i++) {
        ck_assert(java_item(j, &item, "item"));
        if (java_cut(j, &item, &value) == ERR_OK) {
            total += value->n;
            blob_unref(value);
        } else {
            refused++;
        }
    }
    ck_assert_int_eq(java_end(j, "end"), ERR_OK);
    ck_assert_uint_eq(refused, 98); /* 2 x 4507 + 5000 bytes hold three of 4003 */
    ck_assert_uint_eq(total, 3 * 4007);
    java_free(j);

    l.max_value = 3000;
    j = java_new(buf_span(&b), &l);
    ck_assert(java_item(j, &item, "item"));
    ck_assert_int_eq(java_cut(j, &item, &value), ERR_TOO_BIG);
    java_free(j);
    buf_fini(&b);
}
END_TEST

/* The same text, which has to be converted, a thousand times by reference. */
START_TEST(converted_texts_are_bounded)
{
    struct java_limits l = java_limits_default;
    struct buf b = begin();
    unsigned n = 0;
    struct span s;

    l.max_value = 10000;
    wr_u8(&b, 0x74);
    wr_u16(&b, 2000);
    for (int i = 0; i < 1000; i++)
        wr_bytes(&b, "\xc0\x80", 2);
    for (int i = 0; i < 1000; i++)
        ref(&b, 0);
    struct java *j = java_new(buf_span(&b), &l);
    while (java_string(j, &s, "text"))
        n++;
    ck_assert_int_eq(java_err(j), ERR_TOO_BIG);
    ck_assert_uint_eq(n, 17); /* 7007 + 10000 bytes */
    java_free(j);
    buf_fini(&b);
}
END_TEST

CLUSTERD_SUITE(java, &header, &block_data_is_one_byte_stream, &data_and_objects_are_not_confused,
               &lying_block_lengths, &boxed_numbers_also_by_reference, &long_strings, &root_class,
               &references_out_of_the_item_are_expanded, &an_item_inside_of_what_it_refers_to,
               &a_super_descriptor_expands_as_a_descriptor, &a_signature_string_is_a_string,
               &class_descriptors_anywhere, &externalizable, &write_object_that_writes_no_fields,
               &text_that_no_java_reads, &reset_starts_handles_anew, &reset_inside_of_an_object,
               &exception_ends_the_outermost_object, &exceptions_in_a_row, &wrong_references, &wrong_forms,
               &nesting_a_million_deep, &nesting_a_thousand_deep_is_fine,
               &a_chain_of_references_is_limited_when_cut, &limits, &sec_what_one_session_may_copy_is_bounded,
               &what_is_cut_is_bounded, &converted_texts_are_bounded)
