//! Outpost's delivery engine on tokio: sockets, timers, DNS transport, and a
//! [`Client`] that makes many deliveries at once.
//!
//! ```no_run
//! use runtime_tokio::Client;
//! use smtp_policy::{Protocol, dns::ResolverConfig, policy::Policy, request::Request, settings::Settings};
//! use smtp_proto::Address;
//! use std::{error::Error, sync::Arc};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let resolver = ResolverConfig::from_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf")?);
//!     let settings = Settings::direct("mail.example.org".parse()?).build()?;
//!     let client = Client::new(Arc::new(Policy::new(settings).with_resolver(resolver)));
//!     let to = "you@example.com".parse::<Address>()?;
//!     let request = Request::new(Protocol::Smtp, "example.com".parse()?, "me@example.org".parse()?, vec![to.into()]);
//!     let report = client.deliver(request, bytes::Bytes::from("Subject: hello\n\nhello\n"), ()).await;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! This crate knows no mail rule. It does what
//! [`Delivery`](smtp_policy::delivery::Delivery) asks and brings back what came
//! of it; verdicts, routing, timeouts and wording are decided there. The crates
//! `runtime-smol` and `runtime-blocking` do the same with other means.
//!
//! It runs inside a tokio runtime with time and I/O enabled. It is tested on
//! Linux, and compiles for other systems; where sockets are no file descriptors,
//! there are no Unix-domain sockets. Time is tokio's, so that tests can pause it.
//! `examples/deliver.rs` is a whole program.
//!
//! With the feature `dnssec`, which the other runtimes do not have, a client can
//! validate the answers of its DNS servers itself.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod apart;
#[cfg(feature = "dnssec")]
mod dnssec;
mod net;
mod runtime;
mod source;

pub use net::Watched;
pub use runtime::Tokio;
pub use source::AsyncReaderSource;

/// Delivers messages on tokio, many at once.
pub type Client = runtime_common::Client<Tokio>;
#[cfg(feature = "dnssec")]
pub use dnssec::{TrustAnchorError, Validator};

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
