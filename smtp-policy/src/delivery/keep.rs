//! Kept connections: how they count, and when one is put by for the next message
//! (`src/smtp/smtp_connect.c`, smtp_cleanup_session; `src/smtp/smtp_reuse.c`).

use smtp_proto::session::{Closed, Idle};

use super::{Ask, Delivery, Note, hosts::Phase};
use crate::{
    channel::Peer,
    reuse::{CacheKeys, key::Binding},
};

impl Delivery {
    /// A transaction begins, perhaps on a kept connection. `instead` says that the
    /// connection was found when it was the turn of its address.
    pub(super) fn count_transaction(&mut self, reused: Option<&Peer>, instead: bool) {
        // Then the address was counted already.
        self.count_session(reused.filter(|_| !instead));
        if let Some(peer) = reused {
            self.hosts.used.push(peer.address.clone());
        }
    }

    /// The transaction is over and the connection still there: puts it by for the
    /// next message, unless something speaks against it by now.
    pub(super) fn keep(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let channel = &talk.channel;
        if talk.throttled || channel.session.is_irregular() {
            // Too late for the QUIT of the transaction, and Postfix says none of its own.
            talk.part();
            return;
        }
        if channel.expires < self.now {
            talk.give_up();
            return;
        }
        let unasked = talk.channel.session.idle().map_or(0, Idle::hush);
        if unasked > 0 {
            let name = talk.channel.peer.name();
            self.note(Note::info(format!(
                "host {name} said more than it was asked: {unasked} bytes are forgotten"
            )));
        }
        self.notify_postmaster();
        self.taken = self.taken();
        let Phase::Talking(talk) = core::mem::replace(&mut self.phase, Phase::Next) else {
            return;
        };
        let mut channel = talk.channel;
        channel.uses += 1;
        let nexthop = self.hosts.request_nexthop.take();
        let destination = nexthop.map(|nexthop| Binding {
            key: self.destination_key(&nexthop),
            peer: channel.peer.clone(),
        });
        let port = channel.peer.port.unwrap_or_default();
        let keys = CacheKeys {
            destination,
            endpoint: self.endpoint_key(&channel.peer, port, channel.level),
        };
        let until = self.now + self.settings.reuse.idle;
        self.asks
            .push_back(Ask::Keep(keys, Box::new(channel), until));
    }

    /// A kept connection did not stand the probe. The message is none the worse for it.
    pub(super) fn note_kept_connection_over(&mut self, why: Closed) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let what = match (&talk.said_to_probe, why) {
            (Some(said), Closed::Stale) => said,
            (_, Closed::Lost(_)) => "lost connection",
            (_, Closed::TimedOut(_)) => "the server does not answer",
            _ => "the server has said something unasked",
        };
        let relay = talk.channel.peer.relay();
        self.note(Note::info(format!(
            "{relay}: the connection that was kept from an earlier message is over: {what}"
        )));
    }

    /// A kept connection ends in the middle of a message, which it has nothing to do with.
    pub(super) fn note_kept_connection_ended(&mut self, said: &str) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let relay = talk.channel.peer.relay();
        self.note(Note::info(format!(
            "{relay}: the server ends the connection that was kept from an earlier message: {said}"
        )));
    }
}
