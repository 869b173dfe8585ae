/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique ids; see ident.h.
 */
#include "clusterd/util/ident.h"

#include <stdio.h>

void ident_make_v4(struct ident *id)
{
    id->b[6] = (uint8_t)((id->b[6] & 0x0f) | 0x40);
    id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}

const char *ident_text(const struct ident *id, char out[IDENT_TEXT_MAX])
{
    for (size_t i = 0; i < IDENT_LEN; i++)
        snprintf(out + 2 * i, 3, "%02x", id->b[i]);
    return out;
}
