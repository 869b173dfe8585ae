#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The man pages: the generated one is what the option tables give, all of them format without a warning, and what
--help says stands in them."""

import re
import shutil
import subprocess
import unittest

from harness import CLUSTERCTL, CLUSTERD, HERE, main

MAN = HERE.parents[1] / 'docs/man'
PAGES = sorted(MAN.glob('*.[158]'))


def plain(page):
    """The text of a page without its markup."""
    text = page.read_text().replace('\\-', '-').replace('\\&', '').replace('\\e', '\\')
    text = re.sub(r'\\f[A-Z]', '', text)
    return re.sub(r'^\.[A-Z]+ ?', '', text, flags=re.MULTILINE).replace('"', '')


def helped(*words):
    return subprocess.run([*words, '--help'], capture_output=True, text=True, check=True).stdout


class Man(unittest.TestCase):
    def test_there_are_three(self):
        self.assertEqual([p.name for p in PAGES], ['clusterctl.1', 'clusterd.8', 'clusterd.yaml.5'])

    def test_option_reference_is_current(self):
        done = subprocess.run(['python3', '-B', str(MAN / 'options.py'), CLUSTERD, '--check'], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_option_of_help_is_described(self):
        for page, words in (('clusterd.8', [[CLUSTERD]]),
                            ('clusterctl.1', [[CLUSTERCTL], [CLUSTERCTL, 'sessions'], [CLUSTERCTL, 'session']])):
            text = plain(MAN / page)
            for command in words:
                for option in re.findall(r'--[a-z-]+', helped(*command).split('Mandatory')[0]):
                    self.assertIn(option, text, page)

    def test_annotated_file_has_every_key_that_counts(self):
        text = (HERE.parents[1] / 'etc/clusterd.yaml').read_text()
        listing = subprocess.run([CLUSTERD, '--options'], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            section, name, aliases, _, _, _, flags, _ = line.split('\t')
            if 'no-effect' in flags or section.startswith('cluster.interceptors'):
                continue
            names = '|'.join([name, *aliases.split()])
            self.assertRegex(text, rf'[ #{{]({names}):', f'{section}.{name}')

    def test_every_verb_is_described(self):
        text = plain(MAN / 'clusterctl.1').split('VERBS', 1)[1].split('EXIT STATUS')[0]
        verbs = re.findall(r'^  ([a-z]+) ', helped(CLUSTERCTL), re.MULTILINE)
        self.assertEqual(len(verbs), 10)
        for verb in verbs:
            self.assertRegex(text, rf'(?m)^{verb}\b')

    def test_formatting(self):
        if not shutil.which('groff'):
            self.skipTest('there is no groff')
        for page in PAGES:
            done = subprocess.run(['groff', '-man', '-Tascii', '-ww', '-z', str(page)], capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ''), page)


main()
