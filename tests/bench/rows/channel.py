# SPDX-License-Identifier: Apache-2.0
"""The raw channel: messages between members that do nothing with them. Ours (channel_bench) beside the real Tribes
(peers/TribesBench.java), which take the same commands; and beside bare TCP."""

import functools
import time

from stand import check
from table import Figure, Row

OURS, THEIRS = 47001, 47002     # multicast ports: a cluster each
ASYNC, USE_ACK, SYNC = 8, 2, 6
ONE_CPU = {0}


class Cluster:
    """One sender and receivers. `mixed` adds a sender of ours to Tribes' cluster: clusterd before a real Tomcat."""

    def __init__(self, stand, kind, n):
        make, mcast = (stand.tribes, THEIRS) if kind == 'tribes' else (stand.channel, OURS)
        self.receivers = [make(stand.fresh(f'{kind}-receiver'), mcast, wait=False) for _ in range(n)]
        self.sender = make(stand.fresh(f'{kind}-sender'), mcast, wait=False)
        self.mixed = stand.channel(stand.fresh('mixed-sender'), THEIRS) if kind == 'tribes' else None
        ports = [r.port for r in self.receivers]
        for sender in filter(None, (self.sender, self.mixed)):
            sender.wait_members(ports)
            for receiver in self.receivers:
                receiver.wait_members([sender.port])
        if not stand.smoke:
            self.warm_up()

    def warm_up(self):
        """Java compiles what is hot while it runs."""
        for options, flight in ((ASYNC, 1), (SYNC, 1), (SYNC, 16)):
            run(self.sender, self.receivers, options, 1024, flight, 1.5)

    def everybody(self):
        return [p for p in (self.sender, self.mixed, *self.receivers) if p]

    def pin(self, cpus):
        for process in self.everybody():
            process.pin(cpus)


def cluster(stand, kind):
    n = stand.pick(3, 1)
    return stand.get(kind, lambda: Cluster(stand, kind, n))


def run(sender, receivers, options, size, flight, seconds, stamp=0):
    return sender.ask(f'run to={",".join(str(r.port) for r in receivers)} options={options} size={size} flight={flight} '
                      f'seconds={seconds} max={10**9} stamp={stamp}')


def between(stand, peer, options, size=1024, flight=1, receivers=1, cpus=None, stamp=0, seconds=1.0):
    """One turn: the sender's figures, and CPU of each side a message."""
    c = cluster(stand, 'tribes' if peer in ('tribes', 'clusterd to tribes') else 'clusterd')
    sender = c.mixed if peer == 'clusterd to tribes' else c.sender
    to = c.receivers[:min(receivers, len(c.receivers))]
    before = [r.ask('stats') for r in to]
    cpu = [r.cpu() for r in to]
    if cpus:
        c.pin(cpus)
    try:
        got = run(sender, to, options, size, flight, stand.seconds(seconds), stamp)
        arrived = settle(to, before, got['count'])
    finally:
        if cpus:
            c.pin(None)
    used = sum(r.cpu() - at for r, at in zip(to, cpu)) / len(to)
    missing = sum(max(0, got['count'] - n) for n in arrived)
    if peer != 'tribes':
        check(not got['failed'] and not got['lost'] and not missing, f'{peer}: {got}, {missing} did not arrive')
    disorder = sum(r.ask('stats')['disorder'] - b['disorder'] for r, b in zip(to, before))
    if peer != 'tribes' and stamp:
        check(disorder == 0, f'{peer}: {disorder} messages were received before an earlier one of their flow')
    times = {} if options & ASYNC else {'p50': got['p50_us'], 'p99': got['p99_us']}
    return {**times, 'messages': got['per_s'], 'bandwidth': got['mb_s'], 'CPU of the sender': got['cpu_us'],
            'CPU of a receiver': used * 1e6 / max(1, got['count']), 'CPU of both': got['cpu_us'] + used * 1e6 / max(1, got['count']),
            'out of order': disorder, 'lost': got['lost'] + missing}


def settle(receivers, before, count):
    """How many have arrived at each, once nothing more comes."""
    last, same = None, 0
    end = time.monotonic() + 20
    while same < 3 and time.monotonic() < end:
        now = [r.ask('stats')['messages'] - b['messages'] for r, b in zip(receivers, before)]
        if all(n >= count for n in now):
            return now
        same = same + 1 if now == last else 0
        last = now
        time.sleep(0.05)
    return last


def latency(stand, peer, options=SYNC, cpus=None):
    if peer == 'bare':
        got = stand.bare('pong', '--bytes', 1024, '--count', stand.pick(20000, 200), cpus=cpus)
        return {'messages': got['per_s'], 'p50': got['p50_us'], 'p99': got['p99_us'], 'CPU of both': got['cpu_us']}
    return between(stand, peer, options=options, cpus=cpus)


def share(stand, peer, size):
    if peer == 'bare':
        tries = [stand.bare('stream', '--bytes', n, '--seconds', stand.seconds(0.5))['mb_s'] for n in (16384, 65536, 262144)]
        return {'bandwidth': max(tries)}
    return between(stand, peer, options=ASYNC, size=size)


def size_text(n):
    return f'{n} B' if n < 1024 else f'{n // 1024} KiB'


NAMES = {ASYNC: 'async', USE_ACK: 'use_ack', SYNC: 'sync'}
MESSAGES, P50, P99 = ('messages', 'msg/s'), ('p50', 'us'), ('p99', 'us')
CPU_TX, CPU_RX, CPU = ('CPU of the sender', 'us/msg'), ('CPU of a receiver', 'us/msg'), ('CPU of both', 'us/msg')


def less(what, target=None, of=''):
    return Figure(*what, target=target, of=of, more=False)


def more(what, target=None, of=''):
    return Figure(*what, target=target, of=of)


def in_flight(options, flight, rate, p99=None):
    return Row(f'channel-{NAMES[options]}-{flight}', f'Channel, {NAMES[options]}, 1 KiB, {flight} in flight', ('clusterd', 'tribes'),
               functools.partial(between, options=options, flight=flight),
               (more(MESSAGES, rate, 'tribes'), less(P50, None, 'tribes'), less(P99, p99, 'tribes'), less(CPU, None, 'tribes')))


def to_tomcat(flight, rate):
    return Row(f'channel-tomcat-{flight}', f'Channel, sync, to a real Tribes, {flight} in flight', ('clusterd to tribes', 'tribes'),
               functools.partial(between, options=SYNC, flight=flight, stamp=1),
               (more(MESSAGES, rate, 'tribes'), less(P99, None, 'tribes'), less(CPU_TX, None, 'tribes'),
                less(('out of order', 'messages'), 0)))


def sized(options, size, receivers=1):
    return Row(f'channel-{NAMES[options]}-{size}-{receivers}', f'Channel, {NAMES[options]}, {size_text(size)}, {receivers} receiver{"s" if receivers > 1 else ""}',
               ('clusterd', 'tribes'), functools.partial(between, options=options, size=size, receivers=receivers, flight=16, seconds=0.5),
               (more(MESSAGES, None, 'tribes'), more(('bandwidth', 'MB/s'), None, 'tribes'), less(CPU_TX, None, 'tribes'),
                less(CPU_RX, None, 'tribes'), *([] if options & ASYNC else [less(P99, None, 'tribes')])))


def one_sender(name, title, cpus):
    return Row(name, title, ('clusterd', 'bare', 'tribes'), functools.partial(latency, cpus=cpus),
               (less(P50, 1.2, 'bare'), less(P99, None, 'bare'), more(MESSAGES, None, 'tribes'), less(CPU, 0.5, 'tribes')))


ROWS = [
    Row('channel-async', 'Channel, async, 1 KiB', ('clusterd', 'tribes'), functools.partial(between, options=ASYNC),
        (more(MESSAGES, 15, 'tribes'), less(CPU_TX, 1 / 15, 'tribes'), less(CPU_RX, 1 / 15, 'tribes'), less(('lost', 'messages'), 0))),
    one_sender('channel-sync-free', 'Channel, sync, 1 KiB, one sender, placed freely', None),
    one_sender('channel-sync-pinned', 'Channel, sync, 1 KiB, one sender, one core', ONE_CPU),
    in_flight(USE_ACK, 16, 3, 0.25), in_flight(SYNC, 16, 3, 0.25), in_flight(USE_ACK, 256, 20), in_flight(SYNC, 256, 20),
    to_tomcat(1, 1.2), to_tomcat(16, 2.5), to_tomcat(64, 4),
    Row('channel-share', 'Channel, async, 16 KiB, share of bare TCP', ('clusterd', 'bare'), functools.partial(share, size=16384),
        (more(('bandwidth', 'MB/s'), 0.8, 'bare'),)),
    *[sized(o, size) for o in (ASYNC, USE_ACK, SYNC) for size in (128, 1024, 16384, 262144)],
    *[sized(o, 1024, n) for o in (ASYNC, USE_ACK, SYNC) for n in (2, 3)],
]
