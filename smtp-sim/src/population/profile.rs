//! The configurations that populations are run under: each is a row of choices. Settings are made of them in code,
//! since nearly every seed has its own.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use smtp_policy::{
    Protocol,
    dns::{ResolverConfig, probe::DnssecProbe},
    policy::Policy,
    route::{DnsSupport, OwnAddresses},
    settings::{Login, SecurityOptions, Settings, SettingsError},
    tables::SecretMaps,
    tls::{MatchName, TlsConnector, TlsLevel},
};
use smtp_proto::{
    Secret,
    command::HelloName,
    session::{DeadlineRule, HelloChoice, Timeouts},
};

use super::servers::NAME_SERVERS;
#[cfg(feature = "certificates")]
use super::{certificates::Certificates, servers};

use crate::{
    dice::Dice,
    peer::{Identity, Moment, NullTls},
    scenario::TlsScript,
};

/// The user name that is used everywhere.
const USER: &str = "sim-user";
/// Its password.
const PASSWORD: &str = "sim-password";
/// The address at which the client receives mail.
const OWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250));
/// The time limits in seconds by where they hold: no two are the same, so that a limit of the wrong stage is seen.
const LIMITS: [(&[Moment], u64); 10] = [
    (&[Moment::Banner, Moment::Hello, Moment::Auth], 20),
    (&[Moment::StartTls, Moment::Handshake], 25),
    (&[Moment::Forward], 23),
    (&[Moment::Mail], 22),
    (&[Moment::Rcpt], 24),
    (&[Moment::Data], 26),
    (&[Moment::Text], 28),
    (&[Moment::End], 32),
    (&[Moment::Rset], 5),
    (&[Moment::Quit], 6),
];

/// How long a client may wait at a place of the dialogue.
pub fn time_limit(moment: Moment) -> Duration {
    let found = LIMITS.iter().find(|(moments, _)| moments.contains(&moment));
    Duration::from_secs(found.map_or(0, |(_, seconds)| *seconds))
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

impl Security {
    const fn level(self) -> TlsLevel {
        match self {
            Self::None => TlsLevel::None,
            Self::May => TlsLevel::May,
            Self::Encrypt => TlsLevel::Encrypt,
            Self::Secure => TlsLevel::Secure,
            Self::Dane => TlsLevel::Dane,
        }
    }
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
    pub line_length: u32,
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

    /// The settings of these choices, for a client of one protocol.
    fn settings(
        &self,
        protocol: Protocol,
        connector: Arc<dyn TlsConnector>,
    ) -> Result<Settings, SettingsError> {
        let mut settings = match protocol {
            Protocol::Smtp => Settings::smtp(),
            Protocol::Lmtp => Settings::lmtp(),
        };
        if let Ok(name) = HelloName::parse("client.example") {
            settings = settings.host(name);
        }
        settings.hello.skip_quit_response = self.skip_quit;
        settings.hello.xforward = self.habit == Habit::Forward;
        if self.habit == Habit::Helo && protocol == Protocol::Smtp {
            settings.hello.choice = HelloChoice::Helo;
        }
        settings.lookup.dns = DnsSupport::Dnssec;
        if self.security == Security::Dane {
            settings.tls.dane.insecure_mx = TlsLevel::Dane;
        } else {
            // There is no DANE for names that are found with a search list.
            settings.lookup.search.dnsrch = true;
        }
        settings.connect.own = Arc::new(OwnAddresses {
            interfaces: vec![OWN_ADDRESS],
            proxies: Vec::new(),
        });
        settings.tls.engine = Some(connector);
        settings.tls.level = self.security.level();
        settings.tls.wrapper = self.habit == Habit::Wrapper;
        settings.tls.secure_match = vec![MatchName::Nexthop, MatchName::DotNexthop];
        settings.login = self.login();
        settings.timeouts.connect = Some(Duration::from_secs(30));
        settings.timeouts.session = timeouts();
        settings.timeouts.delivery = Duration::from_secs(1_000);
        if self.per_request {
            settings.timeouts.deadline = DeadlineRule::PerRequest { min_data_rate: 500 };
        }
        settings.limits.concurrency = self.concurrency;
        settings.limits.recipients = self.recipients;
        settings.limits.line = self.line_length;
        settings.reuse.by_destination = true;
        settings.build()
    }

    fn login(&self) -> Option<Login> {
        let passwords = SecretMaps::credentials(USER, &Secret::new(PASSWORD));
        let mut login = Login::new(passwords);
        match self.logins {
            Logins::Off => return None,
            // As it is by default.
            Logins::Careful => {}
            Logins::Any => login.plaintext = SecurityOptions::NOANONYMOUS,
        }
        Some(login)
    }

    fn policy(&self, connector: &Arc<dyn TlsConnector>) -> Result<Policy, SettingsError> {
        let resolver = ResolverConfig {
            servers: NAME_SERVERS.map(|server| (server, 53).into()).into(),
            search: vec!["search.example".to_owned()],
            ..ResolverConfig::default()
        };
        let settings = |protocol| self.settings(protocol, Arc::clone(connector));
        let policy = Policy::new(settings(Protocol::Smtp)?)
            .with(settings(Protocol::Lmtp)?)
            .with_resolver(resolver);
        Ok(match self.probing {
            true => policy.with_dnssec_probe(DnssecProbe::parse("ns:.").unwrap_or_default()),
            false => policy,
        })
    }
}

/// The time limits of a session.
fn timeouts() -> Timeouts {
    Timeouts {
        helo: time_limit(Moment::Hello),
        starttls: time_limit(Moment::StartTls),
        xforward: time_limit(Moment::Forward),
        mail: time_limit(Moment::Mail),
        rcpt: time_limit(Moment::Rcpt),
        data_init: time_limit(Moment::Data),
        data_xfer: time_limit(Moment::Text),
        data_done: time_limit(Moment::End),
        rset: time_limit(Moment::Rset),
        quit: time_limit(Moment::Quit),
    }
}

/// The policies that were made so far, with what TLS is made of.
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
    pub fn get(&mut self, profile: Profile) -> Result<Arc<Policy>, SettingsError> {
        if let Some(policy) = self.made.get(&profile) {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(profile.policy(&self.connector())?);
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
            let policy = policy.policy(&NullTls::connector()).unwrap();
            assert_eq!(policy.warnings(), [] as [&str; 0]);
        }
    }
}
