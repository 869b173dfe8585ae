# SPDX-License-Identifier: Apache-2.0
"""State transfer: a member joins one that holds many sessions of 1 KiB. Times are those that the joining member's log
tells: for Tomcat and for clusterd alike from the request to the last session taken over."""

import functools
import re
import shutil

from rows.memory import fill
from stand import Node, TomcatNode, check, eventually, log_time, peak_rss
from table import Row, at_least, at_most, less

MCAST = {100000: 47050, 1000000: 47054, 1000: 47055,   # a cluster for each source of so many sessions
         'tomcat': 47051, 'tomcat, raised time-outs': 47052, 'clusterd to tomcat': 47053}
RAISED = {'transport_timeout': 120000, 'manager_attr': 'stateTransferTimeout="240"'}


class Alone:
    """For fill(): nobody replicates yet."""

    def __init__(self, server):
        self.server = server

    def settle(self):
        pass


def source(stand, count, mcast):
    def make():
        node = Node(stand, stand.fresh('source'), mcast=mcast)
        fill(stand, Alone(node), count, 1024, None)
        check(node.count() == count, f'{node.count()} of {count} sessions')
        return node
    return stand.get(('source', count), make)


def seconds_of(line):
    return int(line.rsplit('[', 1)[1].split(']')[0].replace(',', '')) / 1000


def to_clusterd(stand, peer, count):
    count = stand.pick(count, 1000)
    first = source(stand, count, MCAST[count])
    joining = Node(stand, stand.fresh('joining'), mcast=MCAST[count], wait=False)
    line = joining.wait_complete(120)
    told = joining.log.lines(r'received in \[\d+\] ms')
    check(joining.count() == count and told, f'{joining.count()} of {count} sessions: {line}')
    took = sum(int(re.search(r'received in \[(\d+)\] ms', t).group(1)) for t in told) / 1000
    got = {'transfer': took, 'start to complete': log_time(line) - joining.begun_wall, 'peak': peak_rss(joining.pid) / 1e6}
    stand.end(joining)
    first.wait_members(0)
    return got


def tomcat_pair(peer):
    return {'clusterd to tomcat': (21, 22), 'tomcat': (23, 24), 'tomcat, raised time-outs': (25, 26)}[peer]


def tomcat_source(stand, peer, count):
    """Sessions that a Tomcat has made; held by clusterd alone, or by that Tomcat."""
    how = {'mcast': MCAST[peer], **(RAISED if 'raised' in peer else {})}
    if peer != 'clusterd to tomcat':
        tomcat = TomcatNode(stand, tomcat_pair(peer)[0], **how)
        tomcat.ask('bulk', n=count, bytes=1024, threads=4)
        check(tomcat.ask('count')['sessions'] == count, 'Tomcat holds all its sessions')
        return tomcat
    node = Node(stand, stand.fresh('source'), mcast=MCAST[peer], context='localhost#/app')
    tomcat = TomcatNode(stand, tomcat_pair(peer)[0], send_options=6, **how)
    eventually('they see each other', lambda: len(tomcat.ask('members')['members']) == 1)
    tomcat.ask('bulk', n=count, bytes=1024, threads=4)
    eventually('clusterd holds all', lambda: node.count('localhost#/app') == count, 120)
    stand.end(tomcat)
    node.wait_members(0)
    return node


def to_tomcat(stand, peer, count):
    if stand.smoke and peer != 'clusterd to tomcat':
        return {}
    count = stand.pick(count, 300)
    stand.get((peer, count), lambda: tomcat_source(stand, peer, count))
    joining = TomcatNode(stand, tomcat_pair(peer)[1], mcast=MCAST[peer], **(RAISED if 'raised' in peer else {}))
    held = joining.ask('count')['sessions']
    told = joining.log.lines('session state sent at')
    got = {'complete': 100 * held / count}
    if held == count:
        got['transfer'] = sum(map(seconds_of, told))
    stand.end(joining)
    shutil.rmtree(joining.inner.dir, ignore_errors=True)     # the next one of this name begins anew
    check(held == count or peer == 'tomcat', f'{peer}: {held} of {count} sessions')
    return got


def row(count, limit, gib, rounds=0):
    return Row(f'transfer-clusterd-{count}', f'{count:,} sessions of 1 KiB to a joining clusterd', ('clusterd',),
               functools.partial(to_clusterd, count=count),
               (at_most('transfer', 's', limit), at_most('start to complete', 's'), at_most('peak', 'MB RSS')), (f'gib={gib}',),
               rounds, smoke=count == 100000)


ROWS = [
    row(100000, 0.3, 2), row(1000000, 3, 7, 3),
    Row('transfer-tomcat-100000', '100,000 sessions of 1 KiB to a joining Tomcat',
        ('clusterd to tomcat', 'tomcat, raised time-outs', 'tomcat'), functools.partial(to_tomcat, count=100000),
        (less('transfer', 's', 0.5, 'tomcat, raised time-outs'), at_least('complete', '%', 100, 'tomcat')), ('gib=6',), 3,
        note='clusterd and the Tomcat that joins it have their defaults'),
]
