//! Delivery of mail: a [`Mailer`] takes a message and an envelope, and says for every recipient what
//! became of it. It behaves on the wire, and judges, as Postfix's smtp(8) does. It is not a mail
//! composer, and has no queue: a caller who gets `deferred` tries again later, or hands the message to
//! the crate `outpost-queue`.
//!
//! ```no_run
//! use outpost::{Envelope, Mailer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mailer = Mailer::submission("smtp.example.com")
//!         .credentials("me@example.org", std::env::var("SMTP_PASSWORD")?)
//!         .build()?;
//!     let envelope = Envelope::new("me@example.org", ["a@example.com", "b@example.net"])?;
//!     let report = mailer.send(envelope, "Subject: hello\n\nHi there.\n").await;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! # Ways out
//!
//! | mail goes | with |
//! |---|---|
//! | to a server where one has an account | [`Mailer::submission`](mailer::Mailer::submission): TLS is demanded, the server verified |
//! | to the mail exchangers of each recipient | [`Mailer::direct`](mailer::Mailer::direct): TLS where offered, verified by DANE where DNS is validated |
//! | to one server or domain | [`Mailer::relay`](mailer::Mailer::relay): the same |
//! | to a mailbox server | [`Mailer::lmtp`](mailer::Mailer::lmtp) |
//! | as a main.cf says | [`Mailer::postfix`](mailer::Mailer::postfix) |
//!
//! [`Builder::configure`] reaches every other setting.
//!
//! # Results
//!
//! A [`Report`] has an [`Outcome`] for each recipient, in the order of the envelope: sent, deferred or
//! bounced; the server and its reply; how the connection was encrypted; and whether the verdict is
//! [uncertain](Outcome::uncertain).
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `tokio` | [`Mailer`] | yes |
//! | `smol` | [`smol::Mailer`] | |
//! | `blocking` | [`blocking::Mailer`] | |
//! | `rustls` | TLS, and with it DANE | yes |
//! | `idna` | domains beyond ASCII | |
//! | `mta-sts` | MTA-STS | |
//! | `postfix` | main.cf and its tables | |
//! | `spool` | [`Message::read`] keeps big messages in a temporary file | |
//! | `serde` | reports and events as data | |
//! | `metrics` | [counts](metrics) for the `metrics` facade | |
//! | `lettre` | mailers as [transports of lettre](lettre) | |
//! | `dnssec` | a validator of DNS answers, on tokio | |
//! | `cli` | the program `outpost` | |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
mod address_list;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(any(feature = "tokio", feature = "smol", feature = "blocking"))]
mod builder;
mod envelope;
#[cfg(any(feature = "tokio", feature = "smol", feature = "blocking"))]
mod error;
#[cfg(all(
    feature = "lettre",
    any(feature = "tokio", feature = "smol", feature = "blocking")
))]
pub mod lettre;
pub mod machine;
#[cfg(any(feature = "tokio", feature = "smol"))]
pub mod mailer;
pub mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "tokio", feature = "smol", feature = "blocking"))]
mod plan;
#[cfg(all(
    feature = "postfix",
    any(feature = "tokio", feature = "smol", feature = "blocking")
))]
mod postfix;
mod size;
mod spool;

/// Mailers on tokio. This is the one that most programs want.
#[cfg(feature = "tokio")]
pub type Mailer = mailer::Mailer<runtime_tokio::Tokio>;

/// Mailers on smol.
#[cfg(feature = "smol")]
pub mod smol {
    /// Delivers messages on smol.
    pub type Mailer = crate::mailer::Mailer<runtime_smol::Smol>;

    pub use runtime_smol::start_reactor;
}

#[cfg(all(
    feature = "postfix",
    any(feature = "tokio", feature = "smol", feature = "blocking")
))]
pub use self::postfix::PostfixBuilder;
#[cfg(any(feature = "tokio", feature = "smol", feature = "blocking"))]
pub use self::{
    builder::{Builder, FromPolicy},
    error::BuildError,
};
pub use self::{
    envelope::{Envelope, EnvelopeError, is_same},
    message::{Message, MessageError},
    size::SizeLimit,
};

// What the signatures above name, and the storeys below.
#[cfg(feature = "postfix")]
pub use postfix_config;
#[cfg(feature = "blocking")]
pub use runtime_blocking;
#[cfg(feature = "smol")]
pub use runtime_smol;
#[cfg(feature = "tokio")]
pub use runtime_tokio;
pub use smtp_policy::{
    self,
    delivery::Observer,
    dns::ResolverConfig,
    event::{Event, Level, Note},
    report::{Encryption, Outcome, Report, Scope, Status},
    request::{EnvelopeId, Recipient},
    settings::{
        AsyncTokenProvider, Credentials, Settings, SettingsBuilder, TokenFailure, TokenProvider,
        TokenRequest,
    },
    tables::{AsyncTable, SecretMaps, Table, TableFailure},
    text::TextSource,
    tls::{TlsLevel, Trust},
};
pub use smtp_proto::{
    self, Address, EnhancedStatus, Notify, Reply, Ret, ReversePath, Secret, session::Stage,
};

/// The example in README.md compiles.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
