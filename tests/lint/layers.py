#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""src/LAYERS is obeyed: an include of another layer is allowed by that file, a private header stays within its
layer's folder, and what touches the outside world (threads, sockets, time, randomness) is used in src/loop only.
Exceptions stand, with their reasons, in layers.allow; one that is no longer needed must go."""

import re

import csource

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)

# Headers and calls of the outside world, which only src/loop may use: all else runs under the simulator.
OUTSIDE_HEADER = re.compile(
    r'(event2/.*|evhttp\.h|pthread\.h|threads\.h|semaphore\.h|sched\.h|poll\.h|ifaddrs\.h|netdb\.h|net/.*|netinet/.*'
    r'|arpa/inet\.h|sys/(socket|epoll|select|un|timerfd|eventfd|random|time|times|resource|uio|ioctl)\.h)$')
OUTSIDE_CALL = re.compile(
    r'(?<![\w.>])(time|gettimeofday|clock_gettime|clock|times|rand|rand_r|srand|random|srandom|drand48|arc4random'
    r'|getrandom|getentropy|RAND_bytes|RAND_priv_bytes|sleep|usleep|nanosleep|clock_nanosleep|socket|socketpair|accept4'
    r'|sendto|recvfrom|sendmsg|recvmsg|setsockopt|getsockopt|getaddrinfo|epoll_wait|select|poll|fork'
    r'|pthread_\w+)\s*\(')
# util has no I/O at all.
IO_HEADER = re.compile(r'(unistd\.h|fcntl\.h|dirent\.h|signal\.h|sys/(stat|mman|file|wait|types)\.h)$')
IO_CALL = re.compile(r'(?<![\w.>])(open|fopen|fdopen|popen|read|write|close|unlink|rename|system|getenv)\s*\(')


def read_layers(root):
    """{layer: set of the layers that it may use}, and what is wrong with the file itself"""
    layers, problems = {}, []
    for number, line in enumerate((root / 'src/LAYERS').read_text().splitlines(), 1):
        line = line.split('#', 1)[0].strip()
        if not line:
            continue
        name, _, uses = line.partition(':')
        for lower in uses.split():
            if lower not in layers:
                problems.append(f'src/LAYERS:{number}: {name} may not use {lower}, which is not below it')
        layers[name] = set(uses.split())
    return layers, problems


def main():
    root = csource.root_from_args(__doc__)
    layers, problems = read_layers(root)
    exceptions = csource.allowed(root / 'tests/lint/layers.allow')
    used = set()
    sources = csource.files(root, 'src/**/*.c', 'src/**/*.h', 'include/clusterd/**/*.h')

    for path in sources:
        name = path.relative_to(root).as_posix()
        parts = path.relative_to(root).parts
        layer = parts[1] if parts[0] == 'src' else parts[2]
        text = path.read_text()
        code = csource.strip(text)
        folder = root / 'src' / layer

        def complain(offset, thing, why):
            if (name, thing) in exceptions:
                used.add((name, thing))
            else:
                problems.append(f'{name}:{csource.line_of(text, offset)}: {thing}: {why}')

        if layer not in layers:
            problems.append(f'{name}: there is no layer {layer} in src/LAYERS')
            continue
        for match in INCLUDE.finditer(csource.strip(text, strings=False)):
            kind, header = match.groups()
            if kind == '<':
                if OUTSIDE_HEADER.match(header) and name.split('/')[:2] != ['src', 'loop']:
                    complain(match.start(), header, 'a header of the outside world; only src/loop may include it')
                elif layer == 'util' and IO_HEADER.match(header):
                    complain(match.start(), header, 'util does no I/O')
            elif header.startswith('clusterd/'):
                target = header.split('/')[1]
                if target != layer and target not in layers[layer]:
                    complain(match.start(), header, f'src/LAYERS does not let {layer} use {target}')
                elif not (root / 'include' / header).exists():
                    complain(match.start(), header, 'there is no such header in include/')
            elif parts[0] == 'include':
                complain(match.start(), header, 'a public header includes public headers only')
            elif folder not in (path.parent / header).resolve().parents:
                complain(match.start(), header, f'private headers of others; {layer} sees only its own folder')
            elif not (path.parent / header).exists():
                complain(match.start(), header, 'there is no such private header')
        for pattern, where, why in ((OUTSIDE_CALL, layer != 'loop', 'only src/loop may call it'),
                                    (IO_CALL, layer == 'util', 'util does no I/O')):
            if where:
                for match in pattern.finditer(code):
                    complain(match.start(), match.group(1), why)

    problems += [f'layers.allow: not needed any more: {path} {thing}' for path, thing in exceptions.keys() - used]
    csource.verdict('layers', problems, len(sources))


main()
