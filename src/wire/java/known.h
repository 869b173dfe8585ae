/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that Java always writes alike: the values of the classes that clusterd itself sends, up to their
 * data. Each is a stream with its header; a class descriptor alone is a part of it.
 */
#ifndef WIRE_JAVA_KNOWN_H
#define WIRE_JAVA_KNOWN_H

#include "clusterd/util/bytes.h"

#define KNOWN_HEADER "\xac\xed\x00\x05"

#define KNOWN_NUMBER_DESC "\x72\x00\x10java.lang.Number\x86\xac\x95\x1d\x0b\x94\xe0\x8b\x02\x00\x00\x78\x70"
/* Without their super descriptor, which is Number. */
#define KNOWN_INTEGER_DESC \
    "\x72\x00\x11java.lang.Integer\x12\xe2\xa0\xa4\xf7\x81\x87\x38\x02\x00\x01I\x00\x05value\x78"
#define KNOWN_LONG_DESC \
    "\x72\x00\x0ejava.lang.Long\x3b\x8b\xe4\x90\xcc\x8f\x23\xdf\x02\x00\x01J\x00\x05value\x78"
#define KNOWN_BOOLEAN_DESC \
    "\x72\x00\x11java.lang.Boolean\xcd\x20\x72\x80\xd5\x9c\xfa\xee\x02\x00\x01Z\x00\x05value\x78\x70"
#define KNOWN_BYTES_DESC "\x72\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70"

#define KNOWN_INTEGER SPAN_LIT(KNOWN_HEADER "\x73" KNOWN_INTEGER_DESC KNOWN_NUMBER_DESC) /* then i4 */
#define KNOWN_LONG    SPAN_LIT(KNOWN_HEADER "\x73" KNOWN_LONG_DESC KNOWN_NUMBER_DESC)    /* then i8 */
#define KNOWN_BOOLEAN SPAN_LIT(KNOWN_HEADER "\x73" KNOWN_BOOLEAN_DESC)                   /* then u1 */
#define KNOWN_BYTES   SPAN_LIT(KNOWN_HEADER "\x75" KNOWN_BYTES_DESC) /* then i4 length, bytes */

/* What a String or byte[] of the usual form holds: all bytes behind its head, as many as that says. */
bool known_content(struct span value, bool *is_text, struct span *content);

#endif
