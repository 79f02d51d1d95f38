"""A whole scenario from a seed."""

import os

from forms import PLACE, tlsa
from generator.envelope import Envelope
from generator.login import Login
from generator.messages import Messages
from generator.mime import Mime
from generator.patterns import Patterns
from generator.replies import Replies
from generator.routes import Routes
from generator.security import Security
from generator.settings import Settings
from generator.strain import Strain
from generator.tables import Tables
from generator.topology import Topology

# What a scenario is mostly about: its weight among all, the fewest and most deliveries (none: by chance), and the
# fewest and most rules that go against the client (none: by chance).
FOCUS = {
    "mixed": (26, None, None),
    "content": (18, (5, 9), (0, 1)),
    "dialog": (20, (3, 6), (2, 9)),
    "cache": (12, (3, 6), (2, 9)),
    "dns": (8, (3, 6), (0, 1)),
    "tls": (5, (1, 3), None),
    "sasl": (5, (2, 4), None),
    "tables": (8, (6, 9), (0, 1)),
    "stall": (4, (1, 3), (0, 1)),
    "large": (4, (1, 3), (0, 1)),
    "clientcert": (4, (2, 5), (0, 1)),
    "persite": (4, (2, 4), (0, 1)),
    "mechanisms": (4, (2, 4), (0, 1)),
    "authcache": (3, (3, 5), (0, 1)),
    "maps": (5, (3, 6), (1, 4)),
    "six": (5, (2, 5), None),
    "bestmx": (4, (2, 4), None),
    "together": (6, (2, 6), None),
}
SHAPES = {
    "content": "one", "dns": "dns", "tables": "one", "stall": "one", "large": "one", "six": "six", "bestmx": "loop",
    "mechanisms": "one", "authcache": "one",
}
QUIET = ("content", "dns", "tables", "stall", "large", "six", "bestmx", "maps")


class Generator(
    Topology, Routes, Envelope, Replies, Messages, Mime, Settings, Tables, Patterns, Login, Security, Strain
):
    """Draws one scenario."""

    def make(self):
        self.choose()
        self.lay_out()
        if self.deliveries > 1 and self.luck_has_no_part():
            self.keep_connections()
        requests = []
        for number in range(self.deliveries):
            if self.focus == "tables" and number == 0:
                self.pattern_table()
            requests.append(self.request(number, self.message_text()))
        self.add_features()
        self.add_special(requests)
        self.respell()
        if self.dane:
            self.sign()
        if self.chance(0.04):
            self.filter_dns()
        self.limits()
        if self.focus == "together":
            self.forget_order(requests)
        scenario = {
            "name": f"r-{self.seed}",
            "about": f"random scenario, seed {self.seed}: {' '.join(self.tags)}",
            "protocol": self.protocol,
            "params": self.params,
            "files": self.files,
            "dns": self.dns,
            "servers": self.servers,
            "requests": requests,
        }
        if self.at_once > 1:
            scenario["at_once"] = self.at_once
        return scenario

    def choose(self):
        """The large choices, on which all others depend."""
        self.protocol = self.weigh([("smtp", 77), ("lmtp", 23)])
        asked = os.environ.get("RANDOM_FOCUS")
        self.focus = asked or self.weigh([(name, parts[0]) for name, parts in FOCUS.items()])
        if self.focus in ("bestmx", "persite"):
            self.protocol = "smtp"
        smtp = self.protocol == "smtp"
        self.stall, self.dane, self.flags, self.files = False, False, None, {}
        self.params = {
            "compatibility_level": "3.6",
            "myhostname": "client.example.org",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "all",
        }
        self.port = 10025 if smtp else 10024
        if smtp and (self.chance(0.06) or self.focus == "bestmx" and self.chance(0.85)):
            self.port = 25
        self.own("tcp_port", str(self.port))
        self.own("randomize_addresses", "no")
        _, deliveries, _ = FOCUS[self.focus]
        by_chance = self.weigh([(1, 64), (2, 20), (3, 12), (4, 4)])
        self.deliveries = self.number(*deliveries) if deliveries else by_chance
        self.at_once = self.number(2, self.deliveries) if self.focus == "together" else 1
        self.recipients = self.weigh([(1, 42), (2, 22), (3, 16), (4, 7), (5, 4), (8, 5), (12, 4)])
        if self.focus not in ("mixed", "dialog", "cache", "together"):
            self.recipients = self.weigh([(1, 70), (2, 25), (3, 5)])
        if self.focus == "bestmx" and self.chance(0.8):
            # With more, the one delivery for all is all that is seen.
            self.recipients = 1
        elif self.focus == "mixed" and self.chance(0.04):
            self.recipients = self.pick([30, 60, 120])
        # The connections that rules are meant for.
        self.sessions = self.deliveries if deliveries and self.focus not in ("content", "dns", "tables") else 2
        shapes = [
            ("one", 42), ("mx", 30), ("addrs", 8), ("list", 6), ("ip", 5), ("unix", 0 if smtp else 6), ("dnsfail", 6),
            ("fallback", 7 if smtp else 0),
        ]
        self.shape = SHAPES.get(self.focus) or self.weigh(shapes)
        if self.focus == "together" and self.chance(0.5):
            self.shape = "apart"
            # One, and another after trouble with TLS.
            self.sessions = 2
        self.tags += [self.focus, self.protocol, self.shape]
        self.heavy = self.chance(0.55)
        self.rough = self.roughness()

    def roughness(self):
        """The number of rules that go against the client."""
        _, _, troubles = FOCUS[self.focus]
        if troubles == (0, 1):
            return self.weigh([(0, 80), (1, 20)])
        if troubles:
            return self.number(*troubles)
        if self.heavy:
            return self.weigh([(0, 6), (1, 24), (2, 30), (3, 20), (5, 20)])
        return self.weigh([(0, 22), (1, 40), (2, 24), (4, 14)])

    def message_text(self):
        if self.focus == "tables":
            return self.table_message()
        if self.focus in ("stall", "large") and self.chance(0.8):
            return self.large_message()
        return self.message()

    def add_features(self):
        """Tables, filters, AUTH, TLS and settings, by what the scenario is about."""
        focus = self.focus
        often = 0 if focus == "tables" else 1.7 if self.heavy else 1
        tables = {"content": 2.2, "mixed": 1, "large": 0.8, "maps": 2}.get(focus, 0.25)
        for feature, probability in (
            (self.checks, 0.2 * tables),
            (self.generic, 0.16 * tables),
            (self.filters, 0.02 if focus == "content" else 0.3 if focus == "maps" else 0.15),
        ):
            if self.chance(probability * often):
                feature()
        login = 0.18 if focus in ("mixed", "cache", "together") else 0.05
        if focus in ("sasl", "mechanisms", "authcache") or focus not in QUIET and self.chance(login * often):
            self.login()
        secure = 0.2 if focus in ("mixed", "cache", "sasl", "together") else 0.05
        if focus in ("tls", "clientcert", "persite") or focus not in QUIET and self.chance(secure * often):
            self.security()
        if focus == "mechanisms" and self.chance(0.2):
            self.security()
        if focus == "content":
            self.hide_keywords()
        if focus not in ("tables", "stall", "persite", "authcache"):
            self.change_settings()
            if self.heavy:
                self.change_settings()

    def hide_keywords(self):
        """Servers that make the client convert messages, and take them whatever their size."""
        for script in self.servers.values():
            script["extensions"] = [word for word in script["extensions"] if self.is_kept(word.upper())]

    def is_kept(self, word):
        if "SIZE" in word:
            return False
        return "8BITMIME" not in word and "SMTPUTF8" not in word or self.chance(0.35)

    def add_special(self, requests):
        focus = self.focus
        if focus in ("dialog", "mixed", "cache") and self.chance(0.12):
            self.pass_origin_on(requests)
        if focus in ("dialog", "mixed") and self.chance(0.08):
            self.verify_addresses(requests)
        if focus in ("dialog", "mixed") and self.chance(0.06):
            self.meet_pix(requests)
        if focus == "cache":
            if self.chance(0.35):
                self.own("connection_reuse_count_limit", self.pick(["1", "2", "3", "4"]))
            if "tls" in self.tags and self.chance(0.6):
                self.own("tls_connection_reuse", "yes")
        if focus in ("clientcert", "mixed") and "tls" in self.tags:
            self.client_certificates()
        if focus == "persite":
            self.per_site()
        if focus == "authcache":
            self.auth_cache()
        if focus == "maps":
            self.table_types()
        if focus in ("stall", "large"):
            self.strain()

    def luck_has_no_part(self):
        """Whether it makes no difference which of several deliveries is first: each has servers of its own, or they
        follow one another."""
        return self.at_once == 1 or self.shape == "apart"

    def forget_order(self, requests):
        """Servers that several deliveries reach at once do the same in all connections. A server that all reach may
        wait for them, which shows that they are there at the same time."""
        self.tags.append(f"{self.at_once} at once")
        if self.luck_has_no_part():
            return
        for script in self.servers.values():
            script.pop("max_sessions", None)
            for rule in script["rules"]:
                rule.pop("session", None)
        if len(self.servers) == len({request["nexthop"] for request in requests}) == 1 and self.chance(0.7):
            for script in self.servers.values():
                script["gather"] = self.at_once

    def sign(self):
        """Validated answers, and TLSA records for some of the servers."""
        for records in self.dns.values():
            if self.chance(0.85):
                records["ad"] = True
        self.dns["."] = {"NS": ["ns.example."], "ad": self.chance(0.9)}
        kinds = [
            tlsa("mx1"), tlsa("self"), tlsa("mx2"), tlsa("ca", 2, 0, 1), tlsa("mx1", 3, 0, 1), [1, 1, 1, "ab" * 32],
            [3, 1, 9, "ab"],
        ]
        for name in [name for name in self.dns if name.startswith("mx")]:
            if self.chance(0.7):
                records = {"TLSA": [self.pick(kinds)], "ad": self.chance(0.9)}
                self.dns[f"_{self.port}._tcp.{name}"] = records

    def filter_dns(self):
        lines = [
            "/^\\S+\\s+\\S+\\s+\\S+\\s+MX\\s+.*mx1/ IGNORE\n", "/ AAAA / IGNORE\n", "/127\\.0\\.0\\.11/ IGNORE\n",
        ]
        self.files["drf"] = self.pick(lines)
        self.own("dns_reply_filter", f"pcre:{PLACE}/drf")


def generate(seed):
    """The scenario of a seed, without what is expected of it."""
    return Generator(seed).make()
