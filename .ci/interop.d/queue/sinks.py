"""SMTP servers of all tempers on 127.0.1.N, which write down what they take before they say so.

One line of JSON in the ledger for each recipient of each message that was taken: the address, the message's X-Id, and
whether the reply went out ("sent") or was lost with the connection ("lost").
"""

import asyncio
import json
import random
import time

# The temper of each server: its last number, and what it does.
TEMPERS = {
    1: "accept", 2: "accept", 3: "accept", 4: "accept",
    5: "greylist", 6: "greylist",
    7: "refuse",
    8: "lose", 9: "lose",
    10: "crash",
    11: "dead",
    20: "accept",
}
# The server that takes the reports.
REPORTS = 20
GREYLISTED = 3.0


def address(number):
    return f"127.0.1.{number}"


class Sink:
    """One server."""

    def __init__(self, number, port, ledger, seed):
        self.number = number
        self.port = port
        self.temper = TEMPERS[number]
        self.ledger = ledger
        self.dice = random.Random(f"{seed}-{number}")
        self.first_seen = {}
        self.server = None
        self.open = 0
        self.most = 0

    async def listen(self):
        self.server = await asyncio.start_server(
            self.serve, address(self.number), self.port, backlog=512)

    async def serve(self, reader, writer):
        try:
            await self.dialogue(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def dialogue(self, reader, writer):
        def say(line):
            writer.write(line.encode() + b"\r\n")

        say(f"220 sink{self.number}.example ESMTP")
        recipients = []
        under_way = False
        try:
            while True:
                line = (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
                verb = line[:4].upper()
                if not line or verb == "QUIT":
                    if line:
                        say("221 2.0.0 bye")
                    return
                if verb == "EHLO":
                    say(f"250-sink{self.number}.example")
                    say("250-PIPELINING")
                    say("250-8BITMIME")
                    say("250 ENHANCEDSTATUSCODES")
                elif verb == "MAIL":
                    recipients = []
                    if not under_way:
                        under_way = True
                        self.open += 1
                        self.most = max(self.most, self.open)
                    say("250 2.0.0 ok")
                elif verb == "RSET":
                    recipients = []
                    if under_way:
                        under_way = False
                        self.open -= 1
                    say("250 2.0.0 ok")
                elif verb == "RCPT":
                    to = line.split("<", 1)[1].split(">", 1)[0]
                    reply = self.judge(to)
                    if reply.startswith("2"):
                        recipients.append(to)
                    say(reply)
                elif verb == "DATA":
                    if not recipients:
                        say("554 5.5.1 no recipients")
                        continue
                    if self.temper == "crash" and self.dice.random() < 0.3:
                        return
                    say("354 go on")
                    await writer.drain()
                    text = await self.text(reader)
                    lost = self.temper == "lose" and self.dice.random() < 0.2
                    self.take(recipients, text, lost)
                    if lost:
                        return
                    say("250 2.0.0 ok")
                    if under_way:
                        under_way = False
                        self.open -= 1
                else:
                    say("250 2.0.0 ok")
                await writer.drain()
        finally:
            if under_way:
                self.open -= 1

    def judge(self, to):
        if self.temper == "refuse":
            return "550 5.1.1 no such user"
        if self.temper == "greylist":
            seen = self.first_seen.setdefault(to, time.monotonic())
            if time.monotonic() - seen < GREYLISTED:
                return "451 4.7.1 come back later"
        return "250 2.1.5 ok"

    async def text(self, reader):
        lines = []
        while True:
            line = await reader.readline()
            if not line:
                raise ConnectionError("cut off")
            if line == b".\r\n":
                return b"".join(lines)
            if len(lines) < 2000:
                lines.append(line)

    def take(self, recipients, text, lost):
        name = ""
        for line in text.split(b"\r\n"):
            if line.lower().startswith(b"x-id:"):
                name = line[5:].strip().decode()
                break
            if not line:
                break
        for to in recipients:
            entry = {"to": to, "id": name, "reply": "lost" if lost else "sent", "server": self.number}
            if self.number == REPORTS:
                entry["about"] = sorted(failed(text))
            self.ledger.write(json.dumps(entry) + "\n")
        self.ledger.flush()


def failed(text):
    """The recipients that a report is about."""
    for line in text.split(b"\r\n"):
        if line.lower().startswith(b"final-recipient:"):
            yield line.split(b";", 1)[1].strip().decode()


async def toggle(sink):
    """A server that is away now and then."""
    while True:
        await asyncio.sleep(sink.dice.uniform(3, 8))
        sink.server.close()
        await asyncio.sleep(sink.dice.uniform(3, 8))
        await sink.listen()


async def run(port, ledger_path, limits_path, seed):
    with open(ledger_path, "a", encoding="utf-8") as ledger:
        sinks = [Sink(number, port, ledger, seed) for number in TEMPERS]
        for sink in sinks:
            await sink.listen()
        togglers = [asyncio.create_task(toggle(sink)) for sink in sinks if sink.temper == "dead"]
        print("ready", flush=True)
        while True:
            await asyncio.sleep(0.5)
            with open(limits_path, "w", encoding="utf-8") as limits:
                json.dump({address(sink.number): sink.most for sink in sinks}, limits)
            for toggler in togglers:
                if toggler.done():
                    toggler.result()


if __name__ == "__main__":
    import sys

    asyncio.run(run(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]))
