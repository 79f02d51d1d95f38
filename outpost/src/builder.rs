//! A mailer in the making: where mail goes, and everything that decides on the way.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    policy::Policy,
    request::Nexthop,
    route::{HostLookup, ServiceName},
    settings::{AsyncTokenProvider, Credentials, Login, Settings, SettingsBuilder, TokenProvider},
    tls::TlsLevel,
};
use smtp_proto::Secret;

use crate::{
    error::{BuildError, Wrong},
    machine,
    plan::Plan,
};

/// The age up to which the session of a TLS connection may be resumed, as in Postfix
/// (`smtp_tls_session_cache_timeout`).
const RESUMPTION: Duration = Duration::from_secs(3600);
/// The port at which TLS begins with the connection (RFC 8314).
const SUBMISSIONS: &str = "465";

/// Something that mail can be handed to: what a [`Builder`] builds.
pub trait FromPolicy: Sized {
    /// Makes it of everything that decides on deliveries.
    #[doc(hidden)]
    fn from_policy(policy: Arc<Policy>, way: Way) -> Self;
}

/// The way of messages out of this machine.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Way(pub(crate) Plan);

/// A mailer in the making. It is secure unless it is told otherwise; [`configure`](Self::configure)
/// reaches every setting.
///
/// ```
/// use outpost::{Mailer, TlsLevel};
///
/// let mailer = Mailer::relay("[mail.example.com]:25")
///     .hostname("app.example.org")
///     .tls(TlsLevel::Encrypt)
///     .configure(|settings| settings.limits.concurrency = 5)
///     .build()?;
/// # Ok::<(), outpost::BuildError>(())
/// ```
#[must_use = "nothing is built before `build`"]
pub struct Builder<M> {
    settings: SettingsBuilder,
    route: Route,
    level: Option<TlsLevel>,
    /// The authorities that vouch for servers, as certificates in DER; none: those of the system.
    authorities: Option<Vec<Vec<u8>>>,
    resolver: Option<ResolverConfig>,
    #[cfg(feature = "mta-sts")]
    mta_sts: bool,
    dialogue: bool,
    wrong: Vec<Wrong>,
    built: PhantomData<fn() -> M>,
}

/// The next hop of a message.
#[derive(Clone, Debug)]
enum Route {
    /// The same for all.
    To(String),
    /// The domain of each recipient.
    Domains,
}

impl<M: FromPolicy> Builder<M> {
    pub(crate) fn submission(server: &str) -> Self {
        let mut builder = Self::new(Settings::submission(), Route::Domains);
        // A server that a person names may be known to this machine alone.
        builder.settings.lookup.host_lookup = HostLookup {
            dns: false,
            native: true,
        };
        match Server::parse(server) {
            Some(Server { host, port }) => {
                if port == Some(SUBMISSIONS) {
                    builder = builder.implicit_tls();
                }
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                builder.route = Route::To(format!("[{host}]{port}"));
            }
            None => builder.wrong("server", server, "expected HOST or HOST:PORT"),
        }
        builder
    }

    pub(crate) fn relay(nexthop: &str) -> Self {
        let mut builder = Self::new(
            Settings::direct(machine::name()),
            Route::To(nexthop.to_owned()),
        );
        builder.settings.lookup.host_lookup.native = true;
        builder
    }

    pub(crate) fn direct(hostname: &str) -> Self {
        Self::new(Settings::direct(machine::name()), Route::Domains).hostname(hostname)
    }

    pub(crate) fn lmtp(nexthop: &str) -> Self {
        let mut builder = Self::new(Settings::lmtp(), Route::To(nexthop.to_owned()));
        builder.settings.lookup.host_lookup.native = true;
        builder
    }

    fn new(settings: SettingsBuilder, route: Route) -> Self {
        let mut settings = settings.host(machine::name());
        settings.tls.connection_reuse = true;
        settings.tls.resumption = Some(RESUMPTION);
        Self {
            settings,
            route,
            level: None,
            authorities: None,
            resolver: None,
            #[cfg(feature = "mta-sts")]
            mta_sts: false,
            dialogue: false,
            wrong: Vec::new(),
            built: PhantomData,
        }
    }

    fn wrong(&mut self, setting: &'static str, value: &str, reason: impl fmt::Display) {
        self.wrong.push(Wrong::new(setting, value, reason));
    }

    /// Names this machine, in EHLO and in its own addresses. By default the name that the system has,
    /// where a file tells it.
    pub fn hostname(mut self, name: impl AsRef<str>) -> Self {
        match name.as_ref().parse() {
            Ok(name) => self.settings = self.settings.host(name),
            Err(why) => self.wrong("hostname", name.as_ref(), why),
        }
        self
    }

    /// Logs in with a user and a password, inside TLS only. A server that has them is to be the right
    /// one: unless [`tls`](Self::tls) says otherwise, its certificate is verified.
    pub fn credentials(mut self, user: impl AsRef<str>, password: impl Into<Vec<u8>>) -> Self {
        let user = user.as_ref();
        if user.contains(':') {
            self.wrong("user", user, "a user has no colon");
        }
        self.login(Credentials::password(user, &Secret::new(password)))
    }

    /// Logs in with access tokens (OAuth 2.0) of a source that is asked before each connection, and once
    /// more for a new one when a server has refused a token. They go out by OAUTHBEARER and XOAUTH2 only.
    ///
    /// ```
    /// use outpost::{Mailer, Secret, TokenFailure, TokenRequest};
    ///
    /// fn token(wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
    ///     let file = if wanted.refresh { "/run/token.new" } else { "/run/token" };
    ///     let token = std::fs::read_to_string(file);
    ///     token.map(|token| Secret::new(token.trim())).map_err(|why| TokenFailure::new(why.to_string()))
    /// }
    ///
    /// let builder = Mailer::submission("smtp.example.com").token("me@example.com", token);
    /// ```
    pub fn token(self, user: impl Into<String>, provider: impl TokenProvider + 'static) -> Self {
        self.login(Credentials::token(user, provider))
    }

    /// The same with a source of tokens that is awaited: a closure that returns a future.
    pub fn async_token(
        self,
        user: impl Into<String>,
        provider: impl AsyncTokenProvider + 'static,
    ) -> Self {
        self.login(Credentials::async_token(user, provider))
    }

    /// Logs in with any credentials, such as [`SecretMaps`](crate::SecretMaps): tables that answer
    /// `user:password` by server name or next hop.
    pub fn login(mut self, credentials: impl Into<Credentials>) -> Self {
        self.settings.login = Some(Login::new(credentials));
        self.settings.reuse.by_destination = true;
        self
    }

    /// Chooses how much TLS is demanded. Without it, [`submission`](crate::mailer::Mailer::submission)
    /// verifies the server (`secure`), all others verify it where DANE tells how, and encrypt where
    /// that is offered (`dane`).
    pub fn tls(mut self, level: TlsLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// Begins TLS with the connection, without STARTTLS, by default at port 465 (RFC 8314).
    pub fn implicit_tls(mut self) -> Self {
        self.settings.tls.wrapper = true;
        self.settings.connect.service = ServiceName::port(465);
        self
    }

    /// Trusts these certificate authorities, in PEM, in place of those of the operating system.
    #[cfg(feature = "rustls")]
    pub fn authorities(mut self, pem: impl AsRef<[u8]>) -> Self {
        match smtp_policy::tls::TrustAnchors::from_pem(pem.as_ref()) {
            Ok(anchors) if anchors.certificates.is_empty() => {
                self.wrong("authorities", "PEM", "there is no certificate");
            }
            Ok(anchors) => self.authorities = Some(anchors.certificates),
            Err(why) => self.wrong("authorities", "PEM", why),
        }
        self
    }

    /// Asks these name servers. By default those of `/etc/resolv.conf`.
    pub fn resolver(mut self, resolver: ResolverConfig) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Heeds the MTA-STS policies of recipients' domains (RFC 8461).
    #[cfg(feature = "mta-sts")]
    pub fn mta_sts(mut self) -> Self {
        self.mta_sts = true;
        self
    }

    /// Has observers hear each line of the dialogues, [`Event::Said`](crate::Event::Said) and
    /// [`Event::Heard`](crate::Event::Heard); of a login there is none, and one stands for the text.
    pub fn dialogue(mut self) -> Self {
        self.dialogue = true;
        self
    }

    /// Changes any setting; see [`settings`](smtp_policy::settings).
    pub fn configure(mut self, change: impl FnOnce(&mut SettingsBuilder)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Builds the mailer. Nothing is connected to before the first message.
    ///
    /// # Errors
    /// Everything that cannot be understood, or that contradicts itself.
    pub fn build(mut self) -> Result<M, BuildError> {
        let level = self.level.unwrap_or_else(|| self.default_level());
        self.settings.tls.level = level;
        self.trust_authorities(level);
        let protocol = self.settings.protocol();
        let smtputf8 = self.settings.content.smtputf8;
        let policy = match self.settings.build() {
            Ok(settings) => Some(Policy::new(settings)),
            Err(error) => {
                self.wrong.extend(error.mistakes().iter().map(Wrong::from));
                None
            }
        };
        let nexthop = policy.as_ref().and_then(|policy| {
            let Route::To(hop) = &self.route else {
                return None;
            };
            next_hop(policy, protocol, hop)
                .map_err(|wrong| self.wrong.push(wrong))
                .ok()
        });
        let Some(policy) = policy.filter(|_| self.wrong.is_empty()) else {
            return Err(BuildError::new(self.wrong));
        };
        let policy = policy.with_resolver(self.resolver.unwrap_or_else(machine::resolver));
        #[cfg(feature = "mta-sts")]
        let policy = match self.mta_sts {
            true => policy.with_mta_sts(smtp_policy::sts::MtaSts::default()),
            false => policy,
        };
        let policy = match self.dialogue {
            true => policy.with_dialogue(),
            false => policy,
        };
        let plan = Plan {
            protocol,
            nexthop,
            smtputf8,
        };
        Ok(M::from_policy(Arc::new(policy), Way(plan)))
    }

    /// A password only goes to a server that is verified, unless somebody wants less.
    fn default_level(&self) -> TlsLevel {
        let level = self.settings.tls.level;
        match &self.settings.login {
            Some(_) if !level.needs_authority() && has_tls() => TlsLevel::Secure,
            _ => level,
        }
    }

    fn trust_authorities(&mut self, level: TlsLevel) {
        let trusted = match self.authorities.take() {
            Some(given) => given,
            None if level.needs_authority() => system_authorities(),
            None => Vec::new(),
        };
        if let Ok(material) = &mut self.settings.tls.material {
            material.authorities.extend(trusted);
        }
    }
}

const fn has_tls() -> bool {
    cfg!(feature = "rustls")
}

#[cfg(feature = "rustls")]
fn system_authorities() -> Vec<Vec<u8>> {
    smtp_policy::tls::TlsMaterial::system_authorities()
}

/// Without TLS nobody is asked for a certificate.
#[cfg(not(feature = "rustls"))]
const fn system_authorities() -> Vec<Vec<u8>> {
    Vec::new()
}

/// The next hop for all messages, if it makes sense.
pub(crate) fn next_hop(policy: &Policy, protocol: Protocol, hop: &str) -> Result<Nexthop, Wrong> {
    let wrong = |why: &dyn fmt::Display| Wrong::new("next hop", hop, why);
    policy
        .destinations(protocol, hop)
        .map_err(|why| wrong(&why))?;
    Nexthop::parse(hop).map_err(|why| wrong(&why))
}

/// A server as a person writes it: `host`, `host:port`, or an address, in brackets or not.
struct Server<'a> {
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Server<'a> {
    fn parse(written: &'a str) -> Option<Self> {
        let written = written.trim();
        let (host, port) = match written.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                match rest {
                    "" => (host, None),
                    rest => (host, Some(rest.strip_prefix(':')?)),
                }
            }
            // An IPv6 address has several colons, and no port.
            None => match written.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (written, None),
            },
        };
        let is_host = !host.is_empty() && !host.contains(['[', ']', ',']);
        (is_host && port != Some("")).then_some(Self { host, port })
    }
}

impl<M> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("route", &self.route)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
