"""Tables: checks, generic maps and filters."""

from forms import PLACE
from generator.dice import Dice

HEADER_PATTERNS = [
    "^Subject:", "^X-Internal:", "^X-Keep: *(.*)$", "^(From|To): *(.*)", "^Received:", "^Content-Type: *(.*)",
    "^Content-", "^X-", "^[A-Z]", "example", "^(.*)@int", "^Delivered-To:", ".", "^Return-Path", "^MIME", "^List-Id",
    " $", "\\n", "^.{60,}",
]
BODY_PATTERNS = [
    "^\\.", "e", "^--", "^$", "^(.*) ([a-z]+)", ".{70}", "=", "^ ", "body", "^From", "[^ -~]", "^Subject",
    "^X-Internal", "\t", "a",
]
ACTIONS = [
    ("IGNORE", 20), ("REPLACE", 26), ("PREPEND", 20), ("STRIP", 6), ("WARN", 5), ("INFO", 4), ("DUNNO", 8), ("OK", 1),
    ("REJECT", 3), ("wrong", 3), ("lower", 4),
]
WRONG_ACTIONS = [
    "FOO bar", "PREPEND", "REPLACE", "HOLD", "FILTER x:y", "REDIRECT a@b.c", "DISCARD", "IGNORE extra text", "BCC x@y",
]
HEADER_TEXTS = [
    "X-New: v", "Subject: replaced", "X-3: $1", "X-N: n", "text without colon", ".dot", "X-Long: " + "z" * 40,
    "X-Long: " + "z" * 1200, "X-\u00e9: \u00fc", " leading", "Content-Type: text/plain",
    "Content-Transfer-Encoding: 8bit", "From: new@int.example.org", "X-Fold: a b",
]
BODY_TEXTS = ["replaced", ".", "..", "b\u00f6dy", "--b1", "X: y", "w" * 1100, "=", " sp"]
CHECKS = {
    "header": "header_checks", "mime": "mime_header_checks", "nested": "nested_header_checks", "body": "body_checks",
}
PUBLIC = [
    "public@example.org", "other.name@pub.example", "@pub.example", '"odd name"@pub.example', "bare",
    "p\u00fcb@pub.example", "x+y@pub.example", "user@int.example.org", "a@b@pub.example",
]
INTERNAL = [
    "user@int.example.org", "@int.example.org", "@client.example.org", "sender@client.example.org", "user", "sender",
    "user@example.com", "@example.com", "joe@int.example.org", "@sub.int.example.org", "bob", "@localhost",
    "user+x@int.example.org",
]
GENERIC_PATTERNS = [
    "/^(.*)@int\\.example\\.org$/ x-$1@pub.example\n", "/^(.)/ x-$1@pub.example\n", "/^user/ public@pub.example\n",
    "/client/ z@pub.example\n", "/./ public@pub.example\n", "/^sender@/ z@pub.example\n",
    "/@example.com$/ public@pub.example\n",
]
REPLY_FILTERS = [
    "/^550(.*)/ 450$1\n", "/^5(.*)/ 4$1\n", "/^250-PIPELINING/ 250-X\n", "/^(...)-(8BITMIME|DSN)/ $1-XX\n",
    "/^4/ 550 5.0.0 filtered\n", "/^2(..)[- ]2.1.5/ 550 5.1.1 nope\n", "/^220/ 220 ****\n",
    "/^(...).*reject/ $1 filtered\n", "/^354/ 554 no data\n", "/^250 2.0.0/ 451 4.3.0 filtered\n",
    "/^(...) [0-9]\\.[0-9]+\\.[0-9]+ (.*)/ $1 $2\n", "/Ok$/ 250 short\n", "/^221/ 421 bye\n", "/^250-/ 250 end\n",
    "/full/ garbage text\n", "/^45/ 250 2.0.0 turned good\n", "/^421/ 521 5.3.2 dead\n",
]
STATUS_FILTERS = [
    "/^4(.*)/ 5$1\n", "/^5(\\.[0-9.]+ .*)/ 4$1\n", "/^2\\.0\\.0 (.*)/ 2.1.5 rewritten: $1\n",
    "/^5\\.1\\.1/ 5.7.9 hidden\n", "/^4\\.4\\.1/ 5.4.1 dead host\n", "/^2/ 4.0.0 not good\n",
    "/^5\\.0\\.0 (.*)/ bogus $1\n", "/^(4|5)\\.(.*)/ $1.9.9 other\n", "/^4\\.7/ 2.0.0 good\n",
    "/timed out/ 5.9.9 slow\n",
]


class Tables(Dice):
    """Look-up tables and the settings that name them."""

    def checks(self):
        self.tags.append("checks")
        for what in self.some(CHECKS, 1, 3):
            kind = self.pick(["regexp", "pcre"])
            lines = [self.check_line(what) for _ in range(self.number(1, 3))]
            self.files[f"checks_{what}"] = "".join(lines)
            self.own(CHECKS[what], f"{kind}:{PLACE}/checks_{what}")

    def check_line(self, what):
        pattern = self.pick(BODY_PATTERNS if what == "body" else HEADER_PATTERNS)
        action = self.check_action(what)
        if "(" not in pattern:
            action = action.replace("$1", "one")
        return f"/{pattern}/{self.weigh([('', 94), ('i', 6)])} {action}\n"

    def check_action(self, what):
        action = self.weigh(ACTIONS)
        text = self.pick(BODY_TEXTS if what == "body" else HEADER_TEXTS)
        if action in ("REPLACE", "PREPEND"):
            return f"{action} {text}"
        if action == "lower":
            return self.pick(["ignore", f"replace {text}", f"prepend {text}", "Strip"])
        if action == "wrong":
            return self.pick(WRONG_ACTIONS)
        if action in ("WARN", "INFO", "REJECT", "STRIP"):
            return action + self.pick(["", " some text"])
        return action

    def generic(self):
        self.tags.append("generic")
        keys = self.some(INTERNAL, 1, 5)
        if self.chance(0.3):
            self.files["gen"] = "".join(self.pick(GENERIC_PATTERNS) for _ in range(self.number(1, 3)))
            self.own("generic_maps", f"regexp:{PLACE}/gen")
        elif self.chance(0.7):
            self.files["gen"] = "".join(f"{key} {self.pick(PUBLIC)}\n" for key in keys)
            self.own("generic_maps", f"texthash:{PLACE}/gen")
        else:
            pairs = ", ".join("{%s = %s}" % (key, self.pick(PUBLIC)) for key in keys)
            self.own("generic_maps", "inline:{%s}" % pairs)
        if self.chance(0.2):
            self.shared("propagate_unmatched_extensions", "generic")
            self.shared("recipient_delimiter", "+")

    def filters(self):
        self.tags.append("filters")
        if self.chance(0.6):
            self.files["replies"] = "".join(self.pick(REPLY_FILTERS) for _ in range(self.number(1, 3)))
            self.own("reply_filter", f"{self.pick(['regexp', 'pcre'])}:{PLACE}/replies")
        if self.chance(0.6):
            self.files["statuses"] = "".join(self.pick(STATUS_FILTERS) for _ in range(self.number(1, 3)))
            if self.chance(0.8):
                self.own("delivery_status_filter", f"pcre:{PLACE}/statuses")
            else:
                self.shared("default_delivery_status_filter", f"regexp:{PLACE}/statuses")
