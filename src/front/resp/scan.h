/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many keys a database has for a connection: DBSIZE and INFO. Own worker of the connection.
 */
#ifndef FRONT_RESP_SCAN_H
#define FRONT_RESP_SCAN_H

#include "conn.h"

int64_t scan_count_keys(const struct conn *c, unsigned db);

#endif
