//! Outpost's delivery engine on plain threads: sockets, deadlines, DNS transport, and a
//! [`Client`] that makes many deliveries at once.
//!
//! ```no_run
//! use runtime_blocking::Client;
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
//!     let report = client.deliver(request, bytes::Bytes::from("Subject: hello\n\nhello\n"), ());
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! This crate knows no mail rule. It does what
//! [`Delivery`](smtp_policy::delivery::Delivery) asks and brings back what came
//! of it; verdicts, routing, timeouts and wording are decided there. The crates
//! `runtime-tokio` and `runtime-smol` do the same with other means.
//!
//! It is tested on Linux, and compiles for other systems; where sockets are no
//! file descriptors, there are no Unix-domain sockets. A delivery runs on the
//! thread that asks for it and waits with a `mio::Poll` of that thread, which takes three
//! file descriptors until the thread ends; for many deliveries at once, use as many threads.
//! `examples/deliver.rs` is a whole program.
//!
//! A text that is [not there yet](smtp_policy::text::TextSource::poll_read) has the thread wait for it, too; what
//! wakes it must not need another runtime, unless that runs elsewhere.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod net;
mod runtime;
mod threads;
mod wait;

pub use client::Client;
pub use threads::on_threads;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
