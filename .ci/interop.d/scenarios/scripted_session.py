"""One connection to a scripted server: reads commands, finds the rule for each, and writes down what happened."""

import base64
import select
import socket
import ssl
import struct
import time

import scram

IDLE_LIMIT_S = 60.0
SEND_LIMIT_S = 20
DEFAULTS = {
    "HELO": "250 {name}",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "STARTTLS": "220 2.0.0 Ready to start TLS",
    "AUTH": "535 5.7.8 Error: authentication failed",
    "RESPONSE": "535 5.7.8 Error: authentication failed",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "XFORWARD": "250 2.0.0 Ok",
}


class ClientGone(Exception):
    """The client has closed the connection."""


class ServerClosed(Exception):
    """The script has closed the connection."""


class Session:
    """A connection and what was written down about it."""

    def __init__(self, endpoint, connection, peer, number, record):
        self.endpoint, self.script = endpoint, endpoint.script
        self.socket, self.peer = connection, peer
        self.number = number
        self.record = record
        self.buffer = b""
        # Commands of the current group that are still to be answered.
        self.group_left = 0
        self.group = None
        self.counts = {}
        self.tls = False
        self.recipients = 0
        self.ended = False
        self.exchange = None
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self):
        try:
            self.converse()
        except ClientGone:
            self.note("X", "client")
        except ServerClosed:
            pass
        finally:
            self.socket.close()

    def converse(self):
        name = self.script.get("name", "server.example")
        if self.script.get("record_peer"):
            self.note("P", self.peer[0])
        if self.number <= self.script.get("gather", 0) and not self.endpoint.gather():
            self.note("G", "alone")
        if self.script.get("wrapper_tls"):
            self.shake_hands()
        protocol = "LMTP" if self.endpoint.protocol == "lmtp" else "ESMTP"
        self.reply(self.find("CONNECT"), [f"220 {name} {protocol}"])
        answering = False
        while True:
            line, verb = self.next_command("RESPONSE" if answering else None)
            answering = self.answer("RESPONSE" if answering else verb, line, name)

    def answer(self, verb, line, name):
        """Answers one command. Returns true if the next line is a response to a challenge."""
        if verb == "QUIT":
            self.quit(line)
        rule = self.find(verb, line)
        if verb in ("EHLO", "LHLO"):
            self.hello(rule, verb, name)
        elif verb == "DATA":
            self.data(rule)
        elif verb == "STARTTLS":
            self.start_tls(rule)
        elif verb in ("AUTH", "RESPONSE"):
            return self.authenticate(rule, verb, line)
        elif verb in DEFAULTS:
            if verb in ("HELO", "MAIL", "RSET"):
                self.recipients = 0
            said = self.reply(rule, [DEFAULTS[verb].format(name=name)])
            if verb == "RCPT" and said and said[-1].startswith("2"):
                self.recipients += 1
        else:
            self.reply(rule, ["502 5.5.2 Error: command not recognized"] if rule is None else [])
        return False

    # What the client sends.

    def fill(self, limit):
        """Reads once; true if there was something within the limit."""
        if self.ended:
            return False
        self.socket.settimeout(limit)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        self.ended = not data
        self.buffer += data
        return bool(data)

    def begin_group(self, first=None, event=None):
        """Holds the answer back for a moment, to see which further commands are there."""
        while self.fill(self.endpoint.hold):
            pass
        self.group_left = self.buffer.count(b"\n")
        self.group = [first] if first else []
        for line in self.buffer.split(b"\n")[:-1]:
            self.group.append(verb_of(shown(line)))
        if event and not first:
            self.group[0] = event
        self.record["pipeline_groups"].append(self.group)

    def next_command(self, event):
        if self.group_left <= 0:
            self.await_line()
            self.begin_group(event=event)
        line, self.buffer = self.buffer.split(b"\n", 1)
        self.group_left -= 1
        text = shown(line.removesuffix(b"\r")) + ("" if line.endswith(b"\r") else "<bare LF>")
        noted = text
        if self.exchange or scram.is_begun_by(text):
            noted = scram.without_nonces(text)
        self.note("C", noted)
        return text, verb_of(text)

    def await_line(self):
        while b"\n" not in self.buffer:
            if self.ended:
                if self.buffer:
                    self.note("C", shown(self.buffer) + "<no newline>")
                raise ClientGone
            if not self.fill(IDLE_LIMIT_S) and not self.ended:
                self.note("X", "server")
                raise ServerClosed

    # What the server sends.

    def note(self, kind, text):
        self.record["transcript"].append([kind, text])

    def find(self, event, line=""):
        """The first rule that fits. Every event counts for `nth`, with a rule or without."""
        self.counts[event] = self.counts.get(event, 0) + 1
        for rule in self.script.get("rules", []):
            if (
                rule["on"].upper() == event
                and rule.get("session", self.number) == self.number
                and rule.get("nth", self.counts[event]) == self.counts[event]
                and rule.get("line", line) == line
                and rule.get("contains", "").lower() in line.lower()
                and rule.get("tls", self.tls) == self.tls
            ):
                return rule
        return None

    def reply(self, rule, default):
        """Sends the reply of the rule, or the default, and does what the rule says then. Returns the lines."""
        rule = rule or {}
        time.sleep(rule.get("delay_ms", 0) / 1000)
        lines = rule.get("reply", [] if "raw_base64" in rule else default)
        data = b"".join(line.encode() + b"\r\n" for line in lines) + base64.b64decode(rule.get("raw_base64", ""))
        for line in lines:
            self.note("S", line)
        if "raw_base64" in rule:
            self.note("R", rule["raw_base64"])
        self.send(data, rule)
        then = rule.get("then")
        if then == "close":
            self.close()
        elif then == "silent":
            while self.fill(IDLE_LIMIT_S):
                self.buffer = b""
            raise ClientGone
        elif then == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.note("X", "server")
            raise ServerClosed
        return lines

    def send(self, data, rule):
        cuts = [cut for cut in rule.get("chunks", []) if 0 < cut < len(data)]
        self.socket.settimeout(SEND_LIMIT_S)
        for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(data)])):
            if number:
                time.sleep(rule.get("chunk_gap_ms", 30) / 1000)
            try:
                self.socket.sendall(data[start:end])
            except OSError:
                return

    def close(self):
        """Ends the connection in good order, and waits a while for the client to do so too."""
        self.note("X", "server")
        try:
            if self.tls:
                self.socket.settimeout(0.2)
                try:
                    self.socket = self.socket.unwrap()
                except (OSError, ValueError):
                    pass
            self.socket.shutdown(socket.SHUT_WR)
            limit = time.monotonic() + 5
            self.socket.settimeout(0.5)
            while time.monotonic() < limit:
                try:
                    if not self.socket.recv(65536):
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass
        raise ServerClosed

    # Single commands.

    def hello(self, rule, verb, name):
        if (verb == "LHLO") != (self.endpoint.protocol == "lmtp") and rule is None:
            self.reply(None, ["500 5.5.1 Command unrecognized"])
            return
        lines = [name, *self.extensions()]
        self.recipients = 0
        last = len(lines) - 1
        self.reply(rule, [f"250{' ' if number == last else '-'}{line}" for number, line in enumerate(lines)])

    def extensions(self):
        if self.tls and "tls_extensions" in self.script:
            return self.script["tls_extensions"]
        words = self.script.get("extensions", [])
        return [word for word in words if not self.tls or word.upper() != "STARTTLS"]

    def start_tls(self, rule):
        if rule is None and self.endpoint.context is None:
            self.reply(None, ["502 5.5.1 Error: command not implemented"])
            return
        said = self.reply(rule, [DEFAULTS["STARTTLS"]])
        if not said or not said[0].startswith("2"):
            return
        if rule and rule.get("then") == "garbage":
            # The first record of TLS is answered with text.
            self.fill(5)
            self.send(b"500 this is not a TLS record\r\n", {})
            self.note("T", "answered without TLS")
            self.close()
        elif self.endpoint.context is not None:
            self.shake_hands()

    def shake_hands(self):
        try:
            self.socket.settimeout(10)
            self.socket = self.endpoint.context.wrap_socket(self.socket, server_side=True)
        except (AttributeError, OSError, ValueError):
            self.note("T", "handshake failed")
            raise ClientGone from None
        self.tls, self.buffer, self.group_left = True, b"", 0
        asked = getattr(self.socket, "server_name", None)
        certificate = self.socket.getpeercert() if self.script["tls"].get("client_ca") else None
        name = "none"
        if certificate:
            name = dict(pair[0] for pair in certificate.get("subject", ())).get("commonName", "unnamed")
        self.note("T", f"handshake ok sni={asked or 'none'} client_certificate={name}")

    def authenticate(self, rule, verb, line):
        if self.exchange is None and rule and "scram" in rule:
            self.exchange = scram.Exchange(rule["scram"])
        if self.exchange is None:
            said = self.reply(rule, [DEFAULTS["AUTH"]])
            return bool(said) and said[-1].startswith("334")
        sent, noted, done = self.exchange.answer(line if verb == "AUTH" else "RESPONSE " + line)
        self.note("S", noted)
        self.send(sent.encode() + b"\r\n", {})
        if done:
            self.exchange = None
        return not done

    def quit(self, line):
        """Notes whether the client waits for the reply to QUIT; then somebody closes."""
        rule = self.find("QUIT", line)
        limit = time.monotonic() + self.endpoint.hold * 3
        while not self.ended and time.monotonic() < limit:
            self.fill(max(0.01, limit - time.monotonic()))
        if self.ended:
            raise ClientGone
        self.reply(rule, ["221 2.0.0 Bye"])
        limit = time.monotonic() + (IDLE_LIMIT_S if rule and rule.get("reply") == [] else 3)
        while not self.ended and time.monotonic() < limit:
            self.fill(0.2)
        if self.ended:
            raise ClientGone
        self.close()

    # The text.

    def data(self, rule):
        accepted = "354 End data with <CR><LF>.<CR><LF>"
        said = self.reply(rule, [accepted if self.recipients else "554 5.5.1 Error: no valid recipients"])
        if not said or not said[-1].startswith("3"):
            return
        self.group_left = 0
        if rule and rule.get("stop_reading"):
            self.stop_reading()
        content = self.read_text((rule or {}).get("stop_data"))
        self.note("C", ".")
        self.begin_group(".")
        self.record["data_base64"].append(base64.b64encode(content).decode())
        recipients, self.recipients = self.recipients, 0
        lmtp = self.endpoint.protocol == "lmtp"
        self.reply(self.find(".", "."), ["250 2.1.5 Ok"] * recipients if lmtp else ["250 2.0.0 Ok: queued"])

    def stop_reading(self):
        """Takes nothing more, and only looks whether the client has given up."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        poll.poll(IDLE_LIMIT_S * 1000)
        raise ClientGone

    def read_text(self, stop):
        searched = 0
        while True:
            # The reply to DATA ended a line, so that a dot may come first.
            if self.buffer.startswith(b".\r\n"):
                self.buffer = self.buffer[3:]
                return b""
            if stop and len(self.buffer) >= stop["after_bytes"]:
                for line in stop.get("reply", []):
                    self.note("S", line)
                    self.send(line.encode() + b"\r\n", {})
                self.close()
            end = self.buffer.find(b"\r\n.\r\n", searched)
            if end >= 0:
                content, self.buffer = self.buffer[: end + 2], self.buffer[end + 5 :]
                return content
            if self.ended:
                raise ClientGone
            before, since = len(self.buffer), time.monotonic()
            searched = max(0, before - 4)
            if not self.fill(IDLE_LIMIT_S) and not self.ended:
                self.note("X", "server")
                raise ServerClosed
            self.note_pause(before, since)

    def note_pause(self, before, since):
        waited = time.monotonic() - since > 0.5
        dot = self.buffer[before:].startswith(b".\r\n") and self.buffer[:before].endswith(b"\r\n")
        if self.script.get("note_pause") and waited and dot:
            self.note("D", "pause before the final dot")


def shown(data):
    """Bytes as text for a transcript."""
    return data.decode("utf-8", "backslashreplace")


def verb_of(line):
    words = line.split(None, 1)
    return words[0].upper() if words else ""
