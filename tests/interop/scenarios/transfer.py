# SPDX-License-Identifier: Apache-2.0
"""Many sessions at once: clusterd takes them over from a Tomcat that was there first, and gives them back."""

import time

from lab import CONTEXT, PREFIX, SECOND, as_map, check, check_equal, eventually
from scenarios import scenario


def lost(expected, got):
    """Ids that are missing, are too many, or whose content differs."""
    return ([i for i in expected if i not in got], [i for i in got if i not in expected],
            [i for i in expected if i in got and got[i] != expected[i]])


def check_same(expected, got, what, describe=lambda i: i):
    missing, extra, different = lost(expected, got)
    check(not (missing or extra or different),
          f'{what}: of {len(expected)} sessions {len(missing)} are missing, {len(different)} differ, {len(extra)} too many',
          *map(describe, (missing + extra + different)[:3]))


def fill(tomcat, n, context='app', **parameters):
    done = tomcat.ask('bulk', context, n=n, **parameters)
    check_equal(done['failed'], 0, 'sessions that could not be made')
    return done


def received_ms(tomcat, start):
    """How long the Tomcat says that its state transfers took."""
    lines = tomcat.log.lines('session state sent at', start)
    return sum(int(line.rsplit('[', 1)[1].split(']')[0].replace(',', '')) for line in lines)


def transfer_problems(tomcat, start):
    """Lines of its log that are worse than INFO, without what a scenario expects."""
    return tomcat.log.lines(r' (WARNING|SEVERE) ', start)


@scenario('late', variants=('10', '9'), full=('10', '9'), seconds=120)
def late(lab, version, _):
    """clusterd joins a Tomcat that holds sessions in two contexts, one silent; then the Tomcat restarts."""
    n = 100000 if lab.full else 2000
    blocks = {} if version == 10 else dict(  # the other way in which a Tomcat may send: many blocks
        manager_attr='sendAllSessions="false" sendAllSessionsSize="300" sendAllSessionsWaitTime="20"')
    tomcat = lab.tomcat(version, 1, second='/second', heap='1500m' if lab.full else '256m', **blocks).start()
    fill(tomcat, n // 2, bytes=300, threads=2, login=100)
    fill(tomcat, n // 2, 'second', bytes=300, threads=2, bean=10)
    def hashes():  # a Tomcat does not send auth types with its sessions
        return tomcat.hashes(auth='no'), tomcat.hashes('second', auth='no')

    before = hashes()
    node = lab.node(1, contexts=((CONTEXT, PREFIX),))  # of the second one it has not heard
    node.begin().ready(seconds=120)
    lab.figure('sessions', n)
    lab.figure('clusterd complete after s', f'{node.start_seconds:.1f}')
    check_equal((node.count(), node.count(SECOND)), (n // 2, n // 2), 'sessions in clusterd')
    check_equal(node.ids(SECOND), sorted(before[1]), 'ids of the silent context')

    tomcat.stop()
    mark = tomcat.log.mark()
    tomcat.start()
    after = hashes()
    check_same(before[0], after[0], 'the first context after the restart')
    check_same(before[1], after[1], 'the second context after the restart')
    lab.figure('Tomcat start s', f'{tomcat.start_seconds:.1f}')
    lab.figure('of it transfer ms', received_ms(tomcat, mark))
    check_equal(transfer_problems(tomcat, mark), [], 'warnings of the Tomcat')
    node.stop()


@scenario('give', variants=('10', '9'), seconds=120)
def give(lab, version_a, version_b):
    """clusterd alone holds many sessions; a Tomcat that lacks a class starts: it has all others, by hash."""
    n, odd = (100000, 1000) if lab.full else (3000, 30)
    node = lab.node(1)
    node.begin()
    first = lab.tomcat(version_a, 1, heap='1500m' if lab.full else '256m').start()
    node.ready()
    eventually('they see each other', lambda: first.count() == 0 and len(first.members()) == 1)
    done = fill(first, n, bytes=1024, threads=2, login=100)
    lab.figure('filled per s', int(done['perSecond']))
    eventually('clusterd to hold all', lambda: node.count() == n, 60, 0.2)
    usual = first.hashes()
    fill(first, odd, bytes=100, threads=2, bean=1)
    eventually('clusterd to hold the odd ones too', lambda: node.count() == n + odd, 60, 0.2)
    unusual = {i: h for i, h in first.hashes().items() if i not in usual}
    def counters():
        got = node.status()
        return got['session_bytes'], as_map(got['counters'])['messages_received']

    def is_quiet():
        before = counters()
        time.sleep(0.5)
        return counters() == before
    eventually('no more messages', is_quiet)
    first.stop()
    status = node.status()
    check_equal(status['sessions'], n + odd, 'sessions in clusterd without any Tomcat')
    lab.figure('clusterd MiB', status['session_bytes'] >> 20)

    second = lab.tomcat(version_b, 2, heap='1500m' if lab.full else '256m', without='app/Bean').start()
    got = second.hashes()
    check_same(usual, {i: h for i, h in got.items() if i not in unusual}, 'the Tomcat without the class',
               lambda i: (second.peek(i), node.session(i)))
    check(len(got) >= n, 'sessions of a missing class cost only themselves', len(got))
    lab.figure('Tomcat start s', f'{second.start_seconds:.1f}')
    lab.figure('of it transfer ms', received_ms(second, 0))
    problems = transfer_problems(second, 0)
    lab.figure('sessions', f'{len(got)} of {n} + {odd} whose class is missing')
    lab.figure('log lines worse than INFO', len(problems))
    unexpected = [p for p in problems if 'messageReceived' not in p and 'ClassNotFoundException: app.Bean' not in p]
    check(not unexpected, 'unexpected warnings', *unexpected[:3])

    begun = time.monotonic()
    first.start()  # one that has the class: it asks clusterd, and has all
    check_same(dict(usual, **unusual), first.hashes(), 'the Tomcat with the class',
               lambda i: (first.peek(i), node.session(i)))
    lab.figure('second start s', f'{time.monotonic() - begun:.1f}')
    node.stop()
