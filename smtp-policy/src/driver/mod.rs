//! The rules about many deliveries, and all that is the same in each of their drivers: all
//! but sockets and timers.
//!
//! Nothing here opens a socket, waits or looks at a clock. Deliveries share a [`Hub`]: the
//! limits per destination, the kept connections, the questions under way. One submission is
//! a [`Job`]: its [`poll`](Job::poll) makes it in as many parts as it takes, moves bytes
//! through whatever reads and writes without blocking, and returns what only a driver can
//! do, which is an [`Act`]. A driver is a loop:
//!
//! ```
//! use std::{io::{self, Read, Write}, sync::Arc, task::Waker};
//! use smtp_policy::{
//!     Protocol,
//!     delivery::ConnectError,
//!     driver::{Act, Answered, Hub, Job},
//!     policy::Policy,
//!     request::{Recipient, Request},
//!     settings::Settings,
//! };
//! use smtp_proto::{address::{Address, ReversePath}, time::Time};
//!
//! /// A network without servers.
//! struct Socket;
//! # impl Read for Socket { fn read(&mut self, _: &mut [u8]) -> io::Result<usize> { Ok(0) } }
//! # impl Write for Socket {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { Ok(bytes.len()) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//!
//! let to = vec![Recipient::new(Address::parse("user@example.com")?)];
//! let request = Request::new(Protocol::Smtp, "[192.0.2.1]".parse()?, ReversePath::Null, to);
//! let policy = Arc::new(Policy::new(Settings::smtp().build()?));
//! let hub: Arc<Hub<Socket>> = Arc::new(Hub::new(policy, 1, Default::default()));
//! let mut job = Job::new(hub, request, bytes::Bytes::from("Subject: hi\n"), ());
//! let report = loop {
//!     match job.poll(Time::ZERO, Waker::noop()) {
//!         Act::Connect(slip, _) => job.answer(Answered::Socket(slip, Err(ConnectError::Refused))),
//!         Act::Done(report) => break report,
//!         act => todo!("{act:?}"),
//!     }
//! };
//! assert_eq!(report.recipients[0].1.word, "deferred");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Below that, [`Line`] and [`Clerk`] serve whoever drives a single
//! [`Delivery`](crate::delivery::Delivery) by hand.

mod act;
mod bell;
mod clerk;
mod hub;
mod inquiries;
mod job;
mod line;
mod spans;
mod submission;
mod turns;

use std::{io, net::IpAddr};

pub use self::{
    act::{Act, Answered, Interest, Slip},
    clerk::Clerk,
    hub::Hub,
    job::Job,
    line::Line,
    submission::Submission,
};
use crate::{
    delivery::ConnectError,
    dns::{Answer, Failure, NativeFailure, Record, RecordData},
    seed::SplitMix,
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
