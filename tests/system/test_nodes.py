#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several real nodes on loopback, asked by clusterctl: members, loss of one, sessions and their end, leaving."""

import os
import signal
import subprocess
import time
import unittest

from harness import NodeTest, has_namespace, main, wait_for

MEMBER_KEYS = {'host', 'port', 'alive', 'state', 'id', 'name', 'kind', 'complete', 'suspect', 'lagging',
               'queued_bytes', 'queued_messages', 'domain'}


class Members(NodeTest):
    def test_every_node_lists_all(self):
        nodes = self.cluster(3)
        ports = sorted(node.port for node in nodes)
        ids = None
        for node in nodes:
            members = node.json('members')
            self.assertIsInstance(members, list)
            self.assertEqual(sorted(m['port'] for m in members), ports)
            for member in members:
                self.assertLessEqual(MEMBER_KEYS, member.keys())
                self.assertEqual(member['host'], '127.0.0.1')
                self.assertIsInstance(member['alive'], int)
                self.assertRegex(member['id'], '^[0-9a-f]{32}$')
                self.assertEqual(member['kind'], 'clusterd')
            self.assertEqual([m['state'] for m in members][0], 'self')
            self.assertEqual(members[0]['port'], node.port)
            self.assertEqual({m['state'] for m in members[1:]}, {'up'})
            self.assertEqual(ids or {m['id'] for m in members}, {m['id'] for m in members})
            ids = {m['id'] for m in members}
            self.assertEqual(node.log().count('Replication member added:['), 2)
        table = nodes[0].ctl('members').stdout.splitlines()
        self.assertEqual(len(table), 4)
        self.assertTrue(table[0].startswith('NAME '))
        for node in nodes:
            self.assertEqual(node.stop(), 0)

    def test_killed_member_is_noticed_at_once(self):
        a, b, c = self.cluster(3)
        began = time.monotonic()
        b.signal(signal.SIGKILL)
        a.wait_log('Received member disappeared:', 2) # dropTime is 3 s
        c.wait_log('Received member disappeared:', 2)
        self.assertLess(time.monotonic() - began, 2)
        line = [l for l in a.log().splitlines() if 'Received member disappeared:[' in l][0]
        self.assertIn(f'tcp://127.0.0.1:{b.port},127.0.0.1,{b.port}, alive=', line)
        wait_for('a lists two', lambda: len(a.json('members')) == 2)
        b.start()
        wait_for('a lists three', lambda: len(a.json('members')) == 3)

    def test_leave(self):
        a, b = self.cluster(2)
        done = b.ctl('leave')
        self.assertEqual((done.returncode, done.stdout), (0, 'the node has left the cluster\n'))
        self.assertEqual(b.wait(), 0)
        a.wait_log('Received member disappeared:', 2)
        self.assertEqual(b.ctl('ping').returncode, 3)


class Sessions(NodeTest):
    def sees(self, node, session_id):
        return [s for s in node.json('sessions', '--reveal') if s['id'] == session_id]

    def test_life_of_a_session(self):
        a, b = self.cluster(2, options='sync,use_ack')
        with a.redis() as r:
            self.assertEqual(r.call('HSET', 'sess:0123456789ABCDEF', 'cart', '3 books', 'user', 'alice'), 2)
            self.assertEqual(r.call('EXPIRE', 'sess:0123456789ABCDEF', 600), 1)
            r.call('SET', 'sess:other', 'text')
        for node in (a, b):
            self.assertEqual(len(node.json('sessions')), 2)
            session = self.sees(node, '0123456789ABCDEF')[0]
            self.assertEqual((session['context'], session['kind'], session['attributes']), ('localhost#/shop', 'hash', 2))
            self.assertTrue(500000 < session['ttl_ms'] <= 600000)

        # Without --reveal neither whole ids nor values.
        for words in (('sessions',), ('sessions', '--json'), ('session', '0123456789ABCDEF'),
                      ('session', '0123456789ABCDEF', '--json')):
            done = b.ctl(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('012345...', done.stdout)
            self.assertNotIn('0123456789', done.stdout)
            self.assertNotIn('3 books', done.stdout)
        revealed = b.json('session', '0123456789ABCDEF', '--reveal')
        entries = {e['name']: e for e in revealed['entries'] if e['type'] == 'attribute'}
        self.assertEqual(entries['cart']['value'], '3 books')
        self.assertEqual(entries['cart']['class'], 'java.lang.String')
        self.assertEqual(entries['cart']['writer'], f'127.0.0.1:{a.port}')
        self.assertGreater(entries['cart']['size'], 7)
        self.assertLess(abs(entries['cart']['written_ms'] - time.time() * 1000), 60000)

        self.assertEqual([s['id'] for s in a.json('sessions', '--reveal', '--match', '0123*')], ['0123456789ABCDEF'])
        self.assertEqual(len(a.json('sessions', '--limit', '1')), 1)
        self.assertEqual(len(a.json('sessions', '--context', 'localhost#/shop')), 2)
        self.assertEqual(a.ctl('sessions', '--context', 'localhost#/nope').returncode, 1)

        done = b.ctl('expire', '0123456789ABCDEF')
        self.assertEqual((done.returncode, done.stdout), (0, 'expired in context localhost#/shop\n'))
        for node in (a, b):
            self.assertEqual(node.ctl('session', '0123456789ABCDEF').returncode, 1)
            self.assertEqual(node.ctl('expire', '0123456789ABCDEF').returncode, 1)
            self.assertEqual(len(node.json('sessions')), 1)
            with node.redis() as r:
                self.assertEqual(r.call('EXISTS', 'sess:0123456789ABCDEF'), 0)

    def test_many_pages(self):
        node = self.node().start()
        with node.redis() as r:
            for i in range(3000):
                r.call('SET', f'sess:{i:06}', 'x')
        listed = node.json('sessions', '--reveal')
        self.assertEqual({s['id'] for s in listed}, {f'{i:06}' for i in range(3000)})
        self.assertEqual(len(node.ctl('sessions').stdout.splitlines()), 3001)

    def test_contexts(self):
        node = self.node().start()
        with node.redis() as r:
            r.call('SET', 'sess:x', '1')
            r.call('SET', 'nobody', '1')
        contexts = {c['name']: c for c in node.json('contexts')}
        self.assertEqual(contexts['localhost#/shop']['sessions'], 1)
        self.assertEqual(contexts['localhost#/shop']['key_prefix'], 'sess:')
        self.assertTrue(contexts['localhost#/shop']['configured'])
        self.assertTrue(contexts['redis/0']['internal'])
        self.assertEqual(contexts['redis/0']['sessions'], 1)

    def test_configuration_loads_again(self):
        node = self.node().start()
        text = node.ctl('config').stdout
        self.assertIn('clusterName: test\n', text)
        self.assertEqual(node.json('config')['yaml'], text)
        again = self.node('again', config=text)
        again.control, again.redis_path = node.control, node.redis_path
        self.assertEqual(node.stop(), 0)
        again.start()
        self.assertEqual(again.ctl('config').stdout, text)

    def test_restarted_node_has_everything(self):
        a, b = self.cluster(2, options='sync,use_ack')
        with a.redis() as r:
            for i in range(500):
                r.call('HSET', f'sess:{i}', 'n', i)
        b.signal(signal.SIGKILL)
        b.wait()
        with a.redis() as r:
            r.call('DEL', 'sess:0')
            r.call('HSET', 'sess:1', 'n', 'new')
        b.start()
        self.assertTrue(b.json('status')['complete'])
        with b.redis() as r:
            self.assertEqual(r.call('EXISTS', 'sess:0'), 0)
            self.assertEqual(r.call('HGET', 'sess:1', 'n'), b'new')
            self.assertEqual([r.call('HGET', f'sess:{i}', 'n') for i in range(2, 500)],
                             [str(i).encode() for i in range(2, 500)])

    def test_what_waited_for_a_stopped_node_is_not_young(self):
        a, b = self.cluster(2)
        b.signal(signal.SIGSTOP)
        with a.redis() as r:
            r.call('SET', 'sess:string', 'x', 'PX', 2000)
            r.call('HSET', 'sess:hash', 'n', 1)
            r.call('PEXPIRE', 'sess:hash', 2000)
            r.call('SET', 'sess:longer', 'x', 'PX', 60000)
            time.sleep(3)
            b.signal(signal.SIGCONT)
            with b.redis() as s:
                wait_for('b has what was written', lambda: s.call('EXISTS', 'sess:longer'))
                self.assertEqual(s.call('EXISTS', 'sess:string', 'sess:hash'), 0)
                # Not aged they would be 3,000 apart; a busy machine may take its time between the two questions.
                self.assertAlmostEqual(s.call('PTTL', 'sess:longer'), r.call('PTTL', 'sess:longer'), delta=1500)

    def test_sessions_larger_than_the_queue_are_transferred(self):
        a, b = self.cluster(2, options='use_ack', cluster_more='sender: {maxQueueBytes: 16m}')
        with a.redis() as r:
            for i in range(100):
                r.call('SET', f'sess:{i}', bytes(1000000))
        b.signal(signal.SIGKILL)
        b.wait()
        b.start()
        with b.redis() as r:
            self.assertEqual(r.call('DBSIZE'), 100)
        self.assertEqual(a.json('status')['counters']['messages_dropped_full'], 0)

    def test_a_node_that_stalls_while_it_joins_is_not_complete_early(self):
        n, value = 600, bytes(100000)
        a, b = self.cluster(2, cluster_more='sender: {maxQueueBytes: 16m}')
        with a.redis() as r:
            for i in range(n):
                r.call('SET', f'sess:{i}', value)
        b.signal(signal.SIGKILL)
        b.wait()
        mark = len(b.log())
        b.start(ready=False)
        wait_for('b asks', lambda: 'requesting session state' in b.log()[mark:])
        b.signal(signal.SIGSTOP)
        time.sleep(4.5)     # lagging after 3 s: nobody waits for it, its queue overflows
        b.signal(signal.SIGCONT)
        wait_for('b is complete', b.is_complete)
        with b.redis() as r:
            self.assertEqual(r.call('DBSIZE'), n)


class Partition(NodeTest):
    def ip(self, *words):
        subprocess.run(['ip', *words], check=True)

    def host(self, i):
        """A node on a host of its own; its cable is v<i>, to plug into the bridge."""
        holder = subprocess.Popen(['unshare', '-n', 'sleep', '600'])
        self.addCleanup(lambda: (holder.kill(), holder.wait()))
        own = os.readlink('/proc/self/ns/net')
        wait_for('a namespace', lambda: os.readlink(f'/proc/{holder.pid}/ns/net') != own)
        inside = ['nsenter', '-t', str(holder.pid), '-n']
        self.ip('link', 'add', f'v{i}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', str(holder.pid))
        self.ip('link', 'set', f'v{i}', 'master', 'bridge', 'up')
        for words in (f'addr add 10.9.0.{i}/24 dev eth0', 'link set eth0 up', 'link set lo up'):
            subprocess.run([*inside, 'ip', *words.split()], check=True)
        node = self.node(f'n{i}', port=4001, bind=f'10.9.0.{i}', address=f'10.9.0.{i}', allow='10.9.0.0/24')
        node.prefix = inside
        return node

    @unittest.skipUnless(has_namespace(), 'needs network namespaces')
    def test_what_was_written_on_both_sides(self):
        self.ip('link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0')
        self.ip('link', 'set', 'bridge', 'up')
        a, b = nodes = [self.host(1).start(ready=False), self.host(2).start(ready=False)]
        for node in nodes:
            wait_for(f'{node.name} is complete', node.is_complete)
            wait_for(f'{node.name} sees both', lambda node=node: len(node.json('members')) == 2)
        with a.redis() as r, b.redis() as s:
            for key in 'removed', 'written':
                r.call('HSET', f'sess:{key}', 'n', 1)
                wait_for('b has it', lambda key=key: s.call('EXISTS', f'sess:{key}'))
            self.ip('link', 'set', 'v2', 'nomaster')
            for node in nodes:
                wait_for(f'{node.name} is alone', lambda node=node: len(node.json('members')) == 1)
            r.call('DEL', 'sess:removed')
            r.call('HSET', 'sess:written', 'a', 1)
            s.call('HSET', 'sess:written', 'b', 1)
            r.call('SET', 'sess:of-a', 1)
            s.call('SET', 'sess:of-b', 1)
            self.ip('link', 'set', 'v2', 'master', 'bridge')
            # Comparisons by the clock are 30 s apart.
            for c in r, s:
                wait_for('both have all', lambda c=c: c.call('EXISTS', 'sess:of-a', 'sess:of-b') == 2, 15)
                wait_for('all fields', lambda c=c: sorted(c.call('HKEYS', 'sess:written')) == [b'a', b'b', b'n'], 15)
                self.assertEqual(c.call('EXISTS', 'sess:removed'), 0)


main()
