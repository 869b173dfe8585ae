/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through the data of one object that has been walked: per class, the topmost first, its field values
 * and then what it wrote by itself. Each part takes constant time, however much it holds. For decoders of
 * known classes and for the text of values.
 */
#ifndef WIRE_JAVA_PARTS_H
#define WIRE_JAVA_PARTS_H

#include "entry.h"

enum part_kind {
    PART_PRIMITIVE, /* a field: bytes */
    PART_OBJECT,    /* a field: item */
    PART_BLOCK,     /* one record of block data: bytes */
    PART_CONTENT    /* an object among block data: item */
};

struct part {
    enum part_kind kind;
    uint32_t cls;   /* the class whose part it is */
    uint32_t field; /* of fields: index into walk.fields */
    struct span bytes;
    struct java_item item;
};

struct parts {
    const struct walk *w;
    uint32_t own, level; /* the object's class; the class at which we are, or WALK_NONE behind the last one */
    uint32_t pos, ctr;
    uint16_t field;
    bool in_annotation;
};

/* `entry` is a JAVA_OBJECT of `w`, which stays borrowed. */
void parts_init(struct parts *p, const struct walk *w, uint32_t entry);
/* False behind the last part. */
bool parts_next(struct parts *p, struct part *out);
bool parts_is_class(const struct walk *w, uint32_t cls, const char *name);
bool parts_is_field(const struct walk *w, const struct part *part, const char *name, uint8_t type);
/* The bits of a boxed primitive: an object of class `cls` with the field "value" of that type. False: it is
 * none. */
bool parts_boxed(const struct walk *w, const struct java_item *item, const char *cls, uint8_t type,
                 uint64_t *v);

#endif
