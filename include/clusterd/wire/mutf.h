/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Java's modified UTF-8 and real UTF-8. They differ in U+0000 (C0 80), in supplementary characters (two
 * surrogates of three bytes each) and in lone surrogates, which only Java's form can hold: going to UTF-8
 * each becomes U+FFFD, so that direction may lose. Everywhere else in clusterd text is UTF-8; the modified
 * form exists inside Java streams only. Mirrors java.io.DataOutputStream.writeUTF. Pure functions, any
 * thread.
 */
#ifndef CLUSTERD_WIRE_MUTF_H
#define CLUSTERD_WIRE_MUTF_H

#include "clusterd/util/bytes.h"

/* Well-formed UTF-8: shortest forms only, no surrogates, at most U+10FFFF. */
bool mutf_utf8_valid(struct span s);
/* What java.io.DataInput.readUTF takes: one to three bytes a unit, surrogates in any order. */
bool mutf_valid(struct span s);
/* True when the (valid) bytes are the same in both forms: no U+0000, nothing above U+FFFF, no surrogates. */
bool mutf_is_plain(struct span s);
/* Bytes that the UTF-8 text `s` takes in modified form. */
size_t mutf_size(struct span s);
/* Append the modified form of valid UTF-8; ERR_BAD and nothing appended when `s` is not valid. */
fallible mutf_encode(struct span s, struct buf *out);
/* Append the UTF-8 form; ERR_BAD and nothing appended when `s` is not modified UTF-8. */
fallible mutf_decode(struct span s, struct buf *out);

#endif
