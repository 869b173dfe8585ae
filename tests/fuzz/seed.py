#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz targets, cut out of the golden files: seed.py SOURCE_FOLDER OUTPUT_FOLDER makes
OUTPUT_FOLDER/<target>/<name> for each. A target gets its seeds from one function below."""
import json
import pathlib
import re
import shutil
import struct
import sys

FRAME_START, FRAME_HEAD, FRAME_TAIL = b'FLT2002', 11, 7
MEMBER_START = b'TRIBES-B'
TIMES = re.compile(rb'\x00\x00\x01[\x80-\xb0].{4}', re.DOTALL)  # milliseconds since 1970, of about these years


def vectors(source, folder):
    """(name, bytes) of all vectors of a folder of tests/golden."""
    for path in sorted((source / 'tests/golden' / folder).glob('*.json')):
        for v in json.loads(path.read_text()).get('vectors', []):
            yield f"{v['name']}-{path.stem}", bytes.fromhex(v['hex'])


def channel(source):
    """Frames, bodies of frames, member records, calls."""
    for name, data in vectors(source, 'vectors'):
        if data.startswith(FRAME_START):
            yield 'frame', name, data
            if len(data) > 30:
                yield 'channel_data', name, data[FRAME_HEAD:-FRAME_TAIL]
        elif data.startswith(MEMBER_START):
            yield 'member', name, data
        elif data.startswith(b'\xac\xed\x00\x05'):
            yield 'java', name, data
    yield 'member', 'byte-list', b'{1,-2,3}'


def multibulk(words):
    return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)


def resp(source):
    """The first byte is the target's: size of the pieces, and whether the client has authenticated."""
    for path in sorted((source / 'tests/golden/resp').glob('*.txt')):
        text = path.read_text(errors='replace')
        lines = [m.encode()[:250] for m in re.findall(r'^c\d+ \+?> (.*)$', text, re.M)]
        for i in range(0, len(lines), 10):
            yield 'resp', f'inline-{path.stem}-{i}', b'\x20' + b''.join(line + b'\r\n' for line in lines[i:i + 10])
            yield 'resp', f'bulk-{path.stem}-{i}', b'\x10' + b''.join(multibulk(line.split()) for line in lines[i:i + 10])


def unescape(word):
    return re.sub(rb'\\x([0-9a-f]{2})', lambda m: bytes.fromhex(m[1].decode()), word)


def front(source):
    """The first byte is the target's: which door, whether a password is asked for, whether in two pieces."""
    groups = (source / 'tests/golden/front/redis-replies.txt').read_bytes().split(b'\n= ')[1:]
    for group in groups:
        name, _, rest = group.partition(b'\n')
        requests = [[unescape(w) for w in line[2:].split(b' ')] for line in rest.split(b'\n') if line[:2] == b'> ']
        for i in range(0, len(requests), 20):
            yield 'front', f'{name.decode()}-{i}', b'\x01' + b''.join(multibulk(r) for r in requests[i:i + 20])
    operator = ['help', 'ping', 'version', 'status', 'contexts', 'members', 'sessions', 'sessions localhost#/shop',
                'session localhost#/shop S', 'session localhost#/shop S reveal', 'expire localhost#/shop S', 'config',
                'leave']
    yield 'front', 'operator', b'\x02' + b''.join(b'CLUSTERD %s\r\n' % c.encode() for c in operator)
    own = ['HGETALL s:S', 'HGET s:S a', 'SCAN 0', 'DEL s:S', 'EXISTS s:S', 'INFO', 'COMMAND', 'COMMAND DOCS get', 'CLIENT LIST']
    for door in range(8):
        text = b''.join(c.encode() + b'\r\n' for c in own)
        yield 'front', f'own-{door}', bytes([door]) + text + b'AUTH pw\r\nHELLO 3\r\n' + text


def config(source):
    yield 'config', 'all-types', (b'className: org.apache.catalina.x.McastService\nmode: pooled\ntcpPort: 5\nflag: on\n'
                                  b'timeout: auto\nmaxBytes: 4k\nname: "a b"\nlisten: [a, b]\nletter: z\n')
    for path in sorted((source / 'etc').glob('*.yaml')):
        yield 'config', path.stem, path.read_bytes()


def extremes(name, data, most):
    """The message with one of its first times as far away as a long allows."""
    for i, found in enumerate(TIMES.finditer(data)):
        if i == most:
            return
        for what, extreme in (('future', b'\x7f' + b'\xff' * 7), ('past', b'\x80' + b'\x00' * 7)):
            yield 'tomcat', f'{name}-{what}-{i}', data[:found.start()] + extreme + data[found.end():]


def sessions(source):
    """Java streams, session messages and their bodies: one of each kind, none of them long."""
    seen = set()
    for path in sorted((source / 'tests/golden/session-vectors').glob('*.json')):
        for v in json.loads(path.read_text())['vectors']:
            data, event = bytes.fromhex(v['hex']), v['inputs'].get('eventName')
            name = v['name'].replace('/', '_')
            kind = re.sub('[@#].*', '', v['name'].rsplit('/', 1)[-1])
            target = 'session' if b'SessionMessageImpl' in data[:64] else 'java'
            if len(data) <= 4096 and (target, kind) not in seen:
                seen.add((target, kind))
                yield target, name, data
            if target == 'session' and len(data) <= 4096 and '10.1' in path.stem:
                yield 'tomcat', name, data
                yield from extremes(name, data, 8 if event == 'ALL_SESSION_DATA' else 1)
            if event in ('DELTA', 'ALL_SESSION_DATA') and '10.1' in path.stem:
                yield 'delta' if event == 'DELTA' else 'state', name, bytes.fromhex(v['body_hex'])


def version(at, writer=1, seq=1):
    return struct.pack('>qII', 1700000000000 + at, writer, seq)


def text16(s):
    return struct.pack('>H', len(s)) + s


def change(flags, session, at, parts=b'', entries=()):
    """A change in clusterd's own form; see src/session/change.c."""
    return (struct.pack('>H', flags) + text16(b'localhost#/app') + text16(session) + version(at) + parts +
            struct.pack('>QI', 7, len(entries)) + b''.join(entries))


def changes(_):
    """One of each kind, and the life of a session that changes its id and ends."""
    opened, ended, floor, rename, touches, clusterd, used, front, created = (1 << i for i in range(9))
    value = b'\xac\xed\x00\x05t\x00\x01v'
    attribute = b'\x80' + text16(b'a') + struct.pack('>I', len(value)) + value
    idle = b'\x83' + text16(b'') + struct.pack('>q', 1800)
    deadline = b'\xc7' + version(5) + text16(b'') + struct.pack('>q', 60000)
    removed, principal = b'\x00' + text16(b'b'), b'\x81' + text16(b'') + struct.pack('>I', len(value)) + value
    one = {
        'created': change(opened | floor | touches | created, b'S1', 0, version(0) * 2 + struct.pack('>qI', 17, 5),
                          [attribute, idle]),
        'delta': change(used, b'S1', 1, b'', [attribute, removed, principal]),
        'front': change(opened | clusterd | front | touches, b'S1', 2, version(0) + struct.pack('>I', 0), [deadline]),
        'access': change(touches, b'S1', 3, struct.pack('>I', 100)),
        'rename': change(rename, b'S1', 4, text16(b'S2')),
        'late': change(0, b'S1', 3, b'', [attribute]),
        'end': change(ended, b'S2', 6, version(6)),
        'after': change(0, b'S2', 5, b'', [attribute]),
        'again': change(opened, b'S2', 9000, version(9000), [attribute]),
    }
    for name, data in one.items():
        yield 'change', name, data
    yield 'change', 'life', b''.join(one.values())
    yield 'change', 'backwards', b''.join(reversed(one.values()))


SOURCES = [channel, resp, front, config, sessions, changes]


def main():
    source, out = (pathlib.Path(p) for p in sys.argv[1:3])
    shutil.rmtree(out, ignore_errors=True)
    for make in SOURCES:
        for target, name, data in make(source):
            folder = out / target
            folder.mkdir(parents=True, exist_ok=True)
            (folder / re.sub(r'[^A-Za-z0-9.-]', '_', name)).write_bytes(data)
    (out / 'stamp').write_text('')


if __name__ == '__main__':
    main()
