//! Log lines in the shape that Postfix gives them.
//!
//! There is no time and no host name in front: whatever collects the lines adds
//! those. Sources: Postfix `src/global/log_adhoc.c`, `src/util/format_tv.c`.

use std::{fmt::Write, time::Duration};

use smtp_policy::{
    delivery::{Level, Note},
    report::{LogText, Outcome},
    request::{OriginalRecipient, QueueId, Recipient},
    settings::{AddressFormat, Settings},
};
use smtp_proto::address::Address;

/// How log lines look: the program's name and the resolution of delays.
#[derive(Clone, Debug)]
pub(crate) struct LogForm {
    tag: String,
    resolution: u32,
    quoted: bool,
}

/// The four numbers of `delays=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delays {
    /// Before the attempt.
    pub(crate) before: Duration,
    /// In a queue of ours: there is none.
    pub(crate) queued: Duration,
    /// Connecting and negotiating.
    pub(crate) set_up: Duration,
    /// Transmission.
    pub(crate) transmission: Duration,
}

impl LogForm {
    /// The form for one of the two clients.
    pub(crate) fn new(client: &Settings) -> Self {
        Self {
            tag: format!("outpost/{}[{}]", client.protocol(), std::process::id()),
            resolution: client.log.resolution,
            quoted: client.log.addresses == AddressFormat::External,
        }
    }

    /// The line that says what became of a recipient.
    pub(crate) fn status(
        &self,
        id: &QueueId,
        recipient: &Recipient,
        outcome: &Outcome,
        delays: Delays,
    ) -> LogText {
        let mut line = format!(
            "{}: {id}: to=<{}>",
            self.tag,
            self.address(&recipient.address)
        );
        if let Some(original) = &recipient.original
            && !original.eq_ignore_ascii_case(recipient.address.as_str())
        {
            let _ = write!(line, ", orig_to=<{}>", self.original(original));
        }
        let _ = write!(line, ", relay={}", outcome.relay);
        if outcome.connection_uses > 1 {
            let _ = write!(line, ", conn_use={}", outcome.connection_uses);
        }
        let number = |time| format_delay(time, self.resolution);
        let all = delays.before + delays.queued + delays.set_up + delays.transmission;
        let _ = write!(
            line,
            ", delay={}, delays={}/{}/{}/{}, dsn={}, status={} ({})",
            number(all),
            number(delays.before),
            number(delays.queued),
            number(delays.set_up),
            number(delays.transmission),
            outcome.code,
            outcome.word,
            outcome.text,
        );
        line.into()
    }

    /// A line that is not about a recipient.
    pub(crate) fn note(&self, note: &Note) -> LogText {
        let label = if note.level == Level::Warning {
            "warning: "
        } else {
            ""
        };
        format!("{}: {label}{}", self.tag, note.text).into()
    }

    fn address(&self, address: &Address) -> String {
        if self.quoted {
            address.quoted_822().into_owned()
        } else {
            address.as_str().to_owned()
        }
    }

    fn original(&self, original: &OriginalRecipient) -> String {
        if self.quoted {
            smtp_proto::address::quoted_822(original).into_owned()
        } else {
            original.to_string()
        }
    }
}

/// A delay in seconds with two digits that count, in steps of
/// 10^-`resolution_limit` seconds at the finest (`delay_logging_resolution_limit`).
pub(crate) fn format_delay(delay: Duration, resolution_limit: u32) -> String {
    const SECOND: u32 = 1_000_000;
    let (mut seconds, mut micros) = (delay.as_secs(), delay.subsec_micros());
    let mut step = 10_u32
        .saturating_pow(6_u32.saturating_sub(resolution_limit))
        .min(SECOND);
    if step < SECOND {
        match seconds {
            0 => {
                while micros >= 100 * step {
                    step *= 10;
                }
            }
            1..=9 => step = SECOND / 10,
            _ => step = SECOND,
        }
    }
    micros += step / 2;
    if micros >= SECOND {
        seconds = seconds.saturating_add(1);
        micros -= SECOND;
    }
    let mut text = seconds.to_string();
    if micros >= step {
        text.push('.');
    }
    let mut digit = SECOND / 10;
    while micros >= step && digit > 0 {
        let _ = write!(text, "{}", micros / digit);
        micros %= digit;
        digit /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_two_digits_that_count() {
        let cases = [
            (0, "0"),
            (4_000, "0"),
            (5_000, "0.01"),
            (40_000, "0.04"),
            (123_456, "0.12"),
            (500_000, "0.5"),
            (999_999, "1"),
            (1_050_000, "1.1"),
            (1_949_999, "1.9"),
            (1_950_000, "2"),
            (9_960_000, "10"),
            (11_499_999, "11"),
            (11_500_000, "12"),
            (123_000_000, "123"),
        ];
        for (micros, text) in cases {
            assert_eq!(
                format_delay(Duration::from_micros(micros), 2),
                text,
                "{micros} us"
            );
        }
    }

    #[test]
    fn the_resolution_limit_is_the_finest_step() {
        let delay = Duration::from_micros(1_234);
        for (limit, text) in [
            (0, "0"),
            (1, "0"),
            (2, "0"),
            (3, "0.001"),
            (4, "0.0012"),
            (6, "0.0012"),
        ] {
            assert_eq!(format_delay(delay, limit), text, "limit {limit}");
        }
    }
}
