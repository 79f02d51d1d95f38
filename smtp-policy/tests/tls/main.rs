//! The delivery engine with TLS, against servers in memory that have real
//! certificates. No sockets, no clock.
#![cfg(feature = "ring")]
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
mod files;
mod levels;
mod names;
mod plaintext;
mod reuse;
mod server;
mod sts;
mod survey;
mod tables;
mod world;
