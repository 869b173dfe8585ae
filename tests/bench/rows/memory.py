# SPDX-License-Identifier: Apache-2.0
"""Resident memory of a replicated session, on the member that it was replicated to (and on the one that it was written
to); then again after every session was overwritten ten times with values of changing length (a million of them in clusterd
only: that takes a minute, and nothing is judged beside Redis). Redis: a hash with one field under the same key. Fresh
processes for each turn. What a session needs is judged among a million: among fewer, what a process needs once counts."""

import functools

from rows.front import Pair
from rows.sessions import Tomcats
from stand import rss
from table import Figure, Row, at_most, less


def fill(stand, p, count, size, bytes_text, rounds=1):
    for _ in range(rounds):
        stand.client(p.server, '--op', 'hset', '--bytes', bytes_text or size, '--clients', 8, '--pipeline', 16,
                     '--count', count, '--keys', count)
    p.settle()


def memory(stand, peer, count, size, overwrite):
    count = min(count, stand.pick(count, 500))
    if peer == 'tomcat':
        return {} if stand.smoke else tomcat_memory(stand, count)
    p = Pair(stand, peer)
    try:
        empty = [rss(p.server.pid), rss(p.replica.pid)]
        fill(stand, p, count, size, None)
        full = [rss(p.server.pid), rss(p.replica.pid)]
        got = {'replica': (full[1] - empty[1]) / count, 'origin': (full[0] - empty[0]) / count}
        if peer in overwrite:
            fill(stand, p, count, size, '512:1536', stand.pick(10, 1))
            got['overwritten'] = (rss(p.replica.pid) - empty[1]) / count
            got['growth'] = got['overwritten'] / max(1, got['replica'])
        return got
    finally:
        p.end(stand)


def tomcat_memory(stand, count):
    """Its manager and the JVM: what a collection leaves of the heap, and what the process has resident."""
    tomcats = stand.get('tomcats', lambda: Tomcats(stand, 6))
    before = tomcats.passive.ask('mem'), rss(tomcats.passive.pid)
    tomcats.fill(count)
    after = tomcats.passive.ask('mem'), rss(tomcats.passive.pid)
    return {'replica': (after[1] - before[1]) / count, 'heap': (after[0]['heapUsed'] - before[0]['heapUsed']) / count}


def row(count, size, limit, gib, peers=('clusterd', 'redis'), overwrite=(), rounds=0):
    text = f'{size // 1024} KiB' if size >= 1024 else f'{size} B'
    figures = [at_most('replica', 'bytes RSS', limit, 'redis'), at_most('origin', 'bytes RSS', limit, 'redis')]
    if overwrite:
        figures += [less('overwritten', 'bytes RSS', None, 'redis'), at_most('growth', 'times', 1.3, 'redis')]
    if 'tomcat' in peers:
        figures += [Figure('heap', 'bytes', whose='tomcat', more=False)]
    return Row(f'memory-{count}-{size}', f'A session of {text} among {count:,}', peers,
               functools.partial(memory, count=count, size=size, overwrite=overwrite), tuple(figures), (f'gib={gib}',), rounds,
               smoke=count == 100000)


ROWS = [
    row(100000, 64, None, 2),
    row(100000, 1024, None, 4, ('clusterd', 'redis', 'tomcat'), overwrite=('clusterd', 'redis'), rounds=3),
    row(100000, 16384, None, 6, rounds=3), row(1000000, 64, 250, 3, rounds=3),
    row(1000000, 1024, 1200, 6, overwrite=('clusterd',), rounds=3),
]
