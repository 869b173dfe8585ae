#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long functions and files are: medians, 90th percentile, the ten largest. Decay is a few giant ones, so a
function over 100 lines or a file over 900 fails, unless sizes.known lists it as "path name lines reason..."
(name "-" for the file itself). A known size may shrink, never grow, and goes when it is no longer needed."""

import sys

import csource

MAX_FUNCTION = 100
MAX_FILE = 900


def read_known(path):
    known = {}
    for (file, name), rest in csource.allowed(path).items():
        words = rest.split(None, 1)
        if len(words) < 2 or not words[0].isdigit():
            sys.exit(f'{path}: {file} {name}: needs a number of lines and a reason')
        known[file, name] = int(words[0])
    return known


def spread(kind, sizes):
    """One line of figures and the ten largest."""
    ordered = sorted(size for size, _ in sizes)
    if not ordered:
        return
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    print(f'{kind}: {len(ordered)}, lines median {at(0.5)}, p90 {at(0.9)}, max {ordered[-1]}')
    for size, where in sorted(sizes, reverse=True)[:10]:
        print(f'  {size:5d} {where}')


def main():
    root = csource.root_from_args(__doc__)
    known = read_known(root / 'tests/lint/sizes.known')
    sources = csource.files(root, 'src/**/*.c', 'src/**/*.h', 'include/**/*.h')
    file_sizes, function_sizes, over = [], [], {}

    for path in sources:
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        lines = text.count('\n')
        file_sizes.append((lines, name))
        if lines > MAX_FILE:
            over[name, '-'] = lines
        for function, line, size, _ in csource.functions(csource.strip(text)):
            function_sizes.append((size, f'{function} ({name}:{line})'))
            if size > MAX_FUNCTION:
                over[name, function] = size

    spread('files', file_sizes)
    spread('functions', function_sizes)
    problems = []
    for (name, what), size in over.items():
        limit = known.get((name, what), MAX_FILE if what == '-' else MAX_FUNCTION)
        if size > limit:
            problems.append(f'{name}: {"the file" if what == "-" else what} has {size} lines, allowed are {limit}')
    for name, what in known.keys() - over.keys():
        problems.append(f'sizes.known: not needed any more: {name} {what}')
    for key in known.keys() & over.keys():
        if over[key] < known[key]:
            problems.append(f'sizes.known: {key[0]} {key[1]} has shrunk to {over[key]} lines: write that down')
    csource.verdict('sizes', problems, len(sources))


main()
