# SPDX-License-Identifier: Apache-2.0
"""What a node costs that has nothing to do: one of three, front door open, no session."""

import time

from stand import Cpu, Node, anonymous, rss
from table import Row, at_most

MCAST = {'clusterd': 47040, 'tribes': 47041}


class Idle:
    """Three members that have found each other."""

    def __init__(self, stand, peer):
        if peer == 'tribes':
            self.members = [stand.tribes(stand.fresh('idle-tribes'), MCAST[peer], wait=False) for _ in range(3)]
            for m in self.members:
                m.wait_members([o.port for o in self.members if o is not m])
        else:
            self.members = [Node(stand, stand.fresh('idle'), mcast=MCAST[peer], wait=False) for _ in range(3)]
            for m in self.members:
                m.wait_complete()
                m.wait_members(2)
        time.sleep(stand.pick(6, 0))


def idle(stand, peer):
    if stand.smoke and peer == 'tribes':
        return {}
    members = stand.get(('idle', peer), lambda: Idle(stand, peer)).members
    with Cpu(*members) as cpu:
        time.sleep(stand.pick(10, 0.2))
    return {'resident': max(rss(m.pid) for m in members) / 1e6, 'anonymous': max(anonymous(m.pid) for m in members) / 1e6,
            'CPU': max(cpu.each) * 1000 / cpu.took}


ROWS = [
    Row('idle', 'Idle node, one of three', ('clusterd', 'tribes'), idle,
        (at_most('resident', 'MB', 8, 'tribes'), at_most('anonymous', 'MB', 3, 'tribes'), at_most('CPU', 'ms/s', 0.8, 'tribes')),
        rounds=3, note='the largest of the three members; Tribes: a JVM with a channel and nothing else'),
]
