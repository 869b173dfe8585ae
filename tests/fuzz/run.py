#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz targets of preset fuzz for a time each and measures what they reach:

    run.py --build build/fuzz [--seconds N] [--jobs N] [TARGET...]

For each target: executions, executions per second, peak memory, and the coverage of the source files that it is for
(tests/fuzz/floors), in percent of their lines. Fails when a target fails, is below its floor, or stands in no line of
that file. Inputs that reach something new stay in <build>/tests/fuzz/found/<target> and begin the next run; an input
that fails stays in <build>/tests/fuzz/<target>-*: run the target with it as the argument, and put it into
tests/fuzz/corpus/<target>/ together with the repair.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys

FUZZ = pathlib.Path(__file__).resolve().parent
ROOT = FUZZ.parents[1]
INPUT_MAX = 65536  # bytes
SLOW_S = 30        # one input that takes longer is a fault
TAIL = 60          # lines of the output of a target that fails


def floors():
    """target -> (floor in percent, source files)"""
    table = {}
    for line in (FUZZ / 'floors').read_text().splitlines():
        if line and not line.startswith('#'):
            target, floor, *patterns = line.split()
            table[target] = float(floor), sorted({path for p in patterns for path in ROOT.glob(p)})
    return table


def tool(name):
    """The llvm tool that belongs to the compiler."""
    return subprocess.run(['clang', f'-print-prog-name={name}'], check=True, capture_output=True, text=True).stdout.strip()


def coverage(binary, profile, files):
    """Percent of the lines of these files; and the same of each."""
    raw, merged = profile, profile.with_suffix('.profdata')
    subprocess.run([tool('llvm-profdata'), 'merge', '-o', merged, raw], check=True)
    text = subprocess.run([tool('llvm-cov'), 'export', '-summary-only', binary, f'-instr-profile={merged}', *files],
                          check=True, capture_output=True, text=True).stdout
    raw.unlink()
    lines = {f['filename']: f['summary']['lines'] for f in json.loads(text)['data'][0]['files']}
    all_of = [lines.get(str(f), {'covered': 0, 'count': 1}) for f in files]
    total = 100 * sum(n['covered'] for n in all_of) / sum(n['count'] for n in all_of)
    return total, [f"{f.name} {100 * n['covered'] / n['count']:.0f}" for f, n in zip(files, all_of)]


def statistic(output, name):
    found = re.search(rf'stat::{name}:\s+(\d+)', output)
    return int(found[1]) if found else 0


def run(args, target, floor, files):
    """(good, text)"""
    folder = args.build / 'tests/fuzz'
    binary, profile, found = folder / f'fuzz_{target}', folder / f'{target}.profraw', folder / 'found' / target
    if not binary.exists():
        return False, f'{target}: {binary} is not built'
    found.mkdir(parents=True, exist_ok=True)
    inputs = [d for d in (folder / 'seeds' / target, FUZZ / 'corpus' / target) if d.is_dir()]
    ran = subprocess.run([binary, f'-max_total_time={args.seconds}', f'-max_len={INPUT_MAX}', f'-timeout={SLOW_S}',
                          '-print_final_stats=1', f'-artifact_prefix={folder}/{target}-', found, *inputs],
                         env={'LLVM_PROFILE_FILE': str(profile), 'PATH': '/usr/bin:/bin'}, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    if ran.returncode != 0:
        return False, f'{target}: FAILED, status {ran.returncode}\n' + '\n'.join(ran.stdout.splitlines()[-TAIL:])
    percent, each = coverage(binary, profile, files)
    text = (f"{target}: {statistic(ran.stdout, 'number_of_executed_units')} executions, "
            f"{statistic(ran.stdout, 'average_exec_per_sec')} a second, "
            f"{statistic(ran.stdout, 'peak_rss_mb')} MiB, {percent:.1f} % of lines ({', '.join(each)})")
    if percent < floor:
        return False, f'{text}: BELOW THE FLOOR of {floor:.0f} %'
    return True, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--seconds', type=int, default=180)
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('targets', nargs='*')
    args = parser.parse_args()
    args.build = args.build.resolve()
    table = floors()
    unknown = [t for t in args.targets if t not in table]
    if unknown:
        sys.exit(f'no floor for {" ".join(unknown)} in {FUZZ / "floors"}')
    good = True
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(run, args, t, *table[t]) for t in args.targets or table]
        for job in concurrent.futures.as_completed(jobs):
            ok, text = job.result()
            good &= ok
            print(text, flush=True)
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
