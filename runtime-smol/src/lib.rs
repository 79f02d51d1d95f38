//! Outpost's delivery engine on smol: sockets, timers, DNS transport, and a
//! [`Client`] that makes many deliveries at once.
//!
//! ```no_run
//! use runtime_smol::Client;
//! use smtp_policy::{Protocol, dns::ResolverConfig, policy::Policy, request::Request, settings::Settings};
//! use smtp_proto::Address;
//! use std::{error::Error, sync::Arc};
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let resolver = ResolverConfig::from_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf")?);
//!     let settings = Settings::direct("mail.example.org".parse()?).build()?;
//!     let client = Client::new(Arc::new(Policy::new(settings).with_resolver(resolver)));
//!     let to = "you@example.com".parse::<Address>()?;
//!     let request = Request::new(Protocol::Smtp, "example.com".parse()?, "me@example.org".parse()?, vec![to.into()]);
//!     let report = smol::block_on(client.deliver(request, bytes::Bytes::from("Subject: hello\n\nhello\n"), ()));
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! This crate knows no mail rule. It does what
//! [`Delivery`](smtp_policy::delivery::Delivery) asks and brings back what came
//! of it; verdicts, routing, timeouts and wording are decided there. The crates
//! `runtime-tokio` and `runtime-blocking` do the same with other means.
//!
//! It runs under any executor: I/O and time are those of `async-io`, which has a
//! thread of its own. It is tested on Linux, and compiles for other systems; where
//! sockets are no file descriptors, there are no Unix-domain sockets. Kept connections
//! are watched on smol's global executor.
//! `examples/deliver.rs` is a whole program.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod reactor;
mod runtime;
mod source;

pub use reactor::start_reactor;
pub use runtime::Smol;
pub use source::AsyncReaderSource;

/// Delivers messages on smol, many at once.
pub type Client = runtime_common::Client<Smol>;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
