# SPDX-License-Identifier: Apache-2.0
"""What a row of the benchmark is, what was measured for it, and how that is shown: a table for people, JSON, Markdown.

A row measures its peers in turn, some rounds of that. A figure is one number a peer and round; its ratio is the median of
the rounds' ratios, because both sides of such a ratio were measured within the same few seconds."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    target: float = None    # of the ratio to peer `of`; where there is none, or `absolute`, of the figure itself
    of: str = ''
    more: bool = True       # is more better?
    absolute: bool = False
    whose: str = ''         # the peer that is judged; the first of the row when empty


def more(name, unit, target=None, of=''):
    return Figure(name, unit, target, of)


def less(name, unit, target=None, of=''):
    return Figure(name, unit, target, of, more=False)


def at_most(name, unit, limit=None, of=''):
    """Judged by itself; the ratio to a peer is only shown."""
    return Figure(name, unit, limit, of, more=False, absolute=True)


def at_least(name, unit, limit=None, of=''):
    return Figure(name, unit, limit, of, absolute=True)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    title: str
    peers: tuple            # the first one is ours
    measure: object         # (stand, peer) -> {name of a figure: value}; one turn
    figures: tuple
    needs: tuple = ()       # gib=N: so much free memory
    rounds: int = 0         # at most so many; 0 = as the run says
    note: str = ''
    smoke: bool = True      # False: in the smoke test another row does the same


def number(value):
    """At most four digits that say something."""
    if value is None:
        return '-'
    size = abs(value)
    if size >= 9999.5:
        return f'{value / 1000:,.1f} k' if size < 1e6 else f'{value / 1e6:,.2f} M'
    if size >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if size >= 10 else f'{value:.2f}' if size >= 0.095 else f'{value:.3g}'


class Values:
    """One figure of one peer over all rounds."""

    def __init__(self, values):
        self.all = values

    def median(self):
        return statistics.median(self.all)

    def text(self):
        if len(self.all) == 1:
            return number(self.all[0])
        return f'{number(self.median())} [{number(min(self.all))} .. {number(max(self.all))}]'


class Line:
    """One line of the table: a figure of a row, compared."""

    def __init__(self, row, figure, turns):
        self.row, self.figure = row, figure
        self.ours_name = figure.whose or row.peers[0]
        self.values = {p: Values([t[p][figure.name] for t in turns if figure.name in t.get(p, {})]) for p in row.peers}
        self.values = {p: v for p, v in self.values.items() if v.all}
        self.ratios = [t[self.ours_name][figure.name] / t[figure.of][figure.name] for t in turns
                       if figure.of and t.get(figure.of, {}).get(figure.name) and figure.name in t.get(self.ours_name, {})]

    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None

    def is_absolute(self):
        return self.figure.absolute or not self.figure.of

    def met(self):
        """True, False, or None where there is no target or nothing to compare with."""
        f = self.figure
        if f.target is None or self.ours_name not in self.values:
            return None
        got = self.values[self.ours_name].median() if self.is_absolute() else self.ratio()
        if got is None:
            return None
        return got >= f.target if f.more else got <= f.target

    def target(self):
        f = self.figure
        if f.target is None:
            return ''
        return ('>= ' if f.more else '<= ') + number(f.target) + (' ' + f.unit if self.is_absolute() else ' x')

    def cells(self):
        f = self.figure
        ratio = self.ratio()
        if ratio is None:
            shown = ''
        elif len(self.ratios) > 1:
            shown = f'{number(ratio)} x [{number(min(self.ratios))} .. {number(max(self.ratios))}]'
        else:
            shown = f'{number(ratio)} x'
        ours = self.values.get(self.ours_name)
        others = [p for p in self.values if p != self.ours_name]
        others.sort(key=lambda p: p != f.of)    # the one that we are compared with comes first, and with its spread
        texts = [f'{p} {number(self.values[p].median()) if i else self.values[p].text()}' for i, p in enumerate(others)]
        return [f'{self.row.title}: {f.name}, {f.unit}' + (f' ({self.ours_name})' if f.whose else ''),
                ours.text() if ours else '-', '; '.join(texts), shown, self.target(),
                {True: 'yes', False: 'NO', None: ''}[self.met()], str(len(ours.all)) if ours else '0']

    def json(self):
        f = self.figure
        return {'row': self.row.name, 'figure': f.name, 'unit': f.unit, 'ours': self.ours_name, 'of': f.of,
                'absolute': self.is_absolute(), 'values': {p: v.all for p, v in self.values.items()}, 'ratios': self.ratios,
                'ratio': self.ratio(), 'target': f.target, 'more': f.more, 'met': self.met()}


class Result:
    """Of one row: turns, a list of {peer: {figure: value}}, or why it was skipped or what did not work."""

    def __init__(self, row):
        self.row = row
        self.turns = []
        self.skipped = self.failed = ''
        self.without = []
        self.load = []
        self.seconds = 0.0
        self.peer_seconds = {}  # {peer: [seconds of each turn]}

    def lines(self):
        return [Line(self.row, f, self.turns) for f in self.row.figures] if self.turns else []

    def json(self):
        return {'row': self.row.name, 'title': self.row.title, 'peers': self.row.peers, 'rounds': len(self.turns),
                'skipped': self.skipped, 'without': self.without, 'failed': self.failed, 'load': self.load,
                'seconds': round(self.seconds, 1), 'peer_seconds': self.peer_seconds, 'note': self.row.note, 'figures': [line.json() for line in self.lines()]}


HEAD = ['row', 'clusterd', 'peer', 'ratio', 'target', 'met?', 'rounds']


def table(results):
    rows = [cells for r in results for cells in [line.cells() for line in r.lines()]]
    widths = [max(len(row[i]) for row in rows + [HEAD]) for i in range(len(HEAD))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                     for row in [HEAD, ['-' * w for w in widths]] + rows)


def remarks(results):
    out = [f'{r.row.name}: skipped: {r.skipped}' for r in results if r.skipped]
    out += [f'{r.row.name}: without {why}' for r in results for why in r.without]
    return out + [f'{r.row.name}: FAILED: {r.failed.splitlines()[0]}' for r in results if r.failed]


def processes(accounts):
    """[{group, process, how many, CPU seconds, peak RSS}] and the same as text."""
    rows = [{'group': group, 'process': name, **account} for (group, name), account in accounts.items()]
    text = '\n'.join(f'{r["group"]:9} {r["process"]:22} {r["processes"]:5} started   {r["cpu_s"]:9.2f} s CPU   '
                     + (f'{r["peak_rss_mb"]:8.1f} MB peak RSS' if r['peak_rss_mb'] else '') for r in rows)
    return rows, text


def judged(results):
    mets = [line.met() for r in results for line in r.lines()]
    return mets.count(True), mets.count(False)


def markdown(results):
    out = ['| ' + ' | '.join(HEAD) + ' |', '|' + '---|' * len(HEAD)]
    out += ['| ' + ' | '.join(line.cells()) + ' |' for r in results for line in r.lines()]
    notes = [f'- {r.row.title}: {r.row.note}' for r in results if r.row.note and r.turns]
    return '\n'.join(out + [''] + notes + [f'- {line}' for line in remarks(results)])
