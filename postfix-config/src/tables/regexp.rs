//! POSIX regular expressions, extended and basic, rewritten for the regex crates.
//!
//! The GNU additions that Postfix inherits from the C library are known too: `\w \W \s \S \b \B \< \>`,
//! references back `\1`, and `\| \+ \?` in basic expressions. Two differences from POSIX remain. Where
//! alternatives overlap, the first that matches is taken and not the longest, and a repeated group may
//! match nothing in its last round; both can be seen only in what `$1` stands for. Text is
//! [masked](super::octets).
//!
//! Source: regex(7), Postfix `src/util/dict_regexp.c`.

use super::bracket::{Count, Members, NOTHING, POSIX_CLASSES, Scan, literal};
use super::patterns::Flags;

/// Rewrites an expression.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn translate(source: &str, flags: Flags) -> Result<String, String> {
    let mut posix = Posix {
        scan: Scan { rest: source },
        out: String::with_capacity(source.len() * 2),
        extended: flags.extended,
        lines: flags.lines,
        any_case: flags.any_case,
        groups: Vec::new(),
        count: 0,
        complete: Vec::new(),
        atom: Atom::None,
    };
    while let Some(c) = posix.scan.next() {
        let token = posix.token(c)?;
        posix.write(token)?;
    }
    if !posix.groups.is_empty() {
        return Err("Unmatched ( or \\(".to_owned());
    }
    Ok(posix.out)
}

/// A piece of an expression, the same for both kinds.
enum Token<'a> {
    Char(char),
    Any,
    Bracket,
    Open,
    Close,
    Or,
    Start,
    End,
    Repeat(&'static str),
    RepeatCount(Count<'a>),
    BackReference(char),
    /// A class or an assertion, already written for the regex crates.
    Class(&'static str),
    Assertion(&'static str),
}

/// What a repetition would apply to.
enum Atom {
    /// Nothing: the start of an expression, of a group or of an alternative.
    None,
    /// What was written from here on.
    Plain(usize),
    /// The same, and it is already repeated.
    Repeated(usize),
}

struct Posix<'a> {
    scan: Scan<'a>,
    out: String,
    extended: bool,
    lines: bool,
    any_case: bool,
    /// The open groups: number, and where they begin in `out`.
    groups: Vec<(usize, usize)>,
    /// How many groups were opened so far.
    count: usize,
    /// The numbers of the groups that are closed.
    complete: Vec<usize>,
    atom: Atom,
}

impl<'a> Posix<'a> {
    fn token(&mut self, c: char) -> Result<Token<'a>, String> {
        let at_start = matches!(self.atom, Atom::None);
        Ok(match (c, self.extended) {
            ('\\', _) => return self.escape(),
            ('.', _) => Token::Any,
            ('[', _) => Token::Bracket,
            ('*', false) if at_start => Token::Char('*'),
            ('*', _) => Token::Repeat("*"),
            ('(', true) => Token::Open,
            (')', true) if self.groups.is_empty() => Token::Char(')'),
            (')', true) => Token::Close,
            ('|', true) => Token::Or,
            ('+', true) => Token::Repeat("+"),
            ('?', true) => Token::Repeat("?"),
            ('{', true) => Token::RepeatCount(self.count("}")?),
            ('^', true) => Token::Start,
            ('$', true) => Token::End,
            ('^', false) if at_start && !self.out.ends_with('^') => Token::Start,
            ('$', false) if self.at_end() => Token::End,
            (c, _) => Token::Char(c),
        })
    }

    /// Whether a basic expression, group or alternative ends here.
    fn at_end(&self) -> bool {
        let rest = self.scan.rest;
        rest.is_empty() || rest.starts_with("\\)") || rest.starts_with("\\|")
    }

    fn escape(&mut self) -> Result<Token<'a>, String> {
        let c = self.scan.next().ok_or("Trailing backslash")?;
        Ok(match (c, self.extended) {
            ('(', false) => Token::Open,
            (')', false) => Token::Close,
            ('{', false) => Token::RepeatCount(self.count("\\}")?),
            ('|', false) => Token::Or,
            ('+', false) if !matches!(self.atom, Atom::None) => Token::Repeat("+"),
            ('?', false) if !matches!(self.atom, Atom::None) => Token::Repeat("?"),
            ('1'..='9', _) => Token::BackReference(c),
            ('w', _) => Token::Class("[A-Za-z0-9_]"),
            ('W', _) => Token::Class("[^A-Za-z0-9_]"),
            ('s', _) => Token::Class("[ \\t-\\r]"),
            ('S', _) => Token::Class("[^ \\t-\\r]"),
            ('b', _) => Token::Assertion("\\b"),
            ('B', _) => Token::Assertion("\\B"),
            ('<', _) => Token::Assertion("\\<"),
            ('>', _) => Token::Assertion("\\>"),
            ('`', _) => Token::Assertion("\\A"),
            ('\'', _) => Token::Assertion("\\z"),
            // Without distinction of case the C library compares the text in capitals, but
            // leaves a character behind a backslash as it is.
            (c, _) if self.any_case && c.is_ascii_lowercase() => Token::Class(NOTHING),
            (c, _) => Token::Char(c),
        })
    }

    fn count(&mut self, end: &str) -> Result<Count<'a>, String> {
        let count = Count::read(&mut self.scan, end);
        let count = count.filter(Count::is_in_order);
        count.ok_or_else(|| "Invalid content of \\{\\}".to_owned())
    }

    fn write(&mut self, token: Token<'a>) -> Result<(), String> {
        let here = self.out.len();
        match token {
            Token::Char(c) => literal(&mut self.out, c),
            Token::Any => self.out.push('.'),
            Token::Bracket => self.bracket()?,
            Token::BackReference(digit) => {
                let number = digit.to_digit(10).and_then(|n| usize::try_from(n).ok());
                if !number.is_some_and(|number| self.complete.contains(&number)) {
                    return Err("Invalid back reference".to_owned());
                }
                self.out.push_str("(?:\\");
                self.out.push(digit);
                self.out.push(')');
            }
            Token::Class(class) => self.out.push_str(class),
            Token::Close => {
                let (number, start) = self.groups.pop().ok_or("Unmatched ) or \\)")?;
                self.complete.push(number);
                self.out.push(')');
                self.atom = Atom::Plain(start);
                return Ok(());
            }
            Token::Repeat(sign) => return self.repeat(sign),
            Token::RepeatCount(count) => return self.repeat(&count.write()),
            Token::Open => {
                self.count += 1;
                self.groups.push((self.count, here));
                self.out.push('(');
                self.atom = Atom::None;
                return Ok(());
            }
            Token::Or | Token::Start | Token::End => {
                self.out.push(match token {
                    Token::Or => '|',
                    Token::Start => '^',
                    _ => '$',
                });
                self.atom = Atom::None;
                return Ok(());
            }
            Token::Assertion(text) => {
                self.out.push_str(text);
                self.atom = Atom::None;
                return Ok(());
            }
        }
        self.atom = Atom::Plain(here);
        Ok(())
    }

    fn repeat(&mut self, sign: &str) -> Result<(), String> {
        let start = match self.atom {
            Atom::None => return Err("Invalid preceding regular expression".to_owned()),
            Atom::Plain(start) => start,
            Atom::Repeated(_) if !self.extended && sign.starts_with(['*', '{']) => {
                return Err("Invalid preceding regular expression".to_owned());
            }
            Atom::Repeated(start) => {
                // To the regex crates `a+?` is a short repetition, to POSIX a repetition of `a+`.
                self.out.insert_str(start, "(?:");
                self.out.push(')');
                start
            }
        };
        self.out.push_str(sign);
        self.atom = Atom::Repeated(start);
        Ok(())
    }

    fn bracket(&mut self) -> Result<(), String> {
        let negated = self.scan.eat("^");
        let mut members = Members::default();
        if negated && self.lines {
            members.range('\n', '\n')?;
        }
        let mut first = true;
        loop {
            if !first && self.scan.eat("]") {
                members.write(&mut self.out, negated);
                return Ok(());
            }
            let rest = self.scan.rest;
            if !first && rest.starts_with('-') && !rest.starts_with("-]") {
                return Err("Invalid range end".to_owned());
            }
            first = false;
            if self.scan.eat("[:") {
                let name = self.scan.until(":]").ok_or(UNMATCHED)?;
                let name = match name {
                    "lower" | "upper" if self.any_case => "alpha",
                    name => name,
                };
                members.named(name, POSIX_CLASSES)?;
                continue;
            }
            let is_range_start = !self.scan.rest.starts_with("[=");
            let from = self.member()?;
            if !is_range_start {
                members.range(from, from)?;
                continue;
            }
            let to = if self.scan.rest.starts_with('-') && !self.scan.rest.starts_with("-]") {
                self.scan.next();
                self.member()?
            } else {
                from
            };
            members.range(from, to)?;
        }
    }

    /// A character, as it is compared: in capitals without distinction of case, which counts in
    /// ranges.
    fn member(&mut self) -> Result<char, String> {
        let c = self.any_member()?;
        Ok(if self.any_case {
            c.to_ascii_uppercase()
        } else {
            c
        })
    }

    /// A character, `[.c.]` or `[=c=]`. A backslash stands for itself.
    fn any_member(&mut self) -> Result<char, String> {
        for (open, close) in [("[.", ".]"), ("[=", "=]")] {
            if self.scan.eat(open) {
                let name = self.scan.until(close).ok_or(UNMATCHED)?;
                let mut chars = name.chars();
                return match (chars.next(), chars.next()) {
                    (Some(c), None) => Ok(c),
                    _ => Err("Invalid collation character".to_owned()),
                };
            }
        }
        self.scan.next().ok_or_else(|| UNMATCHED.to_owned())
    }
}

const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
