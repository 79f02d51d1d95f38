//! Outpost's delivery engine on smol: sockets, timers, DNS transport, and a
//! [`Client`] that makes many deliveries at once.
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
