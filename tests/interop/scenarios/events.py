# SPDX-License-Identifier: Apache-2.0
"""Members that come and go in each way, and every event in both directions."""

import time

from lab import Browser, check, check_equal, eventually
from scenarios import scenario

ADDED, GONE = 'Replication member added:', 'Received member disappeared:'


def seen(log, what, member, start=0, seconds=15):
    """Waits for the line about this member, as either of the two writes its address; gives the seconds waited."""
    host, port = member.split(':')
    begun = time.monotonic()
    log.wait(f'{what}.*tcp://({host}|{{{host.replace(".", ", ")}}}):{port}', start, seconds, 0.001)
    return time.monotonic() - begun


@scenario('members', variants=('10', '9'), full=('10', '9'), seconds=90)
def members(lab, version, _):
    """Membership both ways: start, orderly end (BABY-ALEX), SIGKILL; each side's log has Tomcat's words."""
    node, tomcat = lab.node(1).start(), lab.tomcat(version, 1)
    mark = node.log.mark()
    tomcat.begin()
    seen(node.log, ADDED, tomcat.member(), mark, 60)
    tomcat.ready()
    seen(tomcat.log, ADDED, node.member())
    check_equal(tomcat.members(), [node.member()], 'members that the Tomcat sees')
    row = node.members()[tomcat.member()]
    check_equal((row['kind'], row['state'], row['complete']), ('tomcat', 'up', None), 'the Tomcat in MEMBERS')
    check(0 < row['alive'] < 60000, 'alive of the Tomcat', row)

    mark = node.log.mark()  # BABY-ALEX: both say good-bye, and the other knows at once
    begun = time.monotonic()
    tomcat.stop()
    seen(node.log, GONE, tomcat.member(), mark)
    lab.figure('Tomcat stopped and gone after ms', round((time.monotonic() - begun) * 1000))
    check(not node.log.lines('Verification complete', mark), 'a good-bye needs no verification')
    tomcat.start()
    mark = tomcat.log.mark()
    node.stop()
    lab.figure('clusterd stopped, seen by Tomcat after ms', round(1000 * seen(tomcat.log, GONE, node.member(), mark)))

    mark = tomcat.log.mark()
    node.start()
    seen(tomcat.log, ADDED, node.member(), mark)
    mark = tomcat.log.mark()
    node.kill()
    lab.figure('clusterd killed, seen by Tomcat after ms', round(1000 * seen(tomcat.log, GONE, node.member(), mark)))

    node.start()
    mark = node.log.mark()
    tomcat.kill()
    lab.figure('Tomcat killed, seen by clusterd after ms', round(1000 * seen(node.log, GONE, tomcat.member(), mark)))
    node.stop()


class Watch:
    """What clusterd holds of one browser's session."""

    def __init__(self, node, browser):
        self.node, self.browser = node, browser

    def until(self, what, is_so):
        def now():
            session = self.node.session(self.browser.id)
            return session and is_so(session)
        eventually(f'clusterd to have: {what}', now, 5)

    def entries(self, kind):
        return {e['name']: e for e in self.node.session(self.browser.id)['entries'] if e['type'] == kind}


def from_tomcat(lab, node, tomcat):
    """Each event that a Tomcat sends, and what clusterd makes of it."""
    browser = Browser(tomcat)
    watch = Watch(node, browser)
    browser('create')
    watch.until('CREATED', lambda s: s['attributes'] == 0)
    for kind, value, shown in (('string', 'text', 'text'), ('int', '-7', '-7'), ('long', '123456789012', '123456789012'),
                               ('bool', 'true', 'true'), ('double', '2.5', '2.5')):
        browser('set', name=kind, type=kind, value=value)
        watch.until(kind, lambda s, k=kind, v=shown: s['attributes_held'].get(k) == v)
        check_equal(node.front('HGET', f'app:{browser.id}', kind), shown.encode(), f'{kind} through the front door')
    browser('set', name='bytes', type='bytes', n=10, value=3)
    watch.until('bytes', lambda s: 'bytes' in s['attributes_held'])
    check_equal(len(node.front('HGET', f'app:{browser.id}', 'bytes')), 10, 'bytes through the front door')
    browser('set', name='int', type='int', value=8)
    watch.until('a second value', lambda s: s['attributes_held']['int'] == '8')
    browser('remove', name='int')
    watch.until('a removal', lambda s: 'int' not in s['attributes_held'])
    browser('interval', n=777)
    watch.until('an interval', lambda s: s['max_inactive_s'] == 777)
    browser('listen', name='ear')
    watch.until('a listener', lambda s: any(e['type'] == 'listener' for e in s['entries']))
    if tomcat.version == 10:  # 9.0.70 does not replicate notes unless told to
        browser('note', name='memo', value='x')
        watch.until('a note', lambda s: any(e['type'] == 'note' and e['name'] == 'memo' for e in s['entries']))
    old = browser.id
    browser('changeid')
    watch.until('another id', lambda s: s['attributes_held']['string'] == 'text')
    check_equal(node.session(old), None, 'the session under its old id')
    browser('login', user='alice', **{'pass': 'secret'})
    watch.until('a login', lambda s: (s['principal'], bool(s['auth_type'])) == ('alice', True))
    browser('logout')
    watch.until('a logout', lambda s: (s['principal'], s['auth_type']) == (None, None))
    time.sleep(1.2)
    browser('get', name='string')  # 10.1.60: a DELTA that says "not new"; 9.0.70: nothing from the primary
    if tomcat.version == 10:
        watch.until('an access', lambda s: s['idle_ms'] < 1000)
    ended = browser.id
    browser('invalidate')
    eventually('EXPIRED', lambda: node.session(ended) is None, 5)
    check_equal(node.front('EXISTS', f'app:{ended}'), 0, 'the ended session through the front door')


def from_the_front_door(lab, node, tomcat):
    """What is written through the front door is a session in the Tomcat."""
    def attributes_become(session_id, expected):
        eventually(f'the Tomcat to hold {expected}', lambda: tomcat.peek(session_id).get('attributes') == expected, 5)

    key = 'A' * 32 + '.tomcat1'
    node.front('HSET', f'app:{key}', 'name', 'Zo\u00eb', 'raw', b'\xff\x00\xfe', 'empty', '')
    attributes_become(key, {'name': 'String:Zo\u00eb', 'raw': 'byte[3]#' + java_hash(b'\xff\x00\xfe'), 'empty': 'String:'})
    check_equal(tomcat.peek(key)['maxInactive'], -1, 'without a TTL it never ends')
    node.front('HDEL', f'app:{key}', 'raw', 'empty')
    attributes_become(key, {'name': 'String:Zo\u00eb'})
    node.front('EXPIRE', f'app:{key}', 500)
    eventually('EXPIRE to reach the Tomcat', lambda: 499 <= tomcat.peek(key)['maxInactive'] <= 500, 5)
    browser = Browser(tomcat)  # one login session for both worlds
    browser.id = key
    check_equal(browser('get', name='name')['value'], 'String:Zo\u00eb', 'the Tomcat application reads it')
    browser('set', name='reply', type='string', value='from Java')
    eventually('the answer', lambda: node.front('HGET', f'app:{key}', 'reply') == b'from Java', 5)
    node.front('DEL', f'app:{key}')
    eventually('DEL to reach the Tomcat', lambda: tomcat.peek(key)['id'] is None, 5)
    check_equal(browser('get', name='name')['id'], None, 'what is deleted is gone for the application')

    browser = Browser(tomcat)  # a session that the Tomcat made
    browser('set', name='x', type='string', value='old')
    eventually('it to be there', lambda: node.front('HGET', f'app:{browser.id}', 'x') == b'old', 5)
    node.front('HSET', f'app:{browser.id}', 'x', 'new', 'y', '1')
    attributes_become(browser.id, {'x': 'String:new', 'y': 'String:1'})
    check_equal(tomcat.peek(browser.id)['maxInactive'], 3600, 'the interval stays the Tomcat\'s')
    node.control('EXPIRE', 'localhost#/app', browser.id)
    eventually('clusterctl expire to reach the Tomcat', lambda: tomcat.peek(browser.id)['id'] is None, 5)

    node.front('SET', 'app:' + 'B' * 32, 'a blob', 'PX', 90500)
    eventually('SET to reach the Tomcat, its TTL in seconds', lambda: tomcat.peek('B' * 32).get('maxInactive') == 91, 5)
    node.front('SET', 'app:' + 'C' * 32, 'short', 'PX', 700)
    eventually('it to end at the Tomcat too', lambda: tomcat.peek('C' * 32).get('maxInactive') in (1, None), 5)


def java_hash(data):
    """java.util.Arrays.hashCode(byte[]) in hexadecimal."""
    h = 1
    for b in data:
        h = (31 * h + (b - 256 if b > 127 else b)) & 0xffffffff
    return f'{h:x}'


@scenario('events', variants=('10', '9'), full=('10', '9'), seconds=90)
def events(lab, version, _):
    """Every event and attribute type from Tomcat to clusterd; HSET, EXPIRE, DEL ... from the front door to Tomcat."""
    node = lab.node(1).start()  # first: a node that starts with a Tomcat may ask before its manager is there
    tomcat = lab.tomcat(version, 1).start()
    eventually('they see each other', lambda: tomcat.members() == [node.member()])
    begun = time.monotonic()
    from_tomcat(lab, node, tomcat)
    from_the_front_door(lab, node, tomcat)
    check_equal(node.counter('messages_undecodable'), 0, 'messages that clusterd could not read')
    problems = tomcat.log.lines(' (WARNING|SEVERE) ')
    check(not problems, 'warnings of the Tomcat', *problems[:3])
    lab.figure('s', f'{time.monotonic() - begun:.1f}')
    node.stop()
