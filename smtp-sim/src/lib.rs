//! A test kit for mail clients: scripted servers and DNS as state machines, a
//! virtual clock, recorded scenarios, and a judge that compares. It is not a mail
//! server, and nothing here opens a socket or reads a clock except the module
//! `host` (feature `host`), which serves the same scripts on real sockets.

pub mod check;
pub mod compare;
pub mod conformance;
pub mod dice;
mod diff;
pub mod dns_server;
pub mod harness;
#[cfg(feature = "host")]
pub mod host;
pub mod peer;
pub mod population;
pub mod request;
pub mod scenario;
pub mod server;
pub mod trial;
pub mod world;

pub use compare::compare;
pub use scenario::{Picture, RecipientResult, Scenario, SessionRecord};
pub use server::{ServerConfig, ServerConnection, ServerStep};
pub use world::{Observation, World};
