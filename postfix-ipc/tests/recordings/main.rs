//! The recorded conversations of a real Postfix, in `tests/data`: every byte of them is read,
//! and comes out again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod files;
mod queue_files;
mod reports;
mod requests;
mod start;
mod talks;
