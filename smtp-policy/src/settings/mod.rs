//! The settings of one client, compiled: what the engine is decided by, in the engine's own types.
//!
//! A program makes them with a [`SettingsBuilder`]; `postfix_config::compile` makes them of a main.cf. Neither
//! leaves a text behind that has to be read again: a level is a [`TlsLevel`](crate::tls::TlsLevel), a relay is a [`Destination`](crate::route::Destination), a
//! table is a value. What contradicts itself is refused when the settings are built. They know no file and no
//! machine; tables, credentials, trust anchors and TLS engines are handed in.
//!
//! SMTP and LMTP are one type twice, and a [`Policy`](crate::policy::Policy) is made of either or both.
//!
//! ```
//! use smtp_policy::{Protocol, policy::Policy, settings::Settings, tls::TlsLevel};
//!
//! let mut settings = Settings::smtp();
//! settings.identity.host = "app.example.org".parse()?;
//! settings.hello.name = "app.example.org".parse()?;
//! settings.tls.level = TlsLevel::May;
//! let policy = Policy::new(settings.build()?);
//! assert_eq!(policy.settings(Protocol::Smtp).hello.name.as_str(), "app.example.org");
//!
//! // What cannot be had is refused, with all that is wrong.
//! let mut settings = Settings::smtp();
//! settings.tls.level = TlsLevel::Secure;
//! settings.limits.header = 0;
//! let error = settings.build().unwrap_err();
//! assert_eq!(error.mistakes().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | group | is about |
//! |---|---|
//! | [`identity`](Groups::identity) | the names of this machine |
//! | [`hello`](Groups::hello) | greeting, extensions, QUIT |
//! | [`lookup`](Groups::lookup) | names to addresses |
//! | [`connect`](Groups::connect) | ports, source addresses, relays |
//! | [`tls`](Groups::tls) | encryption |
//! | [`login`](Groups::login) | AUTH |
//! | [`content`](Groups::content) | the text and the addresses on the wire |
//! | [`timeouts`](Groups::timeouts) | how long everything may take |
//! | [`verdict`](Groups::verdict) | from replies to verdicts |
//! | [`reuse`](Groups::reuse) | kept connections |
//! | [`limits`](Groups::limits) | how many, how large |
//! | [`log`](Groups::log) | log lines |

mod build;
mod compiled;
mod groups;
mod mail;
mod mistakes;
#[cfg(test)]
mod tests;
mod words;

pub use self::{
    build::SettingsBuilder,
    compiled::Settings,
    groups::{Connect, Groups, Hello, Identity, Lookup, Pix},
    mail::{Limits, Reuse, TimeLimits, Verdicts},
    mistakes::{Mistake, SettingsError},
    words::{BestMx, NotifyClasses, PixWords, ProbeTarget},
};

// The groups about one subject stand with it.
pub use crate::{
    content::settings::{Content, Rewriting},
    report::AddressFormat,
    sasl::{
        FailedLogin, FailedLogins, SecurityOptions,
        settings::{Credentials, Login},
        token::{
            AsyncTokenProvider, TokenFailure, TokenFuture, TokenLogin, TokenProvider, TokenRequest,
            TokenSource,
        },
    },
    tls::settings::{Dane, Offer, StsAuthorities, Tls, TlsLog},
};
