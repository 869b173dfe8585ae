/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack machine that goes over Java objects, to index them or to copy them; see walk.h for what for, and
 * java.io.ObjectInputStream for what it mirrors. Every function that reads advances w->pos within the stream
 * or sets w->err. `content` handles what takes no frame at once; what nests pushes frames, and the loop in
 * `run` works on the top one until the stack is empty. Nothing here calls itself along the nesting of the
 * input.
 */
#include "copy.h"
#include "entry.h"

#include "clusterd/util/mem.h"
#include "clusterd/wire/mutf.h"

enum frame_kind {
    FRAME_AWAIT, /* the type code of an object was read, its class descriptor is under way */
    FRAME_DESC,  /* a class descriptor: annotation, then super */
    FRAME_LEVEL, /* one class level of an object: values, then annotation */
    FRAME_ARRAY, /* an array of references */
    FRAME_RETURN /* in a copy: an expanded reference ends here */
};

enum frame_state { STATE_VALUES, STATE_ANNOTATION, STATE_SUPER };

/* No Java resets a stream inside of an object; tolerated, but not without end. */
#define MAX_EPOCHS 1024

enum expect { EXPECT_ANY, EXPECT_DESC, EXPECT_STRING };

enum err walk_fail(struct walk *w, enum err e, const char *field)
{
    if (w->err == ERR_OK) {
        w->err = e;
        w->field = field;
    }
    return w->err;
}

/* Room for one more element of a table. */
static void *grow(void *table, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return table;
    *cap = *cap ? 2 * *cap : 16;
    return mem_realloc(table, *cap * size);
}

void walk_init(struct walk *w, struct span stream, const struct java_limits *limits)
{
    *w = (struct walk){.s = stream, .limits = limits ? limits : &java_limits_default, .desc = WALK_NONE};

    if (stream.n > w->limits->max_bytes || stream.n > UINT32_MAX)
        walk_fail(w, ERR_TOO_BIG, "java stream");
    else if (stream.n < JAVA_HEADER_LEN)
        walk_fail(w, ERR_SHORT, "java header");
    else if (!span_starts_with(stream, JAVA_HEADER))
        walk_fail(w, ERR_BAD, "java header");
    else
        w->pos = JAVA_HEADER_LEN;
}

void walk_fini(struct walk *w)
{
    mem_free(w->entries);
    mem_free(w->classes);
    mem_free(w->fields);
    mem_free(w->epochs);
    mem_free(w->stack);
    mem_free(w->touched);
}

void walk_clear(struct walk *w)
{
    w->n_entries = w->n_classes = w->n_fields = w->n_epochs = 0;
    w->ctr = 0;
    w->desc = WALK_NONE;
}

/* --- reading --- */

static bool need(struct walk *w, uint64_t n, const char *field)
{
    if (w->err)
        return false;
    if (w->s.n - w->pos < n) {
        walk_fail(w, ERR_SHORT, field);
        return false;
    }
    return true;
}

static uint64_t take_int(struct walk *w, unsigned n, const char *field)
{
    uint64_t v = 0;

    if (!need(w, n, field))
        return 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | w->s.p[w->pos++];
    return v;
}

static uint8_t peek_code(struct walk *w, const char *field)
{
    return need(w, 1, field) ? w->s.p[w->pos] : 0;
}

/* A copy must hold only text that every Java reads: a receiver would lose all that travels with it. */
static void check_text(struct walk *w, uint32_t off, uint32_t n, const char *field)
{
    if (w->out && !mutf_valid(span_of(w->s.p + off, n)))
        walk_fail(w, ERR_BAD, field);
}

/* A u2 length and text; gives its place. */
static uint16_t take_utf(struct walk *w, uint32_t *off, const char *field)
{
    uint16_t n = (uint16_t)take_int(w, 2, field);

    if (!need(w, n, field))
        return 0;
    *off = w->pos;
    w->pos += n;
    check_text(w, *off, n, field);
    return n;
}

/* --- entries --- */

/* Give the definition at `off` its handle. */
static uint32_t define(struct walk *w, uint32_t off, uint32_t cls)
{
    if (w->out) {
        w->touched = grow(w->touched, w->n_touched, &w->cap_touched, sizeof *w->touched);
        w->touched[w->n_touched++] = w->ctr;
        w->entries[w->ctr].mapped = ++w->next_handle;
        return w->ctr++;
    }
    if (w->n_entries >= w->limits->max_handles) {
        walk_fail(w, ERR_TOO_BIG, "java handles");
        return 0;
    }
    w->entries = grow(w->entries, w->n_entries, &w->cap_entries, sizeof *w->entries);
    w->entries[w->n_entries++] = (struct walk_entry){.off = off, .cls = cls};
    return w->ctr++;
}

static void close_entry(struct walk *w, uint32_t e)
{
    if (w->out || w->err)
        return;
    w->entries[e].end = w->pos;
    w->entries[e].next = w->n_entries;
}

/* In a copy: the definition at pos is there already, by an earlier expansion; refer to that. */
static bool refer_instead(struct walk *w, uint32_t e)
{
    if (!w->out || !w->entries[e].mapped)
        return false;
    copy_flush(w, w->entries[e].end);
    copy_reference(w, w->entries[e].mapped);
    w->ctr = w->entries[e].next;
    w->desc = w->entries[e].cls;
    return true;
}

/* --- the parts of an object --- */

static struct walk_frame *push(struct walk *w, struct walk_frame f)
{
    if (w->depth >= w->limits->max_depth) {
        walk_fail(w, ERR_TOO_BIG, "java nesting");
        return NULL;
    }
    w->stack = grow(w->stack, w->depth, &w->cap_stack, sizeof *w->stack);
    w->stack[w->depth] = f;
    return &w->stack[w->depth++];
}

static void string(struct walk *w)
{
    uint32_t off = w->pos;

    if (refer_instead(w, w->ctr))
        return;
    bool is_long = w->s.p[w->pos++] == TC_LONGSTRING;
    uint64_t n = take_int(w, is_long ? 8 : 2, "java string");
    if (!need(w, n, "java string"))
        return;
    check_text(w, w->pos, (uint32_t)n, "java string");
    w->pos += (uint32_t)n;
    uint32_t e = define(w, off, WALK_NONE);
    close_entry(w, e);
}

static void content(struct walk *w);
static void desc_begin(struct walk *w);

/* In a copy, a reference to what is not there yet: go to its definition, and come back to here. */
static void expand(struct walk *w, uint32_t e)
{
    uint32_t back_pos = w->pos + 5, back_ctr = w->ctr;

    copy_flush(w, w->entries[e].off);
    w->ctr = entry_first(w, e);
    if (entry_is_string(w->s.p[w->pos])) {
        string(w);
        copy_flush(w, back_pos);
        w->ctr = back_ctr;
    } else if (push(w, (struct walk_frame){.kind = FRAME_RETURN, .cls = back_pos, .entry = back_ctr})) {
        if (entry_is_desc(w->s.p[w->pos]))
            desc_begin(w);
        else
            content(w); /* a definition is no reference, so this goes no deeper */
    }
}

static void reference(struct walk *w, enum expect expect)
{
    if (!need(w, 5, "java reference"))
        return;
    uint32_t e = entry_referent(w, w->pos);
    if (e == WALK_NONE) {
        walk_fail(w, ERR_BAD, "java reference");
        return;
    }
    uint8_t tc = w->s.p[w->entries[e].off];
    if ((expect == EXPECT_STRING && !entry_is_string(tc)) ||
        (expect == EXPECT_DESC && (!entry_is_desc(tc) || w->classes[w->entries[e].cls].is_open))) {
        walk_fail(w, ERR_BAD, "java reference kind");
        return;
    }
    if (w->out && !w->entries[e].mapped) {
        expand(w, e);
        return;
    }
    copy_flush(w, w->pos + 5);
    if (w->out)
        copy_reference(w, w->entries[e].mapped);
    else
        w->pos += 5;
    w->desc = w->entries[e].cls;
}

/* A string that belongs to something else: a field's signature, an enum constant's name. */
static void string_expected(struct walk *w, const char *field)
{
    uint8_t tc = peek_code(w, field);

    if (w->err)
        return;
    if (tc == TC_REFERENCE)
        reference(w, EXPECT_STRING);
    else if (entry_is_string(tc))
        string(w);
    else
        walk_fail(w, ERR_BAD, field);
}

static void desc_expected(struct walk *w)
{
    uint8_t tc = peek_code(w, "java class");

    if (w->err)
        return;
    if (tc == TC_NULL) {
        w->pos++;
        w->desc = WALK_NONE;
    } else if (tc == TC_REFERENCE) {
        reference(w, EXPECT_DESC);
    } else if (entry_is_desc(tc)) {
        desc_begin(w);
    } else {
        walk_fail(w, ERR_BAD, "java class");
    }
}

unsigned walk_width(uint8_t type)
{
    switch (type) {
    case 'B':
    case 'Z':
        return 1;
    case 'C':
    case 'S':
        return 2;
    case 'F':
    case 'I':
        return 4;
    case 'D':
    case 'J':
        return 8;
    default:
        return 0;
    }
}

/* The fields of a class; each signature is a string of its own. */
static void desc_fields(struct walk *w, uint32_t cls)
{
    uint16_t n = (uint16_t)take_int(w, 2, "java field count");

    if (!w->out) {
        w->classes[cls].first_field = w->n_fields;
        w->classes[cls].n_fields = n;
    }
    for (uint16_t i = 0; i < n && !w->err; i++) {
        uint8_t type = (uint8_t)take_int(w, 1, "java field type");
        uint32_t off = 0;
        uint16_t len = take_utf(w, &off, "java field name");
        if (w->err)
            return;
        if (!w->out) {
            if (w->n_fields == w->limits->max_handles) {
                walk_fail(w, ERR_TOO_BIG, "java fields");
                return;
            }
            w->fields = grow(w->fields, w->n_fields, &w->cap_fields, sizeof *w->fields);
            w->fields[w->n_fields++] = (struct walk_field){off, len, type};
        }
        if (type == 'L' || type == '[')
            string_expected(w, "java field signature");
        else if (walk_width(type) == 0)
            walk_fail(w, ERR_BAD, "java field type");
    }
}

static uint32_t new_class(struct walk *w, bool is_proxy)
{
    if (w->n_classes >= w->limits->max_handles / 4)
        walk_fail(w, ERR_TOO_BIG, "java classes");
    if (w->err)
        return 0;
    w->classes = grow(w->classes, w->n_classes, &w->cap_classes, sizeof *w->classes);
    w->classes[w->n_classes] = (struct walk_class){.entry = w->n_entries,
                                                   .super = WALK_NONE,
                                                   .data_up = WALK_NONE,
                                                   .flags = is_proxy ? SC_SERIALIZABLE : 0,
                                                   .is_proxy = is_proxy,
                                                   .is_open = true};
    return w->n_classes++;
}

static void desc_named(struct walk *w, uint32_t off, uint32_t cls)
{
    uint32_t name_off = 0;
    uint16_t name_len = take_utf(w, &name_off, "java class name");

    if (!need(w, 8, "java serialVersionUID"))
        return;
    w->pos += 8;
    define(w, off, cls);
    uint8_t flags = (uint8_t)take_int(w, 1, "java class flags");
    if ((flags & SC_SERIALIZABLE) && (flags & SC_EXTERNALIZABLE))
        walk_fail(w, ERR_BAD, "java class flags");
    if (!w->out) {
        w->classes[cls].name_off = name_off;
        w->classes[cls].name_len = name_len;
        w->classes[cls].flags = flags;
    }
    desc_fields(w, cls);
}

static void desc_proxy(struct walk *w, uint32_t off, uint32_t cls)
{
    define(w, off, cls);
    uint32_t n = (uint32_t)take_int(w, 4, "java proxy interfaces");
    if (n > UINT16_MAX)
        walk_fail(w, ERR_BAD, "java proxy interfaces");
    for (uint32_t i = 0; i < n && !w->err; i++) {
        uint32_t name_off;
        take_utf(w, &name_off, "java proxy interface");
    }
}

/* A class descriptor stands at pos: go over it up to its annotation, for which a frame is pushed. */
static void desc_begin(struct walk *w)
{
    if (refer_instead(w, w->ctr))
        return;
    uint32_t off = w->pos;
    bool is_proxy = w->s.p[w->pos++] == TC_PROXYCLASSDESC;
    uint32_t cls = w->out ? w->entries[w->ctr].cls : new_class(w, is_proxy);

    if (w->err)
        return;
    if (is_proxy)
        desc_proxy(w, off, cls);
    else
        desc_named(w, off, cls);
    if (!w->err)
        push(w, (struct walk_frame){.kind = FRAME_DESC, .state = STATE_ANNOTATION, .cls = cls});
}

static void reset(struct walk *w)
{
    if (!w->out) {
        if (w->n_epochs == MAX_EPOCHS) {
            walk_fail(w, ERR_TOO_BIG, "java resets");
            return;
        }
        w->epochs = grow(w->epochs, w->n_epochs, &w->cap_epochs, sizeof *w->epochs);
        w->epochs[w->n_epochs++] = (struct walk_epoch){w->pos, w->n_entries};
        w->pos++;
    }
    copy_flush(w, w->pos + 1); /* a copy has no use for it: its handles run on */
}

/* The writer gave up on everything down to the top level; what follows is why, as an object of its own. */
static void abort_item(struct walk *w)
{
    w->depth = 0;
    w->has_aborted = true;
    walk_clear(w);
    w->pos++;
}

static void object_begin(struct walk *w, uint8_t tc)
{
    if (!need(w, 2, "java class"))
        return;
    if (w->out && refer_instead(w, entry_at(w, w->pos, w->ctr)))
        return;
    if (!push(w, (struct walk_frame){.kind = FRAME_AWAIT, .cls = w->pos, .left = tc}))
        return;
    w->pos++;
    desc_expected(w);
}

/* An object is expected at pos. Leaves are done on return, for others frames have been pushed. */
static void content(struct walk *w)
{
    for (;;) {
        uint8_t tc = peek_code(w, "java object");

        if (w->err)
            return;
        switch (tc) {
        case TC_NULL:
            w->pos++;
            return;
        case TC_REFERENCE:
            reference(w, EXPECT_ANY);
            return;
        case TC_STRING:
        case TC_LONGSTRING:
            string(w);
            return;
        case TC_CLASSDESC:
        case TC_PROXYCLASSDESC:
            desc_begin(w);
            return;
        case TC_OBJECT:
        case TC_ARRAY:
        case TC_CLASS:
        case TC_ENUM:
            object_begin(w, tc);
            return;
        case TC_RESET:
            reset(w);
            break;
        case TC_EXCEPTION:
            abort_item(w);
            break;
        default:
            walk_fail(w, ERR_BAD, "java type code");
            return;
        }
    }
}

/* One object, by the frame on top. False when that frame is no longer the top one, so the caller must stop.
 */
static bool content_leaf(struct walk *w)
{
    uint32_t depth = w->depth;

    content(w);
    return !w->err && !w->has_aborted && w->depth == depth;
}

/* Block data and objects up to TC_ENDBLOCKDATA. True when that has been reached. */
static bool annotation(struct walk *w)
{
    for (;;) {
        uint8_t tc = peek_code(w, "java annotation");

        if (w->err)
            return false;
        if (tc == TC_ENDBLOCKDATA) {
            w->pos++;
            return true;
        }
        if (tc == TC_BLOCKDATA || tc == TC_BLOCKDATALONG) {
            w->pos++;
            uint32_t n = (uint32_t)take_int(w, tc == TC_BLOCKDATA ? 1 : 4, "java block data");
            if (n > INT32_MAX)
                walk_fail(w, ERR_BAD, "java block data");
            if (!need(w, n, "java block data"))
                return false;
            w->pos += n;
        } else if (!content_leaf(w)) {
            return false;
        }
    }
}

/* --- the frames --- */

bool walk_has_data(const struct walk_class *c)
{
    return (c->flags & SC_SERIALIZABLE) ? c->n_fields > 0 || (c->flags & SC_WRITE_METHOD)
                                        : (c->flags & SC_EXTERNALIZABLE) != 0;
}

static void step_desc(struct walk *w)
{
    struct walk_frame *f = &w->stack[w->depth - 1];

    if (f->state == STATE_ANNOTATION) {
        if (!annotation(w))
            return;
        w->stack[w->depth - 1].state = STATE_SUPER;
        desc_expected(w);
        return;
    }
    struct walk_class *c = &w->classes[f->cls];
    uint32_t super = w->desc;
    if (!w->out) {
        if (super != WALK_NONE) {
            c->super = super;
            c->chain = w->classes[super].chain + 1;
            c->data_up = walk_has_data(&w->classes[super]) ? super : w->classes[super].data_up;
            if (c->chain > w->limits->max_supers)
                walk_fail(w, ERR_TOO_BIG, "java superclasses");
        }
        c->is_open = false;
        close_entry(w, c->entry);
    }
    w->desc = f->cls;
    w->depth--;
}

/* The class descriptor is through: now the object itself gets its handle, and its data follow. */
static void begin_levels(struct walk *w, uint32_t cls, uint32_t entry)
{
    const struct walk_class *own = &w->classes[cls];
    bool is_external = own->flags & SC_EXTERNALIZABLE;

    if (is_external && !(own->flags & SC_BLOCK_DATA)) {
        walk_fail(w, ERR_UNSUPPORTED, "java externalizable without block data");
        return;
    }
    if (is_external) {
        push(w,
             (struct walk_frame){.kind = FRAME_LEVEL, .state = STATE_ANNOTATION, .cls = cls, .entry = entry});
        return;
    }
    /* Superclasses come first in the stream, so they lie on top; the lowest frame ends the object. */
    uint32_t ends = entry;
    for (uint32_t c = walk_has_data(own) ? cls : own->data_up; c != WALK_NONE && !w->err;
         c = w->classes[c].data_up) {
        uint8_t state = w->classes[c].flags & SC_SERIALIZABLE ? STATE_VALUES : STATE_ANNOTATION;
        push(w, (struct walk_frame){.kind = FRAME_LEVEL, .state = state, .cls = c, .entry = ends});
        ends = WALK_NONE;
    }
    if (ends != WALK_NONE)
        close_entry(w, entry);
}

static void begin_array(struct walk *w, uint32_t cls, uint32_t entry)
{
    struct span name = walk_class_name(w, cls);
    uint8_t type = name.n >= 2 && name.p[0] == '[' ? name.p[1] : 0;
    unsigned width = walk_width(type);
    uint32_t n = (uint32_t)take_int(w, 4, "java array length");

    if (n > INT32_MAX || (width == 0 && type != 'L' && type != '[')) {
        walk_fail(w, ERR_BAD, "java array");
        return;
    }
    if (!need(w, (uint64_t)n * (width ? width : 1), "java array"))
        return;
    if (width) {
        w->pos += n * width;
        close_entry(w, entry);
    } else {
        push(w, (struct walk_frame){.kind = FRAME_ARRAY, .entry = entry, .left = n});
    }
}

static void step_await(struct walk *w)
{
    struct walk_frame f = w->stack[--w->depth];
    uint32_t cls = w->desc;

    if (cls == WALK_NONE) {
        walk_fail(w, ERR_BAD, "java class");
        return;
    }
    uint32_t entry = define(w, f.cls, cls);
    if (w->err)
        return;
    switch (f.left) {
    case TC_OBJECT:
        begin_levels(w, cls, entry);
        break;
    case TC_ARRAY:
        begin_array(w, cls, entry);
        break;
    case TC_ENUM:
        string_expected(w, "java enum constant");
        close_entry(w, entry);
        break;
    default: /* TC_CLASS */
        close_entry(w, entry);
        break;
    }
}

bool walk_has_no_values(const struct walk *w, const struct walk_class *c, uint32_t pos)
{
    uint8_t tc = pos < w->s.n ? w->s.p[pos] : 0;

    return (c->flags & SC_WRITE_METHOD) && c->n_fields > 0 &&
           walk_width(w->fields[c->first_field].type) == 0 &&
           (tc == TC_BLOCKDATA || tc == TC_BLOCKDATALONG || tc == TC_ENDBLOCKDATA);
}

static void step_level(struct walk *w)
{
    uint32_t at = w->depth - 1;
    const struct walk_class *c = &w->classes[w->stack[at].cls];

    if (w->stack[at].state == STATE_VALUES) {
        uint16_t i = w->stack[at].field, n = c->n_fields;
        uint32_t first = c->first_field;
        if (i == 0 && walk_has_no_values(w, c, w->pos))
            i = n;
        while (i < n) {
            unsigned width = walk_width(w->fields[first + i].type);
            if (!need(w, width, "java field value"))
                return;
            w->pos += width;
            w->stack[at].field = ++i;
            if (width == 0 && !content_leaf(w))
                return;
        }
        c = &w->classes[w->stack[at].cls];
        w->stack[at].field = n;
        w->stack[at].state = STATE_ANNOTATION;
        if (!(c->flags & SC_WRITE_METHOD))
            goto done;
    }
    if (!annotation(w))
        return;
done:
    if (w->stack[at].entry != WALK_NONE)
        close_entry(w, w->stack[at].entry);
    w->depth--;
}

static void step_array(struct walk *w)
{
    uint32_t at = w->depth - 1;

    while (w->stack[at].left > 0) {
        w->stack[at].left--;
        if (!content_leaf(w))
            return;
    }
    close_entry(w, w->stack[at].entry);
    w->depth--;
}

static void step_return(struct walk *w)
{
    struct walk_frame f = w->stack[--w->depth];

    copy_flush(w, f.cls);
    w->ctr = f.entry;
}

static void run(struct walk *w)
{
    while (w->depth > 0 && !w->err) {
        switch (w->stack[w->depth - 1].kind) {
        case FRAME_AWAIT:
            step_await(w);
            break;
        case FRAME_DESC:
            step_desc(w);
            break;
        case FRAME_LEVEL:
            step_level(w);
            break;
        case FRAME_ARRAY:
            step_array(w);
            break;
        default:
            step_return(w);
            break;
        }
    }
}

/* --- the two passes --- */

bool walk_object(struct walk *w, struct java_item *item, const char *field)
{
    while (!w->err && w->pos < w->s.n && w->s.p[w->pos] == TC_RESET) {
        walk_clear(w);
        w->pos++;
    }
    uint32_t pos = w->pos, ctr = w->ctr;

    if (w->err)
        return false;
    w->has_aborted = false;
    w->depth = 0;
    content(w);
    run(w);
    if (w->err) {
        w->field = field ? field : w->field;
        return false;
    }
    if (w->has_aborted) {
        walk_clear(w);
        *item = (struct java_item){JAVA_EXCEPTION, pos, w->pos, WALK_NONE};
    } else {
        *item = entry_item(w, &pos, &ctr);
    }
    return true;
}

enum err walk_copy(struct walk *w, uint32_t e, size_t max_size, uint32_t *next_handle, struct buf *out)
{
    uint32_t pos = w->pos, ctr = w->ctr;
    size_t before = out->n;

    TRY(w->err);
    w->out = out;
    w->out_max = before + max_size;
    w->next_handle = *next_handle;
    w->pos = w->from = w->entries[e].off;
    w->ctr = entry_first(w, e);
    w->has_aborted = false;
    w->depth = 0;
    content(w);
    run(w);
    copy_flush(w, pos);

    enum err verdict = w->err;
    while (w->n_touched > 0)
        w->entries[w->touched[--w->n_touched]].mapped = 0;
    w->out = NULL;
    w->pos = pos;
    w->ctr = ctr;
    w->err = ERR_OK;
    w->field = NULL;
    if (verdict)
        out->n = before;
    else
        *next_handle = w->next_handle;
    return verdict;
}
