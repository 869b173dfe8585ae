/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Iteration over the parts of one object; see parts.h. It trusts the bytes, because the walk has gone over
 * them before with the same rules; what it needs of nested objects is in the walk's table.
 */
#include "parts.h"

/* The class next below `cls` that has data, on the way from the object's own class up; the topmost for
 * WALK_NONE. */
static uint32_t below(const struct parts *p, uint32_t cls)
{
    const struct walk_class *classes = p->w->classes;
    uint32_t c = walk_has_data(&classes[p->own]) ? p->own : classes[p->own].data_up;

    if ((classes[p->own].flags & SC_EXTERNALIZABLE))
        return cls == WALK_NONE ? p->own : WALK_NONE; /* an externalizable class writes alone */
    if (c == cls)
        return WALK_NONE;
    while (classes[c].data_up != cls)
        c = classes[c].data_up;
    return c;
}

static void enter(struct parts *p, uint32_t cls)
{
    p->level = cls;
    p->field = 0;
    p->in_annotation = false;
    if (cls == WALK_NONE)
        return;
    const struct walk_class *c = &p->w->classes[cls];
    if (!(c->flags & SC_SERIALIZABLE))
        p->in_annotation = true;
    else if (walk_has_no_values(p->w, c, p->pos))
        p->field = c->n_fields;
}

void parts_init(struct parts *p, const struct walk *w, uint32_t entry)
{
    *p = (struct parts){
        .w = w, .own = w->entries[entry].cls, .pos = entry_data_at(w, entry), .ctr = entry + 1};
    enter(p, below(p, WALK_NONE));
}

static void next_field(struct parts *p, struct part *out)
{
    uint32_t field = p->w->classes[p->level].first_field + p->field++;
    unsigned width = walk_width(p->w->fields[field].type);

    *out = (struct part){.kind = width ? PART_PRIMITIVE : PART_OBJECT, .cls = p->level, .field = field};
    if (width) {
        out->bytes = span_of(p->w->s.p + p->pos, width);
        p->pos += width;
    } else {
        out->item = entry_item(p->w, &p->pos, &p->ctr);
    }
}

static void next_written(struct parts *p, struct part *out)
{
    const uint8_t *at = p->w->s.p + p->pos;

    *out = (struct part){.kind = PART_CONTENT, .cls = p->level};
    if (*at == TC_BLOCKDATA || *at == TC_BLOCKDATALONG) {
        uint32_t head = *at == TC_BLOCKDATA ? 2 : 5;
        out->kind = PART_BLOCK;
        out->bytes = span_of(at + head, head == 2 ? at[1] : walk_u32(p->w, p->pos + 1));
        p->pos += head + (uint32_t)out->bytes.n;
    } else {
        out->item = entry_item(p->w, &p->pos, &p->ctr);
    }
}

bool parts_next(struct parts *p, struct part *out)
{
    while (p->level != WALK_NONE) {
        const struct walk_class *c = &p->w->classes[p->level];
        if (!p->in_annotation && p->field < c->n_fields) {
            next_field(p, out);
            return true;
        }
        if (!p->in_annotation && (c->flags & SC_WRITE_METHOD))
            p->in_annotation = true;
        if (p->in_annotation && p->w->s.p[p->pos] != TC_ENDBLOCKDATA) {
            next_written(p, out);
            return true;
        }
        p->pos += p->in_annotation; /* the end mark */
        enter(p, below(p, p->level));
    }
    return false;
}

bool parts_is_class(const struct walk *w, uint32_t cls, const char *name)
{
    return span_eq(walk_class_name(w, cls), span_str(name));
}

bool parts_is_field(const struct walk *w, const struct part *part, const char *name, uint8_t type)
{
    if (part->kind != PART_PRIMITIVE && part->kind != PART_OBJECT)
        return false;
    const struct walk_field *f = &w->fields[part->field];
    return f->type == type && span_eq(span_of(w->s.p + f->name_off, f->name_len), span_str(name));
}

bool parts_boxed(const struct walk *w, const struct java_item *item, const char *cls, uint8_t type,
                 uint64_t *v)
{
    struct parts parts;
    struct part part;

    if (item->kind != JAVA_OBJECT || !parts_is_class(w, w->entries[item->entry].cls, cls))
        return false;
    parts_init(&parts, w, item->entry);
    while (parts_next(&parts, &part)) {
        if (!parts_is_field(w, &part, "value", type))
            continue;
        uint64_t bits = 0;
        for (size_t i = 0; i < part.bytes.n; i++)
            bits = bits << 8 | part.bytes.p[i];
        *v = bits;
        return true;
    }
    return false;
}
