# SPDX-License-Identifier: Apache-2.0
"""From kill -9 to memberDisappeared at the two others: clusterd by the times of its log lines, Tribes by asking its
members every few milliseconds."""

import time

from rows.idle import MCAST, Idle
from stand import Node, check, eventually, log_time
from table import Row, at_most

GONE = 'Received member disappeared:['
LIMIT_S = 15


def seen_at(node, since, port):
    for line in node.log.text(since).splitlines():
        if GONE in line and f',{port}, alive=' in line:
            return log_time(line)
    return None


def detect_ours(stand, cluster):
    victim = cluster.members.pop(0)
    others = list(cluster.members)
    marks = [(o, o.log.mark()) for o in others]
    killed_at = time.time()
    victim.kill()
    seen = [eventually(f'{o.name} notices', lambda o=o, mark=mark: seen_at(o, mark, victim.port), LIMIT_S)
            for o, mark in marks]
    stand.end(victim)
    cluster.members.append(Node(stand, stand.fresh('idle'), mcast=MCAST['clusterd']))
    for m in cluster.members:
        m.wait_members(2)
    return [at - killed_at for at in seen]


def detect_tribes(stand, cluster):
    victim = cluster.members.pop(0)
    others = list(cluster.members)
    began = time.monotonic()
    victim.kill()
    took, end = {}, began + LIMIT_S
    while len(took) < len(others) and time.monotonic() < end:
        for o in others:
            if o not in took and victim.port not in o.ask('members')['members']:
                took[o] = time.monotonic() - began
        time.sleep(0.005)
    check(len(took) == len(others), 'Tribes does not notice')
    stand.end(victim)
    cluster.members.append(stand.tribes(stand.fresh('idle-tribes'), MCAST['tribes']))
    for m in cluster.members:
        m.wait_members([o.port for o in cluster.members if o is not m])
    return list(took.values())


def detect(stand, peer):
    if stand.smoke and peer == 'tribes':
        return {}
    cluster = stand.get(('idle', peer), lambda: Idle(stand, peer))
    took = (detect_tribes if peer == 'tribes' else detect_ours)(stand, cluster)
    time.sleep(stand.pick(1.5, 0))
    return {'noticed': max(took) * 1000}


ROWS = [
    Row('detect', 'kill -9 to memberDisappeared', ('clusterd', 'tribes'), detect, (at_most('noticed', 'ms', 50, 'tribes'),),
        note='the later one of the two that remain; idle members'),
]
