#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stranger without manners against a real node: malformed frames and streams at the receiver, garbage and invented
members on the multicast group, absurd requests at the front door, connections that are opened and left, or that never
read. The stranger is 127.0.0.9, the node 127.0.0.1, so that it is no member's host until it claims to be a member.

Each test writes a session through the front door first. After each attack the process is the same, the session has
its value, memory stayed below a bound that the attack would exceed if it worked, a counter has grown, and the log
names the stranger, but only a few times: rate limited.

What others cover: mistakes in configurations (unit daemon/config, conf), ports in use, no such interface and a full
disk under the log (system/start), every length and every single byte of every format (unit wire/*, fuzz/*), jumps of
clocks (sim)."""

import contextlib
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import harness
from harness import NodeTest, free_port, main, wait_for

GROUP = '228.0.0.4'
STRANGER = '127.0.0.9'
MIB = 1024 * 1024
CLOSED_S = 20           # within which a node closes a connection that broke the format
ACK = bytes.fromhex('464c543230303200000003060203544c4632303033')
FAIL_ACK = bytes.fromhex('464c5432303032000000030b0005544c4632303033')
USE_ACK, SYNC, BYTES = 2, 4, 1
CREATED, EXPIRED, ALL_DATA, DELTA, CHANGE_ID = 1, 2, 12, 13, 15
CONTEXT = 'localhost#/shop'
# The same site of the program logs once in 10 s; a test takes less than 20 s, and an attack meets few sites.
LINES_MAX = 12


def i32(n):
    return struct.pack('>I', n & 0xffffffff)


def i64(n):
    return struct.pack('>Q', n & 0xffffffffffffffff)


def member(host, port, number=1, alive=1000, domain=b'', payload=b'', command=b'', **lies):
    """A member record; `lies` are lengths to write instead of the right ones: body, h, c, d, p."""
    address = socket.inet_aton(host)
    content = i64(alive) + i32(port) + i32(-1) + i32(-1) + bytes([lies.get('h', 4) & 255]) + address
    content += i32(lies.get('c', len(command))) + command + i32(lies.get('d', len(domain))) + domain
    content += struct.pack('>QQ', 0x1011121314154017, 0x8000000000000000 + number)
    content += i32(lies.get('p', len(payload))) + payload
    return b'TRIBES-B\1\0' + i32(lies.get('body', len(content))) + content + b'TRIBES-E\1\0'


def frame(body, length=None):
    return b'FLT2002' + i32(len(body) if length is None else length) + body + b'TLF2003'


def data(source, message, options=0, **lies):
    """The body of a frame; lies: u, a, m."""
    return (i32(options) + i64(int(time.time() * 1000)) + i32(lies.get('u', 16)) + bytes(range(16)) +
            i32(lies.get('a', len(source))) + source + i32(lies.get('m', len(message))) + message)


# --- Java streams ---

HEADER = bytes.fromhex('aced0005')
OBJECTS = b'\x72\0\x13[Ljava.lang.Object;' + bytes.fromhex('90ce589f1073296c02000078 70')
BYTE_ARRAY = b'\x72\0\x02[B' + bytes.fromhex('acf317f8060854e002000078 70')
NULL = b'\x70'


def utf(text):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack('>H', len(text)) + text


def string(text):
    return b'\x74' + utf(text)


def reference(number):
    return b'\x71' + i32(0x7e0000 + number)


def class_desc(name, uid, fields, above=NULL):
    return b'\x72' + utf(name) + i64(uid) + b'\2' + struct.pack('>H', len(fields)) + b''.join(fields) + b'\x78' + above


def session_message(event, session_id, body=None, context=CONTEXT, body_length=None):
    """A SessionMessageImpl."""
    now = int(time.time() * 1000)
    text_field = reference(1)
    above = class_desc('org.apache.catalina.ha.ClusterMessageBase', 1, [b'J' + utf('timestamp')])
    head = class_desc('org.apache.catalina.ha.session.SessionMessageImpl', 2, [
        b'I' + utf('mEvtType'), b'J' + utf('serializationTimestamp'), b'Z' + utf('timestampSet'),
        b'L' + utf('mContextName') + string('Ljava/lang/String;'), b'[' + utf('mSession') + string('[B'),
        b'L' + utf('mSessionID') + text_field, b'L' + utf('uniqueId') + text_field], above)
    blob = NULL
    if body is not None:
        blob = b'\x75' + BYTE_ARRAY + i32(len(body) if body_length is None else body_length) + body
    return (HEADER + b'\x73' + head + i64(0) + i32(event) + i64(now) + b'\1' + string(context) + blob +
            string(session_id) + string(f'{session_id}-x'))


def block(content):
    return b'\x77' + bytes([len(content)]) + content


def delta(session_id, values):
    """A DeltaRequest that sets attributes a0, a1, ... to these, each an object as it stands in the stream. The first
    descriptor or string in the first value has handle 0."""
    parts = [HEADER, block(utf(session_id) + b'\0' + i32(len(values)))]
    for i, value in enumerate(values):
        parts += [block(i32(0) + i32(0) + utf(f'a{i}') + b'\1'), value]
    return b''.join(parts)


def array(*elements, n=None, descriptor=OBJECTS):
    return b'\x75' + descriptor + i32(len(elements) if n is None else n) + b''.join(elements)


def nested(depth):
    return array(n=1) + (b'\x75' + reference(0) + i32(1)) * (depth - 1) + NULL


def doubled(depth):
    """Arrays in arrays, each with its first element once more: 2^depth leaves if references were written out."""
    text = NULL
    for level in range(depth, 0, -1):
        head = b'\x75' + (OBJECTS if level == 1 else reference(0)) + i32(2)
        text = head + text + (reference(level + 1) if level < depth else NULL)
    return text


def java_attacks():
    """(name, event, body of the session message, further arguments, counter that grows)."""
    bad, left_out = 'messages_undecodable', 'values_left_out'
    level = array(n=1)
    one = lambda value: delta('evil', [value])
    return [
        ('a million arrays in each other', DELTA, one(nested(1000000)), bad),
        ('a million arrays, and no end', DELTA, one(level + (b'\x75' + reference(0) + i32(1)) * 1000000), bad),
        ('a million exceptions in each other', DELTA, one(b'\x7b' * 1000000), bad),
        ('a million handles', DELTA, one(array(*[b'\x74\0\0'] * 1000000)), 'sessions_created'),
        ('an array in itself', DELTA, one(array(reference(1))), None),
        ('a class above itself', DELTA, one(b'\x73' + class_desc('A', 1, [], reference(0))), bad),
        ('two to the power of a hundred', DELTA, one(doubled(100)), None),
        ('one array 4,000 times', DELTA,
         delta('evil', [array(bytes(8 * MIB), n=8 * MIB, descriptor=BYTE_ARRAY)] + [reference(1)] * 4000), left_out),
        ('block data of 2 GiB', DELTA, HEADER + b'\x7a' + i32(0x7fffffff) + bytes(100), bad),
        ('block data of -1 bytes', DELTA, HEADER + b'\x7a' + i32(-1) + bytes(100), bad),
        ('an array of 2 GiB', DELTA, one(array(n=0x7fffffff, descriptor=BYTE_ARRAY)), bad),
        ('an array of -1 bytes', DELTA, one(array(n=-1, descriptor=BYTE_ARRAY)), bad),
        ('a string of 2^62 bytes', DELTA, one(b'\x7c' + i64(1 << 62)), bad),
        ('a proxy with 2^31 interfaces', DELTA, one(b'\x73\x7d' + i32(0x7fffffff)), bad),
        ('2^31 actions', DELTA, HEADER + block(utf('evil') + b'\0' + i32(0x7fffffff)), bad),
        ('a block of 2^31 sessions', ALL_DATA, HEADER + b'\x73' + class_desc(
            'java.lang.Integer', 0x12e2a0a4f7818738, [b'I' + utf('value')], class_desc(
                'java.lang.Number', 0x86ac951d0b94e08b, [])) + i32(0x7fffffff), bad),
    ]


# --- who attacks ---

def tcp(port, timeout_s=CLOSED_S, host='127.0.0.1'):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout_s)
    s.bind((STRANGER, 0))
    s.connect((host, port))
    return s


def send(s, content):
    """False: the node has closed the connection meanwhile."""
    try:
        s.sendall(content)
        return True
    except (ConnectionError, socket.timeout):
        return False


def rest(s):
    """What comes until the connection ends; the node must end it."""
    got = b''
    while True:
        try:
            more = s.recv(65536)
        except ConnectionError:
            return got
        if not more:
            return got
        got += more


def verdict(s):
    got = b''
    while len(got) < len(ACK):
        more = s.recv(len(ACK) - len(got))
        if not more:
            raise AssertionError('the connection was closed instead of an answer')
        got += more
    return got


def open_files():
    """Thousands of connections from here; gives how many files may be open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
    return want


class Group:
    """The stranger's socket on the multicast group."""

    def __init__(self, port):
        self.to = (GROUP, port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((STRANGER, 0))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('127.0.0.1'))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)

    def send(self, datagram):
        self.socket.sendto(datagram, self.to)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()


class Impostor:
    """A member as far as anybody can tell from outside: it announces itself and takes connections, which it reads and
    answers with nothing."""

    def __init__(self, group_port, number=77, **more):
        self.group = Group(group_port)
        self.listener = socket.create_server((STRANGER, 0))
        self.port = self.listener.getsockname()[1]
        self.record = member(STRANGER, self.port, number, **more)
        self.stop = threading.Event()
        self.taken = []
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.announce, self.accept)]
        for t in self.threads:
            t.start()

    def announce(self):
        while not self.stop.wait(0.1):
            self.group.send(self.record)

    def accept(self):
        self.listener.settimeout(0.1)
        while not self.stop.is_set():
            with contextlib.suppress(socket.timeout):
                self.taken.append(self.listener.accept()[0])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for t in self.threads:
            t.join()
        for s in [*self.taken, self.listener, self.group.socket]:
            s.close()


# --- what is attacked ---

class HostileTest(NodeTest):
    """One node with short heartbeats, a front door on TCP, and a session that must survive."""

    def setUp(self):
        super().setUp()
        self.doors = {}

    def hold(self, name='n1', cluster='', front='', contexts='', start=None, **more):
        node = self.node(name, cluster_more=cluster, **more)
        self.doors[name] = free_port()
        text = node.file.read_text()
        text = text.replace('    mcastAddr:', '    mcastFrequency: 100\n    mcastDropTime: 1000\n    mcastAddr:')
        text = text.replace('  listen: [', f'  {front}\n  listen: ["127.0.0.1:{self.doors[name]}", ')
        text = text.replace('contexts:\n', f'contexts:\n  {contexts}\n')
        node.write(text)
        # What is freed shall not count: else every attack would look as if it pinned memory.
        asan = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=4:allocator_release_to_os_interval_ms=100"
        node.start(env={'ASAN_OPTIONS': asan.lstrip(':')}, **(start or {}))
        if name == 'n1':
            with node.redis() as r:
                r.call('HSET', 'sess:held', 'cart', '3 books')
            self.begin(node)
        return node

    def begin(self, node):
        """Counting starts here."""
        with contextlib.suppress(PermissionError): # only root may; else the peak since the start counts
            pathlib.Path(f'/proc/{node.process.pid}/clear_refs').write_text('5')
        self.memory = self.status_kib(node, 'VmRSS')
        self.counters = self.count(node)
        self.log_at = len(node.log())

    def status_kib(self, node, field):
        text = pathlib.Path(f'/proc/{node.process.pid}/status').read_text()
        return int(re.search(rf'^{field}:\s+(\d+)', text, re.M)[1])

    def count(self, node):
        return node.json('status')['counters']

    def grown(self, node, counter):
        return self.count(node)[counter] - self.counters[counter]

    def lines(self, node, text=STRANGER):
        return [l for l in node.log()[self.log_at:].splitlines() if text in l]

    def check_alive(self, node, mib, full=False):
        """The same process, the session, and at most so much memory more at any moment since begin()."""
        self.assertIsNone(node.process.poll(), node.log()[-3000:])
        with node.redis() as r:
            self.assertEqual(r.call('HGET', 'sess:held', 'cart'), b'3 books')
        status = node.json('status')
        self.assertTrue(full or status['complete'], status['why'])
        self.assertEqual(int(status['daemon']['pid']), node.process.pid)
        more = (self.status_kib(node, 'VmHWM') - self.memory) / 1024
        print(f'    {self.id().split(".")[-1]}: {more:.0f} MiB', flush=True)
        self.assertLess(more, mib, 'MiB of memory in use at some time')
        return status

    def check_log(self, node, least=1, most=LINES_MAX):
        named = self.lines(node)
        self.assertGreaterEqual(len(named), least, node.log()[self.log_at:][:3000])
        lines = node.log()[self.log_at:].splitlines()
        self.assertLessEqual(len(lines), most, '\n'.join(lines[:200]))

    def check_stopped(self, node):
        self.assertEqual(node.stop(), 0, node.log()[-3000:])

    def answered(self, s, node, message, options=USE_ACK | SYNC, source=None):
        if not send(s, frame(data(source or member(STRANGER, 4000), message, options))):
            return rest(s)
        return verdict(s)


class Receiver(HostileTest):
    def malformed(self):
        me = member(STRANGER, 4000)
        hello = data(me, b'hello', BYTES)
        yield 'wrong start', b'FLT2003' + frame(hello)[7:]
        yield 'garbage', os.urandom(64).replace(b'F', b'G')
        yield 'RESP', b'*1\r\n$4\r\nPING\r\n' * 4
        yield 'TLS', bytes.fromhex('1603010200010001fc0303') + bytes(64)
        yield 'wrong end', frame(hello)[:-7] + b'TLF2004'
        yield 'empty body', frame(b'')
        for n in (1, 11, 12, 20, 40, len(hello) - 1):
            yield f'body of {n} bytes', frame(hello[:n])
        for n in (-1, -2147483648, 0x7fffffff, 2 * MIB):
            yield f'frame length {n}', frame(hello, n)
        for n in (-1, -2147483648, 0x7fffffff, 100000, 127):
            for field in ('u', 'a', 'm'):
                yield f'{field} = {n}', frame(data(me, b'hello', BYTES, **{field: n}))
            for field in ('body', 'h', 'c', 'd', 'p'):
                yield f'member {field} = {n}', frame(data(member(STRANGER, 4000, **{field: n}), b'hello', BYTES))

    def test_malformed_frames(self):
        node = self.hold()
        attacks = list(self.malformed())
        for name, content in attacks:
            with self.subTest(name), tcp(node.port) as s:
                send(s, content)
                self.assertEqual(rest(s), b'')
        wait_for('all counted', lambda: self.grown(node, 'frames_bad') == len(attacks))
        whole = frame(data(member(STRANGER, 4000), b'hello', BYTES | USE_ACK))
        for n in range(1, len(whole), 7): # the end comes within a frame
            with tcp(node.port) as s:
                send(s, whole[:n])
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(rest(s), b'')
        truncated = len(range(1, len(whole), 7))
        wait_for('all counted', lambda: self.grown(node, 'frames_bad') == len(attacks) + truncated)
        with tcp(node.port) as s:   # after all of that a good one, byte by byte
            for i in range(len(whole)):
                s.sendall(whole[i:i + 1])
            self.assertEqual(verdict(s), ACK)
        self.check_alive(node, 60)
        self.check_log(node)
        self.check_stopped(node)

    def test_unfinished_frames(self):
        """300 MiB of frames that never come whole, by connections that stay open."""
        node = self.hold()
        part = b'FLT2002' + i32(MIB - 1000) + bytes(MIB - 2000)
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(tcp(node.port)) for _ in range(300)]
            for s in connections:
                s.settimeout(5)
                send(s, part)
            wait_for('most are closed', lambda: self.grown(node, 'frames_bad') > 200)
            self.check_alive(node, 160)
        self.check_log(node)
        self.check_stopped(node)

    def test_acknowledgements_that_nobody_reads(self):
        node = self.hold()
        frames = frame(data(member(STRANGER, 4000), b'', BYTES | USE_ACK)) * 1000
        with tcp(node.port) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(1)
            sent = 0
            while sent < 1000 and send(s, frames):
                sent += 1
            self.assertLess(sent, 1000, 'the node reads on, although its answers are not read')
            self.check_alive(node, 60)
        self.check_stopped(node)

    def test_half_open_connections(self):
        """2,000 connections of strangers leave room for a node that starts."""
        node = self.hold()
        n = min(2000, open_files() - 200)
        with contextlib.ExitStack() as stack:
            for _ in range(n):
                stack.enter_context(tcp(node.port))
            wait_for('most are refused', lambda: self.grown(node, 'connections_refused') >= n - 600)
            peer = self.hold('n2', address='127.0.0.2')
            wait_for('n2 has the session', lambda: len(peer.json('sessions')) == 1)
            self.assertEqual(len(node.json('members')), 2)
            self.check_alive(node, 120)
            self.check_log(node, most=LINES_MAX + 6)
        self.check_stopped(peer)
        self.check_stopped(node)


class Java(HostileTest):
    def test_streams(self):
        """Sent by a member, because strangers may not send frames of this size."""
        node = self.hold()
        with Impostor(self.mcast_port) as member_here:
            wait_for('the impostor is a member', lambda: len(node.json('members')) == 2)
            self.begin(node)
            for name, event, body, counter in java_attacks():
                with self.subTest(name), tcp(node.port, 30) as s:
                    before = self.count(node)
                    began = time.monotonic()
                    got = self.answered(s, node, session_message(event, 'evil', body), source=member_here.record)
                    self.assertIn(got, (ACK, FAIL_ACK))
                    self.assertLess(time.monotonic() - began, 10)
                    grown = {k: v - before[k] for k, v in self.count(node).items() if v > before[k]}
                    if counter:
                        self.assertIn(counter, grown)
            with tcp(node.port) as s:   # a length in the message itself
                message = session_message(DELTA, 'evil', delta('evil', []), body_length=0x7fffffff)
                self.assertIn(self.answered(s, node, message), (ACK, FAIL_ACK))
            self.check_alive(node, 320)
            # What has been kept of it can be looked at.
            with node.redis() as r:
                self.assertEqual(r.call('EXISTS', 'sess:evil'), 1)
                r.call('HGETALL', 'sess:evil')
            self.assertEqual(node.ctl('session', 'evil', '--reveal').returncode, 0)
            self.check_alive(node, 600)
            self.check_log(node)
        self.check_stopped(node)


class Multicast(HostileTest):
    def garbage(self):
        me = member(STRANGER, 4000)
        yield b''
        yield b'\0'
        yield b'TRIBES-B\1\0'
        yield bytes(65507)
        yield os.urandom(1400)
        yield b'TRIBES-B\1\0' + bytes(65000)
        yield from (me[:n] for n in range(1, len(me), 3))
        for n in (-1, -2147483648, 0x7fffffff, 100, 127, 128):
            for field in ('body', 'h', 'c', 'd', 'p'):
                yield member(STRANGER, 4000, **{field: n})
        for host, port in (('0.0.0.0', 4000), (GROUP, 4000), (STRANGER, 0), (STRANGER, -1)):
            yield member(host, port)
        hello = data(me, b'hello', BYTES)
        yield b'FLT2002'
        yield frame(hello, -1)
        yield frame(hello, 0x7fffffff)
        yield frame(hello)[:-1]
        yield frame(hello[:30])
        yield frame(data(member(STRANGER, 4000, d=-1), b'hello', BYTES))

    def test_garbage(self):
        node = self.hold()
        garbage = list(self.garbage())
        with Group(self.mcast_port) as group:
            for _ in range(20):
                for datagram in garbage:
                    group.send(datagram)
                time.sleep(0.02)
        # The system may drop some.
        wait_for('most are counted', lambda: self.grown(node, 'datagrams_bad') > 18 * len(garbage))
        self.assertEqual(len(node.json('members')), 1)
        self.check_alive(node, 60)
        self.check_log(node, least=2)
        self.check_stopped(node)

    def test_ten_thousand_members(self):
        """Invented ones, and more with 64 KiB of payload; a real one stays and another comes."""
        node, peer = self.hold(), self.hold('n2', address='127.0.0.2')
        wait_for('two members', lambda: len(node.json('members')) == 2)
        self.begin(node)
        big = bytes(65000)
        with Group(self.mcast_port) as group:
            for i in range(2000):
                group.send(member(STRANGER, 1, 20000 + i, payload=big))
                if i % 10 == 0:
                    time.sleep(0.002)
            def ten_thousand(): # the system drops what comes too fast
                for i in range(10000):
                    group.send(member(f'127.0.{1 + i % 100}.{1 + i // 100}', 4000 + i % 7, i))
                    if i % 100 == 0:
                        time.sleep(0.005)
                return self.grown(node, 'heartbeats_received') > 5000 and self.grown(node, 'datagrams_bad') > 500

            wait_for('most are heard, and many are too many', ten_thousand)
            self.check_alive(node, 200)
        third = self.hold('n3', address='127.0.0.3')
        for n in (node, peer, third):
            wait_for('three members', lambda n=n: len(n.json('members')) == 3)
        self.assertEqual(self.grown(node, 'members_disappeared'), 0)
        self.check_log(node)
        for n in (third, peer, node):
            self.check_stopped(n)

    def heard(self, port):
        """The heartbeat of the node with this receiver."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((GROUP, self.mcast_port))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         socket.inet_aton(GROUP) + socket.inet_aton('127.0.0.1'))
            s.settimeout(5)
            while True:
                record = s.recv(65535)
                if record[22:26] == i32(port):
                    return record

    def test_stolen_identities(self):
        node, peer = self.hold(), self.hold('n2', address='127.0.0.2')
        wait_for('two members', lambda: len(node.json('members')) == 2)
        ours, theirs = self.heard(node.port), self.heard(peer.port)
        self.begin(node)
        with Group(self.mcast_port) as group:
            for _ in range(15):
                for record in (ours, theirs):
                    group.send(record[:22] + i32(free_port()) + record[26:])             # its id elsewhere
                    group.send(record[:35] + socket.inet_aton(STRANGER) + record[39:])
                    group.send(record[:47] + b'\x11' * 16 + record[63:])                 # its address
                    group.send(record[:14] + i64(-1) + record[22:])                      # its age
                    group.send(record[:14] + i64(1 << 62) + record[22:])
                time.sleep(0.1)
            leaving = theirs[:39] + i32(9) + b'BABY-ALEX' + theirs[43:]
            group.send(leaving[:10] + i32(len(leaving) - 24) + i64((1 << 63) - 1) + leaving[22:])
        self.assertEqual(len(theirs), 77 + 10)  # offsets above are those without command and domain
        for n in (node, peer):
            wait_for('two members', lambda n=n: [m['port'] for m in sorted(n.json('members'), key=lambda m: m['host'])] ==
                     [node.port, peer.port])
        with node.redis() as r:
            r.call('HSET', 'sess:later', 'n', '1')
        wait_for('n2 has both', lambda: len(peer.json('sessions')) == 2)
        self.check_alive(node, 60)
        self.check_log(node, least=0, most=80)
        self.check_stopped(peer)
        self.check_stopped(node)

    def test_another_domain(self):
        node = self.hold()
        with Impostor(self.mcast_port, domain=b'other'):
            wait_for('it is a member', lambda: len(node.json('members')) == 2)
            wait_for('heartbeats are counted', lambda: self.grown(node, 'datagrams_foreign_domain') > 5)
            self.check_alive(node, 60)
        self.assertEqual(len(self.lines(node, 'is of domain')), 1)
        self.assertIn(STRANGER, self.lines(node, 'is of domain')[0])
        self.check_stopped(node)


class FrontDoor(HostileTest):
    def requests(self):
        yield b'*2147483648\r\n'
        yield b'*1048577\r\n'
        yield b'*99999999999999999999\r\n'
        yield b'*x\r\n'
        for length in (b'-1', b'-2147483648', b'2147483648', b'999999999999999999999', b'x', b''):
            yield b'*2\r\n$3\r\nGET\r\n$' + length + b'\r\n'
        yield b'*2\r\n$3\r\nGET\r\n+OK\r\n'
        yield b'SET "unbalanced\r\n'
        yield b'*' + b'1' * 70000
        yield b'x' * 70000

    def test_absurd_requests(self):
        node = self.hold()
        requests = list(self.requests())
        for content in requests:
            with self.subTest(content[:40]), tcp(self.doors['n1']) as s:
                send(s, content)
                self.assertRegex(rest(s), b'^-ERR Protocol error: .*\r\n$')
        self.assertEqual(self.grown(node, 'clients_bad'), len(requests))
        self.check_alive(node, 60)
        self.check_log(node)
        self.check_stopped(node)

    def test_replies_that_nobody_reads(self):
        node = self.hold(front='maxOutputBytes: 4m')
        with node.redis() as r:
            r.call('SET', 'sess:big', 'x' * MIB)
        request = b'*2\r\n$3\r\nGET\r\n$8\r\nsess:big\r\n'
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                s = stack.enter_context(tcp(self.doors['n1'], 0.5))
                send(s, request * 1000)
            time.sleep(0.5)
            self.check_alive(node, 140)
        self.check_stopped(node)

    def test_requests_without_end(self):
        node = self.hold(front='maxBufferBytes: 16m')
        starts = (b'*3\r\n$3\r\nSET\r\n$8\r\nsess:big\r\n$30000000\r\n' + bytes(4 * MIB),
                  b'*1048576\r\n' + b'$0\r\n\r\n' * 700000)
        for start in starts:
            with contextlib.ExitStack() as stack:
                for _ in range(30):
                    s = stack.enter_context(tcp(self.doors['n1'], 2))
                    send(s, start)
                wait_for('some are closed', lambda: self.grown(node, 'clients_bad') > 20)
                self.check_alive(node, 140)
            self.counters = self.count(node)
        self.check_log(node)
        self.check_stopped(node)

    def test_too_many_clients(self):
        node = self.hold(front='maxClients: 300')
        n = min(2000, open_files() - 200)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(tcp(self.doors['n1'])) for _ in range(n)]
            wait_for('most are refused', lambda: self.grown(node, 'clients_refused') >= n - 300)
            self.assertEqual(rest(clients[300]), b'-ERR max number of clients reached\r\n')
        self.check_alive(node, 60)
        self.check_log(node)
        self.check_stopped(node)

    def test_too_few_files(self):
        """More connections than files: accepting pauses, nothing ends."""
        node = self.hold(start={'preexec_fn': lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))})
        with contextlib.ExitStack() as stack:
            for i in range(400):
                stack.enter_context(tcp(self.doors['n1'] if i % 2 else node.port))
            time.sleep(1)
            self.assertIsNone(node.process.poll())
        wait_for('it accepts again', lambda: node.ctl('ping').returncode == 0)
        self.check_alive(node, 60)
        self.check_log(node, least=0)
        self.check_stopped(node)


class Members(HostileTest):
    def test_gigabytes_that_never_come(self):
        node = self.hold()
        with Impostor(self.mcast_port), contextlib.ExitStack() as stack:
            wait_for('the impostor is a member', lambda: len(node.json('members')) == 2)
            self.begin(node)
            for _ in range(200):
                stack.enter_context(tcp(node.port)).sendall(b'FLT2002' + i32(1000000000) + bytes(100000))
            time.sleep(0.5)
            self.check_alive(node, 100)
        self.check_log(node)
        self.check_stopped(node)

    def test_messages_of_clusterd_nodes(self):
        """Each kind with bodies that lie and a flood of large ones, by somebody who is in no view and by a member."""
        node = self.hold()
        lies = (b'', b'\0', b'\xff' * 5, b'\xff' * 40, os.urandom(1000), bytes(300000), b'\xff' * 300000)
        with Impostor(self.mcast_port, payload=b'clusterd/1') as known:
            wait_for('the impostor is a member', lambda: len(node.json('members')) == 2)
            self.begin(node)
            unknown = member(STRANGER, 4001, payload=b'clusterd/1')
            for source in (unknown, known.record):
                with tcp(node.port) as s:
                    s.settimeout(20)
                    for kind in b'CHGSEDYFR\0\xff':
                        for body in lies:
                            message = b'CLD1' + bytes([kind]) + body
                            self.assertIn(self.answered(s, node, message, USE_ACK | SYNC | BYTES, source), (ACK, FAIL_ACK))
                    status = b'CLD1H' + b'\1' + i64(0) + i32(60000) + bytes(960000)
                    many = frame(data(source, status, BYTES))
                    for _ in range(150):
                        s.sendall(many)
                    self.answered(s, node, b'CLD1H', USE_ACK | SYNC | BYTES, source)
            self.assertGreater(self.grown(node, 'messages_undecodable'), 20)
            self.check_alive(node, 150)
        self.check_log(node, most=LINES_MAX + 20)
        self.check_stopped(node)


class Limits(HostileTest):
    def test_ends_and_ended_sessions(self):
        """Ends of sessions that nobody knows, new ids for them, and changes of sessions that have ended."""
        node = self.hold(cluster='maxBytes: 4m')
        source = member(STRANGER, 4000)
        rename = lambda to: HEADER + block(utf(to))
        value = array(bytes(900000), n=900000, descriptor=BYTE_ARRAY)
        with tcp(node.port) as s:
            self.answered(s, node, session_message(EXPIRED, 'over'), source=source)
            late = frame(data(source, session_message(DELTA, 'over', delta('over', [value])), 0)[:4] + i64(1) +
                         data(source, session_message(DELTA, 'over', delta('over', [value])), 0)[12:])
            for _ in range(200):
                s.sendall(late)
            self.answered(s, node, session_message(EXPIRED, 'over'), source=source)
            self.assertGreater(self.grown(node, 'deltas_parked'), 150)
            self.check_alive(node, 100)
            for i in range(10000):
                s.sendall(frame(data(source, session_message(EXPIRED, f'{i}'.rjust(500, 'x')))))
                s.sendall(frame(data(source, session_message(CHANGE_ID, f'{i}'.rjust(500, 'y'), rename(f'z{i}')))))
            self.answered(s, node, session_message(EXPIRED, 'over'), source=source)
        self.assertGreater(self.grown(node, 'sessions_rejected'), 1000)
        self.assertLess(node.json('status')['session_bytes'], 5 * MIB)
        self.check_alive(node, 100, full=True)
        self.check_log(node)
        self.check_stopped(node)

    def test_sessions_contexts_and_names(self):
        node = self.hold(cluster='maxBytes: 4m', contexts='maxContexts: 8')
        source = member(STRANGER, 4000)
        value = array(bytes(200000), n=200000, descriptor=BYTE_ARRAY)
        with tcp(node.port) as s:
            for i in range(50):
                self.answered(s, node, session_message(CREATED, 'x', context=f'localhost#/{i}\x1b[31m'), source=source)
            for name in ('x' * 513, 'x' * 60000):
                self.answered(s, node, session_message(CREATED, name), source=source)
            self.assertGreaterEqual(self.grown(node, 'contexts_refused'), 40)
            self.assertEqual(self.grown(node, 'sessions_rejected'), 2)
            many = [array(bytes(500000), n=500000, descriptor=BYTE_ARRAY)] + [reference(1)] * 100
            self.answered(s, node, session_message(DELTA, 'large', delta('large', many)), source=source)
            self.assertEqual(self.grown(node, 'sessions_rejected'), 3)
            for i in range(100):
                message = session_message(DELTA, f'evil{i}', delta(f'evil{i}', [value]))
                self.answered(s, node, message, source=source)
        self.assertGreater(self.grown(node, 'sessions_rejected'), 70)
        status = self.check_alive(node, 160, full=True)
        self.assertTrue(status['full'])
        self.assertLess(status['session_bytes'], 5 * MIB)
        with node.redis() as r:
            with self.assertRaisesRegex(RuntimeError, '^OOM '):
                r.call('SET', 'sess:more', 'x')
        self.check_log(node)
        self.assertNotIn('\x1b', node.log())
        self.check_stopped(node)


def all_at_once():
    """Most of the time is spent waiting: each class in a process (and a namespace) of its own."""
    classes = [c.__name__ for c in HostileTest.__subclasses__()]
    runs = [(name, subprocess.Popen([sys.executable, '-B', __file__, name], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)) for name in classes]
    failed = []
    for name, run in runs:
        print(run.communicate()[0], flush=True)
        if run.returncode:
            failed.append(name)
    sys.exit(f'failed: {", ".join(failed)}' if failed else 0)


if len(sys.argv) > 1:
    main()
else:
    all_at_once()
