#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes clusterd.yaml.5 from clusterd.yaml.5.in and the option tables in the program (clusterd --options).

usage: options.py CLUSTERD [--check]     --check: only say whether the page is current (exit status 1 if not)
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SECTIONS = {
    'cluster': 'The cluster, and what is said of this node as a whole.',
    'cluster.manager': 'The session manager: the default of every context.',
    'cluster.membership': 'Heartbeats: who is there.',
    'cluster.receiver': 'How members reach this node.',
    'cluster.sender': 'How this node reaches members.',
    'cluster.valve': 'Which requests change no session.',
    'cluster.deployer': 'Accepted, so that a whole <Cluster> can be copied.',
    'cluster.clusterListener': 'Accepted, so that a whole <Cluster> can be copied.',
    'contexts': 'The named sets of sessions.',
    'contexts.list': 'Contexts that are asked for at the start, or have settings of their own: a list of sections. Each '
                     'may have a section manager with the keys of cluster.manager; what it does not say is taken from '
                     'there.',
    'frontDoor': 'The Redis protocol, for applications.',
    'control': 'The socket of clusterctl.',
    'log': 'The log.',
}
INTERCEPTORS = ('A list of interceptors, the first nearest to the application: class names, or sections with className '
                'and the keys of that interceptor. An empty list stands for MessageDispatchInterceptor, '
                'TcpFailureDetector.')


def escape(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[:1] in ('.', "'") else text


def sentence(doc):
    return doc[:1].upper() + doc[1:] + '.'


def option(row):
    _, name, aliases, kind, default, choices, flags, doc = row
    flags = flags.split(',') if flags else []
    head = f'.B {escape(name)}'
    if aliases:
        head = f'.BR {escape(name)} " (" ' + ' ", " '.join(escape(a) for a in aliases.split()) + ' ")"'
    lines = ['.TP', head, escape(sentence(doc))]
    facts = [kind[:1].upper() + kind[1:] + (' or auto' if 'auto' in flags else '') + (f' ({choices})' if choices else '')]
    if 'required' in flags:
        facts.append('required')
    else:
        facts.append(f'default {default}' if default else 'no default')
    lines.append(escape('; '.join(facts) + '.'))
    if 'no-effect' in flags:
        lines.append("Accepted for Tomcat's sake, without effect here.")
    if 'live' in flags:
        lines.append('Applied by a reload (SIGHUP).')
    if 'secret' in flags:
        lines.append('Never shown or logged.')
    return lines


def make(listing):
    rows = [line.split('\t') for line in listing.splitlines()]
    sections = list(dict.fromkeys(row[0] for row in rows))
    lines, told = [], False
    for section in sections:
        if section == 'contexts' or (section.startswith('cluster.interceptors') and not told):
            if not told:
                lines += ['.SH "SECTION cluster.interceptors"', escape(INTERCEPTORS)]
            told = True
        lines.append(f'.SH "SECTION {section}"')
        if section in SECTIONS:
            lines.append(escape(SECTIONS[section]))
        for row in rows:
            if row[0] == section:
                lines += option(row)
    template = (HERE / 'clusterd.yaml.5.in').read_text()
    return template.replace('@OPTIONS@\n', '\n'.join(lines) + '\n')


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ['--check']):
        sys.exit(__doc__)
    listing = subprocess.run([sys.argv[1], '--options'], capture_output=True, text=True, check=True).stdout
    page = HERE / 'clusterd.yaml.5'
    text = make(listing)
    if sys.argv[2:] == []:
        page.write_text(text)
    elif not page.exists() or page.read_text() != text:
        sys.exit(f'{page} is not current; run: docs/man/options.py CLUSTERD')


main()
