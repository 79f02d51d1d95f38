//! The demands on a server for a message with REQUIRETLS, by next hop (`smtp_requiretls_policy`,
//! `src/smtp/smtp_reqtls_policy.c`; RFC 8689 section 4.2.1).

use std::{fmt, net::IpAddr, sync::Arc};

use crate::{route::idna::Idna, tables::Table};

/// A demand on a server that is to have a message with REQUIRETLS, from the least on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequireTls {
    /// None: the message goes out as if its sender had said nothing.
    Disable,
    /// None; a server that offers REQUIRETLS is told.
    Opportunistic,
    /// The server has started TLS; if it offers REQUIRETLS, it is told.
    OpportunisticStarttls,
    /// The server is verified, and offers REQUIRETLS.
    #[default]
    Enforce,
}

impl RequireTls {
    const NAMES: [(&'static str, Self); 4] = [
        ("disable", Self::Disable),
        ("opportunistic", Self::Opportunistic),
        ("opportunistic+starttls", Self::OpportunisticStarttls),
        ("enforce", Self::Enforce),
    ];

    /// The demand of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, demand)| *demand)
    }
}

impl fmt::Display for RequireTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Self::NAMES.iter();
        let found = all.find(|(_, demand)| demand == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// An item of a [`RequireTlsPolicy`].
#[derive(Clone, Debug)]
pub enum RequireTlsItem {
    /// This demand, wherever the message goes.
    Demand(RequireTls),
    /// The demand that a table has for the next hop, or, unless its keys are patterns, for a domain above it, with a dot
    /// in front.
    Table(Arc<dyn Table>),
}

/// A list of which the first item counts that has a word about a next hop. Without one the demand is
/// [`RequireTls::Enforce`]; so it is for an empty list.
#[derive(Clone, Debug, Default)]
pub struct RequireTlsPolicy(Vec<RequireTlsItem>);

impl RequireTlsPolicy {
    /// A policy of these items. An [`Enforce`](RequireTls::Enforce) at the end says nothing new.
    pub fn new(mut items: Vec<RequireTlsItem>) -> Self {
        if matches!(
            items.last(),
            Some(RequireTlsItem::Demand(RequireTls::Enforce))
        ) {
            items.pop();
        }
        Self(items)
    }

    /// The same demand for all next hops.
    pub fn always(demand: RequireTls) -> Self {
        Self::new(vec![RequireTlsItem::Demand(demand)])
    }

    /// The demand for a next hop: a domain or address without brackets and port.
    ///
    /// # Errors
    /// A table fails, or has something else than a demand: for the log.
    pub fn demand(&self, nexthop: &str) -> Result<RequireTls, String> {
        let Some(name) = Idna::default().to_ascii(nexthop) else {
            return Ok(RequireTls::default());
        };
        for item in &self.0 {
            match item {
                RequireTlsItem::Demand(demand) => return Ok(*demand),
                RequireTlsItem::Table(table) => {
                    if let Some(demand) = search(&**table, &name)? {
                        return Ok(demand);
                    }
                }
            }
        }
        Ok(RequireTls::default())
    }
}

/// The demand that a table has for a name.
fn search(table: &dyn Table, name: &str) -> Result<Option<RequireTls>, String> {
    let is_whole = table.is_pattern() || name.parse::<IpAddr>().is_ok();
    let mut key = name;
    loop {
        if let Some(text) = table.lookup(key).map_err(|error| error.to_string())? {
            let demand = RequireTls::parse(&text);
            return demand
                .map(Some)
                .ok_or_else(|| format!("unknown REQUIRETLS policy: {text}"));
        }
        let parent = key.char_indices().skip(1).find(|(_, c)| *c == '.');
        match parent.and_then(|(at, _)| key.get(at..)) {
            Some(parent) if !is_whole => key = parent,
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::tables::TableFailure;

    #[derive(Debug)]
    struct Rows(&'static [(&'static str, &'static str)], bool);

    impl Table for Rows {
        fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
            if key == "fail" {
                let (table, reason) = ("x:y".into(), "gone".into());
                return Err(TableFailure { table, reason });
            }
            let found = self.0.iter().find(|(known, _)| *known == key);
            Ok(found.map(|(_, text)| (*text).to_owned()))
        }

        fn is_pattern(&self) -> bool {
            self.1
        }
    }

    const ROWS: &[(&str, &str)] = &[
        ("a.example", "Opportunistic"),
        (".a.example", "disable"),
        (".b.a.example", "opportunistic+starttls"),
        (".2.1", "disable"),
        ("bad.example", "enforce disable"),
        ("xn--bcher-kva.example", "disable"),
    ];

    fn policy(is_pattern: bool) -> RequireTlsPolicy {
        RequireTlsPolicy::new(vec![RequireTlsItem::Table(Arc::new(Rows(
            ROWS, is_pattern,
        )))])
    }

    #[test]
    fn the_nearest_name_of_a_table_counts() {
        for (name, fixed, pattern) in [
            (
                "a.example",
                RequireTls::Opportunistic,
                RequireTls::Opportunistic,
            ),
            ("x.a.example", RequireTls::Disable, RequireTls::Enforce),
            (
                "x.b.a.example",
                RequireTls::OpportunisticStarttls,
                RequireTls::Enforce,
            ),
            ("other.example", RequireTls::Enforce, RequireTls::Enforce),
            ("192.0.2.1", RequireTls::Enforce, RequireTls::Enforce),
            (
                "b\u{fc}cher.example",
                RequireTls::Disable,
                RequireTls::Disable,
            ),
            ("\u{fc}..x", RequireTls::Enforce, RequireTls::Enforce),
        ] {
            assert_eq!(policy(false).demand(name), Ok(fixed), "{name}");
            assert_eq!(policy(true).demand(name), Ok(pattern), "{name}");
        }
    }

    #[test]
    fn a_table_that_cannot_tell_lets_nothing_pass() {
        for name in ["fail", "bad.example"] {
            assert!(policy(false).demand(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_first_item_with_a_word_counts() {
        let items = [RequireTls::Opportunistic, RequireTls::Disable].map(RequireTlsItem::Demand);
        let policy = RequireTlsPolicy::new(items.to_vec());
        assert_eq!(policy.demand("a"), Ok(RequireTls::Opportunistic));
        assert_eq!(
            RequireTlsPolicy::default().demand("a"),
            Ok(RequireTls::Enforce)
        );
        assert!(RequireTlsPolicy::always(RequireTls::Enforce).0.is_empty());
        for (name, demand) in RequireTls::NAMES {
            assert_eq!(
                (RequireTls::parse(name), demand.to_string()),
                (Some(demand), name.into())
            );
        }
    }
}
