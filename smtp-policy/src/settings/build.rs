//! Making settings in code: the presets, and what is refused.

use core::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use smtp_proto::{Secret, command::HelloName};

use super::{
    Login,
    compiled::Settings,
    groups::Groups,
    mistakes::{Mistake, SettingsError},
};
#[cfg(feature = "tls")]
use crate::tls::TlsMaterial;
use crate::{
    Protocol,
    route::{DnsSupport, ServiceName},
    sasl::settings::Credentials,
    tls::{MatchName, TlsLevel},
};

/// Settings that are being made: the [`Groups`], open for changes.
///
/// ```
/// use smtp_policy::settings::Settings;
/// use smtp_proto::Secret;
///
/// let mut settings = Settings::submission().credentials("me@example.org", Secret::new("sword:fish"));
/// settings.identity.host = "app.example.org".parse()?;
/// # let certificate = vec![0];
/// settings.tls.material.as_mut().unwrap().authorities.push(certificate);
/// settings.reuse.on_demand = false;
/// # #[cfg(all(feature = "tls", feature = "sasl"))]
/// let settings = settings.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SettingsBuilder {
    pub(super) protocol: Protocol,
    pub(super) groups: Groups,
    pub(super) warnings: Vec<String>,
}

impl Deref for SettingsBuilder {
    type Target = Groups;

    fn deref(&self) -> &Groups {
        &self.groups
    }
}

impl DerefMut for SettingsBuilder {
    fn deref_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }
}

impl Settings {
    /// Settings of an SMTP client. TLS is opportunistic; all else is as in Postfix.
    pub fn smtp() -> SettingsBuilder {
        SettingsBuilder::new(Protocol::Smtp)
    }

    /// Settings of an LMTP client. TLS is opportunistic; all else is as in Postfix.
    pub fn lmtp() -> SettingsBuilder {
        SettingsBuilder::new(Protocol::Lmtp)
    }

    /// Settings for handing mail to a submission server: TLS is demanded, and the certificate has to be valid for
    /// the name of the next hop (level `secure`). Trust anchors have to be given.
    pub fn submission() -> SettingsBuilder {
        let mut builder = Self::smtp();
        builder.tls.level = TlsLevel::Secure;
        builder.tls.secure_match = vec![MatchName::Nexthop];
        builder.connect.service = ServiceName::port(587);
        builder
    }

    /// Settings for delivery to the mail exchangers of a domain, from the machine with this name: DANE where the
    /// name servers validate and the domain has TLSA records, else opportunistic TLS.
    pub fn direct(host: HelloName) -> SettingsBuilder {
        let mut builder = Self::smtp().host(host);
        builder.lookup.dns = DnsSupport::Dnssec;
        builder.tls.level = match cfg!(feature = "tls") {
            true => TlsLevel::Dane,
            false => TlsLevel::None,
        };
        builder.tls.dane.insecure_mx = TlsLevel::Dane;
        builder
    }
}

impl SettingsBuilder {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            groups: Groups::new(protocol),
            warnings: Vec::new(),
        }
    }

    /// The protocol that the client is to speak.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Gives this machine its name, also in EHLO and in its own addresses.
    #[must_use]
    pub fn host(mut self, host: HelloName) -> Self {
        self.hello.name = host.clone();
        self.identity.origin = host.clone();
        self.identity.host = host;
        self
    }

    /// Trusts the certificate authorities of the operating system, besides those that are given.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn trust_system(mut self) -> Self {
        if let Ok(material) = &mut self.tls.material {
            let system = TlsMaterial::system_authorities();
            material.authorities.extend(system);
        }
        self
    }

    /// Logs in at all servers with this user and password. Without TLS no password goes out.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: Secret) -> Self {
        self.login = Some(Login::new(Credentials::password(user, &password)));
        self.reuse.by_destination = true;
        self
    }

    /// Adds what is questionable, for [`Settings::warnings`].
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Checks the settings and puts them together.
    ///
    /// # Errors
    /// Settings that make no sense, or contradict each other; all of them.
    pub fn build(self) -> Result<Settings, SettingsError> {
        let mut mistakes = self.mistakes();
        mistakes.extend(self.contradictions());
        let (settings, trouble) = Settings::assemble(self);
        mistakes.extend(trouble.map(|reason| Mistake {
            setting: "tls.material",
            reason,
        }));
        match mistakes.is_empty() {
            true => Ok(settings),
            false => Err(SettingsError(mistakes)),
        }
    }

    /// Puts the settings together as Postfix does: values that contradict each other are let pass where Postfix
    /// goes on with them, and says so at each delivery. Nothing gets weaker by that.
    ///
    /// # Errors
    /// Settings that make no sense by themselves; all of them.
    pub fn build_like_postfix(self) -> Result<Settings, SettingsError> {
        let mistakes = self.mistakes();
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
        let (mut settings, trouble) = Settings::assemble(self);
        if let Some(why) = trouble {
            let disabling = match cfg!(feature = "tls") {
                true => ": disabling TLS support",
                false => "",
            };
            settings.warn(format!("{why}{disabling}"));
        }
        Ok(settings)
    }

    /// Values that make no sense by themselves.
    fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = self.bad_values();
        mistakes.extend(self.zero_limits());
        mistakes
    }

    fn bad_values(&self) -> Vec<Mistake> {
        let Groups {
            identity,
            lookup,
            login,
            tls,
            log,
            ..
        } = &self.groups;
        let breaks = |text: &str| text.is_empty() || text.contains(char::is_control);
        let line = "is empty or has control characters in it";
        let insecure_mx = [TlsLevel::May, TlsLevel::Encrypt, TlsLevel::Dane];
        let credentials = login.as_ref().map(|login| &login.credentials);
        let (no_passwords, bad_user) = match credentials {
            Some(Credentials::Passwords(passwords)) => (passwords.is_empty(), false),
            Some(Credentials::Token(token)) => (false, breaks(token.user.trim())),
            None => (false, false),
        };
        list([
            (breaks(&identity.mail_name), "identity.mail_name", line),
            (
                breaks(&identity.double_bounce),
                "identity.double_bounce",
                line,
            ),
            (breaks(&identity.postmaster), "identity.postmaster", line),
            (
                lookup.filter.has_external(),
                "lookup.filter",
                "an external table cannot filter DNS records",
            ),
            (
                !insecure_mx.contains(&tls.dane.insecure_mx),
                "tls.dane.insecure_mx",
                "is not one of may, encrypt, dane",
            ),
            (
                tls.level == TlsLevel::HalfDane,
                "tls.level",
                "halfdane is what becomes of dane; it cannot be asked for",
            ),
            (
                login.is_some() && cfg!(not(feature = "sasl")),
                "login",
                "this program was built without SASL",
            ),
            (no_passwords, "login.credentials", "there are no passwords"),
            (
                bad_user,
                "login.credentials",
                "the user of the tokens is empty or has control characters in it",
            ),
            (log.resolution > 6, "log.resolution", "is more than 6"),
        ])
    }

    fn zero_limits(&self) -> impl Iterator<Item = Mistake> + use<> {
        let Groups {
            timeouts, limits, ..
        } = &self.groups;
        let session = &timeouts.session;
        [
            (session.helo.is_zero(), "timeouts.session.helo"),
            (session.starttls.is_zero(), "timeouts.session.starttls"),
            (session.xforward.is_zero(), "timeouts.session.xforward"),
            (session.mail.is_zero(), "timeouts.session.mail"),
            (session.rcpt.is_zero(), "timeouts.session.rcpt"),
            (session.data_init.is_zero(), "timeouts.session.data_init"),
            (session.data_xfer.is_zero(), "timeouts.session.data_xfer"),
            (session.data_done.is_zero(), "timeouts.session.data_done"),
            (session.rset.is_zero(), "timeouts.session.rset"),
            (session.quit.is_zero(), "timeouts.session.quit"),
            (timeouts.connect == Some(Duration::ZERO), "timeouts.connect"),
            (timeouts.delivery.is_zero(), "timeouts.delivery"),
            (limits.header == 0, "limits.header"),
            (limits.boundary == 0, "limits.boundary"),
            (limits.nesting == 0, "limits.nesting"),
        ]
        .into_iter()
        .filter(|(is_zero, _)| *is_zero)
        .map(|(_, setting)| Mistake {
            setting,
            reason: "must not be zero".to_owned(),
        })
    }

    /// Values that make no sense next to others, with which Postfix goes on all the same.
    fn contradictions(&self) -> Vec<Mistake> {
        let mut mistakes = self.lookup_contradictions();
        mistakes.extend(self.tls_contradictions());
        if self.tls.level.is_dane() {
            mistakes.extend(self.dane_contradictions());
        }
        mistakes
    }

    fn lookup_contradictions(&self) -> Vec<Mistake> {
        let lookup = &self.lookup;
        let uses_dns = lookup.dns != DnsSupport::Disabled;
        list([
            (
                !lookup.families.ipv4 && !lookup.families.ipv6,
                "lookup.families",
                "neither IPv4 nor IPv6 is in use",
            ),
            (
                lookup.host_lookup.dns && !uses_dns,
                "lookup.host_lookup",
                "hosts are looked up in DNS, which is disabled",
            ),
            (
                !lookup.host_lookup.dns && !lookup.host_lookup.native,
                "lookup.host_lookup",
                "hosts are looked up nowhere",
            ),
        ])
    }

    fn tls_contradictions(&self) -> Vec<Mistake> {
        let tls = &self.tls;
        let level = tls.level;
        let is_known = tls.policy.is_empty() && tls.per_site.is_empty();
        let offer = match level.is_mandatory() {
            true => &tls.mandatory,
            false => &tls.opportunistic,
        };
        let has_engine = tls.engine.is_some() || cfg!(feature = "tls");
        let has_anchors = tls.engine.is_some()
            || matches!(&tls.anchors, Some(Ok(_)))
            || matches!(&tls.material, Ok(material) if !material.authorities.is_empty());
        let names = match level {
            TlsLevel::Verify => &tls.verify_match,
            _ => &tls.secure_match,
        };
        list([
            (
                tls.wrapper && is_known && !level.is_mandatory(),
                "tls.wrapper",
                "needs level encrypt or a stronger one",
            ),
            (
                level.is_mandatory() && !has_engine,
                "tls.level",
                "demands TLS, for which there is no engine",
            ),
            (
                level.needs_authority() && !has_anchors,
                "tls.level",
                "demands certificates, for which there are no trust anchors",
            ),
            (
                level.needs_authority() && names.is_empty(),
                "tls.level",
                "demands a certificate, for which there are no names",
            ),
            (
                level == TlsLevel::Fingerprint && is_known && tls.fingerprints.is_empty(),
                "tls.level",
                "demands fingerprints, and there are none",
            ),
            (
                level > TlsLevel::None && offer.versions().is_empty(),
                "tls.level",
                "protocols and cipher grade leave neither TLSv1.2 nor TLSv1.3",
            ),
            (
                tls.server_name.is_invalid(),
                "tls.server_name",
                "is no host name",
            ),
            (
                matches!(tls.anchors, Some(Err(_))),
                "tls.anchors",
                "cannot be used",
            ),
        ])
    }

    fn dane_contradictions(&self) -> Vec<Mistake> {
        let (lookup, tls) = (&self.lookup, &self.tls);
        let completes = lookup.search.defnames || lookup.search.dnsrch;
        list([
            (
                lookup.dns != DnsSupport::Dnssec || !lookup.host_lookup.dns,
                "tls.level",
                "DANE needs look-ups in DNS with validation",
            ),
            (
                completes,
                "tls.level",
                "DANE does not go with names that the resolver completes",
            ),
            (
                lookup.ignore_mx_error,
                "tls.level",
                "DANE does not go with MX look-ups whose errors are ignored",
            ),
            (
                tls.dane.digests.is_empty(),
                "tls.dane.digests",
                "DANE needs a digest",
            ),
        ])
    }
}

/// The mistakes whose condition holds.
fn list<const N: usize>(rules: [(bool, &'static str, &str); N]) -> Vec<Mistake> {
    let mistake = |(is_wrong, setting, reason): (bool, &'static str, &str)| {
        is_wrong.then(|| Mistake {
            setting,
            reason: reason.to_owned(),
        })
    };
    rules.into_iter().filter_map(mistake).collect()
}
