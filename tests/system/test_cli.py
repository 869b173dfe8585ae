#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command lines of clusterd and clusterctl that need no running node: help, versions, wrong words, --check-config."""

import pathlib
import subprocess
import tempfile
import unittest

from harness import CLUSTERCTL, CLUSTERD, HERE, main

VERBS = ('members', 'status', 'contexts', 'sessions', 'session', 'expire', 'leave', 'config', 'ping', 'version')


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


def check(yaml):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 't.yaml'
        path.write_text(yaml)
        return run(CLUSTERD, '--config', str(path), '--check-config')


class Clusterd(unittest.TestCase):
    def test_help_names_every_exit_status(self):
        done = run(CLUSTERD, '--help')
        self.assertEqual(done.returncode, 0)
        for word in ('--config', '--check-config', '--options', '--version', 'Exit status: 0', ' 1 ', ' 2 ', ' 3 ', ' 4 '):
            self.assertIn(word, done.stdout.replace('\n', ' '))

    def test_version(self):
        done = run(CLUSTERD, '--version')
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'^clusterd \d+\.\d+\.\d+')

    def test_wrong_words(self):
        for words in (['--frobnicate'], ['clusterd.yaml'], ['--config'], ['-x']):
            done = run(CLUSTERD, *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(done.stdout, '')
            self.assertTrue(done.stderr.startswith('clusterd: '), done.stderr)

    def test_shipped_files_are_good(self):
        for path in (HERE / 'example.yaml', HERE.parents[1] / 'etc/clusterd.yaml'):
            done = run(CLUSTERD, '--config', str(path), '--check-config')
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f'{path}: OK\n', ''))

    def test_all_mistakes_in_one_run(self):
        done = check('clustr: {}\ncluster:\n  membership:\n    mcastPort: x\n')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, '')
        self.assertRegex(done.stderr, r't\.yaml:1: error: clustr: unknown key; did you mean cluster\?\n')
        self.assertRegex(done.stderr, r't\.yaml:4: error: mcastPort: must be a whole number\n')
        self.assertIn('2 mistakes', done.stderr)

    def test_warnings_are_good_enough(self):
        done = check('cluster: {jvmRoute: a.b}\n')
        self.assertEqual(done.returncode, 0)
        self.assertIn('warning: jvmRoute: a.b contains a dot', done.stderr)
        self.assertIn(': OK\n', done.stdout)

    def test_file_that_cannot_be_read(self):
        for path in ('/nonexistent/clusterd.yaml', '/'):
            for more in ([], ['--check-config']):
                done = run(CLUSTERD, '--config', path, *more)
                self.assertEqual(done.returncode, 1)
                self.assertIn(path, done.stderr)

    def test_options_are_listed(self):
        done = run(CLUSTERD, '--options')
        self.assertEqual(done.returncode, 0)
        rows = [line.split('\t') for line in done.stdout.splitlines()]
        self.assertTrue(all(len(row) == 8 for row in rows))
        names = {(row[0], row[1]) for row in rows}
        self.assertEqual(len(names), len(rows))
        self.assertIn(('cluster.membership', 'dropTime'), names)


class Clusterctl(unittest.TestCase):
    def test_help_at_each_level(self):
        done = run(CLUSTERCTL, '--help')
        self.assertEqual(done.returncode, 0)
        for verb in VERBS:
            self.assertIn(f'\n  {verb} ', done.stdout)
            own = run(CLUSTERCTL, verb, '--help')
            self.assertEqual(own.returncode, 0)
            self.assertIn(f'Usage: clusterctl {verb}', own.stdout)
            self.assertIn('--json', own.stdout)
        self.assertIn('Exit status: 0', done.stdout)

    def test_version_without_a_daemon(self):
        self.assertRegex(run(CLUSTERCTL, '--version').stdout, r'^clusterctl \d+\.\d+\.\d+')

    def test_wrong_words(self):
        for words in ([], ['frob'], ['members', 'x'], ['session'], ['session', 'a', 'b'], ['expire'], ['--frob', 'ping'],
                      ['ping', '--frob'], ['sessions', '--limit', 'x'], ['sessions', '--limit', '-1'],
                      ['status', '--reveal'], ['--timeout', '0', 'ping'], ['--socket']):
            done = run(CLUSTERCTL, *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(done.stdout, '')
            self.assertTrue(done.stderr.startswith('clusterctl'), done.stderr)

    def test_no_daemon(self):
        for verb in VERBS:
            words = [verb, 'ID'] if verb in ('session', 'expire') else [verb]
            done = run(CLUSTERCTL, '--socket', '/nonexistent/control.sock', *words)
            self.assertEqual(done.returncode, 3, verb)
            self.assertIn('/nonexistent/control.sock', done.stderr)
            self.assertEqual(done.stdout, '')


main()
