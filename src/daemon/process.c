/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and streams of the process; see process.h. Nothing here can fail in a way that should keep the
 * daemon from starting, so nothing is reported.
 */
#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void process_open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return;
}

void process_harden(void)
{
    struct rlimit no_core = {0, 0}, files;
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &no_core);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigaction(SIGPIPE, &ignore, NULL);
}

long process_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n;
}
