//! What was seen of a session.

use std::collections::BTreeSet;

use smtp_proto::{
    Time,
    session::{Closed, Event, Said},
};

/// A place that a dialogue can get to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A reply to the end of a text for one recipient.
    LmtpEnd,
    /// A TLS handshake.
    Handshake,
    /// The end of a message inside TLS.
    SecureEnd,
    /// A login that succeeded.
    Login,
    /// A challenge of the server.
    Challenge,
    /// A text, or a part of one.
    Text,
    /// A reply to the end of a text.
    EndOfData,
    /// A message behind another.
    SecondMessage,
    /// The answer to a probe of a kept connection.
    Probe,
    /// The end of a time limit.
    TimeLimit,
    /// The end of the time limit for a handshake.
    HandshakeLimit,
    /// A refusal in the middle of a text.
    EarlyRefusal,
}

impl Place {
    /// All places.
    pub const ALL: [Place; 12] = [
        Place::LmtpEnd,
        Place::Handshake,
        Place::SecureEnd,
        Place::Login,
        Place::Challenge,
        Place::Text,
        Place::EndOfData,
        Place::SecondMessage,
        Place::Probe,
        Place::TimeLimit,
        Place::HandshakeLimit,
        Place::EarlyRefusal,
    ];
}

/// Everything that can be seen from outside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Without [`Event::PlaintextDiscarded`]: what follows STARTTLS is thrown away by the
    /// session or swallowed by the handshake, depending on the cuts.
    pub(super) events: Vec<Event>,
    pub(super) written: Vec<u8>,
    pub(super) journal: Vec<Said>,
    pub(super) texts: Vec<Text>,
    pub(super) closed: Option<Closed>,
    /// True if something was forgotten that the server had said before a probe.
    pub(super) hushed: bool,
    /// When it was over.
    pub(super) end: Time,
    pub(super) reached: BTreeSet<Place>,
}

impl Seen {
    /// What is different, in words; empty if nothing is.
    pub(super) fn difference(&self, other: &Self) -> String {
        let [one, two] = [self, other].map(|seen| {
            let words = seen.written.escape_ascii().to_string();
            [
                ("what happens", format!("{:?}", seen.events)),
                ("what is written", words.replace("\\r\\n", "\n")),
                ("the journal", format!("{:?}", seen.journal)),
                ("the texts", format!("{:?}", seen.texts)),
                ("the end", format!("{:?} at {:?}", seen.closed, seen.end)),
                ("how far it goes", format!("{:?}", seen.reached)),
            ]
        });
        let pairs = one.iter().zip(&two).filter(|(one, two)| one != two);
        let words =
            pairs.map(|((what, one), (_, two))| format!("{what}:\n{one}\ninstead of\n{two}"));
        words.collect::<Vec<_>>().join("\nand ")
    }
}

/// A text that the session asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) message: u8,
    /// Where it begins in what was written.
    pub(super) from: usize,
    /// What was given of it.
    pub(super) given: Vec<u8>,
    pub(super) finished: bool,
    pub(super) pieces: usize,
}

impl Text {
    /// What a receiver makes of it.
    pub(super) fn decode(&self, written: &[u8]) -> (Vec<u8>, Option<usize>) {
        let (text, end) = undo(written.get(self.from..).unwrap_or_default());
        (text, end.map(|end| self.from + end))
    }

    /// Where its end is in what was written.
    pub(super) fn end(&self, written: &[u8]) -> Option<usize> {
        self.decode(written).1
    }
}

/// Undoes the encoding of a text, up to its end if it has one. Returns where that is.
fn undo(wire: &[u8]) -> (Vec<u8>, Option<usize>) {
    let (mut text, mut end) = (Vec::new(), 0);
    for line in wire.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line == b".\r\n" {
            return (text, Some(end));
        }
        let broken = line.strip_prefix(b" ");
        if broken.is_some() {
            text.pop();
        }
        let line = broken.or(line.strip_prefix(b".")).unwrap_or(line);
        match line.strip_suffix(b"\r\n") {
            Some(line) => text.extend([line, b"\n"].concat()),
            None => text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line)),
        }
    }
    (text, None)
}
