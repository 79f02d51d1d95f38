//! Making settings in code: the presets, and what is refused.

use core::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use smtp_proto::{Secret, command::HelloName};

use super::{
    compiled::Settings,
    groups::Groups,
    mail::Login,
    mistakes::{Mistake, SettingsError},
};
#[cfg(feature = "tls")]
use crate::tls::TlsMaterial;
use crate::{
    Protocol,
    route::{DnsSupport, ServiceName},
    tables::SecretMaps,
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
        self.login = Some(Login::new(SecretMaps::credentials(user, &password)));
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
        let Groups {
            identity,
            lookup,
            timeouts,
            limits,
            login,
            tls,
            log,
            ..
        } = &self.groups;
        let is_line = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        let session = &timeouts.session;
        let zero = "must not be zero";
        let line = "is empty or has control characters in it";
        let external = "an external table cannot filter DNS records";
        list([
            (!is_line(&identity.mail_name), "identity.mail_name", line),
            (
                !is_line(&identity.double_bounce),
                "identity.double_bounce",
                line,
            ),
            (!is_line(&identity.postmaster), "identity.postmaster", line),
            (lookup.filter.has_external(), "lookup.filter", external),
            (
                !matches!(
                    tls.dane.insecure_mx,
                    TlsLevel::May | TlsLevel::Encrypt | TlsLevel::Dane
                ),
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
            (
                login
                    .as_ref()
                    .is_some_and(|login| login.passwords.is_empty()),
                "login.passwords",
                "there are no passwords",
            ),
            (session.helo.is_zero(), "timeouts.session.helo", zero),
            (
                session.starttls.is_zero(),
                "timeouts.session.starttls",
                zero,
            ),
            (
                session.xforward.is_zero(),
                "timeouts.session.xforward",
                zero,
            ),
            (session.mail.is_zero(), "timeouts.session.mail", zero),
            (session.rcpt.is_zero(), "timeouts.session.rcpt", zero),
            (
                session.data_init.is_zero(),
                "timeouts.session.data_init",
                zero,
            ),
            (
                session.data_xfer.is_zero(),
                "timeouts.session.data_xfer",
                zero,
            ),
            (
                session.data_done.is_zero(),
                "timeouts.session.data_done",
                zero,
            ),
            (session.rset.is_zero(), "timeouts.session.rset", zero),
            (session.quit.is_zero(), "timeouts.session.quit", zero),
            (
                timeouts.connect == Some(Duration::ZERO),
                "timeouts.connect",
                zero,
            ),
            (timeouts.delivery.is_zero(), "timeouts.delivery", zero),
            (limits.header == 0, "limits.header", zero),
            (limits.boundary == 0, "limits.boundary", zero),
            (limits.nesting == 0, "limits.nesting", zero),
            (log.resolution > 6, "log.resolution", "is more than 6"),
        ])
    }

    /// Values that make no sense next to others, with which Postfix goes on all the same.
    fn contradictions(&self) -> Vec<Mistake> {
        let (lookup, tls) = (&self.lookup, &self.tls);
        let level = tls.level;
        let is_known = tls.policy.is_empty() && tls.per_site.is_empty();
        let is_dane = level.is_dane();
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
        let completes = lookup.search.defnames || lookup.search.dnsrch;
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
                is_dane && (lookup.dns != DnsSupport::Dnssec || !lookup.host_lookup.dns),
                "tls.level",
                "DANE needs look-ups in DNS with validation",
            ),
            (
                is_dane && completes,
                "tls.level",
                "DANE does not go with names that the resolver completes",
            ),
            (
                is_dane && lookup.ignore_mx_error,
                "tls.level",
                "DANE does not go with MX look-ups whose errors are ignored",
            ),
            (
                is_dane && tls.dane.digests.is_empty(),
                "tls.dane.digests",
                "DANE needs a digest",
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
