//! The configurations that populations are run under: each is a row of choices.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use postfix_config::{CompileError, MainCf, compile};
use smtp_policy::{dns::ResolverConfig, policy::Policy, tls::TlsConnector};

use super::servers::NAME_SERVERS;
#[cfg(feature = "certificates")]
use super::{certificates::Certificates, servers};

use crate::{
    dice::Dice,
    peer::{Identity, Moment, NullTls},
    scenario::TlsScript,
};

/// The user name and password that is used everywhere.
const LOGIN: &str = "static:sim-user:sim-password";
/// The settings that all configurations have in common.
const COMMON: &str = "\
myhostname = client.example
inet_interfaces = 192.0.2.250
daemon_timeout = 1000s
smtp_connect_timeout = 30s
lmtp_connect_timeout = 30s
";
/// The time limits in seconds, by the middle of their parameters' names: no two are the
/// same, so that a limit of the wrong stage is seen.
const LIMITS: [(&[Moment], &str, u64); 10] = [
    (&[Moment::Banner, Moment::Hello, Moment::Auth], "helo", 20),
    (&[Moment::StartTls, Moment::Handshake], "starttls", 25),
    (&[Moment::Forward], "xforward", 23),
    (&[Moment::Mail], "mail", 22),
    (&[Moment::Rcpt], "rcpt", 24),
    (&[Moment::Data], "data_init", 26),
    (&[Moment::Text], "data_xfer", 28),
    (&[Moment::End], "data_done", 32),
    (&[Moment::Rset], "rset", 5),
    (&[Moment::Quit], "quit", 6),
];

/// How long a client may wait at a place of the dialogue.
pub fn time_limit(moment: Moment) -> Duration {
    let found = LIMITS
        .iter()
        .find(|(moments, ..)| moments.contains(&moment));
    Duration::from_secs(found.map_or(0, |(.., seconds)| *seconds))
}

/// What TLS is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    /// Nothing.
    None,
    /// Used where it is offered.
    May,
    /// Demanded.
    Encrypt,
    /// Demanded, and the server has to prove who it is.
    Secure,
    /// Demanded and to be proved where there are signed TLSA records, otherwise used
    /// where it is offered.
    Dane,
}

/// When the client may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logins {
    /// Never.
    Off,
    /// In the clear only with mechanisms that do not show the password.
    Careful,
    /// With any mechanism.
    Any,
}

/// What few clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Habit {
    /// Nothing of that.
    Usual,
    /// HELO instead of EHLO.
    Helo,
    /// XFORWARD.
    Forward,
    /// TLS from the first byte on.
    Wrapper,
}

/// One row of choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    /// What TLS is for.
    pub security: Security,
    /// When the client may log in.
    pub logins: Logins,
    /// How many deliveries to one destination may run at once; zero: any number.
    pub concurrency: u32,
    /// How many recipients one delivery may have; zero: any number.
    pub recipients: u32,
    /// The longest line of text; zero: any length.
    pub line_length: usize,
    /// Time limits are for whole requests.
    pub per_request: bool,
    /// QUIT is not waited for.
    pub skip_quit: bool,
    /// What is done besides.
    pub habit: Habit,
    /// Name servers that do not seem to validate are asked whether they do
    /// (`dnssec_probe`). That happens once under a policy, so that each world has one of
    /// its own.
    pub probing: bool,
}

impl Profile {
    /// Throws dice for each choice.
    pub fn throw(dice: &mut Dice) -> Self {
        use Habit::{Forward, Helo, Usual, Wrapper};
        use Security::{Dane, Encrypt, May, None, Secure};
        let security = dice.one_of(None, &[None, May, May, Encrypt, Secure, Dane]);
        let habit = match dice.below(8) {
            0 => dice.one_of(Helo, &[Forward, Wrapper]),
            _ => Usual,
        };
        Self {
            security,
            // Wrapper mode is nothing without a demand for TLS.
            habit: match (habit, security) {
                (Wrapper, None | May | Dane) => Usual,
                (habit, _) => habit,
            },
            logins: dice.one_of(Logins::Off, &[Logins::Off, Logins::Careful, Logins::Any]),
            concurrency: dice.one_of(1, &[2, 20]),
            recipients: dice.one_of(50, &[50, 3, 0]),
            line_length: dice.one_of(998, &[998, 40, 0]),
            per_request: dice.once_in(2),
            skip_quit: dice.once_in(3),
            probing: false,
        }
    }

    /// The main.cf of these choices.
    pub fn main_cf(&self) -> String {
        let mut text = COMMON.to_owned();
        if !self.probing {
            text.push_str("dnssec_probe =\n");
        }
        // There is no DANE for names that are found with a search list.
        let search = match self.security {
            Security::Dane => "",
            _ => "res_dnsrch",
        };
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        let level = match self.security {
            Security::None => "none",
            Security::May => "may",
            Security::Encrypt => "encrypt",
            Security::Secure => "secure",
            Security::Dane => "dane",
        };
        let careful = match self.logins {
            Logins::Careful => "noplaintext, noanonymous",
            _ => "noanonymous",
        };
        for client in ["smtp", "lmtp"] {
            let rows = [
                ("tls_security_level", level.to_owned()),
                ("tls_secure_cert_match", "nexthop, dot-nexthop".to_owned()),
                ("dns_support_level", "dnssec".to_owned()),
                (
                    "destination_concurrency_limit",
                    self.concurrency.to_string(),
                ),
                ("destination_recipient_limit", self.recipients.to_string()),
                ("dns_resolver_options", search.to_owned()),
                ("line_length_limit", self.line_length.to_string()),
                ("per_request_deadline", yes(self.per_request).to_owned()),
                ("skip_quit_response", yes(self.skip_quit).to_owned()),
                (
                    "sasl_auth_enable",
                    yes(self.logins != Logins::Off).to_owned(),
                ),
                ("sasl_password_maps", LOGIN.to_owned()),
                ("sasl_security_options", careful.to_owned()),
                ("sasl_tls_security_options", "noanonymous".to_owned()),
            ];
            for (_, stage, seconds) in LIMITS {
                let stage = match (client, stage) {
                    ("lmtp", "helo") => "lhlo",
                    (_, stage) => stage,
                };
                text.push_str(&format!("{client}_{stage}_timeout = {seconds}s\n"));
            }
            let habit = match (self.habit, client) {
                (Habit::Helo, "smtp") => "never_send_ehlo",
                (Habit::Forward, _) => "send_xforward_command",
                (Habit::Wrapper, _) => "tls_wrappermode",
                _ => "",
            };
            let habit = (!habit.is_empty()).then(|| (habit, "yes".to_owned()));
            for (name, value) in rows.into_iter().chain(habit) {
                text.push_str(&format!("{client}_{name} = {value}\n"));
            }
        }
        text
    }

    fn policy(&self, connector: Arc<dyn TlsConnector>) -> Result<Policy, CompileError> {
        let main_cf = MainCf::parse(&self.main_cf(), "main.cf", "/nowhere".as_ref())?;
        let resolver = ResolverConfig {
            servers: NAME_SERVERS.map(|server| (server, 53).into()).into(),
            search: vec!["search.example".to_owned()],
            ..ResolverConfig::default()
        };
        let policy = compile(&main_cf, resolver, &[])?;
        Ok(policy.with_tls(connector))
    }
}

/// The policies that were made so far, with what TLS is made of. Making one takes longer
/// than a delivery.
#[derive(Debug, Default)]
pub struct Policies {
    made: BTreeMap<Profile, Arc<Policy>>,
    #[cfg(feature = "certificates")]
    certificates: Option<Certificates>,
}

impl Policies {
    /// Policies whose TLS is real, with certificates for the servers of all populations.
    /// What is said is the same each time, but not its encryption, so that runs are not
    /// equal byte for byte.
    ///
    /// # Errors
    /// There is no cryptography; the text says why.
    #[cfg(feature = "certificates")]
    pub fn with_real_tls() -> Result<Self, String> {
        Ok(Self {
            made: BTreeMap::new(),
            certificates: Some(Certificates::new(&servers::names())?),
        })
    }

    /// The policy of a profile.
    ///
    /// # Errors
    /// The configuration cannot be read, which no profile should bring about.
    pub fn get(&mut self, profile: Profile) -> Result<Arc<Policy>, CompileError> {
        if let Some(policy) = self.made.get(&profile) {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(profile.policy(self.connector())?);
        if !profile.probing {
            self.made.insert(profile, Arc::clone(&policy));
        }
        Ok(policy)
    }

    fn connector(&self) -> Arc<dyn TlsConnector> {
        #[cfg(feature = "certificates")]
        if let Some(certificates) = &self.certificates {
            return Arc::clone(&certificates.connector);
        }
        NullTls::connector()
    }

    /// Whether two runs of the same seed are equal byte for byte.
    pub fn are_exact(&self) -> bool {
        self.certificate(Identity::Proven).is_none()
    }

    /// What a server shows in a handshake; `None`: it needs nothing.
    pub(super) fn certificate(&self, identity: Identity) -> Option<Arc<TlsScript>> {
        #[cfg(feature = "certificates")]
        if let Some(certificates) = &self.certificates {
            return Some(certificates.of(identity));
        }
        let _ = identity;
        None
    }

    /// The data of the TLSA records `3 1 1` of servers.
    pub(super) fn key_digest(&self) -> Vec<u8> {
        #[cfg(feature = "certificates")]
        if let Some(certificates) = &self.certificates {
            return certificates.key_digest.clone();
        }
        vec![7; 32]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_a_configuration_without_questions() {
        let mut dice = Dice::new(1);
        for _ in 0..50 {
            let policy = Profile::throw(&mut dice);
            let policy = policy.policy(NullTls::connector()).unwrap();
            assert_eq!(policy.warnings(), [] as [&str; 0]);
        }
    }
}
