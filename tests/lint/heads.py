#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each C file begins with the licence line and, right after it, a comment of at least three lines that says what
the file is for; each script names the licence within its first lines."""

import re

import csource

LICENCE = 'SPDX-License-Identifier: Apache-2.0'
HEAD = re.compile(r'/\* ' + re.escape(LICENCE) + r' \*/\n(/\*.*?\*/)', re.DOTALL)


def main():
    root = csource.root_from_args(__doc__)
    sources = csource.files(root, 'src/**/*.[ch]', 'include/**/*.[ch]', 'tests/**/*.[ch]')
    scripts = csource.files(root, '*.sh', '.ci/*', 'tests/**/*.sh', 'tests/**/*.py')
    problems = []

    for path in sources:
        match = HEAD.match(path.read_text())
        if not match:
            problems.append(f'{path.relative_to(root)}:1: begins with no licence line and head comment')
        elif match.group(1).count('\n') < 2:
            problems.append(f'{path.relative_to(root)}:2: the head comment has fewer than three lines')
    for path in scripts:
        if LICENCE not in ''.join(path.read_text().splitlines(True)[:3]):
            problems.append(f'{path.relative_to(root)}:1: no licence line in the first three lines')

    csource.verdict('heads', problems, len(sources) + len(scripts))


main()
