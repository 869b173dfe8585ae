/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times to live as SET, GETEX and the EXPIRE family take them: seconds or milliseconds, from now or absolute.
 * Everything becomes milliseconds from now, which is what an edit takes. Pure but for the error reply.
 */
#ifndef FRONT_RESP_EXPIRY_H
#define FRONT_RESP_EXPIRY_H

#include "conn.h"

enum expiry_form { EXPIRY_NONE, EXPIRY_EX, EXPIRY_PX, EXPIRY_EXAT, EXPIRY_PXAT };

/* The options behind key (and value) of SET and GETEX. */
struct expiry_options {
    bool nx, xx, get, keep_ttl, persist;
    enum expiry_form form;
    struct span number;
};

/* False: the syntax error was replied. is_set: NX XX GET KEEPTTL are allowed, PERSIST is not. */
bool expiry_parse_options(struct conn *c, const struct words *w, size_t at, bool is_set,
                          struct expiry_options *o);
/* For SET, SETEX, GETEX: must be later than the epoch (or than now). False: replied. *ttl_ms may be 0 or less
 * for absolute times only: over already. */
bool expiry_ttl(struct conn *c, enum expiry_form form, struct span number, int64_t *ttl_ms);
/* For the EXPIRE family: any time, the past too. */
bool expiry_any_ttl(struct conn *c, enum expiry_form form, struct span number, int64_t *ttl_ms);

#endif
