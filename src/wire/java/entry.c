/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle table of a walk: what a reference means, which entry stands where, where its parts begin. All of
 * it trusts bytes that the walk has gone over; see entry.h.
 */
#include "entry.h"

bool entry_is_desc(uint8_t tc)
{
    return tc == TC_CLASSDESC || tc == TC_PROXYCLASSDESC;
}

bool entry_is_string(uint8_t tc)
{
    return tc == TC_STRING || tc == TC_LONGSTRING;
}

static uint32_t epoch_base(const struct walk *w, uint32_t off)
{
    uint32_t low = 0, high = w->n_epochs;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (w->epochs[mid].off < off)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? w->epochs[low - 1].base : 0;
}

uint32_t entry_referent(const struct walk *w, uint32_t off)
{
    uint32_t h = walk_u32(w, off + 1), base = epoch_base(w, off);

    return h < WALK_BASE_HANDLE || h - WALK_BASE_HANDLE >= w->n_entries - base
               ? WALK_NONE
               : base + (h - WALK_BASE_HANDLE);
}

uint32_t entry_at(const struct walk *w, uint32_t off, uint32_t ctr)
{
    uint8_t tc = w->s.p[off];

    return entry_is_desc(tc) || entry_is_string(tc) || !entry_is_desc(w->s.p[off + 1]) ? ctr
                                                                                       : w->entries[ctr].next;
}

uint32_t entry_first(const struct walk *w, uint32_t e)
{
    uint32_t off = w->entries[e].off;
    uint8_t tc = w->s.p[off];

    return entry_is_desc(tc) || entry_is_string(tc) || !entry_is_desc(w->s.p[off + 1])
               ? e
               : w->classes[w->entries[e].cls].entry;
}

static enum java_kind kind_of(uint8_t tc)
{
    switch (tc) {
    case TC_STRING:
    case TC_LONGSTRING:
        return JAVA_STRING;
    case TC_ARRAY:
        return JAVA_ARRAY;
    case TC_ENUM:
        return JAVA_ENUM;
    case TC_CLASS:
        return JAVA_CLASS;
    case TC_CLASSDESC:
    case TC_PROXYCLASSDESC:
        return JAVA_DESC;
    default:
        return JAVA_OBJECT;
    }
}

struct java_item entry_item(const struct walk *w, uint32_t *pos, uint32_t *ctr)
{
    while (w->s.p[*pos] == TC_RESET)
        ++*pos;
    uint8_t tc = w->s.p[*pos];
    struct java_item item = {.kind = JAVA_NULL, .off = *pos, .entry = WALK_NONE};

    if (tc == TC_NULL) {
        *pos += 1;
    } else if (tc == TC_REFERENCE) {
        item.entry = entry_referent(w, *pos);
        *pos += 5;
    } else {
        item.entry = entry_at(w, *pos, *ctr);
        *pos = w->entries[item.entry].end;
        *ctr = w->entries[item.entry].next;
    }
    if (item.entry != WALK_NONE)
        item.kind = kind_of(w->s.p[w->entries[item.entry].off]);
    item.end = *pos;
    return item;
}

struct span entry_text(const struct walk *w, uint32_t e)
{
    uint32_t off = w->entries[e].off;
    uint32_t head = w->s.p[off] == TC_LONGSTRING ? 9 : 3;

    return span_of(w->s.p + off + head, w->entries[e].end - off - head);
}

uint32_t entry_data_at(const struct walk *w, uint32_t e)
{
    const struct walk_entry *entry = &w->entries[e];

    return w->s.p[entry->off + 1] == TC_REFERENCE ? entry->off + 6
                                                  : w->entries[w->classes[entry->cls].entry].end;
}
