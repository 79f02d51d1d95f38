//! What is decided when the server has introduced itself: whether it is the right
//! place for the message, and what comes before the message (`src/smtp/smtp_proto.c`,
//! smtp_helo).

use smtp_proto::{
    reply::{Capabilities, Keyword},
    status::EnhancedStatus,
};

use super::{Delivery, Note, hosts::Phase};
use crate::{
    channel::Peer,
    report::{Scope, trouble::Reason},
    tables::TableFailure,
};

impl Delivery {
    /// The server has introduced itself: finds out whether this is the right
    /// place for the message.
    pub(super) fn negotiate(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.login.is_over() {
            return self.go_on();
        }
        let (peer, offered) = (
            talk.channel.peer.clone(),
            talk.channel.session.capabilities().clone(),
        );
        self.visit_hello(&offered);
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        // After a refused STARTTLS everything else was looked at before.
        if !talk.security.refused || talk.channel.is_secure() {
            if let Some(failure) = talk.keywords_failed.take().filter(|_| talk.announced) {
                let reason = self.unknown_keywords(&peer, &failure);
                return self.object(reason);
            }
            self.note_capabilities(&peer, &offered);
            if let Some(reason) = self.objection(&peer, &offered) {
                return self.object(reason);
            }
        }
        self.go_on_or_start_tls(&peer, &offered);
    }

    /// The message cannot go to this server.
    pub(super) fn object(&mut self, reason: Reason) {
        self.fail_site(reason);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.give_up();
        }
    }

    /// Nobody knows which keywords of the server count.
    fn unknown_keywords(&mut self, peer: &Peer, failure: &TableFailure) -> Reason {
        self.note(Note::warning(failure.to_string()));
        let text = format!("local data error while talking to {}", peer.name());
        Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Session, text)
    }

    fn note_capabilities(&mut self, peer: &Peer, offered: &Capabilities) {
        let silent = offered.discarded.contains(Keyword::SilentDiscard);
        if !offered.discarded.is_empty() && !silent {
            let names: Vec<&str> = offered.discarded.names().collect();
            self.note(Note::info(format!(
                "discarding EHLO keywords: {}",
                names.join(" ")
            )));
        }
        if let Some(word) = &offered.bad_size {
            let relay = peer.relay();
            self.note(Note::warning(format!(
                "bad EHLO SIZE limit \"{word}\" from {relay}"
            )));
        }
        if offered.smtputf8 && !offered.eight_bit_mime {
            let name = peer.name();
            self.note(Note::info(format!(
                "host {name} offers SMTPUTF8 support, but not 8BITMIME"
            )));
        }
    }

    /// Why the message cannot go to this server at all.
    fn objection(&mut self, peer: &Peer, offered: &Capabilities) -> Option<Reason> {
        let own_name = self.settings.identity.host.as_str();
        if self.detects_loops() && offered.name.eq_ignore_ascii_case(own_name) {
            let relay = peer.relay();
            let warning =
                format!("host {relay} replied to HELO/EHLO with my own hostname {own_name}");
            self.note(Note::warning(warning));
            let class = if peer.best_mx { 5 } else { 4 };
            let text = format!("mail for {} loops back to myself", self.request.nexthop);
            return Some(Reason::local(
                EnhancedStatus::new(class, 4, 6),
                Scope::Site,
                text,
            ));
        }
        if self.request.needs_smtputf8() && !offered.smtputf8 {
            let name = peer.name();
            return Some(Reason::local(
                EnhancedStatus::new(5, 6, 7),
                Scope::Message,
                format!("SMTPUTF8 is required, but was not offered by host {name}"),
            ));
        }
        None
    }
}
