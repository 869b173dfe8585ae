/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says to systemd: its log to the journal, its state to the manager. Without libsystemd at
 * build, or when systemd did not start us, nothing happens. Kept apart because systemd's headers define the
 * names of syslog, which are the names of our log levels too.
 */
#ifndef CLUSTERD_DAEMON_JOURNAL_H
#define CLUSTERD_DAEMON_JOURNAL_H

/* A stream to the journal whose lines begin with "<priority>"; -1 when there is none. The caller closes it.
 */
int journal_open(void);
/* Lines "NAME=value" to the service manager: READY=1, STATUS=..., STOPPING=1, EXTEND_TIMEOUT_USEC=... */
void journal_notify(const char *state);
/* Is libsystemd in this build? */
int journal_is_built(void);

#endif
