# SPDX-License-Identifier: Apache-2.0
"""What the lint tests know about C: which files there are, their text without comments and strings, and where
functions begin and end. It relies on the project's format (clang-format, Linux braces): a function's opening and
closing brace stand in the first column, which a test of the format guarantees."""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
FUNCTION = re.compile(r'^(?P<head>[A-Za-z_][^;{}#=]*?\b(?P<name>[A-Za-z_]\w*)\s*\((?P<args>[^;{}]*)\)[^;{}=]*)\n\{$',
                      re.MULTILINE)


def root_from_args(doc):
    """The tree to look at: the repository, or the one that the self test made."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument('--root', type=pathlib.Path, default=ROOT)
    return parser.parse_args().root


def files(root, *patterns):
    """All files below the root that match, sorted; build folders and recorded bytes are not ours to judge."""
    found = {p for pattern in patterns for p in root.glob(pattern) if p.is_file()}
    return sorted(p for p in found if not {'golden', 'corpus', 'node_modules'} & set(p.relative_to(root).parts))


def strip(text, strings=True):
    """The text with comments (and strings) blanked out; line numbers stay as they are."""
    def blank(match):
        token = match.group(0)
        if token[0] in '"\'' and not strings:
            return token
        return re.sub(r'[^\n]', ' ', token)
    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def functions(text):
    """(name, first line, number of lines, is static) of each function defined in a stripped text."""
    for match in FUNCTION.finditer(text):
        end = text.find('\n}', match.end() - 1)
        if end < 0:
            continue
        first, last = line_of(text, match.start()), line_of(text, end + 1)
        name = match.group('name')
        before = re.match(r'[^(]*?\b(\w+)\s*\(', match.group('head'))
        if before and not before.group(1).startswith('__attribute__'):
            name = before.group(1)
        yield name, first, last - first + 1, re.search(r'\bstatic\b', match.group('head')) is not None


def allowed(path):
    """An exceptions file: {(path, what): reason}. Lines are "path what reason..."; # begins a comment."""
    entries = {}
    if path.exists():
        for line in path.read_text().splitlines():
            words = line.split('#', 1)[0].split(None, 2)
            if not words:
                continue
            if len(words) < 3:
                sys.exit(f'{path}: an exception needs a path, a thing and a reason: {line}')
            entries[words[0], words[1]] = words[2]
    return entries


def verdict(name, problems, checked):
    """Print the problems and end the program: 1 if there are any."""
    for problem in problems:
        print(problem)
    print(f'{name}: {checked} files, {len(problems)} problems')
    sys.exit(1 if problems else 0)
