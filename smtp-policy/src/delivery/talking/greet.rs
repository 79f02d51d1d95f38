//! The decisions when the server has introduced itself: whether it is the right
//! place for the message, and what comes before the message (`src/smtp/smtp_proto.c`,
//! smtp_helo).

use smtp_proto::{
    reply::{Capabilities, Keyword, Reply},
    status::EnhancedStatus,
};

use super::{Talking, tls::Decision};
use crate::{
    channel::Peer,
    delivery::{context::Context, survey::Learned},
    event::Event,
    report::{Scope, trouble::Reason},
    survey::Usable,
    tables::TableFailure,
};

impl Talking {
    /// The server has introduced itself: finds out whether this is the right place for the
    /// message, and what comes before it.
    pub(super) fn negotiate(&mut self, cx: &mut Context) {
        if self.login.is_over() {
            return self.ready();
        }
        let offered = self.channel.session.capabilities();
        let secure = self.channel.is_secure();
        cx.learn(&Learned::Hello { offered, secure });
        cx.note(Event::Greeted {
            server: self.channel.peer.server(),
            name: offered.name.clone(),
        });
        // After a refused STARTTLS everything else was looked at before.
        if !self.tls.is_refused() || secure {
            let peer = &self.channel.peer;
            if let Some(failure) = self.keywords_failed.take().filter(|_| self.announced) {
                let reason = unknown_keywords(cx, peer, failure);
                return self.object(cx, reason);
            }
            note_capabilities(cx, peer, offered);
            if let Some(reason) = objection(cx, peer, offered) {
                return self.object(cx, reason);
            }
        }
        match self.tls.decide(cx, &self.channel) {
            Decision::StartTls => {
                if let Some(negotiation) = self.channel.session.negotiation() {
                    negotiation.start_tls();
                }
            }
            Decision::LogIn => self.log_in(cx),
            Decision::Leave => self.give_up(),
            Decision::Object(reason) => self.object(cx, reason),
        }
    }

    /// The session waits for the handshake.
    pub(super) fn at_tls_gate(&mut self, cx: &mut Context) {
        // Without connection reuse a TLS connection serves one message.
        self.keepable &= self.tls.policy.connection_reuse;
        if let Some(reason) = self.tls.at_gate(cx, &mut self.channel) {
            self.fail_site(cx, reason);
            self.leave();
        }
    }

    /// The server does not want to start TLS.
    pub(super) fn on_starttls_refused(&mut self, cx: &mut Context, reply: &Reply) {
        if let Some(reason) = self.tls.on_refused(cx, &self.channel.peer, reply) {
            self.fail_site(cx, reason);
        }
    }

    /// Logs in if the server offers it and there are credentials for it; otherwise
    /// goes on as a stranger. For a survey this is as far as it goes.
    fn log_in(&mut self, cx: &mut Context) {
        if cx.is_survey() {
            let usable = self.usable(cx);
            self.give_up();
            return cx.learn(&Learned::Usable(usable));
        }
        match self.login.begin(cx, &mut self.channel, &mut self.records) {
            Ok(true) => {}
            Ok(false) => self.ready(),
            Err(reason) => self.fail_login(cx, reason),
        }
    }

    /// The reception that a message would meet here.
    fn usable(&self, cx: &Context) -> Usable {
        let offers_login = !self.channel.session.capabilities().auth.is_empty();
        let facts = self.channel.tls_facts();
        Usable {
            encrypted: self.channel.is_secure(),
            verified: facts.is_some_and(|facts| facts.matched),
            logs_in: cx.settings.sasl.is_some() && self.login.has_credentials() && offers_login,
        }
    }

    /// The server has sent a challenge.
    pub(super) fn answer_challenge(&mut self, cx: &mut Context) {
        if let Err(reason) = self.login.answer(&mut self.channel) {
            self.fail_login(cx, reason);
        }
    }

    /// The server's reply to AUTH or to a response.
    pub(super) fn on_auth_reply(&mut self, cx: &mut Context, reply: &Reply) {
        if let Err(reason) = self.login.conclude(cx, &mut self.channel, reply)
            && !self.retries_with_new_token(cx, reply)
        {
            self.fail_login(cx, reason);
        }
    }

    fn fail_login(&mut self, cx: &mut Context, reason: Reason) {
        self.login.end();
        self.object(cx, reason);
    }

    /// No login is needed any more: the session can have a message.
    fn ready(&mut self) {
        self.login.end();
        if let Some(negotiation) = self.channel.session.negotiation() {
            negotiation.ready();
        }
    }
}

/// Nobody knows which keywords of the server count.
fn unknown_keywords(cx: &mut Context, peer: &Peer, failure: TableFailure) -> Reason {
    cx.note(Event::TableFailed { failure });
    let text = format!("local data error while talking to {}", peer.name());
    Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Session, text)
}

/// Logs what is remarkable about the keywords of a server.
fn note_capabilities(cx: &mut Context, peer: &Peer, offered: &Capabilities) {
    let silent = offered.discarded.contains(Keyword::SilentDiscard);
    if !offered.discarded.is_empty() && !silent {
        let names: Vec<&str> = offered.discarded.names().collect();
        cx.note(Event::KeywordsDiscarded {
            server: peer.server(),
            keywords: names.join(" "),
        });
    }
    if let Some(word) = &offered.bad_size {
        cx.note(Event::BadSizeLimit {
            server: peer.server(),
            word: word.clone(),
        });
    }
    if offered.smtputf8 && !offered.eight_bit_mime {
        let server = peer.server();
        cx.note(Event::Smtputf8Alone { server });
    }
}

/// The reason why the message cannot go to this server at all, if there is one.
fn objection(cx: &mut Context, peer: &Peer, offered: &Capabilities) -> Option<Reason> {
    let own_name = cx.settings.identity.host.as_str();
    if cx.hosts.detects_loops() && offered.name.eq_ignore_ascii_case(own_name) {
        cx.note(Event::OwnNameInHello {
            server: peer.server(),
            name: own_name.to_string(),
        });
        let status = EnhancedStatus::new(if peer.best_mx { 5 } else { 4 }, 4, 6);
        let text = format!("mail for {} loops back to myself", cx.request.nexthop);
        return Some(Reason::local(status, Scope::Site, text));
    }
    if cx.request.needs_smtputf8() && !offered.smtputf8 {
        let text = format!(
            "SMTPUTF8 is required, but was not offered by host {}",
            peer.name()
        );
        let status = EnhancedStatus::new(5, 6, 7);
        return Some(Reason::local(status, Scope::Message, text));
    }
    None
}
