//! Connections kept for the next message: by which key, how long, how often
//! (`src/smtp/smtp_reuse.c`, `src/smtp/smtp_key.c`, `src/scache`).

pub mod cache;
pub mod key;

pub use cache::ConnectionCache;
pub use key::{CacheKey, CacheKeys};
