#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the simulator can find bugs: plants one at a time, expects it to be found within --seeds seeds.

    plants.py --source DIR --build DIR [--seeds N] [NAME...]

A plant is a change of one source file. The changed file is compiled with the flags of the build (from
compile_commands.json) and linked in front of the libraries, so that it takes the place of the sound one. The sound
simulator must be quiet over the seeds in which a plant is found. Exit status 0 only when every plant was found.
"""
import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

# name, what is wrong, file, text to replace, what it becomes
PLANTS = [
    ("tombstones-dropped", "the end of a session is not remembered", "src/session/table_walk.c",
     "return age > grave_ms(t);", "return s->kind == SESSION_GRAVE || age > grave_ms(t);"),
    ("arrival-order", "what comes last wins", "src/session/session.c",
     "    if (order < 0)\n        return false;\n    /* One message", "    /* One message"),
    ("early-ack", "a write is acknowledged before the members have it", "src/session/outbox.c",
     "            n_waiting++;", "            only = NULL;"),
    ("lane-changed", "a session changes its lane with its id", "src/session/edit.c",
     "    c->flow = s ? session_flow(s, e->key) : e->key;", "    c->flow = e->key;"),
    ("stale-transfer", "a state transfer overwrites what is newer", "src/session/change.c",
     "struct version v = head & E_VERSION ? rd_version(in, \"entry version\") : c->version;",
     "struct version v = head & E_VERSION ? rd_version(in, \"entry version\") : c->version;\n"
     "    v.time_ms += head & E_VERSION ? 86400000 : 0;"),
]


def compile_command(build, source):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if pathlib.Path(entry["file"]) == source:
            return entry["command"], entry["directory"]
    sys.exit(f"plants: {source} is not in compile_commands.json")


def link_command(build):
    out = subprocess.run(["ninja", "-C", str(build), "-t", "commands", "-s", "tests/sim/sim_cluster"],
                         check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    return re.sub(r"^: && | && :$", "", out)


def build_plant(args, plant, folder):
    _, _, file, old, new = plant
    source = (args.source / file).resolve()
    text = source.read_text()
    if text.count(old) != 1:
        sys.exit(f"plants: {file} has changed: the text to replace stands there {text.count(old)} times\n{old}")
    # Beside the sound file, in a folder of the same depth, so that relative includes are found by -I.
    planted = folder / source.name
    planted.write_text(text.replace(old, new))
    command, directory = compile_command(args.build, source)
    words = shlex.split(command)
    out, src = words.index("-o"), words.index("-c")
    words[out + 1], words[src + 1] = str(folder / "plant.o"), str(planted)
    if "-MF" in words:
        words[words.index("-MF") + 1] = str(folder / "plant.d")
    words += ["-I" + str(source.parent), "-Wno-error"]
    subprocess.run(words, cwd=directory, check=True)
    binary = folder / "sim_planted"
    link = shlex.split(link_command(args.build))
    at = link.index("-o")
    link[at + 1] = str(binary)
    link.insert(at, str(folder / "plant.o"))
    subprocess.run(link, cwd=args.build, check=True)
    return binary


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    args.build = args.build.resolve()
    missed = 0
    for plant in PLANTS:
        if args.names and plant[0] not in args.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            binary = build_plant(args, plant, pathlib.Path(folder))
            run = subprocess.run([str(binary), "--seeds", str(args.seeds), "--expect-failure"],
                                 capture_output=True, text=True)
        found = re.search(r"found after (\d+) seeds", run.stdout)
        if run.returncode == 0 and found:
            example = run.stdout.strip().splitlines()[1].strip()
            print(f"{plant[0]}: {plant[1]}: found after {found[1]} seeds: {example}")
        else:
            missed += 1
            print(f"{plant[0]}: NOT FOUND within {args.seeds} seeds (status {run.returncode})\n{run.stdout}{run.stderr}")
        sys.stdout.flush()
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
