//! The credentials for a server (`smtp_sasl_password_maps`): by sender, by server
//! name, by destination as written. The first that is found counts.

use core::fmt;
use std::collections::VecDeque;

use smtp_proto::secret::Secret;

use super::{
    Account, Proof,
    settings::{Credentials, Login},
};
use crate::tables::{
    AddressRules, AddressSearch, AddressStep, KeyForms, MapsSearch, MapsStep, TableFailure,
    TableQuery,
};

impl Account {
    /// Reads `user:password`, or the same with another delimiter. Without one the password is empty.
    fn parse(value: &str, delimiter: char) -> Self {
        let (user, password) = value.split_once(delimiter).unwrap_or((value, ""));
        Self {
            user: user.to_owned(),
            password: Secret::new(password),
            proof: Proof::Password,
        }
    }
}

/// A search for credentials, which may have to ask tables outside the engine.
#[derive(Default)]
pub(crate) struct PasswordSearch {
    left: VecDeque<Search>,
    delimiter: char,
    found: Option<Result<Account, TableFailure>>,
}

enum Search {
    Sender(AddressSearch),
    Key(MapsSearch),
}

impl PasswordSearch {
    /// A search in the tables of `login`, by the sender if one is given. The default searches
    /// nowhere.
    pub(crate) fn new(
        login: &Login,
        sender: Option<(&str, AddressRules<'_>)>,
        host: &str,
        destination: &str,
    ) -> Self {
        let Credentials::Passwords(passwords) = &login.credentials else {
            return Self::default();
        };
        let maps = passwords.expose();
        let sender = sender
            .filter(|(address, _)| !address.is_empty())
            .map(|(address, rules)| {
                let rules = AddressRules {
                    forms: KeyForms::QuotedThenPlain,
                    ..rules
                };
                Search::Sender(AddressSearch::new(maps, address, &rules))
            });
        let keys = [host, destination].map(|key| Search::Key(maps.search(key)));
        Self {
            left: sender.into_iter().chain(keys).collect(),
            delimiter: login.delimiter,
            found: None,
        }
    }

    /// Goes on; the question for the driver if there is one.
    pub(crate) fn step(&mut self) -> Option<TableQuery> {
        while self.found.is_none() {
            let result = match self.left.front_mut()? {
                Search::Sender(search) => match search.next() {
                    AddressStep::Ask { table, key } => return Some(TableQuery { table, key }),
                    AddressStep::Done(result) => result.map(|found| found.map(|found| found.value)),
                },
                Search::Key(search) => match search.next() {
                    MapsStep::Ask { table, key } => return Some(TableQuery { table, key }),
                    MapsStep::Done(result) => result,
                },
            };
            self.left.pop_front();
            self.found = result
                .map(|value| value.map(|value| Account::parse(&value, self.delimiter)))
                .transpose();
        }
        None
    }

    /// The answer to the question of the last [`step`](Self::step).
    pub(crate) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        match self.left.front_mut() {
            Some(Search::Sender(search)) => search.answered(value),
            Some(Search::Key(search)) => search.answered(value),
            None => {}
        }
    }

    /// Returns the account, if one was found, when there are no more questions.
    pub(crate) fn result(self) -> Result<Option<Account>, TableFailure> {
        self.found.transpose()
    }
}

impl fmt::Debug for PasswordSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordSearch")
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use crate::tables::{SecretMaps, testing};

    fn login(specs: &str) -> Login {
        Login::new(SecretMaps::new(testing::maps(specs)))
    }

    fn rules() -> AddressRules<'static> {
        AddressRules {
            recipient_delimiter: "+",
            ..AddressRules::default()
        }
    }

    fn find(specs: &str, sender: Option<&str>) -> Result<Option<String>, TableFailure> {
        let sender = sender.map(|sender| (sender, rules()));
        let mut search = PasswordSearch::new(&login(specs), sender, "mx", "[mx]:587");
        assert_eq!(search.step(), None);
        search.result().map(|found| found.map(|found| found.user))
    }

    #[test]
    fn the_sender_comes_before_the_host_and_the_destination() {
        let rows = [
            (
                "inline:{a@b=sender:x, mx=host:x}",
                Some("a@b"),
                Some("sender"),
            ),
            (
                "inline:{@b=domain:x, mx=host:x}",
                Some("a+c@b"),
                Some("domain"),
            ),
            (
                "inline:{a@b=bare:x, mx=host:x}",
                Some("a+c@b"),
                Some("bare"),
            ),
            (
                "inline:{{a,c@b=plain:x}, mx=host:x}",
                Some("a,c@b"),
                Some("plain"),
            ),
            ("inline:{a@b=sender:x, mx=host:x}", None, Some("host")),
            ("inline:{a@b=sender:x, mx=host:x}", Some(""), Some("host")),
            ("inline:{[mx]:587=dest:x, mx=host:x}", None, Some("host")),
            ("inline:{[mx]:587=dest:x}", Some("a@b"), Some("dest")),
            ("inline:{other=x:y}", Some("a@b"), None),
        ];
        for (specs, sender, expected) in rows {
            let found = find(specs, sender).unwrap();
            assert_eq!(found.as_deref(), expected, "{specs} {sender:?}");
        }
    }

    #[test]
    fn a_failure_ends_the_search() {
        assert!(find("fail:x, static:a:b", Some("a@b")).is_err());
    }

    #[test]
    fn tables_outside_are_asked_key_by_key() {
        let sender = Some(("a@b", rules()));
        let mut search = PasswordSearch::new(&login("external:pw"), sender, "mx", "[mx]");
        let mut asked = Vec::new();
        while let Some(query) = search.step() {
            let answer = (query.key == "[mx]").then(|| "u:p:q".to_owned());
            asked.push(query.key);
            search.answered(Ok(answer));
        }
        assert_eq!(asked, ["a@b", "@b", "mx", "[mx]"]);
        let found = search.result().unwrap().unwrap();
        assert_eq!(
            (found.user.as_str(), found.password.expose()),
            ("u", &b"p:q"[..])
        );
    }

    #[test]
    fn the_first_delimiter_ends_the_user() {
        for (value, delimiter, user, password) in [
            ("bob:hush", ':', "bob", "hush"),
            ("bob:hush:x", ':', "bob", "hush:x"),
            ("o=a:b|hush:x", '|', "o=a:b", "hush:x"),
            ("bob:hush", '|', "bob:hush", ""),
        ] {
            let found = Account::parse(value, delimiter);
            assert_eq!(
                (&*found.user, found.password.expose()),
                (user, password.as_bytes())
            );
        }
    }

    #[test]
    fn a_value_without_a_colon_has_an_empty_password() {
        assert_eq!(Account::parse("bob", ':').password, Secret::default());
        assert_eq!(format!("{:?}", Account::parse("bob:hush", ':')), "Account");
    }
}
