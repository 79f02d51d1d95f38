//! The delivery engine with TLS, against servers in memory that have real
//! certificates. No sockets, no clock.
#![cfg(all(feature = "ring", feature = "sasl"))]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod certificates;
mod dane;
mod encryption;
mod files;
mod levels;
mod login;
mod names;
mod plaintext;
mod require_tls;
mod results;
mod resumption;
mod reuse;
mod server;
mod sts;
mod survey;
mod tables;
mod world;
