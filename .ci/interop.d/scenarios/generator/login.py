"""AUTH: credentials, mechanisms, and what servers answer."""

from forms import PLACE, b64
from generator.dice import Dice

KEYS = [
    "mx1.example.com", "mx2.example.com", "example.com", "[mx1.example.com]", "[mx1.example.com]:10025",
    "mx1.example.com:10025", "sender@client.example.org", "@client.example.org", "127.0.0.11", "[127.0.0.11]",
    "[127.0.0.11]:10025", ".example.com", "MX1.example.com", "mx1.example.com:10024",
]
CREDENTIALS = ["bob:secret", "carol:pa ss", "u:", ":p", "justuser", "a:b:c", "us\u00e9r:p\u00e4ss", "user@realm:pw"]
OPTIONS = [
    "noanonymous", "noanonymous", "", "noplaintext", "noplaintext, noanonymous", "noactive", "nodictionary",
    "forward_secrecy",
]
FILTERS = ["plain", "plain, login", "!cram-md5, static:all", "login", "PLAIN", "cram-md5", "!plain", "plain login"]
# What a server says to each command of a login. The last of the rules that fit by name is for what comes after a 334.
PLAIN = [
    ["235 2.7.0 ok"], ["235 2.7.0 ok"], ["235 ok"], ["535 5.7.8 bad"], ["454 4.7.0 later"], ["334 "],
    ["235-a", "235 b"], ["503 already"], ["250 ok"], ["334 ="],
]
LOGIN = [
    ["334 VXNlcm5hbWU6"], ["334 VXNlcm5hbWU6"], ["334 "], ["334"], ["535 no"], ["334 !!"], ["334 " + b64("Password:")],
]
CRAM = [["334 " + b64("<1.2@x>")], ["334 " + b64("<1.2@x>")], ["334 "], ["334 ***"], ["504 5.5.4 no"]]
FIRST = [["334 UGFzc3dvcmQ6"], ["334 UGFzc3dvcmQ6"], ["235 ok"], ["535 5.7.8 no"], ["421 4.7.0 bye"], ["334 "]]
LATER = [
    ["235 ok"], ["235 ok"], ["235 2.7.0 fine"], ["535 5.7.8 authentication failed"], ["454 4.7.0 temp"],
    ["550 5.0.0 x"], ["501 5.5.2 cancelled"],
]
# SHA-224 and SHA-384, which Cyrus SASL has too, are not registered.
SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
# How a server that plays SCRAM goes wrong, if it does.
SCRAM_FAULTS = [
    "none", "none", "none", "none", "refuse", "signature", "nonce", "error", "garbage", "empty", "late",
]


class Login(Dice):
    """Who logs in where, and how servers take it."""

    def login(self):
        self.tags.append("sasl")
        self.own("sasl_auth_enable", "yes")
        mechanisms, remembered = self.focus == "mechanisms", self.focus == "authcache"
        if mechanisms or self.chance(0.5 if remembered else 0.25):
            self.own("sasl_password_maps", "static:" + self.pick(["u:p", "user:secret"]))
        else:
            self.password_table()
        if mechanisms:
            self.own("sasl_security_options", self.pick(["noanonymous", "", "noplaintext", "noanonymous"]))
        elif remembered:
            self.own("sasl_security_options", "noanonymous")
        elif self.chance(0.8):
            self.own("sasl_security_options", self.pick(OPTIONS))
        if not mechanisms and not remembered and self.chance(0.25):
            self.own("sasl_mechanism_filter", self.pick(FILTERS))
        for name, value, probability in (
            ("sender_dependent_authentication", "yes", 0.3),
            ("sasl_auth_soft_bounce", "no", 0.2),
            ("send_dummy_mail_auth", "yes", 0.15),
        ):
            if self.chance(probability):
                self.own(name, value)
        if self.chance(0.1):
            self.shared("send_cyrus_sasl_authzid", "yes")
        for script in self.servers.values():
            if mechanisms:
                self.offer_mechanisms(script)
            else:
                self.offer(script)

    def password_table(self):
        often = 0.9 if self.focus == "authcache" else 0.5
        keys = self.some(KEYS, 1, 5) + (["mx1.example.com"] if self.chance(often) else [])
        lines, taken = [], set()
        for key in keys:
            # Keys that differ in case only are one key twice.
            if key.lower() not in taken:
                lines.append(f"{key} {self.pick(CREDENTIALS)}\n")
            taken.add(key.lower())
        self.files["pw"] = "".join(lines)
        kind = self.pick(["hash", "texthash"]) if self.focus == "maps" else "texthash"
        self.own("sasl_password_maps", f"{kind}:{PLACE}/pw")

    def offer(self, script):
        words = script["extensions"]
        if self.chance(0.95 if self.focus == "authcache" else 0.85):
            names = self.some(["PLAIN", "LOGIN", "CRAM-MD5", "X-FOO", "plain", "login", "ANONYMOUS"], 1, 4)
            if self.chance(0.4) or self.focus == "authcache":
                names = ["PLAIN"]
            prefix = self.pick(["AUTH ", "AUTH ", "AUTH ", "AUTH=", "auth ", "AUTH  "])
            words.insert(self.number(0, len(words)), prefix + " ".join(names))
            if self.chance(0.1):
                words.append("AUTH " + self.pick(["LOGIN", "PLAIN", "CRAM-MD5"]))
        if self.focus == "authcache":
            answers = [["235 ok"], ["535 5.7.8 bad"], ["535 5.7.8 bad"], ["454 4.7.0 later"], ["550 5.7.0 x"]]
            script["rules"].append({"on": "AUTH", "reply": self.pick(answers)})
        elif self.chance(0.75):
            script["rules"] += [
                {"on": "AUTH", "contains": "PLAIN", "reply": self.pick(PLAIN)},
                {"on": "AUTH", "contains": "LOGIN", "reply": self.pick(LOGIN)},
                {"on": "AUTH", "contains": "CRAM-MD5", "reply": self.pick(CRAM)},
                {"on": "AUTH", "contains": "ANONYMOUS", "reply": ["235 ok"]},
                {"on": "RESPONSE", "nth": 1, "reply": self.pick(FIRST)},
                {"on": "RESPONSE", "reply": self.pick(LATER)},
            ]

    def offer_mechanisms(self, script):
        """SCRAM, EXTERNAL and tokens, next to mechanisms with passwords."""
        names = self.some(SCRAM, 0, 3) + self.some(["EXTERNAL", "XOAUTH2", "OAUTHBEARER", "GSSAPI", "ANONYMOUS"], 0, 2)
        names += self.some(["PLAIN", "LOGIN", "CRAM-MD5"], 0, 1)
        self.random.shuffle(names)
        script["extensions"].append("AUTH " + " ".join(names or ["SCRAM-SHA-256"]))
        user, _, password = self.params[f"{self.protocol}_sasl_password_maps"].partition(":")[2].partition(":")
        if self.chance(0.15):
            password += "x"
        for name in SCRAM:
            exchange = {"user": user, "password": password, "fault": self.pick(SCRAM_FAULTS)}
            exchange["iterations"] = self.weigh([(4096, 60), (10000, 30), (65536, 3), (65537, 4), (1, 3)])
            script["rules"].append({"on": "AUTH", "contains": f" {name}", "scram": exchange})
        script["rules"] += [
            {"on": "AUTH", "contains": "PLAIN", "reply": self.pick(PLAIN)},
            {"on": "AUTH", "contains": "LOGIN", "reply": self.pick(LOGIN)},
            {"on": "AUTH", "contains": "CRAM-MD5", "reply": self.pick(CRAM)},
            {"on": "AUTH", "reply": self.pick([["235 ok"], ["535 5.7.8 no"], ["334 "], ["504 5.5.4 no"]])},
            {"on": "RESPONSE", "reply": self.pick(LATER)},
        ]

    def auth_cache(self):
        """A memory of logins that failed."""
        self.own("sasl_auth_cache_name", "proxy:btree:${data_directory}/sasl_auth_cache")
        self.own("sasl_auth_soft_bounce", self.pick(["yes", "no", "no"]))
        if self.chance(0.3):
            self.own("sasl_auth_cache_time", self.pick(["1s", "90d", "1h"]))
