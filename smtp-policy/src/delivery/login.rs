//! Login at the server, between hello and the first message
//! (`src/smtp/smtp_sasl_proto.c`, smtp_sasl_helo_login; `src/smtp/smtp_sasl_glue.c`,
//! smtp_sasl_authenticate). A failure is the session's: no message goes out on it,
//! and other servers are tried.

use std::sync::Arc;

use smtp_proto::{
    reply::{Capabilities, Reply},
    secret::Secret,
    session::{ChallengeError, Closed, Stage},
    status::EnhancedStatus,
};

use super::{Delivery, Note, hosts::Phase, talk::Talk};
use crate::{
    Protocol,
    channel::Peer,
    report::{Scope, trouble::Reason},
    sasl::{
        Credentials, Exchange, Failed, Offer, Party, PasswordSearch, Protection, Refusal, Sasl,
        SecurityOptions, fingerprint,
    },
    tables::TableFailure,
};

/// The reply for which a login is remembered as failed: the credentials are wrong
/// (RFC 4954 section 6).
const BAD_CREDENTIALS: u16 = 535;

/// What is known and done about login in one session.
#[derive(Debug)]
pub(super) struct Login {
    /// What was found in the tables before the connection was opened.
    credentials: Result<Option<Credentials>, TableFailure>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    NotYet,
    UnderWay(Box<Exchange>),
    Over,
}

impl Login {
    pub(super) fn new(search: PasswordSearch) -> Self {
        Self {
            credentials: search.result(),
            progress: Progress::NotYet,
        }
    }

    /// A kept connection, on which nothing is left to do.
    pub(super) fn done() -> Self {
        Self {
            credentials: Ok(None),
            progress: Progress::Over,
        }
    }

    /// Whether there may be something to log in with. A table that cannot tell
    /// counts as if there were.
    pub(super) fn has_credentials(&self) -> bool {
        !matches!(self.credentials, Ok(None))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Over)
    }
}

impl Talk {
    /// How the connection is protected.
    fn protection(&self) -> Protection {
        match self.channel.tls_facts() {
            Some(facts) if facts.matched => Protection::VerifiedTls,
            Some(_) => Protection::Tls,
            None => Protection::Plaintext,
        }
    }
}

impl Delivery {
    /// The search for credentials for a server.
    pub(super) fn password_search(&self, peer: &Peer) -> PasswordSearch {
        let Some(sasl) = &self.policy.settings(self.request.protocol).sasl else {
            return PasswordSearch::default();
        };
        let by_sender = self.request.protocol == Protocol::Smtp && sasl.login.by_sender;
        let sender = by_sender.then(|| {
            let address = self.sender();
            (address, sasl.local().rules(address))
        });
        PasswordSearch::new(sasl.passwords(), sender, &peer.host, &peer.destination)
    }

    /// Logs in if the server offers it and there are credentials for it; otherwise
    /// goes on as a stranger.
    pub(super) fn log_in(&mut self, peer: &Peer, offered: &Capabilities) {
        if self.is_survey() {
            return self.pass_visit(offered);
        }
        match self.begin_login(peer, offered) {
            Ok(()) => {}
            Err(reason) => self.fail_login(reason),
        }
    }

    fn begin_login(&mut self, peer: &Peer, offered: &Capabilities) -> Result<(), Reason> {
        let policy = Arc::clone(&self.policy);
        let sasl = policy.settings(self.request.protocol).sasl.as_ref();
        let Some(sasl) = sasl else {
            self.go_on();
            return Ok(());
        };
        if offered.auth.is_empty() {
            self.note_useless_password(peer);
            self.go_on();
            return Ok(());
        }
        let offer = Offer::read(&offered.auth, sasl.filter()).map_err(|_| data_error(peer))?;
        for remark in &offer.remarks {
            self.note(Note::warning(format!("{} {remark}", peer.relay())));
        }
        let Some(credentials) = self.credentials(peer)? else {
            self.go_on();
            return Ok(());
        };
        let name = peer.name();
        if offer.is_empty() {
            return Err(local(format!(
                "SASL authentication failed: server {name} offered no compatible authentication \
                 mechanisms for this type of connection security"
            )));
        }
        if let Some(reason) = self.failed_before(sasl, peer, &credentials) {
            return Err(reason);
        }
        let begun = self.begin_exchange(peer, &offer, &credentials);
        begun.map_err(|why| local(cannot(&name, why)))
    }

    /// The server does not want to know the password that there is for it: mail goes out
    /// as a stranger's. Postfix does the same without a word.
    fn note_useless_password(&mut self, peer: &Peer) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        if !matches!(talk.login.credentials, Ok(Some(_))) {
            return;
        }
        let tls = match talk.channel.is_secure() {
            true => "",
            false => " outside of TLS",
        };
        let relay = peer.relay();
        self.note(Note::warning(format!(
            "{relay}: there is a password for this server, but it offers no AUTH{tls}: mail goes \
             out without a login"
        )));
    }

    /// Postfix counts the login as part of the hello, in all that it says of it.
    pub(super) fn note_unanswered_login(&mut self) {
        if let Phase::Talking(talk) = &self.phase {
            let relay = talk.channel.peer.relay();
            let text = format!("{relay}: it was the reply to AUTH that did not come");
            self.note(Note::info(text));
        }
    }

    /// What the tables said; their failure matters only now that the server wants
    /// to know.
    fn credentials(&mut self, peer: &Peer) -> Result<Option<Credentials>, Reason> {
        let Phase::Talking(talk) = &self.phase else {
            return Ok(None);
        };
        if let Ok(found) = &talk.login.credentials {
            return Ok(found.clone());
        }
        let parameter = format!("{}_sasl_password_maps", self.request.protocol.as_str());
        self.message_warning(&format!("{parameter} lookup error"));
        self.record_data_error();
        Err(data_error(peer))
    }

    fn begin_exchange(
        &mut self,
        peer: &Peer,
        offer: &Offer,
        credentials: &Credentials,
    ) -> Result<(), Refusal> {
        let Phase::Talking(talk) = &mut self.phase else {
            return Ok(());
        };
        let Some(sasl) = &self.settings.sasl else {
            return Ok(());
        };
        let required = sasl.required(talk.protection());
        let facts = talk.channel.tls_facts();
        let known = facts.as_ref().and_then(|facts| facts.binding.as_ref());
        let (mechanism, binding) = offer.choose(required, known).ok_or(Refusal::NoMechanism)?;
        let party = Party {
            credentials,
            authzid: sasl.login.authzid,
            has_certificate: facts.is_some_and(|facts| facts.showed_certificate),
            host: &peer.host,
            port: peer.port,
            own_name: self.settings.identity.host.as_str(),
            binding,
            seed: self.seed.wrapping_add(u64::from(self.serial) << 32),
        };
        let name = mechanism.name()?;
        let (exchange, initial) = Exchange::begin(mechanism, &party)?;
        talk.login.progress = Progress::UnderWay(Box::new(exchange));
        if let Some(negotiation) = talk.channel.session.negotiation() {
            negotiation.auth(&name, initial.as_ref());
        }
        Ok(())
    }

    /// The server has sent a challenge.
    pub(super) fn answer_challenge(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let name = talk.channel.peer.name();
        let Some(turn) = talk.channel.session.sasl() else {
            return;
        };
        let Progress::UnderWay(exchange) = &mut talk.login.progress else {
            turn.quit();
            return;
        };
        // No mechanism has an answer to more than three challenges, so that Postfix's
        // limit of 100 cannot be reached.
        let response = if turn.is_out_of_turn() {
            let mechanism = exchange.mechanism().as_str();
            // Postfix adds its own response here, password and all.
            Err(local(format!(
                "SASL authentication failed; non-empty initial {mechanism} challenge from server {name}"
            )))
        } else {
            respond(exchange, turn.challenge()).map_err(|why| local(cannot(&name, why)))
        };
        match response {
            Ok(response) => turn.respond(&response),
            Err(reason) => self.fail_login(reason),
        }
    }

    /// The server's reply to AUTH or to a response.
    pub(super) fn on_auth_reply(&mut self, peer: &Peer, reply: &Reply) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if reply.is_intermediate() {
            return;
        }
        let progress = core::mem::replace(&mut talk.login.progress, Progress::Over);
        if !reply.is_success() {
            self.remember_failure(peer, reply);
            let text = format!("server {} said: {}", peer.name(), one_line(reply.text()));
            let reason = self.rejected(
                reply.class() == 5,
                reply.status(),
                format!("SASL authentication failed; {text}"),
            );
            return self.fail_login(Reason {
                reply: Some(reply.clone()),
                ..reason
            });
        }
        let sasl = self.settings.sasl.as_ref();
        let required = sasl.map(|sasl| sasl.required(talk.protection()));
        if let Progress::UnderWay(exchange) = progress
            && required.is_some_and(SecurityOptions::ask_for_mutual_auth)
            && !exchange.knows_server()
        {
            // RFC 5802 section 5: the signature of the server is part of the exchange.
            return self.fail_login(local(cannot(&peer.name(), Refusal::Server)));
        }
        talk.channel.authenticated = true;
    }

    /// A login with these credentials was rejected not long ago.
    fn failed_before(&self, sasl: &Sasl, peer: &Peer, credentials: &Credentials) -> Option<Reason> {
        let Credentials { user, password } = credentials;
        let password = fingerprint(user, password.expose());
        let failed = sasl.failed()?.find(&peer.host, user, &password, self.now)?;
        let text = format!(
            "SASL [CACHED] authentication failed; server {} said: {}",
            peer.host, failed.text
        );
        Some(self.rejected(failed.status.class() == 5, failed.status, text))
    }

    fn remember_failure(&self, peer: &Peer, reply: &Reply) {
        if reply.code() == BAD_CREDENTIALS
            && let Phase::Talking(talk) = &self.phase
            && let Ok(Some(Credentials { user, password })) = &talk.login.credentials
            && let Some(sasl) = &self.policy.settings(self.request.protocol).sasl
            && let Some(mut memory) = sasl.failed()
        {
            let password = fingerprint(user, password.expose());
            let failed = Failed {
                status: reply.status(),
                text: one_line(reply.text()),
            };
            memory.store(&peer.host, user, password, failed, self.now);
        }
    }

    /// The server's verdict; a permanent one is made temporary if that is wished
    /// (`smtp_sasl_auth_soft_bounce`). A reply that is no refusal at all, such as
    /// 650, has a permanent status but is left alone.
    fn rejected(&self, permanent: bool, status: EnhancedStatus, text: String) -> Reason {
        let soften = permanent
            && self
                .settings
                .login
                .as_ref()
                .is_some_and(|login| login.soft_bounce);
        let status = if soften { status.with_class(4) } else { status };
        Reason {
            status,
            ..local(text)
        }
    }

    fn fail_login(&mut self, reason: Reason) {
        self.fail_site(reason);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.login.progress = Progress::Over;
            talk.give_up();
        }
    }

    /// No login is needed any more: the session can have a message.
    pub(super) fn go_on(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.login.progress = Progress::Over;
            if let Some(negotiation) = talk.channel.session.negotiation() {
                negotiation.ready();
            }
        }
    }
}

fn respond(
    exchange: &mut Exchange,
    challenge: Result<Vec<u8>, ChallengeError>,
) -> Result<Secret, Refusal> {
    match challenge {
        Ok(challenge) => exchange.step(&challenge),
        Err(ChallengeError::Malformed) => Err(Refusal::Protocol),
        Err(ChallengeError::Incomplete) => Err(Refusal::Incomplete),
    }
}

fn cannot(name: &str, why: Refusal) -> String {
    format!("SASL authentication failed; cannot authenticate to server {name}: {why}")
}

/// A failure that this side found.
fn local(text: String) -> Reason {
    let reason = Reason::local(EnhancedStatus::new(4, 7, 0), Scope::Session, text);
    Reason {
        stage: Some(Stage::Auth),
        ..reason
    }
}

fn data_error(peer: &Peer) -> Reason {
    let text = format!("local data error while talking to {}", peer.name());
    Reason {
        status: EnhancedStatus::new(4, 3, 0),
        ..local(text)
    }
}

/// Unlike elsewhere, the lines of a reply are not joined by blanks but stay apart,
/// and the log shows what is unprintable as question marks.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_control(), "?")
}

/// What Postfix was doing when the exchange broke off: in its terms, still saying
/// hello.
pub(super) fn in_hello(why: Closed, protocol: Protocol) -> Closed {
    let hello = match protocol {
        Protocol::Smtp => Stage::Ehlo,
        Protocol::Lmtp => Stage::Lhlo,
    };
    match why {
        Closed::Lost(Stage::Auth) => Closed::Lost(hello),
        Closed::TimedOut(Stage::Auth) => Closed::TimedOut(hello),
        Closed::Protocol(Stage::Auth, error) => Closed::Protocol(hello, error),
        why => why,
    }
}
