/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions behind the rows of command.c, by the file that holds them. Each gets a request that has
 * passed the checks of its row, and appends exactly one reply to c->out, or calls conn_wait().
 */
#ifndef FRONT_RESP_HANDLERS_H
#define FRONT_RESP_HANDLERS_H

#include "conn.h"

#define HANDLER(name) void name(struct conn *c, const struct words *w)

HANDLER(connection_auth);
HANDLER(connection_echo);
HANDLER(connection_hello);
HANDLER(connection_ping);
HANDLER(connection_quit);
HANDLER(connection_reset);
HANDLER(connection_select);

HANDLER(client_getname);
HANDLER(client_getredir);
HANDLER(client_help);
HANDLER(client_id);
HANDLER(client_info);
HANDLER(client_kill);
HANDLER(client_list);
HANDLER(client_on_off); /* NO-EVICT, NO-TOUCH */
HANDLER(client_maint_notifications);
HANDLER(client_reply);
HANDLER(client_setinfo);
HANDLER(client_setname);

HANDLER(strings_get);
HANDLER(strings_getdel);
HANDLER(strings_getex);
HANDLER(strings_mget);
HANDLER(strings_psetex);
HANDLER(strings_set);
HANDLER(strings_setex);
HANDLER(strings_setnx);
HANDLER(strings_strlen);

HANDLER(keys_del); /* UNLINK too */
HANDLER(keys_exists);
HANDLER(keys_expire);
HANDLER(keys_expireat);
HANDLER(keys_expiretime);
HANDLER(keys_persist);
HANDLER(keys_rename);
HANDLER(keys_renamenx);
HANDLER(keys_pexpire);
HANDLER(keys_pexpireat);
HANDLER(keys_pexpiretime);
HANDLER(keys_pttl);
HANDLER(keys_ttl);
HANDLER(keys_type);

HANDLER(scan_scan);
HANDLER(scan_dbsize);

HANDLER(hashes_hdel);
HANDLER(hashes_hexists);
HANDLER(hashes_hget);
HANDLER(hashes_hgetall);
HANDLER(hashes_hkeys);
HANDLER(hashes_hlen);
HANDLER(hashes_hmget);
HANDLER(hashes_hmset);
HANDLER(hashes_hset);
HANDLER(hashes_hsetnx);
HANDLER(hashes_hstrlen);
HANDLER(hashes_hvals);

HANDLER(info_info);
HANDLER(docs_command);
HANDLER(docs_count);
HANDLER(docs_docs);
HANDLER(docs_help);
HANDLER(docs_info);
HANDLER(docs_list);

HANDLER(operator_config);
HANDLER(operator_contexts);
HANDLER(operator_expire);
HANDLER(operator_help);
HANDLER(operator_leave);
HANDLER(operator_members);
HANDLER(operator_ping);
HANDLER(operator_status);
HANDLER(operator_version);
HANDLER(inspect_session);
HANDLER(inspect_sessions);

#endif
