//! The canonical form of an address, which Postfix has from its trivial-rewrite
//! service (`src/trivial-rewrite/rewrite.c`, rewriting context `local`).

use smtp_proto::command::HelloName;

use super::settings::Rewriting;
use super::tokens::{Token, quote, scan};

/// What is missing in an address, and which old forms are understood.
#[derive(Clone, Debug, Default)]
pub(super) struct Canonical {
    /// `myorigin`; empty if addresses are not completed (`append_at_myorigin`).
    origin: String,
    /// `mydomain`; empty if domains are not completed (`append_dot_mydomain`).
    domain: String,
    swap_bangpath: bool,
    percent_hack: bool,
}

const AT: Token = Token::Operator('@');
const DOT: Token = Token::Operator('.');

impl Canonical {
    pub(super) fn new(rewriting: &Rewriting) -> Self {
        let text = |name: &Option<HelloName>| name.as_ref().map(HelloName::to_string);
        Self {
            origin: text(&rewriting.origin).unwrap_or_default(),
            domain: text(&rewriting.domain).unwrap_or_default(),
            swap_bangpath: rewriting.swap_bangpath,
            percent_hack: rewriting.percent_hack,
        }
    }

    /// The canonical form of an address. Both are in external form.
    pub(super) fn of(&self, address: &str) -> String {
        let mut tokens = scan(address);
        let list = &mut tokens.list;
        if *list == [AT] {
            *list = vec![Token::Quoted(String::new())];
        }
        if *list != [Token::Quoted(String::new())] {
            strip_route(list);
            if !list.contains(&AT) {
                self.add_origin(list);
            }
            self.add_domain(list);
            strip_dot(list);
        }
        quote(&tokens.internal())
    }

    /// An address without `@`.
    fn add_origin(&self, list: &mut Vec<Token>) {
        let bang = list.iter().position(|token| *token == Token::Operator('!'));
        let percent = list
            .iter_mut()
            .rfind(|token| **token == Token::Operator('%'));
        if let Some(bang) = bang.filter(|_| self.swap_bangpath) {
            let local = list.split_off(bang + 1);
            list.truncate(bang);
            list.insert(0, AT);
            list.splice(0..0, local);
        } else if let Some(percent) = percent.filter(|_| self.percent_hack) {
            *percent = AT;
        } else if !self.origin.is_empty() {
            list.push(AT);
            list.append(&mut scan(&self.origin).list);
        }
    }

    /// A domain without a dot. One that is empty is left alone.
    fn add_domain(&self, list: &mut Vec<Token>) {
        let domain = list
            .iter()
            .rposition(|token| *token == AT)
            .and_then(|at| list.get(at + 1..));
        let whole = |token: &Token| *token == DOT || matches!(token, Token::Literal(_));
        let bare = domain.is_some_and(|domain| !domain.is_empty() && !domain.iter().any(whole));
        if bare && !self.domain.is_empty() {
            list.push(DOT);
            list.append(&mut scan(&self.domain).list);
        }
    }
}

/// `@a,@b:user@domain` is `user@domain`.
fn strip_route(list: &mut Vec<Token>) {
    if list.first() == Some(&AT)
        && let Some(colon) = list.iter().position(|token| *token == Token::Operator(':'))
        && colon + 1 < list.len()
    {
        list.drain(..=colon);
    }
}

/// One dot at the end of a domain is taken off.
fn strip_dot(list: &mut Vec<Token>) {
    if let [.., before, last] = list.as_slice()
        && *last == DOT
        && *before != DOT
        && *before != AT
    {
        list.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added() {
        let full = Canonical {
            origin: "origin.example".into(),
            domain: "example".into(),
            swap_bangpath: true,
            percent_hack: true,
        };
        for (address, want) in [
            ("user", "user@origin.example"),
            ("user@host", "user@host.example"),
            ("user@host.test", "user@host.test"),
            ("user@host.test.", "user@host.test"),
            ("user@host..", "user@host.."),
            ("user@", "user@"),
            ("@", "\"\""),
            ("\"\"", "\"\""),
            ("user@[192.0.2.1]", "user@[192.0.2.1]"),
            ("host!user", "user@host.example"),
            ("a!b!user", "b!user@a.example"),
            ("user%host", "user@host.example"),
            ("a%b%host.test", "a%b@host.test"),
            ("@a,@b:user@host.test", "user@host.test"),
            ("\"two words\"", "\"two words\"@origin.example"),
            ("\"a@b\"", "\"a@b\"@origin.example"),
        ] {
            assert_eq!(full.of(address), want, "{address}");
        }
    }

    #[test]
    fn nothing_is_added_where_nothing_is_configured() {
        let bare = Canonical::default();
        for address in [
            "user",
            "user@host",
            "host!user",
            "user%host",
            "user@host.test",
        ] {
            assert_eq!(bare.of(address), address);
        }
    }
}
