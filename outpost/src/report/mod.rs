//! The report: what became of each request and each recipient, for programs
//! and for people. [`ledger`] writes it while the work goes on, in the form that was
//! asked for; that of log lines is [`crate::log_line`].

pub(crate) mod json;
pub(crate) mod ledger;
pub(crate) mod text;

use smtp_policy::report::{Report, Status};
use smtp_proto::session::Stage;

use crate::{exit::Exit, fields::Fault};

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

/// The name of a stage in reports.
pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Banner => "greeting",
        Stage::Ehlo => "ehlo",
        Stage::Helo => "helo",
        Stage::Lhlo => "lhlo",
        Stage::StartTls => "starttls",
        Stage::TlsHandshake => "tls-handshake",
        Stage::Auth => "auth",
        Stage::XforwardNameAddr | Stage::XforwardProtoHelo => "xforward",
        Stage::Mail => "mail",
        Stage::Rcpt(_) => "rcpt",
        Stage::Data => "data",
        Stage::Text => "text",
        Stage::EndOfData | Stage::EndOfDataFor(_) => "end-of-data",
        Stage::Abort | Stage::RsetProbe => "rset",
        Stage::Quit => "quit",
    }
}
