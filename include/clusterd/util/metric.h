/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of one node: a row each in METRIC_LIST (name, help). Adding one is adding a row. Written relaxed
 * from any thread; read by `clusterctl status`, INFO and tests.
 */
#ifndef CLUSTERD_UTIL_METRIC_H
#define CLUSTERD_UTIL_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#define METRIC_LIST(X)                                                                     \
    X(heartbeats_sent, "multicast heartbeats sent")                                        \
    X(heartbeats_received, "heartbeats of other members heard")                            \
    X(datagrams_bad, "datagrams on the membership port that are no member record")         \
    X(datagrams_foreign_domain, "heartbeats of members of another domain")                 \
    X(members_added, "members added to the view")                                          \
    X(members_disappeared, "members removed from the view")                                \
    X(probes_sent, "TCP probes made by the failure detector")                              \
    X(connections_accepted, "peer connections accepted")                                   \
    X(connections_refused, "peer connections refused by allowFrom or a limit")             \
    X(frames_received, "frames received")                                                  \
    X(frames_bad, "malformed frames: the connection was closed")                           \
    X(acks_sent, "ACKs sent")                                                              \
    X(fail_acks_sent, "FAIL_ACKs sent")                                                    \
    X(messages_received, "channel messages received")                                      \
    X(messages_unknown_source, "channel messages whose source was not in the view")        \
    X(messages_undecodable, "channel messages whose content could not be decoded")         \
    X(messages_swallowed, "messages of interceptors and maps that this node does not run") \
    X(rpc_unserved, "RPC requests answered with NoRpcChannelReply")                        \
    X(messages_sent, "channel messages sent (one per member)")                             \
    X(messages_resent, "channel messages sent again after an error")                       \
    X(messages_failed, "channel messages given up for a member")                           \
    X(messages_dropped_full, "channel messages dropped because a member's queue was full") \
    X(ack_timeouts, "acknowledgements that did not come in time")                          \
    X(bytes_received, "bytes received from members")                                       \
    X(bytes_sent, "bytes sent to members")                                                 \
    X(values_left_out, "attribute values that could not be taken out of a message")        \
    X(sessions_created, "sessions created")                                                \
    X(sessions_expired, "sessions ended by time")                                          \
    X(sessions_rejected, "sessions refused because a limit was reached")                   \
    X(deltas_parked, "deltas kept back because a tombstone stands")                        \
    X(changes_stale, "changes ignored because a later one is held")                        \
    X(contexts_refused, "contexts refused because maxContexts was reached")                \
    X(transfers_sent, "state transfers answered")                                          \
    X(transfers_received, "state transfers received")                                      \
    X(repairs_received, "sessions taken over from another clusterd node's comparison")     \
    X(clients_accepted, "front-door connections accepted")                                 \
    X(clients_refused, "front-door connections refused")                                   \
    X(commands, "front-door commands carried out")                                         \
    X(commands_unknown, "unknown front-door commands")                                     \
    X(commands_refused, "front-door writes refused for want of memory or by a limit")      \
    X(key_hits, "front-door reads of keys that were there")                                \
    X(key_misses, "front-door reads of keys that were not there")                          \
    X(auth_failures, "wrong passwords at the front door")                                  \
    X(clients_bad, "front-door connections closed for a protocol error or a flood")        \
    X(clients_idle, "front-door connections closed because they were idle")                \
    X(replicas_short, "writes acknowledged by fewer members than minAcks")

struct metrics {
#define METRIC_FIELD(name, help) atomic_ullong name;
    METRIC_LIST(METRIC_FIELD)
#undef METRIC_FIELD
};

#define metric_add(m, name, n) atomic_fetch_add_explicit(&(m)->name, (n), memory_order_relaxed)
#define metric_inc(m, name)    metric_add(m, name, 1)
#define metric_get(m, name)    atomic_load_explicit(&(m)->name, memory_order_relaxed)

#endif
