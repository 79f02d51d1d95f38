"""A private Postfix, and the part of the queue manager.

It runs master(8) with the delivery agents and what they need, writes queue files, sends delivery requests to an
agent's socket with the attributes of qmgr_deliver.c (Postfix 3.7), and stands in for bounce(8), defer, trace and
verify(8). Results are taken from the agent's own log.
"""

import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import queue_file
from attributes import Reader, packed

START_LIMIT = 200
DELIVERY_LIMIT_S = 110
STOP_LIMIT_S = 10
# The folders of a queue, and who else but the owner may enter.
FOLDERS = [
    ("active", 0o700), ("private", 0o700), ("public", 0o710), ("pid", 0o755), ("defer", 0o700), ("deferred", 0o700),
    ("bounce", 0o700), ("trace", 0o700), ("incoming", 0o700), ("corrupt", 0o700),
]
HELPERS = """\
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
rewrite unix - - n - - trivial-rewrite
"""
RESULT = re.compile(
    r": to=<(.*?)>(?:, orig_to=<.*?>)?, relay=(.*?)(?:, conn_use=\d+)?, delay=[^,]*, delays=[^,]*, dsn=([\d.]+), "
    r"status=([A-Za-z-]+) \((.*?)(\)?)$",
    re.DOTALL,
)
# DEL_REQ_FLAG_… of deliver_request.h, SMTPUTF8_FLAG_… of smtputf8.h, DSN_… of dsn_mask.h.
SUCCESS, BOUNCE, MTA_VERIFY, CONN_LOAD, CONN_STORE = 1, 2, 1 << 8, 1 << 11, 1 << 12
UTF8_REQUESTED, UTF8_HEADER, UTF8_SENDER, UTF8_RECIPIENT = 1, 2, 4, 8
NOTIFY = {"NEVER": 1, "SUCCESS": 2, "FAILURE": 4, "DELAY": 8}
RETURN = {"FULL": 1, "HDRS": 2}


class MailSystem:
    """A running Postfix with a queue of its own. `root` is where its programs are installed or unpacked; so many
    deliveries at once find an agent each."""

    def __init__(self, config, protocol, flags, root="/", at_once=1):
        self.root = root
        self.user, self.group, self.drop = accounts(root)
        self.folder = tempfile.mkdtemp(prefix="postfix-")
        os.chmod(self.folder, 0o755)
        self.log, self.traces, self.failures = [], [], []
        self.lock = threading.Lock()
        self.make_folders()
        self.write_main(config)
        self.write_master(protocol, flags, max(2, at_once))
        self.make_tables(config)
        self.serve_log()
        for name in ("bounce", "defer", "trace"):
            self.serve(name, "delivery_status_protocol", self.note_status)
        # The name is spelt so in Postfix.
        self.serve("verify", "address_verification_prrotocol", lambda *_: None)
        self.process = self.spawn("/usr/lib/postfix/sbin/master", "-c", self.etc)

    # Files.

    def make_folders(self):
        self.etc, self.queue, self.data = (os.path.join(self.folder, name) for name in ("etc", "spool", "data"))
        os.mkdir(self.etc)
        os.mkdir(self.queue)
        for path, mode in [(self.data, 0o700)] + [(os.path.join(self.queue, name), mode) for name, mode in FOLDERS]:
            os.mkdir(path)
            os.chown(path, *((0, 0) if path.endswith("/pid") else (self.user, self.group)))
            os.chmod(path, mode)
        os.chown(os.path.join(self.queue, "public"), self.user, self.drop)

    def write_main(self, config):
        own = {
            "queue_directory": self.queue,
            "data_directory": self.data,
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "command_directory": "/usr/sbin",
            "maillog_file": f"{self.folder}/maillog",
            "maillog_file_prefixes": "/",
            "info_log_address_format": "internal",
            "fast_flush_domains": "",
            "syslog_name": "postfix",
            "notify_classes": "",
            "max_idle": "20s",
            "ipc_timeout": "100s",
            "queue_minfree": "0",
            "import_environment": "MAIL_CONFIG TZ=UTC LANG=C",
        }
        text = pathlib.Path(config).read_text(encoding="utf-8")
        home = os.path.dirname(os.path.abspath(config))
        for spelling in ("${config_directory}", "$config_directory"):
            text = text.replace(spelling, home)
        with open(os.path.join(self.etc, "main.cf"), "w", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in own.items())
            file.write(text)

    def write_master(self, protocol, flags, agents):
        """A service for each set of flags; the first has the agent's own name."""
        self.services, lines = {}, []
        for number, one in enumerate(sorted(flags)):
            name = protocol if number == 0 else f"{protocol}{number}"
            self.services[one] = name
            lines.append(f"{name} unix - - n - {agents} {protocol}{' flags=' + one if one else ''}\n")
        # Transports that mail may be passed on to.
        others = [("smtp", "smtp"), ("relay", "smtp"), ("lmtp", "lmtp")]
        lines += [f"{name} unix - - n - {agents} {program}\n" for name, program in others if name != protocol]
        with open(os.path.join(self.etc, "master.cf"), "w") as file:
            file.write("".join(lines) + HELPERS)

    def make_tables(self, config):
        """Compiles the tables that have to be: postmap(1) for `hash:` and `btree:` beside main.cf."""
        home = os.path.dirname(os.path.abspath(config))
        text = pathlib.Path(self.etc, "main.cf").read_text(encoding="utf-8")
        for kind, path in set(re.findall(r"\b(hash|btree):([^\s,{}]+)", text)):
            if path.startswith(home) and os.path.exists(path):
                self.spawn("/usr/sbin/postmap", "-c", self.etc, f"{kind}:{path}").wait()

    def spawn(self, *words):
        command = list(words) if self.root == "/" else ["chroot", self.root, *words]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MAIL_CONFIG": self.etc, "LANG": "C", "TZ": "UTC",
        }
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment, **quiet)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The services that are played here.

    def serve_log(self):
        path = os.path.join(self.queue, "public", "postlog")
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(path)
        os.chmod(path, 0o666)

        def receive():
            while True:
                record = receiver.recv(65536).decode("utf-8", "replace").rstrip("\n")
                with self.lock:
                    self.log.append(record)

        threading.Thread(target=receive, daemon=True).start()

    def serve(self, name, protocol, note):
        path = os.path.join(self.queue, "private", name)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(64)

        def talk(client):
            with client:
                try:
                    client.sendall(packed([("protocol", protocol)]))
                    reader = Reader(client)
                    while True:
                        note(name, dict(reader.attributes()))
                        client.sendall(packed([("status", 0)]))
                except (OSError, EOFError):
                    pass

        def accept():
            while True:
                client, _ = listener.accept()
                threading.Thread(target=talk, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def note_status(self, service, said):
        text = {name: value.decode("utf-8", "replace") for name, value in said.items()}
        queue_id, recipient = text.get("queue_id", ""), text.get("recipient", "")
        with self.lock:
            if service == "trace":
                self.traces.append((queue_id, recipient, text.get("action", "")))
            else:
                status = {"bounce": "bounced", "defer": "deferred"}[service]
                self.failures.append((queue_id, recipient, status, text.get("reason", "")))

    # Deliveries.

    def deliver(self, number, request):
        """Delivers a request and returns the results of its recipients."""
        queue_id = f"{0xA0000 + number:05X}{0xABCDE0 + number:06X}"
        content = base64.b64decode(request["message_base64"])
        path = os.path.join(self.queue, "active", queue_id)
        text_offset, offsets = queue_file.write(path, request, content)
        os.chown(path, self.user, self.group)
        message = delivery_request(queue_id, request, content, text_offset, offsets)
        crashed = self.ask(self.services[request.get("flags", "")], message)
        # Log records were sent before the final status; the reader may be behind.
        time.sleep(0.05)
        return self.results(queue_id, request, crashed)

    def ask(self, service, message):
        """Sends a delivery request and waits for the end. True if the agent ended instead."""
        path = os.path.join(self.queue, "private", service)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            for _ in range(START_LIMIT):
                try:
                    agent.connect(path)
                    break
                except OSError:
                    if self.process.poll() is not None:
                        raise RuntimeError(f"master ended: {self.process.stderr.read()}") from None
                    time.sleep(0.02)
            agent.settimeout(DELIVERY_LIMIT_S)
            reader = Reader(agent)
            try:
                reader.attributes()
                agent.sendall(message)
                reader.attributes()
            except (EOFError, ConnectionError):
                return True
        return False

    def results(self, queue_id, request, crashed):
        with self.lock:
            records = [record for record in self.log if f": {queue_id}: to=<" in record]
            traces = [(recipient, action) for one, recipient, action in self.traces if one == queue_id]
            failures = {one[1:3]: one[3] for one in self.failures if one[0] == queue_id}
        found = []
        for match in filter(None, map(RESULT.search, records)):
            address, relay, dsn, status, text, end = match.groups()
            if not end:
                # The record is cut at 2000 bytes; the whole text went to bounce or defer.
                text = failures.get((address, status), text)
            found.append((address, {"status": status, "dsn": dsn, "relay": relay, "text": text}))
        results = []
        for recipient in request["recipients"]:
            logged = "".join(c if c.isprintable() or ord(c) > 127 else "?" for c in recipient["address"])
            hit = next((one for one in found if one[0] == logged), None)
            if hit is None and len(found) == len(request["recipients"]) == 1:
                hit = found[0]
            result = {"status": "none", "dsn": "", "relay": "", "text": "crashed" if crashed else ""}
            if hit is not None:
                found.remove(hit)
                result = hit[1]
            actions = [action for one, action in traces if one == recipient["address"]]
            if actions:
                result = {**result, "report": ",".join(actions)}
            results.append({"address": recipient["address"], **result})
        return {"recipients": results}


def accounts(root):
    """The numbers of user `postfix`, of its group, and of group `postdrop`."""
    users = dict(line.split(":", 1) for line in pathlib.Path(root, "etc/passwd").read_text().splitlines())
    groups = dict(line.split(":", 1) for line in pathlib.Path(root, "etc/group").read_text().splitlines())
    _, user, group, _ = users["postfix"].split(":", 3)
    return int(user), int(group), int(groups["postdrop"].split(":")[1])


def delivery_request(queue_id, request, content, text_offset, offsets):
    size = request.get("size")
    if size is None:
        size = content.count(b"\n") + len(content) + (0 if content.endswith(b"\n") or not content else 2)
    client = request.get("client") or {}
    values = [
        ("flags", request_flags(request)), ("queue_name", "active"), ("queue_id", queue_id), ("offset", text_offset),
        ("size", size), ("nexthop", request["nexthop"]), ("encoding", request.get("encoding", "7bit")),
        ("smtputf8", utf8_flags(request, content)), ("sender", request["sender"]),
        ("envelope_id", request.get("envid", "")), ("ret_flags", RETURN.get(request.get("ret"), 0)),
        ("time", base64.b64encode(arrival(request.get("age", 0)))),
        ("log_client_name", client.get("name", "")), ("log_client_address", client.get("address", "")),
        ("log_client_port", client.get("port", "")), ("log_protocol_name", client.get("proto", "")),
        ("log_helo_name", client.get("helo", "")), ("sasl_method", ""), ("sasl_username", ""), ("sasl_sender", ""),
        ("log_ident", client.get("ident", "")), ("rewrite_context", client.get("source", "")),
        ("recipient_count", len(request["recipients"])),
    ]
    message = packed(values)
    for recipient, offset in zip(request["recipients"], offsets):
        wishes = (recipient.get("notify") or "").replace(" ", "").upper().split(",")
        message += packed([
            ("original_recipient", recipient.get("original", "")), ("recipient", recipient["address"]),
            ("offset", offset), ("dsn_orig_rcpt", recipient.get("orcpt", "")),
            ("notify_flags", sum(NOTIFY.get(wish, 0) for wish in wishes)),
        ])
    return message


def request_flags(request):
    hints = request.get("connection_cache", [])
    flags = SUCCESS | BOUNCE | (MTA_VERIFY if request.get("probe") else 0)
    return flags | (CONN_LOAD if "load" in hints else 0) | (CONN_STORE if "store" in hints else 0)


def utf8_flags(request, content):
    """What cleanup(8) finds, whether it was asked for or not."""
    flags = UTF8_REQUESTED if request.get("smtputf8") else 0
    flags |= 0 if content.split(b"\n\n", 1)[0].isascii() else UTF8_HEADER
    flags |= 0 if request["sender"].isascii() else UTF8_SENDER
    return flags | (0 if all(one["address"].isascii() for one in request["recipients"]) else UTF8_RECIPIENT)


def arrival(age):
    """MSG_STATS: when the message came in, and when it became active."""
    came = time.time() - age
    return struct.pack("llll48xii", int(came), int(came % 1 * 1e6), int(time.time()), 0, 0, 0)
