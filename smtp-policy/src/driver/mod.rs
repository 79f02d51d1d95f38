//! The part of a driver of a [`Delivery`] that is the same in each of them: all but its
//! sockets and timers.
//!
//! Nothing here opens a socket, waits or looks at a clock: [`Line`] moves
//! bytes through whatever reads and writes without blocking, [`Turns`] says who
//! may begin, [`Clerk`] keeps the books, and the rest turns errors of the
//! operating system into the words that the engine expects.

mod line;
mod turns;

use std::{io, net::IpAddr};

use smtp_proto::{status::EnhancedStatus, time::Time};

pub use self::{
    line::{Line, say_quit},
    turns::{Place, Turns},
};
use crate::{
    delivery::{Ask, ConnectError, Delivery, Note, Observer},
    dns::{Answer, Failure, NativeFailure, Record, RecordData},
    report::{Outcome, Report, Scope, Status},
    request::{RcptIndex, Recipient},
    seed::SplitMix,
    tables::TableFailure,
    text::TextSource,
};

/// The text of an error as strerror(3) words it, without the number that the
/// standard library adds.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text.get(..end).unwrap_or(&text).to_owned(),
        _ => text,
    }
}

/// Why a connection could not be made, from the error of connect(2).
pub fn connect_error(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        _ => ConnectError::Other(error_text(error)),
    }
}

/// The answer of getaddrinfo(3) for `name`, in the order in which it gave the
/// addresses. It has no time to live and is never validated.
pub fn native_answer(name: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Answer {
    let record = |address| Record {
        owner: name.to_owned(),
        ttl: 0,
        data: match address {
            IpAddr::V4(address) => RecordData::A(address),
            IpAddr::V6(address) => RecordData::Aaaa(address),
        },
        validated: false,
    };
    Answer {
        records: addresses.into_iter().map(record).collect(),
        canonical: name.to_owned(),
        validated: false,
    }
}

/// A failure of getaddrinfo(3), with the text of gai_strerror(3) as the
/// `dns-lookup` crate brings it.
pub fn native_failure(kind: NativeFailure, error: &io::Error) -> Failure {
    let text = error_text(error);
    let message = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    Failure::Native {
        retry: kind.is_temporary(),
        kind,
        message: message.to_owned(),
    }
}

/// A row of numbers without a pattern that all follow from the first: the seeds
/// of the deliveries and DNS lookups of one client.
#[derive(Debug)]
pub struct Seeds(SplitMix);

impl Seeds {
    /// The row that follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix::new(seed))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// Does what a delivery asks without I/O: it hands over text, and takes down
/// verdicts for the [`Report`] and for whoever observes.
#[derive(Debug)]
pub struct Clerk<T, O> {
    text: T,
    observer: O,
    outcomes: Vec<Option<Outcome>>,
    /// The mark of the delivery when it was last said who is in doubt.
    doubt: (bool, usize),
}

impl<T: TextSource, O: Observer> Clerk<T, O> {
    /// For a request with this many recipients.
    pub fn new(recipients: usize, text: T, observer: O) -> Self {
        Self {
            text,
            observer,
            outcomes: vec![None; recipients],
            doubt: (false, 0),
        }
    }

    /// Answers [`Ask::Text`].
    pub fn read(&mut self, job: &mut Delivery, offset: u64, room: usize) {
        match self.text.read(offset, room) {
            Ok(chunk) => {
                self.observer
                    .progress(offset.saturating_add(chunk.len() as u64));
                job.text(chunk);
            }
            Err(error) => job.text_failed(error_text(&error)),
        }
    }

    /// Tells whose message may have been accepted, if that has changed. To be called
    /// before anything is written.
    pub fn look(&mut self, job: &Delivery) {
        let doubt = job.doubt_mark();
        if doubt != self.doubt {
            self.doubt = doubt;
            self.observer.in_doubt(&job.in_doubt());
        }
    }

    /// Takes down a verdict on one of these recipients.
    pub fn settle(&mut self, recipients: &[Recipient], index: RcptIndex, outcome: Outcome) {
        if let Some(recipient) = recipients.get(index) {
            self.observer.settled(index, recipient, &outcome);
        }
        if let Some(slot) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }

    /// Passes on a line for the log.
    pub fn note(&mut self, note: &Note) {
        self.observer.note(note);
    }

    /// Ends a delivery that cannot begin, since the system refuses what waiting for
    /// input and output takes: too many files are open, for instance.
    pub fn decline(mut self, mut job: Delivery, now: Time, error: &io::Error) -> Report {
        let why = format!("cannot wait for input and output: {}", error_text(error));
        job.driver_failed(&why);
        loop {
            match job.poll(now) {
                Ask::Report(index, outcome) => {
                    self.settle(&job.request().recipients, index, *outcome);
                }
                Ask::Note(note) => self.note(&note),
                Ask::LookUp(ticket, query) => {
                    let (table, reason) = (format!("external:{}", query.table), why.clone());
                    job.looked_up(ticket, Err(TableFailure { table, reason }));
                }
                // There is no connection, and nothing that waits for one.
                _ => return self.report(&job.request().recipients),
            }
        }
    }

    /// The report on these recipients. One without a verdict, which a correct
    /// engine does not leave, is deferred: mail is never lost in silence.
    pub fn report(self, recipients: &[Recipient]) -> Report {
        let missing = || {
            let status = EnhancedStatus::new(4, 3, 0);
            let text = "the delivery ended without a verdict";
            let mut outcome = Outcome::new(Status::Deferred, status, text);
            (outcome.scope, outcome.uncertain) = (Scope::Session, true);
            outcome
        };
        let outcomes = self
            .outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(missing));
        Report::new(recipients.iter().cloned().zip(outcomes).collect())
    }
}

/// Watches the delivery to a part of a request's recipients for whoever observes
/// the whole ([`Request::split`](crate::request::Request::split)).
#[derive(Debug)]
pub struct PartObserver<'a, O> {
    observer: &'a mut O,
    first: RcptIndex,
}

impl<'a, O> PartObserver<'a, O> {
    /// For a part that begins with the recipient `first` of the request.
    pub fn new(observer: &'a mut O, first: RcptIndex) -> Self {
        Self { observer, first }
    }
}

impl<O: Observer> Observer for PartObserver<'_, O> {
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        self.observer
            .settled(self.first + index, recipient, outcome);
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        let recipients: Vec<RcptIndex> = recipients.iter().map(|at| self.first + at).collect();
        self.observer.in_doubt(&recipients);
    }

    fn note(&mut self, note: &Note) {
        self.observer.note(note);
    }

    fn progress(&mut self, text_bytes: u64) {
        self.observer.progress(text_bytes);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_error_number_is_left_out_of_the_text() {
        let refused = io::Error::from_raw_os_error(111);
        assert!(!error_text(&refused).contains("os error"));
        assert_eq!(
            error_text(&io::Error::other("a (os error 5)")),
            "a (os error 5)"
        );
    }

    #[test]
    fn a_native_failure_has_the_text_of_the_c_library() {
        let error =
            io::Error::other("failed to lookup address information: Name or service not known");
        let expected = Failure::Native {
            retry: false,
            kind: NativeFailure::NoName,
            message: "Name or service not known".to_owned(),
        };
        assert_eq!(native_failure(NativeFailure::NoName, &error), expected);
    }

    #[test]
    fn a_refused_connection_and_a_time_out_have_their_own_errors() {
        let of = |kind: io::ErrorKind| connect_error(&io::Error::from(kind));
        assert_eq!(of(io::ErrorKind::ConnectionRefused), ConnectError::Refused);
        assert_eq!(of(io::ErrorKind::TimedOut), ConnectError::TimedOut);
        assert!(matches!(
            of(io::ErrorKind::NetworkUnreachable),
            ConnectError::Other(_)
        ));
    }

    #[test]
    fn the_same_seed_gives_the_same_row() {
        let row = |seed| {
            let mut seeds = Seeds::new(seed);
            [seeds.draw(), seeds.draw(), seeds.draw()]
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }
}
