# SPDX-License-Identifier: Apache-2.0
"""Plots of a run, drawn by gnuplot (Debian: gnuplot-nox); none where it is missing, which is said."""

import shutil
import subprocess

HEAD = 'set terminal svg size 900,{height} font "sans,12"\nset output "{path}"\nset grid\n'
SIZES = (128, 1024, 16384, 262144)


def gnuplot(path, script, height=420):
    done = subprocess.run(['gnuplot'], input=HEAD.format(path=path, height=height) + script, capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        print(f'bench: gnuplot: {done.stderr.strip()[:300]}')
    return done.returncode == 0


def data(rows):
    return '\n'.join(' '.join(str(x) for x in row) for row in rows) + '\ne\n'


def found(results, row, figure):
    return next((line for r in results if r.row.name == row for line in r.lines() if line.figure.name == figure), None)


def margins(folder, results):
    """By how much each target was met or missed: 1 is the target, more is better."""
    bars = []
    for line in (line for r in results for line in r.lines()):
        if line.met() is None or line.figure.target == 0:
            continue
        got = line.values[line.ours_name].median() if line.is_absolute() else line.ratio()
        if got > 0:
            text = f'{line.row.title}: {line.figure.name}'.replace('"', '').replace('_', ' ')
            bars.append((max(0.05, min(20, got / line.figure.target if line.figure.more else line.figure.target / got)), text))
    if not bars:
        return False
    rows = [(i, f'"{text}"', round(value, 3), '0x2a7f2a' if value >= 1 else '0xb03030')
            for i, (value, text) in enumerate(reversed(bars))]
    script = ('set logscale x\nset xrange [0.05:20]\nunset key\n'
              'set xlabel "result against its target (1: met exactly; cut off at 20)"\n'
              'set arrow from 1, graph 0 to 1, graph 1 nohead lw 2\nset lmargin 62\nset style fill solid\n'
              f'set yrange [-1:{len(rows)}]\nplot "-" using 3:1:(0.05):3:($1-0.35):($1+0.35):4:ytic(2) '
              'with boxxyerror lc rgb variable\n')
    return gnuplot(folder / 'targets.svg', script + data(rows), 120 + 18 * len(rows))


def by_size(folder, results):
    curves = []
    for option in ('async', 'sync'):
        for peer in ('clusterd', 'tribes'):
            lines = [(size, found(results, f'channel-{option}-{size}-1', 'bandwidth')) for size in SIZES]
            points = [(size, line.values[peer].median()) for size, line in lines if line and peer in line.values]
            if points:
                curves.append((f'{peer}, {option}', points))
    if not curves:
        return False
    script = 'set logscale xy\nset xlabel "bytes of a message"\nset ylabel "MB/s"\nset key left top\nplot ' + ', '.join(
        f'"-" with linespoints lw 2 title "{title}"' for title, _ in curves) + '\n'
    return gnuplot(folder / 'sizes.svg', script + ''.join(data(points) for _, points in curves))


def by_nodes(folder, results):
    curves = []
    for figure in ('CPU of a write for each receiver', 'at the writing node', 'at a receiver'):
        line = found(results, 'scaling', figure)
        if line:
            curves.append((figure + ', us', sorted((int(p.split()[0]), v.median()) for p, v in line.values.items())))
    if not curves:
        return False
    script = 'set logscale x 2\nset yrange [0:*]\nset xlabel "nodes"\nplot ' + ', '.join(
        f'"-" with linespoints lw 2 title "{title}"' for title, _ in curves) + '\n'
    return gnuplot(folder / 'nodes.svg', script + ''.join(data(points) for _, points in curves))


def draw(folder, results):
    """[(path, title)] of those that there is something for."""
    if not shutil.which('gnuplot'):
        print('bench: no plots: there is no gnuplot (Debian: gnuplot-nox)')
        return []
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, function, title in (('targets', margins, 'results against their targets'),
                                  ('sizes', by_size, 'bandwidth by message size'),
                                  ('nodes', by_nodes, 'cost of a write by number of nodes')):
        if function(folder, results):
            made.append((folder / f'{name}.svg', title))
    return made
