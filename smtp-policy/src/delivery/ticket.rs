//! One-shot tickets: each question of the engine is answered at most once, and
//! with an answer of its own kind.

use core::{fmt, marker::PhantomData};

/// A question that has not been answered yet. It cannot be copied; answering
/// consumes it. Dropping it leaves the question unanswered, which is then a
/// matter of the deadline.
pub struct Ticket<K> {
    serial: u32,
    kind: PhantomData<fn() -> K>,
}

impl<K> Ticket<K> {
    pub(crate) const fn new(serial: u32) -> Self {
        Self {
            serial,
            kind: PhantomData,
        }
    }

    pub(crate) const fn serial(&self) -> u32 {
        self.serial
    }
}

impl<K> fmt::Debug for Ticket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.serial)
    }
}

/// The kind of ticket that asks for DNS records.
#[derive(Debug)]
pub enum Dns {}
/// The kind of ticket that asks a table outside the engine.
#[derive(Debug)]
pub enum External {}
/// The kind of ticket that asks for an access token.
#[derive(Debug)]
pub enum Token {}
/// The kind of ticket that asks for a file on the web.
#[derive(Debug)]
pub enum Https {}
/// The kind of ticket that asks for a kept connection.
#[derive(Debug)]
pub enum Cached {}
/// The kind of ticket that asks for a new connection.
#[derive(Debug)]
pub enum Socket {}
