//! The message of `--test`: something harmless that says who made it.

use jiff::{Timestamp, fmt::rfc2822};

use crate::{cli::DeliverArgs, settings::host_name};

/// A test message from the sender to the recipients of the command line.
pub(crate) fn message(args: &DeliverArgs) -> Vec<u8> {
    let now = Timestamp::now();
    let date = rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let host = host_name();
    let made_by = concat!("outpost ", env!("CARGO_PKG_VERSION"));
    let from = match args.from.as_deref().unwrap_or_default().trim() {
        "" | "<>" => format!("MAILER-DAEMON@{host}"),
        from => from.to_owned(),
    };
    let to = args.to.join(",\n ");
    let id = format!("{}.{}@{host}", now.as_nanosecond(), std::process::id());
    format!(
        "Date: {date}\nFrom: {from}\nTo: {to}\nSubject: test {date}\nMessage-ID: <{id}>\n\
         X-Mailer: {made_by}\n\n\
         This is a test message, made by {made_by} on {host}.\n"
    )
    .into_bytes()
}
