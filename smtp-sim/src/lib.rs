//! A test kit for mail clients: simulated servers, names and networks under a
//! virtual clock, recorded scenarios, and judges. It is not a mail server, and
//! nothing here opens a socket or reads a clock except the module `host` (feature
//! `host`), which serves recorded scripts on real sockets.
//!
//! # Testing a program that sends mail
//!
//! Whoever builds on the delivery engine, such as a queue that tries again, has code of
//! their own between its reports and their users. The example `retry_queue` is such a
//! queue of a hundred lines with its test:
//!
//! 1. A [`Population`](population::Population) makes destinations from a seed: servers
//!    that defer, refuse, crash between the end of the data and its reply, flood, inject
//!    plaintext behind STARTTLS; connections that are slow, cut bytes up or break; names
//!    that cannot be looked up for a while or at all.
//! 2. The queue hands messages to the [`World`] with [`World::submit`], takes reports
//!    with [`World::next_finished`], and hands in again what was deferred. Hours of
//!    retries pass in no time.
//! 3. [`check::fates`] tells what the servers really accepted, and the test holds it
//!    against what the queue has decided: nobody is lost, nobody gets a message twice
//!    unless its first reply was lost.
//!
//! Code that awaits its deliveries takes a [`Client`] in place of the world: it has the `deliver` of the
//! runtimes' clients, and a `sleep`.
//!
//! `cargo run -p smtp-sim --example retry_queue -- --bug` lets the queue make a mistake,
//! and names the seed that shows it. The same seed shows it again each time.
//!
//! # A world by hand
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use smtp_policy::{Protocol, policy::Policy, request::{Recipient, Request}, settings::Settings};
//! use smtp_proto::{Address, ReversePath};
//! use smtp_sim::{World, peer::{Act, Fault, Moment, Temper}, world::Host};
//!
//! // A server that takes its first message and is gone before it says so.
//! let crash = Fault { moment: Moment::End, nth: 0, connections: 1, act: Act::Crash };
//! let temper = Temper { faults: vec![crash], ..Temper::default() };
//! let mut world = World::new(Arc::new(Policy::new(Settings::smtp().build()?)), 1);
//! world.host("192.0.2.1:25".parse()?, Host::new(temper));
//!
//! let to = Recipient::new(Address::parse("user@example.com")?);
//! let request = Request::new(Protocol::Smtp, "[192.0.2.1]".parse()?, ReversePath::Null, vec![to]);
//! let id = world.submit(Duration::ZERO, request, "Subject: hi\n\nhello\n".into());
//! world.run_out();
//!
//! let report = world.delivery(id).and_then(|delivery| delivery.report.as_ref());
//! let (_, outcome) = &report.ok_or("no report")?.recipients[0];
//! assert!(outcome.uncertain);
//! assert_eq!(smtp_sim::check::fates(&world)["user@example.com"].unknown, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many seeds
//!
//! [`trial::run`] runs one population with messages of its own and judges it by all
//! [checks](check::Check); [`trial::shrink`] makes one that fails smaller, and
//! [`trial::trace`] is the conversation for a person to read. The program of this crate
//! does it for many seeds: `cargo run -p smtp-sim --release -- --seeds 1000000 --jobs 2`.
//! It ends with a command that runs a failure again. With `--coverage` it shows how often
//! each transition of session and delivery was taken ([`coverage`]), with `--real-tls` the
//! handshakes are those of rustls.
//!
//! # Recorded scenarios
//!
//! [`Scenario`] and [`World::run`] play recordings of dialogues and compare what comes of
//! them; [`server`] and [`dns_server`] are the scripted ends.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod check;
pub mod compare;
pub mod conformance;
pub mod coverage;
pub mod dice;
mod diff;
mod dns_reply;
pub mod dns_server;
pub mod harness;
#[cfg(feature = "host")]
pub mod host;
pub mod peer;
pub mod population;
mod quoted;
pub mod request;
pub mod scenario;
pub mod server;
pub mod trial;
pub mod world;

pub use compare::compare;
pub use scenario::{Picture, RecipientResult, Scenario, SessionRecord};
pub use server::{ServerConfig, ServerConnection, ServerStep};
pub use world::{Client, Observation, World};

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
