//! The phase in which the connection cache is asked (`src/smtp/smtp_reuse.c`).

use super::{
    Ask,
    attempt::Attempt,
    choosing::Choosing,
    context::Context,
    looking_up::LookingUp,
    phase::{Next, Phase},
    talking::Talking,
};
use crate::{
    channel::{Channel, Peer},
    event::Event,
    reuse::key::CacheKey,
};

/// A kept connection that is looked for.
#[derive(Debug)]
pub(super) struct Reusing {
    serial: u32,
    wanted: Wanted,
    answer: Option<Option<Box<Channel>>>,
}

/// For what a kept connection is looked for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// For the next hop, whichever server it leads to.
    Nexthop,
    /// For a server of the best preference.
    Address(Peer),
    /// For a server that is about to be connected to.
    Attempt(Box<Attempt>),
}

impl Reusing {
    /// Asks for a connection that was kept under this key.
    pub(super) fn ask(cx: &mut Context, key: CacheKey, wanted: Wanted) -> Phase {
        let ticket = cx.ticket();
        let serial = ticket.serial();
        cx.ask(Ask::Reuse(ticket, key));
        Phase::Reusing(Self {
            serial,
            wanted,
            answer: None,
        })
    }

    /// Whether this is the ticket of the question that is out.
    pub(super) const fn asked(&self, serial: u32) -> bool {
        self.serial == serial
    }

    /// The answer.
    pub(super) fn reused(&mut self, hit: Option<Box<Channel>>) {
        self.answer = Some(hit);
    }

    /// Uses the connection, if there is one.
    pub(super) fn poll(self, cx: &mut Context) -> Next {
        let Some(answer) = self.answer else {
            return Next::Await(Phase::Reusing(self));
        };
        let Some(mut channel) = answer else {
            return Next::Go(match self.wanted {
                Wanted::Attempt(attempt) => Phase::LookingUp(LookingUp::new(attempt)),
                Wanted::Nexthop | Wanted::Address(_) => Phase::Choosing(Choosing),
            });
        };
        let instead = match self.wanted {
            Wanted::Nexthop => None,
            // The connection may have been made under another name of the server.
            Wanted::Address(peer) => {
                channel.peer = peer;
                None
            }
            Wanted::Attempt(attempt) => {
                channel.peer = attempt.peer().clone();
                Some(attempt)
            }
        };
        cx.note(Event::Reused {
            server: channel.peer.server(),
            uses: channel.uses,
        });
        Next::Go(Phase::Talking(Box::new(Talking::resume(
            cx, *channel, instead,
        ))))
    }
}
