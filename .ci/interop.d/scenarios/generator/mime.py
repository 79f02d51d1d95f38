"""MIME entities: types, encodings and boundaries, as they should be and as they are."""

from generator.dice import Dice

ENCODINGS = [
    ("", 23), ("7bit", 12), ("8bit", 34), ("binary", 8), ("base64", 5), ("quoted-printable", 7), ("x-foo", 2),
    ("8BIT", 3), ('"8bit"', 1), ("8bit (c)", 2), ("(c) 8bit", 2), ("8bit; x", 1), ("8 bit", 0.5),
]
LEAVES = [
    "text/plain", "text/plain; charset=utf-8", 'text/html; charset="utf-8"', "application/octet-stream; name=x",
    "image/png", "TEXT/Plain;\n\tcharset=us-ascii", "text", "text/", "/plain", "text/plain; format=flowed (c)",
    "text /plain", '"text"/plain', 'text/x-foo; a="b\\"c"', "message/delivery-status",
    "message/disposition-notification", "message/external-body; access-type=URL", "application/pgp-signature",
]
MESSAGES = [
    ("message/rfc822", 60), ("message/global", 12), ("message/partial; id=x; number=1; total=2", 6),
    ("message/news", 4), ("message/delivery-status", 6), ("MESSAGE/RFC822", 4), ("message/global-headers", 4),
    ("text/rfc822-headers", 4),
]
MULTIPARTS = [
    "mixed", "alternative", "digest", "related", 'signed; protocol="x/y"; micalg=z',
    "report; report-type=delivery-status", "Mixed", "",
]
BOUNDARIES = [
    ("bound ary", 6), ("=_x.1:2/3", 6), ("b", 6), ("b1", 8), ("b12", 6), ("a" * 70, 4), ("'x'", 2), ("--", 2), ("", 2),
    ("B1", 4), ('q"uo', 2), ("r\u00e9", 1), ("trail ", 2),
]
STYLES = [
    ("plain", 40), ("quoted", 46), ("escaped", 4), ("none", 3), ("no semicolon", 2), ("spaces", 3), ("comment", 2),
]


class Mime(Dice):
    """The structure of messages."""

    def entity(self, depth, eight):
        """The headers of an entity, without the empty line, and its body."""
        kinds = [
            ("leaf", 45 + depth * 20), ("multipart", 38 if depth < 5 else 3), ("message", 12 if depth < 4 else 1),
            ("untyped", 6),
        ]
        kind = self.weigh(kinds)
        encoding = self.weigh(ENCODINGS)
        said = f"{self.cased('Content-Transfer-Encoding')}: {encoding}\n" if encoding else ""
        if kind == "untyped":
            return said, self.body(eight)
        if kind == "leaf":
            kind_of, body = self.pick(LEAVES), self.body(eight)
        elif kind == "message":
            kind_of, body = self.weigh(MESSAGES), self.inner_message(depth, eight)
        else:
            kind_of, body = self.multipart(depth, eight)
        headers = [f"{self.cased('Content-Type')}: {kind_of}\n", said]
        self.random.shuffle(headers)
        return "".join(headers), body

    def cased(self, name):
        return self.weigh([(name, 90), (name.lower(), 5), (name.upper(), 5)])

    def inner_message(self, depth, eight):
        headers = [self.header(eight if self.chance(0.3) else 0) for _ in range(self.number(0, 3))]
        if self.chance(0.7):
            headers.append("MIME-Version: 1.0\n")
        head, body = self.entity(depth + 1, eight)
        return "".join(headers) + head + "\n" + body

    def multipart(self, depth, eight):
        """The type and the body."""
        boundary = self.weigh([(f"b{self.number(1, 9)}", 50), *BOUNDARIES])
        self.bounds.append(boundary)
        kind = "multipart/" + self.pick(MULTIPARTS) + self.boundary_parameter(boundary)
        body = self.pick(["", "", "preamble\n", "This is multi-part\n\n", "pr\u00e9amble\n" if eight else ""])
        for _ in range(self.weigh([(1, 30), (2, 45), (3, 15), (0, 5)])):
            body += "--" + boundary + self.weigh([("", 90), (" ", 4), ("\t", 1), ("xx", 3), ("\r", 1)]) + "\n"
            head, part = self.entity(depth + 1, eight)
            if self.chance(0.2):
                head += self.header(0)
            if self.chance(0.07):
                head += self.pick(["X-Internal: part\n", "Subject: part\n", "From: user@int.example.org\n"])
            body += head + self.weigh([("\n", 94), ("", 6)]) + part
        if self.chance(0.88):
            body += "--" + boundary + "--" + self.weigh([("\n", 90), (" \n", 4), ("x\n", 3), ("", 3)])
        return kind, body + self.pick(["", "", "", "epilogue\n", "\n\n", "epilog \u00e9\n" if eight else ""])

    def boundary_parameter(self, boundary):
        style = self.weigh(STYLES)
        if style == "plain" and any(character in boundary for character in ' :/"()=,;\\'):
            style = "quoted"
        quoted = '"' + boundary.replace('"', '\\"') + '"'
        return {
            "plain": f"; boundary={boundary}",
            "quoted": f"; boundary={quoted}",
            "escaped": '; boundary="%s"' % "".join("\\" + character for character in boundary),
            "none": "",
            "no semicolon": f" boundary={boundary}",
            "spaces": f" ;\n boundary = {quoted} ; x=y",
            "comment": f"; (c) BOUNDARY={quoted} (d)",
        }[style]
