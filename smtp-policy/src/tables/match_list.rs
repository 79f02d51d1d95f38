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

use super::block::{Block, parse_address};
use super::{KeyCase, Table, TableFailure};

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

/// A member of a list.
#[derive(Debug)]
pub struct Member {
    /// False for a member that excludes what matches.
    pub positive: bool,
    /// The texts that it stands for.
    pub pattern: Pattern,
}

/// The texts that a member stands for.
#[derive(Debug)]
pub enum Pattern {
    /// This text, folded as the list has it.
    String(String),
    /// A host or a domain.
    Host {
        /// The name, folded as the list has it.
        name: String,
        /// All names below it are meant too.
        subdomains: bool,
    },
    /// Addresses.
    Block(Block),
    /// The texts that a table has an entry for.
    Table {
        /// The table.
        table: Arc<dyn Table>,
        /// The kind of the texts.
        kind: MatchKind,
    },
}

impl MatchList {
    /// A list of members whose texts are compared in this way, and are folded already.
    pub fn new(case: KeyCase, members: Vec<Member>) -> Self {
        Self {
            case,
            members: Arc::new(members),
        }
    }

    /// A list of texts, compared in any case; `!` in front of one excludes it.
    pub fn of_strings<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let case = KeyCase::default();
        let member = |text: &str| Member {
            positive: !text.starts_with('!'),
            pattern: Pattern::String(case.fold(text.trim_start_matches('!')).into_owned()),
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
        self.find([(text, Role::Name)])
    }

    /// Whether a host is in the list by its name or by its address (without brackets).
    ///
    /// # Errors
    ///
    /// If a table fails before a member has matched.
    pub fn contains_host(&self, name: &str, address: &str) -> Result<bool, TableFailure> {
        self.find([(name, Role::Name), (address, Role::Address)])
    }

    fn find<const N: usize>(&self, subjects: [(&str, Role); N]) -> Result<bool, TableFailure> {
        if self.members.is_empty() {
            return Ok(false);
        }
        let subjects = subjects.map(|(text, role)| (self.case.fold(text), role));
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
