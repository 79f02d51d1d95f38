//! The lines of a journal.

use std::{borrow::Cow, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};

use crate::job::Origin;

/// The form of the file.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Record<'a> {
    /// The first line: which sources the journal is about.
    Journal {
        version: u32,
        time: Cow<'a, str>,
        sources: Cow<'a, [String]>,
    },
    /// The message of these recipients may be accepted from here on.
    Doubt {
        time: Cow<'a, str>,
        source: Cow<'a, str>,
        digest: Cow<'a, str>,
        recipients: Vec<Cow<'a, str>>,
        /// Those who were in doubt and are not any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cleared: Vec<Cow<'a, str>>,
    },
    /// A verdict.
    Verdict {
        time: Cow<'a, str>,
        source: Cow<'a, str>,
        digest: Cow<'a, str>,
        recipient: Cow<'a, str>,
        status: Cow<'a, str>,
        /// True if a copy may have been delivered all the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        uncertain: bool,
        dsn: Cow<'a, str>,
        text: Cow<'a, str>,
    },
}

impl<'a> Record<'a> {
    /// The first line.
    pub(super) fn begin(sources: &'a [String]) -> Self {
        Self::Journal {
            version: VERSION,
            time: now(),
            sources: sources.into(),
        }
    }

    /// Makes the record of recipients that are in doubt from here on, and of those that no longer are.
    pub(super) fn doubt(origin: &'a Origin, doubtful: Vec<&'a str>, cleared: Vec<&'a str>) -> Self {
        Self::Doubt {
            time: now(),
            source: origin.key.as_str().into(),
            digest: origin.digest.as_str().into(),
            recipients: doubtful.into_iter().map(Cow::from).collect(),
            cleared: cleared.into_iter().map(Cow::from).collect(),
        }
    }

    /// A verdict.
    pub(super) fn verdict(
        origin: &'a Origin,
        recipient: &'a Recipient,
        outcome: &'a Outcome,
    ) -> Self {
        Self::Verdict {
            time: now(),
            source: origin.key.as_str().into(),
            digest: origin.digest.as_str().into(),
            recipient: recipient.address.as_str().into(),
            status: outcome.status.as_str().into(),
            uncertain: outcome.uncertain && outcome.status == Status::Deferred,
            dsn: outcome.code.to_string().into(),
            text: outcome.text.to_string().into(),
        }
    }
}

/// A record as it goes into the file.
pub(super) fn line(record: &Record<'_>) -> io::Result<String> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    Ok(line)
}

fn now() -> Cow<'static, str> {
    format!("{:.3}", Timestamp::now()).into()
}
