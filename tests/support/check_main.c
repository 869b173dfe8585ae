/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main() of every unit-test program: runs the suites that its files registered (suite.h).
 * Arguments: names of suites to run; none = all. Exit status 0 only when every test passed.
 */
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *name;
    const TTest *const *tests;
    size_t n;
} suites[256];
static size_t n_suites;

void suite_register(const char *name, const TTest *const *tests, size_t n)
{
    if (n_suites == sizeof suites / sizeof *suites)
        abort();
    suites[n_suites].name = name;
    suites[n_suites].tests = tests;
    suites[n_suites++].n = n;
}

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc < 2;
}

int main(int argc, char **argv)
{
    SRunner *runner = srunner_create(NULL);

    for (size_t i = 0; i < n_suites; i++) {
        if (!wanted(suites[i].name, argc, argv))
            continue;
        Suite *s = suite_create(suites[i].name);
        TCase *tc = tcase_create(suites[i].name);
        tcase_set_timeout(tc, SUITE_TIMEOUT);
        for (size_t t = 0; t < suites[i].n; t++)
            tcase_add_test(tc, suites[i].tests[t]);
        suite_add_tcase(s, tc);
        srunner_add_suite(runner, s);
    }
    srunner_run_all(runner, CK_NORMAL);
    int ran = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (ran == 0)
        fprintf(stderr, "no test ran\n");
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
