/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files without libFuzzer: each argument is a file or a folder of files. So seeds and
 * former findings are tests of every build. Each file is also given cut in half, which makes truncated input
 * of whole messages. No input at all is a failure: then the seeds were lost.
 */
#include "clusterd/util/mem.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)16 << 20)

/* A copy of exactly this size, so that a sanitizer sees any read behind it. */
static void run(const uint8_t *data, size_t n)
{
    uint8_t *copy = mem_alloc(n ? n : 1);

    if (n)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    mem_free(copy);
}

static unsigned run_file(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f) {
        perror(path);
        return 0;
    }
    uint8_t *data = mem_alloc(INPUT_MAX);
    size_t n = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    run(data, n);
    run(data, n / 2);
    mem_free(data);
    return 1;
}

static unsigned run_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    unsigned n = 0;

    if (!dir) {
        perror(path);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *file = mem_printf("%s/%s", path, entry->d_name);
        n += run_file(file);
        mem_free(file);
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    struct stat st;

    for (int i = 1; i < argc; i++)
        n += stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
