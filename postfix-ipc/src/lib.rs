//! The conversations of Postfix's processes with each other, as codecs without I/O: attribute
//! lists, delivery requests, reports, the status channel of master(8), and the queue file. This
//! crate opens nothing, and decides nothing about a delivery.
//!
//! | for | see |
//! |---|---|
//! | lists of attributes, the frame of all messages | [`attr`] |
//! | services, their announcements, and how one is asked | [`announce`], [`exchange`] |
//! | delivery requests and the reply to them | [`request`] |
//! | reports to bounce(8), verify(8), flush(8), cleanup(8), trivial-rewrite(8) | [`report`] |
//! | shared connections, TLS sessions, tables | [`scache`], [`tlsmgr`], [`proxymap`] |
//! | what master(8) starts an agent with, and the status channel | [`command_line`], [`status`] |
//! | queue files | [`queue_file`] |
//!
//! The other ends are Postfix's own processes, and are not trusted for it: whatever they can
//! make grow has a limit, and no bytes make this crate panic. The messages are those of
//! Postfix 3.7; the requests of 3.10 are read, too.
//!
//! An agent takes a request and reads the text from the queue file:
//!
//! ```
//! use postfix_ipc::{attr::Value, request::{Recipient, RequestHead}};
//! use smtp_policy::{Protocol, request::DeliveryFlags};
//!
//! let head = RequestHead { nexthop: Value::new("example.com")?, ..RequestHead::default() };
//! let recipient = Recipient { address: Value::new("user@example.com")?, ..Recipient::default() };
//! let recipients = vec![recipient.to_policy()?];
//! let request = head.to_policy(Protocol::Smtp, DeliveryFlags::default(), recipients)?;
//! assert_eq!(request.nexthop, "example.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod announce;
pub mod attr;
pub mod command_line;
pub mod exchange;
pub mod proxymap;
pub mod queue_file;
pub mod report;
pub mod request;
pub mod scache;
pub mod status;
pub mod tlsmgr;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
