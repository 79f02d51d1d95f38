//! The phase in which the connection cache is asked (`src/smtp/smtp_reuse.c`).

use std::sync::Arc;

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
    Address(Arc<Peer>),
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

    /// Returns whether this is the ticket of the question that is out.
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
                channel.peer = Arc::clone(&attempt.peer);
                Some(attempt)
            }
        };
        cx.note(Event::Reused {
            server: channel.peer.server(),
            uses: channel.uses,
        });
        Next::Go(Talking::resume(cx, channel, instead).into())
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::{
        delivery::{
            attempt::destination_key,
            testing::{asked, attempt, context, go, talking},
        },
        server::Server,
    };

    fn reusing(cx: &mut Context, wanted: Wanted) -> Reusing {
        let key = destination_key(cx, "example.com".into());
        match Reusing::ask(cx, key, wanted) {
            Phase::Reusing(reusing) => reusing,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_answer_is_waited_for() {
        let mut cx = context(1);
        let reusing = reusing(&mut cx, Wanted::Nexthop);
        assert_eq!(asked(&mut cx), ["look for a kept connection"]);
        assert!(reusing.asked(1) && !reusing.asked(2));
        assert!(matches!(reusing.poll(&mut cx), Next::Await(_)));
    }

    #[test]
    fn without_a_kept_connection_another_way_is_looked_for() {
        let mut cx = context(1);
        let mut first = reusing(&mut cx, Wanted::Nexthop);
        first.reused(None);
        assert!(matches!(go(first.poll(&mut cx)), Phase::Choosing(_)));
        let attempt = attempt(&cx);
        let mut second = reusing(&mut cx, Wanted::Attempt(attempt));
        second.reused(None);
        assert!(matches!(go(second.poll(&mut cx)), Phase::LookingUp(_)));
    }

    #[test]
    fn a_kept_connection_gets_the_name_that_it_was_looked_for_by() {
        let mut cx = context(1);
        let mut kept = talking(&cx);
        let endpoint = kept.channel().peer.server.endpoint.clone();
        let server = Server::new("other.example", endpoint);
        let peer = Arc::new(Peer::new(server, "x".into(), true));
        let mut reusing = reusing(&mut cx, Wanted::Address(peer));
        reusing.reused(Some(kept.into_channel()));
        match go(reusing.poll(&mut cx)) {
            Phase::Talking(mut talking) => {
                assert_eq!(talking.channel().peer.host(), "other.example");
            }
            other => panic!("{other:?}"),
        }
    }
}
