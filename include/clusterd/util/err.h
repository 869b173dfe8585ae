/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error codes and the words around them. A function that can fail is declared `fallible`: its result must be
 * looked at. Three kinds of failure are never mixed: bad input and a failing world are error codes; a mistake
 * of ours is an ASSERT. Bytes from outside can never trigger an ASSERT.
 */
#ifndef CLUSTERD_UTIL_ERR_H
#define CLUSTERD_UTIL_ERR_H

enum err {
    ERR_OK = 0,
    ERR_SHORT,       /* input ends before the value does: more bytes may complete it */
    ERR_BAD,         /* input breaks the format */
    ERR_TOO_BIG,     /* input is well formed but over a limit of ours */
    ERR_UNSUPPORTED, /* known and deliberately not done */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_FULL,   /* a bounded queue or table has no room */
    ERR_CLOSED, /* the other side ended it */
    ERR_TIMEOUT,
    ERR_REFUSED, /* the peer said no: FAIL_ACK, connection refused */
    ERR_DENIED,  /* our own rules say no: allowFrom, requirepass */
    ERR_IO,
    ERR_CONFIG,
    ERR_CANCELLED,
    ERR_COUNT
};

#define fallible __attribute__((warn_unused_result)) enum err

/* Return early where there is nothing to undo. */
#define TRY(expr)                   \
    do {                            \
        enum err try_err_ = (expr); \
        if (try_err_ != ERR_OK)     \
            return try_err_;        \
    } while (0)

/* A short English text, never NULL, also for values out of range. */
const char *err_text(enum err e);

_Noreturn void err_assert_failed(const char *expr, const char *file, int line);

#define ASSERT(expr) ((expr) ? (void)0 : err_assert_failed(#expr, __FILE__, __LINE__))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
