#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each lint test can fail: run over a small good tree it passes, and over the same tree with one thing broken it
fails and names the place. A case below is: rule, file to write, its text, words that the output must hold."""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HEAD = '/* SPDX-License-Identifier: Apache-2.0 */\n/*\n * An example of a file.\n */\n'

GOOD = {
    'src/LAYERS': '# low to high\nutil:\nwire: util\nloop: util\n',
    'include/clusterd/util/item.h': HEAD + 'int item_size(void);\n',
    'include/clusterd/wire/frame.h': HEAD + 'int frame_size(void);\n',
    'src/util/item.c': HEAD + '#include "clusterd/util/item.h"\n\nint item_size(void)\n{\n    return 1;\n}\n',
    'src/wire/inner.h': HEAD + 'int inner_size(void);\n',
    'src/wire/inner.c': HEAD + '#include "inner.h"\n\nint inner_size(void)\n{\n    return 1;\n}\n',
    'src/wire/frame.c': HEAD + '#include "clusterd/wire/frame.h"\n#include "clusterd/util/item.h"\n#include "inner.h"\n\n'
                               'static int twice(int n)\n{\n    return 2 * n; /* no time(), no socket() */\n}\n\n'
                               'int frame_size(void)\n{\n    return twice(item_size()) + inner_size();\n}\n',
    'src/wire/java/text.c': HEAD + '#include "../inner.h"\n\nint java_text_size(void)\n{\n    return inner_size();\n}\n',
    'src/loop/clock.c': HEAD + '#include <time.h>\n\nlong clock_now(void)\n{\n    return (long)time(NULL);\n}\n',
    'run.sh': '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho hello\n',
    'tests/lint/layers.allow': '', 'tests/lint/prefix.allow': '', 'tests/lint/sizes.known': '',
    'systemd/clusterd.service': '[Service]\nExecStart=/usr/bin/clusterd\n',
    'systemd/clusterd.sysusers.conf': 'u clusterd -\n',
    'systemd/clusterd.tmpfiles.conf': 'd /run/clusterd 0755 clusterd clusterd -\n',
    '.clang-format': (HERE.parents[1] / '.clang-format').read_text(),
}

LONG_FUNCTION = 'int frame_long(int n)\n{\n' + '    n++;\n' * 98 + '    return n;\n}\n'
BAD = (
    ('layers', 'src/util/up.c', HEAD + '#include "clusterd/wire/frame.h"\n', 'src/util/up.c:5:'),
    ('layers', 'include/clusterd/util/up.h', HEAD + '#include "clusterd/wire/frame.h"\n', 'include/clusterd/util/up.h:5:'),
    ('layers', 'src/loop/thief.c', HEAD + '#include "../wire/inner.h"\n', 'only its own folder'),
    ('layers', 'include/clusterd/wire/leak.h', HEAD + '#include "inner.h"\n', 'public headers only'),
    ('layers', 'src/wire/gone.c', HEAD + '#include "clusterd/util/gone.h"\n', 'no such header'),
    ('layers', 'src/wire/net.c', HEAD + '#include <sys/socket.h>\n', 'outside world'),
    ('layers', 'src/wire/thread.c', HEAD + 'void thread_x(void)\n{\n    pthread_self();\n}\n', 'pthread_self'),
    ('layers', 'src/wire/clock.c', HEAD + 'long clock_x(void)\n{\n    return time(0);\n}\n', 'src/wire/clock.c:7: time:'),
    ('layers', 'src/util/disk.c', HEAD + '#include <fcntl.h>\n', 'no I/O'),
    ('layers', 'src/attic/old.c', HEAD, 'no layer attic'),
    ('layers', 'src/LAYERS', 'util: wire\nwire: util\nloop: util\n', 'not below it'),
    ('layers', 'tests/lint/layers.allow', 'src/wire/frame.c time because it was so\n', 'not needed any more'),
    ('prefix', 'src/wire/other.c', HEAD + 'int stranger(void)\n{\n    return 1;\n}\n', 'stranger is exported'),
    ('prefix', 'src/wire/other.c', HEAD + 'const int table[2] = {1, 2};\n', 'table is exported'),
    ('prefix', 'src/wire/other.c', HEAD + 'int main(void)\n{\n    return 1;\n}\n', 'main is exported'),
    ('prefix', 'tests/lint/prefix.allow', 'src/wire/frame.c wire_ because\n', 'not needed any more'),
    ('heads', 'src/wire/bare.c', 'int bare;\n', 'src/wire/bare.c:1:'),
    ('heads', 'src/wire/short.c', HEAD.split('\n')[0] + '\n/* Short. */\n', 'fewer than three'),
    ('heads', 'bare.sh', '#!/bin/sh\n', 'bare.sh:1:'),
    ('sizes', 'src/wire/frame.c', HEAD + LONG_FUNCTION, 'frame_long has 102 lines'),
    ('sizes', 'src/wire/frame.c', HEAD + 'int frame_x;\n' * 900, 'the file has 904 lines'),
    ('sizes', 'tests/lint/sizes.known', 'src/wire/frame.c frame_size 120 because\n', 'not needed any more'),
    ('leftovers', 'src/wire/note.c', HEAD + '/* TO' 'DO: later */\n', 'src/wire/note.c:5:'),
    ('leftovers', 'docs/NOTE.md', 'FIX' 'ME\n', 'docs/NOTE.md:1:'),
    ('format', 'src/wire/ugly.c', HEAD + 'int  ugly( void ) {return 1;}\n', 'src/wire/ugly.c:5:'),
    ('shell', 'bad.sh', '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\nrm $1/*\n', 'bad.sh'),
    ('systemd', 'systemd/clusterd.service', '[Service]\nExecStart=/usr/bin/clusterd\nUsr=clusterd\n', "Unknown key 'Usr'"),
    ('systemd', 'systemd/clusterd.sysusers.conf', 'u someone -\n', 'made no user'),
    ('systemd', 'systemd/clusterd.tmpfiles.conf', 'd /run/other 0755 clusterd clusterd -\n', 'made no /run/clusterd'),
)


def run(rule, root):
    script = HERE / f'{rule}.py'
    if script.exists():
        command = [sys.executable, '-B', str(script), '--root', str(root)]
    else:
        command = ['sh', str(HERE / f'{rule}.sh'), str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def plant(root, tree):
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main():
    failures = skipped = 0
    for rule in sorted({case[0] for case in BAD}):
        with tempfile.TemporaryDirectory() as folder:
            plant(pathlib.Path(folder), GOOD)
            status, output = run(rule, folder)
            if status not in (0, 77):
                print(f'{rule}: fails on a good tree:\n{output}')
                failures += 1
    for rule, name, text, words in BAD:
        with tempfile.TemporaryDirectory() as folder:
            plant(pathlib.Path(folder), {**GOOD, name: text})
            status, output = run(rule, folder)
            if status == 77:
                skipped += 1
            elif status != 1 or words not in output:
                print(f'{rule}: status {status} on a bad {name}, wanted 1 and "{words}":\n{output}')
                failures += 1
    print(f'selftest: {len(BAD)} bad trees, {skipped} skipped, {failures} not noticed')
    sys.exit(1 if failures else 0)


main()
