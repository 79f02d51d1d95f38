//! What happened in a world: always as one number, so that two runs can be
//! compared, and on demand as lines that a person can read.

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hasher},
};

use smtp_proto::Time;

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    digest: DefaultHasher,
    text: Option<String>,
}

impl Trace {
    /// With `readable` it keeps the lines, otherwise only the digest.
    pub fn new(readable: bool) -> Self {
        Self {
            digest: DefaultHasher::new(),
            text: readable.then(String::new),
        }
    }

    /// Whether lines are kept.
    pub fn is_readable(&self) -> bool {
        self.text.is_some()
    }

    /// Bytes that the client wrote (`up`) or read.
    pub(super) fn bytes(&mut self, now: Time, up: bool, bytes: &[u8]) {
        self.digest.write_u64(nanos(now) << 1 | u64::from(up));
        self.digest.write(bytes);
    }

    /// Something that is told in words, which are only made where they are kept;
    /// what they are about counts in any case.
    pub(super) fn note(&mut self, now: Time, about: u64, words: impl FnOnce() -> String) {
        self.digest.write_u64(nanos(now));
        self.digest.write_u64(about);
        if let Some(text) = &mut self.text {
            let seconds = now.as_duration().as_secs_f64();
            let _ = writeln!(text, "{seconds:>12.6}  {}", words());
        }
    }

    /// A number that is different, with all likelihood, for different runs.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The lines: when, who, what.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// The time as a number; no world lasts for five centuries.
fn nanos(now: Time) -> u64 {
    u64::try_from(now.as_duration().as_nanos()).unwrap_or(u64::MAX)
}
