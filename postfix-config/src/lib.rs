//! Postfix's configuration for Outpost: main.cf in its own syntax, every parameter with its type, the lookup
//! tables, and the way from these to the settings of the engine. It decides nothing about a delivery.
//!
//! [`compile()`] makes a policy of a main.cf, and names all that is wrong with it:
//!
//! ```
//! use postfix_config::{MainCf, Protocol, compile};
//! use smtp_policy::dns::ResolverConfig;
//!
//! let main_cf = MainCf::parse("smtp_helo_timeout = 1m\n", "main.cf", "/etc/outpost".as_ref())?;
//! let policy = compile(&main_cf, ResolverConfig::default(), &[])?;
//! assert_eq!(policy.settings(Protocol::Smtp).timeouts.session.helo.as_secs(), 60);
//!
//! let wrong = "smtp_tls_security_level = encript\nsmtp_generic_maps = nosuch:x\n";
//! let main_cf = MainCf::parse(wrong, "main.cf", "/etc/outpost".as_ref())?;
//! let error = compile(&main_cf, ResolverConfig::default(), &[]).unwrap_err().to_string();
//! assert!(error.starts_with("main.cf: line 1: smtp_tls_security_level: \"encript\" is not one of"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In between is a [`Config`], a plain value: what one of the two clients is to do, parameter by parameter. It
//! is made in code from [`Config::default_for`], or from a [`MainCf`], which holds the settings of a
//! file as written and knows how to expand them. Neither knows the machine it runs on: its name
//! comes from the caller, and nothing is looked up.
//!
//! One table, [`Parameter::all`], is the only place that knows parameters. [`tables`] has the types of tables.
//!
//! Answers to Postfix's mail_conf*.c, mail_params.c, smtp_params.c, lmtp_params.c and postconf.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod choice;
mod compile;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod compile_tests;
mod compile_tls;
mod compiler;
mod derived;
mod document;
mod dump;
mod error;
mod expand;
pub(crate) mod files;
mod grammar;
mod main_cf;
#[cfg(feature = "tls")]
mod material;
mod oddities;
mod parameter;
mod params;
mod private;
mod routing;
mod source;
mod suggest;
mod syntax;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests;
mod value;

pub mod tables;

pub use compile::{CompileError, Compiled, Machine, compile, compile_client, compile_configs};
pub use derived::Derived;
pub use document::parameters_md;
pub use dump::{Listed, Listing};
pub use error::{ConfigError, ConfigWarning, Oddity, Origin, Problem};
pub use expand::ExpandError;
pub use grammar::Grammar;
pub(crate) use grammar::address;
pub use main_cf::MainCf;
pub use parameter::{Kind, MAX_NUMBER, Named, Parameter, Status};
pub use params::{
    cache::CacheParams, connect::ConnectParams, content::ContentParams, daemon::DaemonParams,
    general::GeneralParams, helo::HeloParams, lookup::LookupParams, newer::NewerParams,
    sasl::SaslParams, timeout::TimeoutParams, tls::TlsParams, verdict::VerdictParams,
};

pub use smtp_proto::{Protocol, Secret};

use std::collections::BTreeMap;

use smtp_policy::route::{DnsSupport, HostLookup};

use source::Source;

/// What one of the two clients is to do: every parameter, typed, by subject.
///
/// A field is called as the Postfix parameter without `smtp_` or `lmtp_`. A parameter that its
/// protocol lacks holds a value that makes no difference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The name of this machine, from which `myhostname` has its default.
    host_name: String,
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
    /// Under master(8).
    pub daemon: DaemonParams,
    /// The parameters that Postfix has got since 3.7.
    pub newer: NewerParams,
}

impl Config {
    /// Postfix's defaults for a protocol, on a machine called `localhost`.
    pub fn default_for(protocol: Protocol) -> Self {
        Self::load(&mut Source::new(&MainCf::default(), protocol))
    }

    fn load(source: &mut Source<'_>) -> Self {
        let mut config = Self {
            host_name: source.host_name().to_owned(),
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
            daemon: DaemonParams::load(source),
            newer: NewerParams::load(source),
        };
        source.deny();
        let name = match config.protocol {
            Protocol::Smtp => "smtp_dns_support_level",
            Protocol::Lmtp => "lmtp_dns_support_level",
        };
        if source.is_empty(name) {
            config.lookup.dns_support_level.unset();
        }
        config.settle_dns_support();
        config
    }

    /// Checks what a program has set, as if main.cf said so, and derives the rest from it.
    pub(crate) fn settled(mut self) -> Result<Self, Vec<ConfigError>> {
        let main = self.as_main_cf();
        let mut source = Source::new(&main, self.protocol);
        self.general.settle(&mut source);
        self.connect.settle(&mut source);
        self.lookup.settle(&mut source);
        self.helo.settle(&mut source);
        self.timeout.settle(&mut source);
        self.content.settle(&mut source);
        self.verdict.settle(&mut source);
        self.cache.settle(&mut source);
        self.sasl.settle(&mut source);
        self.tls.settle(&mut source);
        self.daemon.settle(&mut source);
        self.newer.settle(&mut source);
        let errors = source.into_errors();
        if !errors.is_empty() {
            return Err(errors);
        }
        self.settle_dns_support();
        Ok(self)
    }

    /// A main.cf that says what the fields say.
    fn as_main_cf(&self) -> MainCf {
        MainCf::of_program(&self.host_name, self.texts())
    }

    /// The fields that are set, as texts by the names that this protocol has for them.
    fn texts(&self) -> BTreeMap<&'static str, String> {
        let mut texts = BTreeMap::new();
        let mut tell = |parameter: &Parameter, text| {
            if let Some(named) = parameter.named(self.protocol) {
                texts.insert(named.name, text);
            }
        };
        self.general.texts(&mut tell);
        self.connect.texts(&mut tell);
        self.lookup.texts(&mut tell);
        self.helo.texts(&mut tell);
        self.timeout.texts(&mut tell);
        self.content.texts(&mut tell);
        self.verdict.texts(&mut tell);
        self.cache.texts(&mut tell);
        self.sasl.texts(&mut tell);
        self.tls.texts(&mut tell);
        self.daemon.texts(&mut tell);
        self.newer.texts(&mut tell);
        texts
    }

    /// A DNS support level that is not set follows from `disable_dns_lookups`; without DNS, hosts
    /// are looked up by the operating system alone (smtp.c, post_init).
    fn settle_dns_support(&mut self) {
        let lookup = &mut self.lookup;
        lookup
            .dns_support_level
            .derive(match lookup.disable_dns_lookups {
                true => DnsSupport::Disabled,
                false => DnsSupport::Enabled,
            });
        lookup.disable_dns_lookups = *lookup.dns_support_level == DnsSupport::Disabled;
        if lookup.disable_dns_lookups {
            lookup.host_lookup = HostLookup {
                dns: false,
                native: true,
            };
        }
    }
}

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
