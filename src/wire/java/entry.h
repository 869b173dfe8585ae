/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking things up in the handle table of a walk (walk.h): entries and the places in the stream that they
 * stand for. Each takes constant time (references: the logarithm of the number of resets). For positions that
 * the walk has gone over; nothing is checked again.
 */
#ifndef WIRE_JAVA_ENTRY_H
#define WIRE_JAVA_ENTRY_H

#include "walk.h"

bool entry_is_desc(uint8_t tc);
bool entry_is_string(uint8_t tc);

/* The entry that the TC_REFERENCE at `off` means; WALK_NONE when there is none. Its five bytes must be there.
 */
uint32_t entry_referent(const struct walk *w, uint32_t off);
/* The entry of the object whose definition begins at `off` with `ctr` entries in front of it. */
uint32_t entry_at(const struct walk *w, uint32_t off, uint32_t ctr);
/* The first entry that is made when the definition of e is gone over: an inline class comes before its
 * object. */
uint32_t entry_first(const struct walk *w, uint32_t e);

/* The object that stands at *pos (anything but block data) with *ctr entries in front of it. Moves both
 * behind it. */
struct java_item entry_item(const struct walk *w, uint32_t *pos, uint32_t *ctr);
/* The modified UTF-8 of a string entry. */
struct span entry_text(const struct walk *w, uint32_t e);
/* Where the data of an object, array or enum begin: behind its class descriptor. */
uint32_t entry_data_at(const struct walk *w, uint32_t e);

#endif
