//! Placeholder.
pub mod dns;
pub mod route;
mod seed;
