"""A server that plays the script of a scenario on one TCP address or UNIX-domain socket.

The script's format is in smtp-sim/scenarios/README.md. Here it may also have `gather`: so many first connections are
greeted when all of them are there, and those that stay alone have a `G` in the transcript.

What the server writes down of each connection is a dictionary with

    transcript       pairs of kind and text, as in the recordings
    pipeline_groups  the client's commands as they arrived: all that came in before the server answered the first of
                     them are one group
    data_base64      the content of every message that came to its end, dots still doubled
"""

import os
import select
import shutil
import socket
import ssl
import tempfile
import threading
import time

from scripted_session import Session

# Less than a client waits for a greeting.
GATHERING_LIMIT_S = 1.5
# IPV6_FREEBIND of linux/in6.h.
FREEBIND = 78
VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Log:
    """All sessions of one run, in the order in which they were opened."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions = []

    def new(self, server):
        record = {"server": server, "transcript": [], "pipeline_groups": [], "data_base64": []}
        with self.lock:
            self.sessions.append(record)
        return record


class Endpoint:
    """A listening socket and the sessions that came in by it."""

    def __init__(self, name, address, script, protocol, log, hold):
        self.name = name
        self.script = script
        self.protocol = script.get("protocol", protocol)
        self.log = log
        self.hold = hold
        self.accepted = 0
        self.threads = []
        self.gathering = threading.Barrier(script.get("gather", 1))
        self.stopping = False
        self.waiting = []
        self.folder = None
        self.socket = listen(address)
        self.context = self.tls_context()
        if script.get("accept") == "stall":
            self.fill_queue()
        else:
            self.socket.listen(64)
            threading.Thread(target=self.accept, daemon=True).start()

    def fill_queue(self):
        """Makes the queue of connections full for good: a new connection gets no answer at all."""
        self.socket.listen(0)
        for _ in range(4):
            client = socket.socket(self.socket.family, socket.SOCK_STREAM)
            client.setblocking(False)
            try:
                client.connect(self.socket.getsockname())
            except BlockingIOError:
                pass
            self.waiting.append(client)
        time.sleep(0.05)

    def tls_context(self):
        settings = self.script.get("tls")
        if not settings:
            return None
        self.folder = tempfile.mkdtemp(prefix="server-")
        context = self.one_context(settings, settings)
        by_name = {name.lower(): self.one_context(one, settings) for name, one in settings.get("by_sni", {}).items()}

        def choose(channel, name, _):
            channel.server_name = name
            if (name or "").lower() in by_name:
                channel.context = by_name[name.lower()]

        context.sni_callback = choose
        return context

    def one_context(self, pair, settings):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = os.path.join(self.folder, "certificate.pem"), os.path.join(self.folder, "key.pem")
        for path, text in ((certificate, pair["certificate"]), (key, pair["key"])):
            with open(path, "w") as file:
                file.write(text)
        context.load_cert_chain(certificate, key)
        if "max_version" in settings:
            context.maximum_version = VERSIONS[settings["max_version"]]
        if "min_version" in settings:
            context.minimum_version = VERSIONS[settings["min_version"]]
        if settings.get("ciphers"):
            context.set_ciphers(settings["ciphers"])
        if settings.get("client_ca"):
            context.load_verify_locations(cadata=settings["client_ca"])
            required = settings.get("client_certificate") == "require"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        return context

    def accept(self):
        while not self.stopping:
            try:
                if not select.select([self.socket], [], [], 0.2)[0]:
                    continue
                client, peer = self.socket.accept()
            except (OSError, ValueError):
                return
            self.accepted += 1
            if self.accepted >= self.script.get("max_sessions", self.accepted + 1):
                # Later connections are refused.
                self.socket.close()
                self.stopping = True
            session = Session(self, client, peer, self.accepted, self.log.new(self.name))
            thread = threading.Thread(target=session.run, daemon=True)
            self.threads.append(thread)
            thread.start()

    def gather(self):
        """Waits until all that are to be greeted together are there. False if they do not come."""
        try:
            self.gathering.wait(GATHERING_LIMIT_S)
        except threading.BrokenBarrierError:
            return False
        return True

    def busy(self):
        return any(thread.is_alive() for thread in self.threads)

    def stop(self):
        self.stopping = True
        for one in (self.socket, *self.waiting):
            one.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def listen(address):
    """A bound socket for `unix:PATH`, `HOST:PORT` or `[HOST]:PORT`."""
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound.bind(path)
        os.chmod(path, 0o777)
        return bound
    host, port = address.rsplit(":", 1)
    bound = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bound.family == socket.AF_INET6:
        # An address that was added a moment ago may not be ready.
        bound.setsockopt(socket.IPPROTO_IPV6, FREEBIND, 1)
    bound.bind((host.strip("[]"), int(port)))
    return bound
