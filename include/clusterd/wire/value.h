/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session attribute values: a value is a Java serialization stream that holds exactly one object and stands
 * alone. Here they are made from the bytes and numbers of other languages and turned back into text. Values
 * of foreign classes stay opaque: their class can be named, nothing else. Pure functions, any thread.
 */
#ifndef CLUSTERD_WIRE_VALUE_H
#define CLUSTERD_WIRE_VALUE_H

#include "clusterd/util/bytes.h"

/* A String when the bytes are valid UTF-8, else a byte[]; at most 2 GiB - 1 bytes. One reference, the
 * caller's. */
struct blob *value_from_bytes(struct span bytes);
struct blob *value_from_integer(int32_t v);
struct blob *value_from_long(int64_t v);
struct blob *value_from_boolean(bool v);

enum value_kind {
    VALUE_NULL,
    VALUE_STRING,
    VALUE_BYTES, /* byte[] */
    VALUE_BOOLEAN,
    VALUE_NUMBER, /* Byte Short Integer Long Float Double BigInteger-free: what has a plain text */
    VALUE_CHARACTER,
    VALUE_DATE, /* java.util.Date and java.sql.Timestamp (milliseconds only) */
    VALUE_ENUM,
    VALUE_COLLECTION, /* lists, sets, maps and arrays of the JDK */
    VALUE_OTHER,      /* any other class */
    VALUE_BROKEN      /* not a value at all */
};
enum value_kind value_kind(struct span value);

/* A String, Integer, Long, Boolean or byte[], byte for byte as Java writes it: every JVM reads it back. */
bool value_is_common(struct span value);

/*
 * Append what another language sees: String as UTF-8, byte[] as its bytes, numbers and Boolean as Java prints
 * them, Date as ISO 8601 in UTC with milliseconds, an enum's constant name, common collections and arrays as
 * JSON-like text (Dates and enums quoted, byte[] as base64). ERR_UNSUPPORTED for other classes and for
 * collections that hold some or hold themselves; ERR_TOO_BIG above `max_bytes` of collection text; ERR_BAD
 * for what is no value. Nothing is appended on failure. Simple kinds are limited by their own size only.
 */
fallible value_text(struct span value, size_t max_bytes, struct buf *out);
/* The text of nearly all values stands in them as it is: a String whose modified UTF-8 is UTF-8, a byte[].
 * Then *text borrows it; false: ask value_text(). */
bool value_text_plain(struct span value, struct span *text);
/* Length of value_text() for VALUE_STRING and VALUE_BYTES without making it; ERR_UNSUPPORTED otherwise. */
fallible value_text_size(struct span value, size_t *n);

/* Append the class name as Class.getName() spells it ("java.lang.String", "[B"); "null" for null. */
fallible value_class(struct span value, struct buf *out);
/* Append the text of the String field `name` of an object, wherever in its class chain: the user name of a
 * principal. */
fallible value_string_field(struct span value, const char *name, struct buf *out);

/* The value must be of exactly this class: ERR_BAD otherwise. */
fallible value_integer(struct span value, int32_t *v);
fallible value_long(struct span value, int64_t *v);
fallible value_boolean(struct span value, bool *v);
fallible value_string(struct span value, struct buf *utf8); /* appends */

#endif
