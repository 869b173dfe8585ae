#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting, running and ending of one real clusterd: what it says when it cannot start, signals, its log under bad
conditions, what systemd hears, what the process may do."""

import fcntl
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

from harness import CLUSTERD, NodeTest, free_port, main, wait_for


class CannotStart(NodeTest):
    def refuse(self, node, *texts):
        status, said = node.run()
        self.assertEqual(status, 3, said)
        for text in texts:
            self.assertIn(text, said)
        self.assertIn('clusterd cannot start', said)
        self.assertFalse(pathlib.Path(node.control).is_socket(), 'the control socket was left behind')

    def test_cluster_port_in_use(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            self.refuse(self.node(port=port), str(port), 'in use')

    def test_port_search(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            node = self.node(port=port, auto_bind=20).start()
            self.assertGreater(node.json('members')[0]['port'], port)
            self.assertEqual(node.stop(), 0)

    def test_front_door_port_in_use(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            self.refuse(self.node(redis=f'127.0.0.1:{port}'), f'127.0.0.1:{port}', 'in use')

    def test_control_socket_in_use(self):
        first = self.node('n1').start()
        second = self.node('n2', control=first.control)
        status, said = second.run()
        self.assertEqual(status, 3, said)
        self.assertIn(str(first.control), said)
        self.assertEqual(first.ctl('ping').returncode, 0, 'the first node lost its socket')

    def test_stale_control_socket_is_replaced(self):
        node = self.node()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(node.control))
        node.start()
        self.assertEqual(node.ctl('ping').stdout, 'PONG\n')
        self.assertEqual(node.stop(), 0)
        self.assertFalse(node.control.exists())

    def test_no_such_interface(self):
        self.refuse(self.node(bind='10.99.99.99'), '10.99.99.99')

    def test_address_of_another_machine(self):
        self.refuse(self.node(address='10.99.99.99'), '10.99.99.99')

    def test_folder_of_the_socket_is_missing(self):
        self.refuse(self.node(control='/nonexistent/deeper/control.sock'), '/nonexistent/deeper/control.sock')

    def test_mistakes_in_the_configuration(self):
        status, said = self.node(config='cluster: {clustername: x}\n').run()
        self.assertEqual(status, 1)
        self.assertIn('clusterd.yaml:1: error: clustername: unknown key; did you mean clusterName?', said)


class Signals(NodeTest):
    def test_term_and_int_leave_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                a = self.node(f'a{number}').start()
                b = self.node(f'b{number}').start()
                wait_for('a sees b', lambda: len(a.json('members')) == 2)
                began = time.monotonic()
                b.signal(number)
                self.assertEqual(b.wait(), 0)
                a.wait_log('Received member disappeared:', 2) # dropTime is 3 s: it was told
                self.assertLess(time.monotonic() - began, 2.5)
                self.assertIn('Stopped', b.log())
                self.assertFalse(b.control.exists() or b.redis_path.exists())
                self.assertEqual(a.stop(), 0)

    def test_while_it_starts(self):
        for wait_s in (0.0, 0.05, 0.5, 1.5):
            with self.subTest(wait_s):
                node = self.node(f'n{int(wait_s * 100)}').start(ready=False)
                wait_for('the log begins', node.log)
                time.sleep(wait_s)
                self.assertEqual(node.stop(), 0, node.log())

    def test_second_signal_ends_at_once(self):
        a = self.node('a').start()
        b = self.node('b').start()
        wait_for('a sees b', lambda: len(a.json('members')) == 2)
        b.signal(signal.SIGSTOP)
        with a.redis() as r: # something that b does not take, so that a would wait for it
            for i in range(100):
                r.call('SET', f'sess:{i}', 'x' * 100000)
        a.signal(signal.SIGTERM)
        a.wait_log('leaving the cluster')
        time.sleep(0.3)
        if a.process.poll() is None:
            a.signal(signal.SIGTERM)
            self.assertEqual(a.wait(2), 4)
            self.assertIn('again: ending at once', a.log())
        b.signal(signal.SIGCONT)

    def test_a_member_that_hangs_delays_the_end_by_five_seconds(self):
        a = self.node('a').start()
        b = self.node('b').start()
        wait_for('a sees b', lambda: len(a.json('members')) == 2)
        b.signal(signal.SIGSTOP)
        with a.redis() as r:
            for i in range(100):
                r.call('SET', f'sess:{i}', 'x' * 100000)
        began = time.monotonic()
        self.assertEqual(a.stop(), 0)
        self.assertLess(time.monotonic() - began, 9)
        b.signal(signal.SIGCONT)

    def test_hangup_reads_the_configuration_again(self):
        node = self.node().start()
        self.assertNotIn('DEBUG', node.log())
        node.settings['level'] = 'debug'
        node.write()
        node.signal(signal.SIGHUP)
        node.wait_log('Reload: log.level is now debug')
        self.assertIn('  level: debug\n', node.ctl('config').stdout)

        node.settings['mcast_port'] += 1
        node.write()
        node.signal(signal.SIGHUP)
        node.wait_log('Reload: cluster.membership.port has changed, which takes effect when clusterd is started again')
        self.assertIn(f'    port: {self.mcast_port}\n', node.ctl('config').stdout)

        node.write('cluster: [\n')
        node.signal(signal.SIGHUP)
        node.wait_log('Reload: the file has mistakes; everything stays as it is')
        self.assertEqual(node.ctl('status').returncode, 0)
        self.assertEqual(node.stop(), 0)

    def test_broken_pipes_do_not_kill(self):
        node = self.node().start()
        node.signal(signal.SIGPIPE)
        for _ in range(20): # clients that go away without reading
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(node.redis_path))
                s.sendall(b'PING\r\n' * 1000)
        self.assertEqual(node.ctl('ping').returncode, 0)
        self.assertEqual(node.stop(), 0)


class Log(NodeTest):
    def lost(self, node):
        return int(node.json('status')['daemon']['log_lines_lost'])

    def test_full_disk(self):
        with open('/dev/full', 'wb') as full:
            node = self.node().start(stderr=full)
        self.assertGreater(self.lost(node), 3)
        with node.redis() as r:
            self.assertEqual(r.call('SET', 'sess:x', '1'), b'OK')
        self.assertEqual(node.stop(), 0)

    def test_full_pipe(self):
        reader, writer = os.pipe()
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        try:
            while True:
                os.write(writer, b'x' * 4096)
        except BlockingIOError:
            pass
        fcntl.fcntl(writer, fcntl.F_SETFL, flags)
        node = self.node().start(stderr=writer)
        os.close(writer)
        self.assertGreater(self.lost(node), 3)
        os.set_blocking(reader, False)
        try:
            while os.read(reader, 65536):
                pass
        except BlockingIOError:
            pass
        node.signal(signal.SIGHUP) # the reader is back: what was lost is said
        os.set_blocking(reader, True)
        self.assertIn(b'lines are lost', os.read(reader, 65536))
        self.assertEqual(node.stop(), 0)
        os.close(reader)

    def test_reader_that_went_away(self):
        reader, writer = os.pipe()
        os.close(reader)
        node = self.node().start(stderr=writer)
        os.close(writer)
        self.assertGreater(self.lost(node), 3)
        self.assertEqual(node.stop(), 0)

    def test_closed_streams(self):
        node = self.node()
        node.process = subprocess.Popen(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', CLUSTERD, '--config',
                                         str(node.file)], cwd=node.folder)
        wait_for('complete', node.is_complete)
        for fd in (0, 1, 2): # or a session might be written into a log line's place
            self.assertEqual(os.readlink(f'/proc/{node.process.pid}/fd/{fd}'), '/dev/null')
        self.assertEqual(node.stop(), 0)

    def test_times_and_journal_priorities(self):
        node = self.node().start()
        self.assertEqual(node.stop(), 0)
        for line in node.log().splitlines():
            self.assertRegex(line, r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (ERROR|WARN |INFO |DEBUG) \S')

        node = self.node('n2')
        with open(node.log_path, 'wb') as log:
            st = os.fstat(log.fileno())
            node.start(stderr=log, env={'JOURNAL_STREAM': f'{st.st_dev}:{st.st_ino}'})
        self.assertEqual(node.stop(), 0)
        for line in node.log().splitlines():
            self.assertRegex(line, r'^<[3467]>\S')

        node = self.node('n3').start(env={'JOURNAL_STREAM': '1:1'}) # of somebody else
        self.assertEqual(node.stop(), 0)
        self.assertNotIn('<6>', node.log())

    def journal(self, folder):
        """Commands in front of clusterd's: its own /run/systemd/journal, which is this folder."""
        options = ['-m'] if os.getuid() == 0 else ['-rm']
        prefix = ['unshare', *options, 'sh', '-c', f'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && '
                  f'mount --bind {folder} /run/systemd/journal && exec "$@"', 'sh']
        tried = subprocess.run([*prefix, 'true'], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            self.skipTest(f'no mount namespace: {tried.stderr.strip()}')
        return prefix

    def test_target_journal(self):
        node = self.node()
        node.write(node.file.read_text().replace('target: stderr', 'target: journal'))
        folder = pathlib.Path(self.folder) / 'journal'
        folder.mkdir()
        node.prefix = self.journal(folder)
        node.start()  # nobody is there
        self.assertEqual(node.stop(), 0)
        self.assertIn('log: target: the journal cannot be reached; the log goes to stderr', node.log())
        self.assertIn(' INFO  Ready', node.log())

        node.log_path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f'{folder}/socket')
            node.start()
            self.assertEqual(node.stop(), 0)
            s.setblocking(False)
            entries = []
            try:
                while True:
                    entries.append(s.recv(4096).decode())
            except BlockingIOError:
                pass
        self.assertIn('PRIORITY=6\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=Ready\n', entries)
        for entry in entries:
            self.assertRegex(entry, r'^PRIORITY=[3467]\nSYSLOG_IDENTIFIER=clusterd\nMESSAGE=[^\n]+\n$')
        self.assertEqual(node.log(), '')


class Process(NodeTest):
    def test_no_core_dumps_and_many_files(self):
        node = self.node().start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024)))
        limits = pathlib.Path(f'/proc/{node.process.pid}/limits').read_text()
        self.assertRegex(limits, r'Max core file size +0 +0 ')
        self.assertRegex(limits, r'Max open files +1024 +1024 ')
        self.assertEqual(node.stop(), 0)

    def test_what_systemd_hears(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            path = f'{self.folder}/notify'
            s.bind(path)
            s.settimeout(30)
            node = self.node().start(env={'NOTIFY_SOCKET': path})
            self.assertEqual(node.stop(), 0)
            s.setblocking(False)
            heard = []
            try:
                while True:
                    heard += s.recv(4096).decode().splitlines()
            except BlockingIOError:
                pass
        self.assertEqual(heard.count('READY=1'), 1)
        self.assertEqual(heard.count('STOPPING=1'), 1)
        self.assertLess(heard.index('READY=1'), heard.index('STOPPING=1'))
        self.assertIn('STATUS=complete, 0 other members, 0 sessions', heard)

    def test_runs_without_rights(self):
        if os.getuid() != 0:
            self.skipTest('is without rights anyway')
        node = self.node()
        os.chmod(self.folder, 0o755)
        os.chmod(node.folder, 0o777)
        # The checkout may lie where nobody else can read.
        node.program = shutil.copy(node.program, node.folder / 'clusterd')
        node.start(user=65534, group=65534, extra_groups=[])
        with node.redis() as r:
            self.assertEqual(r.call('SET', 'sess:x', '1'), b'OK')
        self.assertEqual(node.stop(), 0)

    def test_port_zero_takes_any(self):
        node = self.node(port=free_port())
        node.write(node.file.read_text().replace(f'tcpListenPort: {node.port}', 'tcpListenPort: 0'))
        node.start()
        self.assertGreater(node.json('members')[0]['port'], 0)
        self.assertEqual(node.stop(), 0)


main()
