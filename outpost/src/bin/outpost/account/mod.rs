//! Accounts: by which server mail goes out, and as whom. Read from
//! `~/.config/outpost/config.toml`; a file that cannot be understood is refused as a whole.
//!
//! It is not main.cf: it knows nothing but what a person who sends mail has to say.

mod check;
mod choose;
mod file;
mod locate;
mod mailer;
mod password;
mod read;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use smtp_proto::{address::Address, command::HelloName};

use crate::queue::QueuePlace;

pub(crate) use check::run;
pub(crate) use choose::{Chosen, Wish};
pub(crate) use file::MinTls;
pub(crate) use locate::locate;
pub(crate) use mailer::{Teller, Way};
pub(crate) use password::PasswordSource;

/// All accounts of a file.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// The file, as it stands in messages.
    pub(crate) file: String,
    /// The accounts by name.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// The name of the account for senders that no account names.
    pub(crate) default: Option<String>,
    /// Addresses in place of names that have no domain, by name in lower case; `*` is for all
    /// others.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
}

/// One account.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its name in the file.
    pub(crate) name: String,
    /// The place that mail is handed to.
    pub(crate) place: Place,
    /// The sender if the caller names none.
    pub(crate) from: Option<Address>,
    /// Further senders that this account is for.
    pub(crate) patterns: Vec<Pattern>,
    /// The name of a person for a From field that is missing.
    pub(crate) full_name: Option<String>,
    /// The domain of addresses that have none.
    pub(crate) domain: Option<String>,
    /// The name of this machine in EHLO and Message-ID; none: what the system says.
    pub(crate) local_hostname: Option<HelloName>,
}

/// The place that mail is handed to.
#[derive(Debug)]
pub(crate) enum Place {
    /// The mail exchangers of each recipient's domain, found by these name servers; none: those
    /// of the system.
    Direct {
        /// The name servers.
        dns: Vec<SocketAddr>,
    },
    /// A submission server.
    Server(Server),
    /// A queue on this machine, or one that it reaches.
    Queue(QueuePlace),
}

/// A submission server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its name or address, without brackets.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// The protection of the connection.
    pub(crate) tls: Tls,
    /// The login; none: no login.
    pub(crate) login: Option<Login>,
}

/// The protection of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// None at all, which has to be asked for twice.
    Plaintext,
    /// TLS after STARTTLS; without it no mail goes out.
    Starttls(Trust),
    /// TLS from the first byte.
    Implicit(Trust),
}

/// The demands on the other end of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The authorities; none: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The oldest version.
    pub(crate) min: MinTls,
}

/// A login.
#[derive(Debug)]
pub(crate) struct Login {
    /// The user name.
    pub(crate) user: String,
    /// The place of the password.
    pub(crate) password: PasswordSource,
}

/// Senders by pattern: text in which `*` stands for any characters, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// Takes a pattern.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Returns whether the whole address fits.
    pub(crate) fn fits(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = address.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_pattern_stands_for_any_text() {
        for (pattern, address, fits) in [
            ("*@x.example", "a@X.example", true),
            ("*@x.example", "a@y.example", false),
            ("*@x.example", "a@x.example.org", false),
            ("me+*@x.example", "me+list@x.example", true),
            ("me+*@x.example", "me@x.example", false),
            ("*@*.example", "a@b.example", true),
            ("*", "a@b", true),
            ("a@b", "a@b", true),
            ("a@b", "aa@b", false),
            ("a@b", "a@bb", false),
            ("a*a", "a", false),
            ("a**b", "axb", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).fits(address),
                fits,
                "{pattern} {address}"
            );
        }
    }
}
