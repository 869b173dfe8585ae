# SPDX-License-Identifier: Apache-2.0
"""What rows are made of: processes with their CPU seconds and memory, clusterd nodes, Redis pairs, Tomcats, members of a
bare channel (ours and Tribes'). All live in the network namespace of the run, each in a folder of its own; everything is
ended by its pid, every wait has a limit."""

import datetime
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'interop'))
import lab as interop  # noqa: E402  (Tomcat, Resp, eventually: what the interop tests are made of)

PASSWORD = 'bench'
CONTEXT = 'localhost#/bench'
PREFIX = 's:'
JARS = pathlib.Path(os.environ.get('TOMCAT_JARS', '/usr/share/java'))
TRIBES_JARS = [JARS / f'tomcat10-{name}.jar' for name in ('tribes', 'juli', 'util')]
JVM_FLAGS = ['-Djava.net.preferIPv4Stack=true', '-XX:+UseSerialGC', '-XX:-UsePerfData', '-Xmx1g',
             '--add-opens=java.base/java.lang=ALL-UNNAMED', '--add-opens=java.base/java.io=ALL-UNNAMED',
             '--add-opens=java.base/java.util=ALL-UNNAMED', '--add-opens=java.base/java.util.concurrent=ALL-UNNAMED']
QUICK_JVM = ['-XX:TieredStopAtLevel=1']    # starts sooner, ends slower
TICKS = os.sysconf('SC_CLK_TCK')


class Broken(Exception):
    """Something does not work: the row fails."""


class Skip(Exception):
    """Something that the row needs is not on this machine."""


def check(holds, what):
    if not holds:
        raise Broken(what)


def eventually(what, function, seconds=30, pause=0.02):
    try:
        return interop.eventually(what, function, seconds, pause)
    except interop.Failure as e:
        raise Broken(str(e)) from e


def cpu_s(pid):
    """User and system seconds of all its threads. schedstat has nanoseconds, of living threads only; stat has ticks, of
    those that ended too."""
    words = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='latin-1').rsplit(')', 1)[1].split()
    ticks = (int(words[11]) + int(words[12])) / TICKS
    try:
        exact = sum(int(p.read_text().split()[0]) for p in pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat')) / 1e9
    except (OSError, ValueError, IndexError):
        return ticks
    return exact if abs(exact - ticks) < 0.05 else ticks


def status_bytes(pid, field):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    return 0


def rss(pid):
    return status_bytes(pid, 'VmRSS')


def peak_rss(pid):
    return status_bytes(pid, 'VmHWM')


def anonymous(pid):
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith('Anonymous:'):
            return int(line.split()[1]) * 1024
    return 0


class Running:
    """What is measured of a process, whoever has started it."""

    peak, cpu_used = 0, 0.0

    def cpu(self):
        return cpu_s(self.pid)

    def pin(self, cpus):
        """All its threads, to these CPUs; None: wherever."""
        mask = cpus or available_cpus()
        for task in os.listdir(f'/proc/{self.pid}/task'):
            try:
                os.sched_setaffinity(int(task), mask)
            except ProcessLookupError:
                pass

    def account(self):
        """Notes what it has used, which is gone once it has ended."""
        try:
            self.peak, self.cpu_used = peak_rss(self.pid), self.cpu()
        except (OSError, ValueError, IndexError):
            pass


class Forked(Running):
    """Of a program that is in more than one process."""

    def __init__(self, name, pid):
        self.name, self.pid = name, pid


class Process(Running):
    """A child process with a folder, a log and a pid by which it is ended."""

    def __init__(self, stand, name, command, stdin=subprocess.DEVNULL, stdout=None, cpus=None, env=None):
        self.name = name
        self.dir = stand.dir / name
        self.dir.mkdir(exist_ok=True)
        self.log = interop.Log(self.dir / 'log')
        with open(self.log.path, 'ab') as log:
            self.process = subprocess.Popen([*pinned(cpus), *map(str, command)], cwd=self.dir, stdin=stdin,
                                            stdout=log if stdout is None else stdout, stderr=log,
                                            env={**os.environ, **(env or {})})
        stand.started.append(self)

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process.poll() is None

    def end(self):
        if self.is_alive():
            self.account()
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait(20)


def available_cpus():
    return set(range(os.cpu_count()))


def pinned(cpus):
    return ['taskset', '-c', ','.join(map(str, sorted(cpus)))] if cpus else []


class Talker(Process):
    """A process that answers a line with a line of JSON: channel_bench, TribesBench."""

    def __init__(self, stand, name, command, port, wait=True):
        super().__init__(stand, name, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = port
        self.pending = b''
        self.ready = False
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=60):
        if not self.ready:
            self.answer(seconds)
            self.ready = True

    def answer(self, seconds):
        end = time.monotonic() + seconds
        while b'\n' not in self.pending:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            check(ready, f'{self.name} does not answer within {seconds} s')
            more = os.read(self.process.stdout.fileno(), 65536)
            check(more, f'{self.name} has ended: {self.log.text()[-500:]}')
            self.pending += more
        line, self.pending = self.pending.split(b'\n', 1)
        got = json.loads(line)
        check('error' not in got, f'{self.name}: {got}')
        return got

    def ask(self, line, seconds=120):
        self.wait_ready()
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        return self.answer(seconds)

    def wait_members(self, ports):
        eventually(f'{self.name} sees {ports}', lambda: set(ports) <= set(self.ask('members')['members']), 30, 0.05)

    def end(self):
        if self.is_alive():
            self.account()
            try:
                self.process.stdin.write(b'quit\n')
                self.process.stdin.close()
                self.process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait(20)
        self.process.stdout.close()


class BareFront(Talker):
    """bare_front: a server that does only what none can leave out, and the replica that it has forked."""

    def __init__(self, stand, name, waits=False):
        self.stand, self.front = stand, stand.free_port()
        command = [stand.tools / 'bare_front', '--port', self.front, *(['--wait'] if waits else [])]
        super().__init__(stand, name, command, self.front, wait=False)
        self.replica = Forked(name.replace('-server', '-replica'), self.answer(60)['replica'])

    def behind(self):
        return int(redis_cli(self.front, 'BEHIND'))

    def address(self):
        return ['--port', self.front, '--password', PASSWORD]

    def end(self):
        if self.is_alive():
            self.replica.account()
            self.stand.account(self.replica.name, self.replica.cpu_used, self.replica.peak)
        Process.end(self)
        self.process.stdin.close()
        self.process.stdout.close()


class Node(Process):
    """A clusterd node: front door on TCP with a password, and on a unix socket."""

    CONF = '''cluster:
  clusterName: bench
  channelSendOptions: "{options}"
  {more}
  membership: {{mcastAddr: 228.0.0.4, mcastPort: {mcast}, bind: 127.0.0.1}}
  receiver: {{tcpListenAddress: 127.0.0.1, tcpListenPort: {port}, autoBind: 1}}
contexts:
  list: [{{name: "{context}", keyPrefix: "{prefix}"}}]
frontDoor: {{listen: ["127.0.0.1:{front}", "unix:front.sock"], requirepass: {password}}}
control: {{socket: control.sock}}
log: {{level: info, target: stderr}}
'''

    def __init__(self, stand, name, options='async', mcast=46000, context=CONTEXT, more='', cpus=None, wait=True):
        self.port, self.front = stand.free_port(), stand.free_port()
        folder = stand.dir / name
        folder.mkdir(exist_ok=True)
        conf = self.CONF.format(options=options, more=more, mcast=mcast, port=self.port, prefix=PREFIX, front=self.front,
                                context=context, password=PASSWORD)
        (folder / 'conf.yaml').write_text(conf)
        self.begun_wall = time.time()
        self.begun = time.monotonic()
        super().__init__(stand, name, [stand.build / 'clusterd', '--config', 'conf.yaml'], cpus=cpus)
        self.mark = self.log.mark()
        self.control_connection = None
        if wait:
            self.wait_complete()

    def wait_complete(self, seconds=60):
        def complete():
            check(self.is_alive(), f'{self.name} ended: {self.log.text()[-800:]}')
            return self.log.lines(' Ready$') and self.log.lines('This node is complete')
        return eventually(f'{self.name} is complete', complete, seconds, 0.01)[0]

    def control(self, *words):
        if not self.control_connection:
            self.control_connection = interop.Resp(self.dir / 'control.sock')
        return self.control_connection('CLUSTERD', *words)

    def status(self):
        return interop.as_map(self.control('STATUS'))

    def members(self):
        return [m for m in map(interop.as_map, self.control('MEMBERS')) if m['state'] != 'self']

    def wait_members(self, n, seconds=60):
        eventually(f'{self.name} sees {n} members', lambda: len(self.members()) == n, seconds)

    def count(self, context=CONTEXT):
        return {c['name']: c['sessions'] for c in map(interop.as_map, self.control('CONTEXTS'))}.get(context, 0)

    def address(self):
        return ['--port', self.front, '--password', PASSWORD]

    def end(self):
        if self.control_connection:
            self.control_connection.close()
            self.control_connection = None
        super().end()


def log_time(line):
    """Seconds since 1970 of a line of clusterd's log."""
    return datetime.datetime.fromisoformat(line[:23]).timestamp()


def redis_server(stand):
    """The program. Debian's redis-tools has it too, under the name of a tool that it also is."""
    link = stand.dir / 'redis-server'
    if shutil.which('redis-server'):
        return 'redis-server'
    if not link.exists():
        link.symlink_to(shutil.which('redis-check-rdb'))
    return link


def redis_cli(port, *words):
    done = subprocess.run(['redis-cli', '-p', str(port), '-a', PASSWORD, '--no-auth-warning', *words], check=False,
                          capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


class Redis(Process):
    """redis-server without persistence; with master=: its replica, complete when this returns."""

    def __init__(self, stand, name, master=None, cpus=None):
        self.front = stand.free_port()
        command = [redis_server(stand), '--port', self.front, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
                   '--requirepass', PASSWORD, '--masterauth', PASSWORD, '--repl-diskless-sync', 'yes',
                   '--repl-diskless-sync-delay', '0',
                   '--client-output-buffer-limit', 'replica 0 0 0']
        if master:
            command += ['--replicaof', f'127.0.0.1 {master.front}']
        super().__init__(stand, name, command, cpus=cpus)
        eventually(f'{name} answers', self.is_up)
        if master:
            eventually(f'{name} has its master', lambda: 'master_link_status:up' in self.info('replication'), 60)

    def cli(self, *words):
        return redis_cli(self.front, *words)

    def is_up(self):
        check(self.is_alive(), f'{self.name} ended: {self.log.text()[-500:]}')
        return self.cli('ping') == 'PONG'

    def info(self, section):
        return self.cli('info', section)

    def offset(self, field):
        found = re.search(field + r':(\d+)', self.info('replication'))
        return int(found.group(1)) if found else -1

    def count(self):
        return int(self.cli('dbsize') or 0)

    def address(self):
        return ['--port', self.front, '--password', PASSWORD]


class Cpu:
    """CPU seconds of some processes while a block runs, each and together; and how long it took."""

    def __init__(self, *processes):
        self.processes = processes

    def __enter__(self):
        self.at = [p.cpu() for p in self.processes]
        self.began = time.monotonic()
        return self

    def __exit__(self, *unused):
        self.took = time.monotonic() - self.began
        self.each = [p.cpu() - at for p, at in zip(self.processes, self.at)]
        self.all = sum(self.each)


class TomcatNode:
    """A real Tomcat of the interop tests, with what a benchmark asks of a process."""

    def __init__(self, stand, number, wait=True, **options):
        self.inner = interop.Tomcat(stand.interop_lab(), 10, number, {'heap': '2g', **options})
        self.name = f'tomcat{number}'
        self.peak, self.cpu_used = 0, 0.0
        stand.started.append(self)
        self.inner.begin()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        self.inner.ready()

    @property
    def log(self):
        return self.inner.log

    @property
    def pid(self):
        return self.inner.pid()

    def cpu(self):
        return cpu_s(self.pid)

    def ask(self, op, **parameters):
        return self.inner.ask(op, **parameters)

    def end(self):
        try:
            self.peak, self.cpu_used = peak_rss(self.pid), self.cpu()
        except (OSError, TypeError):
            pass
        self.inner.cleanup()


class Stand:
    """The place where rows are measured. get() gives what several rows of a group share; clear() ends all of it."""

    def __init__(self, folder, build, options):
        self.dir, self.build, self.smoke, self.rounds = folder, build, options.smoke, options.rounds
        self.tools = build / 'tests' / 'bench'
        self.started, self.shared, self.accounts = [], {}, {}
        self.group = ''
        self.port = 20000
        self.numbers = 0

    # How much: full counts, or the few of the smoke test.

    def pick(self, full, smoke):
        return smoke if self.smoke else full

    def seconds(self, full=1.0):
        return self.pick(full, 0.1)

    def free_port(self):
        """The namespace is ours alone, so the next one is free."""
        self.port += 1
        return self.port

    def fresh(self, name):
        self.numbers += 1
        return f'{name}.{self.numbers}'

    def has_java(self):
        return bool(shutil.which('java') and shutil.which('javac')) and all(j.exists() for j in TRIBES_JARS)

    def need(self, what):
        has_redis = shutil.which('redis-benchmark') and (shutil.which('redis-server') or shutil.which('redis-check-rdb'))
        if what == 'redis' and not has_redis:
            raise Skip('there is no redis-server (Debian: redis-tools)')
        if what == 'java' and not self.has_java():
            raise Skip('there is no JDK, or no jars of Tomcat 10 (Debian: libtomcat10-java)')
        if what.startswith('gib='):
            free = next(int(line.split()[1]) for line in open('/proc/meminfo') if line.startswith('MemAvailable')) / 2**20
            if free < float(what[4:]) and not self.smoke:
                raise Skip(f'{free:.0f} GiB of memory are free, and it takes {what[4:]}')

    # Things that rows share.

    def get(self, key, make):
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def end(self, *things):
        for thing in things:
            thing.end()
            if thing in self.started:
                self.started.remove(thing)
            self.account(thing.name, thing.cpu_used, thing.peak)

    def account(self, name, cpu, peak=0):
        """For the list of all processes: those of one kind together, `clusterd-sender.17` as `clusterd-sender`."""
        kind = self.accounts.setdefault((self.group, name.split('.')[0]), {'processes': 0, 'cpu_s': 0.0, 'peak_rss_mb': 0.0})
        kind['processes'] += 1
        kind['cpu_s'] = round(kind['cpu_s'] + cpu, 3)
        kind['peak_rss_mb'] = max(kind['peak_rss_mb'], round(peak / 1e6, 1))

    def clear(self):
        self.end(*reversed(self.started))
        self.shared = {}

    def classes(self):
        """Tribes' side of the channel rows, compiled."""
        def build():
            out = self.dir / 'classes'
            command = ['javac', '-nowarn', '-Xlint:none', '-cp', ':'.join(map(str, TRIBES_JARS)), '-d', str(out),
                       str(HERE / 'peers' / 'TribesBench.java')]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            check(done.returncode == 0, f'javac: {done.stderr}')
            (out / 'logging.properties').write_text('handlers=java.util.logging.ConsoleHandler\n.level=SEVERE\n')
            return out
        if not hasattr(self, 'compiled'):
            self.compiled = build()
        return self.compiled

    def tribes(self, name, mcast, wait=True):
        port = self.free_port()
        classes = self.classes()
        flags = [*JVM_FLAGS, *self.pick([], QUICK_JVM), f'-Djava.util.logging.config.file={classes}/logging.properties']
        command = ['java', *flags, '-cp', ':'.join([str(classes), *map(str, TRIBES_JARS)]), 'TribesBench', port, mcast]
        return Talker(self, name, command, port, wait)

    def channel(self, name, mcast, wait=True):
        port = self.free_port()
        return Talker(self, name, [self.tools / 'channel_bench', '--port', port, '--mcast', mcast], port, wait)

    def interop_lab(self):
        if not hasattr(self, 'lab'):
            app = self.dir / 'app10'
            done = subprocess.run(['bash', str(interop.NODE), 'app', str(app)], env=dict(os.environ, TOMCAT='10'),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
            check(done.returncode == 0, f'the Tomcat application does not compile: {done.stderr}')
            all_of_its_compiler = self.pick({10: '-XX:TieredStopAtLevel=4'}, {})
            self.lab = interop.Lab(self.dir, self.build / 'clusterd', {10: app}, all_of_its_compiler, False)
        return self.lab

    # Programs that run once.

    def run(self, *command, cpus=None, seconds=600):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*pinned(cpus), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.account(pathlib.Path(str(command[0])).name, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return done

    def tool(self, *command, cpus=None, seconds=600):
        """Its one line of JSON."""
        done = self.run(*command, cpus=cpus, seconds=seconds)
        check(done.returncode == 0, f'{pathlib.Path(str(command[0])).name} ends with {done.returncode}: {done.stderr[-500:]}')
        return json.loads(done.stdout)

    def bare(self, *words, cpus=None):
        return self.tool(self.tools / 'bare', *words, cpus=cpus)

    def client(self, server, *words, cpus=None):
        return self.tool(self.tools / 'wait_client', *server.address(), *words, cpus=cpus)
