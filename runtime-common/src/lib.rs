//! The part of the runtimes that is the same in each of them: the loop that does what a
//! [`Job`](smtp_policy::driver::Job) asks, how a connection begins, and threads for what can
//! only wait. It is not a runtime: a [`Runtime`] brings sockets, time and name servers.
//!
//! It knows no mail rule. What is the same without any socket stands in
//! [`smtp_policy::driver`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod alarm;
mod client;
mod dns;
mod drive;
mod https;
mod runtime;
mod socket;
mod source;
mod wait;

pub use self::{
    client::Client,
    dns::carry,
    runtime::{Clocked, Runtime},
    socket::Socket,
    source::{PollReader, PolledSource},
};

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
