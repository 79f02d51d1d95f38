"""Replies of servers, and where they go against the client."""

from forms import b64
from generator.dice import Dice

CODES = [
    220, 250, 251, 252, 211, 354, 334, 235, 421, 421, 450, 451, 452, 454, 455, 432, 471, 499, 500, 501, 502, 503, 504,
    521, 530, 535, 538, 550, 551, 552, 553, 554, 555, 556, 571, 599, 199, 100, 600, 999, 0,
]
BY_KIND = {
    "ok": [250, 250, 250, 251, 252, 200, 220, 299],
    "4": [450, 450, 451, 452, 421, 454, 499],
    "5": [550, 550, 554, 552, 553, 500, 503, 521, 556],
    "421": [421],
    "odd": CODES,
}
TEXTS = [
    "go away", "try again later", "<user@example.com>: Recipient address rejected", "mailbox full", "Ok",
    '(odd) text, with ; and "quotes"', "see http://example.com/?x=1", "a  b   c", " leading blank", "trailing blank ",
    "\tTab", "r\u00e9sum\u00e9", "", "x" * 300, "-dash", "4.2.1 second", "no.dots.here", "ESMTP", "%s %n", "$1 ${x}",
    "ends with backslash\\", "client.example.org ESMTP",
]
GARBAGE = ["what is this", "", "12", "2500-x", "abc 250 ok", "25 0"]
KEYWORDS = [
    ("PIPELINING", 0.7), ("SIZE", 0.6), ("8BITMIME", 0.65), ("DSN", 0.6), ("SMTPUTF8", 0.25),
    ("ENHANCEDSTATUSCODES", 0.3), ("XFORWARD", 0.15), ("CHUNKING", 0.1), ("VRFY", 0.1),
]
UNKNOWN = [
    "", "XCLIENT NAME ADDR", "X-" + "y" * 600, "HELP", "\u00e9", "AUTH", "AUTH=LOGIN", "ETRN", "REQUIRETLS", "STARTTLSX",
]


class Replies(Dice):
    """Reply lines, rules of scripted servers, and EHLO keywords."""

    def enhanced_code(self, code):
        first = str(code)[0]
        if self.chance(0.65):
            status = first if first in "245" else self.pick("245")
            return f"{status}.{self.number(0, 7)}.{self.number(0, 12)} "
        odd = [
            "", "", "", self.pick("2345") + ".1.1", "5.1 ", "4.1.1234 ", f"{first}.100.200 ", "5.7.1\t", "5..1 ",
            f"{first}.1.1x ", f"{first}.7.1.2 ", " 5.7.1 ", f"{first}.01.1 ", "5.1.1: ",
        ]
        return self.pick(odd)

    def reply_line(self, code, last=True):
        code = f"{code:03}"
        text = self.enhanced_code(code) + self.pick(TEXTS)
        if self.chance(0.004):
            text += self.pick(["w" * 2043, "v" * 1021, "z" * 5000])
        if last and self.chance(0.03):
            return code
        if last and self.chance(0.02):
            return f"{code}\t{text}"
        if self.chance(0.02):
            return "\u00b7" + text
        return code + (" " if last else "-") + text

    def reply(self, accepted=250, kinds=None):
        """The lines of a reply, some of them with codes of their own."""
        kind = self.weigh(kinds or [("ok", 25), ("4", 28), ("5", 28), ("421", 7), ("odd", 12)])
        code = accepted if kind == "ok" and self.chance(0.7) else self.pick(BY_KIND[kind])
        count = self.weigh([(1, 70), (2, 18), (3, 9), (6, 3)])
        lines = []
        for number in range(count):
            last = number == count - 1
            lines.append(self.reply_line(code if last or self.chance(0.9) else self.pick(CODES), last))
        if self.chance(0.02):
            lines.insert(0, self.pick(GARBAGE))
        return lines

    def rule(self, event, lines, **conditions):
        """A rule; its reply may come in pieces or with other line ends."""
        rule = {"on": event, **conditions, "reply": lines}
        if lines and self.chance(0.05):
            total = sum(len(line.encode()) + 2 for line in lines)
            rule["chunks"] = sorted(self.number(1, max(1, total - 1)) for _ in range(self.number(1, 4)))
        elif lines and self.chance(0.03):
            del rule["reply"]
            rule["raw_base64"] = b64(self.pick(["\n", "\r\r\n", " \r\n", "\r\n"]).join(lines) + self.pick(["\n", "\r\n"]))
        return rule

    def trouble(self, event, keywords, name):
        """One rule against the client."""
        conditions = {}
        if event == "RCPT":
            if self.chance(0.75):
                conditions["nth"] = self.number(1, self.recipients)
        elif event in ("MAIL", "DATA", ".", "RSET", "EHLO", "LHLO") and self.chance(0.25):
            conditions["nth"] = self.number(1, 2)
        if self.chance(0.08 if self.sessions == 2 else 0.85):
            conditions["session"] = self.number(1, self.sessions)
        kinds = [("reply", 77), ("close", 7), ("reply, close", 9), ("twice", 4), ("silent", 1.5), ("reset", 0.5)]
        kind = self.weigh(kinds)
        if event == "CONNECT" and self.chance(0.35):
            return self.rule(event, self.greeting(name), **conditions)
        lines = self.reply_to(event, keywords, name)
        if kind in ("close", "reset"):
            return {**self.rule(event, [], **conditions), "then": kind}
        if kind == "reply, close":
            return {**self.rule(event, lines, **conditions), "then": "close"}
        if kind == "silent":
            self.stall = True
            return {**self.rule(event, self.pick([[], lines[:1]]), **conditions), "then": "silent"}
        if kind == "twice":
            lines = lines + self.reply()
        return self.rule(event, lines, **conditions)

    def greeting(self, name):
        stars = "*" * self.number(1, 20) + self.pick(["", "2**0 *", " 02", "x"])
        greetings = [
            [f"220 {stars}"], [f"220-{name} ESMTP", "220 ok"], [f"220 {name} ready"], ["220 client.example.org ESMTP"],
            ["220 ESMTP"], ["220-", "220 "], ["220 x esmtp y"], ["220"],
        ]
        return self.pick(greetings)

    def reply_to(self, event, keywords, name):
        if event == "CONNECT":
            return self.reply(220)
        if event in ("EHLO", "LHLO"):
            if self.chance(0.5):
                return self.odd_hello(keywords, name)
            return self.reply(250, [("4", 25), ("5", 55), ("421", 10), ("odd", 10)])
        if event == "DATA":
            return self.reply(354, [("ok", 12), ("4", 32), ("5", 32), ("421", 9), ("odd", 15)])
        if event == "." and self.protocol == "lmtp":
            count = self.recipients + self.chance(0.12)
            kinds = [("ok", 50), ("4", 22), ("5", 22), ("421", 3), ("odd", 3)]
            return [line for _ in range(count) for line in self.reply(250, kinds)]
        return self.reply()

    def odd_hello(self, keywords, name):
        """An accepted EHLO whose lines are not where they belong."""
        lines = [name, *keywords]
        if self.chance(0.3):
            names = ["client.example.org", name.upper(), "", "Hello client", "PIPELINING", "-", "=x"]
            lines[0] = self.pick(names)
        if self.chance(0.3):
            self.random.shuffle(lines)
        last = len(lines) - 1
        codes = [250 if self.chance(0.97) else self.pick(CODES) for _ in lines]
        return [f"{code}{' ' if i == last else '-'}{line}" for i, (code, line) in enumerate(zip(codes, lines))]

    def keywords(self):
        """EHLO keywords, some of them misspelt."""
        said = []
        for keyword, probability in KEYWORDS:
            if not self.chance(probability):
                continue
            if keyword == "SIZE":
                keyword = self.size_keyword()
            elif keyword == "XFORWARD":
                names = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE", "bogus"]
                keyword += " " + " ".join(self.some(names, 1))
            if self.chance(0.1):
                keyword = self.misspelt(keyword)
            said.append(keyword)
            if self.chance(0.03):
                said.append(keyword)
        if self.chance(0.08):
            said.append(self.pick(UNKNOWN))
        if self.chance(0.3):
            self.random.shuffle(said)
        return said

    def size_keyword(self):
        small = 2 if self.focus in ("cache", "tls", "stall", "large") else 16
        sizes = [
            ("SIZE 10240000", 50), ("SIZE", 10), ("SIZE 0", 10), (f"SIZE {self.number(1, 3000)}", small),
            ("SIZE 00500", 3), ("SIZE abc", 3), ("SIZE=600", 3), ("SIZE 99999999999999999999", 3), ("SIZE 100 200", 2),
            ("SIZE 5k", 2),
        ]
        return self.weigh(sizes)

    def misspelt(self, word):
        spellings = [
            word.lower(), word.title(), word + " ", word + " foo", " " + word, "X" + word, word + "=1", "-" + word,
            word + "\t", word.replace(" ", "  "), word + "-", word + ",DSN",
        ]
        return self.pick(spellings)
