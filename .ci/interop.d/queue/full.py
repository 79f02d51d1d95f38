#!/usr/bin/env python3
"""A queue whose database has no room left, and then has room again.

    full.py --program PATH --postgres DIR

The tables lie in a tablespace of a few MiB. Messages go in until one is refused; a worker that finds the database full waits for
better times. Then there is room: each message that was acknowledged comes out, and none that was refused. Needs root, for
the file system.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import sinks

HERE = pathlib.Path(__file__).resolve().parent
PORT = 2527
SMALL, LARGE = "24m", "200m"
TEXT = "hello hello hello\n" * (256 * 1024 // 18)
# The database is not there, or cannot do now what it is asked to (sysexits.h).
REFUSED = (69, 75)
SETTINGS = {"smtp_tcp_port": PORT, "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "smtp_host_lookup": "native",
            "myhostname": "queue.example"}


class Trial:
    def __init__(self, program, folder, scratch):
        self.program, self.folder, self.ledger = program, folder, scratch / "ledger"
        self.limits, self.log, self.room = scratch / "limits", scratch / "worker", folder / "room"

    def begin(self):
        url = self.output(HERE / "start-postgres", "start", self.folder).strip()
        self.room.mkdir()
        self.output("mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "none", self.room)
        shutil.chown(self.room, self.folder.owner())
        for statement in [f"CREATE TABLESPACE room LOCATION '{self.room}'", "CREATE DATABASE narrow TABLESPACE room"]:
            self.output("psql", url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement)
        self.store = url.replace("/outpost?", "/narrow?")

    def output(self, *command):
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def command(self, *words):
        flags = [part for name, value in SETTINGS.items() for part in ("-o", f"{name}={value}")]
        return [self.program, *words, "--store", self.store, *flags]

    def submit(self, number):
        """Returns None if the message was acknowledged, else what was said of it."""
        command = self.command("submit", "-f", "", f"m{number}@[{sinks.address(1)}]")
        done = subprocess.run(command, input=f"X-Id: {number}\n\n{TEXT}", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 0:
            return None
        assert done.returncode in REFUSED, (done.returncode, done.stderr)
        return done.stderr

    def fill(self):
        """Returns the numbers of those who are in the queue, and that of the first who is not."""
        for number in range(1000):
            refusal = self.submit(number)
            if refusal is not None:
                assert "No space left on device" in refusal, refusal
                print(f"full: {number} messages are in, then: {refusal.strip().splitlines()[-1]}")
                return set(range(number)), number
        raise AssertionError("the database does not become full")

    def delivered(self):
        """The numbers of messages that the server has taken, as often as it has."""
        if not self.ledger.exists():
            return []
        return [int(json.loads(line)["id"]) for line in self.ledger.read_text().splitlines()]

    def run(self):
        servers = [sys.executable, HERE / "sinks.py", str(PORT), self.ledger, self.limits, "1"]
        servers = subprocess.Popen(servers, stdout=subprocess.PIPE, text=True)
        worker = None
        try:
            assert servers.stdout.readline() == "ready\n"
            acknowledged, refused = self.fill()
            assert acknowledged, "nothing fits"
            with open(self.log, "wb") as log:
                worker = subprocess.Popen(self.command("run", "--slots", "4"), stdout=log, stderr=log)
            time.sleep(5)
            assert worker.poll() is None, f"the worker has gone: {self.log.read_text()}"
            early = len(self.delivered())
            self.output("mount", "-o", f"remount,size={LARGE}", self.room)
            until = time.monotonic() + 120
            while not acknowledged <= set(self.delivered()):
                assert worker.poll() is None and time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)
            assert refused not in self.delivered(), f"{refused} was refused and delivered"
            assert self.submit(refused) is None
            while refused not in self.delivered():
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)
            found = self.delivered()
            assert len(found) == len(set(found)), f"doubled: {sorted(found)}"
            print(f"full: {early} delivered without room, and all {len(found)} once with it")
        finally:
            for process in filter(None, [worker, servers]):
                process.kill()
                process.wait()

    def end(self):
        for command in [(HERE / "start-postgres", "stop", self.folder), ("umount", self.room)]:
            subprocess.run(command, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--postgres", required=True, type=pathlib.Path, help="a new folder")
    options = parser.parse_args()
    options.postgres.mkdir()
    with tempfile.TemporaryDirectory(prefix="full.") as scratch:
        trial = Trial(options.program, options.postgres, pathlib.Path(scratch))
        try:
            trial.begin()
            trial.run()
        finally:
            trial.end()


if __name__ == "__main__":
    main()
