/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says to systemd: its log to the journal, its state to the manager. Both protocols are
 * datagrams to a unix socket; systemd documents them for programs that speak them without its library
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL, sd_notify(3)). When systemd did not start us, nothing happens.
 */
#ifndef CLUSTERD_DAEMON_JOURNAL_H
#define CLUSTERD_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* A socket for journal_send(), which the caller closes; -1 when nobody listens at the path. */
int journal_open(const char *path);
/* One entry of the journal, lines "FIELD=value". Never waits: false when it could not be sent at once. */
bool journal_send(int fd, const char *path, const char *entry, size_t n);
/* Lines "NAME=value" to the service manager: READY=1, STATUS=..., STOPPING=1, EXTEND_TIMEOUT_USEC=... When it
 * does not read, they are waited with, as sd_notify() does, or they are lost. */
void journal_notify(const char *state, bool may_wait);

#endif
