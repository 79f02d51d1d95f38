//! References to other parameters: `$name`, `${name?text}`, comparisons.
//!
//! The rules are those of Postfix's mac_parse.c, mac_expand.c and compat_level.c:
//!
//! | text | becomes |
//! |---|---|
//! | `$name`, `${name}`, `$(name)` | the value of the parameter, expanded; nothing if there is none |
//! | `${name?text}` | the text, if the parameter has a value that is not empty |
//! | `${name:text}` | the text, if the parameter has no value or an empty one |
//! | `${name?{a}:{b}}` | one of the two texts |
//! | `${{a} == {b} ? {x} : {y}}` | one of the two texts; also `!=`, `<`, `<=`, `>=`, `>` |
//! | `${{3.9} <level {3.10} ? {x} : {y}}` | the same, comparing compatibility levels |
//! | `${domain_to_ascii{text}}` | the text, expanded, as a domain name in ASCII (Postfix 3.11) |
//! | `$$` | a dollar sign |
//!
//! `?` and `:` test the value as written, before its own references are expanded.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::char;
use nom::sequence::preceded;
use smtp_policy::route::idna::Idna;

/// How deep references may nest; Postfix has the same limit.
const MAX_DEPTH: usize = 100;
/// How many references one value may lead to, so that doubling them does not run away.
const MAX_REFERENCES: usize = 20_000;
/// How long an expanded value may become, in bytes.
const MAX_LENGTH: usize = 16 << 20;

/// Why a text cannot be expanded. Names are cut to a readable length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpandError {
    /// References nest too deeply, most often because a parameter refers to itself.
    Nesting {
        /// A parameter in the loop.
        name: String,
    },
    /// The value becomes too long, or takes too many references to make.
    TooLong,
    /// `${`, `$(` or `{` without its end.
    Unbalanced {
        /// The text from there.
        text: String,
    },
    /// `$` without a name.
    EmptyName {
        /// The text from there.
        text: String,
    },
    /// Something that cannot stand at this place.
    Unexpected {
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        text: String,
    },
    /// A text that is not of the form `major.minor.patch` in a `level` comparison.
    BadLevel {
        /// The text.
        text: String,
    },
    /// `${name{text}}` with a name that is no function.
    UnknownFunction {
        /// The name.
        name: String,
    },
    /// A text that is no domain name, in a function that wants one.
    BadDomain {
        /// The text.
        text: String,
    },
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpandError::Nesting { name } => {
                write!(
                    f,
                    "unreasonable nesting of references at \"${name}\" (does it refer to itself?)"
                )
            }
            ExpandError::TooLong => f.write_str("the value becomes too long when expanded"),
            ExpandError::Unbalanced { text } => {
                write!(f, "unbalanced braces or parentheses at \"{text}\"")
            }
            ExpandError::EmptyName { text } => {
                write!(f, "no parameter name after \"$\" at \"{text}\"")
            }
            ExpandError::Unexpected { expected, text } => {
                write!(f, "{expected} expected at \"{text}\"")
            }
            ExpandError::BadLevel { text } => {
                write!(f, "malformed compatibility level \"{text}\"")
            }
            ExpandError::UnknownFunction { name } => write!(f, "unknown function \"{name}\""),
            ExpandError::BadDomain { text } => write!(f, "bad domain name \"{text}\""),
        }
    }
}

impl std::error::Error for ExpandError {}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> String {
    const LIMIT: usize = 40;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// Expands a text. `lookup` gives the value of a parameter as written, unexpanded.
pub(crate) fn expand<'a>(
    text: &str,
    lookup: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
) -> Result<String, ExpandError> {
    if !text.contains('$') && text.len() <= MAX_LENGTH {
        return Ok(text.to_owned());
    }
    let mut expander = Expander {
        lookup,
        out: String::new(),
        references: 0,
    };
    expander.text(text, 0)?;
    Ok(expander.out)
}

struct Expander<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    out: String,
    references: usize,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn spaces(input: &str) -> &str {
    input.trim_start_matches(is_space)
}

/// The text up to the parenthesis that closes an already opened one, and the text behind it.
fn balanced(text: &str, open: u8, close: u8) -> Option<(&str, &str)> {
    let mut level = 1usize;
    for (at, byte) in text.bytes().enumerate() {
        if byte == open {
            level += 1;
        } else if byte == close {
            level -= 1;
            if level == 0 {
                return Some((text.get(..at)?, text.get(at + 1..)?));
            }
        }
    }
    None
}

/// `{text}` with white space around it. None: no brace here.
fn operand(input: &str) -> Result<Option<(&str, &str)>, ExpandError> {
    let opened: IResult<&str, char> = preceded(take_while(is_space), char('{')).parse(input);
    let Ok((inside, _)) = opened else {
        return Ok(None);
    };
    match balanced(inside, b'{', b'}') {
        Some((payload, rest)) => Ok(Some((payload, spaces(rest)))),
        None => Err(ExpandError::Unbalanced {
            text: excerpt(input),
        }),
    }
}

/// A name with white space around it.
fn name(input: &str) -> Option<(&str, &str)> {
    let parsed: IResult<&str, &str> =
        preceded(take_while(is_space), take_while1(is_name)).parse(input);
    parsed.ok().map(|(rest, name)| (name, spaces(rest)))
}

impl<'a> Expander<'a> {
    fn push(&mut self, text: &str) -> Result<(), ExpandError> {
        if self.out.len().saturating_add(text.len()) > MAX_LENGTH {
            return Err(ExpandError::TooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn text(&mut self, mut text: &str, depth: usize) -> Result<(), ExpandError> {
        while let Some((literal, rest)) = text.split_once('$') {
            self.push(literal)?;
            text = match rest.bytes().next() {
                Some(b'$') => {
                    self.push("$")?;
                    rest.get(1..).unwrap_or_default()
                }
                Some(open @ (b'{' | b'(')) => {
                    let close = if open == b'{' { b'}' } else { b')' };
                    let inside = rest.get(1..).unwrap_or_default();
                    let Some((body, after)) = balanced(inside, open, close) else {
                        return Err(ExpandError::Unbalanced {
                            text: excerpt(rest),
                        });
                    };
                    self.reference(body, depth + 1)?;
                    after
                }
                _ => {
                    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                    let (body, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                    self.reference(body, depth + 1)?;
                    after
                }
            };
        }
        self.push(text)
    }

    /// What stands between the braces.
    fn reference(&mut self, body: &str, depth: usize) -> Result<(), ExpandError> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(ExpandError::TooLong);
        }
        if depth > MAX_DEPTH {
            return Err(ExpandError::Nesting {
                name: excerpt(body),
            });
        }
        if body.is_empty() {
            return Err(ExpandError::EmptyName {
                text: excerpt(body),
            });
        }
        let (value, rest) = match operand(body)? {
            Some((left, rest)) => self.comparison(left, rest, depth)?,
            None => {
                let Some((name, rest)) = name(body) else {
                    return Err(ExpandError::Unexpected {
                        expected: "a parameter name",
                        text: excerpt(body),
                    });
                };
                if rest.starts_with('{') {
                    return self.function(name, rest, depth);
                }
                ((self.lookup)(name), rest)
            }
        };
        if rest.is_empty() {
            return self.text(value.as_deref().unwrap_or_default(), depth);
        }
        self.choice(value.is_some_and(|value| !value.is_empty()), rest, depth)
    }

    /// `name{text}`: what a function makes of a text (mac_midna.c).
    fn function(&mut self, name: &str, rest: &str, depth: usize) -> Result<(), ExpandError> {
        let (text, behind) = operand(rest)?.unwrap_or_default();
        if !behind.is_empty() {
            return Err(ExpandError::Unexpected {
                expected: "the end of the reference",
                text: excerpt(behind),
            });
        }
        let text = self.apart(text.trim_matches(is_space), depth)?;
        match name {
            "domain_to_ascii" => {
                let ascii = Idna::default().to_ascii(&text);
                let bad = || ExpandError::BadDomain {
                    text: excerpt(&text),
                };
                self.push(&ascii.ok_or_else(bad)?)
            }
            _ => Err(ExpandError::UnknownFunction {
                name: excerpt(name),
            }),
        }
    }

    /// `?yes`, `:no` or `?{yes}:{no}`. The branch that is not taken is not looked into.
    fn choice(&mut self, truth: bool, rest: &str, depth: usize) -> Result<(), ExpandError> {
        let mut rest = rest;
        if let Some(after) = rest.strip_prefix('?') {
            let (yes, behind) = operand(after)?.unwrap_or((after, ""));
            if truth {
                self.text(yes, depth)?;
            }
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
        }
        let Some(after) = rest.strip_prefix(':') else {
            return Err(ExpandError::Unexpected {
                expected: "\"?\" or \":\"",
                text: excerpt(rest),
            });
        };
        let (no, behind) = operand(after)?.unwrap_or((after, ""));
        if !truth {
            self.text(no, depth)?;
        }
        if behind.is_empty() {
            Ok(())
        } else {
            Err(ExpandError::Unexpected {
                expected: "the end of the reference",
                text: excerpt(behind),
            })
        }
    }

    /// `{left} == {right}`, the left side already taken. True is a text, false the empty one.
    fn comparison<'t>(
        &mut self,
        left: &str,
        rest: &'t str,
        depth: usize,
    ) -> Result<(Option<Cow<'a, str>>, &'t str), ExpandError> {
        let split: IResult<&str, (&str, &str)> = (
            take_while1(|c| "<>!=?+-*/~&|%".contains(c)),
            take_while(|c: char| c.is_ascii_alphanumeric()),
        )
            .parse(rest);
        let unexpected = |expected| ExpandError::Unexpected {
            expected,
            text: excerpt(rest),
        };
        let Ok((after, (operator, suffix))) = split else {
            return Err(unexpected("a comparison operator"));
        };
        let accept: fn(Ordering) -> bool = match operator {
            "==" => Ordering::is_eq,
            "!=" => Ordering::is_ne,
            "<" => Ordering::is_lt,
            "<=" => Ordering::is_le,
            ">=" => Ordering::is_ge,
            ">" => Ordering::is_gt,
            _ => return Err(unexpected("a comparison operator")),
        };
        let Some((right, after)) = operand(after)? else {
            return Err(unexpected("an operand in braces after the operator"));
        };
        let left = self.apart(left, depth)?;
        let right = self.apart(right, depth)?;
        let order = match suffix {
            "" => compare(&left, &right),
            "level" => level(&left)?.cmp(&level(&right)?),
            _ => return Err(unexpected("no suffix, or \"level\", after the operator")),
        };
        let value = if accept(order) { "true" } else { "" };
        Ok((Some(value.into()), after))
    }

    /// Expands a text into a string of its own.
    fn apart(&mut self, text: &str, depth: usize) -> Result<String, ExpandError> {
        let outer = std::mem::take(&mut self.out);
        let result = self.text(text, depth);
        let inner = std::mem::replace(&mut self.out, outer);
        result.map(|()| inner)
    }
}

/// Compares by value if both texts are numbers, otherwise as texts.
fn compare(left: &str, right: &str) -> Ordering {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if number(left) && number(right) {
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        left.len().cmp(&right.len()).then_with(|| left.cmp(right))
    } else {
        left.cmp(right)
    }
}

/// Reads `major`, `major.minor` or `major.minor.patch`; what is missing is zero.
pub(crate) fn level(text: &str) -> Result<(u64, u64, u64), ExpandError> {
    let bad = || ExpandError::BadLevel {
        text: excerpt(text),
    };
    let mut numbers = [0u64; 3];
    let mut slots = numbers.iter_mut();
    for part in text.split('.') {
        let slot = slots.next().ok_or_else(bad)?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        *slot = part.parse().map_err(|_| bad())?;
    }
    let [major, minor, patch] = numbers;
    // Postfix keeps minor and patch numbers in ten bits each.
    if minor > 1023 || patch > 1023 {
        return Err(bad());
    }
    Ok((major, minor, patch))
}
