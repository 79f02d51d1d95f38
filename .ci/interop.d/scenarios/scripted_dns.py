"""A name server that answers from the zone of a scenario, over UDP and TCP on one address.

The zone's format is in smtp-sim/scenarios/README.md. It answers as a resolver does: an alias is followed, and the
records of its target are in the same answer.
"""

import select
import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41, "TLSA": 52}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
MAX_ALIASES = 8
IS_REPLY, TRUNCATED, RECURSION, AUTHENTIC, ECHOED = 0x8000, 0x0200, 0x0080, 0x0020, 0x0110
DNSSEC_OK = 0x8000


def encode_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".")] if name.rstrip(".") else []
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode_name(message, offset):
    """The name of a question, which is never compressed, and where it ends."""
    labels = []
    while length := message[offset]:
        labels.append(message[offset + 1 : offset + 1 + length].decode("utf-8", "replace"))
        offset += 1 + length
    return ".".join(labels), offset + 1


def encode_data(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return struct.pack("!H", value[0]) + encode_name(value[1])
    if kind == "TLSA":
        return bytes(value[:3]) + bytes.fromhex(value[3])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return encode_name(value)


class Answer:
    """What is said to one question."""

    def __init__(self, records, settings, authentic):
        self.records = records
        self.rcode = settings.get("rcode", "NOERROR")
        self.authentic = authentic
        self.silent = bool(settings.get("timeout"))
        self.truncated = bool(settings.get("truncate"))


class Zone:
    """Records and faults by name."""

    def __init__(self, zone):
        self.zone = {name.lower().rstrip("."): entry for name, entry in zone.items()}

    def look_up(self, name, kind):
        records, authentic = [], True
        for _ in range(MAX_ALIASES + 1):
            entry = self.zone.get(name.lower().rstrip("."))
            if entry is None:
                return self.missing(name, records, authentic)
            found = entry.get(kind) or []
            settings = entry
            if isinstance(found, dict):
                settings, found = {**entry, **found}, found.get("records", [])
            authentic = authentic and bool(settings.get("ad"))
            records += [(name, kind, value) for value in ([found] if isinstance(found, str) else found)]
            if found or "rcode" in settings or kind == "CNAME" or "CNAME" not in entry:
                return Answer(records, settings, authentic)
            records.append((name, "CNAME", entry["CNAME"]))
            name = entry["CNAME"]
        return Answer(records, {"rcode": "SERVFAIL"}, authentic)

    def missing(self, name, records, authentic):
        settings = self.zone.get("*", {})
        below = any(one.endswith("." + name.lower().rstrip(".")) for one in self.zone)
        settings = {"rcode": "NOERROR" if below else "NXDOMAIN", **settings, "truncate": False}
        return Answer(records, settings, authentic and bool(settings.get("ad")))


class NameServer:
    """The zone on one address."""

    def __init__(self, zone, address):
        host, port = address.rsplit(":", 1)
        self.zone = Zone(zone)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, int(port)))
        self.tcp = socket.create_server((host, int(port)))
        self.stopping = False
        threading.Thread(target=self.serve, daemon=True).start()

    def stop(self):
        self.stopping = True
        self.udp.close()
        self.tcp.close()

    def serve(self):
        while not self.stopping:
            try:
                for one in select.select([self.udp, self.tcp], [], [], 0.2)[0]:
                    if one is self.tcp:
                        stream = self.tcp.accept()[0]
                        threading.Thread(target=self.serve_stream, args=(stream,), daemon=True).start()
                        continue
                    question, peer = self.udp.recvfrom(65535)
                    answer = self.answer(question, False)
                    if answer:
                        self.udp.sendto(answer, peer)
            except (OSError, ValueError):
                continue

    def serve_stream(self, stream):
        stream.settimeout(5)
        try:
            with stream, stream.makefile("rb") as reader:
                while prefix := reader.read(2):
                    answer = self.answer(reader.read(struct.unpack("!H", prefix)[0]), True)
                    if answer:
                        stream.sendall(struct.pack("!H", len(answer)) + answer)
        except (OSError, struct.error):
            pass

    def answer(self, message, over_tcp):
        number, flags, _, _, _, additional = struct.unpack("!6H", message[:12])
        name, offset = decode_name(message, 12)
        kind = struct.unpack("!H", message[offset : offset + 2])[0]
        question, rest = message[12 : offset + 4], message[offset + 4 :]
        extended = bool(additional) and len(rest) >= 11 and rest[:3] == struct.pack("!BH", 0, TYPES["OPT"])
        dnssec = extended and bool(struct.unpack("!H", rest[7:9])[0] & DNSSEC_OK)
        found = self.zone.look_up(name, TYPE_NAMES.get(kind, str(kind)))
        if found.silent:
            return None
        said = IS_REPLY | (flags & ECHOED) | RECURSION | RCODES[found.rcode]
        if found.authentic and (dnssec or flags & AUTHENTIC) and found.rcode in ("NOERROR", "NXDOMAIN"):
            said |= AUTHENTIC
        tail = b""
        if extended:
            tail = b"\0" + struct.pack("!HHIH", TYPES["OPT"], 4096, DNSSEC_OK if dnssec else 0, 0)

        def packed(records, said):
            head = struct.pack("!6H", number, said, 1, len(records), 0, int(extended))
            return head + question + b"".join(encode_record(*record) for record in records) + tail

        whole = packed(found.records, said)
        if not over_tcp and (found.truncated or len(whole) > (4096 if extended else 512)):
            return packed([], said | TRUNCATED)
        return whole


def encode_record(name, kind, value):
    data = encode_data(kind, value)
    return encode_name(name) + struct.pack("!HHIH", TYPES[kind], 1, 300, len(data)) + data
