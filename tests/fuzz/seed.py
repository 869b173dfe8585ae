#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz targets, cut out of the golden files: seed.py SOURCE_FOLDER OUTPUT_FOLDER makes
OUTPUT_FOLDER/<target>/<name> for each. A target gets its seeds from one function below."""
import json
import pathlib
import re
import shutil
import sys

FRAME_START, FRAME_HEAD, FRAME_TAIL = b'FLT2002', 11, 7
MEMBER_START = b'TRIBES-B'


def vectors(source, folder):
    """(name, bytes) of all vectors of a folder of tests/golden."""
    for path in sorted((source / 'tests/golden' / folder).glob('*.json')):
        for v in json.loads(path.read_text()).get('vectors', []):
            yield f"{v['name']}-{path.stem}", bytes.fromhex(v['hex'])


def channel(source):
    """Frames, bodies of frames, member records."""
    for name, data in vectors(source, 'vectors'):
        if data.startswith(FRAME_START):
            yield 'frame', name, data
            if len(data) > 30:
                yield 'channel_data', name, data[FRAME_HEAD:-FRAME_TAIL]
        elif data.startswith(MEMBER_START):
            yield 'member', name, data
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


def config(source):
    yield 'config', 'all-types', (b'className: org.apache.catalina.x.McastService\nmode: pooled\ntcpPort: 5\nflag: on\n'
                                  b'timeout: auto\nmaxBytes: 4k\nname: "a b"\nlisten: [a, b]\nletter: z\n')
    for path in sorted((source / 'etc').glob('*.yaml')):
        yield 'config', path.stem, path.read_bytes()


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
            if event in ('DELTA', 'ALL_SESSION_DATA') and '10.1' in path.stem:
                yield 'delta' if event == 'DELTA' else 'state', name, bytes.fromhex(v['body_hex'])


SOURCES = [channel, resp, config, sessions]


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
