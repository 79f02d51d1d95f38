//! What the processes of a real Postfix said to each other, in `tests/data`: every byte of it is
//! read, and comes out again.
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
