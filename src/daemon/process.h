/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon asks of the operating system for itself at start: no core dumps (session ids and values are
 * in memory), as many files as it may have, and something behind each standard stream.
 */
#ifndef CLUSTERD_DAEMON_PROCESS_H
#define CLUSTERD_DAEMON_PROCESS_H

void process_open_streams(void); /* closed ones become /dev/null, or sockets would take their numbers */
void process_harden(void);
long process_cores(void);

#endif
