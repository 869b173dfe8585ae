/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine under java.h: it goes over the objects of a stream one after the other and keeps a table of
 * what every handle means (where it stands, where it ends, its class). With that table an object can be gone
 * over again and copied: `walk_copy` emits it with new handles, and where it refers to something outside of
 * the copy it goes to that place, copies it in there, and comes back. Both passes are the same code, so that
 * they cannot disagree about a stream. The stack is on the heap; its height is limited.
 *
 * Handles are kept as entries, numbered over the whole stream: TC_RESET begins a new epoch, in which handle
 * 0x7E0000 is the first entry after it. Offsets are 32 bits: streams are shorter than 4 GiB.
 */
#ifndef WIRE_JAVA_WALK_H
#define WIRE_JAVA_WALK_H

#include "clusterd/wire/java.h"

enum walk_tc {
    TC_NULL = 0x70,
    TC_REFERENCE,
    TC_CLASSDESC,
    TC_OBJECT,
    TC_STRING,
    TC_ARRAY,
    TC_CLASS,
    TC_BLOCKDATA,
    TC_ENDBLOCKDATA,
    TC_RESET,
    TC_BLOCKDATALONG,
    TC_EXCEPTION,
    TC_LONGSTRING,
    TC_PROXYCLASSDESC,
    TC_ENUM
};

enum walk_flag {
    SC_WRITE_METHOD = 1,
    SC_SERIALIZABLE = 2,
    SC_EXTERNALIZABLE = 4,
    SC_BLOCK_DATA = 8,
    SC_ENUM = 16
};

#define WALK_NONE        UINT32_MAX
#define WALK_BASE_HANDLE 0x7E0000u

struct walk_entry {
    uint32_t off, end; /* of the whole definition; end is 0 while it is open */
    uint32_t next;     /* the first entry after it */
    uint32_t cls;      /* of an object, array, enum, Class: its class; of a descriptor: what it describes */
    uint32_t mapped;   /* during a copy: its new handle, from 1; 0 = not copied yet */
};

struct walk_field {
    uint32_t name_off;
    uint16_t name_len;
    uint8_t type; /* B C D F I J S Z L [ */
};

struct walk_class {
    uint32_t entry;
    uint32_t name_off; /* a proxy class has no name: name_len 0 */
    uint16_t name_len;
    uint16_t n_fields;
    uint32_t first_field;
    uint32_t super;   /* WALK_NONE: none */
    uint32_t data_up; /* the nearest superclass that has data in the stream; WALK_NONE: none */
    uint32_t chain;   /* number of superclasses */
    uint8_t flags;
    bool is_proxy, is_open;
};

struct walk_epoch {
    uint32_t off, base; /* handles at offsets above `off` count from entry `base` */
};

struct walk_frame {
    uint8_t kind, state;
    uint16_t field;
    uint32_t cls; /* or, while a class descriptor is awaited, the offset of the object; or the place to return
                     to */
    uint32_t entry; /* what ends with this frame, or WALK_NONE; or the entry counter to return to */
    uint32_t left;  /* array elements to come; or the type code that awaits its class */
};

struct walk {
    struct span s;
    const struct java_limits *limits;
    struct walk_entry *entries;
    struct walk_class *classes;
    struct walk_field *fields;
    struct walk_epoch *epochs;
    struct walk_frame *stack;
    uint32_t n_entries, n_classes, n_fields, n_epochs, depth;
    uint32_t cap_entries, cap_classes, cap_fields, cap_epochs, cap_stack;

    uint32_t pos;     /* next byte */
    uint32_t ctr;     /* next entry: the end of the table, except in a copy */
    uint32_t desc;    /* class of the descriptor gone over last */
    bool has_aborted; /* TC_EXCEPTION came */
    enum err err;
    const char *field;

    struct buf *out; /* the copy; NULL = not copying */
    size_t out_max;  /* length that `out` may reach */
    uint32_t from;   /* bytes from here to pos are still to be copied */
    uint32_t next_handle;
    uint32_t *touched; /* entries whose `mapped` is set */
    uint32_t n_touched, cap_touched;
};

/* Borrows both; a wrong header is the first error. */
void walk_init(struct walk *w, struct span stream, const struct java_limits *limits);
void walk_fini(struct walk *w);
enum err walk_fail(struct walk *w, enum err e, const char *field);

/* Forget all handles: TC_RESET at the top level. */
void walk_clear(struct walk *w);
/* Go over the object at pos. False when an error stands. */
bool walk_object(struct walk *w, struct java_item *item, const char *field);
/*
 * Append entry `e` to `out`, handles counted from *next_handle, which is moved on. ERR_TOO_BIG (more than
 * max_size bytes, nested too deep) and ERR_BAD (text that no Java would read) leave `out` and the walk as
 * they were.
 */
fallible walk_copy(struct walk *w, uint32_t e, size_t max_size, uint32_t *next_handle, struct buf *out);

static inline struct span walk_class_name(const struct walk *w, uint32_t cls)
{
    return span_of(w->s.p + w->classes[cls].name_off, w->classes[cls].name_len);
}
/* True when the class contributes bytes to its objects. */
bool walk_has_data(const struct walk_class *c);
/*
 * True when an object's data at `pos` cannot begin with the fields that its class lists: a class that writes
 * for itself may leave them out, and where the first one is a reference, block data show that it did.
 */
bool walk_has_no_values(const struct walk *w, const struct walk_class *c, uint32_t pos);
/* Bytes of a primitive of this type; 0 for references. */
unsigned walk_width(uint8_t type);
static inline uint32_t walk_u32(const struct walk *w, uint32_t at)
{
    return be_u32(w->s.p + at);
}

#endif
