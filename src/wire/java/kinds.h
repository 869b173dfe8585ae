/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which classes have a text, and how their data are found; the table behind value_kind() and value_text().
 */
#ifndef WIRE_JAVA_KINDS_H
#define WIRE_JAVA_KINDS_H

#include "parts.h"

#include "clusterd/wire/value.h"

enum kinds_shape {
    SHAPE_BOXED, /* `type` is its primitive */
    SHAPE_DATE,
    SHAPE_LIST,                /* the objects that the class `level` wrote, from number `skip` on */
    SHAPE_MAP,                 /* the same in pairs; a null key ends it when `ends_with_null` */
    SHAPE_CONSTANT_COLLECTION, /* java.util.CollSer: List.of, Set.of, Map.of; field "tag" says which */
    SHAPE_WRAPPER              /* the field named `level`, of type `type`, is the collection */
};

struct kinds_row {
    const char *cls;
    enum kinds_shape shape;
    const char *level;
    uint8_t type;
    uint8_t skip;
    bool ends_with_null;
};

/* The row of an object's class; NULL: a class of which nothing is known. */
const struct kinds_row *kinds_find(struct span class_name);
/* What the (walked) item is. */
enum value_kind kinds_of(const struct walk *w, const struct java_item *item);

#endif
