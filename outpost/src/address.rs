//! Addresses as people write them, or paste them from elsewhere: `a@example.com`,
//! `<a@example.com>`, `Name <a@example.com>`, `"two words"@example.com`.
//!
//! Anything that is not clearly one address is refused, with a reason that helps. Nothing is sent as something else than it says.
//! Lists, as header fields have them, are for [`parse_list`].
//!
//! ```
//! let address = outpost::address::parse("Ann Lee <ann@example.com>")?;
//! assert_eq!(address.as_str(), "ann@example.com");
//! assert!(outpost::address::parse("a@example.com, b@example.com").is_err());
//! # Ok::<(), outpost::address::AddressError>(())
//! ```

use std::{error, fmt};

use smtp_proto::address::Address;

use crate::address_list;

/// The reason for which a text is not one address, or not a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for AddressError {}

/// Reads one address.
///
/// # Errors
/// It is none, or more than one.
pub fn parse(text: &str) -> Result<Address, AddressError> {
    read(text).map_err(AddressError)
}

/// Reads a list of addresses, as header fields and command lines have them (RFC 5322 section 3.4): names, comments, groups,
/// and the obsolete forms. An empty list, and a group without members, have none.
///
/// ```
/// let found = outpost::address::parse_list("Ann <ann@example.com>, friends: bob@example.net;")?;
/// assert_eq!(found.len(), 2);
/// # Ok::<(), outpost::address::AddressError>(())
/// ```
///
/// # Errors
/// A part of the list is no address.
pub fn parse_list(list: &str) -> Result<Vec<Address>, AddressError> {
    address_list::parse(list).map_err(AddressError)
}

fn read(text: &str) -> Result<Address, String> {
    let text = text.trim();
    let inner = match text.strip_suffix('>') {
        Some(rest) => in_brackets(rest)?,
        None => text,
    };
    let (local, rest) = local_part(inner)?;
    let domain = match rest.strip_prefix('@') {
        Some(domain) => Some(check_domain(domain)?),
        None => None,
    };
    let address = match domain {
        Some(domain) => format!("{local}@{domain}"),
        None => local,
    };
    Address::parse(&address).map_err(|error| error.to_string())
}

/// The text between the brackets, after a name or nothing.
fn in_brackets(text: &str) -> Result<&str, String> {
    let Some((name, address)) = text.rsplit_once('<') else {
        return Err("there is a '>' without '<'".to_owned());
    };
    let mut name = name.trim();
    if let Some(quoted) = name.strip_prefix('"') {
        // A name in quotes may hold anything.
        let (_, rest) = unquote(quoted)?;
        name = rest.trim();
    }
    let telling = |c: &char| matches!(c, '<' | '>' | '@' | ',' | ';' | ':');
    match name.chars().find(telling) {
        None => Ok(address),
        // The end or the beginning of another one.
        Some('<' | '>') => Err(unexpected(',')),
        Some(other) => Err(unexpected(other)),
    }
}

/// The local part in internal form, and what follows it: nothing, or `@` and the domain.
fn local_part(text: &str) -> Result<(String, &str), String> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = text.find('@').unwrap_or(text.len());
            let (local, rest) = text.split_at_checked(end).unwrap_or((text, ""));
            if local.is_empty() && !rest.is_empty() {
                return Err("there is nothing before the @".to_owned());
            }
            match local.chars().find(|c| is_special(*c)) {
                Some(other) => return Err(unexpected(other)),
                None => (local.to_owned(), rest),
            }
        }
    };
    match rest.chars().next() {
        None | Some('@') => Ok((local, rest)),
        Some(other) => Err(unexpected(other)),
    }
}

/// The content of a quoted string whose first quote has been read, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut content = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next() {
            Some('"') => return Ok((content, chars.as_str())),
            Some('\\') => content.extend(chars.next()),
            Some(c) if !c.is_control() => content.push(c),
            Some(other) => return Err(unexpected(other)),
            None => return Err("a quote has no end".to_owned()),
        }
    }
}

/// A domain, or an address in brackets such as `[192.0.2.1]` and `[IPv6:2001:db8::1]`.
fn check_domain(domain: &str) -> Result<&str, String> {
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let (inner, allowed) = match literal {
        Some(inner) => (inner, ":"),
        None => (domain, ""),
    };
    if inner.is_empty() {
        return Err("there is nothing after the @".to_owned());
    }
    let wrong = |c: &char| *c == '@' || (is_special(*c) && !allowed.contains(*c));
    match inner.chars().find(wrong) {
        Some(other) => Err(unexpected(other)),
        None => Ok(domain),
    }
}

/// Returns whether it means something outside of quotes, and so belongs to no address.
fn is_special(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "()<>[]:;,\\\"".contains(c)
}

fn unexpected(c: char) -> String {
    match c {
        ',' | ';' => "expected one address; give the option once for each".to_owned(),
        '@' => "there is more than one @ outside of quotes".to_owned(),
        c if c.is_control() => format!("a byte {:#04x} is in it", u32::from(c)),
        c => format!("a '{c}' is outside of quotes"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clearly_one_address_is_understood() {
        for (text, address) in [
            ("a@x.example", "a@x.example"),
            (" a@x.example\n", "a@x.example"),
            ("joe", "joe"),
            ("<a@x.example>", "a@x.example"),
            ("Ann Lee <a@x.example>", "a@x.example"),
            ("Ann O. Lee<a@x.example> ", "a@x.example"),
            ("\"Lee, Ann <work>\" <a@x.example>", "a@x.example"),
            ("\"two words\"@x.example", "two words@x.example"),
            ("<\"a\\\"b,c\"@x.example>", "a\"b,c@x.example"),
            ("\"a@b\"@x.example", "a@b@x.example"),
            ("\"\"@x.example", "@x.example"),
            ("a+b/c=d..e@x.example", "a+b/c=d..e@x.example"),
            ("o'neil@x.example", "o'neil@x.example"),
            ("b@[127.0.0.1]", "b@[127.0.0.1]"),
            ("b@[IPv6:2001:db8::1]", "b@[IPv6:2001:db8::1]"),
            ("grün@bücher.example", "grün@bücher.example"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), address, "{text:?}");
        }
    }

    #[test]
    fn all_else_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "the address is empty"),
            ("<>", "the address is empty"),
            ("a@x, b@x", "expected one address"),
            ("a@x,b@x", "expected one address"),
            ("a@x; b@x", "expected one address"),
            ("A <a@x>, B <b@x>", "expected one address"),
            ("<a@x>, <b@x>", "expected one address"),
            ("<a@x> <b@x>", "expected one address"),
            ("a@x <a@x>", "more than one @"),
            ("a@b@x", "more than one @"),
            ("@x", "nothing before the @"),
            ("a@", "nothing after the @"),
            ("a@[]", "nothing after the @"),
            ("a b@x", "a ' ' is outside"),
            ("a@x y", "a ' ' is outside"),
            ("<a@x> Ann", "a '<' is outside"),
            ("a@x (Ann)", "a ' ' is outside"),
            ("a@x>", "a '>' without '<'"),
            ("mailto:a@x", "a ':' is outside"),
            ("@a,@b:c@d", "nothing before the @"),
            ("friends: a@x, b@x;", "a ':' is outside"),
            ("a\nb@x", "a byte 0x0a"),
            ("a@x\r\nRCPT TO:<b@y>", ""),
            ("\"a@x", "a quote has no end"),
            ("\"a\"b@x", "a 'b' is outside"),
            ("\"a\rb\"@x", "a byte 0x0d"),
            ("a@[1.2.3.4", "a '[' is outside"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
