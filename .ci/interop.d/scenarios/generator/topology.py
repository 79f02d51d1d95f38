"""Servers and the names that lead to them."""

import copy

from forms import PLACE
from generator.dice import Dice

HOSTS = [f"mx{number}.example.com" for number in range(1, 7)]
FAILURES = [
    {"rcode": "SERVFAIL"},
    {"rcode": "NXDOMAIN"},
    {"rcode": "REFUSED"},
    {"MX": [[0, "."]]},
    {},
    {"A": ["127.0.0.11"]},
    {"A": ["127.0.0.11"], "MX": {"rcode": "SERVFAIL"}},
    {"MX": [[0, "."], [10, HOSTS[0]]]},
    {"MX": [[10, "gone.example.com"]]},
    {"MX": [[10, "127.0.0.11"]]},
    {"MX": [[10, "bad_name!.example.com"], [20, HOSTS[0]]]},
    {"CNAME": "nowhere.example"},
    {"MX": [[10, "-x.example.com"], [20, HOSTS[0]]]},
    {"CNAME": "example.com"},
    {"AAAA": ["::1"]},
    {"MX": [[65535, HOSTS[0]]]},
]


class Topology(Dice):
    """How many servers there are, how they are found, and how each of them behaves."""

    def server(self, name, troubles):
        """The script of a server with so many rules that go against the client."""
        keywords = self.keywords()
        script = {
            "name": name if self.chance(0.95) else self.pick(["client.example.org", "x", name.upper()]),
            "extensions": keywords,
            "rules": [],
        }
        smtp = self.protocol == "smtp"
        events = [
            ("CONNECT", 8), ("EHLO" if smtp else "LHLO", 12), ("HELO", 3 if smtp else 0), ("MAIL", 16), ("RCPT", 34),
            ("DATA", 14), (".", 18), ("RSET", 5), ("QUIT", 4), ("XFORWARD", 2), ("NOOP", 0.5),
        ]
        for _ in range(troubles):
            script["rules"].append(self.trouble(self.weigh(events), keywords, script["name"]))
        if self.chance(0.1) and self.shape != "unix":
            script["record_peer"] = True
        if self.chance(0.1):
            script["note_pause"] = True
        if self.chance(0.04):
            script["max_sessions"] = 1
        return script

    def endpoint(self, number):
        return f"127.0.0.{10 + number}:{self.port}"

    def serve6(self, troubles, name="six.example.com"):
        self.servers[f"[::1]:{self.port}"] = self.server(name, troubles)

    def lay_out(self):
        """Fills `servers` and `dns`, and sets the next hop."""
        self.servers, self.dns, self.hops = {}, {}, []
        self.nexthop = f"[{HOSTS[0]}]"
        layouts = {
            "dns": self.lay_names, "one": self.lay_one, "ip": self.lay_address, "unix": self.lay_socket,
            "addrs": self.lay_addresses, "six": self.lay_six, "loop": self.lay_loop,
            "apart": self.lay_apart,
        }
        layouts.get(self.shape, self.lay_exchangers)()

    def lay_one(self):
        self.servers[self.endpoint(1)] = self.server(HOSTS[0], self.rough)
        self.dns[HOSTS[0]] = {"A": ["127.0.0.11"]}

    def lay_address(self):
        if self.chance(0.3):
            self.nexthop = self.pick(["[::1]", "[ipv6:::1]", f"[IPv6:::1]:{self.port}"])
            self.serve6(self.rough)
        else:
            self.nexthop = self.pick(["[127.0.0.11]", f"[127.0.0.11]:{self.port}", "127.0.0.11"])
            self.servers[self.endpoint(1)] = self.server(HOSTS[0], self.rough)

    def lay_socket(self):
        self.nexthop = f"unix:{PLACE}/l.sock"
        self.servers[self.nexthop] = self.server("store.example.com", self.rough)

    def lay_addresses(self):
        count = self.number(2, 4)
        self.dns[HOSTS[0]] = {"A": [f"127.0.0.{11 + i}" for i in range(count)]}
        for i in range(count):
            if self.chance(0.75):
                troubles = self.number(0, 2) if i < count - 1 else self.rough // 2
                self.servers[self.endpoint(1 + i)] = self.server(HOSTS[0], troubles)
        if self.chance(0.5):
            self.dns[HOSTS[0]]["AAAA"] = ["::1"]
            if self.chance(0.7):
                self.serve6(self.number(0, 2), HOSTS[0])

    def lay_apart(self):
        """A destination for each delivery, and servers that no other leads to."""
        for i in range(self.deliveries):
            domain = f"d{i + 1}.example"
            self.dns[HOSTS[i]] = {"A": [f"127.0.0.{11 + i}"]}
            self.dns[domain] = {"MX": [[10, HOSTS[i]]]}
            if self.chance(0.92):
                self.servers[self.endpoint(1 + i)] = self.server(HOSTS[i], self.number(0, self.rough))
            if self.chance(0.3):
                # Another address of the same host, which is next.
                self.dns[HOSTS[i]]["A"].append(f"127.0.0.{21 + i}")
                self.servers[self.endpoint(11 + i)] = self.server(HOSTS[i], self.number(0, 1))
            hops = [(f"[{HOSTS[i]}]", 40), (f"[{HOSTS[i]}]:{self.port}", 10), (f"[127.0.0.{11 + i}]", 10)]
            if self.protocol == "smtp":
                hops += [(domain, 50), (domain + f":{self.port}", 10)]
            self.hops.append(self.weigh(hops))

    def lay_six(self):
        """Servers on several IPv6 addresses, next to some on IPv4."""
        count = self.number(1, 4)
        exchangers = []
        for i in range(count):
            host = self.dns[HOSTS[i]] = {"AAAA": self.some([f"fd00::{11 + i}", "fd00::21", "::1", "fd00::5:0:1"], 1, 3)}
            if self.chance(0.5):
                host["A"] = self.some([f"127.0.0.{11 + i}", "127.0.0.16"], 1, 2)
            for address in host["AAAA"]:
                if self.chance(0.7):
                    self.servers[f"[{address}]:{self.port}"] = self.server(HOSTS[i], self.number(0, 2))
            for address in host.get("A", []):
                if self.chance(0.7):
                    self.servers[f"{address}:{self.port}"] = self.server(HOSTS[i], self.number(0, 2))
            exchangers.append([self.pick([10, 10, 20]), HOSTS[i]])
        self.dns["example.com"] = {"MX": exchangers}
        if self.protocol == "smtp" and self.chance(0.6):
            self.nexthop = "example.com"
        elif self.chance(0.4):
            self.nexthop = self.pick(["[fd00::11]", "[ipv6:fd00::11]", f"[IPv6:FD00::11]:{self.port}", "[fd00:0:0::11]"])
        for name, values in (
            ("address_preference", ["ipv4", "ipv6", "any"]),
            ("mx_address_limit", ["1", "2", "3"]),
            ("balance_inet_protocols", ["no", "yes"]),
            ("bind_address6", ["::1", "fd00::77"]),
        ):
            if self.chance(0.35):
                self.own(name, self.pick(values))
        if self.chance(0.25):
            self.shared("inet_protocols", self.pick(["ipv6", "ipv4", "ipv4, ipv6", "ipv6, ipv4"]))
        # With addresses of a protocol that is off, no part of Postfix would start.
        self.shared("inet_interfaces", self.pick(["all", "loopback-only"]))

    def lay_loop(self):
        """The best mail exchanger is the client itself."""
        own = self.pick(["127.0.0.1", "127.0.0.1", "127.0.0.99"])
        self.shared("proxy_interfaces", "127.0.0.99")
        self.dns["self.example.com"] = {"A": [own]}
        self.dns["store.example.com"] = {"A": ["127.0.0.31"]}
        mine = self.pick(["self.example.com", "client.example.org"])
        if mine == "client.example.org":
            self.dns[mine] = {"A": [own]}
        exchangers = [[self.pick([5, 10, 10, 20]), mine]]
        for i in range(self.number(0, 2)):
            self.dns[HOSTS[i]] = {"A": [f"127.0.0.{11 + i}"]}
            exchangers.append([self.pick([5, 10, 20]), HOSTS[i]])
            if self.chance(0.85):
                self.servers[self.endpoint(1 + i)] = self.server(HOSTS[i], self.number(0, 2))
        self.dns["example.com"] = {"MX": exchangers}
        self.nexthop = "example.com"
        lmtp = f"lmtp:unix:{PLACE}/l.sock"
        self.servers[f"unix:{PLACE}/l.sock"] = {
            "name": "store.example.com", "protocol": "lmtp", "extensions": self.keywords(), "rules": [],
        }
        self.servers[f"127.0.0.31:{self.port}"] = self.server("store.example.com", self.number(0, 2))
        # With the same next hop once more, Postfix would pass mail to itself for ever.
        transports = [
            lmtp, lmtp, "smtp:[store.example.com]", "relay:[store.example.com]", "smtp:[127.0.0.31]",
            f"smtp:[127.0.0.31]:{self.port}", f"lmtp:inet:[127.0.0.31]:{self.port}", "",
        ]
        if self.chance(0.85):
            self.shared("best_mx_transport", self.pick(transports))

    def lay_names(self):
        """Several next hops; what is of interest is how their servers are found."""
        for i, name in enumerate(HOSTS, 1):
            if self.chance(0.8):
                self.servers[self.endpoint(i)] = self.server(name, self.weigh([(0, 70), (1, 30)]))
            self.dns[name] = self.host(i)
            if self.chance(0.3):
                targets = [(name, 70), (f"alias{self.number(1, 6)}.example.com", 20), ("gone.example.com", 10)]
                self.dns[f"alias{i}.example.com"] = {"CNAME": self.weigh(targets)}
        if self.chance(0.4):
            self.serve6(self.weigh([(0, 70), (1, 30)]))
        self.hops = [self.hop(i) for i in range(self.deliveries)]
        if self.protocol == "smtp" and self.chance(0.25):
            relays = [
                ("[mx6.example.com]", 60), ("d1.example", 15), ("[gone.example.net], [mx5.example.com]", 10),
                ("[127.0.0.14]", 5),
            ]
            self.own("fallback_relay", self.weigh(relays))

    def lay_exchangers(self):
        """A domain with mail exchangers, or a list of hosts."""
        count = self.number(1, 4)
        exchangers = []
        for i in range(count):
            exchangers.append([self.pick([5, 10, 10, 20, 30]), HOSTS[i] if self.chance(0.97) else HOSTS[i].upper()])
            self.dns[HOSTS[i]] = self.exchanger(i)
            if self.chance(0.85):
                troubles = self.number(0, 3 if self.heavy else 2) if i < count - 1 else self.rough // 2
                self.servers[self.endpoint(1 + i)] = self.server(HOSTS[i], troubles)
        if self.chance(0.2):
            self.serve6(self.number(0, 2))
        if self.shape == "list" or self.protocol == "lmtp":
            self.lay_list(HOSTS[:count])
        else:
            self.lay_domain(exchangers)
        if self.protocol == "smtp" and self.chance(0.15):
            self.shared("inet_interfaces", self.pick(["127.0.0.1", "all", "loopback-only"]))

    def exchanger(self, i):
        """The records of a mail exchanger, mostly the obvious ones."""
        records = copy.deepcopy(
            self.weigh(
                [
                    ({"A": [f"127.0.0.{11 + i}"]}, 80), ({"A": [f"127.0.0.{11 + i}", f"127.0.0.{21 + i}"]}, 6), ({}, 3),
                    ({"rcode": "SERVFAIL"}, 3), ({"CNAME": f"alias{i}.example.com"}, 4), ({"A": ["127.0.0.1"]}, 2),
                    ({"AAAA": ["::1"]}, 3), ({"A": ["127.0.0.11"]}, 2), ({"rcode": "NXDOMAIN"}, 2),
                ]
            )
        )
        if "CNAME" in records:
            self.dns[f"alias{i}.example.com"] = {"A": [f"127.0.0.{11 + i}"]}
        elif "rcode" not in records and self.chance(0.1):
            records.setdefault("AAAA", ["::1"])
        return records

    def lay_list(self, names):
        items = [self.pick([f"[{name}]", name, f"[{name}]:{self.port}"]) for name in names]
        self.nexthop = self.pick([", ", " ", ","]).join(items)
        if self.protocol == "lmtp":
            if self.chance(0.4):
                self.nexthop = "inet:" + self.nexthop
            return
        for name in names:
            if self.chance(0.3) and not self.dns[name].keys() & {"rcode", "CNAME"}:
                self.dns[name].setdefault("MX", [[10, self.pick(names)]])

    def lay_domain(self, exchangers):
        # With the dot Postfix's process ends each time, and is started again after a minute only.
        names = [
            ("example.com", 80), (f"example.com:{self.port}", 8), ("Example.COM", 5),
            ("example.com.", 2 if self.deliveries == 1 else 0), ("other.example", 5),
        ]
        self.nexthop = self.weigh(names)
        self.dns["example.com"] = {"MX": exchangers}
        if self.nexthop == "other.example":
            self.dns["other.example"] = {"CNAME": "example.com"}
        if self.shape == "dnsfail":
            self.dns["example.com"] = copy.deepcopy(self.pick(FAILURES + [{"MX": exchangers, "truncate": True}]))
        if self.shape == "fallback":
            self.lay_fallback()

    def lay_fallback(self):
        relay = "fb.example.net"
        self.dns[relay] = {"A": ["127.0.0.31"]}
        if self.chance(0.3):
            self.dns[relay]["MX"] = [[10, HOSTS[0]]]
        if self.chance(0.9):
            self.servers[f"127.0.0.31:{self.port}"] = self.server(relay, self.number(0, 1))
        relays = [
            (f"[{relay}]", 60), (relay, 15), (f"[{relay}]:{self.port}", 10), (f"[fb0.example.net], [{relay}]", 10),
            ("[127.0.0.31]", 5),
        ]
        self.own("fallback_relay", self.weigh(relays))
        if self.chance(0.3):
            self.dns["example.com"] = copy.deepcopy(
                self.pick([{"rcode": "NXDOMAIN"}, {"rcode": "SERVFAIL"}, {"MX": [[0, "."]]}, FAILURES[8]])
            )
