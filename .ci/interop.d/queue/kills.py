#!/usr/bin/env python3
"""Workers and a database that are killed at random, and what the servers say of it.

    kills.py --program PATH (--postgres DIR | --sqlite FILE) [--messages N] [--workers N] [--seed N]

Messages with one to three recipients go to sinks that accept, greylist, refuse, die before the end, and lose the reply to
the final dot. Meanwhile workers are killed with SIGKILL, and so is the database, which is started again. In the end the
ledger of the sinks is held against the queue:

- every recipient of a message that was acknowledged has a last verdict;
- whoever was sent, a sink has; whoever bounced, no sink has, unless marked as doubtful;
- nobody has a message twice who is not marked as doubtful;
- each failure was reported to the sender, once, unless the report itself is doubtful;
- no sink saw more deliveries at a time than the limit of a destination.
"""

import argparse
import collections
import csv
import io
import json
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time

import sinks

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 20
SETTINGS = {
    "smtp_host_lookup": "native",
    "smtp_connection_cache_on_demand": "yes",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "8s",
    "smtp_connect_timeout": "5s",
    "queue_lease_time": "6s",
    "queue_death_limit": "50",
    "default_destination_concurrency_limit": str(LIMIT),
    "myhostname": "queue.example",
}


class Trial:
    def __init__(self, options):
        self.options = options
        self.dice = random.Random(options.seed)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="kills."))
        self.ledger = self.scratch / "ledger"
        self.limits = self.scratch / "limits"
        self.workers = {}
        self.killed = collections.Counter()
        if options.postgres:
            self.store = self.server("start")
        else:
            self.store = f"sqlite:{options.sqlite}"

    def command(self, *words):
        settings = dict(SETTINGS, smtp_tcp_port=str(self.options.port))
        flags = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return [self.options.program, *words, "--store", self.store, *flags]

    # What runs.

    def server(self, what):
        command = [HERE / "start-postgres", what, self.options.postgres]
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.strip()

    def start_sinks(self):
        command = [sys.executable, HERE / "sinks.py", str(self.options.port), self.ledger, self.limits, str(self.options.seed)]
        self.sinks = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.sinks.stdout.readline() == "ready\n"

    def start_worker(self, number):
        log = open(self.scratch / f"worker{number}", "ab")
        self.workers[number] = subprocess.Popen(self.command("run", "--slots", "40"), stdout=log, stderr=log)

    def kill_worker(self):
        number = self.dice.choice(sorted(self.workers))
        self.workers[number].kill()
        self.workers[number].wait()
        self.killed["workers"] += 1
        self.start_worker(number)

    def kill_database(self):
        self.server("kill")
        self.killed["databases"] += 1
        time.sleep(self.dice.uniform(0, 3))
        self.server("start")

    # What goes in.

    def messages(self):
        numbers = [number for number in sinks.TEMPERS if number != sinks.REPORTS]
        for message in range(self.options.messages):
            hosts = self.dice.sample(numbers, self.dice.choice([1, 1, 1, 2, 3]))
            yield message, [f"m{message}@[{sinks.address(host)}]" for host in hosts]

    def submit(self, batch):
        """Returns whether the batch was acknowledged."""
        files = []
        for message, recipients in batch:
            path = self.scratch / f"message{message}"
            size = self.dice.choice([100, 1000, 4000, 4000, 60000])
            path.write_text(f"X-Id: {message}\nFrom: <s@[{sinks.address(sinks.REPORTS)}]>\nTo: {', '.join(recipients)}\n"
                            f"Subject: message {message}\n\n" + "hello hello hello\n" * (size // 18))
            files += ["--file", path]
        command = self.command("submit", "-t", "-f", f"s{batch[0][0]}@[{sinks.address(sinks.REPORTS)}]", *files)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for path in files[1::2]:
            path.unlink()
        if done.returncode == 0:
            assert len(done.stdout.split()) == len(batch), done.stdout
            return True
        if done.returncode not in (69, 75):
            sys.exit(f"kills: submit ended with {done.returncode}: {done.stderr}")
        return False

    def fill(self):
        acknowledged, unknown, batch = {}, {}, []
        everything = list(self.messages())
        for position, entry in enumerate(everything):
            batch.append(entry)
            if len(batch) == self.options.batch or position + 1 == len(everything):
                (acknowledged if self.submit(batch) else unknown).update(dict(batch))
                batch = []
                self.disturb()
        return acknowledged, unknown

    def disturb(self):
        if self.dice.random() < self.options.kill_worker:
            self.kill_worker()
        if self.options.postgres and self.dice.random() < self.options.kill_database:
            self.kill_database()

    # What came of it.

    def query(self, text):
        if self.options.postgres:
            text = text.replace("FROM ", "FROM outpost.").replace("JOIN ", "JOIN outpost.")
            done = subprocess.run(["psql", self.store, "-X", "-q", "--csv", "-t", "-c", text], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            return [[{"t": "1", "f": "0"}.get(cell, cell) for cell in row] for row in csv.reader(io.StringIO(done.stdout))]
        with sqlite3.connect(self.options.sqlite) as connection:
            return [[str(cell) for cell in row] for row in connection.execute(text)]

    def wait_until_empty(self, disturbed_until):
        begun = time.monotonic()
        while True:
            try:
                (left, last), = self.query("SELECT count(*), coalesce(max(id), 0) FROM message WHERE state <> 2")
            except RuntimeError as why:
                print(f"kills: {why}", file=sys.stderr)
                left = "?"
            if left == "0":
                return
            if time.monotonic() - begun > self.options.patience:
                sys.exit(f"kills: {left} messages are not finished after {self.options.patience} s: {self.scratch}")
            if time.monotonic() - begun < disturbed_until:
                self.disturb()
            time.sleep(1)

    def judge(self, acknowledged, unknown):
        troubles = []
        ledger = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        copies = collections.Counter(entry["to"] for entry in ledger if entry["server"] != sinks.REPORTS)
        told = collections.Counter(name for entry in ledger if entry["server"] == sinks.REPORTS for name in entry.get("about", []))
        rows = self.query("SELECT recipient.address, recipient.fate, recipient.doubtful, message.kind FROM recipient "
                          "JOIN message ON message.id = recipient.message")
        fates = {}
        report_in_doubt = False
        for address, fate, doubtful, kind in rows:
            if kind == "1":
                report_in_doubt |= doubtful == "1"
                continue
            if address in fates:
                troubles.append(f"{address} is in the queue twice")
            fates[address] = (int(fate), doubtful == "1")
        counts = collections.Counter()
        for message, recipients in acknowledged.items():
            for to in recipients:
                if to not in fates:
                    troubles.append(f"{to} of message {message} was acknowledged, and is not in the queue")
        known = {to for recipients in [*acknowledged.values(), *unknown.values()] for to in recipients}
        for to, (fate, doubtful) in fates.items():
            seen = copies[to]
            counts[("pending", "sent", "bounced", "cancelled")[fate], "doubtful" if doubtful else "certain", min(seen, 3)] += 1
            if to not in known:
                troubles.append(f"{to} is in the queue, and was never submitted")
            if fate == 0:
                troubles.append(f"{to} has no last verdict")
            if fate == 1 and seen == 0:
                troubles.append(f"{to} was sent, and no server has it")
            if fate == 2 and seen > 0 and not doubtful:
                troubles.append(f"{to} bounced, and a server has it")
            if seen > 1 and not doubtful:
                troubles.append(f"{to} was delivered {seen} times, and is not marked")
            if fate == 2 and told[to] != 1 and not (report_in_doubt and told[to] > 1):
                troubles.append(f"{to} bounced, and its sender was told {told[to]} times")
        for to in copies:
            if to not in fates:
                troubles.append(f"{to} was delivered, and is not in the queue")
        for address, most in json.loads(self.limits.read_text()).items():
            if most > LIMIT:
                troubles.append(f"{address} had {most} deliveries at a time, of {LIMIT}")
        for key, count in sorted(counts.items()):
            print(f"kills: {key[0]:8} {key[1]:8} {key[2]} copies: {count}")
        (running,), = self.query("SELECT coalesce(sum(running), 0) FROM destination")
        if running != "0":
            troubles.append(f"{running} turns are out, and nothing runs")
        return troubles

    def run(self):
        begun = time.monotonic()
        self.start_sinks()
        subprocess.run(self.command("migrate"), check=True, stdout=subprocess.DEVNULL)
        try:
            for number in range(self.options.workers):
                self.start_worker(number)
            acknowledged, unknown = self.fill()
            filled = time.monotonic() - begun
            self.wait_until_empty(self.options.disturb)
            for worker in self.workers.values():
                worker.terminate()
            ends = {worker.wait(60) for worker in self.workers.values()}
            time.sleep(1)
            troubles = self.judge(acknowledged, unknown)
            if ends != {0}:
                troubles.append(f"workers ended with {sorted(ends)}")
        finally:
            for worker in self.workers.values():
                worker.kill()
            self.sinks.kill()
            if self.options.postgres:
                self.server("stop")
        print(f"kills: {len(acknowledged)} messages acknowledged, {len(unknown)} not; in {filled:.0f} s; all in "
              f"{time.monotonic() - begun:.0f} s; killed {dict(self.killed)}; seed {self.options.seed}")
        for trouble in troubles[:40]:
            print(f"kills: {trouble}", file=sys.stderr)
        if troubles:
            sys.exit(f"kills: {len(troubles)} troubles; {self.scratch}")
        subprocess.run(["rm", "-rf", self.scratch])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--postgres", metavar="DIR", help="the folder of a private server")
    where.add_argument("--sqlite", metavar="FILE")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=50, help="messages that are submitted at a time")
    parser.add_argument("--kill-worker", type=float, default=0.3, help="the chance with each batch, and each second after that")
    parser.add_argument("--kill-database", type=float, default=0.03)
    parser.add_argument("--disturb", type=float, default=30, help="seconds for which it goes on when all is submitted")
    parser.add_argument("--patience", type=float, default=600)
    parser.add_argument("--port", type=int, default=20025)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    Trial(parser.parse_args()).run()


if __name__ == "__main__":
    main()
