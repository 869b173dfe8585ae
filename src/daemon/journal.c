/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of libsystemd; see journal.h. The journal is written as a stream and not by sd_journal_send(),
 * because a stream can be asked whether it would block; the journal adds unit, process and user to each line
 * by itself.
 */
#include "journal.h"

#ifdef CLUSTERD_SYSTEMD

#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

int journal_open(void)
{
    int fd = sd_journal_stream_fd("clusterd", LOG_INFO, 1);

    return fd < 0 ? -1 : fd;
}

void journal_notify(const char *state)
{
    sd_notify(0, state);
}

int journal_is_built(void)
{
    return 1;
}

#else

int journal_open(void)
{
    return -1;
}

void journal_notify(const char *state)
{
    (void)state;
}

int journal_is_built(void)
{
    return 0;
}

#endif
