//! What every driver of a [`Delivery`] does in the same way, apart from its
//! sockets and timers.
//!
//! Nothing here opens a socket, waits or looks at a clock: [`Line`] moves
//! bytes through whatever reads and writes without blocking, [`Turns`] says who
//! may begin, [`Clerk`] keeps the books, and the rest turns errors of the
//! operating system into the words that the engine expects.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, IoSlice, Read, Write},
    net::IpAddr,
};

use bytes::Buf;
use smtp_proto::status::EnhancedStatus;

use crate::{
    delivery::{ConnectError, Delivery, Note, Observer},
    dns::{Answer, Failure, NativeFailure, Record, RecordData},
    report::{Action, Outcome, Report, Scope, Status},
    request::{RcptIndex, Recipient},
    seed::SplitMix,
    survey::Finding,
    text::TextSource,
};

/// How much is read from a connection at a time, in bytes.
const READ_SIZE: usize = 8 * 1024;
/// How many pieces of output go into one write.
const WRITE_PIECES: usize = 64;
/// How many reads are made of a connection that can no longer be written to.
const LAST_READS: usize = 64;

/// An open connection as a driver holds it: a socket that does not block, and
/// whether it is at its end.
#[derive(Debug)]
pub struct Line<S> {
    socket: S,
    ended: bool,
}

impl<S> Line<S> {
    /// A connection from which more can come.
    pub const fn new(socket: S) -> Self {
        Self {
            socket,
            ended: false,
        }
    }

    /// The socket.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket, for the connection cache.
    pub fn into_socket(self) -> S {
        self.socket
    }

    /// Whether nothing more will come, so that there is no sense in waiting for
    /// it. The server may still take what is written.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }
}

impl<S: Read + Write> Line<S> {
    /// Moves bytes between a delivery and its open connection: one read, and
    /// with `sending` one write of as many pieces as fit.
    ///
    /// Returns whether anything moved or ended; when not, it is time to wait
    /// until the socket is readable, or writable when `sending`. A connection
    /// that breaks under the write is first read to its end, since the server
    /// may have said why ([`Delivery::write_failed`]).
    pub fn exchange(&mut self, job: &mut Delivery, sending: bool) -> bool {
        let heard = self.receive(job);
        let sent = sending && self.send(job);
        heard || sent
    }

    fn receive(&mut self, job: &mut Delivery) -> bool {
        if self.ended {
            return false;
        }
        let mut scratch = [0; READ_SIZE];
        match self.socket.read(&mut scratch) {
            Ok(count @ 1..) => job.receive(scratch.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Ok(0) | Err(_) => {
                self.ended = true;
                job.disconnected();
            }
        }
        true
    }

    fn send(&mut self, job: &mut Delivery) -> bool {
        let Some(output) = job.output() else {
            return false;
        };
        if !output.has_remaining() {
            return false;
        }
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = output.chunks_vectored(&mut pieces);
        match self
            .socket
            .write_vectored(pieces.get(..count).unwrap_or_default())
        {
            Ok(count @ 1..) => output.advance(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Ok(0) | Err(_) => {
                let mut reads = 0..LAST_READS;
                while reads.next().is_some() && self.receive(job) {}
                self.ended = true;
                job.write_failed();
            }
        }
        true
    }
}

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
    /// What the delivery looked like when it was last said who is in doubt.
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

    /// Answers [`Ask::Text`](crate::delivery::Ask::Text).
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

    /// Takes down a verdict.
    pub fn settle(&mut self, index: RcptIndex, outcome: Outcome) {
        self.observer.settled(index, &outcome);
        if let Some(slot) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }

    /// Passes on a line for the log.
    pub fn note(&mut self, note: &Note) {
        self.observer.note(note);
        if let Some(finding) = &note.finding {
            self.observer.found(finding);
        }
    }

    /// The report on these recipients. One without a verdict, which a correct
    /// engine does not leave, is deferred: mail is never lost in silence.
    pub fn report(self, recipients: &[Recipient]) -> Report {
        let missing = || Outcome {
            status: Status::Deferred,
            word: "deferred",
            code: EnhancedStatus::new(4, 3, 0),
            relay: "none".to_owned(),
            text: "the delivery ended without a verdict".to_owned(),
            reply: None,
            stage: None,
            scope: Scope::Session,
            uncertain: true,
            action: Action::Delayed,
            connection_uses: 0,
            server_reports: false,
            encryption: None,
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
    fn settled(&mut self, index: RcptIndex, outcome: &Outcome) {
        self.observer.settled(self.first + index, outcome);
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        let recipients: Vec<RcptIndex> = recipients.iter().map(|at| self.first + at).collect();
        self.observer.in_doubt(&recipients);
    }

    fn note(&mut self, note: &Note) {
        self.observer.note(note);
    }

    fn found(&mut self, finding: &Finding) {
        self.observer.found(finding);
    }

    fn progress(&mut self, text_bytes: u64) {
        self.observer.progress(text_bytes);
    }
}

/// Who may deliver to which destination, and who waits for a turn
/// (`transport_destination_concurrency_limit`). First come, first served.
///
/// `W` wakes one waiting delivery; the driver chooses what that is.
#[derive(Debug)]
pub struct Turns<W> {
    lanes: BTreeMap<String, Lane<W>>,
    serial: u64,
}

#[derive(Debug)]
struct Lane<W> {
    running: u32,
    waiting: VecDeque<(u64, W)>,
}

/// A place in [`Turns`], running or waiting, to be given back with
/// [`Turns::leave`].
#[derive(Debug)]
pub struct Place {
    lane: String,
    id: u64,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            serial: 0,
        }
    }
}

impl<W> Turns<W> {
    /// Asks for a turn on a destination where at most `limit` deliveries run at
    /// a time; zero is no limit. With `waker` given back the turn has come at once;
    /// otherwise `waker` comes out of a later [`leave`](Self::leave) or
    /// [`open`](Self::open).
    pub fn enter(&mut self, destination: &str, limit: u32, waker: W) -> (Place, Option<W>) {
        self.serial += 1;
        let place = Place {
            lane: destination.to_ascii_lowercase(),
            id: self.serial,
        };
        let lane = self
            .lanes
            .entry(place.lane.clone())
            .or_insert_with(|| Lane {
                running: 0,
                waiting: VecDeque::new(),
            });
        if limit == 0 || lane.running < limit {
            lane.running += 1;
            return (place, Some(waker));
        }
        lane.waiting.push_back((place.id, waker));
        (place, None)
    }

    /// Gives a place back, whether its turn had come or not. Returns whom to
    /// wake, if a turn is passed on.
    pub fn leave(&mut self, place: &Place) -> Option<W> {
        let lane = self.lanes.get_mut(&place.lane)?;
        let waited = lane.waiting.iter().position(|(id, _)| *id == place.id);
        if let Some(at) = waited {
            lane.waiting.remove(at);
            return None;
        }
        if let Some((_, next)) = lane.waiting.pop_front() {
            return Some(next);
        }
        lane.running = lane.running.saturating_sub(1);
        if lane.running == 0 {
            self.lanes.remove(&place.lane);
        }
        None
    }

    /// Gives everybody who waits a turn, for deliveries that are to end at once.
    /// Returns whom to wake.
    pub fn open(&mut self) -> Vec<W> {
        let mut wakers = Vec::new();
        for lane in self.lanes.values_mut() {
            for (_, waker) in lane.waiting.drain(..) {
                lane.running = lane.running.saturating_add(1);
                wakers.push(waker);
            }
        }
        wakers
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
    fn turns_come_in_the_order_of_arrival_and_are_passed_on() {
        let mut turns = Turns::default();
        let (first, go) = turns.enter("example.com", 1, "first");
        assert_eq!(go, Some("first"));
        let (second, go) = turns.enter("Example.COM", 1, "second");
        assert_eq!(go, None);
        let (third, go) = turns.enter("example.com", 1, "third");
        assert_eq!(go, None);
        assert_eq!(turns.enter("example.net", 1, "other").1, Some("other"));
        assert_eq!(turns.leave(&first), Some("second"));
        assert_eq!(turns.leave(&second), Some("third"));
        assert_eq!(turns.leave(&third), None);
        assert_eq!(turns.enter("example.com", 1, "fourth").1, Some("fourth"));
    }

    #[test]
    fn who_leaves_while_waiting_takes_no_turn() {
        let mut turns = Turns::default();
        let (first, _) = turns.enter("a", 1, 1);
        let (second, _) = turns.enter("a", 1, 2);
        let (_third, _) = turns.enter("a", 1, 3);
        assert_eq!(turns.leave(&second), None);
        assert_eq!(turns.leave(&first), Some(3));
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let mut turns = Turns::default();
        assert!((0..1000).all(|n| turns.enter("a", 0, n).1.is_some()));
    }

    #[test]
    fn opening_wakes_everybody_and_forgets_nobody() {
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..4).map(|n| turns.enter("a", 1, n).0).collect();
        assert_eq!(turns.open(), [1, 2, 3]);
        assert!(places.iter().all(|place| turns.leave(place).is_none()));
        assert!(turns.lanes.is_empty());
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
