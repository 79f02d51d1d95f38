//! The protocol layer of Outpost: one SMTP or LMTP client connection as pure
//! values and state machines. It is not a client: no socket, clock, thread or
//! random number is in here, bytes and times go in and bytes and decisions
//! come out.
//!
//! ```
//! use smtp_proto::session::{Event, Profile, Protocol, Session, Step};
//! use smtp_proto::{HelloName, Time};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let profile = Profile::new(Protocol::Smtp, HelloName::parse("client.example")?);
//!     let mut session = Session::new(profile, Time::ZERO);
//!     // What came from the socket. The driver hands on whatever it has read, in pieces of any size.
//!     session.receive(b"220 mx.example ESMTP\r\n");
//!     let Step::Event(Event::Reply(_, greeting)) = session.poll(Time::ZERO) else { return Err("no greeting".into()) };
//!     assert_eq!(greeting.code(), 220);
//!     // What goes out. `output` is a `bytes::Buf`.
//!     assert!(matches!(session.poll(Time::ZERO), Step::Send { .. }));
//!     assert_eq!(bytes::Buf::chunk(session.output()), b"EHLO client.example\r\n");
//!     Ok(())
//! }
//! ```
//!
//! The parts, from the wire up:
//!
//! - [`SendQueue`]: what waits to be written; [`Time`]: what the driver says the time is.
//! - [`ReplyReader`], [`Reply`], [`EnhancedStatus`], [`Capabilities`]: what the server says.
//! - [`Address`], [`MailFrom`], [`RcptTo`], [`Xforward`], [`hello`]: what the client says; a value that
//!   could break out of its line cannot be built.
//! - [`Secret`]: bytes that no `Debug` output shows.
//! - [`BodyEncoder`]: message text in wire form, dots stuffed and long lines broken.
//! - [`session::Session`]: the dialogue itself, behind one `poll`.
//!
//! Sources: RFC 5321, RFC 2033 and the extensions named at each item. Where the
//! Postfix SMTP client (3.7) behaves in a way of its own, so does this crate.
//!
//! # Features
//!
//! - `std`: vectored writes, `Buf::chunks_vectored` of [`SendQueue`]. Nothing else changes.
//! - `serde`: serialized forms of addresses, wishes for notifications, replies and stages.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod address;
pub mod body;
pub mod command;
pub mod dsn;
pub mod mime;
mod protocol;
pub mod queue;
pub mod reply;
pub mod secret;
#[cfg(feature = "serde")]
mod serde;
pub mod session;
pub mod status;
pub mod time;

pub use address::{Address, AddressError, ReversePath};
pub use body::BodyEncoder;
pub use command::{
    BodyType, DATA, END_OF_DATA, HelloName, HelloNameError, MailFrom, QUIT, RSET, RcptTo, STARTTLS,
    Verb, Xforward, XforwardName, hello,
};
pub use dsn::{Notify, Ret, utf8_xtext, xforward_text, xtext};
pub use protocol::{Protocol, UnknownProtocol};
pub use queue::SendQueue;
pub use reply::{
    Capabilities, FilterFailure, Keyword, KeywordSet, LineFilter, Reply, ReplyError, ReplyLimits,
    ReplyNote, ReplyReader, ReplyText, XforwardSet,
};
pub use secret::Secret;
pub use status::EnhancedStatus;
pub use time::Time;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
