//! Placeholder.
pub mod dns;
mod seed;
