//! The part of the runtimes that is the same in each of them: the loop that does what a
//! [`Job`](smtp_policy::driver::Job) asks, how a connection begins, and threads for what can
//! only wait. It is not a runtime: a [`Runtime`] brings sockets, time and name servers.
//!
//! ```
//! use runtime_common::{Client, Runtime};
//! use smtp_policy::{policy::Policy, settings::{Settings, SettingsError}};
//! use std::sync::Arc;
//!
//! /// A client on any runtime.
//! fn client<R: Runtime + Default>() -> Result<Client<R>, SettingsError> {
//!     let settings = Settings::smtp().build()?;
//!     Ok(Client::new(Arc::new(Policy::new(settings))))
//! }
//! ```
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

#[cfg(feature = "mta-sts")]
pub use sts_fetch::Upload;

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
