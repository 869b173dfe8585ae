# SPDX-License-Identifier: Apache-2.0
"""Parties that are killed or stop in the middle of things."""

import os
import signal
import threading
import time

from lab import Browser, check, check_equal, eventually, median
from scenarios import scenario
from scenarios.events import GONE, seen
from scenarios.together import all_hold


def keep_busy(browser, until):
    def work():
        i = 0
        while not until.is_set():
            try:
                browser('set', name='x', type='int', value=i)
            except Exception:  # the Tomcat is killed under it: that is what it is for
                return
            i += 1
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def notice(node, tomcat):
    """Milliseconds from kill -9 of the Tomcat until clusterd says that it is gone."""
    mark = node.log.mark()
    begun = time.monotonic()
    tomcat.kill()
    seen(node.log, GONE, tomcat.member(), mark)
    return round(1000 * (time.monotonic() - begun))


def with_connections(node, tomcat, busy):
    tomcat.start()
    browser = Browser(tomcat)
    browser('set', name='x', type='int', value=0)
    eventually('clusterd to have it', lambda: node.session(browser.id), 5)
    over = threading.Event()
    if busy:
        keep_busy(browser, over)
        time.sleep(0.3)
    waited = notice(node, tomcat)
    over.set()
    return waited


def without_connections(lab, tomcat):
    """clusterd without its sender, after a Tomcat that closes what is idle: heartbeats are all that is left."""
    tomcat.start()
    node = lab.node(10 + len(lab.started), start_options=13)
    node.begin()  # it is not complete: it cannot ask
    eventually('they see each other', lambda: tomcat.member() in node.members())
    eventually('no connections', lambda: not os.popen(
        f'ss -Htn state established "sport = :{node.port} or dport = :{node.port} or sport = :{tomcat.receiver}"'
    ).read().strip(), 20)
    waited = notice(node, tomcat)
    node.stop()
    return waited


@scenario('killed', variants=('10', '9'), full=('10', '9'), seconds=180)
def killed(lab, version, _):
    """kill -9 of a Tomcat: how long until clusterd says so, with busy, idle and no TCP connections."""
    times = 5 if lab.full else 1
    node, tomcat = lab.node(1).start(), lab.tomcat(version, 1)
    for kind in ('busy', 'idle'):
        waited = [with_connections(node, tomcat, kind == 'busy') for _ in range(times)]
        lab.figure(f'{kind} ms', f'{median(waited)} of {waited}')
        check(median(waited) < 300, f'noticed late, {kind}', waited)
    node.stop()
    if lab.full:
        short = lab.tomcat(version, 2, transport_attr='keepAliveTime="300"')
        waited = [without_connections(lab, short) for _ in range(times)]
        lab.figure('no connection ms', f'{median(waited)} of {waited}')
        check(median(waited) < 4500, 'noticed late without connections', waited)


def paced(front, tomcat, prefix, a_second, seconds):
    """HSETs at a pace that a Tomcat can follow: how many a second left, how far behind the Tomcat then was."""
    begun, n = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        if n < (time.monotonic() - begun) * a_second:
            front('HSET', f'app:{prefix}{n % 50}', 'x', n)
            n += 1
        else:
            time.sleep(0.001)
    pace, last = round(n / (time.monotonic() - begun)), n - 1
    begun = time.monotonic()
    eventually(f'{tomcat.name} to hold the last of them',
               lambda: tomcat.peek(f'{prefix}{last % 50}').get('attributes') == {'x': f'String:{last}'}, 30, 0.01)
    return pace, round(1000 * (time.monotonic() - begun))


@scenario('stopped', variants=('mixed',), seconds=120)
def stopped(lab, version_a, version_b):
    """SIGSTOP of a Tomcat slows nobody; SIGSTOP of clusterd neither; both are told as they are and catch up."""
    a_second, seconds = (2000, 10) if lab.full else (300, 3)
    node, sync = lab.node(1), lab.node(2, send_options='sync,use_ack')
    a, b = lab.tomcat(version_a, 1), lab.tomcat(version_b, 2)
    for one in (node, sync, a, b):
        one.begin()
    for one in (node, sync, a, b):
        one.ready()
    eventually('all to see all', lambda: all(len(x.members()) == 3 for x in (node, sync, a, b)))
    before = paced(node.front, b, 'R', a_second, seconds)

    os.kill(a.pid(), signal.SIGSTOP)
    during = paced(node.front, b, 'R', a_second, seconds)
    began, slow = time.monotonic(), []
    while time.monotonic() - began < 6:
        begun = time.monotonic()
        sync.front('HSET', 'app:ONE', 'x', 'during')
        if time.monotonic() - begun > 1:
            slow.append(round(time.monotonic() - begun, 2))
    for what, (pace, behind_ms) in (('before', before), ('with a stopped Tomcat', during)):
        lab.figure(what, f'{pace} writes/s, the other Tomcat {behind_ms} ms behind')
    lab.figure('slow sync writes s', slow)
    check(during[0] >= 0.9 * before[0] and during[1] < 5000, 'a stopped Tomcat slows the others', before, during)
    check(len(slow) <= 1, 'more than one slow write', slow)
    eventually('clusterd to say that it is suspect or lagging',
               lambda: node.members()[a.member()]['state'] in ('suspect', 'lagging'), 10)
    lab.figure('state', node.members()[a.member()]['state'])
    check_equal(b.peek('ONE')['attributes'], {'x': 'String:during'}, 'the other Tomcat has what was written')
    os.kill(a.pid(), signal.SIGCONT)
    eventually('it to be up again', lambda: node.members()[a.member()]['state'] == 'up', 15)
    sync.front('HSET', 'app:ONE', 'x', 'after')
    eventually('what was written after', lambda: a.peek('ONE').get('attributes') == {'x': 'String:after'}, 10)

    node.signal(signal.SIGSTOP)
    browsers = [Browser(t) for t in (a, b) for _ in range(5)]
    begun = time.monotonic()
    for i, browser in enumerate(browsers):
        browser('create')
        time.sleep(0.05)
        browser('set', name='x', type='string', value=f'while stopped {i}')
    lab.figure('10 sessions at Tomcats while clusterd is stopped s', f'{time.monotonic() - begun:.2f}')
    check(time.monotonic() - begun < 3, 'a stopped clusterd slows the Tomcats')
    time.sleep(5)
    node.signal(signal.SIGCONT)
    expected = {x.id: f'while stopped {i}' for i, x in enumerate(browsers)}
    eventually('clusterd to have what it missed', lambda: all_hold([node], expected), 15)
    for one in (node, sync):
        one.stop()


@scenario('crash', variants=('mixed',), seconds=120)
def crash(lab, version_a, version_b):
    """clusterd is killed and started again and again under load: afterwards it holds what the Tomcats hold."""
    node = lab.node(1).start()
    a, b = lab.tomcat(version_a, 1, send_options=6).begin(), lab.tomcat(version_b, 2, send_options=6).begin()
    for t in (a, b):
        t.ready()
    over, browsers = threading.Event(), []

    def work(tomcat):
        while not over.is_set():
            browser = Browser(tomcat)
            for i in range(3):
                browser('set', name='x', type='string', value=f'{len(browsers)}.{i}')
                time.sleep(0.002)  # within one millisecond a Tomcat's messages have no order
            browser.wrote = browser('get', name='x')['value'].split(':')[1]
            browser.close()
            browsers.append(browser)
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(t,), daemon=True) for t in (a, b)]
    for t in threads:
        t.start()
    for _ in range(10 if lab.full else 2):
        time.sleep(1)
        node.kill()
        node.start()
    time.sleep(1)
    over.set()
    for t in threads:
        t.join(30)
        check(not t.is_alive(), 'a browser hangs')
    lab.figure('sessions', len(browsers))
    expected = {x.id: x.wrote for x in browsers}
    eventually('clusterd to hold all', lambda: all_hold([node], expected), 15)
    check_equal(node.count(), len(expected), 'sessions in clusterd')
    node.stop()
