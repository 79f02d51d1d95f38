//! A queue for outgoing mail: what a server defers is tried again for days, on SQLite for one machine,
//! on PostgreSQL for many. It is not a delivery client: what happens on a connection, and what a reply
//! means, is decided below, in `smtp-policy`.
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
