//! The report: what became of each request and each recipient, for programs
//! and for people. [`ledger`] writes it while the work goes on, in the form that was
//! asked for; that of log lines is [`crate::log_line`].

pub(crate) mod json;
pub(crate) mod ledger;
pub(crate) mod text;

use smtp_policy::report::{Report, Status};

use crate::{exit::Exit, request::Fault};

/// What became of one request: a report, or why it could not be read.
pub(crate) type Settled = Result<Report, Fault>;

/// The exit status for all requests together.
pub(crate) fn exit_for(requests: &[Settled]) -> Exit {
    let has = |status| {
        let reports = requests.iter().filter_map(|settled| settled.as_ref().ok());
        reports
            .flat_map(|report| &report.recipients)
            .any(|(_, outcome)| outcome.status == status)
    };
    if requests.iter().any(Result::is_err) {
        Exit::Data
    } else if has(Status::Deferred) {
        Exit::Deferred
    } else if has(Status::Bounced) {
        Exit::Bounced
    } else {
        Exit::Ok
    }
}
