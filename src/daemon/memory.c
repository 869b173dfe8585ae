/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory limit of the process, from /proc and /sys/fs/cgroup; see memory.h. A control group is bound by
 * the limits of all groups above it too, so the path is walked up to its root. In a container the path of
 * version 1 may lie outside of what is mounted; then the root of the mount is the container's own group.
 */
#include "memory.h"

#include "clusterd/util/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4352 /* a path and what stands around it */

static void take_min(uint64_t *least, uint64_t v)
{
    if (v > 0 && v < *least)
        *least = v;
}

static uint64_t machine_bytes(const char *root)
{
    char *path = mem_printf("%s/proc/meminfo", root), line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    unsigned long long kib = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    mem_free(path);
    return kib * 1024;
}

/* A file that holds one number, or "max". */
static void take_limit(const char *root, const char *folder, const char *group, const char *name,
                       uint64_t *least)
{
    char *path = mem_printf("%s%s%s/%s", root, folder, group, name), line[64];
    FILE *f = fopen(path, "re");

    if (f && fgets(line, sizeof line, f) && line[0] >= '0' && line[0] <= '9')
        take_min(least, strtoull(line, NULL, 10));
    if (f)
        fclose(f);
    mem_free(path);
}

/* The group and all above it; `group` is "/a/b/c" and is used up. */
static void take_limits(const char *root, const char *folder, char *group, const char *name, uint64_t *least)
{
    for (;;) {
        char *slash = strrchr(group, '/');
        take_limit(root, folder, group, name, least);
        if (!slash)
            return;
        *slash = 0;
    }
}

/* A line of /proc/self/cgroup: "0::/path" is version 2, "N:...memory...:/path" version 1. */
static void take_line(const char *root, char *line, uint64_t *least)
{
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!group)
        return;
    *group++ = 0;
    controllers++;
    group[strcspn(group, "\n")] = 0;
    if (*controllers == 0)
        take_limits(root, "/sys/fs/cgroup", group, "memory.max", least);
    else if (strcmp(controllers, "memory") == 0)
        take_limits(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", least);
}

uint64_t memory_limit_bytes(const char *root, const char **what)
{
    char *path = mem_printf("%s/proc/self/cgroup", root), line[LINE_MAX_BYTES];
    uint64_t machine = machine_bytes(root), least = machine ? machine : UINT64_MAX;
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        take_line(root, line, &least);
    if (f)
        fclose(f);
    mem_free(path);
    *what = least < machine || !machine ? "control group" : "machine";
    return least == UINT64_MAX ? 0 : least;
}
