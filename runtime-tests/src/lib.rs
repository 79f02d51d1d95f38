//! The servers that the tests of all three runtimes talk to.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, whose names say what they are"
)]

pub mod toy;
pub mod web;
