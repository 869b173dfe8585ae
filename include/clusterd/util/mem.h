/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail: small requests abort the process when memory is gone. A size that came from
 * outside must have passed a limit before it gets here.
 */
#ifndef CLUSTERD_UTIL_MEM_H
#define CLUSTERD_UTIL_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1), returns_nonnull)); /* not cleared */
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_realloc(void *p, size_t n) __attribute__((alloc_size(2), returns_nonnull));
void *mem_array(size_t n, size_t size)
    __attribute__((malloc, alloc_size(1, 2), returns_nonnull)); /* cleared */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull)); /* adds the NUL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
void mem_free(void *p);
/* Bytes that may be used of a block; the allocator rounds up. */
size_t mem_room(void *p);

/* Once, before threads start: how many of them will allocate much at the same time. */
void mem_tune(unsigned threads);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
