# SPDX-License-Identifier: Apache-2.0
"""Replicated sessions, each created and given an attribute of 1 KiB: through our front door (one HSET a session), and
inside a servlet of a real Tomcat, without HTTP (the test application's bulk: create, set, replicate as ReplicationValve
does). What the other member holds afterwards is counted. Both are warmed up, and all
sessions of a round are ended after it: as on a node that has run for long, new ones go where others were."""

import functools
import time

from rows.front import pair
from stand import PASSWORD, Cpu, TomcatNode, check, eventually, interop
from table import Row, at_most, less, more

CONTEXT_MCAST = {8: 47020, 6: 47021}
UNDER_WAY = 16
BYTES = 1024


class Tomcats:
    """Two of them, warmed up."""

    def __init__(self, stand, options):
        number = 1 if options == 8 else 3
        how = {'send_options': options, 'mcast': CONTEXT_MCAST[options]}
        # One after the other: two that start together wait a minute for each other's sessions.
        self.active = TomcatNode(stand, number, **how)
        self.passive = TomcatNode(stand, number + 1, **how)
        for node in (self.active, self.passive):
            eventually('the Tomcats see each other', lambda node=node: len(node.ask('members')['members']) == 1)
        self.fill(stand.pick(20000, 100))

    def fill(self, n):
        """What bulk says, CPU, sessions that the passive one lacks or has without their attribute."""
        before = self.passive.ask('audit')
        with Cpu(self.active, self.passive) as cpu:
            done = self.active.ask('bulk', n=n, bytes=BYTES, threads=UNDER_WAY)
            after = self.settle()
        return done, cpu, n - (after['with'] - before['with'])

    def settle(self):
        last, end = None, time.monotonic() + 30
        while time.monotonic() < end:
            now = self.passive.ask('audit')
            if now == last:
                break
            last = now
            time.sleep(0.3)
        return last

    def rest(self):
        """They end the sessions, and work off what they were given: what is measured next has the machine for itself."""
        for node in (self.active, self.passive):
            node.ask('end')
        eventually('the Tomcats are idle', self.is_idle, 60)

    def is_idle(self):
        with Cpu(self.active, self.passive) as cpu:
            time.sleep(0.5)
        return cpu.all < 0.1 * cpu.took


def key(number):
    """As wait_client makes them."""
    return f's:{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016X}{number:016X}'


def ours(stand, p, count, pipeline):
    before, first = p.replica.count(), stand.get('numbers', lambda: [0])
    which = ('--clients', UNDER_WAY, '--count', count, '--first', first[0])
    with Cpu(p.server, p.replica) as cpu:
        got = stand.client(p.server, '--op', 'hset', '--bytes', BYTES, '--pipeline', pipeline, *which)
        p.settle()
    lost = count - (p.replica.count() - before)
    check(lost == 0, f'{lost} of {count} sessions are not on the other member')
    check_values(p, first[0], count)
    first[0] += count
    stand.client(p.server, '--op', 'del', '--pipeline', 16, *which)
    p.settle()
    check(p.replica.count() == before, 'sessions of the round are left')
    return got, cpu, lost


def sessions(stand, peer, options, pipeline):
    count = stand.pick(100000 if peer == 'clusterd' else 20000, 300)
    if peer == 'tomcat':
        if stand.smoke and options == 8:
            return {}
        tomcats = stand.get(('tomcats', options), lambda: Tomcats(stand, options))
        done, cpu, lost = tomcats.fill(count)
        tomcats.rest()
        return {'sessions': done['perSecond'], 'p50': done['p50us'], 'p99': done['p99us'], 'lost': 100 * lost / count,
                'CPU of the writing node': cpu.each[0] * 1e6 / count, 'CPU of the other': cpu.each[1] * 1e6 / count}
    p = pair(stand, 'clusterd', {8: 'async', 6: 'sync,use_ack'}[options])
    stand.get(('warm', options), lambda: ours(stand, p, count, pipeline))
    got, cpu, lost = ours(stand, p, count, pipeline)
    return {'sessions': got['per_s'], 'p50': got['p50_us'], 'p99': got['p99_us'], 'lost': 100 * lost / count,
            'CPU of the writing node': cpu.each[0] * 1e6 / count, 'CPU of the other': cpu.each[1] * 1e6 / count}


def check_values(p, first, count):
    """Some of the attributes, on the member that was not written to."""
    resp = interop.Resp(p.replica.dir / 'front.sock')
    resp('AUTH', PASSWORD)
    for number in range(first, first + count, max(1, count // 50)):
        value = resp('HGET', key(number), 'a')
        check(value is not None and len(value) == BYTES, f'the attribute of {key(number)} is {value!r:.40}')
    resp.close()


def row(options, name, pipeline, target):
    return Row(f'sessions-{name}-{UNDER_WAY * pipeline}',
               f'Sessions with 1 KiB, {name}, {UNDER_WAY} clients, pipeline {pipeline}', ('clusterd', 'tomcat'),
               functools.partial(sessions, options=options, pipeline=pipeline),
               (more('sessions', 'sessions/s', target, 'tomcat'), at_most('lost', '%', 0), less('p99', 'us', None, 'tomcat'),
                less('CPU of the writing node', 'us/session', None, 'tomcat'),
                less('CPU of the other', 'us/session', None, 'tomcat')),
               note=f'Tomcat: {UNDER_WAY} threads inside its servlet, no client and no HTTP; lost: not on the other member, '
               'or there without their attribute')


ROWS = [row(6, 'sync', 16, 8), row(8, 'async', 16, 8), row(6, 'sync', 1, None)]
