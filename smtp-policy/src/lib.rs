//! The decisions of a mail delivery client: configuration, lookup tables,
//! routing, verdicts and the engine that turns a request into verdicts. It is
//! not a client: sockets, clocks, threads and entropy are the runtimes' business,
//! and files are read only where a configuration or a table is loaded.
//!
//! ```
//! use smtp_policy::{Protocol, delivery::{Ask, Delivery}, policy::Policy, request::{Recipient, Request}, settings::Settings};
//! use smtp_proto::{Address, ReversePath, Time};
//! use std::sync::Arc;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = Arc::new(Policy::new(Settings::smtp().build()?));
//!     let to = Recipient::new(Address::parse("user@example.com")?);
//!     let request = Request::new(Protocol::Smtp, "example.com".parse()?, ReversePath::Null, vec![to]);
//!     let mut delivery = Delivery::new(request, policy, 1);
//!     // The first thing that it wants to know: the mail exchangers of the domain.
//!     let Ask::Resolve(_ticket, question) = delivery.poll(Time::ZERO) else { return Err("no question".into()) };
//!     assert_eq!(question.name, "example.com");
//!     Ok(())
//! }
//! ```
//!
//! A [`Request`](request::Request) goes into a [`Delivery`](delivery::Delivery)
//! together with a [`Policy`](policy::Policy); its driver does what
//! [`Ask`](delivery::Ask) says until every recipient has an
//! [`Outcome`](report::Outcome).
//!
//! | concern | module |
//! |---|---|
//! | typed settings, from a builder or from a main.cf | [`settings`] |
//! | lookup tables | [`tables`] |
//! | DNS questions and the stub resolver | [`dns`] |
//! | next hop to ordered addresses | [`route`] |
//! | the delivery of one message | [`delivery`] |
//! | verdicts | [`report`] |
//! | what happens on the way, for logs and counts | [`event`], [`server`] |
//! | kept connections | [`reuse`], [`channel`] |
//! | TLS: levels, certificates, DANE | [`tls`] |
//! | MTA-STS | [`sts`] |
//! | message text and its line ends | [`text`], [`line_ends`] |
//! | what a delivery would meet | [`survey`] |
//!
//! [`policy::Policy`] holds what all deliveries share.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use smtp_dns as dns;
use smtp_dns::seed;

pub mod channel;
mod content;
pub mod delivery;
pub mod driver;
pub mod event;
pub mod line_ends;
mod local;
pub mod policy;
mod printable;
pub mod report;
pub mod request;
pub mod reuse;
pub mod route;
mod sasl;
#[cfg(feature = "serde")]
pub mod schema;
pub mod server;
pub mod settings;
pub mod sts;
pub mod survey;
pub mod tables;
pub mod text;
pub mod tls;

pub use smtp_proto::Protocol;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
