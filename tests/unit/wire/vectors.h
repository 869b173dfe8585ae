/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading golden vectors in tests: hexadecimal texts and the JSON files of tests/golden/vectors.
 */
#ifndef TESTS_UNIT_WIRE_VECTORS_H
#define TESTS_UNIT_WIRE_VECTORS_H

#include "clusterd/util/bytes.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>

#define VECTORS_DIR TESTS_DIR "/golden/vectors"

static inline int vectors_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);

    ck_assert_msg(c && at, "not a hexadecimal digit: %c", c);
    return (int)(at - digits);
}

/* Append the bytes of a hexadecimal text. */
static inline void vectors_unhex(const char *hex, struct buf *out)
{
    for (; *hex; hex += 2)
        wr_u8(out, (uint8_t)(vectors_digit(hex[0]) << 4 | vectors_digit(hex[1])));
}

static inline json_t *vectors_load(const char *file)
{
    char path[512];
    json_error_t error;

    snprintf(path, sizeof path, "%s/%s", VECTORS_DIR, file);
    json_t *doc = json_load_file(path, 0, &error);
    ck_assert_msg(doc != NULL, "%s: %s", path, error.text);
    return doc;
}

/* The bytes of one vector, appended; it must be in the file. */
static inline void vectors_get(const char *file, const char *name, struct buf *out)
{
    json_t *doc = vectors_load(file), *v;
    size_t i;
    bool found = false;

    json_array_foreach(json_object_get(doc, "vectors"), i, v)
    {
        if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0) {
            vectors_unhex(json_string_value(json_object_get(v, "hex")), out);
            found = true;
        }
    }
    ck_assert_msg(found, "%s: no vector %s", file, name);
    json_decref(doc);
}

#define CORE "core-10.1.60.json"

#endif
