//! The choice of an account, and of the sender.

use smtp_proto::address::{Address, ReversePath};

use super::{Account, Accounts};
use crate::exit::{Exit, Failure};

/// The caller's choice of account and sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// The name of an account.
    pub(crate) account: Option<String>,
    /// The envelope sender (`-f`).
    pub(crate) sender: Option<ReversePath>,
    /// The first address of the message's From field.
    pub(crate) from: Option<Address>,
    /// The login name, which is the sender where nothing else is known.
    pub(crate) user: String,
}

/// An account, and the sender of a message that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Chosen<'a> {
    /// The account.
    pub(crate) account: &'a Account,
    /// The envelope sender.
    pub(crate) sender: ReversePath,
}

impl Accounts {
    /// Chooses an account. The sender counts if it is named, else the From field; the account with exactly this
    /// address comes before one with a pattern for it, and that before the default.
    ///
    /// # Errors
    /// No account is meant, or more than one.
    pub(crate) fn choose(&self, wish: Wish) -> Result<Chosen<'_>, Failure> {
        let named = wish.sender.as_ref().and_then(ReversePath::address);
        let known = named.or(match wish.sender {
            Some(_) => None,
            None => wish.from.as_ref(),
        });
        let account = match &wish.account {
            Some(name) => self.named(name)?,
            None => self.for_address(known)?,
        };
        let sender = match wish.sender {
            Some(ReversePath::Null) => ReversePath::Null,
            Some(ReversePath::Mailbox(address)) if address.domain().is_some() => {
                ReversePath::Mailbox(address)
            }
            Some(ReversePath::Mailbox(local)) => account.default_sender(local.as_str())?,
            None => match wish.from.filter(|from| account.is_for(from)) {
                Some(from) => ReversePath::Mailbox(from),
                None => account.default_sender(&wish.user)?,
            },
        };
        Ok(Chosen { account, sender })
    }

    /// The account with this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Account, Failure> {
        self.accounts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.accounts.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let what = format!(
                "{}: there is no account '{name}' (there are: {known})",
                self.file
            );
            Failure::new(Exit::Config, what)
        })
    }

    fn for_address(&self, address: Option<&Address>) -> Result<&Account, Failure> {
        if let Some(address) = address {
            let exact = self
                .accounts
                .values()
                .filter(|account| account.is_from(address));
            let fitting = self
                .accounts
                .values()
                .filter(|account| account.is_for(address));
            if let Some(account) = self.only(exact, address)? {
                return Ok(account);
            }
            if let Some(account) = self.only(fitting, address)? {
                return Ok(account);
            }
        }
        let only = match self.accounts.len() {
            1 => self.accounts.values().next(),
            _ => None,
        };
        let default = self
            .default
            .as_ref()
            .and_then(|name| self.accounts.get(name));
        default.or(only).ok_or_else(|| {
            let whose = match address {
                Some(address) => format!("is for the sender {address}"),
                None => "is meant".to_owned(),
            };
            let what = format!(
                "{}: no account {whose}, and there is no default: use --account, or write default = \"NAME\"",
                self.file
            );
            Failure::new(Exit::Config, what)
        })
    }

    /// The account that fits, if there is one.
    fn only<'a>(
        &self,
        mut fitting: impl Iterator<Item = &'a Account>,
        address: &Address,
    ) -> Result<Option<&'a Account>, Failure> {
        match (fitting.next(), fitting.next()) {
            (Some(one), Some(other)) => {
                let what = format!(
                    "{}: the accounts '{}' and '{}' are both for the sender {address}: use --account",
                    self.file, one.name, other.name
                );
                Err(Failure::new(Exit::Config, what))
            }
            (one, _) => Ok(one),
        }
    }
}

impl Account {
    /// Returns whether this is its own address.
    fn is_from(&self, address: &Address) -> bool {
        let lower = |address: &Address| address.as_str().to_lowercase();
        self.from
            .as_ref()
            .is_some_and(|from| lower(from) == lower(address))
    }

    /// Returns whether it is for mail from this address.
    fn is_for(&self, address: &Address) -> bool {
        let fits = |text| self.patterns.iter().any(|pattern| pattern.fits(text));
        self.is_from(address) || fits(address.as_str())
    }

    /// The sender for a name without a domain: the address of the account, since servers know nobody of this machine.
    pub(super) fn default_sender(&self, local: &str) -> Result<ReversePath, Failure> {
        if let Some(from) = &self.from {
            return Ok(ReversePath::Mailbox(from.clone()));
        }
        let host = self.host_name();
        let domain = self.domain.as_deref().unwrap_or(host.as_str());
        Address::parse(&format!("{local}@{domain}"))
            .map(ReversePath::Mailbox)
            .map_err(|why| Failure::new(Exit::Usage, format!("sender '{local}@{domain}': {why}")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::{super::password::Exposure, *};

    const FILE: &str = r#"
        default = "home"
        [accounts.home]
        host = "a"
        from = "Me <me@home.example>"
        from_patterns = ["*@lists.example"]
        [accounts.work]
        host = "b"
        from = "me@work.example"
        from_patterns = ["*@work.example"]
        [accounts.cron]
        host = "c"
        domain = "cron.example"
        from_patterns = ["boss@work.example", "me@home.example"]
        [accounts.bare]
        host = "d"
        local_hostname = "box.example"
    "#;

    fn wish(account: &str, sender: Option<&str>, from: &str) -> Wish {
        Wish {
            account: (!account.is_empty()).then(|| account.to_owned()),
            sender: sender.map(|text| ReversePath::parse(text).unwrap()),
            from: Address::parse(from).ok(),
            user: "joe".to_owned(),
        }
    }

    fn chosen(file: &str, wish: Wish) -> Result<(String, String), String> {
        let accounts = Accounts::parse(file, Path::new("a.toml"), Exposure::Private).unwrap();
        let chosen = accounts.choose(wish);
        let chosen = chosen.map_err(|failure| failure.to_string())?;
        Ok((
            chosen.account.name.clone(),
            chosen.sender.as_str().to_owned(),
        ))
    }

    #[test]
    fn account_and_sender_follow_from_the_option_or_else_from_the_field() {
        for (wish, account, sender) in [
            (wish("", None, ""), "home", "me@home.example"),
            (wish("", None, "me@home.example"), "home", "me@home.example"),
            (
                wish("", Some("ME@Work.example"), ""),
                "work",
                "ME@Work.example",
            ),
            (
                wish("", Some("x@work.example"), "me@home.example"),
                "work",
                "x@work.example",
            ),
            (wish("", None, "x@work.example"), "work", "x@work.example"),
            (wish("", None, "x@lists.example"), "home", "x@lists.example"),
            (
                wish("", None, "x@strange.example"),
                "home",
                "me@home.example",
            ),
            (
                wish("", Some("x@strange.example"), ""),
                "home",
                "x@strange.example",
            ),
            (wish("", Some("root"), ""), "home", "me@home.example"),
            (wish("", Some(""), "x@work.example"), "home", ""),
            (
                wish("work", None, "me@home.example"),
                "work",
                "me@work.example",
            ),
            (
                wish("work", Some("me@home.example"), ""),
                "work",
                "me@home.example",
            ),
            (wish("cron", Some("root"), ""), "cron", "root@cron.example"),
            (wish("bare", None, ""), "bare", "joe@box.example"),
        ] {
            let expected = Ok((account.to_owned(), sender.to_owned()));
            assert_eq!(chosen(FILE, wish.clone()), expected, "{wish:?}");
        }
    }

    #[test]
    fn a_choice_that_is_not_clear_is_refused() {
        let error = chosen(FILE, wish("", Some("boss@work.example"), "")).unwrap_err();
        assert!(error.contains("'cron' and 'work' are both for"), "{error}");
        let error = chosen(FILE, wish("nobody", None, "")).unwrap_err();
        assert!(
            error.contains("no account 'nobody' (there are: bare, cron"),
            "{error}"
        );
        let two = "[accounts.a]\nhost = \"a\"\n[accounts.b]\nhost = \"b\"\n";
        let error = chosen(two, wish("", Some("x@y"), "")).unwrap_err();
        assert!(
            error.contains("no account is for the sender x@y"),
            "{error}"
        );
        let one = "[accounts.a]\nhost = \"a\"\n";
        assert_eq!(chosen(one, wish("", Some("x@y"), "")).unwrap().0, "a");
    }
}
