#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long does it take until a killed node is reported? From SIGKILL to the `memberDisappeared` lines of the two
others, by the time that those lines bear:
  busy    sessions are written through every node, sync,use_ack
  idle    nothing is written; the connections stand
  cut off the cable to its host is cut in the same moment, so that no connection tells and heartbeats alone can
(Between clusterd nodes there is no third case of Tomcat's, "no connection at all": they always keep one.)
Then SIGSTOP: the node is reported as suspect (silent) and lagging (nothing acknowledged), stays a member, and is an
ordinary member again after SIGCONT.

Figures are printed, not judged; the test fails when something is not noticed at all.

usage: detect.py [--runs N]      BIN=DIR: where clusterd and clusterctl are
"""

import argparse
import datetime
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import wait_for

LIMIT_S = 10
GONE = 'Received member disappeared:['
BACK = 'Replication member added:['


class Writers:
    """One client a node, which writes as fast as it gets answers; what happens to its writes is not looked at."""

    def __init__(self, nodes):
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(node,)) for node in nodes]
        for thread in self.threads:
            thread.start()

    def write(self, node):
        n = 0
        while not self.ending.is_set():
            try:
                with node.redis() as r:
                    while not self.ending.is_set():
                        n += 1
                        r.call('HSET', f'sess:{node.name}-{n % 100}', 'n', n)
            except (OSError, RuntimeError):
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.ending.set()
        for thread in self.threads:
            thread.join()


class Cluster:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir()
        mcast = harness.free_port(socket.SOCK_DGRAM)
        self.nodes = [harness.Node(folder, f'n{i + 1}', mcast, options='sync,use_ack') for i in range(3)]
        for node in self.nodes:
            node.start(ready=False)
        self.wait_whole()

    def wait_whole(self):
        for node in self.nodes:
            wait_for(f'{node.name} is complete', node.is_complete)
            wait_for(f'{node.name} sees all', lambda node=node: self.states(node) == ['up', 'up'])

    @staticmethod
    def states(node):
        return [m['state'] for m in node.json('members')[1:]]

    def connections(self, port):
        """Established connections from or to that cluster port."""
        text = f':{port:04X}'
        lines = pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]
        return sum(line.split()[3] == '01' and text in ' '.join(line.split()[1:3]) for line in lines)

    def end(self):
        for node in self.nodes:
            node.end()


def seen_at(node, since, text, port):
    """When a line with the text about that port was written (s since 1970), or None; only after `since` bytes."""
    for line in node.log()[since:].splitlines():
        if text in line and f',{port}, alive=' in line:
            return datetime.datetime.fromisoformat(line[:23]).timestamp()
    return None


def kill_once(cluster, victim):
    """ms until each of the others has told."""
    others = [n for n in cluster.nodes if n is not victim]
    since = {n.name: len(n.log()) for n in others}
    killed_at = time.time()
    victim.signal(signal.SIGKILL)
    victim.wait()
    took_ms = []
    for node in others:
        at = wait_for(f'{node.name} notices that {victim.name} was killed',
                      lambda node=node: seen_at(node, since[node.name], GONE, victim.port), LIMIT_S)
        took_ms.append((at - killed_at) * 1000)
    victim.start()
    cluster.wait_whole()
    return took_ms


def tell(what, runs, observers, took_ms, more=''):
    took_ms = sorted(took_ms)
    print(f'{what:8} {runs} kills, each seen by {observers}: median {statistics.median(took_ms):.0f} ms, '
          f'least {took_ms[0]:.0f}, most {took_ms[-1]:.0f}{more}', flush=True)


def kills(folder, options):
    cluster = Cluster(folder / 'tcp')
    try:
        with Writers(cluster.nodes):
            time.sleep(1)
            busy = [ms for i in range(options.runs) for ms in kill_once(cluster, cluster.nodes[i % 3])]
        tell('busy', options.runs, 2, busy)
        idle, n = [], []
        for i in range(options.runs):
            time.sleep(1.5)
            victim = cluster.nodes[i % 3]
            n.append(cluster.connections(victim.port))
            idle += kill_once(cluster, victim)
        tell('idle', options.runs, 2, idle, f' ({min(n)} to {max(n)} connections to the killed node)')
    finally:
        cluster.end()


class Cable:
    """A network namespace that stands for another host, and the cable to it."""

    def __init__(self):
        self.process = subprocess.Popen(['unshare', '-n', 'sleep', '1000'])
        self.prefix = ['nsenter', '-t', str(self.process.pid), '-n']
        wait_for('the other namespace', self.is_there)
        self.ip('link add near type veth peer name far')
        self.ip(f'link set far netns {self.process.pid}')
        self.ip('addr add 10.9.0.1/24 dev near')
        self.ip('link set near up')
        self.ip('addr add 10.9.0.2/24 dev far', far=True)
        self.ip('link set far up', far=True)
        self.ip('link set lo up', far=True)

    def is_there(self):
        return os.readlink(f'/proc/{self.process.pid}/ns/net') != os.readlink('/proc/self/ns/net')

    def ip(self, words, far=False):
        subprocess.run([*(self.prefix if far else []), 'ip', *words.split()], check=True)

    def end(self):
        self.process.kill()
        self.process.wait()


def cut_off(folder, options):
    if not harness.has_namespace():
        print('cut off  skipped: no network namespace here')
        return
    folder = folder / 'cable'
    folder.mkdir()
    cable = Cable()
    a, victim = (harness.Node(folder, f'n{i}', 45564, port=4001, bind=f'10.9.0.{i}', address=f'10.9.0.{i}',
                              allow='10.9.0.0/24') for i in (1, 2))
    victim.prefix = cable.prefix
    took_ms = []
    try:
        a.start()
        for _ in range(options.runs):
            victim.start()
            wait_for('both see each other', lambda: len(a.json('members')) == len(victim.json('members')) == 2)
            since = len(a.log())
            began = time.time()
            cable.ip('link set near down')
            victim.signal(signal.SIGKILL)
            victim.wait()
            at = wait_for('the lost host is noticed', lambda since=since: seen_at(a, since, GONE, victim.port), LIMIT_S)
            took_ms.append((at - began) * 1000)
            cable.ip('link set near up')
        tell('cut off', options.runs, 1, took_ms, ' (mcastDropTime is 3,000)')
    finally:
        a.end()
        victim.end()
        cable.end()


def state_of(node, other):
    found = [m for m in node.json('members') if m['port'] == other.port]
    return found[0] if found else None


def stop_and_go(folder):
    cluster = Cluster(folder / 'stop')
    a, b, victim = cluster.nodes
    try:
        stopped = time.monotonic()
        victim.signal(signal.SIGSTOP)
        with a.redis() as r:
            r.call('SET', 'sess:x', '1')        # the one slow write
            slow_ms = (time.monotonic() - stopped) * 1000
            lagging = wait_for('lagging', lambda: state_of(a, victim)['lagging'] and time.monotonic(), LIMIT_S)
            began = time.monotonic()
            for i in range(100):
                r.call('SET', 'sess:x', i)
            next_ms = (time.monotonic() - began) * 10
        suspect = wait_for('suspect', lambda: state_of(b, victim)['suspect'] and time.monotonic(), LIMIT_S)
        time.sleep(3)
        for node in (a, b):
            if not state_of(node, victim):
                raise AssertionError(f'{node.name} has dropped a stopped node')
        victim.signal(signal.SIGCONT)
        went = time.monotonic()
        cluster.wait_whole()
        back_ms = (time.monotonic() - went) * 1000
        with victim.redis() as r:
            wait_for('the stopped node has caught up', lambda: r.call('GET', 'sess:x') == b'99')
        print(f'SIGSTOP  lagging after {(lagging - stopped) * 1000:.0f} ms, suspect after '
              f'{(suspect - stopped) * 1000:.0f} ms, still a member; the first write took {slow_ms:.0f} ms, the next '
              f'100 {next_ms:.2f} ms each; after SIGCONT an ordinary member in {back_ms:.0f} ms')
    finally:
        victim.signal(signal.SIGCONT)
        cluster.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--runs', type=int, default=5)
    options = parser.parse_args()
    harness.enter_namespace()
    print(f'clusterd seen by clusterd; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    folder = pathlib.Path(tempfile.mkdtemp(prefix='clusterd-detect.'))
    try:
        kills(folder, options)
        cut_off(folder, options)
        stop_and_go(folder)
    except AssertionError as e:
        print(f'FAILED: {e}\nlogs: {folder}')
        sys.exit(1)
    shutil.rmtree(folder)


main()
