//! The log line of a verdict, in the shape that Postfix gives it (`src/global/log_adhoc.c`).
//! The time and the name of the host in front are added by whatever collects the lines.

use core::fmt;
use std::borrow::Cow;

use super::{
    Outcome,
    text::LogText,
    times::{RESOLUTION, seconds},
};
use crate::request::{OriginalRecipient, Recipient};
use smtp_proto::address::{Address, quoted_822};

/// The form of addresses in log lines (`info_log_address_format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFormat {
    /// Quoted where the syntax of headers needs it: `<"a b"@example.com>`.
    #[default]
    External,
    /// As stored: `<a b@example.com>`.
    Internal,
}

/// The form of log lines as parameters decide it. The default is Postfix's.
///
/// ```
/// use smtp_policy::{report::{LogStyle, Outcome, Status}, request::Recipient};
/// use smtp_proto::{Address, EnhancedStatus};
///
/// let to = Recipient::from(Address::parse("user@example.com")?);
/// let outcome = Outcome::new(Status::Deferred, EnhancedStatus::new(4, 4, 1), "busy");
/// assert_eq!(
///     LogStyle::default().line(&to, &outcome),
///     "to=<user@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, \
///      status=deferred (busy)"
/// );
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStyle {
    /// The finest step of delays, as a number of digits (`delay_logging_resolution_limit`).
    pub resolution: u32,
    /// The form of addresses (`info_log_address_format`).
    pub addresses: AddressFormat,
}

impl Default for LogStyle {
    fn default() -> Self {
        Self {
            resolution: RESOLUTION,
            addresses: AddressFormat::External,
        }
    }
}

impl LogStyle {
    /// The line about one recipient, without the name of the message in front.
    pub fn line(&self, recipient: &Recipient, outcome: &Outcome) -> LogText {
        // Most lines are shorter, and the room is given back with them.
        let mut line = String::with_capacity(256);
        line.push_str("to=<");
        line.push_str(&self.shown(&recipient.address));
        line.push_str(">, ");
        if let Some(original) = &recipient.original
            && !original.eq_ignore_ascii_case(recipient.address.as_str())
        {
            line += &format!("orig_to=<{}>, ", self.original(original));
        }
        // A String takes everything.
        let _ = self.outcome(outcome, &mut line);
        line.into()
    }

    /// The part of the line that is about the verdict.
    pub(super) fn outcome(&self, outcome: &Outcome, line: &mut dyn fmt::Write) -> fmt::Result {
        write!(line, "relay={}", outcome.relay)?;
        if outcome.connection_uses > 1 {
            write!(line, ", conn_use={}", outcome.connection_uses)?;
        }
        write!(
            line,
            ", delay={}, delays={}, dsn={}, status={} ({})",
            seconds(outcome.times.total(), self.resolution),
            outcome.times.shown(self.resolution),
            outcome.code,
            outcome.word,
            outcome.text,
        )
    }

    /// An address as lines show it, without the angle brackets.
    pub fn address(&self, address: &Address) -> String {
        self.shown(address).into_owned()
    }

    fn shown<'a>(&self, address: &'a Address) -> Cow<'a, str> {
        match self.addresses {
            AddressFormat::External => address.quoted_822(),
            AddressFormat::Internal => Cow::Borrowed(address.as_str()),
        }
    }

    fn original(&self, original: &OriginalRecipient) -> String {
        match self.addresses {
            AddressFormat::External => quoted_822(original).into_owned(),
            AddressFormat::Internal => original.to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use core::time::Duration;

    use smtp_proto::status::EnhancedStatus;

    use super::*;
    use crate::{
        report::{Relay, Report, Status, Times},
        server::Server,
    };

    fn sent() -> (Recipient, Outcome) {
        let mut to = Recipient::from(Address::parse("a b@example.com").unwrap());
        to.original = Some("\u{fc}@example.com".parse().unwrap());
        let mut outcome = Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), "250 ok");
        let server = Server::inet("mx.example", ([192, 0, 2, 1], 25).into());
        outcome.relay = Relay::Server(server.into());
        outcome.connection_uses = 2;
        outcome.times = Times {
            queue: Duration::from_millis(1_200),
            setup: Duration::from_micros(4_321),
            connection: Duration::from_millis(56),
            transmission: Duration::from_millis(7),
        };
        (to, outcome)
    }

    #[test]
    fn a_line_has_all_that_postfix_logs() {
        let (to, outcome) = sent();
        let said = LogStyle::default().line(&to, &outcome);
        assert_eq!(
            said,
            "to=<\"a b\"@example.com>, orig_to=<\u{fc}@example.com>, \
             relay=mx.example[192.0.2.1]:25, conn_use=2, delay=1.3, delays=1.2/0/0.06/0.01, \
             dsn=2.0.0, status=sent (250 ok)"
        );
        let style = LogStyle {
            resolution: 4,
            addresses: AddressFormat::Internal,
        };
        let said = style.line(&to, &outcome);
        assert!(said.starts_with("to=<a b@example.com>, "), "{said}");
        assert!(said.contains(", delays=1.2/0.0043/0.056/0.007, "), "{said}");
    }

    #[test]
    fn an_original_recipient_that_is_the_recipient_is_left_out() {
        let (mut to, outcome) = sent();
        to.original = Some("A B@example.com".parse().unwrap());
        let line = LogStyle::default().line(&to, &outcome);
        assert!(!line.contains("orig_to"), "{line}");
    }

    #[test]
    fn a_report_is_a_line_for_each_recipient() {
        let report = Report::new(vec![sent(), sent()]);
        let lines: Vec<String> = report.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines
                .iter()
                .all(|line| line.ends_with("status=sent (250 ok)"))
        );
    }
}
