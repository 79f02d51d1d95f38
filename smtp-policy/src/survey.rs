//! A survey: what a delivery to a destination would meet, without a message. It is
//! not an address verification probe ([`Request::probe`]), which asks a server about
//! a recipient.
//!
//! A [`Request::survey`] is carried out by a [`Delivery`](crate::delivery::Delivery)
//! like any other, so that every decision is the one that a message would meet: the
//! same addresses, the same look-ups, the same TLS policy, the same session. It
//! differs in three things: all addresses are visited, each session ends with QUIT
//! where the login or the first message would begin, and connections are neither
//! taken from the cache nor put into it. What is found comes as a [`Finding`] in an
//! [`Event::Found`](crate::event::Event::Found), as soon as it is complete, and from a
//! driver through [`Observer::note`](crate::delivery::Observer::note).
//!
//! ```
//! use std::sync::Arc;
//! use smtp_policy::{
//!     Protocol,
//!     delivery::{Ask, Delivery},
//!     event::Event,
//!     policy::Policy,
//!     request::{Request, Survey},
//!     settings::Settings,
//!     survey::Finding,
//! };
//! use smtp_proto::time::Time;
//!
//! let request = Request::survey(Protocol::Smtp, "[192.0.2.1]:2525".parse()?, Survey::default());
//! let mut delivery = Delivery::new(request, Arc::new(Policy::new(Settings::smtp().build()?)), 1);
//! let Ask::Note(note) = delivery.poll(Time::ZERO) else { panic!() };
//! let Event::Found { finding: Finding::Destination(found) } = note.event else { panic!() };
//! assert_eq!(found.candidates[0].port, 2525);
//! assert!(matches!(delivery.poll(Time::ZERO), Ask::Connect(..)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use smtp_proto::{
    reply::{Capabilities, Reply},
    session::Stage,
    status::EnhancedStatus,
};

#[cfg(doc)]
use crate::request::Request;
pub use crate::request::Survey;
pub use crate::tls::{DaneStory, LevelSource, StsStory, TlsaAnswer, TlsaLookup};
use crate::{
    report::{LogText, Status},
    route::{Candidate, MailExchange},
    tls::{TlsFacts, TlsLevel},
};

/// A piece of a survey that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A destination was turned into addresses, or could not be.
    Destination(Box<DestinationFinding>),
    /// A server was visited. Comes after its destination.
    Host(Box<HostFinding>),
}

/// `destination example.com`, or `host mx.example[192.0.2.1]`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(found) => write!(f, "destination {}", found.destination),
            Self::Host(found) => write!(f, "host {}[{}]", found.host, found.address),
        }
    }
}

/// What a destination leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationFinding {
    /// The destination as it is written.
    pub destination: String,
    /// Whether it is one of `smtp_fallback_relay`.
    pub fallback: bool,
    /// The mail exchanger records that led to the addresses; `None` if there were
    /// none, or none were asked for.
    pub exchange: Option<MailExchange>,
    /// The addresses in the order in which a delivery tries them. Empty for a
    /// UNIX-domain socket, which is visited all the same.
    pub candidates: Vec<Candidate>,
    /// Why there are no addresses.
    pub failure: Option<Failing>,
}

/// What a server is like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFinding {
    /// The destination that led here, as it is written; for a UNIX-domain socket its
    /// path.
    pub destination: String,
    /// The name of the server; `myhostname` for a UNIX-domain socket.
    pub host: String,
    /// Its printable address, or the path of the socket.
    pub address: String,
    /// The port; `None` for a UNIX-domain socket.
    pub port: Option<u16>,
    /// Its place in the list of addresses; `None` for a UNIX-domain socket.
    pub candidate: Option<Candidate>,
    /// So many addresses are tried by a delivery (`smtp_mx_address_limit`), and this
    /// one comes behind them.
    pub beyond_limit: bool,
    /// This is the second visit, in plaintext, because the handshake of the first
    /// failed and the level is `may`. A delivery makes it only for a message that has
    /// waited for `minimal_backoff_time`.
    pub plaintext_retry: bool,
    /// What is wanted of TLS; `None` if the policy could not be told.
    pub policy: Option<PolicyFinding>,
    /// The reply to the connection.
    pub banner: Option<Reply>,
    /// The hello that counts, in plaintext.
    pub hello: Option<Hello>,
    /// The reply to STARTTLS.
    pub starttls: Option<Reply>,
    /// What became of the handshake.
    pub handshake: Option<HandshakeFinding>,
    /// The hello inside TLS.
    pub secure_hello: Option<Hello>,
    /// What a message would meet here.
    pub result: Result<Usable, Failing>,
}

/// A successful EHLO, HELO or LHLO.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// Which of the three it is.
    pub stage: Stage,
    /// The reply as it came.
    pub reply: Reply,
    /// What is made of it, without the keywords that are discarded.
    pub capabilities: Capabilities,
}

/// What became of a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFinding {
    /// It succeeded. The certificates may be worthless all the same.
    Done(Box<TlsFacts>),
    /// It failed, for this reason.
    Failed(String),
}

/// The TLS policy for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyFinding {
    /// The level that is configured.
    pub configured: TlsLevel,
    /// What configures it.
    pub source: LevelSource,
    /// The level in force after TLSA records and an MTA-STS policy were looked up, and after STARTTLS those
    /// were left out that cannot be used; `none` in a second visit in plaintext.
    pub level: TlsLevel,
    /// The names that the certificate may have, or the fingerprints, as they are
    /// configured; empty where none are wanted.
    pub wanted: Vec<String>,
    /// What became of DANE, where the level asks for it.
    pub dane: Option<DaneStory>,
    /// The domain's MTA-STS policy, where one was looked for and found.
    pub sts: Option<StsStory>,
}

/// A server takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usable {
    /// Mail goes there inside TLS.
    pub encrypted: bool,
    /// The server has proved what the level demands of it.
    pub verified: bool,
    /// There are credentials, and the server offers AUTH: a delivery would log in,
    /// which can fail.
    pub logs_in: bool,
}

/// Mail cannot go there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failing {
    /// The status in the report.
    pub status: EnhancedStatus,
    /// The text in the report.
    pub text: LogText,
    /// What becomes of mail for which this is the last word.
    pub fate: Status,
    /// A delivery ends here, even if other servers are left.
    pub ends_delivery: bool,
}
