//! The serialized forms of requests, reports, events and the memory of policies (feature
//! `serde`). They are those of `outpost deliver`, and stay as they are; fields may join.
//! The examples are JSON; any self-describing format of serde has the same fields.
//!
//! # A request
//!
//! ```
//! use smtp_policy::request::Request;
//!
//! let text = r#"{
//!     "protocol": "smtp",
//!     "nexthop": "example.com",
//!     "sender": "me@example.org",
//!     "recipients": [{ "address": "user@example.com", "notify": "FAILURE,DELAY" }],
//!     "encoding": "7bit"
//! }"#;
//! let request: Request = serde_json::from_str(text)?;
//! assert_eq!(request.nexthop, "example.com");
//!
//! let wrong = serde_json::from_str::<Request>(&text.replace("nexthop", "next_hop"));
//! assert!(wrong.unwrap_err().to_string().contains("next_hop"));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! A field that is unknown, wrong or missing is an error that names it. Only `nexthop` and
//! `recipients` must be there; what is left out is absent or off.
//!
//! | field | value |
//! |---|---|
//! | `id` | the name of the message in log lines |
//! | `protocol` | `smtp` (if left out) or `lmtp` |
//! | `nexthop` | the destination, as it follows the transport in a transport table |
//! | `sender` | the envelope sender, unquoted; empty for the null sender |
//! | `recipients` | a list of `address` (unquoted), `original` (the address before rewriting), `orcpt` (`type;address`, decoded), `notify` (`NEVER`, or a comma list of `SUCCESS`, `FAILURE`, `DELAY`) |
//! | `envid`, `ret` | the envelope identifier, decoded; `FULL` or `HDRS` |
//! | `smtputf8` | true: the sender asked for SMTPUTF8 |
//! | `header_utf8` | true: a header has a byte above 127 |
//! | `encoding` | `7bit` or `8bit`; left out: unknown |
//! | `stray_cr` | `replace` (if left out), `refuse` or `pass` |
//! | `size` | the size for SIZE in bytes |
//! | `client` | for XFORWARD: `name`, `address`, `port`, `proto`, `helo`, `ident`, and `source`, which is `local` or `remote` |
//! | `flags` | of the letters `D`, `O`, `R`, `X` |
//! | `probe` | true: an address verification probe |
//! | `connection_cache` | a list of `load` and `store` |
//! | `require_tls`, `waive_tls` | true: [`TlsWish::Required`], [`TlsWish::Waived`] |
//! | `age` | seconds in the queue before this attempt |
//!
//! A survey has no serialized form.
//!
//! # A report
//!
//! A [`Report`] is `{"recipients": […]}`, and each recipient with its verdict ([`Verdict`]):
//!
//! | field | value |
//! |---|---|
//! | `address` | the recipient |
//! | `status` | `sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable`, `undeliverable` |
//! | `dsn` | the enhanced status code |
//! | `relay` | `host[address]:port`, or `none` |
//! | `text` | the reply or the reason |
//! | `report` | `relayed` or `delivered`, where the sender is to hear of success from this side |
//! | `original` | the original recipient, if known |
//! | `action` | `relayed`, `delivered`, `failed`, `delayed` (RFC 3464) |
//! | `scope` | `session`, `site`, `message`, `recipient` |
//! | `uncertain` | true: a copy may have been delivered all the same |
//! | `host` | the server's name |
//! | `server` | `{"host", "address", "port"}`, if there was a connection; `port` is null for a socket, whose path is the address |
//! | `connection_uses` | messages over the connection, this one included; 0 without one |
//! | `stage` | the stage of the dialogue, such as `rcpt` or `end-of-data` |
//! | `reply` | `{"code", "dsn", "lines"}` of the server |
//! | `queue_id` | the name that the server gave the message, as far as its reply tells |
//! | `tls` | null where nothing was tried; else `established`, `error`, `version`, `cipher`, `bits`, `trust`, `problem` |
//! | `times` | seconds: `queue`, `setup`, `connection`, `transmission` |
//!
//! A report is read back with all that is written here; `host` and `queue_id`, which
//! follow from other fields, are passed over.
//!
//! # An event
//!
//! A [`Note`] is `level` (`trace`, `debug`, `info`, `warning`), `log` (the log line),
//! `event` (the name of the kind in lower case, with hyphens) and the facts of the kind,
//! named as in [`Event`]. Events are written only.
//!
//! # The memory of MTA-STS policies
//!
//! An [`StsCache`] is `{"policies": {DOMAIN: {"id", "fetched", "mode", "max_age", "mx"}}}`:
//! the id of the domain's record, when the policy was fetched in Unix time, `enforce`,
//! `testing` or `none`, for how many seconds it may be kept, and the list of names.

mod event;
mod form;
mod memory;
mod report;
mod request;
#[cfg(test)]
mod tests;

pub use self::report::Verdict;
#[cfg(doc)]
use crate::{
    event::{Event, Note},
    report::Report,
    request::TlsWish,
    sts::StsCache,
};
