/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that ends the process rather than returning NULL; see mem.h for when that is right.
 */
#include "clusterd/util/mem.h"
#include "clusterd/util/err.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW_BYTES (1024 * 1024)

static void *check(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t n)
{
    return check(malloc(n ? n : 1));
}

void *mem_zalloc(size_t n)
{
    return check(calloc(1, n ? n : 1));
}

void *mem_realloc(void *p, size_t n)
{
    return check(realloc(p, n ? n : 1));
}

void *mem_array(size_t n, size_t size)
{
    return check(calloc(n ? n : 1, size ? size : 1));
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
    char *copy = mem_alloc(n + 1);

    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    char *text = mem_alloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

size_t mem_room(void *p)
{
    return malloc_usable_size(p);
}

void mem_free(void *p)
{
    free(p);
}

/* glibc gives each thread an arena of its own, and all but the first grow by a page at a time, with a system
 * call for every few messages. The first grows in steps that can be set, and packs better; two threads share
 * it well. */
void mem_tune(unsigned threads)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, threads > 2 ? (int)(threads / 2) : 1);
    mallopt(M_TOP_PAD, GROW_BYTES);
#else
    (void)threads;
#endif
}
