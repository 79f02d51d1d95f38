//! `--listen`: metrics for machines, and a page for people, over HTTP.

pub(crate) mod http;
pub(crate) mod metrics;
mod page;
