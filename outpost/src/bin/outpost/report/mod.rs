//! The report: what became of each request and each recipient, for programs
//! and for people. [`ledger`] writes it while the work goes on, in the form that was
//! asked for; that of log lines is [`crate::log_line`].

pub(crate) mod json;
pub(crate) mod ledger;
mod tally;
pub(crate) mod text;

pub(crate) use self::tally::Tally;

use smtp_policy::report::Report;

use crate::request::Fault;

/// The result of one request: a report, or the reason why it could not be read.
pub(crate) type Settled = Result<Report, Fault>;
