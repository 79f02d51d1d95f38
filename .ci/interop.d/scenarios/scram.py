"""The server's side of SCRAM (RFC 5802, RFC 7677), right or with one thing wrong.

A client's nonce is another one in every run. What is written down shows `*` in its place, and for all that follows
from it, so that two runs can be compared.
"""

import base64
import hashlib
import hmac
import re

HASHES = {"1": "sha1", "256": "sha256", "512": "sha512"}
SALT = b"salt of a test"
# What the server adds to the client's nonce.
NONCE = "server-nonce"


class Exchange:
    """One login: client-first, server-first, client-final, server-final."""

    def __init__(self, settings):
        self.settings = settings
        self.fault = settings.get("fault", "none")
        self.step = self.begin

    def answer(self, line):
        """The line to send, the line to write down, and whether the exchange is over."""
        try:
            return self.step(line)
        except (ValueError, KeyError, IndexError):
            return over("501 5.5.2 malformed")

    def begin(self, line):
        words = line.split(" ")
        self.hash = HASHES[words[1].upper().split("-")[2]]
        if len(words) < 3:
            self.step = self.begin_late
            return "334 ", "334 ", False
        return self.first(words[2])

    def begin_late(self, line):
        return self.first(line.removeprefix("RESPONSE "))

    def first(self, encoded):
        message = base64.b64decode(encoded, validate=True).decode()
        self.gs2, self.bare = re.fullmatch(r"([^,]*,[^,]*,)(.*)", message).groups()
        nonce = dict(part.split("=", 1) for part in self.bare.split(","))["r"]
        if self.fault == "refuse":
            return over("535 5.7.8 refused")
        if self.fault == "garbage":
            return self.go_on("334 !!!", "334 !!!")
        self.nonce = ("other" if self.fault == "nonce" else nonce) + NONCE
        salt = base64.b64encode(SALT).decode()
        rest = f"s={salt},i={self.settings['iterations']}"
        self.server_first = f"r={self.nonce},{rest}"
        return self.go_on(f"334 {encode(self.server_first)}", f"334 [r=*,{rest}]")

    def go_on(self, sent, noted):
        self.step = self.final
        return sent, noted, False

    def final(self, line):
        if self.fault == "garbage":
            return over("501 5.5.2 cancelled")
        message = base64.b64decode(line.removeprefix("RESPONSE "), validate=True).decode()
        without_proof, proof = message.rsplit(",p=", 1)
        said = ",".join([self.bare, self.server_first, without_proof]).encode()
        salted = hashlib.pbkdf2_hmac(self.hash, self.settings["password"].encode(), SALT, self.settings["iterations"])
        client_key = self.mac(salted, b"Client Key")
        stored = hashlib.new(self.hash, client_key).digest()
        wanted = bytes(a ^ b for a, b in zip(client_key, self.mac(stored, said)))
        if base64.b64decode(proof) != wanted or self.fault == "error":
            return self.refuse()
        signature = self.mac(self.mac(salted, b"Server Key"), said)
        if self.fault == "signature":
            signature = bytes(len(signature))
        if self.fault == "empty":
            # Success without the server's proof.
            return over("235 2.7.0 ok")
        verifier = "v=" + base64.b64encode(signature).decode()
        self.step = self.finish
        return f"334 {encode(verifier)}", "334 [v=*]", False

    def refuse(self):
        if self.settings["iterations"] == 10000:
            self.step = self.finish_badly
            return f"334 {encode('e=invalid-proof')}", "334 [e=invalid-proof]", False
        return over("535 5.7.8 authentication failed")

    def finish(self, line):
        return over("454 4.7.0 later" if self.fault == "late" else "235 2.7.0 ok")

    def finish_badly(self, line):
        return over("535 5.7.8 authentication failed")

    def mac(self, key, data):
        return hmac.new(key, data, self.hash).digest()


def over(line):
    return line, line, True


def encode(text):
    return base64.b64encode(text.encode()).decode()


def is_begun_by(line):
    return re.match(r"AUTH SCRAM-", line, re.IGNORECASE) is not None


def without_nonces(line):
    """A command of the exchange, decoded, with `*` for what is another one in every run."""
    head, _, encoded = line.rpartition(" ")
    try:
        message = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return line
    if not re.search(r"(^|,)r=", message):
        return line
    message = re.sub(r"(^|,)([rp])=[^,]*", r"\1\2=*", message)
    return f"{head} [{message}]".lstrip()
