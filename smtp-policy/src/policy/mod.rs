//! The policy that all deliveries share: the settings of the clients, the name servers, MTA-STS. A value that is made once
//! and handed around behind an `Arc`; nothing in it changes but what is remembered of failed logins, of MTA-STS
//! policies, and of whether the name servers validate.
//!
//! ```
//! use smtp_policy::{Protocol, dns::ResolverConfig, policy::Policy, settings::Settings};
//!
//! let settings = Settings::direct("mail.example.org".parse()?).build();
//! # #[cfg(feature = "tls")]
//! let policy = Policy::new(settings?).with_resolver(ResolverConfig::default());
//! # #[cfg(feature = "tls")]
//! assert_eq!(policy.settings(Protocol::Smtp).identity.host.as_str(), "mail.example.org");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::{Arc, OnceLock};

use crate::{
    Protocol,
    dns::{ResolverConfig, probe::DnssecProbe},
    route::{Destination, NexthopError},
    settings::{FailedLogins, Settings},
    sts::MtaSts,
    tls::TlsConnector,
};

/// Everything a [`Delivery`](crate::delivery::Delivery) is decided by.
#[derive(Debug)]
pub struct Policy {
    /// Those of a client that nobody has given are made when somebody asks for them.
    smtp: OnceLock<Arc<Settings>>,
    lmtp: OnceLock<Arc<Settings>>,
    resolver: Arc<ResolverConfig>,
    sts: Option<Arc<MtaSts>>,
    tls_results: bool,
    dialogue: bool,
    dnssec_probe: DnssecProbe,
    warnings: Vec<String>,
}

impl Policy {
    /// A policy for one of the clients, with name servers as [`ResolverConfig::default`] has them. Mail for the
    /// other client is deferred, unless [`with`](Self::with) adds its settings.
    pub fn new(settings: Settings) -> Self {
        let policy = Self {
            smtp: OnceLock::new(),
            lmtp: OnceLock::new(),
            resolver: Arc::default(),
            sts: None,
            tls_results: false,
            dialogue: false,
            dnssec_probe: DnssecProbe::default(),
            warnings: Vec::new(),
        };
        policy.with(settings)
    }

    /// Adds the settings of a client, or replaces them.
    #[must_use]
    pub fn with(mut self, settings: Settings) -> Self {
        for warning in settings.warnings() {
            // The clients share tables, and both say the same of them.
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
        match settings.protocol() {
            Protocol::Smtp => self.smtp = Arc::new(settings).into(),
            Protocol::Lmtp => self.lmtp = Arc::new(settings).into(),
        }
        self
    }

    /// Sets the name servers and how they are asked.
    #[must_use]
    pub fn with_resolver(mut self, resolver: ResolverConfig) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Has one question asked of name servers that turn out not to validate (`dnssec_probe`), to be sure of it.
    #[must_use]
    pub fn with_dnssec_probe(mut self, probe: DnssecProbe) -> Self {
        self.dnssec_probe = probe;
        self
    }

    /// Has each session note its dialogue, as those with a peer in `debug_peer_list` do:
    /// what `-v` is to Postfix. A line stands for the message text.
    #[must_use]
    pub fn with_dialogue(mut self) -> Self {
        self.dialogue = true;
        self
    }

    /// Takes another TLS engine for both clients. It decides alone which authorities
    /// it trusts and which certificate it shows; what the settings say about
    /// that was for the engine that it replaces.
    #[must_use]
    pub fn with_tls(mut self, connector: Arc<dyn TlsConnector>) -> Self {
        let both = [&mut self.smtp, &mut self.lmtp];
        for settings in both.into_iter().filter_map(OnceLock::get_mut) {
            Arc::make_mut(settings).set_engine(Arc::clone(&connector));
        }
        self
    }

    /// Turns on MTA-STS for mail over SMTP; see [`sts`](crate::sts).
    #[must_use]
    pub fn with_mta_sts(mut self, sts: MtaSts) -> Self {
        let sts = Arc::new(sts);
        if let Some(settings) = self.smtp.get_mut() {
            Arc::make_mut(settings).set_sts(&sts, &mut self.warnings);
        }
        self.sts = Some(sts);
        self
    }

    /// Has each delivery note what becomes of TLS in the terms of RFC 8460:
    /// [`Event::TlsReport`](crate::event::Event::TlsReport). A message that waives TLS is not noted.
    #[must_use]
    pub fn with_tls_results(mut self) -> Self {
        self.tls_results = true;
        self
    }

    /// The settings of a client. Those that nobody has given are defaults with which no mail goes out.
    pub fn settings(&self, protocol: Protocol) -> &Arc<Settings> {
        let settings = match protocol {
            Protocol::Smtp => &self.smtp,
            Protocol::Lmtp => &self.lmtp,
        };
        settings.get_or_init(|| Arc::new(Settings::missing(protocol)))
    }

    /// The destinations that a next hop names, in order, as deliveries by `protocol` read
    /// it.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn destinations(
        &self,
        protocol: Protocol,
        nexthop: &str,
    ) -> Result<Vec<Destination>, NexthopError> {
        self.settings(protocol).nexthop.parse(nexthop)
    }

    /// The name servers and how they are asked.
    pub fn resolver(&self) -> &Arc<ResolverConfig> {
        &self.resolver
    }

    /// Warnings: whatever is questionable about the settings and their tables, though not
    /// wrong enough to refuse them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// MTA-STS as it was turned on, with what is known by now.
    pub fn mta_sts(&self) -> Option<&Arc<MtaSts>> {
        self.sts.as_ref()
    }

    /// The failed logins that the deliveries of a client remember; none unless `smtp_sasl_auth_cache_name` is set.
    pub fn failed_logins(&self, protocol: Protocol) -> Option<&FailedLogins> {
        self.settings(protocol).sasl.as_ref()?.memory()
    }

    pub(crate) const fn reports_tls(&self) -> bool {
        self.tls_results
    }

    pub(crate) const fn tells_dialogue(&self) -> bool {
        self.dialogue
    }

    /// Returns whether the name servers validate, as far as anybody knows.
    pub(crate) const fn dnssec_probe(&self) -> &DnssecProbe {
        &self.dnssec_probe
    }
}
