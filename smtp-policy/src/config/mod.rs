//! The configuration: main.cf in Postfix's syntax, and the typed parameters made from it.
//!
//! A [`Config`] is a plain value: what one of the two clients is to do, parameter by parameter. It
//! is made in code from [`Config::default_for`], or from a [`MainCf`], which holds the settings of a
//! file as written and knows how to expand them. Neither knows the machine it runs on: its name
//! comes from the caller, and nothing is looked up.
//!
//! One table, [`Parameter::all`], is the only place that knows parameters.
//!
//! ```
//! use std::path::Path;
//! use smtp_policy::config::{MainCf, Protocol};
//!
//! let text = "myhostname = mail.example.com\nsmtp_helo_timeout = 5m\n";
//! let main = MainCf::parse(text, "main.cf", Path::new("/etc/outpost"))?;
//! let config = main.config(Protocol::Smtp)?;
//! assert_eq!(config.helo.helo_name, "mail.example.com");
//! assert_eq!(config.timeout.helo_timeout.as_secs(), 300);
//! # Ok::<(), smtp_policy::config::ConfigError>(())
//! ```
//!
//! Answers to Postfix's mail_conf*.c, mail_params.c, smtp_params.c, lmtp_params.c and postconf.

mod choice;
mod document;
mod dump;
mod error;
mod expand;
mod main_cf;
mod parameter;
mod params;
mod private;
mod suggest;
mod syntax;
mod value;

pub use choice::{
    AddressFormat, AddressPreference, DnsSupport, HostLookup, InetProtocols, ProbeTarget, Protocol,
    ResolverOptions,
};
pub use document::parameters_md;
pub use dump::{Listed, Listing};
pub use error::{ConfigError, ConfigWarning, Oddity, Origin, Problem};
pub use expand::ExpandError;
pub use main_cf::MainCf;
pub use parameter::{Kind, MAX_NUMBER, Named, Parameter, Status};
pub use params::{
    cache::CacheParams, connect::ConnectParams, content::ContentParams, general::GeneralParams,
    helo::HeloParams, lookup::LookupParams, sasl::SaslParams, timeout::TimeoutParams,
    tls::TlsParams, verdict::VerdictParams,
};

pub use private::Private;

use main_cf::Source;

/// What one of the two clients is to do: every parameter, typed, by subject.
///
/// A field is called as the Postfix parameter without `smtp_` or `lmtp_`. A parameter that its
/// protocol lacks holds a value that makes no difference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Which client this is for.
    pub protocol: Protocol,
    /// Names of this machine and common settings.
    pub general: GeneralParams,
    /// Where to connect to, and from which address.
    pub connect: ConnectParams,
    /// How names become addresses.
    pub lookup: LookupParams,
    /// Greeting, extensions, QUIT.
    pub helo: HeloParams,
    /// Time limits.
    pub timeout: TimeoutParams,
    /// The message text and the envelope on the wire.
    pub content: ContentParams,
    /// From replies to verdicts.
    pub verdict: VerdictParams,
    /// Kept connections and destination limits.
    pub cache: CacheParams,
    /// Login at the server.
    pub sasl: SaslParams,
    /// Encryption.
    pub tls: TlsParams,
}

impl Config {
    /// Postfix's defaults for a protocol, on a machine called `localhost`.
    pub fn default_for(protocol: Protocol) -> Self {
        Self::load(&mut Source::new(&MainCf::default(), protocol))
    }

    fn load(source: &mut Source<'_>) -> Self {
        let mut config = Self {
            protocol: source.protocol(),
            general: GeneralParams::load(source),
            connect: ConnectParams::load(source),
            lookup: LookupParams::load(source),
            helo: HeloParams::load(source),
            timeout: TimeoutParams::load(source),
            content: ContentParams::load(source),
            verdict: VerdictParams::load(source),
            cache: CacheParams::load(source),
            sasl: SaslParams::load(source),
            tls: TlsParams::load(source),
        };
        config.settle_dns_support(source);
        config
    }

    /// An empty `smtp_dns_support_level` leaves the choice to `disable_dns_lookups`; without DNS,
    /// hosts are looked up by the operating system alone (smtp.c, post_init).
    fn settle_dns_support(&mut self, source: &Source<'_>) {
        let lookup = &mut self.lookup;
        let name = match self.protocol {
            Protocol::Smtp => "smtp_dns_support_level",
            Protocol::Lmtp => "lmtp_dns_support_level",
        };
        if source.is_empty(name) && lookup.disable_dns_lookups {
            lookup.dns_support_level = DnsSupport::Disabled;
        }
        lookup.disable_dns_lookups = lookup.dns_support_level == DnsSupport::Disabled;
        if lookup.disable_dns_lookups {
            lookup.host_lookup = HostLookup {
                dns: false,
                native: true,
            };
        }
    }
}
