//! Placeholder.

pub mod tables;
