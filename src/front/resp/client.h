/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HELLO and CLIENT have in common: the names that clients give themselves. A connection's own worker
 * only.
 */
#ifndef FRONT_RESP_CLIENT_H
#define FRONT_RESP_CLIENT_H

#include "conn.h"

#define CLIENT_BAD_NAME "ERR Client names cannot contain spaces, newlines or special characters."

bool client_is_name(struct span s);           /* printable ASCII without blanks, or empty */
void client_set(char **field, struct span s); /* empty: none */

#endif
