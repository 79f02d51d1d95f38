//! Writing parts of expressions in the syntax of the regex crates: literal characters, bracket
//! expressions, repetition counts; and a reader for expressions.

/// Reads an expression character by character.
#[derive(Debug, Clone)]
pub(super) struct Scan<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Skips the text if it is next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The text up to `end`, which is skipped too. Nothing is read if there is no such end.
    pub(super) fn until(&mut self, end: &str) -> Option<&'a str> {
        let (text, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(text)
    }

    /// The characters that come next and are fit, at most so many.
    pub(super) fn take(&mut self, most: usize, fit: impl Fn(char) -> bool) -> &'a str {
        let end = self
            .rest
            .char_indices()
            .enumerate()
            .find(|&(count, (_, c))| count >= most || !fit(c))
            .map_or(self.rest.len(), |(_, (at, _))| at);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }
}

/// A repetition count `{n}`, `{n,}`, `{n,m}` or `{,m}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count<'a> {
    pub(super) least: &'a str,
    /// Nothing, or what is after the comma.
    pub(super) most: Option<&'a str>,
}

impl<'a> Count<'a> {
    /// Reads the count up to and including `end`. Nothing is read if it is none.
    pub(super) fn read(scan: &mut Scan<'a>, end: &str) -> Option<Count<'a>> {
        let mut ahead = scan.clone();
        let digits = |c: char| c.is_ascii_digit();
        let least = ahead.take(6, digits);
        let most = ahead.eat(",").then(|| ahead.take(6, digits));
        let is_count = ahead.eat(end) && !(least.is_empty() && most.is_none());
        if !is_count {
            return None;
        }
        scan.rest = ahead.rest;
        Some(Count { least, most })
    }

    /// Returns whether the least number is not more than the most.
    pub(super) fn is_in_order(&self) -> bool {
        let number = |digits: &str| digits.parse::<u32>().unwrap_or(0);
        match self.most {
            Some(most) if !most.is_empty() => number(self.least) <= number(most),
            _ => true,
        }
    }

    /// The count as the regex crates write it.
    pub(super) fn write(&self) -> String {
        let least = if self.least.is_empty() {
            "0"
        } else {
            self.least
        };
        match self.most {
            None => format!("{{{least}}}"),
            Some(most) => format!("{{{least},{most}}}"),
        }
    }
}

/// Writes one character that stands for itself.
pub(super) fn literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

/// Collects the members of a bracket expression.
#[derive(Debug, Default)]
pub(super) struct Members {
    text: String,
}

impl Members {
    pub(super) fn range(&mut self, first: char, last: char) -> Result<(), String> {
        if first > last {
            return Err("invalid range end in a bracket expression".to_owned());
        }
        literal(&mut self.text, first);
        if first != last {
            self.text.push('-');
            literal(&mut self.text, last);
        }
        Ok(())
    }

    /// Adds a class by its POSIX name, `^name` for all other characters.
    pub(super) fn named(&mut self, name: &str, known: &[&str]) -> Result<(), String> {
        let plain = name.strip_prefix('^').unwrap_or(name);
        if !known.contains(&plain) {
            return Err(format!("unknown character class name \"{name}\""));
        }
        self.raw(&format!("[:{name}:]"));
        Ok(())
    }

    /// Adds what is already written as the regex crates want it.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes the bracket expression.
    pub(super) fn write(self, out: &mut String, negated: bool) {
        out.push_str(if negated { "[^" } else { "[" });
        out.push_str(&self.text);
        out.push(']');
    }
}

/// A bracket expression without members.
pub(super) const NOTHING: &str = "[^\\x00-\\x{10FFFF}]";

/// The class names of POSIX.
pub(super) const POSIX_CLASSES: &[&str] = &[
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];
