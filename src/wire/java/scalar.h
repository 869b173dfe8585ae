/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How Java prints primitives and points in time.
 */
#ifndef WIRE_JAVA_SCALAR_H
#define WIRE_JAVA_SCALAR_H

#include "clusterd/util/bytes.h"

/* Append the text of a primitive of type B C D F I J S Z from its big-endian bytes: String.valueOf(). */
void scalar_text(uint8_t type, struct span bytes, struct buf *out);
/* True when a float or double is no number or infinite. */
bool scalar_is_special(uint8_t type, struct span bytes);
/* Append ISO 8601 in UTC, with milliseconds. */
void scalar_time(int64_t ms, struct buf *out);

#endif
