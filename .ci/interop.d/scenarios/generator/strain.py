"""Large messages, and servers that stop in the middle of one. Other types of tables."""

from forms import PLACE
from generator.dice import Dice

# Around what the program and Postfix hold back: pieces of 4 KiB, and 64 KiB.
CUTS = [1, 100, 4095, 4096, 8192, 40_000, 65_536, 100_000, 250_000]


class Strain(Dice):
    """What is about amounts rather than about words."""

    def large_message(self):
        """A message of 20 KB to 400 KB, some with text that has to be converted."""
        size = self.pick([20_000, 60_000, 70_000, 130_000, 400_000])
        eight = self.weigh([(0.0, 60), (0.2, 40)])
        head = "From: Sender <sender@client.example.org>\nTo: user@example.com\nSubject: large\n"
        if eight and self.chance(0.7):
            head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
        self.bounds = []
        lines = [self.body_line(eight) for _ in range(40)] + [self.text(9, eight) for _ in range(10)]
        body, written = [], 0
        while written < size:
            line = self.pick(lines)
            body.append(line)
            written += len(line) + 1
        text = head + "\n" + "\n".join(body) + ("" if self.chance(0.1) else "\n")
        return text.encode("utf-8")

    def strain(self):
        """Servers that do not take the text as it comes."""
        for script in self.servers.values():
            if self.focus == "large" and self.chance(0.6):
                continue
            conditions = {"session": self.number(1, 2)} if self.chance(0.6) else {}
            refusal = self.pick(
                [["452 4.3.1 full"], ["552 5.3.4 too big"], ["421 4.3.2 closing"], [], ["250 2.0.0 ok"], ["354 go on"]]
            )
            cut = {"stop_data": {"after_bytes": self.pick(CUTS), "reply": refusal}}
            if not refusal:
                del cut["stop_data"]["reply"]
            kind = self.weigh([("cut", 55), ("stop", 25), ("silent", 12), ("late", 8)])
            if kind == "stop":
                cut = {"stop_reading": True}
                self.stall = True
            if kind == "silent":
                # The text is taken, but nothing is said to it.
                script["rules"].insert(0, {"on": ".", "reply": [], "then": self.pick(["silent", "close", "reset"])})
                self.stall = True
                continue
            if kind == "late":
                script["rules"].insert(0, {"on": ".", "delay_ms": 700, "reply": self.pick([["250 ok"], ["451 no"]])})
                continue
            script["rules"].insert(0, {"on": "DATA", **conditions, "reply": ["354 go"], **cut})
        self.own("data_xfer_timeout", "2s")

    def table_text(self, pairs):
        """The source of a table of keys and values, as people write them."""
        lines = []
        for key, value in pairs:
            key = self.weigh([(key, 80), (key.upper(), 8), (key.title(), 4), (f'"{key}"', 4), (key + ":", 4)])
            forms = [
                (f"{key} {value}", 55), (f"{key}\t{value}  ", 8), (f"{key}\n  {value}", 8), (f"{key} {value} # note", 5),
                (f"# {key} {value}", 4), (f"{key} {value}\r", 3), (key, 3), (f"{key} {value}\n# note\n more", 3),
                (f"{key} {value}\n\n  more", 3), (f" {key} {value}", 3), (f"{key}={value}", 2), (f"\n{key} {value}", 3),
                (f"{key} {value}, other@example.org", 3), (f"{key}\u00a0{value}", 1),
            ]
            lines.append(self.weigh(forms))
        return "\n".join(lines) + self.weigh([("\n", 85), ("", 10), ("\n\n", 5)])

    def table_types(self):
        """The tables of a scenario as other types, or more tables that are asked for the same."""
        for name in list(self.params):
            value = self.params[name]
            if value.startswith("texthash:") and self.chance(0.5):
                self.params[name] = value.replace("texthash:", self.pick(["hash:", "btree:"]))
        if self.chance(0.5):
            self.own("discard_ehlo_keyword_address_maps", self.address_table(["pipelining", "dsn", "8bitmime size"]))
        if self.chance(0.4):
            self.own("pix_workaround_maps", self.address_table(["disable_esmtp", "delay_dotcrlf"]))
        if self.chance(0.5):
            public = self.pick(["public@example.org", "@pub.example", "sender@pub.example"])
            keys = ["sender@client.example.org", "@client.example.org", "user@example.com", "@example.com"]
            pairs = ", ".join("{%s = %s}" % (key, public) for key in self.some(keys, 1, 3))
            kinds = [
                "randmap:{%s}" % public, "randmap:{%s, %s}" % (public, public), "static:%s" % public,
                "static:{%s}" % public, "unionmap:{inline:{%s}, static:{}}" % pairs, "inline:{%s}" % pairs,
                "unionmap:{inline:{%s}}" % pairs, "pipemap:{inline:{%s}, static:{x@y.example}}" % pairs,
                "pipemap:{inline:{%s}, randmap:{a@b.example}}" % pairs,
                "unionmap:{inline:{%s}, inline:{%s}}" % (pairs, pairs), "regexp:{{/^sender/ %s}}" % public,
                "pcre:{{/^(.*)@client/ $1@pub.example}}", "hash:%s/gen2" % PLACE, "texthash:%s/gen2" % PLACE,
                "cidr:{{127.0.0.0/8 x}}",
            ]
            self.files["gen2"] = self.table_text([(key, public) for key in self.some(keys, 1, 3)])
            self.own("generic_maps", self.pick(kinds))
        if self.chance(0.3):
            hosts = self.some(["[mx1.example.com]", "mx1.example.com", "example.com", "127.0.0.11"], 1, 3)
            self.own("connection_cache_destinations", self.pick([", ".join(hosts), "static:all", "!static:all"]))
