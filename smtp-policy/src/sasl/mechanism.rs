//! Which mechanism is used: the best one that the server offers, the filter lets
//! pass and the security options allow. The order is that of Cyrus SASL
//! (`lib/client.c`, mech_compare), so that a Postfix configuration keeps its meaning.

use smtp_proto::session::MechanismName;

use super::{Binding, Proof, Refusal};
use crate::{
    tables::{MatchList, TableFailure},
    tls::{ChannelBinding, NotUnderstood},
};

/// A mechanism of this client, the best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// The three that are bound to the TLS connection.
    ScramSha512Plus,
    ScramSha256Plus,
    ScramSha1Plus,
    ScramSha512,
    ScramSha256,
    ScramSha1,
    External,
    CramMd5,
    Plain,
    Login,
    OAuthBearer,
    XOAuth2,
    Anonymous,
}

/// SecurityOptions of mechanisms, or those that are asked for (`smtp_sasl_security_options`).
///
/// ```
/// use smtp_policy::settings::SecurityOptions;
///
/// let options = SecurityOptions::NOPLAINTEXT.and(SecurityOptions::NOANONYMOUS);
/// assert_eq!(SecurityOptions::parse(["noplaintext", "noanonymous"]), Ok(options));
/// assert_eq!(SecurityOptions::parse(["noplaintxt"]).unwrap_err().0, "noplaintxt");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityOptions(u8);

impl SecurityOptions {
    /// Anything will do.
    pub const NONE: Self = Self(0);
    /// No password goes out as it is (`noplaintext`).
    pub const NOPLAINTEXT: Self = Self(1);
    /// Safe from active attacks (`noactive`).
    pub const NOACTIVE: Self = Self(2);
    /// Safe from passive attacks with a dictionary (`nodictionary`).
    pub const NODICTIONARY: Self = Self(4);
    /// No anonymous login (`noanonymous`).
    pub const NOANONYMOUS: Self = Self(8);
    /// The server shows that it knows the password (`mutual_auth`).
    pub const MUTUAL_AUTH: Self = Self(16);
    /// Forward secrecy (`forward_secrecy`), which no mechanism has.
    pub const FORWARD_SECRECY: Self = Self(32);

    const NAMES: [(&'static str, Self); 6] = [
        ("noplaintext", Self::NOPLAINTEXT),
        ("noactive", Self::NOACTIVE),
        ("nodictionary", Self::NODICTIONARY),
        ("noanonymous", Self::NOANONYMOUS),
        ("mutual_auth", Self::MUTUAL_AUTH),
        ("forward_secrecy", Self::FORWARD_SECRECY),
    ];

    /// The properties of these names.
    ///
    /// # Errors
    /// A name that nobody knows.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, NotUnderstood> {
        words.into_iter().try_fold(Self::NONE, |options, word| {
            let known = Self::NAMES.into_iter().find(|(name, _)| word == *name);
            let (_, option) = known.ok_or_else(|| NotUnderstood(word.to_owned()))?;
            Ok(options.and(option))
        })
    }

    /// The options of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether the server has to show that it knows the password.
    pub(crate) const fn ask_for_mutual_auth(self) -> bool {
        self.include(Self::MUTUAL_AUTH)
    }
}

const SCRAM: SecurityOptions = SecurityOptions::NOPLAINTEXT
    .and(SecurityOptions::NOANONYMOUS)
    .and(SecurityOptions::NOACTIVE)
    .and(SecurityOptions::MUTUAL_AUTH);
const EXTERNAL: SecurityOptions = SecurityOptions::NOPLAINTEXT
    .and(SecurityOptions::NOANONYMOUS)
    .and(SecurityOptions::NODICTIONARY);
/// The end of the name of a mechanism whose exchange is bound to the connection
/// (RFC 5802 section 4).
const PLUS: &str = "-PLUS";
const CRAM: SecurityOptions = SecurityOptions::NOPLAINTEXT.and(SecurityOptions::NOANONYMOUS);

/// Names and properties, the best mechanism first. One that is bound to the
/// connection goes before all others: it finds out who sits in between. Between PLAIN and LOGIN Cyrus
/// has no preference. Cyrus knows the two for OAuth only as plug-ins, which put
/// them before PLAIN; here a password is first taken for a password, and
/// `smtp_sasl_mechanism_filter` says if it is a token.
const TABLE: [(&str, Mechanism, SecurityOptions); 13] = [
    ("SCRAM-SHA-512-PLUS", Mechanism::ScramSha512Plus, SCRAM),
    ("SCRAM-SHA-256-PLUS", Mechanism::ScramSha256Plus, SCRAM),
    ("SCRAM-SHA-1-PLUS", Mechanism::ScramSha1Plus, SCRAM),
    ("SCRAM-SHA-512", Mechanism::ScramSha512, SCRAM),
    ("SCRAM-SHA-256", Mechanism::ScramSha256, SCRAM),
    ("SCRAM-SHA-1", Mechanism::ScramSha1, SCRAM),
    ("EXTERNAL", Mechanism::External, EXTERNAL),
    ("CRAM-MD5", Mechanism::CramMd5, CRAM),
    ("PLAIN", Mechanism::Plain, SecurityOptions::NOANONYMOUS),
    ("LOGIN", Mechanism::Login, SecurityOptions::NOANONYMOUS),
    (
        "OAUTHBEARER",
        Mechanism::OAuthBearer,
        SecurityOptions::NOANONYMOUS,
    ),
    ("XOAUTH2", Mechanism::XOAuth2, SecurityOptions::NOANONYMOUS),
    (
        "ANONYMOUS",
        Mechanism::Anonymous,
        SecurityOptions::NOPLAINTEXT,
    ),
];

impl Mechanism {
    pub(crate) fn as_str(self) -> &'static str {
        TABLE
            .iter()
            .find(|(_, mechanism, _)| *mechanism == self)
            .map_or("", |(name, _, _)| name)
    }

    /// Returns whether the mechanism takes this proof of who the user is. A token goes to no mechanism that
    /// could take it for a password; a password may be a token, if the filter of mechanisms says so.
    const fn takes(self, proof: Proof) -> bool {
        match proof {
            Proof::Password => true,
            Proof::Token => matches!(self, Self::OAuthBearer | Self::XOAuth2),
        }
    }

    /// Returns whether the exchange is bound to the TLS connection.
    fn is_bound(self) -> bool {
        self.as_str().ends_with(PLUS)
    }

    /// The name as AUTH takes it.
    pub(crate) fn name(self) -> Result<MechanismName, Refusal> {
        MechanismName::parse(self.as_str()).map_err(|_| Refusal::Failure)
    }
}

/// The protection of the connection, which decides what may be said on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Not at all: `smtp_sasl_security_options`.
    Plaintext,
    /// TLS, with a server that could be anybody: `smtp_sasl_tls_security_options`.
    Tls,
    /// TLS, with a server that is who it should be:
    /// `smtp_sasl_tls_verified_security_options`.
    VerifiedTls,
}

/// The mechanisms that a server offers, as far as the filter lets them pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    words: Vec<String>,
    /// True if the server offers exchanges bound to the connection, also where the filter removes them.
    binds: bool,
    /// Warnings about lines without any mechanism, in Postfix's words without the
    /// server's name in front.
    pub(crate) remarks: Vec<String>,
}

impl Offer {
    /// Reads what the server announced, one entry per line, and adds up.
    pub(crate) fn read(lines: &[String], filter: Option<&MatchList>) -> Result<Self, TableFailure> {
        let mut offer = Self::default();
        for line in lines {
            let mut words = Vec::new();
            for word in line.split([' ', '\t']).filter(|word| !word.is_empty()) {
                offer.binds |= ends_with_plus(word);
                if filter.map_or(Ok(true), |filter| filter.contains(word))? {
                    words.push(word.to_owned());
                }
            }
            if words.is_empty() && offer.words.is_empty() {
                offer.remarks.push(if line.is_empty() {
                    "offered null AUTH mechanism list".to_owned()
                } else {
                    format!("offered no supported AUTH mechanisms: '{line}'")
                });
            }
            offer.words.extend(words);
        }
        Ok(offer)
    }

    /// Returns whether there is nothing to choose from.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The best mechanism for this proof with all the properties that are asked for, and how its
    /// exchange is bound to the connection, which is known by `binding`.
    pub(crate) fn choose(
        &self,
        proof: Proof,
        required: SecurityOptions,
        binding: Option<&ChannelBinding>,
    ) -> Option<(Mechanism, Binding)> {
        let offered = |name: &str| {
            self.words
                .iter()
                .any(|word| word.eq_ignore_ascii_case(name))
        };
        let (_, mechanism, _) = TABLE
            .iter()
            .filter(|(_, mechanism, _)| mechanism.takes(proof))
            .filter(|(_, mechanism, _)| binding.is_some() || !mechanism.is_bound())
            .find(|(name, _, properties)| properties.include(required) && offered(name))?;
        let bound = match binding {
            Some(binding) if mechanism.is_bound() => Binding::Wanted(binding.clone()),
            Some(_) if !self.binds => Binding::Unwanted,
            // A server that binds others must not be told that it does not.
            Some(_) | None => Binding::Unknown,
        };
        Some((*mechanism, bound))
    }
}

fn ends_with_plus(word: &str) -> bool {
    let start = word.len().saturating_sub(PLUS.len());
    word.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(PLUS))
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
    use crate::{tables::testing::strings, tls::BindingKind};
    use smtp_proto::secret::Secret;

    fn choice(lines: &str, filtered: &str, options: &str) -> Option<&'static str> {
        let lines: Vec<String> = lines.split('|').map(str::to_owned).collect();
        let filter = (!filtered.is_empty()).then(|| strings(filtered));
        let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
        let offer = Offer::read(&lines, filter.as_ref()).unwrap();
        offer
            .choose(
                Proof::Password,
                SecurityOptions::parse(options.iter().map(String::as_str)).unwrap(),
                None,
            )
            .map(|(mechanism, _)| mechanism.as_str())
    }

    #[test]
    fn the_best_mechanism_is_chosen_that_is_offered_and_allowed() {
        let rows = [
            ("LOGIN PLAIN CRAM-MD5", "", "noanonymous", Some("CRAM-MD5")),
            ("login plain", "", "noanonymous", Some("PLAIN")),
            ("LOGIN|PLAIN", "", "noanonymous", Some("PLAIN")),
            ("LOGIN PLAIN", "", "noanonymous noplaintext", None),
            (
                "CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 PLAIN",
                "",
                "",
                Some("SCRAM-SHA-256"),
            ),
            (
                "CRAM-MD5 SCRAM-SHA-1",
                "",
                "mutual_auth",
                Some("SCRAM-SHA-1"),
            ),
            (
                "CRAM-MD5 SCRAM-SHA-1 EXTERNAL",
                "",
                "nodictionary",
                Some("EXTERNAL"),
            ),
            (
                "CRAM-MD5 EXTERNAL",
                "",
                "noanonymous noplaintext",
                Some("EXTERNAL"),
            ),
            ("SCRAM-SHA-1", "", "forward_secrecy", None),
            ("XOAUTH2 LOGIN", "", "noanonymous", Some("LOGIN")),
            ("XOAUTH2 LOGIN", "xoauth2", "noanonymous", Some("XOAUTH2")),
            ("XOAUTH2 OAUTHBEARER", "", "", Some("OAUTHBEARER")),
            ("ANONYMOUS PLAIN", "", "noplaintext", Some("ANONYMOUS")),
            ("ANONYMOUS", "", "noplaintext noanonymous", None),
            ("LOGIN PLAIN CRAM-MD5", "plain", "", Some("PLAIN")),
            (
                "LOGIN PLAIN CRAM-MD5",
                "!cram-md5, !login, static:rest",
                "",
                Some("PLAIN"),
            ),
            ("X-FOO KERBEROS_V9 CRAM-MD5-PLUS", "", "", None),
            ("", "", "", None),
        ];
        for (lines, filtered, options, expected) in rows {
            assert_eq!(
                choice(lines, filtered, options),
                expected,
                "{lines} / {filtered} / {options}"
            );
        }
    }

    #[test]
    fn a_token_goes_out_by_the_mechanisms_for_tokens_only() {
        for (line, expected) in [
            (
                "PLAIN LOGIN SCRAM-SHA-256 XOAUTH2 OAUTHBEARER",
                Some("OAUTHBEARER"),
            ),
            ("PLAIN XOAUTH2", Some("XOAUTH2")),
            ("PLAIN LOGIN CRAM-MD5 EXTERNAL ANONYMOUS", None),
        ] {
            let offer = Offer::read(&[line.to_owned()], None).unwrap();
            let chosen = offer.choose(Proof::Token, SecurityOptions::NONE, None);
            let chosen = chosen.map(|(mechanism, _)| mechanism.as_str());
            assert_eq!(chosen, expected, "{line}");
        }
        let offer = Offer::read(&["OAUTHBEARER XOAUTH2".to_owned()], None).unwrap();
        let chosen = offer.choose(Proof::Token, SecurityOptions::NOPLAINTEXT, None);
        assert_eq!(chosen, None);
    }

    #[test]
    fn a_mechanism_that_is_bound_to_the_connection_comes_first_where_there_is_one() {
        let binding = ChannelBinding {
            kind: BindingKind::TlsExporter,
            data: Secret::new("keys"),
        };
        let known = Some(&binding);
        let wanted = || Binding::Wanted(binding.clone());
        let both = "SCRAM-SHA-512 scram-sha-1-plus PLAIN";
        let without = "!scram-sha-1-plus static:all";
        let rows = [
            (both, "", known, Some(("SCRAM-SHA-1-PLUS", wanted()))),
            (both, "", None, Some(("SCRAM-SHA-512", Binding::Unknown))),
            // It is not somebody in between who has hidden it, but the filter.
            (
                both,
                without,
                known,
                Some(("SCRAM-SHA-512", Binding::Unknown)),
            ),
            (
                "SCRAM-SHA-512",
                "",
                known,
                Some(("SCRAM-SHA-512", Binding::Unwanted)),
            ),
            (
                "SCRAM-SHA-1 é-PLUS",
                "",
                known,
                Some(("SCRAM-SHA-1", Binding::Unknown)),
            ),
            (
                "SCRAM-SHA-1 PLUS",
                "",
                known,
                Some(("SCRAM-SHA-1", Binding::Unwanted)),
            ),
            ("SCRAM-SHA-1-PLUS", "", None, None),
        ];
        for (line, filtered, binding, expected) in rows {
            let filter = (!filtered.is_empty()).then(|| strings(filtered));
            let offer = Offer::read(&[line.to_owned()], filter.as_ref()).unwrap();
            let chosen = offer.choose(Proof::Password, SecurityOptions::NONE, binding);
            let chosen = chosen.map(|(mechanism, bound)| (mechanism.as_str(), bound));
            assert_eq!(chosen, expected, "{line} / {filtered}");
        }
    }

    #[test]
    fn lines_without_a_mechanism_are_remarked_upon_unless_another_has_one() {
        let read = |lines: &[&str], filtered: &str| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let offer = Offer::read(&lines, Some(&strings(filtered))).unwrap();
            (offer.is_empty(), offer.remarks)
        };
        let remark = |text: &str| vec![text.to_owned()];
        assert_eq!(
            read(&[""], "plain"),
            (true, remark("offered null AUTH mechanism list"))
        );
        assert_eq!(
            read(&["LOGIN X"], "plain"),
            (
                true,
                remark("offered no supported AUTH mechanisms: 'LOGIN X'")
            )
        );
        assert_eq!(read(&["PLAIN", "LOGIN"], "plain"), (false, Vec::new()));
        assert!(Offer::read(&["PLAIN".to_owned()], Some(&strings("fail:x"))).is_err());
    }

    #[test]
    fn every_mechanism_has_a_name_that_auth_takes() {
        for (name, mechanism, _) in TABLE {
            assert_eq!(mechanism.name().unwrap().as_str(), name);
        }
    }
}
