//! Perl-like expressions rewritten for the fancy-regex crate.
//!
//! Most of what PCRE knows is known: groups by number and name, look-around, atomic groups, short and
//! possessive repetitions, references back, `\Q…\E`, inline flags, all the flags of pcre_table(5).
//! Recursion, branch reset, callouts and verbs such as `(*SKIP)` are refused with a reason. Text is
//! [masked](super::octets): `\d`, `\w` and `\s` stand for ASCII characters, and a character code is
//! that of a byte.
//!
//! Source: pcre2pattern(3), Postfix `src/util/dict_pcre.c`.

use super::bracket::{Count, Scan, literal};
use super::octets::octet;
use super::patterns::Flags;

mod sets;

/// What `$` matches where it does not match at every line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The end of the text only.
    Text,
    /// The end of the text, and before a line feed that ends it.
    LineFeed,
}

/// Rewrites an expression.
///
/// # Errors
///
/// What is wrong with it, or which part is not supported.
pub(super) fn translate(source: &str, flags: Flags, end: End) -> Result<String, String> {
    let mut perl = Perl {
        scan: Scan { rest: source },
        out: String::with_capacity(source.len() * 2),
        scope: Scope {
            spaced: flags.spaced,
            ungreedy: flags.ungreedy,
            lines: flags.lines,
            plain: false,
        },
        end,
        open: Vec::new(),
        groups: 0,
        names: Vec::new(),
        repeatable: false,
        looked: false,
    };
    if flags.anchored {
        perl.out.push_str("\\A(?:");
    }
    while let Some(c) = perl.scan.next() {
        perl.one(c)?;
    }
    if !perl.open.is_empty() {
        return Err("missing closing parenthesis".to_owned());
    }
    if flags.anchored {
        perl.out.push(')');
    }
    Ok(perl.out)
}

/// Flags that make a difference here; the crate sees to others.
#[derive(Clone, Copy)]
struct Scope {
    spaced: bool,
    ungreedy: bool,
    lines: bool,
    /// Groups without a name do not capture.
    plain: bool,
}

struct Perl<'a> {
    scan: Scan<'a>,
    out: String,
    scope: Scope,
    end: End,
    open: Vec<Group>,
    /// How many capturing groups were opened so far.
    groups: usize,
    /// The names of groups so far, and their numbers. Groups are written without names, since the crate
    /// does not allow both names and numbers in references.
    names: Vec<(&'a str, usize)>,
    /// Whether a repetition may follow.
    repeatable: bool,
    /// True if it would be one of a look ahead or behind.
    looked: bool,
}

/// An open group.
struct Group {
    /// The options that apply again behind it.
    outside: Scope,
    /// It looks ahead or behind. It stands in another group then, since the crate repeats no such
    /// things by themselves.
    looks: bool,
}

/// An escape that stands for a set of characters, as members of a bracket expression.
fn class_of(letter: char) -> Option<(&'static str, bool)> {
    let members = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "A-Za-z0-9_",
        's' => "\\x{20}\\t-\\r",
        'h' => "\\x{20}\\t\\x{E0A0}",
        'v' => "\\n-\\r\\x{E085}",
        _ => return None,
    };
    Some((members, letter.is_ascii_uppercase()))
}

/// A character that neither stands for itself nor for a set.
fn control(letter: char) -> Option<char> {
    Some(match letter {
        'a' => '\x07',
        'e' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}

fn unsupported(what: &str) -> String {
    format!("\"{what}\" is not supported in pcre tables")
}

fn code_point(digits: &str, radix: u32) -> Result<char, String> {
    let number = if digits.is_empty() {
        Some(0)
    } else {
        u32::from_str_radix(digits, radix).ok()
    };
    number
        .and_then(|number| u8::try_from(number).ok())
        .map(octet)
        .ok_or_else(|| format!("character code \"{digits}\" is too large"))
}

impl<'a> Perl<'a> {
    fn one(&mut self, c: char) -> Result<(), String> {
        let is_blank = self.scope.spaced && c.is_ascii_whitespace();
        self.looked &= is_blank || matches!(c, '*' | '+' | '?' | '{');
        match c {
            '\\' => return self.escape(),
            '(' => return self.open(),
            '[' => self.bracket()?,
            ')' => {
                let group = self.open.pop().ok_or("unmatched closing parenthesis")?;
                self.scope = group.outside;
                self.out.push_str(if group.looks { "))" } else { ")" });
                self.repeatable = true;
                self.looked = group.looks;
                return Ok(());
            }
            '*' | '+' | '?' => return self.repeat(&c.to_string()),
            '{' => match Count::read(&mut self.scan, "}") {
                Some(count) if !count.is_in_order() => {
                    return Err("numbers out of order in {} quantifier".to_owned());
                }
                Some(count) if !count.least.is_empty() => return self.repeat(&count.write()),
                Some(count) => {
                    self.looked = false;
                    self.quote(&format!("{{,{}}}", count.most.unwrap_or("")));
                }
                None => {
                    self.looked = false;
                    literal(&mut self.out, c);
                }
            },
            '|' | '^' | '$' => {
                if c == '$' && self.end == End::LineFeed && !self.scope.lines {
                    self.out.push_str("(?=\\n?\\z)");
                } else {
                    self.out.push(c);
                }
                self.repeatable = false;
                return Ok(());
            }
            '.' => self.out.push(c),
            '#' if self.scope.spaced => {
                self.scan.take(usize::MAX, |c| c != '\n');
                return Ok(());
            }
            c if self.scope.spaced && c.is_ascii_whitespace() => return Ok(()),
            c => literal(&mut self.out, c),
        }
        self.repeatable = true;
        Ok(())
    }

    fn quote(&mut self, text: &str) {
        for c in text.chars() {
            literal(&mut self.out, c);
        }
    }

    fn repeat(&mut self, sign: &str) -> Result<(), String> {
        if !self.repeatable {
            return Err("quantifier does not follow a repeatable item".to_owned());
        }
        self.repeatable = false;
        if self.looked {
            // To look twice is to look once.
            let _ = self.scan.eat("+") || self.scan.eat("?");
            if matches!(sign, "*" | "?") || sign.starts_with("{0") {
                self.out.pop();
                self.out.push_str("|)");
            }
            return Ok(());
        }
        self.out.push_str(sign);
        if self.scan.eat("+") {
            self.out.push('+');
        } else if self.scan.eat("?") != self.scope.ungreedy {
            self.out.push('?');
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.scan.next().ok_or("\\ at end of pattern")?;
        self.repeatable = true;
        if let Some((members, negated)) = class_of(c) {
            self.out.push_str(if negated { "[^" } else { "[" });
            self.out.push_str(members);
            self.out.push(']');
            return Ok(());
        }
        match c {
            'b' | 'B' | 'A' | 'z' | 'G' | 'K' => {
                self.out.push('\\');
                self.out.push(c);
                self.repeatable = false;
            }
            'Z' => {
                self.out.push_str("(?=\\n?\\z)");
                self.repeatable = false;
            }
            'N' => self.out.push_str("[^\\n]"),
            'R' => self.out.push_str("(?:\\r\\n|[\\n-\\r\\x{E085}])"),
            'Q' => {
                let rest = self.scan.rest;
                let text = self.scan.until("\\E").unwrap_or_else(|| {
                    self.scan.rest = "";
                    rest
                });
                self.quote(text);
            }
            'E' => {}
            'C' => self.out.push_str("(?s:.)"),
            // No byte joins the one before it, but for a line end.
            'X' => self.out.push_str("(?>\\r\\n|(?s:.))"),
            'p' | 'P' => self.property(c)?,
            'g' | 'k' => self.reference()?,
            '1'..='9' => self.digits(c)?,
            c => {
                let c = self.character(c)?;
                literal(&mut self.out, c);
            }
        }
        Ok(())
    }

    /// The character after a backslash, where it stands for one character.
    fn character(&mut self, c: char) -> Result<char, String> {
        if let Some(control) = control(c) {
            return Ok(control);
        }
        let octal = |c: char| c.is_digit(8);
        let hex = |c: char| c.is_ascii_hexdigit();
        match c {
            'x' if self.scan.eat("{") => {
                let digits = self.scan.until("}").ok_or("missing } after \\x{")?;
                code_point(digits, 16)
            }
            'x' => code_point(self.scan.take(2, hex), 16),
            'o' if self.scan.eat("{") => {
                let digits = self.scan.until("}").ok_or("missing } after \\o{")?;
                code_point(digits, 8)
            }
            '0' => code_point(self.scan.take(2, octal), 8),
            'c' => match self.scan.next() {
                Some(c) if c.is_ascii() => u8::try_from(c.to_ascii_uppercase())
                    .map(|byte| char::from(byte ^ 64))
                    .map_err(|_| "bad \\c".to_owned()),
                _ => Err("\\c must be followed by a printable ASCII character".to_owned()),
            },
            c if c.is_ascii_alphanumeric() => Err(unsupported(&format!("\\{c}"))),
            c => Ok(c),
        }
    }

    fn property(&mut self, c: char) -> Result<(), String> {
        // A property has no other case.
        let text = self.property_text(c)?;
        self.out.push_str(&format!("(?-i:{text})"));
        Ok(())
    }

    /// `\12`: a reference back if there are so many groups, else an octal code.
    fn digits(&mut self, first: char) -> Result<(), String> {
        let more = self.scan.clone().take(2, |c| c.is_ascii_digit());
        let number = format!("{first}{more}");
        let value: usize = number.parse().unwrap_or(usize::MAX);
        if value < 10 || value <= self.groups {
            self.scan.take(more.len(), |_| true);
            self.out.push_str(&format!("(?:\\{number})"));
            return Ok(());
        }
        if !first.is_digit(8) {
            literal(&mut self.out, first);
            return Ok(());
        }
        let digits = format!("{first}{}", self.scan.take(2, |c| c.is_digit(8)));
        literal(&mut self.out, code_point(&digits, 8)?);
        Ok(())
    }

    /// What follows `\g` or `\k`: a number, a relative number or a name.
    fn reference(&mut self) -> Result<(), String> {
        let mut name = None;
        for (open, close) in [("{", "}"), ("<", ">"), ("'", "'")] {
            if name.is_none() && self.scan.eat(open) {
                name = Some(self.scan.until(close).ok_or("malformed reference")?);
            }
        }
        let name = match name {
            Some(name) => name,
            None => self.scan.take(3, |c| c == '-' || c.is_ascii_digit()),
        };
        if let Some(back) = name.strip_prefix('-') {
            let back: usize = back.parse().map_err(|_| "malformed reference")?;
            let group = (self.groups + 1)
                .checked_sub(back)
                .filter(|&group| group > 0 && back > 0)
                .ok_or("reference to non-existent subpattern")?;
            self.out.push_str(&format!("(?:\\{group})"));
        } else if let Ok(group) = name.parse::<usize>() {
            self.out.push_str(&format!("(?:\\{group})"));
        } else {
            self.named_reference(name)?;
        }
        Ok(())
    }

    fn named_reference(&mut self, name: &str) -> Result<(), String> {
        let known = self.names.iter().find(|(known, _)| *known == name);
        let (_, number) =
            known.ok_or_else(|| format!("reference to non-existent subpattern \"{name}\""))?;
        self.out.push_str(&format!("(?:\\{number})"));
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        if self.scan.rest.starts_with('*') {
            return Err(unsupported("(*"));
        }
        if self.scan.eat("?#") {
            self.scan.until(")").ok_or("missing ) after (?# comment")?;
            return Ok(());
        }
        self.repeatable = false;
        if !self.scan.eat("?") {
            if self.scope.plain {
                self.enter("(?:");
            } else {
                self.groups += 1;
                self.enter("(");
            }
            return Ok(());
        }
        for plain in [":", ">"] {
            if self.scan.eat(plain) {
                self.enter(&format!("(?{plain}"));
                return Ok(());
            }
        }
        for look in ["=", "!", "<=", "<!"] {
            if self.scan.eat(look) {
                self.open.push(Group {
                    outside: self.scope,
                    looks: true,
                });
                self.out.push_str(&format!("(?:(?{look}"));
                return Ok(());
            }
        }
        if self.scan.eat("P=") {
            let name = self.scan.until(")").ok_or("malformed reference")?;
            self.named_reference(name)?;
            self.repeatable = true;
            return Ok(());
        }
        for (open, close) in [("P<", ">"), ("<", ">"), ("'", "'")] {
            if self.scan.eat(open) {
                let name = self
                    .scan
                    .until(close)
                    .ok_or("missing terminator of group name")?;
                if self.names.iter().any(|(known, _)| *known == name) {
                    return Err(format!("two groups have the name \"{name}\""));
                }
                self.groups += 1;
                self.names.push((group_name(name)?, self.groups));
                self.enter("(");
                return Ok(());
            }
        }
        if self.scan.eat("(") {
            let number = self.scan.take(3, |c| c.is_ascii_digit());
            if number.is_empty() || !self.scan.eat(")") {
                return Err(unsupported("(?("));
            }
            self.enter(&format!("(?({number})"));
            return Ok(());
        }
        self.inline_flags()
    }

    fn enter(&mut self, text: &str) {
        self.open.push(Group {
            outside: self.scope,
            looks: false,
        });
        self.out.push_str(text);
    }

    /// `(?i)`, `(?s-i:…)`.
    fn inline_flags(&mut self) -> Result<(), String> {
        let mut scope = self.scope;
        let (mut on, mut off) = (String::new(), String::new());
        let mut switch = true;
        loop {
            match self.scan.next() {
                Some('-') if switch => switch = false,
                Some('x') => scope.spaced = switch,
                Some('U') => scope.ungreedy = switch,
                Some('n') => scope.plain = switch,
                // Two groups of one name are refused all the same.
                Some('J') => {}
                Some(c @ ('i' | 'm' | 's')) => {
                    if c == 'm' {
                        scope.lines = switch;
                    }
                    if switch { on.push(c) } else { off.push(c) }
                }
                Some(end @ (')' | ':')) => {
                    let minus = if off.is_empty() { "" } else { "-" };
                    let letters = format!("{on}{minus}{off}");
                    if end == ':' {
                        self.enter(&format!("(?{letters}:"));
                    } else if !letters.is_empty() {
                        self.out.push_str(&format!("(?{letters})"));
                    }
                    self.scope = scope;
                    return Ok(());
                }
                Some(c) => return Err(unsupported(&format!("(?{c}"))),
                None => return Err("missing closing parenthesis".to_owned()),
            }
        }
    }
}

fn group_name(name: &str) -> Result<&str, String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !(starts && fits) {
        return Err(format!("bad group name \"{name}\""));
    }
    Ok(name)
}
