//! MTA-STS (RFC 8461): a domain says over HTTPS which mail exchangers it has, and
//! that they have certificates. No I/O: the delivery engine asks for the record and
//! the policy, and its driver brings them.
//!
//! | concern | file |
//! |---|---|
//! | the policy as a file on the web, and why it cannot be had | `fetch.rs` |

mod fetch;

pub use self::fetch::{FetchError, Fetched, PolicyFetch};
