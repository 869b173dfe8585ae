# SPDX-License-Identifier: Apache-2.0
"""The front door beside Redis: both with one replica, both asked over TCP with a password by the same clients. `bare` is
the limit: a server that reads, answers and passes on, and does nothing else (bare_front.c)."""

import csv
import functools

from stand import PASSWORD, BareFront, Cpu, Node, Redis, check, eventually
from table import Figure, Row, less, more

MCAST = {'async': 47010, 'sync,use_ack': 47011}
KEYS = 100000
CLIENTS = 16
COUNTS = {False: {1: 70000, 16: 300000}, True: {1: 70000, 16: 700000}}   # of a peer, of bare: a second or more
ONE_CPU = {0}
EPOLL = 'bare, epoll'
BARE_SERVER = 'bare server'
VALUE = 'v' * 1024
COMMANDS = {
    'SET': ['SET', 's:__rand_int__', VALUE],
    'SETEX': ['SETEX', 's:__rand_int__', '1800', VALUE],
    'HSET': ['HSET', 's:h__rand_int__', 'a', VALUE],
    'GET': ['GET', 's:__rand_int__'],
}


class Pair:
    """A server that clients ask, and its replica."""

    def __init__(self, stand, kind, options='async', name=''):
        name = stand.fresh(name or kind)
        if kind == 'bare':
            self.server = BareFront(stand, name + '-server', waits=options != 'async')
            self.replica = self.server.replica
        elif kind == 'redis':
            self.server = Redis(stand, name + '-master')
            self.replica = Redis(stand, name + '-replica', master=self.server)
        else:
            self.server = Node(stand, name + '-node', options, MCAST[options], wait=False)
            self.replica = Node(stand, name + '-replica', options, MCAST[options], wait=False)
            for node in (self.server, self.replica):
                node.wait_complete()
                node.wait_members(1)

    def settle(self):
        """Until the replica has all that the server has."""
        if isinstance(self.server, BareFront):
            eventually('the replica has caught up', lambda: self.server.behind() == 0)
            return
        if isinstance(self.server, Redis):
            eventually('the replica has caught up',
                       lambda: self.server.offset('master_repl_offset') <= self.replica.offset('slave_repl_offset'))
        else:
            eventually('the member has everything', lambda: all(m['queued_bytes'] == 0 for m in self.server.members()))
        eventually('the replica holds as much', lambda: self.server.count() == self.replica.count(), 60)

    def pin(self, cpus):
        self.server.pin(cpus)
        self.replica.pin(cpus)

    def end(self, stand):
        stand.end(self.replica, self.server)


def pair(stand, kind, options='async'):
    return stand.get((kind, options), lambda: Pair(stand, kind, options))


def benchmark(stand, server, words, count, pipeline):
    """What redis-benchmark says: commands/s and times in us."""
    done = stand.run('redis-benchmark', '-p', server.front, '-a', PASSWORD, '-c', CLIENTS, '-P', pipeline, '-n', count,
                     '-r', KEYS, '--csv', *words)
    rows = [r for r in csv.reader(done.stdout.splitlines()) if len(r) == 8 and r[0] != 'test']
    check(done.returncode == 0 and rows and 'rror' not in done.stdout,
          f'redis-benchmark: {done.returncode} {done.stdout[-300:]} {done.stderr[-300:]}')
    r = rows[-1]
    return {'commands': float(r[1]), 'p50': float(r[4]) * 1000, 'p99': float(r[6]) * 1000}


def fill(stand, peer, p, name):
    """The keys are there before the first round, as in all others: what is measured is overwriting. What it costs to
    make sessions is in rows/sessions.py."""
    def all_keys():
        benchmark(stand, p.server, COMMANDS[name], stand.pick(6 * KEYS, 1000), 16)
        p.settle()
    stand.get((peer, 'filled', name), all_keys)


def command(stand, peer, name, pipeline):
    p = pair(stand, peer)
    count = stand.pick(COUNTS[peer == 'bare'][pipeline], 1000)
    if peer != 'bare':
        fill(stand, peer, p, 'HSET' if name == 'HSET' else 'SET')
    with Cpu(p.server, p.replica) as cpu:
        got = benchmark(stand, p.server, COMMANDS[name], count, pipeline)
        p.settle()
    return {**got, 'server CPU': cpu.each[0] * 1e6 / count, 'replica CPU': cpu.each[1] * 1e6 / count}


def acknowledged(stand, peer, clients, cpus=None):
    """SET that is answered when the member, or the replica, has it."""
    count = stand.pick(8000 if clients == 1 else 60000, 200)
    if peer in ('bare', EPOLL) and clients == 1:
        got = stand.bare('pong', '--bytes', 1024, '--hops', 2, '--count', count, '--epoll', int(peer == EPOLL), cpus=cpus)
        return {'p50': got['p50_us'], 'p99': got['p99_us'], 'writes': got['per_s'], 'server CPU': got['cpu_us']}
    kind = 'bare' if peer == BARE_SERVER else peer
    p = pair(stand, kind, 'async' if kind == 'redis' else 'sync,use_ack')
    p.pin(cpus)
    try:
        with Cpu(p.server, p.replica) as cpu:
            got = stand.client(p.server, '--op', 'set', '--clients', clients, '--count', count, '--keys', 10000,
                               *(['--wait'] if peer == 'redis' else []), cpus=cpus)
    finally:
        p.pin(None)
    return {'p50': got['p50_us'], 'p99': got['p99_us'], 'writes': got['per_s'], 'server CPU': cpu.each[0] * 1e6 / count,
            'replica CPU': cpu.each[1] * 1e6 / count, 'client CPU': got['cpu_s'] * 1e6 / count}


def limit(name, unit, is_more=True):
    """What is left beside Redis when a server does nothing: no server gets farther."""
    return Figure(name, unit, of='redis', more=is_more, whose='bare')


def commands(name, pipeline):
    single = pipeline == 1
    return Row(f'front-{name.lower()}-{pipeline}', f'{name} 1 KiB, {CLIENTS} clients, pipeline {pipeline}',
               ('clusterd', 'redis', 'bare'), functools.partial(command, name=name, pipeline=pipeline),
               (more('commands', 'commands/s', 1.0 if single else 1.25, 'redis'), less('p50', 'us', None, 'redis'),
                less('p99', 'us', 1.0, 'redis'), less('server CPU', 'us/command', 0.8 if single else None, 'redis'),
                less('replica CPU', 'us/command', None, 'redis'), limit('commands', 'commands/s'),
                limit('server CPU', 'us/command', False)))


def waits(clients, cpus, where):
    single = clients == 1
    return Row(f'front-acked-{clients}-{"pinned" if cpus else "free"}',
               f'SET sync,use_ack / SET + WAIT 1, {clients} client{"" if single else "s"}, {where}',
               ('clusterd', 'redis', 'bare', *([EPOLL, BARE_SERVER] if single else [])),
               functools.partial(acknowledged, clients=clients, cpus=cpus),
               (less('p50', 'us', (0.7 if cpus else 0.95) if single else None, 'redis'), less('p99', 'us', None, 'redis'),
                more('writes', 'writes/s', None if single else 3.0, 'redis'), less('server CPU', 'us/write', None, 'redis'),
                less('replica CPU', 'us/write', None, 'redis'), less('client CPU', 'us/write', None, 'redis'),
                *([Figure('p50', 'us', of='redis', more=False, whose=peer) for peer in ('bare', EPOLL, BARE_SERVER)] if single else
                  [limit('writes', 'writes/s'), limit('server CPU', 'us/write', False)])),
               note='the client shares the cores: what it needs itself bounds what a server can gain')


ROWS = [
    *[commands(name, pipeline) for pipeline in (1, 16) for name in COMMANDS],
    *[waits(clients, cpus, where) for clients in (1, 64) for cpus, where in ((None, 'placed freely'), (ONE_CPU, 'one core'))],
]
