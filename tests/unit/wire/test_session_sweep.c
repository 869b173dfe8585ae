/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every session vector cut at every length and with every byte changed, through the decoder of its format.
 * What is cut must be refused; what is changed is refused or decodes to something that encodes again. The
 * inputs lie in memory of their exact size, so that a sanitizer sees a read beyond them.
 */
#include "clusterd/util/mem.h"
#include "clusterd/wire/delta.h"
#include "clusterd/wire/rpc.h"
#include "clusterd/wire/session.h"
#include "clusterd/wire/state.h"
#include "clusterd/wire/value.h"

#include "support/suite.h"
#include "vectors.h"

#include <dirent.h>

#define DIR_NAME  TESTS_DIR "/golden/session-vectors"
#define SWEEP_MAX 4096 /* longer vectors (farm messages) are mostly one array */

typedef enum err (*decode_fn)(struct span in);

static enum err decode_message(struct span in)
{
    struct session_msg m;
    struct buf again = {0};
    enum err e = session_msg_decode(in, &m, NULL);

    if (e)
        return e;
    ck_assert_int_eq(session_msg_encode(&m, &again), ERR_OK);
    session_msg_fini(&m);
    buf_fini(&again);
    return ERR_OK;
}

static enum err decode_delta(struct span in)
{
    struct delta d;
    struct buf again = {0};
    enum err e = delta_decode(in, NULL, &d, NULL);

    if (e)
        return e;
    ck_assert_int_eq(delta_encode(&d, &again), ERR_OK);
    delta_fini(&d);
    buf_fini(&again);
    return ERR_OK;
}

static enum err decode_state(struct span in)
{
    struct state_reader r;
    struct state_session s;
    struct buf again = {0};
    enum err e = state_reader_init(&r, in, NULL, NULL);

    if (e)
        return e;
    while ((e = state_reader_next(&r, &s, NULL)) == ERR_OK) {
        buf_clear(&again);
        ck_assert_int_eq(state_encode(&s, 1, &again), ERR_OK);
        state_session_fini(&s);
    }
    state_reader_fini(&r);
    buf_fini(&again);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err decode_id(struct span in)
{
    struct buf id = {0}, again = {0};
    enum err e = session_id_body_decode(in, &id, NULL);

    if (e == ERR_OK)
        ck_assert_int_eq(session_id_body_encode(buf_span(&id), &again), ERR_OK);
    buf_fini(&id);
    buf_fini(&again);
    return e;
}

/* Anything: all items cut, and the text and class of each asked for. */
static enum err decode_stream(struct span in)
{
    struct java *j = java_new(in, NULL);
    struct rpc_msg rpc;
    struct buf text = {0};
    enum java_next next;

    while ((next = java_peek(j)) != JAVA_AT_END) {
        struct java_item item;
        struct blob *value = NULL;
        if (next == JAVA_AT_DATA)
            java_u8(j, "byte");
        else if (java_item(j, &item, "item") && java_cut(j, &item, &value) == ERR_OK) {
            buf_clear(&text);
            ck_assert_int_ne(value_text(blob_span(value), 100000, &text), ERR_BAD);
            ck_assert_int_eq(value_class(blob_span(value), &text), ERR_OK);
            blob_unref(value);
        }
    }
    enum err e = java_err(j);
    java_free(j);
    if (rpc_msg_decode(in, &rpc, NULL) == ERR_OK)
        rpc_msg_fini(&rpc);
    buf_fini(&text);
    return e;
}

static unsigned n_swept;

static void sweep(const char *name, struct span in, decode_fn decode, bool prefixes_fail)
{
    if (in.n == 0 || in.n > SWEEP_MAX)
        return;
    n_swept++;
    ck_assert_msg(decode(in) == ERR_OK || strstr(name, "bad-suid"), "%s", name);
    for (size_t n = 0; n < in.n; n++) {
        uint8_t *exact = mem_alloc(n ? n : 1);
        memcpy(exact, in.p, n);
        enum err e = decode(span_of(exact, n));
        ck_assert_msg(!prefixes_fail || e != ERR_OK, "%s cut at %zu", name, n);
        mem_free(exact);
    }
    uint8_t *changed = mem_alloc(in.n);
    memcpy(changed, in.p, in.n);
    for (size_t i = 0; i < in.n; i++) {
        static const uint8_t flips[] = {0x01, 0xFF};
        for (size_t k = 0; k < sizeof flips; k++) {
            changed[i] ^= flips[k];
            enum err e = decode(span_of(changed, in.n));
            ck_assert_int_ne(e, ERR_NOT_FOUND);
            changed[i] ^= flips[k];
        }
    }
    mem_free(changed);
}

static void sweep_message(const char *name, struct span in)
{
    struct session_msg m;

    sweep(name, in, decode_message, true);
    if (session_msg_decode(in, &m, NULL) != ERR_OK)
        return;
    if (m.event == SESSION_DELTA)
        sweep(name, m.body, decode_delta, true);
    else if (m.event == SESSION_ALL_DATA)
        sweep(name, m.body, decode_state, true);
    else if (m.event == SESSION_CHANGE_ID)
        sweep(name, m.body, decode_id, true);
    session_msg_fini(&m);
}

/* Names repeat with the two versions and with "#2": one of each kind is enough for messages without a body.
 */
static bool is_repetition(const char *file, const char *name)
{
    return strstr(name, "#") || (strstr(file, "9.0.70") && !strstr(file, "session-messages")) ||
           (!strstr(name, "delta/") &&
            (strstr(name, "TRANSFERCOMPLETE") || strstr(name, "GET_ALL_SESSIONS")));
}

START_TEST(every_length_and_every_byte)
{
    DIR *dir = opendir(DIR_NAME);

    ck_assert_ptr_nonnull(dir);
    n_swept = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        char path[1024];
        size_t i;
        json_t *v;
        if (!strstr(d->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", DIR_NAME, d->d_name);
        json_t *doc = json_load_file(path, JSON_ALLOW_NUL, NULL);
        ck_assert_ptr_nonnull(doc);
        json_array_foreach(json_object_get(doc, "vectors"), i, v)
        {
            struct buf bytes = {0};
            struct span root = {NULL, 0};
            const char *name = json_string_value(json_object_get(v, "name"));
            if (is_repetition(d->d_name, name))
                continue;
            vectors_unhex(json_string_value(json_object_get(v, "hex")), &bytes);
            if (java_root_class(buf_span(&bytes), &root) == ERR_OK &&
                span_eq(root, SPAN_LIT(JAVA_CLASS_SESSION_MESSAGE)))
                sweep_message(name, buf_span(&bytes));
            else
                sweep(name, buf_span(&bytes), decode_stream, false);
            buf_fini(&bytes);
        }
        json_decref(doc);
    }
    closedir(dir);
    ck_assert_uint_eq(n_swept, 347);
}
END_TEST

CLUSTERD_SUITE(session_sweep, &every_length_and_every_byte)
