/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory limit of a process, in made-up trees of /proc and /sys: machine only, both versions of control
 * groups, limits of groups further up, containers, nonsense.
 */
#include "../../../src/daemon/memory.h"

#include "clusterd/util/mem.h"
#include "support/suite.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void begin(void)
{
    strcpy(root, "/tmp/clusterd-memory.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void put(const char *path, const char *text)
{
    char *full = mem_printf("%s%s", root, path);

    for (char *c = full + strlen(root) + 1; (c = strchr(c, '/')); c++) {
        *c = 0;
        mkdir(full, 0755);
        *c = '/';
    }
    FILE *f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    mem_free(full);
}

static void expect(uint64_t bytes, const char *what)
{
    const char *said = NULL;

    ck_assert_uint_eq(memory_limit_bytes(root, &said), bytes);
    if (what)
        ck_assert_str_eq(said, what);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define MACHINE "MemTotal:       1000 kB\nMemFree: 1 kB\n"

START_TEST(machine_only)
{
    begin();
    put("/proc/meminfo", "Junk\n" MACHINE);
    expect(1000 * 1024, "machine");
}
END_TEST

START_TEST(nothing_is_known)
{
    begin();
    expect(0, NULL);
}
END_TEST

START_TEST(version_2_takes_the_least_of_all_above)
{
    begin();
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "0::/system.slice/clusterd.service\n");
    put("/sys/fs/cgroup/system.slice/clusterd.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "600000\n");
    expect(600000, "control group");

    begin();
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "0::/system.slice/clusterd.service\n");
    put("/sys/fs/cgroup/system.slice/clusterd.service/memory.max", "500000\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "600000\n");
    expect(500000, "control group");

    begin(); /* in a container with a namespace of its own */
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "400000\n");
    expect(400000, "control group");

    begin(); /* more than there is */
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "0::/a\n");
    put("/sys/fs/cgroup/a/memory.max", "99999999999\n");
    expect(1000 * 1024, "machine");
}
END_TEST

START_TEST(version_1)
{
    begin();
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n1:name=systemd:/y\n0::/\n");
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "300000\n");
    expect(300000, "control group");

    begin(); /* the group's own folder is not mounted in the container: the root of the mount is that group */
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "5:memory:/docker/abc\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
    expect(200000, "control group");

    begin(); /* version 1's way to say "no limit" */
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "5:memory:/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect(1000 * 1024, "machine");
}
END_TEST

START_TEST(nonsense_is_passed_over)
{
    begin();
    put("/proc/meminfo", MACHINE);
    put("/proc/self/cgroup", "\n:\nx\n0::\n0::/a/../b\n5:memory\n");
    put("/sys/fs/cgroup/memory.max", "-1\n");
    expect(1000 * 1024, "machine");
}
END_TEST

CLUSTERD_SUITE(memory, &machine_only, &nothing_is_known, &version_2_takes_the_least_of_all_above, &version_1,
               &nonsense_is_passed_over)
