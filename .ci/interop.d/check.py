#!/usr/bin/env python3
"""Sends a set of messages through the client under test and compares what the servers stored.

    check.py self-test
        Shows that the comparison finds every kind of damage it is there to find.

    check.py deliver --outpost PROGRAM --config main.cf --scratch DIR --runtimes R… --server NAME PROTOCOL NEXTHOP FOLDER …
        Delivers every message through every runtime to every server (one run of the program for each pair of
        runtime and server) and prints a table. Exit status 1 if anything differs.

A server may add trace headers in front of a message and nothing else: what it stored has to *end* with the exact
bytes that were sent. The client changes a message in two ways only: a line above 998 bytes is broken (RFC 5321,
4.5.3.1.6, in Postfix's way: 998 bytes, then a blank and 997 bytes, and so on), and a last line without a line
end gets one. Needs Python 3.9 and nothing else.
"""

import argparse
import base64
import json
import pathlib
import random
import re
import subprocess
import sys
import time

LINE_LIMIT = 998
ATTACHMENT_BYTES = 25_000_000
DELIVERY_LIMIT_S = 120
STORE_LIMIT_S = 60
SETTLE_S = 2

# What the servers put in front: trace headers, and smtp-sink's notes about the envelope.
TRACE = re.compile(
    rb"(?:(?:Received|Return-Path|Delivered-To|X-Original-To|Envelope-To|Delivery-Date"
    rb"|X-Client-Addr|X-Client-Proto|X-Helo-Args|X-Mail-Args|X-Rcpt-Args):[^\n]*\n(?:[ \t][^\n]*\n)*)*",
    re.IGNORECASE,
)


# smtp-sink closes every message that it keeps with an empty line.
TAILS = {"sink": b"\n"}


def header(name, extra=b""):
    """The start of a message. The Message-ID tells the stored copies apart; @ID@ is replaced for every run.

    Servers add a Date, From or Message-ID that is missing, so all are there.
    """
    return (
        b"From: Sender <sender@client.interop.test>\n"
        b"To: inbox@interop.test\n"
        b"Subject: " + name.encode() + b"\n"
        b"Date: Thu, 01 Jan 2026 00:00:00 +0000\n"
        b"Message-ID: <@ID@@client.interop.test>\n" + extra
    )


def messages():
    """Name, encoding, number of recipients and content of every message; lines end in LF."""
    mime = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    yield "plain", "7bit", 1, header("plain") + b"\nHello,\n\nthis is plain text.\n\n-- \nSender\n"
    utf8 = "Grüße aus Zürich, 你好, привет, 🙂\n" * 200
    yield "utf-8", "8bit", 1, header("utf-8", mime) + b"\n" + utf8.encode()
    dots = b"\n.\n..\n...\n.hidden\ntext.\n. blank\n\n.\n\n.\n"
    yield "dots", "7bit", 1, header("dots") + dots
    lengths = (996, 997, 998, 999, 1995, 1996, 2047, 2048, 2049, 4096, 10_000, 50_000)
    long_lines = b"".join(filled(length) + b"\n" for length in lengths)
    # A full stop in front of a long line is doubled; one that the break moves to the front of a piece is not.
    long_lines += b"." + filled(1500) + b"\n" + filled(LINE_LIMIT) + b".moved" + filled(20) + b"\n"
    yield "long-lines", "7bit", 1, header("long-lines") + b"\n" + long_lines
    yield "long-8bit", "8bit", 1, header("long-8bit", mime) + b"\n" + "ü".encode() * 3000 + b"\nend\n"
    yield "empty-body", "7bit", 1, header("empty-body") + b"\n"
    yield "no-newline", "7bit", 1, header("no-newline") + b"\nThe last line has no end"
    yield "two-recipients", "7bit", 2, header("two-recipients") + b"\nOne text, two verdicts.\n"
    yield "attachment", "7bit", 1, attachment()


def filled(length):
    """A line of so many bytes in which every position can be told from its neighbours."""
    pattern = b"".join(b"%07d-" % n for n in range(0, length, 8))
    return pattern[:length]


def attachment():
    content = base64.encodebytes(random.Random(25).randbytes(ATTACHMENT_BYTES))
    extra = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_part"\n'
    return (
        header("attachment", extra)
        + b"\n--=_part\nContent-Type: text/plain\n\nSee the attachment.\n"
        + b"--=_part\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        + b'Content-Disposition: attachment; filename="random.bin"\n\n'
        + content
        + b"--=_part--\n"
    )


def as_stored(content):
    """What a server that keeps every byte has to store."""
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    folded = []
    for line in lines:
        folded.append(line[:LINE_LIMIT])
        rest = line[LINE_LIMIT:]
        while rest:
            folded.append(b" " + rest[: LINE_LIMIT - 1])
            rest = rest[LINE_LIMIT - 1 :]
    return b"".join(line + b"\n" for line in folded)


def difference(stored, expected):
    """None if the stored copy is the expected text after nothing but trace headers; else a description."""
    if stored.endswith(expected):
        prefix = stored[: len(stored) - len(expected)]
        if TRACE.fullmatch(prefix):
            return None
        return f"unknown text in front: {shown(prefix)}"
    prefix = TRACE.match(stored)
    body = stored[prefix.end() :]
    at = next((i for i, (a, b) in enumerate(zip(body, expected)) if a != b), min(len(body), len(expected)))
    line = expected.count(b"\n", 0, at) + 1
    around = slice(max(0, at - 20), at + 40)
    return (
        f"byte {at}, line {line} ({len(body)} bytes stored, {len(expected)} expected): "
        f"stored {shown(body[around])}, expected {shown(expected[around])}"
    )


def shown(data):
    return repr(data[:200])[1:]


def self_test():
    expected = as_stored(header("x") + b"\nfirst\n.dot\n" + filled(2500) + b"\nlast")
    trace = b"Return-Path: <a@b>\nReceived: from x\n\tby y; now\n"
    assert as_stored(filled(998) + b"\n") == filled(998) + b"\n"
    assert as_stored(filled(1996)) == filled(998) + b"\n " + filled(1996)[998:1995] + b"\n " + filled(1996)[1995:] + b"\n"
    good = [expected, trace + expected]
    half = len(expected) // 2
    bad = {
        "a changed byte": trace + expected[:half] + b"\0" + expected[half + 1 :],
        "a lost byte": trace + expected[:half] + expected[half + 1 :],
        "an added byte": trace + expected[:half] + b"x" + expected[half:],
        "a lost line end": trace + expected[:-1],
        "an added line end": trace + expected + b"\n",
        "a doubled dot": trace + expected.replace(b"\n.dot", b"\n..dot"),
        "a lost dot": trace + expected.replace(b"\n.dot", b"\ndot"),
        "CR LF for LF": trace + expected.replace(b"\n", b"\r\n"),
        "an unknown header": b"X-Odd: 1\n" + expected,
        "a changed first byte": trace + b"f" + expected[1:],
        "a break that was not made": trace + expected.replace(b"\n ", b""),
        "nothing": b"",
    }
    for stored in good:
        assert difference(stored, expected) is None, difference(stored, expected)
    for what, stored in bad.items():
        assert difference(stored, expected) is not None, f"{what} goes unnoticed"


def request(protocol, nexthop, encoding, recipients, content):
    return {
        "nexthop": nexthop,
        "sender": "sender@client.interop.test",
        "recipients": [{"address": address} for address in recipients],
        "encoding": encoding,
        "message_base64": base64.b64encode(content).decode(),
    }


def deliver(options, server, runtime, batch):
    """One run of the program with all messages; returns a trouble text by message name."""
    name, protocol, nexthop, folder = server
    work = pathlib.Path(options.scratch)
    stem = f"{name}.{runtime}"
    requests, wanted = [], {}
    for key, encoding, recipients, content in batch:
        identity = f"{stem}.{key}".encode()
        content = content.replace(b"@ID@", identity)
        addresses = ["inbox@interop.test", "second@interop.test"][:recipients]
        requests.append(request(protocol, nexthop, encoding, addresses, content))
        wanted[key] = (b"Message-ID: <" + identity + b"@", as_stored(content) + TAILS.get(name, b""))
    request_file = work / f"{stem}.request.json"
    request_file.write_text(json.dumps({"protocol": protocol, "requests": requests}))
    command = [options.outpost, "deliver", "--config", options.config, "--runtime", runtime]
    command += ["--report", "json", "--request", str(request_file)]
    before = time.monotonic()
    with open(work / f"{stem}.report.json", "w+") as report, open(work / f"{stem}.log", "w+") as log:
        try:
            status = subprocess.run(command, stdout=report, stderr=log, timeout=DELIVERY_LIMIT_S).returncode
        except subprocess.TimeoutExpired:
            status = f"nothing after {DELIVERY_LIMIT_S} s"
        report.seek(0)
        log.seek(0)
        troubles = verdicts(batch, status, report.read(), log.read())
    request_file.unlink()
    print(f"interop: {name} through {runtime}: {time.monotonic() - before:.1f} s", flush=True)
    for key, why in stored_differences(pathlib.Path(folder), wanted, set(troubles)).items():
        troubles.setdefault(key, why)
    return troubles


def verdicts(batch, status, report, log):
    """What the program's own report says against a delivery."""
    try:
        results = json.loads(report)["requests"]
    except (ValueError, KeyError, TypeError):
        results = []
    troubles = {}
    for index, (key, _, recipients, _) in enumerate(batch):
        verdict = results[index]["recipients"] if index < len(results) else []
        if len(verdict) != recipients:
            troubles[key] = f"{len(verdict)} verdicts for {recipients} recipients; exit status {status}; {log.strip()[-300:]}"
        elif any(one["status"] != "sent" for one in verdict):
            troubles[key] = "; ".join(f"{one['status']} ({one['text'][:300]})" for one in verdict)
    if not troubles and status != 0:
        troubles[batch[0][0]] = f"all sent, but exit status {status}"
    return troubles


def stored_differences(folder, wanted, hopeless):
    """Waits for the copies and compares them: servers that queue store after they have answered."""
    copies, troubles = {}, {}
    deadline = time.monotonic() + STORE_LIMIT_S
    while time.monotonic() < deadline:
        changed = read_new(folder, wanted, copies)
        # Every copy counts: one that differs must not hide behind one that does not.
        troubles = {key: why for _, _, key, why in copies.values() if why is not None}
        found = {key for _, _, key, _ in copies.values()}
        # A copy that differs may still be in the making (smtp-sink writes in place), so it gets time to settle.
        still = all(time.monotonic() - since > SETTLE_S for _, since, _, why in copies.values() if why is not None)
        if not changed and still and set(wanted) <= found | hopeless:
            break
        time.sleep(0.05)
    for key in wanted.keys() - {key for _, _, key, _ in copies.values()}:
        troubles[key] = "was not stored"
    for path in copies:
        path.unlink()
    return troubles


def read_new(folder, wanted, copies):
    """Compares the files that came or grew; `copies` is path to (size, when read, message, difference)."""
    changed = False
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        size = path.stat().st_size
        if path in copies and copies[path][0] == size:
            continue
        stored = path.read_bytes()
        for key, (identity, expected) in wanted.items():
            if identity in stored[:4096]:
                copies[path] = (size, time.monotonic(), key, difference(stored, expected))
                changed = True
    return changed


def deliver_all(options):
    batch = list(messages())
    names = [key for key, _, _, _ in batch]
    rows, details = [], []
    for server in options.server:
        for runtime in options.runtimes:
            troubles = deliver(options, server, runtime, batch)
            rows.append([server[0], runtime] + ["differs" if key in troubles else "ok" for key in names])
            details += [f"{server[0]} {runtime} {key}: {why}" for key, why in troubles.items()]
    table = [["server", "runtime"] + names] + rows
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for line in details:
        print(line)
    print(f"interop: {len(details)} of {len(rows) * len(names)} deliveries differ" if details else "interop: all equal")
    return 1 if details else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("self-test")
    run = commands.add_parser("deliver")
    run.add_argument("--outpost", required=True)
    run.add_argument("--config", required=True)
    run.add_argument("--scratch", required=True)
    run.add_argument("--runtimes", nargs="+", required=True)
    run.add_argument("--server", nargs=4, action="append", required=True)
    options = parser.parse_args()
    if options.command == "self-test":
        self_test()
        return 0
    return deliver_all(options)


if __name__ == "__main__":
    sys.exit(main())
