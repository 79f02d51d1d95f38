"""The destinations of the DANE tests: what is published of each, what its server shows, and what has to follow.

A destination is a domain `NAME.ZONE`. Unless its case says otherwise it has the record `MX 0 mx-NAME.ZONE`, that host
has the address of the server with the certificate of the case, and its TLSA records stand at `_12525._tcp.mx-NAME.ZONE`.
"""

import dataclasses

# The certificates, and the last number of the address where a server shows each.
SERVERS = {
    "leaf": 1,  # by our authority, with the names of all hosts; the server sends the authority's certificate too
    "alone": 2,  # the same without the authority's
    "expired": 3,
    "named": 4,  # by our authority, for another name
    "renewed": 5,  # another key, as after a roll-over
    "self": 6,  # nobody's but its own
    "none": 7,  # no STARTTLS
}

# Words of the log's summary line; none where the message goes in the clear.
VERIFIED, TRUSTED, UNTRUSTED, CLEAR = "Verified", "Trusted", "Untrusted", None


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    server: str
    # TLSA records, as "usage selector matching certificate" with certificate one of SERVERS or "ca"; a fifth word
    # cuts the data to so many bytes or, as "xor", makes it wrong.
    tlsa: tuple = ()
    status: str = "sent"
    trust: str = CLEAR
    # The start of the reason, when the message is not sent.
    why: str = ""
    zone: str = "dane.test"
    # Lines of the zone instead of the usual ones; {host} is mx-NAME.ZONE, {address} the server's.
    lines: tuple = ()
    # A record type of this destination whose signature is spoilt.
    spoilt: str = ""

    @property
    def domain(self):
        return f"{self.name}.{self.zone}"

    @property
    def host(self):
        return f"mx-{self.name}.{self.zone}"

    @property
    def address(self):
        return f"127.0.52.{SERVERS[self.server]}"

    @property
    def level(self):
        return "dane-only" if self.name.startswith("only-") else "dane"


def deferred(name, server, *tlsa, why="Server certificate not verified", **more):
    return Case(name, server, tlsa, "deferred", why=why, **more)


def sent(name, server, trust, *tlsa, **more):
    return Case(name, server, tlsa, "sent", trust, **more)


LOOKUP = "TLSA lookup error for "
CASES = [
    # The certificate itself, or its key.
    sent("ee-key-sha256", "leaf", VERIFIED, "3 1 1 leaf"),
    sent("ee-key-sha512", "leaf", VERIFIED, "3 1 2 leaf"),
    sent("ee-key-full", "leaf", VERIFIED, "3 1 0 leaf"),
    sent("ee-cert-sha256", "leaf", VERIFIED, "3 0 1 leaf"),
    sent("ee-cert-sha512", "leaf", VERIFIED, "3 0 2 leaf"),
    sent("ee-cert-full", "leaf", VERIFIED, "3 0 0 leaf"),
    # The authority, or its key.
    sent("ta-key-sha256", "leaf", VERIFIED, "2 1 1 ca"),
    sent("ta-cert-sha256", "leaf", VERIFIED, "2 0 1 ca"),
    sent("ta-cert-sha512", "leaf", VERIFIED, "2 0 2 ca"),
    sent("ta-cert-full", "alone", VERIFIED, "2 0 0 ca"),
    deferred("ta-not-sent", "alone", "2 0 1 ca"),
    # Dates and names matter to usage 2 only.
    sent("ee-expired", "expired", VERIFIED, "3 1 1 expired"),
    deferred("ta-expired", "expired", "2 0 1 ca"),
    sent("ee-wrong-name", "named", VERIFIED, "3 1 1 named"),
    deferred("ta-wrong-name", "named", "2 0 1 ca"),
    sent("ee-self-signed", "self", VERIFIED, "3 0 1 self"),
    # Roll-over of the key: both published, and the old one only.
    sent("rolled-over", "renewed", VERIFIED, "3 1 1 leaf", "3 1 1 renewed"),
    sent("rolled-ta", "renewed", VERIFIED, "3 1 1 leaf", "2 1 1 ca"),
    deferred("rolled-early", "renewed", "3 1 1 leaf"),
    # Records that do not fit.
    deferred("mismatch", "leaf", "3 1 1 leaf xor"),
    deferred("ta-mismatch", "leaf", "2 1 1 ca xor"),
    deferred("wrong-selector", "leaf", "3 0 1 leaf xor", "3 1 1 ca"),
    # The strongest digest counts.
    sent("agile", "leaf", VERIFIED, "3 1 2 leaf", "3 1 1 leaf xor"),
    deferred("agile-wrong", "leaf", "3 1 2 leaf xor", "3 1 1 leaf"),
    sent("agile-by-selector", "leaf", VERIFIED, "3 0 2 leaf xor", "3 1 1 leaf"),
    # Records that cannot be used: TLS, of whatever kind.
    sent("unusable-usage", "self", UNTRUSTED, "1 1 1 leaf", "0 0 1 ca"),
    sent("unusable-number", "self", UNTRUSTED, "9 1 1 leaf"),
    sent("unusable-selector", "self", UNTRUSTED, "3 7 1 leaf"),
    sent("unusable-matching", "self", UNTRUSTED, "3 1 77 leaf"),
    sent("unusable-length", "self", UNTRUSTED, "3 1 1 leaf 31", "3 1 2 leaf 1"),
    sent("unusable-der", "self", UNTRUSTED, "3 0 0 leaf 40"),
    sent("partly-usable", "leaf", VERIFIED, "3 1 1 leaf 31", "1 1 1 ca", "3 1 1 leaf"),
    deferred("partly-wrong", "leaf", "3 1 1 leaf 31", "3 1 1 leaf xor"),
    deferred("unusable-clear", "none", "1 1 1 leaf", why="TLS is required, but was not offered"),
    deferred("no-starttls", "none", "3 1 1 leaf", why="TLS is required, but was not offered"),
    # No records: opportunistic.
    sent("without", "self", UNTRUSTED),
    sent("without-clear", "none", CLEAR),
    # dane-only.
    sent("only-good", "leaf", VERIFIED, "3 1 1 leaf"),
    deferred("only-without", "leaf", why="no TLSA records found"),
    deferred("only-unusable", "leaf", "1 1 1 leaf", why="TLSA records unusable"),
    deferred("only-plain", "leaf", "3 1 1 leaf", zone="plain.test", why="non DNSSEC destination"),
    # Zones without signatures.
    sent("plain", "self", UNTRUSTED, "3 1 1 leaf", zone="plain.test"),
    sent("plain-clear", "none", CLEAR, "3 1 1 leaf", zone="plain.test"),
    sent("plain-host", "self", UNTRUSTED, lines=("{domain} MX 0 mx-plain.plain.test.",)),
    sent("plain-mx", "leaf", TRUSTED, zone="plain.test", lines=("{domain} MX 0 mx-ee-key-sha256.dane.test.",)),
    deferred("plain-mx-wrong", "leaf", zone="plain.test", lines=("{domain} MX 0 mx-mismatch.dane.test.",)),
    # Aliases.
    sent("alias-target", "leaf", VERIFIED, lines=(
        "{domain} MX 0 {host}", "{host} CNAME mx-ee-key-sha256.dane.test.")),
    sent("alias-itself", "leaf", VERIFIED, "3 1 1 self", lines=(
        "{domain} MX 0 {host}", "{host} CNAME mx-without.dane.test.")),
    deferred("alias-wrong", "leaf", "3 1 1 leaf", lines=(
        "{domain} MX 0 {host}", "{host} CNAME mx-mismatch.dane.test.")),
    sent("alias-plain", "leaf", VERIFIED, "3 1 1 self", lines=(
        "{domain} MX 0 {host}", "{host} CNAME mx-plain.plain.test.")),
    sent("alias-domain", "leaf", VERIFIED, lines=("{domain} CNAME ee-key-sha256.dane.test.",)),
    sent("alias-records", "leaf", VERIFIED, lines=(
        "{domain} MX 0 {host}", "{host} A {address}", "_12525._tcp.{host} CNAME _12525._tcp.mx-ee-key-sha256.dane.test.")),
    sent("alias-records-plain", "self", UNTRUSTED, lines=(
        "{domain} MX 0 {host}", "{host} A {address}", "_12525._tcp.{host} CNAME _12525._tcp.mx-plain.plain.test.")),
    # Signatures that do not hold.
    deferred("bogus-records", "leaf", "3 1 1 leaf", spoilt="TLSA", why=LOOKUP),
    deferred("bogus-address", "leaf", "3 1 1 leaf", spoilt="A", why="Host or domain name not found"),
    deferred("bogus-mx", "leaf", "3 1 1 leaf", spoilt="MX", why="Host or domain name not found"),
    deferred("bogus-clear", "none", "3 1 1 leaf", spoilt="TLSA", why=LOOKUP),
    deferred("stale", "leaf", "3 1 1 leaf", zone="stale.test", why="Host or domain name not found"),
    deferred("stale-host", "leaf", lines=("{domain} MX 0 mx-stale.stale.test.",), why="Host or domain name not found"),
    deferred("broken", "leaf", "3 1 1 leaf", zone="broken.test", why="Host or domain name not found"),
]

ZONES = ["dane.test", "stale.test", "broken.test", "plain.test"]
