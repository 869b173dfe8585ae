/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a Java serialization stream as java.io.ObjectOutputStream would: block data in records of at most
 * 1024 bytes that end where an object starts, strings, boxed numbers with each class descriptor once, and
 * values (see java.h) pasted in with their handles shifted. Appends to the caller's buffer. Any thread.
 */
#ifndef CLUSTERD_WIRE_JWRITE_H
#define CLUSTERD_WIRE_JWRITE_H

#include "clusterd/util/bytes.h"

struct jwrite {
    struct buf *out;
    uint32_t next_handle; /* counted from 0 */
    size_t block_at;      /* where the payload of the open block record starts; 0 = none is open */
    /* Handles of these class descriptors + 1; 0 = not written yet. */
    uint32_t integer_desc, number_desc, long_desc, boolean_desc, bytes_desc;
};

void jwrite_init(struct jwrite *w, struct buf *out); /* appends the stream header */
/* Close the open block record. The stream is complete afterwards; more may follow. */
void jwrite_end(struct jwrite *w);

/* Block data. */
void jwrite_u8(struct jwrite *w, uint8_t v);
void jwrite_i32(struct jwrite *w, int32_t v);
void jwrite_i64(struct jwrite *w, int64_t v);
void jwrite_bytes(struct jwrite *w, struct span s);
/* u2 length and text. ERR_BAD: not UTF-8; ERR_TOO_BIG: more than 65535 bytes in Java's form. Nothing is
 * written then. */
fallible jwrite_utf(struct jwrite *w, struct span utf8);

/* Objects. */
void jwrite_null(struct jwrite *w);
fallible jwrite_string(struct jwrite *w, struct span utf8); /* ERR_BAD: not UTF-8; nothing is written then */
void jwrite_integer(struct jwrite *w, int32_t v);
void jwrite_long(struct jwrite *w, int64_t v);
void jwrite_boolean(struct jwrite *w, bool v);
void jwrite_byte_array(struct jwrite *w, struct span bytes); /* at most 2 GiB - 1 */
/* Paste a value. ERR_BAD when it is no self-contained stream of exactly one object; nothing is written then.
 */
fallible jwrite_value(struct jwrite *w, struct span value);

#endif
