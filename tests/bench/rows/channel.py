# SPDX-License-Identifier: Apache-2.0
"""The raw channel: messages between members that do nothing with them. Ours (channel_bench) beside the real Tribes
(peers/TribesBench.java), which take the same commands; and beside bare TCP."""

import functools
import time

from stand import check
from table import Figure, Row, at_most, less, more

OURS, THEIRS = 47001, 47002     # multicast ports: a cluster each
ASYNC, USE_ACK, SYNC = 8, 2, 6
ONE_CPU = {0}
EPOLL = 'bare, epoll'


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
    cpu_s = [r.cpu() for r in to]
    if cpus:
        c.pin(cpus)
    try:
        got = run(sender, to, options, size, flight, stand.seconds(seconds), stamp)
        arrived = settle(to, before, got['count'], 0.5 if peer == 'tribes' else 20)
    finally:
        if cpus:
            c.pin(None)
    used_us = sum(r.cpu() - at for r, at in zip(to, cpu_s)) * 1e6 / len(to) / max(1, got['count'])
    missing = sum(max(0, got['count'] - n) for n in arrived)
    if peer != 'tribes':
        check(not got['failed'] and not got['lost'] and not missing, f'{peer}: {got}, {missing} did not arrive')
    disorder = sum(r.ask('stats')['disorder'] - b['disorder'] for r, b in zip(to, before))
    if peer != 'tribes' and stamp:
        check(disorder == 0, f'{peer}: {disorder} messages were received before an earlier one of their flow')
    times = {} if options & ASYNC else {'p50': got['p50_us'], 'p99': got['p99_us']}
    return {**times, 'messages': got['per_s'], 'bandwidth': got['mb_s'], 'CPU of the sender': got['cpu_us'],
            'CPU of a receiver': used_us, 'CPU of both': got['cpu_us'] + used_us, 'out of order': disorder,
            'lost': got['lost'] + missing}


def settle(receivers, before, count, patience_s):
    """How many have arrived at each, once all have, or nothing more came for a while."""
    last, changed = None, time.monotonic()
    while time.monotonic() < changed + patience_s:
        now = [r.ask('stats')['messages'] - b['messages'] for r, b in zip(receivers, before)]
        if all(n >= count for n in now):
            return now
        if now != last:
            last, changed = now, time.monotonic()
        time.sleep(0.02)
    return last


def latency(stand, peer, options=SYNC, cpus=None):
    if peer in ('bare', EPOLL):
        got = stand.bare('pong', '--bytes', 1024, '--count', stand.pick(20000, 200), '--epoll', int(peer == EPOLL), cpus=cpus)
        return {'messages': got['per_s'], 'p50': got['p50_us'], 'p99': got['p99_us'], 'CPU of both': got['cpu_us']}
    return between(stand, peer, options=options, cpus=cpus)


def asynchronous(stand, peer):
    """Beside what TCP itself takes for as many bytes, in writes of 64 KiB."""
    if peer == 'bare':
        got = stand.bare('stream', '--bytes', 65536, '--seconds', stand.seconds(0.5))
        return {'messages': got['mb_s'] * 1e6 / 1024, 'CPU of the sender': got['sender_us_kib'],
                'CPU of a receiver': got['receiver_us_kib']}
    return between(stand, peer, options=ASYNC)


def share(stand, peer, size):
    if peer == 'bare':
        tries = [stand.bare('stream', '--bytes', n, '--seconds', stand.seconds(0.5))['mb_s'] for n in (16384, 65536, 262144)]
        return {'bandwidth': max(tries)}
    return between(stand, peer, options=ASYNC, size=size)


def bare_sender(stand, c, flight):
    """The best of four ways to have so many frames on their way to the receiver that everybody sends to."""
    ways = [(n, batches) for n, batches in ((1, []), (2, []), (2, ['--batches']), (4, ['--batches'])) if n <= flight]
    tries = [stand.tool(stand.tools / 'bare_sender', '--port', c.receivers[0].port, '--connections', n, '--flight', flight,
                        '--seconds', stand.seconds(0.3), *batches) for n, batches in ways]
    best = max(tries, key=lambda t: t['per_s'])
    return {'messages': best['per_s'], 'CPU of the sender': best['cpu_us']}


def tomcat(stand, peer, flight):
    if peer == 'bare':
        return bare_sender(stand, cluster(stand, 'tribes'), flight)
    return between(stand, peer, options=SYNC, flight=flight, stamp=1)


def size_text(n):
    return f'{n} B' if n < 1024 else f'{n // 1024} KiB'


NAMES = {ASYNC: 'async', USE_ACK: 'use_ack', SYNC: 'sync'}


def messages(ratio=None):
    return more('messages', 'msg/s', ratio, 'tribes')


def cpu(what, ratio=None):
    return less(f'CPU of {what}', 'us/msg', ratio, 'tribes')


def in_flight(options, flight, rate, p99=None):
    return Row(f'channel-{NAMES[options]}-{flight}', f'Channel, {NAMES[options]}, 1 KiB, {flight} in flight',
               ('clusterd', 'tribes'), functools.partial(between, options=options, flight=flight),
               (messages(rate), less('p50', 'us', None, 'tribes'), less('p99', 'us', p99, 'tribes'), cpu('both')))


def to_tomcat(flight, rate):
    return Row(f'channel-tomcat-{flight}', f'Channel, sync, to a real Tribes, {flight} in flight',
               ('clusterd to tribes', 'tribes', 'bare'), functools.partial(tomcat, flight=flight),
               (messages(rate), Figure('messages', 'msg/s', of='tribes', whose='bare'), less('p99', 'us', None, 'tribes'),
                cpu('the sender'), at_most('out of order', 'messages', 0)),
               note='bare: a sender that only writes frames that are ready, and what the receiver lets through then')


def sized(options, size, receivers=1):
    to = f'{receivers} receiver{"s" if receivers > 1 else ""}'
    times = () if options & ASYNC else (less('p99', 'us', None, 'tribes'),)
    return Row(f'channel-{NAMES[options]}-{size}-{receivers}', f'Channel, {NAMES[options]}, {size_text(size)}, {to}',
               ('clusterd', 'tribes'),
               functools.partial(between, options=options, size=size, receivers=receivers, flight=16, seconds=0.5),
               (messages(), more('bandwidth', 'MB/s', None, 'tribes'), cpu('the sender'), cpu('a receiver'), *times))


def one_sender(where, text, cpus):
    return Row(f'channel-sync-{where}', f'Channel, sync, 1 KiB, one sender, {text}', ('clusterd', 'bare', EPOLL, 'tribes'),
               functools.partial(latency, cpus=cpus),
               (less('p50', 'us', 1.2, 'bare'), Figure('p50', 'us', of='bare', more=False, whose=EPOLL),
                less('p99', 'us', None, 'bare'), messages(), cpu('both', 0.5)),
               note='bare, epoll: each process waits in epoll_wait() before it reads, as whoever has several connections must')


ROWS = [
    Row('channel-async', 'Channel, async, 1 KiB', ('clusterd', 'tribes', 'bare'), asynchronous,
        (messages(15), cpu('the sender', 1 / 15), cpu('a receiver', 1 / 15), at_most('lost', 'messages', 0),
         Figure('messages', 'msg/s', of='tribes', whose='bare'),
         Figure('CPU of the sender', 'us/msg', of='tribes', more=False, whose='bare'),
         Figure('CPU of a receiver', 'us/msg', of='tribes', more=False, whose='bare')),
        note='bare: as many bytes by TCP in writes of 64 KiB, with nothing made of them'),
    one_sender('free', 'placed freely', None), one_sender('pinned', 'one core', ONE_CPU),
    in_flight(USE_ACK, 16, 3, 0.25), in_flight(SYNC, 16, 3, 0.25), in_flight(USE_ACK, 256, 20), in_flight(SYNC, 256, 20),
    to_tomcat(1, 1.2), to_tomcat(16, 2.5), to_tomcat(64, 4),
    Row('channel-share', 'Channel, async, 16 KiB, share of bare TCP', ('clusterd', 'bare'),
        functools.partial(share, size=16384), (more('bandwidth', 'MB/s', 0.8, 'bare'),)),
    *[sized(o, size) for o in (ASYNC, USE_ACK, SYNC) for size in (128, 1024, 16384, 262144)],
    *[sized(o, 1024, n) for o in (ASYNC, USE_ACK, SYNC) for n in (2, 3)],
]
