"""Pattern tables whose expressions are made by chance, and messages for them to match."""

import re

from forms import PLACE
from generator.dice import Dice

LITERALS = [
    "a", "b", "ab", "abc", "foo", "bar", "x", "1", "12", "X-", "T-", ":", " ", "-", "A", "F", "o", "\u00e9",
]
CLASSES = [
    "[a-f]", "[^a]", "[0-9]", "[[:digit:]]", "[[:alpha:]]", "[^[:space:]]", "[]a]", "[^]a]", "[a-]", "[-a]", "[A-Z]",
    "[[:upper:]]", "[\\d]", "[.]", "[ab-]", "[[:punct:]]", "[[:blank:]x]", "[a\\]", "[$]",
]
ESCAPES = [
    "\\.", "\\s", "\\w", "\\W", "\\S", "\\b", "\\$", "\\*", "\\-", "\\(", "\\/", "\\:", "\\+", "\\B",
]
PERL_ESCAPES = ["\\d", "\\D", "\\h", "\\x41", "\\t", "\\Qa.b\\E", "\\A", "\\Z"]
REPEATS = ["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}"]
FLAGS = [("", 80), ("i", 6), ("m", 3), ("x", 3), ("ix", 1), ("z", 0.5)]
PERL_FLAGS = [("s", 2), ("U", 1), ("A", 1), ("E", 1)]
MATERIAL = [
    "a", "b", "c", "foo", "bar", "x", "1", "12", "2", " ", " ", "-", ":", "A", "F", ".", "$", "(", "/", "_", "ab",
    "abab", "11", "\u00e9", "\t", "*", "\\",
]


class Patterns(Dice):
    """Tables of type regexp and pcre."""

    def pattern_table(self):
        kind = self.pick(["regexp", "pcre"])
        lines, depth = [], 0
        for _ in range(self.number(3, 12)):
            if self.chance(0.06):
                lines.append("# comment")
            if self.chance(0.12):
                condition = self.piece(kind).replace("/", "\\/").replace("\\\\/", "\\/")
                lines.append(f"if {self.pick(['', '', '!'])}/{condition}/{self.pick(['', '', 'i'])}")
                depth += 1
            lines.append(self.pattern_line(kind))
            if depth and self.chance(0.5):
                lines.append("endif")
                depth -= 1
        lines += ["endif"] * (depth if self.chance(0.95) else 0)
        self.files["tab"] = "\n".join(lines) + "\n"
        name = self.pick(["header_checks", "header_checks", "header_checks", "body_checks"])
        self.own(name, f"{kind}:{PLACE}/tab")
        self.tags.append(kind)

    def pattern_line(self, kind):
        pieces = "".join(self.piece(kind) for _ in range(self.number(1, 4)))
        pattern = self.pick(["", "", "^", "^T-[0-9]*: ?"]) + pieces + self.pick(["", "", "$"])
        groups = pattern.replace("\\(", "").count("(") > pattern.count("(?")
        delimiter = self.weigh([("/", 70), ("|", 6), ("!", 4), ("%", 6), (",", 5), ('"', 4)])
        if delimiter in pattern:
            delimiter = "/"
        if delimiter == "/" and "\\/" not in pattern:
            pattern = pattern.replace("/", "\\/")
        flags = self.weigh(FLAGS + (PERL_FLAGS if kind == "pcre" else []))
        action = self.pattern_action(groups)
        negated = self.chance(0.1)
        if negated:
            action = re.sub(r"\$[({]?\d[)}]?", "none", action)
        blank = self.weigh([(" ", 90), ("\t", 5), ("   ", 5)])
        line = f"{'!' if negated else ''}{delimiter}{pattern}{delimiter}{flags}{blank}{action}"
        if " " in action and self.chance(0.05):
            line = "\n  ".join(line.rsplit(" ", 1))
        return line + self.weigh([("", 92), ("  ", 8)])

    def pattern_action(self, groups):
        grouped = ["R", "x y", "$1", "${1}", "$(1)", "[$1]", "<$2>", "$1$1", "$$1", "${2}z", "$3"]
        text = self.pick(grouped if groups else ["R", "x y", "$$", "a$$b"])
        number = self.number(0, 9)
        actions = [
            ("IGNORE", 12), (f"REPLACE Q-{number}: {text}", 42), (f"PREPEND P-{number}: {text}", 30), ("DUNNO", 6),
            ("", 2), (f"WARN {text}", 3), ("STRIP", 2),
        ]
        return self.weigh(actions)

    def piece(self, kind, depth=0):
        """A piece of an expression."""
        perl = kind == "pcre"
        deeper = depth < 3
        what = self.weigh(
            [("literal", 34), ("any", 8), ("class", 12), ("group", 14 * deeper), ("choice", 8 * deeper), ("escape", 10),
             ("anchor", 4), ("reference", 3)]
        )
        if what == "literal":
            piece = self.pick(LITERALS)
        elif what == "any":
            piece = "."
        elif what == "class":
            piece = self.pick(CLASSES + ["[\\]]" if perl else "[x]"])
        elif what == "group":
            piece = "".join(self.piece(kind, depth + 1) for _ in range(self.number(1, 3)))
            opening = self.pick(["(?:", "(?=", "(?!", "(?i:", "(?-i:"]) if perl and self.chance(0.15) else "("
            piece = f"{opening}{piece})"
        elif what == "choice":
            piece = f"({self.piece(kind, depth + 1)}|{self.piece(kind, depth + 1)})"
        elif what == "escape":
            piece = self.pick(ESCAPES + (PERL_ESCAPES if perl else ["\\<", "\\>"]))
        elif what == "anchor":
            piece = self.pick(["^", "$"])
        else:
            piece = "\\1"
        if what not in ("anchor", "reference") and self.chance(0.3):
            piece += self.pick(REPEATS + (["*?", "+?", "??", "*+"] if perl else []))
        return piece

    def table_message(self):
        """Headers, or lines of a body, of what the expressions are made of."""
        lines = []
        for number in range(self.number(6, 16)):
            lines.append(f"T-{number}:{self.pick([' ', ' ', '', chr(9)])}{self.material()}")
        if self.chance(0.3):
            lines.insert(1, f"X-F: {self.material()}\n {self.material()}")
        if self.has("body_checks"):
            return ("Subject: x\n\n" + "\n".join(lines) + "\n").encode()
        return ("\n".join(lines) + "\n\nhi\n").encode()

    def material(self):
        return "".join(self.pick(MATERIAL) for _ in range(self.number(0, 9)))
