# SPDX-License-Identifier: Apache-2.0
"""How cost grows with the cluster: 1 to 32 nodes on this machine, all of them for themselves; what a write costs for each
member that receives it, and what nothing costs. A thousand members only by simulation, and only their heartbeats."""

import time

from stand import Cpu, Node, Talker, check, eventually, interop
from table import Row, at_most, less

MCAST = 47060
# Some seconds after its start a node does things once; from then on it does the same every five seconds.
SETTLE_S, IDLE_S = 5, 5
SIZES = (32, 16, 8, 4, 2, 1)
HEARTBEATS_PER_S = 2
SIMULATED = (1000, 100, 10)
MEASURED_MS = {1000: 500, 100: 10000}   # of virtual time: a million heartbeats of a thousand members


def name(n):
    return f'{n} node{"s" if n > 1 else ""}'


def start(stand, n):
    nodes = [Node(stand, stand.fresh(f'of{n}'), mcast=MCAST, wait=False) for _ in range(n)]
    for node in nodes:
        node.wait_complete(120)
        node.wait_members(n - 1, 120)
    time.sleep(stand.pick(SETTLE_S, 0))
    return nodes


def idle_ms(stand, nodes):
    with Cpu(*nodes) as cpu:
        time.sleep(stand.pick(IDLE_S, 0.2))
    return cpu.all * 1000 / cpu.took / len(nodes)


def alone_ms(stand):
    nodes = start(stand, 1)
    got = idle_ms(stand, nodes)
    stand.end(*nodes)
    return got


def written(stand, nodes, count):
    """CPU of all nodes while sessions are overwritten at the first, until the others have everything."""
    with Cpu(*nodes) as cpu:
        stand.client(nodes[0], '--op', 'hset', '--bytes', 1024, '--clients', 16, '--pipeline', 16, '--count', count,
                     '--keys', 1000)
        eventually('all have everything', lambda: all(m['queued_bytes'] == 0 for m in nodes[0].members()), 120)
    eventually('all hold as much', lambda: len({node.count() for node in nodes}) == 1, 60)
    return cpu


def scaling(stand, peer):
    n = int(peer.split()[0])
    if n > stand.pick(32, 4):
        return {}
    count = stand.pick(20000, 200)
    alone = stand.get('alone', lambda: alone_ms(stand))
    nodes = start(stand, n)
    idle = idle_ms(stand, nodes)
    cpu = written(stand, nodes, count)
    dropped = sum(interop.as_map(node.status()['counters'])['messages_dropped_full'] for node in nodes)
    stand.end(*nodes)
    check(dropped == 0, f'{dropped} messages were dropped')
    got = {'idle CPU of a node': idle}
    if n > 1:
        deliveries = count * (n - 1)
        got |= {'idle CPU a heartbeat': max(0, idle - alone) * 1000 / (HEARTBEATS_PER_S * (n - 1)),
                'CPU of a write for each receiver': cpu.all * 1e6 / deliveries,
                'at the writing node': cpu.each[0] * 1e6 / deliveries, 'at a receiver': sum(cpu.each[1:]) * 1e6 / deliveries}
    return got


def simulated(stand, peer):
    n = int(peer.split()[0])
    n = min(n, stand.pick(n, 30))
    sim = stand.get(('simulated', peer), lambda: Talker(stand, stand.fresh(f'heartbeats-{n}'), [
        stand.tools / 'heartbeat_sim', '--members', n], 0, wait=False))
    sim.wait_ready(600)
    return {'CPU of a heartbeat': sim.ask(f'run ms={MEASURED_MS.get(n, 100000)}', 600)['cpu_us']}


ROWS = [
    Row('scaling', 'Growing cluster', tuple(name(n) for n in SIZES), scaling,
        (less('CPU of a write for each receiver', 'us', 1.5, name(2)), less('at the writing node', 'us', None, name(2)),
         less('at a receiver', 'us', 1.5, name(2)), at_most('idle CPU of a node', 'ms/s', 2, name(2)),
         at_most('idle CPU a heartbeat', 'us', 25, name(2))), rounds=3,
        note='the first column is the cluster of 32 nodes; idle CPU a heartbeat: what one of its nodes needs more than a node '
        'alone, divided by the heartbeats that it hears'),
    Row('heartbeats', 'Heartbeats of 1,000 members, simulated', tuple(f'{n} members' for n in SIMULATED), simulated,
        (at_most('CPU of a heartbeat', 'us', 25, '10 members'),), rounds=3,
        note='virtual time and network, whose own cost is included'),
]
