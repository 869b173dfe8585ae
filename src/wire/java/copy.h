/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a walk that copies (walk.h) writes: stretches of the source as they are, and references with new
 * handles between them. Over the limit the walk fails with ERR_TOO_BIG.
 */
#ifndef WIRE_JAVA_COPY_H
#define WIRE_JAVA_COPY_H

#include "walk.h"

void copy_put(struct walk *w, const uint8_t *p, size_t n);
/* A reference to the object whose new handle, counted from 1, is `mapped`. */
void copy_reference(struct walk *w, uint32_t mapped);
/* Write what has been gone over, up to pos, and go on at `to`. Does nothing in a walk that does not copy. */
void copy_flush(struct walk *w, uint32_t to);

#endif
