//! From the greeting to the known capabilities: EHLO, HELO, LHLO and the way back
//! from one to the other (RFC 5321 sections 3.1, 3.2; `src/smtp/smtp_proto.c`,
//! smtp_helo).

use super::{Closed, Event, HelloChoice, Protocol, Session, Stage, State};
use crate::{
    command::{self, Verb},
    reply::{Capabilities, Reply},
};

/// The decision after the capabilities are known.
#[derive(Debug)]
pub struct Negotiation<'a> {
    pub(super) session: &'a mut Session,
}

impl Negotiation<'_> {
    /// What the server announced; nothing after HELO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.session.capabilities
    }

    /// Whether this is the negotiation inside TLS.
    pub fn is_secure(&self) -> bool {
        self.session.secure
    }

    /// Goes on to the messages.
    pub fn ready(self) {
        self.session.state.go(State::Idle);
    }

    /// Says STARTTLS. If the server agrees, [`Need::Tls`](super::Need::Tls) comes
    /// next; if not, this negotiation comes again with what is known already.
    pub fn start_tls(self) {
        self.session.say_starttls();
    }

    /// Leaves with QUIT.
    pub fn quit(self) {
        self.session.leave(Closed::Quit);
    }
}

impl Session {
    /// The decision how to go on after EHLO, while it is due.
    pub fn negotiation(&mut self) -> Option<Negotiation<'_>> {
        matches!(*self.state, State::Negotiation).then_some(Negotiation { session: self })
    }

    pub(super) fn on_banner(&mut self) {
        let Some(reply) = self.take_reply(Stage::Banner) else {
            return;
        };
        if !reply.is_success() {
            return self.refuse();
        }
        self.detect_pix(&reply);
        let verb = self.first_verb(&reply);
        self.say_hello(verb);
    }

    pub(super) fn on_hello(&mut self, verb: Verb) {
        let Some(reply) = self.take_reply(stage_of(verb)) else {
            return;
        };
        match verb {
            Verb::Ehlo | Verb::Lhlo if reply.is_success() => {
                self.capabilities = Capabilities::parse(&reply, self.profile.discard);
                self.state.go(State::Negotiation);
            }
            Verb::Helo if reply.is_success() => self.state.go(State::Negotiation),
            // 421 says that the server is about to close; HELO would be in vain.
            Verb::Ehlo if reply.code() != 421 => self.say_hello(Verb::Helo),
            _ => self.refuse(),
        }
    }

    pub(super) fn say_hello(&mut self, verb: Verb) {
        let name = &self.profile.hello_name;
        self.output.write_with(|line| {
            command::hello(verb, name, line);
            Some(())
        });
        // Greeting and hello share one limit (smtp_helo_timeout is armed once).
        self.timer.rename(stage_of(verb));
        self.state.go(State::Hello(verb));
    }

    /// The server does not want to talk: says QUIT unless the line is gone, and
    /// ends as refused.
    fn refuse(&mut self) {
        self.leave(Closed::Refused);
    }

    /// Whether the greeting is a PIX firewall's: nothing but the code, asterisks
    /// and blanks.
    fn detect_pix(&mut self, greeting: &Reply) {
        let masked = greeting.text().bytes().all(|b| b"20 *\t\n".contains(&b));
        if masked && !self.profile.pix.is_empty() {
            self.pix = self.profile.pix;
            self.events.push_back(Event::Pix(self.pix));
        }
    }

    fn first_verb(&mut self, greeting: &Reply) -> Verb {
        if self.profile.protocol == Protocol::Lmtp {
            return Verb::Lhlo;
        }
        let says_esmtp = self.greeting_says_esmtp(greeting);
        match self.profile.hello {
            HelloChoice::Helo => Verb::Helo,
            _ if self.pix.disable_esmtp => Verb::Helo,
            HelloChoice::AsGreeted if !says_esmtp => Verb::Helo,
            HelloChoice::AsGreeted | HelloChoice::Ehlo => Verb::Ehlo,
        }
    }

    /// Whether a word of the greeting is ESMTP. The first word is the server's
    /// name; if it is our own, that is worth a note.
    fn greeting_says_esmtp(&mut self, greeting: &Reply) -> bool {
        let own_name: &str = &self.profile.own_name;
        let mut words = greeting.text().split_ascii_whitespace().skip(1).peekable();
        let own = !own_name.is_empty()
            && words
                .next_if(|word| word.eq_ignore_ascii_case(own_name))
                .is_some();
        let esmtp = words.any(|word| word.eq_ignore_ascii_case("ESMTP"));
        if own {
            self.events.push_back(Event::GreetedWithOwnName);
        }
        esmtp
    }
}

const fn stage_of(verb: Verb) -> Stage {
    match verb {
        Verb::Ehlo => Stage::Ehlo,
        Verb::Helo => Stage::Helo,
        Verb::Lhlo => Stage::Lhlo,
    }
}
