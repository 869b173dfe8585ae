/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of JDK classes whose content clusterd can show; see kinds.h. How each one writes itself was read
 * in the sources of its writeObject method and is the same from Java 8 on (CollSer: from 9).
 */
#include "kinds.h"

#define UTIL "java.util."

static const struct kinds_row rows[] = {
    {.cls = "java.lang.Integer", .shape = SHAPE_BOXED, .type = 'I'},
    {.cls = "java.lang.Long", .shape = SHAPE_BOXED, .type = 'J'},
    {.cls = "java.lang.Boolean", .shape = SHAPE_BOXED, .type = 'Z'},
    {.cls = "java.lang.Double", .shape = SHAPE_BOXED, .type = 'D'},
    {.cls = "java.lang.Float", .shape = SHAPE_BOXED, .type = 'F'},
    {.cls = "java.lang.Short", .shape = SHAPE_BOXED, .type = 'S'},
    {.cls = "java.lang.Byte", .shape = SHAPE_BOXED, .type = 'B'},
    {.cls = "java.lang.Character", .shape = SHAPE_BOXED, .type = 'C'},
    {.cls = UTIL "Date", .shape = SHAPE_DATE},
    {.cls = "java.sql.Timestamp", .shape = SHAPE_DATE},
    {.cls = "java.sql.Date", .shape = SHAPE_DATE},
    {.cls = "java.sql.Time", .shape = SHAPE_DATE},
    {.cls = UTIL "ArrayList", .shape = SHAPE_LIST, .level = UTIL "ArrayList"},
    {.cls = UTIL "LinkedList", .shape = SHAPE_LIST, .level = UTIL "LinkedList"},
    {.cls = UTIL "ArrayDeque", .shape = SHAPE_LIST, .level = UTIL "ArrayDeque"},
    {.cls = UTIL "HashSet", .shape = SHAPE_LIST, .level = UTIL "HashSet"},
    {.cls = UTIL "LinkedHashSet", .shape = SHAPE_LIST, .level = UTIL "HashSet"},
    {.cls = UTIL "TreeSet", .shape = SHAPE_LIST, .level = UTIL "TreeSet", .skip = 1}, /* the comparator */
    {.cls = UTIL "concurrent.CopyOnWriteArrayList",
     .shape = SHAPE_LIST,
     .level = UTIL "concurrent.CopyOnWriteArrayList"},
    {.cls = UTIL "Collections$EmptyList", .shape = SHAPE_LIST, .level = ""},
    {.cls = UTIL "Collections$EmptySet", .shape = SHAPE_LIST, .level = ""},
    {.cls = UTIL "Collections$EmptyMap", .shape = SHAPE_MAP, .level = ""},
    {.cls = UTIL "HashMap", .shape = SHAPE_MAP, .level = UTIL "HashMap"},
    {.cls = UTIL "LinkedHashMap", .shape = SHAPE_MAP, .level = UTIL "HashMap"},
    {.cls = UTIL "TreeMap", .shape = SHAPE_MAP, .level = UTIL "TreeMap"},
    {.cls = UTIL "Hashtable", .shape = SHAPE_MAP, .level = UTIL "Hashtable"},
    {.cls = UTIL "concurrent.ConcurrentHashMap",
     .shape = SHAPE_MAP,
     .level = UTIL "concurrent.ConcurrentHashMap",
     .ends_with_null = true},
    {.cls = UTIL "CollSer", .shape = SHAPE_CONSTANT_COLLECTION, .level = UTIL "CollSer"},
    {.cls = UTIL "Arrays$ArrayList", .shape = SHAPE_WRAPPER, .level = "a", .type = '['},
    {.cls = UTIL "Collections$UnmodifiableCollection", .shape = SHAPE_WRAPPER, .level = "c", .type = 'L'},
    {.cls = UTIL "Collections$UnmodifiableList", .shape = SHAPE_WRAPPER, .level = "c", .type = 'L'},
    {.cls = UTIL "Collections$UnmodifiableRandomAccessList",
     .shape = SHAPE_WRAPPER,
     .level = "c",
     .type = 'L'},
    {.cls = UTIL "Collections$UnmodifiableSet", .shape = SHAPE_WRAPPER, .level = "c", .type = 'L'},
    {.cls = UTIL "Collections$UnmodifiableMap", .shape = SHAPE_WRAPPER, .level = "m", .type = 'L'},
    {.cls = UTIL "Collections$SynchronizedList", .shape = SHAPE_WRAPPER, .level = "c", .type = 'L'},
    {.cls = UTIL "Collections$SynchronizedRandomAccessList",
     .shape = SHAPE_WRAPPER,
     .level = "c",
     .type = 'L'},
    {.cls = UTIL "Collections$SynchronizedSet", .shape = SHAPE_WRAPPER, .level = "c", .type = 'L'},
    {.cls = UTIL "Collections$SynchronizedMap", .shape = SHAPE_WRAPPER, .level = "m", .type = 'L'},
};

const struct kinds_row *kinds_find(struct span class_name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (span_eq(class_name, span_str(rows[i].cls)))
            return &rows[i];
    return NULL;
}

static enum value_kind kind_of_object(struct span class_name)
{
    const struct kinds_row *row = kinds_find(class_name);

    if (!row)
        return VALUE_OTHER;
    switch (row->shape) {
    case SHAPE_BOXED:
        return row->type == 'Z' ? VALUE_BOOLEAN : row->type == 'C' ? VALUE_CHARACTER : VALUE_NUMBER;
    case SHAPE_DATE:
        return VALUE_DATE;
    case SHAPE_LIST:
    case SHAPE_MAP:
    case SHAPE_CONSTANT_COLLECTION:
    case SHAPE_WRAPPER:
        return VALUE_COLLECTION;
    }
    return VALUE_OTHER;
}

enum value_kind kinds_of(const struct walk *w, const struct java_item *item)
{
    switch (item->kind) {
    case JAVA_NULL:
        return VALUE_NULL;
    case JAVA_STRING:
        return VALUE_STRING;
    case JAVA_ENUM:
        return VALUE_ENUM;
    case JAVA_ARRAY:
        return parts_is_class(w, w->entries[item->entry].cls, "[B") ? VALUE_BYTES : VALUE_COLLECTION;
    case JAVA_OBJECT:
        return kind_of_object(walk_class_name(w, w->entries[item->entry].cls));
    case JAVA_CLASS:
    case JAVA_DESC:
        return VALUE_OTHER;
    case JAVA_EXCEPTION:
        break;
    }
    return VALUE_BROKEN;
}
