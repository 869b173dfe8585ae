/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test file registers its Check suite with one line, CLUSTERD_SUITE(name, tests...), so that adding a test
 * is adding a file: check_main.c runs what was registered.
 */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

void suite_register(const char *name, const TTest *const *tests, size_t n);

/* Timeouts are in seconds; generous, because tests also run under sanitizers on busy machines. */
#define SUITE_TIMEOUT 120

#define CLUSTERD_SUITE(name, ...)                                  \
    __attribute__((constructor)) static void name##_register(void) \
    {                                                              \
        static const TTest *const *tests[] = {__VA_ARGS__};        \
        static const TTest *flat[sizeof tests / sizeof *tests];    \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)  \
            flat[i] = *tests[i];                                   \
        suite_register(#name, flat, sizeof flat / sizeof *flat);   \
    }

#endif
