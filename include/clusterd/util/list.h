/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked list with a sentinel: a `struct link` lies in each element. An element that is in
 * no list points to itself, so link_remove() may be called at any time.
 */
#ifndef CLUSTERD_UTIL_LIST_H
#define CLUSTERD_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void link_init(struct link *l)
{
    l->prev = l->next = l;
}
static inline bool link_is_alone(const struct link *l)
{
    return l->next == l;
}
static inline void link_insert_before(struct link *at, struct link *l)
{
    l->prev = at->prev;
    l->next = at;
    at->prev->next = l;
    at->prev = l;
}
static inline void link_push_back(struct link *list, struct link *l)
{
    link_insert_before(list, l);
}
static inline void link_push_front(struct link *list, struct link *l)
{
    link_insert_before(list->next, l);
}
static inline void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}
static inline struct link *link_pop_front(struct link *list)
{
    struct link *l = list->next;
    if (l == list)
        return NULL;
    link_remove(l);
    return l;
}

#define LINK_EACH(var, list) for (struct link *var = (list)->next; var != (list); var = var->next)
/* The body may remove `var`. */
#define LINK_EACH_SAFE(var, list)                                                 \
    for (struct link *var = (list)->next, *var##_next = var->next; var != (list); \
         var = var##_next, var##_next = var->next)

#endif
