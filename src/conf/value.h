/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One scalar of the configuration: text to field and back, by the row that describes it. Private to conf.
 */
#ifndef CLUSTERD_CONF_VALUE_H
#define CLUSTERD_CONF_VALUE_H

#include "clusterd/conf/option.h"

/*
 * Set a field from a text. Not for OPTION_STRINGS, whose items are checked by value_check(). ERR_BAD leaves
 * the field untouched and appends to *why what the value must be. Owned strings that the field held are not
 * freed.
 */
fallible value_parse(const struct option_spec *row, const char *text, void *field, struct buf *why);
/* The row's own check of a text, if it has one. */
fallible value_check(const struct option_spec *row, const char *text, struct buf *why);
/* Append the value as YAML; strings are quoted where they need it. OPTION_STRINGS as [a, b]. */
void value_print(const struct option_spec *row, const void *field, struct buf *out);
/* A text as a YAML scalar. */
void value_quote(const char *text, struct buf *out);

#endif
