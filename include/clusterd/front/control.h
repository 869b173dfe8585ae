/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control socket speaks: RESP2, or RESP3 after HELLO 3, all commands of the front door, and
 * CLUSTERD. Words may come in any case. Here is the whole grammar; clusterctl is written against it.
 *
 *   CLUSTERD PING                      +PONG
 *   CLUSTERD VERSION                   bulk: "1.2.3"
 *   CLUSTERD MEMBERS                   rows; the node itself comes first
 *   CLUSTERD STATUS                    map
 *   CLUSTERD CONTEXTS                  rows
 *   CLUSTERD SESSIONS [CONTEXT name] [MATCH glob] [CURSOR n] [COUNT n] [REVEAL]
 *                                      array of 2: bulk (next cursor; "0" = that was all), rows
 *   CLUSTERD SESSION context id [REVEAL]
 *                                      map
 *   CLUSTERD EXPIRE context id         +OK; under use_ack and sync once the members have it
 *   CLUSTERD CONFIG                    bulk: the effective configuration as YAML
 *   CLUSTERD LEAVE                     +OK; the node leaves the cluster in order and its process ends
 *   CLUSTERD HELP                      array of lines
 *
 * map    RESP3: a map. RESP2: an array of 2n elements: name, value, name, value ...
 * rows   an array of maps, all with the same fields in the same order
 *
 * Names of fields are bulk strings. Values: int = RESP integer; bool = RESP3 boolean, in RESP2 integer 1 or
 * 0; text = bulk string; "?" = null when it is not known or there is none. Look fields up by name: others may
 * be added behind these.
 *
 * MEMBERS
 *   name text               "10.0.0.1:4000"
 *   host text, port int
 *   alive int               ms, as the member announces it
 *   state text              self, up, suspect or lagging (suspect when it is both)
 *   suspect bool            silent on multicast, answers TCP
 *   lagging bool            an acknowledgement timed out; nobody waits for it
 *   complete bool?          holds every session, by its own word; null for a Tomcat
 *   id text                 32 hexadecimal digits
 *   domain text
 *   kind text               tomcat or clusterd
 *   clusterd_version int    0 for a Tomcat
 *   queued_bytes int, queued_messages int
 *   clock_offset_ms int?    its wall clock minus ours
 *   heard_ms int?           ms since its last heartbeat
 *
 * STATUS
 *   name text               of this node, "10.0.0.1:4000"
 *   version text
 *   complete bool, why text why it is not complete; empty when it is
 *   loading bool            the front door answers -LOADING
 *   uptime_s int
 *   members int             without this node
 *   view int                serial number of the view
 *   sessions int, contexts int, tombstones int
 *   session_bytes int, max_bytes int (0 = no limit), full bool
 *   refused int             changes refused for want of memory
 *   send_options text, min_acks int
 *   clients int             connections, the control socket's included
 *   blocked_clients int     of these, waiting for acknowledgements
 *   queued_bytes int        to all members
 *   daemon map of texts     what the daemon adds
 *   counters map of ints    by name, as in util/metric.h
 *
 * CONTEXTS
 *   name text, sessions int, complete bool
 *   configured bool         named in the configuration
 *   internal bool           of the front door only: no Tomcat ever hears of it
 *   seen_on_wire bool       a member has spoken of it
 *   key_prefix text?, database int
 *   max_active int          -1 = no limit
 *   max_inactive_s int
 *
 * SESSIONS
 *   context text, id text
 *   kind text               string or hash
 *   attributes int
 *   bytes int               of all names and values
 *   created_ms int?         wall clock
 *   idle_ms int?            since the last access
 *   ttl_ms int?             time left
 *   max_inactive_s int?
 *   principal text?         user name
 *   writer text             who changed it last
 *   written_ms int          when, by the writer's clock
 *   COUNT (100 unless given, at most 1000) is a hint as with SCAN: a page may be shorter, longer or empty,
 * and only the cursor tells the end. MATCH is Redis' glob over the whole id.
 *
 * SESSION: the fields of SESSIONS, then
 *   auth_type text?
 *   entries rows:
 *     name text             empty where there can be only one of the type
 *     type text             attribute, principal, auth_type, note, listener, max_inactive or deadline
 *     class text?           Java class of the value
 *     size int              bytes of the value as it is kept
 *     writer text, written_ms int
 *     value text?           only with REVEAL
 *
 * Secrecy. Without REVEAL ids are cut to their first six characters and "...", and values are null. With it
 * ids are whole, and attributes whose class has a text come with it (collections up to 1 MiB). Of a principal
 * only the user name is ever given, of notes nothing: a Tomcat keeps clear-text passwords in both.
 *
 * Errors
 *   ERR no such context
 *   ERR no such session
 *   ERR syntax error
 *   ERR value is not an integer or out of range
 *   ERR invalid cursor
 *   ERR wrong number of arguments for 'clusterd|VERB' command
 *   ERR unknown subcommand 'WORD'. Try CLUSTERD HELP.
 *   NOREPLICAS Not enough good replicas to write.
 */
#ifndef CLUSTERD_FRONT_CONTROL_H
#define CLUSTERD_FRONT_CONTROL_H

#define CONTROL_COUNT          100 /* rows of a page of SESSIONS, unless COUNT says otherwise */
#define CONTROL_COUNT_MAX      1000
#define CONTROL_VALUE_TEXT_MAX (1u << 20) /* bytes of the text of a collection */

#endif
