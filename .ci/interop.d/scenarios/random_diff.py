#!/usr/bin/env python3
"""Compares the program with a real Postfix in scenarios made by chance.

    random_diff.py --outpost PROGRAM --seeds A..B [--runtime tokio|smol|blocking|rotate] [--jobs N] [--out DIR]
    random_diff.py --outpost PROGRAM --check FILE|DIR…    replays saved scenarios, without Postfix
    random_diff.py --outpost PROGRAM --shrink FILE --to FILE
    random_diff.py --record FILE…                         records scenarios (anew) with Postfix, in place
    random_diff.py --print SEED

A seed makes one scenario; RANDOM_FOCUS in the environment says what about (generator/scenario.py has the words).
Postfix is recorded in it and the program replayed. If they differ, both are run again, with other pauses: what Postfix does
not do twice is dropped as unstable. What known.py explains is counted apart. Closes with "N compared, M equal, K
differ"; exit status 0 only if nothing differs. README.md says what this needs.
"""

import argparse
import collections
import concurrent.futures
import ctypes
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import time

import certificates
import forms
import known
import namespaces
import replay
from comparison import compare, picture, put_in_order
from generator.scenario import generate
from recordings import DELIVER, program
from shrink import shrink

HERE = pathlib.Path(__file__).parent
RUNTIMES = ["tokio", "smol", "blocking"]
POSTFIX = [sys.executable, "-I", "-S", str(HERE / "postfix_deliver.py"), *DELIVER]
# How long servers wait for more commands: what depends on it is no rule.
FIRST_HOLD_S, SECOND_HOLD_S = 0.08, 0.18
# syslog records of Postfix are cut at 2000 bytes.
LONGEST_TEXT = 1500


def record(scenario, hold_s):
    """The scenario with what Postfix does as its expectation, what is in the way of that, and the observation."""
    seen = replay.apart(replay.observe, scenario, POSTFIX, hold_s, False)
    ignore = list(scenario.get("ignore", []))
    crashed = None
    for path, one in known.verdicts(seen):
        if one["status"] == "none" and one["text"]:
            crashed = f"no result ({one['text']})"
        elif one["status"] == "none":
            # The log record was not found: bytes that Postfix prints as question marks.
            ignore.append(path)
        elif len(one["text"]) > LONGEST_TEXT:
            ignore.append(f"{path}.text")
    recorded = {**scenario, "expect": picture(seen)}
    if ignore:
        recorded["ignore"] = ignore
    return recorded, seen["error"] or crashed, seen


def examine(scenario, command):
    """What came of one scenario: result, and where they differ the recording, the difference and its kind."""
    first, trouble, theirs = record(scenario, FIRST_HOLD_S)
    if theirs["error"]:
        return {"result": "failed", "why": f"{trouble} {theirs['stderr'][-300:]}"}
    if not compare(first, replay.apart(replay.observe, first, command, FIRST_HOLD_S)):
        return {"result": "equal"}
    _, trouble_again, again = record(scenario, SECOND_HOLD_S)
    if trouble != trouble_again or not trouble and compare(first, again):
        return {"result": "unstable"}
    ours = replay.apart(replay.observe, first, command, SECOND_HOLD_S)
    difference = compare(first, ours)
    if not difference:
        return {"result": "flaky"}
    found = {
        "result": "differs",
        "scenario": first,
        "difference": difference,
        "kind": kind(first, ours),
        "told": ours["stderr"][-1500:],
        "log": "\n".join(line for line in theirs["stderr"].splitlines() if ": to=<" not in line)[-3000:],
    }
    if why := known.explain(first, ours, theirs):
        found.update(result="explained", why=why)
    return found


def kind(scenario, ours):
    """What differs, coarsely, so that shrinking does not slip to another difference."""
    if ours["error"]:
        return ["error"]
    wanted, seen = picture(scenario["expect"]), picture(ours)
    for one in (wanted, seen):
        put_in_order(scenario, one)
    kinds = []
    if len(wanted["sessions"]) != len(seen["sessions"]):
        kinds.append("sessions")
    for theirs, mine in zip(wanted["sessions"], seen["sessions"]):
        commands = [[text for who, text in one["transcript"] if who == "C"] + ["(end)"] for one in (theirs, mine)]
        first = next(((a, b) for a, b in zip(*commands) if a != b), None)
        if first:
            kinds.append("command:" + "/".join((text.split() or [""])[0] for text in first))
        for part in ("transcript", "data_base64", "pipeline_groups"):
            if theirs[part] != mine[part] and not (first and part != "data_base64"):
                kinds.append(part)
    for theirs, mine in zip(wanted["recipients"], seen["recipients"]):
        for one, other in zip(theirs, mine):
            kinds += [f"recipient:{name}" for name in one if one[name] != other.get(name)]
    return list(dict.fromkeys(kinds))[:6]


# Runs in processes.


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def processes(jobs):
    fork = multiprocessing.get_context("fork")
    return concurrent.futures.ProcessPoolExecutor(jobs, mp_context=fork, initializer=end_with_parent)


def one_seed(seed, runtime, outpost, deadline):
    if deadline and time.monotonic() > deadline:
        return seed, runtime, {"result": "skipped"}
    try:
        return seed, runtime, examine(generate(seed), program(outpost, runtime))
    except Exception as error:  # one seed must not end the others
        return seed, runtime, {"result": "failed", "why": repr(error)}


class Still:
    """Tells in a process whether a smaller scenario differs in the same way."""

    def __init__(self, command, kinds):
        self.command, self.kinds = command, set(kinds)

    def __call__(self, scenario):
        try:
            first, trouble, theirs = record(scenario, FIRST_HOLD_S)
            ours = replay.apart(replay.observe, first, self.command, FIRST_HOLD_S)
            difference = compare(first, ours)
            if trouble or not difference or not self.kinds & set(kind(first, ours)):
                return None
            if known.explain(first, ours, theirs) or compare(first, record(scenario, SECOND_HOLD_S)[2]):
                return None
            return first, difference
        except Exception:  # an edit may make a scenario that nobody can run
            return None


# Commands.


def compare_seeds(options):
    first, _, last = options.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    os.makedirs(options.out, exist_ok=True)
    counts = collections.Counter()
    deadline = time.monotonic() + options.stop_after if options.stop_after else None
    with processes(options.jobs) as pool:
        jobs = []
        for seed in seeds:
            runtime = RUNTIMES[seed % 3] if options.runtime == "rotate" else options.runtime
            jobs.append(pool.submit(one_seed, seed, runtime, options.outpost, deadline))
        for job in concurrent.futures.as_completed(jobs):
            seed, runtime, found = job.result()
            counts[found["result"]] += 1
            if found["result"] in ("equal", "skipped"):
                continue
            what = found.get("why") or " ".join(found.get("kind", []))
            print(f"{seed} {runtime} {found['result']}: {what}", flush=True)
            if "scenario" in found:
                save(options.out, seed, runtime, found)
    compared = sum(counts[name] for name in ("equal", "flaky", "differs", "explained"))
    equal = counts["equal"] + counts["flaky"]
    print(f"{compared} compared, {equal} equal, {counts['differs']} differ, {counts['explained']} explained", end="")
    print("".join(f", {counts[name]} {name}" for name in ("unstable", "failed", "skipped") if counts[name]))
    if counts["differs"] or counts["failed"] > len(seeds) // 20 or not compared:
        return 1
    return 0


def save(folder, seed, runtime, found):
    stem = pathlib.Path(folder) / f"{found['result']}-{seed}"
    write(stem.with_suffix(".json"), found["scenario"])
    parts = [f"{seed} {runtime} {' '.join(found['kind'])}", *found["difference"]]
    parts += ["--- what the program told", found["told"], "--- Postfix's log", found["log"], ""]
    stem.with_suffix(".txt").write_text("\n".join(parts), encoding="utf-8")
    if found["result"] == "differs":
        print("\n".join("    " + line for line in found["difference"][:40]), flush=True)


def write(path, scenario):
    pathlib.Path(path).write_text(json.dumps(scenario, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def check(options):
    differ = 0
    for name in options.check:
        path = pathlib.Path(name)
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            for runtime in RUNTIMES if options.runtime == "rotate" else [options.runtime]:
                scenario, command = read(file), program(options.outpost, runtime)
                difference = compare(scenario, replay.apart(replay.observe, scenario, command))
                differ += bool(difference)
                print("\n".join([f"{'differs' if difference else 'equal'} {runtime} {file.name}", *difference]))
    print(f"{differ} differ")
    return 1 if differ else 0


def record_files(options):
    status = 0
    for file in options.record:
        scenario = {name: value for name, value in read(file).items() if name != "expect"}
        recorded, trouble, _ = record(scenario, FIRST_HOLD_S)
        if trouble or compare(recorded, record(scenario, SECOND_HOLD_S)[2]):
            print(f"{file}: not recorded: {trouble or 'not the same twice'}")
            status = 1
            continue
        write(file, recorded)
    return status


def shrink_file(options):
    scenario = read(options.shrink)
    command = program(options.outpost, "tokio" if options.runtime == "rotate" else options.runtime)
    kinds = kind(scenario, replay.apart(replay.observe, scenario, command))
    print(f"kind: {' '.join(kinds)}", flush=True)
    with processes(options.jobs) as pool:
        best = shrink(scenario, Still(command, kinds[:2]), pool, options.jobs, options.limit)
    if best is None:
        print("nothing smaller")
        return 1
    write(options.to, best[0])
    print("\n".join(best[1]))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outpost", help="the program under test")
    parser.add_argument("--runtime", default="rotate", choices=[*RUNTIMES, "rotate"])
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--out", default=os.path.join(tempfile.gettempdir(), "random-diff"), help="for what differs")
    parser.add_argument("--stop-after", type=float, default=0, help="begins nothing more after so many seconds")
    parser.add_argument("--limit", type=float, default=240, help="seconds for shrinking")
    parser.add_argument("--to", help="the file for the shrunk scenario")
    what = parser.add_mutually_exclusive_group(required=True)
    for name in ("--seeds", "--shrink", "--print"):
        what.add_argument(name)
    for name in ("--check", "--record"):
        what.add_argument(name, nargs="+")
    options = parser.parse_args()
    if trouble := namespaces.permitted():
        print(f"random_diff: {trouble}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="certificates-") as folder:
        certificates.Maker(folder).make_all()
        forms.use_certificates(folder)
        if options.print:
            print(json.dumps(generate(options.print), indent=1, ensure_ascii=False))
            return 0
        if options.check:
            return check(options)
        if options.record:
            return record_files(options)
        return shrink_file(options) if options.shrink else compare_seeds(options)


if __name__ == "__main__":
    sys.exit(main())
