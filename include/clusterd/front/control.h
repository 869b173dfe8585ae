/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control socket speaks: RESP2, or RESP3 after HELLO 3, all commands of the front door, and
 * CLUSTERD. Words may come in any case. Here is the whole grammar; clusterctl is written against it.
 *
 *   CLUSTERD PING                      +PONG
 *   CLUSTERD VERSION                   bulk "1.2.3"
 *   CLUSTERD MEMBERS                   rows; the node itself comes first
 *   CLUSTERD STATUS                    map
 *   CLUSTERD CONTEXTS                  rows
 *   CLUSTERD SESSIONS [CONTEXT name] [MATCH glob] [CURSOR n] [COUNT n] [REVEAL]
 *                                      array of 2: bulk (next cursor, "0" = that was all), rows
 *   CLUSTERD SESSION context id [REVEAL]   map
 *   CLUSTERD EXPIRE context id         +OK; under use_ack and sync when the members have it
 *   CLUSTERD CONFIG                    bulk: the effective configuration as YAML text
 *   CLUSTERD LEAVE                     +OK, then the node leaves the cluster in order and its process ends
 *   CLUSTERD HELP                      array of lines
 *
 * map   RESP3 a map, RESP2 an array of 2n elements: name, value, name, value ...
 * rows  an array of maps, all with the same fields in the same order
 * Field names are bulk strings. Values: int = RESP integer; bool = RESP3 boolean, in RESP2 integer 1 or 0;
 * text = bulk string; null = not known, or there is none. Further fields may be added behind those below;
 * look fields up by name.
 *
 * MEMBERS   name text "10.0.0.1:4000" | host text | port int | alive int, ms, as the member announces it
 *           | state text: self, up, suspect (silent on multicast, answers TCP), lagging (an acknowledgement
 * timed out; a member that is both is suspect) | suspect bool | lagging bool | complete bool, null for a
 * Tomcat | id text, 32 hex digits | domain text | kind text: tomcat, clusterd | clusterd_version int, 0 for a
 * Tomcat | queued_bytes int | queued_messages int | clock_offset_ms int or null: its wall clock minus ours |
 * heard_ms int or null: ms since its last heartbeat STATUS    name text: own "host:port" | version text |
 * complete bool | why text: why not complete, else "" | loading bool | uptime_s int | members int, without
 * ourselves | view int: serial of the view | sessions int | contexts int | tombstones int | session_bytes int
 * | max_bytes int, 0 = no limit | full bool | refused int: changes refused for want of memory | send_options
 * text | min_acks int | clients int | blocked_clients int: waiting for acknowledgements | queued_bytes int,
 * to all members | daemon map of texts: what the daemon adds | counters map: counter name -> int CONTEXTS
 * name text | sessions int | complete bool | configured bool | internal bool: front door only, never sent to
 * a Tomcat | seen_on_wire bool | key_prefix text or null | database int | max_active int, -1 = no limit |
 * max_inactive_s int SESSIONS  context text | id text | kind text: string, hash | attributes int | bytes int,
 * of names and values | created_ms int or null, wall clock | idle_ms int or null, since the last access |
 * ttl_ms int or null, -1 and below do not occur | max_inactive_s int or null | principal text or null |
 * writer text: who changed it last | written_ms int, wall clock COUNT (default 100, at most 1000) is a hint,
 * as with SCAN: a page may be shorter, longer or empty; only the cursor tells the end. MATCH is Redis' glob
 * over the whole id. SESSION   the fields of SESSIONS | auth_type text or null | renamed_from text or null:
 * it was found under this old id | entries rows: name text, empty where there is only one of the kind | type
 * text: attribute, principal, auth_type, note, listener, max_inactive, deadline | class text or null: Java
 * class of the value | size int: bytes of the value as it is kept | writer text | written_ms int | value text
 * or null
 *
 * Secrecy: without REVEAL ids are cut to their first six characters and "...", and value is null. With REVEAL
 * ids are whole and value is the text of attributes whose class has one (at most 1 MiB of a collection). Of a
 * principal only the user name is ever given, of notes nothing: a Tomcat keeps clear-text passwords in both.
 *
 * Errors: -ERR no such context | -ERR no such session | -ERR syntax error | -ERR value is not an integer or
 * out of range | -ERR invalid cursor | -ERR wrong number of arguments for 'clusterd|<verb>' command | -ERR
 * unknown subcommand '<word>'. Try CLUSTERD HELP. | -NOREPLICAS ... as for any write
 */
#ifndef CLUSTERD_FRONT_CONTROL_H
#define CLUSTERD_FRONT_CONTROL_H

#define CONTROL_SESSIONS_COUNT     100 /* rows of a page, unless COUNT says otherwise */
#define CONTROL_SESSIONS_COUNT_MAX 1000
#define CONTROL_VALUE_TEXT_MAX     (1u << 20) /* bytes of the text of a collection */

#endif
