//! Sets of characters in Perl-like expressions: brackets and properties.

use super::{Perl, class_of, code_point};
use crate::tables::{
    bracket::{Members, NOTHING, POSIX_CLASSES},
    octets::octet,
};

impl Perl<'_> {
    pub(super) fn property_text(&mut self, c: char) -> Result<String, String> {
        let name = if self.scan.eat("{") {
            self.scan
                .until("}")
                .ok_or("malformed \\P or \\p sequence")?
        } else {
            self.scan.take(1, |c| c.is_ascii_alphabetic())
        };
        let plain = name.strip_prefix('^').unwrap_or(name);
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ' ' | '&');
        if plain.is_empty() || !plain.chars().all(fit) {
            return Err("malformed \\P or \\p sequence".to_owned());
        }
        let negated = (c == 'P') != (plain.len() != name.len());
        let class = format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' });
        octets_in(&class)
    }

    pub(super) fn bracket(&mut self) -> Result<(), String> {
        const UNCLOSED: &str = "missing terminating ] for character class";
        let mut known = POSIX_CLASSES.to_vec();
        known.extend(["word", "ascii"]);
        let negated = self.scan.eat("^");
        let mut members = Members::default();
        let mut first = true;
        loop {
            if !first && self.scan.eat("]") {
                members.write(&mut self.out, negated);
                return Ok(());
            }
            first = false;
            if let Some(name) = self.class_name() {
                members.named(name, &known)?;
                continue;
            }
            if self.scan.eat("\\Q") {
                let text = self.scan.until("\\E").ok_or(UNCLOSED)?;
                for c in text.chars() {
                    members.range(c, c)?;
                }
                continue;
            }
            if self.scan.eat("\\E") {
                continue;
            }
            let Some(from) = self.member(&mut members)? else {
                continue;
            };
            let from = from.ok_or(UNCLOSED)?;
            let mut ahead = self.scan.clone();
            let is_range = ahead.eat("-") && !matches!(ahead.peek(), None | Some(']'));
            if !is_range {
                members.range(from, from)?;
                continue;
            }
            self.scan = ahead;
            match self.member(&mut members)? {
                Some(to) => members.range(from, to.ok_or(UNCLOSED)?)?,
                // `[a-\d]`: the hyphen stands for itself.
                None => {
                    members.range(from, from)?;
                    members.range('-', '-')?;
                }
            }
        }
    }

    /// `[:name:]` if it is next.
    fn class_name(&mut self) -> Option<&str> {
        let mut ahead = self.scan.clone();
        if !ahead.eat("[:") {
            return None;
        }
        let name = ahead.take(usize::MAX, |c| c == '^' || c.is_ascii_alphabetic());
        if !ahead.eat(":]") {
            return None;
        }
        self.scan = ahead;
        Some(name)
    }

    /// A character of a bracket expression (`Some(None)` at the end of the text), or `None` if it was
    /// a set and has been added.
    fn member(&mut self, members: &mut Members) -> Result<Option<Option<char>>, String> {
        let Some(c) = self.scan.next() else {
            return Ok(Some(None));
        };
        if c != '\\' {
            return Ok(Some(Some(c)));
        }
        let Some(c) = self.scan.next() else {
            return Ok(Some(None));
        };
        if let Some((text, negated)) = class_of(c) {
            members.raw(&format!("[{}{text}]", if negated { "^" } else { "" }));
            return Ok(None);
        }
        Ok(match c {
            'b' => Some(Some('\x08')),
            'p' | 'P' => {
                let text = self.property_text(c)?;
                members.raw(&text);
                None
            }
            '1'..='7' => {
                let digits = format!("{c}{}", self.scan.take(2, |c| c.is_digit(8)));
                Some(Some(code_point(&digits, 8)?))
            }
            c => Some(Some(self.character(c)?)),
        })
    }
}

/// The bytes whose characters (ISO 8859-1) are in a class of the crate, as another class.
fn octets_in(class: &str) -> Result<String, String> {
    let class =
        fancy_regex::Regex::new(class).map_err(|_| "unknown property name after \\P or \\p")?;
    let mut members = Members::default();
    let mut none = true;
    for byte in 0..=u8::MAX {
        let mut text = [0; 4];
        let text = char::from(byte).encode_utf8(&mut text);
        if class.is_match(text).unwrap_or(false) {
            members.range(octet(byte), octet(byte))?;
            none = false;
        }
    }
    let mut out = String::new();
    members.write(&mut out, false);
    Ok(if none { NOTHING.to_owned() } else { out })
}
