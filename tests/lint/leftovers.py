#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No notes to oneself are left in the tree: what is not done is not announced in the code."""

import re

import csource

# Put together from halves, so that this file does not find itself.
WORDS = re.compile(r'\b(' + '|'.join(a + b for a, b in (('TO', 'DO'), ('FIX', 'ME'), ('XX', 'X'), ('HA', 'CK'))) + r')\b')


def main():
    root = csource.root_from_args(__doc__)
    paths = csource.files(root, '*', '.ci/*', 'src/**/*', 'include/**/*', 'tests/**/*', 'docs/**/*', 'etc/**/*',
                          'systemd/**/*')
    problems = []
    checked = 0

    for path in paths:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        checked += 1
        for match in WORDS.finditer(text):
            problems.append(f'{path.relative_to(root)}:{csource.line_of(text, match.start())}: {match.group(0)}')

    csource.verdict('leftovers', problems, checked)


main()
