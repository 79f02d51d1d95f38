"""A queue with known contents: what servers say and what destinations are called is as bad as it can be."""

import json
import os
import pathlib
import re
import socketserver
import sqlite3
import subprocess
import threading
import time

PATIENCE = 60
# What servers say. None says nothing at all, so that a delivery stays under way.
EVIL = '<script>ran = 1; alert(1)</script><img src=//evil.example/x onerror="ran = 1"> "\'&amp; &lt; </td></table>'
SERVERS = {
    "127.0.2.1": ("220 takes", "250 2.0.0 ok"),
    "127.0.2.2": ("220 refuses", "550 5.1.1 " + EVIL),
    "127.0.2.3": ("220 defers", "451 4.7.1 " + EVIL),
    "127.0.2.4": ("421 4.3.2 " + EVIL + " grüße", ""),
    "127.0.2.5": (None, ""),
}
TAKES, REFUSES, DEFERS, SHOUTS, SILENT = (f"[{address}]" for address in SERVERS)
LABEL = "a" * 63
LONG = ".".join([LABEL] * 3) + ".example"
SOCKET = "unix:/nowhere/<script>ran = 1; alert(2)</script>\"'&amp;größe-日本語"
LONG_SOCKET = "unix:/nowhere/" + "x" * 1000
SETTINGS = {
    "smtp_host_lookup": "native",
    "initial_destination_concurrency": "1",
    "minimal_backoff_time": "1h",
    "maximal_backoff_time": "1h",
    "queue_suppression_time": "1d",
    "myhostname": "queue.example",
}


class Server(socketserver.ThreadingTCPServer):
    """Takes, refuses or defers recipients, or shouts, or is silent."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, port):
        super().__init__((address, port), Dialogue)
        self.greeting, self.reply = SERVERS[address]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Dialogue(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        if self.server.greeting is None:
            self.rfile.read()
            return
        self.say(self.server.greeting)
        if not self.server.greeting.startswith("2"):
            return
        text = False
        for line in self.rfile:
            verb = line[:4].upper()
            if text:
                text = line != b".\r\n"
                if not text:
                    self.say("250 2.0.0 ok")
            elif verb == b"RCPT":
                self.say(self.server.reply)
            elif verb == b"DATA" and self.server.reply.startswith("2"):
                text = True
                self.say("354 go on")
            elif verb == b"DATA":
                self.say("554 5.5.1 nobody")
            elif verb == b"QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")


class World:
    """The servers, the store and the worker that serves the page."""

    def __init__(self, program, folder, port):
        self.program = program
        self.folder = pathlib.Path(folder)
        # The page shows the path.
        self.file = self.folder / f"<b>\"store\" & Größe'{'x' * 100}.db"
        self.store = f"sqlite:{self.file}"
        self.settings = dict(SETTINGS, smtp_tcp_port=str(port))
        self.servers = [Server(address, port) for address in SERVERS]
        self.worker = None

    def command(self, *words):
        flags = [part for name, value in self.settings.items() for part in ("-o", f"{name}={value}")]
        return [self.program, *words, "--store", self.store, *flags]

    def call(self, *words, text=None):
        done = subprocess.run(self.command(*words), input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise RuntimeError(f"{words} ends with {done.returncode}: {done.stderr}")
        return done.stdout

    def submit(self, *words):
        """A message of the null sender: there are no reports."""
        return self.call("submit", "-f", "", *words, text="Subject: page\n\ntext\n").strip()

    def stats(self):
        return json.loads(self.call("stats", "--json"))

    def tasks(self):
        """Tasks by state."""
        return self.stats()["tasks"]

    def until(self, what, holds):
        end = time.monotonic() + PATIENCE
        while not holds():
            if self.worker.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"it does not come to it that {what}; the worker says: {self.log.read_text()}")
            time.sleep(0.1)

    def start(self):
        """Starts the worker, which does one thing at a time. Returns the address of the page."""
        self.log = self.folder / "worker"
        with open(self.log, "wb") as log:
            # Not on a terminal, and away from the environment of whoever calls.
            self.worker = subprocess.Popen(self.command("run", "--slots", "1", "--listen", "127.0.0.1:0"), stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        found = []
        self.until("it tells its address", lambda: found.extend(re.findall(r"http://[0-9.:]+/", self.log.read_text())) or found)
        return found[0]

    def fill(self):
        """Fills the queue, step by step. What came of it stands in checks.NUMBERS and checks.ROWS."""
        for name in ["ann", "bob"]:
            self.submit(f"{name}@{TAKES}")
        # The second time there is no attempt.
        for _ in range(2):
            self.submit(f'"<script>ran = 1</script>"@{REFUSES}')
        self.until("four are finished", lambda: len(self.call("list", "--json", "--state", "finished").splitlines()) == 4)
        self.submit(f"ann@{DEFERS}")
        self.until("one is deferred", lambda: self.tasks()["deferred"] == 1)
        for name in ["ann", "bob", "eve"]:
            self.submit(f"{name}@{SHOUTS}")
        self.until("a destination rests", lambda: self.stats()["dead_destinations"] == 1)
        self.submit(f"ann@{SILENT}")
        self.until("one is under way", lambda: self.tasks()["leased"] == 1)
        # From here on the only slot is taken.
        waiting = []
        for count, words in [
            (2, ["ann@bücher.example"]),
            (4, ["--nexthop", LONG, "ann@example.com"]),
            (5, ["--protocol", "lmtp", "--nexthop", SOCKET, "ann@example.com"]),
            (6, ["--protocol", "lmtp", "--nexthop", LONG_SOCKET, "ann@example.com"]),
        ]:
            waiting += [self.submit(*words) for _ in range(count)]
        # The store knows a destination when somebody has looked at what is for it.
        self.call("hold", *waiting)
        self.call("release", *waiting)
        # At these nobody has looked.
        for _ in range(3):
            self.submit("ann@new.example")
        self.held = [self.submit("ann@held.example") for _ in range(7)]
        self.call("hold", *self.held)

    def contents(self):
        """Everything but the times, which go on."""
        messages = [json.loads(line) for line in self.call("list", "--json").splitlines()]
        for message in messages:
            del message["age"]
        return messages, self.suppressed()

    def suppressed(self):
        return self.call("suppress", "list")

    def rename_table(self, old, new):
        """A store in which a table is missing does not answer."""
        connection = sqlite3.connect(self.file, timeout=PATIENCE)
        with connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
        connection.close()

    def stop(self):
        if self.worker:
            self.worker.kill()
            self.worker.wait()
        for server in self.servers:
            server.shutdown()
            server.server_close()
