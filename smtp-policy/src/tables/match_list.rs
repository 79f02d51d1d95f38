//! Lists of strings, of domains and of addresses that something may be a member of, such as
//! `smtp_connection_cache_destinations` and `debug_peer_list`.
//!
//! A list is separated by commas or white space. A member is a text, `/file/name` (the members in that
//! file) or `type:table` (what the table has an entry for); `!` in front of it excludes what matches.
//! The first member that matches decides. Case does not count, but what is looked up in a table is
//! in lower case, and the table has to have it so.
//!
//! Source: Postfix `src/util/match_list.c`, `src/util/match_ops.c`.

use std::sync::Arc;

use super::cidr::{Block, parse_address};
use super::fixed::KeyCase;
use super::lines::logical_lines;
use super::open::{TableContext, nested, open_in, read_file};
use super::words::split;
use super::{Table, TableError, TableFailure};

/// What the members of a list stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// Texts that must be equal.
    Strings,
    /// Host names, domains, addresses and network blocks. `example.com` stands for itself and all names
    /// below it: for parameters named in `parent_domain_matches_subdomains`.
    HostsWithSubdomains,
    /// Host names, domains, addresses and network blocks. `example.com` stands for itself only,
    /// `.example.com` for all names below it.
    Hosts,
}

/// A list of members. The default is empty and matches nothing.
#[derive(Debug, Clone, Default)]
pub struct MatchList {
    case: KeyCase,
    members: Arc<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    positive: bool,
    pattern: Pattern,
}

#[derive(Debug)]
enum Pattern {
    String(String),
    Host {
        name: String,
        subdomains: bool,
    },
    Block(Block),
    Table {
        table: Arc<dyn Table>,
        kind: MatchKind,
    },
}

impl MatchList {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// If a file or table cannot be opened, files refer to each other too deeply, nothing follows a
    /// `!`, or a network block is malformed.
    pub fn open(
        text: &str,
        kind: MatchKind,
        context: &mut TableContext<'_>,
    ) -> Result<MatchList, TableError> {
        let mut members = Vec::new();
        read(text, true, kind, context, &mut members)?;
        Ok(MatchList {
            case: context.case(),
            members: Arc::new(members),
        })
    }

    /// A list of texts, compared in any case; `!` in front of one excludes it.
    pub fn of_strings<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let case = KeyCase::default();
        let member = |text: &str| Member {
            positive: !text.starts_with('!'),
            pattern: Pattern::String(case.fold(text.trim_start_matches('!'))),
        };
        Self {
            case,
            members: Arc::new(members.into_iter().map(member).collect()),
        }
    }

    /// Whether the list has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a text (a destination, a domain) is in the list.
    ///
    /// # Errors
    ///
    /// If a table fails before a member has matched.
    pub fn contains(&self, text: &str) -> Result<bool, TableFailure> {
        self.find(&[(text, Role::Name)])
    }

    /// Whether a host is in the list by its name or by its address (without brackets).
    ///
    /// # Errors
    ///
    /// If a table fails before a member has matched.
    pub fn contains_host(&self, name: &str, address: &str) -> Result<bool, TableFailure> {
        self.find(&[(name, Role::Name), (address, Role::Address)])
    }

    fn find(&self, subjects: &[(&str, Role)]) -> Result<bool, TableFailure> {
        let subjects: Vec<(String, Role)> = subjects
            .iter()
            .map(|&(text, role)| (self.case.fold(text), role))
            .collect();
        for member in self.members.iter() {
            for (text, role) in &subjects {
                if member.pattern.matches(text, *role)? {
                    return Ok(member.positive);
                }
            }
        }
        Ok(false)
    }
}

/// What a text is that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Address,
}

fn read(
    text: &str,
    positive: bool,
    kind: MatchKind,
    context: &mut TableContext<'_>,
    members: &mut Vec<Member>,
) -> Result<(), TableError> {
    for word in split(text) {
        if word.starts_with('#') {
            context.warn(format!(
                "#comment after other text is not allowed: {word}: ignoring the rest"
            ));
            break;
        }
        let item = word.trim_start_matches('!');
        let positive = positive == ((word.len() - item.len()) % 2 == 0);
        if item.is_empty() {
            return Err(TableError {
                table: text.to_owned(),
                reason: "no pattern after '!'".to_owned(),
            });
        }
        if item.starts_with('/') {
            let (title, bytes) = read_file(item, item, context)?;
            let lines = logical_lines(&title, &bytes, context.warnings_mut());
            nested(item, context, |context| {
                lines
                    .iter()
                    .try_for_each(|line| read(&line.text, positive, kind, context, members))
            })?;
            continue;
        }
        let pattern = pattern(item, kind, context)?;
        members.push(Member { positive, pattern });
    }
    Ok(())
}

fn pattern(
    item: &str,
    kind: MatchKind,
    context: &mut TableContext<'_>,
) -> Result<Pattern, TableError> {
    if !item.starts_with('[') && item.contains(':') {
        let table = context.comparing(KeyCase::Exact, |context| open_in(item, context))?;
        return Ok(Pattern::Table { table, kind });
    }
    let folded = context.case().fold(item);
    if kind == MatchKind::Strings {
        return Ok(Pattern::String(folded));
    }
    // As in Postfix, what is neither a name nor made of the characters of addresses matches nothing.
    let fits = |c: char| c.is_ascii_hexdigit() || ".:[]/".contains(c);
    let is_block = item.contains([':', '/', '[']) && item.chars().all(fits);
    if is_block {
        return Block::parse(item, true)
            .map(Pattern::Block)
            .map_err(|reason| TableError {
                table: item.to_owned(),
                reason,
            });
    }
    Ok(Pattern::Host {
        name: folded,
        subdomains: kind == MatchKind::HostsWithSubdomains,
    })
}

impl Pattern {
    fn matches(&self, text: &str, role: Role) -> Result<bool, TableFailure> {
        match self {
            Pattern::String(pattern) => Ok(pattern == text),
            Pattern::Host { name, subdomains } => {
                Ok(name == text || (role == Role::Name && is_below(text, name, *subdomains)))
            }
            Pattern::Block(block) => Ok(role == Role::Address
                && parse_address(text).is_some_and(|address| block.holds(address))),
            Pattern::Table { table, kind } => {
                if role == Role::Address && parse_address(text).is_none() {
                    return Ok(false);
                }
                let domains = role == Role::Name && *kind != MatchKind::Strings;
                if !domains || table.is_pattern() {
                    return Ok(table.lookup(text)?.is_some());
                }
                any_parent(text, *kind, |name| Ok(table.lookup(name)?.is_some()))
            }
        }
    }
}

/// Whether a name is below a domain.
fn is_below(name: &str, domain: &str, subdomains: bool) -> bool {
    let Some(start) = name.strip_suffix(domain) else {
        return false;
    };
    !start.is_empty()
        && if subdomains {
            start.ends_with('.')
        } else {
            domain.starts_with('.')
        }
}

/// Whether something holds for a name or for a domain that it is in: `b.c` or, where subdomains have
/// to be asked for, `.b.c`.
fn any_parent(
    name: &str,
    kind: MatchKind,
    holds: impl Fn(&str) -> Result<bool, TableFailure>,
) -> Result<bool, TableFailure> {
    let mut next = Some(name);
    while let Some(name) = next {
        if name.is_empty() {
            break;
        }
        if holds(name)? {
            return Ok(true);
        }
        // The dot at the start is where the last step has left it.
        let after_first = name.char_indices().nth(1).map_or(name.len(), |(at, _)| at);
        let dot = name
            .get(after_first..)
            .and_then(|rest| rest.find('.'))
            .map(|at| at + after_first);
        let skip = usize::from(kind == MatchKind::HostsWithSubdomains);
        next = dot.and_then(|dot| name.get(dot + skip..));
    }
    Ok(false)
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
    use std::path::Path;

    fn list(text: &str, kind: MatchKind) -> MatchList {
        MatchList::open(text, kind, &mut TableContext::new(Path::new(""))).unwrap()
    }

    #[test]
    fn strings_match_whole_and_without_regard_to_case() {
        let rows = [
            ("", "a", false),
            ("a b, C", "c", true),
            ("a", "x.a", false),
            ("!a, a, b", "a", false),
            ("!a, a, b", "b", true),
            ("!!a", "a", true),
            ("[Relay.Example]:25", "[relay.example]:25", true),
            ("inline:{a=1}, b", "A", true),
            ("!inline:{a=1}, static:all", "a", false),
            ("!inline:{a=1}, static:all", "z", true),
        ];
        for (text, subject, expected) in rows {
            let list = list(text, MatchKind::Strings);
            assert_eq!(list.contains(subject), Ok(expected), "{text} ~ {subject}");
        }
    }

    #[test]
    fn hosts_match_by_name_by_domain_and_by_address() {
        use MatchKind::{Hosts, HostsWithSubdomains as Sub};
        let rows = [
            ("example.com", Sub, "example.com", "192.0.2.1", true),
            ("example.com", Sub, "a.b.Example.com", "192.0.2.1", true),
            ("example.com", Sub, "notexample.com", "192.0.2.1", false),
            ("example.com", Hosts, "a.example.com", "192.0.2.1", false),
            (".example.com", Hosts, "a.example.com", "192.0.2.1", true),
            (".example.com", Hosts, "example.com", "192.0.2.1", false),
            ("192.0.2.1", Sub, "x", "192.0.2.1", true),
            ("192.0.2.0/24", Sub, "x", "192.0.2.77", true),
            ("192.0.2.0/24", Sub, "x", "192.0.3.77", false),
            ("!192.0.2.7, 192.0.2.0/24", Sub, "x", "192.0.2.7", false),
            ("[2001:db8::]/32", Sub, "x", "2001:db8:1::1", true),
            ("[2001:db8:0::1]", Sub, "x", "2001:DB8::1", true),
            ("[192.0.2.1]", Sub, "x", "192.0.2.1", true),
            ("192.0.2.1", Sub, "x", "unix-socket", false),
            ("[example.com]", Sub, "example.com", "192.0.2.1", false),
            (
                "inline:{example.com=y}",
                Sub,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            (
                "inline:{example.com=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                false,
            ),
            (
                "inline:{.example.com=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            (
                "inline:{192.0.2.1=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            ("cidr:{{192.0.2.0/24 y}}", Hosts, "a", "192.0.2.1", true),
            (
                "regexp:{{/^com$/ y}}",
                Sub,
                "example.com",
                "192.0.2.1",
                false,
            ),
        ];
        for (text, kind, name, address, expected) in rows {
            assert_eq!(
                list(text, kind).contains_host(name, address),
                Ok(expected),
                "{text} ~ {name} {address}"
            );
        }
    }

    #[test]
    fn mistakes_are_refused_and_failures_are_passed_on() {
        let mut context = TableContext::new(Path::new(""));
        for text in ["a, !", "/no/such/file", "ldap:x", "10.0.0.1/8", "[::1"] {
            let result = MatchList::open(text, MatchKind::Hosts, &mut context);
            assert!(result.is_err(), "{text}");
        }
        let list = list("a, fail:x", MatchKind::Strings);
        assert_eq!(list.contains("a"), Ok(true));
        assert!(list.contains("b").is_err());
    }

    #[test]
    fn files_are_read_in_place_and_may_not_include_themselves_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let mut context = TableContext::new(dir.path());
        let name = path.display().to_string();
        std::fs::write(&path, "# some\nb, c\n!d e\n").unwrap();
        let list = MatchList::open(&name, MatchKind::Strings, &mut context).unwrap();
        let found: Vec<bool> = ["b", "c", "d", "e", "f"]
            .iter()
            .map(|text| list.contains(text).unwrap())
            .collect();
        assert_eq!(found, [true, true, false, true, false]);
        let negated = MatchList::open(&format!("!{name}"), MatchKind::Strings, &mut context);
        let negated = negated.unwrap();
        assert_eq!(negated.contains("b"), Ok(false));
        assert_eq!(negated.contains("d"), Ok(true));
        std::fs::write(&path, &name).unwrap();
        let error = MatchList::open(&name, MatchKind::Strings, &mut context).unwrap_err();
        assert!(error.reason.contains("nested"), "{error}");
    }
}
