//! Address lists as they stand in header fields and on command lines (RFC 5322 section 3.4): names,
//! comments, groups, quoted local parts, and the obsolete forms. Encoded words stand in names and
//! comments only, so that they need not be read.
//!
//! The addresses become recipients, so nothing is guessed: what is not clearly an address is refused. The
//! crate `mail-parser` reads the same lists, but is made for showing mail: of
//! `"two words"@example.com` it keeps `@example.com`, and `<a@x> <b@y>` is `a@xb@y` to it.

use smtp_proto::address::Address;

use crate::address;

/// The addresses of a list, or the part that is none, and the reason.
pub(crate) fn parse(list: &str) -> Result<Vec<Address>, String> {
    let mut found = Vec::new();
    for text in split(list)? {
        let text = text.trim();
        if !text.is_empty() && text != "<>" {
            let address = address::parse(text).map_err(|why| format!("'{text}': {why}"))?;
            found.push(address);
        }
    }
    Ok(found)
}

/// The place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between parts.
    Open,
    /// In a quoted string.
    Quoted,
    /// Between angle brackets.
    Angle,
    /// In a domain literal.
    Literal,
}

/// The mailboxes of a list as texts without comments, routes, and white space around dots and `@`.
fn split(list: &str) -> Result<Vec<String>, String> {
    let mut found = vec![Part::default()];
    let (mut place, mut comments, mut in_group) = (Place::Open, 0_u32, false);
    let mut chars = list.chars();
    while let Some(c) = chars.next() {
        let Some(part) = found.last_mut() else { break };
        if comments > 0 {
            match c {
                '(' => comments += 1,
                ')' => comments -= 1,
                '\\' => drop(chars.next()),
                _ => {}
            }
            continue;
        }
        match (place, c) {
            (Place::Quoted, '\\') => {
                part.push(c);
                chars.next().into_iter().for_each(|c| part.push(c));
            }
            (Place::Quoted, '"') | (Place::Literal, ']') => {
                part.push(c);
                place = match part.angle {
                    true => Place::Angle,
                    false => Place::Open,
                };
            }
            (Place::Quoted | Place::Literal, c) => part.push(c),
            (_, '(') => {
                part.gap();
                comments = 1;
            }
            (_, '"') => {
                part.push_after_gap(c);
                place = Place::Quoted;
            }
            (_, '[') => {
                part.push_after_gap(c);
                place = Place::Literal;
            }
            (Place::Open, '<') => {
                part.push_after_gap(c);
                part.angle = true;
                place = Place::Angle;
            }
            (Place::Angle, '>') => {
                part.push(c);
                part.angle = false;
                place = Place::Open;
            }
            // A route (RFC 5322 section 4.4), over which nobody sends any more.
            (Place::Angle, ':') if part.inner().starts_with('@') => part.forget_route(),
            (Place::Open, ':') if !in_group && !part.text.contains('@') => {
                in_group = true;
                found.pop();
                found.push(Part::default());
            }
            (Place::Open, ';') if in_group => {
                in_group = false;
                found.push(Part::default());
            }
            (Place::Open, ',') => found.push(Part::default()),
            (_, c) if c.is_whitespace() => part.gap(),
            (_, c) => part.push_after_gap(c),
        }
    }
    let last = found
        .last()
        .map(|part| part.text.as_str())
        .unwrap_or_default();
    match (place, comments) {
        (_, 1..) => Err("a comment has no end".to_owned()),
        (Place::Quoted, _) => Err(format!("'{last}': a quote has no end")),
        (Place::Angle | Place::Literal, _) => Err(format!("'{last}': a bracket has no end")),
        (Place::Open, _) => Ok(found.into_iter().map(|part| part.text).collect()),
    }
}

/// A mailbox that is being read.
#[derive(Debug, Default)]
struct Part {
    text: String,
    /// It is between its angle brackets.
    angle: bool,
    /// White space or a comment has come, and nothing since.
    gap: bool,
}

impl Part {
    fn gap(&mut self) {
        self.gap = true;
    }

    fn push(&mut self, c: char) {
        self.gap = false;
        self.text.push(c);
    }

    /// Adds a character of a word. White space before it counts, but not around `@` and dots: the obsolete
    /// form of an address.
    fn push_after_gap(&mut self, c: char) {
        let joins = |c: char| matches!(c, '@' | '.' | '<');
        let is_name = !self.angle && c == '<';
        let apart = is_name || !(joins(c) || self.text.ends_with(joins));
        if self.gap && apart && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.push(c);
    }

    /// The text since the angle bracket.
    fn inner(&self) -> &str {
        self.text.rsplit_once('<').map_or("", |(_, inner)| inner)
    }

    fn forget_route(&mut self) {
        let route = self.inner().len();
        self.text.truncate(self.text.len() - route);
        self.gap = false;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written() {
        for (list, addresses) in [
            ("", &[][..]),
            ("a@x.example", &["a@x.example"]),
            ("Ann <a@x>, b@y", &["a@x", "b@y"]),
            ("a@x,,b@y,", &["a@x", "b@y"]),
            ("\"Lee, Ann\" <a@x>, Bob Q. Public <b@y>", &["a@x", "b@y"]),
            ("Ann O. Lee <a@x>", &["a@x"]),
            (
                "\"two words\"@x.example, b@y",
                &["two words@x.example", "b@y"],
            ),
            ("Ann <\"a\\\"b,c\"@x>", &["a\"b,c@x"]),
            ("undisclosed-recipients:;", &[]),
            ("friends: a@x, B <b@y>;, c@z", &["a@x", "b@y", "c@z"]),
            ("a: ;, b: c@z;", &["c@z"]),
            ("a@x (Ann, of course \\) (and more))", &["a@x"]),
            ("(to) a@x, (c)b@y(d)", &["a@x", "b@y"]),
            ("Foo (bar) Baz <a@x>", &["a@x"]),
            ("a . b @ x . y", &["a.b@x.y"]),
            ("Ann < a@x >", &["a@x"]),
            ("=?utf-8?q?J=C3=BC=2C_x?= <j@x>", &["j@x"]),
            (
                "gr\u{fc}n@b\u{fc}cher.example",
                &["gr\u{fc}n@b\u{fc}cher.example"],
            ),
            ("<@a,@b:c@d>, e@f", &["c@d", "e@f"]),
            (
                "a@[127.0.0.1], b@[IPv6:::1]",
                &["a@[127.0.0.1]", "b@[IPv6:::1]"],
            ),
            ("root, Ann <ann>", &["root", "ann"]),
            ("<>", &[]),
        ] {
            let found = parse(list).unwrap();
            let found: Vec<&str> = found.iter().map(Address::as_str).collect();
            assert_eq!(found, addresses, "{list:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (list, reason) in [
            ("a@x, John Doe", "'John Doe': a ' ' is outside"),
            ("<a@x> <b@y>", "expected one address"),
            ("a@x b@y", "'a@x b@y': a ' ' is outside"),
            ("\"a <b@x>, c@y", "a quote has no end"),
            ("<a@x", "a bracket has no end"),
            ("a@[1.2", "a bracket has no end"),
            ("a@x (b", "a comment has no end"),
            ("a@x>", "'>' without '<'"),
            ("mailto:a@x:b", "a ':' is outside"),
            ("a@x;b@y", "expected one address"),
            ("@x", "nothing before the @"),
            ("a@x\0", "a byte 0x00"),
        ] {
            let error = parse(list).unwrap_err();
            assert!(error.contains(reason), "{list:?}: {error}");
        }
    }
}
