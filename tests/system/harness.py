# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: real nodes as child processes in a folder of their own, questions to them by clusterctl
and by a small Redis client, waiting with a limit. Each test file runs in a network namespace of its own when the
machine allows that (so that ports and multicast groups are all free), else on 127.0.0.1 with ports that are free.
BIN is the folder of clusterd and clusterctl."""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get('BIN', HERE.parents[1] / 'build/dev')).resolve()
CLUSTERD = str(BIN / 'clusterd')
CLUSTERCTL = str(BIN / 'clusterctl')
WAIT_S = 30
INSIDE = 'CLUSTERD_TEST_NAMESPACE'


def enter_namespace():
    """Run this program again in a network namespace whose loopback interface is up; go on without where that is
    not allowed."""
    if INSIDE in os.environ:
        return
    up = 'ip link set lo up && ip link set lo multicast on && ip route add multicast 224.0.0.0/4 dev lo 2>/dev/null; :'
    options = ['-n'] if os.getuid() == 0 else ['-rn']
    command = ['unshare', *options, 'sh', '-c', f'{up}; exec "$@"', 'sh']
    try:
        possible = subprocess.run([*command, 'ip', 'addr', 'show', 'lo'], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return
    if possible.returncode == 0 and '127.0.0.1' in possible.stdout:
        os.environ[INSIDE] = '1'
        os.execvp('unshare', [*command, sys.executable, '-B', *sys.argv])


def has_namespace():
    return INSIDE in os.environ


def main():
    """Instead of unittest.main()."""
    enter_namespace()
    unittest.main(verbosity=2)


def free_port(kind=socket.SOCK_STREAM):
    """Below the range of outgoing connections, one of which might take it while its node is restarted."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port


def wait_for(what, condition, limit_s=WAIT_S):
    """The first true result of the condition; fails after the limit."""
    end = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f'waited {limit_s} s for this: {what}')
        time.sleep(0.02)


class Redis:
    """A connection to a front door: call() gives int, bytes, None, list, or raises RuntimeError for -ERR."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(str(path))
        self.file = self.socket.makefile('rb')

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def call(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise ConnectionError('the connection has ended')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest
        if kind == b'-':
            raise RuntimeError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            n = int(rest)
            return None if n < 0 else self.file.read(n + 2)[:-2]
        if kind == b'*':
            return None if rest == b'-1' else [self.read() for _ in range(int(rest))]
        raise ValueError(line)


class Node:
    """One clusterd with a folder of its own below the test's."""

    def __init__(self, folder, name, mcast_port, port=None, config=None, **more):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.name = name
        self.port = port or free_port()
        self.control = self.folder / 'control.sock'
        self.redis_path = self.folder / 'redis.sock'
        self.log_path = self.folder / 'log'
        self.file = self.folder / 'clusterd.yaml'
        self.process = None
        self.prefix = []    # words before the command: nsenter and the like
        self.program = CLUSTERD
        self.settings = {
            'options': 'async', 'cluster_more': '', 'bind': '127.0.0.1', 'address': '127.0.0.1', 'auto_bind': 1,
            'level': 'info', 'control': self.control, 'redis': f'unix:{self.redis_path}', 'mcast_port': mcast_port,
            'context': 'localhost#/shop', 'allow': '127.0.0.0/8', **more}
        self.write(config)

    def write(self, config=None):
        s = self.settings
        self.file.write_text(config if config is not None else f"""
cluster:
  clusterName: test
  jvmRoute: {self.name}
  channelSendOptions: "{s['options']}"
  {s['cluster_more']}
  membership:
    mcastAddr: 228.0.0.4
    mcastPort: {s['mcast_port']}
    bind: {s['bind']}
  receiver:
    tcpListenAddress: {s['address']}
    tcpListenPort: {self.port}
    autoBind: {s['auto_bind']}
    allowFrom: [{s['allow']}]
contexts:
  list:
    - name: "{s['context']}"
      keyPrefix: "sess:"
frontDoor:
  listen: ["{s['redis']}"]
control:
  socket: "{s['control']}"
log:
  level: {s['level']}
  target: stderr
""")

    def start(self, ready=True, env=None, stderr=None, **popen):
        own = open(self.log_path, 'ab') if stderr is None else None
        self.process = subprocess.Popen([*self.prefix, self.program, '--config', str(self.file)],
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=own or stderr, cwd=self.folder,
                                        env={**os.environ, **(env or {})}, **popen)
        if own:
            own.close()
        if ready:
            wait_for(f'{self.name} is complete', self.is_complete)
        return self

    def is_complete(self):
        if self.process.poll() is not None:
            raise AssertionError(f'{self.name} has ended with {self.process.returncode}:\n{self.log()}')
        return self.ctl('status').returncode == 0

    def run(self, limit_s=WAIT_S):
        """For nodes that cannot start: (exit status, what they wrote)."""
        done = subprocess.run([CLUSTERD, '--config', str(self.file)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=self.folder, timeout=limit_s, check=False)
        return done.returncode, done.stdout

    def ctl(self, *words):
        return subprocess.run([CLUSTERCTL, '--socket', str(self.control), *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=WAIT_S, check=False)

    def json(self, *words):
        done = self.ctl(*words, '--json')
        if done.returncode not in (0, 1) or not done.stdout:
            raise AssertionError(f'clusterctl {words}: {done.returncode} {done.stderr}')
        return json.loads(done.stdout)

    def redis(self):
        return Redis(self.redis_path)

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ''

    def wait_log(self, text, limit_s=WAIT_S):
        return wait_for(f'{self.name} logs "{text}"', lambda: text in self.log(), limit_s)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit_s=WAIT_S):
        return self.process.wait(limit_s)

    def stop(self):
        """In order; gives the exit status."""
        self.process.terminate()
        return self.wait()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class NodeTest(unittest.TestCase):
    """A test with a folder for its nodes; whatever still runs at its end is killed, and logs of a failure are shown."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='clusterd-test.')
        self.mcast_port = free_port(socket.SOCK_DGRAM)
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:
            node.end()
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            for node in self.nodes:
                print(f'--- {node.name}\n{node.log()}', file=sys.stderr)
        shutil.rmtree(self.folder)

    def node(self, name='n1', **more):
        node = Node(self.folder, name, self.mcast_port, **more)
        self.nodes.append(node)
        return node

    def cluster(self, n, **more):
        """n complete nodes, each of which sees all others."""
        nodes = [self.node(f'n{i + 1}', **more).start(ready=False) for i in range(n)]
        for node in nodes:
            wait_for(f'{node.name} is complete', node.is_complete)
            wait_for(f'{node.name} sees all', lambda node=node: len(node.json('members')) == n)
        return nodes
