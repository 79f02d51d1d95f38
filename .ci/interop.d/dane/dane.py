#!/usr/bin/env python3
"""Sends a message to every destination of cases.py and compares the verdicts, the log and what has arrived.

    dane.py prepare --root FOLDER
        Makes certificates, zones and signatures in the servers' root folder.

    dane.py deliver --outpost PROGRAM --root FOLDER --scratch FOLDER --runtimes R…
        Sends through every runtime and through Postfix's own client. Exit status 1 if anything differs from what
        cases.py says.

Needs Python 3.9 and nothing else.
"""

import argparse
import base64
import json
import pathlib
import re
import smtplib
import subprocess
import sys
import time

from cases import CASES, CLEAR
from world import World

HERE = pathlib.Path(__file__).parent
LIMIT_S = 60
SUMMARY = re.compile(r": (\w+) TLS connection established to (\S+?)\[[0-9.]+\]:12525: ")
STATUS = re.compile(r": to=<(\S+)@(\S+)>,.* dsn=([0-9.]+), status=(\w+) \((.*)\)$")
MESSAGE = "From: <sender@client.interop.test>\nMessage-ID: <{key}@client.interop.test>\nSubject: {key}\n\nText.\n"


class Seen:
    """What a log says of a message: in what words it was sent, or why not."""

    def __init__(self, status, code, text, trust):
        self.status, self.code, self.text, self.trust = status, code, text, trust

    def __str__(self):
        return f"{self.status} {self.code} {self.trust} ({self.text})"

    def reason(self):
        """The text as far as it does not depend on who sent when."""
        return "" if self.status == "sent" else self.text


def read_log(lines, prefix):
    """What became of each recipient domain. The summary line stands before the status and has the same process."""
    trusts, seen = {}, {}
    for line in lines:
        process = line.split(": ")[0].split()[-1]
        if found := SUMMARY.search(line):
            trusts[process] = found[1]
        elif found := STATUS.search(line):
            if prefix and found[1] != prefix:
                continue
            # Each message has its own process or comes after the one before it, so a summary is used up here.
            seen[found[2]] = Seen(found[4], found[3], found[5], trusts.pop(process, CLEAR))
    return seen


def through_outpost(options, sender, runtime, extra, servers):
    """One run of the program for each level."""
    lines = []
    for level in ("dane", "dane-only"):
        cases = [case for case in CASES if case.level == level]
        requests = [
            {
                "nexthop": f"{case.domain}:12525",
                "sender": "sender@client.interop.test",
                "recipients": [{"address": f"inbox@{case.domain}"}],
                "encoding": "7bit",
                "message_base64": base64.b64encode(message(sender, case)).decode(),
            }
            for case in cases
        ]
        file = options.scratch / f"dane.{sender}.{level}.json"
        file.write_text(json.dumps({"protocol": "smtp", "requests": requests}))
        command = [options.outpost, "deliver", "--config", str(HERE / "client.cf"), "--runtime", runtime]
        command += ["--report", "log", "--dns", servers, "-o", f"smtp_tls_security_level={level}", *extra]
        with open(file.with_suffix(".log"), "w+") as log:
            try:
                command += ["--request", str(file)]
                status = subprocess.run(command, stdout=log, stderr=log, timeout=LIMIT_S).returncode
            except subprocess.TimeoutExpired:
                status = f"nothing after {LIMIT_S} s"
            log.seek(0)
            output = log.read()
        lines += output.splitlines()
        if status not in (0, 75):
            print(f"interop: dane through {sender}: exit status {status}: {output[-500:]}")
    return read_log(lines, None)


def message(sender, case):
    return MESSAGE.format(key=key(sender, case)).encode()


def key(sender, case):
    return f"{sender}.{case.name}"


def through_postfix(options):
    """Hands the messages to Postfix and waits for its log."""
    with smtplib.SMTP("127.0.0.1", 12540, timeout=LIMIT_S) as client:
        for case in CASES:
            client.sendmail("sender@client.interop.test", [f"postfix@{case.domain}"], message("postfix", case))
    log = options.root / "var/log/mail.log"
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        lines = [line for line in log.read_text().splitlines() if re.search(r" postfix/(smtp|only/smtp)\[", line)]
        seen = read_log(lines, "postfix")
        if len(seen) == len(CASES):
            break
        time.sleep(0.2)
    return seen


def troubles_of(sender, seen):
    """Where the verdicts are not those of the table."""
    for case in CASES:
        found = seen.get(case.domain)
        if found is None:
            yield f"{sender} {case.name}: no verdict"
        elif (found.status, found.trust) != (case.status, case.trust) and case.status == "sent":
            yield f"{sender} {case.name}: {found}; expected {case.status} {case.trust}"
        elif found.status != case.status or not found.text.startswith(case.why):
            yield f"{sender} {case.name}: {found}; expected {case.status} ({case.why}…)"


def unlike(sender, seen, postfix):
    """Where a verdict, its code or its reason are not Postfix's."""
    for case in CASES:
        ours, theirs = seen.get(case.domain), postfix.get(case.domain)
        if ours and theirs and (ours.code, ours.reason(), ours.trust) != (theirs.code, theirs.reason(), theirs.trust):
            yield f"{sender} {case.name}: {ours}; Postfix: {theirs}"


def arrived(options, senders):
    """Where something arrived that must not, or not what must, or without TLS."""
    folder = options.root / "var/mail/inbox/new"
    expected = {key(sender, case): case for sender in senders for case in CASES}
    must = {name for name, case in expected.items() if case.status == "sent"}
    deadline = time.monotonic() + LIMIT_S
    while True:
        texts = [path.read_text() for path in folder.iterdir()] if folder.is_dir() else []
        found = {re.search(r"^Message-ID: <(.*)@", text, re.MULTILINE)[1]: text for text in texts}
        if must <= set(found) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for name in sorted(must - set(found)):
        yield f"{name}: did not arrive"
    for name, text in found.items():
        case = expected[name]
        encrypted = re.search(r"\(using TLSv1\.[23] with cipher ", text) is not None
        if name not in must:
            yield f"{name}: arrived"
        elif encrypted != (case.trust is not CLEAR):
            yield f"{name}: arrived {'by' if encrypted else 'without'} TLS"


def deliver(options):
    runs = [(runtime, runtime, [], "127.0.0.1:12521") for runtime in options.runtimes]
    postfix = through_postfix(options)
    troubles, senders = list(troubles_of("postfix", postfix)), ["postfix"]
    for sender, runtime, extra, servers in runs:
        begun = time.monotonic()
        seen = through_outpost(options, sender, runtime, extra, servers)
        print(f"interop: dane through {sender}: {time.monotonic() - begun:.1f} s", flush=True)
        troubles += [*troubles_of(sender, seen), *unlike(sender, seen, postfix)]
        senders.append(sender)
    troubles += arrived(options, senders)
    for line in troubles:
        print(line)
    print(f"interop: dane: {len(CASES)} destinations, {len(troubles)} differences")
    return 1 if troubles else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare")
    run = commands.add_parser("deliver")
    for command in (prepare, run):
        command.add_argument("--root", required=True, type=pathlib.Path)
    run.add_argument("--outpost", required=True)
    run.add_argument("--scratch", required=True, type=pathlib.Path)
    run.add_argument("--runtimes", nargs="+", required=True)
    options = parser.parse_args()
    if options.command == "prepare":
        World(options.root).prepare()
        return 0
    return deliver(options)


if __name__ == "__main__":
    sys.exit(main())
