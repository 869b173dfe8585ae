#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One exported prefix a file: what src/<layer>/x.c exports begins with "x_" (or is "x"), so that a name tells the
file. In a folder within a layer, such as wire/java/, the folder's name may stand in front: "java_x_". Exceptions
stand, with their reasons, in prefix.allow as "path prefix reason"; one that is no longer needed must go."""

import re

import csource

VARIABLE = re.compile(
    r'^(?!static\b|typedef\b|extern\b|return\b|(?:struct|union|enum)\s+\w+\s*;)'
    r'[A-Za-z_][\w \t*]*?\b(?P<name>[A-Za-z_]\w*)(?:\[[^\]\n]*\])*\s*(?:=|;)', re.MULTILINE)


def main():
    root = csource.root_from_args(__doc__)
    exceptions = csource.allowed(root / 'tests/lint/prefix.allow')
    used, problems = set(), []
    sources = csource.files(root, 'src/*/**/*.c')

    for path in sources:
        name = path.relative_to(root).as_posix()
        layer_folder = path.relative_to(root / 'src').parts[1:-1]
        prefixes = [path.stem, '_'.join((*layer_folder, path.stem))]
        code = csource.strip(path.read_text())
        exported = [(function, line) for function, line, _, static in csource.functions(code) if not static]
        exported += [(match.group('name'), csource.line_of(code, match.start())) for match in VARIABLE.finditer(code)]
        for symbol, line in exported:
            if any(symbol == p or symbol.startswith(p + '_') for p in prefixes):
                continue
            if symbol == 'main' and path.stem == 'main':
                continue
            fitting = [key for key in exceptions if key[0] == name and symbol.startswith(key[1])]
            if fitting:
                used.update(fitting)
                continue
            problems.append(f'{name}:{line}: {symbol} is exported and does not begin with {path.stem}_')

    problems += [f'prefix.allow: not needed any more: {path} {thing}' for path, thing in exceptions.keys() - used]
    csource.verdict('prefix', problems, len(sources))


main()
