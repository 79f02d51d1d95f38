//! A queue for outgoing mail: what a server defers is tried again for days, on SQLite for one machine,
//! on PostgreSQL for many. It is not a delivery client: what happens on a connection, and what a reply
//! means, is decided below, in `smtp-policy`.
//!
//! ```no_run
//! # #[cfg(all(feature = "sqlite", feature = "tokio"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use outpost::{Envelope, Message};
//! use outpost_queue::{queue::{Queue, Route}, store::AnyStore};
//!
//! let queue = Queue::on_tokio(AnyStore::open("sqlite:queue.db").await?);
//! let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
//! let id = queue.send(envelope, &Message::from("Subject: hello\n\nHi.\n"), &Route::Direct).await?;
//! println!("queued as {id}");
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! | part | is |
//! |---|---|
//! | [`model`] | messages, tasks, recipients, destinations as values |
//! | [`rules`] | what is decided: when a task is tried again, how many deliveries a destination gets, what a doubt means |
//! | [`operation`] | what is done to the queue in one transaction each, with those rules |
//! | [`report`] | what senders and postmasters hear |
//! | [`shared`] | what workers know in common besides mail: MTA-STS policies, failed logins |
//! | [`store`] | where it is kept: rows that are read, locked and written, and nothing that decides |
//! | [`queue`] | the way in for programs |
//! | [`tlsrpt`] | the daily reports about TLS |
//! | [`worker`] | what runs: it claims tasks and has them delivered |
//! | `courier` | what delivers: the mailers of `outpost` |

mod batch;
#[cfg(any(feature = "smol", feature = "tokio"))]
pub mod courier;
pub mod model;
pub mod operation;
pub mod queue;
pub mod report;
pub mod rules;
pub mod shared;
pub mod store;
pub mod tlsrpt;
pub mod worker;

/// The example in README.md compiles.
#[cfg(all(doctest, feature = "sqlite", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
