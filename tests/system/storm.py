#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A storm of SIGKILLs. Three nodes under channelSendOptions "sync,use_ack"; writers put increasing numbers on keys of
their own through any node; readers read on the others; one node after the other is killed, preferably right after it
acknowledged a write, and started again; sometimes two of the three at once. The next kill follows when `clusterctl
status` says complete on all. Some kills come while the other nodes are stopped for a moment and all writers go to the
victim with more bytes than sockets hold: what it acknowledges then is nowhere else.

What must hold (a write whose connection broke or that was refused is "unknown": it may have happened or not):
  - no read was below a number that had been acknowledged before the read began
  - after quiet every node is at or above the last acknowledged number of each key, and all nodes say the same

usage: storm.py [--kills N] [--seconds-limit N] [--seed N] [--expect-violation] [--keep]
  BIN=DIR             where clusterd and clusterctl are
  --expect-violation  for a build that acknowledges early (storm_early_ack.py): succeeds when the storm finds it
"""

import argparse
import asyncio
import collections
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

import harness

WRITERS = 64
READERS = 8
PAUSE_S = 0.012         # of a writer between two writes, on average; the storm is about order, not about load
STOP_S = 0.4            # how long nodes are stopped; far below the 3 s after which a member is lagging
FOCUS_BYTES = 20000     # of a value in that time
COMPLETE_S = 90         # the longest that a restarted node may need
BOTH = 0.1              # how often a second node is killed with the first: the third still holds all
WAYS = OTHERS_STOPPED, ITS_ACK, OTHERS_ACK, ANY_TIME = (
    'while the others are stopped', 'after its acknowledgement', "after another's acknowledgement", 'at any time')


def names(nodes):
    return ' and '.join(n.name for n in nodes)


class NotThere(Exception):
    """No connection to the node: the command was not sent."""


class Link(asyncio.Protocol):
    """A connection to a front door; replies come in the order of the calls."""

    def __init__(self):
        self.waiting = collections.deque()
        self.input = bytearray()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.transport = None
        while self.waiting:
            done, _ = self.waiting.popleft()
            if not done.done():
                done.set_exception(ConnectionError('the connection broke'))

    def data_received(self, data):
        self.input += data
        at = 0
        while (end := self.input.find(b'\r\n', at)) >= 0:
            kind, rest = self.input[at:at + 1], bytes(self.input[at + 1:end])
            at_next = end + 2
            if kind == b'$' and rest != b'-1':
                at_next += int(rest) + 2
                if len(self.input) < at_next:
                    break
                rest = bytes(self.input[end + 2:at_next - 2])
            elif kind == b'$':
                rest = None
            at = at_next
            done, on_reply = self.waiting.popleft()
            if kind == b'-':
                if not done.done():
                    done.set_exception(RuntimeError(rest.decode()))
                continue
            if on_reply:
                on_reply()      # at once, not when the caller's task gets its turn
            if not done.done():
                done.set_result(rest)
        del self.input[:at]

    def call(self, *words, on_reply=None):
        done = asyncio.get_running_loop().create_future()
        if not self.transport:
            done.set_exception(ConnectionError('not connected'))
            return done
        self.waiting.append((done, on_reply))
        words = [w.encode() if isinstance(w, str) else w for w in words]
        self.transport.write(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        return done

    def close(self):
        if self.transport:
            self.transport.abort()


class Client:
    """One client's connections, one to each node, opened when they are needed."""

    def __init__(self, storm):
        self.storm = storm
        self.links = {}

    async def call(self, node, *words, on_reply=None):
        link = self.links.get(node)
        if not link or not link.transport:
            loop = asyncio.get_running_loop()
            try:
                _, link = await loop.create_unix_connection(Link, str(node.redis_path))
            except OSError as e:
                raise NotThere from e
            self.links[node] = link
        return await asyncio.wait_for(link.call(*words, on_reply=on_reply), 30)

    def close(self):
        for link in self.links.values():
            link.close()


class Key:
    def __init__(self, n):
        self.name = f'sess:{n:02}-{random.getrandbits(64):016x}'
        self.is_hash = n % 2 == 1
        self.attempted = 0
        self.acked = 0
        self.history = collections.deque(maxlen=12)     # (time, what), for the report of a violation

    def write(self, number, padding):
        value = f'{number} {"x" * padding}'
        return ('HSET', self.name, 'n', value) if self.is_hash else ('SET', self.name, value)

    def read(self):
        return ('HGET', self.name, 'n') if self.is_hash else ('GET', self.name)

    @staticmethod
    def number(value):
        return int(value.split()[0]) if value is not None else 0


class Storm:
    def __init__(self, options, folder):
        self.options = options
        self.began = time.monotonic()
        self.keys = [Key(n) for n in range(WRITERS)]
        self.stopping = False
        self.violations = []
        self.counts = collections.Counter()
        self.recoveries_ms = []
        self.focus = None       # the one node that writers go to, as fast as they can
        self.aim = None         # (victims, node whose acknowledgement triggers) while a kill waits for its moment
        self.killed = None      # future of that kill
        mcast = harness.free_port(socket.SOCK_DGRAM)
        self.nodes = [harness.Node(folder, f'n{i + 1}', mcast, options='sync,use_ack') for i in range(3)]

    def now(self):
        return time.monotonic() - self.began

    def say(self, text):
        print(f'{self.now():7.1f} s  {text}', flush=True)

    def violation(self, key, text):
        self.counts['violations'] += 1
        if len(self.violations) < 3:
            self.violations.append(text)
            self.say(f'VIOLATION: {text}')
            for at, what in key.history:
                print(f'             {at:9.4f} s  {what}')

    # --- clients ---

    def acknowledged(self, key, number, node):
        """Called while the reply is read."""
        key.acked = number
        key.history.append((self.now(), f'{number} acknowledged by {node.name}'))
        self.counts['acknowledged'] += 1
        if self.aim and self.aim[1] is node:
            victims, _ = self.aim
            self.aim = None
            self.kill(victims)

    async def write_one(self, client, key):
        node = self.focus or random.choice(self.nodes)
        padding = FOCUS_BYTES if self.focus else random.choice([0, 0, 100, 4000])
        key.attempted += 1
        number = key.attempted
        try:
            await client.call(node, *key.write(number, padding),
                              on_reply=lambda: self.acknowledged(key, number, node))
        except RuntimeError as e:
            if not str(e).startswith('LOADING'):
                raise
            self.counts['refused: loading'] += 1
            await asyncio.sleep(0.02)
        except NotThere:
            self.counts['not sent: node is down'] += 1
            await asyncio.sleep(0.02)
        except (OSError, asyncio.TimeoutError) as e:
            if isinstance(e, (asyncio.TimeoutError, TimeoutError)):
                self.violation(key, f'{node.name} did not answer a write for 30 s')
            key.history.append((self.now(), f'{number} unknown, through {node.name}: {type(e).__name__}'))
            self.counts['unknown'] += 1
        else:
            return node
        return None

    async def writer(self, key):
        client = Client(self)
        while not self.stopping:
            node = await self.write_one(client, key)
            if self.focus:
                continue
            if node and random.random() < 0.3:          # the strictest read: right behind the acknowledgement
                await self.read_one(client, random.choice([n for n in self.nodes if n is not node]), key)
            await asyncio.sleep(random.expovariate(1 / PAUSE_S))
        client.close()

    async def read_one(self, client, node, key):
        floor, began = key.acked, self.now()
        try:
            value = await client.call(node, *key.read())
        except RuntimeError as e:
            if not str(e).startswith('LOADING'):
                raise
            self.counts['refused: loading'] += 1
            return
        except NotThere:
            return
        except (asyncio.TimeoutError, TimeoutError):
            self.violation(key, f'{node.name} did not answer a read for 30 s')
            return
        except OSError:
            self.counts['reads cut off'] += 1
            return
        self.counts['reads'] += 1
        number = key.number(value)
        if not floor <= number <= key.attempted:
            self.violation(key, f'{node.name}: {key.name} read {number}, {floor} had been acknowledged before '
                                f'{began:.4f} s, {key.attempted} was the last attempt')

    async def reader(self):
        client = Client(self)
        while not self.stopping:
            await self.read_one(client, random.choice(self.nodes), random.choice(self.keys))
            await asyncio.sleep(random.expovariate(1 / 0.004))
        client.close()

    async def sweep(self, node):
        """All keys on one node, at once."""
        client = Client(self)
        await asyncio.gather(*(self.read_one(client, node, key) for key in self.keys))
        client.close()

    # --- nodes ---

    def kill(self, victims):
        for victim in victims:
            victim.signal(signal.SIGKILL)
        self.note(f'SIGKILL of {names(victims)}')
        self.killed.set_result(None)

    def note(self, what):
        for key in self.keys:
            key.history.append((self.now(), what))

    async def kill_by(self, way, victims, others):
        if way == ANY_TIME:
            self.kill(victims)
        elif way == OTHERS_STOPPED:
            self.focus = victims[0]
            await asyncio.sleep(0.1)    # the writers have come
            for node in others:
                node.signal(signal.SIGSTOP)
            await asyncio.sleep(STOP_S)
            self.kill(victims)
            self.focus = None
            for node in others:
                node.signal(signal.SIGCONT)
        else:
            trigger = victims[0] if way == ITS_ACK else random.choice(others)
            self.aim = (victims, trigger)
            try:
                await asyncio.wait_for(self.killed, 30)
            except asyncio.TimeoutError:
                raise AssertionError(f'{trigger.name} has not acknowledged a write for 30 s') from None

    async def is_complete(self, node):
        if node.process.poll() is not None:
            raise AssertionError(f'{node.name} has ended with {node.process.returncode}')
        done = await asyncio.create_subprocess_exec(
            harness.CLUSTERCTL, '--socket', str(node.control), 'status', stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        return await asyncio.wait_for(done.wait(), 30) == 0

    async def wait_complete(self):
        end = time.monotonic() + COMPLETE_S
        for node in self.nodes:
            while not await self.is_complete(node):
                if time.monotonic() > end:
                    raise AssertionError(f'{node.name} is not complete after {COMPLETE_S} s')
                await asyncio.sleep(0.05)

    def choose(self, last):
        """Who is killed, and who is not."""
        nodes = random.sample(self.nodes, 3)
        # Half of the time not one that has just come back: what it was given must be enough.
        if random.random() < 0.5:
            nodes.sort(key=lambda n: n in last)
        n = 2 if random.random() < BOTH else 1
        return nodes[:n], nodes[n:]

    async def restart(self, victim):
        victim.wait()
        down_s = random.choices([0, 0.05, 0.5, 1.5, 4], [8, 4, 4, 2, 1])[0]
        await asyncio.sleep(down_s)
        victim.start(ready=False)
        self.note(f'{victim.name} started again')

    async def one_kill(self, last):
        victims, others = self.choose(last)
        n = self.counts['occasions']
        way = WAYS[n] if n < len(WAYS) else random.choices(WAYS, [3, 5, 2, 2])[0]
        self.killed = asyncio.get_running_loop().create_future()
        await asyncio.sleep(random.random() * 0.3)
        await self.kill_by(way, victims, others)
        killed_at = time.monotonic()
        await asyncio.gather(*(self.restart(victim) for victim in victims))
        started_at = time.monotonic()
        await self.wait_complete()
        recovery_ms = (time.monotonic() - started_at) * 1000
        self.recoveries_ms.append(recovery_ms)
        self.note('all are complete')
        await asyncio.gather(*(self.sweep(victim) for victim in victims))
        self.counts['occasions'] += 1
        self.counts['kills'] += len(victims)
        self.counts['two at once'] += len(victims) - 1
        self.counts[way] += 1
        self.say(f'{self.counts["kills"]:3} kills: {names(victims)} {way}, down {(started_at - killed_at) * 1000:.0f} ms, '
                 f'complete {recovery_ms:.0f} ms after the start; {self.counts["acknowledged"]} writes acknowledged, '
                 f'{self.counts["unknown"]} unknown, {self.counts["reads"]} reads')
        return victims

    async def check_end(self):
        """After quiet: queues empty, then every key on every node."""
        end = time.monotonic() + 30
        while any(n.json('status')['queued_bytes'] for n in self.nodes) and time.monotonic() < end:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        client = Client(self)
        for key in self.keys:
            held = [key.number(await client.call(n, *key.read())) for n in self.nodes]
            if min(held) < key.acked:
                self.violation(key, f'{key.name} at the end: {held}, {key.acked} had been acknowledged')
            elif len(set(held)) > 1:
                self.violation(key, f'{key.name} at the end differs: {held}')
        client.close()

    async def run(self):
        for node in self.nodes:
            node.start(ready=False)
        await self.wait_complete()
        self.say('three nodes are complete')
        tasks = [asyncio.create_task(self.writer(key)) for key in self.keys]
        tasks += [asyncio.create_task(self.reader()) for _ in range(READERS)]
        last = []
        while self.counts['kills'] < self.options.kills and self.now() < self.options.seconds_limit:
            last = await self.one_kill(last)
            if self.counts['violations'] >= 20 or (self.violations and self.options.expect_violation):
                break
            for task in tasks:
                if task.done():
                    task.result()
        self.stopping = True
        await asyncio.gather(*tasks)
        await self.check_end()

    def report(self):
        print()
        for name in ('kills', 'two at once', *WAYS, 'acknowledged', 'unknown', 'not sent: node is down',
                     'refused: loading', 'reads', 'reads cut off', 'violations'):
            print(f'{name:40} {self.counts[name]}')
        if self.recoveries_ms:
            r = sorted(self.recoveries_ms)
            print(f'{"start to complete on all, ms":40} median {statistics.median(r):.0f}, '
                  f'least {r[0]:.0f}, most {r[-1]:.0f}')
        print(f'{"seconds":40} {self.now():.0f}')


def main():
    parser = argparse.ArgumentParser(description='kills nodes while sessions are written', add_help=True)
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seconds-limit', type=float, default=float('inf'), help='no further kills after that')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--expect-violation', action='store_true')
    parser.add_argument('--keep', action='store_true', help='keep the logs of the nodes')
    options = parser.parse_args()
    harness.enter_namespace()
    random.seed(options.seed)
    folder = tempfile.mkdtemp(prefix='clusterd-storm.')
    storm = Storm(options, folder)
    failure = None
    try:
        asyncio.run(storm.run())
    except (AssertionError, RuntimeError) as e:
        failure = e
        storm.say(f'FAILED: {e}')
    finally:
        for node in storm.nodes:
            node.end()
    storm.report()
    found = bool(storm.violations or failure)
    ok = bool(storm.violations) if options.expect_violation else not found
    if options.keep or not ok:
        print(f'logs: {folder}/n*/log')
    else:
        shutil.rmtree(folder)
    if options.expect_violation:
        print('the early acknowledgement was found' if ok else 'THE EARLY ACKNOWLEDGEMENT WAS NOT FOUND')
    elif ok:
        print('no acknowledged write was lost, no read was stale')
    sys.exit(0 if ok else 1)


main()
