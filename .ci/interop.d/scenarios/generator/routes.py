"""Names and next hops: what DNS says and what a destination looks like."""

import copy

from generator.dice import Dice
from generator.topology import FAILURES, HOSTS


class Routes(Dice):
    """Hosts and next hops of scenarios that are about finding the servers."""

    def host(self, number):
        own, other = f"127.0.0.{10 + number}", f"127.0.0.{10 + self.number(1, 6)}"
        records = [
            ({"A": [own]}, 60), ({"A": [own, other] if own != other else [own]}, 10),
            ({"A": [own], "AAAA": ["::1"]}, 10), ({"AAAA": ["::1"]}, 4), ({}, 3), ({"rcode": "SERVFAIL"}, 3),
            ({"rcode": "NXDOMAIN"}, 2), ({"A": ["127.0.0.1"]}, 4), ({"A": [own], "AAAA": {"rcode": "SERVFAIL"}}, 2),
            ({"A": {"rcode": "SERVFAIL"}, "AAAA": ["::1"]}, 2), ({"A": {"rcode": "REFUSED"}}, 1),
            ({"A": [own], "truncate": True}, 1), ({"A": ["0.0.0.0", own]}, 1), ({"A": [own, own]}, 1),
        ]
        return copy.deepcopy(self.weigh(records))

    def hop(self, number):
        """A next hop; its records join the zone."""
        aliases = [f"alias{i}.example.com" for i in range(1, 7) if f"alias{i}.example.com" in self.dns]
        names = HOSTS + aliases + ["gone.example.com"]
        kind = self.weigh([("mx", 50), ("odd", 26), ("bracketed", 12), ("itself", 4), ("list", 8)])
        domain, port = f"d{number}.example", f":{self.port}"
        if kind == "bracketed":
            name = self.pick(names + ["127.0.0.11", "ipv6:::1", "::1", HOSTS[0].upper(), "IPv6:::1"])
            return f"[{name}]" + self.weigh([("", 80), (port, 20)])
        if kind == "list":
            chosen = self.some(names, 1, 3)
            items = [self.pick([f"[{name}]", name, f"[{name}]{port}", domain]) for name in chosen]
            return self.pick([", ", " ", ","]).join(items)
        if kind == "itself":
            return self.pick(names)
        if kind == "mx":
            self.dns[domain] = {"MX": [self.exchange(name) for name in self.some(names, 1, 5)]}
            if self.chance(0.1):
                self.dns[domain]["A"] = ["127.0.0.11"]
        else:
            self.dns[domain] = copy.deepcopy(self.pick(FAILURES + self.odd_domains(domain)))
            if self.chance(0.1):
                return f"none{number}.example"
        if self.chance(0.12):
            self.dns["w" + domain] = {"CNAME": domain}
            domain = "w" + domain
        spellings = [(domain, 84), (domain + port, 8), (domain.upper(), 4), ("." + domain, 1), ("sub." + domain, 3)]
        return self.weigh(spellings)

    def exchange(self, name):
        preference = self.pick([0, 5, 10, 10, 10, 20, 65535])
        return [preference, name if self.chance(0.95) else name.upper()]

    def odd_domains(self, domain):
        return [
            {"MX": [[10, HOSTS[0]], [10, HOSTS[0]]]},
            {"CNAME": domain},
            {"CNAME": HOSTS[0]},
            {"MX": [[10, domain]], "A": ["127.0.0.12"]},
            {"MX": [[10, HOSTS[0]]], "truncate": True},
            {"MX": {"rcode": "NXDOMAIN"}, "A": ["127.0.0.13"]},
            {"MX": {"rcode": "REFUSED"}, "A": ["127.0.0.13"]},
            {"MX": [[5, HOSTS[3]], [5, HOSTS[4]]]},
            {"MX": [[10, "m" * 63 + ".example.com"], [20, HOSTS[1]]]},
            {"A": ["127.0.0.1"]},
        ]
