#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the storm can fail: a clusterd that answers writes before the members have them must be found.

The change of one line is compiled with the flags of the build (compile_commands.json) and linked in front of the
libraries, so that it takes the place of the sound file. Nothing in the source tree or the build folder is touched.

usage: storm_early_ack.py --build DIR [--kills N]
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / 'src/session/outbox.c'
SOUND = '            n_waiting++;'
EARLY = '            only = NULL;'  # nobody waits for the results


def compile_early(build, folder):
    text = SOURCE.read_text()
    if text.count(SOUND) != 1:
        sys.exit(f'{SOURCE} has changed: this must stand there once: {SOUND}')
    changed = folder / SOURCE.name
    changed.write_text(text.replace(SOUND, EARLY))
    entries = json.loads((build / 'compile_commands.json').read_text())
    entry = next(e for e in entries if pathlib.Path(e['file']) == SOURCE)
    words = shlex.split(entry['command'])
    words[words.index('-o') + 1] = str(folder / 'early.o')
    words[words.index('-c') + 1] = str(changed)
    if '-MF' in words:
        words[words.index('-MF') + 1] = str(folder / 'early.d')
    subprocess.run([*words, f'-I{SOURCE.parent}'], cwd=entry['directory'], check=True)
    return folder / 'early.o'


def link_early(build, folder, early):
    last = subprocess.run(['ninja', '-C', str(build), '-t', 'commands', '-s', 'clusterd'], check=True,
                          capture_output=True, text=True).stdout.strip().splitlines()[-1]
    words = shlex.split(re.sub(r'^: && | && :$', '', last))
    at = words.index('-o')
    words[at:at + 2] = [str(early), '-o', str(folder / 'clusterd')]
    subprocess.run(words, cwd=build, check=True)
    (folder / 'clusterctl').symlink_to(build / 'clusterctl')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--kills', default='8')
    options = parser.parse_args()
    build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix='clusterd-early.') as name:
        folder = pathlib.Path(name)
        link_early(build, folder, compile_early(build, folder))
        storm = subprocess.run([sys.executable, '-B', str(HERE / 'storm.py'), '--kills', options.kills,
                                '--expect-violation'], env={**os.environ, 'BIN': name}, check=False)
    sys.exit(storm.returncode)


main()
