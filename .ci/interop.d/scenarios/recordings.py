#!/usr/bin/env python3
"""Replays recorded scenarios from outside: against the program itself, over real sockets.

    recordings.py --outpost PROGRAM [--runtimes R…] [--jobs N] [--only TEXT] [--verbose] FOLDER

Each recording is compared in every runtime. Those that the folder's file PENDING names may differ. Needs root, Linux,
Python 3.10 and nothing else. Exit status 1 if anything differs.
"""

import argparse
import concurrent.futures
import json
import pathlib
import sys
import time

import namespaces
import replay
from comparison import compare, self_test

DELIVER = ["deliver", "--config", "{config}/main.cf", "--dns", "{dns}", "--request", "{request}", "--report", "json"]


def program(path, runtime):
    """The command that delivers a scenario's requests."""
    return [path, *DELIVER, "--runtime", runtime]


def replay_one(path, command):
    scenario = json.loads(path.read_text(encoding="utf-8"))
    return compare(scenario, replay.apart(replay.observe, scenario, command))


def pending(folder):
    file = folder / "PENDING"
    lines = file.read_text().splitlines() if file.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outpost", required=True)
    parser.add_argument("--runtimes", nargs="+", default=["tokio", "smol", "blocking"])
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", default="", help="only recordings whose name holds this text")
    parser.add_argument("--verbose", action="store_true", help="print the whole difference")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    if trouble := namespaces.permitted():
        print(f"recordings: {trouble}", file=sys.stderr)
        return 2
    self_test()
    paths = [path for path in sorted(options.folder.glob("*.json")) if options.only in path.stem]
    excused = pending(options.folder)
    failures = 0
    for runtime in options.runtimes:
        begun, differ, waived = time.monotonic(), 0, 0
        command = program(options.outpost, runtime)
        # Every replay has a process of its own; the threads only wait for them.
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for path, lines in zip(paths, pool.map(lambda path: replay_one(path, command), paths)):
                if not lines:
                    continue
                if path.stem in excused:
                    waived += 1
                    continue
                differ += 1
                first = [line for line in lines if line[:1] in "-+!" and line[:3] not in ("---", "+++")]
                print(f"{runtime} {path.stem}: " + ("\n".join(["", *lines]) if options.verbose else (first or lines)[0]))
        failures += differ
        passed = len(paths) - differ - waived
        print(f"recordings: {runtime}: {passed} of {len(paths)} equal, {waived} pending, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if failures or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
