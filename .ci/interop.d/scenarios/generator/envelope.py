"""Requests: next hop, sender, recipients, and what goes with them."""

import re

from forms import PLACE, b64
from generator.dice import Dice

ORIGINAL = [
    "orig@example.org", "a+b=c@example.org", "sp ace@example.org", "r\u00e9@example.org", "back\\slash@example.org",
    "<x>",
]
NOTIFY = [
    "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY",
]
ATTRIBUTES = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE", "DOMAIN"]
HINTS = [["store"], ["load"], ["store", "load"], ["store", "load"]]
OTHER_HOPS = ["[mx1.example.com]", "[mx2.example.com]", "example.com", "[127.0.0.11]"]


class Envelope(Dice):
    """What is to be delivered."""

    def keep_connections(self):
        """Settings of the connection cache, where there are several deliveries."""
        self.tags.append("cache")
        if self.chance(0.85):
            self.own("connection_cache_time_limit", "10s")
            self.shared("connection_cache_ttl_limit", "10s")
        often = self.focus in ("mixed", "cache", "clientcert", "together")
        kinds = [("static", 45), ("named", 20), ("hints", 25), ("none", 10)]
        rarely = [("static", 15), ("named", 5), ("hints", 8), ("none", 70)]
        kind = self.weigh(kinds if often else rarely)
        if kind == "static":
            self.own("connection_cache_destinations", "static:all")
        elif kind == "named":
            first = self.nexthop.split(",")[0].replace(PLACE, "").replace("inet:", "").replace("unix:", "")
            names = f"example.com, mx1.example.com, [mx1.example.com], {first}"
            if self.shape == "apart":
                names = ", ".join(self.some(self.hops, 1))
            self.own("connection_cache_destinations", names)

    def request(self, number, message):
        same = number == 0 or self.focus == "bestmx"
        recipients = self.recipients if same else self.weigh([(self.recipients, 50), (1, 30), (2, 20)])
        request = {
            "nexthop": self.next_hop(number),
            "sender": self.sender(),
            "recipients": self.recipient_list(recipients),
        }
        self.add_envelope_options(request)
        self.add_flags(number, request)
        self.add_circumstances(request)
        self.add_message(request, message)
        return request

    def next_hop(self, number):
        if self.shape == "apart":
            return self.hops[number]
        if self.hops:
            return self.hops[number] if self.chance(0.85) else self.pick(self.hops)
        if self.deliveries > 1 and self.shape in ("mx", "one", "addrs"):
            if self.focus in ("cache", "clientcert") and self.chance(0.5):
                return self.pick(OTHER_HOPS + [f"[mx1.example.com]:{self.port}", "mx1.example.com", "[MX1.example.com]"])
            if self.chance(0.12):
                return self.pick(OTHER_HOPS)
        return self.nexthop

    def sender(self):
        senders = [
            ("sender@client.example.org", 60), ("", 12), ("user@int.example.org", 8), (self.address(0.5), 14),
            ("s\u00e9nder@client.example.org", 4), ("bare", 2),
        ]
        return self.weigh(senders)

    def recipient_list(self, count):
        odd = self.weigh([(0, 60), (0.25, 30), (0.7, 10)])
        recipients, taken = [], set()
        for number in range(count):
            recipient = {"address": self.address(odd)}
            while recipient["address"] in taken:
                recipient = {"address": f"r{number}.{self.address(0)}"}
            taken.add(recipient["address"])
            if self.chance(0.25):
                recipient["original"] = self.address(0.2)
            if self.chance(0.15):
                kind = self.pick(["rfc822;", "rfc822;", "utf-8;", "x-foo;", "RFC822;"])
                recipient["orcpt"] = kind + self.pick(ORIGINAL)
            if self.chance(0.3):
                recipient["notify"] = self.pick(NOTIFY)
            recipients.append(recipient)
        return recipients

    def add_envelope_options(self, request):
        if self.chance(0.15):
            request["envid"] = self.pick(["env1", "a+b=c", "x y", "id<>", "\u00e9nv"])
        if self.chance(0.15):
            request["ret"] = self.pick(["FULL", "HDRS"])

    def add_flags(self, number, request):
        """Flags belong to a service, so that all requests of a scenario have the same."""
        if number == 0:
            self.flags = self.pick(["D", "O", "R", "X", "DO", "DOR", "DRX", "DORX", "RX"]) if self.chance(0.1) else None
        if self.flags is None:
            return
        request["flags"] = self.flags
        if ("D" in self.flags or "O" in self.flags) and self.chance(0.9):
            del request["recipients"][1:]

    def add_circumstances(self, request):
        if self.chance(0.08):
            request["probe"] = True
        if self.chance(0.15) or "XFORWARD" in str(self.servers) and self.chance(0.6):
            request["client"] = self.client()
        if self.chance(0.15):
            request["age"] = self.pick([100, 400, 700, 100000])
        keeps = self.deliveries > 1 and self.luck_has_no_part() and not self.has("connection_cache_destinations")
        if keeps and self.chance(0.75):
            request["connection_cache"] = self.pick(HINTS)
        if self.chance(0.04):
            request["size"] = self.pick([0, 100, 5000, 20000000])

    def client(self):
        """Where a message came from."""
        return {
            "name": self.pick(["a.example", "unknown", "", "n\u00e4me", "x y"]),
            "address": self.pick(["192.0.2.1", "2001:db8::1", "unknown", ""]),
            "port": self.pick(["1234", "unknown", ""]),
            "proto": self.pick(["ESMTP", "SMTP", ""]),
            "helo": self.pick(["h.example", "a+b", "", "h=e<l>o", "L" * 300]),
            "ident": self.pick(["4ABC", ""]),
            "source": self.pick(["local", "remote", ""]),
        }

    def add_message(self, request, message):
        addresses = request["sender"] + "".join(one["address"] for one in request["recipients"])
        eight_bit = any(byte > 127 for byte in message)
        request["smtputf8"] = self.chance(0.12 if addresses.isascii() else 0.7)
        # Whoever plays cleanup(8) takes everything before the first empty line for the header: where Postfix would
        # not, nothing is asked that depends on it.
        header = message.split(b"\n\n", 1)[0]
        if not header.isascii() and not all(is_header(line) for line in header.split(b"\n")):
            request["smtputf8"] = False
        said = "8bit" if eight_bit and self.chance(0.88) else self.pick(["7bit", "7bit", "8bit"])
        request["encoding"] = said
        request["message_base64"] = b64(message)

    def pass_origin_on(self, requests):
        """XFORWARD everywhere."""
        self.own("send_xforward_command", "yes")
        for script in self.servers.values():
            script["extensions"].append("XFORWARD " + " ".join(self.some(ATTRIBUTES, 2)))
            if self.chance(0.5):
                rule = self.trouble("XFORWARD", [], script["name"])
                if self.chance(0.5):
                    rule["nth"] = self.number(1, 2)
                script["rules"].insert(0, rule)
        for request in requests:
            request["client"] = self.client()

    def verify_addresses(self, requests):
        """Probes, most of them."""
        for request in requests:
            request["probe"] = self.chance(0.7)
        if self.chance(0.5):
            self.own("address_verify_target", "data")

    def meet_pix(self, requests):
        """Greetings full of stars."""
        for script in self.servers.values():
            greeting = "220 " + "*" * self.number(1, 9) + self.pick(["", "2", " 0 "])
            script["rules"].insert(0, {"on": "CONNECT", "reply": [greeting]})
            script["note_pause"] = True
        self.own("pix_workaround_threshold_time", self.pick(["0s", "50s", "500s"]))
        for request in requests:
            request["age"] = self.pick([0, 100, 600])


def is_header(line):
    """A header line, or one that continues the line before."""
    return re.match(rb"[!-9;-~]+[ \t]*:|[ \t]", line) is not None
