# SPDX-License-Identifier: Apache-2.0
"""Under Tomcat's default send options a Tomcat's own replica loses attributes. clusterd loses none."""

import threading
import time

from lab import Browser, check, check_equal, eventually
from scenarios import scenario

CLIENTS = 16


class Client(Browser):
    def __init__(self, tomcat):
        super().__init__(tomcat)
        self.wrote, self.user = {}, None

    def write(self, name, value):
        self('set', name=name, type='string', value=value)
        self.wrote[name] = value

    def login(self):
        self.user = self('login', user='alice', **{'pass': 'secret'})['user']


def one_after_the_other(tomcats, n):
    """A session with one attribute each."""
    clients = [Client(tomcats[i % len(tomcats)]) for i in range(n)]
    for i, client in enumerate(clients):
        client.write('a', f'alone {i}')
        client.close()
    return clients


def at_the_same_time(tomcats, n):
    """Clients at the same time, five requests a session, one of them a removal, one a change of the id."""
    clients = [Client(tomcats[i % len(tomcats)]) for i in range(n)]
    failed = []

    def work(mine):
        try:
            for number, client in mine:
                client.write('a', f'first {number}')
                client.write('b', f'second {number}')
                client('remove', name='a')
                del client.wrote['a']
                client('changeid')
                client.write('c', f'third {number}')
                client.close()
        except Exception as e:  # the thread's own end would go unseen
            failed.append(e)

    threads = [threading.Thread(target=work, args=(list(enumerate(clients))[i::CLIENTS],)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not failed, 'a client failed', *failed[:1])
    return clients


def logins(tomcats, n):
    """The id changes, then the principal comes; both right behind the creation."""
    clients = [Client(tomcats[i % len(tomcats)]) for i in range(n)]
    for i, client in enumerate(clients):
        if i % 3:
            client.write('before', f'b {i}')
        client.login()
        if i % 3 == 2:
            client.write('after', f'a {i}')
        client.close()
    return clients


def differences(node, clients):
    found = []
    for client, session in zip(clients, node.sessions([c.id for c in clients])):
        if session is None:
            found.append(f'{client.id}: not there; expected {client.wrote}')
            continue
        if session['attributes_held'] != client.wrote:
            found.append(f'{client.id}: holds {session["attributes_held"]} instead of {client.wrote}; under old ids: '
                         f'{[s and s["attributes_held"] for s in node.sessions(client.old_ids)]}; {session}')
        if session['principal'] != client.user or bool(session['auth_type']) != bool(client.user):
            found.append(f'{client.id}: login {session["principal"]} {session["auth_type"]} instead of {client.user}')
    return found


def old_ids_that_resolve(node, clients):
    old = [i for c in clients for i in c.old_ids]
    found = [i for i, s in zip(old, node.sessions(old)) if s]
    return found + [i for i in old[:500] if node.front('EXISTS', 'app:' + i)], len(old)


def is_equal(node, clients, kind):
    found = differences(node, clients)
    check(not found, f'{kind}: {len(found)} of {len(clients)} sessions differ', *found[:3])
    return True


@scenario('load', variants=('10', '9'), seconds=150)
def load(lab, version_a, version_b):
    """channelSendOptions 8 under load: every value, principal and auth type is in clusterd, no old id resolves."""
    n = 3000 if lab.full else 300
    node = lab.node(1).start()
    tomcats = [lab.tomcat(version_a, 1, heap='256m').begin(), lab.tomcat(version_b, 2, heap='256m').begin()]
    for t in tomcats:
        t.ready()
    eventually('all to see each other', lambda: all(len(t.members()) == 2 for t in tomcats))
    every = []
    for kind, make in (('alone', one_after_the_other), ('together', at_the_same_time), ('logins', logins)):
        begun = time.monotonic()
        clients = make(tomcats, n)
        seconds = time.monotonic() - begun
        every += clients
        eventually(f'clusterd to hold what was written, {kind}', lambda c=clients, k=kind: is_equal(node, c, k), 10, 0.3)
        lab.figure(kind, f'{n} in {seconds:.1f} s')
    is_equal(node, every, 'at the end')
    resolved, tried = old_ids_that_resolve(node, every)
    check(not resolved, f'{len(resolved)} of {tried} old ids resolve', *resolved[:3])
    check_equal(node.ids(), sorted(c.id for c in every), 'ids in clusterd')
    lab.figure('old ids', tried)
    audit = [t.ask('audit') for t in tomcats]
    lab.figure('lost by the Tomcats themselves', sum(t['without'] for t in audit) - 2 * sum('a' not in c.wrote for c in every))
    node.stop()
