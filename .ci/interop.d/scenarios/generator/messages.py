"""Addresses and messages: headers and lines of all kinds."""

from generator.dice import Dice

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOCAL_PARTS = ["user", "bob", "carol", "a", "b", "info", "joe.doe", "postmaster", "User", "user+tag"]
ODD_LOCAL_PARTS = [
    "two words", 'a"b', "a\\b", "x@y", ".dot", "dot.", "two..dots", "-f", "a,b", "a<b>", "(c)", "user%host", "host!user",
    "o'neil", "a/b", "", "r\u00e9mi", '"q"', "tab\tx", "a:b;c", "[x]", 'a b"c\\d', "=?x", "*", "#", "bl\u00f6 d",
    " lead", "trail ",
]
DOMAINS = ["example.com", "example.com", "example.com", "example.net", "sub.example.com", "EXAMPLE.com"]
ODD_DOMAINS = [
    "[127.0.0.1]", "[IPv6:::1]", "b\u00fccher.example", "example.com.", "a_b.example", "localhost", "", "#1234", "[x y]",
]
ADDRESS_HEADERS = [
    "From", "To", "Cc", "Sender", "Reply-To", "Bcc", "Resent-From", "Resent-To", "Errors-To", "Return-Receipt-To",
    "Disposition-Notification-To", "Mail-Followup-To", "Apparently-To", "to", "FROM", "Resent-Reply-To",
    "Resent-Sender", "Return-Path",
]
MAILBOXES = ["user", "sender", "joe", "list", '"two words"', "a.b", "USER", "user+x"]
HOSTS = ["int.example.org", "client.example.org", "example.com", "Int.Example.ORG", "sub.int.example.org"]
ADDRESS_FORMS = [
    "%s", "%s", "<%s>", "Name <%s>", '"Q, uoted" <%s>', "%s (comment)", "N (c) <%s> (d)", "=?utf-8?q?x?= <%s>",
    "A B. C <%s>", "<@relay.example:%s>", "J\u00f6e <%s>", "<%s", "%s>", "group: %s;", "group: %s, x@int.example.org;",
    '"esc\\"aped" <%s>', "<%s> trailing",
]
ODD_ADDRESSES = [
    "local", "undisclosed-recipients:;", "", "<>", "host!user", "user%host@int.example.org", "@int.example.org",
    "a@b@int.example.org", '"unclosed', "(unclosed", "user@", "user@[127.0.0.1]", "x y z",
    "a@int.example.org b@int.example.org",
]
OTHER_HEADERS = [
    "X-Foo", "X-Internal", "X-Keep", "x-foo", "List-Id", "Content-Foo", "Precedence", "X-Mailer", "X_under", "X.dot",
]
CONTENT_HEADERS = [
    "Content-Description: x\n", "Content-Disposition: inline\n", "Content-ID: <a@b>\n", "Content-Length: 5\n",
    "Content-Location: x\n",
]
MIME_HEADERS = [
    "Content-Type: text/plain\n", "Content-Transfer-Encoding: 7bit\n", "MIME-Version: 1.0\n",
    'Content-Type: text/html; charset="utf-8"\n', "Content-Transfer-Encoding: 8bit\n",
    "Content-Transfer-Encoding: base64\n",
]
ODD_HEADERS = [
    " continuation first\n", "From someone Sun Mar 1\n", ">From x\n", "NoColon here\n", ": empty name\n",
    "X-Cr: a\rb\n", "X-Nul: a\0b\n", "X-Empty:\n", "X-Dot:\n .\n", "X-Sp :v\n", "Sub ject: x\n", "X-T:\tx\n",
    ".X-Dot: y\n", "X-\u00e9: z\n", "X-Crlf: q\r\n", "a" * 101 + ": toolong\n",
]
DELIVERED_TO = [
    "user@example.com", "USER@example.com", "bob@example.com", "a@example.com", "<user@example.com>",
    "user@example.com (c)", "",
]
# Around the limits of lines: 76 for quoted-printable, 998 for SMTP, 2048 for records.
LENGTHS = [
    75, 76, 77, 78, 79, 150, 250, 996, 997, 998, 999, 1000, 1996, 2000, 2046, 2047, 2048, 2049, 2050, 3000, 4095, 4096,
    4097, 6000,
]
LINES = {
    "empty": ["", " ", "\t", "  "],
    "cr": ["a\rb", "end\r", "\r", ".\r", "a\r\rb", "\r."],
    "from": ["From me", ">From me"],
    "nul": ["\0", "a\0b"],
    "header": ["Subject: in body", "Content-Type: text/plain", "X-Internal: body"],
    "quoted": ["a=b", "=", "=3D", "end =", "tab\t", "blank ", "\x7f", "\x01\x02"],
}
TINY = [
    "", "\n", "x", ".", ".\n", "Subject: x", "Subject: x\n", "\n\n", "\n.\n", "a\nb\n", "Subject: x\n\n.", "\0", " \n",
    "Subject: x\n\n\n\n", "\n\u00e9",
]


class Messages(Dice):
    """Addresses and the text of messages. `eight` is the probability of characters above 127 in a word."""

    def address(self, odd):
        if not self.chance(odd):
            local = self.pick(LOCAL_PARTS) + self.pick(["", "", str(self.number(1, 99))])
        else:
            local = self.pick(ODD_LOCAL_PARTS + ["l" * self.number(60, 220)])
        if self.chance(0.03):
            return local or "x"
        return local + "@" + self.pick(ODD_DOMAINS if self.chance(0.04) else DOMAINS)

    def word(self, eight=0.0):
        word = "".join(self.pick(LETTERS) for _ in range(self.number(1, 9)))
        if self.chance(eight):
            word += self.pick(["\u00e9", "\u00fc\u00df", "\u65e5\u672c"])
        return word

    def text(self, words, eight=0.0):
        return " ".join(self.word(eight) for _ in range(words))

    # Headers.

    def header_address(self):
        if self.chance(0.06):
            return self.pick(ODD_ADDRESSES)
        return self.pick(ADDRESS_FORMS) % (self.pick(MAILBOXES) + "@" + self.pick(HOSTS))

    def header(self, eight):
        """One header with its line end."""
        kinds = [
            ("address", 34), ("subject", 10), ("other", 16), ("id", 5), ("date", 4), ("received", 8), ("content", 4),
            ("odd", 7), ("delivered", 5), ("long", 5), ("mime", 4),
        ]
        kind = self.weigh(kinds)
        whole = {"content": CONTENT_HEADERS, "mime": MIME_HEADERS, "odd": ODD_HEADERS}
        if kind in whole:
            return self.pick(whole[kind])
        colon = self.weigh([(": ", 88), (":", 4), (" : ", 3), (":\t", 3), (":\n ", 2)])
        name, value = self.header_parts(kind, eight)
        return f"{name}{colon}{value}\n"

    def header_parts(self, kind, eight):
        if kind == "address":
            count = self.weigh([(1, 6), (2, 2), (3, 1), (5, 0.5)])
            comma = self.pick([", ", ",", ",\n\t", ",\n ", " , "])
            return self.pick(ADDRESS_HEADERS), comma.join(self.header_address() for _ in range(count))
        if kind == "subject":
            fold = self.pick(["", "", "\n folded " + self.word(eight), "\n\t\n x"])
            return "Subject", self.text(self.number(0, 8), eight) + fold
        if kind == "other":
            return self.pick(OTHER_HEADERS), self.text(self.number(0, 5), eight)
        if kind == "id":
            return "Message-Id", f"<{self.word()}@int.example.org>"
        if kind == "date":
            return "Date", "Sun, 1 Mar 2026 10:00:00 +0000"
        if kind == "received":
            return "Received", f"from {self.word()} (user@int.example.org)\n\tby client.example.org; Sun, 1 Mar 2026"
        if kind == "delivered":
            return "Delivered-To", self.pick(DELIVERED_TO + [self.address(0.25)])
        long = [
            self.text(self.pick([80, 170, 400]), eight),
            "y" * self.pick([70, 990, 997, 998, 999, 1000, 2040, 2048, 2049, 4100]),
            "\n ".join(self.word() for _ in range(30)),
        ]
        return "X-Long", self.pick(long)

    # Bodies.

    def body_line(self, eight):
        kinds = [
            ("text", 62), ("dot", 8), ("empty", 8), ("long", 6), ("cr", 3), ("from", 3), ("nul", 1.5), ("header", 4),
            ("boundary", 3), ("quoted", 3),
        ]
        kind = self.weigh(kinds)
        if kind in LINES:
            return self.pick(LINES[kind])
        if kind == "text":
            return self.text(self.number(1, 12), eight)
        if kind == "dot":
            return self.pick([".", "..", ".x", ". ", "...", " .", ".\t", "." + self.text(3, eight)])
        if kind == "boundary":
            return "--" + self.pick(self.bounds + ["x", "", "b1"]) + self.pick(["", "--", " ", "x"])
        unit = self.pick(["x", "ab ", ".", "\u00e9" if eight else "y", "=", "a\u00e9 " if eight else "b\t"])
        length = self.pick(LENGTHS)
        return (unit * length)[:length] + self.pick(["", "", ".", " end", "\t"])

    def body(self, eight):
        lines = self.weigh([(0, 5), (1, 25), (3, 40), (8, 22), (30, 6), (200, 2)])
        return "".join(self.body_line(eight) + "\n" for _ in range(lines))

    # Whole messages.

    def message(self):
        kinds = {
            "content": [("headers", 26), ("mime", 70), ("tiny", 4)],
            "mixed": [("simple", 22), ("headers", 28), ("mime", 45), ("tiny", 5)],
        }
        kind = self.weigh(kinds.get(self.focus, [("simple", 80), ("headers", 8), ("mime", 8), ("tiny", 4)]))
        self.bounds = []
        eight = self.weigh([(0.0, 45), (0.3, 40), (0.8, 15)])
        if kind == "simple":
            head = "From: Sender <sender@client.example.org>\nTo: user@example.com\nSubject: test\n"
            text = f"{head}\n{self.text(4, eight)}\n"
        elif kind == "tiny":
            text = self.pick(TINY)
        else:
            text = self.whole(kind, eight)
        encoded = text.encode("utf-8")
        if eight and self.chance(0.15):
            encoded = text.encode("latin-1", "replace")
        if self.chance(0.02):
            encoded += b"\xff\xfe raw\n"
        return encoded

    def whole(self, kind, eight):
        headers = [self.header(eight if self.chance(0.25) else 0) for _ in range(self.number(0, 7))]
        if kind == "mime" and self.chance(0.7):
            headers.append("MIME-Version: 1.0\n")
        head, body = self.entity(0, eight) if kind == "mime" else ("", self.body(eight))
        headers.append(head)
        if self.chance(0.3):
            self.random.shuffle(headers)
        text = "".join(headers) + self.weigh([("\n", 96), ("", 2), ("\r\n", 1), (" \n", 1)]) + body
        return text.removesuffix("\n") if self.chance(0.06) else text
