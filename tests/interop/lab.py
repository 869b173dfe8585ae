# SPDX-License-Identifier: Apache-2.0
"""What the scenarios are made of: real Tomcats, clusterd nodes, browsers, a RESP client, waiting and checking.

A scenario runs in a process and a network namespace of its own (see run), so default ports and the default
multicast group are free. Everything that is started is known by pid and ended by pid; every wait has a limit.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
NODE = HERE / 'tomcat' / 'tomcat-node'
CONTEXT = 'localhost#/app'
SECOND = 'localhost#/second'
PREFIX = 'app:'
JVM_FLAGS = '-Xss512k -XX:TieredStopAtLevel=1'


class Failure(Exception):
    """A check did not hold."""


def check(holds, what, *more):
    if not holds:
        raise Failure(' '.join([what] + [f'\n      {x!r}' for x in more]))


def check_equal(got, expected, what):
    if got != expected:
        raise Failure(f'{what}:\n      expected {expected!r}\n      got      {got!r}')


def eventually(what, function, seconds=15, pause=0.03):
    """Calls function until it gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        try:
            got, why = function(), ''
        except (Failure, OSError, http.client.HTTPException) as e:
            got, why = None, f': {e}'
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f'waited {seconds} s in vain for: {what}{why}')
        time.sleep(pause)


def process_state(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='latin-1') as f:
            return f.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return None


def is_running(pid):
    return process_state(pid) not in (None, 'Z')


class Log:
    """A log file that others write."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def text(self, start=0):
        try:
            with open(self.path, 'rb') as f:
                f.seek(start)
                return f.read().decode('utf-8', 'replace')
        except FileNotFoundError:
            return ''

    def mark(self):
        return self.path.stat().st_size if self.path.exists() else 0

    def lines(self, pattern, start=0):
        return [line for line in self.text(start).splitlines() if re.search(pattern, line)]

    def wait(self, pattern, start=0, seconds=15, pause=0.02):
        return eventually(f'"{pattern}" in {self.path.parent.parent.name}/{self.path.parent.name}/{self.path.name}',
                          lambda: self.lines(pattern, start), seconds, pause)[0]


class Tomcat:
    """A real Tomcat node, by tomcat/tomcat-node."""

    def __init__(self, lab, version, number, options):
        self.lab, self.version, self.number = lab, version, number
        self.name = f'tomcat{number}'
        self.http, self.receiver = 8080 + number, 4000 + number
        self.dir = lab.dir / self.name
        self.log = Log(self.dir / 'logs' / 'catalina.log')
        self.options = options
        self.environment = dict(os.environ, TOMCAT=str(version), APP=str(lab.apps[version]))
        self.starting = None

    def member(self):
        return f'127.0.0.1:{self.receiver}'

    def pid(self):
        try:
            return int((self.dir / 'node.pid').read_text())
        except (OSError, ValueError):
            return None

    def begin(self):
        """Starts it; ready() waits until it is up."""
        if self.dir.exists():
            command = ['again', str(self.dir)]
        else:
            jvm = ' '.join([JVM_FLAGS, self.lab.jvm_flags.get(self.version, '')]).strip()
            command = ['start', '--name', self.name, '--http', str(self.http), '--receiver', str(self.receiver),
                       '--dir', str(self.dir), '--jvm', jvm]
            for key, value in dict({'heap': '128m'}, **self.options).items():
                command += ['--' + key.replace('_', '-')] + ([] if value is True else [str(value)])
        self.begun = time.monotonic()
        self.starting = subprocess.Popen(['bash', str(NODE)] + command, env=self.environment,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
        return self

    def ready(self):
        _, errors = self.starting.communicate(timeout=200)
        check(self.starting.returncode == 0, f'{self.name} does not start: {errors}')
        self.start_seconds = time.monotonic() - self.begun
        return self

    def start(self):
        return self.begin().ready()

    def _end(self, verb):
        begun = time.monotonic()
        subprocess.run(['bash', str(NODE), verb, str(self.dir)], env=self.environment, check=True, timeout=60,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.monotonic() - begun

    def stop(self):
        return self._end('stop')

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def cleanup(self):
        pid = self.pid()
        try:
            with open(f'/proc/{pid}/cmdline', encoding='latin-1') as f:
                ours = str(self.dir) in f.read()
        except OSError:
            ours = False
        if ours:
            os.kill(pid, signal.SIGKILL)
            eventually(f'{self.name} to end', lambda: not is_running(pid))

    # What it holds, asked without touching any session.

    def ask(self, op, context='app', **parameters):
        connection = http.client.HTTPConnection('127.0.0.1', self.http, timeout=300)
        try:
            connection.request('GET', f'/{context}/s?' + urllib.parse.urlencode(dict(op=op, **parameters)))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def peek(self, session_id):
        return without_primary(self.ask('peek', id=session_id))

    def count(self, context='app'):
        return self.ask('count', context)['sessions']

    def hashes(self, context='app', **parameters):
        return self.ask('hashes', context, **parameters)['hashes']

    def members(self):
        return sorted(self.ask('members')['members'])


def without_primary(dump):
    return {k: v for k, v in dump.items() if k not in ('node', 'primary', 'user', 'new')}


class Browser:
    """A client with a session cookie on one keep-alive connection."""

    def __init__(self, tomcat, context='app'):
        self.tomcat, self.context = tomcat, context
        self.id = None
        self.old_ids = []
        self.connection = None

    def to(self, tomcat):
        self.close()
        self.tomcat = tomcat
        return self

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def __call__(self, op, **parameters):
        if not self.connection:
            self.connection = http.client.HTTPConnection('127.0.0.1', self.tomcat.http, timeout=60)
        headers = {'Cookie': 'JSESSIONID=' + self.id} if self.id else {}
        try:
            self.connection.request('GET', f'/{self.context}/s?' + urllib.parse.urlencode(dict(op=op, **parameters)),
                                    headers=headers)
            response = self.connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        check(response.status == 200, f'{op} {parameters} answered {response.status}', answer)
        for value in response.headers.get_all('Set-Cookie') or []:
            found = re.match('JSESSIONID=([^;]+)', value)
            if found and found.group(1) != self.id:
                if self.id:
                    self.old_ids.append(self.id)
                self.id = found.group(1)
        return answer

    def dump(self):
        return without_primary(self('list'))


class RespError(Failure):
    pass


class Resp:
    """A RESP2 client of the front door and the control socket."""

    def __init__(self, path, seconds=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self.file = self.socket.makefile('rb')

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        out = b'*%d\r\n' % len(words)
        for word in words:
            raw = word if isinstance(word, bytes) else str(word).encode()
            out += b'$%d\r\n%s\r\n' % (len(raw), raw)
        self.socket.sendall(out)

    def receive(self):
        line = self.file.readline()
        check(line.endswith(b'\r\n'), 'connection closed by clusterd')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest.decode()
        if kind == b'-':
            return RespError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            if int(rest) < 0:
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b'*':
            return None if int(rest) < 0 else [self.receive() for _ in range(int(rest))]
        raise Failure(f'no RESP2: {line!r}')

    def __call__(self, *words):
        self.send(*words)
        answer = self.receive()
        if isinstance(answer, RespError):
            raise answer
        return answer

    def pipeline(self, commands, window=64):
        """Answers in order; errors come as values."""
        answers, commands = [], list(commands)
        for i in range(0, len(commands), window):
            for words in commands[i:i + window]:
                self.send(*words)
            answers += [self.receive() for _ in commands[i:i + window]]
        return answers


def text(value):
    return value.decode('utf-8', 'replace') if isinstance(value, bytes) else value


def as_map(flat):
    return {text(flat[i]): text(flat[i + 1]) if isinstance(flat[i + 1], bytes) else flat[i + 1]
            for i in range(0, len(flat), 2)}


class Clusterd:
    """A clusterd node with a control socket and a front door on unix sockets."""

    CONF = '''cluster:
  channelSendOptions: {send_options}
  channelStartOptions: {start_options}
  minAcks: 0
  membership: {{mcastAddr: 228.0.0.4, bind: 127.0.0.1}}
  receiver: {{tcpListenAddress: 127.0.0.1, tcpListenPort: {port}}}
contexts:
  auto: true
  list:
{contexts}
frontDoor: {{listen: ["unix:front.sock"]}}
control: {{socket: control.sock}}
log: {{level: {level}, target: stderr}}
'''

    def __init__(self, lab, number, send_options='async', contexts=((CONTEXT, PREFIX),), level='info',
                 start_options=15):
        self.lab, self.number = lab, number
        self.name = f'clusterd{number}'
        self.port = 4100 + number
        self.dir = lab.dir / self.name
        self.dir.mkdir()
        self.log = Log(self.dir / 'log')
        lines = [f'    - {{name: "{name}", keyPrefix: "{prefix}"}}' if prefix else f'    - {{name: "{name}"}}'
                 for name, prefix in contexts]
        (self.dir / 'conf.yaml').write_text(self.CONF.format(send_options=send_options, port=self.port, level=level,
                                                             start_options=start_options, contexts='\n'.join(lines) or '    []'))
        self.process = None
        self.connections = {}

    def member(self):
        return f'127.0.0.1:{self.port}'

    def pid(self):
        return self.process.pid

    def begin(self):
        self.mark = self.log.mark()
        self.begun = time.monotonic()
        environment = dict(os.environ, ASAN_OPTIONS='abort_on_error=0:exitcode=99', UBSAN_OPTIONS='print_stacktrace=1')
        with open(self.log.path, 'ab') as out:
            self.process = subprocess.Popen([str(self.lab.clusterd), '--config', 'conf.yaml'], cwd=self.dir, stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=environment)
        return self

    def ready(self, complete=True, seconds=30):
        def is_ready():
            check(self.process.poll() is None, f'{self.name} ended with {self.process.returncode}')
            return self.log.lines('This node is complete' if complete else ' Ready$', self.mark)
        eventually(f'{self.name} to be {"complete" if complete else "ready"}', is_ready, seconds)
        self.start_seconds = time.monotonic() - self.begun
        return self

    def start(self):
        return self.begin().ready()

    def _forget(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def stop(self):
        """In order; whatever a sanitizer found fails the scenario here."""
        self._forget()
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        check_equal(self.process.wait(30), 0, f'exit status of {self.name}')
        self.check_sane()
        return time.monotonic() - begun

    def kill(self):
        self._forget()
        self.process.kill()
        self.process.wait(30)

    def signal(self, number):
        self.process.send_signal(number)

    def check_sane(self):
        bad = self.log.lines(r'(ERROR|WARNING): \w+Sanitizer|runtime error:|[Aa]ssertion|ASSERT')
        check(not bad, f'{self.name}: sanitizer or assertion', *bad[:3])

    def cleanup(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    # What it holds.

    def _connection(self, name):
        if name not in self.connections:
            self.connections[name] = Resp(self.dir / name)
        return self.connections[name]

    def front(self, *words):
        return self._connection('front.sock')(*words)

    def control(self, *words):
        return self._connection('control.sock')('CLUSTERD', *words)

    def status(self):
        return as_map(self.control('STATUS'))

    def counter(self, name):
        return as_map(self.status()['counters'])[name]

    def members(self):
        return {m['name']: m for m in map(as_map, self.control('MEMBERS')) if m['state'] != 'self'}

    def count(self, context=CONTEXT):
        return {c['name']: c['sessions'] for c in map(as_map, self.control('CONTEXTS'))}.get(context, 0)

    def ids(self, context=CONTEXT):
        found, cursor = [], '0'
        while True:
            cursor, rows = self.control('SESSIONS', 'CONTEXT', context, 'CURSOR', text(cursor), 'COUNT', 1000, 'REVEAL')
            found += [as_map(row)['id'] for row in rows]
            if text(cursor) == '0':
                return sorted(set(found))

    @staticmethod
    def _session(flat):
        if isinstance(flat, RespError):
            if 'no such' in str(flat):
                return None
            raise flat
        session = as_map(flat)
        session['entries'] = [as_map(e) for e in session['entries']]
        session['attributes_held'] = {e['name']: e['value'] for e in session['entries'] if e['type'] == 'attribute'}
        return session

    def session(self, session_id, context=CONTEXT):
        return self.sessions([session_id], context)[0]

    def sessions(self, ids, context=CONTEXT):
        """The sessions of these ids, None for those that are not held."""
        commands = [('CLUSTERD', 'SESSION', context, i, 'REVEAL') for i in ids]
        return [self._session(a) for a in self._connection('control.sock').pipeline(commands)]


class Lab:
    """What one scenario has started. Leaves nothing behind but the logs of a failure."""

    def __init__(self, directory, clusterd, apps, jvm_flags, full):
        self.dir = pathlib.Path(directory)
        self.clusterd = clusterd
        self.apps, self.jvm_flags, self.full = apps, jvm_flags, full
        self.started = []
        self.figures = []

    def tomcat(self, version, number, **options):
        node = Tomcat(self, version, number, options)
        self.started.append(node)
        return node

    def node(self, number=1, **options):
        node = Clusterd(self, number, **options)
        self.started.append(node)
        return node

    def figure(self, name, value):
        """A measured value, shown with the result."""
        self.figures.append(f'{name} {value}')

    def tails(self, n=25):
        out = []
        for thing in self.started:
            lines = thing.log.text().splitlines()
            out.append(f'--- {thing.name}: the last of {len(lines)} lines of {thing.log.path}')
            out += ['  | ' + line[:300] for line in lines[-n:]]
        return '\n'.join(out)

    def cleanup(self):
        for thing in self.started:
            try:
                thing.cleanup()
            except (Failure, OSError) as e:
                print(f'cleanup of {thing.name}: {e}')

    def check_sane(self):
        for thing in self.started:
            if isinstance(thing, Clusterd):
                thing.check_sane()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def median(values):
    values = sorted(values)
    return values[len(values) // 2] if len(values) % 2 else (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
