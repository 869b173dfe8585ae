/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16-byte unique id of members and messages (Tomcat: UUID bytes), and its hexadecimal text.
 */
#ifndef CLUSTERD_UTIL_IDENT_H
#define CLUSTERD_UTIL_IDENT_H

#include "clusterd/util/bytes.h"

#define IDENT_LEN 16

struct ident {
    uint8_t b[IDENT_LEN];
};

#define IDENT_TEXT_MAX (2 * IDENT_LEN + 1)

static inline bool ident_eq(const struct ident *a, const struct ident *b)
{
    return memcmp(a->b, b->b, IDENT_LEN) == 0;
}
/* Sets the version and variant bits of an RFC 4122 version 4 UUID (Tomcat: UUIDGenerator). */
void ident_make_v4(struct ident *id);
const char *ident_text(const struct ident *id, char out[IDENT_TEXT_MAX]);

#endif
