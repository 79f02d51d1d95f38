//! What became of a message: verdicts per recipient and how they come about.
//!
//! [`outcome`] holds the verdict as data; the rules that turn a reply or a failure
//! into one are in `trouble.rs`, the table that may reword it in `filter.rs`.
//! [`notice`] is what the postmaster hears of a session, [`dsn_message`](mod@dsn_message)
//! what the sender hears of the recipients.

pub mod dsn_message;
pub mod encryption;
pub(crate) mod filter;
pub mod log_line;
pub mod notice;
pub mod outcome;
mod queue_id;
pub(crate) mod text;
mod times;
pub(crate) mod transcript;
pub(crate) mod trouble;

use core::fmt;

pub use crate::printable::printable;
use crate::request::Recipient;
pub use crate::tls::{PolicyType, ResultType, TlsResult};
pub use dsn_message::{DsnContext, DsnKind, DsnMessage, Original, dsn_message};
pub use encryption::{Encryption, TlsSummary};
pub use log_line::{AddressFormat, LogStyle};
pub use notice::Notice;
pub use outcome::{Action, HopStatus, Outcome, Relay, Scope, Status};
pub use queue_id::queue_id;
pub use text::LogText;
pub use times::Times;

/// The verdicts of one [`Request`](crate::request::Request), one for each
/// recipient, in the order of the request. Its `Display` is a line for each.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Each recipient with what became of it.
    pub recipients: Vec<(Recipient, Outcome)>,
}

impl Report {
    /// Joins recipients and verdicts.
    pub fn new(recipients: Vec<(Recipient, Outcome)>) -> Self {
        Self { recipients }
    }

    /// Adds the report on the recipients that follow.
    pub fn append(&mut self, next: Self) {
        self.recipients.extend(next.recipients);
    }

    /// Whether every recipient has the given status. True when there is none.
    pub fn all(&self, status: Status) -> bool {
        self.recipients
            .iter()
            .all(|(_, outcome)| outcome.status == status)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = LogStyle::default();
        for (index, (recipient, outcome)) in self.recipients.iter().enumerate() {
            f.write_str(if index > 0 { "\n" } else { "" })?;
            style.line(recipient, outcome).fmt(f)?;
        }
        Ok(())
    }
}
