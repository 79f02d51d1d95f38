"""TLS: levels, policies, certificates of both sides."""

from forms import PLACE, fingerprint, key_fingerprint, pem, tls
from generator.dice import Dice

LEVELS = [
    ("may", 34), ("encrypt", 24), ("verify", 12), ("secure", 10), ("fingerprint", 6), ("dane", 6), ("none", 4), ("", 2),
    ("dane-only", 2),
]
CERTIFICATES = [
    "mx1", "mx1", "mx1", "self", "mx2", "other", "untrusted", "expired", "wild", "dom", "cnonly", "inter_mx1",
]
POLICY_KEYS = [
    "[mx1.example.com]", "example.com", "[mx1.example.com]:10025", ".example.com", "mx1.example.com", "[127.0.0.11]",
    "example.com:10025",
]
POLICIES = [
    "none", "may", "encrypt", "verify", "secure", "verify match=nexthop", "secure match=other.example.org:hostname",
    "encrypt protocols=TLSv1.2", "may servername=foo.example", "bogus", "may match=x", "secure match=.example.com",
    "encrypt foo=bar", "dane", "encrypt ciphers=high", "may connection_reuse=yes",
]


class Security(Dice):
    """What is asked of TLS, and what servers make of it."""

    def security(self):
        self.tags.append("tls")
        level = self.weigh(LEVELS)
        self.own("tls_security_level", level)
        if level in ("verify", "secure") or self.chance(0.3):
            self.files["ca.pem"] = pem("ca")
            if self.chance(0.9):
                self.own("tls_CAfile", f"{PLACE}/ca.pem")
        if level == "fingerprint" and self.chance(0.9):
            prints = [fingerprint("mx1"), fingerprint("self"), fingerprint("mx2")]
            prints += [key_fingerprint("mx1"), key_fingerprint("self")]
            self.own("tls_fingerprint_cert_match", self.pick(prints))
            self.own("tls_fingerprint_digest", "sha256")
        if level.startswith("dane") or self.chance(0.05):
            self.own("dns_support_level", "dnssec")
            self.dane = True
        for script in self.servers.values():
            self.secure(script)
        if self.chance(0.25):
            policies = POLICIES + ["fingerprint match=" + fingerprint("mx1")]
            keys = self.some(POLICY_KEYS, 1, 3)
            self.files["pol"] = "".join(f"{key} {self.pick(policies)}\n" for key in keys)
            self.own("tls_policy_maps", f"texthash:{PLACE}/pol")
        if self.chance(0.12):
            self.own("tls_servername", self.pick(["hostname", "nexthop", "sni.example", ""]))
        if self.chance(0.12):
            self.own("tls_connection_reuse", "yes")
        if self.chance(0.08):
            self.own("tls_wrappermode", "yes")
            if self.chance(0.97):
                for script in self.servers.values():
                    if "tls" in script:
                        script["wrapper_tls"] = True
        if self.chance(0.1):
            self.own("tls_block_early_mail_reply", "yes")
        if self.chance(0.1):
            self.own("tls_mandatory_protocols", self.pick(["TLSv1.2", ">=TLSv1.3", "!TLSv1.3", "bogus"]))
        self.own("starttls_timeout", "3s")

    def secure(self, script):
        """Gives a server a certificate, and perhaps a fault at STARTTLS."""
        if self.chance(0.85):
            words = script["extensions"]
            word = "STARTTLS" if self.chance(0.93) else self.pick(["starttls", "STARTTLS foo", "XSTARTTLS"])
            words.insert(self.number(0, len(words)), word)
            name = self.pick(CERTIFICATES)
            chain = ("inter",) if name == "inter_mx1" and self.chance(0.8) else ()
            script["tls"] = tls(name, chain)
            if self.chance(0.2):
                script["tls"]["max_version"] = "TLSv1.2"
            if self.chance(0.3):
                script["tls_extensions"] = self.keywords()
        if self.chance(0.25):
            refusal = self.reply_line(self.pick([454, 500, 502, 554, 421, 250, 354]))
            faults = [
                ({"on": "STARTTLS", "reply": [refusal]}, 50),
                ({"on": "STARTTLS", "reply": ["220 go"], "then": "garbage"}, 22),
                ({"on": "STARTTLS", "reply": [], "then": "close"}, 10),
                ({"on": "STARTTLS", "reply": ["220 go", "250 injected"]}, 8),
                ({"on": "EHLO", "nth": 2, "reply": self.reply()}, 10),
            ]
            script["rules"].insert(0, self.weigh(faults))

    def client_certificates(self):
        """A certificate of the client's own, servers that ask for it, and sessions that are resumed."""
        self.tags.append("certificates")
        self.files["client.pem"] = pem("client")
        self.files["client.key"] = pem("client", "key")
        self.files["chain.pem"] = pem("client", "key") + pem("client")
        self.files["other.key"] = pem("other", "key")
        settings = [
            {"tls_cert_file": f"{PLACE}/client.pem", "tls_key_file": f"{PLACE}/client.key"},
            {"tls_chain_files": f"{PLACE}/chain.pem"},
            {"tls_eccert_file": f"{PLACE}/client.pem", "tls_eckey_file": f"{PLACE}/client.key"},
            {"tls_cert_file": f"{PLACE}/chain.pem"},
            {"tls_cert_file": f"{PLACE}/client.pem", "tls_key_file": f"{PLACE}/other.key"},
            {"tls_cert_file": f"{PLACE}/missing.pem"},
            {},
        ]
        weights = [30, 30, 10, 10, 6, 4, 10]
        for name, value in self.weigh(list(zip(settings, weights))).items():
            self.own(name, value)
        for script in self.servers.values():
            if "tls" not in script:
                continue
            if self.chance(0.8):
                script["tls"]["client_ca"] = pem(self.pick(["ca", "ca", "ca", "ca2"]))
            if self.chance(0.25):
                script["tls"]["client_certificate"] = "require"
        if self.chance(0.6):
            self.own("tls_session_cache_database", "btree:${data_directory}/session_cache")
            if self.chance(0.2):
                self.own("tls_session_cache_timeout", self.pick(["3600s", "0", "1s"]))

    def per_site(self):
        """The table that came before tls_policy_maps; it only counts without one, and without a level."""
        self.params.pop("smtp_tls_policy_maps", None)
        if self.chance(0.8):
            self.params.pop("smtp_tls_security_level", None)
        keys = self.some(
            ["mx1.example.com", "mx2.example.com", "example.com", "[mx1.example.com]", "127.0.0.11", "MX1.example.com",
             "[mx1.example.com]:10025", ".example.com", "other.example"], 1, 5,
        )
        values = ["NONE", "MAY", "MUST", "MUST_NOPEERMATCH", "must", "may", "bogus", "NONE MAY"]
        lines = {key.lower(): f"{key} {self.pick(values)}\n" for key in keys}
        self.files["site"] = "".join(lines.values())
        self.own("tls_per_site", f"texthash:{PLACE}/site")
        for name, values in (
            ("use_tls", ["yes", "no"]),
            ("enforce_tls", ["yes", "no"]),
            ("tls_enforce_peername", ["yes", "no"]),
        ):
            if self.chance(0.45):
                self.own(name, self.pick(values))
        self.files["ca.pem"] = pem("ca")
        self.own("tls_CAfile", f"{PLACE}/ca.pem")
