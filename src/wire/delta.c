/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeltaRequest bodies; see delta.h for the layout. A value that cannot be cut costs its own action only.
 */
#include "clusterd/wire/delta.h"

#include "clusterd/util/mem.h"
#include "clusterd/wire/jwrite.h"

#define ACTION_SIZE_MIN 11 /* type, action, empty name, flag */

const char *delta_type_name(enum delta_type type)
{
    static const char *const names[DELTA_TYPE_COUNT] = {
        [DELTA_PRINCIPAL] = DELTA_NAME_PRINCIPAL,       [DELTA_IS_NEW] = DELTA_NAME_IS_NEW,
        [DELTA_MAX_INTERVAL] = DELTA_NAME_MAX_INTERVAL, [DELTA_AUTH_TYPE] = DELTA_NAME_AUTH_TYPE,
        [DELTA_LISTENER] = DELTA_NAME_LISTENER,
    };

    return (unsigned)type < DELTA_TYPE_COUNT ? names[type] : NULL;
}

/* The value of the action that was read up to it. False: the action has none that could be kept. */
static bool read_value(struct java *j, struct delta_action *a)
{
    struct java_item item;

    if (!java_item(j, &item, "delta value"))
        return false;
    return item.kind == JAVA_NULL || java_cut(j, &item, &a->value) == ERR_OK;
}

static void read_action(struct java *j, struct delta *d, uint32_t index)
{
    struct delta_action a = {.index = index};
    int32_t type = java_i32(j, "delta action type");

    a.op = java_i32(j, "delta action") == 0 ? DELTA_SET : DELTA_REMOVE;
    a.name = java_utf(j, "delta name");
    bool has_value = java_u8(j, "delta has value") != 0;
    bool is_kept = !has_value || read_value(j, &a);

    if (java_err(j)) {
        blob_unref(a.value);
    } else if (!is_kept) {
        d->n_dropped++;
    } else if (type < 0 || type >= DELTA_TYPE_COUNT) {
        blob_unref(a.value);
        d->n_unknown++;
    } else {
        a.type = (enum delta_type)type;
        d->actions[d->n++] = a;
    }
}

enum err delta_decode(struct span in, const struct java_limits *limits, struct delta *out, const char **field)
{
    struct java *j = java_new(in, limits);
    struct delta d = {.reader = j};

    d.session_id = java_utf(j, "delta session id");
    d.record_all = java_u8(j, "delta recordAllActions") != 0;
    int32_t n = java_i32(j, "delta action count");
    if (n < 0)
        java_fail(j, ERR_BAD, "delta action count");
    else if ((size_t)n > (in.n - java_pos(j)) / ACTION_SIZE_MIN)
        java_fail(j, ERR_SHORT, "delta action count");
    if (!java_err(j))
        d.actions = mem_array((size_t)n, sizeof *d.actions);
    for (uint32_t i = 0; !java_err(j) && i < (uint32_t)n; i++)
        read_action(j, &d, i);

    enum err e = java_end(j, "delta tail");
    if (e) {
        if (field)
            *field = java_field(j);
        delta_fini(&d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

void delta_fini(struct delta *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        blob_unref(d->actions[i].value);
    mem_free(d->actions);
    java_free(d->reader);
    *d = (struct delta){0};
}

static fallible write_action(struct jwrite *w, const struct delta_action *a)
{
    jwrite_i32(w, (int32_t)a->type);
    jwrite_i32(w, (int32_t)a->op);
    TRY(jwrite_utf(w, a->name));
    jwrite_u8(w, a->value != NULL);
    return a->value ? jwrite_value(w, blob_span(a->value)) : ERR_OK;
}

enum err delta_encode(const struct delta *d, struct buf *out)
{
    size_t before = out->n;
    struct jwrite w;

    jwrite_init(&w, out);
    enum err e = jwrite_utf(&w, d->session_id);
    jwrite_u8(&w, d->record_all);
    jwrite_i32(&w, (int32_t)d->n);
    for (uint32_t i = 0; e == ERR_OK && i < d->n; i++)
        e = write_action(&w, &d->actions[i]);
    jwrite_end(&w);
    if (e)
        out->n = before;
    return e;
}
