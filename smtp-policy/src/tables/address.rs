//! Looking up mail addresses: which keys to try, in which order.
//!
//! For `user+ext@domain` the keys are the whole address, `user@domain`, `user+ext` and `user` if the
//! domain is local, and `@domain`. Keys have the local part in quoted form where it needs quotes.
//! Tables of patterns see the whole address only.
//!
//! Source: Postfix `src/global/mail_addr_find.c`, `strip_addr.c`, `split_addr.c`, for the strategy of
//! `smtp_generic_maps`.

use super::TableFailure;
use super::maps::{Maps, MapsSearch, MapsStep};

/// What a lookup needs to know about addresses, apart from the address.
#[derive(Debug, Clone, Copy)]
pub struct AddressRules<'a> {
    /// `recipient_delimiter`: the characters that can separate the user name from an extension. Empty
    /// if there are no extensions.
    pub recipient_delimiter: &'a str,
    /// `double_bounce_sender`: a local part that is never taken apart.
    pub double_bounce_sender: &'a str,
    /// `owner_request_special`: with `-` as delimiter, `owner-list` and `list-request` are not taken
    /// apart.
    pub owner_request: OwnerRequest,
    /// Whether the domain of the address counts as local.
    pub domain: DomainKind,
    /// How the local part is written in keys.
    pub forms: KeyForms,
}

/// How a local part that needs quotes is written in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForms {
    /// With its quotes.
    Quoted,
    /// With its quotes, and if there is no such key without them.
    QuotedThenPlain,
}

/// Whether `owner-list` and `list-request` are names of their own (`owner_request_special`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRequest {
    /// They are, which is the default.
    Special,
    /// They are names with an extension like others.
    Ordinary,
}

/// What the domain of an address is to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainKind {
    /// `myorigin`, a member of `mydestination`, or an own address literal: the local part alone is
    /// looked up too.
    Local,
    /// Any other.
    Remote,
}

impl Default for AddressRules<'_> {
    /// Postfix's defaults: no extensions; and no domain is local.
    fn default() -> Self {
        AddressRules {
            recipient_delimiter: "",
            double_bounce_sender: "double-bounce",
            owner_request: OwnerRequest::Special,
            domain: DomainKind::Remote,
            forms: KeyForms::Quoted,
        }
    }
}

/// What was found for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMatch {
    /// The text from the table.
    pub value: String,
    /// The extension, delimiter included, if the key that matched was the address or the local part
    /// without it. It is what `propagate_unmatched_extensions` may add to the result.
    pub extension: Option<String>,
}

/// A key to try.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    text: String,
    /// Only the whole address may be asked of a table of patterns.
    partial: bool,
    /// The extension that this key lacks.
    extension: Option<String>,
}

/// Looks an address (in internal form, without quotes) up in tables that need no driver.
///
/// # Errors
///
/// If a table fails before an answer was found, or an external table would have to be asked.
pub fn find_address(
    maps: &Maps,
    address: &str,
    rules: &AddressRules<'_>,
) -> Result<Option<AddressMatch>, TableFailure> {
    let mut search = AddressSearch::new(maps, address, rules);
    match search.next() {
        AddressStep::Done(result) => result,
        AddressStep::Ask { table, .. } => Err(TableFailure {
            table: format!("external:{table}"),
            reason: "an external table cannot be asked here".to_owned(),
        }),
    }
}

/// A search for an address that stops where an external table must be asked, see [`MapsSearch`].
#[derive(Debug, Clone)]
pub struct AddressSearch {
    maps: Maps,
    /// The keys that were not tried yet, the next one last.
    keys: Vec<Key>,
    current: Option<(Key, MapsSearch)>,
    /// The work of the searches that are over, in steps.
    taken: u64,
    result: Option<Result<Option<AddressMatch>, TableFailure>>,
}

/// What an [`AddressSearch`] wants or has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum AddressStep {
    /// The search is over. Further calls say the same again.
    Done(Result<Option<AddressMatch>, TableFailure>),
    /// Ask the external table `table` for `key`, as with [`MapsStep::Ask`].
    Ask {
        /// The name after `external:`.
        table: String,
        /// The key, not folded.
        key: String,
    },
}

impl AddressSearch {
    /// Starts a search for an address in internal form. The empty address is never found.
    pub fn new(maps: &Maps, address: &str, rules: &AddressRules<'_>) -> Self {
        let mut keys = if maps.is_empty() {
            Vec::new()
        } else {
            keys(address, rules)
        };
        keys.reverse();
        AddressSearch {
            maps: maps.clone(),
            keys,
            current: None,
            taken: 0,
            result: None,
        }
    }

    /// Searches on until there is a result or a question.
    #[expect(
        clippy::should_implement_trait,
        reason = "a search waits for answers, an iterator would not"
    )]
    pub fn next(&mut self) -> AddressStep {
        loop {
            if let Some(result) = &self.result {
                return AddressStep::Done(result.clone());
            }
            if let Some((key, search)) = &mut self.current {
                match search.next() {
                    MapsStep::Ask { table, key } => return AddressStep::Ask { table, key },
                    MapsStep::Done(Ok(None)) => {
                        self.taken = self.taken.saturating_add(search.steps().taken());
                        self.current = None;
                    }
                    MapsStep::Done(Ok(Some(value))) => {
                        let extension = key.extension.take();
                        self.result = Some(Ok(Some(AddressMatch { value, extension })));
                    }
                    MapsStep::Done(Err(failure)) => self.result = Some(Err(failure)),
                }
                continue;
            }
            match self.keys.pop() {
                None => self.result = Some(Ok(None)),
                Some(key) => {
                    let search = if key.partial {
                        self.maps.search_partial(&key.text)
                    } else {
                        self.maps.search(&key.text)
                    };
                    self.current = Some((key, search));
                }
            }
        }
    }

    /// The number of [`Steps`](super::Steps) the search has taken so far.
    pub fn taken(&self) -> u64 {
        let current = self.current.as_ref();
        let current = current.map_or(0, |(_, search)| search.steps().taken());
        self.taken.saturating_add(current)
    }

    /// Takes the answer to the last [`AddressStep::Ask`]. It is ignored if nothing was asked.
    pub fn answered(&mut self, answer: Result<Option<String>, TableFailure>) {
        if let Some((_, search)) = &mut self.current {
            search.answered(answer);
        }
    }
}

/// The keys for an address, in order.
fn keys(address: &str, rules: &AddressRules<'_>) -> Vec<Key> {
    if address.is_empty() {
        return Vec::new();
    }
    let (local, domain) = match address.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (address, None),
    };
    let bare = extension_of(local, rules);
    let mut keys = Vec::new();
    let mut add = |user: &str, end: &str, partial: bool, extension: Option<&str>| {
        let quoted = quoted(user);
        let plain = (rules.forms == KeyForms::QuotedThenPlain && quoted != user)
            .then(|| format!("{user}{end}"));
        for text in std::iter::once(format!("{quoted}{end}")).chain(plain) {
            keys.push(Key {
                text,
                partial,
                extension: extension.map(str::to_owned),
            });
        }
    };
    let at_domain = domain.map_or_else(String::new, |domain| format!("@{domain}"));
    add(local, &at_domain, false, None);
    if let Some((user, extension)) = bare {
        add(user, &at_domain, true, Some(extension));
    }
    if domain.is_some() {
        if rules.domain == DomainKind::Local {
            add(local, "", true, None);
            if let Some((user, extension)) = bare {
                add(user, "", true, Some(extension));
            }
        }
        keys.push(Key {
            text: at_domain,
            partial: true,
            extension: None,
        });
    }
    keys
}

/// Splits a local part into the user name and the extension with its delimiter.
fn extension_of<'a>(local: &'a str, rules: &AddressRules<'_>) -> Option<(&'a str, &'a str)> {
    let names = ["postmaster", "mailer-daemon", rules.double_bounce_sender];
    if names.iter().any(|name| name.eq_ignore_ascii_case(local)) {
        return None;
    }
    let delimiters = rules.recipient_delimiter;
    if delimiters.contains('-') && rules.owner_request == OwnerRequest::Special {
        let lower = local.to_ascii_lowercase();
        let is_request = lower.len() > "-request".len() && lower.ends_with("-request");
        if lower.starts_with("owner-") || is_request {
            return None;
        }
    }
    let at = local
        .find(|c| delimiters.contains(c))
        .filter(|&at| at > 0)?;
    local.split_at_checked(at)
}

/// The local part as RFC 822 writes it: with quotes if it is not a sequence of atoms and dots. A
/// source route before it stays as it is (`quote_822_local.c`).
fn quoted(local: &str) -> String {
    if local.starts_with('@')
        && let Some((route, rest)) = local.split_once(':')
    {
        return format!("{route}:{}", quoted_string(rest));
    }
    quoted_string(local)
}

fn quoted_string(local: &str) -> String {
    let special = |c: char| c.is_ascii_control() || " ()<>@,;:\\\"[]".contains(c);
    let plain = !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && !local.contains(special);
    if plain {
        return local.to_owned();
    }
    let mut text = String::with_capacity(local.len() + 2);
    text.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\' | '\r') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;
    use crate::tables::testing::maps;

    fn rules(delimiter: &str, domain: DomainKind) -> AddressRules<'_> {
        AddressRules {
            recipient_delimiter: delimiter,
            domain,
            ..AddressRules::default()
        }
    }

    #[test]
    fn keys_come_in_the_order_of_postfix() {
        use DomainKind::{Local, Remote};
        // (address, recipient_delimiter, domain, keys; "!" marks what the key lacks)
        type Row = (&'static str, &'static str, DomainKind, &'static str);
        let rows: &[Row] = &[
            ("", "+", Local, ""),
            ("a@b", "", Remote, "a@b @b"),
            ("a+x@b", "", Remote, "a+x@b @b"),
            ("a+x@b", "+", Remote, "a+x@b a@b!+x @b"),
            ("a+x@b", "+", Local, "a+x@b a@b!+x a+x a!+x @b"),
            ("a+x", "+", Local, "a+x a!+x"),
            ("a-x+y@b", "+-", Remote, "a-x+y@b a@b!-x+y @b"),
            ("+x@b", "+", Remote, "+x@b @b"),
            ("a+@b", "+", Remote, "a+@b a@b!+ @b"),
            ("owner-a@b", "-", Remote, "owner-a@b @b"),
            ("a-request@b", "-", Remote, "a-request@b @b"),
            ("-request@b", "-", Remote, "-request@b @b"),
            ("MAILER-DAEMON@b", "-", Remote, "MAILER-DAEMON@b @b"),
            (
                "double-bounce@b",
                "-",
                Local,
                "double-bounce@b double-bounce @b",
            ),
            ("a\"c@b", "", Local, "\"a\\\"c\"@b \"a\\\"c\" @b"),
            (".a@b@c", "", Remote, "\".a@b\"@c @c"),
            ("@r:a@b", "", Remote, "@r:a@b @b"),
            ("@r,@s:.a@b", "", Remote, "@r,@s:\".a\"@b @b"),
        ];
        for (address, delimiter, domain, expected) in rows {
            let found: Vec<String> = keys(address, &rules(delimiter, *domain))
                .into_iter()
                .map(|key| match key.extension {
                    Some(extension) => format!("{}!{extension}", key.text),
                    None => key.text,
                })
                .collect();
            assert_eq!(&found.join(" "), expected, "{address}");
        }
    }

    #[test]
    fn the_most_specific_entry_wins_and_tells_the_extension_it_lacks() {
        let maps = maps("inline:{a+x@b=full, a@b=bare, c=user, @b=domain}");
        let rules = rules("+", DomainKind::Local);
        let rows = [
            ("a+x@b", "full", None),
            ("a+y@b", "bare", Some("+y")),
            ("A@B", "bare", None),
            ("c+z@b", "user", Some("+z")),
            ("d+x@b", "domain", None),
        ];
        for (address, value, extension) in rows {
            let found = find_address(&maps, address, &rules).unwrap().unwrap();
            assert_eq!(found.value, value, "{address}");
            assert_eq!(found.extension.as_deref(), extension, "{address}");
        }
        assert_eq!(find_address(&maps, "a@c", &rules), Ok(None));
    }

    #[test]
    fn pattern_tables_see_the_whole_address_only() {
        let maps = maps("regexp:{{/^(@b|a@b|a)$/ hit}}");
        let rules = rules("+", DomainKind::Local);
        assert_eq!(find_address(&maps, "a+x@b", &rules), Ok(None));
        let found = find_address(&maps, "a@b", &rules).unwrap().unwrap();
        assert_eq!(found.value, "hit");
    }

    #[test]
    fn a_failing_table_is_not_a_missing_entry() {
        let maps = maps("inline:{a@b=x}, fail:now");
        let rules = AddressRules::default();
        assert!(find_address(&maps, "a@b", &rules).unwrap().is_some());
        assert!(find_address(&maps, "c@b", &rules).is_err());
    }

    #[test]
    fn an_external_table_is_asked_for_each_key_in_turn() {
        let maps = maps("external:ldap");
        let rules = rules("+", DomainKind::Remote);
        let mut search = AddressSearch::new(&maps, "a+x@b", &rules);
        for key in ["a+x@b", "a@b"] {
            let question = AddressStep::Ask {
                table: "ldap".to_owned(),
                key: key.to_owned(),
            };
            assert_eq!(search.next(), question);
            let answer = (key == "a@b").then(|| "found".to_owned());
            search.answered(Ok(answer));
        }
        let found = AddressMatch {
            value: "found".to_owned(),
            extension: Some("+x".to_owned()),
        };
        assert_eq!(search.next(), AddressStep::Done(Ok(Some(found))));
        assert!(find_address(&maps, "a@b", &rules).is_err());
    }
}
