/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Redis protocol, server side: an incremental request parser with Redis' own error texts, and writers for
 * RESP2 and RESP3 replies. Used by the front door and the control socket; each connection has one parser on
 * its worker. No I/O here.
 *
 * The input of resp_parse() is the unread input of the connection from the first byte of the current request;
 * it may move and grow between calls. The parser keeps offsets, so what was parsed is not looked at again: a
 * bulk of 100 MB costs the same however many reads it takes.
 */
#ifndef CLUSTERD_WIRE_RESP_H
#define CLUSTERD_WIRE_RESP_H

#include "clusterd/util/bytes.h"

struct resp_limits {
    size_t max_args;    /* words of a request (Redis: 1024 * 1024) */
    size_t max_bulk;    /* bytes of a word (Redis: 512 MiB) */
    size_t max_inline;  /* bytes of an inline command or of a length line (Redis: 64 KiB) */
    size_t max_request; /* bytes of a whole request */
};
#define RESP_LIMITS_DEFAULT                        \
    ((struct resp_limits){.max_args = 1024 * 1024, \
                          .max_bulk = 512u << 20,  \
                          .max_inline = 64 * 1024, \
                          .max_request = 1024u << 20})

struct resp_word {
    size_t at, n;
};

struct resp_parser {
    struct resp_limits limits;
    bool unauthenticated; /* set by the caller: at most 10 words of at most 16 KiB, as Redis */

    /* The result of the last call. */
    size_t used; /* ERR_OK: bytes of the request, to be consumed */
    size_t
        need; /* ERR_SHORT: bytes of input without which there is no progress, at least one more than given */
    char error[64]; /* ERR_BAD, ERR_TOO_BIG: "Protocol error: ...", to be sent as "-ERR " error, then close */

    /* Private. */
    struct resp_word *words; /* offsets into the input, or into `text` for an inline command */
    size_t n_words, cap_words;
    size_t pos;         /* where parsing goes on */
    size_t searched;    /* no line end before this offset */
    int64_t words_left; /* of a multibulk request; -1 = its head is not parsed yet */
    int64_t bulk_len;   /* of the word being read; -1 = its head is not parsed yet */
    bool is_inline;
    struct buf text; /* the words of an inline command, unquoted */
};

void resp_init(struct resp_parser *p, const struct resp_limits *limits);
void resp_fini(struct resp_parser *p);

/*
 * ERR_OK: a request of p->used bytes is there; an empty line or "*0" is one without words, to be passed over
 * in silence. ERR_SHORT: read on (p->need). ERR_BAD, ERR_TOO_BIG: p->error; the connection is of no more use.
 */
fallible resp_parse(struct resp_parser *p, struct span in);
/* Number of words of the request found. */
static inline size_t resp_count(const struct resp_parser *p)
{
    return p->n_words;
}
/* Word i of the request found in `in` (the same bytes as at the resp_parse() that found it). */
struct span resp_word(const struct resp_parser *p, struct span in, size_t i);
/*
 * For looking ahead in a pipeline: the second word of the first request in `in`, the key of nearly all
 * commands that have one (empty: there is no second word), and how long that request is. False: it is not of
 * the usual form, not yet complete, or has very many words. Judges nothing: the same bytes go through
 * resp_parse() later.
 */
bool resp_peek(struct span in, struct span *key, size_t *used);
/* Bytes that the parser holds beside the input: many short words take more there than they have. */
static inline size_t resp_memory(const struct resp_parser *p)
{
    return p->cap_words * sizeof *p->words + p->text.cap;
}
/* Forget the request; the next input begins behind its `used` bytes. Gives memory of large requests back. */
void resp_next(struct resp_parser *p);

/* Replies. `proto` is 2 or 3: what HELLO has chosen. Text of simple strings and errors: line ends become
 * blanks. */
void resp_simple(struct buf *b, const char *text);
void resp_error(struct buf *b, const char *text); /* with its code word: "ERR no such key", "WRONGTYPE ..." */
void resp_errorf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void resp_int(struct buf *b, int64_t v);
void resp_bulk(struct buf *b, struct span s);
void resp_bulk_head(struct buf *b, size_t n); /* the caller sends n bytes by reference, then "\r\n" */
void resp_null(struct buf *b, int proto);
void resp_null_array(struct buf *b, int proto); /* aborted EXEC */
void resp_array(struct buf *b, size_t n);       /* n values follow */
void resp_map(struct buf *b, int proto, size_t n_pairs);
void resp_set(struct buf *b, int proto, size_t n);
void resp_push(struct buf *b, int proto, size_t n);
void resp_verbatim(struct buf *b, int proto, const char type[3], struct span s); /* RESP2: a bulk string */
void resp_bool(struct buf *b, int proto, bool v);                                /* RESP2: 1 or 0 */
void resp_double(struct buf *b, int proto, double v);                            /* RESP2: a bulk string */

#endif
