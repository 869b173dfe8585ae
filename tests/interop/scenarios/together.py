# SPDX-License-Identifier: Apache-2.0
"""Several clusterd nodes and Tomcats: started at once, one lost, other send options, another manager."""

import os
import signal
import time

from lab import Browser, check, check_equal, eventually
from scenarios import scenario
from scenarios.restart import People, check_people, check_tomcat, fill, is_all_in


def all_hold(things, expected):
    """Every node, of either kind, holds exactly these sessions: id -> text of its attribute x."""
    for thing in things:
        for session_id, value in expected.items():
            if hasattr(thing, 'peek'):
                check_equal(thing.peek(session_id).get('attributes'), {'x': 'String:' + value}, f'x on {thing.name}')
            else:
                session = thing.session(session_id)
                check(session and session['attributes_held'] == {'x': value},
                      f'x of {session_id} on {thing.name} is not {value}', session)
    return True


def write_each(tomcats, nodes, n=5):
    expected = {}
    for tomcat in tomcats:
        for i in range(n):
            browser = Browser(tomcat)
            browser('create')
            time.sleep(0.02)  # a Tomcat replica loses what overtakes the CREATED
            expected[browser('set', name='x', type='string', value=f'{tomcat.name} {i}')['id']] = f'{tomcat.name} {i}'
            browser.close()
    for node in nodes:
        for i in range(n):
            key = f'{node.name}{i}'.upper()
            node.front('HSET', 'app:' + key, 'x', f'{node.name} {i}')
            expected[key] = f'{node.name} {i}'
    return expected


@scenario('at-once', variants=('mixed',), seconds=90)
def at_once(lab, version_a, version_b):
    """Two clusterd nodes and two Tomcats started in the same moment: nobody waits for anybody."""
    nodes = [lab.node(i) for i in (1, 2)]
    tomcats = [lab.tomcat(version_a, 1), lab.tomcat(version_b, 2)]
    for one in tomcats + nodes:
        one.begin()
    for one in nodes + tomcats:
        one.ready()
    lab.figure('start s', ' '.join(f'{x.start_seconds:.1f}' for x in nodes + tomcats))
    check(max(x.start_seconds for x in nodes + tomcats) < 20, 'somebody waited')
    for t in tomcats:
        waits = t.log.lines('No session state|timing out')
        check(not waits, f'{t.name} waited in vain', *waits[:2])
    eventually('all to see all', lambda: all(len(x.members()) == 3 for x in nodes + tomcats))
    expected = write_each(tomcats, nodes)
    eventually('all to hold all', lambda: all_hold(nodes + tomcats, expected), 8)
    for node in nodes:
        node.stop()


@scenario('frozen', variants=('10', '9'), seconds=60)
def frozen(lab, version, _):
    """A Tomcat waits for the state of another that starts with it and answers nobody; clusterd ends the wait."""
    node, first, second = lab.node(1), lab.tomcat(version, 1), lab.tomcat(version, 2)
    first.begin()
    first.log.wait(r'establish cluster membership, start level:\[4\]')
    node.begin()
    second.begin()
    second.log.wait(r'Sleeping for .* start level:\[8\]')
    os.kill(first.pid(), signal.SIGSTOP)
    second.log.wait(f'requesting session state from .*{first.receiver}')
    second.ready()
    lab.figure('Tomcat start s', f'{second.start_seconds:.1f}')
    check(second.start_seconds < 20, 'it waited for the one that is frozen')
    os.kill(first.pid(), signal.SIGCONT)
    first.ready()
    node.ready()
    eventually('all to see all', lambda: all(len(x.members()) == 2 for x in (node, first, second)))
    expected = write_each([first, second], [node])
    eventually('all to hold all', lambda: all_hold([node, first, second], expected), 8)
    node.stop()


@scenario('two-nodes', variants=('mixed',), seconds=120)
def two_nodes(lab, version_a, version_b):
    """Two clusterd nodes, two Tomcats; one node is killed, the Tomcats restart; it returns, the other is killed."""
    first, second = lab.node(1).begin(), lab.node(2).begin()
    a, b = lab.tomcat(version_a, 1).begin(), lab.tomcat(version_b, 2).begin()
    for one in (first, second, a, b):
        one.ready()
    eventually('all to see all', lambda: all(len(x.members()) == 3 for x in (first, second, a, b)))
    people = People(a, b)
    expected = fill(people)
    for node in (first, second):
        eventually(f'{node.name} to hold all', lambda n=node: is_all_in(n, people, expected), 8)

    first.kill()
    for t in (a, b):
        t.stop()
    for t in (a, b):
        t.begin()
    for t in (a, b):
        check_tomcat(t.ready(), people, expected, 'from the second node')
    first.start()
    eventually('the first node to hold all again', lambda: is_all_in(first, people, expected), 8)

    second.kill()
    for t in (a, b):
        t.kill()
    for t in (a, b):
        t.begin()
    for t in (a, b):
        check_tomcat(t.ready(), people, expected, 'from the first node')
    check_people(people, expected, 'at the end')
    first.stop()


@scenario('options', variants=('mixed',), seconds=90)
def options(lab, version_a, version_b):
    """Members with different send options: all of it works, and the log names who differs."""
    nodes = [lab.node(1, send_options='sync,use_ack').begin(), lab.node(2, send_options='2').begin()]
    tomcats = [lab.tomcat(version_a, 1, send_options=6).begin(), lab.tomcat(version_b, 2, send_options=8).begin()]
    for one in nodes + tomcats:
        one.ready()
    eventually('all to see all', lambda: all(len(x.members()) == 3 for x in nodes + tomcats))
    expected = write_each(tomcats, nodes)
    all_hold(nodes[:1], {k: v for k, v in expected.items() if v.startswith('tomcat1')})  # its writes have been processed
    eventually('all to hold all', lambda: all_hold(nodes + tomcats, expected), 8)
    for node, differing in ((nodes[0], tomcats[1:]), (nodes[1], tomcats)):
        for tomcat in differing:
            node.log.wait(f'member {tomcat.member()} sends with channelSendOptions', seconds=2)
    check(not nodes[0].log.lines(f'member {tomcats[0].member()} sends with'), 'equal options are no news')
    for node in nodes:
        node.stop()


@scenario('backup', variants=('10', '9'), full=('10', '9'), seconds=120)
def backup(lab, version, _):
    """Tomcats with a BackupManager next to clusterd: their RPC is answered, so nobody waits 15 or 60 seconds."""
    node = lab.node(1).start()
    tomcats = [lab.tomcat(version, i, manager='BackupManager') for i in (1, 2)]
    for t in tomcats:
        t.start()
    lab.figure('Tomcat start s', ' '.join(f'{t.start_seconds:.1f}' for t in tomcats))
    check(max(t.start_seconds for t in tomcats) < 12, 'a start waited for an RPC reply',
          [t.start_seconds for t in tomcats])
    begun = time.monotonic()
    browser = Browser(tomcats[0])
    for i in range(10):
        browser('set', name='x', type='int', value=i)
    lab.figure('10 requests s', f'{time.monotonic() - begun:.2f}')
    check(time.monotonic() - begun < 5, 'requests waited for clusterd')
    eventually('its backup', lambda: tomcats[1].ask('peek', id=browser.id).get('entry') == 'backup', 5)
    tomcats[0].kill()
    eventually('the session on the other one', lambda: browser.to(tomcats[1])('get', name='x')['value'] == 'Integer:9', 10)
    check(node.counter('rpc_unserved') > 0, 'RPCs were answered')
    node.stop()
